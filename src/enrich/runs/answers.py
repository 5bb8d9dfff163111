"""Answers without proposals: what the answer cache and waiting proposals hold for today's questions, and with `ask` what is asked for now.

Pages, lock and proposals stay as they are; what is asked is kept in the answer cache, so the next run finds it there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

from enrich.errors import AnswerError, ServiceError
from enrich.llm.budget import BudgetSpent
from enrich.llm.messages import Reply, Request, Tally
from enrich.review.proposals import Proposal, ProposalStore
from enrich.runs.asking import Asker, PageResult
from enrich.runs.interrupts import interruptible
from enrich.runs.local import Progress, Silent
from enrich.runs.planning import make_plan
from enrich.runs.results import FailedQuestion, RunResult
from enrich.runs.service import open_service
from enrich.stages.catalogue import OFFLINE, Stage
from enrich.stages.fields import FieldAnswer
from enrich.wiki.pages import Page, PageFile, read_page
from enrich.wiki.wiki import Wiki, now_iso

_NOT_ASKED = "not-asked"


@dataclass(slots=True)
class Collected:
    """Judged fields by page id, in page order. `missing`: questions without an answer. `result` counts what was asked and what failed."""

    fields: dict[str, list[FieldAnswer]] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    result: RunResult = field(default_factory=lambda: RunResult("", ""))


def collect(
    wiki: Wiki,
    files: Sequence[PageFile],
    stages: Sequence[Stage],
    *,
    ask: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
    env: Mapping[str, str] | None = None,
) -> Collected:
    """The answers to these stages' questions about these pages, by the configured backend, model and prompts.

    `ask`: send what is missing, about at most `limit` pages in page order, within the configured budget. Pages that are never asked about
    (too short, skipped, unreadable) are left out. The offline backend answers all by itself. Raises `UserError`; failures are in the result.
    """
    return asyncio.run(_collect(wiki, files, stages, ask, limit, progress or Silent(), os.environ if env is None else env))


async def _collect(
    wiki: Wiki,
    files: Sequence[PageFile],
    stages: Sequence[Stage],
    ask: bool,
    limit: int | None,
    progress: Progress,
    env: Mapping[str, str],
) -> Collected:
    found = Collected()
    found.result.backend = wiki.config.llm.backend
    wanted = {file.id for file, _ in make_plan(wiki, files, stages, refresh=True).due}
    pages = [read_page(file) for file in files if file.id in wanted]
    offline = wiki.config.llm.backend == OFFLINE
    by_page: dict[str, dict[str, Sequence[FieldAnswer]]] = {page.id: {} for page in pages}
    async with AsyncExitStack() as stack:
        kept = _kept(stack, wiki, offline)
        missing: list[tuple[Page, list[Stage]]] = []
        for page in pages:
            result = PageResult(page)
            await kept.ask(page, stages, result)
            by_page[page.id].update((answer.stage, answer.fields) for answer in result.answers)
            _from_proposal(by_page[page.id], page, stages, None if offline else wiki.shared(ProposalStore).get(page.id))
            lacking = [stage for stage in stages if stage.name not in by_page[page.id]]
            if lacking:
                missing.append((page, lacking))
    if ask and missing:
        chosen = missing if limit is None else missing[:limit]
        async with AsyncExitStack() as stack:
            parts = await open_service(stack, wiki, stages, progress, env)
            stop_asking, _ = parts.pop("stop_asking"), parts.pop("throttle")
            asker = Asker(fuse=wiki.config.llm.fuse, read_cache=True, now=now_iso, run="", **parts)
            asking = _Asking(asker, iter(chosen), by_page, found.result, progress, stop_asking)
            progress.start(len(chosen))

            def interrupted() -> None:
                progress.note("stopping: what is in flight is finished and stored; Ctrl-C again ends at once")
                asking.stop(130, "interrupted", "ask again: answers so far are kept")

            async with interruptible(interrupted):
                try:
                    await asking.run(min(len(chosen), wiki.config.llm.concurrency))
                except asyncio.CancelledError:
                    if found.result.exit != 130:
                        raise
    order = [stage.name for stage in stages]
    for page_id, answers in by_page.items():
        found.missing += [(page_id, name) for name in order if name not in answers]
        found.fields[page_id] = [one for name in order if name in answers for one in answers[name]]
    return found


@dataclass(slots=True)
class _Asking:
    """The pages that are asked about, by several workers; a final failure or a spent budget stops them all."""

    asker: Asker
    pages: Iterator[tuple[Page, list[Stage]]]
    answers: dict[str, dict[str, Sequence[FieldAnswer]]]
    result: RunResult
    progress: Progress
    stop_asking: Callable[[str], None]
    stopped: bool = False

    async def run(self, workers: int) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._worker())
        except BaseExceptionGroup as errors:
            # A full disk: what was answered is stored.
            error: BaseException = errors
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None

    async def _worker(self) -> None:
        for page, stages in self.pages:
            if self.stopped:
                return
            outcome = PageResult(page)
            try:
                await self.asker.ask(page, stages, outcome)
            except BudgetSpent as error:
                self.stop(4, str(error), "raise the budget: answers so far are kept")
            except ServiceError as error:
                if not error.final:
                    self.result.failed += [FailedQuestion(page.id, stage.name, error.cause, error.detail) for stage in stages]
                else:
                    self.stop(1, str(error), error.do)
            self.answers[page.id].update((answer.stage, answer.fields) for answer in outcome.answers)
            self.result.add(outcome)
            self.progress.page_done(page.id, self.result)

    def stop(self, exit_code: int, why: str, do: str) -> None:
        """Take no further page and send nothing more; the first reason stays."""
        if not self.stopped:
            self.result.exit, self.result.stopped, self.result.do = exit_code, why, do
            self.stopped = True
            self.stop_asking(why)


def _kept(stack: AsyncExitStack, wiki: Wiki, offline: bool) -> Asker:
    """An asker that sends nothing: it knows the baseline's answers, or those in the cache."""
    from enrich.llm.cache import AnswerCache
    from enrich.offline import answer

    dimensions = tuple(wiki.config.stages.ratings.dimensions)
    folder = wiki.config.cache / "answers"
    answers: Any = _Nothing()
    # Looking must not make a cache where there is none.
    if not offline and folder.exists():
        answers = stack.enter_context(AnswerCache(folder))
    return Asker(
        sender=None if offline else _Declines(),
        answers=answers,
        hold=lambda keys: nullcontext(),
        baseline=lambda stage, page: answer(stage, page, dimensions=dimensions),
        fuse=False,
        read_cache=True,
        now=now_iso,
        run="",
    )


class _Declines:
    """A sender that sends nothing."""

    async def send(self, request: Request, tally: Tally | None = None) -> Reply:
        raise AnswerError(_NOT_ASKED)


class _Nothing:
    """A cache that is not there."""

    def get(self, key: str) -> dict[str, Any] | None:
        return None

    def put(self, key: str, value: dict[str, Any]) -> None:
        raise AssertionError("nothing was asked")


def _from_proposal(answers: dict[str, Sequence[FieldAnswer]], page: Page, stages: Sequence[Stage], proposal: Proposal | None) -> None:
    """Add what a waiting proposal holds of the same questions, where the cache was cleared meanwhile."""
    for stage in stages if proposal else ():
        if stage.name in answers:
            continue
        key = stage.key(page)
        changes = [change for change in proposal.changes if change.stage == stage.name and change.question.key == key]  # type: ignore[union-attr]
        if changes:
            answers[stage.name] = [FieldAnswer(change.field, change.new, (), change.evidence, change.reason) for change in changes]
