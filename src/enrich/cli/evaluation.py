"""`enrich eval`: the quality of answers, against golden data, the offline baseline, and other answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from rich.text import Text
from typer import Option, Typer

from enrich.cli.session import TO_REPORT, Backend, BaseUrl, Budget, Output, Pages, Stages, console, progress_of_run, session
from enrich.config import STAGES
from enrich.errors import UserError
from enrich.evaluation.answers import Sources, write_answers
from enrich.evaluation.calibration import fit, fit_lines, rated_pages, store
from enrich.evaluation.evaluation import Evaluation, to_json
from enrich.evaluation.evaluation import evaluate as measure
from enrich.evaluation.metrics import read_floors
from enrich.evaluation.report import report_html, text_lines
from enrich.review.proposals import ProposalStore, decided_rows
from enrich.runs.run import collect
from enrich.stages.fields import FieldAnswer
from enrich.stages.stage import Stage, load_stages
from enrich.text import counted, escaped, json_text
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

app = Typer(rich_markup_mode=None)


@app.command("eval")
def evaluate(
    pages: Pages = None,
    golden: Annotated[
        str | None, Option("--golden", metavar="SOURCE", help="What to measure against: a file, or frontmatter (default).")
    ] = None,
    answers: Annotated[
        str, Option("--answers", metavar="SOURCE", help="What to measure: model, model:NAME, offline, frontmatter[@REVISION], a file.")
    ] = "model",
    against: Annotated[str | None, Option("--against", metavar="SOURCE", help="Earlier answers to compare with: reports drift.")] = None,
    stage: Stages = None,
    ask: Annotated[bool, Option("--ask", help="Ask what has no answer yet. Without it nothing is sent and nothing spent.")] = False,
    limit: Annotated[int | None, Option("--limit", metavar="N", min=0, help="With --ask: about at most N pages.")] = None,
    budget: Budget = None,
    backend: Backend = None,
    model: Annotated[str | None, Option("--model", metavar="M", help="The model to measure.")] = None,
    base_url: BaseUrl = None,
    floor: Annotated[
        list[str] | None,
        Option("--floor", metavar="METRIC=N", help="What must be reached, also METRIC>=N or METRIC<=N (repeatable); missed: exit 10."),
    ] = None,
    calibrate: Annotated[
        bool, Option("--calibrate", help="Fit the model's ratings to people's, and write enrich.calibration. Needs 20 rated pages.")
    ] = False,
    save: Annotated[Path | None, Option("--save", metavar="FILE", help="Store the measured answers as JSON lines, for --against.")] = None,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json", "html"], Option("--format", help="text for a terminal, json for scripts, html with plots.")
    ] = "text",
    output: Output = None,
    exit_code: Annotated[bool, Option("--exit-code", help="Exit with 10 also if drift is found.")] = False,
) -> int:
    """Measure answers against golden data and the offline baseline; --against reports drift."""
    wiki = session.open_wiki(llm__backend=backend, llm__model=model, llm__base_url=base_url, run__budget_usd=budget)
    config = wiki.config
    floors = read_floors(config.eval.floors, floor or (), where=f"{config.root / 'enrich.toml'}, [eval.floors]")
    names = [one.name for one in load_stages(config, stage or ()) if one.name in STAGES]
    files = wiki.select(pages or ())
    collecting = _Collecting(ask, limit)
    sources = Sources(wiki, files, names, collecting, calibrating=calibrate)
    if calibrate and (answers != "model" or sources.is_offline(answers) or "ratings" not in names):
        raise UserError("--calibrate is about the configured model's ratings", do="leave --answers out, and set a backend", exit_code=2)
    gold = sources.golden(golden)
    measured = sources.read(answers)
    earlier = sources.read(against) if against is not None else None
    if save is not None:
        write_answers(measured, save, config.folders_of(save))
        session.note(f"wrote {save}")
    evaluation = measure(
        measured,
        gold,
        (read_page(file) for file in files if file.id in measured.pages or (earlier is not None and file.id in earlier.pages)),
        against=earlier,
        floors=floors,
        typical=config.eval.typical,
        decisions=decided_rows(wiki, wiki.shared(ProposalStore).all()),
        with_baseline=not sources.is_offline(answers),
    )
    session.warn(*evaluation.notices)
    if calibrate:
        rating = load_stages(config, ["ratings"])[0]
        fits = [fit(f"ratings.{name}", pages) for name, pages in rated_pages(measured, gold).items()]
        store(config, rating, fits)
        session.note(*fit_lines(fits), f"wrote {config.calibration}")
    _show(evaluation, format, output)
    return collecting.exit or (TO_REPORT if evaluation.missed or (exit_code and evaluation.drifted) else 0)


@dataclass
class _Collecting:
    """Collects a model's answers and reports what could not be answered; `exit` is the exit code that follows from it."""

    ask: bool
    limit: int | None
    exit: int = 0

    def __call__(self, wiki: Wiki, files: Sequence[PageFile], stages: Sequence[Stage]) -> Mapping[str, Sequence[FieldAnswer]]:
        with progress_of_run() as progress:
            found = collect(wiki, files, stages, ask=self.ask, limit=self.limit, progress=progress)
        result = found.result
        session.warn(*(f"{failure.page}: {failure.stage}: {failure.cause}: {failure.detail}" for failure in result.failed[:10]))
        if result.stopped:
            session.warn(f"stopped: {result.stopped}" + (f"; {result.do}" if result.do else ""))
        elif found.missing:
            hint = "" if self.ask else "; --ask sends them"
            session.warn(f"no answer to {counted(len(found.missing), 'question')} about golden pages{hint}")
        self.exit = self.exit or result.exit or (3 if result.failed else 0)
        return found.fields


def _show(evaluation: Evaluation, format: str, output: Path | None) -> None:  # noqa: A002
    lines = list(text_lines(evaluation, verbose=session.verbose))
    document = json_text(to_json(evaluation), indent=1) + "\n"
    if output is None and not session.json and format == "text" and sys.stdout.isatty():
        for line in lines:
            console().print(Text(escaped(line.plain), line.style, no_wrap=True, overflow="fold"))
        return
    if format == "html":
        text = report_html(evaluation)
    else:
        text = document if format == "json" or session.json else "".join(f"{escaped(line.plain)}\n" for line in lines)
    if output is not None:
        session.write(text, output)
    if output is None or session.json:
        # A workflow can have the page in a file and the figures on stdout.
        session.write(document if session.json else text, None)
