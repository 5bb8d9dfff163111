"""The plan: the state of every (page, stage) with its reasons (DESIGN.md section 3), and what asking would cost. Sends and writes nothing."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from enrich.config import Config
from enrich.errors import UserError
from enrich.llm.costs import ContextLimits, TokenUse
from enrich.llm.messages import Request, Usage
from enrich.review.lock import PERSONS, Lock, LockEntry, LockFile, Question, owner
from enrich.review.proposals import FieldChange, Proposal, ProposalStore, blocking_flag
from enrich.review.support import SUPPORT_LOST, page_losses
from enrich.runs.results import FailedQuestion
from enrich.runs.service import body_room, endpoints, prices_of, with_any_key
from enrich.stages.fields import current_value, holds
from enrich.stages.sections import IN_SECTIONS, LEAST_ROOM, condensed_page, split_page, summaries_page
from enrich.stages.stage import OFFLINE, Stage, fused_request, groups, load_stages
from enrich.text import counted
from enrich.wiki.data import insights_of_pages
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, read_page
from enrich.wiki.visible import visible
from enrich.wiki.wiki import Wiki

Due = tuple[PageFile, tuple[Stage, ...]]
"""A page and the stages that are asked about it."""
State = Literal["skipped", "human-edited", "unmanaged", "rejected", "proposed", "due", "current"]
# Why a page is not asked about, in words, and what to set.
_CURES = {
    "no-frontmatter": (
        "no frontmatter",
        '`frontmatter = "add"` under [wiki] gives them a YAML block, `store = "sidecar"` under [fields] keeps values in files of their own',
    ),
    "other-metadata": (
        "metadata in another format than YAML or TOML",
        'convert it, or set `store = "sidecar"` under [fields], which keeps values in files of their own',
    ),
    "too-short": ("fewer than {min_words} words", "`min_words` under [wiki] sets the limit"),
    "configuration": ("named by `skip`", "`skip` under [wiki] lists them"),
    "index-page": ("index pages", "`ask` under [wiki] names those to ask about, the profile's `not_asked` has the rule"),
    "kind-of-page": (
        "of a kind that is not asked about",
        "`ask` under [wiki] names those to ask about, the profile's `not_asked` has the rule",
    ),
}
# A section's summary as the plan expects it.
_TYPICAL_SUMMARY = {"summary": "word " * 45, "evidence": ["word " * 20] * 2}
# A page with one of these problems is broken and must be fixed. Other problems mean a page without usable frontmatter.
BROKEN = ("unreadable", "encoding", "yaml", "toml", "sidecar", "proposal")
# A paragraph without code, tags and expressions: each of its words is visible.
_PLAIN = re.compile(r"\s*(?!import|export)[^\W_][^`~<{]*")


@dataclass(frozen=True, slots=True)
class StageState:
    """The state of one (page, stage), and why."""

    page: str
    stage: str
    state: State
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class Plan:
    """All states, the pages with due stages (in page order) and the pages with problems.

    `waiting` are the (page, stage) in state `proposed`, `held` their (page, field, flag) that `apply` leaves out. `applied` are proposed fields
    by page whose value is on the page already: an interrupted apply wrote it, or a person did.
    """

    states: list[StageState] = field(default_factory=list)
    due: list[Due] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[FailedQuestion] = field(default_factory=list)
    applied: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def left_out(self, wiki: Wiki, most: int = 3) -> list[str]:
        """One line for each reason why pages are not asked about: their number, the first `most` of them, and what to set. Not broken pages."""
        groups: dict[str, dict[str, None]] = {}
        for state in self.states:
            if state.state == "skipped" and state.reasons[0] not in BROKEN:
                groups.setdefault(state.reasons[0], {})[state.page] = None
        lines = []
        for reason, pages in groups.items():
            what, do = _CURES.get(reason, (reason, "`enrich check` says more"))
            more = f" and {len(pages) - most} more" if len(pages) > most else ""
            what = what.format(min_words=wiki.config.wiki.min_words)
            lines.append(f"{counted(len(pages), 'page')} left out, {what}: {', '.join(list(pages)[:most])}{more}; {do}")
        return lines

    def left_alone(self) -> dict[str, str]:
        """Pages without due stages, with their states (`skipped: too-short`, `unmanaged`, `proposed`); current pages are left out."""
        due = {file.id for file, _ in self.due}
        found: dict[str, dict[str, None]] = {}
        for state in self.states:
            if state.page not in due and state.state != "current":
                reason = f": {', '.join(state.reasons)}" if state.reasons else ""
                found.setdefault(state.page, {})[f"{state.state}{reason}"] = None
        return {page: ", ".join(states) for page, states in found.items()}

    def counts(self) -> dict[str, int]:
        """The number of (page, stage) in each state."""
        return dict(Counter(state.state for state in self.states))

    def enrichment(self) -> Mapping[str, dict[str, dict[str, Any]]]:
        """States by page and stage, as `database.json` holds them (DESIGN.md section 4.6)."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for state in self.states:
            found.setdefault(state.page, {})[state.stage] = {"state": state.state, "reasons": list(state.reasons)}
        return found


