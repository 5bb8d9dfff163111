"""Plots as inline SVG: they need no script and no network, and take their colours from the page's style sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt

from markupsafe import Markup, escape

from enrich.evaluation.answers import AnswerSet
from enrich.evaluation.metrics import common_insights
from enrich.wiki.data import SCORES

_WIDTH, _HEIGHT = 300, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 10, 34  # margins around the plot, which hold ticks and labels
_STEP = 0.5  # between the bars of a distribution
_LARGEST_DOT = 9.0
_LEAST_IN_BIN = 3  # a mean of fewer values is not drawn


@dataclass(frozen=True, slots=True)
class Scored:
    """One scored field in two sets: all values of either (`ours`, `theirs`), and pairs (theirs, ours) of the same item."""

    name: str
    low: float
    high: float
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    pairs: tuple[tuple[float, float], ...]


def scored_fields(ours: AnswerSet, theirs: AnswerSet) -> Iterator[Scored]:
    """The scores of insights, then each rating, as far as `ours` has them."""
    common = list(common_insights(ours, theirs))
    for score in SCORES:
        mine, other = (
            tuple(one.scores[score] for page in side.pages.values() for one in page.insights or () if score in one.scores)
            for side in (ours, theirs)
        )
        if mine:
            pairs = tuple((b.scores[score], a.scores[score]) for _, a, b in common if score in a.scores and score in b.scores)
            # A comparison must show scores that left the scale, so the axis grows with them.
            yield Scored(score, min(1.0, *mine, *other), max(5.0, *mine, *other), mine, other, pairs)
    for name in dict.fromkeys(name for page in ours.pages.values() for name in page.ratings):
        rated, others = ({page: one.ratings[name] for page, one in side.pages.items() if name in one.ratings} for side in (ours, theirs))
        pairs = tuple((others[page], value) for page, value in rated.items() if page in others)
        yield Scored(name, 0.0, 10.0, tuple(rated.values()), tuple(others.values()), pairs)


def distribution(scored: Scored, labels: tuple[str, str], typical: tuple[float, float] | None = None) -> Markup:
    """How the values are spread: the answers as bars, the other set as a line of steps. `typical`: a range to shade."""
    bins = max(1, round((scored.high - scored.low) / _STEP) + 1)
    ours, theirs = _shares(scored.ours, scored, bins), _shares(scored.theirs, scored, bins)
    top = max([*ours, *theirs], default=0.0) or 1.0
    plot = _Plot(scored.low - _STEP / 2, scored.high + _STEP / 2, 0.0, top * 1.08)
    if typical:
        plot.box("typical", *typical, plot.high_y)
    plot.x_axis(scored)
    plot.gridline(top, f"{top:.0%}")
    for place, share in enumerate(ours):
        if share:
            plot.box("ours", scored.low + (place - 0.42) * _STEP, scored.low + (place + 0.42) * _STEP, share)
    plot.polyline("theirs", [(scored.low + (place + side) * _STEP, share) for place, share in enumerate(theirs) for side in (-0.5, 0.5)])
    plot.label(scored.name)
    return plot.svg(f"Distribution of {scored.name}: {labels[0]} as bars, {labels[1]} as a line")


def scatter(scored: Scored, labels: tuple[str, str]) -> Markup:
    """Each item's value in the other set (across) and in the answers (up); a dot's area grows with the items on it."""
    plot = _square(scored)
    counts = Counter(scored.pairs)
    most = max(counts.values(), default=1)
    for (x, y), count in counts.most_common():
        plot.dot("dot", x, y, max(1.8, _LARGEST_DOT * sqrt(count / max(most, 6))))
    plot.label(labels[1], labels[0])
    return plot.svg(f"{scored.name} of the same items: {labels[1]} across, {labels[0]} up")


def reliability(scored: Scored, labels: tuple[str, str]) -> Markup:
    """For each value of the answers the mean of the other set with its 95 % range; on the diagonal the answers are reliable."""
    plot = _square(scored)
    width = max(_STEP, (scored.high - scored.low) / 10)
    bins: dict[int, list[tuple[float, float]]] = {}
    for theirs, ours in scored.pairs:
        bins.setdefault(round((ours - scored.low) / width), []).append((ours, theirs))
    means: list[tuple[float, float]] = []
    for _, held in sorted(bins.items()):
        if len(held) >= _LEAST_IN_BIN:
            x, y = (sum(column) / len(held) for column in zip(*held, strict=True))
            reach = 1.96 * sqrt(sum((theirs - y) ** 2 for _, theirs in held) / (len(held) - 1) / len(held))
            means.append((x, y))
            plot.line("doubt", (x, max(scored.low, y - reach)), (x, min(scored.high, y + reach)))
    plot.polyline("means", means)
    for x, y in means:
        plot.dot("mean", x, y, 3.2)
    plot.label(f"{labels[0]} say", f"{labels[1]}, on average")
    return plot.svg(f"Reliability of {scored.name}: what {labels[1]} says on average for each value of {labels[0]}")


def interval(shift: float, low: float, high: float, reach: float) -> Markup:
    """A shift with its interval around zero; the axis ends at `reach` on either side."""
    zero, left, right, at = (4 + 152 * (value + reach) / (2 * reach) for value in (0, low, high, shift))
    parts = (
        f'<line class="grid" x1="{zero:.1f}" x2="{zero:.1f}" y1="2" y2="16"/>'
        f'<line class="doubt" x1="{left:.1f}" x2="{right:.1f}" y1="9" y2="9"/>'
        f'<circle class="mean" cx="{at:.1f}" cy="9" r="3.6"/>'
    )
    return Markup(f'<svg viewBox="0 0 160 18" role="img" aria-label="shift {shift:+.2f}">{parts}</svg>')


@dataclass
class _Plot:
    """SVG elements at positions given in values of the axes; values beyond an end are drawn at that end."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float
    margin: float = 0.0  # between the ends of the axes and the border, as a share of their length
    parts: list[str] = field(default_factory=list)

    def x(self, value: float) -> float:
        return _LEFT + self._share(value, self.low_x, self.high_x) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - self._share(value, self.low_y, self.high_y) * (_HEIGHT - _TOP - _BOTTOM)

    def _share(self, value: float, low: float, high: float) -> float:
        room = (high - low) * self.margin
        return min(1.0, max(0.0, (value - low + room) / (high - low + 2 * room)))

    def line(self, style: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        (x1, y1), (x2, y2) = start, end
        self.parts.append(
            f'<line class="{style}" x1="{self.x(x1):.1f}" x2="{self.x(x2):.1f}" y1="{self.y(y1):.1f}" y2="{self.y(y2):.1f}"/>'
        )

    def polyline(self, style: str, points: Iterable[tuple[float, float]]) -> None:
        at = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        if at:
            self.parts.append(f'<polyline class="{style}" points="{at}"/>')

    def dot(self, style: str, x: float, y: float, radius: float) -> None:
        self.parts.append(f'<circle class="{style}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:.1f}"/>')

    def box(self, style: str, x1: float, x2: float, height: float) -> None:
        """A box on the x axis."""
        left, top = self.x(x1), self.y(height)
        size = f'width="{self.x(x2) - left:.1f}" height="{self.y(0) - top:.1f}"'
        self.parts.append(f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" {size}/>')

    def x_axis(self, scored: Scored) -> None:
        y = _HEIGHT - _BOTTOM
        self.parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        for value in _ticks(scored):
            self.parts.append(f'<text class="tick" x="{self.x(value):.1f}" y="{y + 13}" text-anchor="middle">{value}</text>')

    def gridline(self, value: float, label: str) -> None:
        y = self.y(value)
        self.parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        self.parts.append(f'<text class="tick" x="{_LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{label}</text>')

    def label(self, across: str, up: str = "") -> None:
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        self.parts.append(f'<text class="label" x="{middle:.0f}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(across)}</text>')
        if up:
            turn = f"translate(10 {(_TOP + _HEIGHT - _BOTTOM) / 2:.0f}) rotate(-90)"
            self.parts.append(f'<text class="label" transform="{turn}" text-anchor="middle">{escape(up)}</text>')

    def svg(self, description: str) -> Markup:
        box = f"0 0 {_WIDTH} {_HEIGHT}"
        return Markup(f'<svg viewBox="{box}" role="img" aria-label="{escape(description)}">{"".join(self.parts)}</svg>')


def _square(scored: Scored) -> _Plot:
    """A plot with the field's scale on both axes, and the diagonal."""
    plot = _Plot(scored.low, scored.high, scored.low, scored.high, margin=0.05)
    plot.x_axis(scored)
    for value in _ticks(scored):
        plot.gridline(value, str(value))
    plot.line("even", (scored.low, scored.low), (scored.high, scored.high))
    return plot


def _shares(values: Sequence[float], scored: Scored, bins: int) -> list[float]:
    """The share of the values in each bin; [] without values."""
    counts = Counter(min(bins - 1, max(0, round((value - scored.low) / _STEP))) for value in values)
    return [counts[place] / len(values) for place in range(bins)] if values else []


def _ticks(scored: Scored) -> range:
    return range(ceil(scored.low), int(scored.high) + 1, 1 if scored.high - scored.low <= 6 else 2)
