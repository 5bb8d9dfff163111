"""An evaluation as one HTML file that needs nothing else: no network, no script, light and dark, from a phone's width upwards.

Names and notices are not trusted: they go through autoescaping and into text only, and a policy in the file forbids everything but its style sheet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enrich import html
from enrich.evaluation.answer_sets import AnswerSet
from enrich.evaluation.drift import LEAST_SHIFT, Shift
from enrich.evaluation.evaluating import Evaluation
from enrich.evaluation.plots import Scored, distribution, interval, reliability, scatter, scored_fields
from enrich.evaluation.report_text import HEADINGS, figure, shift_text, what
from enrich.text import printable
from enrich.wiki.data import SCORES

if TYPE_CHECKING:
    from markupsafe import Markup

STAGE_NAMES = {"summary": "Summaries", "insights": "Insights", "ratings": "Ratings"}
# A pair or two make no picture.
_LEAST_PAIRS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """The plots of one scored field; None where there is too little to draw."""

    name: str
    spread: Markup
    pairs: Markup | None
    relied: Markup | None
    items: int


def report_html(evaluation: Evaluation) -> str:
    """The evaluation as a complete HTML document."""
    drift = evaluation.drift
    return html.render(
        "evaluation.html.j2",
        styles=("evaluation.css",),
        evaluation=evaluation,
        drift=drift,
        groups=_groups(evaluation),
        headings=HEADINGS,
        figure=figure,
        what=what,
        shift_text=shift_text,
        strip=_strip,
        golden_figures=list(_figures(evaluation.answers, evaluation.golden, "golden", evaluation.typical)),
        against_figures=list(_figures(evaluation.answers, evaluation.against, "before", evaluation.typical)) if evaluation.against else [],
        counts={word: sum(one == word for one in evaluation.versus.values()) for word in ("better", "worse", "same")},
        scores=SCORES,
        text=printable,
    )


def _strip(shift: Shift) -> Markup:
    """The shift on an axis of ten times the least one that matters, longer where it must be."""
    ends = [abs(bound) for bound in (shift.shift, shift.low, shift.high) if bound is not None]
    return interval(shift.shift, shift.low, shift.high, max([10 * LEAST_SHIFT[shift.kind], *ends]))


def _groups(evaluation: Evaluation) -> list[tuple[str, list[str]]]:
    """The metrics' names by stage, in order."""
    names = evaluation.names
    return [(title, found) for stage, title in STAGE_NAMES.items() if (found := [name for name in names if name.startswith(f"{stage}.")])]


def _figures(answers: AnswerSet, other: AnswerSet, label: str, typical: tuple[float, float]) -> Iterator[Figure]:
    labels = ("answers", label)
    for field in scored_fields(answers, other):
        enough = len(field.pairs) >= _LEAST_PAIRS
        yield Figure(
            field.name,
            distribution(field, labels, None if field.name in SCORES else typical),
            scatter(field, labels) if enough else None,
            reliability(field, labels) if enough and label == "golden" else None,
            len(field.pairs),
        )


__all__ = ["Scored", "report_html"]
