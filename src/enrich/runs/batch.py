"""The batch job: plan, ask, propose, and with `apply` write (`enrich run`, `enrich page`)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from enrich.errors import UserError
from enrich.files import locked, remove_leftovers
from enrich.review.applying import Applied, appliable, apply, recover
from enrich.review.proposals import FieldChange, Proposal, ProposalStore
from enrich.runs.asking import Asker, Baseline
from enrich.runs.interrupts import interruptible, terminated_as_interrupted
from enrich.runs.journal import Journal, run_folders
from enrich.runs.local import Due, Engine, Progress, Silent
from enrich.runs.planning import Plan, make_plan
from enrich.runs.report import failed_in, write_report
from enrich.runs.results import FailedQuestion, RunResult
from enrich.stages.catalogue import OFFLINE, Stage, load_stages
from enrich.wiki.pages import Page
from enrich.wiki.wiki import Wiki, now_iso

# Seconds after which a temporary file belongs to nobody: no write takes nearly as long.
_LEFTOVER_AGE = 3600.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to ask and what to do with it. `pages` are PAGE arguments ([]: all), `stages` names ([]: all enabled)."""

    pages: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    apply: bool = False
    limit: int | None = None
    refresh: bool = False
    read_cache: bool = True
    overwrite: bool = False
    only_failed: bool = False
    alone: bool = True  # a batch job holds the wiki's run mutex; `enrich page` runs beside it


def run(wiki: Wiki, options: RunOptions, progress: Progress | None = None, env: Mapping[str, str] | None = None) -> RunResult:
    """Ask what is due and leave proposals. Raises `UserError` before anything is asked; later trouble is in the result."""
    started = perf_counter()
    progress = progress or Silent()
    config = wiki.config
    stages = load_stages(wiki.config, options.stages)
    files = wiki.select(options.pages)

    def waiting(holder: str) -> None:
        progress.note(f"another run ({holder or 'process unknown'}) is at work on this wiki: waiting for it to end")

    with terminated_as_interrupted(), locked(config.cache / "locks" / "run", waiting) if options.alone else nullcontext():
        recover(wiki)
        for folder in (config.content, config.proposals):
            remove_leftovers(folder, older_than=_LEFTOVER_AGE, now=time.time())
        plan = make_plan(wiki, files, stages, refresh=options.refresh)
        _tidy(wiki, plan)
        due = _narrowed(wiki, plan, options)
        with Journal.new(config.cache / "runs") as journal:
            result = RunResult(journal.run, config.llm.backend, due=sum(len(names) for _, names in due))
            result.left_alone = plan.left_alone()
            result.skipped = len({state.page for state in plan.states if state.state == "skipped"})
            result.failed = [FailedQuestion(item.page, "", item.kind, item.text) for item in plan.problems if item.failed]
            result.held = list(plan.held)
            for item in plan.problems:
                if not item.failed:
                    progress.note(f"warning: {item.text}; left out")
            journal.write("start", backend=config.llm.backend, pages=len(due), due=result.due, kind="run" if options.alone else "page")
            if due:
                asyncio.run(_ask(wiki, options, stages, due, journal, result, progress, os.environ if env is None else env))
            _finish(wiki, options, plan, due, journal, result)
            result.seconds = perf_counter() - started
            _report(journal, result, config.root.name)
    return result


async def _ask(
    wiki: Wiki,
    options: RunOptions,
    stages: Sequence[Stage],
    due: list[Due],
    journal: Journal,
    result: RunResult,
    progress: Progress,
    env: Mapping[str, str],
) -> None:
    config = wiki.config
    async with AsyncExitStack() as stack:
        parts = await _backend(stack, wiki, stages, progress, env)
        stop_asking, throttle = parts.pop("stop_asking"), parts.pop("throttle")
        asker = Asker(fuse=config.llm.fuse, read_cache=options.read_cache, now=now_iso, run=journal.run, **parts)
        by_name = {stage.name: stage for stage in stages}
        engine = Engine(wiki, by_name, asker, journal, result, progress, config.llm.concurrency, stop_asking, throttle)
        progress.start(len(due))

        def interrupted() -> None:
            progress.note("stopping: what is in flight is finished and stored; Ctrl-C again ends at once")
            engine.end(130, "interrupted", "run again: answers so far are kept")
            stop_asking("interrupted")

        async with interruptible(interrupted):
            try:
                await engine.run(due)
            except asyncio.CancelledError:
                if result.exit != 130:
                    raise
            except UserError as error:
                engine.end(1, error.line, "")


