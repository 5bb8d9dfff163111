"""What a check finds, and whether the evidence given for a text carries it: enough words, the same subject and direction, numbers with their names."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from enrich.grounding.names import Name, NameIndex
from enrich.grounding.numbers import Passage, stated_in
from enrich.grounding.quantities import Quantity, Reading
from enrich.grounding.quotes import Quote, normalise_quote
from enrich.grounding.statements import LEAST_COVER, Sentence, Sentences, clause_content, content, exchanged, sentences, stems, turns
from enrich.text import printable
from enrich.wiki.visible import split_sentences, word_count

if TYPE_CHECKING:
    from enrich.grounding.page import PageIndex

Severity = Literal["hard", "soft"]
# number: a quantity without support · name: a proper name without support · quote: evidence that is not on the page, or was repaired ·
# self-talk: the answer speaks of itself, of its instructions, or is an error text · markup: a value holds tags or links · off-page: it speaks
# of something else · orders: its evidence is in text that gives orders to a model · blemish: a small defect that was trimmed ·
# evidence: quotes that do not carry the text · flip: the page's sentence says the opposite, less, or it of something else · rating: a score
# that cannot be relied on ·
# language: numbers are not checked in the page's language, or the text is in another one · sections: the page was asked about in parts.
FindingKind = Literal[
    "number", "name", "quote", "self-talk", "markup", "off-page", "orders", "blemish", "evidence", "flip", "rating", "language", "sections"
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A nearby value or passage on the page: its text and its body line (from 1; 0: title or description)."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of checking an answer, for a reviewer, or for the model when it is asked again.

    `hard`: not supported, a person must look at the field. `soft`: explained by the page (a count, a sum, rounding, a repaired quote).
    `message` is one printable line; `where` names the part of the answer (`summary`, `insights[2].text`); `span` is the quantity's or
    phrase's (start, end) in the checked text; `quantity` its words.
    """

    kind: str  # one of FindingKind; a file of another version may hold others
    severity: Severity
    message: str
    where: str
    span: tuple[int, int] | None = None
    quantity: str = ""
    candidates: tuple[Candidate, ...] = ()


_FEWEST_QUOTE_WORDS, _FEWEST_CONTENT_WORDS = 5, 3
_LABELLED = ("table", "component", "heading")  # kinds of lines whose few words carry a label
# Below this share of a text's content words, its evidence speaks of something else; below the second one a reader should look.
_LEAST_SHARE, _LOW_SHARE = 0.1, 0.25
_FEWEST_STEMS = 4
_MOST_SENTENCES = 100  # an answer is a few sentences
_BREAK = re.compile(r"[;:]\s|—|\s[–-]\s")
_MOST_COMPARED = 24  # numbers of one sentence: each is compared with each
_SAME_WORDS = 0.8  # of the content words: then the order of names says who did what


class Given:
    """The evidence of one text, located on its page."""

    def __init__(self, quotes: Sequence[str], index: PageIndex) -> None:
        self.quotes, self.index = quotes, index
        self.matches = [index.find_quote(quote) for quote in quotes]
        places: dict[tuple[int, int], Quote] = {}
        for match in filter(None, self.matches):
            places.setdefault((match.start_line, match.end_line), match)
        self.passages: list[Passage] = [passage for match in places.values() for passage in index.passages(match)]

    @cached_property
    def stems(self) -> set[str]:
        """The beginnings of the words of the passages, all of them the page's (see `words.stems`)."""
        return stems(one.text for one in self.passages)

    @cached_property
    def sentences(self) -> Sentences:
        """The sentences of the passages. A wrapped sentence is among the passages as a whole, and its lines are too: these are left out."""
        whole = [sentence for one in self.passages for sentence in sentences(one.text, one.line)]
        return Sentences(one for one in whole if not any(one.text != other.text and one.text in other.text for other in whole))

    def labels(self) -> list[str]:
        """What says where the evidence is: heads of tables, headings, the page's title and description."""
        return [*(part for one in self.passages for part in (one.context, one.section)), self.index.title, self.index.description]


def check_evidence(text: str, given: Given, where: str, *, same_language: bool) -> Iterator[Finding]:
    """What is wrong with the quotes themselves: invented, too short to carry a statement, or (in the same language) about something else."""
    unfound = [quote for quote, match in zip(given.quotes, given.matches, strict=True) if match is None and quote.strip()]
    # A number with an invisible character cannot be quoted, but the quote is not invented.
    invented = [quote for quote in unfound if normalise_quote(quote) not in given.index.quotes.text]
    severity: Severity = "hard" if 2 * len(invented) > len(given.quotes) else "soft"
    for quote in invented:
        yield Finding("quote", severity, f"the evidence is not on the page: {printable(quote, 120)!r}", where)
    found = [match for match in given.matches if match is not None]
    if found and all(_carries_nothing(match, given) for match in found):
        yield Finding("evidence", "hard", f"the quotes are too short to carry a statement: {printable(found[0].text, 60)!r}", where)
        return
    # In a script without blanks the "words" of a sentence are its clauses: its characters are compared.
    wanted = Sentence(text, 0).content if word_count(text) <= 2 * len(text.split()) else stems([text])
    if found and same_language and len(wanted) >= _FEWEST_STEMS:
        share = len(wanted & (given.stems | stems(given.labels()))) / len(wanted)
        if share < _LOW_SHARE:
            message = f"the evidence speaks of something else: it has {round(100 * share)} % of the text's words"
            yield Finding("evidence", "hard" if share < _LEAST_SHARE else "soft", message, where)


