"""Scores of answers: whether ratings are a judgement of their page, scores with a distribution, and the calibration of ratings to people's.

A distribution (`llm.score_distributions`) becomes its expected value, and one standard deviation on each side of it is the field's `spread`. For a
decision endpoint the description of each dimension in the prompt gives the question and its levels.

A calibration map in `enrich.calibration` (`enrich eval --calibrate`, docs/evaluation.md) is about one field, and about the answers to one question:
model, prompt and settings. It is applied to an answer after it was read, so a new map re-asks nothing: the cache holds what the model said.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from enrich.config import Config, shipped_prompts
from enrich.errors import AnswerError, UserError, invalid_data
from enrich.files import SETTINGS_BYTES, read_text
from enrich.grounding import Finding, PageIndex
from enrich.grounding.statements import OTHER_SCRIPTS, content, stems
from enrich.llm.messages import ScoreQuestion
from enrich.llm.score_distributions import RANGES
from enrich.stages.fields import INSIGHT_STEP, INSIGHTS, RATING_STEP, FieldAnswer, Judge, Spread, on_grid

# --- whether ratings are a judgement: they differ, are near what such pages get, and their reasons name something of the page ---


# Of 164 rated pages of the reference wiki, 2 % of the ratings are further than 3.3 points from the baseline's, and 0.3 % further than this.
_FAR = 4.0
_FEWEST_WORDS = 250  # the structure of a shorter page says little
_FEWEST_DIMENSIONS = 3
# A reason of which this share is in the dimension's lines of the prompt repeats them.
_REPEATED = 0.7
_WORD = re.compile(r"[^\W_]+")
# In place of a reason where the answer is probabilities alone.
_PROBABILITIES = "probabilities of the levels:"
_OWN_REASONS = ("from structure alone", "structure tells nothing")  # the baseline names its counts, which are not words of the page


def rating_findings(ratings: Mapping[str, tuple[float, str]], index: PageIndex) -> dict[str, list[Finding]]:
    """The findings about each dimension's (score, reason), by dimension.

    A small model's ratings of 24 pages were no judgement of their page, and nothing else about them was invalid.
    """
    found: dict[str, list[Finding]] = {name: [] for name in ratings}
    if all(reason.startswith(_OWN_REASONS) for _, reason in ratings.values()):
        return found
    empty = {name: problem for name, (_, reason) in ratings.items() if (problem := _without_content(name, reason, index))}
    scores, reasons = {score for score, _ in ratings.values()}, {reason for _, reason in ratings.values()}
    usual = _usual(index, tuple(ratings)) if index.visible.has_words(_FEWEST_WORDS) else {}
    for name, (score, _) in ratings.items():
        problems: list[tuple[Literal["hard", "soft"], str]] = [("hard", empty[name])] if name in empty else []
        if len(ratings) >= _FEWEST_DIMENSIONS and len(scores) == 1:
            problems.append(("hard" if len(reasons) == 1 or empty else "soft", f"all {len(ratings)} dimensions got {score:g}"))
        if name in usual and abs(score - usual[name]) > _FAR:
            problems.append(("hard", f"{score:g} is far from the {usual[name]:g} that pages of this structure get"))
        found[name] = [Finding("rating", severity, message, f"ratings.{name}") for severity, message in problems]
    return found


def _usual(index: PageIndex, dimensions: tuple[str, ...]) -> dict[str, float]:
    """The baseline's ratings of the page."""
    from enrich.stages import baseline  # only answers with ratings pay for its import

    page = baseline.PageSentences(index.title, index.description, index.written, index.visible)
    return {name: part["score"] for name, part in baseline.ratings(page, dimensions).items()}


def _without_content(name: str, reason: str, index: PageIndex) -> str:
    """What is wrong with a reason, or ""."""
    if reason.startswith(_PROBABILITIES):
        return ""
    words, described = _content(reason), _shipped_descriptions().get(name, frozenset())
    if words and len(words & described) >= _REPEATED * len(words):
        return "the reason repeats the description of the dimension"
    own = words - described
    # Most reasons name something of the first lines.
    if own and not any(map(str.isdigit, reason)) and all(own.isdisjoint(stems([line.text])) for line in index.lines):
        return "the reason names nothing of the page"
    return "" if words else "there is no reason"


def _content(text: str) -> frozenset[str]:
    return frozenset(stems([text]) if OTHER_SCRIPTS.search(text) else content(word.lower() for word in _WORD.findall(text)))


@cache
def _shipped_descriptions() -> dict[str, frozenset[str]]:
    """The content words that the shipped prompt says of each dimension."""
    prompt = (shipped_prompts() / "ratings.md").read_text(encoding="utf-8")
    return {name: _content(said) for name, said in _descriptions(prompt).items()}


def _descriptions(task: str) -> dict[str, str]:
    """What a prompt says of each dimension: from the line that begins with its name to the next blank line."""
    found = re.findall(r"^`(\w+)`:(.*?)(?:\n\s*\n|\Z)", task, re.MULTILINE | re.DOTALL)
    return dict(reversed(found))  # the first one of a name counts


