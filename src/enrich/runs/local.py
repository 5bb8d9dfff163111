"""The local engine: questions about many pages in one event loop of this process, and signals that end it in order.

As many workers as the configured concurrency take the pages in page order; the client decides how many requests are in flight. A page's failure is
part of the result. What no later request can overcome ends the run: requests in flight are finished, stored and booked, the rest stays due.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from enrich.errors import ServiceError, UserError
from enrich.llm.prices import BudgetSpent
from enrich.runs.ask import Asker, PageResult
from enrich.runs.results import RunResult
from enrich.stages.stage import Stage
from enrich.wiki.pages import PageFile, read_page

Due = tuple[PageFile, tuple[str, ...]]
"""A page and the names of its stages that are asked."""


class Progress(Protocol):
    """What a run shows while it works. All methods return at once."""

    def start(self, pages: int) -> None: ...
    def page_done(self, page: str, result: RunResult) -> None: ...
    def note(self, line: str) -> None: ...
    def tick(self, result: RunResult, throttle: str) -> None:
        """Called about once a second; `throttle` is `Service.throttle()`."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, pages: int) -> None: ...
    def page_done(self, page: str, result: RunResult) -> None: ...
    def note(self, line: str) -> None: ...
    def tick(self, result: RunResult, throttle: str) -> None: ...


@dataclass
class LocalEngine:
    """Asks about pages and hands each page's outcome to `book`. `log` records events by name with details."""

    asker: Asker
    stages: Mapping[str, Stage]
    workers: int
    result: RunResult
    progress: Progress
    book: Callable[[PageResult, float], None]
    log: Callable[..., None] = lambda event, **details: None
    _stopped: bool = False
    _interrupted: bool = False

    async def run(self, due: Sequence[Due]) -> None:
        """Ask about all these pages; why it ended early is in `result`. The first signal ends it in order, the second at once."""
        pages = iter(due)
        self.progress.start(len(due))
        task = asyncio.current_task()
        assert task is not None
        with _signals(lambda: self._interrupt(task)):
            ticking = asyncio.ensure_future(self._tick())
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.workers, len(due))):
                        group.create_task(self._worker(pages))
            except asyncio.CancelledError:
                if self.result.exit != 130:
                    raise
            except BaseExceptionGroup as errors:
                error: BaseException = errors
                while isinstance(error, BaseExceptionGroup):
                    error = error.exceptions[0]
                raise error from None
            finally:
                ticking.cancel()

    async def _worker(self, pages: Iterator[Due]) -> None:
        for file, names in pages:
            if self._stopped:
                return
            try:
                await self._page(file, names)
            except BudgetSpent as error:
                self._end(4, str(error), "raise the budget and run again: answers so far are kept")
            except ServiceError as error:
                self._end(1, str(error), error.do)
            except UserError as error:
                # A full disk, a read-only folder: what cannot be stored must not be paid for.
                self._end(1, error.line, "")
                self.asker.service.stop(error.line)

    async def _page(self, file: PageFile, names: Sequence[str]) -> None:
        started = perf_counter()
        page = read_page(file)
        outcome = PageResult(page)
        if page.problem is not None:
            outcome.fail(names, page.problem.kind, page.problem.reason)
            self._done(outcome, started)
            return
        try:
            await self.asker.ask(page, [self.stages[name] for name in names], outcome)
        except (UserError, ServiceError, BudgetSpent):
            self.result.cut_short.add(file.id)
            self._done(outcome, started)
            raise
        except Exception as error:  # noqa: BLE001 - a bug on one page must not cost the answers of the other pages
            self.log("bug", page=file.id, traceback=traceback.format_exc())
            answered = {answer.stage for answer in outcome.answers} | {failure.stage for failure in outcome.failures}
            detail = f"{type(error).__name__}: {error} (the traceback is in the run's journal)"
            outcome.fail([name for name in names if name not in answered], "bug", detail)
        self._done(outcome, started)
        # Answers from the cache need no waiting; without this, many of them in a row would block Ctrl-C and the display.
        await asyncio.sleep(0)

    def _done(self, outcome: PageResult, started: float) -> None:
        seconds = perf_counter() - started
        try:
            self.book(outcome, seconds)
        finally:
            self.result.add(outcome, seconds)
        self.progress.page_done(outcome.page.id, self.result)

    def _interrupt(self, task: asyncio.Task[Any]) -> None:
        if self._interrupted:
            task.cancel()
            return
        self._interrupted = True
        self.progress.note("stopping: requests in flight are finished and stored; Ctrl-C again ends at once")
        self._end(130, "interrupted", "run again: answers so far are kept")
        self.asker.service.stop("interrupted")

    def _end(self, exit_code: int, why: str, do: str) -> None:
        """Take no further page; what is in flight is finished."""
        self._stopped = True
        if not self.result.stopped:
            self.result.end(exit_code, why, do)
            with suppress(UserError):  # a full disk may be the reason
                self.log("stopped", why=why)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.progress.tick(self.result, self.asker.service.throttle())


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Within the block SIGTERM raises `KeyboardInterrupt`, as Ctrl-C does. Outside the main thread signals stay as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


@contextmanager
def _signals(handler: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM call `handler` in the running event loop, where that is possible."""
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread, or no such signals
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                loop.add_signal_handler(number, handler)
                stack.callback(signal.signal, number, before)
                stack.callback(loop.remove_signal_handler, number)
        yield
