"""The metrics of one set of answers, alone and against golden ones, each with its bootstrap interval by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np

from enrich.evaluation.answers import AnswerSet, ScoredInsight
from enrich.evaluation.statistics import (
    Estimate,
    Floats,
    Resampling,
    Statistic,
    absolute_error,
    bias,
    deviation,
    mean,
    median,
    mix_distance,
    quadratic_kappa,
    spearman,
)
from enrich.evaluation.texts import PageTexts, insight_pairs, overlap, repeated, words_in_order
from enrich.wiki import yaml12
from enrich.wiki.data import SCORES, TYPES

Metrics = dict[str, Estimate]
Texts = Mapping[str, PageTexts]
Row = tuple[Any, ...]  # (page, value, …)
Named = Iterator[tuple[str, Statistic, Sequence[Row]]]


@dataclass(frozen=True, slots=True)
class MetricKind:
    """How the values of a metric are shown, which way is better, and what it measures (see `metrics.yaml`)."""

    form: Literal["share", "points", "count"]
    better: Literal["higher", "lower", "zero", "none"]
    description: str


@cache
def metric_kinds() -> dict[str, MetricKind]:
    """All kinds by name, with `<score>`, `<type>` and `<dimension>` for the parts that vary."""
    table = yaml12.load(resources.files(__package__).joinpath("metrics.yaml").read_text(encoding="utf-8"))
    return {name: MetricKind(*row) for name, row in table.items()}


def metric_kind(name: str) -> MetricKind | None:
    """The kind of the metric `name`, None if there is no such metric."""
    match name.split("."):
        case ["insights", "type", _]:
            name = "insights.type.<type>"
        case ["insights", score, last] if score in SCORES:
            name = f"insights.<score>.{last}"
        case ["ratings", _, last]:
            name = f"ratings.<dimension>.{last}"
        case [_, last] if last.startswith("<"):
            return None
    return metric_kinds().get(name)


def metrics(
    answers: AnswerSet,
    golden: AnswerSet | None,
    texts: Texts,
    typical: tuple[float, float],
    resampling: Mapping[str, Resampling],
) -> Metrics:
    """All metrics by name, in the order of tables, without those that these sets have no values for.

    `golden`: None for the golden set itself. `typical`: the range of ratings that is stated as typical. `resampling`: the draws by stage.
    """
    parts = (
        ("summary", _summary_metrics(answers, golden, texts)),
        ("insights", _insight_metrics(answers, golden, texts)),
        ("ratings", _rating_metrics(answers, golden, typical)),
    )
    return {name: resampling[stage].estimate(statistic, rows) for stage, named in parts for name, statistic, rows in named if rows}


def _summary_metrics(answers: AnswerSet, golden: AnswerSet | None, texts: Texts) -> Named:
    given = [(one.page, one.summary, one.summary_evidence) for one in answers.with_stage("summary") if one.summary is not None]
    yield "summary.unsupported", mean, [(page, texts[page].unsupported(text)) for page, text, _ in given]
    quoted = [(page, texts[page].unsupported(text, quotes)) for page, text, quotes in given if quotes is not None]
    yield "summary.unproven", mean, quoted
    yield "summary.words", mean, [(page, len(words_in_order(text))) for page, text, _ in given]
    copied = [(page, *texts[page].copied(text)) for page, text, _ in given]
    yield "summary.copied", mean, [(page, share) for page, share, _ in copied]
    yield "summary.longest_copy", mean, [(page, longest) for page, _, longest in copied]
    yield "summary.coverage", mean, [(page, share) for page, text, _ in given if (share := texts[page].coverage(text)) is not None]
    if golden is not None:
        both = [(page, overlap(text, other)) for page, text, _ in given if (other := golden.of(page).summary) is not None]
        yield "summary.agreement", mean, both


def _insight_metrics(answers: AnswerSet, golden: AnswerSet | None, texts: Texts) -> Named:
    lists = {one.page: one.insights for one in answers.with_stage("insights") if one.insights is not None}
    yield "insights.per_page", mean, [(page, len(insights)) for page, insights in lists.items()]
    each = [(page, insight) for page, insights in lists.items() for insight in insights]
    grounded = [(page, texts[page].grounded(one.text, one.evidence)) for page, one in each if one.evidence]
    yield "insights.grounded", mean, grounded
    yield "insights.unsupported", mean, [(page, texts[page].unsupported(one.text)) for page, one in each]
    yield "insights.duplicates", mean, [(page, again) for page, insights in lists.items() for again in repeated(insights)]
    pairs: list[tuple[str, ScoredInsight, ScoredInsight]] = []
    if golden is not None:
        pairs = list(common_insights(answers, golden))
        yield from _found_insights(lists, golden)
    for name in TYPES:
        yield f"insights.type.{name}", mean, [(page, one.type == name) for page, one in each]
    for score in SCORES:
        scored = [(page, one.scores[score]) for page, one in each if score in one.scores]
        yield f"insights.{score}.mean", mean, scored
        yield f"insights.{score}.spread", deviation, scored
        both = [(page, a.scores[score], b.scores[score]) for page, a, b in pairs if score in a.scores and score in b.scores]
        yield f"insights.{score}.bias", bias, both
        yield f"insights.{score}.rank", spearman, both


def _found_insights(lists: Mapping[str, Sequence[ScoredInsight]], golden: AnswerSet) -> Named:
    shared = {page: theirs for page in lists if (theirs := golden.of(page).insights) is not None}
    found: list[Row] = []
    for page, theirs in shared.items():
        hit = {place for _, place in insight_pairs(lists[page], theirs)}
        found += [(page, place in hit) for place in range(len(theirs))]
    yield "insights.found", mean, found
    if found:
        counts = [
            (page, [sum(one.type == name for one in part) for part in (lists[page], shared[page]) for name in TYPES]) for page in shared
        ]
        yield "insights.mix", mix_distance, counts


def _rating_metrics(answers: AnswerSet, golden: AnswerSet | None, typical: tuple[float, float]) -> Named:
    low, high = typical

    def inflation(weights: Floats, x: Floats) -> Floats:
        """How far the median is above `high` (positive) or below `low` (negative)."""
        middle = median(weights, x)
        return np.maximum(middle - high, 0) + np.minimum(middle - low, 0)

    rated = answers.with_stage("ratings")
    for name in dict.fromkeys(name for one in rated for name in one.ratings):
        ours = [(one.page, one.ratings[name]) for one in rated if name in one.ratings]
        yield f"ratings.{name}.mean", mean, ours
        yield f"ratings.{name}.spread", deviation, ours
        yield f"ratings.{name}.inflation", inflation, ours
        yield f"ratings.{name}.above", mean, [(page, value > high) for page, value in ours]
        both = [(page, value, other) for page, value in ours if golden and (other := golden.of(page).ratings.get(name)) is not None]
        for metric, statistic in (("mae", absolute_error), ("bias", bias), ("spearman", spearman), ("kappa", quadratic_kappa)):
            yield f"ratings.{name}.{metric}", statistic, both


def common_insights(ones: AnswerSet, others: AnswerSet) -> Iterator[tuple[str, ScoredInsight, ScoredInsight]]:
    """(page, insight of `ones`, the same insight in `others`)."""
    for given in ones.with_stage("insights"):
        mine, theirs = given.insights or (), others.of(given.page).insights or ()
        for i, j in insight_pairs(mine, theirs):
            yield given.page, mine[i], theirs[j]
