"""One page's questions: from the cache, else in one request, validated, re-asked where needed, verified (DESIGN.md sections 3.3 to 3.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from enrich.errors import AnswerError, ServiceError
from enrich.grounding import PageIndex
from enrich.llm.messages import Request, Tally, Usage
from enrich.review import lock
from enrich.review.propose import StageAnswer
from enrich.runs.conversation import Answered, Conversation, Question
from enrich.runs.spending import Spending, counts
from enrich.stages.catalogue import Stage
from enrich.stages.fusing import groups
from enrich.stages.sampling import combined
from enrich.wiki.pages import Page


class Sender(Protocol):
    """What answers requests: `enrich.llm.Client`, or a stand-in."""

    def send(self, request: Request, tally: Tally | None = None) -> Awaitable[Any]: ...


class Answers(Protocol):
    """Where answers are kept: `enrich.llm.AnswerCache`, or a stand-in."""

    def get(self, key: str) -> dict[str, Any] | None: ...
    def put(self, key: str, value: dict[str, Any]) -> None: ...


Hold = Callable[[Iterable[str]], AbstractAsyncContextManager[Any]]
Baseline = Callable[[str, Page], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A question without a usable answer: `cause` is a stable word, `detail` one line."""

    stage: str
    cause: str
    detail: str


