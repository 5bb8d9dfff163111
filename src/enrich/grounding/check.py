"""Checking one text of an answer against its page: every number is supported, and the text speaks of its subject."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from enrich.grounding.evidence import Candidate, Finding, Given, Severity, check_evidence, check_statement
from enrich.grounding.explanations import (
    Explanation,
    bounds,
    contradicted,
    conversions,
    counts_something,
    dates_without_year,
    derivations,
    following,
    nearest,
    roundings,
    spans_of_years,
    totals,
)
from enrich.grounding.names import Name, NameIndex, names_in
from enrich.grounding.number_words import has_rules, word_set
from enrich.grounding.numbers import Passage, Stated, range_in, stated_in, turned_in
from enrich.grounding.quantities import ADDRESS, Quantity, quantities
from enrich.grounding.quotes import normalise, normalise_quote
from enrich.grounding.self_talk import talk_in
from enrich.grounding.statements import stems
from enrich.text import printable
from enrich.wiki.pages import is_english
from enrich.wiki.visible import split_sentences

if TYPE_CHECKING:
    from enrich.grounding.page import PageIndex


# Languages that write every noun with a capital.
_CAPITAL_NOUNS = ("de", "lb")


def check_text(text: str, evidence: Sequence[str] | None, index: PageIndex, where: str) -> list[Finding]:
    """The findings about one text of an answer (see `PageIndex.check`), in the order of the text."""
    findings = list(_self_talk(text, index, where))
    language = index.language
    if language != "en" and is_english(text):
        message = f"is in English, the page is not ({language}): whether it speaks of the page's subject is not checked"
        findings.append(Finding("language", "soft", message, where))
        language = "en"
    given = None if evidence is None else Given(evidence, index)
    passages = None if given is None else given.passages
    found = quantities(text, language)
    compared = found[:_MOST_CHECKED]
    names = _names_in(text, found) if language not in _CAPITAL_NOUNS else []
    about: list[Finding] = []
    if found and not has_rules(index.language):
        findings.append(Finding("language", "soft", f"numbers not checked in this language ({index.language})", where))
    elif found:
        about.extend(_Check(text, found, passages, index, where).findings())
    about.extend(_names(text, names, given, index, where))
    if index.language == "en":
        about.extend(check_statement(text, compared, names, given, index, where))
    about.sort(key=lambda finding: finding.span or (0, 0))
    findings += _without_copied(text, about, evidence, passages, index)
    if given is not None:
        findings += check_evidence(text, given, where, same_language=language == index.language)
    findings += check_subject(text, given, index, where)
    return findings


def _self_talk(text: str, index: PageIndex, where: str) -> Iterator[Finding]:
    """A finding if the text speaks of itself or of its task: soft if the page has the whole sentence.

    In a sentence about a subject, the names of errors that the page has too are its terms.
    """
    is_sentence = len(text.split()) >= _FEWEST_WORDS
    talk = next(
        (one for one in talk_in(text) if not (one.is_term and is_sentence and normalise_quote(one.phrase) in index.quotes.text)), None
    )
    if talk is None:
        return
    copied = is_sentence and any(start <= talk.start and talk.end <= end for start, end in _copied(text, index.quotes.text))
    message = f"the text speaks of itself or of its task: it {printable(str(talk), 160)}"
    if copied:
        message += ", in the page's own words"
    yield Finding("self-talk", "soft" if copied else "hard", message, where, None, printable(text, 80))


def _names_in(text: str, quantities: Sequence[Quantity]) -> list[Name]:
    """The names of a text that are not a part of a quantity or of an address."""
    taken = bytearray(len(text))
    for start, end in chain(((one.start, one.end) for one in quantities), (found.span() for found in ADDRESS.finditer(text))):
        taken[start:end] = b"\1" * (end - start)
    return [name for name in names_in(text) if not any(taken[name.start : name.end])][:_MOST_CHECKED]


def _names(text: str, names: Sequence[Name], given: Given | None, index: PageIndex, where: str) -> Iterator[Finding]:
    """A hard finding for each name that is not on the page, a soft one for each that is not in the evidence, its headings or the title."""
    if not names:
        return
    missing = list(index.names.unsupported(text, names))
    for start, end in missing:
        shown = printable(text[start:end], 60)
        yield Finding("name", "hard", f'"{shown}" is not on the page', where, (start, end), shown)
    if given is not None and given.passages:
        near = NameIndex([*(one.text for one in given.passages), *given.labels()])
        apart = [(start, end) for start, end in near.unsupported(text, names) if not any(start < b and a < end for a, b in missing)]
        if apart:
            shown = ", ".join(f'"{printable(text[start:end], 40)}"' for start, end in apart[:4])
            yield Finding("name", "soft", f"on the page, but not in the quotes given: {shown}", where, apart[0], text[slice(*apart[0])])


def _without_copied(
    text: str, findings: list[Finding], evidence: Sequence[str] | None, passages: Sequence[Passage] | None, index: PageIndex
) -> list[Finding]:
    """The findings without the hard ones in sentences that are on the page (or in the evidence) word for word.

    The page's own words are supported by the page, also where a rule says otherwise.
    """
    if all(finding.severity == "soft" for finding in findings):
        return findings
    if evidence is None:
        source = index.quotes.text
    else:
        # A quote with an invisible character in a number supports nothing else, but it supports itself.
        own = (plain for plain in map(normalise_quote, evidence) if plain in index.quotes.text)
        source = "\x00".join([*(normalise(passage.text) for passage in passages or ()), *own])
    copied = list(_copied(text, source))
    return [
        finding
        for finding in findings
        if finding.severity == "soft"
        or not any(start <= finding.span[0] and finding.span[1] <= end for start, end in copied if finding.span)
    ]


def _copied(text: str, source: str) -> Iterator[tuple[int, int]]:
    """The spans of the sentences that are in `source`, a normalised text, word for word."""
    return (span for span in split_sentences(text) if (plain := normalise_quote(text[slice(*span)])) and plain in source)


_LEAST_SHARE = 0.5
_LEAST_SHARE_OF_LONG = 0.4
# The share of fewer words means nothing (and scripts without blanks give few, long words).
_FEWEST_WORDS = 6
_FEWEST_PAGE_WORDS = 250
_RESTATED_WORDS = 40
_DRAWN = re.compile(r"^[ \t]*<[A-Z]\w*[\s/]", re.MULTILINE)


def check_subject(text: str, given: Given | None, index: PageIndex, where: str) -> list[Finding]:
    """A hard finding if less than half of the text's words are on the page in any form.

    Numbers and quotes can be right in a text about something else. Of 159 stored summaries of the reference wiki half have 94 % of their words
    on their page, and the nine below 50 % belong to pages whose content is drawn by components and is not in the file; of 394 stored insights
    none is below 62 %. Half of the summaries compared with another page's text stay below 50 %. A page of several sentences but less than 250
    words is paraphrased with other words, so it is not judged; one or two sentences can only be restated.
    """
    wanted = stems([text])
    if len(wanted) < _FEWEST_WORDS or _share(wanted, given.stems if given is not None else set()) >= _LEAST_SHARE:
        return []
    words, share = index.visible.words, _share(wanted, index.stems)
    if share >= _LEAST_SHARE or _RESTATED_WORDS <= words < _FEWEST_PAGE_WORDS or (index.language != "en" and is_english(text)):
        return []
    # What components draw is not in the file, so a page of few words can be about more than they say.
    drawn = words < _RESTATED_WORDS and _DRAWN.search(index.body) is not None
    severity: Severity = "hard" if not drawn and (share < _LEAST_SHARE_OF_LONG or words < _RESTATED_WORDS) else "soft"
    return [Finding("off-page", severity, f"speaks of something else: only {round(100 * share)} % of its words are on the page", where)]


def _share(wanted: set[str], found: set[str]) -> float:
    return len(wanted & found) / len(wanted)


# A count of things listed is believable up to here; larger numbers are not counted by hand.
_LARGEST_COUNT = 30
# What is counted is named where it is listed, by this many letters of its word, unless it is a word for kinds of things.
_STEM = 5
_KINDS_OF_THINGS = word_set("kinds_of_things")
# An answer is a few sentences. Each number is compared with the whole page, so a text of thousands would take minutes.
_MOST_CHECKED = 300
# What an answer repeats this near to a number (characters) can be what the number was computed from.
_BESIDE = 120
_ABOUT = re.compile(r"(?:[~≈]|\b(?:about|around|roughly|approximately|nearly|almost|circa|ca\.|some))[ \t]*[$€£\\]*$", re.IGNORECASE)
# The number of a list's item: at the start of a line, with a point or bracket and a blank behind it.
_LIST_MARK = re.compile(r"(?:[\s\S]*\n)?[ \t(\[]*#[.)\]]\s")
_CHANGE = (
    r"\b(?:increas|decreas|reduc|drop|declin|improve|gain|rise|rose|fell|fall|higher|lower|more|less|fewer|shorten|lengthen|cut|grew|growth"
)
# What an answer calls a number that was computed.
_CALLED = {
    "sum": re.compile(r"\b(?:total|combined|together|altogether|sum|overall|in all|aggregate|cumulative)", re.IGNORECASE),
    "change": re.compile(_CHANGE + ")", re.IGNORECASE),
    "difference": re.compile(_CHANGE + r"|differen|gap|remain|other|points?\b|of\b|out of\b)", re.IGNORECASE),
}
_KIND_WORDS = {
    "percent": " as a percentage",
    "points": " as percentage points",
    "currency": " as an amount of money",
    "factor": " as a factor",
    "unit": " with this unit",
}


class _Check:
    """One text under check. `passages`: what its evidence holds, None if the whole page counts."""

    def __init__(self, text: str, found: Sequence[Quantity], passages: list[Passage] | None, index: PageIndex, where: str) -> None:
        self.text, self.found, self.index, self.where = text, found, index, where
        self.passages = passages
        self.lows = {id(found[low.low_of]): low for low in found if low.low_of >= 0}

    def findings(self) -> Iterator[Finding]:
        missing: set[int] = set()
        for number, quantity in enumerate(self.found[:_MOST_CHECKED]):
            finding = self._one(quantity)
            if finding is not None:
                if finding.severity == "hard":
                    missing.add(number)
                    finding = replace(finding, span=self._span(quantity))
                yield finding
        if len(self.found) > _MOST_CHECKED:
            first = self.found[_MOST_CHECKED]
            yield self._finding(first, "hard", f"is number {_MOST_CHECKED + 1} of this text; it and those behind it are not checked")
        for number, low in enumerate(self.found[: _MOST_CHECKED - 1]):
            if low.low_of > number and number not in missing and low.low_of not in missing:
                finding = self._range(low, self.found[low.low_of])
                if finding is not None:
                    yield finding

    def _span(self, quantity: Quantity) -> tuple[int, int]:
        """Where a number is in the text; with the whole range or score whose end it is. That is one statement, but years are dates."""
        if quantity.kind == "year":
            return quantity.start, quantity.end
        high = self.found[quantity.low_of] if quantity.low_of >= 0 else quantity
        return self.lows.get(id(quantity), quantity).start, high.end

    def _stated(self, quantity: Quantity) -> Stated | None:
        if self.passages is None:
            return self.index.numbers.stated(quantity)
        return next(filter(None, (stated_in(quantity, passage) for passage in self.passages)), None)

    def _one(self, quantity: Quantity) -> Finding | None:
        if quantity.kind == "broken":
            message = "holds an invisible character or digits of two scripts: a reader sees another number than the text holds"
            return self._finding(quantity, "hard", message)
        if quantity.kind in ("name", "time"):
            if self.index.numbers.named(quantity):
                return None
            return self._finding(quantity, "hard" if quantity.kind == "name" else "soft", "is not on the page")
        if _LIST_MARK.fullmatch(self.text[: quantity.start][-3:] + "#" + self.text[quantity.end : quantity.end + 2]):
            return None
        if quantity.value == 1 and (
            self.text[: quantity.start].endswith(("per ", "each ", "every ")) or self.text.startswith(" of the ", quantity.end)
        ):
            return None
        if (quantity.idiom and quantity.kind == "factor") or self._stated(quantity) is not None:
            return None
        ranked = quantity.noun if quantity.kind == "ordinal" else quantity.label
        if ranked and self.index.numbers.ranks(quantity.value, ranked):
            return None
        if quantity.kind == "ordinal" and quantity.idiom:
            return None if self.index.numbers.stated(quantity) else self._finding(quantity, "soft", "is not on the page")
        return self._explained(quantity) or self._unsupported(quantity)

    def _explained(self, quantity: Quantity) -> Finding | None:
        """A soft finding if what is stated explains the number."""
        passages = self.index.numbers.passages if self.passages is None else self.passages
        why = next(self._explanations(quantity, passages), None)
        return self._finding(quantity, "soft", *why) if why is not None else None

    def _explanations(self, quantity: Quantity, passages: Sequence[Passage]) -> Iterator[Explanation]:
        """What explains the number: the nearest explanation first."""
        yield from bounds(quantity, passages, self.text[max(0, quantity.start - 24) : quantity.start])
        yield from dates_without_year(quantity, passages)
        if quantity.kind == "decade" and quantity.value < 100:
            yield "is not on the page: an age or a decade", ()
        yield from spans_of_years(quantity, passages)
        about = bool(_ABOUT.search(self.text, max(0, quantity.start - 12), quantity.start))
        yield from roundings(quantity, passages, about=about)
        yield from conversions(quantity, passages)
        if self._counts(quantity, passages):
            yield "counts things the page lists; the page does not give the number itself", ()
        if quantity.kind == "small" and not quantity.value and not quantity.text[0].isdigit():
            yield "says that there are none; the page does not give it as a number", ()
        # The end of a range is not the result of a computation.
        if quantity.low_of < 0 and id(quantity) not in self.lows:
            yield from self._computations(quantity, passages, about)

    def _computations(self, quantity: Quantity, passages: Sequence[Passage], about: bool) -> Iterator[Explanation]:
        given = frozenset(reading.value for other in self.found[:_MOST_CHECKED] if other is not quantity for reading in other.readings)
        around = self.text[max(0, quantity.start - 60) : quantity.end + 40]
        called = {what for what, signs in _CALLED.items() if signs.search(around)}
        groups = chain(
            ([Stated(other, passage.line, other.readings[0]) for other in passage.quantities if other.readings] for passage in passages),
            [self._repeated(quantity)],
        )
        yield from derivations(quantity, groups, given, called)
        # A sum of two rows must be called one; an approximate number can be a list's total without saying so.
        if "sum" in called or about:
            yield from totals(quantity, passages, 2 if "sum" in called else 3)

    def _repeated(self, quantity: Quantity) -> list[Stated]:
        """The values around a number that the answer has from anywhere on the page, in the answer's order."""
        start, end = quantity.start - _BESIDE, quantity.end + _BESIDE
        near = (
            other
            for other in self.found[:_MOST_CHECKED]
            if other is not quantity and other.readings and other.start >= start and other.end <= end
        )
        return [stated for other in near if (stated := self._stated(other))]

    def _counts(self, quantity: Quantity, passages: Sequence[Passage]) -> bool:
        """Whether the number counts what the page (or its evidence's section) lists, and nothing there counts the same differently."""
        count = quantity.readings[0]
        if (
            quantity.kind not in ("small", "number")
            or count.unit
            or quantity.label
            or not quantity.noun
            or not 2 <= count.value <= _LARGEST_COUNT
        ):
            return False
        counted = following(self.text, quantity.end)
        if contradicted(quantity, counted, passages):
            return False
        if counted and not counted & _KINDS_OF_THINGS and not any(word[:_STEM] in self._words_near for word in counted):
            return False
        if self.passages is None:
            return count.value in self.index.list_sizes()
        if any(map(counts_something, self.passages)):
            return False
        return any(count.value in self.index.list_sizes(passage.section) for passage in self.passages)

    @cached_property
    def _words_near(self) -> str:
        """The words of the page, or of the evidence with its headings and heads of tables, in lower case."""
        if self.passages is None:
            return self.index.quotes.text.lower()
        return " ".join(f"{one.text} {one.context} {one.section}" for one in self.passages).lower()

    def _unsupported(self, quantity: Quantity) -> Finding:
        numbers = self.index.numbers
        elsewhere = numbers.stated(quantity) if self.passages is not None else None
        if elsewhere is not None:
            known = "it is not in the quotes given" if self.passages else "no quote is given"
            line = f"line {elsewhere.line}" if elsewhere.line else "the title or description"
            return self._finding(
                quantity, "hard", f"is not in its evidence: {known}; {line} of the page states it, quote that", [elsewhere]
            )
        near = nearest(quantity, numbers.near(quantity))
        listed = "; nearest: " + ", ".join(map(str, near)) if near else ""
        return self._finding(quantity, "hard", f"is not on the page{_KIND_WORDS.get(quantity.kind, '')}{listed}", near)

    def _range(self, low: Quantity, high: Quantity) -> Finding | None:
        if low.kind == "date" or low.unit != high.unit:
            return None
        # "from 12% to 4%" is a fall; "12-4%" is not a range.
        backwards = low.value >= high.value and not any(map(str.isalpha, self.text[low.end : high.start]))
        if self.passages is None:
            together = self.index.numbers.stated_together(low, high, as_range=backwards)
        else:
            together = any(range_in(low, high, passage, as_range=backwards) for passage in self.passages)
        whole = Quantity(low.start, high.end, self.text[low.start : high.end], low.kind, low.readings)
        if self.passages and turned_in(low, high, self.passages):
            return self._finding(whole, "hard", "goes the other way round in its evidence")
        if together:
            return None
        if backwards:
            return self._finding(whole, "hard", "is a range that does not go upwards, and the page does not state it")
        ends = list(filter(None, (self._stated(low), self._stated(high))))
        return self._finding(whole, "soft", "is composed of two values that the page states apart: " + " and ".join(map(str, ends)), ends)

    def _finding(self, quantity: Quantity, severity: Severity, message: str, candidates: Sequence[Stated] = ()) -> Finding:
        shown = printable(quantity.text, 60)
        near = tuple(Candidate(printable(stated.quantity.text, 60), stated.line) for stated in candidates)
        return Finding("number", severity, f'"{shown}" {message}', self.where, (quantity.start, quantity.end), shown, near)
