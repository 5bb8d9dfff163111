"""One page's questions: from the answer cache, or in one request; answers are validated, verified and asked for again where needed.

DESIGN.md sections 3.3 to 3.5 have the rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enrich.errors import AnswerError, ServiceError
from enrich.grounding import PageIndex
from enrich.llm.messages import Reply, Request, Tally, Usage
from enrich.review.lock import Question
from enrich.review.propose import StageAnswer
from enrich.runs.results import FailedQuestion, Spending, Spent, shares
from enrich.runs.service import Service
from enrich.stages.answers import FieldAnswer, parse_answer
from enrich.stages.matching import combined
from enrich.stages.request import again_request, fused_request, groups
from enrich.stages.stage import Stage
from enrich.wiki.pages import Page
from enrich.wiki.wiki import now_iso

# An invalid part is asked for again at most twice, an unsupported one once (DESIGN.md sections 3.4 and 3.5).
_INVALID_AGAIN = 2
_UNSUPPORTED_AGAIN = 1


@dataclass(slots=True)
class PageResult:
    """The answers to one page's questions, the failures, and what was spent: `spent` in all, `spending` by stage and model."""

    page: Page
    answers: list[StageAnswer] = field(default_factory=list)
    failures: list[FailedQuestion] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    spent: Tally = field(default_factory=Tally)
    spending: Spending = field(default_factory=lambda: Spending(Spent))

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
        index = PageIndex(page.body, title=page.title, description=page.description)
        samples = [_Sample(stage, number, stage.key(page, number)) for stage in stages for number in range(stage.samples)]
        try:
            if self.service.baseline is not None:
                for sample in samples:
                    sample.judge(self.service.baseline(sample.stage.name, page), index)
                    sample.asked, sample.closed = now_iso(), True
                return
            open_samples = [sample for sample in samples if not self._from_cache(sample, index)]
            if self.service.client is None:
                for sample in open_samples:
                    sample.cached = sample.closed = sample.fields is not None
                return
            for group in _groups(open_samples, fuse=self.fuse):
                async with self.service.hold(sample.key for sample in group):
                    # While this waited, another process may have answered.
                    left = [sample for sample in group if not self._from_cache(sample, index)]
                    for part in ([one for one in left if one.fields is None], [one for one in left if one.fields is not None]):
                        if part:
                            await self._converse(page, index, part, result)
        finally:
            for stage in stages:
                self._book(stage, [sample for sample in samples if sample.stage is stage], result)

    def _from_cache(self, sample: _Sample, index: PageIndex) -> bool:
        """Whether the cache holds the final answer. An answer that is still to be asked for again is loaded to continue from there."""
        entry = self.service.answers.get(sample.key) if self.read_cache and self.service.answers is not None else None
        return entry is not None and sample.load(entry, index)

    async def _converse(self, page: Page, index: PageIndex, samples: list[_Sample], result: PageResult) -> None:
        """Ask for these samples in one request, then again for what was wrong. Samples with an answer continue with the second request."""
        first = fused_request(page, [sample.stage for sample in samples])
        request, asked = first, samples
        if samples[0].fields is not None:
            asked = [sample for sample in samples if sample.wants_again()]
            answer = json.dumps({sample.stage.name: sample.data for sample in samples}, ensure_ascii=False)
            request = _again(page, first, answer, asked)
        try:
            while asked:
                reply = await self._send(request, asked, result)
                _judge(reply.text, asked, index)
                again = [sample for sample in asked if sample.wants_again()]
                # Stored when it arrives: whatever happens during a re-ask, this answer is paid once.
                self._store(asked, again)
                if again:
                    request = _again(page, first, reply.text, again)
                asked = again
        except (AnswerError, ServiceError) as error:
            if isinstance(error, ServiceError) and error.final:
                raise
            # An answer that was valid before the re-ask failed is kept.
            for sample in asked:
                sample.error = error
            self._store(asked, ())

    async def _send(self, request: Request, samples: Sequence[_Sample], result: PageResult) -> Reply:
        """The reply to a request about `samples`; what it took is added to them and to `result`."""
        client = self.service.client
        assert client is not None
        tally = Tally()
        try:
            reply = await client.send(request, tally)
        finally:
            result.spent.add(tally.usage, tally.cost_usd, tally.requests)
            for sample, usage, cost in _shared(samples, tally.usage, tally.cost_usd):
                result.spending[sample.stage.name, sample.stage.model].add(usage, cost, tally.requests)
        if self.service.tokens is not None:
            self.service.tokens.learn(request, reply)
        for sample, usage, cost in _shared(samples, reply.usage, reply.cost_usd):
            sample.spent.add(usage, cost)
        return reply

    def _store(self, samples: Iterable[_Sample], again: Sequence[_Sample]) -> None:
        """Keep the valid answers; all samples that are not asked for `again` are closed."""
        for sample in samples:
            sample.closed = sample not in again
            if sample.fields is not None and self.service.answers is not None:
                sample.asked = now_iso()
                self.service.answers.put(sample.key, sample.entry())

    def _book(self, stage: Stage, samples: Sequence[_Sample], result: PageResult) -> None:
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
        result.answers.append(
            StageAnswer(
                stage=stage.name,
                fields=combined(stage.name, [sample.fields or () for sample in samples]),
                question=Question.of(result.page, stage, key=samples[0].key),
                prompt_version=str(stage.prompt.version),
                tokens=None if self.service.baseline else spent.usage.counts(),
                cost_usd=spent.cost_usd,
                asked=samples[-1].asked,
                run=self.run,
                noise=stage.noise,
            )
        )


