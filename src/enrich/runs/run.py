"""The batch job: plan, ask, propose, and with `apply` write (`enrich run`, `enrich page`); and answers without proposals (`enrich eval`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any

from enrich.errors import AnswerError, UserError
from enrich.files import remove_leftovers
from enrich.review.applying import appliable, apply, page_of, recover
from enrich.review.lock import Lock, LockFile
from enrich.review.proposals import FieldChange, Proposal, ProposalStore
from enrich.review.propose import Renewal, propose, renew, restore_held
from enrich.runs.ask import Asker, PageResult
from enrich.runs.plan import BROKEN, Due, Plan, held_fields, make_plan
from enrich.runs.pool import Progress, Silent, alone, ask_pages
from enrich.runs.results import FailedQuestion, Journal, RunResult, failed_questions, run_folders, write_report
from enrich.runs.service import EngineOptions, open_service
from enrich.stages.fields import FieldAnswer, stage_of
from enrich.stages.stage import Stage, load_stages
from enrich.wiki.page_files import SIDECARS, PageFile
from enrich.wiki.pages import Page, read_page
from enrich.wiki.wiki import Wiki

# Seconds after which a temporary file is a leftover: no write takes nearly as long.
_LEFTOVER_AGE = 3600.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to ask and what to do with it. `pages` are PAGE arguments ([]: all), `stages` names ([]: all enabled).

    `fields`: only these are asked about and proposed; None for all.
    """

    pages: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    apply: bool = False
    limit: int | None = None
    refresh: bool = False
    read_cache: bool = True
    overwrite: bool = False
    only_failed: bool = False
    fields: tuple[str, ...] | None = None
    alone: bool = True  # a batch job holds the wiki's run lock; `enrich page` runs beside it
    engine: EngineOptions = field(default_factory=EngineOptions)


def run(wiki: Wiki, options: RunOptions, progress: Progress | None = None, env: Mapping[str, str] | None = None) -> RunResult:
    """Ask what is due and leave proposals. Raises `UserError` before anything is asked; later errors are in the result."""
    started = perf_counter()
    progress = progress or Silent()
    config = wiki.config
    stages = load_stages(config, options.stages)
    files = wiki.select(options.pages)
    with alone(wiki, "run" if options.alone else None, "another run ({}) is at work on this wiki", progress):
        recover(wiki)
        for folder in (config.content, config.proposals, config.data / SIDECARS):
            remove_leftovers(folder, older_than=_LEFTOVER_AGE, now=time.time(), within=config.folders)
        restore_held(wiki)
        plan = make_plan(wiki, files, stages, refresh=options.refresh)
        _drop_applied(wiki, plan)
        lock_file = wiki.shared(LockFile)
        if lock_file.moved:
            with lock_file.writing():
                lock_file.update({})
        due = _narrowed(wiki, plan, options)
        with Journal(config.cache / "runs", config.folders) as journal:
            job = _Job(wiki, options, plan, due, journal)
            result = job.result
            for line in plan.left_out(wiki):
                progress.note(line)
            journal.write("start", backend=config.llm.backend, pages=len(due), due=result.due, kind="run" if options.alone else "page")
            if due or options.engine.engine == "batch":
                engine = replace(options.engine, read_cache=options.read_cache)
                try:
                    asyncio.run(ask_pages(wiki, stages, due, result, progress, job.book, env, journal.write, engine))
                finally:
                    job.renew()
            job.finish()
            result.seconds = perf_counter() - started
            try:
                journal.write("end", exit=result.exit, requests=result.spent.requests, cost_usd=result.spent.cost_usd)
                write_report(journal.folder, result, wiki=config.root.name, within=config.folders)
            except UserError as error:
                result.end(1, error.line)
    return result


def _drop_applied(wiki: Wiki, plan: Plan) -> None:
    """Remove fields from proposals if their value is on the page: an interrupted apply leaves them."""
    store = wiki.shared(ProposalStore)
    with store.writing() if plan.applied else nullcontext():
        for page, fields in plan.applied:
            if (proposal := store.get(page)) is not None:
                store.put(proposal.without(fields))


