"""The comparison of insights: which of two lists are the same, and whether they state the same. Inner functions, because four packages use
them with thresholds of their own."""

from __future__ import annotations

from collections import Counter

import pytest

from enrich import PageIndex
from enrich.grounding.likeness import likeness, same_insights, same_statement
from tests.demo import cases

CASES = cases(__file__)

OIL = ("The lamp burns two barrels of oil a night.", "two barrels of oil")
FOG = ("Fog hides the lamp on forty days a year.", "forty days")
OIL_AGAIN = ("The lamp burns two barrels of oil every night.", "")


def test_insights_are_paired_by_evidence_first_then_by_likeness() -> None:
    assert same_insights([OIL, FOG], [FOG, OIL], 0.8) == {0: 1, 1: 0}
    assert same_insights([OIL_AGAIN], [FOG, OIL], 0.8) == {0: 1}
    assert same_insights([("Other words altogether", "**forty**  days")], [OIL_AGAIN, FOG], 0.8) == {0: 1}
    # Each is used once, and the one with the same evidence takes it although the other comes first.
    assert same_insights([OIL_AGAIN, OIL], [OIL], 0.8) == {1: 0}


def test_the_threshold_and_the_measure_decide() -> None:
    assert likeness(OIL[0], OIL_AGAIN[0]) == pytest.approx(16 / 18)
    assert same_insights([OIL], [OIL_AGAIN], 0.9) == {}
    assert same_insights([OIL], [OIL_AGAIN], 0.9, lambda text: Counter({word for word in text.lower().split() if len(word) > 5})) == {0: 0}
    assert likeness("", "") == 1
    assert likeness("", "oil") == 0


@pytest.mark.parametrize(("other", "same"), CASES["numbers_and_turning_words_make_another_statement"])
def test_numbers_and_turning_words_make_another_statement(other: str, same: bool) -> None:
    assert same_statement("The lamp burns two barrels of oil.", other) is same


@pytest.mark.parametrize("text", ["Tenfold million gains.", "It doubled hundred times.", "Two thirds thousand."])
def test_a_scale_behind_a_word_without_a_value_is_not_read(text: str) -> None:
    PageIndex("Words.").check(text)
