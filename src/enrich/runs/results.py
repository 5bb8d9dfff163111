"""The outcome of a run (DESIGN.md section 4.2), what was spent, and what is left of it: the journal in the run's folder, and the reports.

`report.json` is for programs, `report.md`, `report.html` and the body of a pull request are for people.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shlex
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from enrich import html
from enrich.errors import os_errors
from enrich.files import LOCK_BYTES, Folders, make_folder, names_in, open_file, read_bytes, write_text_atomically
from enrich.llm.messages import Tally, Usage
from enrich.review.proposals import Proposal, ProposalStore
from enrich.stages.fields import number_of
from enrich.text import code_span, counted, printable, usd
from enrich.wiki.wiki import Wiki

if TYPE_CHECKING:
    from enrich.review.views import PageView
    from enrich.runs.ask import PageResult


Item = TypeVar("Item")
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
_STAMP = "%Y%m%dT%H%M%SZ"
# The name of a run's folder. Nothing else in `cache/runs` is read or deleted.
_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class FailedQuestion:
    """A question without a usable answer, or a page that could not be read (`stage` is "" then). `cause` is a stable word."""

    page: str
    stage: str
    cause: str
    detail: str

    @property
    def retry(self) -> str:
        """The command that tries again."""
        page = shlex.quote(self.page)
        return f"enrich run {page} --stage {self.stage}" if self.stage else f"fix the page, then: enrich run {page}"


@dataclass(frozen=True, slots=True)
class PageCost:
    """What one page took, for the report's lists of the slowest and the costliest pages."""

    page: str
    seconds: float
    spent: Tally


@dataclass(slots=True)
class Spent(Tally):
    """What one stage took of one model: its answers, the requests that asked for it, its share of their tokens and cost."""

    answers: int = 0


@dataclass(slots=True)
class Spending(Tally):
    """What was spent, failed attempts included; in `parts` by (stage, model)."""

    parts: defaultdict[tuple[str, str], Spent] = field(default_factory=lambda: defaultdict(Spent))

    def book(self, model: str, stages: Sequence[str], tally: Tally) -> None:
        """Add what requests about these stages took together."""
        self.add(tally.usage, tally.cost_usd, tally.requests)
        for stage, usage, cost in shared(stages, tally.usage, tally.cost_usd):
            self.parts[stage, model].add(usage, cost, tally.requests)

    def join(self, other: Spending) -> None:
        """Add what was spent elsewhere."""
        self.add(other.usage, other.cost_usd, other.requests)
        for key, part in other.parts.items():
            self.parts[key].add(part.usage, part.cost_usd, part.requests)

    def rows(self) -> list[dict[str, Any]]:
        """The parts as JSON."""
        return [
            {
                "stage": stage,
                "model": model,
                "answers": spent.answers,
                "requests": spent.requests,
                "tokens": spent.usage.counts(),
                "cost_usd": rounded(spent.cost_usd),
            }
            for (stage, model), spent in sorted(self.parts.items())
        ]


