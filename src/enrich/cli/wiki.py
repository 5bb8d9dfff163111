"""Commands about the wiki as a whole: `enrich init`, `doctor`, `build`, `site`, `check` and `cache`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option, Typer, echo, prompt

from enrich.blocks import open_blocks
from enrich.cli.session import TO_REPORT, Backend, BaseUrl, Model, Now, Pages, clock, progress_of_build, session
from enrich.errors import UserError
from enrich.records.database import Enrichment, enrichment_states, generated_at, would_change, write_database
from enrich.records.database import build as build_database
from enrich.text import counted, usd

if TYPE_CHECKING:
    from enrich.runs.doctor import Capabilities
    from enrich.runs.init import Discovery

# What only one of these commands needs is imported in it: a build whose records are stored takes a third of a second.
app = Typer(rich_markup_mode=None)
cache = Typer(no_args_is_help=True, help="Show or clean stored answers and runs.", rich_markup_mode=None)
app.add_typer(cache, name="cache")


@app.command()
def init(folder: Annotated[Path | None, Argument(metavar="[DIR]", help="The wiki's folder (default: here, or --wiki).")] = None) -> None:
    """Look at the folder; write a fitting enrich.toml, the prompts, and what git should ignore and merge. Existing files are kept."""
    from enrich.runs.init import start_wiki

    def choose(found: Discovery) -> str:
        if session.json or session.quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return found.content
        session.note(*found.reasons)
        return str(prompt("Folder of pages", default=found.content, err=True))

    done = start_wiki(folder or session.wiki or Path.cwd(), choose)
    session.result(
        {"written": done.written, "kept": done.kept, "content": done.content, "pages": done.pages, "found": list(done.reasons)},
        *done.reasons,
        *(f"wrote {name}" for name in done.written),
        *(f"kept {name} as it is" for name in done.kept),
        f"{counted(done.pages, 'page')} below {done.content}; next: enrich plan",
    )


@app.command()
def doctor(
    ask_server: Annotated[bool, Option("--ask", help="Ask the server one tiny question per capability (a fraction of a cent).")] = False,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
) -> int:
    """Check settings, pages, server, key, prices, limits, git files, lock and proposals; say what to do. Exit code 10 on findings."""
    from enrich.runs.doctor import Problem, ask, examine

    found: Capabilities | None = None
    problems: list[Problem] = []
    try:
        config = session.config(llm__backend=backend, llm__model=model, llm__base_url=base_url)
        problems += examine(config, os.environ)
        if ask_server and config.llm.backend != "offline":
            found = asyncio.run(ask(config, os.environ))
            problems += [Problem("server", found.problem, found.host)] if found.problem else []
    except UserError as error:
        problems.append(Problem.of("settings", error))
    problems = list(dict.fromkeys(problems))
    lines = [f"{one.name}: {one.where + ': ' if one.where else ''}{one.what}{'; ' + one.do if one.do else ''}" for one in problems]
    if found is not None and not found.problem:
        lines += _capabilities(found)
    document = {"findings": [asdict(problem) for problem in problems], "server": asdict(found) if found else None}
    session.result(document, *lines, counted(len(problems), "finding") if problems else "no findings")
    return TO_REPORT if problems else 0


def _capabilities(found: Capabilities) -> list[str]:
    cost = "" if found.cost_usd is None else f", {usd(found.cost_usd)}"
    return [
        f"{found.model} at {found.host} ({counted(found.requests, 'request')}{cost}):",
        *(f"  {name}: {'yes' if able else 'no'}" for name, able in found.able.items()),
        "lines for [llm] in enrich.toml:" if found.lines else "[llm] needs no further lines",
        *(f"  {line}" for line in found.lines),
    ]


@cache.command()
def stats() -> None:
    """Show how many answers and runs are stored, and their size."""
    from enrich.runs.cache_maintenance import cache_stats

    numbers = cache_stats(session.config())
    session.result(numbers, *(f"{name.replace('_', ' ')}: {value:,}" for name, value in numbers.items()))


@cache.command()
def prune() -> None:
    """Drop answers that neither lock, proposals nor the present plan name, and all but the last 30 runs."""
    from enrich.runs.cache_maintenance import cache_prune

    _print_dropped(cache_prune(session.open_wiki()))


@cache.command()
def clear() -> None:
    """Drop all answers and runs: it costs only the money to ask again."""
    from enrich.runs.cache_maintenance import cache_clear

    _print_dropped(cache_clear(session.config()))


def _print_dropped(numbers: Mapping[str, int]) -> None:
    session.result(numbers, f"dropped {counted(numbers['answers_dropped'], 'answer')} and {counted(numbers['runs_dropped'], 'run')}")


FILE_NAME = "database.json"


@app.command()
def build(
    output: Annotated[
        Path | None, Option("-o", "--output", metavar="FILE", help="Where to write (default: database.json in the wiki's folder).")
    ] = None,
    now: Now = None,
    dates: Annotated[
        Path | None, Option("--dates", metavar="FILE", help="Dates from a JSON file, {modified: {path: date}, created: …}, not from git.")
    ] = None,
    split: Annotated[bool, Option("--split", help="Also write pages.json and backlinks.json beside it.")] = False,
    engine: Annotated[
        Literal["local", "ray"], Option("--engine", metavar="E", help="Where pages are read and compared: local (all processors), or ray.")
    ] = "local",
    ray_address: Annotated[
        str | None, Option("--ray-address", metavar="A", help="With --engine ray: the cluster (default: this machine).")
    ] = None,
    exit_code: Annotated[
        bool, Option("--exit-code", help="Write nothing; exit with 10 if the file would change (by its own clock unless --now is given).")
    ] = False,
) -> int:
    """Build all records: frontmatter, entity data and computed values, into database.json."""
    if ray_address is not None and engine != "ray":
        raise UserError("--ray-address is about Ray", do="use it with --engine ray", exit_code=2)
    started = time.perf_counter()
    wiki = session.open_wiki()
    config = wiki.config
    file = output if output is not None else config.root / FILE_NAME
    moment = clock(now) or (generated_at(file, config.folders_of(file)) if exit_code else None) or datetime.now(UTC)

    def states() -> Enrichment:
        from enrich.runs.plan import make_plan

        return make_plan(wiki).enrichment()

    with open_blocks(engine, ray_address) as blocks, progress_of_build() as progress:
        enrichment = enrichment_states(wiki, states)
        database = build_database(wiki, now=moment, enrichment=enrichment, dates_file=dates, blocks=blocks, progress=progress)
        changed = would_change(database, file, config.folders_of(file)) if exit_code else False
        written = [] if exit_code else write_database(database, file, split=split, within=config.folders_of(file))
    seconds = time.perf_counter() - started
    session.warn(*map(str, database.notices))
    document = {
        "pages": len(database.pages),
        "unread": database.unread,
        "files": [str(path) for path in written],
        "notices": [{"file": notice.file, "line": notice.line, "message": notice.message} for notice in database.notices],
        "seconds": round(seconds, 3),
        **({"changed": changed} if exit_code else {}),
    }
    done = f"{counted(len(database.pages), 'record')} in {', '.join(map(str, written))} ({seconds:.1f} s)"
    session.result(document, f"{file} {'would change' if changed else 'is up to date'}" if exit_code else done)
    # As with the other commands, 3: done, but some pages are missing, and named.
    return TO_REPORT if changed else 3 if database.unread else 0


@app.command()
def site(
    output: Annotated[
        Path | None, Option("-o", "--output", metavar="DIR", help="Where to write (default: site in the wiki's folder).")
    ] = None,
    now: Now = None,
    dates: Annotated[Path | None, Option("--dates", metavar="FILE", help="Dates from a JSON file, as for build.")] = None,
) -> None:
    """Write all pages as a browsable report: a table, what needs attention, how reviewers decided, and each page's card. Asks nothing."""
    from enrich.records.site import write_site
    from enrich.runs.plan import make_plan

    wiki = session.open_wiki()
    folder = output if output is not None else wiki.config.root / "site"
    started = time.perf_counter()
    moment = clock(now) or datetime.now(UTC)
    with open_blocks() as blocks, progress_of_build() as progress:
        states = make_plan(wiki).enrichment()
        database = build_database(wiki, now=moment, enrichment=states, dates_file=dates, blocks=blocks, progress=progress)
        files = write_site(wiki, database, states, folder, now=moment)
    session.warn(*map(str, database.notices))
    seconds = time.perf_counter() - started
    session.result(
        {"pages": len(database.pages), "files": len(files), "folder": str(folder), "seconds": round(seconds, 3)},
        f"{counted(len(files), 'file')} in {folder}; open {folder / 'index.html'} ({seconds:.1f} s)",
    )


@app.command()
def check(
    pages: Pages = None,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json", "github"],
        Option("--format", help="text for people, json for scripts, github for annotations in a workflow."),
    ] = "text",
    body_lines: Annotated[
        bool, Option("--body-lines", help="Count lines from the first line after the frontmatter, not from the file's first.")
    ] = False,
    exit_code: Annotated[bool, Option("--exit-code", help="Exit with 10 if there is an error or a warning.")] = False,
) -> int:
    """Check frontmatter schema, key order, insights, lost support, links and writing rules. Reads only, sends nothing."""
    from enrich.checks.check import check_wiki

    report = check_wiki(session.config(), pages or [], datetime.now(UTC).date())
    session.warn(*report.warnings)
    if session.json or format == "json":
        session.document(report.as_json(body_lines))
    elif format == "github":
        echo(report.as_github(body_lines), nl=bool(report.findings))
    elif report.findings or not session.quiet:
        echo(report.as_text(body_lines))
    return TO_REPORT if exit_code and (report.count("error") or report.count("warning")) else 0
