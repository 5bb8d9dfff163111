"""One page, ready to be asked whether it states something. Built once a page; its parts when they are first needed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from enrich.grounding.counts import counts
from enrich.grounding.numbers import NumberIndex, Passage
from enrich.grounding.quotes import QuoteIndex, QuoteMatch, normalise_quote
from enrich.grounding.words import stems
from enrich.wiki.visible import Line, Sentence, VisibleText, source_lines, visible

# Whole tags are markup and no words. Without its brackets a tag is text, on the page and in the quote alike.
_ANGLES = str.maketrans("<>", "  ")


class PageIndex:
    """What one page states: its visible body, its title (section `title`) and its description (section `description`), both on line 0.

    The values that `enrich` writes are no part of it, so an earlier answer can never support a later one. `body_line` is the file line
    of the body's first line: body line n is file line `body_line + n - 1`.
    """

    def __init__(self, body: str, *, title: str = "", description: str = "", body_line: int = 1) -> None:
        self.body, self.title, self.description, self.body_line = body, title, description, body_line

    @cached_property
    def visible(self) -> VisibleText:
        return visible(self.body)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Title, description and the body's visible lines; comments, which no reader sees, left out."""
        head = [
            Line(0, " ".join(text.split()), section, "prose")
            for text, section in ((self.title, "title"), (self.description, "description"))
            if text.strip()
        ]
        return (*head, *(line for line in self.visible.lines if line.kind != "comment"))

    @cached_property
    def quotes(self) -> QuoteIndex:
        return QuoteIndex(self.lines)

    @cached_property
    def numbers(self) -> NumberIndex:
        return NumberIndex(self.lines)

    @cached_property
    def stems(self) -> set[str]:
        """The beginnings of the page's words (see `stems`)."""
        return stems(line.text for line in self.lines)

    @cached_property
    def listed(self) -> frozenset[int]:
        """How many things the page lists in one place: what a count in an answer can have counted."""
        return counts(self.body, self.lines)

    def listed_by(self, section: str) -> frozenset[int]:
        """The same within one section."""
        return counts("", [line for line in self.lines if line.section == section])

    def find_quote(self, quote: str) -> QuoteMatch | None:
        """Where the quote is on the page; None: the page does not support it."""
        return self.quotes.find(quote) or self._find_in_components(quote)

    def _find_in_components(self, quote: str) -> QuoteMatch | None:
        """Where a quote is that copies a component's attributes with their keys. Its match has the attributes' words that a reader sees."""
        index, tagged = self._source
        match = index.find(quote.translate(_ANGLES), almost=False)
        if match is None or tagged.isdisjoint(range(match.start_line, match.end_line + 1)):
            return None
        lines = [self.lines[at] for at in self._between(match) if self.lines[at].kind == "component"]
        words = " ".join(line.text for line in lines) or match.text
        section = next((line.section for line in reversed(self.visible.lines) if line.number <= match.start_line), "")
        return replace(match, text=words, section=section, page_text="\n".join(line.text for line in lines) or match.page_text)

    @cached_property
    def _source(self) -> tuple[QuoteIndex, frozenset[int]]:
        """The body's lines as the model is shown them, and the numbers of those that hold attributes."""
        lines, tagged = source_lines(self.body)
        plain = (normalise_quote(line.translate(_ANGLES)) for line in lines)
        return QuoteIndex([Line(number, line, "", "prose") for number, line in enumerate(plain, 1) if line]), tagged

    def passages(self, match: QuoteMatch) -> list[Passage]:
        """What a quote vouches for: the lines it stands on, and the whole sentences where these run over several lines."""
        found: list[Passage] = []
        prose: list[Line] = []
        for position in self._by_number.get(match.start_line, ()) if match.start_line == match.end_line else self._between(match):
            line = self.lines[position]
            if line.number == 0 and line.section != match.section:
                continue
            found.append(self.numbers.passage(position))
            if line.kind in ("prose", "list", "footnote") and line.number:
                prose.append(line)
        if prose:
            found.extend(self._sentences(prose[0].number, prose[-1].number))
        return found

    def _between(self, match: QuoteMatch) -> list[int]:
        return [at for number in range(match.start_line, match.end_line + 1) for at in self._by_number.get(number, ())]

    @cached_property
    def _by_number(self) -> dict[int, list[int]]:
        places: dict[int, list[int]] = {}
        for position, line in enumerate(self.lines):
            places.setdefault(line.number, []).append(position)
        return places

    def _sentences(self, first: int, last: int) -> list[Passage]:
        """Sentences that run over the edge of these lines."""
        return [
            Passage(sentence.text, sentence.start_line, "prose", "", sentence.section)
            for sentence in self._wrapped
            if sentence.start_line <= last and sentence.end_line >= first
        ]

    @cached_property
    def _wrapped(self) -> tuple[Sentence, ...]:
        """Sentences that stand on more than one line."""
        return tuple(one for one in self.visible.sentences() if one.start_line != one.end_line)

    def file_line(self, line: int) -> int:
        """The file line of a body line; 0 (title, description) stays 0."""
        return self.body_line + line - 1 if line > 0 else 0
