"""The Page Status card: everything a person wants to know about a page's state, as one value (FIELDS.md section 10).

`status_card` is a pure function; the renderings (`card_text`, `card_html`, `card_json`) add nothing to it. Where FIELDS.md knows two
versions of a rule, the later one is used. All texts of a card stand on one line, free of control characters, whatever stood on the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from enrich.records import card_words as words
from enrich.records.card_words import Light
from enrich.text import printable
from enrich.wiki.insights import SCORES, Insight
from enrich.wiki.pages import Page
from enrich.wiki.profile import PageType, Profile

TOP_INSIGHTS = 3
MAX_SCORE = 15
SIMILAR_FROM = 40  # percent
STALE_FROM = 60  # days

INSIGHT_TAGS = {
    "claim": "Claim",
    "counterintuitive": "Counterint.",
    "quantitative": "Quantitative",
    "research-gap": "Research Gap",
    "disagreement": "Disagreement",
    "neglected": "Neglected",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """The page's type in the words of the wiki's profile; `style_guide` is a site path, a URL or ""."""

    name: str
    label: str
    description: str
    style_guide: str


@dataclass(frozen=True, slots=True)
class Quality:
    """The quality on the page (0 to 100), its label, what the structure suggests, and whether the two are far apart."""

    value: float
    label: str
    suggested: int
    warns: bool


@dataclass(frozen=True, slots=True)
class Importance:
    """An importance of 0 to 100 with its label and, where pages are ranked, the page's place."""

    value: float
    label: str
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    date: str
    days: int
    age: str


@dataclass(frozen=True, slots=True)
class Structure:
    """The structure line: counts, share of bullet lines in percent, and the structural score with its colour."""

    tables: int
    diagrams: int
    internal_links: int
    external_links: int
    bullet_percent: int
    score: float
    light: Light


@dataclass(frozen=True, slots=True)
class CardInsight:
    tag: str
    type: str
    text: str
    surprising: float | None
    important: float | None
    actionable: float | None
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    kind: str
    severity: Literal["warning", "info"]
    text: str


@dataclass(frozen=True, slots=True)
class Update:
    """How often the page is looked at and when the next look is due; `light` is None where nothing can be said."""

    every: str
    due: str
    light: Light | None


@dataclass(frozen=True, slots=True)
class Section:
    """A section that pages of this type should have."""

    label: str
    present: bool


@dataclass(frozen=True, slots=True)
class StageState:
    stage: str
    state: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CoverageItem:
    """One item of the record's coverage; `actual` and `target` are None for items that are only there or not."""

    name: str
    light: Light
    actual: int | None = None
    target: int | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    passing: int
    total: int
    light: Light
    items: tuple[CoverageItem, ...]


@dataclass(frozen=True, slots=True)
class Risk:
    level: str
    score: int
    factors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Similar:
    id: str
    title: str
    similarity: int


@dataclass(frozen=True, slots=True)
class Backlink:
    id: str
    title: str
    type: str
    relationship: str


@dataclass(frozen=True, slots=True)
class Card:
    """One page's status. What a page does not have is None, "" or ()."""

    id: str
    title: str
    path: str
    file_path: str
    description: str
    entity_type: str
    entity_number: str
    kind: Kind
    quality: Quality | None
    reader_importance: Importance | None
    research_importance: Importance | None
    edited: Edited | None
    words: int
    words_text: str
    backlink_count: int
    structure: Structure
    summary: str
    insight_count: int
    insights: tuple[CardInsight, ...]
    issues: tuple[Issue, ...]
    update: Update
    sections: tuple[Section, ...]
    states: tuple[StageState, ...]
    metrics: Mapping[str, float | bool]
    ratings: Mapping[str, float]
    risk: Risk | None
    redundancy: int
    similar: tuple[Similar, ...]
    coverage: Coverage | None
    backlinks: tuple[Backlink, ...]
    record: Mapping[str, Any] = field(repr=False, default_factory=dict)


