"""What a set of proposals amounts to: how many fields of what kind, how ratings moved, what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from enrich.grounding import Finding
from enrich.review.proposals import NEEDS_LOOK, OVER_HUMAN, STALE
from enrich.review.views import PageView
from enrich.stages.answers import QUALITY

# Upper edges of the bins of rating moves, in points of the 0 to 10 scale; a step of a half point is where a reader sees a difference.
_EDGES = (-2.0, -1.0, -0.5, -0.05, 0.05, 0.5, 1.0, 2.0)
MOVE_BINS = ("−2 or more", "−2 to −1", "−1 to −0.5", "down to −0.5", "0", "up to +0.5", "+0.5 to +1", "+1 to +2", "+2 or more")


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over pages and fields. `moves` has one count for each of `MOVE_BINS`; `first` counts ratings that had no value before."""

    pages: int
    fields: int
    flags: dict[str, int]
    states: dict[str, int]
    stages: dict[str, int]
    findings: dict[str, int]
    moves: tuple[int, ...]
    first: int
    cost_usd: float | None
    models: tuple[str, ...]

    @property
    def needs_look(self) -> int:
        return self.flags.get(NEEDS_LOOK, 0)

    @property
    def over_human(self) -> int:
        return self.flags.get(OVER_HUMAN, 0)

    @property
    def stale(self) -> int:
        return self.flags.get(STALE, 0)


def totals(views: Sequence[PageView]) -> Totals:
    """The sums over these pages."""
    fields = [field for view in views for field in view.fields]
    flags: Counter[str] = Counter(flag for field in fields for flag in field.flags)
    found: Counter[str] = Counter(finding_name(finding) for field in fields for finding in field.change.findings)
    moves = [0] * len(MOVE_BINS)
    for field in fields:
        if field.move is not None and field.name != QUALITY:
            moves[bin_of(field.move)] += 1
    # A stage's answer is paid once, however many fields it gives.
    costs = {(field.change.question.key, view.page, field.change.stage): field.change.cost_usd for view in views for field in view.fields}
    priced = [cost for cost in costs.values() if cost is not None]
    return Totals(
        pages=len(views),
        fields=len(fields),
        flags=dict(flags),
        states=dict(Counter(field.change.state for field in fields)),
        stages=dict(Counter(field.change.stage for field in fields)),
        findings=dict(found.most_common()),
        moves=tuple(moves),
        first=sum(field.kind == "rating" and field.change.old is None for field in fields),
        cost_usd=sum(priced) if priced else None,
        models=tuple(sorted({field.change.question.model for field in fields})),
    )


def finding_name(finding: Finding) -> str:
    """`hard number`, `soft quote`: severity and kind, as findings are counted and filtered by."""
    return f"{finding.severity} {finding.kind}"


def bin_of(move: float) -> int:
    """The place in `MOVE_BINS` of a rating's move."""
    for place, edge in enumerate(_EDGES):
        if move <= edge if edge < 0 else move < edge:
            return place
    return len(_EDGES)
