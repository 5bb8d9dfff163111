"""Whether a page, or a piece of it, states a quantity, and what it states instead.

The index holds the digits of every number of the page without leading and trailing zeros: all notations of a value share them, whatever
the scale. Only lines that hold the digits asked for are read for quantities, once each.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from enrich.grounding.digits import prepare
from enrich.grounding.quantities import MONTHS, NUMBER, Quantity, Reading, key, quantities
from enrich.grounding.words import leading_words
from enrich.wiki.visible import Line

_VULGAR = re.compile(r"[¼-¾⅐-⅞]")


@dataclass(frozen=True, slots=True)
class Stated:
    """A quantity as the page states it: where (body line), and the reading that fits what was asked."""

    quantity: Quantity
    line: int
    reading: Reading


@dataclass(frozen=True)
class Passage:
    """A piece of the page whose quantities count: a line, a sentence over several lines, a table row.

    `context` is what labels it without standing in it: a table's head, the section's heading; it can give a bare cell its unit. `given`:
    the quantities to look at, where not all of the text's.
    """

    text: str
    line: int
    kind: str
    context: str = ""
    section: str = ""
    given: tuple[Quantity, ...] | None = None

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        return quantities(self.text) if self.given is None else self.given


class NumberIndex:
    """The quantities of one page."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._passages: dict[int, Passage] = {}

    @cached_property
    def _text(self) -> str:
        return prepare("\n".join(line.text for line in self._lines))

    @cached_property
    def _starts(self) -> list[int]:
        starts, offset = [], 0
        for line in self._lines:
            starts.append(offset)
            offset += len(line.text) + 1
        return starts

    @cached_property
    def _digits(self) -> dict[str, list[int]]:
        """Digits of a number without outer zeros -> indexes of the lines it stands in, ascending."""
        where: dict[str, list[int]] = {}
        starts = self._starts
        text = self._text
        line, following = 0, starts[1] if len(starts) > 1 else len(text) + 1
        for found in NUMBER.finditer(text):
            at = found.start()
            while at >= following:
                line += 1
                following = starts[line + 1] if line + 1 < len(starts) else len(text) + 1
            digits = found[0]
            if len(digits) > 1:
                digits = digits.replace(",", "").replace(".", "").strip("0")
            elif digits == "0":
                digits = ""
            places = where.get(digits)
            if places is None:
                where[digits] = [line]
            elif places[-1] != line:
                places.append(line)
        if not text.isascii():
            for found in _VULGAR.finditer(text):
                where.setdefault("", []).append(bisect_right(starts, found.start()) - 1)
        return where

    @cached_property
    def _lower(self) -> str:
        return self._text.lower()

    @cached_property
    def _squeezed(self) -> str:
        """The page without spaces and hyphens, for names."""
        return re.sub(r"[-\s]", "", self._lower)

    def passage(self, index: int) -> Passage:
        """Line number `index` of the page as a passage with its context."""
        found = self._passages.get(index)
        if found is None:
            line = self._lines[index]
            found = self._passages[index] = Passage(line.text, line.number, line.kind, self.context(index), line.section)
        return found

    def context(self, index: int) -> str:
        """What labels a line: the head of its table and its section's heading."""
        line = self._lines[index]
        if line.kind != "table":
            return line.section if line.kind in ("component", "heading", "list") else ""
        head = index
        while head and self._lines[head - 1].kind == "table" and line.number - self._lines[head - 1].number < 400:
            head -= 1
        return f"{self._lines[head].text} | {line.section}" if head != index else line.section

    def _places(self, values: Iterable[Decimal]) -> Iterator[int]:
        """Indexes of the lines that can state one of the values."""
        seen: set[int] = set()
        words: list[str] = []
        for value in values:
            for index in self._digits.get(key(value), ()):
                if index not in seen:
                    seen.add(index)
                    yield index
            words += leading_words(value)
        for word in dict.fromkeys(words):
            at = self._lower.find(word)
            while at >= 0:
                if not self._lower[at - 1 : at].isalpha():
                    index = bisect_right(self._starts, at) - 1
                    if index not in seen:
                        seen.add(index)
                        yield index
                at = self._lower.find(word, at + len(word))

    def stated(self, quantity: Quantity) -> Stated | None:
        """Where the page states the quantity, value and unit; None: nowhere."""
        for index in self._places({reading.value for reading in quantity.readings} | _date_parts(quantity)):
            found = stated_in(quantity, self.passage(index))
            if found is not None:
                return found
        return None

    def stated_together(self, low: Quantity, high: Quantity, *, as_range: bool = False) -> bool:
        """Whether the ends of a range stand together in one line."""
        return any(
            range_in(low, high, self.passage(index), as_range=as_range)
            for index in self._places({reading.value for reading in low.readings})
        )

    def named(self, name: Quantity) -> bool:
        """Whether the page holds this version-like name, hyphens and spaces aside."""
        return _holds(self._squeezed, name.name)

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """Every line as a passage: for candidates and explanations, which are rarely asked for."""
        return tuple(self.passage(index) for index in range(len(self._lines)))


def _holds(text: str, name: str) -> bool:
    at = text.find(name)
    while at >= 0:
        if not (name[-1].isdigit() and text[at + len(name) : at + len(name) + 1].isdigit()):
            return True
        at = text.find(name, at + 1)
    return False


def _date_parts(quantity: Quantity) -> set[Decimal]:
    return {Decimal(part) for part in quantity.date if part}


