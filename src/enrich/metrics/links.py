"""Links of a page, and those that could cite a known resource (FIELDS.md section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import regex
from ada_url import URL

from enrich.metrics.structure import LINK, S
from enrich.wiki.data import Resource

_LINK = regex.compile(rf"(?<!!){LINK.pattern}")
_INSIDE = ("/", "#", "mailto:")


@dataclass(frozen=True, slots=True)
class Links:
    """Links of one page.

    `outside`: (text, target) of Markdown links that leave the wiki, in order, with duplicates. `cited`: ids in `<R … id="…">`, `entities`:
    ids in `<EntityLink … id="…">`, each id once, in order of first appearance.
    """

    outside: tuple[tuple[str, str], ...]
    cited: tuple[str, ...]
    entities: tuple[str, ...]


def links(text: str, *, resource_component: str = "R", entity_link_component: str = "EntityLink") -> Links:
    """The links of an LF-normalised page text, frontmatter and code included (as the reference build counts)."""
    return Links(
        outside=tuple((label, target) for label, target in _LINK.findall(text) if not target.startswith(_INSIDE)),
        cited=_ids(text, resource_component, "[a-f0-9]+"),
        entities=_ids(text, entity_link_component, '[^"]+'),
    )


def _ids(text: str, component: str, value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_id_of(component, value).findall(text))) if component else ()


@lru_cache(maxsize=16)
def _id_of(component: str, value: str) -> regex.Pattern[str]:
    # <R\s[^>]*?\bid="([a-f0-9]+)", as in `metrics.structure`
    return regex.compile(rf'<{regex.escape(component)}[{S}](?:(?!\bid="{value}")[^>])*+(*SKIP)\bid="({value})"')


def resource_map(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Resources by address, each with and without a final `/` and `www.`. Later resources overwrite earlier ones."""
    found: dict[str, Resource] = {}
    for resource in resources:
        href = canonical_href(resource.url)
        bare = (href or resource.url).removesuffix("/")
        addresses = [bare]
        if href is not None:
            scheme, mark, rest = bare.partition("://")
            other = rest.removeprefix("www.") if rest.startswith("www.") else f"www.{rest}"
            addresses.append(f"{scheme}{mark}{other}")
        for address in addresses:
            found[address] = found[f"{address}/"] = resource
    return found


def canonical_href(url: str) -> str | None:
    """The `href` of an absolute address (WHATWG URL Standard), or None if the text is not one.

    `^` stays as it is: the runtime of the reference build does not encode it.
    """
    try:
        href: str = URL(url).href
    except ValueError:
        return None
    return href.replace("%5E", "^") if "^" in url else href


def unconverted_links(outside: Iterable[tuple[str, str]], known: Mapping[str, Resource]) -> list[dict[str, Any]]:
    """The record's `unconvertedLinks`: one entry for each link whose target is a known resource, in order of appearance."""
    entries: list[dict[str, Any]] = []
    for label, target in outside:
        resource = known.get(target) or known.get(target.removesuffix("/"))
        if resource is not None:
            entry = {"text": label, "url": target, "resourceId": resource.id}
            if resource.title is not None:
                entry["resourceTitle"] = resource.title
            entries.append(entry)
    return entries


def referenced_resources(page: Links, known: Mapping[str, Resource], ids: frozenset[str] | set[str]) -> set[str]:
    """Ids of the resources that a page cites by a valid id or links to by address (FIELDS.md section 8)."""
    found = {cited for cited in page.cited if cited in ids}
    for _, target in page.outside:
        if target.startswith(("http://", "https://")):
            resource = known.get(target) or known.get(target.removesuffix("/")) or known.get(target + "/")
            if resource is not None:
                found.add(resource.id)
    return found