def status_card(
    record: Mapping[str, Any],
    page: Page,
    profile: Profile,
    now: datetime,
    *,
    insights: Sequence[Insight] = (),
    backlinks: Sequence[Mapping[str, Any]] = (),
    states: Sequence[StageState] = (),
    entity_number: str = "",
) -> Card:
    """The card of `page` from its `record` (FIELDS.md section 1).

    `insights` are those of the page's frontmatter and of the data folder that are tied to it, `backlinks` the entries of FIELDS.md
    section 5, `states` what the last plan says of its stages, `now` an aware time.
    """
    metrics = _mapping(record.get("metrics"))
    edited = _edited(page, record, now)
    quality = _quality(record)
    kind = _kind(page, profile)
    shown = sorted((_insight(insight) for insight in insights), key=_weight, reverse=True)
    return Card(
        id=_text(record.get("id")) or page.id,
        title=_text(record.get("title")) or printable(page.title),
        path=_text(record.get("path")) or page.file.url,
        file_path=_text(record.get("filePath")) or page.file.path,
        description=_text(record.get("description")),
        entity_type=_text(record.get("entityType")),
        entity_number=_text(entity_number) or _text(record.get("numericId")),
        kind=kind,
        quality=quality,
        reader_importance=_importance(record, "readerImportance", "readerRank"),
        research_importance=_importance(record, "researchImportance", "researchRank"),
        edited=edited,
        words=_count(record.get("wordCount")),
        words_text=words.words_text(_count(record.get("wordCount"))),
        backlink_count=_count(record.get("backlinkCount")),
        structure=_structure(metrics),
        summary=_text(record.get("llmSummary")),
        insight_count=len(shown),
        insights=tuple(shown),
        issues=tuple(_issues(record, metrics, quality, edited, page, profile)),
        update=_update(record, edited),
        sections=_sections(page, profile.page_types[kind.name]),
        states=tuple(StageState(_text(one.stage), _text(one.state), tuple(map(_text, one.reasons))) for one in states),
        metrics={printable(str(key)): value for key, value in metrics.items() if isinstance(value, int | float)},
        ratings=_ratings(record),
        risk=_risk(record),
        redundancy=_count(_mapping(record.get("redundancy")).get("maxSimilarity")),
        similar=_similar(record),
        coverage=_coverage(record),
        backlinks=tuple(_backlink(entry) for entry in backlinks),
        record=record,
    )


def _kind(page: Page, profile: Profile) -> Kind:
    """The frontmatter's word where the profile lets it win; else by address; else the frontmatter's word if known; else the default."""
    named = page.frontmatter.get("pageType")
    name = _kind_name(named if isinstance(named, str) else "", page, profile)
    found = profile.page_types[name]
    return Kind(name, printable(found.label), printable(found.description), printable(found.style_guide))


def _kind_name(named: str, page: Page, profile: Profile) -> str:
    kinds = profile.page_types
    if named in kinds and kinds[named].wins:
        return named
    for name, kind in kinds.items():
        if any(path in page.file.url for path in kind.paths):
            return name
    if named in kinds:
        return named
    return profile.index_page_type if page.file.is_index else profile.default_page_type


def _quality(record: Mapping[str, Any]) -> Quality | None:
    value = _number(record.get("quality"))
    if value is None:
        return None
    suggested = _count(record.get("suggestedQuality"))
    return Quality(value, words.quality_label(value), suggested, abs(value - suggested) >= words.RATING_GAP)


def _importance(record: Mapping[str, Any], key: str, rank: str) -> Importance | None:
    value = _number(record.get(key))
    if value is None:
        return None
    label = words.reader_label(value) if key == "readerImportance" else words.research_label(value)
    place = record.get(rank)
    return Importance(value, label, place if isinstance(place, int) else None)


def _edited(page: Page, record: Mapping[str, Any], now: datetime) -> Edited | None:
    """By the frontmatter's `lastEdited` (a person's edit), else the record's `lastUpdated` (any commit)."""
    for value in (page.frontmatter.get("lastEdited"), record.get("lastUpdated")):
        try:
            day = date.fromisoformat(str(value)[:10])
        except ValueError:
            continue
        days = (now.astimezone(UTC) - datetime(day.year, day.month, day.day, tzinfo=UTC)).days
        return Edited(day.isoformat(), days, words.age(days))
    return None


def _structure(metrics: Mapping[str, Any]) -> Structure:
    score = _number(metrics.get("structuralScore")) or 0
    return Structure(
        _count(metrics.get("tableCount")),
        _count(metrics.get("diagramCount")),
        _count(metrics.get("internalLinks")),
        _count(metrics.get("externalLinks")),
        words.rounded((_number(metrics.get("bulletRatio")) or 0) * 100),
        score,
        words.score_light(score),
    )


def _insight(insight: Insight) -> CardInsight:
    values = insight.values
    kind = _text(values.get("type"))
    surprising, important, actionable = (_number(values.get(name)) for name in SCORES)
    tag = INSIGHT_TAGS.get(kind, kind)
    return CardInsight(tag, kind, printable(insight.text), surprising, important, actionable, _text(values.get("evidence")))


def _weight(insight: CardInsight) -> float:
    """The most telling first; equal ones stay in their order."""
    return sum(score or 0 for score in (insight.surprising, insight.important, insight.actionable))


