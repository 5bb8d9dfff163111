"""What was spent, by stage and model: every attempt counts, the failed ones too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enrich.llm.messages import Tally, Usage


@dataclass(slots=True)
class Spent:
    """What one stage took of one model: answers that came of it, requests it took part in, its share of their tokens and cost."""

    stage: str
    model: str
    answers: int = 0
    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None

    @property
    def tokens(self) -> dict[str, int]:
        return counts(self.usage)

    def add(self, requests: int, usage: Usage, cost_usd: float | None) -> None:
        self.requests += requests
        self.usage = self.usage + usage
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd

    def to_json(self) -> dict[str, Any]:
        cost = None if self.cost_usd is None else round(self.cost_usd, 6)
        head = {"stage": self.stage, "model": self.model, "answers": self.answers, "requests": self.requests}
        return {**head, "tokens": self.tokens, "cost_usd": cost}


@dataclass(slots=True)
class Spending:
    """What was spent by (stage, model). Tokens and cost of a request about several stages are shared out evenly over them."""

    by_stage: dict[tuple[str, str], Spent] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Spent]:
        return (self.by_stage[key] for key in sorted(self.by_stage))

    def of(self, stage: str, model: str) -> Spent:
        return self.by_stage.setdefault((stage, model), Spent(stage, model))

    def add(self, stages: Sequence[tuple[str, str]], tally: Tally) -> None:
        """Share out what one request and its retries took over the (stage, model) pairs it asked for."""
        for (stage, model), usage in zip(stages, shares(tally.usage, len(stages)), strict=True):
            self.of(stage, model).add(tally.requests, usage, None if tally.cost_usd is None else tally.cost_usd / len(stages))

    def merge(self, other: Spending) -> None:
        for spent in other:
            self.of(spent.stage, spent.model).add(spent.requests, spent.usage, spent.cost_usd)

    def to_json(self) -> list[dict[str, Any]]:
        """One entry per stage and model."""
        return [spent.to_json() for spent in self]


def counts(usage: Usage) -> dict[str, int]:
    """Usage under the names of `run --json`."""
    return {"input": usage.input, "cached_input": usage.cached_input, "cache_write": usage.cache_write, "output": usage.output}


def usage_of(stored: object) -> Usage:
    """Usage from those names; what is missing or no number counts as 0."""
    given: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
    numbers = (given.get(name) for name in ("input", "cached_input", "cache_write", "output"))
    return Usage(*(number if isinstance(number, int) and not isinstance(number, bool) else 0 for number in numbers))


def shares(usage: Usage, parts: int) -> list[Usage]:
    """Tokens shared out evenly; the first part gets what does not divide, so that the sum stays."""
    amounts = (usage.input, usage.cached_input, usage.cache_write, usage.output)
    even = Usage(*(count // parts for count in amounts))
    rest = Usage(*(count % parts for count in amounts))
    return [even + rest, *[even] * (parts - 1)]
