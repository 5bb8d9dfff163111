"""One page's record: frontmatter, entity data and computed values in the reference's key order (FIELDS.md sections 1 to 9).

What the page alone gives (`PageFacts`) is kept from build to build under `cache/pages/`.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from enrich.blocks import Blocks
from enrich.databases import KeyedStore
from enrich.files import Folders
from enrich.metrics.quality import counted_items, coverage, suggested_quality
from enrich.metrics.risk import Integrity, hallucination_risk, integrity
from enrich.metrics.structure import Links, Structure, count_citations, is_falsy, is_number, js_round, links, structure
from enrich.records.relations import Similar, compared_text, referenced_resources, unconverted_links
from enrich.text import number, number_text
from enrich.wiki import yaml12
from enrich.wiki.data import Dates, Notice, Resource
from enrich.wiki.entities import Entity
from enrich.wiki.page_files import PageFile, Problem
from enrich.wiki.pages import Page, parse_page
from enrich.wiki.profile import Profile
from enrich.wiki.site_links import ADDRESS_KEYS, PageLink, SiteMap, page_links

# The frontmatter keys that records are made from (FIELDS.md section 1), and those that the status card adds.
KEYS = (
    *"title numericId quality readerImportance researchImportance tacticalValue contentFormat tractability neglectedness".split(),
    *"uncertainty causalLevel lastUpdated lastEdited createdAt dateCreated llmSummary description ratings".split(),
    *"subcategory clusters update_frequency evergreen entityType entityId pageType insights".split(),
    *ADDRESS_KEYS,
)


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The facts of one page.

    `problem` says why its frontmatter could not be used. `title` is its own title or one made from the file name. `words`
    is a hash of the words that redundancy compares.
    """

    title: str
    frontmatter: Mapping[str, Any]
    structure: Structure
    links: Links
    page_links: tuple[PageLink, ...]
    converted_links: int
    integrity: Integrity
    problem: Problem | None
    words: str


_FACTS = TypeAdapter(PageFacts)


