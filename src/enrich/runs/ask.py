"""Questions about one page: from the answer cache, or in one request a page, or about the sections of a page that does not fit.

Answers are validated, verified and asked for again where needed (DESIGN.md sections 3.3 to 3.5). A page's failure is part of the result. Each section
is a question of its own in the cache: a page that was interrupted continues where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import AnswerError, ServiceError
from enrich.grounding import Finding, PageIndex
from enrich.llm.costs import estimate_tokens, input_tokens
from enrich.llm.messages import AnswerWaitsError, Attempts, Reply, Request, Tally, Usage
from enrich.review.lock import Question
from enrich.review.propose import StageAnswer
from enrich.runs.results import FailedQuestion, Spending, shared
from enrich.runs.service import ModelService, Service, body_room
from enrich.stages.fields import FieldAnswer, parse_answer
from enrich.stages.judges import combined
from enrich.stages.scores import DECISIONS
from enrich.stages.sections import IN_SECTIONS, LEAST_ROOM, condensed_page, merged_insights, split_page, summaries_page
from enrich.stages.stage import Stage, again_request, fused_request, groups
from enrich.text import printable
from enrich.wiki.pages import Page
from enrich.wiki.wiki import now_iso

_Count = Annotated[int, Field(ge=0, lt=10**12)]

# An invalid part is asked for again at most twice, an unsupported one once (DESIGN.md sections 3.4 and 3.5).
_INVALID_AGAIN = 2
_UNSUPPORTED_AGAIN = 1
# Sections that a server still refuses are made smaller: shares of the room.
_SMALLER = (1.0, 0.6, 0.35)
# Summaries of summaries of so many levels do not become shorter.
_MOST_LEVELS = 4


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

    def refuse(self, error: AnswerError | ServiceError) -> None:
        self.problems, self.error = [error.detail], error

    @property
    def is_too_long(self) -> bool:
        """Whether there is no answer because the page does not fit into the model's context."""
        return self.fields is None and self.error.cause == "too-long"

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
        return {
            "answer": self.data,
            "usage": self.spent.usage.counts(),
            "cost_usd": self.spent.cost_usd,
            "model": self.stage.model,
            "asked": self.asked,
            **({"sections": self.sections} if self.sections else {}),
            **({} if self.closed else {"again": True}),
        }

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
    """The answers to one page's questions, the failures, and what was spent. `run` is recorded as the run that the answers come from.

    `waiting` are stages whose answer comes in a batch. `sections` is the number of parts that a page was asked in because it does not fit into
    the model's context, 0 if it was asked whole.
    """

    page: Page
    run: str = ""
    answers: list[StageAnswer] = field(default_factory=list)
    failures: list[FailedQuestion] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    spent: Spending = field(default_factory=Spending)
    sections: int = 0
    seconds: float = 0.0

    def fail(self, stages: Iterable[str], cause: str, detail: str) -> None:
        self.failures += [FailedQuestion(self.page.id, stage, cause, detail) for stage in stages]


