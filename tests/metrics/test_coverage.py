"""Coverage: targets by format and length, and the colour of each item."""

from __future__ import annotations

from typing import Any

from enrich.metrics import CoverageFacts, coverage, structure
from enrich.metrics.coverage import badge, coverage_targets, ratings_text
from enrich.wiki.profile import load_profile

PROFILE = load_profile()


def covered(body: str, content_format: str = "article", **facts: Any) -> dict[str, Any]:
    given = {"has_summary": False, "has_schedule": False, "is_entity": False, "references": 0} | facts
    return coverage(structure(body, PROFILE), CoverageFacts(**given), content_format, PROFILE.coverage)


def test_targets_grow_with_the_words_and_round_halves_up() -> None:
    assert coverage_targets(4336, "article", PROFILE.coverage) == {
        "tables": 17,
        "diagrams": 2,
        "internalLinks": 35,
        "externalLinks": 22,
        "footnotes": 13,
        "references": 13,
    }
    assert coverage_targets(0, "article", PROFILE.coverage)["internalLinks"] == 3
    assert coverage_targets(625, "article", PROFILE.coverage)["tables"] == 3  # 2.5
    assert coverage_targets(1000, "poem", PROFILE.coverage) == coverage_targets(1000, "article", PROFILE.coverage)


def test_items_are_green_amber_or_red() -> None:
    record = covered("|a|\n|---|\n|b|\n[x](https://e.org)" + " word" * 1000, has_summary=True, references=9)
    assert record["items"] == {
        "llmSummary": "green",
        "schedule": "red",
        "entity": "red",
        "editHistory": "red",
        "overview": "red",
        "tables": "amber",
        "diagrams": "red",
        "internalLinks": "red",
        "externalLinks": "amber",
        "footnotes": "red",
        "references": "green",
        "quotes": "red",
        "accuracy": "red",
    }
    assert (record["passing"], record["total"]) == (2, 13)


def test_only_some_formats_want_an_overview_and_a_target_of_nothing_wants_something() -> None:
    record = covered("", "index")
    assert "overview" not in record["items"]
    assert record["total"] == 12
    assert record["items"]["diagrams"] == "red"
    assert covered("```mermaid\n```", "index")["items"]["diagrams"] == "green"


def test_ratios_and_history_show_where_they_are_known() -> None:
    record = covered("", quotes=(3, 4), accuracy=(1, 4), edit_history=2)
    assert (record["items"]["quotes"], record["items"]["accuracy"], record["items"]["editHistory"]) == ("green", "amber", "green")
    assert record["editHistoryCount"] == 2
    assert "editHistoryCount" not in covered("")


def test_ratings_are_shown_in_short_where_they_are() -> None:
    assert ratings_text({"novelty": 4.5, "rigor": 7.0, "focus": 3, "completeness": 0}) == "N:4.5 R:7 C:0"
    assert "ratingsString" not in covered("", ratings=None)
    assert badge(9, 12) == "green"
    assert badge(6, 12) == "amber"
    assert badge(5, 12) == "red"
