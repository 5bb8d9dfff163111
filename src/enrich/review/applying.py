"""Apply: accepted changes are written onto pages, all or nothing per page, safe against a crash at any moment (DESIGN.md section 3).

The order of file operations makes it safe: (1) the lock entries that the pages will have are appended as intents and flushed, (2) each page is
replaced atomically, (3) the lock is rewritten, (4) applied fields leave their proposals. After a crash, a value equal to an intent is ours, an intent
without its value is void, and for a field that is on its page already the next apply only does steps 3 and 4.
"""

from __future__ import annotations

import difflib
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any

from enrich.errors import UserError
from enrich.files import PageMoved, digest_of, replace_file, replace_own_file
from enrich.metrics.quality import content_type, grading_counts, quality_from_ratings
from enrich.review.lock import PERSONS, Key, Lock, LockEntry, LockFile, lock_entry, owner
from enrich.review.proposals import LEAP, NEEDS_LOOK, OVER_HUMAN, STALE, FieldChange, Proposal, ProposalStore
from enrich.review.support import SUPPORTED, EvidenceFile, support_of
from enrich.stages.fields import INSIGHTS, QUALITY, as_written, canonical, current_value, holds, same, value_hash
from enrich.wiki.frontmatter.edit import KEY_ORDER, edit_bytes, edit_document
from enrich.wiki.frontmatter.spans import EditRefused
from enrich.wiki.pages import Page, read_page
from enrich.wiki.wiki import Wiki

# Pages between two rewrites of the lock: few enough that their new bytes fit in memory, many enough that the lock is not rewritten per page.
_BATCH = 256
GONE = "the page is no longer there; if it was renamed, `enrich run` finds its answers in the cache"
# Why a field was left out: another process decided, asked again or applied in the meantime.
MEANWHILE = "decided-meanwhile"
BODY_CHANGED = "body-changed"
FIELD_MOVED = "field-moved"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was written to a page. `cause`: gone, unreadable, body-changed, field-moved, edit-refused or not-writable."""

    page: str
    path: str
    cause: str
    detail: str


@dataclass(slots=True)
class Applied:
    """What apply did: (page, field) pairs that are on their pages now, those held back with the flag that says why, and pages refused."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str, str]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _PageEdit:
    """The bytes of the file that holds a page's values after its changes, and the lock entries that will be true then."""

    page: Page
    changes: Sequence[FieldChange]
    raw: bytes
    entries: Sequence[LockEntry]

    @property
    def writes(self) -> bool:
        """Whether the file that holds the values changes."""
        return self.raw != self.page.store_bytes


def quality_after(wiki: Wiki, page: Page, changes: Iterable[FieldChange]) -> int | None:
    """`quality` (0 to 100) that the configured formula gives for the page's ratings after `changes`; None if there are no ratings or no formula."""
    formula = wiki.config.stages.ratings.quality
    if formula == "off":
        return None
    there = page.data.get("ratings")
    ratings: dict[str, Any] = dict(there) if isinstance(there, Mapping) else {}
    ratings |= {name.removeprefix("ratings."): change.new for change in changes if (name := change.field).startswith("ratings.")}
    prose_words, citations = grading_counts(page.body, wiki.profile)
    return quality_from_ratings(
        canonical(ratings),
        prose_words=prose_words,
        citations=citations,
        formula=formula,
        content_type=content_type(page.frontmatter, page.file.path, wiki.profile),
        page_type=page.frontmatter.get("pageType"),
    )


def appliable(change: FieldChange, *, everything: bool, overwrite: bool) -> bool:
    """Whether apply may write this change: what was accepted; with `everything` also what is pending and carries no flag.

    `overwrite` lets `over-human` and `leap` through, never `needs-look` (DESIGN.md section 3, "A person's edits win").
    """
    if change.state != "pending" or NEEDS_LOOK in change.flags:
        return change.state == "accepted"
    return overwrite if {OVER_HUMAN, LEAP} & set(change.flags) else everything


