"""What a page has of what a page of its format and length should have (FIELDS.md section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from enrich.metrics.javascript import is_falsy, js_round, number_text
from enrich.metrics.structure import Structure
from enrich.wiki.profile import Coverage, CoverageTargets

Colour = Literal["green", "amber", "red"]

COUNTED = tuple(CoverageTargets.model_fields)
GREEN_RATIO = 0.75  # of a ratio item, and of the passing items for a green badge
AMBER_RATIO = 0.5  # of the passing items for an amber badge
_RATINGS = (("N", "novelty"), ("R", "rigor"), ("A", "actionability"), ("C", "completeness"))


@dataclass(frozen=True, slots=True)
class CoverageFacts:
    """What stands on the page or is known about it, beyond its structure. `quotes` and `accuracy` are (checked, total)."""

    has_summary: bool
    has_schedule: bool
    is_entity: bool
    references: int
    ratings: Any = None
    edit_history: int = 0
    quotes: tuple[int, int] = (0, 0)
    accuracy: tuple[int, int] = (0, 0)


def coverage(
    page: Structure, facts: CoverageFacts, content_format: str, rules: Coverage, default_format: str = "article"
) -> dict[str, Any]:
    """The record's `coverage`: passing and total items, targets, actuals, a colour an item, and the ratings in short."""
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
        "editHistory": _flag(facts.edit_history > 0),
    }
    if content_format in rules.overview_formats:
        items["overview"] = _flag(page.has_overview)
    items.update({name: _count(actuals[name], targets[name]) for name in COUNTED})
    items["quotes"] = _ratio(*facts.quotes)
    items["accuracy"] = _ratio(*facts.accuracy)
    record: dict[str, Any] = {
        "passing": sum(1 for colour in items.values() if colour == "green"),
        "total": len(items),
        "targets": targets,
        "actuals": {
            **actuals,
            "quotesWithQuotes": facts.quotes[0],
            "quotesTotal": facts.quotes[1],
            "accuracyChecked": facts.accuracy[0],
            "accuracyTotal": facts.accuracy[1],
        },
        "items": items,
    }
    if facts.edit_history > 0:
        record["editHistoryCount"] = facts.edit_history
    text = ratings_text(facts.ratings)
    if text:
        record["ratingsString"] = text
    return record


def coverage_targets(words: int, content_format: str, rules: Coverage, default_format: str = "article") -> dict[str, int]:
    """How many of each counted thing a page of so many words should have; a format without targets of its own has the default's."""
    targets = rules.targets.get(content_format) or rules.targets.get(default_format) or CoverageTargets()
    found = {}
    for name in COUNTED:
        target = getattr(targets, name)
        found[name] = max(target.min, js_round(words / 1000 * target.rate))
    return found


def badge(passing: int, total: int) -> Colour:
    """The colour of a page's badge by its share of passing items."""
    share = passing / total if total else 0.0
    return "green" if share >= GREEN_RATIO else "amber" if share >= AMBER_RATIO else "red"


def ratings_text(ratings: Any) -> str:
    """The four ratings in short, `N:4.5 R:6.8 A:5.2 C:7.5`, those that are there."""
    if not isinstance(ratings, Mapping):
        return ""
    return " ".join(f"{letter}:{_text(ratings[name])}" for letter, name in _RATINGS if ratings.get(name) is not None)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, (int, float)) else str(value)


def _flag(fits: bool) -> Colour:
    return "green" if fits else "red"


def _count(actual: int, target: int) -> Colour:
    if target == 0:
        return _flag(actual > 0)
    return "green" if actual >= target else "amber" if actual > 0 else "red"


def _ratio(part: int, whole: int) -> Colour:
    if whole == 0:
        return "red"
    return "green" if part / whole >= GREEN_RATIO else "amber" if part > 0 else "red"


def is_set(value: Any) -> bool:
    """Whether a frontmatter value counts as there: anything but what JavaScript calls falsy."""
    return not is_falsy(value)