def _carries_nothing(match: Quote, given: Given) -> bool:
    words = match.text.lower().split()
    if (
        word_count(match.text) >= _FEWEST_QUOTE_WORDS  # Chinese and Japanese have no blanks between words
        or len([*content(words), *(word for word in words if any(map(str.isdigit, word)))]) >= _FEWEST_CONTENT_WORDS
    ):
        return False
    kinds = {one.kind for one in given.passages if match.start_line <= one.line <= match.end_line}
    labelled = any(kind in _LABELLED for kind in kinds) and any(map(str.isalnum, match.text))
    # A whole line of few words, such as an item of a list, is quoted in full.
    whole = any(len(one.text.split()) <= len(match.text.split()) for one in given.passages if one.line == match.start_line)
    return not labelled and not whole


def check_statement(
    text: str, found: Sequence[Quantity], names: Sequence[Name], given: Given | None, index: PageIndex, where: str
) -> Iterator[Finding]:
    """What the nearest sentence of the evidence (or of the page) says differently, and numbers that belong to another name."""
    source = index.sentences if given is None else given.sentences
    for start, end in split_sentences(text)[:_MOST_SENTENCES]:
        mine = Sentence(text[start:end], 0)
        named = [name for name in names if start <= name.start and name.end <= end]
        near, share = source.nearest(mine)
        if near is not None and share >= LEAST_COVER:
            said, candidates = f': "{printable(near.text, 160)}"', (Candidate(printable(near.text, 200), near.line),)
            for turn in turns(mine, near):
                span = (start + turn.start, start + turn.end)
                shown = printable(text[slice(*span)], 60)
                severity: Severity = "hard" if given is not None and turn.turned else "soft"
                yield Finding("flip", severity, f'"{shown}" {turn.message}{said}', where, span, shown, candidates)
            last_words = [text[slice(*name.words[-1])] for name in named]
            if given is not None and share >= _SAME_WORDS and (pair := exchanged(mine.text, near.text, last_words)):
                message = f'"{pair[0]}" and "{pair[1]}" are in the other order on the page{said}'
                yield Finding("flip", "soft", message, where, (start, end), "", candidates)
        if given is not None:
            inside = [one for one in found if start <= one.start and one.end <= end]
            yield from _swapped(text[:end], inside, given, where)
            yield from _apart(text, inside, named, given, where)


def _swapped(text: str, found: Sequence[Quantity], given: Given, where: str) -> Iterator[Finding]:
    """A soft finding for a number that the evidence says of another number's thing, and the other way round.

    Each is compared by the content words of its clause that the other's clause does not have.
    """
    read = [(one, clause_content(text, one.start, one.end)) for one in found[:_MOST_COMPARED] if one.readings and one.low_of < 0]
    wanted = {one.readings[0] for one, _ in read}
    seen: set[int] = set()
    for passage in given.passages if len(read) > 1 else ():
        near: dict[Reading, list[frozenset[str]]] = {}
        for other in passage.quantities:
            if other.readings and other.readings[0] in wanted:
                near.setdefault(other.readings[0], []).append(clause_content(passage.text, other.start, other.end))
        for (one, mine), (other, yours) in combinations(read, 2):
            first, second = near.get(one.readings[0], ()), near.get(other.readings[0], ())
            if one.unit != other.unit or one.value == other.value or len(first) != 1 or len(second) != 1 or one.start in seen:
                continue
            a, b, mine, yours = first[0] - second[0], second[0] - first[0], mine - yours, yours - mine
            if mine and yours and not (mine & a or yours & b) and (mine & b or yours & a):
                seen.add(one.start)
                message = f'"{one.text}" and "{other.text}" may be exchanged: line {passage.line} says each of the other'
                candidates = (Candidate(printable(other.text, 60), passage.line),)
                yield Finding("flip", "soft", message, where, (one.start, other.end), one.text, candidates)


def _apart(text: str, found: Sequence[Quantity], names: Sequence[Name], given: Given, where: str) -> Iterator[Finding]:
    """A soft finding for a number whose quotes name nothing that its part of the sentence names.

    What comes before a colon, a semicolon or a long dash may be about something else. A number that is said of the page's own subject needs
    no name.
    """
    title = given.index.title.casefold()
    breaks = [0, *(mark.end() for mark in _BREAK.finditer(text)), len(text)]
    for one in found if names else ():
        place = bisect_right(breaks, one.start)
        start, end = breaks[place - 1], breaks[min(place, len(breaks) - 1)]
        named = [name for name in names if start <= name.start < end]
        if not named or not one.readings or one.kind in ("year", "date", "ordinal", "decade"):
            continue
        if title and title in text[start:end].casefold():
            continue
        stating = [passage for passage in given.passages if stated_in(one, passage) is not None]
        if not stating:
            continue
        near = NameIndex([*(part for passage in stating for part in (passage.text, passage.context, passage.section)), given.index.title])
        if all(list(near.unsupported(text, [name])) for name in named):
            name = text[named[0].start : named[0].end]
            message = f'"{one.text}" is said of "{printable(name, 60)}", which its quote does not name'
            candidates = (Candidate(printable(stating[0].text, 160), stating[0].line),)
            yield Finding("evidence", "soft", message, where, (one.start, one.end), one.text, candidates)
