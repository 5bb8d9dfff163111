"""`enrich review`, `accept`, `reject`, `apply` and `adopt`: deciding on proposed fields, and writing them."""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enrich.cli.runs import Pages, Stages
from enrich.cli.session import Session
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.stages.catalogue import load_stages
from enrich.text import counted

if TYPE_CHECKING:
    from enrich.review.decisions import Decided
    from enrich.wiki.wiki import Wiki

PageFields = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PAGE[:FIELD]]...", help="Pages, or single fields such as solar:llmSummary or solar:ratings.rigor.", show_default=False
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every pending field but needs-look and over-human.")]


def register(app: typer.Typer) -> None:
    app.command("review")(review)
    app.command("accept")(accept)
    app.command("reject")(reject)
    app.command("apply")(apply)
    app.command("adopt")(adopt)


def accept(
    ctx: typer.Context,
    pages: PageFields = None,
    everything: All = False,
    safe: Annotated[bool, typer.Option("--safe", help="Only small moves of ratings, without any finding or flag.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Take a named field also where its value on the page was changed since it was asked about.")
    ] = False,
) -> None:
    """Accept proposed fields; `apply` then writes them."""
    from enrich.review import decisions

    session, workspace, named = _decision(ctx, pages, everything or safe)
    done = decisions.accept(workspace, named, safe=safe, overwrite=overwrite, by=_who(), when=_now())
    _print_decided(session, "accepted", done, named)


def reject(
    ctx: typer.Context, pages: PageFields = None, everything: Annotated[bool, typer.Option("--all", help="Every proposed field.")] = False
) -> None:
    """Reject proposed fields; they do not come back until the page, the prompt or the model changes."""
    from enrich.review import decisions

    session, workspace, named = _decision(ctx, pages, everything)
    _print_decided(session, "rejected", decisions.reject(workspace, named, by=_who(), when=_now()), named)


def review(
    ctx: typer.Context,
    pages: Pages = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Read decisions from FILE (JSON) instead of asking.", show_default=False)
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Review in a browser on this machine; decisions are stored as they are made.")
    ] = False,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="With --serve: the port (0: any free one).")] = 0,
) -> None:
    """Decide field by field in the terminal; every decision is kept at once, so stop and go on as you like."""
    from enrich.cli.review_terminal import review_in_terminal
    from enrich.errors import UserError
    from enrich.review.imported import read_decisions, take

    session: Session = ctx.obj
    if serve:
        from enrich.cli.serving import serve as serve_pages

        if source is not None:
            raise UserError("--serve and --from are two ways to decide", do="use one of them", exit_code=2)
        serve_pages(session, session.workspace(), pages or (), by=_who(), port=port)
        return
    if source is None:
        review_in_terminal(session, session.workspace(), pages or (), by=_who(), now=_now)
        return
    workspace = session.workspace()
    entries = read_decisions(source).decisions
    if pages:
        wanted = {file.id for file in workspace.select(pages)}
        entries = [entry for entry in entries if entry.page in wanted]
    done = take(workspace, entries, by=_who(), when=_now())
    if session.json:
        session.document(
            {
                "decided": [{"page": page, "field": name, "decision": word} for page, name, word in done.taken],
                "refused": [{"page": page, "field": name, "cause": why} for page, name, why in done.refused],
            }
        )
    else:
        for page, name, why in done.refused:
            session.warn(" ".join(f"{page}:{name}: {why}".split()))
        session.say(
            f"{counted(len(done.taken), 'decision')} on {counted(len({page for page, _, _ in done.taken}), 'page')}; "
            "`enrich apply` writes what is accepted"
        )
    if done.refused or workspace.shared(ProposalStore).damaged:
        raise typer.Exit(3)


def apply(
    ctx: typer.Context,
    pages: Pages = None,
    everything: All = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also write over a person's values (never needs-look).")] = False,
) -> None:
    """Write accepted fields onto their pages."""
    from enrich.cli.tables import pending, print_applied
    from enrich.review.applying import appliable, recover
    from enrich.review.applying import apply as apply_changes
    from enrich.review.decisions import blocking_flag

    session: Session = ctx.obj
    workspace = session.workspace()
    recover(workspace)
    proposals = pending(workspace, pages or ())
    chosen = [
        (proposal, [change for change in proposal.changes if appliable(change, everything=everything, overwrite=overwrite)])
        for proposal in proposals
    ]
    done = apply_changes(workspace, chosen)
    taken = {(proposal.page, change.field) for proposal, changes in chosen for change in changes}
    done.held.extend(
        (proposal.page, change.field, blocking_flag(change))
        for proposal in proposals
        for change in proposal.changes
        if change.state == "pending" and blocking_flag(change) and (proposal.page, change.field) not in taken
    )
    print_applied(session, done)
    if done.refused or workspace.shared(ProposalStore).damaged:
        raise typer.Exit(3)


