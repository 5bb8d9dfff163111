"""The baseline's ratings: a ridge regression on twenty-odd counts of a page's structure and wording.

`bench/fit_baseline.py` fits `baseline_coefficients.yaml` and says in it on what and with which cross-validated error. A dimension that
structure does not predict has no weights: every page gets the median of the rated pages, and the reason says so.

Only the body counts, so the frontmatter (least of all an earlier rating) cannot leak into a rating. Rates are per thousand visible words,
with a floor of 100 words for stubs; counts enter as log(1 + n), as their effect fades.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import regex

from enrich.metrics.structure import count_citations, structure
from enrich.stages.baseline_text import WORDS, PageSentences, count_words
from enrich.wiki import yaml12
from enrich.wiki.profile import Profile, load_profile

COEFFICIENTS = "baseline_coefficients.yaml"
NAMES = tuple(WORDS["features"])
# How far from the fitted pages' mean a feature may pull, in standard deviations: a page unlike all of them gets no score unlike theirs.
REACH = 3.0
_FLOOR_WORDS = 100
# A feature is named in the reason if it moved the score by this much.
_WORTH_NAMING = 0.05
_NAMED = 3
# In English only: elsewhere these rates are 0, as they are on an English page that uses none of the words.
_RATED_WORDS = {name: frozenset(WORDS[name].split()) for name in ("hedges", "advice", "reasoning", "past")}
_WORD = re.compile(r"[a-z]+")
_NUMBER = regex.compile(r"\d[\d.,]*")
_RANGE = regex.compile(r"\d\s?%?\s?[-–]\s?\$?\d")


@lru_cache(maxsize=1)
def _profile() -> Profile:
    return load_profile()


def features(page: PageSentences) -> tuple[float, ...]:
    """One value for each of `NAMES`."""
    # A body that begins with a rule must not be taken for frontmatter (`counted_text` cuts lazily).
    counts = structure("\n" + page.body, _profile())
    cited = count_citations(page.body, _profile().resource_component)
    by_kind = {"prose": 0, "list": 0, "table": 0}
    parts = []
    for line in page.visible.lines:
        if line.kind in by_kind:
            by_kind[line.kind] += len(line.text)
            parts.append(line.text)
    text = "\n".join(parts)
    used = Counter(_WORD.findall(text.lower()))
    words = count_words(text.replace("\n", " "))
    total = max(1, sum(by_kind.values()))
    per = 1000 / max(words, _FLOOR_WORDS)
    sentences = page.running
    numbers = _NUMBER.findall(text)
    years = sum(1 for number in numbers if len(number) == 4 and number[:2] in ("19", "20"))
    values = {
        "words": math.log1p(words),
        "prose_share": by_kind["prose"] / total,
        "sections": math.log1p(counts.section_count),
        "subsection_share": counts.h3_count / max(1, counts.section_count),
        "tables": math.log1p(counts.table_count),
        "table_share": by_kind["table"] / total,
        "diagrams": math.log1p(counts.diagram_count),
        "internal_links": math.log1p(counts.internal_links * per),
        "external_links": math.log1p(counts.external_links * per),
        "citations": math.log1p((counts.footnote_count + cited) * per),
        "footnotes": math.log1p(counts.footnote_count * per),
        "bullets": counts.bullet_ratio,
        "overview": float(counts.has_overview),
        "code_blocks": math.log1p(counts.code_block_count),
        "sentence_length": math.log1p(sum(len(s.text) for s in sentences) / 6 / max(1, len(sentences))),
        "numbers": math.log1p((len(numbers) - years) * per),
        "years": math.log1p(years * per),
        "ranges": math.log1p(len(_RANGE.findall(text)) * per),
        "questions": math.log1p(text.count("?") * per),
        **{name: math.log1p(sum(used[word] for word in listed) * per) for name, listed in _RATED_WORDS.items()},
    }
    return tuple(values[name] for name in NAMES)


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension's regression: score = middle + Σ weight · (feature − mean) / deviation, kept between `low` and `high`."""

    middle: float
    low: float
    high: float
    pages: int
    weights: tuple[float, ...]  # () if structure predicts nothing


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


@lru_cache(maxsize=1)
def coefficients() -> Coefficients:
    """The shipped coefficients. They belong to `NAMES`: if the two differ, fit again."""
    data = yaml12.load((resources.files("enrich.stages") / COEFFICIENTS).read_text(encoding="utf-8"))
    if list(data["features"]) != list(NAMES):
        raise RuntimeError(f"{COEFFICIENTS} was fitted on other features: run bench/fit_baseline.py --write")
    scales = data["features"].values()
    return Coefficients(
        means=tuple(scale["mean"] for scale in scales),
        deviations=tuple(scale["deviation"] for scale in scales),
        dimensions={
            name: Dimension(part["middle"], part["low"], part["high"], part["pages"], tuple(part["weights"].values()))
            for name, part in data["dimensions"].items()
        },
    )


def ratings(page: PageSentences, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """`{dimension: {"reason", "score"}}` in the given order: 0 to 10, one decimal."""
    fitted = coefficients()
    values = features(page)
    standard = fitted.standardised(values)
    return {name: _rated(fitted.dimensions[name], values, standard) for name in dimensions}


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
    words, kind = WORDS["features"][name]
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
