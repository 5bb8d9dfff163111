"""`enrich check`: frontmatter, insights and writing rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from typer import Context, Exit, Option, Typer, echo

from enrich.checks.check import check_wiki
from enrich.cli.session import TO_REPORT, Pages, Session

app = Typer(rich_markup_mode=None)


@app.command()
def check(
    ctx: Context,
    pages: Pages = None,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json", "github"],
        Option("--format", help="text for people, json for scripts, github for annotations in a workflow."),
    ] = "text",
    body_lines: Annotated[
        bool, Option("--body-lines", help="Count lines from the first line after the frontmatter, not from the file's first.")
    ] = False,
    exit_code: Annotated[bool, Option("--exit-code", help="Exit with 10 if there is an error or a warning.")] = False,
) -> None:
    """Check frontmatter schema, key order, insights and writing rules. Reads only, sends nothing."""
    session: Session = ctx.obj
    report = check_wiki(session.config(), pages or [], datetime.now(UTC).date())
    for warning in report.warnings:
        session.warn(warning)
    if session.json or format == "json":
        session.document(report.as_json(body_lines))
    elif format == "github":
        echo(report.as_github(body_lines), nl=bool(report.findings))
    elif report.findings or not session.quiet:
        echo(report.as_text(body_lines))
    if exit_code and (report.count("error") or report.count("warning")):
        raise Exit(TO_REPORT)
