"""Apply: accepted changes onto pages, all-or-nothing per page, safe against a crash at any moment (DESIGN.md section 3.7).

The order of file operations is what makes it safe: (1) the lock lines the pages will have are appended as intents and flushed, (2) each page is
replaced atomically, (3) the lock is rewritten, (4) applied fields leave their proposals. Cut off anywhere, a value equal to an intent is ours,
an intent without its value is void, and a field that already stands on its page is merely booked the next time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from enrich.errors import EnrichError, UserError
from enrich.files import PageMoved, replace_file
from enrich.metrics.quality import content_type, grading_counts, quality_from_ratings
from enrich.review.lock import PERSONS, Lock, LockEntry, LockFile, lock_entry, owner
from enrich.review.proposals import NEEDS_LOOK, OVER_HUMAN, FieldChange, Proposal, ProposalStore
from enrich.review.seen import moved
from enrich.stages.landing import QUALITY, as_written, canonical, key_path, same, standing, value_hash
from enrich.wiki.frontmatter.edit import edit_bytes
from enrich.wiki.frontmatter.spans import EditRefused
from enrich.wiki.pages import Page, read_page
from enrich.wiki.wiki import Wiki

# Pages between two rewrites of the lock: few enough that their new bytes fit in memory, many enough that the lock is not rewritten per page.
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was written to a page. `cause` is a stable word: gone, unreadable, body-changed, field-moved, edit-refused."""

    page: str
    path: str
    cause: str
    detail: str


@dataclass(slots=True)
class Applied:
    """What apply did: (page, field) pairs written or found written, those held back with their flag, and pages refused."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str, str]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PageEdit:
    """One page's bytes after its changes, and the lock lines that will be true then."""

    page: Page
    proposal: Proposal
    changes: tuple[FieldChange, ...]
    raw: bytes
    lines: tuple[LockEntry, ...]


def page_quality(wiki: Wiki, page: Page, ratings: Mapping[str, Any]) -> int | None:
    """`quality` (0 to 100) of a page with these ratings by the configured formula; None if there is none."""
    formula = wiki.config.stages.ratings.quality
    if formula == "off":
        return None
    prose_words, citations = grading_counts(page.body, wiki.profile)
    return quality_from_ratings(
        ratings,
        prose_words=prose_words,
        citations=citations,
        formula=formula,
        content_type=content_type(page.frontmatter, page.file.path, wiki.profile),
        page_type=page.frontmatter.get("pageType"),
    )


def appliable(change: FieldChange, *, everything: bool, overwrite: bool) -> bool:
    """Whether apply may write this change: what was accepted; with `everything` also what is pending and carries no flag.

    `overwrite` lets `over-human` through, never `needs-look` (DESIGN.md section 3, "A person's words win").
    """
    if change.state == "accepted":
        return True
    if change.state != "pending" or not (everything or overwrite):
        return False
    return NEEDS_LOOK not in change.flags and (overwrite or OVER_HUMAN not in change.flags) and (everything or OVER_HUMAN in change.flags)


def apply(wiki: Wiki, selection: Iterable[tuple[Proposal, Sequence[FieldChange]]]) -> Applied:
    """Write the selected changes. Pages that cannot take theirs are refused with a reason; the others are written."""
    done = Applied()
    with wiki.shared(LockFile).writing():
        rest = iter(selection)
        while batch := list(islice(rest, _BATCH)):
            _apply_batch(wiki, batch, done)
    return done


