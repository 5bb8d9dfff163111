"""Drift: whether two sets of answers to the same questions differ by more than chance, field by field.

How. Where both sets say something about the same item (a page's rating; an insight that both have), the item is its own control and its
difference counts; else pages that both know are compared by their means; else the sets are two groups of pages. Everything said of one page
hangs together, so a page is one observation. Under the hypothesis that nothing drifted, which set a page's answers came from is arbitrary:
so the sets are swapped page by page at random (for two groups: pages are dealt anew), the same way for all fields at once, and a field is
called where its shift, in units of its noise, is beaten by the *largest* of all fields' shifts in fewer than one of a hundred such draws
(Westfall and Young's step for many tests). A shift must also be large enough to matter (`LEAST_SHIFT`): with thousands of pages everything
is significant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from enrich.evaluation.answer_sets import AnswerSet, PageAnswers
from enrich.evaluation.matching import matches
from enrich.evaluation.metrics import TYPES
from enrich.evaluation.statistics import DRAWS, Floats, Resampling, mean
from enrich.evaluation.texts import PageTexts, words_in_order
from enrich.wiki.data import SCORES

ALPHA = 0.01
"""At most one comparison of equal sets in a hundred is called, over all its fields together."""

SWAPS = 4999
FEWEST_PAGES = 8
"""With fewer pages even a shift that is the same everywhere comes about by chance more often than `ALPHA`: 2 · 0.5^7 > 0.01."""

# Items that both sets have must be this share of the smaller set's, else they are chance hits and pages are compared.
_ENOUGH = 0.5

Basis = Literal["items", "pages", "groups"]
Verdict = Literal["drift", "steady", "too-few"]

# The least shift that matters: a tenth of a point of 1 to 5, a quarter of a point of 0 to 10, five per cent of a share, and so on.
LEAST_SHIFT: Mapping[str, float] = {"score": 0.1, "rating": 0.25, "share": 0.05, "words": 3.0, "count": 0.5}


@dataclass(frozen=True, slots=True)
class Shift:
    """One field's comparison. `before` and `after` are the means of what was compared, `shift` their difference with its 95 % interval.

    `chance`: how often equal sets would show as much in some field. `uniform`: the difference that nearly all items share, None where
    they do not.
    """

    field: str
    kind: str
    basis: Basis
    items: int
    pages: int
    before: float
    after: float
    low: float | None
    high: float | None
    chance: float
    verdict: Verdict
    uniform: float | None = None

    @property
    def shift(self) -> float:
        return self.after - self.before

    @property
    def reason(self) -> str:
        """The verdict in one line."""
        told = {"items": "the same items", "pages": "the same pages", "groups": "two groups of pages"}[self.basis]
        over = f"{self.items} values of {self.pages} pages, {told}"
        if self.verdict == "too-few":
            return f"too few pages to tell ({over})"
        if self.uniform is not None and self.verdict == "drift":
            return f"nearly every value moved by exactly {self.uniform:+.2f} ({over})"
        if self.verdict == "drift":
            return f"more than chance ({over})"
        small = abs(self.shift) < LEAST_SHIFT[self.kind]
        return f"{'too small to matter' if small and self.chance < ALPHA else 'within chance'} ({over})"


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs between two sets; `shifts` in the order of fields, drifted or not."""

    before: str
    after: str
    shifts: tuple[Shift, ...]

    @property
    def called(self) -> tuple[Shift, ...]:
        return tuple(shift for shift in self.shifts if shift.verdict == "drift")

    @property
    def pages(self) -> int:
        return max((shift.pages for shift in self.shifts), default=0)


def compare(before: AnswerSet, after: AnswerSet, pages: Mapping[str, PageTexts] | None = None, *, seed: int = 0) -> Drift:
    """Where `after` has drifted from `before`. `pages`: to compare unsupported numbers too. The same seed gives the same verdicts."""
    columns = [column for field, kind, read in _fields(before, after, pages) if (column := _column(field, kind, read, before, after))]
    if not columns:
        return Drift(before.name, after.name, ())
    chances = _chances(columns, seed)
    return Drift(before.name, after.name, tuple(_shift(column, chance, seed) for column, chance in zip(columns, chances, strict=True)))


