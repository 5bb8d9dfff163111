"""`enrich diff`, `review`, `accept`, `reject`, `apply` and `adopt`: see proposed fields, decide on them, write them."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option, Typer

from enrich.cli.session import LISTED, TO_REPORT, Output, Pages, Stages, by_page, compact, first_few, session, text_width
from enrich.errors import UserError
from enrich.review import decisions
from enrich.review.applying import Applied, recover
from enrich.review.browser import HOST, ReviewServer, review_html, wiki_id
from enrich.review.lines import file_texts, markdown_comment, word_texts
from enrich.review.proposals import LEAP, NEEDS_LOOK, OVER_HUMAN, Proposal, ProposalStore
from enrich.review.pull_request import applied_since, read_event, take_event
from enrich.review.review_session import ReviewSession
from enrich.review.views import PageView, diff_texts, page_view
from enrich.stages.stage import load_stages
from enrich.text import counted
from enrich.wiki.git import user_name
from enrich.wiki.wiki import Wiki, now_iso

PageFields = Annotated[
    list[str] | None,
    Argument(
        metavar="[PAGE[:FIELD]]...",
        help="Pages, single fields such as solar:ratings.rigor, or single insights such as solar:insights.1a2b3c4d.",
    ),
]
All = Annotated[bool, Option("--all", help="Every pending field except needs-look, over-human and leap.")]

# What to do about a field that was left out, by the reason. Flags are decided by name.
_LEFT_OUT = {
    **dict.fromkeys((NEEDS_LOOK, OVER_HUMAN, LEAP), "name them as PAGE:FIELD to accept them"),
    "stale": "their page's text changed or the page was removed: `enrich run` asks again",
    "field-moved": "their values on the page changed and are kept: `enrich review` shows both, --overwrite with PAGE:FIELD takes the proposed ones",
    **{state: f"{state} before: name them as PAGE:FIELD to change that" for state in ("accepted", "rejected")},
    "decided-meanwhile": "another process decided or asked again just now: look again",
}

app = Typer(rich_markup_mode=None)


@app.command()
def diff(
    pages: Pages = None,
    form: Annotated[
        Literal["text", "word", "markdown", "json", "html"] | None,
        Option(
            "--format",
            metavar="F",
            help="word: word by word with evidence (default on a terminal); text: the lines of the files (default elsewhere); "
            "markdown: a pull-request comment; html: one page to review on; json.",
        ),
    ] = None,
    output: Output = None,
    exit_code: Annotated[bool, Option("--exit-code", help="Exit with 10 if changes wait.")] = False,
    against: Annotated[
        str | None, Option("--against", metavar="REVISION", help="Show what was applied since a revision of git, not what is proposed.")
    ] = None,
) -> int:
    """Show the proposed changes."""
    coloured = output is None and sys.stdout.isatty()
    form = "json" if session.json else form or ("word" if coloured else "text")
    if form == "html" and coloured:
        raise UserError("an HTML page is not for a terminal", do="name a file: enrich diff --format html -o review.html", exit_code=2)
    wiki = session.open_wiki()
    if against is None:
        proposals = decisions.pending(wiki, pages or ())
    else:
        wanted = {file.id for file in wiki.select(pages or ())}
        proposals = (one for one in applied_since(wiki, against) if one.page in wanted)
    counts = Counter[str]()

    def views() -> Iterator[PageView]:
        """One page at a time: all views of a large wiki do not fit into memory."""
        for proposal in proposals:
            counts.update(["pages", *(f"{change.state} changes" for change in proposal.changes)])
            yield page_view(wiki, proposal)

    texts: Iterable[str]
    if form == "text":
        texts = file_texts(wiki, views(), coloured=coloured)
    elif form == "word":
        texts = word_texts(views(), coloured=coloured, width=text_width() if coloured else 100)
    elif form == "markdown":
        texts = [markdown_comment(list(views()))]
    elif form == "html":
        texts = [review_html(list(views()), wiki=wiki.config.root.name, key=wiki_id(wiki), generated=now_iso())]
    else:
        texts = diff_texts(views())
    session.write(texts, output, lambda: counted(counts["pages"], "page"), coloured=form in ("text", "word"))
    _warn_of_damaged(wiki)
    if not counts["pages"] and form in ("text", "word"):
        session.note("no changes are proposed")
    return TO_REPORT if exit_code and (counts["pending changes"] or counts["accepted changes"]) else 0


def _proposals(wiki: Wiki, names: Sequence[str] | None) -> list[Proposal]:
    """The proposals of the named pages (all if none is named); damaged files are reported."""
    found = list(decisions.pending(wiki, names or ()))
    _warn_of_damaged(wiki)
    return found


def _warn_of_damaged(wiki: Wiki) -> None:
    session.warn(*(error.line for error in wiki.shared(ProposalStore).damaged))


@app.command()
def review(
    pages: Pages = None,
    source: Annotated[Path | None, Option("--from", metavar="FILE", help="Read decisions from FILE (JSON) instead of asking.")] = None,
    serve: Annotated[bool, Option("--serve", help="Review in a browser on this machine; decisions are stored as they are made.")] = False,
    port: Annotated[int | None, Option("--port", metavar="N", min=0, max=65535, help="With --serve: the port (0: any free one).")] = None,
    from_pr: Annotated[
        Path | None, Option("--from-pr", metavar="FILE", help="Take the decisions of a pull request from GitHub's event in FILE.")
    ] = None,
    assign: Annotated[
        list[str] | None,
        Option("--assign", metavar="SECTION=NAME", help="Assign the pages below a folder to a reviewer, and end (repeatable)."),
    ] = None,
    mine: Annotated[str | None, Option("--assigned", metavar="NAME", help="Only pages that are assigned to NAME.")] = None,
) -> int:
    """Decide field by field in the terminal. Every decision is stored at once, so you can stop and continue at any time."""
    if serve and source is not None:
        raise UserError("--serve and --from are two ways to decide", do="use one of them", exit_code=2)
    wiki = session.open_wiki()
    if assign:
        _assign(wiki, assign)
        return 0
    if mine is not None:
        pages = [proposal.page for proposal in decisions.pending(wiki, pages or ()) if proposal.assigned == mine]
        if not pages:
            session.say(f"nothing is assigned to {mine}")
            return 0
    if from_pr is not None:
        return _from_pull_request(wiki, from_pr)
    if serve:
        return _serve(wiki, pages or (), port)
    return _review_in_terminal(wiki, pages) if source is None else _import_decisions(wiki, pages, source)


def _from_pull_request(wiki: Wiki, file: Path) -> int:
    decided, refused = take_event(wiki, read_event(file, wiki.config.folders_of(file)), when=now_iso())
    _print_taken(decided, [{"what": what, "cause": why} for what, why in refused], " from the pull request")
    return 0


def _import_decisions(wiki: Wiki, pages: Sequence[str] | None, source: Path) -> int:
    entries = decisions.read_decisions(source, wiki.config.folders_of(source)).decisions
    wanted = {file.id for file in wiki.select(pages)} if pages else None
    taken, refused = decisions.take(wiki, (one for one in entries if wanted is None or one.page in wanted), by=_who(), when=now_iso())
    _print_taken(taken, _rows(refused, "cause"))
    return 3 if refused or wiki.shared(ProposalStore).damaged else 0


def _print_taken(taken: Sequence[tuple[str, str, str]], refused: Sequence[dict[str, str]], source: str = "") -> None:
    """The decisions that were recorded, and those that were refused, with the cause last in each."""
    for one in () if session.json else refused:
        session.warn(" ".join(f"{':'.join([*one.values()][:-1])}: {one['cause']}".split()))
    done = f"{_on_pages(len(taken), 'decision', taken)}{source}; `enrich apply` writes what is accepted"
    session.result({"decided": _rows(taken, "decision"), "refused": refused}, done)


def _assign(wiki: Wiki, pairs: Sequence[str]) -> None:
    rows: list[dict[str, Any]] = []
    for pair in pairs:
        section, equals, name = pair.rpartition("=")
        if not equals or not section:
            raise UserError(f"not SECTION=NAME: {pair!r}", do="for example --assign risks=ann; --assign risks= takes it back", exit_code=2)
        name = " ".join(name.split())
        rows.append({"section": section, "name": name, "pages": decisions.assign(wiki, section, name)})
    lines = (f"{row['section']}: {counted(row['pages'], 'page')} for {row['name'] or 'anyone'}" for row in rows)
    session.result({"assigned": rows}, *lines)


def _review_in_terminal(wiki: Wiki, pages: Sequence[str] | None) -> int:
    if session.json or not sys.stdin.isatty() or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb"):
        raise UserError(
            "`enrich review` needs a terminal",
            do="`enrich diff` shows the changes, `enrich accept` and `enrich reject` decide, `enrich review --from FILE` reads decisions, "
            "`enrich apply` writes what was accepted",
            exit_code=2,
        )
    proposals = [proposal for proposal in _proposals(wiki, pages) if proposal.changes]
    if not proposals:
        session.say("nothing is proposed; `enrich run` asks what is due")
        return 0
    from enrich.review.terminal_app import ReviewApp  # only this command needs Textual, which takes long to import

    review_session = ReviewSession(wiki, proposals, _who(), now_iso)
    application = ReviewApp(review_session)
    application.run()
    counts = review_session.counts()
    session.say(
        f"{counted(counts.total(), 'field')} on {counted(len(proposals), 'page')}: {counts['accepted']} accepted, "
        f"{counts['rejected']} rejected, {counts['skipped']} skipped, {counts['open']} open"
    )
    for (page, name), draft in application.drafts.items():
        session.warn(f"your edit of {page}:{name} was not used; its text is kept in {draft}")
    if counts["accepted"]:
        session.say("`enrich apply` writes what was accepted")
    if application.failure:
        raise application.failure
    if application.return_code == 130:
        raise KeyboardInterrupt
    return application.return_code or 0


def _serve(wiki: Wiki, pages: Sequence[str], port: int | None) -> int:
    """Serve the review page until Ctrl-C."""
    found = _proposals(wiki, pages)  # an unknown page is an error before the server starts
    session.note(f"comparing {counted(len(found), 'proposal')} with the pages")
    try:
        server = ReviewServer(wiki, lambda: list(decisions.pending(wiki, pages)), by=_who(), now=now_iso, port=port)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {HOST}:{port} ({error})", do="name another port, or none") from None
    with server:
        print(server.address, flush=True)  # also with --quiet: the address is needed
        session.note("open it once in a browser on this machine; Ctrl-C ends")
        try:
            server.wait()
        except KeyboardInterrupt:
            session.note("")
    session.say(f"{counted(server.stored, 'decision')} stored; `enrich apply` writes what was accepted")
    return 0


@app.command()
def accept(
    pages: PageFields = None,
    everything: All = False,
    safe: Annotated[bool, Option("--safe", help="Only small moves of ratings, without any finding or flag.")] = False,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Take a named field also if its value on the page was changed after it was asked about.")
    ] = False,
) -> int:
    """Accept proposed fields; `apply` then writes them."""
    wiki = session.open_wiki()
    named = _named(wiki, pages, everything or safe)
    return _print_decided(
        "accepted", decisions.decide(wiki, named, "accept", safe=safe, overwrite=overwrite, by=_who(), when=now_iso()), named
    )


@app.command()
def reject(
    pages: PageFields = None,
    everything: Annotated[bool, Option("--all", help="Every proposed field.")] = False,
    reason: Annotated[decisions.Reason | None, Option("--reason", metavar="R", help="Why: wrong, unsupported, dull or style.")] = None,
) -> int:
    """Reject proposed fields; they do not come back until the page, the prompt or the model changes."""
    wiki = session.open_wiki()
    named = _named(wiki, pages, everything)
    return _print_decided("rejected", decisions.decide(wiki, named, "reject", reason=reason or "", by=_who(), when=now_iso()), named)


def _named(wiki: Wiki, pages: list[str] | None, everything: bool) -> list[tuple[str, tuple[str, ...]]]:
    """The (page, fields) pairs to decide on."""
    if not pages and not everything:
        raise UserError("no page named", do="name pages or PAGE:FIELD, or use --all", exit_code=2)
    named = decisions.named_fields(wiki, pages or ())
    _warn_of_damaged(wiki)
    return named


def _print_decided(word: str, done: decisions.Outcome, named: Sequence[tuple[str, Sequence[str]]]) -> int:
    """Print what was decided and what was left out; the exit code is 3 if something that was named is among the latter."""
    if session.json:
        session.document({word: _rows(done.fields), "left_out": _rows(done.left_out, "flag"), "over": _rows(done.over, "value")})
    else:
        session.say(f"{word} {_on_pages(len(done.fields), 'field', done.fields)}")
        for page, name, value in done.over:
            session.warn(f"{page}:{name} replaces the value on the page: {json.dumps(value, ensure_ascii=False)}")
        for flag in dict.fromkeys(flag for _, _, flag in done.left_out):
            left = [f"{page}:{name}" for page, name, why in done.left_out if why == flag]
            session.say(f"left out {len(left)} ({flag}): {first_few(left)}; {_LEFT_OUT[flag]}")
    by_name = {(page, name) for page, fields in named for name in fields}
    return 3 if any((page, name) in by_name for page, name, _ in done.left_out) else 0


@app.command()
def apply(
    pages: Pages = None,
    everything: All = False,
    overwrite: Annotated[bool, Option("--overwrite", help="Also write leaps, and over a person's values (never needs-look).")] = False,
) -> int:
    """Write accepted fields to their pages."""
    wiki = session.open_wiki()
    recover(wiki)
    done = decisions.apply_decided(wiki, _proposals(wiki, pages), everything=everything, overwrite=overwrite)
    if session.json:
        session.document(
            {
                "applied": _rows(done.fields),
                "held": _rows(done.held, "flag"),
                "refused": [{"page": item.page, "cause": item.cause, "detail": item.detail} for item in done.refused],
            }
        )
    else:
        _print_applied(done)
    return 3 if done.refused or wiki.shared(ProposalStore).damaged else 0


def _print_applied(done: Applied) -> None:
    session.warn(*(f"{item.path}: nothing written: {item.detail}" for item in done.refused))
    names_by_page = by_page(done.fields)
    listed = list(names_by_page.items())[: None if session.verbose else LISTED]
    session.say(*(f"{page}: {compact(names)}" for page, names in listed))
    session.say_more_pages(len(names_by_page) - len(listed))
    session.say(f"applied {_on_pages(len(done.fields), 'field', done.fields)}")
    if done.held:
        held = first_few([f"{page}:{name} ({flag})" for page, name, flag in done.held])
        session.say(f"held back {len(done.held)}: {held}; accept them by name (enrich accept PAGE:FIELD), then apply")


@app.command()
def adopt(
    pages: Pages = None,
    field: Annotated[list[str] | None, Option("--field", metavar="F", help="Only this field (repeatable).")] = None,
    stage: Stages = None,
) -> None:
    """Take over values that are on pages: they are managed from then on as if `enrich` had written them."""
    wiki = session.open_wiki()
    taken = decisions.adopt(wiki, pages or (), load_stages(wiki.config, stage or ()), field or ())
    session.result({"adopted": _rows(taken)}, f"adopted {_on_pages(len(taken), 'value', taken)}")


def _rows(items: Iterable[tuple[Any, ...]], *more: str) -> list[dict[str, Any]]:
    """(page, field, …) as JSON objects; `more` are the keys after those two."""
    return [dict(zip(("page", "field", *more), item, strict=True)) for item in items]


def _on_pages(number: int, noun: str, fields: Iterable[tuple[str, ...]]) -> str:
    return f"{counted(number, noun)} on {counted(len({page for page, *_ in fields}), 'page')}"


def _who() -> str:
    """Who decides: git's `user.name`, or else the login name."""
    if name := user_name():
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
