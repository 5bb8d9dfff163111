"""How a run shows that it moves: a bar on a terminal, a line now and then elsewhere, nothing under -q."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from enrich.cli.session import Session
from enrich.text import escaped

if TYPE_CHECKING:
    from enrich.runs.local import Progress
    from enrich.runs.results import RunResult

# Without a terminal: a line at most this often (seconds), so that a night's log stays readable.
_EVERY = 10.0


class Lines:
    """Plain lines on stderr: one every ten seconds, also while nothing moves."""

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
    """A bar with pages, rate, cost, the time that is left, and what holds the run back."""

    def __init__(self, bar: Any, task: Any) -> None:
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
def progress_for(session: Session) -> Iterator[Progress]:
    """The progress display that fits where stderr goes."""
    if session.quiet or not sys.stderr.isatty():
        yield Lines(session)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("pages"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[cost]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}", style="red"),
        TextColumn("{task.fields[throttle]}", style="dim"),
    )
    with RichProgress(*columns, console=session.err, transient=True) as bar:
        yield Bar(bar, bar.add_task("", total=None, rate="", cost="", failed="", throttle=""))


def status(done: int, pages: int, seconds: float, result: RunResult, throttle: str = "") -> str:
    """One line of progress: pages, rate, cost, time left, failures, and how much is out at once or why nothing goes."""
    rate = done / seconds if seconds > 0 else 0.0
    parts = [f"{done}/{pages} pages", f"{rate:.1f} a second"]
    if result.cost_usd is not None:
        parts.append(_cost(result))
    if rate and pages > done:
        parts.append(f"{_span((pages - done) / rate)} left")
    if result.failed:
        parts.append(f"{len(result.failed)} failed")
    if throttle:
        parts.append(throttle)
    return ", ".join(parts)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _cost(result: RunResult) -> str:
    return "" if result.cost_usd is None else f"${result.cost_usd:.4f}"
