"""Coverage: targets by format and length, and the colour of each item (exact values of a record's field, one rule at a time)."""

from __future__ import annotations

from typing import Any

import pytest

from enrich.metrics.coverage import CoverageFacts, coverage, coverage_targets, ratings_text
from enrich.metrics.structure import structure
from enrich.wiki.profile import load_profile

PROFILE = load_profile()


def covered(body: str, content_format: str = "article", **facts: Any) -> dict[str, Any]:
    given = {"has_summary": False, "has_schedule": False, "is_entity": False, "references": 0} | facts
    return coverage(structure(body, PROFILE), CoverageFacts(**given), content_format, PROFILE.coverage)


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        (4336, {"tables": 17, "diagrams": 2, "internalLinks": 35, "externalLinks": 22, "footnotes": 13, "references": 13}),
        (0, {"internalLinks": 3}),
        (625, {"tables": 3}),  # 2.5
    ],
)
def test_targets_grow_with_the_words_and_round_halves_up(words: int, targets: dict[str, int]) -> None:
    assert coverage_targets(words, "article", PROFILE.coverage).items() >= targets.items()
    assert coverage_targets(words, "poem", PROFILE.coverage) == coverage_targets(words, "article", PROFILE.coverage)


def test_items_are_green_amber_or_red() -> None:
    record = covered("|a|\n|---|\n|b|\n[x](https://e.org)" + " word" * 1000, has_summary=True, references=9)
    amber, green = {"tables", "externalLinks"}, {"llmSummary", "references"}
    assert list(record["items"]) == [
        *("llmSummary", "schedule", "entity", "editHistory", "overview", "tables", "diagrams", "internalLinks", "externalLinks"),
        *("footnotes", "references", "quotes", "accuracy"),
    ]
    assert record["items"] == {name: "green" if name in green else "amber" if name in amber else "red" for name in record["items"]}
    assert (record["passing"], record["total"]) == (2, 13)


def test_ratings_are_shown_in_short_where_they_are_known() -> None:
    assert "ratingsString" not in covered("")
    assert ratings_text({"novelty": 4.5, "rigor": 7.0, "focus": 3, "completeness": 0}) == "N:4.5 R:7 C:0"
