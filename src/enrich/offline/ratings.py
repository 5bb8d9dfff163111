"""The baseline's ratings: a ridge regression on `features`, its coefficients shipped as data.

`bench/fit_baseline.py` fits `coefficients.json` and says in it on what and with which cross-validated error. A dimension for which
structure foretold nothing has no weights: every page gets the median of what was given, and the reason says so.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from enrich.offline.features import NAMES, features
from enrich.offline.sentences import PageSentences

# How far from the fitted pages' mean a feature may pull, in standard deviations: a page unlike all of them gets no score unlike theirs.
REACH = 3.0
# A feature is worth naming in the reason if it moved the score by this much.
_WORTH_NAMING = 0.05
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension's regression: score = middle + Σ weight · (feature − mean) / deviation, kept between `low` and `high`."""

    middle: float
    low: float
    high: float
    pages: int
    weights: tuple[float, ...]  # () where structure foretells nothing


@dataclass(frozen=True, slots=True)
class Coefficients:
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    dimensions: dict[str, Dimension]

    def standardised(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """The features in standard deviations from the mean of the fitted pages, at most `REACH` of them."""
        return tuple(
            max(-REACH, min(REACH, (value - mean) / deviation))
            for value, mean, deviation in zip(values, self.means, self.deviations, strict=True)
        )


def ratings(page: PageSentences, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """`{dimension: {"reason", "score"}}` in the given order: 0 to 10, one decimal."""
    fitted = coefficients()
    values = features(page)
    standard = fitted.standardised(values)
    return {name: _rated(fitted.dimensions[name], values, standard) for name in dimensions}


@lru_cache(maxsize=1)
def coefficients() -> Coefficients:
    """The shipped coefficients. They belong to `features.NAMES`: where the two differ, refit."""
    data = json.loads((resources.files("enrich.offline") / "coefficients.json").read_text(encoding="utf-8"))
    if list(data["features"]) != list(NAMES):
        raise RuntimeError("coefficients.json was fitted on other features: run bench/fit_baseline.py --write")
    scales = data["features"].values()
    return Coefficients(
        means=tuple(scale["mean"] for scale in scales),
        deviations=tuple(scale["deviation"] for scale in scales),
        dimensions={
            name: Dimension(
                middle=part["middle"],
                low=part["low"],
                high=part["high"],
                pages=part["pages"],
                weights=tuple(part["weights"].values()),
            )
            for name, part in data["dimensions"].items()
        },
    )


def _rated(dimension: Dimension, values: tuple[float, ...], standard: tuple[float, ...]) -> dict[str, Any]:
    if not dimension.weights:
        reason = f"structure tells nothing about it: the median of {dimension.pages} rated pages, the same for every page"
        return {"reason": reason, "score": dimension.middle}
    parts = [weight * value for weight, value in zip(dimension.weights, standard, strict=True)]
    score = max(dimension.low, min(dimension.high, dimension.middle + sum(parts)))
    leading = sorted(range(len(parts)), key=lambda at: -abs(parts[at]))[:_NAMED]
    named = [f"{_said(NAMES[at], values[at])} ({parts[at]:+.1f})" for at in leading if abs(parts[at]) >= _WORTH_NAMING]
    reason = f"from structure alone: {', '.join(named)}" if named else "from structure alone: a page like most"
    return {"reason": reason, "score": round(score, 1)}


def _said(name: str, value: float) -> str:
    """A feature's value in words."""
    words, kind = SAYING[name]
    if kind == "flag":
        return words if value else f"no {words}"
    if kind == "share":
        return f"{value:.0%} {words}" if value >= 0.005 else f"no {words}"
    count = math.expm1(value)
    if kind == "mean":
        return f"{words} of {count:.0f} words"
    if count < 0.05:
        return f"no {words}"
    if kind == "rate":
        return f"{count:.1f} {words} per 1,000 words" if count < 10 else f"{count:.0f} {words} per 1,000 words"
    return f"{count:,.0f} {words if round(count) != 1 else words.removesuffix('s')}"


# How each feature reads in a reason, and what kind of number it is (`features`).
SAYING: dict[str, tuple[str, str]] = {
    "words": ("words", "count"),
    "prose_share": ("running text", "share"),
    "sections": ("sections", "count"),
    "subsection_share": ("subsections", "share"),
    "tables": ("tables", "count"),
    "table_share": ("text in tables", "share"),
    "diagrams": ("diagrams", "count"),
    "internal_links": ("internal links", "rate"),
    "external_links": ("external links", "rate"),
    "citations": ("citations", "rate"),
    "footnotes": ("footnotes", "rate"),
    "bullets": ("bullet lines", "share"),
    "overview": ("overview section", "flag"),
    "code_blocks": ("code blocks", "count"),
    "sentence_length": ("sentences", "mean"),
    "numbers": ("numbers", "rate"),
    "years": ("years", "rate"),
    "ranges": ("ranges", "rate"),
    "hedges": ("hedging words", "rate"),
    "advice": ("words of advice", "rate"),
    "reasoning": ("words of reasoning", "rate"),
    "past": ("verbs of narration", "rate"),
    "questions": ("question marks", "rate"),
}
