"""What can explain a number that the page does not state: rounding, counts, sums, differences, changes, ratios; and the nearest values.

An explanation is (what the number is, the stated values that explain it). The functions yield those that fit, the first one first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from itertools import combinations

from enrich.grounding.number_words import TABLES
from enrich.grounding.numbers import Passage, Stated
from enrich.grounding.quantities import NUMBER, Quantity, Reading, key, prepare
from enrich.wiki.visible import Line

# "about 55 %" may be this far from what is stated.
_ABOUT = Decimal("0.02")
# "more than 13,000" may be this factor below what is stated.
_BOUND = Decimal("1.15")
_AT_LEAST, _AT_MOST = (re.compile(rf"\b(?:{TABLES[name]})\s+[$€£]?\s*$", re.IGNORECASE) for name in ("at_least", "at_most"))
# Members of a series in a sentence: "a, b and c".
_SERIES = re.compile(r"(?:[^,;:.()|]{2,80}[,;]\s+){1,14}(?:and|or)\s+|(?:[^,;:.()|]{2,80},\s+){2,14}")
_HEADING = re.compile(r"^(#{1,6})[ \t]+\S", re.MULTILINE)
# A key of an object in a component's attributes.
_KEY = re.compile(r"^[ \t]*\{?[ \t]*(\w+):[ \t]*\S", re.MULTILINE)
_COMPONENT = re.compile(r"^[ \t]*<([A-Z]\w*)", re.MULTILINE)


Explanation = tuple[str, Sequence[Stated]]


def roundings(quantity: Quantity, passages: Iterable[Passage], *, about: bool) -> Iterator[Explanation]:
    """Stated values of the same unit that round to the quantity at the last digit it is written with.

    `about`: the answer itself says that the number is approximate; then a stated value with more digits within 2 % is enough.
    """
    mine = quantity.readings[0]
    if quantity.kind in ("year", "decade", "ordinal", "part", "date") or not mine.value or (mine.unit == "" and mine.value < 20):
        return
    place, digits = _place(quantity), len(key(mine.value))
    for one in _same_unit(mine, passages):
        near = about and abs(one.reading.value - mine.value) <= mine.value * _ABOUT
        if len(key(one.reading.value)) > digits and (near or _rounds(one.reading.value, mine.value, place)):
            yield f"is rounded from {one}", [one]


def _same_unit(mine: Reading, passages: Iterable[Passage]) -> Iterator[Stated]:
    """The stated values of this unit; dates and years are none."""
    for passage, other in _stated(passages):
        for theirs in other.readings if other.kind not in ("year", "date") else ():
            if theirs.unit == mine.unit:
                yield Stated(other, passage.line, theirs)


def _stated(passages: Iterable[Passage]) -> Iterator[tuple[Passage, Quantity]]:
    """Each quantity of the passages that has a value."""
    return ((passage, other) for passage in passages for other in passage.quantities if other.readings)


def bounds(quantity: Quantity, passages: Iterable[Passage], before: str) -> Iterator[Explanation]:
    """Stated values of the same unit that the quantity bounds: 13,624 for "more than 13,000", 2.9 for "nearly 3".

    `before`: the answer's words before the quantity. The stated value is at most 15 % away from the bound, and it is written with more digits or
    counts the same things.
    """
    at_least, at_most = (bound.search(before) is not None for bound in (_AT_LEAST, _AT_MOST))
    if not (at_least or at_most) or not quantity.readings or quantity.kind in ("year", "decade", "ordinal", "part", "date"):
        return
    mine = quantity.readings[0]
    low, high = (mine.value, mine.value * _BOUND) if at_least else (mine.value / _BOUND, mine.value)
    for one in _same_unit(mine, passages):
        nearer = len(key(one.reading.value)) > len(key(mine.value)) or (not mine.unit and quantity.noun == one.quantity.noun != "")
        if low <= one.reading.value <= high and nearer:
            yield f"is a bound: the page states {one}", [one]


def conversions(quantity: Quantity, passages: Iterable[Passage]) -> Iterator[Explanation]:
    """Stated lengths or areas that are the quantity's in another unit, which the passage does not use: 50 feet for "15 m", as it rounds."""
    mine = quantity.readings[0]
    measures = next((table for table in TABLES["measures"] if mine.unit in table), None)
    if measures is None or not mine.value:
        return
    for passage in passages:
        units = {other.unit for other in passage.quantities if other.readings}
        for other in passage.quantities if mine.unit not in units else ():
            theirs = other.readings[0] if other.readings else None
            if theirs is not None and theirs.unit in measures:
                value = theirs.value * Decimal(str(measures[theirs.unit])) / Decimal(str(measures[mine.unit]))
                if _rounds(value, mine.value, _place(quantity)):
                    yield f"is converted from {(one := Stated(other, passage.line, theirs))}", [one]


