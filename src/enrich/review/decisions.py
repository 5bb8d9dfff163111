"""Decisions on proposed fields: accept, reject, skip, undo, and adopt for values that already stand (DESIGN.md section 3).

A decision is a step from one form of a field change to another. Steps are recorded only where the change is still what the person saw, under the
folder's lock: two reviewers in two processes lose no decision, the later one is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from enrich.errors import UserError
from enrich.review.applying import FIELD_MOVED, MEANWHILE, Applied, appliable, apply, obstacle
from enrich.review.lock import ADOPTED, PERSONS, REJECTED, Lock, LockEntry, LockFile, Question, lock_entry, owner
from enrich.review.proposals import NEEDS_LOOK, OVER_HUMAN, STALE, Edit, FieldChange, Proposal, ProposalStore, Proposed
from enrich.stages.catalogue import Stage
from enrich.stages.landing import QUALITY, canonical, is_missing, standing, value_hash
from enrich.wiki.pages import Page, read_page
from enrich.wiki.wiki import Wiki

# A rating that moves by no more than this is a small move (`accept --safe`): twice the step at which a reader would see a difference.
SAFE_RATING_MOVE = 1.0
# What an edit may replace of a change.
PARTS_EDITED = tuple(Proposed.__slots__)
# Why a field was left out, beside its flags: the page's own value moved.
MOVED = FIELD_MOVED


@dataclass(frozen=True, slots=True)
class Decided:
    """(page, field) pairs that were decided, and those left out with the flag that says why.

    `over` holds the words on pages that accepted values will replace though they came after the question: (page, field, value).
    """

    fields: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str, str], ...]
    over: tuple[tuple[str, str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: a page's field change as the person saw it, and as it is after."""

    page: str
    before: FieldChange
    after: FieldChange

    @property
    def back(self) -> Step:
        """The step that takes this one back."""
        return Step(self.page, self.after, self.before)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Steps that were stored, and those that were not, because the change is no longer what the person saw."""

    done: tuple[Step, ...]
    lost: tuple[Step, ...]


def decided(change: FieldChange, decision: Literal["accept", "reject", "skip"], *, by: str, when: str) -> FieldChange:
    """The change once a person has said `decision`. A skipped one stays pending, but the next sitting asks about others first."""
    state: Literal["accepted", "rejected", "pending"] = (
        "accepted" if decision == "accept" else "rejected" if decision == "reject" else "pending"
    )
    return replace(change, state=state, decided={"by": by, "when": when, "decision": decision})


def undecided(change: FieldChange) -> FieldChange:
    """The change as it was proposed, without a decision and without a person's edit."""
    if not change.edited:
        return replace(change, state="pending", decided={})
    proposed = {name: getattr(change.edited.proposed, name) for name in PARTS_EDITED}
    return replace(change, state="pending", decided={}, edited=None, **proposed)


def as_proposed(change: FieldChange) -> Proposed:
    """What an edit of the change must keep: the values as proposed, before the first edit."""
    return change.edited.proposed if change.edited else Proposed(*(getattr(change, name) for name in PARTS_EDITED))


def taken_over(change: FieldChange, page: Page, lock: Lock, *, by: str, when: str) -> FieldChange:
    """The change accepted over what stands on the page *now*: a person has seen those words and chose the proposed ones."""
    now = standing(page.frontmatter, change.field)
    persons = owner(now, lock.entry(page.id, change.stage, page), change.field) in PERSONS
    flags = (*change.flags, OVER_HUMAN) if persons and OVER_HUMAN not in change.flags else change.flags
    edited = Edit(by, when, "over", as_proposed(change))
    return replace(decided(change, "accept", by=by, when=when), old=canonical(now), flags=flags, edited=edited)


def blocking_flag(change: FieldChange) -> str:
    """The flag that keeps a change from being accepted without being named, or ""."""
    return next((flag for flag in (NEEDS_LOOK, OVER_HUMAN) if flag in change.flags), "")


