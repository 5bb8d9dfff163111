"""What else can explain a number that the page does not state: rounding, sums, differences, changes, ratios; and what stands nearest to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

from enrich.grounding.digits import prepare
from enrich.grounding.numbers import Passage, Stated
from enrich.grounding.quantities import NUMBER, Quantity, key

# "about 55 %" may stand this far from what is stated.
_ABOUT = Decimal("0.02")


def rounded_from(quantity: Quantity, passages: Iterable[Passage], *, about: bool = False) -> Stated | None:
    """A stated value of the same unit that rounds to the quantity at the last digit it is written with.

    `about`: the answer itself says that the number is rough; then a stated value with more digits within 2 % will do.
    """
    if quantity.kind in ("year", "decade", "ordinal", "part", "date") or not quantity.value:
        return None
    mine = quantity.readings[0]
    if mine.unit == "" and mine.value < 20:
        return None
    place = _place(quantity)
    digits = len(key(mine.value))
    for passage in passages:
        for other in passage.quantities:
            if other.kind in ("year", "date"):
                continue
            for theirs in other.readings:
                if theirs.unit != mine.unit:
                    continue
                if len(key(theirs.value)) <= digits:
                    continue
                rough = about and abs(theirs.value - mine.value) <= mine.value * _ABOUT
                if rough or _rounds(theirs.value, mine.value, place):
                    return Stated(other, passage.line, theirs)
    return None


def _place(quantity: Quantity) -> Decimal:
    """The place of the last digit that a quantity is written with: 0.1 million for `1.2M`; at least two digits of `5,600` count."""
    value = quantity.value
    found = NUMBER.search(prepare(quantity.text))
    if found is None:
        return Decimal(1)
    written = Decimal(found[0].replace(",", ""))
    if not written:
        return Decimal(1)
    exponent = written.as_tuple().exponent
    place = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    if written >= 100 and written == written.to_integral_value():
        place = Decimal(1).scaleb(max(0, written.adjusted() - max(2, len(key(written))) + 1))
    return place * (value / written)


def _rounds(exact: Decimal, to: Decimal, place: Decimal) -> bool:
    if abs(exact - to) > abs(to) * Decimal("0.06"):
        return False
    return any((exact / place).quantize(Decimal(1), rounding) * place == to for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN))


def values_of(passage: Passage) -> list[Stated]:
    """The values of a passage."""
    return [Stated(other, passage.line, other.readings[0]) for other in passage.quantities if other.readings]


def derived_from(
    quantity: Quantity, groups: Iterable[Sequence[Stated]], given: frozenset[Decimal], *, summed: bool, compared: bool, changed: bool
) -> tuple[str, Stated, Stated] | None:
    """Two values of one group of which the quantity is the difference, the relative change, the ratio or the sum: (what, one, other).

    A group is what is read together: a passage of the page, or what the answer itself repeats from the page around the number. Nearly every
    number can be reckoned from two on a page. So a difference, change or ratio must have both its values beside it in the answer (`given`),
    of bare numbers at least one (`25 of 29`), and a difference must be called one there (`compared`), as a change (`changed`) and a sum
    (`summed`) must.
    """
    mine = quantity.readings[0]
    if mine.unit in ("th", "decade") or quantity.kind in ("year", "part"):
        return None
    for group in groups:
        values = [one for one in group if one.reading.value and one.quantity.kind not in ("date", "ordinal", "part")][:24]
        if not summed and not any(one.reading.value in given for one in values):
            continue
        for i, one in enumerate(values):
            for other in values[i + 1 :]:
                what = _reckoned(quantity, one, other, given, summed=summed, compared=compared, changed=changed)
                if what:
                    return what, one, other
    return None


def _reckoned(
    quantity: Quantity, one: Stated, other: Stated, given: frozenset[Decimal], *, summed: bool, compared: bool, changed: bool
) -> str:
    mine, a, b = quantity.readings[0], one.reading, other.reading
    if a.unit != b.unit:
        return ""
    both = a.value in given and b.value in given
    if one.quantity.kind == "year" or other.quantity.kind == "year":
        years = one.quantity.kind == other.quantity.kind and both
        return "difference" if years and compared and mine.unit == "year" and abs(a.value - b.value) == mine.value else ""
    if mine.unit == "x":
        return "ratio" if both and _rounds(max(a.value, b.value) / min(a.value, b.value), mine.value, _place(quantity)) else ""
    if mine.unit == "%" and both and changed and _rounds(abs(b.value - a.value) / a.value * 100, mine.value, _place(quantity)):
        return "relative change"
    if not (a.unit == mine.unit or (mine.unit == "pp" and a.unit == "%")):
        return ""
    known = both if a.unit else a.value in given or b.value in given
    if known and compared and abs(a.value - b.value) == mine.value:
        return "difference"
    # The ends of a range are one statement, not two to be added.
    apart = not (one.quantity.low_of >= 0 and one.line == other.line)
    return "sum" if summed and apart and a.value + b.value == mine.value and mine.unit != "pp" else ""


def contradicted(quantity: Quantity, words: frozenset[str], passages: Iterable[Passage]) -> bool:
    """Whether a passage counts the same things otherwise: another bare number before one of the words behind the quantity."""
    return any(
        other.readings
        and not other.unit
        and other.kind in ("small", "number")
        and other.value != quantity.value
        and words & following(passage.text, other.end)
        for passage in passages
        for other in passage.quantities
    )


def other_count(passage: Passage) -> bool:
    """Whether a passage itself counts something (`three mechanisms`): then it is no place from which to count anew."""
    return any(
        other.readings and other.noun and not other.unit and other.kind == "small" and other.value >= 2 and other.low_of < 0
        for other in passage.quantities
    )


def following(text: str, end: int) -> frozenset[str]:
    """The next three words of a text that say what is counted, without a plural's end."""
    return frozenset(word.lower().rstrip("s") for word in re.findall(r"[A-Za-z]{4,}", re.split(r"[.;:|(]", text[end : end + 60])[0])[:3])


