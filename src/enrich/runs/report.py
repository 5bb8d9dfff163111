"""What a run leaves to read: `report.json` for programs, `report.md` and `report.html` for people, and the body of a pull request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enrich import html
from enrich.files import Folders, write_text_atomically
from enrich.review.proposals import Proposal, ProposalStore
from enrich.runs.results import STAMP, RunResult
from enrich.text import code_span, counted, printable, usd
from enrich.wiki.wiki import Wiki

if TYPE_CHECKING:
    from enrich.review.views import PageView

# The number of pages in the lists of the slowest and the costliest.
_TOP = 10
# Longer lists are cut in report.html; `report.json` has them whole.
_LISTED = 500
# Shares of the pull request's limit, so that many failures leave room for what was applied.
_FAILED_ROOM = 8_000
_HELD_ROOM = 8_000
_BOXES_ROOM = 24_000
_LONGEST_DETAIL = 200
_TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


def write_report(folder: Path, result: RunResult, *, wiki: str, within: Folders | None = None) -> None:
    """Write `report.json`, `report.md` and `report.html` into the run's folder. `wiki` is the wiki's name."""
    data = report_data(result)
    write_text_atomically(folder / "report.json", json.dumps(data, ensure_ascii=False, indent=1) + "\n", within=within)
    write_text_atomically(folder / "report.md", _markdown(result, data), within=within)
    write_text_atomically(folder / "report.html", _html(result, data, wiki), within=within)


def report_data(result: RunResult) -> dict[str, Any]:
    """The document of `run --json`, with what was spent by stage and model, the slowest and the costliest pages, and what was applied."""
    slowest = sorted(result.pages, key=lambda page: -page.seconds)[:_TOP]
    costliest = sorted((page for page in result.pages if page.spent.cost_usd), key=lambda page: -(page.spent.cost_usd or 0))[:_TOP]
    return {
        **result.document(),
        "backend": result.backend,
        "spent": result.spent.rows(),
        "slowest": [{"page": page.page, "seconds": round(page.seconds, 3), "requests": page.spent.requests} for page in slowest],
        "costliest": [{"page": page.page, "cost_usd": page.spent.cost_usd, "output": page.spent.usage.output} for page in costliest],
        "changes": [proposal.document() for proposal in result.changes],
    }


def _markdown(result: RunResult, data: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(code=code_span, usd=usd)
    tables = {"failed": "\n".join(_failed(result)), "held": "\n".join(_held(result))}
    text = environment.get_template("report.md.j2").render(data=data, spent=result.spent, causes=_causes(result), **tables)
    return text.rstrip("\n") + "\n"


def _causes(result: RunResult) -> dict[str, int]:
    return {printable(cause): count for cause, count in Counter(failure.cause for failure in result.failed).most_common()}


def _failed(result: RunResult) -> list[str]:
    """The lines of a Markdown table of what failed."""
    rows = []
    for one in result.failed:
        page, detail, retry = (code_span(text) for text in (one.page, one.detail[:_LONGEST_DETAIL], one.retry))
        rows.append(f"| {page} | {one.stage or 'page'} | {one.cause} | {detail} | {retry} |")
    return ["| page | stage | cause | detail | again with |", "|---|---|---|---|---|", *rows]


def _held(result: RunResult) -> list[str]:
    """The lines of a Markdown table of what was held back."""
    rows = [f"| {code_span(page)} | {code_span(name)} | {flag} |" for page, name, flag in result.held]
    return ["| page | field | flag |", "|---|---|---|", *rows]


def _html(result: RunResult, data: Mapping[str, Any], wiki: str) -> str:
    held: dict[str, list[tuple[str, str]]] = {}
    for page, name, flag in result.held[:_LISTED]:
        held.setdefault(page, []).append((name, flag))
    return html.render(
        "report.html.j2",
        styles=("report.css",),
        wiki=printable(wiki),
        run=result.run,
        when=_when(result.run),
        result=result,
        data=data,
        causes=_causes(result),
        held=held,
        listed=_LISTED,
        spent=[one for one in data["spent"] if one["requests"]],
        money=_money,
        text=printable,
    )


def _money(value: float | None) -> str:
    """An amount in USD; small ones with four decimals."""
    return "–" if value is None else f"${value:.4f}" if value < 1 else f"${value:,.2f}"


def _when(run: str) -> str:
    """`20261122T011925Z-bfcab2` as `2026-11-22 01:19 UTC`."""
    with suppress(ValueError):
        return f"{datetime.strptime(run.partition('-')[0], STAMP):%Y-%m-%d %H:%M} UTC"
    return ""


def pull_request_body(wiki: Wiki, result: RunResult) -> str:
    """What a run held back, applied and failed, as Markdown that fits into a pull request. Text from pages and models is in code.

    Writes `enrich.held.jsonl` beside it, the fields that the lines of the pull request name.
    """
    from enrich.review.lines import LIMIT, comment_body
    from enrich.review.pull_request import write_held
    from enrich.review.views import page_views

    cost = "" if result.spent.cost_usd is None else f", {usd(result.spent.cost_usd)}"
    head = (
        f"### {counted(len(result.applied), 'field')} on {counted(len({page for page, _ in result.applied}), 'page')}\n\n"
        f"Run `{result.run}`: {counted(result.asked, 'answer')} asked for, {result.cached} from the cache{cost}. "
        f"{counted(len(result.held), 'field')} held back, {len(result.failed)} failed.\n"
    )
    if result.stopped:
        head += f"\n**Ended early:** {code_span(result.stopped)}\n"
    proposals = list(_held_proposals(wiki, result))
    # Flagged fields come first, and have room first: they wait for a decision.
    held = _held_section(wiki, page_views(wiki, proposals), result.body_lines) if result.held else ""
    failed = "\n#### Failed\n\n" + _fitting(_failed(result), _FAILED_ROOM) if result.failed else ""
    views = page_views(wiki, result.changes)
    room = LIMIT - len(head) - len(failed) - len(held) - 100
    write_held(
        wiki, [*(replace(one, changes=tuple(replace(it, state="accepted") for it in one.changes)) for one in result.changes), *proposals]
    )
    return head + held + ("\n#### Applied\n" + comment_body(views, room=room) if views else "") + failed


def _held_section(wiki: Wiki, views: Sequence[PageView], body_lines: Mapping[str, int]) -> str:
    from enrich.review.lines import comment_body
    from enrich.review.pull_request import HELD, held_lines

    lines = [line.rstrip("\n") for line in held_lines(wiki, views, body_lines)]
    text = _fitting(lines, _BOXES_ROOM, f"the fields are in `{HELD}`")
    about = (
        "Not written: `needs-look` has findings, `over-human` would replace what a person wrote, `leap` moves a rating far. A checked box "
        "accepts a field. So does the comment `/enrich accept PAGE:FIELD`; `/enrich reject PAGE:FIELD` rejects one. "
        "Editing or deleting a line on this branch is a decision that lasts."
    )
    return f"\n#### Held back\n\n{about}\n\n{text}{comment_body(views, room=_HELD_ROOM)}"


def _held_proposals(wiki: Wiki, result: RunResult) -> Iterable[Proposal]:
    """The held fields' part of their proposals."""
    names: dict[str, set[str]] = {}
    for page, field, _ in result.held:
        names.setdefault(page, set()).add(field)
    for page, fields in names.items():
        proposal = wiki.shared(ProposalStore).get(page)
        if proposal is not None:
            yield replace(proposal, changes=tuple(change for change in proposal.changes if change.field in fields))


def _fitting(table: Sequence[str], room: int, rest: str = "the run's `report.json` has them") -> str:
    """The first lines of a table that fit into `room` UTF-16 units, with a line about the rows that were cut and where they are."""
    kept: list[str] = []
    for line in table:
        room -= len(line.encode("utf-16-le", "surrogatepass")) // 2 + 1
        if room < 0:
            break
        kept.append(line)
    left = len(table) - len(kept)
    cut = ["", f"**Cut to fit:** {counted(left, 'more row')}; {rest}."] if left else []
    return "\n".join([*kept, *cut]) + "\n"
