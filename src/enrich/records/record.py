"""One page's record: frontmatter, entity data and computed values in the reference's key order (FIELDS.md sections 1 to 9)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enrich.metrics.coverage import CoverageFacts, coverage
from enrich.metrics.javascript import is_falsy
from enrich.metrics.links import referenced_resources, unconverted_links
from enrich.metrics.quality import suggested_quality
from enrich.metrics.risk import hallucination_risk
from enrich.records.facts import PageFacts
from enrich.records.redundancy import Redundancy
from enrich.wiki.data import Entity, Resource
from enrich.wiki.dates import Dates
from enrich.wiki.notice import Notice
from enrich.wiki.pages import PageFile
from enrich.wiki.profile import Profile

_NUMBERS = ("quality", "readerImportance", "researchImportance", "tacticalValue", "tractability", "neglectedness", "uncertainty")
NO_CATEGORY = "other"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a record takes from outside its page."""

    profile: Profile
    entities: Mapping[str, Entity]
    resources: Mapping[str, Resource]
    resource_ids: frozenset[str]
    dates: Dates
    backlinks: Mapping[str, Sequence[Any]]
    year: int


def page_record(file: PageFile, facts: PageFacts, around: Surroundings) -> tuple[dict[str, Any], list[Notice]]:
    """The record without what needs the other records (redundancy, ranks, score: see `complete`), and what is wrong with its values."""
    front, profile = facts.frontmatter, around.profile
    notices: list[Notice] = []
    numbers = {name: _number(front, name, file, notices) for name in _NUMBERS}
    content_format = _format(front, file, profile, notices)
    category = page_category(file.path)
    entity = around.entities.get(file.id)
    metrics = facts.structure.record(content_format)
    ratings = front.get("ratings")
    rigor = ratings.get("rigor") if isinstance(ratings, Mapping) else None
    entity_type = _entity_type(entity, category, profile)
    risk = hallucination_risk(
        facts.structure,
        facts.integrity,
        entity_type=None if entity is None else entity_type,
        content_format=content_format,
        rigor=rigor if _is_number(rigor) else None,
        quality=numbers["quality"],
        year=around.year,
        rules=profile.risk,
    )
    unconverted = unconverted_links(facts.links.outside, around.resources)
    frequency = _frequency(front.get("update_frequency"))
    record: dict[str, Any] = {
        "id": file.id,
        "numericId": _or_none(front.get("numericId")),
        "path": file.url,
        "filePath": file.path,
        "title": facts.title,
        "quality": numbers["quality"],
        "readerImportance": numbers["readerImportance"],
        "researchImportance": numbers["researchImportance"],
        "tacticalValue": numbers["tacticalValue"],
        "contentFormat": content_format,
        "tractability": numbers["tractability"],
        "neglectedness": numbers["neglectedness"],
        "uncertainty": numbers["uncertainty"],
        "causalLevel": _or_none(front.get("causalLevel")),
        "lastUpdated": _latest(around.dates.modified.get(file.path), front.get("lastUpdated"), front.get("lastEdited")),
        "dateCreated": _first(front.get("createdAt"), around.dates.created.get(file.path), front.get("dateCreated")),
        "llmSummary": _or_none(front.get("llmSummary")),
        "description": _or_none(front.get("description")),
        "ratings": _or_none(ratings),
        "category": category,
        "subcategory": _or_none(front.get("subcategory")),
        "clusters": list(profile.default_clusters) if is_falsy(front.get("clusters")) else front["clusters"],
        "metrics": metrics,
        "suggestedQuality": suggested_quality(metrics["structuralScore"], content_format, front.get("pageType")),
        "updateFrequency": frequency,
        "evergreen": front.get("evergreen") is not False,
        "wordCount": metrics["wordCount"],
        "unconvertedLinks": unconverted,
        "unconvertedLinkCount": len(unconverted),
        "convertedLinkCount": facts.converted_links,
        "backlinkCount": len(around.backlinks.get(file.id, ())),
        "hallucinationRisk": risk.record(),
    }
    if entity_type is not None:
        record["entityType"] = entity_type
    record["redundancy"] = None  # its place; `complete` fills it in
    record["coverage"] = coverage(
        facts.structure,
        CoverageFacts(
            has_summary=not is_falsy(front.get("llmSummary")),
            has_schedule=frequency is not None,
            is_entity=entity is not None,
            references=len(referenced_resources(facts.links, around.resources, around.resource_ids)),
            ratings=ratings,
        ),
        content_format,
        profile.coverage,
        profile.default_content_format,
    )
    return record, notices


def complete(
    record: dict[str, Any],
    redundancy: Redundancy,
    records: Sequence[Mapping[str, Any]],
    *,
    reader_rank: int | None,
    research_rank: int | None,
    score: float,
    insights: Any,
) -> None:
    """Adds to a record what was reckoned across pages. `records` are those that the redundancy's places mean."""
    record["redundancy"] = {
        "maxSimilarity": redundancy.maximum,
        "similarPages": [
            {
                "id": records[one.place]["id"],
                "title": records[one.place]["title"],
                "path": records[one.place]["path"],
                "similarity": one.similarity,
            }
            for one in redundancy.similar
        ],
    }
    if reader_rank is not None:
        record["readerRank"] = reader_rank
    if research_rank is not None:
        record["researchRank"] = research_rank
    record["recommendedScore"] = score
    if isinstance(insights, list) and insights:
        record["insights"] = insights


def page_category(path: str) -> str:
    """The second folder of a page's path, else the first, else `other`."""
    folders = path.split("/")[:-1]
    return folders[1] if len(folders) > 1 else folders[0] if folders else NO_CATEGORY


def _format(front: Mapping[str, Any], file: PageFile, profile: Profile, notices: list[Notice]) -> str:
    value = front.get("contentFormat")
    if is_falsy(value):
        return profile.default_content_format
    if value not in profile.content_formats:
        allowed = ", ".join(profile.content_formats)
        notices.append(
            Notice(file.path, 1, f"contentFormat {str(value)[:40]!r} is none of {allowed}; counted as {profile.default_content_format}")
        )
    return str(value)


def _entity_type(entity: Entity | None, category: str, profile: Profile) -> str | None:
    if entity is not None and entity.type:
        return profile.risk.type_aliases.get(entity.type, entity.type)
    return category if category in profile.risk.type_from_category else None


def _number(front: Mapping[str, Any], name: str, file: PageFile, notices: list[Notice]) -> int | float | None:
    value = front.get(name)
    if value is None:
        return None
    if not _is_number(value):
        notices.append(Notice(file.path, 1, f"{name} is no number ({str(value)[:40]!r}); left out"))
        return None
    return value  # type: ignore[no-any-return]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _or_none(value: Any) -> Any:
    return None if is_falsy(value) else value


def _frequency(value: Any) -> int | None:
    """The whole days of `update_frequency`."""
    if is_falsy(value):
        return None
    try:
        return math.trunc(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _latest(*dates: Any) -> str | None:
    return max((str(date) for date in dates if not is_falsy(date)), default=None)


def _first(*dates: Any) -> str | None:
    return next((str(date) for date in dates if date is not None), None)