def total_of(quantity: Quantity, passages: Sequence[Passage], least: int) -> tuple[Stated, ...]:
    """The values of at least `least` neighbouring rows or items of which the quantity is the total; () where there are none."""
    mine = quantity.readings[0]
    if quantity.kind in ("year", "small", "part", "ordinal", "decade"):
        return ()
    for run in _runs(passages):
        for column in range(4):
            values = [
                Stated(rows[column], passage.line, rows[column].readings[0])
                for passage in run
                if len(rows := [one for one in passage.quantities if one.readings and one.kind not in ("year", "date", "ordinal")]) > column
            ]
            if (
                len(values) >= least
                and all(one.reading.unit in (mine.unit, "") for one in values)
                and sum(one.reading.value for one in values) == mine.value
            ):
                return tuple(values)
    return ()


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
    for order, passage in enumerate(passages):
        for other in passage.quantities:
            if not other.readings:
                continue
            theirs = other.readings[0]
            if theirs.value == mine.value:
                distance = 0.0 if theirs.unit == mine.unit else 0.1
            elif theirs.unit == mine.unit and (other.kind == quantity.kind or mine.unit):
                distance = 0.2 + float(abs(theirs.value - mine.value) / (abs(theirs.value) + abs(mine.value)))
            elif key(theirs.value) == key(mine.value) and key(mine.value):
                distance = 0.3
            else:
                continue
            if distance < 0.9:
                entry = (distance, order, Stated(other, passage.line, theirs))
                value = (theirs.value, theirs.unit)
                if value not in ranked or ranked[value][0] > distance:
                    ranked[value] = entry
    return [stated for _, _, stated in sorted(ranked.values(), key=lambda entry: entry[:2])[:limit]]
