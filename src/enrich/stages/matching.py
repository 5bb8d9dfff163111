"""Answers to the same question, compared: several samples combined into one answer, and old insights kept in place of unchanged new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from enrich.grounding.likeness import same_insights, same_statement
from enrich.stages.answers import FieldAnswer, on_grid
from enrich.stages.field_values import within
from enrich.stages.judges import INSIGHT_STEP, RATING_STEP
from enrich.wiki.data import SCORES

# The share of words that two texts must have in common to be the same statement in nearly the same words: a changed word or two. Two
# statements about the same subject share about half.
NEAR_SAME = 0.8
Sample = Sequence[FieldAnswer]


def pairs(old: Sequence[Any], new: Sequence[Any]) -> dict[int, int]:
    """Place in `new` → place in `old` of the same insight: same evidence first, then nearly the same text; each is used once."""
    return same_insights([_statement(one) for one in new], [_statement(one) for one in old], NEAR_SAME)


def kept(old: Sequence[Any], new: Sequence[Mapping[str, Any]], noise: float, untouchable: frozenset[int] = frozenset()) -> list[Any]:
    """`new` with the words, the order and the scores of `old` wherever an insight is the same one.

    Matched insights come first, in their old order and in their old words; a score is replaced if it differs by `noise` or more. The others
    follow in their own order. Insights of `new` at the places in `untouchable` (with findings that a person must see) stay as they are.
    """
    twins = _twins(old, new, untouchable)
    return [_renewed(old[twins[place]], new[place], noise) if place in twins else new[place] for place in _order(twins, len(new))]


def order_kept(old: Sequence[Any], new: Sequence[Mapping[str, Any]], untouchable: frozenset[int] = frozenset()) -> list[int]:
    """The place in `new` of each insight of `kept`."""
    return _order(_twins(old, new, untouchable), len(new))


def _twins(old: Sequence[Any], new: Sequence[Mapping[str, Any]], untouchable: frozenset[int]) -> dict[int, int]:
    """`pairs` of which either's words can be used for the other's."""
    return {
        place: twin
        for place, twin in pairs(old, new).items()
        if place not in untouchable and same_statement(_statement(old[twin])[0], _statement(new[place])[0])
    }


def _order(twins: Mapping[int, int], count: int) -> list[int]:
    return [*sorted(twins, key=twins.__getitem__), *(place for place in range(count) if place not in twins)]


def _renewed(old: Mapping[str, Any], new: Mapping[str, Any], noise: float) -> dict[str, Any]:
    renewed = dict(old)
    # Evidence that was not found again verbatim is replaced by what the page says now.
    if _statement(old)[1].casefold().split() != _statement(new)[1].casefold().split():
        renewed["evidence"] = new.get("evidence")
    for score in SCORES:
        if new.get(score) is not None and not within(old.get(score), new[score], noise):
            renewed[score] = new[score]
    return renewed


def _statement(insight: Any) -> tuple[str, str]:
    """(text, evidence) of an insight; "" for what is missing."""
    given = insight if isinstance(insight, Mapping) else {}
    return str(given.get("text") or "").replace("\\$", "$"), str(given.get("evidence") or "").replace("\\$", "$")


def combined(stage: str, samples: Sequence[Sample]) -> list[FieldAnswer]:
    """The fields of one stage from its samples (at least one), each with its `spread`: (least, greatest) by the part of the value.

    `ratings`: the median of each dimension, with the reason of the sample that comes closest to it. `insights`: those of the sample with the
    fewest findings; each score is the median over all samples that give the same insight. `summary`: the one with the fewest findings.
    The first sample wins among equals.
    """
    if len(samples) == 1:
        return list(samples[0])
    if stage == "ratings":
        return [_rating(same_field) for same_field in zip(*samples, strict=True)]
    best = min(samples, key=lambda sample: (sum(len(field.hard) for field in sample), sum(len(field.findings) for field in sample)))
    if stage == "insights":
        return [_insights(best[0], [sample[0].value for sample in samples if sample is not best], len(samples))]
    return [replace(field, samples=len(samples)) for field in best]


def _rating(samples: Sequence[FieldAnswer]) -> FieldAnswer:
    scores = [float(answer.value) for answer in samples]
    middle, _ = on_grid(median(scores), RATING_STEP)
    nearest = min(samples, key=lambda answer: abs(float(answer.value) - middle))
    return replace(nearest, value=middle, spread={nearest.field: (min(scores), max(scores))}, samples=len(samples))


def _insights(best: FieldAnswer, others: Sequence[Sequence[Mapping[str, Any]]], samples: int) -> FieldAnswer:
    given: list[dict[str, list[float]]] = [{score: [insight[score]] for score in SCORES} for insight in best.value]
    for other in others:
        for place, twin in pairs(other, best.value).items():
            for score in SCORES:
                given[place][score].append(other[twin][score])
    values = [
        {**insight, **{score: on_grid(median(numbers), INSIGHT_STEP)[0] for score, numbers in scores.items()}}
        for insight, scores in zip(best.value, given, strict=True)
    ]
    spread = {
        f"insights[{place}].{score}": (min(numbers), max(numbers))
        for place, scores in enumerate(given)
        for score, numbers in scores.items()
    }
    return replace(best, value=values, spread=spread, samples=samples)
