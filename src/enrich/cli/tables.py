"""What the commands on pages print: the plan, a run's outcome, diffs and what apply did."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from enrich.cli.session import Session
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.stages.catalogue import load_stages
from enrich.text import counted, escaped

if TYPE_CHECKING:
    from enrich.records.card import Card
    from enrich.review.applying import Applied
    from enrich.review.diffs import PageDiff
    from enrich.review.proposals import FieldChange, Proposal
    from enrich.runs.plan import Estimate, Plan
    from enrich.runs.results import FailedQuestion, RunResult
    from enrich.wiki.notice import Notice
    from enrich.wiki.pages import PageFile
    from enrich.wiki.wiki import Wiki

_STATE_STYLE = {
    "due": "yellow",
    "current": "green",
    "proposed": "cyan",
    "skipped": "dim",
    "human-edited": "magenta",
    "unmanaged": "magenta",
}
# A longer list says how many more there are: the whole of it is in --json and in the run's report.
_LISTED = 20


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[int] = ()) -> Any:
    """A rich table of plain texts; columns in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    numeric = set(right)
    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else box.SIMPLE, pad_edge=False, header_style="bold")
    for position, header in enumerate(headers):
        made.add_column(header, justify="right" if position in numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(escaped(str(cell))) for cell in row))
    return made


def show(session: Session, made: Any) -> None:
    """Print a table as wide as it needs to be where nobody watches."""
    console = session.out
    if not sys.stdout.isatty():
        console.width = 160
    console.print(made, soft_wrap=False)


def print_plan(session: Session, workspace: Wiki, plan: Plan, cost: Estimate) -> None:
    from rich.text import Text

    if not session.quiet:
        by_page: dict[str, dict[str, Any]] = {}
        for state in plan.states:
            if state.state != "current" or session.verbose:
                reasons = f" ({', '.join(state.reasons)})" if state.reasons else ""
                by_page.setdefault(state.page, {})[state.stage] = Text(state.state + reasons, style=_STATE_STYLE.get(state.state, ""))
        names = [stage.name for stage in load_stages(workspace.config) if any(stage.name in row for row in by_page.values())]
        if by_page:
            show(session, table(["page", *names], ([page, *(row.get(name, "") for name in names)] for page, row in by_page.items())))
    counts = ", ".join(f"{number} {state}" for state, number in sorted(plan.counts().items()))
    session.say(f"{len({state.page for state in plan.states})} pages: {counts or 'nothing to ask'}")
    if cost.host:
        price = "price unknown (set [prices] in enrich.toml)" if cost.cost_usd is None else f"about ${cost.cost_usd:.4f}"
        tokens = f"about {cost.usage.input:,} tokens in and {cost.usage.output:,} out"
        session.say(f"{cost.requests} requests to {cost.model} at {cost.host}: {tokens}, {price}")
    else:
        session.say("backend offline: nothing leaves this machine, nothing is spent")


def print_run(session: Session, workspace: Wiki, result: RunResult) -> None:
    """The summary table of a run: one row a page with what was proposed, then the totals."""
    if not session.quiet:
        rows = _page_rows(workspace, result)
        if rows:
            shown = rows if session.verbose or len(rows) <= 4 * _LISTED else rows[: 4 * _LISTED]
            show(session, table(["page", "proposed", "held", "failed"], shown))
            if len(shown) < len(rows):
                session.say(f"… and {len(rows) - len(shown)} more pages (-v lists all)")
    _print_failed(session, result)
    held = f", {len(result.held)} held back for a person" if result.held else ""
    applied = f", {len(result.applied)} applied" if result.applied else ""
    pages = len({page for page, _ in result.proposed})
    session.say(
        f"run {result.run}: {counted(result.due, 'question')} due, {result.asked} asked, {result.cached} from the cache, {result.unchanged} unchanged; "
        f"{counted(len(result.proposed), 'field')} proposed on {counted(pages, 'page')}{applied}{held}; {counted(result.skipped, 'page')} skipped"
    )
    where = workspace.config.llm.backend
    if where == "offline":
        session.say(f"backend offline: no request, nothing spent; {result.seconds:.1f} s")
    else:
        used = result.usage
        cost = "price unknown" if result.cost_usd is None else f"${result.cost_usd:.4f}"
        from enrich.llm.endpoint import host_of

        host = host_of(workspace.config.llm.base_url)
        if not result.requests:
            session.say(f"no request to {host}, nothing spent; {result.seconds:.1f} s")
        else:
            session.say(
                f"{result.requests} requests to {host}, {used.input:,} tokens in ({used.cached_input:,} cached), "
                f"{used.output:,} out, {cost}; {result.seconds:.1f} s"
            )
    if result.stopped:
        session.warn(f"ended early: {result.stopped}" + (f"; {result.do}" if result.do else ""))
    if result.proposed and not result.applied:
        rest = "all but those held back, which `enrich review` decides" if result.held else "them"
        session.say(f"next: `enrich diff` shows the changes, `enrich apply --all` writes {rest}")