def shared(items: Sequence[Item], usage: Usage, cost_usd: float | None) -> Iterator[tuple[Item, Usage, float | None]]:
    """Each item with its equal share of tokens and cost; the first one has the remainder too, so that the sum is exact."""
    counts, parts = usage.counts().values(), len(items)
    even, rest = Usage(*(count // parts for count in counts)), Usage(*(count % parts for count in counts))
    cost = None if cost_usd is None else cost_usd / parts
    for place, item in enumerate(items):
        yield item, even if place else even + rest, cost


def rounded(cost_usd: float | None) -> float | None:
    return None if cost_usd is None else round(cost_usd, 6)


@dataclass(slots=True)
class RunResult:
    """The outcome of one run. `asked`, `cached` and `unchanged` count (page, stage); `due` counts them before the run.

    `stopped` is why the run ended early and `do` what to do about it; `cut_short` are pages that were begun then. `left_alone` is why nothing
    of a page was asked, if it is not simply current. `changes` are the proposals that were applied. `waiting` counts (page, stage) whose answers
    come in a batch. `body_lines`: the line of the file on which the body of a page with a held field began before anything was applied.
    """

    run: str
    backend: str
    due: int = 0
    exit: int = 0
    asked: int = 0
    cached: int = 0
    unchanged: int = 0
    waiting: int = 0
    proposed: list[tuple[str, str]] = field(default_factory=list)
    applied: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str, str]] = field(default_factory=list)
    failed: list[FailedQuestion] = field(default_factory=list)
    skipped: int = 0
    spent: Spending = field(default_factory=Spending)
    seconds: float = 0.0
    stopped: str = ""
    do: str = ""
    pages: list[PageCost] = field(default_factory=list)
    left_alone: dict[str, str] = field(default_factory=dict)
    cut_short: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    changes: list[Proposal] = field(default_factory=list)
    body_lines: dict[str, int] = field(default_factory=dict)

    def add(self, result: PageResult) -> None:
        """Count one page's questions and what they took."""
        self.asked += len(result.asked)
        self.cached += len(result.cached)
        self.spent.join(result.spent)
        for answer in result.answers:
            key = answer.stage, answer.question.model
            if answer.stage in result.asked and key in self.spent.parts:
                self.spent.parts[key].answers += 1
        self.failed += result.failures
        if result.sections:
            self.notes.append(f"{result.page.id}: asked in {result.sections} sections, because it does not fit into the model's context")
        self.pages.append(PageCost(result.page.id, result.seconds, result.spent))

    def end(self, exit_code: int, why: str, do: str = "") -> None:
        """Record why the run ends early; the first reason is kept."""
        if not self.stopped:
            self.stopped, self.do = why, do
        self.exit = self.exit or exit_code

    def in_page_order(self, order: Mapping[str, int]) -> None:
        """Sort all lists by the pages' positions, so that they do not depend on which answer came first."""
        last = len(order)
        self.changes.sort(key=lambda item: order.get(item.page, last))
        self.proposed.sort(key=lambda item: order.get(item[0], last))
        self.held.sort(key=lambda item: order.get(item[0], last))
        self.failed.sort(key=lambda item: order.get(item.page, last))

    def document(self) -> dict[str, Any]:
        """The document of `run --json`."""
        return {
            **{name: getattr(self, name) for name in ("run", "exit", "due", "asked", "cached", "unchanged")},
            **({"waiting": self.waiting} if self.waiting else {}),
            "proposed": [{"page": page, "field": name} for page, name in self.proposed],
            "applied": [{"page": page, "field": name} for page, name in self.applied],
            "held": [{"page": page, "field": name, "flag": flag} for page, name, flag in self.held],
            "failed": [{**asdict(failure), "retry": failure.retry} for failure in self.failed],
            "skipped": self.skipped,
            "requests": self.spent.requests,
            "tokens": self.spent.usage.counts(),
            "cost_usd": rounded(self.spent.cost_usd),
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "notes": list(self.notes),
        }