def _apply_batch(wiki: Wiki, batch: Sequence[tuple[Proposal, Sequence[FieldChange]]], done: Applied) -> None:
    lock = wiki.shared(LockFile).read()
    edits = list(_edits(wiki, lock, batch, done))
    wiki.shared(LockFile).append_intents(line for edit in edits if edit.raw != edit.page.raw for line in edit.lines)
    written: list[PageEdit] = []
    failure: UserError | None = None
    for edit in edits:
        try:
            if edit.raw != edit.page.raw:
                replace_file(edit.page.file.file, edit.raw, expected=edit.page.file_hash, root=wiki.content)
        except PageMoved as error:
            done.refused.append(Refusal(edit.page.id, edit.page.file.path, FIELD_MOVED, str(error)))
        except EditRefused as error:
            done.refused.append(Refusal(edit.page.id, edit.page.file.path, "edit-refused", error.reason))
        except UserError as error:  # a full disk, a read-only folder: book what was written, then say so
            failure = error
            break
        else:
            written.append(edit)
    settled = {(line.page, line.stage): line for edit in written for line in edit.lines}
    # Intents of pages that were not written are void: the lines that held before stand again.
    kept = {(line.page, line.stage) for edit in edits for line in edit.lines} - set(settled)
    undone = {key: line_of_page(lock, edits, key) for key in kept}
    wiki.shared(LockFile).update({**settled, **undone})
    with wiki.shared(ProposalStore).writing():
        for edit in written:
            current = wiki.shared(ProposalStore).get(edit.page.id)
            if current is not None:
                # A change that was replaced by a newer one meanwhile stays.
                gone = [change.field for change in edit.changes if (now := current.change(change.field)) and same(now.new, change.new)]
                wiki.shared(ProposalStore).put(current.without(gone))
            done.fields.extend((edit.page.id, change.field) for change in edit.changes)
    if failure is not None:
        cure = failure.do.partition(",")[0] or "mend that"
        raise UserError(
            failure.what, where=failure.where, do=f"{len(written)} pages of this batch were written; {cure} and run `enrich apply` again"
        )


def line_of_page(lock: Lock, edits: Sequence[PageEdit], key: tuple[str, str]) -> LockEntry | None:
    page = next(edit.page for edit in edits if edit.page.id == key[0])
    return lock.entry(page.id, key[1], page)


def _edits(wiki: Wiki, lock: Lock, batch: Sequence[tuple[Proposal, Sequence[FieldChange]]], done: Applied) -> Iterator[PageEdit]:
    for proposal, changes in batch:
        # Decisions are recorded under the lock that is held here: what a reviewer turned round since it was selected is not written.
        current = wiki.shared(ProposalStore).get(proposal.page) if changes else None
        standing_now = [change for change in changes if current is not None and current.change(change.field) == change]
        done.held.extend((proposal.page, change.field, MEANWHILE) for change in changes if change not in standing_now)
        if current is None or not standing_now:
            continue
        try:
            yield _edit_of(wiki, lock, current, standing_now)
        except _RefusedError as error:
            done.refused.append(error.refusal)


class _RefusedError(EnrichError):
    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.detail)


def page_now(wiki: Wiki, proposal: Proposal) -> Page:
    """The page as it stands. Raises `_RefusedError` where it is gone or cannot be edited."""
    file = wiki.by_id.get(proposal.page)
    if file is None or not file.file.exists():
        raise _RefusedError(Refusal(proposal.page, proposal.path, "gone", GONE))
    page = read_page(file)
    if page.problem is not None:
        where = f"line {page.problem.line}: " if page.problem.line else ""
        raise _RefusedError(Refusal(page.id, file.path, "unreadable", f"{where}{page.problem.reason}"))
    return page


GONE = "the page is no longer there; where it was renamed, `enrich run` finds its answers in the cache"
# Why a field was left out: somebody else decided, asked again or applied while this was on the screen or on its way.
MEANWHILE = "decided-meanwhile"
BODY_CHANGED = "body-changed"
FIELD_MOVED = "field-moved"