def _page_rows(workspace: Wiki, result: RunResult) -> list[list[str]]:
    proposed: dict[str, list[str]] = {}
    held: dict[str, list[str]] = {}
    failed: dict[str, list[str]] = {}
    for page, name in result.proposed:
        proposed.setdefault(page, []).append(name)
    for page, name, flag in result.held:
        held.setdefault(page, []).append(f"{name} ({flag})")
    for failure in result.failed:
        failed.setdefault(failure.page, []).append(f"{failure.stage or 'page'}: {failure.cause}")
    touched = {page.page for page in result.pages} | set(proposed) | set(failed) | set(result.left_alone)
    ordered = [file.id for file in workspace.files if file.id in touched]
    return [
        [
            page,
            _compact(proposed.get(page, [])) or _nothing(page, result, failed),
            _compact(held.get(page, [])),
            ", ".join(failed.get(page, [])),
        ]
        for page in ordered
    ]


def _nothing(page: str, result: RunResult, failed: Mapping[str, object]) -> str:
    """Why nothing is proposed for a page."""
    if page in failed:
        return ""
    if page in result.cut_short:
        return "not asked, still due"
    return f"nothing new ({result.left_alone.get(page, 'no change')})"


def _compact(fields: Sequence[str]) -> str:
    """`ratings.novelty, ratings.rigor` as `ratings (novelty, rigor)`."""
    ratings = [name.removeprefix("ratings.") for name in fields if name.startswith("ratings.")]
    others = [name for name in fields if not name.startswith("ratings.")]
    return ", ".join([*others, *([f"ratings ({', '.join(ratings)})"] if ratings else [])])


def _print_failed(session: Session, result: RunResult) -> None:
    # A page's stages go out in one request and mostly fail together: one line for all that failed alike.
    told: dict[tuple[str, str, str], tuple[FailedQuestion, list[str]]] = {}
    for failure in result.failed:
        told.setdefault((failure.page, failure.cause, failure.detail), (failure, []))[1].append(failure.stage)
    for failure, stages in list(told.values())[:_LISTED]:
        if not failure.stage:
            # A page that could not be read: the detail begins with its path and line.
            session.warn(f"{failure.detail} ({failure.retry})")
            continue
        again = " ".join(["enrich run", shlex.quote(failure.page), *(f"--stage {stage}" for stage in stages)])
        session.warn(f"{failure.page} {', '.join(stages)}: {failure.cause}: {failure.detail} (again with: {again})")
    if len(told) > _LISTED:
        session.warn(f"{len(told) - _LISTED} more failed: the run's report lists them; again with: enrich run --failed")


def print_page(session: Session, workspace: Wiki, page: str, result: RunResult) -> None:
    """One page after `enrich page`: its status card as it stands, findings and the diff."""
    from enrich.records.card_rendering import card_text, print_card
    from enrich.review.diffs import page_diffs

    card, _ = card_of(workspace, workspace.by_id[page])
    if sys.stdout.isatty():
        print_card(card, session.out, brief=True)
    else:
        print(card_text(card, brief=True), end="")
    print()
    _print_failed(session, result)
    diffs = list(page_diffs(workspace, pending(workspace, [page])))
    if diffs:
        print(diff_text(workspace, diffs), end="")
    if result.applied:
        session.say(f"applied {len(result.applied)} fields to {page}")
    elif not diffs and not result.failed:
        if result.due:
            session.say(f"{page}: nothing new came back; its values stand as they are")
        elif left := result.left_alone.get(page):
            session.say(f"{page}: nothing is due and nothing is proposed ({left})")
        else:
            session.say(f"{page}: nothing is due and nothing is proposed (--refresh asks anyway)")
    if result.stopped:
        session.warn(f"ended early: {result.stopped}" + (f"; {result.do}" if result.do else ""))


