"""Quality as the structure suggests it and as the ratings give it (FIELDS.md sections 3 and 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from enrich.metrics.javascript import js_round
from enrich.metrics.structure import MAX_SCORE

Formula = Literal["four", "seven"]
Agreement = Literal["overrated", "slightly overrated", "agrees", "slightly underrated", "underrated"]

STUB_CAP = 35  # FIELDS.md sections 3 and 12: no stub is good
SHORT_CAP = 40  # FIELDS.md section 12: nor is a page of fewer than SHORT_WORDS words
SHORT_WORDS = 100
LARGE_DISCREPANCY = 20
MINOR_DISCREPANCY = 10
MISSING_RATING = 5.0  # the grader's value for a dimension it was not given

FOUR = ("novelty", "rigor", "actionability", "completeness")
# FIELDS.md section 12; the sum of each row differs, so the mean is weighted.
SEVEN_WEIGHTS: dict[str, dict[str, float]] = {
    "analysis": {
        "focus": 1.5,
        "novelty": 1.5,
        "rigor": 1.0,
        "completeness": 0.8,
        "concreteness": 1.5,
        "actionability": 1.2,
        "objectivity": 1.2,
    },
    "explainer": {
        "focus": 1.0,
        "novelty": 0.5,
        "rigor": 1.5,
        "completeness": 1.5,
        "concreteness": 1.0,
        "actionability": 0.5,
        "objectivity": 0.8,
    },
    "reference": {
        "focus": 1.0,
        "novelty": 0.8,
        "rigor": 1.5,
        "completeness": 1.5,
        "concreteness": 1.0,
        "actionability": 0.5,
        "objectivity": 1.0,
    },
}


def suggested_quality(score: int, content_format: str, page_type: Any = None) -> int:
    """0 to 100: the quality that a structural score of 0 to 15 suggests; 0 for overviews, at most 35 for stubs (FIELDS.md section 3)."""
    if content_format in ("index", "dashboard"):
        return 0
    suggested = js_round(score / MAX_SCORE * 100)
    return max(0, min(STUB_CAP if page_type == "stub" else 100, suggested))


def agreement(quality: float, suggested: float) -> Agreement:
    """How a page's quality stands to the suggested one: apart by 10 or more is slight, by 20 or more is not (FIELDS.md section 3)."""
    difference = quality - suggested
    if difference >= LARGE_DISCREPANCY:
        return "overrated"
    if difference >= MINOR_DISCREPANCY:
        return "slightly overrated"
    if difference < -LARGE_DISCREPANCY:
        return "underrated"
    if difference <= -MINOR_DISCREPANCY:
        return "slightly underrated"
    return "agrees"


def quality_from_ratings(
    ratings: Mapping[str, Any],
    *,
    prose_words: int,
    citations: int,
    formula: Formula = "four",
    content_type: str = "reference",
    page_type: Any = None,
) -> int | None:
    """0 to 100: the quality that the ratings (0 to 10 each) give for a page of this length and sourcing (FIELDS.md section 12).

    `prose_words` and `citations` are the grader's (`metrics.grading`). "seven" weighs the seven dimensions by `content_type` (an unknown
    one counts as reference) and takes 5 for a missing dimension; "four" is the older mean of novelty, rigor, actionability and
    completeness over those that are there. Stubs get at most 35 and, with "seven", pages under 100 words at most 40. None where there is
    no rating to go by.
    """
    given = {name: float(value) for name, value in ratings.items() if _is_number(value)}
    if formula == "seven":
        weights = SEVEN_WEIGHTS.get(content_type, SEVEN_WEIGHTS["reference"])
        if not given.keys() & weights.keys():
            return None
        mean = sum(given.get(name, MISSING_RATING) * weight for name, weight in weights.items()) / sum(weights.values())
        value = 8 * mean + min(8, prose_words / 600) + min(7, citations * 0.35)
        cap = min(STUB_CAP if page_type == "stub" else 100, SHORT_CAP if prose_words < SHORT_WORDS else 100)
    else:
        present = [given[name] for name in FOUR if name in given]
        if not present:
            return None
        value = 8 * (sum(present) / len(present)) + min(10, prose_words / 500) + min(10, citations / 2)
        cap = STUB_CAP if page_type == "stub" else 100
    return min(cap, js_round(max(0, value)))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
