"""`enrich plan`, `run` and `page`: what would be asked, the batch job, and one page on demand."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enrich.cli.session import Session
from enrich.stages.catalogue import load_stages

if TYPE_CHECKING:
    from enrich.wiki.wiki import Wiki

Pages = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PAGE]...", help="Page ids, paths inside the content folder, or globs of either.", show_default=False),
]
Stages = Annotated[
    list[str] | None,
    typer.Option("--stage", metavar="S", help="Only this stage: summary, insights or ratings (repeatable).", show_default=False),
]
Backend = Annotated[str | None, typer.Option("--backend", metavar="B", help="Who answers: offline or openai.", show_default=False)]
Model = Annotated[str | None, typer.Option("--model", metavar="M", help="The model to ask.", show_default=False)]
BaseUrl = Annotated[str | None, typer.Option("--base-url", metavar="URL", help="The server to ask.", show_default=False)]
Refresh = Annotated[bool, typer.Option("--refresh", help="Take everything but skipped pages as due (cached answers still serve).")]


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)
    app.command("run")(run)
    app.command("page")(page)


def plan(
    ctx: typer.Context,
    pages: Pages = None,
    stage: Stages = None,
    refresh: Refresh = False,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 10 where something is due.")] = False,
) -> None:
    """Show what is due and why, with tokens and cost. Asks nothing."""
    from enrich.cli.tables import print_plan
    from enrich.runs.plan import estimate, make_plan

    session: Session = ctx.obj
    workspace = session.workspace(llm__backend=backend, llm__model=model, llm__base_url=base_url)
    stages = load_stages(workspace.config, stage or ())
    made = make_plan(workspace, workspace.select(pages or ()), stages, refresh=refresh)
    cost = estimate(workspace, made, stages)
    for problem in made.problems:
        session.warn(problem.text)
    if session.json:
        session.document({"states": [state.document() for state in made.states], **cost.document()})
    else:
        print_plan(session, workspace, made, cost)
    if exit_code and made.due:
        raise typer.Exit(10)


def run(
    ctx: typer.Context,
    pages: Pages = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write what this run asked or found again, but for needs-look and over-human.")
    ] = False,
    stage: Stages = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="At most N pages, in page order.", show_default=False)
    ] = None,
    refresh: Refresh = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask anew, even where an answer is kept.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --apply: also write over a person's values (never needs-look).")
    ] = False,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="USD", min=0, help="Spend at most this much.", show_default=False)
    ] = None,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    engine: Annotated[str, typer.Option("--engine", metavar="E", help="Where questions run: local.")] = "local",
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed in the last run.")] = False,
    pr_body: Annotated[
        Path | None,
        typer.Option(
            "--pr-body", metavar="FILE", help="With --apply: write what was applied, held and failed as Markdown.", show_default=False
        ),
    ] = None,
) -> None:
    """The batch job: ask what is due and leave proposals."""
    from enrich.errors import UserError
    from enrich.runs.run import RunOptions

    session: Session = ctx.obj
    if engine != "local":
        raise UserError(f"unknown engine {engine!r}", do="use --engine local", exit_code=2)
    if pr_body is not None and not apply:
        raise UserError("--pr-body tells what was applied", do="use it with --apply", exit_code=2)
    workspace = session.workspace(llm__backend=backend, llm__model=model, llm__base_url=base_url, run__budget_usd=budget)
    options = RunOptions(
        pages=tuple(pages or ()),
        stages=tuple(stage or ()),
        apply=apply,
        limit=limit,
        refresh=refresh,
        read_cache=not no_cache,
        overwrite=overwrite,
        only_failed=failed,
    )
    _run(session, workspace, options, pr_body=pr_body)


def page(
    ctx: typer.Context,
    page: Annotated[str, typer.Argument(metavar="PAGE", help="A page id or a path inside the content folder.")],
    stage: Stages = None,
    refresh: Refresh = False,
    apply: Annotated[bool, typer.Option("--apply", help="Write what was proposed, but for needs-look and over-human.")] = False,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
) -> None:
    """One page on demand: what is proposed, why, and the diff."""
    from enrich.errors import UserError
    from enrich.runs.run import RunOptions

    session: Session = ctx.obj
    workspace = session.workspace(llm__backend=backend, llm__model=model, llm__base_url=base_url)
    chosen = workspace.select([page])
    if len(chosen) != 1:
        raise UserError(f"{page!r} names {len(chosen)} pages", do="name one page, or use `enrich run`", exit_code=2)
    options = RunOptions(pages=(chosen[0].id,), stages=tuple(stage or ()), apply=apply, refresh=refresh, alone=False)
    _run(session, workspace, options, card=chosen[0].id)


def _run(session: Session, workspace: Wiki, options: object, card: str | None = None, pr_body: Path | None = None) -> None:
    from enrich.cli.progress import progress_for
    from enrich.cli.tables import print_page, print_run
    from enrich.runs.run import RunOptions
    from enrich.runs.run import run as run_batch

    assert isinstance(options, RunOptions)
    gc.freeze()  # what is imported and planned stays: no collection need go through it
    with progress_for(session) as progress:
        result = run_batch(workspace, options, progress)
    if pr_body is not None:
        from enrich.files import write_text_atomically
        from enrich.runs.report import pull_request_body

        write_text_atomically(pr_body, pull_request_body(workspace, result))
    if session.json:
        session.document(result.document())
    elif card is not None:
        print_page(session, workspace, card, result)
    else:
        print_run(session, workspace, result)
    if result.exit:
        raise typer.Exit(result.exit)