def _issues(
    record: Mapping[str, Any], metrics: Mapping[str, Any], quality: Quality | None, edited: Edited | None, page: Page, profile: Profile
) -> list[Issue]:
    issues: list[Issue] = []
    if quality and quality.warns:
        gap = quality.value - quality.suggested
        way = "overrated" if gap > 0 else "underrated"
        said = f"Rated {words.number_text(quality.value)} but structure suggests {quality.suggested}"
        issues.append(Issue("Quality", "warning", f"{said} ({way} by {words.number_text(abs(gap))} points)"))
    links = _count(record.get("unconvertedLinkCount"))
    if links:
        plural = "s" * (links != 1)
        issues.append(Issue("Links", "info", f"{links} link{plural} could use <{profile.resource_component}> components"))
    redundancy = _mapping(record.get("redundancy"))
    similarity, first = _count(redundancy.get("maxSimilarity")), next(iter(_similar(record)), None)
    if similarity >= SIMILAR_FROM and first:
        issues.append(Issue("Redundancy", "warning", f'{similarity}% similar to "{first.title}"'))
    if edited and edited.days > STALE_FROM and page.frontmatter.get("evergreen") is not False:
        issues.append(Issue("Stale", "info", f"Last edited {edited.days} days ago - may need review"))
    is_default = record.get("contentFormat", profile.default_content_format) == profile.default_content_format
    if is_default and not _count(metrics.get("tableCount")) and not _count(metrics.get("diagramCount")):
        issues.append(Issue("Structure", "info", "No tables or diagrams - consider adding visual content"))
    return issues


def _update(record: Mapping[str, Any], edited: Edited | None) -> Update:
    if record.get("evergreen") is False:
        return Update("never", "Not updated any more", None)
    frequency = _count(record.get("updateFrequency"))
    if not frequency:
        return Update("", "No update schedule", None)
    if edited is None:
        return Update(words.every(frequency), "Never edited, as far as known", "red")
    said, light = words.due(frequency, edited.days)
    return Update(words.every(frequency), said, light)


_H2 = re.compile(r"^##[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)


def _sections(page: Page, kind: PageType) -> tuple[Section, ...]:
    """A section is there if an h2 holds its name or one of its other names, in any case (FIELDS.md Appendix C)."""
    if not kind.sections:
        return ()
    headings = [match[1].lower() for match in _H2.finditer(page.body)]
    return tuple(
        Section(printable(label), any(name.lower() in heading for heading in headings for name in (label, *others)))
        for label, others in kind.sections.items()
    )


def _ratings(record: Mapping[str, Any]) -> Mapping[str, float]:
    given = _mapping(record.get("ratings"))
    return {printable(str(name)): number for name, value in given.items() if (number := _number(value)) is not None}


def _risk(record: Mapping[str, Any]) -> Risk | None:
    risk = _mapping(record.get("hallucinationRisk"))
    if not risk:
        return None
    return Risk(_text(risk.get("level")), _count(risk.get("score")), tuple(_text(factor) for factor in risk.get("factors") or ()))


def _similar(record: Mapping[str, Any]) -> tuple[Similar, ...]:
    pages = _mapping(record.get("redundancy")).get("similarPages") or ()
    return tuple(Similar(_text(page.get("id")), _text(page.get("title")), _count(page.get("similarity"))) for page in pages)


# What a coverage item of two numbers compares.
_SHARES = {"quotes": ("quotesWithQuotes", "quotesTotal"), "accuracy": ("accuracyChecked", "accuracyTotal")}


def _coverage(record: Mapping[str, Any]) -> Coverage | None:
    coverage = _mapping(record.get("coverage"))
    if not coverage:
        return None
    targets, actuals = _mapping(coverage.get("targets")), _mapping(coverage.get("actuals"))
    items: list[CoverageItem] = []
    for name, light in _mapping(coverage.get("items")).items():
        if light not in ("green", "amber", "red"):
            continue
        if name in _SHARES:
            got, of = _SHARES[name]
            items.append(CoverageItem(_text(name), light, _count(actuals.get(got)), _count(actuals.get(of))))
        elif name in targets:
            items.append(CoverageItem(_text(name), light, _count(actuals.get(name)), _count(targets[name])))
        else:
            items.append(CoverageItem(_text(name), light))
    passing, total = _count(coverage.get("passing")), _count(coverage.get("total"))
    return Coverage(passing, total, words.coverage_light(passing, total), tuple(items))


def _backlink(entry: Mapping[str, Any]) -> Backlink:
    return Backlink(_text(entry.get("id")), _text(entry.get("title")), _text(entry.get("type")), _text(entry.get("relationship")) or "—")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return "" if value is None else printable(str(value))


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: Any) -> int:
    return int(_number(value) or 0)
