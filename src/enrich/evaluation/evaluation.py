"""One evaluation: a set of answers measured alone, against golden data, against the offline baseline and against another set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from enrich.config import STAGES
from enrich.evaluation.answers import AnswerSet, baseline_answers
from enrich.evaluation.drift import Drift, compare
from enrich.evaluation.metrics import Floor, Metrics, PageTexts, metric_kind, metrics
from enrich.evaluation.statistics import DRAWS, Estimate, Resampling, difference, mean
from enrich.review.proposals import Decided
from enrich.wiki.pages import Page

Role = Literal["answers", "baseline", "golden", "against"]
Comparison = Literal["better", "worse", "same"]

_ESTIMATE_KEYS = ("value", "low", "high", "items", "pages")
_SHIFT_KEYS = ("field", "verdict", "reason", "before", "after", "shift", "low", "high", "chance", "least_shift", "basis", "items", "pages")


@dataclass(frozen=True, slots=True)
class Row:
    """The metrics of one set. `role`: why it is in the table."""

    role: Role
    name: str
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of `enrich eval`.

    `counts`: pages with an answer by stage. `versus`: how the answers compare with the baseline, by metric; "same" if the interval of the
    difference contains zero.
    """

    answers: AnswerSet
    golden: AnswerSet
    against: AnswerSet | None
    baseline: AnswerSet | None
    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    versus: Mapping[str, Comparison]
    floors: tuple[Floor, ...]
    drift: Drift | None
    typical: tuple[float, float]
    notices: tuple[str, ...] = ()
    decisions: tuple[Decided, ...] = ()

    @property
    def missed(self) -> tuple[Floor, ...]:
        """The floors that were not reached."""
        return tuple(floor for floor in self.floors if not floor.held)

    @property
    def drifted(self) -> bool:
        return self.drift is not None and bool(self.drift.called)

    @property
    def names(self) -> list[str]:
        """All metrics that some row has, in the order of tables: one that the first row lacks is at its position in its own row."""
        found: list[str] = []
        for row in self.rows:
            at = 0
            for name in row.metrics:
                if name not in found:
                    found.insert(at, name)
                at = found.index(name) + 1
        return found


