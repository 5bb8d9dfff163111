"""Drift is reported if scores moved, and not if they only varied."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.evaluation import DRAWS, STEADY_DRAWS, Stored, halves_called, load, lowered, shifts_called

# Verdicts are checked on hundreds of sets: through the command line that takes minutes.
from enrich.evaluation.answers import AnswerSet, PageAnswers
from enrich.evaluation.drift import Drift, Shift, compare
from tests.evaluation.sets import insight_text, moved, rated, scored

SCORES = {"insights.surprising", "insights.important", "insights.actionable"}


def called(drift: Drift) -> set[str]:
    return {shift.field for shift in drift.called}


def shift(drift: Drift, field: str) -> Shift:
    return next(one for one in drift.shifts if one.field == field)


def draw(seed: int, pages: int = 40, each: int = 4, first: int = 0) -> AnswerSet:
    """Scores whose pages differ from each other more than their insights do."""
    rng = random.Random(seed)
    level = {page: rng.gauss(3, 0.4) for page in range(first, first + pages)}
    return scored(pages, lambda page, number: min(5, max(1, level[page] + rng.gauss(0, 0.4))), each=each, first=first)


def test_a_global_shift_of_one_is_called_and_named_as_such() -> None:
    before = draw(1)
    drift = compare(before, moved(before, lambda score: score - 1.0))
    assert called(drift) == SCORES
    found = shift(drift, "insights.important")
    assert found.shift == pytest.approx(-1.0)
    assert (found.basis, found.items, found.pages) == ("items", 160, 40)
    assert found.reason.startswith("nearly every value moved by exactly -1.00")
    assert found.low <= -1 + 1e-9 and found.high >= -1 - 1e-9


def test_a_shift_of_a_third_under_noise_is_called_and_noise_alone_is_not() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        before = draw(seed)
        assert called(compare(before, moved(before, lambda score: score - 0.3 + rng.gauss(0, 0.5)), seed=seed)) == SCORES, seed  # noqa: B023
    noisy = 0
    for seed in range(60):
        rng = random.Random(1000 + seed)
        before = draw(seed)
        noisy += bool(compare(before, moved(before, lambda score: score + rng.gauss(0, 0.5)), seed=seed).called)  # noqa: B023
    assert noisy <= 3


def test_a_shift_too_small_to_matter_is_not_called_however_sure() -> None:
    before = draw(1, pages=60)
    drift = compare(before, moved(before, lambda score: score + 0.05))
    assert not drift.called
    assert shift(drift, "insights.surprising").chance < 0.01
    assert shift(drift, "insights.surprising").reason.startswith("too small to matter")
    assert not compare(before, before).called


def test_groups_of_other_pages_are_compared_as_groups() -> None:
    one, same, lower = draw(3), draw(4, first=100), moved(draw(4, first=100), lambda score: score - 1)
    steady = compare(one, same)
    assert not steady.called
    assert shift(steady, "insights.surprising").basis == "groups"
    assert called(compare(one, lower)) >= SCORES


def test_other_insights_on_the_same_pages_are_compared_by_page() -> None:
    before = draw(5)
    pages = {}
    for place, (page, given) in enumerate(before.pages.items()):
        insights = tuple(
            one.model_copy(update={"text": insight_text(place + 500, number)}) for number, one in enumerate(given.insights or ())
        )
        pages[page] = PageAnswers(page=page, insights=insights)
    reworded = AnswerSet("reworded", pages)
    assert shift(compare(before, reworded), "insights.surprising").basis == "pages"
    assert not compare(before, reworded).called
    assert called(compare(before, moved(reworded, lambda score: score - 1))) == SCORES


def test_one_drifting_rating_is_found_among_steady_ones() -> None:
    rng = random.Random(8)
    names = ("novelty", "rigor", "actionability", "completeness")
    before = {name: [rng.gauss(5, 1.5) for _ in range(50)] for name in names}
    after = {name: [value + rng.gauss(0, 0.7) + (0.8 if name == "rigor" else 0) for value in series] for name, series in before.items()}
    assert called(compare(rated(before), rated(after))) == {"ratings.rigor"}


def test_seven_pages_are_too_few_and_eight_are_enough() -> None:
    before = draw(9, pages=7)
    drift = compare(before, moved(before, lambda score: score - 1))
    assert not drift.called
    assert shift(drift, "insights.surprising").verdict == "too-few"
    enough = draw(10, pages=8)
    assert called(compare(enough, moved(enough, lambda score: score - 1))) == SCORES


@pytest.mark.parametrize("split", ["pages", "items"])
def test_halves_of_the_same_data_are_rarely_called(split: str) -> None:
    whole = draw(20, pages=60)
    wrong = 0
    for seed in range(60):
        rng = random.Random(seed)
        halves: tuple[dict[str, PageAnswers], dict[str, PageAnswers]] = ({}, {})
        for page, given in whole.pages.items():
            insights = list(given.insights or ())
            rng.shuffle(insights)
            if split == "pages":
                halves[rng.random() < 0.5][page] = given
            else:
                for half, part in zip(halves, (insights[:2], insights[2:]), strict=True):
                    half[page] = PageAnswers(page=page, insights=tuple(part))
        wrong += bool(compare(AnswerSet("one", halves[0]), AnswerSet("other", halves[1]), seed=seed).called)
    assert wrong <= 3


@pytest.fixture(scope="module")
def stored(sample: Path) -> Stored:
    return load(sample)


@pytest.mark.sample
def test_all_stored_values_are_read(stored: Stored) -> None:
    pages = stored.answers.pages.values()
    assert sum(page.summary is not None for page in pages) == 159
    assert sum(len(page.insights or ()) for page in pages) == 394
    assert sum(bool(page.ratings) for page in pages) == 164
    assert stored.answers.notices == ()


@pytest.mark.sample
def test_all_scores_lowered_by_one_light_up(stored: Stored) -> None:
    assert {shift.field for shift in lowered(stored, 1.0).called} == SCORES


@pytest.mark.sample
def test_lowered_by_a_third_with_noise_is_called_every_time_and_noise_alone_hardly_ever(stored: Stored) -> None:
    called = shifts_called(stored, draws=20)
    assert called[0.3] == 20
    assert called[0.0] <= 1


@pytest.mark.sample
@pytest.mark.slow
@pytest.mark.parametrize("split", ["pages", "insights"])
def test_random_halves_are_not_called_in_95_of_100_draws(stored: Stored, split: str) -> None:
    assert DRAWS - halves_called(stored, split) >= STEADY_DRAWS
