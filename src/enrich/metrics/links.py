"""The links of a page, and those that could cite a known resource (FIELDS.md section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import regex

from enrich.metrics.javascript import S
from enrich.metrics.url import canonical_href

_LINK = regex.compile(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)")
_INSIDE = ("/", "#", "mailto:")


class Resource(Protocol):
    """What of a resource counts here; `title` may be None."""

    @property
    def id(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def title(self) -> Any: ...


_R = TypeVar("_R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Links:
    """What a page links to.

    `outside` are (text, target) of Markdown links that leave the wiki, in order, duplicates kept; `cited` are the resource ids that its
    `<R … id="…">` name, `entities` the ids of its `<EntityLink … id="…">`, each once, in order of first sight.
    """

    outside: tuple[tuple[str, str], ...]
    cited: tuple[str, ...]
    entities: tuple[str, ...]


def links(text: str, *, resource_component: str = "R", entity_link_component: str = "EntityLink") -> Links:
    """The links of an LF-normalised page text, frontmatter and code included (as the reference build counts)."""
    return Links(
        outside=tuple((label, target) for label, target in _LINK.findall(text) if not target.startswith(_INSIDE)),
        cited=tuple(dict.fromkeys(_id_of(resource_component, "[a-f0-9]+").findall(text))),
        entities=tuple(dict.fromkeys(_id_of(entity_link_component, '[^"]+').findall(text))),
    )


def resource_map(resources: Iterable[_R]) -> dict[str, _R]:
    """Resources by every address that counts as theirs: with and without a final `/`, with and without `www.`; later ones overwrite."""
    found: dict[str, _R] = {}
    for resource in resources:
        for address in _addresses(resource.url):
            found[address] = resource
    return found


def unconverted_links(outside: Iterable[tuple[str, str]], known: Mapping[str, Resource]) -> list[dict[str, Any]]:
    """The record's `unconvertedLinks`: links whose target is a known resource, one entry an occurrence, in order of appearance."""
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
    """The resources a page refers to: those it cites by a valid id, and those it links to by address (FIELDS.md section 8)."""
    found = {cited for cited in page.cited if cited in ids}
    for _, target in page.outside:
        if target.startswith(("http://", "https://")):
            resource = known.get(target) or known.get(target.removesuffix("/")) or known.get(target + "/")
            if resource is not None:
                found.add(resource.id)
    return found


def _addresses(url: str) -> list[str]:
    href = canonical_href(url)
    bare = (url if href is None else href).removesuffix("/")
    addresses = [bare, bare + "/"]
    if href is not None:
        scheme, mark, rest = bare.partition("://")
        other = rest.removeprefix("www.") if rest.startswith("www.") else f"www.{rest}"
        addresses += [f"{scheme}{mark}{other}", f"{scheme}{mark}{other}/"]
    return addresses


@lru_cache(maxsize=16)
def _id_of(component: str, value: str) -> regex.Pattern[str]:
    return regex.compile(rf'<{regex.escape(component)}[{S}][^>]*?\bid="({value})"')