def _finish(wiki: Wiki, options: RunOptions, plan: Plan, due: list[Due], journal: Journal, result: RunResult) -> None:
    """With `apply`, write; then bring the lists into page order and settle the exit code."""
    if options.apply and result.exit != 130:
        try:
            _apply(wiki, options, plan, due, result)
        except UserError as error:
            result.stopped, result.exit = result.stopped or error.line, result.exit or 1
    result.in_page_order({file.id: place for place, file in enumerate(wiki.files)})
    if not result.exit and result.failed:
        result.exit = 3


def _tidy(wiki: Wiki, plan: Plan) -> None:
    """Take fields out of proposals whose value stands on the page: what an apply that was cut off did not get to."""
    if not plan.settled:
        return
    with wiki.shared(ProposalStore).writing():
        for page, fields in plan.settled:
            if (proposal := wiki.shared(ProposalStore).get(page)) is not None:
                wiki.shared(ProposalStore).put(proposal.without(fields))


def _report(journal: Journal, result: RunResult, wiki: str) -> None:
    """The report, as far as there is room for it: what the run did is said in any case."""
    try:
        journal.write("end", exit=result.exit, requests=result.requests, cost_usd=result.cost_usd)
        write_report(journal.folder, result, wiki=wiki)
    except UserError as error:
        result.stopped, result.exit = result.stopped or error.line, result.exit or 1


def _narrowed(wiki: Wiki, plan: Plan, options: RunOptions) -> list[Due]:
    due = plan.due
    if options.only_failed:
        failed = failed_in(run_folders(wiki.config.cache / "runs"))
        due = [
            (file, kept)
            for file, names in due
            if (kept := tuple(name for name in names if (file.id, name) in failed or (file.id, "") in failed))
        ]
    return due if options.limit is None else due[: options.limit]


async def _backend(
    stack: AsyncExitStack, wiki: Wiki, stages: Sequence[Stage], progress: Progress, env: Mapping[str, str]
) -> dict[str, Any]:
    """The asker's connections: client, cache and single flight for a model; nothing but the baseline for `offline`."""
    if wiki.config.llm.backend == OFFLINE:
        return {
            "sender": None,
            "answers": _NoAnswers(),
            "hold": lambda keys: nullcontext(),
            "baseline": _baseline(wiki),
            "stop_asking": lambda why: None,
            "throttle": lambda: "",
        }
    from enrich.runs.service import open_service

    return await open_service(stack, wiki, stages, progress, env)


class _NoAnswers:
    def get(self, key: str) -> dict[str, Any] | None:
        del key
        return None

    def put(self, key: str, value: dict[str, Any]) -> None:
        del key, value


def _baseline(wiki: Wiki) -> Baseline:
    from enrich.offline import answer

    dimensions = tuple(wiki.config.stages.ratings.dimensions)

    def baseline(stage: str, page: Page) -> Mapping[str, Any]:
        return answer(stage, page, dimensions=dimensions)

    return baseline


def _apply(wiki: Wiki, options: RunOptions, plan: Plan, due: list[Due], result: RunResult) -> None:
    """Write what this run asked or found again; what is written is no longer held back."""
    ours = {(file.id, name) for file, names in due for name in names} | set(plan.waiting)
    selection: list[tuple[Proposal, list[FieldChange]]] = []
    for page in dict.fromkeys(page for page, _ in sorted(ours)):
        proposal = wiki.shared(ProposalStore).get(page)
        if proposal is None:
            continue
        of_run = [change for change in proposal.changes if (page, change.stage) in ours and change.state != "rejected"]
        chosen = [change for change in of_run if appliable(change, everything=True, overwrite=options.overwrite)]
        if chosen:
            selection.append((proposal, chosen))
    done: Applied = apply(wiki, selection)
    result.applied = done.fields
    result.held.extend(done.held)
    written = set(done.fields)
    kept = ((proposal, [change for change in changes if (proposal.page, change.field) in written]) for proposal, changes in selection)
    result.changes = [replace(proposal, changes=tuple(changes)) for proposal, changes in kept if changes]
    result.held = [item for item in result.held if (item[0], item[1]) not in written]
    result.failed.extend(FailedQuestion(item.page, "", item.cause, item.detail) for item in done.refused)
