"""One answer out of several to the same question (`samples = N`): medians of scores, the words of the best sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from enrich.stages.fields import FieldAnswer
from enrich.stages.matching import pairs
from enrich.stages.reading import on_grid
from enrich.wiki.data import SCORES

Sample = Sequence[FieldAnswer]


def combined(stage: str, samples: Sequence[Sample]) -> list[FieldAnswer]:
    """The fields of one stage from its samples (at least one), each with its `spread`: (least, greatest) by the part of the value it is of.

    `ratings`: the median of each dimension, with the reason of the sample that comes closest to it. `insights`: those of the sample with the
    fewest findings; each score is the median over all samples that give the same insight. `summary`: the one with the fewest findings.
    The first sample wins among equals.
    """
    if len(samples) == 1:
        return list(samples[0])
    return _COMBINED[stage](samples)


def _ratings(samples: Sequence[Sample]) -> list[FieldAnswer]:
    fields = []
    for same_field in zip(*samples, strict=True):
        scores = [float(answer.value) for answer in same_field]
        middle, _ = on_grid(median(scores), 0.1)
        nearest = min(same_field, key=lambda answer: abs(float(answer.value) - middle))
        spread = {nearest.field: (min(scores), max(scores))}
        fields.append(replace(nearest, value=middle, spread=spread, samples=len(samples)))
    return fields


def _insights(samples: Sequence[Sample]) -> list[FieldAnswer]:
    base = _best(samples)
    (field,) = base
    others = [sample[0].value for sample in samples if sample is not base]
    scores: list[dict[str, list[float]]] = [{score: [insight[score]] for score in SCORES} for insight in field.value]
    for other in others:
        for place, twin in pairs(other, field.value).items():
            for score in SCORES:
                scores[place][score].append(other[twin][score])
    spread: dict[str, tuple[float, float]] = {}
    values: list[dict[str, Any]] = []
    for place, insight in enumerate(field.value):
        settled = dict(insight)
        for score in SCORES:
            given = scores[place][score]
            settled[score], _ = on_grid(median(given), 0.5)
            spread[f"insights[{place}].{score}"] = (min(given), max(given))
        values.append(settled)
    return [replace(field, value=values, spread=spread, samples=len(samples))]


def _summary(samples: Sequence[Sample]) -> list[FieldAnswer]:
    return [replace(field, samples=len(samples)) for field in _best(samples)]


def _best(samples: Sequence[Sample]) -> Sample:
    def findings(sample: Sample) -> tuple[int, int]:
        return sum(len(field.hard) for field in sample), sum(len(field.findings) for field in sample)

    return min(samples, key=findings)  # min() keeps the first of equals


_COMBINED: Mapping[str, Callable[[Sequence[Sample]], list[FieldAnswer]]] = {
    "summary": _summary,
    "insights": _insights,
    "ratings": _ratings,
}