def dates_without_year(quantity: Quantity, passages: Iterable[Passage]) -> Iterator[Explanation]:
    """Stated dates of the same month and day that have no year."""
    for passage, other in _stated(passages) if quantity.date[0] and quantity.date[2] else ():
        if other.kind == "date" and not other.date[0] and other.date[1:] == quantity.date[1:]:
            one = Stated(other, passage.line, other.readings[0])
            yield f"has a year that the page does not give: it states {one}", [one]


def spans_of_years(quantity: Quantity, passages: Iterable[Passage]) -> Iterator[Explanation]:
    """The two years of stated ranges that are as many years apart as the quantity says: 1897 and 1917 for "20 years"."""
    if not (quantity.unit == "year" or quantity.noun in ("seasons", "season")) or not 2 <= quantity.value <= 100:
        return
    for passage, one in _stated(passages):
        if one.kind == "year" and one.low_of >= 0:
            other = passage.quantities[one.low_of]
            if other.readings and 0 <= other.value - one.value - quantity.value + 1 <= 1:
                ends = [Stated(year, passage.line, year.readings[0]) for year in (one, other)]
                yield f"is the time from {ends[0]} to {ends[1]}", ends


def _place(quantity: Quantity) -> Decimal:
    """The place of the last digit that a quantity is written with: 0.1 million for `1.2M`; at least two digits of `5,600` count."""
    found = NUMBER.search(prepare(quantity.text, quantity.language))
    written = Decimal(found[0].replace(",", "")) if found is not None else Decimal(0)
    if not written:
        return Decimal(1)
    exponent = written.as_tuple().exponent
    place = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    if written >= 100 and written == written.to_integral_value():
        place = Decimal(1).scaleb(max(0, written.adjusted() - max(2, len(key(written))) + 1))
    return place * (quantity.value / written)


def _rounds(exact: Decimal, to: Decimal, place: Decimal) -> bool:
    if abs(exact - to) > abs(to) * Decimal("0.06"):
        return False
    return any((exact / place).quantize(Decimal(1), rounding) * place == to for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN))


def derivations(quantity: Quantity, groups: Iterable[Sequence[Stated]], given: Set[Decimal], called: Set[str]) -> Iterator[Explanation]:
    """Two values of one group of which the quantity is the difference, the relative change, the ratio or the sum.

    A group is what is read together: a passage of the page, or what the answer repeats from the page around the number. Nearly every number
    can be computed from two on a page. So a difference, change or ratio must have both its values beside it in the answer (`given`), of bare
    numbers at least one (`25 of 29`), and the answer must call it so (`called`: `difference`, `change`, `sum`).
    """
    if quantity.unit in ("th", "decade") or quantity.kind in ("year", "part"):
        return
    for group in groups:
        values = [one for one in group if one.reading.value and one.quantity.kind not in ("date", "ordinal", "part")][:24]
        if "sum" not in called and not any(one.reading.value in given for one in values):
            continue
        for one, other in combinations(values, 2):
            if what := _relation(quantity, one, other, given, called):
                yield f"is the {what} of {one} and {other}", [one, other]


def _relation(quantity: Quantity, one: Stated, other: Stated, given: Set[Decimal], called: Set[str]) -> str:
    mine, a, b = quantity.readings[0], one.reading, other.reading
    if a.unit != b.unit:
        return ""
    both = a.value in given and b.value in given
    if "year" in (one.quantity.kind, other.quantity.kind):
        years = one.quantity.kind == other.quantity.kind and both
        return "difference" if years and "difference" in called and mine.unit == "year" and abs(a.value - b.value) == mine.value else ""
    if mine.unit == "x":
        return "ratio" if both and _rounds(max(a.value, b.value) / min(a.value, b.value), mine.value, _place(quantity)) else ""
    if mine.unit == "%" and both and "change" in called and _rounds(abs(b.value - a.value) / a.value * 100, mine.value, _place(quantity)):
        return "relative change"
    if a.unit != mine.unit and (mine.unit, a.unit) != ("pp", "%"):
        return ""
    known = both if a.unit else a.value in given or b.value in given
    if known and "difference" in called and abs(a.value - b.value) == mine.value:
        return "difference"
    # The ends of a range are one statement, not two to be added.
    apart = not (one.quantity.low_of >= 0 and one.line == other.line)
    return "sum" if "sum" in called and apart and a.value + b.value == mine.value and mine.unit != "pp" else ""


def totals(quantity: Quantity, passages: Sequence[Passage], least: int) -> Iterator[Explanation]:
    """The values of at least `least` neighbouring rows or items of which the quantity is the total."""
    mine = quantity.readings[0]
    if quantity.kind in ("year", "small", "part", "ordinal", "decade"):
        return
    for run in _runs(passages):
        rows = [
            [
                Stated(one, passage.line, one.readings[0])
                for one in passage.quantities
                if one.readings and one.kind not in ("year", "date", "ordinal")
            ]
            for passage in run
        ]
        for column in range(4):
            values = [row[column] for row in rows if len(row) > column]
            same_unit = all(one.reading.unit in (mine.unit, "") for one in values)
            if len(values) >= least and same_unit and sum(one.reading.value for one in values) == mine.value:
                yield f"is the total of {len(values)} values from {values[0]} on", values[:3]


