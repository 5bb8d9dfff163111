"""Answers without proposals, for `enrich eval`: from the cache and from waiting proposals, and with `ask` from the model.

Pages, lock and proposals are not changed. New answers are kept in the answer cache, where the next run finds them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from enrich.review.proposals import ProposalStore
from enrich.runs.ask import Asker, PageResult
from enrich.runs.local import Due, LocalEngine, Progress, Silent
from enrich.runs.plan import make_plan
from enrich.runs.results import RunResult
from enrich.runs.service import Service, offline, open_service
from enrich.stages.answers import FieldAnswer
from enrich.stages.stage import OFFLINE, Stage
from enrich.wiki.pages import Page, PageFile, read_page
from enrich.wiki.wiki import Wiki

_PageAnswers = dict[str, Sequence[FieldAnswer]]


@dataclass(slots=True)
class Collected:
    """Checked fields by page id, in page order. `missing`: questions without an answer. `result` counts what was asked and what failed."""

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

    With `ask`, missing answers are asked for, about at most `limit` pages in page order, within the configured budget. Pages that are never
    asked about (too short, skipped, unreadable) are left out. Raises `UserError`; failures are in the result.
    """
    found = Collected()
    found.result.backend = wiki.config.llm.backend
    order = [stage.name for stage in stages]
    wanted = {file.id for file, _ in make_plan(wiki, files, stages, refresh=True).due}
    chosen = [file for file in files if file.id in wanted]
    answers: dict[str, _PageAnswers] = {file.id: {} for file in chosen}
    asyncio.run(_look_up(wiki, chosen, stages, answers))
    due: list[Due] = [(file, lacking) for file in chosen if (lacking := tuple(name for name in order if name not in answers[file.id]))]
    if ask and due:
        asyncio.run(_ask(wiki, stages, due[:limit], answers, found.result, progress or Silent(), os.environ if env is None else env))
    for page_id, by_stage in answers.items():
        found.missing += [(page_id, name) for name in order if name not in by_stage]
        found.fields[page_id] = [one for name in order if name in by_stage for one in by_stage[name]]
    return found


async def _look_up(wiki: Wiki, files: Sequence[PageFile], stages: Sequence[Stage], answers: Mapping[str, _PageAnswers]) -> None:
    """Add what is known without a request: the baseline's answers, or those in the cache and in waiting proposals."""
    from enrich.llm.cache import AnswerCache

    with ExitStack() as stack:
        folder = wiki.config.cache / "answers"
        if wiki.config.llm.backend == OFFLINE:
            service = offline(wiki)
        else:
            # Reading must not create a cache.
            service = Service(answers=stack.enter_context(AnswerCache(folder)) if folder.exists() else None)
        for file in files:
            outcome = PageResult(read_page(file))
            await Asker(service).ask(outcome.page, stages, outcome)
            answers[file.id].update((answer.stage, answer.fields) for answer in outcome.answers)
            if service.baseline is None:
                _add_proposed(wiki, answers[file.id], outcome.page, stages)


async def _ask(
    wiki: Wiki,
    stages: Sequence[Stage],
    due: Sequence[Due],
    answers: Mapping[str, _PageAnswers],
    result: RunResult,
    progress: Progress,
    env: Mapping[str, str],
) -> None:
    def book(outcome: PageResult, seconds: float) -> None:
        answers[outcome.page.id].update((answer.stage, answer.fields) for answer in outcome.answers)

    llm = wiki.config.llm
    async with open_service(wiki, stages, progress.note, env) as service:
        asker = Asker(service, fuse=llm.fuse)
        await LocalEngine(asker, {stage.name: stage for stage in stages}, llm.concurrency, result, progress, book).run(due)


def _add_proposed(wiki: Wiki, answers: _PageAnswers, page: Page, stages: Sequence[Stage]) -> None:
    """Add what a waiting proposal has of the same questions, if the cache was cleared meanwhile."""
    proposal = wiki.shared(ProposalStore).get(page.id)
    if proposal is None:
        return
    for stage in stages:
        key = stage.key(page) if stage.name not in answers else ""
        changes = [change for change in proposal.changes if key and change.stage == stage.name and change.question.key == key]
        if changes:
            answers[stage.name] = [FieldAnswer(change.field, change.new, (), change.evidence, change.reason) for change in changes]