def evaluate(
    answers: AnswerSet,
    golden: AnswerSet,
    pages: Iterable[Page],
    *,
    against: AnswerSet | None = None,
    floors: Sequence[Floor] = (),
    typical: tuple[float, float] = (3.0, 5.0),
    decisions: Sequence[Decided] = (),
    with_baseline: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> Evaluation:
    """Measure `answers` on `pages`; answers about other pages are left out. The same input and seed give the same values.

    All rows are about the same questions: the stages that `answers` answers, on the pages where it does. `typical`: the range of ratings
    that the prompt states as typical. `decisions`: what reviewers decided. `with_baseline`: False if the answers are the baseline's own.
    """
    known = {page.id: page for page in pages}
    answers = answers.restricted(dict.fromkeys(known, STAGES))
    golden = _on_same_questions(golden, answers)
    asked = answers.asked
    texts = {page: PageTexts(known[page]) for page in (*asked, *(against.pages if against else ())) if page in known}
    resampling = {stage: Resampling([one.page for one in answers.with_stage(stage)], draws=draws, seed=seed) for stage in STAGES}
    sets: list[tuple[Role, AnswerSet]] = [("answers", answers)]
    baseline = None
    if with_baseline:
        dimensions = dict.fromkeys(name for one in answers.pages.values() for name in one.ratings)
        baseline = _on_same_questions(baseline_answers((known[page] for page in asked), asked, dimensions), answers)
        sets.append(("baseline", baseline))
    if against is not None:
        against = against.restricted(dict.fromkeys(known, STAGES))
        sets.append(("against", _on_same_questions(against, answers)))
    if golden.pages:
        sets.append(("golden", golden))
    rows = [Row(role, one.name, metrics(one, None if role == "golden" else golden, texts, typical, resampling)) for role, one in sets]
    reached = rows[0].metrics
    return Evaluation(
        answers,
        golden,
        against,
        baseline,
        tuple(rows),
        {stage: len(answers.with_stage(stage)) for stage in STAGES},
        _versus(reached, rows[1].metrics) if baseline is not None else {},
        tuple(replace(floor, value=reached[floor.metric].value if floor.metric in reached else None) for floor in floors),
        compare(against, answers, texts, seed=seed) if against is not None else None,
        typical,
        (*answers.notices, *golden.notices, *(against.notices if against else ())),
        tuple(one for one in decisions if one.accepted or one.rejected),
    )


def _on_same_questions(other: AnswerSet, answers: AnswerSet) -> AnswerSet:
    """What `other` says to the questions that `answers` answers: the same stages of the same pages, the same dimensions."""
    kept = other.restricted(answers.asked)
    pages = {
        page: given.model_copy(
            update={"ratings": {name: score for name, score in given.ratings.items() if name in answers.pages[page].ratings}}
        )
        for page, given in kept.pages.items()
    }
    return replace(kept, pages=pages)


def _versus(ours: Metrics, theirs: Metrics) -> dict[str, Comparison]:
    found: dict[str, Comparison] = {}
    for name, one in ours.items():
        kind = metric_kind(name)
        if name not in theirs or kind is None or kind.better == "none":
            continue
        pair = (one, theirs[name])
        if kind.better == "zero":
            # The interval of the difference in distance from zero.
            pair = (replace(pair[0], draws=abs(pair[0].draws)), replace(pair[1], draws=abs(pair[1].draws)))
        bounds = difference(*pair)
        if bounds is not None:
            low, high = bounds if kind.better == "higher" else (-bounds[1], -bounds[0])
            found[name] = "better" if low > 0 else "worse" if high < 0 else "same"
    return found


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The document of `enrich eval --json`; keys may be added, not renamed."""
    drift = evaluation.drift
    document = {
        "answers": evaluation.answers.name,
        "golden": evaluation.golden.name,
        "against": evaluation.against.name if evaluation.against else None,
        "pages": dict(evaluation.counts),
        "metrics": {name: _metric(name, evaluation) for name in evaluation.names},
        "floors": [{**_parts(one, "metric"), "floor": one.text, **_parts(one, "value", "held")} for one in evaluation.floors],
        "drift": drift
        and {
            **_parts(drift, "before", "after"),
            "called": [shift.field for shift in drift.called],
            "fields": [_parts(shift, *_SHIFT_KEYS) for shift in drift.shifts],
        },
        "decisions": [_decided(one) for one in evaluation.decisions],
        "notices": list(evaluation.notices),
    }
    rounded: dict[str, Any] = _rounded(document)
    return rounded


def _parts(one: object, *keys: str) -> dict[str, Any]:
    return {key: getattr(one, key) for key in keys}


def edit_distance(decided: Decided) -> Estimate:
    """The mean distance of the edits with its interval."""
    rows = [(str(place), distance) for place, distance in enumerate(decided.distances)]
    return Resampling([place for place, _ in rows]).estimate(mean, rows)


def _decided(one: Decided) -> dict[str, Any]:
    low, high = one.interval
    return {
        **_parts(one, "field", "model", "prompt", "accepted", "edited", "rejected"),
        "share": {"value": one.share, "low": low, "high": high},
        "distance": _parts(edit_distance(one), "value", "low", "high"),
        "reasons": dict(one.reasons),
    }


def _metric(name: str, evaluation: Evaluation) -> dict[str, Any]:
    kind = metric_kind(name)
    return {
        **{row.role: _parts(row.metrics[name], *_ESTIMATE_KEYS) for row in evaluation.rows if name in row.metrics},
        **({"better": kind.better} if kind else {}),
        **({"versus_baseline": evaluation.versus[name]} if name in evaluation.versus else {}),
    }


def _rounded(value: Any) -> Any:
    """The document with six decimals per number."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 6) + 0.0 if isinstance(value, float) else value  # + 0.0: never "-0.0"
