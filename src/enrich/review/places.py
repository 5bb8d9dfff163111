"""Evidence in its place on the page: the lines around a quote, as a reader of the page sees them, with the quote apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from enrich.grounding.quotes import QuoteIndex
from enrich.stages.answers import Evidence
from enrich.wiki.pages import Page
from enrich.wiki.visible import Line, visible

# Characters of context on each side: enough to judge a quote, few enough that 700 pages stay a small file.
_CONTEXT = 280


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quote between what stands before and after it on the page.

    `where` is the part of the value it carries (`insights[0]`), `lines` file lines from 1 as the page stands now ((0, 0): title,
    description, or no longer there), `found`: the quote stands on the page as it is now, `repaired`: the model's words were off by
    little and are the page's now.
    """

    where: str
    quote: str
    section: str
    lines: tuple[int, int]
    before: str
    after: str
    found: bool
    repaired: bool


class Places:
    """Finds quotes on one page; its visible text is made when the first is looked for."""

    def __init__(self, page: Page | None) -> None:
        self._page = page

    @cached_property
    def _lines(self) -> Sequence[Line]:
        assert self._page is not None
        return [line for line in visible(self._page.body).lines if line.kind != "comment"]

    def place(self, item: Evidence) -> Quoted:
        """The evidence `item` of a proposal on the page as it is now."""
        quote, where, section = item.quote, item.where, item.section
        first, last = item.lines
        known = item.found and self._page is not None
        lost = Quoted(where, quote, section, (0, 0), "", "", found=False, repaired=False)
        repaired = not item.verbatim
        if not known:
            return lost
        assert self._page is not None
        if first == 0:
            head = f"{self._page.title}\n{self._page.description}"
            return Quoted(where, quote, section, (0, 0), "", "", quote in head, repaired) if quote in head else lost
        inside = [line for line in self._lines if first <= line.number <= last]
        text = " ".join(line.text for line in inside)
        mark = _find(text, quote, inside)
        if mark is None:
            return lost
        start, end = mark
        position = next(at for at, line in enumerate(self._lines) if line is inside[0])
        above = self._lines[position - 1].text + " ¶ " if position > 0 and self._lines[position - 1].kind != "heading" else ""
        below = self._lines[position + len(inside)] if position + len(inside) < len(self._lines) else None
        after = text[end:] + (" ¶ " + below.text if below is not None and below.kind != "heading" else "")
        shift = self._page.body_line - 1
        return Quoted(
            where,
            text[start:end],
            section,
            (first + shift, last + shift),
            _tail(above + text[:start]),
            _head(after),
            found=True,
            repaired=repaired,
        )


def _find(text: str, quote: str, lines: Sequence[Line]) -> tuple[int, int] | None:
    """Where the quote stands in `text`: as it is, else by the rules of grounding (other quotation marks, dashes, white space)."""
    at = text.find(quote)
    if at < 0 and lines:
        match = QuoteIndex(lines).find(quote)
        if match is None:
            return None
        quote = match.text
        at = text.find(quote)
        if at < 0:
            return 0, len(text)
    return (at, at + len(quote)) if at >= 0 and quote else None


def _tail(text: str) -> str:
    return text if len(text) <= _CONTEXT else "…" + text[-_CONTEXT:].partition(" ")[2]


def _head(text: str) -> str:
    return text if len(text) <= _CONTEXT else text[:_CONTEXT].rpartition(" ")[0] + "…"
