"""Evidence in its place on the page: the text around a quote as readers of the page see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from enrich.grounding.quotes import QuoteIndex
from enrich.stages.answers import Evidence
from enrich.wiki.pages import Page
from enrich.wiki.visible import Line, visible

# Characters of context on each side: enough to judge a quote, few enough that a review page of 700 pages is a small file.
_CONTEXT = 280


@dataclass(frozen=True, slots=True)
class QuoteView:
    """A quote with the text before and after it.

    `where` is the part of the value it supports (`insights[0]`). `lines` are file lines from 1 in the current file; (0, 0) for the title,
    the description and quotes that are not on the page. `found`: the quote is on the page now. `repaired`: the model's words differed
    slightly and were replaced by the page's.
    """

    where: str
    quote: str
    section: str
    lines: tuple[int, int] = (0, 0)
    before: str = ""
    after: str = ""
    found: bool = False
    repaired: bool = False


class PageQuotes:
    """Finds evidence on one page. The page's visible text is computed when the first quote is looked up."""

    def __init__(self, page: Page | None) -> None:
        self._page = page

    @cached_property
    def _lines(self) -> Sequence[Line]:
        return [line for line in visible(self._page.body).lines if line.kind != "comment"] if self._page else []

    def view(self, item: Evidence) -> QuoteView:
        """The evidence `item` of a proposal on the current page."""
        page, (first, last) = self._page, item.lines
        missing = QuoteView(item.where, item.quote, item.section, repaired=not item.verbatim)
        if page is None or not item.found:
            return missing
        if first == 0:
            return replace(missing, found=item.quote in f"{page.title}\n{page.description}")
        places = [place for place, line in enumerate(self._lines) if first <= line.number <= last]
        inside = [self._lines[place] for place in places]
        text = " ".join(line.text for line in inside)
        span = _find(text, item.quote, inside)
        if span is None:
            return missing
        start, end = span
        above, below = self._paragraph(places[0] - 1), self._paragraph(places[-1] + 1)
        shift = page.body_line - 1
        return replace(
            missing,
            quote=text[start:end],
            lines=(first + shift, last + shift),
            before=_tail((f"{above} ¶ " if above else "") + text[:start]),
            after=_head(text[end:] + (f" ¶ {below}" if below else "")),
            found=True,
        )

    def _paragraph(self, place: int) -> str:
        """The text of a line next to a quote; "" for a heading and beyond the page."""
        if not 0 <= place < len(self._lines) or self._lines[place].kind == "heading":
            return ""
        return self._lines[place].text


def _find(text: str, quote: str, lines: Sequence[Line]) -> tuple[int, int] | None:
    """(start, end) of the quote in `text`: as it is, or by the rules of grounding (other quotation marks, dashes, white space)."""
    if quote not in text and lines:
        match = QuoteIndex(lines).find(quote)
        if match is None:
            return None
        quote = match.text
        if quote not in text:
            return 0, len(text)
    at = text.find(quote)
    return (at, at + len(quote)) if at >= 0 and quote else None


def _tail(text: str) -> str:
    return text if len(text) <= _CONTEXT else "…" + text[-_CONTEXT:].partition(" ")[2]


def _head(text: str) -> str:
    return text if len(text) <= _CONTEXT else text[:_CONTEXT].rpartition(" ")[0] + "…"
