"""`enrich init` and `enrich cache`: start a wiki, and keep its cache small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Typer

from enrich.cli.session import Session
from enrich.runs.cache_maintenance import cache_clear, cache_prune, cache_stats
from enrich.runs.init import start_wiki
from enrich.text import counted

app = Typer(rich_markup_mode=None)
cache = Typer(no_args_is_help=True, help="Show or clean stored answers and runs.", rich_markup_mode=None)
app.add_typer(cache, name="cache")


@app.command()
def init(
    ctx: Context, folder: Annotated[Path | None, Argument(metavar="[DIR]", help="The wiki's folder (default: here, or --wiki).")] = None
) -> None:
    """Write a commented enrich.toml, the prompts, and what git should ignore and merge. Existing files are kept."""
    session: Session = ctx.obj
    done = start_wiki(folder or session.wiki or Path.cwd())
    if session.json:
        session.document({"written": done.written, "kept": done.kept, "content": done.content, "pages": done.pages})
        return
    for name in done.written:
        session.say(f"wrote {name}")
    for name in done.kept:
        session.say(f"kept {name} as it is")
    session.say(f"{counted(done.pages, 'page')} below {done.content}; next: enrich plan")


@cache.command()
def stats(ctx: Context) -> None:
    """Show how many answers and runs are stored, and their size."""
    session: Session = ctx.obj
    numbers = cache_stats(session.config())
    if session.json:
        session.document(numbers)
    else:
        for name, value in numbers.items():
            session.say(f"{name.replace('_', ' ')}: {value:,}")


@cache.command()
def prune(ctx: Context) -> None:
    """Drop answers that neither lock, proposals nor the present plan name, and all but the last 30 runs."""
    session: Session = ctx.obj
    _print_dropped(session, cache_prune(session.open_wiki()))


@cache.command()
def clear(ctx: Context) -> None:
    """Drop all answers and runs: it costs only the money to ask again."""
    session: Session = ctx.obj
    _print_dropped(session, cache_clear(session.config()))


def _print_dropped(session: Session, numbers: Mapping[str, int]) -> None:
    if session.json:
        session.document(numbers)
    else:
        session.say(f"dropped {counted(numbers['answers_dropped'], 'answer')} and {counted(numbers['runs_dropped'], 'run')}")