class Journal:
    """The events of one run, one JSON line each, flushed: after a crash the journal is correct up to its last whole line."""

    def __init__(self, runs: Path, within: Folders | None = None) -> None:
        """Make a new folder below `runs`, named by the time so that names sort by age."""
        now = datetime.now(UTC)
        # Sorted by time, also within one second: four hexadecimal digits are its fraction.
        self.run = f"{now:{_STAMP}}-{now.microsecond * 65536 // 1_000_000:04x}{secrets.token_hex(1)}"
        self.folder = runs / self.run
        with os_errors("cannot be written", self.folder, "make room there or make it writable"):
            make_folder(self.folder, within)
            # Without a buffer: what could not be written to a full disk must not be written again when the file is closed.
            handle = open_file(self.folder / "journal.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, within)
            self._file = os.fdopen(handle, "ab", buffering=0)

    def write(self, event: str, **details: Any) -> None:
        """Add one event. Raises `UserError` if it cannot be written."""
        row = json.dumps({"t": round(time.time(), 3), "event": event, **details}, ensure_ascii=False, separators=(",", ":"))
        with os_errors("cannot be written", self.folder, "make room; answers so far are in the cache"):
            write_whole(self._file, (row + "\n").encode("utf-8", "surrogatepass"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def write_whole(stream: IO[bytes], data: bytes) -> None:
    """Write all of `data` to a stream without a buffer."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


def read_journal(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The events of a run; lines that cannot be read, such as a torn last one, are left out."""
    try:
        raw = read_bytes(folder / "journal.jsonl", Folders(folder.parent), LOCK_BYTES)
    except OSError:
        return
    for row in raw.split(b"\n"):
        try:
            event = json.loads(row, parse_int=float)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def run_folders(runs: Path, within: Folders | None = None) -> list[Path]:
    """The folders of earlier runs, oldest first; [] if `runs` is missing or a link.

    A run that is dated in the future (a clock that was wrong) counts as the oldest: it must not hide the runs that follow it.
    """
    now = f"{datetime.now(UTC):{_STAMP}}"
    try:
        names = names_in(runs, within or Folders(runs), own=True)
    except OSError:
        return []
    found = sorted((name for name in names if _RUN.fullmatch(name)), key=lambda name: (name[: len(now)] <= now, name))
    return [runs / name for name in found]


def spent_since(runs: Sequence[Path], moment: float) -> float:
    """USD that runs have spent since `moment` (seconds since 1970), by their journals. What is not a cost is left out."""
    total = 0.0
    for folder in runs:
        # A folder's newest event is as old as its journal; a folder that somebody else made may have no journal.
        with suppress(OSError):
            if (folder / "journal.jsonl").stat().st_mtime < moment:
                continue
        for event in read_journal(folder):
            at, cost = number_of(event.get("t")) or 0.0, number_of(event.get("cost_usd")) or 0.0
            if event.get("event") in ("page", "asked", "collected") and at >= moment and 0 < cost < math.inf:
                total += cost
    return total


def failed_questions(runs: Sequence[Path]) -> set[tuple[str, str]]:
    """(page, stage) of the questions that failed in the newest batch run and were not answered since; stage "" is a whole page.

    Runs of `enrich page` after that batch run count too. Runs that asked nothing are ignored.
    """
    recent: list[list[Mapping[str, Any]]] = []
    for folder in reversed(runs):
        events = list(read_journal(folder))
        if any(event.get("event") in ("page", "failed") for event in events):
            recent.append(events)
            if events[0].get("kind") != "page":
                break
    failed: set[tuple[str, str]] = set()
    for events in reversed(recent):
        pages = [event for event in events if event.get("event") == "page"]
        answered = {(str(event.get("page")), str(stage)) for event in pages for key in ("asked", "cached") for stage in event.get(key, ())}
        # An answer can come too late to be of use (`page-changed`): then both events are there, and the failure counts.
        failures = {(str(event.get("page")), str(event.get("stage"))) for event in events if event.get("event") == "failed"}
        failed = (failed - answered) | failures
    return failed


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
        return f"{datetime.strptime(run.partition('-')[0], _STAMP):%Y-%m-%d %H:%M} UTC"
    return ""


def pull_request_body(wiki: Wiki, result: RunResult) -> str:
    """What a run held back, applied and failed, as Markdown that fits into a pull request. Text from pages and models is in code.

    Writes `enrich.held.jsonl` beside it, the fields that the lines of the pull request name.
    """
    from enrich.review.lines import LIMIT, comment_body
    from enrich.review.propose import write_held
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
    from enrich.review.propose import HELD
    from enrich.review.pull_request import held_lines

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
    for page, name, _ in result.held:
        names.setdefault(page, set()).add(name)
    for page, fields in names.items():
        proposal = wiki.shared(ProposalStore).get(page)
        if proposal is not None:
            yield replace(proposal, changes=tuple(change for change in proposal.changes if change.field in fields))


def _fitting(table: Sequence[str], room: int, rest: str = "the run's `report.json` has them") -> str:
    """The first lines of a table that fit into `room` UTF-16 units, with a line about the rows that were cut and where they are."""
    from enrich.review.lines import fitting

    kept = fitting((f"{line}\n" for line in table), room)
    left = len(table) - len(kept)
    cut = f"\n**Cut to fit:** {counted(left, 'more row')}; {rest}.\n" if left else ""
    return "".join(kept) + cut or "\n"