def _narrowed(wiki: Wiki, plan: Plan, options: RunOptions) -> list[Due]:
    """The due pages and stages that the options `fields`, `only_failed` and `limit` leave."""
    named = None if options.fields is None else set(map(stage_of, options.fields))
    failed = failed_questions(run_folders(wiki.config.cache / "runs", wiki.config.folders)) if options.only_failed else None

    def is_wanted(page: str, stage: str) -> bool:
        return (named is None or stage in named) and (failed is None or bool({(page, stage), (page, "")} & failed))

    kept = ((file, tuple(stage for stage in stages if is_wanted(file.id, stage.name))) for file, stages in plan.due)
    return [(file, stages) for file, stages in kept if stages][: options.limit]


class _Job:
    """The work of one run beside asking: turns answers into proposals and lock entries, writes the journal, and applies."""

    def __init__(self, wiki: Wiki, options: RunOptions, plan: Plan, due: Sequence[Due], journal: Journal) -> None:
        self.wiki, self.options, self.plan, self.due, self.journal = wiki, options, plan, due, journal
        self.result = RunResult(journal.run, wiki.config.llm.backend)
        self.result.due = sum(len(stages) for _, stages in due)
        self.result.left_alone = plan.left_alone()
        self.result.skipped = len({state.page for state in plan.states if state.state == "skipped"})
        self.result.failed = [item for item in plan.problems if item.cause in BROKEN]
        self.result.held = list(plan.held)
        self._renewals: list[Renewal] = []
        self._lock: tuple[Any, Lock] | None = None

    def book(self, outcome: PageResult) -> None:
        """Write one page's proposal, and its events into the journal."""
        page_id, result = outcome.page.id, self.result
        if outcome.answers:
            only = self.options.fields
            answers = outcome.answers if only is None else [one.about(only) for one in outcome.answers]
            try:
                changes, renewals = propose(self.wiki, self._current_lock(), _page_now(outcome.page), answers)
            except AnswerError as error:
                outcome.fail([answer.stage for answer in outcome.answers], error.cause, error.detail)
            else:
                self._renewals += renewals
                changed = {change.stage for change in changes}
                result.unchanged += sum(answer.stage not in changed for answer in outcome.answers)
                result.proposed += [(page_id, change.field) for change in changes]
                result.held += held_fields(page_id, changes)
        for failure in outcome.failures:
            self.journal.write("failed", **asdict(failure))
        spent = outcome.spent
        self.journal.write(
            "page",
            page=page_id,
            asked=outcome.asked,
            cached=outcome.cached,
            requests=spent.requests,
            tokens=spent.usage.counts(),
            cost_usd=spent.cost_usd,
            spent=spent.rows(),
            seconds=round(outcome.seconds, 3),
        )

    def renew(self) -> None:
        """Write the renewed lock entries. If that fails, their pages are due again and answered from the cache."""
        if self._renewals:
            try:
                renew(self.wiki, self._renewals)
            except UserError as error:
                self.result.end(1, error.line)

    def _current_lock(self) -> Lock:
        """The lock as it is now: a reviewer may apply while this run goes on."""
        state: Any = None
        with suppress(OSError):
            stat = self.wiki.config.lock.stat()
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if self._lock is None or self._lock[0] != state:
            self._lock = (state, self.wiki.shared(LockFile).read())
        return self._lock[1]

    def finish(self) -> None:
        """With `apply`, write; then bring the lists into page order and set the exit code."""
        result = self.result
        if self.options.apply and result.exit != 130:
            try:
                self._apply()
            except UserError as error:
                result.end(1, error.line)
        result.in_page_order({file.id: place for place, file in enumerate(self.wiki.files)})
        if not result.exit and result.failed:
            result.exit = 3

    def _apply(self) -> None:
        """Write what this run asked or found again; what is written is no longer held."""
        wiki, result = self.wiki, self.result
        ours = {(file.id, stage.name) for file, stages in self.due for stage in stages} | set(self.plan.waiting)
        selection: list[tuple[Proposal, list[FieldChange]]] = []
        for page in sorted({page for page, _ in ours}):
            proposal = wiki.shared(ProposalStore).get(page)
            changes = proposal.changes if proposal is not None else ()
            of_run = [change for change in changes if (page, change.stage) in ours and change.state != "rejected"]
            chosen = [change for change in of_run if appliable(change, everything=True, overwrite=self.options.overwrite)]
            if proposal is not None and chosen:
                selection.append((proposal, chosen))
        result.body_lines = {page: found.body_line for page, _, _ in result.held if (found := page_of(wiki, page))}
        done = apply(wiki, selection)
        written = set(done.fields)
        result.applied = done.fields
        kept = ((proposal, [change for change in changes if (proposal.page, change.field) in written]) for proposal, changes in selection)
        result.changes = [replace(proposal, changes=tuple(changes)) for proposal, changes in kept if changes]
        result.held = [item for item in (*result.held, *done.held) if item[:2] not in written]
        result.failed += [FailedQuestion(item.page, "", item.cause, item.detail) for item in done.refused]


