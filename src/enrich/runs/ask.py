"""Questions about one page: from the answer cache, or in one request a page, or about the sections of a page that does not fit.

Answers are validated, verified and asked for again where needed (DESIGN.md sections 3.3 to 3.5). A page's failure is part of the result. Each section
is a question of its own in the cache: a page that was interrupted continues where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import AnswerError, ServiceError
from enrich.grounding import Finding, PageIndex
from enrich.llm.messages import AnswerWaitsError, Attempts, Reply, Request, Tally, Usage
from enrich.llm.tokens import estimate_tokens, input_tokens
from enrich.review.lock import Question
from enrich.review.propose import StageAnswer
from enrich.runs.results import FailedQuestion, Spending, shared
from enrich.runs.service import Service, body_room
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


@dataclass(slots=True)
class SectionAsker:
    """Asks about the sections of one page. `index` is the whole page's, so that evidence is located on it."""

    asker: Asker
    page: Page
    index: PageIndex
    result: PageResult
    share: float = 1.0

    async def ask(self, samples: Sequence[Sample]) -> None:
        """Give each sample the answer that the sections' answers make together, or the reason why there is none."""
        for self.share in _SMALLER:
            for sample in samples:
                sample.spent = Tally()
            try:
                await self._answer(samples)
                return
            except (AnswerError, ServiceError) as error:
                if isinstance(error, ServiceError) and error.final:
                    raise
                for sample in samples:
                    sample.fields, sample.closed = None, True
                    sample.refuse(error if isinstance(error, AnswerError) else AnswerError(error.cause, error.detail))
                if error.cause != "too-long":
                    return
        if (answers := self.asker.service.answers) is not None:
            for sample in samples:
                answers.put(sample.key, {"too_long": sample.error.detail, "context": self.asker.context(sample.stage.model) or 0})
                if self.asker.service.client is not None:
                    self.asker.service.client.forget(sample.key)

    async def _answer(self, samples: Sequence[Sample]) -> None:
        by_section = [sample for sample in samples if sample.stage.name in IN_SECTIONS]
        sections = split_page(self.page, self._room(self.page, by_section)) if by_section else []
        if sections:
            self.result.sections = len(sections)
        whole = [sample for sample in samples if sample not in by_section]
        condensed = [(condensed_page(self.page, self._room(self.page, [sample])), [sample]) for sample in whole]
        found = await self._each([*((section, by_section) for section in sections), *condensed])
        parts, alone = list(zip(sections, found, strict=False)), found[len(sections) :]
        for sample in samples:
            if sample not in by_section:
                data = alone[whole.index(sample)][0].data
            else:
                answers = [(section, own[by_section.index(sample)]) for section, own in parts]
                if sample.stage.name == "insights":
                    data = merged_insights([answer.fields or () for _, answer in answers])
                else:
                    data = await self._summary([(section, answer.data) for section, answer in answers], sample, _MOST_LEVELS)
            sample.sections = max(1, len(parts))
            sample.judge(data, self.index)
            self.asker.store([sample], ())

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

    def _room(self, page: Page, samples: Sequence[Sample]) -> int:
        """The tokens of a section. Raises `AnswerError` if there are too few."""
        room = self.asker.room(page, samples)
        # Without a room the page fits by the estimate, but a server has refused it.
        tokens = round((0.9 * estimate_tokens(page.body) if room is None else room) * self.share)
        if tokens < LEAST_ROOM:
            context = self.asker.context(samples[0].stage.model)
            raise AnswerError("too-long", f"a context of {context} tokens has no room for the page beside the prompts and the answer")
        return tokens

    async def _summary(self, answers: Sequence[tuple[Page, Any]], sample: Sample, levels: int) -> Any:
        """The summary of the sections' summaries; of their summaries, if they do not fit either."""
        overview = summaries_page(self.page, answers)
        if self.asker.room(overview, [sample]) is None:
            return (await self._section(overview, [sample]))[0].data
        if not levels:
            raise AnswerError("too-long", "the summaries of the page's sections do not fit into the model's context")
        sections = split_page(overview, self._room(overview, [sample]))
        found = await self._each([(section, [sample]) for section in sections])
        return await self._summary([(section, own[0].data) for section, own in zip(sections, found, strict=True)], sample, levels - 1)

    async def _section(self, section: Page, samples: Sequence[Sample]) -> list[Sample]:
        """The samples' answers about one section, stored as questions of their own. Raises `AnswerError` if one is missing."""
        own = [sample.about(section) for sample in samples]
        for part in self.asker.unanswered(own, self.index):
            await self.asker.converse(section, self.index, part, self.result)
        for sample, answer in zip(samples, own, strict=True):
            sample.spent.add(answer.spent.usage, answer.spent.cost_usd)
            if answer.fields is None:
                raise answer.error
        return own


def asked_in_sections(sections: int, where: str) -> Finding:
    """The finding on a field whose page was not asked whole."""
    how = f"in {sections} sections" if sections > 1 else "in a condensed form"
    return Finding("sections", "soft", f"the page does not fit into the model's context: it was asked about {how}", where)
