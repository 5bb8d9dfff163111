"""One wiki, opened: its configuration, pages, stages, lock and proposals. What every command that works on pages starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from enrich.config import Config
from enrich.errors import UserError
from enrich.metrics.grading import content_type, grading_counts
from enrich.metrics.quality import quality_from_ratings
from enrich.review.applying import Writer
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.stages.catalogue import Stage, load_stages
from enrich.wiki.pages import Page, PageFile, find_pages
from enrich.wiki.profile import Profile, load_profile
from enrich.wiki.selection import matches, select


@dataclass
class Workspace:
    """A wiki as one command sees it. `warnings` are lines for the person at the keyboard (lost ids, missing roots)."""

    config: Config
    files: list[PageFile]
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, config: Config) -> Workspace:
        """Raises `UserError` where the content folder is missing."""
        if not config.content.is_dir():
            raise UserError(
                f"no such folder: {config.wiki.content}",
                where=str(config.root / "enrich.toml"),
                do="set `content` under [wiki] to the folder of pages",
            )
        files, warnings = find_pages(config.content, config.wiki.roots)
        return cls(config, files, warnings)

    @cached_property
    def by_id(self) -> dict[str, PageFile]:
        return {file.id: file for file in self.files}

    @cached_property
    def lock(self) -> LockFile:
        return LockFile(self.config.lock, self.config.cache / "locks" / "wiki")

    @cached_property
    def store(self) -> ProposalStore:
        return ProposalStore(self.config.proposals)

    @cached_property
    def writer(self) -> Writer:
        return Writer(
            content=self.config.content,
            lock=self.lock,
            store=self.store,
            files=self.by_id,
            escape_dollar=self.config.wiki.escape_dollar,
            quality=self._quality,
            today=now_iso()[:10],
        )

    @cached_property
    def profile(self) -> Profile:
        return load_profile(self.config.wiki.profile, self.config.root)

    def _quality(self, page: Page, ratings: Mapping[str, Any]) -> int | None:
        formula = self.config.stages.ratings.quality
        if formula == "off":
            return None
        counts = grading_counts(page.body, self.profile)
        return quality_from_ratings(
            ratings,
            prose_words=counts.prose_words,
            citations=counts.citations,
            formula=formula,
            content_type=content_type(page.frontmatter, page.file.path, self.profile),
            page_type=page.frontmatter.get("pageType"),
        )

    def stages(self, only: Sequence[str] = ()) -> list[Stage]:
        return load_stages(self.config, tuple(only))

    def skipped_by_configuration(self, file: PageFile) -> bool:
        """Whether `[wiki] skip` names this page (recorded, never asked about)."""
        return any(matches(file.path, pattern) for pattern in self.config.wiki.skip)

    def select(self, names: Iterable[str]) -> list[PageFile]:
        """The pages that PAGE arguments name, in page order; all for none (see `wiki.selection.select`)."""
        return select(names, self.files, self.config.content, self.config.root)


def now_iso() -> str:
    """The time now, UTC, to the second, as ISO 8601 with `Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
