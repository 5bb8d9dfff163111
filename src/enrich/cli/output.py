"""What commands show on a terminal: tables and progress. Plain lines without a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from enrich.cli.session import Session
from enrich.text import counted, escaped, usd

if TYPE_CHECKING:
    from enrich.records.database import Progress as BuildProgress
    from enrich.runs.local import Progress
    from enrich.runs.results import RunResult

# Without a terminal: at most one line per this many seconds, so that the log of a night is readable.
_EVERY = 10.0
# Without a terminal, tables are as wide as this.
_WIDTH = 160


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with 1; `main` knows that a closed pipe is no error


def console() -> Console:
    """A console on stdout that shows text as it is: no markup, no emoji codes."""
    return _Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty(), emoji=False, markup=False)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print rows of plain texts under their headers."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else box.SIMPLE, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(escaped(cell)) for cell in row))
    out = console()
    if not sys.stdout.isatty():
        out.width = _WIDTH
    out.print(table, soft_wrap=False)


class Lines:
    """Progress as plain lines on stderr: one every ten seconds, also while nothing moves."""

    def __init__(self, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._clock = session, clock
        self._pages = self._done = 0
        self._started = self._last = clock()

    def start(self, pages: int) -> None:
        self._pages, self._done = pages, 0
        self._started = self._last = self._clock()

    def page_done(self, page: str, result: RunResult) -> None:
        del result
        self._done += 1
        if self._session.verbose:
            self._session.note(f"done {page}")

    def note(self, line: str) -> None:
        self._session.note(line)

    def tick(self, result: RunResult, throttle: str) -> None:
        now = self._clock()
        if now - self._last >= _EVERY:
            self._last = now
            self._session.note(status(self._done, self._pages, now - self._started, result, throttle))


class Bar:
    """Progress as a bar with pages, rate, cost, the time that is left, and what holds the run back."""

    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar, self._task = bar, task
        self._done, self._started = 0, time.monotonic()

    def start(self, pages: int) -> None:
        self._done, self._started = 0, time.monotonic()
        self._bar.update(self._task, total=pages, completed=0)

    def page_done(self, page: str, result: RunResult) -> None:
        del page
        self._done += 1
        self._bar.update(self._task, advance=1, cost=_cost(result), failed=f"{len(result.failed)} failed" if result.failed else "")

    def note(self, line: str) -> None:
        self._bar.console.print(escaped(line), style="dim")

    def tick(self, result: RunResult, throttle: str) -> None:
        del result
        seconds = time.monotonic() - self._started
        self._bar.update(self._task, rate=f"{self._done / seconds:.1f}/s" if seconds > 0 else "", throttle=escaped(throttle))


@contextmanager
def progress_of_run(session: Session) -> Iterator[Progress]:
    """A bar on a terminal, lines elsewhere."""
    if session.quiet or not sys.stderr.isatty():
        yield Lines(session)
        return
    fields = [TextColumn(f"{{task.fields[{name}]}}", style=style) for name, style in (("failed", "red"), ("throttle", "dim"))]
    rate, cost = TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[cost]}")
    columns = (SpinnerColumn(), BarColumn(24), MofNCompleteColumn(), TextColumn("pages"), rate, cost, TimeRemainingColumn(), *fields)
    with RichProgress(*columns, console=_error_console(), transient=True) as bar:
        yield Bar(bar, bar.add_task("", total=None, rate="", cost="", failed="", throttle=""))


@contextmanager
def progress_of_build(session: Session) -> Iterator[BuildProgress | None]:
    """A bar on a terminal, nothing elsewhere."""
    if session.quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description:>10}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=_error_console(), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _error_console() -> Console:
    return Console(file=sys.stderr, highlight=False, emoji=False, markup=False)


def status(done: int, pages: int, seconds: float, result: RunResult, throttle: str = "") -> str:
    """One line of progress: pages, rate, cost, time left, failures, and what limits the requests in flight."""
    rate = done / seconds if seconds > 0 else 0.0
    parts = [f"{done:,}/{counted(pages, 'page')}", f"{rate:.1f} a second", _cost(result)]
    if rate and pages > done:
        parts.append(f"{_duration((pages - done) / rate)} left")
    if result.failed:
        parts.append(f"{len(result.failed)} failed")
    return ", ".join(part for part in (*parts, throttle) if part)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _cost(result: RunResult) -> str:
    return "" if result.spent.cost_usd is None else usd(result.spent.cost_usd)
