"""What one page gives to its record by itself: frontmatter, counts, links, integrity, words. All of it can be kept from build to build."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from enrich.metrics.javascript import number, number_text
from enrich.metrics.links import Links, links
from enrich.metrics.risk import Integrity, integrity
from enrich.metrics.structure import Structure, count_citations, structure
from enrich.wiki.pages import Page
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
# A value of more parts than this is no frontmatter but an attack: a few aliases can unfold to billions.
_MOST_PARTS = 100_000
_DEEPEST = 50


class TooLargeError(ValueError):
    """A frontmatter value that unfolds without end."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The facts of one page. `problem` is (kind, reason, line) where its frontmatter could not be used, `title` the one it goes by,
    `words` tells the words it is compared by from those of others."""

    title: str
    frontmatter: Mapping[str, Any]
    structure: Structure
    links: Links
    converted_links: int
    integrity: Integrity
    problem: tuple[str, str, int] | None
    words: str

    def to_json(self) -> Any:
        return [
            self.title,
            dict(self.frontmatter),
            astuple(self.structure),
            [self.links.outside, self.links.cited, self.links.entities],
            self.converted_links,
            astuple(self.integrity),
            self.problem,
            self.words,
        ]

    @classmethod
    def from_json(cls, value: Any) -> PageFacts:
        """The facts that `to_json` gave. Raises `TypeError` or `ValueError` for anything else."""
        title, frontmatter, counts, (outside, cited, entities), converted, (*footnotes, years), problem, words = value
        references, orphaned, definitions, repeated, unsourced = footnotes
        return cls(
            str(title),
            dict(frontmatter),
            Structure(*counts),
            Links(tuple((text, target) for text, target in outside), tuple(cited), tuple(entities)),
            int(converted),
            Integrity(references, orphaned, definitions, repeated, unsourced, tuple(years)),
            None if problem is None else (str(problem[0]), str(problem[1]), int(problem[2])),
            str(words),
        )


def page_facts(page: Page, profile: Profile, words: str) -> PageFacts:
    """The facts of one page. `words` tells its words from those of others (`records.tokens.words_digest`)."""
    problem = None if page.problem is None else (page.problem.kind, page.problem.reason, page.problem.line)
    frontmatter: dict[str, Any] = {}
    try:
        budget = [_MOST_PARTS]
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
        words,
    )


def _title(value: Any, path: str) -> str:
    """The page's own title, else its file name with every `-` as a space."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value)
    return path.rpartition("/")[2].rpartition(".")[0].replace("-", " ")


def _plain(value: Any, budget: list[int], depth: int) -> Any:
    """The value as JSON holds it and JavaScript prints it."""
    budget[0] -= 1
    if budget[0] < 0 or depth > _DEEPEST:
        raise TooLargeError("a frontmatter value unfolds without end (aliases); the frontmatter is not used")
    if isinstance(value, dict):
        return {_name(key): _plain(inner, budget, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, budget, depth + 1) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else None
    return str(value)


def _name(key: Any) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(number(key)) if isinstance(key, float) else str(key)
