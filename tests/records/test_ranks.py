"""Ranks and recommended score."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from enrich.records.record import _ranks, days_since, recommended_score

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)


def record(**values: Any) -> dict[str, Any]:
    none = {"id": "p", "lastUpdated": None, "wordCount": 0, "quality": None, "readerImportance": None, "tacticalValue": None}
    return none | {"updateFrequency": 30, "evergreen": True} | values


def test_ranks_go_by_size_and_ties_keep_their_order() -> None:
    assert _ranks([5, None, 7.5, 5, 0]) == [2, None, 1, 3, 4]


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
