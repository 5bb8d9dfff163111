"""`enrich diff`: what is proposed, in the form that suits who reads it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enrich.cli.runs import Pages
from enrich.cli.session import Session

if TYPE_CHECKING:
    from enrich.review.diffs import PageDiff
    from enrich.wiki.wiki import Wiki

FORMATS = ("text", "word", "markdown", "json", "html")


def register(app: typer.Typer) -> None:
    app.command("diff")(diff)


def diff(
    ctx: typer.Context,
    pages: Pages = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="F",
            help="text: the lines of the files; word: word by word; markdown: a pull-request comment; html: one page to review on; json.",
        ),
    ] = "text",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to FILE.", show_default=False)] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 10 where changes wait.")] = False,
) -> None:
    """Show the proposed changes."""
    from enrich.cli.tables import pending
    from enrich.errors import UserError
    from enrich.files import write_text_atomically
    from enrich.review.diffs import page_diffs

    session: Session = ctx.obj
    if form not in FORMATS:
        raise UserError(f"unknown format {form!r}", do=f"use one of {', '.join(FORMATS)}", exit_code=2)
    if session.json:
        form = "json"
    if form == "html" and output is None and sys.stdout.isatty():
        raise UserError("an HTML page is not for a terminal", do="name a file: enrich diff --format html -o review.html", exit_code=2)
    workspace = session.workspace()
    diffs = list(page_diffs(workspace, pending(workspace, pages or ())))
    coloured = output is None and sys.stdout.isatty()
    text = _FORMS[form](workspace, diffs, coloured)
    if output is not None:
        write_text_atomically(output, text)
        session.note(f"wrote {len(diffs)} pages to {output}")
    elif text:
        print(text, end="")
    if not diffs and not session.quiet and form in ("text", "word"):
        session.note("no changes are proposed")
    if exit_code and any(change.state != "rejected" for diff in diffs for change in diff.proposal.changes):
        raise typer.Exit(10)


def _text(workspace: Wiki, diffs: list[PageDiff], coloured: bool) -> str:
    del coloured  # looks itself
    from enrich.cli.tables import diff_text

    return diff_text(workspace, diffs)


def _word(workspace: Wiki, diffs: list[PageDiff], coloured: bool) -> str:
    del workspace
    from enrich.review.formats.word import word_text
    from enrich.review.views import page_views

    width = min(shutil.get_terminal_size().columns, 120) if coloured else 100
    return word_text(page_views(diffs), coloured=coloured, width=max(width, 40))


def _markdown(workspace: Wiki, diffs: list[PageDiff], coloured: bool) -> str:
    del workspace, coloured
    from enrich.review.formats.markdown import markdown_comment
    from enrich.review.views import page_views

    return markdown_comment(page_views(diffs))


def _html(workspace: Wiki, diffs: list[PageDiff], coloured: bool) -> str:
    del coloured
    from enrich.review.formats.html import review_html
    from enrich.review.views import page_views
    from enrich.wiki.wiki import now_iso

    return review_html(page_views(diffs), wiki=workspace.config.root.name, generated=now_iso())


def _json(workspace: Wiki, diffs: list[PageDiff], coloured: bool) -> str:
    del workspace, coloured
    import json

    from enrich.review.diffs import to_json

    return json.dumps(to_json(diffs), ensure_ascii=False, indent=1) + "\n"


_FORMS: dict[str, Callable[[Wiki, list[PageDiff], bool], str]] = {
    "text": _text,
    "word": _word,
    "markdown": _markdown,
    "json": _json,
    "html": _html,
}