def obstacle(page: Page, changes: Iterable[FieldChange], seen: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """(cause, detail) of what keeps these changes off the page as it stands now, or None.

    `seen` are the proposal's line marks: with them, the detail says which lines changed.
    """
    for change in changes:
        now = standing(page.frontmatter, change.field)
        if same(now, change.new):
            continue  # written already, by a run that was cut off before it could say so
        if page.hash != change.question.page_hash:
            marks = (seen or {}).get(change.question.page_hash)
            what = moved(marks, page).words if marks else "the page's text changed"
            return BODY_CHANGED, f"{what} after it was asked about; `enrich run {page.id}` asks again"
        if not same(now, change.old):
            return (
                FIELD_MOVED,
                f"{change.field} was changed on the page after it was asked about: its words stay (`enrich review {page.id}`)",
            )
    return None


def _edit_of(wiki: Wiki, lock: Lock, proposal: Proposal, changes: Sequence[FieldChange]) -> PageEdit:
    page = page_now(wiki, proposal)
    stuck = obstacle(page, changes, proposal.seen)
    if stuck is not None:
        raise _RefusedError(Refusal(page.id, page.file.path, *stuck))
    try:
        raw, lines = edited(wiki, page, lock, changes)
    except EditRefused as error:
        detail = f"line {error.line}: {error.reason}" if error.line else error.reason
        raise _RefusedError(Refusal(page.id, page.file.path, "edit-refused", detail)) from None
    return PageEdit(page, proposal, tuple(changes), raw, lines)


def edited(wiki: Wiki, page: Page, lock: Lock, changes: Sequence[FieldChange]) -> tuple[bytes, tuple[LockEntry, ...]]:
    """The page's bytes with `changes` written, and the lock lines that will be true then. Raises `EditRefused`."""
    escape = wiki.config.wiki.escape_dollar and page.file.path.endswith(".mdx")
    values: dict[str, Any] = {change.field: change.new for change in changes}
    lines: list[LockEntry] = []
    for stage in dict.fromkeys(change.stage for change in changes):
        of_stage = [change for change in changes if change.stage == stage]
        line = lock.entry(page.id, stage, page)
        written = {change.field: value_hash(change.new) for change in of_stage}
        if stage == "ratings" and (score := _new_quality(wiki, page, line, values)) is not None:
            values[QUALITY] = score
            written[QUALITY] = value_hash(score)
        lines.append(lock_entry(page.id, stage, of_stage[-1].question, line, written=written, date=wiki.today))
    edits = {key_path(name): as_written(value, escape_dollar=escape) for name, value in values.items()}
    edits = {path: value for path, value in edits.items() if not same(standing(page.frontmatter, ".".join(path)), value)}
    return (edit_bytes(page.raw, edits) if edits else page.raw), tuple(lines)


def _new_quality(wiki: Wiki, page: Page, line: LockEntry | None, values: Mapping[str, Any]) -> int | None:
    """`quality` from the ratings that will stand on the page; None where it is a person's or there is none to give."""
    if owner(standing(page.frontmatter, QUALITY), line, QUALITY) in PERSONS:
        return None
    ratings = dict(page.frontmatter.get("ratings") or {}) if isinstance(page.frontmatter.get("ratings") or {}, dict) else {}
    ratings.update({name.partition(".")[2]: value for name, value in values.items() if name.startswith("ratings.")})
    return page_quality(wiki, page, canonical(ratings))


def recover(wiki: Wiki) -> int:
    """Settle what an interrupted apply left: intents whose value stands on the page are ours, the others are void. Gives their number."""
    if not wiki.shared(LockFile).may_hold_intents():
        return 0
    with wiki.shared(LockFile).writing():
        lock = wiki.shared(LockFile).read()
        changes: dict[tuple[str, str], LockEntry | None] = {}
        for page_id in lock.pages_with_intents():
            file = wiki.by_id.get(page_id)
            page = read_page(file) if file is not None else None
            for stage in lock.stages(page_id):
                line = lock.entry(page_id, stage, page) if page else None
                changes[page_id, stage] = replace(line, intent=False) if line else None
        wiki.shared(LockFile).update(changes)
    return len(changes)
