"""Statistics of resampled pages: every one is a function of weights, so one definition gives the figure and its bootstrap interval.

A bootstrap draw takes as many pages as there are, with replacement; all values of a page go with it, since what is said of one page hangs
together. So a draw is a count for each page, and a statistic of `weights` (draws × values, the count of each value's page) and one or more
columns of values gives one number a draw, not-a-number where it is not defined. With a single row of ones it is the plain statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
else:
    Floats = Integers = Any

Statistic = Callable[..., Floats]
DRAWS = 2000  # the 2.5th percentile of so many moves by about 0.1 standard errors from seed to seed
LEVEL = 0.95
# Weights of this many cells are held at once (8 bytes each).
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; None where it is not defined. `items` values of `pages` pages went into it.

    `draws` are the bootstrap's figures, in the order of the draws: two estimates from one `Resampling` can be subtracted draw by draw.
    """

    value: float | None
    low: float | None
    high: float | None
    items: int
    pages: int
    draws: Floats = field(repr=False, compare=False)


class Resampling:
    """The same seeded draws of pages for every figure that is computed from them."""

    def __init__(self, pages: Sequence[str], *, draws: int = DRAWS, seed: int = 0) -> None:
        import numpy as np

        self.place = {page: place for place, page in enumerate(pages)}
        self.draws = draws
        count = max(1, len(pages))
        # Sampling with replacement, kept as counts.
        self._counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)

    def estimate(self, statistic: Statistic, pages: Sequence[str], *columns: Any, share: bool = False) -> Estimate:
        """`statistic` over values that belong to `pages` (one page for each value), with its interval.

        `share`: the values are 0 and 1; where all are alike a bootstrap knows no doubt, and the interval is the exact binomial one over pages.
        """
        import numpy as np

        arrays = [np.asarray(column, dtype=np.float64) for column in columns]
        held = len(set(pages))
        if not len(pages):
            return Estimate(None, None, None, 0, 0, np.full(self.draws, np.nan))
        places = np.array([self.place[page] for page in pages], dtype=np.int64)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = _number(statistic(np.ones((1, len(places))), *arrays)[0])
            step = max(1, _CELLS // len(places))
            parts = [statistic(self._counts[at : at + step][:, places], *arrays) for at in range(0, self.draws, step)]
        drawn = np.concatenate(parts)
        low, high = _interval(drawn)
        if share and value in (0.0, 1.0):
            # Clopper and Pearson's bound for none of n: 1 - (alpha/2)^(1/n).
            reach = 1 - ((1 - LEVEL) / 2) ** (1 / held)
            low, high = (0.0, reach) if value == 0 else (1 - reach, 1.0)
        return Estimate(value, low if value is not None else None, high if value is not None else None, len(places), held, drawn)


def difference(one: Estimate, other: Estimate) -> tuple[float, float] | None:
    """The 95 % interval of `one` − `other`, draw by draw; None where either is not defined."""
    return _checked(_interval(one.draws - other.draws)) if one.value is not None and other.value is not None else None


def _checked(bounds: tuple[float | None, float | None]) -> tuple[float, float] | None:
    low, high = bounds
    return None if low is None or high is None else (low, high)


def _interval(drawn: Floats) -> tuple[float | None, float | None]:
    import numpy as np

    sound = drawn[~np.isnan(drawn)]
    # Where most draws give nothing, the few that do say nothing about the doubt.
    if len(sound) < len(drawn) / 2:
        return None, None
    low, high = np.quantile(sound, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _number(value: Any) -> float | None:
    number = float(value)
    return None if number != number else number


# --- statistics: weights (draws × values), then columns (values) ---


def mean(weights: Floats, x: Floats) -> Floats:
    means: Floats = weights @ x / weights.sum(axis=1)
    return means


def deviation(weights: Floats, x: Floats) -> Floats:
    """Sample standard deviation."""
    import numpy as np

    count = weights.sum(axis=1)
    centre = mean(weights, x)
    squares = weights @ (x * x) - count * centre * centre
    return np.where(count > 1, np.sqrt(np.maximum(squares, 0) / (count - 1)), np.nan)


def median(weights: Floats, x: Floats) -> Floats:
    """The middle value; the mean of the two middle ones where their number is even."""
    import numpy as np

    order = np.argsort(x, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    low = x[order][np.argmax(reached >= half, axis=1)]
    high = x[order][np.argmax(reached > half, axis=1)]
    return np.where(reached[:, -1] > 0, (low + high) / 2, np.nan)


def absolute_error(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Mean absolute error."""
    return mean(weights, abs(x - y))


def bias(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Mean of x − y."""
    return mean(weights, x - y)


def spearman(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Spearman's rank correlation, ties at their middle rank; not defined where either column is constant."""
    return _correlation(weights, _ranks(weights, x), _ranks(weights, y))


def quadratic_kappa(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Cohen's kappa with quadratic weights, on the values as they are.

    1 − E(x−y)² / (var x + var y + (mean x − mean y)²): for whole numbers the usual table's figure; decimals need no rounding to classes.
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
    """Half the summed difference of two mixes: 0 the same, 1 nothing in common. `table`: a row a page, the one's counts, then the other's."""
    import numpy as np

    sums = weights @ table
    ours, theirs = np.split(sums, 2, axis=1)
    ours, theirs = ours / ours.sum(axis=1, keepdims=True), theirs / theirs.sum(axis=1, keepdims=True)
    distances: Floats = abs(ours - theirs).sum(axis=1) / 2
    return distances


def _ranks(weights: Floats, x: Floats) -> Floats:
    """The middle rank of each value among the drawn ones (draws × values)."""
    import numpy as np

    _, group = np.unique(x, return_inverse=True)
    held = np.zeros((weights.shape[0], int(group.max()) + 1))
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    held[:] = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(held, axis=1) - held / 2
    ranks: Floats = middle[:, group]
    return ranks


def _correlation(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Pearson's correlation of columns that differ from draw to draw (draws × values)."""
    import numpy as np

    count = weights.sum(axis=1, keepdims=True)
    dx = x - (weights * x).sum(axis=1, keepdims=True) / count
    dy = y - (weights * y).sum(axis=1, keepdims=True) / count
    sxx, syy = (weights * dx * dx).sum(axis=1), (weights * dy * dy).sum(axis=1)
    return _divided((weights * dx * dy).sum(axis=1), np.sqrt(sxx * syy), least=1e-9)


def _divided(x: Floats, by: Floats, *, least: float) -> Floats:
    """x / by; not-a-number where `by` is not above `least`: rounding alone makes such a divisor."""
    import numpy as np

    return np.divide(x, by, out=np.full_like(by, np.nan), where=by > least)