def stated_in(quantity: Quantity, passage: Passage) -> Stated | None:
    """The quantity of the passage that states the same, or None."""
    if quantity.kind == "date":
        return _date_in(quantity, passage)
    for other in passage.quantities:
        if other.kind == "date":
            if quantity.kind == "year" and other.date[0] == quantity.value:
                return Stated(other, passage.line, other.readings[0])
            continue
        for mine in quantity.readings:
            for theirs in other.readings:
                if mine.value == theirs.value and _same_unit(quantity, mine, other, theirs, passage):
                    return Stated(other, passage.line, theirs)
                if (
                    mine.unit
                    and not theirs.unit
                    and theirs.value
                    and mine.value != theirs.value
                    and passage.kind in ("table", "component")
                    and mine.value / theirs.value in _head_scales(passage.context)
                    and _same_unit(quantity, mine, other, theirs, passage)
                ):
                    return Stated(other, passage.line, theirs)
    return None


def range_in(low: Quantity, high: Quantity, passage: Passage, *, as_range: bool = False) -> bool:
    """Whether the passage states both ends of a range: as one range, or (not `as_range`) as two values that are no ends of other ranges."""
    found = passage.quantities
    lows = [at for at, one in enumerate(found) if one.readings and _states(low, one, passage)]
    highs = [at for at, one in enumerate(found) if one.readings and _states(high, one, passage)]
    ends = {one.low_of for one in found if one.low_of >= 0}
    return any(found[at].low_of == to or (not as_range and found[at].low_of < 0 and to not in ends) for at in lows for to in highs)


def _states(quantity: Quantity, other: Quantity, passage: Passage) -> bool:
    return stated_in(quantity, Passage(passage.text, passage.line, passage.kind, passage.context, given=(other,))) is not None


def _date_in(quantity: Quantity, passage: Passage) -> Stated | None:
    wanted = quantity.date
    for other in passage.quantities:
        if other.kind == "date" and all(theirs == mine for mine, theirs in zip(wanted, other.date, strict=True) if mine):
            return Stated(other, passage.line, other.readings[0])
    # A row or sentence can give the year in one place and the month in another.
    if wanted[0] and wanted[1] and re.search(rf"\b(?:{MONTHS[wanted[1] - 1]})\b", passage.text, re.IGNORECASE):
        others = [other for other in passage.quantities if other.readings]
        if not wanted[2] or any(other.value == wanted[2] or other.date[2] == wanted[2] for other in others):
            for other in others:
                if other.date[0] == wanted[0] or (other.kind == "year" and other.value == wanted[0]):
                    return Stated(other, passage.line, other.readings[0])
    return None


_TIME = frozenset({"year", "month", "week", "day", "hour", "minute", "second", "millisecond", "century"})
# After a bare number these begin no noun that could be its unit.
_LINKING = "to and or more of the in by from a as with for over per at is are was were than vs on plus other new full"
_NO_NOUN = frozenset(_LINKING.split())
_PERCENT_SIGNS = re.compile(r"%|percent|probabilit|likelihood|share|rate\b|chance|accuracy|proportion|confidence", re.IGNORECASE)
_MONEY_SIGNS = re.compile(r"[$€£¥]|\b(?:usd|eur|dollars?|cost|funding|budget|revenue|price|salary|valuation|spend)", re.IGNORECASE)


def _same_unit(mine_of: Quantity, mine: Reading, other: Quantity, theirs: Reading, passage: Passage) -> bool:
    """Whether a value of the page with its unit supports the same value of the answer with its own."""
    if mine.unit == theirs.unit:
        return True
    if not theirs.unit:
        # A bare number takes its unit from a table's head, a component's or section's label.
        if mine.unit in _TIME or mine.unit == "th":
            return passage.kind in ("table", "component") or mine.unit == "th" or not other.noun or other.noun in _NO_NOUN
        labelled = passage.kind in ("table", "component", "list")
        if mine.unit in ("%", "pp"):
            return labelled and bool(_PERCENT_SIGNS.search(passage.context) or _PERCENT_SIGNS.search(passage.text))
        if mine.unit.isupper():
            return labelled and bool(_MONEY_SIGNS.search(passage.context) or _MONEY_SIGNS.search(passage.text))
        if mine.unit == "decade":
            return False
        return labelled or not other.noun or other.noun in _NO_NOUN
    if not mine.unit:
        # "third" supports 3; a unit that is no more than a noun supports the bare number.
        return theirs.unit == "th" or (theirs.unit in _UNIT_NOUNS and (not mine_of.noun or mine_of.noun in _NO_NOUN))
    return False


_UNIT_NOUNS = _TIME | {"x", "km", "meter", "mile", "kg", "ton", "nm", "gb", "tb", "mb", "gigawatt", "megawatt", "degree"}
_HEAD_SCALE = re.compile(r"(?<![A-Za-z])(M|MM|mn|millions?|B|bn|billions?|K|k|thousands?|T|trillions?)\b")


def _head_scales(context: str) -> frozenset[Decimal]:
    """The scales that a table's head or a label gives its numbers: `Cost ($M)`."""
    scales = {"m": 10**6, "b": 10**9, "k": 10**3, "t": 10**12}
    return frozenset(
        Decimal(10**3 if found.lower().startswith("th") else scales[found[0].lower()]) for found in _HEAD_SCALE.findall(context)
    )