def apply(wiki: Wiki, selection: Iterable[tuple[Proposal, Sequence[FieldChange]]]) -> Applied:
    """Write the selected changes. A page that cannot take its changes is refused with a reason; the other pages are written."""
    done = Applied()
    with wiki.shared(LockFile).writing():
        rest = iter(selection)
        while batch := list(islice(rest, _BATCH)):
            _apply_batch(wiki, batch, done)
    return done


def _apply_batch(wiki: Wiki, batch: Sequence[tuple[Proposal, Sequence[FieldChange]]], done: Applied) -> None:
    lock_file, store = wiki.shared(LockFile), wiki.shared(ProposalStore)
    lock = lock_file.read()
    edits: list[_PageEdit] = []
    for proposal, changes in batch:
        # Decisions are recorded under the lock that is held here: what a reviewer changed after the selection is not written.
        current = store.get(proposal.page) if changes else None
        unchanged = [change for change in changes if current is not None and current.change(change.field) == change]
        done.held.extend((proposal.page, change.field, MEANWHILE) for change in changes if change not in unchanged)
        if current is not None and unchanged:
            edit = _edit_of(wiki, lock, current, unchanged)
            if isinstance(edit, Refusal):
                done.refused.append(edit)
            else:
                edits.append(edit)
    lock_file.append_intents(entry for edit in edits if edit.writes for entry in edit.entries)
    written = _write_pages(wiki, edits, done)
    on_page = {edit.page.id for edit in written}
    # Intents of pages that were not written are void: their earlier entries are restored.
    updates: dict[Key, LockEntry | None] = {
        (entry.page, entry.stage): entry if entry.page in on_page else lock.entry(entry.page, entry.stage, edit.page)
        for edit in edits
        for entry in edit.entries
    }
    lock_file.update(updates)
    wiki.shared(EvidenceFile).update(
        support_of(edit.page, change.field, edit.page.file.fields.landed(change.field, change.result), change.new, change.evidence)
        for edit in written
        for change in edit.changes
        if change.field in SUPPORTED.values()
    )
    with store.writing():
        for edit in written:
            if current := store.get(edit.page.id):
                # A change that was replaced by a newer one in the meantime stays.
                gone = [change.field for change in edit.changes if (now := current.change(change.field)) and same(now.new, change.new)]
                store.put(current.without(gone))
            done.fields.extend((edit.page.id, change.field) for change in edit.changes)


def _write_pages(wiki: Wiki, edits: Sequence[_PageEdit], done: Applied) -> list[_PageEdit]:
    """Replace the pages. Returns the edits whose values are on their pages now; a page that cannot be written does not stop the others."""
    written: list[_PageEdit] = []
    for edit in edits:
        page = edit.page
        try:
            if edit.writes and page.file.fields.sidecars is None:
                replace_file(page.file.file, edit.raw, expected=digest_of(page.raw), root=wiki.content)
            elif edit.writes:
                replace_own_file(page.file.store, edit.raw, before=page.sidecar, within=wiki.config.folders)
        except PageMoved as error:
            done.refused.append(Refusal(page.id, page.file.path, FIELD_MOVED, str(error)))
        except UserError as error:
            reason = f"{error.what}; {error.do}" if error.do else error.what
            done.refused.append(Refusal(page.id, page.file.path, "not-writable", reason))
        else:
            written.append(edit)
    return written


def page_of(wiki: Wiki, page: str) -> Page | None:
    """The page as it is now; None if it is gone."""
    file = wiki.by_id.get(page)
    return read_page(file) if file is not None and file.file.exists() else None


