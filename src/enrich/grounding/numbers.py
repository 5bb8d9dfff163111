"""Whether a page, or a piece of it, states a quantity.

The index holds the digits of every number of the page without leading and trailing zeros: all notations of a value share them, at
any scale. Only lines that hold the digits asked for are read for quantities, once each.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import islice

from enrich.grounding.number_words import leading_words, rules_of, word_set
from enrich.grounding.quantities import MONTHS, MOST_QUANTITIES, NUMBER, Quantity, Reading, key, prepare, quantities
from enrich.text import printable
from enrich.wiki.visible import Line

# Lines that are read for the values nearest to one that is not on the page.
_CANDIDATES = 12


@dataclass(frozen=True, slots=True)
class Stated:
    """A quantity as the page states it: its body line, and the reading that fits what was asked."""

    quantity: Quantity
    line: int
    reading: Reading

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else "title or description"
        noun = f" {self.quantity.noun}" if self.quantity.noun and self.quantity.unit == "" else ""
        return f'"{printable(self.quantity.text, 40)}{noun}" ({line})'


@dataclass(frozen=True)
class Passage:
    """A piece of the page whose quantities count: a line, a sentence over several lines, a table row.

    `context` labels it from outside, as a table's head and the section's heading do; it can give a bare cell its unit.
    """

    text: str
    line: int
    kind: str
    context: str = ""
    section: str = ""
    language: str = "en"

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        return quantities(self.text, self.language)


class NumberIndex:
    """The quantities of one page in one language."""

    def __init__(self, lines: Sequence[Line], language: str = "en") -> None:
        self._lines, self._language = lines, language
        self._passages: dict[int, Passage] = {}

    # A text whose numbers are all in its evidence needs nothing of the whole page.

    @cached_property
    def _texts(self) -> list[str]:
        """The lines as numbers are read."""
        return [prepare(line.text, self._language) for line in self._lines]

    @cached_property
    def _lower(self) -> str:
        return "\n".join(self._texts).lower()

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        """A number as it is written without commas -> index of its line for each time that the page has it."""
        where: dict[str, list[int]] = {}
        for index, text in enumerate(self._texts):
            for number in NUMBER.findall(text):
                where.setdefault(number.replace(",", ""), []).append(index)
        return where

    @cached_property
    def _digits(self) -> dict[str, list[int]]:
        """Digits of a number without outer zeros -> indexes of the lines that hold it, ascending."""
        where: dict[str, list[int]] = {}
        for number, places in self._numbers.items():
            where.setdefault(number.replace(".", "").strip("0"), []).extend(places)
        return {digits: sorted(set(places)) for digits, places in where.items()}

    @cached_property
    def _spelled(self) -> tuple[int, ...]:
        """Indexes of the lines with numbers that are not written with their own digits, in a language other than English."""
        rules = rules_of(self._language)
        return () if rules is None else tuple(index for index, text in enumerate(self._texts) if rules.spelled.search(text))

    @cached_property
    def _squeezed(self) -> str:
        """The page without spaces and hyphens, for names."""
        return "".join(self._lower.split()).replace("-", "")

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """The lines as passages, up to the 5,000th number: for candidates and explanations, which are rarely asked for."""
        found: list[Passage] = []
        numbers = 0
        for index, line in enumerate(self._lines):
            found.append(self.passage(index))
            numbers += len(NUMBER.findall(line.text))
            if numbers > MOST_QUANTITIES:
                break
        return tuple(found)

    def passage(self, index: int) -> Passage:
        """Line number `index` of the page as a passage with its context."""
        found = self._passages.get(index)
        if found is None:
            line = self._lines[index]
            found = self._passages[index] = Passage(line.text, line.number, line.kind, self._context(index), line.section, self._language)
        return found

    def _context(self, index: int) -> str:
        line = self._lines[index]
        if line.kind != "table":
            return line.section if line.kind in ("component", "heading", "list") else ""
        head = self._heads[index]
        return f"{self._lines[head].text} | {line.section}" if head != index else line.section

    @cached_property
    def _heads(self) -> list[int]:
        """For each line of a table the index of the table's first line, at most 400 body lines above."""
        heads: list[int] = []
        head = 0
        for index, line in enumerate(self._lines):
            if not index or self._lines[index - 1].kind != "table":
                head = index
            while line.number - self._lines[head].number >= 400:
                head += 1
            heads.append(head)
        return heads

    def states_nowhere(self, quantity: Quantity) -> bool:
        """Whether the page has no notation of this value: not its digits at any scale, nor its words."""
        return next(self._places(reading.value for reading in quantity.readings), None) is None

    def _places(self, values: Iterable[Decimal]) -> Iterator[int]:
        """Indexes of the lines that can state one of the values, each once."""
        seen: set[int] = set()
        for index in self._candidates(list(values)):
            if index not in seen:
                seen.add(index)
                yield index

    def _candidates(self, values: Sequence[Decimal]) -> Iterator[int]:
        for value in values:
            yield from self._digits.get(key(value), ())
            if 1500 <= value <= 2100:
                yield from self._digits.get(key(value % 100), ())  # the end of 2017-18
        yield from self._spelled
        for word in dict.fromkeys(word for value in values for word in leading_words(value)):
            at, index, counted = -1, 0, 0
            while (at := self._lower.find(word, at + 1)) >= 0:
                if not self._lower[at - 1 : at].isalpha():
                    index, counted = index + self._lower.count("\n", counted, at), at
                    yield index

    def near(self, quantity: Quantity) -> list[Passage]:
        """The lines whose numbers are nearest to the quantity, at any scale of thousands, and those that can state its value."""
        value = abs(float(quantity.readings[0].value)) if quantity.readings else 0.0
        wanted = math.log10(value) if 0 < value < math.inf else 0.0
        gaps = (
            (abs(size - wanted - 3 * round((size - wanted) / 3)) + abs(size - wanted) / 1000, places)
            for size, places in self._sizes.items()
        )
        # Each size has at least one line.
        near = ((gap, index) for gap, places in heapq.nsmallest(_CANDIDATES, gaps) for index in places)
        nearest = dict.fromkeys(index for _, index in heapq.nsmallest(_CANDIDATES, near))
        nearest |= dict.fromkeys(islice(self._places(reading.value for reading in quantity.readings), _CANDIDATES))
        return [self.passage(index) for index in sorted(nearest)]

    @cached_property
    def _sizes(self) -> dict[float, list[int]]:
        """The power of ten of each number as it is written -> the indexes of its lines, as often as it is there, ascending."""
        sizes: dict[float, list[int]] = {}
        for number, places in self._numbers.items():
            value = float(number) if number.count(".") <= 1 and len(number) < 40 else 0
            if value:
                sizes.setdefault(math.log10(value), []).extend(places)
        return {size: sorted(places) for size, places in sizes.items()}

    def stated(self, quantity: Quantity) -> Stated | None:
        """Where the page states the quantity, value and unit; None if it does not."""
        if quantity.kind == "decade" or (quantity.kind == "ordinal" and quantity.noun in ("century", "centuries")):
            return next(filter(None, (stated_in(quantity, passage) for passage in self._with_years)), None)
        values = {reading.value for reading in quantity.readings} | {Decimal(part) for part in quantity.date if part}
        return next(filter(None, (stated_in(quantity, self.passage(index)) for index in self._places(values))), None)

    def ranks(self, value: Decimal, noun: str) -> bool:
        """Whether the page writes `1st` or `2nd` in words before this noun."""
        word = {1: "first", 2: "second"}.get(int(value))
        return word is not None and re.search(rf"\b{word}[ -]{re.escape(noun)}", self._lower) is not None

    @cached_property
    def _with_years(self) -> tuple[Passage, ...]:
        """The passages that can state a decade or a century."""
        where = {index for digits, places in self._digits.items() if len(digits) <= 4 for index in places}
        where |= {index for index, text in enumerate(self._texts) if _CENTURY.search(text.lower())}
        return tuple(self.passage(index) for index in sorted(where))

    def stated_together(self, low: Quantity, high: Quantity, *, as_range: bool = False) -> bool:
        """Whether the ends of a range are together in one line."""
        places = self._places({reading.value for reading in low.readings})
        return any(range_in(low, high, self.passage(index), as_range=as_range) for index in places)

    def named(self, name: Quantity) -> bool:
        """Whether the page holds this version-like name or time of day, hyphens and spaces aside."""
        if name.kind == "time":
            return name.name in self._squeezed
        return re.search(re.escape(name.name) + (r"(?!\d)" if name.name[-1].isdigit() else ""), self._squeezed) is not None


