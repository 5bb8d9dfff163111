"""One wiki, opened: its configuration and its pages. Every command that works on pages starts from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from enrich.config import Config
from enrich.errors import UserError
from enrich.wiki.data import load_data, resource_titles
from enrich.wiki.page_files import FieldMap, PageFile, find_pages, matches, names_of, select
from enrich.wiki.pages import Page, PromptView, read_page
from enrich.wiki.profile import Profile, load_profile
from enrich.wiki.site_links import given_addresses

T = TypeVar("T")


def page_files(config: Config, profile: Profile | None = None) -> tuple[list[PageFile], list[str]]:
    """The pages of a configuration in page order, with the map of fields, and warnings (see `find_pages`). Reads the profile unless given."""
    wiki = config.wiki
    profile = profile or load_profile(wiki.profile, config.root, config.folders)
    files, warnings = find_pages(config.content, wiki.roots, ids=wiki.ids or profile.ids, exclude=wiki.exclude, root=config.root)
    fields, view = FieldMap.of(config), PromptView(profile, lambda: resource_titles(config.data, config.folders))
    return [replace(file, fields=fields, view=view) for file in files], warnings


def now_iso() -> str:
    """The time now, UTC, to the second, as ISO 8601 with `Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Wiki:
    """A wiki as one command sees it.

    `warnings` are lines for the user (duplicate ids, missing roots). `clock` returns the time as ISO 8601 text.
    """

    config: Config
    files: list[PageFile]
    warnings: list[str] = field(default_factory=list)
    clock: Callable[[], str] = now_iso
    _shared: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    _shared_by_copies: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, config: Config) -> Wiki:
        """Find the wiki's pages. Raises `UserError` if the content folder is missing."""
        if not config.content.is_dir():
            raise UserError(
                f"no such folder: {config.wiki.content}",
                where=str(config.root / "enrich.toml"),
                do="set `content` under [wiki] to the folder of pages",
            )
        profile = load_profile(config.wiki.profile, config.root, config.folders)
        files, warnings = page_files(config, profile)
        wiki = cls(config, files, warnings)
        wiki.profile = profile
        return wiki

    @cached_property
    def by_id(self) -> dict[str, PageFile]:
        return {file.id: file for file in self.files}

    @cached_property
    def profile(self) -> Profile:
        return load_profile(self.config.wiki.profile, self.config.root, self.config.folders)

    @property
    def content(self) -> Path:
        """The folder of pages."""
        return self.config.content

    @property
    def today(self) -> str:
        """The date as YYYY-MM-DD."""
        return self.clock()[:10]

    def shared(self, factory: Callable[[Wiki], T]) -> T:
        """The one `factory(self)` of this wiki, for example its `LockFile`: made at the first call."""
        if factory not in self._shared:
            self._shared[factory] = factory(self)
        return cast(T, self._shared[factory])

    def shared_by_copies(self, factory: Callable[[Wiki], T]) -> T:
        """Like `shared`, for what does not depend on the settings: copies of the wiki with other settings (`replace`) have it too."""
        if factory not in self._shared_by_copies:
            self._shared_by_copies[factory] = factory(self)
        return cast(T, self._shared_by_copies[factory])

    def is_skipped(self, file: PageFile) -> bool:
        """Whether `[wiki] skip` names this page: it is recorded, but no model is asked about it."""
        return any(matches(file.path, pattern) for pattern in self.config.wiki.skip)

    def not_asked(self, page: Page) -> str:
        """Why no model is asked about this page by configuration or by the profile's rule; "" if one is."""
        if self.is_skipped(page.file):
            return "configuration"
        if any(matches(page.file.path, pattern) for pattern in self.config.wiki.ask):
            return ""
        rule = self.profile.not_asked
        if rule.index_pages and page.file.is_index:
            return "index-page"
        if any(matches(page.file.path, pattern) for pattern in rule.paths):
            return "kind-of-page"
        return "kind-of-page" if any(page.frontmatter.get(key) in values for key, values in rule.values.items()) else ""

    def page_of_entity(self, entity: str) -> str:
        """The id of an entity's page: the entity's own id, else that of the only page with this name. The entity's id if there is no page."""
        return entity if entity in self.by_id else self._unique_names.get(entity, entity)

    @cached_property
    def _unique_names(self) -> dict[str, str]:
        # Where a page's id is its file name, the entity of a page has the same id.
        by_path = (self.config.wiki.ids or self.profile.ids) == "path"
        return {name: pages[0].id for name, pages in names_of(self.files).items() if len(pages) == 1} if by_path else {}

    @cached_property
    def given_names(self) -> dict[str, list[str]]:
        """Page ids by the number of their entity, and by the number and the addresses that their frontmatter gives (`numericId`, `slug`, …).

        Reads all pages and the data folder.
        """
        found: dict[str, list[str]] = {}
        for entity in load_data(self.config.data, within=self.config.folders).entities:
            if entity.numeric_id and (page := self.page_of_entity(entity.id)) in self.by_id:
                found[entity.numeric_id] = [page]
        for file in self.files:
            front = read_page(file).frontmatter
            number = front.get("numericId")
            for name in dict.fromkeys([*([str(number)] if number else []), *given_addresses(file, front)]):
                if file.id not in (pages := found.setdefault(name, [])):
                    pages.append(file.id)
        return found

    def select(self, names: Iterable[str]) -> list[PageFile]:
        """The pages that PAGE arguments name, in page order; all pages if `names` is empty (see `wiki.page_files.select`)."""
        return select(names, self.files, self.config.content, self.config.root, lambda: self.given_names)
