"""Coverage: what a page has of what a page of its format and length should have (FIELDS.md section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from enrich.metrics.javascript import js_round, number_text
from enrich.metrics.structure import Structure
from enrich.wiki.profile import Coverage, CoverageTargets

Colour = Literal["green", "amber", "red"]

_RATINGS = (("N", "novelty"), ("R", "rigor"), ("A", "actionability"), ("C", "completeness"))


@dataclass(frozen=True, slots=True)
class CoverageFacts:
    """Facts about a page beside its structure."""

    has_summary: bool
    has_schedule: bool
    is_entity: bool
    references: int
    ratings: Any = None


def coverage(
    page: Structure, facts: CoverageFacts, content_format: str, rules: Coverage, default_format: str = "article"
) -> dict[str, Any]:
    """The record's `coverage`: passing and total items, targets, actual counts, one colour for each item, and the ratings in short.

    The reference build also counts edits and checked quotes from its database; without one they are always zero.
    """
    targets = coverage_targets(page.word_count, content_format, rules, default_format)
    actuals = {
        "tables": page.table_count,
        "diagrams": page.diagram_count,
        "internalLinks": page.internal_links,
        "externalLinks": page.external_links,
        "footnotes": page.footnote_count,
        "references": facts.references,
    }
    items: dict[str, Colour] = {
        "llmSummary": _flag(facts.has_summary),
        "schedule": _flag(facts.has_schedule),
        "entity": _flag(facts.is_entity),
        "editHistory": "red",
    }
    if content_format in rules.overview_formats:
        items["overview"] = _flag(page.has_overview)
    items.update({name: _count(actuals[name], target) for name, target in targets.items()})
    items["quotes"] = items["accuracy"] = "red"
    record: dict[str, Any] = {
        "passing": sum(1 for colour in items.values() if colour == "green"),
        "total": len(items),
        "targets": targets,
        "actuals": {**actuals, "quotesWithQuotes": 0, "quotesTotal": 0, "accuracyChecked": 0, "accuracyTotal": 0},
        "items": items,
    }
    text = ratings_text(facts.ratings)
    if text:
        record["ratingsString"] = text
    return record


def coverage_targets(words: int, content_format: str, rules: Coverage, default_format: str = "article") -> dict[str, int]:
    """How many of each item a page of `words` words should have. A format without targets has those of the default format."""
    targets = rules.targets.get(content_format) or rules.targets.get(default_format) or CoverageTargets()
    return {name: max(target.min, js_round(words / 1000 * target.rate)) for name, target in targets}


def ratings_text(ratings: Any) -> str:
    """The ratings in short, such as `N:4.5 R:6.8 A:5.2 C:7.5`; missing ones are left out."""
    if not isinstance(ratings, Mapping):
        return ""
    return " ".join(f"{letter}:{_text(ratings[name])}" for letter, name in _RATINGS if ratings.get(name) is not None)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, (int, float)) else str(value)


def _flag(present: bool) -> Colour:
    return "green" if present else "red"


def _count(actual: int, target: int) -> Colour:
    if target == 0:
        return _flag(actual > 0)
    return "green" if actual >= target else "amber" if actual > 0 else "red"
