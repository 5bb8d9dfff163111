"""Questions about many pages, or other work of that kind: done by as many workers as the engine affords, until something ends the run.

The engine decides how many requests are in flight. What no later request can overcome ends a run: requests in flight are finished, stored and
booked, the rest stays due.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from enrich.errors import ServiceError, UserError
from enrich.files import locked
from enrich.llm.costs import BudgetSpent
from enrich.runs.ask import Asker, PageResult
from enrich.runs.plan import Due
from enrich.runs.results import RunResult
from enrich.runs.service import EngineOptions, ModelService, Service, open_service
from enrich.stages.stage import Stage
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

if TYPE_CHECKING:
    from enrich.llm.client import Client

Item = TypeVar("Item")


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
class Pool:
    """Works on items until all are done or something ends the run; why it ended early is in `result`. `log` records events by name with details."""

    service: Service
    result: RunResult
    progress: Progress
    log: Callable[..., None]
    _interrupted: bool = field(default=False, init=False)

    @property
    def client(self) -> Client | None:
        """What sends requests, if anything does."""
        return self.service.client if isinstance(self.service, ModelService) else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within the block the first signal ends the run in order, the second at once."""
        task = asyncio.current_task()
        assert task is not None
        with signals(lambda: self._interrupt(task)):
            try:
                yield
            except asyncio.CancelledError:
                if self.result.exit != 130:
                    raise
            except BaseExceptionGroup as errors:
                error: BaseException = errors
                while isinstance(error, BaseExceptionGroup):
                    error = error.exceptions[0]
                raise error from None

    async def each(self, items: Sequence[Item], work: Callable[[Item], Awaitable[None]]) -> None:
        """Do `work` on each item, in order, on as many at once as the service has workers."""
        left = iter(items)

        async def worker() -> None:
            for item in left:
                if self.result.stopped:
                    return
                async with self.ending():
                    await work(item)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.service.workers, len(items))):
                group.create_task(worker())

    @asynccontextmanager
    async def ending(self) -> AsyncIterator[None]:
        """What no later request can overcome ends the run within the block."""
        try:
            yield
        except BudgetSpent as error:
            self._end(4, str(error), "raise the budget and run again: answers so far are kept")
        except ServiceError as error:
            self._end(1, str(error), error.do)
        except UserError as error:
            # A full disk, a read-only folder: what cannot be stored must not be paid for.
            self._end(1, error.line, "", at_once=True)

    def _interrupt(self, task: asyncio.Task[Any]) -> None:
        if self._interrupted:
            task.cancel()
            return
        self._interrupted = True
        self.progress.note("stopping: requests in flight are finished and stored; Ctrl-C again ends at once")
        self._end(130, "interrupted", "run again: answers so far are kept", at_once=True)

    def _end(self, exit_code: int, why: str, do: str, *, at_once: bool = False) -> None:
        """Take no further item. Requests in flight are finished; `at_once`: those that wait for their turn fail."""
        if at_once and self.client is not None:
            self.client.stop(why)
        if not self.result.stopped:
            self.result.end(exit_code, why, do)
            with suppress(UserError):  # a full disk may be the reason
                self.log("stopped", why=why)


