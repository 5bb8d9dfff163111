"""Statistics of resampled pages: each is a function of weights, so that one definition gives the value and its bootstrap interval.

A bootstrap draw takes as many pages as there are, with replacement; all values of a page go with it, because values of one page depend on
each other. So a draw is a count for each page. A statistic gets `weights` (draws × values: the count of each value's page) and one or more
columns of values, and gives one number per draw, not-a-number if it is not defined. With a single row of ones it is the plain statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[..., Floats]
DRAWS = 2000  # the 2.5th percentile of so many differs by about 0.1 standard errors from seed to seed
LEVEL = 0.95
_CELLS = 4_000_000  # weights that are in memory at once (8 bytes each)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval; None if it is not defined. It was computed from `items` values of `pages` pages.

    `draws` are the values of the bootstrap draws: two estimates from one `Resampling` can be subtracted draw by draw.
    """

    value: float | None
    low: float | None
    high: float | None
    items: int
    pages: int
    draws: Floats = field(repr=False, compare=False)


class Resampling:
    """The same seeded draws of pages for every value that is computed from them."""

    def __init__(self, pages: Sequence[str], *, draws: int = DRAWS, seed: int = 0) -> None:
        self.column = {page: column for column, page in enumerate(pages)}
        self.draws = draws
        count = max(1, len(pages))
        self._counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)

    def estimate(self, statistic: Statistic, rows: Sequence[tuple[Any, ...]]) -> Estimate:
        """`statistic` with its interval over `rows` of (page, value, …).

        If the values are booleans, `statistic` is a share. If all are equal a bootstrap gives no interval, and it is the exact binomial one
        over pages.
        """
        if not rows:
            return Estimate(None, None, None, 0, 0, np.full(self.draws, np.nan))
        pages, *columns = zip(*rows, strict=True)
        arrays = [np.asarray(column, dtype=np.float64) for column in columns]
        places = np.array([self.column[page] for page in pages], dtype=np.int64)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(statistic(np.ones((1, len(places))), *arrays)[0])
            step = max(1, _CELLS // len(places))
            drawn = np.concatenate([statistic(self._counts[at : at + step][:, places], *arrays) for at in range(0, self.draws, step)])
        held = len(set(pages))
        if np.isnan(value):
            return Estimate(None, None, None, len(rows), held, drawn)
        low, high = _interval(drawn) or (None, None)
        if isinstance(columns[0][0], bool) and value in (0.0, 1.0):
            # Clopper and Pearson's bound for none of n: 1 - (alpha/2)^(1/n).
            reach = 1 - ((1 - LEVEL) / 2) ** (1 / held)
            low, high = (0.0, reach) if value == 0 else (1 - reach, 1.0)
        return Estimate(value, low, high, len(rows), held, drawn)


def difference(one: Estimate, other: Estimate) -> tuple[float, float] | None:
    """The 95 % interval of `one` − `other`, draw by draw; None if either is not defined."""
    return None if one.value is None or other.value is None else _interval(one.draws - other.draws)


def _interval(drawn: Floats) -> tuple[float, float] | None:
    defined = drawn[~np.isnan(drawn)]
    # If most draws are not defined, the others say nothing about the uncertainty.
    if len(defined) < len(drawn) / 2:
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


# --- statistics: weights (draws × values), then columns (values) ---


def mean(weights: Floats, x: Floats) -> Floats:
    means: Floats = weights @ x / weights.sum(axis=1)
    return means


def deviation(weights: Floats, x: Floats) -> Floats:
    """Sample standard deviation."""
    count = weights.sum(axis=1)
    centre = mean(weights, x)
    squares = weights @ (x * x) - count * centre * centre
    return np.where(count > 1, np.sqrt(np.maximum(squares, 0) / (count - 1)), np.nan)


def median(weights: Floats, x: Floats) -> Floats:
    """The middle value; the mean of the two middle ones if their number is even."""
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    low = x[order][np.argmax(reached >= half, axis=1)]
    high = x[order][np.argmax(reached > half, axis=1)]
    return np.where(reached[:, -1] > 0, (low + high) / 2, np.nan)


def spearman(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Spearman's rank correlation, ties at their middle rank; not defined if either column is constant."""
    a, b = _ranks(weights, x), _ranks(weights, y)
    count = weights.sum(axis=1, keepdims=True)
    da = a - (weights * a).sum(axis=1, keepdims=True) / count
    db = b - (weights * b).sum(axis=1, keepdims=True) / count
    variances = (weights * da * da).sum(axis=1) * (weights * db * db).sum(axis=1)
    return _divided((weights * da * db).sum(axis=1), np.sqrt(variances), least=1e-9)


def quadratic_kappa(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Cohen's kappa with quadratic weights, on the values as they are.

    1 − E(x−y)² / (var x + var y + (mean x − mean y)²): for whole numbers the value of the usual table; decimals are not rounded to classes.
    It is also Lin's concordance correlation (Fleiss and Cohen 1973; Lin 1989).
    """
    count = weights.sum(axis=1)
    mx, my = mean(weights, x), mean(weights, y)
    # About the overall means, so that large values lose no digits.
    cx, cy = x - x.mean(), y - y.mean()
    spread = weights @ (cx * cx) / count - (weights @ cx / count) ** 2 + weights @ (cy * cy) / count - (weights @ cy / count) ** 2
    chance = spread + (mx - my) ** 2
    return 1 - _divided(mean(weights, (x - y) ** 2), chance, least=1e-12)


def mix_distance(weights: Floats, table: Floats) -> Floats:
    """Half the summed difference of two mixes: 0 equal, 1 nothing in common. `table`: a row per page, the counts of one, then of the other."""
    ours, theirs = np.split(weights @ table, 2, axis=1)
    ours, theirs = ours / ours.sum(axis=1, keepdims=True), theirs / theirs.sum(axis=1, keepdims=True)
    distances: Floats = abs(ours - theirs).sum(axis=1) / 2
    return distances


def _ranks(weights: Floats, x: Floats) -> Floats:
    """The middle rank of each value among the drawn ones (draws × values)."""
    _, group = np.unique(x, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    held = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(held, axis=1) - held / 2
    ranks: Floats = middle[:, group]
    return ranks


def _divided(x: Floats, by: Floats, *, least: float) -> Floats:
    """x / by; not-a-number if `by` is not above `least`, because such a divisor comes from rounding alone."""
    return np.divide(x, by, out=np.full_like(by, np.nan), where=by > least)
