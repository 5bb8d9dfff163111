"""Word diffs: what stayed, went and came, and nothing lost on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enrich.review.words import word_diff

WORDS = st.lists(st.sampled_from(["the", "cost", "rose", "12%", "$5", ",", "1984", "a\u202eb", "", "été"]), max_size=30).map(" ".join)


def test_only_the_words_that_differ_are_marked() -> None:
    assert word_diff("It costs $5 a page.", "It costs $7 a page.") == [("=", "It costs $"), ("-", "5"), ("+", "7"), ("=", " a page.")]


def test_a_number_is_one_word() -> None:
    assert ("-", "1,234.5") in word_diff("It made 1,234.5 units last year.", "It made 1,934.5 units last year.")


def test_texts_with_little_in_common_stand_one_after_the_other() -> None:
    old, new = "Herring avoid the dam.", "Turbines were replaced in spring by larger ones."
    assert word_diff(old, new) == [("-", old), ("+", new)]


def test_neighbouring_changes_are_one_change() -> None:
    pieces = word_diff("They said that red wood burns well here.", "They said that old peat burns well here.")
    assert ("-", "red wood") in pieces
    assert ("+", "old peat") in pieces


@given(WORDS, WORDS)
def test_both_texts_come_back_from_the_pieces(old: str, new: str) -> None:
    pieces = word_diff(old, new)
    assert "".join(text for mark, text in pieces if mark != "+") == old
    assert "".join(text for mark, text in pieces if mark != "-") == new
    assert all(text for _, text in pieces)