def stated_in(quantity: Quantity, passage: Passage, given: Sequence[Quantity] | None = None) -> Stated | None:
    """The quantity of the passage that states the same, or None. `given`: the only quantities of the passage to look at."""
    if quantity.kind == "date":
        return _date_in(quantity, passage)
    years = _years_of(quantity)
    for other in passage.quantities if given is None else given:
        if years and (other.date[0] if other.kind == "date" else other.value if other.kind == "year" else 0) in years:
            return Stated(other, passage.line, other.readings[0])
        if _labelled_apart(quantity, other, passage):
            continue
        if other.kind == "date":
            if quantity.kind == "year" and other.date[0] == quantity.value:
                return Stated(other, passage.line, other.readings[0])
            continue
        for mine in quantity.readings:
            for theirs in other.readings:
                if (mine.value == theirs.value or _scaled(mine, theirs, passage)) and _same_unit(quantity, mine, other, theirs, passage):
                    return Stated(other, passage.line, theirs)
    return None


_CENTURY = re.compile(r"centur|\b(?:twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)\b")


def _years_of(quantity: Quantity) -> range:
    """The years that a decade (`1940s`, `40s`, `1800s` in both senses) or a century covers; the page may give any of them."""
    if not quantity.readings or not quantity.value or quantity.value != int(quantity.value):
        return range(0)
    first = int(quantity.value)
    if quantity.kind == "decade":
        first += 1900 if first < 100 else 0
        return range(first, first + (100 if first % 100 == 0 and first < 2000 else 10))
    if quantity.kind == "ordinal" and quantity.noun in ("century", "centuries"):
        return range(100 * (first - 1), 100 * first + 1)
    return range(0)


