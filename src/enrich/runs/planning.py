"""The plan: the state of every (page, stage), with its reasons (DESIGN.md section 3.2). Asks nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from enrich.errors import UserError
from enrich.review.decisions import blocking_flag
from enrich.review.lock import Lock, LockEntry, LockFile, Question, owner
from enrich.review.proposals import Proposal, ProposalStore
from enrich.stages.catalogue import Stage, load_stages
from enrich.stages.landing import same, standing
from enrich.wiki.pages import Page, PageFile, read_page
from enrich.wiki.visible import visible
from enrich.wiki.wiki import Wiki

State = Literal["skipped", "human-edited", "unmanaged", "rejected", "proposed", "due", "current"]


@dataclass(frozen=True, slots=True)
class StageState:
    """The state of one (page, stage), and why."""

    page: str
    stage: str
    state: State
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"page": self.page, "stage": self.stage, "state": self.state, "reasons": list(self.reasons)}


@dataclass(frozen=True, slots=True)
class PageProblem:
    """A page that cannot be enriched as it stands; `path` is relative to the wiki. `failed` tells broken pages from those left out."""

    page: str
    path: str
    line: int
    kind: str
    reason: str
    failed: bool

    @property
    def text(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}" if self.line else f"{self.path}: {self.reason}"


@dataclass(slots=True)
class Plan:
    """All states, the pages with something due (in page order) and the pages with problems."""

    states: list[StageState] = field(default_factory=list)
    due: list[tuple[PageFile, tuple[str, ...]]] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)  # (page, stage) in state `proposed`
    held: list[tuple[str, str, str]] = field(default_factory=list)  # (page, field, flag) of those that `apply` leaves out
    problems: list[PageProblem] = field(default_factory=list)
    settled: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)  # page → proposed fields whose value stands there already

    def left_alone(self) -> dict[str, str]:
        """Pages of which nothing is due, with their states (`skipped: too-short`, `unmanaged`, `proposed`); pages that are current are left out."""
        due = {file.id for file, _ in self.due}
        told: dict[str, dict[str, None]] = {}
        for state in self.states:
            if state.page not in due and state.state != "current":
                reason = f": {', '.join(state.reasons)}" if state.reasons else ""
                told.setdefault(state.page, {})[f"{state.state}{reason}"] = None
        return {page: ", ".join(states) for page, states in told.items()}

    def counts(self) -> dict[str, int]:
        """How many (page, stage) are in each state."""
        counts: dict[str, int] = {}
        for state in self.states:
            counts[state.state] = counts.get(state.state, 0) + 1
        return counts


# A page with one of these problems is broken: somebody must mend it. The others are no pages of frontmatter at all.
_BROKEN = ("unreadable", "encoding", "yaml")


def make_plan(wiki: Wiki, files: Iterable[PageFile] | None = None, stages: Sequence[Stage] | None = None, *, refresh: bool = False) -> Plan:
    """The plan for these pages (default: all) and stages (default: all enabled). `refresh` makes everything but `skipped` due."""
    plan = Plan()
    files = wiki.files if files is None else files
    stages = load_stages(wiki.config) if stages is None else stages
    lock = wiki.shared(LockFile).read()
    proposed = wiki.shared(ProposalStore).has_any()
    for file in files:
        page = read_page(file)
        # One at a time: all proposals of a large wiki at once would take more memory than everything else.
        try:
            proposal = wiki.shared(ProposalStore).get(file.id) if proposed else None
        except UserError as error:
            plan.problems.append(PageProblem(file.id, error.where, 0, "proposal", f"{error.what}: {error.do}", True))
            continue
        states = list(page_states(wiki, page, stages, lock, proposal, refresh=refresh))
        plan.states.extend(states)
        if page.problem is not None and not wiki.is_skipped(file):
            failed = page.problem.kind in _BROKEN
            path = f"{wiki.config.wiki.content}/{file.path}"
            plan.problems.append(PageProblem(file.id, path, page.problem.line, page.problem.kind, page.problem.reason, failed))
        due = tuple(state.stage for state in states if state.state == "due")
        if due:
            plan.due.append((file, due))
        if proposal is not None and (there := _standing_already(page, proposal)):
            plan.settled.append((file.id, there))
        waiting = {state.stage for state in states if state.state == "proposed"}
        plan.waiting.extend((file.id, stage) for stage in waiting)
        if proposal is not None and waiting:
            plan.held.extend(
                (file.id, change.field, flag)
                for change in proposal.changes
                if change.stage in waiting and change.state == "pending" and (flag := blocking_flag(change))
            )
    return plan


def _standing_already(page: Page, proposal: Proposal) -> tuple[str, ...]:
    """Proposed fields that an apply wrote before it was cut off (or that somebody wrote by hand): nothing is left to decide."""
    return tuple(
        change.field
        for change in proposal.changes
        if change.state != "rejected" and same(standing(page.frontmatter, change.field), change.new)
    )


def page_states(
    wiki: Wiki, page: Page, stages: Sequence[Stage], lock: Lock, proposal: Proposal | None, *, refresh: bool = False
) -> Iterator[StageState]:
    """The state of each stage of one page."""
    skipped = _skip_reason(wiki, page)
    for stage in stages:
        if skipped:
            yield StageState(page.id, stage.name, "skipped", (skipped,))
        elif refresh:
            yield StageState(page.id, stage.name, "due", ("refresh",))
        else:
            yield _stage_state(page, stage, lock.entry(page.id, stage.name, page), proposal)


def _skip_reason(wiki: Wiki, page: Page) -> str:
    if wiki.is_skipped(page.file):
        return "configuration"
    if page.problem is not None:
        return page.problem.kind
    minimum = wiki.config.wiki.min_words
    return "" if _surely_long_enough(page.body, minimum) or visible(page.body).words >= minimum else "too-short"


def _surely_long_enough(body: str, minimum: int) -> bool:
    """Whether plain prose lines alone hold twice the words that are needed: saves the exact count for nearly all pages."""
    if "<!--" in body or "{/*" in body:
        return False
    words = 0
    for block in body.split("\n\n"):
        first = block.lstrip()[:1]
        # Paragraphs that begin with a letter or digit and hold neither code, tags nor expressions are read as they stand.
        if (
            first.isalnum()
            and not any(mark in block for mark in ("```", "~~~", "<", "{"))
            and not block.lstrip().startswith(("import", "export"))
        ):
            words += len(block.split())
            if words >= 2 * minimum:
                return True
    return False


def _stage_state(page: Page, stage: Stage, line: LockEntry | None, proposal: Proposal | None) -> StageState:
    now = Question.of(page, stage)
    owners: set[str] = set()
    found: dict[State, bool] = {}
    reasons: dict[str, None] = {}
    for name in stage.fields:
        whose = owner(standing(page.frontmatter, name), line, name)
        owners.add(whose)
        if whose in ("human-edited", "unmanaged"):
            continue
        state, why = _field_state(name, now, line, proposal, standing(page.frontmatter, name))
        found[state] = True
        reasons.update(dict.fromkeys(why))
    for state in ("due", "proposed", "rejected", "current"):
        if state in found:
            return StageState(page.id, stage.name, state, tuple(reasons))
    return StageState(page.id, stage.name, "human-edited" if "human-edited" in owners else "unmanaged")


def _field_state(name: str, now: Question, line: LockEntry | None, proposal: Proposal | None, value: Any) -> tuple[State, Sequence[str]]:
    if line is not None and name in line.rejected and not line.question.reasons(now):
        return "rejected", ()
    change = proposal.change(name) if proposal else None
    # What stands on the page already waits for nobody: it was applied elsewhere, and came here with the repository.
    if change is not None and change.state != "rejected" and not change.question.reasons(now) and not same(value, change.new):
        return "proposed", ()
    if line is None or name not in line.written:
        return "due", ("missing",)
    reasons = line.question_of(name).reasons(now)
    return ("due", reasons) if reasons else ("current", ())


def enrichment(states: Iterable[StageState]) -> Mapping[str, dict[str, dict[str, Any]]]:
    """States by page and stage, as `database.json` holds them (DESIGN.md section 4.6)."""
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for state in states:
        out.setdefault(state.page, {})[state.stage] = {"state": state.state, "reasons": list(state.reasons)}
    return out
