"""`enrich eval`: how good answers are, against golden data, against the baseline, and against other answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from enrich.cli.session import Session
from enrich.stages.catalogue import load_stages
from enrich.text import escaped

if TYPE_CHECKING:
    from enrich.evaluation.evaluating import Evaluation
    from enrich.stages.catalogue import Stage
    from enrich.stages.fields import FieldAnswer
    from enrich.wiki.pages import PageFile
    from enrich.wiki.wiki import Wiki

SOMETHING_TO_REPORT = 10  # DESIGN.md section 4.2
# What a terminal shows for the tones of `report_text.TextLine`.
_STYLES = {"bad": "bold red", "good": "green", "head": "bold", "soft": "dim"}


def register(app: typer.Typer) -> None:
    app.command("eval")(evaluate)


def evaluate(
    ctx: typer.Context,
    pages: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PAGE]...", help="Page ids, paths or globs of either (default: all pages).", show_default=False),
    ] = None,
    golden: Annotated[
        str | None,
        typer.Option("--golden", metavar="SOURCE", help="What to measure against: a file, or frontmatter (default).", show_default=False),
    ] = None,
    answers: Annotated[
        str,
        typer.Option("--answers", metavar="SOURCE", help="What to measure: model, model:NAME, offline, frontmatter[@REVISION], a file."),
    ] = "model",
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="SOURCE", help="Earlier answers to compare with: calls drift.", show_default=False),
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option("--stage", metavar="S", help="Only this stage: summary, insights or ratings (repeatable).", show_default=False),
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask what has no answer yet. Without it nothing is sent and nothing spent.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="With --ask: about at most N pages.", show_default=False)
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="USD", min=0, help="With --ask: spend at most this much.", show_default=False)
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="B", help="Who answers: offline or openai.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="M", help="The model to measure.", show_default=False)] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", metavar="URL", help="The server to ask.", show_default=False)] = None,
    floor: Annotated[
        list[str] | None,
        typer.Option(
            "--floor",
            metavar="METRIC=N",
            help="What must be reached, also METRIC>=N or METRIC<=N (repeatable); missed: exit 10.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Keep the measured answers as JSON lines, for --against.", show_default=False),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json", "html"], typer.Option("--format", help="text for a terminal, json for scripts, html with plots.")
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there instead of printing.", show_default=False)
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 10 also where drift is called.")] = False,
) -> None:
    """Measure answers against golden data and the offline baseline; --against calls drift."""
    from enrich.evaluation.evaluating import evaluate as measure
    from enrich.evaluation.floors import read_floors
    from enrich.evaluation.golden import write_answers
    from enrich.evaluation.sources import Sources
    from enrich.wiki.pages import read_page

    session: Session = ctx.obj
    workspace = session.workspace(llm__backend=backend, llm__model=model, llm__base_url=base_url, run__budget_usd=budget)
    config = workspace.config
    floors = read_floors(config.eval.floors, floor or (), where=f"{config.root / 'enrich.toml'}, [eval.floors]")
    names = [one.name for one in load_stages(workspace.config, stage or ())]
    files = workspace.select(pages or ())
    collecting = _Collecting(session, ask, limit)
    sources = Sources(workspace, files, names, collecting)
    gold = sources.golden(golden or config.eval.golden)
    measured = sources.read(answers)
    earlier = sources.read(against) if against is not None else None
    if save is not None:
        write_answers(measured, save)
        session.note(f"wrote {save}")
    evaluation = measure(
        measured,
        gold,
        (read_page(file) for file in files if file.id in measured.pages or (earlier is not None and file.id in earlier.pages)),
        against=earlier,
        floors=floors,
        typical=config.eval.typical,
        with_baseline=not sources.is_offline(answers),
    )
    for notice in evaluation.notices:
        session.warn(notice)
    _show(session, evaluation, format, output)
    code = collecting.exit
    if not code and (evaluation.missed or (exit_code and evaluation.drifted)):
        code = SOMETHING_TO_REPORT
    if code:
        raise typer.Exit(code)


@dataclass
class _Collecting:
    """Collects a model's answers and reports what could not be answered; `exit` is the exit code that follows from it."""

    session: Session
    ask: bool
    limit: int | None
    exit: int = 0

    def __call__(self, workspace: Wiki, files: Sequence[PageFile], stages: Sequence[Stage]) -> Mapping[str, Sequence[FieldAnswer]]:
        from enrich.cli.progress import progress_for
        from enrich.runs.answers import collect

        with progress_for(self.session) as progress:
            found = collect(workspace, files, stages, ask=self.ask, limit=self.limit, progress=progress)
        result = found.result
        for failure in result.failed[:10]:
            self.session.warn(f"{failure.page}: {failure.stage}: {failure.cause}: {failure.detail}")
        if result.stopped:
            self.session.warn(f"stopped: {result.stopped}" + (f"; {result.do}" if result.do else ""))
        elif found.missing:
            hint = "" if self.ask else "; --ask sends them"
            self.session.warn(f"{len(found.missing)} questions about golden pages have no answer{hint}")
        self.exit = self.exit or result.exit or (3 if result.failed else 0)
        return found.fields


def _show(session: Session, evaluation: Evaluation, format: str, output: Path | None) -> None:  # noqa: A002
    import json

    from enrich.evaluation.evaluating import to_json
    from enrich.evaluation.report_text import text_lines
    from enrich.files import write_text_atomically

    lines = list(text_lines(evaluation, verbose=session.verbose))
    document = json.dumps(to_json(evaluation), ensure_ascii=False, indent=1) + "\n"
    if format == "html":
        from enrich.evaluation.report_html import report_html

        text = report_html(evaluation)
    else:
        text = document if format == "json" or session.json else "".join(f"{escaped(line.text)}\n" for line in lines)
    if output is not None:
        write_text_atomically(output, text)
        session.note(f"wrote {output}")
    if session.json:
        # A workflow can have the page in a file and the figures on stdout.
        typer.echo(document, nl=False)
    elif output is None and format == "text" and sys.stdout.isatty():
        from rich.text import Text

        for line in lines:
            session.out.print(Text(escaped(line.text), _STYLES.get(line.tone, ""), no_wrap=True, overflow="fold"))
    elif output is None:
        typer.echo(text, nl=False)
