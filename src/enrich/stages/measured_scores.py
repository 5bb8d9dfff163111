"""Scores with a distribution instead of one draw (`[stages.ratings] method`): what is asked, and what becomes of the answer.

A distribution (`llm.score_distributions`) becomes its expected value, and one standard deviation on each side of it is the field's `spread`. For a
decision endpoint the description of each dimension in the prompt gives the question and its levels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from enrich.errors import AnswerError
from enrich.grounding import Finding, PageIndex
from enrich.llm.messages import ScoreQuestion
from enrich.llm.score_distributions import RANGES
from enrich.stages.fields import INSIGHTS, FieldAnswer, Judge, Spread, on_grid
from enrich.stages.judges import INSIGHT_STEP, RATING_STEP
from enrich.stages.rating_checks import PROBABILITIES

SAMPLE, LOGPROBS, DECISIONS = "sample", "logprobs", "decisions"
_SHOWN = 3  # probabilities in a reason
_MOST_LEVELS = 10
# Where a prompt has no levels: six, as the shipped one has.
_PLAIN_LEVELS = tuple((float(value), f"{value} of 10") for value in range(0, 11, 2))
_LEVEL = re.compile(r"\s*(\d+(?:\.\d+)?)(?:\s*[–-]\s*(\d+(?:\.\d+)?))?\s+(\S.*?)\s*")


def measured(judge: Judge) -> Judge:
    """The judge for answers whose scores can be distributions: it sees the expected values, and adds the spread of each score to its field."""

    def judging(data: Any, index: PageIndex) -> list[FieldAnswer]:
        spreads: dict[str, Spread] = {}
        singles: list[str] = []
        fields = judge(_points(data, "", spreads, singles), index)
        return [_with_spread(field, spreads, singles) for field in fields]

    return judging


def _points(data: Any, where: str, spreads: dict[str, Spread], singles: list[str]) -> Any:
    """`data` with numbers in place of distributions; their spreads, and the scores that had none, by their place in the fields."""
    if isinstance(data, list):
        return [_points(item, f"{where}[{place}]", spreads, singles) for place, item in enumerate(data)]
    if not isinstance(data, Mapping):
        return data
    found = dict(data)
    for key, value in data.items():
        inner = where if key == "score" else f"{where}.{key}".lstrip(".")
        if key not in RANGES:
            if isinstance(value, Mapping | list):
                found[key] = _points(value, inner, spreads, singles)
        elif isinstance(value, Mapping):
            mean, deviation, shares = _moments(value, *RANGES[key])
            low, high = RANGES[key]
            found[key] = on_grid(mean, RATING_STEP if key == "score" else INSIGHT_STEP)[0]
            spreads[inner] = round(max(low, mean - deviation), 2), round(min(high, mean + deviation), 2)
            if data.get("reason") == "":
                found["reason"] = f"{PROBABILITIES} {shares}"
        else:
            singles.append(inner)
    return found


def _moments(distribution: Mapping[str, Any], low: float, high: float) -> tuple[float, float, str]:
    """(expected value, standard deviation, the likeliest values as text). Raises `AnswerError("invalid", …)`: caches come with clones."""
    try:
        pairs = [(float(value), float(share)) for value, share in distribution.items()]
    except (TypeError, ValueError):
        pairs = []
    total = sum(share for _, share in pairs)
    if not all(low <= value <= high and 0 <= share <= 1 for value, share in pairs) or not 0 < total < math.inf:
        raise AnswerError("invalid", "a distribution of a score has values out of range, or no probabilities")
    mean = sum(value * share for value, share in pairs) / total
    variance = sum((value - mean) ** 2 * share for value, share in pairs) / total
    likely = sorted(pairs, key=lambda pair: -pair[1])[:_SHOWN]
    return mean, math.sqrt(variance), ", ".join(f"{value:g} {100 * share / total:.0f} %" for value, share in likely)


def _with_spread(given: FieldAnswer, spreads: Mapping[str, Spread], singles: list[str]) -> FieldAnswer:
    own = given.field.removeprefix("ratings.")
    kept = {f"{given.field}{where.removeprefix(own)}": ends for where, ends in spreads.items() if _belongs(where, own)}
    lacking = [f"{given.field}{where.removeprefix(own)}" for where in singles if _belongs(where, own)]
    # One line for a list of insights says as much as three for each of them.
    what = "no probabilities came with the score: it is a single draw"
    soft = [Finding("rating", "soft", what, where) for where in lacking[: 1 if own == INSIGHTS else None]]
    return replace(given, spread=kept, findings=(*given.findings, *soft))


def _belongs(where: str, field: str) -> bool:
    return where == field or where.startswith(f"{field}[")


def score_questions(task: str, fields: tuple[str, ...]) -> tuple[ScoreQuestion, ...]:
    """A question for each of the `ratings.*` fields, from the rendered prompt's paragraph about its dimension."""
    return tuple(_question(task, field) for field in fields)


def _question(task: str, field: str) -> ScoreQuestion:
    name = field.removeprefix("ratings.")
    found = re.search(rf"^`{re.escape(name)}`:(.*?)(?:\n\s*\n|\Z)", task, re.MULTILINE | re.DOTALL)
    lines = found[1].strip().split("\n") if found else []
    levels: tuple[tuple[float, str], ...] = ()
    said = []
    for line in lines:
        listed = tuple(_levels(line))
        if listed:
            levels = listed
        else:
            said.append(line)
    words = " ".join(said) or "how well does the page do on it?"
    return ScoreQuestion(field, f"Rate the page's {name}: {words}", levels or _PLAIN_LEVELS)


def _levels(line: str) -> Iterator[tuple[float, str]]:
    """The levels of a line such as `9–10 throughout · 7–8 mostly · 0 none`, the lowest first, each with the middle of its range."""
    parts = [_LEVEL.fullmatch(part) for part in line.split("·")]
    if 2 <= len(parts) <= _MOST_LEVELS and all(parts):
        middles = [((float(part[1]) + float(part[2] or part[1])) / 2, part[3]) for part in parts if part is not None]
        if all(value <= RANGES["score"][1] for value, _ in middles) and len({value for value, _ in middles}) == len(middles):
            yield from sorted(middles)
