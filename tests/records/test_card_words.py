"""The card's words at their borders (FIELDS.md section 10)."""

from __future__ import annotations

import pytest

from enrich.records import card_words as words


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (100, "Comprehensive"),
        (80, "Comprehensive"),
        (79.5, "Good"),
        (60, "Good"),
        (59, "Adequate"),
        (40, "Adequate"),
        (39, "Draft"),
        (20, "Draft"),
        (19, "Stub"),
        (0, "Stub"),
    ],
)
def test_quality_labels(value: float, label: str) -> None:
    assert words.quality_label(value) == label


@pytest.mark.parametrize(
    ("value", "reader", "research"),
    [
        (90, "Essential", "Critical"),
        (89.5, "High", "High"),
        (70, "High", "High"),
        (69.5, "Useful", "Moderate"),
        (50, "Useful", "Moderate"),
        (49.5, "Reference", "Low"),
        (30, "Reference", "Low"),
        (29.5, "Peripheral", "Minimal"),
        (0, "Peripheral", "Minimal"),
    ],
)
def test_importance_labels(value: float, reader: str, research: str) -> None:
    assert (words.reader_label(value), words.research_label(value)) == (reader, research)


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (-3, "today"),
        (0, "today"),
        (1, "1 day ago"),
        (2, "2 days ago"),
        (13, "13 days ago"),
        (14, "2 weeks ago"),
        (17, "2 weeks ago"),
        (18, "3 weeks ago"),
        (59, "8 weeks ago"),
        (60, "2 months ago"),
        (74, "2 months ago"),
        (75, "3 months ago"),
        (365, "12 months ago"),
    ],
)
def test_ages(days: int, text: str) -> None:
    assert words.age(days) == text


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (1, "every 3 days"),
        (3, "every 3 days"),
        (4, "weekly"),
        (7, "weekly"),
        (8, "biweekly"),
        (14, "biweekly"),
        (15, "every 3 weeks"),
        (21, "every 3 weeks"),
        (22, "monthly"),
        (30, "monthly"),
        (31, "every 6 weeks"),
        (45, "every 6 weeks"),
        (46, "bimonthly"),
        (60, "bimonthly"),
        (61, "quarterly"),
        (90, "quarterly"),
        (91, "every 3 months"),
        (105, "every 4 months"),
        (365, "every 12 months"),
    ],
)
def test_frequencies(days: int, text: str) -> None:
    assert words.every(days) == text


@pytest.mark.parametrize(
    ("since", "text", "light"),
    [
        (32, "Overdue by 2 days", "red"),
        (31, "Overdue by 1 day", "red"),
        (30, "Due today", "amber"),
        (29, "Due in 1 day", "amber"),
        (23, "Due in 7 days", "amber"),
        (22, "Due in 1 week", "green"),
        (19, "Due in 2 weeks", "green"),
        (0, "Due in 4 weeks", "green"),
    ],
)
def test_when_a_page_looked_at_every_30_days_is_due(since: int, text: str, light: str) -> None:
    assert words.due(30, since) == (text, light)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (999, "999"), (1000, "1.0k"), (1049, "1.0k"), (1050, "1.1k"), (4370, "4.4k"), (12345, "12.3k")]
)
def test_words(count: int, text: str) -> None:
    assert words.words_text(count) == text


def test_lights() -> None:
    assert [words.score_light(score) for score in (15, 10, 9, 6, 5, 0)] == ["green", "green", "amber", "amber", "red", "red"]
    assert [words.coverage_light(passing, 12) for passing in (9, 8, 6, 5)] == ["green", "amber", "amber", "red"]
    assert words.coverage_light(0, 0) == "red"


def test_numbers_carry_no_needless_decimals() -> None:
    assert [words.number_text(value) for value in (63, 63.0, 62.5, 0.1)] == ["63", "63", "62.5", "0.1"]
