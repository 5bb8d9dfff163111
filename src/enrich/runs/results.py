"""What a run did: the counts and lists of `run --json` and of the run's report (DESIGN.md section 4.2)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from enrich.llm.messages import Usage
from enrich.review.proposals import Proposal
from enrich.runs.asking import PageResult
from enrich.runs.spending import Spending, counts


@dataclass(frozen=True, slots=True)
class FailedQuestion:
    """A question that got no usable answer, or a page that could not be read (`stage` is "" then), and how to try again."""

    page: str
    stage: str
    cause: str
    detail: str

    @property
    def retry(self) -> str:
        page = shlex.quote(self.page)
        return f"enrich run {page} --stage {self.stage}" if self.stage else f"mend the page, then: enrich run {page}"

    def to_json(self) -> dict[str, Any]:
        return {"page": self.page, "stage": self.stage, "cause": self.cause, "detail": self.detail, "retry": self.retry}


@dataclass(slots=True)
class PageCost:
    """What one page took, for the report's lists of the slowest and the costliest pages."""

    page: str
    seconds: float
    cost_usd: float | None
    usage: Usage
    requests: int


@dataclass(slots=True)
class RunResult:
    """The outcome of one run. `asked`, `cached` and `unchanged` count (page, stage); `due` counts them before the run."""

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
    left_alone: dict[str, str] = field(default_factory=dict)  # page → why nothing of it was asked, for pages that are not simply current
    cut_short: set[str] = field(default_factory=set)  # pages that were begun when the run stopped: what has no answer is still due
    notes: list[str] = field(default_factory=list)
    spending: Spending = field(default_factory=Spending)
    changes: list[Proposal] = field(default_factory=list)  # what was applied: it leaves the proposals and stays here

    def add(self, result: PageResult) -> None:
        """Count one page's questions and what they took."""
        self.asked += len(result.asked)
        self.cached += len(result.cached)
        self.requests += result.spent.requests
        self.usage = self.usage + result.spent.usage
        if result.spent.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + result.spent.cost_usd
        self.spending.merge(result.spending)
        for answer in result.answers:
            if answer.stage in result.asked and (answer.stage, answer.question.model) in self.spending.by_stage:
                self.spending.of(answer.stage, answer.question.model).answers += 1
        self.failed.extend(FailedQuestion(result.page.id, item.stage, item.cause, item.detail) for item in result.failures)

    def in_page_order(self, order: Mapping[str, int]) -> None:
        """Sort all lists by the pages' places, so that they do not depend on who answered first."""
        last = len(order)
        self.changes.sort(key=lambda item: order.get(item.page, last))
        self.proposed.sort(key=lambda item: order.get(item[0], last))
        self.held.sort(key=lambda item: order.get(item[0], last))
        self.failed.sort(key=lambda item: order.get(item.page, last))

    def to_json(self) -> dict[str, Any]:
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
            "failed": [failure.to_json() for failure in self.failed],
            "skipped": self.skipped,
            "requests": self.requests,
            "tokens": counts(self.usage),
            "cost_usd": None if self.cost_usd is None else round(self.cost_usd, 6),
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "notes": list(self.notes),
        }
