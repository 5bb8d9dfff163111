"""The local engine: many pages through one event loop, safely (DESIGN.md section 3).

Pages are taken in page order by as many workers as the configured ceiling allows; how many requests are really out at once is the client's
affair. A page's failure is a line in the result; only what no later request can overcome ends the run, resumable: what is out then is still
read, stored and booked.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

from enrich.errors import ServiceError, UserError
from enrich.llm.budget import BudgetSpent
from enrich.review.decisions import blocking_flag
from enrich.review.lock import Lock, LockFile
from enrich.review.proposals import ProposalStore
from enrich.review.propose import Renewal, propose, renew
from enrich.runs.asking import Asker, Failure, PageResult
from enrich.runs.journal import Journal
from enrich.runs.results import FailedQuestion, PageCost, RunResult
from enrich.runs.spending import counts
from enrich.stages.catalogue import Stage
from enrich.wiki.pages import Page, PageFile, read_page
from enrich.wiki.wiki import Wiki

# Renewed lock lines are gathered before the lock is rewritten: this many, and more where the lock is so large that rewriting it takes long.
_RENEWALS = 500
_RENEWALS_SHARE = 0.1


class Progress(Protocol):
    """What a run tells while it works. All methods return at once."""

    def start(self, pages: int) -> None: ...
    def page_done(self, page: str, result: RunResult) -> None: ...
    def note(self, line: str) -> None: ...
    def tick(self, result: RunResult, throttle: str) -> None:
        """Called about once a second, whether or not pages get done; `throttle` says how much is out at once and what holds it back."""
        ...


class Silent:
    """Tells nothing."""

    def start(self, pages: int) -> None:
        del pages

    def page_done(self, page: str, result: RunResult) -> None:
        del page, result

    def note(self, line: str) -> None:
        del line

    def tick(self, result: RunResult, throttle: str) -> None:
        del result, throttle


Due = tuple[PageFile, tuple[str, ...]]


@dataclass
class Engine:
    """One run's way through its pages. `stop_asking` tells the client to send nothing more; `throttle` is what `Progress.tick` is told."""

    wiki: Wiki
    stages: dict[str, Stage]
    asker: Asker
    journal: Journal
    result: RunResult
    progress: Progress
    workers: int
    stop_asking: Callable[[str], None] = lambda why: None
    throttle: Callable[[], str] = lambda: ""
    stopped: bool = False
    _renewals: list[Renewal] = field(default_factory=list)
    _lock_seen: tuple[Any, Lock] | None = None

    async def run(self, due: list[Due]) -> None:
        """Ask about all these pages; the outcome is in `result`."""
        pages = iter(due)
        ticking = asyncio.ensure_future(self._tick())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.workers, len(due))):
                    group.create_task(self._worker(pages))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            ticking.cancel()
            self._flush()

    def end(self, exit_code: int, why: str, do: str) -> None:
        """Take no further page and send nothing more; what is out is finished. The first reason given stays."""
        if not self.result.stopped:
            self.result.exit, self.result.stopped, self.result.do = exit_code, why, do
            with suppress(UserError):  # a full disk may be the very reason
                self.journal.write("stopped", why=why)
        self.stopped = True

    async def _worker(self, pages: Iterator[Due]) -> None:
        for file, names in pages:
            if self.stopped:
                return
            try:
                await self._page(file, names)
            except BudgetSpent as error:
                self.end(4, str(error), "raise the budget and run again: answers so far are kept")
            except ServiceError as error:
                if not error.final:
                    raise
                self.end(1, str(error), error.do)
            except UserError as error:
                # A full disk, a folder that became read-only: what cannot be kept must not be paid for.
                self.end(1, error.line, "")
                self.stop_asking(error.line)

    async def _page(self, file: PageFile, names: tuple[str, ...]) -> None:
        started = perf_counter()
        page = read_page(file)
        if page.problem is not None:
            self._fail(file.id, names, Failure("", page.problem.kind, page.problem.reason))
            return
        outcome = PageResult(page)
        try:
            await self.asker.ask(page, [self.stages[name] for name in names], outcome)
        except (UserError, ServiceError, BudgetSpent):
            self.result.cut_short.add(file.id)
            self._settle(outcome, started)
            raise
        except Exception as error:  # noqa: BLE001 - a bug on one page must not cost the other pages' night
            self.journal.write("bug", page=file.id, traceback=traceback.format_exc())
            answered = {answer.stage for answer in outcome.answers} | {failure.stage for failure in outcome.failures}
            told = f"{type(error).__name__}: {error} (the traceback is in the run's journal)"
            self._fail(file.id, tuple(name for name in names if name not in answered), Failure("", "bug", told))
        self._settle(outcome, started)
        # Answers from the cache need no waiting; without this a long row of them would keep Ctrl-C and the display waiting.
        await asyncio.sleep(0)

    def _settle(self, outcome: PageResult, started: float) -> None:
        """Book one page: its failures, its proposal, its renewed lock lines."""
        page_id, result = outcome.page.id, self.result
        result.add(outcome)
        for failure in outcome.failures:
            self.journal.write("failed", page=page_id, stage=failure.stage, cause=failure.cause, detail=failure.detail)
        if outcome.answers:
            now = page_after(outcome)
            if isinstance(now, Failure):
                self._fail(page_id, tuple(answer.stage for answer in outcome.answers), now)
            else:
                changes, renewals = propose(self.wiki.shared(ProposalStore), self._lock(), now, outcome.answers, self.wiki.today)
                changed = {change.stage for change in changes}
                result.unchanged += sum(answer.stage not in changed for answer in outcome.answers)
                result.proposed.extend((page_id, change.field) for change in changes)
                result.held.extend(
                    (page_id, change.field, flag) for change in changes if change.state == "pending" and (flag := blocking_flag(change))
                )
                self._renewals += renewals
                if len(self._renewals) >= max(_RENEWALS, _RENEWALS_SHARE * len(self._lock())):
                    self._flush()
        seconds = perf_counter() - started
        spent = outcome.spent
        result.pages.append(PageCost(page_id, seconds, spent.cost_usd, spent.usage, spent.requests))
        self.journal.write(
            "page",
            page=page_id,
            asked=outcome.asked,
            cached=outcome.cached,
            requests=spent.requests,
            tokens=counts(spent.usage),
            cost_usd=spent.cost_usd,
            spent=outcome.spending.to_json(),
            seconds=round(seconds, 3),
        )
        self.progress.page_done(page_id, result)

    def _fail(self, page: str, stages: tuple[str, ...], failure: Failure) -> None:
        for stage in stages:
            self.result.failed.append(FailedQuestion(page, stage, failure.cause, failure.detail))
            self.journal.write("failed", page=page, stage=stage, cause=failure.cause, detail=failure.detail)

    def _lock(self) -> Lock:
        """The lock as it is now: a reviewer may apply while this run goes on."""
        seen: Any = None
        with suppress(OSError):
            stat = self.wiki.config.lock.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if self._lock_seen is None or self._lock_seen[0] != seen:
            self._lock_seen = (seen, self.wiki.shared(LockFile).read())
        return self._lock_seen[1]

    def _flush(self) -> None:
        """Write the gathered renewals into the lock. Where that fails their pages are due again, and answered from the cache."""
        renewals, self._renewals = self._renewals, []
        if renewals:
            try:
                renew(self.wiki.shared(LockFile), renewals)
            except UserError as error:
                self.end(1, error.line, "")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.progress.tick(self.result, self.throttle())


def page_after(result: PageResult) -> Page | Failure:
    """The page as it stands once its answers are there, or why they no longer fit it (they stay in the cache)."""
    page = result.page
    try:
        raw = page.file.file.read_bytes()
    except OSError:
        raw = b""
    if raw == page.raw:
        return page
    now = read_page(page.file)
    if not now.raw and not page.file.file.exists():
        return Failure("", "page-gone", "the page was deleted while its question was out")
    if now.problem is not None:
        return Failure("", now.problem.kind, now.problem.reason)
    if now.hash != page.hash:
        return Failure("", "page-changed", "the page was edited while its question was out; it is due again")
    return now  # other frontmatter was edited: the answers are as good as before


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


__all__ = ["Due", "Engine", "Progress", "Silent"]
