"""`enrich build`: all records into `database.json`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from typer import BadParameter, Context, Exit, Option, Typer

from enrich.cli.output import progress_of_build
from enrich.cli.session import TO_REPORT, Session
from enrich.records.database import build as build_database
from enrich.records.database import generated_at, would_change, write_database
from enrich.runs.plan import enrichment_states
from enrich.text import counted

FILE_NAME = "database.json"

app = Typer(rich_markup_mode=None)


@app.command()
def build(
    ctx: Context,
    output: Annotated[
        Path | None, Option("-o", "--output", metavar="FILE", help="Where to write (default: database.json in the wiki's folder).")
    ] = None,
    now: Annotated[
        str | None, Option("--now", metavar="ISO", help="The clock, such as 2026-03-13T20:14:00Z: the same clock gives the same bytes.")
    ] = None,
    dates: Annotated[
        Path | None, Option("--dates", metavar="FILE", help="Dates from a JSON file, {modified: {path: date}, created: …}, not from git.")
    ] = None,
    split: Annotated[bool, Option("--split", help="Also write pages.json and backlinks.json beside it.")] = False,
    exit_code: Annotated[
        bool, Option("--exit-code", help="Write nothing; exit with 10 if the file would change (by its own clock unless --now is given).")
    ] = False,
) -> None:
    """Build all records: frontmatter, entity data and computed values, into database.json."""
    session: Session = ctx.obj
    config = session.config()
    file = output if output is not None else config.root / FILE_NAME
    started = time.perf_counter()
    clock = _clock(now) or (generated_at(file) if exit_code else None) or datetime.now(UTC)
    with progress_of_build(session) as progress:
        database = build_database(config, now=clock, enrichment=enrichment_states(config), dates_file=dates, progress=progress)
        changed = would_change(database, file) if exit_code else False
        written = [] if exit_code else write_database(database, file, split=split)
    seconds = time.perf_counter() - started
    for notice in database.notices:
        session.warn(str(notice))
    if session.json:
        document: dict[str, object] = {
            "pages": len(database.pages),
            "files": [str(path) for path in written],
            "notices": [{"file": notice.file, "line": notice.line, "message": notice.message} for notice in database.notices],
            "seconds": round(seconds, 3),
        }
        session.document({**document, "changed": changed} if exit_code else document)
    elif exit_code:
        session.say(f"{file} {'would change' if changed else 'is up to date'}")
    else:
        session.say(f"{counted(len(database.pages), 'record')} in {', '.join(str(path) for path in written)} ({seconds:.1f} s)")
    if changed:
        raise Exit(TO_REPORT)


def _clock(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter(f"{text!r} is not a time such as 2026-03-13T20:14:00Z", param_hint="--now") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
