"""Questions about one page (`Asker`) and about many (`PagePool`): from the answer cache, or in one request a page.

Answers are validated, verified and asked for again where needed (DESIGN.md sections 3.3 to 3.5). As many workers as the configured concurrency
take the pages in page order; the engine decides how many requests are in flight. A page's failure is part of the result. What no later request
can overcome ends the run: requests in flight are finished, stored and booked, the rest stays due.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Protocol

from enrich.errors import AnswerError, ServiceError, UserError
from enrich.grounding import PageIndex
from enrich.llm.messages import AnswerWaitsError, Attempts, Reply, Request, Tally, Usage
from enrich.llm.prices import BudgetSpent
from enrich.llm.tokens import input_tokens
from enrich.review.lock import Question
from enrich.review.propose import StageAnswer
from enrich.runs.results import FailedQuestion, RunResult, Spending, Spent, shares
from enrich.runs.samples import Sample
from enrich.runs.sections import SectionAsker, asked_in_sections
from enrich.runs.service import Service, body_room
from enrich.stages.fields import parse_answer
from enrich.stages.judges import combined
from enrich.stages.stage import Stage, again_request, fused_request, groups
from enrich.text import printable
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, read_page
from enrich.wiki.wiki import now_iso


@dataclass(slots=True)
class PageResult:
    """The answers to one page's questions, the failures, and what was spent: `spent` in all, `spending` by stage and model.

    `waiting` are stages whose answer comes in a batch. `sections` is the number of parts that a page was asked in because it does not fit into
    the model's context, 0 if it was asked whole.
    """

    page: Page
    answers: list[StageAnswer] = field(default_factory=list)
    failures: list[FailedQuestion] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    spent: Tally = field(default_factory=Tally)
    spending: Spending = field(default_factory=lambda: Spending(Spent))
    sections: int = 0

    def fail(self, stages: Iterable[str], cause: str, detail: str) -> None:
        self.failures += [FailedQuestion(self.page.id, stage, cause, detail) for stage in stages]


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks a service about pages. `fuse`: one request for all stages of a page. `run` is recorded as the run that the answers come from."""

    service: Service
    fuse: bool = True
    read_cache: bool = True
    run: str = ""

    async def ask(self, page: Page, stages: Sequence[Stage], result: PageResult) -> None:
        """Add the answers to these stages' questions about `page` to `result`, and the failures.

        Raises what ends a run: final `ServiceError`s, `UserError`s and `BudgetSpent`. What is in `result` then remains valid.
        """
        index = PageIndex.of(page)
        samples = [Sample(stage, number, stage.key(page, number)) for stage in stages for number in range(stage.samples)]
        try:
            for sample in samples:
                if (answer := sample.stage.rule(page)) is not None:
                    sample.judge(answer, index)
                    sample.asked, sample.closed = now_iso(), True
            samples_left = [sample for sample in samples if not sample.closed]
            if self.service.baseline is not None:
                for sample in samples_left:
                    sample.judge(self.service.baseline(sample.stage.name, page), index)
                    sample.asked, sample.closed = now_iso(), True
                return
            open_samples = [sample for sample in samples_left if not self.from_cache(sample, index)]
            if self.service.client is None:
                for sample in open_samples:
                    sample.cached = sample.closed = sample.fields is not None
                return
            for group in self._groups(open_samples):
                async with self.service.hold(sample.key for sample in group):
                    # While this waited, another process may have answered.
                    left = [sample for sample in group if not self.from_cache(sample, index)]
                    for part in ([one for one in left if one.fields is None], [one for one in left if one.fields is not None]):
                        if part:
                            try:
                                await self._answer(page, index, part, result)
                            except AnswerWaitsError:
                                for sample in part:
                                    # Too long as a whole: its sections wait.
                                    sample.closed = sample.closed and (sample.fields is not None or sample.error.cause != "too-long")
                                result.waiting += [sample.stage.name for sample in part if not sample.closed]
        finally:
            for stage in stages:
                self._book(stage, [sample for sample in samples if sample.stage is stage], result)

    def _groups(self, samples: Sequence[Sample]) -> list[list[Sample]]:
        """The samples that share a request: the same sample number of stages with the same model and temperature.

        Samples that an engine has asked before stay as they were together.
        """
        found: list[list[Sample]] = []
        client = self.service.client
        for number in dict.fromkeys(sample.number for sample in samples):
            by_stage = {sample.stage.name: sample for sample in samples if sample.number == number}
            for stages in groups([sample.stage for sample in by_stage.values()], fuse=self.fuse):
                before: dict[str, list[Sample]] = {}
                for sample in (by_stage[stage.name] for stage in stages):
                    before.setdefault("" if client is None else client.batch_of(sample.key), []).append(sample)
                found += before.values()
        return found

    def from_cache(self, sample: Sample, index: PageIndex) -> bool:
        """Whether the cache holds the final answer. An answer that is still to be asked for again is loaded to continue from there."""
        entry = self.service.answers.get(sample.key) if self.read_cache and self.service.answers is not None else None
        if entry is not None and "too_long" in entry:
            # The same model cannot take this page: it is asked again when one of them changes, or the context grows.
            refused_at = entry.get("context")
            if not isinstance(refused_at, int) or (self.context(sample.stage.model) or 0) > refused_at:
                return False
            sample.refuse(AnswerError("too-long", printable(str(entry["too_long"]), 200)))
            sample.closed = True
            return True
        return entry is not None and sample.load(entry, index)

    def context(self, model: str) -> int | None:
        """The model's context in tokens; None if it is not known."""
        return None if self.service.contexts is None else self.service.contexts.of(model)

    def room(self, page: Page, samples: Sequence[Sample]) -> int | None:
        """The tokens of the page's body that fit into one request; None if the whole page fits."""
        model = samples[0].stage.model
        factor = 1.0 if self.service.tokens is None else self.service.tokens.input.factor(model)
        room = body_room(page, [sample.stage for sample in samples], self.context(model), factor)
        client = self.service.client
        return room if client is None else client.remembered(samples[0].key, f"room {page.hash[:16]}", room)

    async def _answer(self, page: Page, index: PageIndex, samples: list[Sample], result: PageResult) -> None:
        """Ask for these samples: in one request, in one for each stage, or in sections of the page, whichever fits."""
        client = self.service.client
        # A page that a batch has been asked about is answered by it, even if the model's context has become known meanwhile.
        if (client is not None and client.batch_of(samples[0].key)) or self.room(page, samples) is None:
            await self.converse(page, index, samples, result)
            refused = [sample for sample in samples if sample.fields is None and sample.error.cause == "too-long"]
            if not refused or self.service.contexts is None:
                return
            request = fused_request(page, [sample.stage for sample in samples])
            self.service.contexts.learn(request.model, refused[0].error.detail, input_tokens(request))
            samples = refused
        left = []
        for sample in samples:
            if len(samples) > 1 and self.room(page, [sample]) is None:
                await self.converse(page, index, [sample], result)
                if sample.fields is not None or sample.error.cause != "too-long":
                    continue
            left.append(sample)
        if left:
            await SectionAsker(self, page, index, result).ask(left)

    async def converse(self, page: Page, index: PageIndex, samples: list[Sample], result: PageResult) -> None:
        """Ask for these samples in one request, then again for what was wrong. Samples with an answer continue with the second request."""
        first = fused_request(page, [sample.stage for sample in samples])
        request, asked = first, samples
        if samples[0].fields is not None:
            asked = [sample for sample in samples if sample.wants_again()]
            answer = json.dumps({sample.stage.name: sample.data for sample in samples}, ensure_ascii=False)
            request = _again(page, first, answer, asked)
        # An engine that keeps its replies goes through the same conversation again, so the answers are stored at its end.
        kept = self.service.client is not None and self.service.client.keeps_replies
        attempts = Attempts()
        try:
            while asked and attempts.left > 0:
                reply = await self._send(request, asked, result, attempts)
                _judge(reply.measured or reply.text, asked, index)
                again = [sample for sample in asked if sample.wants_again()]
                if not kept or not again:
                    # Stored when it arrives: this answer is paid once, even if the re-ask fails.
                    self.store(samples if kept else asked, again)
                if again:
                    request = replace(_again(page, first, reply.text, again), again=request.again + 1)
                asked = again
            if asked:
                self.store(samples if kept else asked, ())
        except (AnswerError, ServiceError) as error:
            if isinstance(error, ServiceError) and error.final:
                raise
            # An answer that was valid before the re-ask failed is kept.
            for sample in asked:
                sample.error = error
            self.store(samples if kept else asked, ())

    async def _send(self, request: Request, samples: Sequence[Sample], result: PageResult, attempts: Attempts) -> Reply:
        """The reply to a request about `samples`; what it took is added to them and to `result`."""
        client = self.service.client
        assert client is not None
        tally, questions = Tally(), tuple((sample.stage.name, sample.key) for sample in samples)
        try:
            reply = await client.send(replace(request, questions=questions), tally, attempts)
        finally:
            result.spent.add(tally.usage, tally.cost_usd, tally.requests)
            for sample, usage, cost in _shared(samples, tally.usage, tally.cost_usd):
                result.spending[sample.stage.name, sample.stage.model].add(usage, cost, tally.requests)
        if self.service.tokens is not None:
            self.service.tokens.learn(request, reply)
        for sample, usage, cost in _shared(samples, reply.usage, reply.cost_usd):
            sample.spent.add(usage, cost)
        return reply

    def store(self, samples: Iterable[Sample], again: Sequence[Sample]) -> None:
        """Keep the valid answers; all samples that are not asked for `again` are closed."""
        for sample in samples:
            sample.closed = sample not in again
            if sample.fields is not None and self.service.answers is not None:
                sample.asked = now_iso()
                self.service.answers.put(sample.key, sample.entry())
            # A page that is too long is asked about in sections, and known to be so until they are answered.
            if self.service.client is not None and (sample.fields is not None or (sample.closed and sample.error.cause != "too-long")):
                self.service.client.forget(sample.key)

    def _book(self, stage: Stage, samples: Sequence[Sample], result: PageResult) -> None:
        """Put the stage's answer into `result` if all its samples are answered, or the reason why it failed."""
        answered = [sample for sample in samples if sample.closed and sample.fields is not None]
        if len(answered) < len(samples):
            failed = next((sample for sample in samples if sample.closed and sample.fields is None), None)
            if failed is not None:
                result.fail([stage.name], failed.error.cause, failed.error.detail)
            return
        (result.cached if all(sample.cached for sample in samples) else result.asked).append(stage.name)
        spent = Tally()
        for sample in samples:
            spent.add(sample.spent.usage, sample.spent.cost_usd)
        fields = stage.calibrated(combined(stage.name, [sample.fields or () for sample in samples]))
        if sections := max(sample.sections for sample in samples):
            fields = [replace(one, findings=(*one.findings, asked_in_sections(sections, one.field))) for one in fields]
        result.answers.append(
            StageAnswer(
                stage=stage.name,
                fields=fields,
                question=Question.of(result.page, stage, key=samples[0].key),
                prompt_version=stage.prompt.settings.version,
                tokens=None if self.service.baseline else spent.usage.counts(),
                cost_usd=spent.cost_usd,
                asked=samples[-1].asked,
                run=self.run,
                noise=stage.noise,
            )
        )