# --- scores with a distribution instead of one draw (`[stages.ratings] method`) ---


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
            found[key] = _points(value, inner, spreads, singles)
        elif isinstance(value, Mapping):
            low, high = RANGES[key]
            mean, deviation, shares = _moments(value, low, high)
            found[key] = on_grid(mean, RATING_STEP if key == "score" else INSIGHT_STEP)
            spreads[inner] = round(max(low, mean - deviation), 2), round(min(high, mean + deviation), 2)
            if data.get("reason") == "":
                found["reason"] = f"{_PROBABILITIES} {shares}"
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


def _with_spread(given: FieldAnswer, spreads: Mapping[str, Spread], singles: Sequence[str]) -> FieldAnswer:
    own = given.field.removeprefix("ratings.")

    def placed(where: str) -> str:
        """The place as the field names it; "" if it belongs to another field."""
        return f"{given.field}{where.removeprefix(own)}" if where == own or where.startswith(f"{own}[") else ""

    kept = {part: ends for where, ends in spreads.items() if (part := placed(where))}
    # One line for a list of insights says as much as three for each of them.
    lacking = list(filter(None, map(placed, singles)))[: 1 if own == INSIGHTS else None]
    what = "no probabilities came with the score: it is a single draw"
    return replace(given, spread=kept, findings=(*given.findings, *(Finding("rating", "soft", what, where) for where in lacking)))


def score_question(task: str, field: str) -> ScoreQuestion:
    """The question for a `ratings.*` field, from the rendered prompt's paragraph about its dimension."""
    name = field.removeprefix("ratings.")
    levels: list[tuple[float, str]] = []
    said = []
    for line in _descriptions(task).get(name, "").strip().split("\n"):
        listed = _levels(line)
        levels = listed or levels
        said += [] if listed else [line]
    words = " ".join(said) or "how well does the page do on it?"
    return ScoreQuestion(field, f"Rate the page's {name}: {words}", tuple(levels) or _PLAIN_LEVELS)


def _levels(line: str) -> list[tuple[float, str]]:
    """The levels of a line such as `9–10 throughout · 7–8 mostly · 0 none`, the lowest first, each with the middle of its range; else none."""
    parts = [part for part in map(_LEVEL.fullmatch, line.split("·")) if part is not None]
    middles = {(float(part[1]) + float(part[2] or part[1])) / 2: part[3] for part in parts}
    fits = 2 <= len(middles) == len(line.split("·")) <= _MOST_LEVELS and max(middles) <= RANGES["score"][1]
    return sorted(middles.items()) if fits else []


# --- calibration to people's ratings ---


_Rating = Annotated[float, Field(ge=0, le=RANGES["score"][1], allow_inf_nan=False)]


class CalibrationMap(BaseModel):
    """A monotone map of a model's rating to people's, and how far from it people's ratings are.

    `points` are (the model's, people's) ratings, both rising; none: the model's rating as it is was better. `margin`: nine of ten people's
    ratings are no further from the result. `raw_mae` and `mae`: mean absolute error before and after, on pages that the map had not seen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    field: str
    model: str
    prompt: str
    settings: str
    points: tuple[tuple[_Rating, _Rating], ...]
    margin: _Rating
    pages: Annotated[int, Field(ge=1)]
    raw_mae: _Rating
    mae: _Rating

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if any(x >= next_x or y > next_y for (x, y), (next_x, next_y) in pairwise(self.points)):
            raise ValueError("`points` must rise")
        return self

    @property
    def question(self) -> tuple[str, str, str]:
        """Which answers it is for: the `Stage.asked_as` of their stage."""
        return self.model, self.prompt, self.settings

    def applied(self, given: FieldAnswer) -> FieldAnswer:
        """The answer with people's rating in place of the model's, and with the interval of nine of ten people's ratings."""

        def on_their_scale(rating: float) -> float:
            return on_grid(interpolated(self.points, rating), RATING_STEP)

        exact = interpolated(self.points, given.value)
        spread = {part: (on_their_scale(low), on_their_scale(high)) for part, (low, high) in given.spread.items()}
        interval = round(max(0.0, exact - self.margin), 2), round(min(RANGES["score"][1], exact + self.margin), 2)
        return replace(given, value=on_their_scale(given.value), spread=spread, interval=interval)


class CalibrationFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_: Annotated[Literal[1], Field(alias="schema")]
    maps: tuple[CalibrationMap, ...]


def interpolated(points: Sequence[tuple[float, float]], x: float) -> float:
    """The value at `x` on the line through the points, level beyond its ends; `x` itself without points."""
    if not points:
        return x
    place = bisect_right(points, x, key=lambda point: point[0])
    if place in (0, len(points)):
        return points[place and -1][1]
    (x0, y0), (x1, y1) = points[place - 1 : place + 1]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def read_calibration(config: Config) -> tuple[CalibrationMap, ...]:
    """All maps of the wiki; () without a file. Raises `UserError` for a file that cannot be used."""
    file = config.calibration
    do = "remove it, or make it again with `enrich eval --calibrate`"
    try:
        return CalibrationFile.model_validate_json(read_text(file, config.folders, SETTINGS_BYTES)).maps
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        raise invalid_data(error, CalibrationFile, str(file), do) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=str(file), do=do) from None