def _runs(passages: Sequence[Passage]) -> Iterator[list[Passage]]:
    run: list[Passage] = []
    for passage in passages:
        if run and (passage.kind != run[-1].kind or passage.line - run[-1].line > 2):
            yield run
            run = []
        if passage.kind in ("table", "list", "component", "code"):
            run.append(passage)
    yield run


def nearest(quantity: Quantity, passages: Iterable[Passage], limit: int = 3) -> list[Stated]:
    """The values of the passages nearest to the quantity: the same value in another unit first, then near values of the same unit."""
    if not quantity.readings:
        return []
    mine = quantity.readings[0]
    ranked: dict[tuple[Decimal, str], tuple[float, int, Stated]] = {}
    for order, (passage, other) in enumerate(_stated(passages)):
        theirs = other.readings[0]
        if theirs.value == mine.value:
            distance = 0.0 if theirs.unit == mine.unit else 0.1
        elif theirs.unit == mine.unit and (other.kind == quantity.kind or mine.unit):
            distance = 0.2 + float(abs(theirs.value - mine.value) / (abs(theirs.value) + abs(mine.value)))
        elif key(theirs.value) == key(mine.value) != "":
            distance = 0.3
        else:
            continue
        known = ranked.get((theirs.value, theirs.unit))
        if distance < 0.9 and (known is None or known[0] > distance):
            ranked[theirs.value, theirs.unit] = (distance, order, Stated(other, passage.line, theirs))
    return [stated for _, _, stated in sorted(ranked.values(), key=lambda entry: entry[:2])[:limit]]


def contradicted(quantity: Quantity, counted: frozenset[str], passages: Iterable[Passage]) -> bool:
    """Whether a passage counts the same things differently: another bare number before one of the words `counted`."""
    return any(
        other.kind in ("small", "number")
        and not other.unit
        and other.value != quantity.value
        and counted & following(passage.text, other.end)
        for passage, other in _stated(passages)
    )


def counts_something(passage: Passage) -> bool:
    """Whether a passage itself counts something (`three mechanisms`): then nothing else is counted from it."""
    return any(
        other.noun and other.kind == "small" and not other.unit and other.value >= 2 and other.low_of < 0 for other in passage.quantities
    )


def following(text: str, end: int) -> frozenset[str]:
    """The next three words of a text that say what is counted, without a plural's end."""
    return frozenset(
        word.lower().removesuffix("ies").rstrip("s")
        for word in re.findall(r"[A-Za-z]{4,}", re.split(r"[.;:|(]", text[end : end + 60])[0])[:3]
    )


def list_sizes(body: str, lines: Sequence[Line]) -> frozenset[int]:
    """How many things a page lists in one place: what a count in an answer ("five categories") can have counted.

    Sizes of lists, tables (rows, columns), series in sentences, and sets of headings, components of one kind or objects within one.
    """
    components = list(_COMPONENT.finditer(body))
    ends = [*(found.start() for found in components), len(body)][1:]
    tags = ((found.end(), body.find("/>", found.end(), end)) for found, end in zip(components, ends, strict=False))
    objects = (Counter(_KEY.findall(body, start, end)) for start, end in tags if end > 0)
    kinds = Counter(found[1] for found in components)
    return frozenset((*_of_lines(lines), *_of_headings(body), *kinds.values(), *(size for keys in objects for size in keys.values())))


def _of_lines(lines: Sequence[Line]) -> Iterator[int]:
    items = rows = last = 0
    for line in lines:
        if line.kind == "list":
            if items and line.number > last + 2:
                yield items
                items = 0
            items, last = items + 1, line.number
        elif items and line.kind != "component":
            yield items
            items = 0
        if line.kind == "table":
            rows += 1
            columns = line.text.count(" | ")
            yield from (columns, columns + 1)
        elif rows and line.kind != "component":
            yield rows - 1
            rows = 0
        for found in _SERIES.finditer(line.text):
            commas = found[0].count(",") + found[0].count(";")
            yield commas + 1
            if " and " in found[0] or " or " in found[0]:
                yield commas + 2
    yield from (items, max(0, rows - 1))


def _of_headings(body: str) -> Iterator[int]:
    """How many headings are directly below each heading, and on each level in all."""
    levels = [len(mark) for mark in _HEADING.findall(body)]
    yield from Counter(levels).values()
    below: dict[int, int] = {}
    for level in levels:
        for deeper in [one for one in below if one > level]:
            yield below.pop(deeper)
        below[level] = below.get(level, 0) + 1
    yield from below.values()