def card_of(workspace: Wiki, file: PageFile) -> tuple[Card, Sequence[Notice]]:
    """A page's status card with its stages' states, and what is wrong with the wiki around it."""
    from datetime import UTC, datetime

    from enrich.records.card import page_card
    from enrich.runs.plan import make_plan

    states = make_plan(workspace, [file]).enrichment().get(file.id, {})
    return page_card(workspace.config, file, workspace.files, datetime.now(UTC), states)


def pending(workspace: Wiki, patterns: Sequence[str]) -> list[Proposal]:
    """The proposals of the named pages (all for none), in page order; those whose page is gone come last. Damaged files are named."""
    proposals = {proposal.page: proposal for proposal in workspace.shared(ProposalStore).all()}
    for error in workspace.shared(ProposalStore).damaged:
        print(escaped(f"warning: {error.line}"), file=sys.stderr)
    if patterns:
        # The id of a page that is gone still names its proposal.
        gone = [pattern for pattern in patterns if pattern in proposals and pattern not in workspace.by_id]
        there = [pattern for pattern in patterns if pattern not in gone]
        found = workspace.select(there) if there else []
        return [proposals[file.id] for file in found if file.id in proposals] + [proposals[page] for page in gone]
    ordered = [proposals[file.id] for file in workspace.files if file.id in proposals]
    return ordered + [proposal for page, proposal in proposals.items() if page not in workspace.by_id]


def diff_text(workspace: Wiki, diffs: Sequence[PageDiff]) -> str:
    """The text form of `enrich diff`: per page what a file would change, then what a reviewer must know."""
    from enrich.review.diffs import unified

    lock = workspace.shared(LockFile).read()
    coloured = sys.stdout.isatty()
    lines: list[str] = []
    for diff in diffs:
        lines.append(_paint(f"{diff.proposal.page}  {diff.proposal.path}", "1", coloured))
        if diff.note:
            lines.append(f"  {diff.note}")
        lines += [_paint(escaped(line), _DIFF_COLOURS.get(line[:1], ""), coloured) for line in unified(workspace, lock, diff)]
        for change in diff.proposal.changes:
            lines += [_paint(line, "33", coloured) for line in _remarks(diff, change)]
        lines.append("")
    return "\n".join(lines) + ("\n" if lines else "")


_DIFF_COLOURS = {"+": "32", "-": "31", "@": "36"}


def _paint(text: str, colour: str, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured and colour else text


def _remarks(diff: PageDiff, change: FieldChange) -> list[str]:
    flags = diff.flags(change)
    lines = []
    state = "" if change.state == "pending" else f" [{change.state}]"
    if flags or state:
        lines.append(f"  ! {change.field}{state}{': ' if flags else ''}{', '.join(flags)}")
    lines += [escaped(f"    {finding.severity}: {finding.where}: {finding.message}") for finding in change.findings]
    if change.edited:
        lines.append(escaped(f"    {change.edited.how} by {change.edited.by}; proposed was: {change.asked_for!r}"))
    return lines


def print_applied(session: Session, done: Applied) -> None:
    if session.json:
        session.document(
            {
                "applied": [{"page": page, "field": name} for page, name in done.fields],
                "held": [{"page": page, "field": name, "flag": flag} for page, name, flag in done.held],
                "refused": [{"page": item.page, "cause": item.cause, "detail": item.detail} for item in done.refused],
            }
        )
        return
    for item in done.refused:
        session.warn(f"{item.path}: nothing written: {item.detail}")
    by_page: dict[str, list[str]] = {}
    for page, name in done.fields:
        by_page.setdefault(page, []).append(name)
    if not session.quiet:
        listed = list(by_page.items()) if session.verbose else list(by_page.items())[:_LISTED]
        for page, names in listed:
            session.say(f"{page}: {_compact(names)}")
        if len(listed) < len(by_page):
            session.say(f"… and {len(by_page) - len(listed)} more pages (-v lists all)")
    session.say(f"applied {counted(len(done.fields), 'field')} on {counted(len(by_page), 'page')}")
    if done.held:
        shown = ", ".join(f"{page}:{name} ({flag})" for page, name, flag in done.held[:5])
        more = f" and {len(done.held) - 5} more" if len(done.held) > 5 else ""
        session.say(f"held back {len(done.held)}: {shown}{more}; accept them by name (enrich accept PAGE:FIELD), then apply")
