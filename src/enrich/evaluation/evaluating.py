"""One evaluation: a set of answers measured alone, against golden data, against the offline baseline and against another set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from enrich.config import STAGES
from enrich.evaluation.answer_sets import AnswerSet
from enrich.evaluation.baseline import baseline_answers
from enrich.evaluation.catalogue import kind
from enrich.evaluation.drift import LEAST_SHIFT, Drift, Shift, compare
from enrich.evaluation.floors import Floor, Judged, judge
from enrich.evaluation.metrics import Metrics, metrics
from enrich.evaluation.statistics import DRAWS, Estimate, Resampling, difference
from enrich.evaluation.texts import PageTexts
from enrich.wiki.pages import Page

Role = Literal["answers", "baseline", "golden", "against"]
Standing = Literal["better", "worse", "same"]


@dataclass(frozen=True, slots=True)
class Row:
    """One set's figures. `role`: why it is in the table."""

    role: Role
    name: str
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `enrich eval` shows. `counts`: pages with an answer by stage. `versus`: by metric, how the answers stand to the baseline, where
    the interval of the difference leaves no doubt ("same": it does)."""

    answers: AnswerSet
    golden: AnswerSet
    against: AnswerSet | None
    baseline: AnswerSet | None
    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    versus: Mapping[str, Standing]
    floors: tuple[Judged, ...]
    drift: Drift | None
    typical: tuple[float, float]
    notices: tuple[str, ...] = ()

    @property
    def missed(self) -> tuple[Judged, ...]:
        """The floors that were not reached."""
        return tuple(floor for floor in self.floors if not floor.held)

    @property
    def drifted(self) -> bool:
        return self.drift is not None and bool(self.drift.called)

    @property
    def names(self) -> list[str]:
        """All metrics that some row has, in the order of tables: one that the first row lacks stands where its own row has it."""
        found: list[str] = []
        for row in self.rows:
            at = 0
            for name in row.metrics:
                if name in found:
                    at = found.index(name) + 1
                else:
                    found.insert(at, name)
                    at += 1
        return found


def evaluate(
    answers: AnswerSet,
    golden: AnswerSet,
    pages: Iterable[Page],
    *,
    against: AnswerSet | None = None,
    floors: Sequence[Floor] = (),
    typical: tuple[float, float] = (3.0, 5.0),
    with_baseline: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> Evaluation:
    """Measure `answers`; answers about other pages than `pages` are left out. The same input and seed give the same figures.

    All rows are about the same questions: the stages that `answers` answers, on the pages where it does. `typical`: the range of ratings
    that the prompt states as typical. `with_baseline`: False where the answers are the baseline's own.
    """
    known = {page.id: page for page in pages}
    answers = answers.restricted(dict.fromkeys(known, STAGES))
    asked = answers.asked
    golden = _alike(golden, answers)
    texts = {page: PageTexts(known[page]) for page in (*asked, *(against.pages if against else ())) if page in known}
    draws_of = {stage: Resampling([one.page for one in answers.with_stage(stage)], draws=draws, seed=seed) for stage in STAGES}
    rows = [Row("answers", answers.name, metrics(answers, golden, texts, typical, draws_of))]
    baseline = None
    if with_baseline:
        dimensions = dict.fromkeys(name for one in answers.pages.values() for name in one.ratings)
        baseline = _alike(baseline_answers((known[page] for page in asked), asked, dimensions), answers)
        rows.append(Row("baseline", baseline.name, metrics(baseline, golden, texts, typical, draws_of)))
    if against is not None:
        against = against.restricted(dict.fromkeys(known, STAGES))
        rows.append(Row("against", against.name, metrics(_alike(against, answers), golden, texts, typical, draws_of)))
    if golden.pages:
        rows.append(Row("golden", golden.name, metrics(golden, None, texts, typical, draws_of)))
    return Evaluation(
        answers,
        golden,
        against,
        baseline,
        tuple(rows),
        {stage: len(answers.with_stage(stage)) for stage in STAGES},
        _versus(rows[0].metrics, rows[1].metrics) if baseline is not None else {},
        tuple(judge(floors, rows[0].metrics)),
        compare(against, answers, texts, seed=seed) if against is not None else None,
        typical,
        (*answers.notices, *golden.notices, *(against.notices if against else ())),
    )


def _alike(other: AnswerSet, answers: AnswerSet) -> AnswerSet:
    """What `other` says to the questions that `answers` answers: the same stages of the same pages, the same dimensions."""
    kept = other.restricted(answers.asked)
    pages = {
        page: replace(given, ratings={name: score for name, score in given.ratings.items() if name in answers.pages[page].ratings})
        for page, given in kept.pages.items()
    }
    return replace(kept, pages=pages)


def _versus(ours: Metrics, theirs: Metrics) -> dict[str, Standing]:
    standings: dict[str, Standing] = {}
    for name, one in ours.items():
        found = kind(name)
        if name not in theirs or found is None or found.better == "none":
            continue
        bounds = _distance(one, theirs[name]) if found.better == "zero" else difference(one, theirs[name])
        if bounds is None:
            continue
        low, high = bounds if found.better == "higher" else (-bounds[1], -bounds[0])
        standings[name] = "better" if low > 0 else "worse" if high < 0 else "same"
    return standings


def _distance(one: Estimate, other: Estimate) -> tuple[float, float] | None:
    """The interval of the difference in distance from nought."""
    return difference(replace(one, draws=abs(one.draws)), replace(other, draws=abs(other.draws)))


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The document of `enrich eval --json`; keys may be added, not renamed."""
    rows = {row.role: row for row in evaluation.rows}
    return {
        "answers": evaluation.answers.name,
        "golden": evaluation.golden.name,
        "against": evaluation.against.name if evaluation.against else None,
        "pages": dict(evaluation.counts),
        "metrics": {
            name: {
                **{role: _estimate(row.metrics[name]) for role, row in rows.items() if name in row.metrics},
                **({"better": found.better} if (found := kind(name)) else {}),
                **({"versus_baseline": evaluation.versus[name]} if name in evaluation.versus else {}),
            }
            for name in evaluation.names
        },
        "floors": [
            {"metric": one.floor.metric, "floor": one.floor.text, "value": _rounded(one.value), "held": one.held}
            for one in evaluation.floors
        ],
        "drift": _drift(evaluation.drift) if evaluation.drift else None,
        "notices": list(evaluation.notices),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    figures = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {**{key: _rounded(value) for key, value in figures.items()}, "items": estimate.items, "pages": estimate.pages}


def _drift(drift: Drift) -> dict[str, Any]:
    return {
        "before": drift.before,
        "after": drift.after,
        "called": [shift.field for shift in drift.called],
        "fields": [_field(shift) for shift in drift.shifts],
    }


def _field(shift: Shift) -> dict[str, Any]:
    return {
        "field": shift.field,
        "verdict": shift.verdict,
        "reason": shift.reason,
        "before": _rounded(shift.before),
        "after": _rounded(shift.after),
        "shift": _rounded(shift.shift),
        "low": _rounded(shift.low),
        "high": _rounded(shift.high),
        "chance": _rounded(shift.chance),
        "least_shift": LEAST_SHIFT[shift.kind],
        "basis": shift.basis,
        "items": shift.items,
        "pages": shift.pages,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6) + 0.0
