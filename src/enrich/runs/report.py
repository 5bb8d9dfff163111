"""The report of one run: `report.json` for programs, `report.md` and `report.html` for people, and which questions failed in the last one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enrich.files import write_text_atomically
from enrich.runs.journal import read_journal
from enrich.runs.results import RunResult
from enrich.text import code_span

# Lists of the slowest and the costliest pages are this long.
_TOP = 10


def write_report(folder: Path, result: RunResult, *, wiki: str) -> None:
    """Write `report.json`, `report.md` and `report.html` into the run's folder. `wiki` names the wiki."""
    from enrich.runs.report_html import report_html

    write_text_atomically(folder / "report.json", json.dumps(report_data(result), ensure_ascii=False, indent=1) + "\n")
    write_text_atomically(folder / "report.md", report_markdown(result))
    write_text_atomically(folder / "report.html", report_html(result, report_data(result), wiki=wiki))


def report_data(result: RunResult) -> dict[str, Any]:
    """`run --json` and what a person looks for afterwards: the slowest and the costliest pages."""
    slowest = sorted(result.pages, key=lambda page: -page.seconds)[:_TOP]
    costliest = sorted((page for page in result.pages if page.cost_usd), key=lambda page: -(page.cost_usd or 0))[:_TOP]
    return {
        **result.to_json(),
        "backend": result.backend,
        "spent": result.spending.to_json(),
        "slowest": [{"page": page.page, "seconds": round(page.seconds, 3), "requests": page.requests} for page in slowest],
        "costliest": [{"page": page.page, "cost_usd": page.cost_usd, "output": page.usage.output} for page in costliest],
        "changes": [proposal.document() for proposal in result.changes],
    }


def report_markdown(result: RunResult) -> str:
    """The report as Markdown; names from pages stand in code spans, so that they cannot become markup."""
    data = report_data(result)
    rows = [
        ("due", result.due),
        ("asked", result.asked),
        ("from the cache", result.cached),
        ("unchanged", result.unchanged),
        ("fields proposed", len(result.proposed)),
        ("fields applied", len(result.applied)),
        ("fields held back", len(result.held)),
        ("failed", len(result.failed)),
        ("requests", result.requests),
        ("spent", "unknown price" if result.cost_usd is None else f"${result.cost_usd:.4f}"),
    ]
    lines = [f"# Run {result.run}", "", "| what | how many |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows), ""]
    if result.stopped:
        lines += [f"Ended early: {code_span(result.stopped)}", ""]
    if result.spending.by_stage:
        lines += ["## Spent", "", "| stage | model | answers | requests | tokens in | of it cached | tokens out | USD |"]
        lines += ["|---|---|---:|---:|---:|---:|---:|---:|"]
        lines += [
            f"| {one.stage} | {code_span(one.model)} | {one.answers} | {one.requests} | {one.usage.input} | {one.usage.cached_input} "
            f"| {one.usage.output} | {_usd(one.cost_usd)} |"
            for one in result.spending
        ]
        lines.append("")
    if result.failed:
        causes = Counter(failure.cause for failure in result.failed)
        lines += [f"Failed by cause: {', '.join(f'{cause} {count}' for cause, count in causes.most_common())}", ""]
        lines += ["## Failed", "", "| page | stage | cause | detail | again with |", "|---|---|---|---|---|"]
        lines += [f"| {code_span(f.page)} | {f.stage} | {f.cause} | {code_span(f.detail)} | {code_span(f.retry)} |" for f in result.failed]
        lines.append("")
    if result.held:
        lines += ["## Held back", "", "| page | field | flag |", "|---|---|---|"]
        lines += [f"| {code_span(page)} | {code_span(name)} | {flag} |" for page, name, flag in result.held]
        lines.append("")
    for name, key, top in (("Slowest", "seconds", data["slowest"]), ("Costliest", "cost_usd", data["costliest"])):
        if top and result.requests:
            lines += [f"## {name} pages", "", f"| page | {'seconds' if key == 'seconds' else 'USD'} |", "|---|---:|"]
            lines += [f"| {code_span(item['page'])} | {item[key]:.4g} |" for item in top]
            lines.append("")
    return "\n".join(lines)


def _usd(amount: float | None) -> str:
    return "unknown price" if amount is None else f"{amount:.4f}"


def failed_in(runs: Sequence[Path]) -> set[tuple[str, str]]:
    """(page, stage) of the questions that failed in the newest batch run and were not answered since; stage "" for whole pages.

    Pages asked for by hand (`enrich page`) after that run add to it or take away from it; runs that asked nothing say nothing.
    """
    later: list[list[Mapping[str, Any]]] = []
    for folder in reversed(runs):
        events = list(read_journal(folder))
        if any(event.get("event") in ("page", "failed") for event in events):
            later.append(events)
            if events[0].get("kind") != "page":
                break
    failed: set[tuple[str, str]] = set()
    for events in reversed(later):
        pages = [event for event in events if event.get("event") == "page"]
        answered = {(str(event.get("page")), str(stage)) for event in pages for key in ("asked", "cached") for stage in event.get(key, ())}
        # An answer can come too late to be of use (`page-changed`): then both are said, and the failure counts.
        mine = {(str(event.get("page")), str(event.get("stage"))) for event in events if event.get("event") == "failed"}
        failed = (failed - answered) | mine
    return failed