def make_plan(wiki: Wiki, files: Iterable[PageFile] | None = None, stages: Sequence[Stage] | None = None, *, refresh: bool = False) -> Plan:
    """The plan for these pages (default: all) and stages (default: all enabled). `refresh` makes everything but `skipped` due."""
    plan = Plan()
    stages = load_stages(wiki.config) if stages is None else stages
    lock, store = wiki.shared(LockFile).read(), wiki.shared(ProposalStore)
    has_proposals = store.has_any()
    for file in wiki.files if files is None else files:
        page = lock.with_moved_sidecar(read_page(file))
        # One at a time: all proposals of a large wiki would take more memory than everything else.
        try:
            proposal = store.get(file.id) if has_proposals else None
        except UserError as error:
            plan.problems.append(FailedQuestion(file.id, "", "proposal", f"{error.where}: {error.what}: {error.do}"))
            continue
        states = list(_page_states(wiki, page, stages, lock, proposal, refresh))
        plan.states += states
        if (problem := page.problem) is not None and not wiki.not_asked(page):
            line = f":{problem.line}" if problem.line else ""
            detail = f"{wiki.config.wiki.content}/{file.path}{line}: {problem.reason}"
            plan.problems.append(FailedQuestion(file.id, "", problem.kind, detail))
        if due := tuple(stage for stage, state in zip(stages, states, strict=True) if state.state == "due"):
            plan.due.append((file, due))
        if proposal is not None:
            _add_proposal(plan, page, proposal, {state.stage for state in states if state.state == "proposed"})
    return plan


def _add_proposal(plan: Plan, page: Page, proposal: Proposal, waiting: set[str]) -> None:
    changes = [change for change in proposal.changes if change.state != "rejected"]
    if applied := tuple(change.field for change in changes if holds(page, change.field, change.result)):
        plan.applied.append((page.id, applied))
    plan.waiting += [(page.id, stage) for stage in waiting]
    plan.held += held_fields(page.id, [change for change in changes if change.stage in waiting])


def held_fields(page: str, changes: Iterable[FieldChange]) -> list[tuple[str, str, str]]:
    """(page, field, flag) of the pending changes that `apply` leaves out."""
    return [(page, change.field, flag) for change in changes if change.state == "pending" and (flag := blocking_flag(change))]


def _page_states(
    wiki: Wiki, page: Page, stages: Sequence[Stage], lock: Lock, proposal: Proposal | None, refresh: bool
) -> Iterator[StageState]:
    if skipped := wiki.not_asked(page):
        pass
    elif page.problem is not None:
        skipped = page.problem.kind
    else:
        skipped = "" if _is_long_enough(page.body, wiki.config.wiki.min_words) else "too-short"
    for stage in stages:
        if skipped:
            yield StageState(page.id, stage.name, "skipped", (skipped,))
        elif not stage.applies(page):
            yield StageState(page.id, stage.name, "skipped", ("kind-of-page",))
        elif refresh:
            yield StageState(page.id, stage.name, "due", ("refresh",))
        else:
            entry = lock.entry(page.id, stage.name, page)
            in_data = stage.name == "insights" and page.id in wiki.shared_by_copies(insights_of_pages)
            state = _stage_state(page, stage, entry, proposal, in_data)
            if state.state == "due" and page_losses(wiki, page, stage.name, entry):
                state = replace(state, reasons=(*state.reasons, SUPPORT_LOST))
            yield state


def _is_long_enough(body: str, minimum: int) -> bool:
    """Whether a reader sees at least `minimum` words."""
    # Counting exactly takes a sixth of a page's time in a run, and twice the words in plain paragraphs are nearly always there.
    if "<!--" not in body and "{/*" not in body:
        plain = sum(len(paragraph.split()) for paragraph in body.split("\n\n") if _PLAIN.fullmatch(paragraph))
        if plain >= 2 * minimum:
            return True
    return visible(body).words >= minimum


def _stage_state(page: Page, stage: Stage, entry: LockEntry | None, proposal: Proposal | None, in_data: bool) -> StageState:
    """The first state that fits one of the stage's fields; a stage whose fields are all a person's is `human-edited` or `unmanaged`.

    `in_data`: a field without a value on the page is not missing, because the data folder has a value of the page.
    """
    now = Question.of(page, stage)
    owners: set[str] = set()
    found: set[State] = set()
    reasons: dict[str, None] = {}
    for name in stage.fields:
        value = current_value(page.data, name)
        whose = owner(value, entry, name)
        if whose == "missing" and in_data:
            whose = "unmanaged"
        owners.add(whose)
        if whose not in PERSONS:
            state, why = _field_state(page, name, now, entry, proposal)
            found.add(state)
            reasons.update(dict.fromkeys(why))
    order: tuple[State, ...] = ("due", "proposed", "rejected", "current")
    persons: State = "human-edited" if "human-edited" in owners else "unmanaged"
    return StageState(page.id, stage.name, next((state for state in order if state in found), persons), tuple(reasons))


