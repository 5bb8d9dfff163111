"""One reviewer's way through the proposals: where they are, what is open, what they decided, and how to take it back.

Knows nothing of keys and screens. Every decision is stored the moment it is made (`decisions.record`), so a sitting can end anywhere and the next
one goes on at the first open field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from enrich.errors import AnswerError
from enrich.review.applying import MEANWHILE
from enrich.review.decisions import (
    MOVED,
    Step,
    blocking_flag,
    decided,
    out_of_reach,
    page_of,
    record,
    taken_over,
    undecided,
)
from enrich.review.diffs import PageDiff, page_diffs
from enrich.review.editing import Candidate, chosen_insights, edited
from enrich.review.lock import LockFile
from enrich.review.proposals import FieldChange, Proposal, ProposalStore
from enrich.review.views import PageView, page_view
from enrich.stages.landing import same, standing
from enrich.text import counted
from enrich.wiki.wiki import Wiki

Decision = Literal["accept", "reject", "skip"]


@dataclass(frozen=True, slots=True)
class Bulk:
    """A decision on many fields, before it is made: its steps, and how many fields it leaves out for which reason."""

    decision: Decision
    steps: tuple[Step, ...]
    left: Mapping[str, int]

    @property
    def words(self) -> str:
        """`accept 43 fields on 12 pages, leave out 5 (needs-look 3, stale 2)`."""
        pages = len({step.page for step in self.steps})
        said = f"{self.decision} {counted(len(self.steps), 'field')} on {counted(pages, 'page')}"
        if self.left:
            said += f", leave out {sum(self.left.values())} ({', '.join(f'{why} {number}' for why, number in self.left.items())})"
        return said


@dataclass
class Sitting:
    """The proposals in page order, a cursor on one field of one page, and what was decided so far. `message` is what to tell next."""

    wiki: Wiki
    proposals: list[Proposal]
    by: str
    now: Callable[[], str]
    page_at: int = 0
    field_at: int = 0
    message: str = ""
    _done: list[tuple[Step, ...]] = field(default_factory=list)
    _shown: tuple[PageDiff, PageView] | None = None

    def __post_init__(self) -> None:
        places = list(self._places())
        for wanted in (is_open, is_skipped):
            found = next((place for place in places if wanted(self._at(place))), None)
            if found is not None:
                self.page_at, self.field_at = found
                break
        else:
            self.message = "Every field is decided: `enrich apply` writes the accepted ones."

    # Where the cursor is

    @property
    def proposal(self) -> Proposal:
        return self.proposals[self.page_at]

    @property
    def change(self) -> FieldChange:
        return self.proposal.changes[self.field_at]

    @property
    def shown(self) -> tuple[PageDiff, PageView]:
        """The page under the cursor beside its proposal, as it stands on the disk now."""
        if self._shown is None:
            diff = next(page_diffs(self.wiki, [self.proposal]))
            self._shown = diff, page_view(diff)
        return self._shown

    @property
    def moved(self) -> bool:
        """Whether the field under the cursor was changed on its page since it was asked about."""
        return self.shown[0].moved(self.change)

    def counts(self) -> Counter[str]:
        """How many fields are `open`, `skipped`, `accepted`, `rejected`."""
        return Counter(standing_of(change) for proposal in self.proposals for change in proposal.changes)

    def move(self, fields: int) -> None:
        """To another field of the page; at its end, to the neighbouring page."""
        to = self.field_at + fields
        if 0 <= to < len(self.proposal.changes):
            self.field_at = to
        elif 0 <= self.page_at + fields < len(self.proposals):
            self.move_page(fields)
            self.field_at = 0 if fields > 0 else len(self.proposal.changes) - 1

    def move_page(self, pages: int) -> None:
        self.page_at = min(max(self.page_at + pages, 0), len(self.proposals) - 1)
        self._reload(self.page_at)
        self.field_at = next((at for at, change in enumerate(self.proposal.changes) if is_open(change)), 0)

    def refresh(self) -> None:
        """See the page and its proposal as they are on the disk now."""
        self._reload(self.page_at)

    # Decisions

    def blocked(self) -> str:
        """Why the field under the cursor cannot be accepted or edited as things stand, or ""."""
        why = out_of_reach(self.change, page_of(self.wiki, self.proposal.page))
        if why:
            self._shown = None  # what is told about the page must be on the screen
        if why == MOVED:
            return "The page's words changed: n keeps them (so does leaving it), o takes the proposed ones, which e can then edit."
        if why:
            return f"Stale, cannot be applied: {self.shown[0].note or 'the page changed'}."
        return ""

    def decide(self, decision: Decision) -> None:
        """Accept, reject or skip the field under the cursor. What cannot be written is not accepted; `message` says why."""
        if decision == "accept":
            why = self.blocked()
            if why:
                self.message = why
                return
        self._commit([self._step(decided(self.change, decision, by=self.by, when=self.now()))])

    def take_over(self) -> None:
        """Accept the proposed value over words that were changed on the page meanwhile."""
        page = page_of(self.wiki, self.proposal.page)
        if page is None or out_of_reach(self.change, page) != MOVED:
            self.message = "The page's words did not move here: y accepts."
            return
        if not same(standing(page.frontmatter, self.change.field), self.shown[0].now(self.change)):
            # Nobody gives up words they have not seen.
            self._shown = None
            self.message = "The page's words changed again just now: look, then o takes the proposed ones."
            return
        after = taken_over(self.change, page, self.wiki.shared(LockFile).read(), by=self.by, when=self.now())
        self._commit([self._step(after)])

    def edit(self, form: Mapping[str, Any]) -> bool:
        """Take a person's own value; whether it is stored (or changes nothing). Raises `AnswerError` for what is no value of the field."""
        return self._take(lambda page: edited(self.change, dict(form), page, by=self.by, when=self.now()))

    def choose(self, taken: Sequence[Candidate]) -> None:
        """Take some insights and leave the others; none is a rejection. Raises `AnswerError` where the choice is no value."""
        if not taken:
            self.decide("reject")
            return

        def chosen(page: Any) -> FieldChange:
            after = chosen_insights(self.change, taken, page, by=self.by, when=self.now())
            return decided(after, "accept", by=self.by, when=self.now()) if after is self.change else after

        self._take(chosen)

    def bulk(self, decision: Decision, *, page_only: bool) -> Bulk:
        """What a decision on all open fields would be: from the cursor to the page's end, or to the last page's.

        Accepting leaves out what carries a flag, and what apply could not write. Nothing is decided yet.
        """
        steps: list[Step] = []
        left: Counter[str] = Counter()
        for at in range(self.page_at, self.page_at + 1 if page_only else len(self.proposals)):
            self._reload(at)
            proposal = self.proposals[at]
            page = page_of(self.wiki, proposal.page)
            for number, change in enumerate(proposal.changes):
                if (at == self.page_at and number < self.field_at) or not is_open(change):
                    continue
                why = (out_of_reach(change, page) or blocking_flag(change)) if decision == "accept" else ""
                if why:
                    left[why] += 1
                else:
                    steps.append(Step(proposal.page, change, decided(change, decision, by=self.by, when=self.now())))
        return Bulk(decision, tuple(steps), dict(left))

    def commit(self, bulk: Bulk) -> None:
        self._commit(bulk.steps)

    def undo(self) -> None:
        """Take back the last decision of this sitting; where there is none left, the one on the field under the cursor."""
        if self._done:
            steps = self._done.pop()
            self._commit([step.back for step in reversed(steps)], undoing=True)
        elif self.change.state != "pending" or self.change.decided or self.change.edited:
            self._commit([self._step(undecided(self.change))], undoing=True)
        else:
            self.message = "Nothing to take back."

    # Within

    def _take(self, made: Callable[[Any], FieldChange]) -> bool:
        why = self.blocked()
        page = page_of(self.wiki, self.proposal.page)
        if why or page is None:
            raise AnswerError("stale", why or "the page is gone")
        after = made(page)
        if after == self.change:
            self.message = "Nothing was changed."
            return True
        return self._commit([self._step(after)])

    def _step(self, after: FieldChange) -> Step:
        return Step(self.proposal.page, self.change, after)

    def _commit(self, steps: Sequence[Step], *, undoing: bool = False) -> bool:
        recorded = record(self.wiki, steps)
        pages = {step.page for step in steps}
        for at, proposal in enumerate(self.proposals):
            if proposal.page in pages:
                self._reload(at)
        if recorded.done and not undoing:
            self._done.append(recorded.done)
        self.message = self._said(recorded.done, undoing)
        if recorded.lost:
            self.message = f"{self._lost(recorded.lost)} {self.message if recorded.done else ''}".strip()
        if undoing and recorded.done:
            self._go_to(recorded.done[-1])
        elif recorded.done and not recorded.lost:
            self._go_on()
        return not recorded.lost

    def _said(self, done: Sequence[Step], undoing: bool) -> str:
        if not done:
            return ""
        last = done[-1]
        what = last.after.field if len(done) == 1 else counted(len(done), "field")
        if undoing:
            return f"Taken back: {what}."
        if last.after.edited and last.after.state == "pending":
            return f"Your {what} is kept and waits: see its findings, then y accepts it."
        word = {"edit": "edited and accepted"}.get(last.after.decision, standing_of(last.after))
        return f"{what}: {word}."

    def _lost(self, lost: Sequence[Step]) -> str:
        first = lost[0]
        proposal = next((one for one in self.proposals if one.page == first.page), None)
        now = proposal.change(first.after.field) if proposal else None
        if now is None:
            return f"Not stored ({MEANWHILE}): {first.after.field} of {first.page} is no longer proposed."
        by = now.decided.get("by") or "a run"
        return f"Not stored ({MEANWHILE}): {first.after.field} is {standing_of(now)} by {by}; look again."

    def _go_to(self, step: Step) -> None:
        for at, proposal in enumerate(self.proposals):
            if proposal.page == step.page:
                self.page_at, self._shown = at, None
                self.field_at = next((number for number, change in enumerate(proposal.changes) if change.field == step.after.field), 0)

    def _go_on(self) -> None:
        """To the next open field: on this page, then on later pages, then on earlier ones."""
        places = list(self._places())
        here = places.index((self.page_at, self.field_at))
        page = [place for place in places if place[0] == self.page_at]
        around = [*page[self.field_at :], *page, *places[here:], *places]
        found = next((place for place in around if is_open(self._at(place))), None)
        if found is None:
            skipped = self.counts()["skipped"]
            later = f", {skipped} skipped for later" if skipped else ""
            self.message += f" Nothing is open any more{later}: q ends, `enrich apply` writes what was accepted."
        elif found[0] != self.page_at:
            self.page_at = found[0]
            self._reload(self.page_at)
            self.field_at = min(found[1], len(self.proposal.changes) - 1)
        else:
            self.field_at = found[1]

    def _places(self) -> Iterator[tuple[int, int]]:
        for at, proposal in enumerate(self.proposals):
            yield from ((at, number) for number in range(len(proposal.changes)))

    def _at(self, place: tuple[int, int]) -> FieldChange:
        return self.proposals[place[0]].changes[place[1]]

    def _reload(self, at: int) -> None:
        """The proposal as stored now. One that is gone (applied elsewhere) is shown as it was: deciding on it says so."""
        stored = self.wiki.shared(ProposalStore).get(self.proposals[at].page)
        if stored is not None:
            self.proposals[at] = stored
            if at == self.page_at:
                self.field_at = min(self.field_at, len(stored.changes) - 1)
        if at == self.page_at:
            self._shown = None


def is_open(change: FieldChange) -> bool:
    """Whether nobody has said anything about it yet."""
    return change.state == "pending" and not is_skipped(change)


def is_skipped(change: FieldChange) -> bool:
    return change.state == "pending" and change.decision == "skip"


def standing_of(change: FieldChange) -> str:
    """`open`, `skipped`, `accepted` or `rejected`."""
    return "skipped" if is_skipped(change) else "open" if change.state == "pending" else change.state
