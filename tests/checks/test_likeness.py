"""Near-duplicates: the same pairs as comparing all with all."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrich.checks.likeness import near_duplicates, word_pairs

_WORDS = st.lists(st.sampled_from(["lamp", "fog", "lens", "keeper", "of", "storm", "wick"]), max_size=9).map(" ".join)


@given(st.lists(_WORDS, max_size=14), st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_no_pair_is_missed_and_none_made_up(texts: list[str], threshold: float) -> None:
    brute = set()
    for (i, first), (j, second) in combinations(enumerate(texts), 2):
        a, b = word_pairs(first), word_pairs(second)
        if a and b and len(a & b) / len(a | b) >= threshold:
            brute.add((i, j))
    assert {(i, j) for i, j, _ in near_duplicates(texts, threshold)} == brute


def test_words_of_two_letters_case_and_punctuation_do_not_count() -> None:
    pairs = list(near_duplicates(["The lamp is of brass, and old.", "the LAMP brass and old"], 0.7))
    assert pairs == [(0, 1, 1.0)]


@pytest.mark.parametrize(("text", "pairs"), [("", 0), ("of it", 0), ("lamp", 1), ("lamp lamp", 1), ("the old lamp", 2)])
def test_how_many_pairs_a_text_has(text: str, pairs: int) -> None:
    assert len(word_pairs(text)) == pairs
