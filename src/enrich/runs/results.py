"""The outcome of a run: the counts and lists of `run --json` and of the report (DESIGN.md section 4.2), and what was spent."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from enrich.llm.messages import Tally, Usage
from enrich.review.proposals import Proposal

if TYPE_CHECKING:
    from enrich.runs.ask import PageResult


@dataclass(frozen=True, slots=True)
class FailedQuestion:
    """A question without a usable answer, or a page that could not be read (`stage` is "" then). `cause` is a stable word."""

    page: str
    stage: str
    cause: str
    detail: str

    @property
    def retry(self) -> str:
        """The command that tries again."""
        page = shlex.quote(self.page)
        return f"enrich run {page} --stage {self.stage}" if self.stage else f"fix the page, then: enrich run {page}"


@dataclass(frozen=True, slots=True)
class PageCost:
    """What one page took, for the report's lists of the slowest and the costliest pages."""

    page: str
    seconds: float
    spent: Tally


@dataclass(slots=True)
class Spent:
    """What one stage took of one model: its answers, the requests that asked for it, its share of their tokens and cost."""

    stage: str
    model: str
    answers: int = 0
    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None

    def add(self, requests: int, usage: Usage, cost_usd: float | None) -> None:
        self.requests += requests
        self.usage += usage
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd

    def document(self) -> dict[str, Any]:
        cost = None if self.cost_usd is None else round(self.cost_usd, 6)
        head = {"stage": self.stage, "model": self.model, "answers": self.answers, "requests": self.requests}
        return {**head, "tokens": asdict(self.usage), "cost_usd": cost}


@dataclass(slots=True)
class Spending:
    """What was spent by (stage, model), failed attempts included."""

    by_stage: dict[tuple[str, str], Spent] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Spent]:
        return (self.by_stage[key] for key in sorted(self.by_stage))

    def of(self, stage: str, model: str) -> Spent:
        return self.by_stage.setdefault((stage, model), Spent(stage, model))

    def share_out(self, stages: Sequence[tuple[str, str]], tally: Tally) -> None:
        """Add one request with its retries: tokens and cost in equal shares to the (stage, model) pairs that it asked for."""
        cost = None if tally.cost_usd is None else tally.cost_usd / len(stages)
        for (stage, model), usage in zip(stages, shares(tally.usage, len(stages)), strict=True):
            self.of(stage, model).add(tally.requests, usage, cost)

    def merge(self, other: Spending) -> None:
        for spent in other:
            self.of(spent.stage, spent.model).add(spent.requests, spent.usage, spent.cost_usd)


def shares(usage: Usage, parts: int) -> list[Usage]:
    """`usage` in equal parts; the first one has the remainder too, so that the sum is exact."""
    even = Usage(*(count // parts for count in asdict(usage).values()))
    rest = Usage(*(count % parts for count in asdict(usage).values()))
    return [even + rest, *[even] * (parts - 1)]


@dataclass(slots=True)
class RunResult:
    """The outcome of one run. `asked`, `cached` and `unchanged` count (page, stage); `due` counts them before the run.

    `stopped` is why the run ended early and `do` what to do about it; `cut_short` are pages that were begun then. `left_alone` says per page why
    nothing of it was asked, if it is not simply current. `changes` are the proposals that were applied.
    """

    run: str
    backend: str
    due: int = 0
    exit: int = 0
    asked: int = 0
    cached: int = 0
    unchanged: int = 0
    proposed: list[tuple[str, str]] = field(default_factory=list)
    applied: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str, str]] = field(default_factory=list)
    failed: list[FailedQuestion] = field(default_factory=list)
    skipped: int = 0
    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    seconds: float = 0.0
    stopped: str = ""
    do: str = ""
    pages: list[PageCost] = field(default_factory=list)
    left_alone: dict[str, str] = field(default_factory=dict)
    cut_short: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    spending: Spending = field(default_factory=Spending)
    changes: list[Proposal] = field(default_factory=list)

    def add(self, result: PageResult, seconds: float) -> None:
        """Count one page's questions and what they took."""
        self.asked += len(result.asked)
        self.cached += len(result.cached)
        self.requests += result.spent.requests
        self.usage += result.spent.usage
        if result.spent.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + result.spent.cost_usd
        self.spending.merge(result.spending)
        for answer in result.answers:
            if answer.stage in result.asked and (spent := self.spending.by_stage.get((answer.stage, answer.question.model))):
                spent.answers += 1
        self.failed += result.failures
        self.pages.append(PageCost(result.page.id, seconds, result.spent))

    def end(self, exit_code: int, why: str, do: str = "") -> None:
        """Record why the run ends early; the first reason is kept."""
        if not self.stopped:
            self.stopped, self.do = why, do
        self.exit = self.exit or exit_code

    def in_page_order(self, order: Mapping[str, int]) -> None:
        """Sort all lists by the pages' positions, so that they do not depend on which answer came first."""
        last = len(order)
        self.changes.sort(key=lambda item: order.get(item.page, last))
        self.proposed.sort(key=lambda item: order.get(item[0], last))
        self.held.sort(key=lambda item: order.get(item[0], last))
        self.failed.sort(key=lambda item: order.get(item.page, last))

    def document(self) -> dict[str, Any]:
        """The document of `run --json`."""
        return {
            "run": self.run,
            "exit": self.exit,
            "due": self.due,
            "asked": self.asked,
            "cached": self.cached,
            "unchanged": self.unchanged,
            "proposed": [{"page": page, "field": name} for page, name in self.proposed],
            "applied": [{"page": page, "field": name} for page, name in self.applied],
            "held": [{"page": page, "field": name, "flag": flag} for page, name, flag in self.held],
            "failed": [{**asdict(failure), "retry": failure.retry} for failure in self.failed],
            "skipped": self.skipped,
            "requests": self.requests,
            "tokens": asdict(self.usage),
            "cost_usd": None if self.cost_usd is None else round(self.cost_usd, 6),
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "notes": list(self.notes),
        }
