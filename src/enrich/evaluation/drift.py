"""Drift: whether two sets of answers to the same questions differ by more than chance, field by field.

If both sets have values for the same items (a page's rating; an insight that both have), each item is compared with itself; else pages that
both know are compared by their means; else the sets are two groups of pages. Values of one page depend on each other, so a page is one
observation. Under the hypothesis that nothing drifted it is arbitrary which set a page's answers came from. So the sets are swapped page by
page at random (for two groups: the pages are dealt at random), in the same way for all fields at once. A field has drifted if its shift, in
units of its noise, is reached by the *largest* of all fields' shifts in fewer than one of a hundred such draws (Westfall and Young's step for
many tests). A shift must also be large enough to matter (`LEAST_SHIFT`), because with thousands of pages everything is significant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean
from typing import Any, Literal

import numpy as np

from enrich.evaluation.answers import AnswerSet, PageAnswers, ScoredInsight
from enrich.evaluation.drift_report import Verdict
from enrich.evaluation.metrics import PageTexts, insight_pairs, words_in_order
from enrich.evaluation.statistics import Floats, Resampling, mean
from enrich.wiki.data import SCORES, TYPES

ALPHA = 0.01
"""At most one comparison of equal sets in a hundred is reported as drift, over all its fields together."""

SWAPS = 4999
FEWEST_PAGES = 8
"""With fewer pages even a shift that is the same everywhere occurs by chance more often than `ALPHA`: 2 · 0.5^7 > 0.01."""

# Items in both sets must be this share of the smaller set's, else they are chance hits and pages are compared.
_ENOUGH = 0.5

Basis = Literal["items", "pages", "groups"]
Values = Mapping[int, float]  # a page's values of one field by item: the index of the insight, 0 for what a page has once
Read = Callable[[PageAnswers], Values]

# The least shift that matters: a tenth of a point of 1 to 5, a quarter of a point of 0 to 10, five per cent of a share, and so on.
LEAST_SHIFT: Mapping[str, float] = {"score": 0.1, "rating": 0.25, "share": 0.05, "words": 3.0, "count": 0.5}


@dataclass(frozen=True, slots=True)
class Shift:
    """One field's comparison. `before` and `after` are the means of what was compared, `low` and `high` the 95 % interval of their difference.

    `chance`: how often equal sets would show as much in some field. `uniform`: the difference that nearly all items share, else None.
    """

    field: str
    kind: str
    basis: Basis
    items: int
    pages: int
    before: float
    after: float
    low: float
    high: float
    chance: float
    verdict: Verdict
    uniform: float | None = None

    @property
    def shift(self) -> float:
        return self.after - self.before

    @property
    def least_shift(self) -> float:
        """The least shift that matters."""
        return LEAST_SHIFT[self.kind]

    @property
    def reason(self) -> str:
        """The verdict in one line."""
        basis = {"items": "the same items", "pages": "the same pages", "groups": "two groups of pages"}[self.basis]
        if self.verdict == "too-few":
            reason = "too few pages to tell"
        elif self.verdict == "drift":
            reason = "more than chance" if self.uniform is None else f"nearly every value moved by exactly {self.uniform:+.2f}"
        else:
            reason = "too small to matter" if abs(self.shift) < self.least_shift and self.chance < ALPHA else "within chance"
        return f"{reason} ({self.items} values of {self.pages} pages, {basis})"


@dataclass(frozen=True, slots=True)
class Drift:
    """The comparison of two sets; `shifts` in the order of fields, drifted or not."""

    before: str
    after: str
    shifts: tuple[Shift, ...]

    @property
    def called(self) -> tuple[Shift, ...]:
        """The fields that have drifted."""
        return tuple(shift for shift in self.shifts if shift.verdict == "drift")


def compare(before: AnswerSet, after: AnswerSet, pages: Mapping[str, PageTexts] | None = None, *, seed: int = 0) -> Drift:
    """Where `after` has drifted from `before`. With `pages`, unsupported numbers are compared too. The same seed gives the same verdicts."""
    columns = [column for field, kind, read in _fields(before, after, pages) if (column := _column(field, kind, read, before, after))]
    chances = _chances(columns, seed) if columns else []
    return Drift(before.name, after.name, tuple(_shift(column, chance, seed) for column, chance in zip(columns, chances, strict=True)))


def _fields(before: AnswerSet, after: AnswerSet, pages: Mapping[str, PageTexts] | None) -> Iterator[tuple[str, str, Read]]:
    """(name, kind, how to read its values) of each field."""

    def once(value: Callable[[PageAnswers], float | None]) -> Read:
        return lambda one: {} if (found := value(one)) is None else {0: found}

    def each(value: Callable[[ScoredInsight], float | None]) -> Read:
        return lambda one: {place: found for place, item in enumerate(one.insights or ()) if (found := value(item)) is not None}

    def is_of(name: str) -> Read:
        return each(lambda item: item.type == name)

    def rating(name: str) -> Read:
        return once(lambda one: one.ratings.get(name))

    def unsupported(one: PageAnswers) -> bool | None:
        return pages[one.page].unsupported(one.summary) if pages and one.summary is not None and one.page in pages else None

    yield "summary.words", "words", once(lambda one: None if one.summary is None else len(words_in_order(one.summary)))
    yield "summary.unsupported", "share", once(unsupported)
    yield "insights.per_page", "count", once(lambda one: None if one.insights is None else len(one.insights))
    for name in SCORES:
        yield f"insights.{name}", "score", each(attrgetter(name))
    for name in TYPES:
        yield f"insights.type.{name}", "share", is_of(name)
    for name in dict.fromkeys(name for group in (before, after) for one in group.pages.values() for name in one.ratings):
        yield f"ratings.{name}", "rating", rating(name)


@dataclass(frozen=True, slots=True)
class _Column:
    """One field's observations: the mean value of each page in either set (for `groups` a page is in only one of them)."""

    field: str
    kind: str
    basis: Basis
    items: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    uniform: float | None = None


