"""Write one page's answers into its proposal, and renew the lock entries of values they confirm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from enrich.config import STAGES
from enrich.review.lock import Lock, LockFile, LockLine
from enrich.review.ownership import line_on
from enrich.review.proposals import FieldChange, Proposal, ProposalStore
from enrich.review.proposing import StageAnswer, outcome, renewed
from enrich.review.seen import line_marks
from enrich.stages.landing import same
from enrich.wiki.pages import Page


@dataclass(frozen=True, slots=True)
class Renewal:
    """A lock line in place of the one (None: none) that it was made from."""

    before: LockLine | None
    after: LockLine


def renew(lock: LockFile, renewals: Iterable[Renewal]) -> None:
    """Write renewed lines, but for those whose line somebody (`enrich apply` meanwhile) has changed: their pages are looked at next time."""
    with lock.writing():
        now = lock.read()
        lines: dict[tuple[str, str], LockLine | None] = {}
        for item in renewals:
            key = item.after.page, item.after.stage
            found = now.lines(*key)
            if item.before in found or (item.before is None and not found):
                lines[key] = item.after
        lock.settle(lines)


def propose(
    store: ProposalStore, lock: Lock, page: Page, answers: Sequence[StageAnswer], today: str
) -> tuple[list[FieldChange], list[Renewal]]:
    """Write the page's proposal; gives its changes from these answers, and the lock lines that answers without a change renew."""
    changes: list[FieldChange] = []
    lines: list[Renewal] = []
    for answer in answers:
        line = line_on(lock, page, answer.stage)
        result = outcome(page, answer, line)
        changes.extend(result.changes)
        if result.confirmed:
            lines.append(Renewal(line, renewed(page.id, answer, line, result.confirmed, today)))
    stages = {answer.stage for answer in answers}
    with store.writing():
        before = store.get(page.id)
        if before is None and not changes:
            return changes, lines
        changes = [_with_decision(change, before) for change in changes]
        answered = {change.field for change in changes}
        # A person's own words for a field stay even where the new answer has nothing to change there.
        kept = [
            change
            for change in (before.changes if before else ())
            if change.stage not in stages or (change.edited and change.field not in answered)
        ]
        seen = {**(before.seen if before else {}), page.hash: line_marks(page)}
        hashes = {change.origin.page_hash for change in (*kept, *changes)}
        # A field keeps its place whichever stage was asked again.
        ordered = tuple(sorted((*kept, *changes), key=lambda change: STAGES.index(change.stage) if change.stage in STAGES else len(STAGES)))
        after = Proposal(page.id, page.file.path, ordered, {digest: seen[digest] for digest in seen if digest in hashes})
        if before is None or after != before:
            store.put(after)
    return changes, lines


def _with_decision(change: FieldChange, before: Proposal | None) -> FieldChange:
    """The change with the decision a person has already made on the same answer to the same question.

    Where the answer or the question is another one, a person's words for the field that were not applied yet come along as `earlier`.
    """
    earlier = before.change(change.field) if before else None
    if earlier is None:
        return change
    if same(earlier.asked_for, change.new) and not earlier.origin.reasons(change.origin) and same(earlier.old, change.old):
        if not earlier.edited:
            return replace(change, state=earlier.state, decided=earlier.decided, earlier=earlier.earlier)
        return replace(earlier, origin=change.origin, tokens=change.tokens, cost_usd=change.cost_usd, asked=change.asked, run=change.run)
    if earlier.edited and not same(earlier.new, earlier.asked_for):
        return replace(change, earlier={"value": earlier.new, "by": earlier.edited["by"], "when": earlier.edited["when"]})
    return replace(change, earlier=earlier.earlier)