class Asker:
    """Asks a service about one page; answers and failures are added to `result`."""

    def __init__(self, service: Service, result: PageResult) -> None:
        self.service, self.result, self.page = service, result, result.page
        # The whole page's, also for answers about its sections: evidence is located on the page.
        self.index = PageIndex.of(self.page)

    async def ask(self, stages: Sequence[Stage]) -> None:
        """Find the answers to these stages' questions: by a rule, from the baseline, in the cache, and else from the model.

        Raises what ends a run: final `ServiceError`s, `UserError`s and `BudgetSpent`. What is in `result` then remains valid.
        """
        samples = [Sample(stage, number, stage.key(self.page, number)) for stage in stages for number in range(stage.samples)]
        try:
            left = [sample for sample in samples if not (self._is_given(sample) or self._is_cached(sample))]
            if not isinstance(self.service, ModelService):
                for sample in left:
                    sample.cached = sample.closed = sample.fields is not None
                return
            for group in self._groups(left):
                async with self.service.flight.hold(sample.key for sample in group):
                    # While this waited, another process may have answered.
                    for part in self._unanswered(group):
                        await self._ask_model(part)
        finally:
            for stage in stages:
                self._book(stage, [sample for sample in samples if sample.stage is stage])

    @property
    def _model(self) -> ModelService:
        assert isinstance(self.service, ModelService)
        return self.service

    def _is_given(self, sample: Sample) -> bool:
        """Whether a rule or the baseline answers the question; the answer is taken."""
        answer = sample.stage.rule(self.page)
        if answer is None and self.service.baseline is not None:
            answer = self.service.baseline(sample.stage.name, self.page)
        if answer is not None:
            sample.judge(answer, self.index)
            sample.asked, sample.closed = now_iso(), True
        return answer is not None

    def _is_cached(self, sample: Sample) -> bool:
        """Whether the cache holds the final answer. An answer that is still to be asked for again is loaded to continue from there."""
        entry = self.service.answers.get(sample.key) if self.service.read_cache and self.service.answers is not None else None
        if entry is None or "too_long" not in entry:
            return entry is not None and sample.load(entry, self.index)
        # The same model cannot take this page: it is asked again when one of them changes, or the context grows.
        refused_at, context = entry.get("context"), self._context(sample.stage.model) or 0
        if not isinstance(refused_at, int) or context > refused_at:
            return False
        sample.refuse(AnswerError("too-long", printable(str(entry["too_long"]), 200)))
        sample.closed = True
        return True

    def _unanswered(self, samples: Iterable[Sample]) -> list[list[Sample]]:
        """The samples whose final answer is not in the cache: those without an answer, and those that are to be asked for again."""
        left = [sample for sample in samples if not self._is_cached(sample)]
        return [part for part in ([one for one in left if one.fields is None], [one for one in left if one.fields is not None]) if part]

    def _groups(self, samples: Sequence[Sample]) -> Iterator[list[Sample]]:
        """The samples that share a request: the same sample number of stages with the same model and temperature.

        Samples that an engine has asked before stay as they were together.
        """
        for number in dict.fromkeys(sample.number for sample in samples):
            by_stage = {sample.stage.name: sample for sample in samples if sample.number == number}
            for stages in groups([sample.stage for sample in by_stage.values()], fuse=self.service.fuse):
                before: dict[str, list[Sample]] = {}
                for sample in (by_stage[stage.name] for stage in stages):
                    before.setdefault(self._model.client.batch_of(sample.key), []).append(sample)
                yield from before.values()

    def _context(self, model: str) -> int | None:
        """The model's context in tokens; None if it is not known."""
        return self.service.contexts.of(model) if isinstance(self.service, ModelService) else None

    def _room(self, page: Page, samples: Sequence[Sample]) -> int | None:
        """The tokens of the page's body that fit into one request about these samples; None if the whole page fits."""
        model = samples[0].stage.model
        room = body_room(page, [sample.stage for sample in samples], self._context(model), self._model.tokens.input.factor(model))
        return self._model.client.remembered(samples[0].key, f"room {page.hash[:16]}", room)

    async def _ask_model(self, samples: list[Sample]) -> None:
        """Ask for these samples: in one request, in one for each stage, or in sections of the page, whichever fits."""
        left, in_sections = samples, []
        try:
            # A page that a batch has been asked about is answered by it, even if the model's context has become known meanwhile.
            if self._model.client.batch_of(samples[0].key) or self._room(self.page, samples) is None:
                await self._converse(self.page, samples)
                left = [sample for sample in samples if sample.is_too_long]
                if left:
                    request = fused_request(self.page, [sample.stage for sample in samples])
                    self._model.contexts.learn(request.model, left[0].error.detail, input_tokens(request))
            for sample in left:
                fits = len(left) > 1 and self._room(self.page, [sample]) is None
                if fits:
                    await self._converse(self.page, [sample])
                if not fits or sample.is_too_long:
                    in_sections.append(sample)
            if in_sections:
                await self._ask_in_sections(in_sections)
        except AnswerWaitsError:
            for sample in samples:
                # Too long as a whole: its sections wait.
                sample.closed = sample.closed and not sample.is_too_long
            self.result.waiting += [sample.stage.name for sample in samples if not sample.closed]

    async def _converse(self, page: Page, samples: list[Sample]) -> None:
        """Ask for these samples in one request, then again for what was wrong. Samples with an answer continue with the second request."""
        first = fused_request(page, [sample.stage for sample in samples])
        request, asked = first, samples
        if samples[0].fields is not None:
            asked = [sample for sample in samples if sample.wants_again()]
            answer = json.dumps({sample.stage.name: sample.data for sample in samples}, ensure_ascii=False)
            request = _again(page, first, answer, asked)
        # An engine that keeps its replies goes through the same conversation again, so the answers are stored at its end.
        kept = self._model.client.keeps_replies
        attempts = Attempts()
        try:
            while asked and attempts.left > 0:
                reply = await self._send(request, asked, attempts)
                _judge(reply.measured or reply.text, asked, self.index)
                again = [sample for sample in asked if sample.wants_again()]
                if not kept or not again:
                    # Stored when it arrives: this answer is paid once, even if the re-ask fails.
                    self.store(samples if kept else asked, again)
                if again:
                    request = replace(_again(page, first, reply.text, again), again=request.again + 1)
                asked = again
        except (AnswerError, ServiceError) as error:
            if error.final:
                raise
            # An answer that was valid before the re-ask failed is kept.
            for sample in asked:
                sample.error = error
        if asked:
            self.store(samples if kept else asked, ())

    async def _send(self, request: Request, samples: Sequence[Sample], attempts: Attempts) -> Reply:
        """The reply to a request about `samples`; what it took is added to them and to the result."""
        tally, questions = Tally(), tuple((sample.stage.name, sample.key) for sample in samples)
        try:
            reply = await self._model.client.send(replace(request, questions=questions), tally, attempts)
        finally:
            self.result.spent.book(request.model, [sample.stage.name for sample in samples], tally)
        self._model.tokens.learn(request, reply)
        for sample, usage, cost in shared(samples, reply.usage, reply.cost_usd):
            sample.spent.add(usage, cost)
        return reply

    def store(self, samples: Iterable[Sample], again: Sequence[Sample]) -> None:
        """Keep the valid answers; all samples that are not asked for `again` are closed."""
        for sample in samples:
            sample.closed = sample not in again
            if sample.fields is not None:
                sample.asked = now_iso()
                self._model.answers.put(sample.key, sample.entry())
            # A page that is too long is asked about in sections, and known to be so until they are answered.
            if sample.fields is not None or (sample.closed and not sample.is_too_long):
                self._model.client.forget(sample.key)

    def _book(self, stage: Stage, samples: Sequence[Sample]) -> None:
        """Put the stage's answer into the result if all its samples are answered, or the reason why it failed."""
        if any(sample.fields is None or not sample.closed for sample in samples):
            failed = next((sample.error for sample in samples if sample.closed and sample.fields is None), None)
            if failed is not None:
                self.result.fail([stage.name], failed.cause, failed.detail)
            return
        (self.result.cached if all(sample.cached for sample in samples) else self.result.asked).append(stage.name)
        spent = Tally()
        for sample in samples:
            spent.add(sample.spent.usage, sample.spent.cost_usd)
        fields = stage.calibrated(combined(stage.name, [sample.fields or () for sample in samples]))
        if sections := max(sample.sections for sample in samples):
            fields = [replace(one, findings=(*one.findings, asked_in_sections(sections, one.field))) for one in fields]
        self.result.answers.append(
            StageAnswer(
                stage=stage.name,
                fields=fields,
                question=Question.of(self.page, stage, key=samples[0].key),
                prompt_version=stage.prompt.settings.version,
                tokens=None if self.service.baseline else spent.usage.counts(),
                cost_usd=spent.cost_usd,
                asked=samples[-1].asked,
                run=self.result.run,
                noise=stage.noise,
            )
        )

    # Pages that do not fit into the model's context

    async def _ask_in_sections(self, samples: Sequence[Sample]) -> None:
        """Give each sample the answer that the sections' answers make together, or the reason why there is none."""
        for share in _SMALLER:
            for sample in samples:
                sample.spent = Tally()
            try:
                await self._merge_sections(samples, share)
                return
            except (AnswerError, ServiceError) as error:
                if error.final:
                    raise
                for sample in samples:
                    sample.fields, sample.closed = None, True
                    sample.refuse(error)
                if error.cause != "too-long":
                    return
        for sample in samples:
            context = self._context(sample.stage.model) or 0
            self._model.answers.put(sample.key, {"too_long": sample.error.detail, "context": context})
            self._model.client.forget(sample.key)

    async def _merge_sections(self, samples: Sequence[Sample], share: float) -> None:
        by_section = [sample for sample in samples if sample.stage.name in IN_SECTIONS]
        sections = split_page(self.page, self._section_room(self.page, by_section, share)) if by_section else []
        if sections:
            self.result.sections = len(sections)
        whole = [sample for sample in samples if sample not in by_section]
        condensed = [(condensed_page(self.page, self._section_room(self.page, [sample], share)), [sample]) for sample in whole]
        found = await self._each([*((section, by_section) for section in sections), *condensed])
        for sample, (answer,) in zip(whole, found[len(sections) :], strict=True):
            self._take(sample, answer.data, max(1, len(sections)))
        for place, sample in enumerate(by_section):
            answers = [own[place] for own in found[: len(sections)]]
            if sample.stage.name == "insights":
                data: Any = merged_insights([answer.fields or () for answer in answers])
            else:
                parts = list(zip(sections, (answer.data for answer in answers), strict=True))
                data = await self._summary(parts, sample, share, _MOST_LEVELS)
            self._take(sample, data, len(sections))

    def _take(self, sample: Sample, data: Any, sections: int) -> None:
        """Take what so many sections make together as the sample's answer."""
        sample.sections = sections
        sample.judge(data, self.index)
        self.store([sample], ())

    async def _each(self, asked: Sequence[tuple[Page, Sequence[Sample]]]) -> list[list[Sample]]:
        """The samples' answers about each of these parts of the page. All are asked about, also where some answers come later."""
        found, waits = [], None
        for part, samples in asked:
            try:
                found.append(await self._section(part, samples))
            except AnswerWaitsError as error:
                waits = error
        if waits is not None:
            raise waits
        return found

    def _section_room(self, page: Page, samples: Sequence[Sample], share: float) -> int:
        """The tokens of a section, of which `share` is used. Raises `AnswerError` if there are too few."""
        room = self._room(page, samples)
        # Without a room the page fits by the estimate, but a server has refused it.
        tokens = round((0.9 * estimate_tokens(page.body) if room is None else room) * share)
        if tokens < LEAST_ROOM:
            context = self._context(samples[0].stage.model)
            raise AnswerError("too-long", f"a context of {context} tokens has no room for the page beside the prompts and the answer")
        return tokens

    async def _summary(self, answers: Sequence[tuple[Page, Any]], sample: Sample, share: float, levels: int) -> Any:
        """The summary of the sections' summaries; of their summaries, if they do not fit either."""
        overview = summaries_page(self.page, answers)
        if self._room(overview, [sample]) is None:
            return (await self._section(overview, [sample]))[0].data
        if not levels:
            raise AnswerError("too-long", "the summaries of the page's sections do not fit into the model's context")
        sections = split_page(overview, self._section_room(overview, [sample], share))
        found = await self._each([(section, [sample]) for section in sections])
        return await self._summary([(part, own[0].data) for part, own in zip(sections, found, strict=True)], sample, share, levels - 1)

    async def _section(self, section: Page, samples: Sequence[Sample]) -> list[Sample]:
        """The samples' answers about one section, stored as questions of their own. Raises `AnswerError` if one is missing."""
        own = [Sample(sample.stage, sample.number, sample.stage.key(section, sample.number)) for sample in samples]
        for part in self._unanswered(own):
            await self._converse(section, part)
        for sample, answer in zip(samples, own, strict=True):
            sample.spent.add(answer.spent.usage, answer.spent.cost_usd)
            if answer.fields is None:
                raise answer.error
        return own


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


def asked_in_sections(sections: int, where: str) -> Finding:
    """The finding on a field whose page was not asked whole."""
    how = f"in {sections} sections" if sections > 1 else "in a condensed form"
    return Finding("sections", "soft", f"the page does not fit into the model's context: it was asked about {how}", where)
