"""What points to a page: entities by their related entries, pages by their entity links (FIELDS.md section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enrich.metrics.javascript import is_falsy
from enrich.records.facts import PageFacts
from enrich.wiki.data import Entity, Notice
from enrich.wiki.pages import PageFile

DEFAULT_TYPE = "concept"


@dataclass(frozen=True, slots=True)
class LinkingPage:
    """The values of a page that backlinks are made from: its frontmatter's ids and entity type, and the ids that its entity links name."""

    id: str
    path: str
    title: str
    is_index: bool
    numeric_id: str | None
    entity_id: str | None
    entity_type: str | None
    links: Sequence[str]


def linking_page(file: PageFile, facts: PageFacts) -> LinkingPage:
    front = facts.frontmatter
    number, entity_id, kind = (None if is_falsy(front.get(key)) else str(front[key]) for key in ("numericId", "entityId", "entityType"))
    return LinkingPage(file.id, file.path, facts.title, file.is_index, number, entity_id, kind, facts.links.entities)


def all_entities(entities: Iterable[Entity], pages: Iterable[LinkingPage]) -> list[Entity]:
    """The data files' entities, then one for each page that declares itself an entity and is not among them."""
    found = list(entities)
    ids = {entity.id for entity in found}
    for page in pages:
        own = page.entity_id or page.id
        if page.entity_type and not page.is_index and own not in ids:
            ids.add(own)
            found.append(Entity(own, page.entity_type, page.title, page.numeric_id))
    return found


def numeric_ids(entities: Iterable[Entity], pages: Iterable[LinkingPage]) -> tuple[dict[str, str], list[Notice]]:
    """Entity or page id by numeric id (`E42`), and a notice for each number that two of them claim: the first keeps it."""
    found: dict[str, str] = {}
    notices: list[Notice] = []
    for entity in entities:
        if entity.numeric_id:
            owner = found.setdefault(entity.numeric_id, entity.id)
            if owner != entity.id:
                notices.append(Notice("", 0, f"{entity.numeric_id} is the number of {owner!r} and of {entity.id!r}; the first keeps it"))
    for page in pages:
        if page.numeric_id:
            owner = found.setdefault(page.numeric_id, page.id)
            if owner not in (page.id, page.entity_id):
                notices.append(Notice(page.path, 1, f"{page.numeric_id} is already the number of {owner!r}, which keeps it"))
    return found, notices


def backlinks(entities: Sequence[Entity], pages: Sequence[LinkingPage], numbers: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """For each target the entries {id, type, title, relationship} of its sources: entities' related entries first, then pages' links.

    `entities` are those of `all_entities`. `relationship` is the source's own text and missing if it gives none.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    sources: dict[str, set[str]] = {}
    for entity in entities:
        for related in entity.related:
            entry: dict[str, Any] = {"id": entity.id, "type": entity.type, "title": entity.title}
            if related.relationship is not None:
                entry["relationship"] = related.relationship
            found.setdefault(related.id, []).append(entry)
            sources.setdefault(related.id, set()).add(entity.id)
    types = {entity.id: entity.type for entity in entities}
    for page in pages:
        for link in page.links:
            target = numbers.get(link, link)
            known = sources.setdefault(target, set())
            if target == page.id or page.id in known:
                continue
            known.add(page.id)
            found.setdefault(target, []).append({"id": page.id, "type": types.get(page.id) or DEFAULT_TYPE, "title": page.title})
    return found
