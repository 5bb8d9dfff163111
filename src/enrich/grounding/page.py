"""One page, ready to be asked whether it supports a text. Built once a page; its parts when they are first needed."""

from __future__ import annotations

import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice, repeat
from operator import attrgetter

from enrich.grounding.check import check_text
from enrich.grounding.evidence import Finding
from enrich.grounding.explanations import list_sizes
from enrich.grounding.names import WRONG_NAMES, NameIndex
from enrich.grounding.numbers import NumberIndex, Passage
from enrich.grounding.quantities import Quantity, quantities
from enrich.grounding.quotes import Quote, QuoteIndex, normalise_quote
from enrich.grounding.statements import SHORTEST_CONTENT, Sentences, sentences, stems
from enrich.wiki.pages import Page, detect_language
from enrich.wiki.visible import Line, VisibleText, source_lines, visible

# Whole tags are markup and not words. Without its brackets a tag is text, on the page and in the quote alike.
_ANGLES = str.maketrans("<>", "  ")
# A component without text shows the name of what it refers to: `<EntityLink name="community-notes" />`.
_NAMED = re.compile(r"<[A-Z][^<>]{0,400}?\bname=\"([^\"<>]{1,100})\"[^<>]{0,400}/>")


@dataclass(frozen=True, slots=True)
class Chance:
    """How many of so many wrong numbers and names pass the page-wide check, that is, have no hard finding."""

    numbers: int
    of_numbers: int
    names: int
    of_names: int

    def __str__(self) -> str:
        names = f"{self.names} of {self.of_names} wrong names"
        return f"on this page, {self.numbers} of {self.of_numbers} wrong numbers and {names} would pass without a quote"


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
        return _chance(self, seed)

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
        first = bisect_left(self.lines, match.start_line, key=attrgetter("number"))
        for position in range(first, bisect_right(self.lines, match.end_line, first, key=attrgetter("number"))):
            line = self.lines[position]
            if line.number or line.section == match.section:
                found.append(self.numbers.passage(position))
                prose += [line.number] if line.number and line.kind in ("prose", "list", "footnote") else []
        if prose:
            found += [
                Passage(sentence.text, sentence.start_line, "prose", "", sentence.section, self.language)
                for sentence in self.visible.wrapped
                if sentence.start_line <= prose[-1] and sentence.end_line >= prose[0]
            ]
        return found


# --- what the absence of a finding is worth ---


# A page that is dense with numbers states nearly every small one somewhere, so a wrong one is found there as well. Quotes narrow that down.
# A share of 20 has a standard error of at most 11 percentage points. More take longer than a reader of one page should notice.
_NUMBERS = 20
_KINDS = ("number", "small", "year", "percent", "points", "currency", "factor", "unit")
_LONGEST = 20  # characters
# A line of many numbers is one place of the page, and a page of few numbers is asked about them several times.
_OF_A_LINE, _ROUNDS = 3, 8
# What a page without numbers is asked about.
_USUAL = "12 sites, 1987, 37%, $4.2 million"
# In front of each value, because a phrase that is on the page word for word counts as copied, as `7%` in `37%`.
_FRONT = "zz "
# How far a wrong year is from the right one.
_YEARS = 20


def _chance(index: PageIndex, seed: int) -> Chance:
    """Check wrong numbers, which are the page's own with other digits, and names of a fixed list.

    A wrong number has the kind, unit, notation and number of digits of one that is on the page; a wrong year is at most 20 years off.
    """
    draw = random.Random(seed)
    numbers = list(islice(_wrong_numbers(index, draw), _NUMBERS))
    passed = [not any(finding.severity == "hard" for finding in index.check(_FRONT + text)) for text in (*numbers, *WRONG_NAMES)]
    return Chance(sum(passed[: len(numbers)]), len(numbers), sum(passed[len(numbers) :]), len(WRONG_NAMES))


def _wrong_numbers(index: PageIndex, draw: random.Random) -> Iterator[str]:
    """Phrases of a wrong value and the noun behind it, without end, for the page's numbers in random order."""
    lines = [line.text for line in index.lines if any(map(str.isdigit, line.text))]
    draw.shuffle(lines)
    read: dict[str, list[Quantity]] = {}
    for text in chain(*repeat(lines, _ROUNDS), repeat(_USUAL)):
        if text not in read:
            found = quantities(text, index.language) if text != _USUAL else quantities(text)
            read[text] = [one for one in found if one.kind in _KINDS and len(one.text) <= _LONGEST and re.search(r"\d", one.text)]
        for one in draw.sample(read[text], min(_OF_A_LINE, len(read[text]))):
            wrong = _wrong(one, draw)
            if wrong != one.text:
                yield f"{wrong} {one.noun}".rstrip()


def _wrong(one: Quantity, draw: random.Random) -> str:
    """The quantity as it is written, with other digits."""
    if one.kind == "year" and len(one.text) == 4:
        return str(int(one.value) + draw.choice([-1, 1]) * draw.randint(1, _YEARS))
    return re.sub(r"\d", lambda found: str(draw.randint(found.start() == 0 or not one.text[found.start() - 1].isdigit(), 9)), one.text)