# --- what is compared: for each field, its values on one page by a key that is the same in both sets for the same item ---

Values = list[float]
Read = Callable[[PageAnswers], Values | None]


def _fields(before: AnswerSet, after: AnswerSet, pages: Mapping[str, PageTexts] | None) -> Iterator[tuple[str, str, Read]]:
    sets = (before, after)
    yield "summary.words", "words", lambda one: None if one.summary is None else [len(words_in_order(one.summary))]
    if pages is not None:
        known = pages
        yield (
            "summary.unsupported",
            "share",
            lambda one: None if one.summary is None or one.page not in known else [known[one.page].unsupported(one.summary)],
        )
    yield "insights.per_page", "count", lambda one: None if one.insights is None else [len(one.insights)]
    for score in SCORES:
        yield f"insights.{score}", "score", lambda one, score=score: [insight.scores.get(score, _NONE) for insight in one.insights or ()]  # type: ignore[misc]
    for name in TYPES:
        yield f"insights.type.{name}", "share", lambda one, name=name: [insight.type == name for insight in one.insights or ()]  # type: ignore[misc]
    for name in dict.fromkeys(name for group in sets for one in group.pages.values() for name in one.ratings):
        yield f"ratings.{name}", "rating", lambda one, name=name: [one.ratings[name]] if name in one.ratings else None  # type: ignore[misc]


_NONE = float("nan")


@dataclass(frozen=True, slots=True)
class _Column:
    """One field's observations, a page each: the mean value in either set (for `groups` a page has only one of them)."""

    field: str
    kind: str
    basis: Basis
    items: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    uniform: float | None


def _column(field: str, kind: str, read: Read, before: AnswerSet, after: AnswerSet) -> _Column | None:
    ones = {page: values for page, given in before.pages.items() if (values := read(given)) is not None}
    others = {page: values for page, given in after.pages.items() if (values := read(given)) is not None}
    if not any(_means(ones)) or not any(_means(others)):
        return None
    by_item = field.startswith("insights.") and kind != "count"
    pairs = {page: list(_paired(page, ones[page], others[page], before, after, by_item)) for page in ones if page in others}
    pairs = {page: found for page, found in pairs.items() if found}
    items = sum(map(len, pairs.values()))
    if items and items >= _ENOUGH * min(_count(ones), _count(others)):
        return _Column(
            field, kind, "items", items,
            {page: _mean(a for a, _ in found) for page, found in pairs.items()},
            {page: _mean(b for _, b in found) for page, found in pairs.items()},
            _uniform([b - a for found in pairs.values() for a, b in found]),
        )  # fmt: skip
    first, second = dict(_means(ones)), dict(_means(others))
    shared = first.keys() & second.keys()
    if len(shared) >= _ENOUGH * min(len(first), len(second)):
        kept = [page for page in first if page in shared]
        total = sum(len(_sound(ones[page])) + len(_sound(others[page])) for page in kept)
        return _Column(field, kind, "pages", total, {page: first[page] for page in kept}, {page: second[page] for page in kept}, None)
    # A page in both groups would be its own neighbour: it stays with the first.
    second = {page: value for page, value in second.items() if page not in shared}
    return _Column(field, kind, "groups", _count(ones) + _count(others), first, second, None) if second else None


def _paired(page: str, ones: Values, others: Values, before: AnswerSet, after: AnswerSet, by_item: bool) -> Iterator[tuple[float, float]]:
    if by_item:
        first, second = before.pages[page].insights or (), after.pages[page].insights or ()
        places: Iterable[tuple[int, int]] = matches(first, second)
    else:
        places = [(0, 0)]
    for i, j in places:
        if ones[i] == ones[i] and others[j] == others[j]:
            yield ones[i], others[j]


def _sound(values: Values) -> Values:
    return [value for value in values if value == value]


def _count(values: Mapping[str, Values]) -> int:
    return sum(len(_sound(one)) for one in values.values())


def _means(values: Mapping[str, Values]) -> Iterator[tuple[str, float]]:
    for page, given in values.items():
        if sound := _sound(given):
            yield page, sum(sound) / len(sound)


def _mean(values: Iterable[float]) -> float:
    held = list(values)
    return sum(held) / len(held)


