"""The text of a pull request: what a run applied, what it held back for a person, what failed (`enrich run --apply --pr-body FILE`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from enrich.review.diffs import page_diffs
from enrich.review.formats.markdown import LIMIT, code, comment_body
from enrich.review.proposals import Proposal, ProposalStore
from enrich.review.views import page_views
from enrich.runs.results import RunResult
from enrich.text import counted
from enrich.wiki.wiki import Wiki

# Shares of the limit, so that a night of failures leaves room for what was applied, and the other way round.
_FAILED_ROOM = 8_000
_HELD_ROOM = 14_000


def pull_request_body(wiki: Wiki, result: RunResult, *, limit: int = LIMIT) -> str:
    """Markdown of fewer than `limit` characters; text from pages and models stands in code only."""
    parts = [_summary(result)]
    failed = _failed(result)
    held = _held(wiki, result)
    applied = page_views(page_diffs(wiki, result.changes))
    room = limit - len(parts[0]) - len(failed) - len(held) - 100
    if applied:
        parts.append("\n#### Applied\n" + comment_body(applied, room=room))
    return "".join([*parts, held, failed])


def _summary(result: RunResult) -> str:
    pages = len({page for page, _ in result.applied})
    cost = "" if result.cost_usd is None else f", ${result.cost_usd:.4f}"
    lines = [
        f"### {counted(len(result.applied), 'field')} on {counted(pages, 'page')}",
        "",
        f"Run `{result.run}`: {result.asked} answers asked for, {result.cached} from the cache{cost}. "
        f"{len(result.held)} fields held back, {len(result.failed)} failed.",
    ]
    if result.stopped:
        lines += ["", f"**Ended early:** {code(result.stopped)}"]
    return "\n".join(lines) + "\n"


def _held(wiki: Wiki, result: RunResult) -> str:
    if not result.held:
        return ""
    names: dict[str, set[str]] = {}
    for page, field, _ in result.held:
        names.setdefault(page, set()).add(field)
    views = page_views(page_diffs(wiki, _restricted(wiki, names)))
    head = (
        "\n#### Held back\n\nNot written: `needs-look` has findings, `over-human` would replace a person's words. "
        "`enrich accept PAGE:FIELD` writes one all the same.\n"
    )
    return head + (comment_body(views, room=_HELD_ROOM) if views else _names(result))


def _restricted(wiki: Wiki, names: dict[str, set[str]]) -> Iterable[Proposal]:
    for page, fields in names.items():
        proposal = wiki.shared(ProposalStore).get(page)
        if proposal is not None:
            yield replace(proposal, changes=tuple(change for change in proposal.changes if change.field in fields))


def _names(result: RunResult) -> str:
    return _rows(["page", "field", "flag"], ([code(page), code(name), code(flag)] for page, name, flag in result.held), _HELD_ROOM)


def _failed(result: RunResult) -> str:
    if not result.failed:
        return ""
    rows = ([code(one.page), code(one.stage or "page"), code(one.cause), code(one.detail[:200]), code(one.retry)] for one in result.failed)
    return "\n#### Failed\n" + _rows(["page", "stage", "cause", "detail", "again with"], rows, _FAILED_ROOM)


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]], room: int) -> str:
    lines = ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    left = 0
    for row in rows:
        line = f"| {' | '.join(row)} |"
        room -= len(line.encode("utf-16-le", "surrogatepass")) // 2 + 1
        if room < 0 or left:
            left += 1
        else:
            lines.append(line)
    if left:
        lines += ["", f"**Cut to fit:** {left} more rows; the run's `report.json` has them."]
    return "\n".join(lines) + "\n"
