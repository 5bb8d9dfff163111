"""The figures on real pages: the stored insights, the same moved, their halves, and the baseline's row."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.evaluation import DRAWS, STEADY_DRAWS, Stored, halves_called, load, lowered, shifts_called

pytestmark = pytest.mark.sample
SCORES = {"insights.surprising", "insights.important", "insights.actionable"}


@pytest.fixture(scope="module")
def stored(sample: Path) -> Stored:
    return load(sample)


def test_all_stored_values_are_read(stored: Stored) -> None:
    pages = stored.answers.pages.values()
    assert sum(page.summary is not None for page in pages) == 159
    assert sum(len(page.insights or ()) for page in pages) == 394
    assert sum(bool(page.ratings) for page in pages) == 164
    assert stored.answers.notices == ()


def test_all_scores_lowered_by_one_light_up(stored: Stored) -> None:
    assert {shift.field for shift in lowered(stored, 1.0).called} == SCORES


def test_lowered_by_a_third_with_noise_is_called_every_time_and_noise_alone_hardly_ever(stored: Stored) -> None:
    called = shifts_called(stored, draws=20)
    assert called[0.3] == 20
    assert called[0.0] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("split", ["pages", "insights"])
def test_random_halves_are_not_called_in_95_of_100_draws(stored: Stored, split: str) -> None:
    assert DRAWS - halves_called(stored, split) >= STEADY_DRAWS