def _uniform(differences: Sequence[float]) -> float | None:
    """The difference that nine of ten items share, if it is none of nought."""
    counts: dict[float, int] = {}
    for value in differences:
        rounded = round(value, 3)
        counts[rounded] = counts.get(rounded, 0) + 1
    value, often = max(counts.items(), key=lambda item: item[1])
    return value if value and often >= 0.9 * len(differences) else None


# --- the test ---


def _chances(columns: Sequence[_Column], seed: int) -> list[float]:
    """For each column, how often swapped sets show a shift as large in some column."""
    import numpy as np

    rng = np.random.default_rng(seed)
    pages = {page: place for place, page in enumerate(dict.fromkeys(page for one in columns for page in (*one.before, *one.after)))}
    signs = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), size=(SWAPS, len(pages)))
    deals: dict[tuple[str, ...], Any] = {}
    order = None
    drawn: list[Floats] = []
    seen: list[float] = []
    for column in columns:
        if column.basis == "groups":
            if order is None:
                order = rng.random((SWAPS, len(pages)), dtype=np.float32)
            held = (*column.before, *column.after)
            if held not in deals:
                # Most fields are about the same pages: these are dealt once.
                deals[held] = np.argsort(order[:, [pages[page] for page in held]], axis=1)
            observed, shuffled = _dealt(column, deals[held])
        else:
            places = [pages[page] for page in column.before]
            moved = np.array([column.after[page] - column.before[page] for page in column.before])
            size = float(np.sqrt(moved @ moved))
            # Nothing moved at all: no shift, whatever is swapped.
            scaled = moved / size if size > 1e-12 else moved * 0
            observed, shuffled = abs(float(scaled.sum())), abs(signs[:, places] @ scaled)
        seen.append(observed)
        drawn.append(shuffled)
    largest = np.max(np.array(drawn), axis=0)
    # Sums of the same numbers in another order differ in their last digits.
    return [float((1 + np.count_nonzero(largest >= observed - 1e-6)) / (1 + SWAPS)) for observed in seen]


def _dealt(column: _Column, deals: Any) -> tuple[float, Floats]:
    """(shift, shifts of pages dealt anew), both in units of the latter's deviation. `deals`: a new order of the pages in each row."""
    import numpy as np

    values = np.array([*column.before.values(), *column.after.values()])
    values = values - values.mean()
    size = len(column.before)
    shuffled = values[deals]
    shifts = shuffled[:, size:].mean(axis=1) - shuffled[:, :size].mean(axis=1)
    noise = float(shifts.std())
    if noise < 1e-12:
        return 0.0, abs(shifts) * 0
    return abs(float(values[size:].mean() - values[:size].mean())) / noise, abs(shifts) / noise


def _shift(column: _Column, chance: float, seed: int) -> Shift:
    before, after = _mean(column.before.values()), _mean(column.after.values())
    held = len(column.before) if column.basis != "groups" else len(column.before) + len(column.after)
    few = held if column.basis != "groups" else 2 * min(len(column.before), len(column.after))
    verdict: Verdict = "steady"
    if few < FEWEST_PAGES:
        verdict = "too-few"
    elif chance < ALPHA and abs(after - before) >= LEAST_SHIFT[column.kind] - 1e-9:
        verdict = "drift"
    low, high = _bounds(column, seed)
    return Shift(column.field, column.kind, column.basis, column.items, held, before, after, low, high, chance, verdict, column.uniform)


def _bounds(column: _Column, seed: int) -> tuple[float | None, float | None]:
    """The bootstrap interval of the shift, by page."""
    import numpy as np

    if column.basis != "groups":
        pages = list(column.before)
        found = Resampling(pages, seed=seed).estimate(mean, pages, [column.after[page] - column.before[page] for page in pages])
        return found.low, found.high
    sides: list[Any] = [
        Resampling(list(side), seed=seed + place).estimate(mean, list(side), list(side.values())).draws
        for place, side in enumerate((column.before, column.after))
    ]
    low, high = np.quantile(sides[1] - sides[0], [0.025, 0.975])
    return float(low), float(high)


__all__ = ["ALPHA", "DRAWS", "FEWEST_PAGES", "LEAST_SHIFT", "Drift", "Shift", "compare"]