@dataclass(slots=True)
class PageResult:
    """What came of one page's questions, and what it took: `spent` in all, `spending` by stage and model."""

    page: Page
    answers: list[StageAnswer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    spent: Tally = field(default_factory=Tally)
    spending: Spending = field(default_factory=Spending)

    def spend(self, stages: Sequence[tuple[str, str]], tally: Tally) -> None:
        """Add what one request took, failed attempts included."""
        self.spent.requests += tally.requests
        self.spent.usage = self.spent.usage + tally.usage
        if tally.cost_usd is not None:
            self.spent.cost_usd = (self.spent.cost_usd or 0.0) + tally.cost_usd
        self.spending.add(stages, tally)


@dataclass(frozen=True, slots=True)
class Asker:
    """Answers questions about pages. `sender` is None for the offline backend, whose `baseline` answers instead."""

    sender: Sender | None
    answers: Answers
    hold: Hold
    baseline: Baseline
    fuse: bool
    read_cache: bool
    now: Callable[[], str]
    run: str
    learn: Callable[[Request, Usage, int], None] = lambda request, usage, requests: None

    async def ask(self, page: Page, stages: Sequence[Stage], result: PageResult) -> None:
        """All answers to these stages' questions about `page`, into `result`.

        Raises final `ServiceError`s, `UserError`s and `BudgetSpent`; what is in `result` then holds. Other failures are results.
        """
        index = PageIndex(page.body, title=page.title, description=page.description, body_line=page.body_line)
        if self.sender is None:
            for stage in stages:
                self._take_baseline(result, stage, page, index)
            return
        await _PageAsking(self, self.sender, result, page, index, stages).run()

    def _take_baseline(self, result: PageResult, stage: Stage, page: Page, index: PageIndex) -> None:
        fields = stage.judge(self.baseline(stage.name, page), index)
        question = lock.Question.of(page, stage, key=stage.key(page))
        result.asked.append(stage.name)
        result.answers.append(
            StageAnswer(stage.name, fields, question, str(stage.prompt.version), asked=self.now(), run=self.run, noise=stage.noise)
        )


class _PageAsking:
    """One page on its way: which questions are open, what has been answered, what has failed."""

    def __init__(self, asker: Asker, sender: Sender, result: PageResult, page: Page, index: PageIndex, stages: Sequence[Stage]) -> None:
        self._asker, self._sender, self._result, self._page, self._index, self._stages = asker, sender, result, page, index, stages
        self._questions = [Question(stage, sample, stage.key(page, sample)) for stage in stages for sample in range(stage.samples)]
        self._answered: dict[Question, Answered] = {}
        self._unsettled: dict[Question, dict[str, Any]] = {}
        self._failed: dict[str, AnswerError | ServiceError] = {}

    async def run(self) -> None:
        try:
            for group in self._groups([question for question in self._questions if not self._take_cached(question)]):
                async with self._asker.hold(question.key for question in group):
                    # While this waited for its turn, another process may have answered.
                    await self._converse([question for question in group if not self._take_cached(question)])
        finally:
            self._book()

    def _groups(self, questions: Sequence[Question]) -> list[list[Question]]:
        """The questions that can share a request: the same sample of stages with the same model and temperature."""
        by_sample: dict[int, list[Question]] = {}
        for question in questions:
            by_sample.setdefault(question.sample, []).append(question)
        found = []
        for same_sample in by_sample.values():
            by_stage = {question.stage.name: question for question in same_sample}
            stages = groups([question.stage for question in same_sample], fuse=self._asker.fuse)
            found += [[by_stage[stage.name] for stage in group] for group in stages]
        return found

    def _take_cached(self, question: Question) -> bool:
        """Whether the cache holds the answer; one that is still to be asked about again is kept aside for that."""
        entry = self._asker.answers.get(question.key) if self._asker.read_cache else None
        if entry is None:
            return False
        try:
            fields = question.stage.judge(entry["answer"], self._index)
        except (AnswerError, KeyError, TypeError):
            return False  # an older version took it for valid, this one does not: ask again
        answered = Answered.from_entry(entry, fields)
        if entry.get("again") and answered.hard:
            self._unsettled[question] = entry
            return False
        self._answered[question] = answered
        return True

    async def _converse(self, questions: Sequence[Question]) -> None:
        """Ask: what was never asked in one request, and where a run was cut off before it could ask again, that."""
        fresh = [question for question in questions if question not in self._unsettled]
        begun = {question: self._unsettled[question] for question in questions if question in self._unsettled}
        if fresh:
            await self._talk(Conversation(self._page, self._index, fresh))
        if begun:
            await self._talk(Conversation.taken_up(self._page, self._index, begun))

    async def _talk(self, conversation: Conversation) -> None:
        try:
            while (request := conversation.request) is not None:
                tally = Tally()
                asked = [(question.stage.name, question.stage.model) for question in conversation.open]
                try:
                    reply = await self._sender.send(request, tally)
                finally:
                    self._result.spend(asked, tally)
                self._asker.learn(request, reply.usage, reply.requests)
                # Stored the moment it arrives: whatever happens during a re-ask, this is paid once.
                self._keep(conversation, conversation.take(reply))
        except (AnswerError, ServiceError) as error:
            if isinstance(error, ServiceError) and error.final:
                raise
            # What was valid before a re-ask failed stays an answer; the rest fails for this reason.
            self._keep(conversation, conversation.give_up(error))
        for question, failure in conversation.failures.items():
            self._failed.setdefault(question.stage.name, failure)

    def _keep(self, conversation: Conversation, questions: Iterable[Question]) -> None:
        now = self._asker.now()
        for question in questions:
            answer = conversation.answer(question, now)
            if answer is not None:
                self._asker.answers.put(question.key, answer.entry(question.stage.model, again=question in conversation.open))
                if question not in conversation.open:
                    self._answered[question] = answer

    def _book(self) -> None:
        """Put into the result every stage whose samples have all been answered, and the others' failures."""
        for stage in self._stages:
            mine = [question for question in self._questions if question.stage is stage]
            samples = [self._answered[question] for question in mine if question in self._answered]
            if len(samples) == len(mine):
                self._book_stage(stage, mine[0].key, samples)
            elif (failure := self._failed.get(stage.name)) is not None:
                self._result.failures.append(Failure(stage.name, failure.cause, failure.detail))

    def _book_stage(self, stage: Stage, key: str, samples: Sequence[Answered]) -> None:
        (self._result.cached if all(sample.cached for sample in samples) else self._result.asked).append(stage.name)
        usage = samples[0].usage
        for sample in samples[1:]:
            usage = usage + sample.usage
        costs = [sample.cost_usd for sample in samples if sample.cost_usd is not None]
        self._result.answers.append(
            StageAnswer(
                stage=stage.name,
                fields=combined(stage.name, [sample.fields for sample in samples]),
                question=lock.Question.of(self._page, stage, key=key),
                prompt_version=str(stage.prompt.version),
                tokens=counts(usage),
                cost_usd=sum(costs) if costs else None,
                asked=samples[-1].asked,
                run=self._asker.run,
                noise=stage.noise,
            )
        )


__all__ = ["Asker", "Failure", "PageResult"]
