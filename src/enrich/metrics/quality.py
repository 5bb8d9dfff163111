"""Quality of a page, 0 to 100, from its structure or its ratings, and its coverage: what it has of what such a page should have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import regex

from enrich.config import FOUR_DIMENSIONS
from enrich.metrics.structure import (
    FENCE,
    FOOTNOTE,
    IMPORT,
    MAX_SCORE,
    PIPED,
    Structure,
    count_citations,
    count_tokens,
    is_number,
    js_round,
    line_breaks,
    score_tables,
)
from enrich.text import number_text
from enrich.wiki.profile import Coverage, CoverageTargets, Profile
from enrich.wiki.visible import wide_words

Formula = Literal["four", "seven"]

STUB_CAP = 35
SHORT_CAP = 40  # for pages of fewer than SHORT_WORDS words, with the formula "seven"
SHORT_WORDS = 100
MISSING_RATING = 5.0  # what the formula "seven" takes for a dimension without a rating

# As in `metrics.structure`.
_SELF_CLOSING = regex.compile(r"<[^>]{2,}+(*SKIP)(?<=/)>")  # <[^>]+/>
_PAIRED = regex.compile(r"<[^>]++(*SKIP)>(?:[^<]++|<(?!/[^>]))*+(*SKIP)</[^>]++>")  # <[^>]+>.*?</[^>]+>


def suggested_quality(score: int, content_format: str, page_type: Any = None) -> int:
    """The quality that a structural score of 0 to 15 suggests: 0 for index and dashboard pages, at most 35 for stubs (FIELDS.md section 3)."""
    if content_format in ("index", "dashboard"):
        return 0
    return max(0, min(STUB_CAP if page_type == "stub" else 100, js_round(score / MAX_SCORE * 100)))


def quality_from_ratings(
    ratings: Mapping[str, Any],
    *,
    prose_words: int,
    citations: int,
    formula: Formula = "four",
    content_type: str = "reference",
    page_type: Any = None,
) -> int | None:
    """The quality that ratings of 0 to 10 give for a page of this length and sourcing; None without any rating (FIELDS.md section 12).

    `prose_words` and `citations` are those of `grading_counts`. "four" takes the mean of the four dimensions that are rated. "seven" takes
    the mean of seven dimensions, weighted by `content_type` (an unknown type counts as reference), with 5 for a missing one. Stubs get at
    most 35 and, with "seven", pages under 100 words at most 40.
    """
    given = {name: float(value) for name, value in ratings.items() if is_number(value) and value == value}
    cap = STUB_CAP if page_type == "stub" else 100
    if formula == "seven":
        by_type = score_tables()["weights"]
        weights = by_type.get(content_type, by_type["reference"])
        if not given.keys() & weights.keys():
            return None
        mean = sum(given.get(name, MISSING_RATING) * weight for name, weight in weights.items()) / sum(weights.values())
        value = 8 * mean + min(8, prose_words / 600) + min(7, citations * 0.35)
        if prose_words < SHORT_WORDS:
            cap = min(cap, SHORT_CAP)
    else:
        present = [given[name] for name in FOUR_DIMENSIONS if name in given]
        if not present:
            return None
        value = 8 * (sum(present) / len(present)) + min(10, prose_words / 500) + min(10, citations / 2)
    return min(cap, js_round(max(0, value)))


def grading_counts(body: str, profile: Profile) -> tuple[int, int]:
    """(words, citations) of an LF-normalised body as the grader counts them, which differs from `metrics.structure`.

    Words leave out table rows, fenced code, import lines and components; citations are cited resources and distinct footnotes.
    """
    text = line_breaks(body)
    for expression in (PIPED, FENCE, IMPORT, _SELF_CLOSING, _PAIRED):
        text = expression.sub("", text)
    return count_tokens(text) + wide_words(text), count_citations(body, profile.resource_component) + len(set(FOOTNOTE.findall(body)))


def content_type(frontmatter: Mapping[str, Any], path: str, profile: Profile) -> str:
    """analysis, explainer or reference: the frontmatter's `contentType`, else by a text in the page's path, else the profile's default."""
    named = frontmatter.get("contentType")
    if isinstance(named, str) and named:
        return named
    whole = f"/{path}"
    return next((kind for part, kind in profile.content_types.by_path.items() if part in whole), profile.content_types.default)


Colour = Literal["green", "amber", "red"]

_RATINGS = (("N", "novelty"), ("R", "rigor"), ("A", "actionability"), ("C", "completeness"))


def coverage(
    page: Structure,
    content_format: str,
    rules: Coverage,
    default_format: str = "article",
    *,
    has_summary: bool,
    has_schedule: bool,
    is_entity: bool,
    references: int,
    ratings: Any = None,
    used: frozenset[str] | None = None,
) -> dict[str, Any]:
    """The record's `coverage`: passing and total items, targets, actual counts, one colour for each item, and the ratings in short.

    `used` are the items that the wiki uses, None if all are expected. The reference build also counts edits and checked quotes from its
    database; without one they are always zero.
    """
    targets = coverage_targets(page.word_count, content_format, rules, default_format)
    actuals = {**counted_items(page), "references": references}
    flags = {"llmSummary": has_summary, "schedule": has_schedule, "entity": is_entity, "editHistory": False}
    if content_format in rules.overview_formats:
        flags["overview"] = page.has_overview
    items = {name: _flag(present) for name, present in flags.items()}
    items |= {name: _count(actuals[name], target) for name, target in targets.items()}
    items |= {"quotes": "red", "accuracy": "red"}
    checked = {"quotesWithQuotes": 0, "quotesTotal": 0, "accuracyChecked": 0, "accuracyTotal": 0}
    if used is not None:
        items = {name: colour for name, colour in items.items() if name in used}
        targets, actuals, checked = ({name: n for name, n in each.items() if name in used} for each in (targets, actuals, checked))
    record: dict[str, Any] = {
        "passing": sum(1 for colour in items.values() if colour == "green"),
        "total": len(items),
        "targets": targets,
        "actuals": {**actuals, **checked},
        "items": items,
    }
    text = ratings_text(ratings)
    if text:
        record["ratingsString"] = text
    return record


def counted_items(page: Structure) -> dict[str, int]:
    """The coverage items that are counts of a page's text."""
    return {
        "tables": page.table_count,
        "diagrams": page.diagram_count,
        "internalLinks": page.internal_links,
        "externalLinks": page.external_links,
        "footnotes": page.footnote_count,
    }


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
