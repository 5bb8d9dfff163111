"""One reviewer's way through the proposals: the field under the cursor, what is open, what was decided, and undo.

Knows nothing of keys and screens. Every decision is stored the moment it is made (`decisions.record`), so a session can end anywhere and the next one
goes on at the first open field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any, Literal

from enrich.errors import AnswerError
from enrich.review.applying import FIELD_MOVED, MEANWHILE, out_of_reach, page_of
from enrich.review.decisions import REASONS, Decision, Step, decided, edited, noted, record, taken_over, undecided, with_items
from enrich.review.lock import LockFile
from enrich.review.proposals import FieldChange, Proposal, ProposalStore, Status, blocking_flag
from enrich.review.views import FieldView, PageView, page_view
from enrich.stages.fields import current_value, same
from enrich.text import counted
from enrich.wiki import yaml12
from enrich.wiki.pages import Page
from enrich.wiki.wiki import Wiki


def keys_of(application: Literal["terminal", "browser"]) -> list[dict[str, Any]]:
    """The rows of `keys.yaml` that a review application has."""
    rows: list[dict[str, Any]] = yaml12.load((resources.files("enrich.review") / "keys.yaml").read_text(encoding="utf-8"))
    return [row for row in rows if row.get("only", application) == application]


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
        text = f"{self.decision} {counted(len(self.steps), 'field')} on {counted(pages, 'page')}"
        left = ", ".join(f"{reason} {number}" for reason, number in self.left.items())
        return f"{text}, leave out {sum(self.left.values())} ({left})" if left else text


@dataclass
class ReviewSession:
    """The proposals in page order, a cursor on one field of one page, and what was decided so far.

    `message` says what the last action did. With `flagged_only` the cursor stops at fields with a flag only.
    """

    wiki: Wiki
    proposals: list[Proposal]
    by: str
    now: Callable[[], str]
    page_at: int = 0
    field_at: int = 0
    message: str = ""
    flagged_only: bool = False
    _done: list[list[Step]] = field(default_factory=list)
    _shown: PageView | None = None

    def __post_init__(self) -> None:
        if left := self._stops("open") or self._stops("skipped"):
            self.page_at, self.field_at = left[0]
        else:
            self.message = "Every field is decided: `enrich apply` writes the accepted ones."

    # The cursor

    @property
    def proposal(self) -> Proposal:
        return self.proposals[self.page_at]

    @property
    def change(self) -> FieldChange:
        return self.proposal.changes[self.field_at]

    @property
    def shown(self) -> PageView:
        """The page under the cursor beside its proposal, as it was on the disk when it was last read."""
        if self._shown is None:
            self._shown = page_view(self.wiki, self.proposal)
        return self._shown

    @property
    def shown_field(self) -> FieldView:
        """The field under the cursor."""
        return self.shown.changes[self.field_at]

    def counts(self) -> Counter[str]:
        """How many fields are `open`, `skipped`, `accepted`, `rejected`."""
        return Counter(change.status for proposal in self.proposals for change in proposal.changes)

    def move(self, fields: int) -> None:
        """Go to the next field (1) or the previous one (-1), also on another page."""
        here = (self.page_at, self.field_at)
        places = [place for place in self._stops() if (place > here if fields > 0 else place < here)]
        if places:
            self.show(places[0] if fields > 0 else places[-1])

    def move_page(self, pages: int) -> None:
        """Go to the first open field of another page."""
        self.page_at = min(max(self.page_at + pages, 0), len(self.proposals) - 1)
        self.refresh()
        self.field_at = next((at for at, change in enumerate(self.proposal.changes) if change.status == "open"), 0)

    def filter_flagged(self) -> None:
        """Stop at flagged fields only, or at all of them again."""
        was, self.flagged_only = self.flagged_only, True
        flagged, left = self._stops(), self._stops("open")
        self.flagged_only = not was and bool(flagged)
        if self.flagged_only:
            self.show((left or flagged)[0])
        again = "; f shows all again" if self.flagged_only else ""
        self.message = f"{counted(len(flagged), 'field')} with a flag, {len(left)} open{again}."

    # Decisions

    def blocked(self) -> str:
        """Why the field under the cursor cannot be accepted or edited now, or ""."""
        reach = out_of_reach(self.change, page_of(self.wiki, self.proposal.page))
        if reach:
            self._shown = None  # what the message says about the page must be on the screen
        if reach == FIELD_MOVED:
            return "The value on the page changed: n keeps it (so does leaving it), o takes the proposed one, which e can then edit."
        return f"Stale, cannot be applied: {self.shown.note or 'the page changed'}." if reach else ""

    def decide(self, decision: Decision) -> None:
        """Accept, reject or skip the field under the cursor. What cannot be written is not accepted; `message` says why."""
        blocked = self.blocked() if decision == "accept" else ""
        if blocked:
            self.message = blocked
        else:
            self._store(decided(self.change, decision, by=self.by, when=self.now()))

    def take_over(self) -> None:
        """Accept the proposed value over one that was changed on the page after the question was asked."""
        page = page_of(self.wiki, self.proposal.page)
        if page is None or out_of_reach(self.change, page) != FIELD_MOVED:
            self.message = "The value on the page did not change here: y accepts."
        elif not same(current_value(page.data, self.change.field), self.shown_field.current):
            self._shown = None  # a person must see the value that is replaced
            self.message = "The value on the page changed again just now: look, then o takes the proposed one."
        else:
            after = taken_over(self.change, page, self.wiki.shared(LockFile).read(), by=self.by, when=self.now())
            self._store(after)

    def edit(self, form: Mapping[str, Any]) -> bool:
        """Take a person's own value. Returns whether it is stored (or changes nothing). Raises `AnswerError` if it is not a value of the field."""
        after = edited(self.change, dict(form), self._writable_page(), by=self.by, when=self.now())
        if after == self.change:
            self.message = "Nothing was changed."
            return True
        return self._store(after)

    def choose(self, given: Mapping[str, Decision]) -> None:
        """Decide on single insights by their ids. Raises `AnswerError` if the choice is not valid."""
        if "accept" in given.values():
            self._writable_page()
        self._store(with_items(self.change, given, by=self.by, when=self.now()))

    def _writable_page(self) -> Page:
        """The page of the field under the cursor. Raises `AnswerError` if the field cannot be accepted now."""
        blocked, page = self.blocked(), page_of(self.wiki, self.proposal.page)
        if blocked or page is None:
            raise AnswerError("stale", blocked or "the page is gone")
        return page

    def give_reason(self, number: int) -> None:
        """Store why the last decision, or the field under the cursor, was a rejection: a place in `REASONS`, from 1."""
        last = self._done[-1][-1] if self._done else None
        change = last.after if last else self.change
        if change.state != "rejected":
            self.message = f"Reasons belong to a rejection: n first, then {', '.join(f'{at} {why}' for at, why in enumerate(REASONS, 1))}."
            return
        after = replace(change, decided={**change.decided, "reason": REASONS[number - 1]})
        self.record([Step(last.page if last else self.proposal.page, change, after)])

    def note(self, text: str) -> None:
        """Keep a note on the field under the cursor ("": none)."""
        self._store(noted(self.change, text, by=self.by, when=self.now()))

    def bulk(self, decision: Decision, *, page_only: bool) -> Bulk:
        """The decision on all open fields from the cursor to the end of the page, or of the last page. Nothing is decided yet.

        Accepting leaves out what carries a flag, and what apply could not write.
        """
        steps: list[Step] = []
        left: Counter[str] = Counter()
        for at in [self.page_at] if page_only else range(self.page_at, len(self.proposals)):
            self.refresh(at)
            proposal = self.proposals[at]
            page = page_of(self.wiki, proposal.page)
            for change in proposal.changes[self.field_at if at == self.page_at else 0 :]:
                if change.status != "open":
                    continue
                reason = (out_of_reach(change, page) or blocking_flag(change)) if decision == "accept" else ""
                if reason:
                    left[reason] += 1
                else:
                    steps.append(Step(proposal.page, change, decided(change, decision, by=self.by, when=self.now())))
        return Bulk(decision, tuple(steps), dict(left))

    def undo(self) -> None:
        """Undo the last decision of this session; if there is none, the one on the field under the cursor."""
        if self._done:
            self.record([Step(step.page, step.after, step.before) for step in reversed(self._done.pop())], undoing=True)
        elif self.change.decided or self.change.edited or self.change.state != "pending":
            self._store(undecided(self.change), undoing=True)
        else:
            self.message = "Nothing to undo."

    def _store(self, after: FieldChange, *, undoing: bool = False) -> bool:
        """Store what became of the field under the cursor."""
        return self.record([Step(self.proposal.page, self.change, after)], undoing=undoing)

    def record(self, steps: Sequence[Step], *, undoing: bool = False) -> bool:
        """Store the steps, say what happened, move the cursor. Returns whether all were stored."""
        stored, lost = record(self.wiki, steps)
        places = {proposal.page: at for at, proposal in enumerate(self.proposals)}
        for page in {step.page for step in steps}:
            self.refresh(places[page])
        if stored and not undoing:
            self._done.append(stored)
        messages = [*map(self._lost_message, lost[:1]), *([_done_message(stored, undoing)] if stored else [])]
        self.message = " ".join(messages)
        if stored and undoing:
            self.page_at, self._shown = places[stored[-1].page], None
            names = [change.field for change in self.proposal.changes]
            self.field_at = names.index(name) if (name := stored[-1].after.field) in names else 0
        elif stored and not lost:
            self._go_on()
        return not lost

    def _lost_message(self, step: Step) -> str:
        name = step.after.field
        proposal = next((one for one in self.proposals if one.page == step.page), None)
        now = proposal.change(name) if proposal else None
        if now is None:
            return f"Not stored ({MEANWHILE}): {name} of {step.page} is no longer proposed."
        return f"Not stored ({MEANWHILE}): {name} is {now.status} by {now.decided.get('by') or 'a run'}; look again."

    def _go_on(self) -> None:
        """Go to the next open field: on this page, then on later pages, then on earlier ones."""
        here = (self.page_at, self.field_at)
        if found := self._stops("open"):
            self.show(min(found, key=lambda place: (place[0] != here[0], place < here, place)))
        else:
            skipped = self.counts()["skipped"]
            later = f", {skipped} skipped for later" if skipped else ""
            what = "flagged field" if self.flagged_only else "field"
            self.message += f" No {what} is open any more{later}: q ends, `enrich apply` writes what was accepted."

    # Proposals and pages

    def _stops(self, status: Status | None = None) -> list[tuple[int, int]]:
        """The fields at which the cursor stops, as (place of the page, place of the field), or those of them with this status."""
        return [
            (at, number)
            for at, proposal in enumerate(self.proposals)
            for number, change in enumerate(proposal.changes)
            if (change.flags or not self.flagged_only) and status in (None, change.status)
        ]

    def show(self, place: tuple[int, int]) -> None:
        """Go to a field: the places of its page and of the field on it."""
        moved = place[0] != self.page_at
        self.page_at, self.field_at = place
        if moved:
            self.refresh()

    def refresh(self, at: int | None = None) -> None:
        """Read a proposal again, by default with its page the one that is shown. One that is gone stays on the screen: deciding on it says so."""
        at = self.page_at if at is None else at
        stored = self.wiki.shared(ProposalStore).get(self.proposals[at].page)
        if stored is not None:
            self.proposals[at] = stored
        if at == self.page_at:
            self.field_at = min(self.field_at, len(self.proposal.changes) - 1)
            self._shown = None


def _done_message(done: Sequence[Step], undoing: bool) -> str:
    last = done[-1].after
    what = last.field if len(done) == 1 else counted(len(done), "field")
    if undoing:
        return f"Undone: {what}."
    if last.edited and last.state == "pending":
        return f"Your {what} is kept and waits: see its findings, then y accepts it."
    return f"{what}: {'edited and accepted' if last.decision == 'edit' else last.status}."
