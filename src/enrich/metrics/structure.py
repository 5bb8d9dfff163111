"""What a page is made of, and the two structural scores (FIELDS.md section 2).

One definition of each count for the whole product. The grader counts some of the same things in its own way: those have their own names in
`metrics.grading`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import regex

from enrich.metrics.javascript import S, count_tokens, js_round, number, strip
from enrich.metrics.source import counted_text
from enrich.wiki.profile import Profile

MAX_SCORE = 15

_FENCE = regex.compile(r"```.*?```", regex.DOTALL)
_INLINE_CODE = regex.compile(r"`[^`]+`")
_MERMAID_CHART = regex.compile(rf"<Mermaid[^`]*`[^`]*`[{S}]*\}}[{S}]*/>")
_SELF_CLOSING = regex.compile(rf"<[A-Z][a-zA-Z]*[{S}][^/]*/>")
_BARE_SELF_CLOSING = regex.compile(r"<[A-Z][a-zA-Z]*/>")
_PAIRED = regex.compile(r"<[A-Z][a-zA-Z]*[^>]*>.*?</[A-Z][a-zA-Z]*>", regex.DOTALL)
_LINK = regex.compile(r"\[([^\]]+)\]\([^)]+\)")
_ADDRESS = regex.compile(rf"https?://[^{S}]+")
_TAG = regex.compile(r"<[^>]+>")

_SEPARATOR_ROW = regex.compile(rf"^\|[{S}\-:|]+\|$", regex.MULTILINE)
_INTERNAL_LINK = regex.compile(r"\]\(/[^)]+\)")
_EXTERNAL_LINK = regex.compile(r"\]\(https?://[^)]+\)")
_FOOTNOTE = regex.compile(r"\[\^([0-9]+)\]")
_FOOTNOTE_DEFINITION = regex.compile(r"\[\^[0-9]+\]:")
_BULLET = regex.compile(rf"[{S}]*(?:[-*]|[0-9]+\.)[{S}]")
_H2 = regex.compile(rf"^##[{S}]+", regex.MULTILINE)
_H3 = regex.compile(rf"^###[{S}]+", regex.MULTILINE)
_OVERVIEW = regex.compile(rf"^##[{S}]+overview", regex.MULTILINE | regex.IGNORECASE)
_CONCLUSION = regex.compile(rf"^##[{S}]+(?:conclusion|summary|implications|key takeaways)", regex.MULTILINE | regex.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Structure:
    """Counts of one page. `bullet_ratio` is 0 to 1 and unrounded; `section_count` is h2 and h3 together.

    `mermaid_count` is the diagram count of the older score: `<Mermaid` and mermaid fences only.
    """

    word_count: int
    table_count: int
    diagram_count: int
    internal_links: int
    external_links: int
    footnote_count: int
    bullet_ratio: float
    section_count: int
    h3_count: int
    has_overview: bool
    code_block_count: int
    has_conclusion: bool
    mermaid_count: int

    def record(self, content_format: str) -> dict[str, Any]:
        """The `metrics` of the page's record, in its key order; the ratio rounded to two decimals."""
        return {
            "wordCount": self.word_count,
            "tableCount": self.table_count,
            "diagramCount": self.diagram_count,
            "internalLinks": self.internal_links,
            "externalLinks": self.external_links,
            "footnoteCount": self.footnote_count,
            "bulletRatio": number(js_round(self.bullet_ratio * 100) / 100),
            "sectionCount": self.section_count,
            "hasOverview": self.has_overview,
            "structuralScore": structural_score(self, content_format),
        }


def structure(text: str, profile: Profile) -> Structure:
    """The counts of one page. `text` is the LF-normalised text of the whole file, frontmatter included."""
    source = counted_text(text)
    named = _component_patterns(tuple(profile.table_components), tuple(profile.diagram_components))
    without_fences = _FENCE.sub("", source)
    lines = [line for line in without_fences.split("\n") if strip(line)]
    mermaid_fences = source.count("```mermaid")
    h3 = len(_H3.findall(source))
    return Structure(
        word_count=word_count(source),
        table_count=len(_SEPARATOR_ROW.findall(source)) + len(named.tables.findall(source)),
        diagram_count=mermaid_fences + len(named.diagrams.findall(source)),
        internal_links=len(_INTERNAL_LINK.findall(source))
        + len(_opening_tag(profile.entity_link_component).findall(source))
        + count_citations(source, profile.resource_component),
        external_links=len(_EXTERNAL_LINK.findall(source)),
        footnote_count=footnote_count(source),
        bullet_ratio=sum(1 for line in lines if _BULLET.match(line)) / len(lines) if lines else 0.0,
        section_count=len(_H2.findall(source)) + h3,
        h3_count=h3,
        has_overview=_OVERVIEW.search(source) is not None,
        code_block_count=len(_FENCE.findall(source)),
        has_conclusion=_CONCLUSION.search(source) is not None,
        mermaid_count=mermaid_fences + source.count("<Mermaid"),
    )


def word_count(source: str) -> int:
    """The words of a `counted_text`: without code, components with what is between their tags, addresses and tags; `|` and `#` count."""
    source = _FENCE.sub("", source)
    source = _INLINE_CODE.sub("", source)
    source = _MERMAID_CHART.sub("", source)
    source = _SELF_CLOSING.sub("", source)
    source = _BARE_SELF_CLOSING.sub("", source)
    source = _PAIRED.sub("", source)
    source = _LINK.sub(r"\1", source)
    source = _ADDRESS.sub("", source)
    return count_tokens(_TAG.sub("", source))


