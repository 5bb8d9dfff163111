"""What is proposed, as people and programs read it: `text` (the very lines a file would change) and `json` (DESIGN.md section 4.2)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from enrich.review.applying import BODY_CHANGED, FIELD_MOVED, GONE, edited, obstacle
from enrich.review.lock import Lock
from enrich.review.proposals import STALE, FieldChange, Proposal
from enrich.stages.field_values import current_value, value_hash
from enrich.wiki.frontmatter.spans import EditRefused
from enrich.wiki.pages import Page, read_page
from enrich.wiki.wiki import Wiki

SCHEMA = 1
"""The version of `diff --json`'s form (`formats.document` describes it). Keys may be added within a version."""


@dataclass(frozen=True, slots=True)
class PageDiff:
    """One page's proposal beside the page as it stands: `page` is None where it is gone or cannot be read, `note` says what is wrong."""

    proposal: Proposal
    page: Page | None
    note: str = ""

    def flags(self, change: FieldChange) -> list[str]:
        """The change's flags, with `stale` where the page has moved on since it was asked about."""
        gone = self.page is None or obstacle(self.page, [change]) is not None
        return [*change.flags, *([STALE] if gone else [])]

    def now(self, change: FieldChange) -> Any:
        """What stands in the field on the page now (None: nothing, or no page)."""
        return current_value(self.page.frontmatter, change.field) if self.page else None

    def moved(self, change: FieldChange) -> bool:
        """Whether the field itself was changed on the page since it was asked about, its text not: a three-way choice."""
        stuck = obstacle(self.page, [change]) if self.page else None
        return stuck is not None and stuck[0] == FIELD_MOVED

    def evidence(self, change: FieldChange) -> list[dict[str, Any]]:
        """The change's evidence with file lines as they are now (our own writes move the body)."""
        shift = self.page.body_line - 1 if self.page else 0
        return [{**asdict(item), "file_lines": [line + shift if line else 0 for line in item.lines]} for item in change.evidence]


def page_diffs(wiki: Wiki, proposals: Iterable[Proposal]) -> Iterator[PageDiff]:
    """Each proposal beside its page."""
    for proposal in proposals:
        file = wiki.by_id.get(proposal.page)
        if file is None or not file.file.exists():
            yield PageDiff(proposal, None, GONE)
            continue
        page = read_page(file)
        if page.problem is not None:
            yield PageDiff(proposal, None, page.problem.reason)
        else:
            waiting = [change for change in proposal.changes if change.state != "rejected"]
            stuck = next((found for change in waiting if (found := obstacle(page, [change], proposal.seen))), None)
            yield PageDiff(proposal, page, stuck[1] if stuck and stuck[0] == BODY_CHANGED else "")


def to_json(diffs: Iterable[PageDiff]) -> dict[str, Any]:
    """The document of `diff --json`."""
    pages = []
    for diff in diffs:
        fields = [
            {
                "field": change.field,
                "stage": change.stage,
                "old": change.old,
                "new": change.new,
                "new_hash": value_hash(change.new),
                "state": change.state,
                "flags": diff.flags(change),
                "findings": [asdict(finding) for finding in change.findings],
                "evidence": diff.evidence(change),
                "reason": change.reason,
                "provenance": change.provenance,
                "decided": dict(change.decided),
            }
            for change in diff.proposal.changes
        ]
        pages.append({"page": diff.proposal.page, "path": diff.proposal.path, "note": diff.note, "fields": fields})
    return {"schema": SCHEMA, "pages": pages}


def unified(wiki: Wiki, lock: Lock, diff: PageDiff) -> list[str]:
    """The lines of a unified diff: what the file would look like with every change that still fits written into it."""
    if diff.page is None:
        return []
    fitting = [change for change in diff.proposal.changes if change.state != "rejected" and obstacle(diff.page, [change]) is None]
    try:
        raw, _ = edited(wiki, diff.page, lock, fitting)
    except EditRefused as error:
        return [f"! cannot be written: {error.reason}"]
    old, new = (_lines(data) for data in (diff.page.raw, raw))
    name = diff.proposal.path
    return list(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=1, lineterm=""))


def _lines(raw: bytes) -> list[str]:
    """The frontmatter's lines: only they can change, and bodies are long."""
    text = raw.decode("utf-8", "replace")
    close = text.find("\n---", 3)
    return text[: close + 5 if close >= 0 else None].splitlines()