def is_small_move(change: FieldChange) -> bool:
    """Whether a change is safe to take unseen: no finding, no flag, and a rating that exists and moves little."""
    if change.flags or change.findings:
        return False
    numbers = [value for value in (change.old, change.new) if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == 2 and abs(numbers[1] - numbers[0]) <= SAFE_RATING_MOVE


def out_of_reach(change: FieldChange, page: Page | None) -> str:
    """Why apply could not write this change today: `stale` (the text changed, the page is gone), `field-moved`, or ""."""
    if page is None or page.problem is not None:
        return STALE
    stuck = obstacle(page, [change])
    return "" if stuck is None else MOVED if stuck[0] == FIELD_MOVED else STALE


def page_of(wiki: Wiki, page: str) -> Page | None:
    """The page as it stands, None where it is gone."""
    file = wiki.by_id.get(page)
    return read_page(file) if file is not None and file.file.exists() else None


def accept(
    wiki: Wiki,
    named: Iterable[tuple[str, Sequence[str]]],
    *,
    safe: bool = False,
    overwrite: bool = False,
    by: str,
    when: str,
) -> Decided:
    """Accept fields of proposals: `named` pairs a page with fields of it ((): every undecided one).

    Fields that carry `needs-look` or `over-human` are taken only by name; a field that moved on its page only by name and with `overwrite`;
    one whose page text changed not at all. `safe` takes small moves only (`is_small_move`).
    """
    steps: list[Step] = []
    left: list[tuple[str, str, str]] = []
    lock = wiki.shared(LockFile).read() if overwrite else Lock()
    for page, proposal, change, by_name in _chosen(wiki, named, "accepted", left):
        reach = out_of_reach(change, page)
        if reach == MOVED and by_name and overwrite and page is not None:
            steps.append(Step(proposal.page, change, taken_over(change, page, lock, by=by, when=when)))
        elif reach or (not by_name and (flag := blocking_flag(change))):
            left.append((proposal.page, change.field, reach or flag))
        elif not safe or is_small_move(change):
            steps.append(Step(proposal.page, change, decided(change, "accept", by=by, when=when)))
    return _recorded(wiki, steps, left)


def reject(wiki: Wiki, named: Iterable[tuple[str, Sequence[str]]], *, by: str, when: str) -> Decided:
    """Reject fields of proposals: they do not come back until the page, the prompt or the model changes."""
    left: list[tuple[str, str, str]] = []
    steps = [
        Step(proposal.page, change, decided(change, "reject", by=by, when=when))
        for _, proposal, change, _ in _chosen(wiki, named, "rejected", left)
    ]
    return _recorded(wiki, steps, left)


def _chosen(
    wiki: Wiki, named: Iterable[tuple[str, Sequence[str]]], state: str, left: list[tuple[str, str, str]]
) -> Iterable[tuple[Page | None, Proposal, FieldChange, bool]]:
    """(page, proposal, change, whether it was named) of what a command means. Unnamed, what was decided the other way stays decided."""
    for page_id, fields in named:
        proposal = wiki.shared(ProposalStore).get(page_id)
        if proposal is None:
            continue
        page = page_of(wiki, page_id)
        for change in proposal.changes:
            if change.state == state or (fields and change.field not in fields):
                continue
            if not fields and change.state != "pending":
                left.append((page_id, change.field, change.state))
            else:
                yield page, proposal, change, bool(fields)


def _recorded(wiki: Wiki, steps: Sequence[Step], left: Sequence[tuple[str, str, str]]) -> Decided:
    recorded = record(wiki, steps)
    lost = [(step.page, step.after.field, MEANWHILE) for step in recorded.lost]
    over = [(step.page, step.after.field, step.after.old) for step in recorded.done if step.after.old != step.before.old]
    return Decided(tuple((step.page, step.after.field) for step in recorded.done), (*left, *lost), tuple(over))


def record(wiki: Wiki, steps: Iterable[Step]) -> Recorded:
    """Store decisions in the proposals, and rejections in the lock too. Durable once it returns.

    A step whose change is no longer what the person saw (decided, asked again or applied by another process) is not stored: it is `lost`.
    """
    by_page: dict[str, list[Step]] = {}
    for step in steps:
        by_page.setdefault(step.page, []).append(step)
    done: list[Step] = []
    lost: list[Step] = []
    with wiki.shared(LockFile).writing(), wiki.shared(ProposalStore).writing():
        fresh: list[tuple[Proposal, list[Step]]] = []
        for page, wanted in by_page.items():
            proposal = wiki.shared(ProposalStore).get(page)
            fitting = [step for step in wanted if proposal is not None and proposal.change(step.before.field) == step.before]
            lost += [step for step in wanted if step not in fitting]
            if proposal is not None and fitting:
                fresh.append((proposal, fitting))
        # The lock first: cut off in between, a field is refused and still on the table, never off the table and asked for again.
        wiki.shared(LockFile).update(_lock_lines(wiki, fresh))
        for proposal, fitting in fresh:
            wiki.shared(ProposalStore).put(proposal.with_changes(step.after for step in fitting), durable=True)
            done += fitting
    return Recorded(tuple(done), tuple(lost))


def _lock_lines(wiki: Wiki, fresh: Sequence[tuple[Proposal, Sequence[Step]]]) -> dict[tuple[str, str], LockEntry | None]:
    """The lock lines that rejections, and rejections taken back, change."""
    lines: dict[tuple[str, str], LockEntry | None] = {}
    known: Lock | None = None
    for proposal, steps in fresh:
        turned = [step for step in steps if (step.before.state == "rejected") != (step.after.state == "rejected")]
        if not turned:
            continue
        known = known or wiki.shared(LockFile).read()
        page = page_of(wiki, proposal.page)
        for step in turned:
            key = (proposal.page, step.after.stage)
            if key in lines:
                line = lines[key]
            else:
                line = known.entry(*key, page)
            if step.after.state == "rejected":
                date = step.after.decided.get("when", "")[:10]
                # `lock_entry` may put the line under this question: fields of ours keep their own in `older`.
                lines[key] = lock_entry(*key, step.after.question, line, rejected=[step.after.field], date=date)
            elif line is not None and step.after.field in line.rejected:
                lines[key] = _unrefused(line, step.after.field)
    return lines


def _unrefused(line: LockEntry, name: str) -> LockEntry | None:
    """The line without the rejection of one field; None where nothing else is in it."""
    rejected = tuple(other for other in line.rejected if other != name)
    fields = {other: digest for other, digest in line.fields.items() if (other, digest) != (name, REJECTED)}
    if not fields:
        return None
    earlier = {line.question_of(other) for other in line.written}
    if not rejected and len(earlier) == 1:
        # Only the rejection had put the line under its question.
        return replace(line, **asdict(earlier.pop()), fields=fields, rejected=(), older={})
    return replace(line, fields=fields, rejected=rejected)


def adopt(
    lock: LockFile, pages: Iterable[Page], stages: Sequence[Stage], *, fields: Sequence[str] = (), today: str
) -> list[tuple[str, str]]:
    """Write lock lines for values that stand on pages and are a person's so far; gives the (page, field) pairs taken over.

    They count as answers to the question that would be asked today, by nobody known (`adopted`): they become due when the page, the prompt
    or the schema changes, not by themselves. `quality` is taken over with the ratings.
    """
    taken: list[tuple[str, str]] = []
    lines: dict[tuple[str, str], LockEntry | None] = {}
    with lock.writing():
        known = lock.read()
        for page in pages:
            for stage in stages:
                line = known.entry(page.id, stage.name, page)
                names = (*stage.fields, QUALITY) if stage.name == "ratings" else stage.fields
                written = {}
                for name in names:
                    value = standing(page.frontmatter, name)
                    if fields and name not in fields:
                        continue
                    if not is_missing(value) and owner(value, line, name) != "ours":
                        written[name] = value_hash(value)
                        taken.append((page.id, name))
                if written:
                    question = replace(Question.of(page, stage), model=ADOPTED)
                    lines[page.id, stage.name] = lock_entry(page.id, stage.name, question, line, written=written, date=today)
        lock.update(lines)
    return taken


def pending(wiki: Wiki, names: Sequence[str]) -> list[Proposal]:
    """The proposals of the pages that PAGE arguments name (all if `names` is empty), in page order; those of removed pages are last."""
    proposals = {proposal.page: proposal for proposal in wiki.shared(ProposalStore).all()}
    removed = [page for page in names or proposals if page in proposals and page not in wiki.by_id]
    others = [name for name in names if name not in removed]
    found = wiki.select(others) if others or not names else []
    return [proposals[file.id] for file in found if file.id in proposals] + [proposals[page] for page in removed]


def named_fields(wiki: Wiki, arguments: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The (page, fields) pairs that PAGE[:FIELD] arguments name, `()` for all fields; all proposals if there are no arguments.

    Raises `UserError` if nothing is proposed for an argument.
    """
    proposals = {proposal.page: proposal for proposal in wiki.shared(ProposalStore).all()}
    named: list[tuple[str, tuple[str, ...]]] = []
    for argument in arguments:
        page, colon, field = argument.rpartition(":")
        if not colon or argument in wiki.by_id or argument in proposals:
            page, field = argument, ""
        # The id of a removed page still names its proposal.
        found = [page] if page in proposals and page not in wiki.by_id else [file.id for file in wiki.select([page])]
        waiting = [one for one in found if one in proposals]
        if not waiting:
            raise UserError(f"nothing is proposed for {argument!r}", do="`enrich diff` shows the proposals")
        fields = sorted({change.field for one in waiting for change in proposals[one].changes})
        if field and field not in fields:
            raise UserError(f"no proposed field {field!r} on {page}", do=f"proposed there: {', '.join(fields)}")
        named += [(one, (field,) if field else ()) for one in waiting]
    return named or [(page, ()) for page in proposals]


def apply_decided(wiki: Wiki, proposals: Sequence[Proposal], *, everything: bool, overwrite: bool) -> Applied:
    """Write accepted fields and, with `everything`, pending ones without a blocking flag. Blocked fields are among the result's `held`."""
    chosen = [
        (proposal, [change for change in proposal.changes if appliable(change, everything=everything, overwrite=overwrite)])
        for proposal in proposals
    ]
    done = apply(wiki, chosen)
    for proposal, changes in chosen:
        blocked = (change for change in proposal.changes if change.state == "pending" and change not in changes)
        done.held.extend((proposal.page, change.field, flag) for change in blocked if (flag := blocking_flag(change)))
    return done
