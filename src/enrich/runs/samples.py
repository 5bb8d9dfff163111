"""One sample of a stage's question about a page: its best valid answer so far, and what is wrong with the last one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import AnswerError, ServiceError
from enrich.grounding import PageIndex
from enrich.llm.messages import Tally, Usage
from enrich.stages.fields import FieldAnswer
from enrich.stages.measured_scores import DECISIONS
from enrich.stages.stage import Stage

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
