"""`enrich plan` and `enrich run`: what would be asked, and the batch job."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from rich.text import Text
from typer import Option, Typer

from enrich.cli.session import LISTED, TO_REPORT, Backend, BaseUrl, Budget, Model, Pages, Stages, by_page, compact, progress_of_run, session
from enrich.errors import UserError
from enrich.files import write_text_atomically
from enrich.llm.server import host_of
from enrich.runs.plan import BROKEN, Estimate, Plan, StageState, estimate, make_plan
from enrich.runs.results import FailedQuestion, RunResult, pull_request_body
from enrich.runs.run import RunOptions
from enrich.runs.run import run as run_batch
from enrich.runs.service import ENGINES, EngineOptions
from enrich.stages.stage import OFFLINE, load_stages
from enrich.text import counted, usd
from enrich.wiki.wiki import Wiki

Refresh = Annotated[bool, Option("--refresh", help="Take everything but skipped pages as due (cached answers still serve).")]

NoCache = Annotated[bool, Option("--no-cache", help="Ask again about what is due, even if an answer is stored.")]
Engine = Annotated[
    str,
    Option(
        "--engine", metavar="E", help="Where questions run: local, batch (half the price, within a day), or ray (workers on many machines)."
    ),
]

_STATE_STYLE = {
    "due": "yellow",
    "current": "green",
    "proposed": "cyan",
    "skipped": "dim",
    "human-edited": "magenta",
    "unmanaged": "magenta",
}
# The rows of a plan or a run without -v.
_PLANNED = 10

app = Typer(rich_markup_mode=None)


@app.command()
def plan(
    pages: Pages = None,
    stage: Stages = None,
    refresh: Refresh = False,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    engine: Engine = "local",
    exit_code: Annotated[bool, Option("--exit-code", help="Exit with 10 if something is due.")] = False,
) -> int:
    """Show what is due and why, with tokens and cost. Asks nothing."""
    from enrich.runs.doctor import ending_models

    _check_engine(engine)
    wiki = session.open_wiki(warn=True, llm__backend=backend, llm__model=model, llm__base_url=base_url)
    stages = load_stages(wiki.config, stage or ())
    made = make_plan(wiki, wiki.select(pages or ()), stages, refresh=refresh)
    cost = estimate(wiki, made, EngineOptions(engine).share)
    session.warn(*(problem.detail for problem in made.problems if problem.cause in BROKEN))
    session.warn(*(f"{ending.what} ({ending.do})" for ending in ending_models(wiki.config, cost.host.split(", "))))
    left_out = made.left_out(wiki, len(wiki.files) if session.verbose else LISTED)
    if session.json:
        session.document({"states": [asdict(state) for state in made.states], **asdict(cost)})
    else:
        _print_plan(made, cost)
        session.say(*left_out)
    return TO_REPORT if exit_code and made.due else 0


def _print_plan(plan: Plan, cost: Estimate) -> None:
    """Totals, the first pages with something to do, and the cost; with -v every page."""
    by_id: dict[str, dict[str, StageState]] = {}
    for state in plan.states:
        by_id.setdefault(state.page, {})[state.stage] = state
    listed = {
        page: row for page, row in by_id.items() if session.verbose or any(one.state not in ("current", "skipped") for one in row.values())
    }
    names = list(dict.fromkeys(state.stage for state in plan.states))
    rows: Iterable[list[str | Text]] = ([page, *(_state_cell(row.get(name)) for name in names)] for page, row in listed.items())
    session.print_pages(["page", *names], rows, len(listed), _PLANNED)
    counts = plan.counts()
    states = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    session.say(f"{counted(len(by_id), 'page')}: {states or 'nothing to ask'}")
    if kept := counts.get("human-edited", 0) + counts.get("unmanaged", 0):
        session.say(f"{counted(kept, 'value')} written or changed by a person: kept (`enrich adopt` hands them over)")
    if waiting := counts.get("proposed", 0):
        session.say(f"{counted(waiting, 'answer')} proposed: `enrich diff` shows the changes, `enrich review` decides")
    if cost.sections:
        parts = sum(cost.sections.values())
        session.say(
            f"{counted(len(cost.sections), 'page')} too long for the model's context: asked in {counted(parts, 'section')}"
            + ("; some cannot be asked at all: raise llm.context_tokens" if 0 in cost.sections.values() else "")
        )
    if cost.host:
        session.say(cost_line(cost))
    else:
        session.say("backend offline: nothing leaves this machine, nothing is spent")


def cost_line(cost: Estimate) -> str:
    """The requests that would be sent, where to, and what they cost."""
    price = "price unknown (set [prices] in enrich.toml)" if cost.cost_usd is None else f"about {usd(cost.cost_usd)}"
    tokens = f"about {cost.tokens.input:,} tokens in and {cost.tokens.output:,} out"
    return f"{counted(cost.requests, 'request')} to {cost.model} at {cost.host}: {tokens}, {price}"


def _state_cell(state: StageState | None) -> Text:
    if state is None:
        return Text()
    reasons = f" ({', '.join(state.reasons)})" if state.reasons else ""
    return Text(state.state + reasons, style=_STATE_STYLE.get(state.state, ""))


@app.command()
def run(
    pages: Pages = None,
    apply: Annotated[
        bool, Option("--apply", help="Write what this run asked or found again, except needs-look, over-human and leap.")
    ] = False,
    stage: Stages = None,
    limit: Annotated[int | None, Option("--limit", metavar="N", min=0, help="At most N pages, in page order.")] = None,
    refresh: Refresh = False,
    no_cache: NoCache = False,
    overwrite: Annotated[
        bool, Option("--overwrite", help="With --apply: also write leaps, and over a person's values (never needs-look).")
    ] = False,
    budget: Budget = None,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    engine: Engine = "local",
    wait: Annotated[bool, Option("--wait", help="With --engine batch: wait until all batches have ended.")] = False,
    cancel: Annotated[bool, Option("--cancel", help="With --engine batch: cancel open batches and collect what was answered.")] = False,
    files: Annotated[bool, Option("--files", help="With --engine batch: write files for `vllm run-batch` instead of uploading.")] = False,
    workers: Annotated[
        int | None, Option("--workers", metavar="N", min=1, help="With --engine ray: N workers (default: one a CPU).")
    ] = None,
    ray_address: Annotated[
        str | None, Option("--ray-address", metavar="A", help="With --engine ray: the cluster (default: this machine).")
    ] = None,
    drifted_from: Annotated[
        Path | None,
        Option("--drifted-from", metavar="REPORT", help="Only fields that drifted in this report of `enrich eval --against … --json`."),
    ] = None,
    failed: Annotated[bool, Option("--failed", help="Only what failed in the last run.")] = False,
    pr_body: Annotated[
        Path | None, Option("--pr-body", metavar="FILE", help="With --apply: write what was applied, held and failed as Markdown.")
    ] = None,
) -> int:
    """The batch job: ask what is due and leave proposals."""
    _check_engine(engine)
    if (wait or cancel or files) and engine != "batch":
        raise UserError("--wait, --cancel and --files are about batches", do="use them with --engine batch", exit_code=2)
    if (workers is not None or ray_address is not None) and engine != "ray":
        raise UserError("--workers and --ray-address are about Ray", do="use them with --engine ray", exit_code=2)
    if pr_body is not None and not apply:
        raise UserError("--pr-body reports what was applied", do="use it with --apply", exit_code=2)
    wiki = session.open_wiki(warn=True, llm__backend=backend, llm__model=model, llm__base_url=base_url, run__budget_usd=budget)
    if engine != "local" and wiki.config.llm.backend == OFFLINE:
        raise UserError(f"the offline baseline needs no engine {engine!r}", do="use --backend openai, or --engine local", exit_code=2)
    fields: tuple[str, ...] | None = None
    if drifted_from is not None:
        from enrich.evaluation.drift import drifted_fields

        fields = drifted_fields(drifted_from, wiki.config)
    options = RunOptions(
        pages=tuple(pages or ()),
        stages=tuple(stage or ()),
        apply=apply,
        limit=limit,
        refresh=refresh,
        read_cache=not no_cache,
        overwrite=overwrite,
        only_failed=failed,
        fields=fields,
        engine=EngineOptions(engine, wait, cancel, files, workers, ray_address),
    )
    result = run_with_progress(wiki, options)
    if pr_body is not None:
        write_text_atomically(pr_body, pull_request_body(wiki, result), within=wiki.config.folders_of(pr_body))
    if session.json:
        session.document(result.document())
    else:
        _print_run(wiki, result, bool(pages) or session.verbose)
    return result.exit


def _check_engine(name: str) -> None:
    if name not in ENGINES:
        raise UserError(f"unknown engine {name!r}", do=f"use one of {', '.join(ENGINES)}", exit_code=2)


def run_with_progress(wiki: Wiki, options: RunOptions) -> RunResult:
    """The outcome of a run, which shows its progress on stderr."""
    gc.freeze()  # what is imported and loaded stays: no collection needs to go through it
    with progress_of_run() as progress:
        return run_batch(wiki, options, progress)


def _print_run(wiki: Wiki, result: RunResult, left_alone: bool) -> None:
    """One row per page with what was proposed, then the totals. `left_alone`: also pages that were not asked about, with the reason."""
    # What needs a person comes first.
    rows = sorted(_page_rows(wiki, result, left_alone), key=lambda row: not (row[2] or row[3]))
    session.print_pages(["page", "proposed", "held", "failed"], rows, len(rows), _PLANNED)
    print_failed(result)
    held = f", {len(result.held)} held back for a person" if result.held else ""
    applied = f", {len(result.applied)} applied" if result.applied else ""
    pages = len({page for page, _ in result.proposed})
    session.say(
        f"run {result.run}: {counted(result.due, 'question')} due, {result.asked} asked, {result.cached} from the cache, "
        f"{result.unchanged} unchanged; {counted(len(result.proposed), 'field')} proposed on {counted(pages, 'page')}{applied}{held}; "
        f"{counted(result.skipped, 'page')} skipped"
    )
    session.say(f"{_spent(wiki, result)}; {result.seconds:.1f} s")
    if result.waiting:
        session.say(f"waiting for batches: {counted(result.waiting, 'question')}; `enrich run --engine batch` collects the answers")
    print_stopped(result)
    if result.proposed and not result.applied:
        rest = "all but those held back, which `enrich review` decides" if result.held else "them"
        session.say(f"next: `enrich diff` shows the changes, `enrich apply --all` writes {rest}")


def _spent(wiki: Wiki, result: RunResult) -> str:
    if wiki.config.llm.backend == "offline":
        return "backend offline: no request, nothing spent"
    host = ", ".join(map(host_of, wiki.config.base_urls))
    if not result.spent.requests:
        return f"no request to {host}, nothing spent"
    used = result.spent.usage
    tokens = f"{used.input:,} tokens in ({used.cached_input:,} cached), {used.output:,} out"
    return f"{counted(result.spent.requests, 'request')} to {host}, {tokens}, {usd(result.spent.cost_usd)}"


def _page_rows(wiki: Wiki, result: RunResult, left_alone: bool) -> list[list[str]]:
    """Per page that the run asked about (`left_alone`: or not): its id, the fields proposed, held back and failed."""
    proposed = by_page(result.proposed)
    held = by_page((page, f"{name} ({flag})") for page, name, flag in result.held)
    failed = by_page((failure.page, f"{failure.stage or 'page'}: {failure.cause}") for failure in result.failed)
    rows = []
    listed = {page.page for page in result.pages} | set(proposed) | set(failed) | set(result.left_alone if left_alone else ())
    for page in (file.id for file in wiki.files if file.id in listed):
        if page in proposed:
            outcome = compact(proposed[page])
        elif page in failed:
            outcome = ""
        elif page in result.cut_short:
            outcome = "not asked, still due"
        else:
            outcome = f"nothing new ({result.left_alone.get(page, 'no change')})"
        rows.append([page, outcome, compact(held.get(page, [])), ", ".join(failed.get(page, []))])
    return rows


def print_failed(result: RunResult) -> None:
    """One warning per page and cause: the stages of a page go out in one request and mostly fail together."""
    alike: dict[tuple[str, str, str], list[FailedQuestion]] = {}
    for failure in result.failed:
        alike.setdefault((failure.page, failure.cause, failure.detail), []).append(failure)
    for (page, cause, detail), failures in list(alike.items())[:LISTED]:
        stages = [failure.stage for failure in failures]
        if stages[0]:
            again = " ".join(["enrich run", shlex.quote(page), *(f"--stage {stage}" for stage in stages)])
            session.warn(f"{page} {', '.join(stages)}: {cause}: {detail} (again with: {again})")
        else:  # a page that could not be read: the detail begins with its path and line
            session.warn(f"{detail} ({failures[0].retry})")
    if len(alike) > LISTED:
        session.warn(f"{len(alike) - LISTED} more failed: the run's report lists them; again with: enrich run --failed")


def print_stopped(result: RunResult) -> None:
    """Why the run ended early, if it did."""
    if result.stopped:
        session.warn(f"ended early: {result.stopped}" + (f"; {result.do}" if result.do else ""))
