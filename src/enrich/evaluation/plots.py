"""Plots as inline SVG: they need no script, no network, and take their colours from the page's style sheet.

Only numbers of ours and escaped labels stand in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from markupsafe import Markup, escape

from enrich.evaluation.answer_sets import AnswerSet
from enrich.evaluation.metrics import insight_pairs
from enrich.wiki.data import SCORES

_WIDTH, _HEIGHT = 300, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 10, 34
_LARGEST_DOT = 9.0
# Fewer than this in a bin have no mean worth drawing.
_LEAST_IN_BIN = 3


@dataclass(frozen=True, slots=True)
class Scored:
    """One scored field in two sets: all values of either (`ours`, `theirs`), and pairs (theirs, ours) of the same item."""

    name: str
    low: float
    high: float
    step: float
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    pairs: tuple[tuple[float, float], ...]


def scored_fields(ours: AnswerSet, theirs: AnswerSet) -> Iterator[Scored]:
    """S, I and A of the insights, then each rating, as far as `ours` has them."""
    pairs = list(insight_pairs(ours, theirs))
    for score in SCORES:
        values = [
            [one.scores[score] for page in group.pages.values() for one in page.insights or () if score in one.scores]
            for group in (ours, theirs)
        ]
        if values[0]:
            both = tuple((b.scores[score], a.scores[score]) for _, a, b in pairs if score in a.scores and score in b.scores)
            # Scores that left the scale are what a comparison is for: the axis grows to show them.
            low, high = min(1.0, *map(min, filter(None, values))), max(5.0, *map(max, filter(None, values)))
            yield Scored(score, low, high, 0.5, tuple(values[0]), tuple(values[1]), both)
    for name in dict.fromkeys(name for page in ours.pages.values() for name in page.ratings):
        mine = {page: one.ratings[name] for page, one in ours.pages.items() if name in one.ratings}
        other = {page: one.ratings[name] for page, one in theirs.pages.items() if name in one.ratings}
        both = tuple((other[page], value) for page, value in mine.items() if page in other)
        yield Scored(name, 0.0, 10.0, 0.5, tuple(mine.values()), tuple(other.values()), both)


def _all_scores(answers: AnswerSet, score: str) -> list[float]:
    return [one.scores[score] for page in answers.pages.values() for one in page.insights or () if score in one.scores]


def distribution(field: Scored, labels: tuple[str, str], typical: tuple[float, float] | None = None) -> Markup:
    """How the values are spread: the answers as bars, the other set as a line of steps. `typical`: a range to shade."""
    bins = max(1, round((field.high - field.low) / field.step) + 1)
    shares = [_shares(values, field, bins) for values in (field.ours, field.theirs)]
    top = max((max(one) for one in shares if one), default=0.0) or 1.0
    axis = _Axes(field.low - field.step / 2, field.high + field.step / 2, 0.0, top * 1.08)
    parts = [_band(axis, typical)] if typical else []
    parts.append(_axis_x(axis, field))
    parts.append(_gridline(axis, top, f"{top:.0%}"))
    for place, share in enumerate(shares[0]):
        if share:
            left, right = axis.x(field.low + (place - 0.42) * field.step), axis.x(field.low + (place + 0.42) * field.step)
            parts.append(
                f'<rect class="ours" x="{left:.1f}" y="{axis.y(share):.1f}" width="{right - left:.1f}" height="{axis.y(0) - axis.y(share):.1f}"/>'
            )
    if field.theirs:
        corners: list[tuple[float, float]] = []
        for place, share in enumerate(shares[1]):
            corners += [(axis.x(field.low + (place + side) * field.step), axis.y(share)) for side in (-0.5, 0.5)]
        parts.append(f'<polyline class="theirs" points="{_points(corners)}"/>')
    parts.append(_label_x(field.name))
    return _svg(parts, f"Distribution of {field.name}: {labels[0]} as bars, {labels[1]} as a line")


def scatter(field: Scored, labels: tuple[str, str]) -> Markup:
    """Each item's value in the other set (across) and in the answers (up); a dot's area grows with the items on it."""
    axis = _Axes(field.low, field.high, field.low, field.high, margin=0.05)
    parts = [_axis_x(axis, field), _axis_y(axis, field), _diagonal(axis, field)]
    counts = Counter(field.pairs)
    most = max(counts.values(), default=1)
    for (x, y), count in sorted(counts.items(), key=lambda item: -item[1]):
        radius = max(1.8, _LARGEST_DOT * sqrt(count / max(most, 6)))
        parts.append(f'<circle class="dot" cx="{axis.x(x):.1f}" cy="{axis.y(y):.1f}" r="{radius:.1f}"/>')
    parts += [_label_x(labels[1]), _label_y(labels[0])]
    return _svg(parts, f"{field.name} of the same items: {labels[1]} across, {labels[0]} up")


def reliability(field: Scored, labels: tuple[str, str]) -> Markup:
    """What the other set says where the answers say so much: means with their 95 % range, on the diagonal where the answers can be relied on."""
    axis = _Axes(field.low, field.high, field.low, field.high, margin=0.05)
    parts = [_axis_x(axis, field), _axis_y(axis, field), _diagonal(axis, field)]
    bins: dict[int, list[tuple[float, float]]] = {}
    width = max(field.step, (field.high - field.low) / 10)
    for theirs, ours in field.pairs:
        bins.setdefault(round((ours - field.low) / width), []).append((ours, theirs))
    means: list[tuple[float, float]] = []
    for _, held in sorted(bins.items()):
        if len(held) < _LEAST_IN_BIN:
            continue
        x = sum(ours for ours, _ in held) / len(held)
        y = sum(theirs for _, theirs in held) / len(held)
        doubt = 1.96 * sqrt(sum((theirs - y) ** 2 for _, theirs in held) / (len(held) - 1) / len(held))
        low, high = max(field.low, y - doubt), min(field.high, y + doubt)
        means.append((axis.x(x), axis.y(y)))
        parts.append(f'<line class="doubt" x1="{axis.x(x):.1f}" x2="{axis.x(x):.1f}" y1="{axis.y(low):.1f}" y2="{axis.y(high):.1f}"/>')
    parts.append(f'<polyline class="means" points="{_points(means)}"/>')
    parts += [f'<circle class="mean" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>' for x, y in means]
    parts += [_label_x(f"{labels[0]} say"), _label_y(f"{labels[1]}, on average")]
    return _svg(parts, f"Reliability of {field.name}: what {labels[1]} says on average for each value of {labels[0]}")


def interval(shift: float, low: float | None, high: float | None, reach: float) -> Markup:
    """A shift with its interval around nought; `reach` is the end of the axis to either side."""
    axis = _Axes(-reach, reach, 0, 1, left=4, right=4, top=2, bottom=2, width=160, height=18)
    parts = [f'<line class="grid" x1="{axis.x(0):.1f}" x2="{axis.x(0):.1f}" y1="2" y2="16"/>']
    if low is not None and high is not None:
        parts.append(f'<line class="doubt" x1="{axis.x(low):.1f}" x2="{axis.x(high):.1f}" y1="9" y2="9"/>')
    parts.append(f'<circle class="mean" cx="{axis.x(shift):.1f}" cy="9" r="3.6"/>')
    return _svg(parts, f"shift {shift:+.2f}", width=160, height=18)


@dataclass(frozen=True, slots=True)
class _Axes:
    """Values to places in the drawing; values beyond an end are drawn at that end."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float
    margin: float = 0.0
    left: float = _LEFT
    right: float = _RIGHT
    top: float = _TOP
    bottom: float = _BOTTOM
    width: float = _WIDTH
    height: float = _HEIGHT

    def x(self, value: float) -> float:
        return self.left + self._part(value, self.low_x, self.high_x) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        return self.height - self.bottom - self._part(value, self.low_y, self.high_y) * (self.height - self.top - self.bottom)

    def _part(self, value: float, low: float, high: float) -> float:
        room = (high - low) * self.margin
        return min(1.0, max(0.0, (value - low + room) / (high - low + 2 * room)))


