"""The words of the Page Status card: labels, ages, frequencies and due dates (FIELDS.md section 10). Pure functions of numbers."""

from __future__ import annotations

import math
from typing import Literal

Light = Literal["green", "amber", "red"]

_QUALITY = ((80, "Comprehensive"), (60, "Good"), (40, "Adequate"), (20, "Draft"), (-math.inf, "Stub"))
_READER = ((90, "Essential"), (70, "High"), (50, "Useful"), (30, "Reference"), (-math.inf, "Peripheral"))
_RESEARCH = ((90, "Critical"), (70, "High"), (50, "Moderate"), (30, "Low"), (-math.inf, "Minimal"))
_FREQUENCY = (
    (3, "every 3 days"),
    (7, "weekly"),
    (14, "biweekly"),
    (21, "every 3 weeks"),
    (30, "monthly"),
    (45, "every 6 weeks"),
    (60, "bimonthly"),
    (90, "quarterly"),
)
# The later of the two versions of FIELDS.md section 10: below 14 days in days, below 60 in weeks.
_DAYS, _WEEKS = 14, 60
RATING_GAP = 20  # points between quality and what the structure suggests, from which the card warns


def quality_label(quality: float) -> str:
    return _label(quality, _QUALITY)


def reader_label(importance: float) -> str:
    return _label(importance, _READER)


def research_label(importance: float) -> str:
    return _label(importance, _RESEARCH)


def age(days: int) -> str:
    """How long ago: whole days, also below zero for a date to come."""
    if days <= 0:
        return "today"
    if days < _DAYS:
        return "1 day ago" if days == 1 else f"{days} days ago"
    if days < _WEEKS:
        return f"{rounded(days / 7)} weeks ago"
    return f"{rounded(days / 30)} months ago"


def every(days: int) -> str:
    """How often, for a number of days between two looks."""
    for limit, words in _FREQUENCY:
        if days <= limit:
            return words
    return f"every {rounded(days / 30)} months"


def due(frequency: int, days_since: int) -> tuple[str, Light]:
    """When the next look is due, and how pressing it is."""
    left = frequency - days_since
    if left < 0:
        return f"Overdue by {_days(-left)}", "red"
    if left == 0:
        return "Due today", "amber"
    if left <= 7:
        return f"Due in {_days(left)}", "amber"
    weeks = rounded(left / 7)
    return f"Due in {weeks} week{'s' * (weeks != 1)}", "green"


def words_text(words: int) -> str:
    """A number of words as the card shows it: from 1000 on in thousands with one decimal."""
    return str(words) if words < 1000 else f"{rounded(words / 100) / 10:.1f}k"


def score_light(score: float) -> Light:
    """The colour of a structural score of 0 to 15."""
    return "green" if score >= 10 else "amber" if score >= 6 else "red"


def coverage_light(passing: int, total: int) -> Light:
    """The colour of the coverage badge (FIELDS.md section 8)."""
    share = passing / total if total else 0
    return "green" if share >= 0.75 else "amber" if share >= 0.5 else "red"


def number_text(value: float) -> str:
    """A number without a needless `.0`."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def rounded(value: float) -> int:
    """Half up, as the reference rounds (FIELDS.md, Conventions)."""
    return math.floor(value + 0.5)


def _label(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    return next(label for least, label in steps if value >= least)


def _days(days: int) -> str:
    return f"{days} day{'s' * (days != 1)}"
