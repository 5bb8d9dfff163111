"""The figures of one set of answers, alone and against golden ones, each with its bootstrap interval by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from enrich.evaluation.answer_sets import AnswerSet, Insight, PageAnswers
from enrich.evaluation.matching import matches, repeated
from enrich.evaluation.statistics import (
    Estimate,
    Floats,
    Resampling,
    absolute_error,
    bias,
    deviation,
    mean,
    median,
    mix_distance,
    quadratic_kappa,
    spearman,
)
from enrich.evaluation.texts import PageTexts, overlap, words_in_order
from enrich.stages.judges import InsightType
from enrich.wiki.data import SCORES

TYPES: tuple[str, ...] = get_args(InsightType)
Metrics = dict[str, Estimate]


def metrics(
    answers: AnswerSet,
    golden: AnswerSet | None,
    pages: Mapping[str, PageTexts],
    typical: tuple[float, float],
    resampling: Mapping[str, Resampling],
) -> Metrics:
    """All figures by name (`catalogue`), in the order of tables. What cannot be computed from these sets is left out.

    `golden`: None for the golden set itself. `typical`: the range of ratings that is stated as typical. `resampling`: the draws by stage.
    """
    return dict(
        [
            *_summaries(answers, golden, pages, resampling["summary"]),
            *_insights(answers, golden, pages, resampling["insights"]),
            *_ratings(answers, golden, typical, resampling["ratings"]),
        ]
    )


Named = Iterator[tuple[str, Estimate]]


def _summaries(answers: AnswerSet, golden: AnswerSet | None, pages: Mapping[str, PageTexts], draws: Resampling) -> Named:
    given = [(one.page, one.summary, one.summary_evidence) for one in answers.with_stage("summary") if one.summary is not None]
    if not given:
        return
    ids = [page for page, _, _ in given]
    unsupported = [pages[page].unsupported(text) for page, text, _ in given]
    yield "summary.unsupported", draws.estimate(mean, ids, unsupported, share=True)
    proven = [(page, pages[page].unsupported(text, quotes)) for page, text, quotes in given if quotes is not None]
    if proven:
        yield "summary.unproven", draws.estimate(mean, [page for page, _ in proven], [bad for _, bad in proven], share=True)
    yield "summary.words", draws.estimate(mean, ids, [len(words_in_order(text)) for _, text, _ in given])
    copied = [pages[page].copied(text) for page, text, _ in given]
    yield "summary.copied", draws.estimate(mean, ids, [one.share for one in copied])
    yield "summary.longest_copy", draws.estimate(mean, ids, [one.longest for one in copied])
    covered = [(page, share) for page, text, _ in given if (share := pages[page].coverage(text)) is not None]
    yield "summary.coverage", draws.estimate(mean, [page for page, _ in covered], [share for _, share in covered])
    if golden is not None:
        both = [(page, overlap(text, other)) for page, text, _ in given if (other := _of(golden, page).summary) is not None]
        if both:
            yield "summary.agreement", draws.estimate(mean, [page for page, _ in both], [share for _, share in both])


def _insights(answers: AnswerSet, golden: AnswerSet | None, pages: Mapping[str, PageTexts], draws: Resampling) -> Named:
    lists = {one.page: one.insights for one in answers.with_stage("insights") if one.insights is not None}
    if not lists:
        return
    yield "insights.per_page", draws.estimate(mean, list(lists), [len(one) for one in lists.values()])
    each = [(page, insight) for page, insights in lists.items() for insight in insights]
    ids = [page for page, _ in each]
    quoted = [(page, insight) for page, insight in each if insight.evidence]
    if quoted:
        grounded = [pages[page].grounded(insight.text, insight.evidence) for page, insight in quoted]
        yield "insights.grounded", draws.estimate(mean, [page for page, _ in quoted], grounded, share=True)
    if each:
        yield "insights.unsupported", draws.estimate(mean, ids, [pages[page].unsupported(one.text) for page, one in each], share=True)
        doubles = [again for insights in lists.values() for again in repeated(insights)]
        yield "insights.duplicates", draws.estimate(mean, ids, doubles, share=True)
    pairs = list(insight_pairs(answers, golden)) if golden is not None else []
    if golden is not None:
        yield from _against_golden(lists, golden, draws)
    for name in TYPES if each else ():
        yield f"insights.type.{name}", draws.estimate(mean, ids, [one.type == name for _, one in each], share=True)
    for score in SCORES:
        scored = [(page, one.scores[score]) for page, one in each if score in one.scores]
        if scored:
            owners, values = [page for page, _ in scored], [value for _, value in scored]
            yield f"insights.{score}.mean", draws.estimate(mean, owners, values)
            yield f"insights.{score}.spread", draws.estimate(deviation, owners, values)
        both = [(page, a.scores[score], b.scores[score]) for page, a, b in pairs if score in a.scores and score in b.scores]
        if both:
            owners, ours, theirs = (list(column) for column in zip(*both, strict=True))
            yield f"insights.{score}.bias", draws.estimate(bias, owners, ours, theirs)
            yield f"insights.{score}.rank", draws.estimate(spearman, owners, ours, theirs)


def _against_golden(lists: Mapping[str, Sequence[Insight]], golden: AnswerSet, draws: Resampling) -> Named:
    shared = {page: theirs for page in lists if (theirs := _of(golden, page).insights) is not None}
    found: list[tuple[str, bool]] = []
    for page, theirs in shared.items():
        hit = {place for _, place in matches(lists[page], theirs)}
        found += [(page, place in hit) for place in range(len(theirs))]
    if not found:
        return
    yield "insights.found", draws.estimate(mean, [page for page, _ in found], [hit for _, hit in found], share=True)
    table = [[sum(one.type == name for one in part) for part in (lists[page], theirs) for name in TYPES] for page, theirs in shared.items()]
    yield "insights.mix", draws.estimate(mix_distance, list(shared), table)


def _ratings(answers: AnswerSet, golden: AnswerSet | None, typical: tuple[float, float], draws: Resampling) -> Named:
    rated = answers.with_stage("ratings")
    low, high = typical

    for name in dict.fromkeys(name for one in rated for name in one.ratings):
        ours = [(one.page, one.ratings[name]) for one in rated if name in one.ratings]
        ids, values = [page for page, _ in ours], [value for _, value in ours]
        yield f"ratings.{name}.mean", draws.estimate(mean, ids, values)
        yield f"ratings.{name}.spread", draws.estimate(deviation, ids, values)
        yield f"ratings.{name}.inflation", draws.estimate(lambda w, x: _outside(median(w, x), low, high), ids, values)
        yield f"ratings.{name}.above", draws.estimate(mean, ids, [value > high for value in values], share=True)
        both = [(page, value, other) for page, value in ours if golden and (other := _of(golden, page).ratings.get(name)) is not None]
        if both:
            owners, a, b = (list(column) for column in zip(*both, strict=True))
            for metric, statistic in (("mae", absolute_error), ("bias", bias), ("spearman", spearman), ("kappa", quadratic_kappa)):
                yield f"ratings.{name}.{metric}", draws.estimate(statistic, owners, a, b)


def _outside(x: Floats, low: float, high: float) -> Floats:
    """How far each value lies above `high` (positive) or below `low` (negative)."""
    import numpy as np

    return np.maximum(x - high, 0) + np.minimum(x - low, 0)


def insight_pairs(ones: AnswerSet, others: AnswerSet) -> Iterator[tuple[str, Insight, Insight]]:
    """(page, insight of `ones`, the same statement in `others`)."""
    for given in ones.with_stage("insights"):
        theirs = _of(others, given.page).insights
        if given.insights and theirs:
            for i, j in matches(given.insights, theirs):
                yield given.page, given.insights[i], theirs[j]


def _of(answers: AnswerSet, page: str) -> PageAnswers:
    return answers.pages.get(page) or PageAnswers(page)
