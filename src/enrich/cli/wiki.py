"""`enrich init`: start a wiki."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from enrich.cli.session import Session


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The wiki's folder (default: here, or --wiki).", show_default=False)
    ] = None,
) -> None:
    """Write a commented enrich.toml, the prompts, and what git should ignore and merge. Existing files stay as they are."""
    from enrich.runs.init import start_wiki

    session: Session = ctx.obj
    done = start_wiki(folder or session.wiki or Path.cwd())
    if session.json:
        session.document({"written": done.written, "kept": done.kept, "content": done.content, "pages": done.pages})
        return
    for name in done.written:
        session.say(f"wrote {name}")
    for name in done.kept:
        session.say(f"kept {name} as it is")
    session.say(f"{done.pages} pages below {done.content}; next: enrich plan")
