"""A run's report as one HTML file of the same parts as the review page: no network, no script, light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from enrich import html
from enrich.runs.results import RunResult
from enrich.text import printable

# Lists longer than this are cut in the page; `report.json` has all of them.
_LISTED = 500
_EXITS = {
    0: "done",
    1: "ended by an error",
    3: "done, with failures",
    4: "stopped at the budget",
    130: "interrupted",
}


def report_html(result: RunResult, data: Mapping[str, Any], *, wiki: str) -> str:
    """The report. `data` is `report.report_data(result)`, `wiki` names the wiki."""
    held: dict[str, list[tuple[str, str]]] = {}
    for page, name, flag in result.held[:_LISTED]:
        held.setdefault(page, []).append((name, flag))
    causes = Counter(failure.cause for failure in result.failed)
    return html.render(
        "report.html.j2",
        styles=("report.css",),
        wiki=printable(wiki),
        run=result.run,
        when=_when(result.run),
        outcome=_EXITS.get(result.exit, f"exit {result.exit}"),
        good=result.exit == 0,
        result=result,
        data=data,
        causes={printable(cause): count for cause, count in causes.most_common()},
        proposed_pages=len({page for page, _ in result.proposed}),
        applied_pages=len({page for page, _ in result.applied}),
        failed=result.failed[:_LISTED],
        held=held,
        listed=_LISTED,
        spent=[one for one in result.spending.to_json() if one["requests"]],
        money=money,
        text=printable,
    )


def money(value: float | None) -> str:
    """An amount in USD with as many digits as it needs to be told from nothing."""
    return "–" if value is None else f"${value:.4f}" if value < 1 else f"${value:,.2f}"


def _when(run: str) -> str:
    """`20261122T011925Z-bfcab2` as `2026-11-22 01:19 UTC`."""
    stamp = run.partition("-")[0]
    if len(stamp) != 16 or not stamp.endswith("Z"):
        return ""
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]} UTC"
