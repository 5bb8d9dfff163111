"""`enrich cache`: what is kept of answers and runs, and how to get rid of it."""

from __future__ import annotations

import typer

from enrich.cli.session import Session


def register(app: typer.Typer) -> None:
    cache = typer.Typer(no_args_is_help=True, help="Show or clean what is kept of answers and runs.", rich_markup_mode=None)
    cache.command("stats")(stats)
    cache.command("prune")(prune)
    cache.command("clear")(clear)
    app.add_typer(cache, name="cache")


def stats(ctx: typer.Context) -> None:
    """Show how many answers and runs are kept, and their size."""
    from enrich.runs.cache_maintenance import cache_stats

    session: Session = ctx.obj
    numbers = cache_stats(session.config())
    if session.json:
        session.document(numbers)
    else:
        for name, value in numbers.items():
            session.say(f"{name.replace('_', ' ')}: {value:,}")


def prune(ctx: typer.Context) -> None:
    """Drop answers that neither lock, proposals nor the present plan name, and all but the last 30 runs."""
    from enrich.runs.cache_maintenance import cache_prune

    session: Session = ctx.obj
    numbers = cache_prune(session.workspace())
    if session.json:
        session.document(numbers)
    else:
        session.say(f"dropped {numbers['answers_dropped']:,} answers and {numbers['runs_dropped']:,} runs")


def clear(ctx: typer.Context) -> None:
    """Drop everything that is kept: it costs only the money to ask again."""
    from enrich.runs.cache_maintenance import cache_clear

    session: Session = ctx.obj
    numbers = cache_clear(session.config())
    if session.json:
        session.document(numbers)
    else:
        session.say(f"dropped {numbers['answers_dropped']:,} answers and {numbers['runs_dropped']:,} runs")
