"""Statistics against known values and scipy, and intervals that contain the truth as often as they say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from scipy import stats

# The statistics are checked against scipy and simulations, which needs the functions themselves.
from enrich.evaluation.statistics import Resampling, deviation, difference, mean, median, quadratic_kappa, spearman


def plain(statistic: object, *columns: Sequence[float]) -> float:
    arrays = [np.asarray(column, dtype=float) for column in columns]
    return float(statistic(np.ones((1, len(arrays[0]))), *arrays)[0])  # type: ignore[operator]


def rows(pages: Sequence[str], *columns: Iterable[float]) -> list[tuple[object, ...]]:
    return list(zip(pages, *columns, strict=True))


def table_kappa(x: Sequence[int], y: Sequence[int]) -> float:
    """Cohen's weighted kappa as textbooks give it: from the table of both raters' classes."""
    classes = range(min(*x, *y), max(*x, *y) + 1)
    seen = np.array([[sum(a == i and b == j for a, b in zip(x, y, strict=True)) for j in classes] for i in classes]) / len(x)
    chance = np.outer(seen.sum(axis=1), seen.sum(axis=0))
    weight = np.array([[(i - j) ** 2 for j in classes] for i in classes])
    return 1 - float((weight * seen).sum() / (weight * chance).sum())


def test_kappa_is_the_table_s_on_whole_numbers() -> None:
    # Worked by hand: one disagreement of one class among four; E(x-y)² = 1/4, by chance 11/8.
    assert plain(quadratic_kappa, [1, 2, 3, 3], [1, 2, 3, 2]) == pytest.approx(1 - 0.25 / 1.25)
    rng = np.random.default_rng(3)
    for _ in range(30):
        x = rng.integers(0, 11, 40).tolist()
        y = np.clip(np.array(x) + rng.integers(-3, 4, 40), 0, 10).tolist()
        assert plain(quadratic_kappa, x, y) == pytest.approx(table_kappa(x, y), abs=1e-12)


def test_spearman_with_ties_is_scipy_s() -> None:
    rng = np.random.default_rng(5)
    for size in (5, 30, 200):
        x = np.round(rng.normal(5, 1, size) * 2) / 2
        y = np.round((x + rng.normal(0, 1, size)) * 2) / 2
        assert plain(spearman, x.tolist(), y.tolist()) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert math.isnan(plain(spearman, [3, 3, 3, 3], [1, 2, 3, 4]))


def test_weights_are_repetitions() -> None:
    """A draw's figure is the figure of the data with its pages written out as often as they were drawn."""
    rng = np.random.default_rng(7)
    x, y = np.round(rng.normal(5, 1, 25), 1), np.round(rng.normal(5, 1, 25), 1)
    counts = rng.integers(0, 4, (20, 25)).astype(float)
    for row in counts:
        a, b = np.repeat(x, row.astype(int)), np.repeat(y, row.astype(int))
        weights = row[None, :]
        assert spearman(weights, x, y)[0] == pytest.approx(stats.spearmanr(a, b).statistic)
        assert median(weights, x)[0] == pytest.approx(np.median(a))
        assert deviation(weights, x)[0] == pytest.approx(a.std(ddof=1))
        assert mean(weights, x)[0] == pytest.approx(a.mean())
        assert quadratic_kappa(weights, x, y)[0] == pytest.approx(
            1 - ((a - b) ** 2).mean() / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
        )


def test_an_interval_holds_the_truth_about_as_often_as_it_says_where_a_page_s_values_hang_together() -> None:
    rng = np.random.default_rng(11)
    held = naive = 0
    trials, pages, each = 300, 40, 4
    names = [f"p{at}" for at in range(pages)]
    owners = [name for name in names for _ in range(each)]
    draws = Resampling(names, draws=400, seed=1)
    for _ in range(trials):
        values = (rng.normal(0, 1, pages)[:, None] + rng.normal(0, 0.5, (pages, each))).ravel()
        found = draws.estimate(mean, rows(owners, values))
        assert found.low is not None and found.high is not None
        held += found.low <= 0 <= found.high
        # Had every value been its own page, the interval would be far too narrow.
        naive += abs(values.mean()) <= 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    assert 0.90 <= held / trials <= 0.98
    assert naive / trials < 0.80


def test_a_share_of_none_or_all_keeps_its_doubt() -> None:
    names = [f"p{at}" for at in range(20)]
    none = Resampling(names, draws=50).estimate(mean, rows(names, [False] * 20))
    exact = stats.binomtest(0, 20).proportion_ci(0.95, method="exact")
    assert none.low == 0.0
    assert none.high == pytest.approx(exact.high)
    every = Resampling(names, draws=50).estimate(mean, rows(names, [True] * 20))
    assert every.low == pytest.approx(1 - exact.high)
    assert every.high == 1.0


def test_what_is_not_defined_has_neither_value_nor_interval() -> None:
    draws = Resampling(["a", "b", "c"], draws=100)
    nothing = draws.estimate(mean, [])
    assert (nothing.value, nothing.low, nothing.items) == (None, None, 0)
    flat = draws.estimate(spearman, rows("abc", [1, 1, 1], [1, 2, 3]))
    assert (flat.value, flat.low, flat.high) == (None, None, None)
    assert difference(flat, draws.estimate(mean, rows("abc", [1, 2, 3]))) is None