def _field_state(page: Page, name: str, now: Question, entry: LockEntry | None, proposal: Proposal | None) -> tuple[State, Sequence[str]]:
    if entry is not None and name in entry.rejected and not entry.question.reasons(now):
        return "rejected", ()
    change = proposal.change(name) if proposal else None
    # A proposed value that is on the page needs no decision: it was applied elsewhere, and came here with the repository.
    if change is not None and change.state != "rejected" and not change.question.reasons(now) and not holds(page, name, change.result):
        return "proposed", ()
    if entry is None or name not in entry.written:
        return "due", ("missing",)
    reasons = entry.question_of(name).reasons(now)
    return ("due", reasons) if reasons else ("current", ())


@dataclass(frozen=True, slots=True)
class Estimate:
    """The part of `plan --json` beside the states. `cost_usd` is None if a model's price is unknown, `host` is "" if nothing leaves the machine.

    `sections`: in how many sections each page is asked that does not fit into its model's context; 0 if it cannot be asked.
    """

    requests: int = 0
    tokens: Usage = field(default_factory=Usage)
    cost_usd: float | None = 0.0
    host: str = ""
    model: str = ""
    sections: Mapping[str, int] = field(default_factory=dict)


def estimate(wiki: Wiki, plan: Plan, share: float = 1.0) -> Estimate:
    """The cost of asking what is due, if no answer is cached and none is asked for again. `share` of the plain price is paid."""
    config = wiki.config
    if config.llm.backend == OFFLINE:
        return Estimate(model=OFFLINE)
    in_sections: dict[str, int] = {}
    learnt, contexts = TokenUse(config.cache, config.folders), ContextLimits(config.cache, config.llm.context_tokens, config.folders)

    def requests() -> Iterator[tuple[Request, int]]:
        for file, stages in plan.due:
            page = read_page(file)
            for group in groups(stages, fuse=config.llm.fuse):
                # Samples beyond the first are asked for only by the stages that want them.
                for sample in range(max(stage.samples for stage in group)):
                    asked = [stage for stage in group if stage.samples > sample]
                    model = asked[0].model
                    planned, sections = _requests(page, asked, contexts.of(model), learnt.input.factor(model))
                    if sections is not None:
                        in_sections[page.id] = max(sections, in_sections.get(page.id, 0))
                    yield from ((request, 1) for request in planned)

    return replace(cost_of(config, requests(), config.llm.model, share), sections=in_sections)


def cost_of(config: Config, requests: Iterable[tuple[Request, int]], model: str, share: float = 1.0) -> Estimate:
    """What these requests are expected to cost, each with how often it is sent. `model` is named in the estimate."""
    servers, learnt = endpoints(config, with_any_key(config, os.environ)), TokenUse(config.cache, config.folders)
    prices = prices_of(config, servers, share=share)
    number, usage, cost = 0, Usage(), 0.0
    for request, times in requests:
        one, price = learnt.expected(request), prices.price_of(request.model)
        number, usage = number + times, usage + Usage(*(times * count for count in one.counts().values()))
        # One unknown price makes the sum unknown.
        cost += times * (math.nan if price is None else (price.input_only() if request.scores else price).cost(one))
    host = ", ".join(server.host for server in servers)
    return Estimate(number, usage, None if math.isnan(cost) else round(cost, 6), host, model)


def _requests(page: Page, stages: Sequence[Stage], context: int | None, factor: float) -> tuple[list[Request], int | None]:
    """(the requests for one group of stages, the number of sections or None if the page fits), as `Asker` sends them if all goes well."""

    def room(asked: Sequence[Stage]) -> int | None:
        return body_room(page, asked, context, factor) if asked else 0

    if room(stages) is None:
        return [fused_request(page, stages)], None
    alone = [stage for stage in stages if len(stages) > 1 and room([stage]) is None]
    by_section = [stage for stage in stages if stage not in alone and stage.name in IN_SECTIONS]
    whole = [stage for stage in stages if stage not in alone and stage not in by_section]
    of_section, of_page = room(by_section) or 0, room(whole) or 0
    sections = split_page(page, of_section) if of_section >= LEAST_ROOM else []
    parts = [(page, [stage]) for stage in alone] + [(section, by_section) for section in sections]
    if summaries := [stage for stage in by_section if sections and stage.name == "summary"]:
        parts.append((summaries_page(page, [(section, _TYPICAL_SUMMARY) for section in sections]), summaries))
    if of_page >= LEAST_ROOM:
        parts.append((condensed_page(page, of_page), whole))
    return [fused_request(part, asked) for part, asked in parts], len(sections)