def open_store(folder: Path, profile: Profile, within: Folders | None = None) -> KeyedStore:
    """The store of what builds compute from pages and data files. Its entries depend on the profile and on the code that computes them."""
    code = hashlib.blake2b(digest_size=16)
    for package in ("metrics", "records", "wiki"):
        for entry in sorted(resources.files("enrich").joinpath(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith((".py", ".yaml")):
                code.update(entry.name.encode() + b"\0" + entry.read_bytes() + b"\0")
    return KeyedStore(folder / "pages.sqlite", f"{code.hexdigest()}\0{profile.model_dump_json()}", within)


@dataclass(frozen=True, slots=True)
class LoadedPage:
    """A page as read: its bytes and its facts; `compared` are the words that redundancy compares, if this build computed them."""

    file: PageFile
    raw: bytes
    facts: PageFacts
    compared: bytes | None = None


# Pages that are worked on together: few enough that all processors have some, many enough to be worth sending.
_BLOCK = 32
_Read = tuple[PageFile, bytes, bytes | Problem | None]  # a page's file, its bytes, its sidecar


def load_pages(files: Iterable[tuple[PageFile, bytes]], profile: Profile, store: KeyedStore, blocks: Blocks) -> Iterator[LoadedPage]:
    """The pages with these bytes in order, their facts from the store if they are there."""
    found: list[tuple[_Read, bytes, PageFacts | None]] = []
    for file, raw in files:
        sidecar = file.read_sidecar()
        # The file name is part of the key because a page without a title gets its title from it.
        name, fields = os.fsencode(file.path.rpartition("/")[2]), repr(sorted(file.fields.keys.items())).encode()
        key = store.key("page", b"\0".join((name, fields, repr(sidecar).encode(), raw)))
        try:
            known = _FACTS.validate_python(store.get(key))
        except ValidationError:
            known = None
        found.append(((file, raw, sidecar), key, known))
    # A record needs nothing of what a model is shown.
    unknown = [(replace(file, view=None), raw, sidecar) for (file, raw, sidecar), _, known in found if known is None]
    parts = (unknown[start : start + _BLOCK] for start in range(0, len(unknown), _BLOCK))
    computed = chain.from_iterable(blocks.map(partial(_facts_of, profile), parts))
    for (file, raw, _), key, known in found:
        if known is not None:
            yield LoadedPage(file, raw, known)
        else:
            facts, compared = next(computed)
            store.put(key, _FACTS.dump_python(facts))
            yield LoadedPage(file, raw, facts, compared)


def _facts_of(profile: Profile, pages: Sequence[_Read]) -> list[tuple[PageFacts, bytes]]:
    """(the facts, the words that redundancy compares) of each page."""
    found = []
    for read in pages:
        page = parse_page(*read)
        compared = compared_text(page.text)
        found.append((page_facts(page, profile, compared), compared))
    return found


def page_facts(page: Page, profile: Profile, compared: bytes) -> PageFacts:
    """The facts of one page; `compared` is its `compared_text`."""
    problem = page.problem
    frontmatter: dict[str, Any] = {}
    try:
        frontmatter = yaml12.json_value({key: page.data[key] for key in KEYS if key in page.data})
    except yaml12.YamlError as error:
        problem = Problem("yaml", f"{error.reason}; the frontmatter is not used", 1)
    return PageFacts(
        _title(frontmatter.get("title"), page.file.path),
        frontmatter,
        structure(page.text, profile),
        links(page.text, resource_component=profile.resource_component, entity_link_component=profile.entity_link_component),
        tuple(page_links(page.body)) if profile.page_links else (),
        count_citations(page.text, profile.resource_component),
        integrity(page.body),
        problem,
        hashlib.blake2b(compared, digest_size=16).hexdigest(),
    )


def _title(value: Any, path: str) -> str:
    """The page's own title, or its file name with spaces for hyphens."""
    if isinstance(value, str) and value:
        return value
    if is_number(value):
        return number_text(value)
    return path.rpartition("/")[2].rpartition(".")[0].replace("-", " ")


def with_page_links(loaded: Sequence[LoadedPage]) -> tuple[list[LoadedPage], dict[str, list[str]]]:
    """(the pages with their links to other pages counted as internal links, the ids that each page links to, in order and each once)."""
    site = SiteMap((page.file, page.facts.frontmatter) for page in loaded)
    targets = {page.file.id: [site.page(link, page.file) for link in page.facts.page_links] for page in loaded}
    counted = [
        replace(
            page, facts=replace(page.facts, structure=replace(page.facts.structure, internal_links=sum(map(bool, targets[page.file.id]))))
        )
        for page in loaded
    ]
    return counted, {page: list(dict.fromkeys(filter(None, found))) for page, found in targets.items()}


_NUMBERS = ("quality", "readerImportance", "researchImportance", "tacticalValue", "tractability", "neglectedness", "uncertainty")
NO_CATEGORY = "other"
_MOST_SCORE = 1e12
FRESHNESS_DAYS = 120  # after so many days the freshness of a page is down to 1/e


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
    used: frozenset[str] | None = None
    """The coverage items that the wiki uses (`used_items`); None: all are expected."""


def used_items(loaded: Sequence[LoadedPage], entities: Collection[Any], resources: Collection[Any]) -> frozenset[str]:
    """The coverage items that some page of the wiki has, or that its data make possible."""
    used = {name for page in loaded for name, count in counted_items(page.facts.structure).items() if count}
    used |= {name for name, has in (("entity", entities), ("references", resources)) if has}
    used |= {"schedule"} if any(_frequency(page.facts.frontmatter.get("update_frequency")) is not None for page in loaded) else set()
    return frozenset({"llmSummary", "overview", *used})


def page_record(file: PageFile, facts: PageFacts, around: Surroundings) -> tuple[dict[str, Any], list[Notice]]:
    """The record without the values that need the other records (`complete` adds them), and what is wrong with its frontmatter values."""
    front, profile = facts.frontmatter, around.profile
    notices: list[Notice] = []
    numbers = {name: _number(front, name, file, notices) for name in _NUMBERS}
    content_format = _content_format(front, file, profile, notices)
    category = page_category(file.path)
    entity = around.entities.get(file.id)
    metrics = facts.structure.record(content_format)
    ratings = front.get("ratings")
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
    }
    entity_type = _entity_type(entity, category, profile)
    rigor = ratings.get("rigor") if isinstance(ratings, Mapping) else None
    record["hallucinationRisk"] = hallucination_risk(
        facts.structure,
        facts.integrity,
        entity_type=None if entity is None else entity_type,
        content_format=content_format,
        rigor=rigor if is_number(rigor) else None,
        quality=numbers["quality"],
        year=around.year,
        rules=profile.risk,
        used=around.used,
    )
    if entity_type is not None:
        record["entityType"] = entity_type
    record["redundancy"] = None  # only its position in the order of keys; `complete` sets the value
    record["coverage"] = coverage(
        facts.structure,
        content_format,
        profile.coverage,
        profile.default_content_format,
        has_summary=not is_falsy(front.get("llmSummary")),
        has_schedule=frequency is not None,
        is_entity=entity is not None,
        references=len(referenced_resources(facts.links, around.resources, around.resource_ids)),
        ratings=ratings,
        used=around.used,
    )
    return record, notices


def complete(records: Sequence[dict[str, Any]], similar: Sequence[Sequence[Similar]], insights: Sequence[Any], now: datetime) -> None:
    """Add the values that come from comparing all records: redundancy, ranks, recommended score; and each page's `insights`.

    `similar` and `insights` have one entry per record.
    """
    ranks = {key: _ranks([record[key] for record in records]) for key in ("readerImportance", "researchImportance")}
    for index, record in enumerate(records):
        others = [(records[other], similarity) for other, similarity in similar[index]]
        record["redundancy"] = {
            "maxSimilarity": others[0][1] if others else 0,
            "similarPages": [
                {"id": other["id"], "title": other["title"], "path": other["path"], "similarity": similarity}
                for other, similarity in others
            ],
        }
        for key, name in (("readerImportance", "readerRank"), ("researchImportance", "researchRank")):
            if ranks[key][index] is not None:
                record[name] = ranks[key][index]
        record["recommendedScore"] = recommended_score(record, now)
        if insights[index]:
            record["insights"] = insights[index]


def page_category(path: str) -> str:
    """The second folder of a page's path, else the first, else `other`."""
    folders = path.split("/")[:-1]
    return folders[1] if len(folders) > 1 else folders[0] if folders else NO_CATEGORY


def recommended_score(record: Mapping[str, Any], now: datetime) -> int | float:
    """How much a page is recommended at the time `now`: freshness, quality, importance and length, with two decimals."""
    days = days_since(record["lastUpdated"], now)
    freshness = 0.0 if days is None else 10 * math.exp(min(-days / FRESHNESS_DAYS, 500.0))
    words = record["wordCount"]
    length = min(2.0, math.log10(words + 1) - 1.5) if words else 0.0
    score = 2 * freshness + 2 * (record["quality"] or 0) + 0.5 * (record["readerImportance"] or 0) + length
    # A page may name a date centuries ahead, and any quality.
    return number(js_round(100 * max(-_MOST_SCORE, min(score, _MOST_SCORE))) / 100)


def days_since(date: Any, now: datetime) -> float | None:
    """Days, with their fraction, from a date's midnight UTC to `now`; None if there is no readable date."""
    if not isinstance(date, str) or not date:
        return None
    text = date.strip()
    try:
        moment = datetime.fromisoformat({4: f"{text}-01-01", 7: f"{text}-01"}.get(len(text), text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (now - moment).total_seconds() / 86_400


def _ranks(values: Sequence[float | None]) -> list[int | None]:
    """Each value's rank from 1, largest first, equal values in the given order; None for None."""
    order = sorted((index for index, value in enumerate(values) if value is not None), key=lambda index: -(values[index] or 0.0))
    ranks: list[int | None] = [None] * len(values)
    for rank, index in enumerate(order, 1):
        ranks[index] = rank
    return ranks


def _content_format(front: Mapping[str, Any], file: PageFile, profile: Profile, notices: list[Notice]) -> str:
    value = front.get("contentFormat")
    if is_falsy(value):
        return profile.default_content_format
    if value not in profile.content_formats:
        allowed = ", ".join(profile.content_formats)
        said = f"contentFormat {str(value)[:40]!r} is not one of {allowed}; treated as {profile.default_content_format}"
        notices.append(Notice(file.path, 1, said))
    return str(value)


def _entity_type(entity: Entity | None, category: str, profile: Profile) -> str | None:
    if entity is not None and entity.type:
        return profile.risk.type_aliases.get(entity.type, entity.type)
    return category if category in profile.risk.type_from_category else None


def _number(front: Mapping[str, Any], name: str, file: PageFile, notices: list[Notice]) -> int | float | None:
    value: Any = front.get(name)
    if value is not None and not is_number(value):
        notices.append(Notice(file.path, 1, f"{name} is not a number ({str(value)[:40]!r}); left out"))
        return None
    return value  # type: ignore[no-any-return]


def _or_none(value: Any) -> Any:
    return None if is_falsy(value) else value


def _frequency(value: Any) -> int | None:
    """The whole days of `update_frequency`."""
    try:
        return None if is_falsy(value) else math.trunc(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _latest(*dates: Any) -> str | None:
    return max((str(date) for date in dates if not is_falsy(date)), default=None)


def _first(*dates: Any) -> str | None:
    return next((str(date) for date in dates if date is not None), None)
