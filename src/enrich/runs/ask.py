"""Questions about one page: from the answer cache, or in one request a page.

Answers are validated, verified and asked for again where needed (DESIGN.md sections 3.3 to 3.5). A page's failure is part of the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import AnswerError, ServiceError
from enrich.grounding import PageIndex
from enrich.llm.messages import AnswerWaitsError, Attempts, Reply, Request, Tally, Usage
from enrich.llm.tokens import input_tokens
from enrich.review.lock import Question
from enrich.review.propose import StageAnswer
from enrich.runs.results import FailedQuestion, Spending, shared
from enrich.runs.sections import SectionAsker, asked_in_sections
from enrich.runs.service import Service, body_room
from enrich.stages.fields import FieldAnswer, parse_answer
from enrich.stages.judges import combined
from enrich.stages.measured_scores import DECISIONS
from enrich.stages.stage import Stage, again_request, fused_request, groups
from enrich.text import printable
from enrich.wiki.pages import Page
from enrich.wiki.wiki import now_iso

_Count = Annotated[int, Field(ge=0, lt=10**12)]

# An invalid part is asked for again at most twice, an unsupported one once (DESIGN.md sections 3.4 and 3.5).
_INVALID_AGAIN = 2
_UNSUPPORTED_AGAIN = 1


@dataclass(slots=True, eq=False)
class Sample:
    """One sample of a stage's question about a page: its best valid answer so far, and what is wrong with the last one.

    `fields` is None without a valid answer. `closed`: nothing more is asked about it.
    """

    stage: Stage
    number: int
    key: str
    data: Any = None
    fields: Sequence[FieldAnswer] | None = None
    problems: list[str] = field(default_factory=list)
    error: AnswerError | ServiceError = field(default_factory=lambda: AnswerError("invalid"))
    spent: Tally = field(default_factory=Tally)
    asked: str = ""
    cached: bool = False
    closed: bool = False
    invalid: int = 0
    unsupported: int = 0
    sections: int = 0

    def about(self, page: Page) -> Sample:
        """The same question about another page."""
        return Sample(self.stage, self.number, self.stage.key(page, self.number))

    def judge(self, data: Any, index: PageIndex) -> None:
        """Check one answer; keep it if it is valid and has no more hard findings than the one before."""
        try:
            fields = self.stage.judge(data, index)
        except AnswerError as error:
            self.refuse(error)
            return
        self.problems = _hard(fields)
        if self.fields is None or len(self.problems) <= len(_hard(self.fields)):
            self.data, self.fields = data, fields

    def refuse(self, error: AnswerError) -> None:
        self.problems, self.error = [error.detail], error

    def wants_again(self) -> bool:
        """Whether to ask for this once more; counts the request. A decision endpoint would say the same again."""
        if not self.problems or self.stage.method == DECISIONS:
            return False
        if self.fields is None:
            self.invalid += 1
            return self.invalid <= _INVALID_AGAIN
        # A re-ask for support that came back invalid counts too.
        self.unsupported += 1
        return self.unsupported <= _UNSUPPORTED_AGAIN

    def entry(self) -> dict[str, Any]:
        """The cache's entry. `again`: a re-ask is still to come, so that a run that is killed before it continues there."""
        entry = {
            "answer": self.data,
            "usage": self.spent.usage.counts(),
            "cost_usd": self.spent.cost_usd,
            "model": self.stage.model,
            "asked": self.asked,
        }
        if self.sections:
            entry["sections"] = self.sections
        return entry if self.closed else {**entry, "again": True}

    def load(self, entry: Mapping[str, Any], index: PageIndex) -> bool:
        """Take the answer of a cache entry; whether it is final. An entry that is no longer valid is ignored."""
        try:
            stored = _Entry.model_validate(entry)
            fields = self.stage.judge(stored.answer, index)
            spent = Tally(1, Usage(**(stored.usage or {})), stored.cost_usd)
        except (AnswerError, ValidationError, TypeError):
            return False
        self.data, self.fields, self.asked, self.sections, self.spent = stored.answer, fields, stored.asked, stored.sections or 0, spent
        self.problems = _hard(fields) if stored.again else []
        self.cached = self.closed = not self.problems
        return self.closed


class _Entry(BaseModel):
    """A cache's entry. The cache can have come with a clone, so it is read like a server's answer."""

    model_config = ConfigDict(strict=True)
    answer: Any
    usage: dict[str, _Count] | None = None
    cost_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    asked: str = ""
    sections: _Count | None = None
    again: bool = False


def _hard(fields: Iterable[FieldAnswer]) -> list[str]:
    return [f"{finding.where}: {finding.message}" for answer in fields for finding in answer.hard]


@dataclass(slots=True)
class PageResult:
    """The answers to one page's questions, the failures, and what was spent.

    `waiting` are stages whose answer comes in a batch. `sections` is the number of parts that a page was asked in because it does not fit into
    the model's context, 0 if it was asked whole.
    """

    page: Page
    answers: list[StageAnswer] = field(default_factory=list)
    failures: list[FailedQuestion] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    spent: Spending = field(default_factory=Spending)
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
                answer = sample.stage.rule(page)
                if answer is None and self.service.baseline is not None:
                    answer = self.service.baseline(sample.stage.name, page)
                if answer is not None:
                    sample.judge(answer, index)
                    sample.asked, sample.closed = now_iso(), True
            open_samples = [sample for sample in samples if not sample.closed and not self.from_cache(sample, index)]
            if self.service.client is None:
                for sample in open_samples:
                    sample.cached = sample.closed = sample.fields is not None
                return
            for group in self._groups(open_samples):
                async with self.service.hold(sample.key for sample in group):
                    # While this waited, another process may have answered.
                    for part in self.unanswered(group, index):
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

    def unanswered(self, samples: Iterable[Sample], index: PageIndex) -> list[list[Sample]]:
        """The samples whose final answer is not in the cache: those without an answer, and those that are to be asked for again."""
        left = [sample for sample in samples if not self.from_cache(sample, index)]
        return [part for part in ([one for one in left if one.fields is None], [one for one in left if one.fields is not None]) if part]

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
            result.spent.book(request.model, [sample.stage.name for sample in samples], tally)
        if self.service.tokens is not None:
            self.service.tokens.learn(request, reply)
        for sample, usage, cost in shared(samples, reply.usage, reply.cost_usd):
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
    return again_request(page, first, answer, [sample.stage for sample in samples], {one.stage.name: one.problems for one in samples})