def _page_now(page: Page) -> Page:
    """The page as it is after it was asked about. Raises `AnswerError` if the answers no longer fit it; they stay in the cache."""
    try:
        raw = page.file.read()
    except OSError:
        raw = b""
    if raw == page.raw and page.file.read_sidecar() == page.sidecar:
        return page
    now = read_page(page.file)
    if not now.raw and not page.file.file.exists():
        raise AnswerError("page-gone", "the page was deleted while its question was in flight")
    if now.problem is not None:
        raise AnswerError(now.problem.kind, now.problem.reason)
    if now.hash != page.hash:
        raise AnswerError("page-changed", "the page was edited while its question was in flight; it is due again")
    return now  # other frontmatter was edited: the answers are still valid


@dataclass(slots=True)
class Collected:
    """Checked fields by page id, in page order. `missing`: questions without an answer. `result` counts what was asked and what failed."""

    fields: dict[str, list[FieldAnswer]] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    result: RunResult = field(default_factory=lambda: RunResult("", ""))


def collect(
    wiki: Wiki,
    files: Sequence[PageFile],
    stages: Sequence[Stage],
    *,
    ask: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
    env: Mapping[str, str] | None = None,
) -> Collected:
    """The answers to these stages' questions about these pages, by the configured backend, model and prompts.

    With `ask`, missing answers are asked for, about at most `limit` pages in page order, within the configured budget. Pages that are never
    asked about (too short, skipped, unreadable) are left out. Raises `UserError`; failures are in the result.
    """
    found = Collected(result=RunResult("", wiki.config.llm.backend))
    wanted = {file.id for file, _ in make_plan(wiki, files, stages, refresh=True).due}
    answers: dict[str, dict[str, Sequence[FieldAnswer]]] = {file.id: {} for file in files if file.id in wanted}

    def lacking() -> list[Due]:
        """The pages with the stages that have no answer yet."""
        left = ((file, tuple(stage for stage in stages if stage.name not in answers[file.id])) for file in files if file.id in wanted)
        return [(file, missing) for file, missing in left if missing]

    def take(outcome: PageResult) -> None:
        answers[outcome.page.id].update((answer.stage, answer.fields) for answer in outcome.answers)

    def book(outcome: PageResult) -> None:
        take(outcome)
        journal.write("asked", page=outcome.page.id, requests=outcome.spent.requests, cost_usd=outcome.spent.cost_usd)

    async def look_up() -> None:
        """Take what is known without a request: the baseline's answers, or those in the cache and in waiting proposals."""
        async with open_service(wiki, stages, Silent().note, env, EngineOptions("none")) as service:
            for file, _ in lacking():
                outcome = PageResult(read_page(file))
                await Asker(service, outcome).ask(stages)
                take(outcome)
                if service.baseline is None:
                    answers[file.id] = _proposed(wiki, outcome.page, stages) | answers[file.id]

    asyncio.run(look_up())
    if ask and (due := lacking()):
        # The journal is for budgets over several runs: it says what was spent, and nothing that `run --failed` could take for a run's failure.
        with Journal(wiki.config.cache / "runs", wiki.config.folders) as journal:
            asyncio.run(ask_pages(wiki, stages, due[:limit], found.result, progress or Silent(), book, env))
    found.missing = [(file.id, stage.name) for file, missing in lacking() for stage in missing]
    found.fields = {page: [one for stage in stages for one in by_stage.get(stage.name, ())] for page, by_stage in answers.items()}
    return found


def _proposed(wiki: Wiki, page: Page, stages: Sequence[Stage]) -> dict[str, Sequence[FieldAnswer]]:
    """What a waiting proposal has of the same questions: the cache may have been cleared meanwhile."""
    proposal, found = wiki.shared(ProposalStore).get(page.id), dict[str, Sequence[FieldAnswer]]()
    if proposal is None:
        return found
    for stage in stages:
        asked = (stage.key(page), stage.settings_hash)
        changes = [change for change in proposal.changes if (change.question.key, change.question.settings) == asked]
        if changes:
            found[stage.name] = [FieldAnswer(change.field, change.new, (), change.evidence, change.reason) for change in changes]
    return found
