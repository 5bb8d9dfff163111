"""The grader's own counts, which differ from those of `metrics.structure` (FIELDS.md section 12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import regex

from enrich.metrics.javascript import count_tokens, line_breaks
from enrich.metrics.structure import count_citations
from enrich.wiki.profile import Profile

CONTENT_TYPES = ("analysis", "explainer", "reference")

_PIPED = regex.compile(r"\|[^\n]*\|")
_FENCE = regex.compile(r"```.*?```", regex.DOTALL)
_IMPORT = regex.compile(r"^import.*$", regex.MULTILINE)
_SELF_CLOSING = regex.compile(r"<[^>]+/>")
_PAIRED = regex.compile(r"<[^>]+>.*?</[^>]+>", regex.DOTALL)
_FOOTNOTE = regex.compile(r"\[\^[0-9]+\]")
_SEPARATOR_CELL = regex.compile(r"\|[-:]+\|")
_IMAGE = regex.compile(r"!\[[^\]]*\]\([^)]+\)")


@dataclass(frozen=True, slots=True)
class GradingCounts:
    """What the grader counts in a body. `tables` counts separator cells, about two a table; `diagrams` counts images too."""

    prose_words: int
    citations: int
    tables: int
    diagrams: int


def grading_counts(body: str, profile: Profile) -> GradingCounts:
    """The grader's counts of an LF-normalised body (what follows the frontmatter)."""
    return GradingCounts(
        prose_words=prose_words(body),
        citations=count_citations(body, profile.resource_component) + len(set(_FOOTNOTE.findall(body))),
        tables=len(_SEPARATOR_CELL.findall(body)),
        diagrams=body.count("<Mermaid") + len(_IMAGE.findall(body)),
    )


def prose_words(body: str) -> int:
    """The words of a body without table rows, fenced code, import lines and components."""
    text = _PIPED.sub("", line_breaks(body))
    text = _FENCE.sub("", text)
    text = _IMPORT.sub("", text)
    text = _SELF_CLOSING.sub("", text)
    return count_tokens(_PAIRED.sub("", text))


def content_type(frontmatter: Mapping[str, Any], path: str, profile: Profile) -> str:
    """analysis, explainer or reference: the frontmatter's `contentType`, else by a text in the page's path, else the profile's default."""
    named = frontmatter.get("contentType")
    if isinstance(named, str) and named:
        return named
    whole = f"/{path}"
    return next((kind for part, kind in profile.content_types.by_path.items() if part in whole), profile.content_types.default)