def _column(field: str, kind: str, read: Read, before: AnswerSet, after: AnswerSet) -> _Column | None:
    ones, others = ({page: values for page, given in side.pages.items() if (values := read(given))} for side in (before, after))
    if not ones or not others:
        return None
    by_insight = field.startswith("insights.") and kind != "count"
    pairs: dict[str, list[tuple[float, float]]] = {}
    for page, first in ones.items():
        second = others.get(page, {})
        places = insight_pairs(before.of(page).insights or (), after.of(page).insights or ()) if by_insight else [(0, 0)]
        if found := [(first[i], second[j]) for i, j in places if i in first and j in second]:
            pairs[page] = found
    items, counts = sum(map(len, pairs.values())), [sum(map(len, side.values())) for side in (ones, others)]
    if items and items >= _ENOUGH * min(counts):
        old, new = ({page: fmean(pair[side] for pair in found) for page, found in pairs.items()} for side in (0, 1))
        return _Column(field, kind, "items", items, old, new, _uniform([b - a for found in pairs.values() for a, b in found]))
    old, new = ({page: fmean(values.values()) for page, values in side.items()} for side in (ones, others))
    shared = [page for page in old if page in new]
    if len(shared) >= _ENOUGH * min(len(old), len(new)):
        total = sum(len(ones[page]) + len(others[page]) for page in shared)
        return _Column(field, kind, "pages", total, {page: old[page] for page in shared}, {page: new[page] for page in shared})
    # A page in both groups would not be independent of itself: it stays with the first.
    rest = {page: value for page, value in new.items() if page not in shared}
    return _Column(field, kind, "groups", sum(counts), old, rest) if rest else None


def _uniform(differences: Sequence[float]) -> float | None:
    """The difference, other than zero, that nine of ten items share."""
    value, count = Counter(round(difference, 3) for difference in differences).most_common(1)[0]
    return value if value and count >= 0.9 * len(differences) else None


def _chances(columns: Sequence[_Column], seed: int) -> list[float]:
    """For each column, how often randomly swapped sets show a shift as large in some column."""
    rng = np.random.default_rng(seed)
    pages = {page: place for place, page in enumerate(dict.fromkeys(page for one in columns for page in (*one.before, *one.after)))}
    signs = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), size=(SWAPS, len(pages)))
    deals: dict[tuple[str, ...], Any] = {}
    order = None
    drawn: list[Floats] = []
    observed: list[float] = []
    for column in columns:
        if column.basis == "groups":
            if order is None:
                order = rng.random((SWAPS, len(pages)), dtype=np.float32)
            held = (*column.before, *column.after)
            if held not in deals:
                # Most fields are about the same pages, which are dealt once.
                deals[held] = np.argsort(order[:, [pages[page] for page in held]], axis=1)
            shift, shifts = _dealt(column, deals[held])
        else:
            places = [pages[page] for page in column.before]
            moved = np.array([column.after[page] - column.before[page] for page in column.before])
            size = float(np.sqrt(moved @ moved))
            scaled = moved / size if size > 1e-12 else moved * 0  # no shift at all, however the sets are swapped
            shift, shifts = abs(float(scaled.sum())), abs(signs[:, places] @ scaled)
        observed.append(shift)
        drawn.append(shifts)
    largest = np.max(np.array(drawn), axis=0)
    # Sums of the same numbers in another order differ in their last digits.
    return [float((1 + np.count_nonzero(largest >= shift - 1e-6)) / (1 + SWAPS)) for shift in observed]


def _dealt(column: _Column, deals: Any) -> tuple[float, Floats]:
    """(shift, shifts of pages dealt at random), both in units of the latter's deviation. `deals`: an order of the pages in each row."""
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
    before, after = fmean(column.before.values()), fmean(column.after.values())
    sizes = len(column.before), len(column.after)
    held, few = (sum(sizes), 2 * min(sizes)) if column.basis == "groups" else (sizes[0], sizes[0])
    verdict: Verdict = "steady"
    if few < FEWEST_PAGES:
        verdict = "too-few"
    elif chance < ALPHA and abs(after - before) >= LEAST_SHIFT[column.kind] - 1e-9:
        verdict = "drift"
    low, high = _interval(column, seed)
    return Shift(column.field, column.kind, column.basis, column.items, held, before, after, low, high, chance, verdict, column.uniform)


def _interval(column: _Column, seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of the shift, by page."""

    def draws_of(values: Mapping[str, float], seed: int) -> Floats:
        return Resampling(list(values), seed=seed).estimate(mean, list(values.items())).draws

    if column.basis == "groups":
        draws = draws_of(column.after, seed + 1) - draws_of(column.before, seed)
    else:
        draws = draws_of({page: column.after[page] - value for page, value in column.before.items()}, seed)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