@dataclass
class PagePool(Pool):
    """Asks about many pages, in page order, and hands each page's outcome to `book`."""

    book: Callable[[PageResult], None]
    _waiting: list[Due] = field(default_factory=list, init=False)

    async def run(self, due: Sequence[Due]) -> None:
        """Ask about all these pages."""
        async with self.running():
            ticking = asyncio.ensure_future(self._tick())
            try:
                await self._rounds(due)
            finally:
                ticking.cancel()

    async def _rounds(self, due: Sequence[Due]) -> None:
        """Go through the pages, and again through those with questions that wait whenever answers have come."""
        engine = self.client
        first = True
        while True:
            async with self.ending():
                collected = () if engine is None else await engine.begin_round()
                for batch in collected:
                    self.result.spent.join(batch.spent)
                    self.log(
                        "collected", batch=batch.name, status=batch.status, requests=batch.spent.requests, cost_usd=batch.spent.cost_usd
                    )
                if (first or collected) and not self.result.stopped:
                    self._waiting = []
                    self.progress.start(len(due))
                    await self.each(due, self._page)
                    due = self._waiting
                first = False
            # What the budget still allowed is submitted.
            if self.result.exit in (0, 4) and engine is not None:
                async with self.ending():
                    if await engine.end_round() and not self.result.stopped:
                        continue
            break
        self.result.waiting = sum(len(stages) for _, stages in self._waiting)

    async def _page(self, asked: Due) -> None:
        (file, stages), started = asked, perf_counter()
        outcome = PageResult(read_page(file), self.result.run)
        try:
            if (problem := outcome.page.problem) is not None:
                outcome.fail([stage.name for stage in stages], problem.kind, problem.reason)
            else:
                await Asker(self.service, outcome).ask(stages)
        except (UserError, ServiceError, BudgetSpent):
            self.result.cut_short.add(file.id)
            self._done(outcome, started)
            raise
        except Exception as error:  # noqa: BLE001 - a bug on one page must not cost the answers of the other pages
            self.log("bug", page=file.id, traceback=traceback.format_exc())
            answered = {answer.stage for answer in outcome.answers} | {failure.stage for failure in outcome.failures}
            detail = f"{type(error).__name__}: {error} (the traceback is in the run's journal)"
            outcome.fail([stage.name for stage in stages if stage.name not in answered], "bug", detail)
        self._done(outcome, started)
        if outcome.waiting:
            self._waiting.append((file, tuple(stage for stage in stages if stage.name in outcome.waiting)))
        if self.client is not None:
            await self.client.page_done()
        # Answers from the cache need no waiting; without this, many of them in a row would block Ctrl-C and the display.
        await asyncio.sleep(0)

    def _done(self, outcome: PageResult, started: float) -> None:
        outcome.seconds = perf_counter() - started
        if not outcome.waiting or outcome.answers or outcome.failures:
            try:
                self.book(outcome)
            finally:
                self.result.add(outcome)
            if outcome.sections:
                self.progress.note(self.result.notes[-1])
        self.progress.page_done(outcome.page.id, self.result)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.progress.tick(self.result, "" if self.client is None else self.client.status())


async def ask_pages(
    wiki: Wiki,
    stages: Sequence[Stage],
    due: Sequence[Due],
    result: RunResult,
    progress: Progress,
    book: Callable[[PageResult], None],
    env: Mapping[str, str] | None = None,
    log: Callable[..., None] = lambda event, **details: None,
    engine: EngineOptions = EngineOptions(),
) -> None:
    """Ask the service that the configuration names about these pages."""
    async with open_service(wiki, stages, progress.note, env, engine) as service:
        await PagePool(service, result, progress, log, book).run(due)


def _stopping() -> list[signal.Signals]:
    """The signals that stop a run. SIGHUP is sent when the terminal is closed, and ignored under `nohup`."""
    return [
        *(signal.SIGINT, signal.SIGTERM),
        *([signal.SIGHUP] if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else ()),
    ]


@contextmanager
def alone(wiki: Wiki, lock: str | None, waiting: str, progress: Progress) -> Iterator[None]:
    """Within the block no other process holds this lock of the wiki. `waiting` says who holds it, `{}` being the other process.

    SIGTERM and SIGHUP raise `KeyboardInterrupt`, as Ctrl-C does. Outside the main thread signals stay as they are.
    """

    def wait(holder: str) -> None:
        progress.note(f"{waiting.format(holder or 'process unknown')}: waiting for it to end")

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in _stopping()[1:]:
                before = signal.signal(number, signal.default_int_handler)
                stack.callback(signal.signal, number, before if before is not None else signal.SIG_DFL)
        if lock is not None:
            stack.enter_context(locked(wiki.config.cache / "locks" / lock, wait, wiki.config.folders))
        yield


@contextmanager
def signals(handler: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGINT, SIGTERM and SIGHUP call `handler` in the running event loop, where that is possible."""
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        with suppress(NotImplementedError, RuntimeError, ValueError):  # another thread than the main one, or a system without these signals
            for number in _stopping():
                before = signal.getsignal(number)
                loop.add_signal_handler(number, handler)
                stack.callback(signal.signal, number, before)
                stack.callback(loop.remove_signal_handler, number)
        yield
