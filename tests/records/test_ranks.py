"""Ranks, recommended score and the update schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from enrich.records.ranks import days_since, ranks, recommended_score, update_schedule

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)


def record(**values: Any) -> dict[str, Any]:
    none = {"id": "p", "lastUpdated": None, "wordCount": 0, "quality": None, "readerImportance": None, "tacticalValue": None}
    return none | {"updateFrequency": 30, "evergreen": True} | values


def test_ranks_go_by_size_and_ties_keep_their_order() -> None:
    assert ranks([5, None, 7.5, 5, 0]) == [2, None, 1, 3, 4]


def test_the_score_weighs_freshness_quality_importance_and_length() -> None:
    assert recommended_score(record(), NOW) == 0
    assert recommended_score(record(quality=50, readerImportance=40, wordCount=999), NOW) == 121.5
    assert recommended_score(record(lastUpdated="2026-03-13"), NOW) == 19.92
    assert recommended_score(record(lastUpdated="some day"), NOW) == 0


def test_days_count_from_midnight_utc() -> None:
    assert days_since("2026-03-13", NOW) == 0.5
    assert days_since("2026-03", NOW) == 12.5
    assert days_since("2026-03-13T06:00:00+06:00", NOW) == 0.5
    assert days_since(None, NOW) is None


def test_the_schedule_puts_stale_and_important_pages_first() -> None:
    pages = [
        record(id="fresh", lastUpdated="2026-03-13"),
        record(id="undated"),
        record(id="weighty", lastUpdated="2026-02-11", readerImportance=40, tacticalValue=80),
        record(id="exempt", evergreen=False),
        record(id="unscheduled", updateFrequency=None),
    ]
    found = update_schedule(pages, NOW)
    assert [page.id for page in found] == ["undated", "weighty", "fresh"]
    assert (found[0].days, found[0].staleness, found[0].priority) == (999, 33.3, 16.65)
    assert (found[1].days, found[1].priority) == (30, 0.6)
