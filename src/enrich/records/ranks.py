"""Where a page stands among the others, how much it is recommended, and when it should be looked at (FIELDS.md section 9)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from enrich.metrics.javascript import js_round, number

DAY = 86_400.0
HALF_LIFE = 120  # days after which the freshness of a page is down to 1/e
NEVER = 999  # days, for a page without a date
DEFAULT_IMPORTANCE = 50.0


def ranks(values: Sequence[float | None]) -> list[int | None]:
    """Each value's place from 1, largest first, equal values in the given order; None for none."""
    order = sorted((place for place, value in enumerate(values) if value is not None), key=lambda place: -(values[place] or 0.0))
    found: list[int | None] = [None] * len(values)
    for rank, place in enumerate(order, 1):
        found[place] = rank
    return found


def recommended_score(record: Mapping[str, Any], now: datetime) -> int | float:
    """How much a page is recommended at a moment: freshness, quality, importance and length, two decimals. It depends on the clock."""
    days = days_since(record["lastUpdated"], now)
    fresh = 0.0 if days is None else 10 * math.exp(-days / HALF_LIFE)
    words = record["wordCount"]
    length = min(2.0, math.log10(words + 1) - 1.5) if words else 0.0
    score = 2 * fresh + 2 * (record["quality"] or 0) + 0.5 * (record["readerImportance"] or 0) + length
    return number(js_round(100 * score) / 100)


def days_since(date: Any, now: datetime) -> float | None:
    """Days, with their fraction, from a date's midnight UTC to `now`; None for no date or none that can be read."""
    if not isinstance(date, str) or not date:
        return None
    text = date.strip()
    try:
        moment = datetime.fromisoformat({4: f"{text}-01-01", 7: f"{text}-01"}.get(len(text), text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (now - moment).total_seconds() / DAY


@dataclass(frozen=True, slots=True)
class DuePage:
    """One line of the update schedule: `staleness` is the share of its interval that has passed, `priority` weighs it by importance."""

    id: str
    days: int
    frequency: int
    staleness: float
    priority: float


def update_schedule(records: Iterable[Mapping[str, Any]], now: datetime) -> list[DuePage]:
    """The pages with an update frequency that are not evergreen-exempt, by priority (ties in page order)."""
    found = []
    for record in records:
        frequency = record["updateFrequency"]
        if not frequency or not record["evergreen"]:
            continue
        since = days_since(record["lastUpdated"], now)
        days = NEVER if since is None else math.floor(since)
        importance = DEFAULT_IMPORTANCE if record["readerImportance"] is None else record["readerImportance"]
        tactical = record["tacticalValue"]
        if tactical is not None and tactical > importance:
            importance = (importance + tactical) / 2
        staleness = days / frequency
        priority = js_round(staleness * importance / 100 * 100) / 100
        found.append(DuePage(record["id"], days, frequency, js_round(staleness * 100) / 100, priority))
    return sorted(found, key=lambda page: -page.priority)