def _shares(values: Sequence[float], field: Scored, bins: int) -> list[float]:
    counts = Counter(min(bins - 1, max(0, round((value - field.low) / field.step))) for value in values)
    return [counts[place] / len(values) for place in range(bins)] if values else []


def _ticks(field: Scored) -> list[float]:
    step = 1 if field.high - field.low <= 6 else 2
    first = int(field.low) if field.low == int(field.low) else int(field.low) + 1
    return [float(value) for value in range(first, int(field.high) + 1, step)]


def _axis_x(axis: _Axes, field: Scored) -> str:
    ticks = "".join(
        f'<text class="tick" x="{axis.x(value):.1f}" y="{_HEIGHT - _BOTTOM + 13}" text-anchor="middle">{value:g}</text>'
        for value in _ticks(field)
    )
    return f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM}"/>{ticks}'


def _axis_y(axis: _Axes, field: Scored) -> str:
    return "".join(_gridline(axis, value, f"{value:g}") for value in _ticks(field))


def _gridline(axis: _Axes, value: float, label: str) -> str:
    y = axis.y(value)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{escape(label)}</text>'
    )


def _diagonal(axis: _Axes, field: Scored) -> str:
    ends = f'x1="{axis.x(field.low):.1f}" y1="{axis.y(field.low):.1f}" x2="{axis.x(field.high):.1f}" y2="{axis.y(field.high):.1f}"'
    return f'<line class="even" {ends}/>'


def _band(axis: _Axes, typical: tuple[float, float]) -> str:
    left, right = axis.x(typical[0]), axis.x(typical[1])
    return f'<rect class="typical" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{_HEIGHT - _TOP - _BOTTOM}"/>'


def _label_x(text: str) -> str:
    return f'<text class="label" x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(text)}</text>'


def _label_y(text: str) -> str:
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    return f'<text class="label" transform="translate(10 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(text)}</text>'


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _svg(parts: Sequence[str], said: str, width: int = _WIDTH, height: int = _HEIGHT) -> Markup:
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg>')


LABELS: Mapping[str, str] = {"answers": "answers", "golden": "golden", "against": "before"}
