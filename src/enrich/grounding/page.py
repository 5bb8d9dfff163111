"""One page, ready to be asked whether it supports a text. Built once a page; its parts when they are first needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from enrich.grounding.chance import Chance, chance
from enrich.grounding.check import check_text
from enrich.grounding.explanations import list_sizes
from enrich.grounding.finding import Finding
from enrich.grounding.names import NameIndex
from enrich.grounding.numbers import NumberIndex, Passage
from enrich.grounding.quotes import Quote, QuoteIndex, normalise_quote
from enrich.grounding.statements import SHORTEST_CONTENT, Sentences, sentences
from enrich.grounding.words import stems
from enrich.wiki.pages import Page, detect_language
from enrich.wiki.visible import Line, VisibleText, source_lines, visible

# Whole tags are markup and not words. Without its brackets a tag is text, on the page and in the quote alike.
_ANGLES = str.maketrans("<>", "  ")
# A component without text shows the name of what it refers to: `<EntityLink name="community-notes" />`.
_NAMED = re.compile(r"<[A-Z][^<>]{0,400}?\bname=\"([^\"<>]{1,100})\"[^<>]{0,400}/>")


class PageIndex:
    """What one page states: its visible body, its title (section `title`) and its description (section `description`), both on line 0.

    The values that `enrich` writes are not part of it, so an earlier answer can never support a later one. `body` is as a model is shown it,
    `written` as it is in the file.
    """

    def __init__(self, body: str, *, title: str = "", description: str = "", language: str | None = None) -> None:
        self.body, self.title, self.description = body, title, description
        self.written = body
        self._language = language
        self._sizes_by_section: dict[str, frozenset[int]] = {}

    @classmethod
    def of(cls, page: Page) -> PageIndex:
        """The index of a page as a model is shown it. Quotes of the body as it is written are found too."""
        index = cls(page.shown, title=page.title, description=page.description, language=page.language)
        index.written = page.body
        return index

    @cached_property
    def language(self) -> str:
        """The code of the page's language: as given, else that of its text."""
        return self._language or detect_language("\n".join((self.title, self.description, self.body)))

    def check(self, text: str, evidence: Sequence[str] | None = None, *, where: str = "") -> list[Finding]:
        """What is wrong with the numbers and names of a text, and whether it speaks of itself; in the order of the text.

        `evidence`: the quotes given for the text. Then a quantity is supported if its value and unit are in a line or sentence of the page
        that holds one of them (a table row counts with its head); `[]` supports nothing. With None no quotes were asked for, and the whole
        page counts. `where` names the text in findings.
        """
        return check_text(text, evidence, self, where)

    def chance(self, seed: int = 0) -> Chance:
        """How many of a sample of wrong numbers and names the page-wide check (no evidence) would let pass; the same for the same seed."""
        return chance(self, seed)

    def find_quote(self, quote: str) -> Quote | None:
        """Where the quote is on the page; None if the page does not hold it."""
        if self.written == self.body:
            return self.quotes.find(quote) or self._find_in_components(quote)
        # A quote that leaves out the name of a source is the page's own words: it must not be repaired to words with a part of the name.
        exact = self.quotes.find(quote, almost=False) or self._as_written.quotes.find(quote, almost=False)
        return exact or self.quotes.find(quote) or self._find_in_components(quote) or self._as_written.find_quote(quote)

    @cached_property
    def _as_written(self) -> PageIndex:
        return PageIndex(self.written, language=self.language)

    def _find_in_components(self, quote: str) -> Quote | None:
        """Where a quote is that copies a component's attributes with their keys. Its text is the attributes' words that a reader sees."""
        if "<" not in self.body:
            return None
        index, tagged = self._source
        match = index.find(quote.translate(_ANGLES), almost=False)
        if match is None or tagged.isdisjoint(range(match.start_line, match.end_line + 1)):
            return None
        lines = [line for line in self.lines if line.kind == "component" and match.start_line <= line.number <= match.end_line]
        words = " ".join(line.text for line in lines) or match.text
        section = next((line.section for line in reversed(self.visible.lines) if line.number <= match.start_line), "")
        return replace(match, text=words, section=section, page_text="\n".join(line.text for line in lines) or match.page_text)

    @cached_property
    def _source(self) -> tuple[QuoteIndex, frozenset[int]]:
        """The body's lines as the model is shown them, and the numbers of those that hold attributes."""
        lines, tagged = source_lines(self.body)
        plain = (normalise_quote(line.translate(_ANGLES)) for line in lines)
        return QuoteIndex([Line(number, line, "", "prose") for number, line in enumerate(plain, 1) if line]), tagged

    @cached_property
    def visible(self) -> VisibleText:
        return visible(self.body)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Title, description and the body's visible lines; comments, which a reader does not see, are left out."""
        head = [
            Line(0, " ".join(text.split()), section, "prose")
            for text, section in ((self.title, "title"), (self.description, "description"))
            if text.strip()
        ]
        return (*head, *(line for line in self.visible.lines if line.kind != "comment"))

    @cached_property
    def quotes(self) -> QuoteIndex:
        return QuoteIndex(self.lines, self.language)

    @cached_property
    def names(self) -> NameIndex:
        return NameIndex([*(line.text for line in self.lines), *_NAMED.findall(self.body)])

    @cached_property
    def sentences(self) -> Sentences:
        lines = (line for line in self.lines if line.kind != "code" and len(line.text) >= SHORTEST_CONTENT)
        return Sentences(sentence for line in lines for sentence in sentences(line.text, line.number))

    @cached_property
    def numbers(self) -> NumberIndex:
        return NumberIndex(self.lines, self.language)

    @cached_property
    def stems(self) -> set[str]:
        """The beginnings of the page's words (see `stems`)."""
        return stems(line.text for line in self.lines)

    @cached_property
    def _list_sizes(self) -> frozenset[int]:
        return list_sizes(self.body, self.lines)

    def list_sizes(self, section: str | None = None) -> frozenset[int]:
        """How many things the page, or one section of it, lists in one place: what a count in an answer can have counted."""
        if section is None:
            return self._list_sizes
        if section not in self._sizes_by_section:
            self._sizes_by_section[section] = list_sizes("", [line for line in self.lines if line.section == section])
        return self._sizes_by_section[section]

    def passages(self, match: Quote) -> list[Passage]:
        """What a quote supports: the lines that hold it, and the whole sentences where these run over several lines."""
        found: list[Passage] = []
        prose: list[int] = []
        for number in range(match.start_line, match.end_line + 1):
            for position in self._by_number.get(number, ()):
                line = self.lines[position]
                if number or line.section == match.section:
                    found.append(self.numbers.passage(position))
                    prose += [number] if number and line.kind in ("prose", "list", "footnote") else []
        if prose:
            found += [
                Passage(sentence.text, sentence.start_line, "prose", "", sentence.section, self.language)
                for sentence in self.visible.wrapped
                if sentence.start_line <= prose[-1] and sentence.end_line >= prose[0]
            ]
        return found

    @cached_property
    def _by_number(self) -> dict[int, list[int]]:
        places: dict[int, list[int]] = {}
        for position, line in enumerate(self.lines):
            places.setdefault(line.number, []).append(position)
        return places
