"""What one page alone gives to its record: frontmatter, counts, links, integrity. Kept from build to build under `cache/pages/`."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from enrich.files import KeyedStore
from enrich.metrics.javascript import number, number_text
from enrich.metrics.links import Links, links
from enrich.metrics.risk import Integrity, integrity
from enrich.metrics.structure import Structure, count_citations, structure
from enrich.records.redundancy import compared_text
from enrich.wiki.pages import Page, PageFile, parse_page
from enrich.wiki.profile import Profile

# The frontmatter keys that records are made from (FIELDS.md section 1), and those that the status card adds.
KEYS = (
    "title",
    "numericId",
    "quality",
    "readerImportance",
    "researchImportance",
    "tacticalValue",
    "contentFormat",
    "tractability",
    "neglectedness",
    "uncertainty",
    "causalLevel",
    "lastUpdated",
    "lastEdited",
    "createdAt",
    "dateCreated",
    "llmSummary",
    "description",
    "ratings",
    "subcategory",
    "clusters",
    "update_frequency",
    "evergreen",
    "entityType",
    "entityId",
    "pageType",
    "insights",
)
# A few YAML aliases can expand to billions of values: a value larger than this is not used.
_MAX_PARTS = 100_000
_MAX_DEPTH = 50


class TooLargeError(ValueError):
    """A frontmatter value whose aliases expand to too many values."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The facts of one page.

    `problem` is (kind, reason, line) if its frontmatter could not be used. `title` is its own title or one made from the file name. `words`
    is a hash of the words that redundancy compares.
    """

    title: str
    frontmatter: Mapping[str, Any]
    structure: Structure
    links: Links
    converted_links: int
    integrity: Integrity
    problem: tuple[str, str, int] | None
    words: str


_FACTS = TypeAdapter(PageFacts)


def open_store(folder: Path, profile: Profile) -> KeyedStore:
    """The store of what builds compute from pages and data files. Its entries depend on the profile and on the code that computes them."""
    code = hashlib.blake2b(digest_size=16)
    for package in ("metrics", "records", "wiki"):
        for entry in sorted(resources.files("enrich").joinpath(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                code.update(entry.name.encode() + b"\0" + entry.read_bytes() + b"\0")
    return KeyedStore(folder / "pages.sqlite", f"{code.hexdigest()}\0{profile.model_dump_json()}")


def stored_facts(file: PageFile, raw: bytes, profile: Profile, store: KeyedStore) -> PageFacts:
    """The facts of the page with the bytes `raw`, from the store if they are there."""
    # The file name is part of the key because a page without a title gets its title from it.
    key = store.key("page", os.fsencode(file.path.rpartition("/")[2]) + b"\0" + raw)
    try:
        return _FACTS.validate_python(store.get_json(key))
    except ValidationError:
        facts = page_facts(parse_page(file, raw), profile)
        store.put_json(key, _FACTS.dump_python(facts))
        return facts


def page_facts(page: Page, profile: Profile) -> PageFacts:
    """The facts of one page."""
    problem = None if page.problem is None else (page.problem.kind, page.problem.reason, page.problem.line)
    frontmatter: dict[str, Any] = {}
    try:
        budget = [_MAX_PARTS]
        frontmatter = {key: _plain(page.frontmatter[key], budget, 0) for key in KEYS if key in page.frontmatter}
    except TooLargeError as error:
        problem = ("yaml", str(error), 1)
    return PageFacts(
        _title(frontmatter.get("title"), page.file.path),
        frontmatter,
        structure(page.text, profile),
        links(page.text, resource_component=profile.resource_component, entity_link_component=profile.entity_link_component),
        count_citations(page.text, profile.resource_component),
        integrity(page.body),
        problem,
        hashlib.blake2b(compared_text(page.text), digest_size=16).hexdigest(),
    )


def _title(value: Any, path: str) -> str:
    """The page's own title, or its file name with spaces for hyphens."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value)
    return path.rpartition("/")[2].rpartition(".")[0].replace("-", " ")


def _plain(value: Any, budget: list[int], depth: int) -> Any:
    """The value as JSON can hold it, numbers as JavaScript prints them. Raises `TooLargeError`."""
    budget[0] -= 1
    if budget[0] < 0 or depth > _MAX_DEPTH:
        raise TooLargeError("the aliases of a frontmatter value expand to too many values; the frontmatter is not used")
    if isinstance(value, dict):
        return {_key(key): _plain(inner, budget, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, budget, depth + 1) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else None
    return str(value)


def _key(key: Any) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(number(key)) if isinstance(key, float) else str(key)