def adopt(
    ctx: typer.Context,
    pages: Pages = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="F", help="Only this field (repeatable).", show_default=False)
    ] = None,
    stage: Stages = None,
) -> None:
    """Take over values that stand on pages: from now on they are managed as if `enrich` had written them."""
    from enrich.errors import UserError
    from enrich.review import decisions
    from enrich.stages.landing import QUALITY
    from enrich.wiki.pages import read_page

    session: Session = ctx.obj
    workspace = session.workspace()
    stages = load_stages(workspace.config, stage or ())
    known = {name for item in stages for name in item.fields} | {QUALITY}
    for name in field or ():
        if name not in known:
            raise UserError(f"unknown field {name!r}", do=f"use one of {', '.join(sorted(known))}", exit_code=2)
    loaded = (read_page(file) for file in workspace.select(pages or ()) if not workspace.is_skipped(file))
    taken = decisions.adopt(
        workspace.shared(LockFile), (page for page in loaded if page.problem is None), stages, fields=field or (), today=_now()[:10]
    )
    if session.json:
        session.document({"adopted": [{"page": page, "field": name} for page, name in taken]})
    else:
        session.say(f"adopted {counted(len(taken), 'value')} on {counted(len({page for page, _ in taken}), 'page')}")


def _decision(ctx: typer.Context, pages: list[str] | None, everything: bool) -> tuple[Session, Wiki, list[tuple[str, tuple[str, ...]]]]:
    """The (page, fields) pairs that PAGE[:FIELD] arguments name; all pending pages for --all."""
    from enrich.errors import UserError

    session: Session = ctx.obj
    workspace = session.workspace()
    if not pages and not everything:
        raise UserError("nothing named", do="name pages or PAGE:FIELD, or use --all", exit_code=2)
    proposals = {proposal.page: proposal for proposal in workspace.shared(ProposalStore).all()}
    for error in workspace.shared(ProposalStore).damaged:
        session.warn(error.line)
    if not pages:
        return session, workspace, [(page, ()) for page in proposals]
    named: list[tuple[str, tuple[str, ...]]] = []
    for argument in pages:
        pattern, colon, name = argument.rpartition(":")
        whole = not colon or argument in workspace.by_id or argument in proposals
        name_of = argument if whole else pattern
        # The id of a page that is gone still names its proposal.
        gone = name_of in proposals and name_of not in workspace.by_id
        found = [name_of] if gone else [file.id for file in workspace.select([name_of])]
        waiting = [page for page in found if page in proposals]
        if not waiting:
            raise UserError(f"nothing is proposed for {argument!r}", do="`enrich diff` shows what is")
        if not whole:
            fields = sorted({change.field for page in waiting for change in proposals[page].changes})
            if name not in fields:
                raise UserError(f"no proposed field {name!r} on {pattern}", do=f"proposed there: {', '.join(fields)}")
        named += [(page, () if whole else (name,)) for page in waiting]
    return session, workspace, named


# What a person does about a field that was left out, by the reason; flags are decided by name.
_LEFT_OUT = {
    "needs-look": "name them as PAGE:FIELD to accept them",
    "over-human": "name them as PAGE:FIELD to accept them",
    "stale": "their page's text changed or is gone: `enrich run` asks again",
    "field-moved": "the page's words changed and stay: `enrich review` shows both, --overwrite with PAGE:FIELD takes the proposed ones",
    "accepted": "accepted before: name them as PAGE:FIELD to turn that round",
    "rejected": "rejected before: name them as PAGE:FIELD to turn that round",
    "decided-meanwhile": "somebody else decided or asked again just now: look again",
}


def _print_decided(session: Session, word: str, done: Decided, named: Sequence[tuple[str, Sequence[str]]]) -> None:
    if session.json:
        session.document(
            {
                word: [{"page": page, "field": name} for page, name in done.fields],
                "left_out": [{"page": page, "field": name, "flag": flag} for page, name, flag in done.left_out],
                "over": [{"page": page, "field": name, "value": value} for page, name, value in done.over],
            }
        )
    else:
        session.say(f"{word} {counted(len(done.fields), 'field')} on {counted(len({page for page, _ in done.fields}), 'page')}")
        for page, name, value in done.over:
            session.warn(f"{page}:{name} goes over what the page says now: {json.dumps(value, ensure_ascii=False)}")
        for flag in dict.fromkeys(flag for _, _, flag in done.left_out):
            left = [f"{page}:{name}" for page, name, why in done.left_out if why == flag]
            session.say(f"left out {len(left)} ({flag}): {_first_few(left)}; {_LEFT_OUT[flag]}")
    by_name = {(page, name) for page, fields in named for name in fields}
    if any((page, name) in by_name for page, name, _ in done.left_out):
        raise typer.Exit(3)


def _first_few(left: Sequence[str]) -> str:
    return ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _now() -> str:
    from enrich.wiki.wiki import now_iso

    return now_iso()
