"""Whose words stand in a field: ours, a person's, or nobody's (DESIGN.md section 3.2)."""

from __future__ import annotations

from typing import Any, Literal

from enrich.review.lock import Lock, LockLine
from enrich.stages.landing import is_missing, standing, value_hash
from enrich.wiki.pages import Page

Owner = Literal["nobody", "ours", "human-edited", "unmanaged"]
PERSONS: tuple[Owner, ...] = ("human-edited", "unmanaged")


def owner(value: Any, line: LockLine | None, field: str) -> Owner:
    """Whose words `value` is: `human-edited` also where a person deleted what we wrote, `unmanaged` where the lock knows of nothing."""
    ours = line.fields.get(field) if line else None
    if ours is None:
        return "nobody" if is_missing(value) else "unmanaged"
    return "ours" if value_hash(value) == ours else "human-edited"


def line_on(lock: Lock, page: Page, stage: str) -> LockLine | None:
    """The lock line of a stage that matches what stands on the page."""
    return lock.line(page.id, stage, lambda field: value_hash(standing(page.frontmatter, field)), page.hash)
