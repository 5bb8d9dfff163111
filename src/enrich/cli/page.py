"""`enrich page` and `enrich show`: one page, asked on demand, and its Page Status card."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from typer import Argument, Option, Typer

from enrich.cli.runs import Refresh, print_failed, print_stopped, run_with_progress
from enrich.cli.session import Backend, BaseUrl, Model, Now, Output, Stages, clock, console, session, text_width
from enrich.errors import UserError
from enrich.records.card import Card, page_card, rating_margins
from enrich.records.card_rendering import card_html, card_text, print_card
from enrich.review.decisions import pending
from enrich.review.lines import word_texts
from enrich.review.views import page_views
from enrich.runs.plan import make_plan
from enrich.runs.results import RunResult
from enrich.runs.run import RunOptions
from enrich.text import counted, json_text
from enrich.wiki.data import Notice
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

app = Typer(rich_markup_mode=None)


@app.command()
def page(
    page: Annotated[str, Argument(metavar="PAGE", help="A page id or a path inside the content folder.")],
    stage: Stages = None,
    refresh: Refresh = False,
    no_cache: Annotated[bool, Option("--no-cache", help="Ask again, also for current values and stored answers.")] = False,
    card: Annotated[bool, Option("--card", help="Also show the page's status card.")] = False,
    apply: Annotated[bool, Option("--apply", help="Write what was proposed, except needs-look, over-human and leap.")] = False,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
) -> int:
    """One page on demand: what is proposed, why, on which evidence, and where it differs."""
    wiki = session.open_wiki(llm__backend=backend, llm__model=model, llm__base_url=base_url)
    file = _one_page(wiki, page)
    refresh = refresh or no_cache
    options = RunOptions(pages=(file.id,), stages=tuple(stage or ()), apply=apply, refresh=refresh, read_cache=not no_cache, alone=False)
    result = run_with_progress(wiki, options)
    if session.json:
        session.document(result.document())
    else:
        _print_page(wiki, file, result, card=card)
    return result.exit


def _print_page(wiki: Wiki, file: PageFile, result: RunResult, *, card: bool) -> None:
    """What is proposed, word by word with evidence, reasons and line numbers; then, if wanted, the page's status card."""
    print_failed(result)
    views = page_views(wiki, [*result.changes, *pending(wiki, [file.id])])
    print(*word_texts(views, coloured=sys.stdout.isatty(), width=text_width()), sep="", end="")
    if card:
        _print_card(_card(wiki, file, datetime.now(UTC))[0], brief=True)
        print()
    if result.applied:
        session.say(f"applied {counted(len(result.applied), 'field')} to {file.id}")
    elif not views and not result.failed:
        if result.due:
            session.say(f"{file.id}: the answers change nothing; the page's values are kept")
        elif reason := result.left_alone.get(file.id):
            session.say(f"{file.id}: nothing is due and nothing is proposed ({reason})")
        else:
            session.say(f"{file.id}: nothing is due and nothing is proposed (--refresh asks anyway)")
    print_stopped(result)


@app.command()
def show(
    page: Annotated[str, Argument(metavar="PAGE", help="A page id, or a path.")],
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json", "html"], Option("--format", help="text for a terminal, json for scripts, html for a browser.")
    ] = "text",
    output: Output = None,
    now: Now = None,
) -> None:
    """Show the Page Status card: state, summary, insights and issues of a page, and its record."""
    wiki = session.open_wiki()
    card, notices = _card(wiki, _one_page(wiki, page), clock(now) or datetime.now(UTC))
    if session.verbose:
        session.warn(*map(str, notices))
    if session.json or format == "json":
        session.write(json_text(card, indent=1) + "\n", output)
    elif format == "html":
        session.write(card_html(card), output)
    elif output is None:
        _print_card(card)
    else:
        session.write(card_text(card), output)


def _one_page(wiki: Wiki, name: str) -> PageFile:
    """The only page that a PAGE argument names."""
    found = wiki.select([name])
    if len(found) != 1:
        raise UserError(f"{name!r} names {counted(len(found), 'page')}", do="name one page", exit_code=2)
    return found[0]


def _card(wiki: Wiki, file: PageFile, now: datetime) -> tuple[Card, Sequence[Notice]]:
    """A page's status card with the states of its stages, and what is wrong with the wiki around it."""
    states = make_plan(wiki, [file]).enrichment().get(file.id, {})
    card, notices = page_card(wiki, file, now, states)
    if margins := rating_margins(wiki, read_page(file)):
        card["margins"] = margins
    return card, notices


def _print_card(card: Card, *, brief: bool = False) -> None:
    """Print a card, in colours on a terminal."""
    if sys.stdout.isatty():
        print_card(card, console(), brief=brief)
    else:
        print(card_text(card, brief=brief), end="")