def _shared(samples: Sequence[Sample], usage: Usage, cost_usd: float | None) -> Iterator[tuple[Sample, Usage, float | None]]:
    """Each sample with its equal share of what a request took."""
    cost = None if cost_usd is None else cost_usd / len(samples)
    for sample, share in zip(samples, shares(usage, len(samples)), strict=True):
        yield sample, share, cost


def _judge(text: str, samples: Iterable[Sample], index: PageIndex) -> None:
    """Give each sample its part of the answer `text`."""
    try:
        parts = parse_answer(text)
    except AnswerError as error:
        for sample in samples:
            sample.refuse(error)
        return
    for sample in samples:
        if sample.stage.name in parts:
            sample.judge(parts[sample.stage.name], index)
        else:
            sample.refuse(AnswerError("invalid", f"the part `{sample.stage.name}` is missing"))


def _again(page: Page, first: Request, answer: str, samples: Sequence[Sample]) -> Request:
    problems = {sample.stage.name: sample.problems for sample in samples}
    return again_request(page, first, answer, [sample.stage for sample in samples], problems)


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
class PagePool:
    """Asks about many pages and hands each page's outcome to `book`. `log` records events by name with details."""

    asker: Asker
    stages: Mapping[str, Stage]
    workers: int
    result: RunResult
    progress: Progress
    book: Callable[[PageResult, float], None]
    log: Callable[..., None] = lambda event, **details: None
    _stopped: bool = False
    _interrupted: bool = False
    _waiting: list[Due] = field(default_factory=list)

    async def run(self, due: Sequence[Due]) -> None:
        """Ask about all these pages; why it ended early is in `result`. The first signal ends it in order, the second at once."""
        task = asyncio.current_task()
        assert task is not None
        with signals(lambda: self._interrupt(task)):
            ticking = asyncio.ensure_future(self._tick())
            try:
                await self._rounds(due)
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

    async def _rounds(self, due: Sequence[Due]) -> None:
        """Go through the pages, and again through those with questions that wait whenever answers have come."""
        engine = self.asker.service.client
        first = True
        while True:
            async with self._ending():
                collected = () if engine is None else await engine.begin_round()
                for batch in collected:
                    self.result.collect(batch.spent, batch.spending)
                    self.log(
                        "collected", batch=batch.name, status=batch.status, requests=batch.spent.requests, cost_usd=batch.spent.cost_usd
                    )
                if (first or collected) and not self._stopped:
                    await self._round(due)
                    due = self._waiting
                first = False
            # What the budget still allowed is submitted.
            if self.result.exit in (0, 4) and engine is not None:
                async with self._ending():
                    if await engine.end_round() and not self._stopped:
                        continue
            break
        self.result.waiting = sum(len(names) for _, names in self._waiting)

    async def _round(self, due: Sequence[Due]) -> None:
        pages = iter(due)
        self._waiting = []
        self.progress.start(len(due))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.workers, len(due))):
                group.create_task(self._worker(pages))

    async def _worker(self, pages: Iterator[Due]) -> None:
        for file, names in pages:
            if self._stopped:
                return
            async with self._ending():
                await self._page(file, names)

    @asynccontextmanager
    async def _ending(self) -> AsyncIterator[None]:
        """What no later request can overcome ends the run within the block."""
        try:
            yield
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
        if outcome.waiting:
            self._waiting.append((file, tuple(dict.fromkeys(outcome.waiting))))
        if self.asker.service.client is not None:
            await self.asker.service.client.page_done()
        # Answers from the cache need no waiting; without this, many of them in a row would block Ctrl-C and the display.
        await asyncio.sleep(0)

    def _done(self, outcome: PageResult, started: float) -> None:
        seconds = perf_counter() - started
        if not outcome.waiting or outcome.answers or outcome.failures:
            try:
                self.book(outcome, seconds)
            finally:
                self.result.add(outcome, seconds)
            if outcome.sections:
                self.progress.note(self.result.notes[-1])
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
def signals(handler: Callable[[], None]) -> Iterator[None]:
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