def footnote_count(source: str) -> int:
    """Distinct N of `[^N]` (digits only) outside the definitions' first lines."""
    if "[^" not in source:
        return 0
    seen: set[str] = set()
    for line in source.split("\n"):
        if "[^" in line and not _FOOTNOTE_DEFINITION.match(strip(line)):
            seen.update(_FOOTNOTE.findall(line))
    return len(seen)


def count_citations(text: str, component: str) -> int:
    """Occurrences of `<R id=`, the component that cites a resource."""
    return len(_citation(component).findall(text))


class _Named(NamedTuple):
    tables: regex.Pattern[str]
    diagrams: regex.Pattern[str]


@lru_cache(maxsize=8)
def _component_patterns(tables: tuple[str, ...], diagrams: tuple[str, ...]) -> _Named:
    return _Named(_followed(tables), _followed(diagrams))


def _followed(names: Iterable[str]) -> regex.Pattern[str]:
    # `(?!)` never matches: a profile may name no component at all.
    return regex.compile(rf"<(?:{'|'.join(map(regex.escape, names)) or '(?!)'})[{S}>]")


@lru_cache(maxsize=8)
def _opening_tag(component: str) -> regex.Pattern[str]:
    return regex.compile(rf"<{regex.escape(component)}[^>]*>")


@lru_cache(maxsize=8)
def _citation(component: str) -> regex.Pattern[str]:
    return regex.compile(rf"<{regex.escape(component)}[{S}]+id=")


# Tiers (at least, points), the first that fits wins: FIELDS.md section 2.
_Tiers = tuple[tuple[float, int], ...]
_BULLETS: _Tiers = ((0.3, 2), (0.5, 1))  # below, not at least
_ARTICLE: dict[str, _Tiers] = {
    "words": ((800, 2), (300, 1)),
    "tables": ((2, 2), (1, 1)),
    "diagrams": ((1, 1),),
    "h3": ((4, 2), (2, 1)),
    "internal": ((4, 2), (1, 1)),
    "citations": ((6, 3), (3, 2), (1, 1)),
    "overview": ((1, 1),),
}
_MAIN: _Tiers = ((3, 5), (2, 4), (1, 3))  # what a table or diagram page is about
_DATA: dict[str, _Tiers] = {
    "words": ((400, 2), (100, 1)),
    "internal": ((4, 2), (1, 1)),
    "citations": ((3, 2), (1, 1)),
    "sections": ((3, 2), (1, 1)),
    "overview": ((1, 1),),
}
_INDEX: dict[str, _Tiers] = {
    "internal": ((20, 5), (10, 4), (5, 3), (1, 1)),
    "sections": ((6, 3), (3, 2), (1, 1)),
    "words": ((200, 2), (50, 1)),
    "tables": ((2, 2), (1, 1)),
    "diagrams": ((1, 2),),
    "overview": ((1, 1),),
}
_TIERS: dict[str, dict[str, _Tiers]] = {
    "table": {**_DATA, "tables": _MAIN, "diagrams": ((1, 1),)},
    "diagram": {**_DATA, "diagrams": _MAIN, "tables": ((1, 1),)},
    "index": _INDEX,
    "dashboard": _INDEX,
}
_OLDER: dict[str, _Tiers] = {
    "words": ((800, 2), (300, 1)),
    "tables": ((3, 3), (2, 2), (1, 1)),
    "diagrams": ((2, 2), (1, 1)),
    "internal": ((4, 2), (1, 1)),
    "citations": ((6, 3), (3, 2), (1, 1)),
    "overview": ((1, 1),),
}


def structural_score(page: Structure, content_format: str) -> int:
    """0 to 15: how much of what its format expects the page has (FIELDS.md section 2). Formats without tiers count as articles."""
    tiers = _TIERS.get(content_format, _ARTICLE)
    counts = {
        "words": page.word_count,
        "tables": page.table_count,
        "diagrams": page.diagram_count,
        "h3": page.h3_count,
        "internal": page.internal_links,
        "citations": page.footnote_count + page.external_links,
        "sections": page.section_count,
        "overview": int(page.has_overview),
    }
    score = sum(_points(counts[name], tier) for name, tier in tiers.items())
    return score + (_bullet_points(page.bullet_ratio) if tiers is _ARTICLE else 0)


def older_structural_score(page: Structure) -> int:
    """0 to 15, as scored until 2026-02-22, whatever the format (FIELDS.md section 2, older score): links alone count as citations."""
    counts = {
        "words": page.word_count,
        "tables": page.table_count,
        "diagrams": page.mermaid_count,
        "internal": page.internal_links,
        "citations": page.external_links,
        "overview": int(page.has_overview),
    }
    return sum(_points(counts[name], tier) for name, tier in _OLDER.items()) + _bullet_points(page.bullet_ratio)


def normalized_structural_score(score: int) -> int:
    """The structural score on a scale of 0 to 50 (FIELDS.md section 2)."""
    return js_round(score / MAX_SCORE * 50)


def _points(count: float, tiers: _Tiers) -> int:
    return next((points for least, points in tiers if count >= least), 0)


def _bullet_points(ratio: float) -> int:
    return next((points for below, points in _BULLETS if ratio < below), 0)
