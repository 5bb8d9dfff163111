"""One page's requests that share their leading messages: the first for all open questions, then only for what was wrong.

Says what to send next and reads what came back; sending and keeping are the caller's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from enrich.errors import AnswerError, ServiceError
from enrich.grounding import PageIndex
from enrich.llm.messages import Reply, Request, Usage
from enrich.runs.spending import counts, shares, usage_of
from enrich.stages.catalogue import Stage
from enrich.stages.fields import FieldAnswer
from enrich.stages.fusing import again_request, fused_request
from enrich.stages.reading import parse_answer
from enrich.wiki.pages import Page

# An invalid part is asked for again at most twice, an unsupported one once (DESIGN.md sections 3.4 and 3.5).
INVALID_AGAIN = 2
UNSUPPORTED_AGAIN = 1


@dataclass(frozen=True, eq=False)
class Question:
    """One sample of one stage's question about one page. Compared by identity: a page's asking makes each once."""

    stage: Stage
    sample: int
    key: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A schema-valid answer: its data as it is kept, judged, with what it took over all its requests."""

    data: Any
    fields: Sequence[FieldAnswer]
    usage: Usage
    cost_usd: float | None
    asked: str
    cached: bool = False

    @property
    def hard(self) -> list[str]:
        return [f"{finding.where}: {finding.message}" for answer in self.fields for finding in answer.hard]

    def entry(self, model: str, *, again: bool) -> dict[str, Any]:
        """What is kept of it. `again`: a re-ask is still to come, so that a run that is cut off before it goes on there."""
        kept = {"answer": self.data, "usage": counts(self.usage), "cost_usd": self.cost_usd, "model": model, "asked": self.asked}
        return {**kept, "again": True} if again else kept

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any], fields: Sequence[FieldAnswer]) -> Self:
        cost = entry.get("cost_usd")
        return cls(
            entry["answer"],
            fields,
            usage_of(entry.get("usage")),
            float(cost) if isinstance(cost, int | float) else None,
            str(entry.get("asked", "")),
            cached=True,
        )


@dataclass(slots=True)
class _Part:
    """One question's part: its best valid answer so far, what is wrong with the last one, and how often it was asked for again."""

    best: Answered | None = None
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    problems: list[str] = field(default_factory=list)
    error: AnswerError | ServiceError = field(default_factory=lambda: AnswerError("invalid"))
    invalid: int = 0
    unsupported: int = 0

    def spend(self, usage: Usage, cost: float | None) -> None:
        self.usage = self.usage + usage
        if cost is not None:
            self.cost = (self.cost or 0.0) + cost

    def take(self, stage: Stage, data: Any, index: PageIndex) -> None:
        """Judge one answer; keep it if it is valid and no worse supported than the one before."""
        try:
            judged = Answered(data, stage.judge(data, index), Usage(), None, "")
        except AnswerError as error:
            self.refuse(error)
            return
        if self.best is None or len(judged.hard) <= len(self.best.hard):
            self.best = judged
        self.problems = judged.hard

    def refuse(self, error: AnswerError) -> None:
        self.problems, self.error = [error.detail], error

    def wants_again(self) -> bool:
        """Whether to ask for this part once more; counts the asking."""
        if not self.problems:
            return False
        if self.best is None:
            self.invalid += 1
            return self.invalid <= INVALID_AGAIN
        # A re-ask for support that came back invalid has used up its turn as well.
        self.unsupported += 1
        return self.unsupported <= UNSUPPORTED_AGAIN


class Conversation:
    """`request` is what to send next (None: nothing), `open` the questions it asks, `failures` those that got no valid answer."""

    def __init__(self, page: Page, index: PageIndex, questions: Sequence[Question]) -> None:
        self._page, self._index = page, index
        self._parts = {question: _Part() for question in questions}
        self._first = fused_request(page, [question.stage for question in questions])
        self.request: Request | None = self._first
        self.open: list[Question] = list(questions)
        self.failures: dict[Question, AnswerError | ServiceError] = {}

    @classmethod
    def taken_up(cls, page: Page, index: PageIndex, entries: Mapping[Question, Mapping[str, Any]]) -> Self:
        """The conversation of an earlier run that was cut off before it asked again, at that place. `entries` are what the cache holds."""
        self = cls(page, index, list(entries))
        for question, entry in entries.items():
            part = self._parts[question]
            part.take(question.stage, entry["answer"], index)
            before = Answered.from_entry(entry, ())
            part.spend(before.usage, before.cost_usd)
        answer = {question.stage.name: entry["answer"] for question, entry in entries.items()}
        self._go_on(json.dumps(answer, ensure_ascii=False))
        return self

    def take(self, reply: Reply) -> list[Question]:
        """Read a reply to `request`; gives the questions it was about, and moves on to what is to be asked again."""
        asked = self.open
        for question, usage in zip(asked, shares(reply.usage, len(asked)), strict=True):
            self._parts[question].spend(usage, None if reply.cost_usd is None else reply.cost_usd / len(asked))
        try:
            data = parse_answer(reply.text)
        except AnswerError as error:
            for question in asked:
                self._parts[question].refuse(error)
        else:
            for question in asked:
                name = question.stage.name
                if name in data:
                    self._parts[question].take(question.stage, data[name], self._index)
                else:
                    self._parts[question].refuse(AnswerError("invalid", f"the part `{name}` is missing"))
        self._go_on(reply.text)
        return asked

    def give_up(self, error: AnswerError | ServiceError) -> list[Question]:
        """The last request failed: what has a valid answer keeps it, the rest fails with `error`. Gives the questions it was about."""
        asked, self.open, self.request = self.open, [], None
        self._close(asked, error)
        return asked

    def answer(self, question: Question, asked: str) -> Answered | None:
        """The best valid answer so far, with what it took; None where there is none."""
        part = self._parts[question]
        return None if part.best is None else replace(part.best, usage=part.usage, cost_usd=part.cost, asked=asked)

    def _go_on(self, answer: str) -> None:
        again = [question for question in self.open if self._parts[question].wants_again()]
        self._close([question for question in self.open if question not in again], None)
        self.open = again
        if again:
            problems = {question.stage.name: self._parts[question].problems for question in again}
            self.request = again_request(self._page, self._first, answer, [question.stage for question in again], problems)
        else:
            self.request = None

    def _close(self, questions: Iterable[Question], error: AnswerError | ServiceError | None) -> None:
        for question in questions:
            part = self._parts[question]
            if part.best is None:
                self.failures[question] = error or part.error
