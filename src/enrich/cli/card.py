"""`enrich show`: the Page Status card of one page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from enrich.cli.session import Session


def register(app: typer.Typer) -> None:
    app.command("show")(show)


def show(
    ctx: typer.Context,
    page: Annotated[str, typer.Argument(metavar="PAGE", help="A page id, or a path.", show_default=False)],
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json", "html"], typer.Option("--format", help="text for a terminal, json for scripts, html for a browser.")
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there instead of printing.", show_default=False)
    ] = None,
) -> None:
    """Show the Page Status card: state, summary, insights and issues of a page, and its record."""
    import json

    from enrich.cli.tables import card_of
    from enrich.errors import UserError
    from enrich.records.card_rendering import card_html, card_text, print_card

    session: Session = ctx.obj
    workspace = session.workspace()
    chosen = workspace.select([page])
    if len(chosen) != 1:
        raise UserError(f"{page!r} names {len(chosen)} pages", do="name one page", exit_code=2)
    file = chosen[0]
    card, notices = card_of(workspace, file)
    if session.verbose:
        for notice in notices:
            session.warn(str(notice))
    if output is None and not session.json and format == "text":
        if sys.stdout.isatty():
            print_card(card, session.out)
        else:
            typer.echo(card_text(card), nl=False)
    elif session.json or format == "json":
        text = json.dumps(card, ensure_ascii=False, indent=1) + "\n"
        _write(output, text, session)
    else:
        _write(output, card_html(card) if format == "html" else card_text(card), session)


def _write(output: Path | None, text: str, session: Session) -> None:
    from enrich.files import write_text_atomically

    if output is None:
        typer.echo(text, nl=False)
        return
    write_text_atomically(output, text)
    session.note(f"wrote {output}")
