"""`enrich rank`: importance by ranking."""

from __future__ import annotations

from typing import Annotated

from typer import Option, Typer

from enrich.cli.runs import cost_line, print_failed, print_stopped
from enrich.cli.session import LISTED, Backend, BaseUrl, Budget, Model, Pages, progress_of_run, session
from enrich.runs.ranking import Ranking, RankOptions
from enrich.runs.ranking import rank as rank_list
from enrich.text import counted, number_text, usd

app = Typer(rich_markup_mode=None)


@app.command()
def rank(
    pages: Pages = None,
    list_name: Annotated[
        str, Option("--list", metavar="LIST", help="reader (readerImportance) or research (researchImportance).")
    ] = "reader",
    ask: Annotated[bool, Option("--ask", help="Ask for the comparisons that are missing, write the list and propose scores.")] = False,
    everything: Annotated[bool, Option("--all", help="Rank the whole list, not only what is new; places chosen by a person stay.")] = False,
    propose: Annotated[bool, Option("--propose", help="Propose the scores of the list as it is. Asks nothing.")] = False,
    calls: Annotated[int | None, Option("--calls", metavar="N", min=0, help="At most N requests; run again to continue.")] = None,
    budget: Budget = None,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
) -> int:
    """Show a ranked list, how sure it is and what asking costs; insert new pages (PAGE: move these) or rank all by comparing pairs."""
    wiki = session.open_wiki(warn=True, llm__backend=backend, llm__model=model, llm__base_url=base_url, run__budget_usd=budget)
    options = RankOptions(list_name, tuple(pages or ()), everything=everything, ask=ask, propose=propose, calls=calls)
    with progress_of_run() as progress:
        result = rank_list(wiki, options, progress)
    if session.json:
        session.document(result.document())
    else:
        _print(result)
    return result.run.exit


def _print(result: Ranking) -> None:
    scores = result.scores()
    places = ([str(n), number_text(scores[page]), page] for n, page in enumerate(result.order, 1))
    session.print_pages(["place", result.list.field, "page"], places, len(result.order), LISTED)
    if result.unsure and not session.quiet:
        rows = result.unsure if session.verbose else result.unsure[: LISTED // 2]
        session.print_table(["unsure: above", "below", "probability"], ([above, below, f"{sure:.2f}"] for above, below, sure in rows))
    if result.placed:
        session.say(f"{counted(len(result.placed), 'page')} placed by a person: kept by --all")
    if result.unlisted:
        session.say(f"{counted(len(result.unlisted), 'page')} not in the list")
    against = f"; the list contradicts {result.contradicted:.0%} of them" if len(result.answers) else ""
    session.say(f"{counted(len(result.answers), 'comparison')} known{against}; {result.missing:,} missing")
    run = result.run
    if result.estimate.host and not run.run:
        session.say(f"{cost_line(result.estimate)}; --ask sends them")
    print_failed(run)
    if run.run:
        spent = f"{counted(run.asked, 'comparison')} asked in {counted(run.spent.requests, 'request')}, {usd(run.spent.cost_usd)}"
        session.say(f"{spent}; {counted(len(run.proposed), 'score')} proposed; {run.seconds:.1f} s")
    if result.written:
        session.say(f"wrote {result.written}")
    print_stopped(run)