@dataclass(slots=True, eq=False)
class _Sample:
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
        """Whether to ask for this once more; counts the request."""
        if not self.problems:
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
        return entry if self.closed else {**entry, "again": True}

    def load(self, entry: Mapping[str, Any], index: PageIndex) -> bool:
        """Take the answer of a cache entry; whether it is final. An entry that is no longer valid is ignored."""
        try:
            fields = self.stage.judge(entry["answer"], index)
            self.spent = Tally(1, Usage(**(entry.get("usage") or {})), entry.get("cost_usd"))
        except (AnswerError, KeyError, TypeError):
            return False
        self.data, self.fields, self.asked = entry["answer"], fields, str(entry.get("asked", ""))
        self.problems = _hard(fields) if entry.get("again") else []
        self.cached = self.closed = not self.problems
        return self.closed


def _groups(samples: Sequence[_Sample], *, fuse: bool) -> list[list[_Sample]]:
    """The samples that can share a request: the same sample number of stages with the same model and temperature."""
    found = []
    for number in dict.fromkeys(sample.number for sample in samples):
        by_stage = {sample.stage.name: sample for sample in samples if sample.number == number}
        stages = groups([sample.stage for sample in by_stage.values()], fuse=fuse)
        found += [[by_stage[stage.name] for stage in group] for group in stages]
    return found


def _shared(samples: Sequence[_Sample], usage: Usage, cost_usd: float | None) -> Iterator[tuple[_Sample, Usage, float | None]]:
    """Each sample with its equal share of what a request took."""
    cost = None if cost_usd is None else cost_usd / len(samples)
    for sample, share in zip(samples, shares(usage, len(samples)), strict=True):
        yield sample, share, cost


def _judge(text: str, samples: Iterable[_Sample], index: PageIndex) -> None:
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


def _again(page: Page, first: Request, answer: str, samples: Sequence[_Sample]) -> Request:
    problems = {sample.stage.name: sample.problems for sample in samples}
    return again_request(page, first, answer, [sample.stage for sample in samples], problems)


def _hard(fields: Iterable[FieldAnswer]) -> list[str]:
    return [f"{finding.where}: {finding.message}" for answer in fields for finding in answer.hard]