_SAME_LABELS = {"number": ("number", "no.", "#", "№")}


def _labelled_apart(mine: Quantity, theirs: Quantity, passage: Passage) -> bool:
    """Whether a number belongs to a name or a score on one side only: "Channel 4" counts nothing, nor does "2" state "PlayStation 2"."""
    if mine.label and mine.label != "-":
        labels, near = _SAME_LABELS.get(mine.label, (mine.label,)), f"{passage.text} {passage.context}".lower()
        return not any(label in near for label in labels)
    if not theirs.label or mine.label or passage.kind == "table":
        return False
    return (mine.kind == "small" and mine.noun not in _LINKING and mine.noun != theirs.noun) or mine.unit in _TIMES


def range_in(low: Quantity, high: Quantity, passage: Passage, *, as_range: bool = False) -> bool:
    """Whether the passage states both ends of a range: as one range, or (not `as_range`) as two values that are not ends of other ranges."""
    found = passage.quantities
    lows, highs = (
        [at for at, one in enumerate(found) if one.readings and stated_in(end, passage, (one,)) is not None] for end in (low, high)
    )
    ends = {one.low_of for one in found if one.low_of >= 0}
    return any(found[at].low_of == to or (not as_range and found[at].low_of < 0 and to not in ends) for at in lows for to in highs)


def turned_in(low: Quantity, high: Quantity, passages: Iterable[Passage]) -> bool:
    """Whether the passages state "from `high` to `low`" in words, and nothing from `low` to `high`."""
    turned = False
    for passage in passages:
        if range_in(low, high, passage, as_range=True):
            return False
        for one in passage.quantities:
            if one.low_of >= 0 and stated_in(high, passage, (one,)) is not None:
                other = passage.quantities[one.low_of]
                in_words = any(map(str.isalpha, passage.text[one.end : other.start]))
                turned = turned or (in_words and stated_in(low, passage, (other,)) is not None)
    return turned


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


_TIMES = word_set("times")
_NOUN_UNITS = _TIMES | word_set("noun_units")
_LINKING = word_set("linking") | {""}
_PERCENT_SIGNS = re.compile(r"%|percent|probabilit|likelihood|share|rate\b|chance|accuracy|proportion|confidence", re.IGNORECASE)
_MONEY_SIGNS = re.compile(r"[$€£¥]|\b(?:usd|eur|dollars?|cost|funding|budget|revenue|price|salary|valuation|spend)", re.IGNORECASE)
_HEAD_SCALE = re.compile(r"(?<![A-Za-z])(M|MM|mn|millions?|B|bn|billions?|K|k|thousands?|T|trillions?)\b")
_SCALE_LETTERS = {"m": 10**6, "b": 10**9, "k": 10**3, "t": 10**12}


def _same_unit(mine_of: Quantity, mine: Reading, other: Quantity, theirs: Reading, passage: Passage) -> bool:
    """Whether a value of the page with its unit supports the same value of the answer with its own."""
    if mine.unit == theirs.unit:
        return True
    if theirs.unit:
        # "third" supports 3; a unit that is no more than a noun supports the bare number.
        return not mine.unit and (theirs.unit == "th" or (theirs.unit in _NOUN_UNITS and mine_of.noun in _LINKING))
    # A bare number takes its unit from a table's head, a component's or section's label.
    bare = other.noun in _LINKING
    if mine.unit == "th":
        return passage.kind != "prose" or other.low_of < 0
    if mine.unit in _TIMES:
        return passage.kind in ("table", "component") or (bare and (other.low_of >= 0 or theirs.value > 20))
    labelled = passage.kind in ("table", "component", "list")
    if mine.unit in ("%", "pp") or mine.unit.isupper():
        signs = _MONEY_SIGNS if mine.unit.isupper() else _PERCENT_SIGNS
        return labelled and bool(signs.search(passage.context) or signs.search(passage.text))
    return mine.unit != "decade" and (labelled or bare)


def _scaled(mine: Reading, theirs: Reading, passage: Passage) -> bool:
    """Whether a table's head or a label gives a bare number the scale that makes the values equal: `Cost ($M)`."""
    if not mine.unit or theirs.unit or not theirs.value or passage.kind not in ("table", "component"):
        return False
    factor = mine.value / theirs.value
    return any(
        factor == (10**3 if found.lower().startswith("th") else _SCALE_LETTERS[found[0].lower()])
        for found in _HEAD_SCALE.findall(passage.context)
    )