def obstacle(page: Page, changes: Iterable[FieldChange], seen: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """(cause, detail) of what keeps these changes off the page as it is now, or None.

    `seen` are the proposal's line marks: with them, the detail says which lines changed.
    """
    for change in changes:
        now = current_value(page.data, change.field)
        if holds(page, change.field, change.result):
            continue  # written already, by an apply that was interrupted
        if page.hash != change.question.page_hash:
            marks = (seen or {}).get(change.question.page_hash)
            what = changed_lines(marks, page) if marks else "the page's text changed"
            return BODY_CHANGED, f"{what} after it was asked about; `enrich run {page.id}` asks again"
        if not same(now, change.old):
            detail = f"{change.field} was changed on the page after it was asked about and is kept (`enrich review {page.id}`)"
            return FIELD_MOVED, detail
    return None


def out_of_reach(change: FieldChange, page: Page | None) -> str:
    """Why apply could not write this change now: `stale` (the text changed, the page is gone), `field-moved`, or ""."""
    if page is None or page.problem is not None:
        return STALE
    stuck = obstacle(page, [change])
    return "" if stuck is None else FIELD_MOVED if stuck[0] == FIELD_MOVED else STALE


def _edit_of(wiki: Wiki, lock: Lock, proposal: Proposal, changes: Sequence[FieldChange]) -> _PageEdit | Refusal:
    page = page_of(wiki, proposal.page)
    if page is None:
        return Refusal(proposal.page, proposal.path, "gone", GONE)

    def refused(cause: str, reason: str, line: int = 0) -> Refusal:
        return Refusal(page.id, page.file.path, cause, f"line {line}: {reason}" if line else reason)

    if page.problem is not None:
        return refused("unreadable", page.problem.reason, page.problem.line)
    if stuck := obstacle(page, _with_quality(wiki, page, changes), proposal.seen):
        return refused(*stuck)
    try:
        return _PageEdit(page, changes, *edited(wiki, page, lock, changes))
    except EditRefused as error:
        return refused("edit-refused", error.reason, error.line)


def edited(wiki: Wiki, page: Page, lock: Lock, changes: Sequence[FieldChange]) -> tuple[bytes, list[LockEntry]]:
    """The bytes of the file that holds the page's values (itself or its sidecar) with `changes` written, and the lock entries that will be
    true then. Raises `EditRefused`.

    `quality` is that of the ratings which are on the page then, unless it is a person's and not among `changes`.
    """
    values: dict[str, Any] = {change.field: change.result for change in _with_quality(wiki, page, changes)}
    entries: list[LockEntry] = []
    for stage in dict.fromkeys(change.stage for change in changes):
        of_stage = [change for change in changes if change.stage == stage]
        before = lock.entry(page.id, stage, page)
        names = [change.field for change in of_stage]
        if stage == "ratings" and QUALITY not in names and owner(page.data.get(QUALITY), before, QUALITY) not in PERSONS:
            score = quality_after(wiki, page, changes)
            if score is not None and page.file.fields.path(QUALITY) is not None:
                values[QUALITY] = score
                names.append(QUALITY)
        written = {name: value_hash(page.file.fields.landed(name, values[name])) for name in names}
        # Rejected insights do not come back with the same answer.
        rejected = [f"{INSIGHTS}.{item}" for change in of_stage for item in change.rejected_items]
        decided = {name: verdict for change in of_stage for name, verdict in change.verdicts.items()}
        question = of_stage[-1].question
        entries.append(lock_entry(page.id, stage, question, before, written=written, rejected=rejected, decided=decided, date=wiki.today))
    fields = page.file.fields
    escape = wiki.config.wiki.escape_dollar and page.file.path.endswith(".mdx") and fields.sidecars is None
    edits = {
        path: as_written(fields.landed(name, value), escape_dollar=escape)
        for name, value in values.items()
        if (path := fields.path(name)) is not None and not holds(page, name, value)
    }
    if not edits:
        return page.store_bytes, entries
    if fields.sidecars is not None:
        return edit_document(page.store_bytes, edits), entries
    # Keys of the site's own choice go to the end of the block; the reference wiki's have their places.
    order = KEY_ORDER if fields.has_own_keys else (*page.frontmatter, *(path[0] for path in edits))
    return edit_bytes(page.raw, edits, order=order, add=fields.add), entries


def _with_quality(wiki: Wiki, page: Page, changes: Sequence[FieldChange]) -> list[FieldChange]:
    """The changes with `quality` computed from the ratings that are written: a reviewer may have accepted only some of those proposed."""
    if not any(change.field == QUALITY for change in changes):
        return list(changes)
    score = quality_after(wiki, page, changes)
    return [replace(change, new=score) if change.field == QUALITY and score is not None else change for change in changes]


def recover(wiki: Wiki) -> int:
    """Resolve what an interrupted apply left: intents whose value is on the page are ours, the others are void. Returns their number."""
    lock_file = wiki.shared(LockFile)
    if not lock_file.read().interrupted:
        return 0
    with lock_file.writing():
        lock = lock_file.read()
        updates: dict[Key, LockEntry | None] = {}
        for name in lock.interrupted:
            page = page_of(wiki, name)
            for stage in {entry.stage for entry in lock.of(name)}:
                valid = lock.entry(name, stage, page) if page else None
                updates[name, stage] = replace(valid, intent=False) if valid else None
        lock_file.update(updates)
    return len(updates)


# Line marks: what a question saw of the page, small enough to store, so that a changed page can be compared line by line. The page hash says *whether*
# the text changed (`wiki.pages.Page.hash`), the marks say *where*. A mark is 24 bits of a checksum of one line: a collision hides one changed line in
# a message, and has no influence on a decision.

_MARK = 4  # characters: base64 of three bytes
# Beyond this many changed lines the exact comparison takes seconds. Then everything between equal head and tail counts as changed.
_MOST_LINES = 20_000
# A message names this many places.
_MOST_PLACES = 6


def line_marks(page: Page) -> str:
    """The marks of title, description and each body line, four characters each."""
    lines = [page.title, page.description, *page.body.split("\n")]
    sums = (zlib.crc32(line.encode("utf-8", "surrogatepass")) & 0xFFFFFF for line in lines)
    return b64encode(b"".join(checksum.to_bytes(3, "big") for checksum in sums)).decode("ascii")


def changed_lines(marks: str, page: Page) -> str:
    """What of the page differs from what `marks` saw: `the title, lines 14-16 and 20 changed; lines after 31 are gone`.

    File lines as they are now; "the text changed" if the marks are damaged or the lines are the same.
    """
    before, now = ([text[at : at + _MARK] for at in range(0, len(text), _MARK)] for text in (marks, line_marks(page)))
    if len(before) < 2 or len(marks) % _MARK:
        return "the text changed"
    parts = [name for at, name in enumerate(("the title", "the description")) if before[at] != now[at]]
    regions = [(start + page.body_line, end + page.body_line - 1) for start, end in _regions(before[2:], now[2:])]
    spans = [str(first) if first == last else f"{first}-{last}" for first, last in regions if last >= first]
    if spans:
        parts.append(f"line{'' if len(spans) == 1 and spans[0].isdigit() else 's'} {_listed(spans)}")
    gone = [f"after {last}" for first, last in regions if last < first]
    messages = [f"{_listed(parts)} changed" if parts else "", f"lines {_listed(gone)} are gone" if gone else ""]
    return "; ".join(filter(None, messages)) or "the text changed"


def _regions(before: Sequence[str], now: Sequence[str]) -> list[tuple[int, int]]:
    """The (start, end) ranges of `now` that are not in `before`; an empty range where lines are gone."""
    head = _common(before, now)
    old, new = before[head:], now[head:]
    tail = _common(reversed(old), reversed(new))
    old, new = old[: len(old) - tail], new[: len(new) - tail]
    if not old and not new:
        return []
    if not old or not new or len(old) + len(new) > _MOST_LINES:
        return [(head, len(now) - tail)]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 2000)
    return [(head + start, head + end) for tag, _, _, start, end in matcher.get_opcodes() if tag != "equal"]


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """How many entries are the same at the beginning of both."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _MOST_PLACES
    shown = [*parts[:_MOST_PLACES], *([f"{more} more places"] if more > 0 else [])]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
