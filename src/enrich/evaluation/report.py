"""An evaluation as lines of text for a terminal or a log, and as one HTML file that needs no network and no script.

What plots show is computed here; `templates/plots.html.j2` draws them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt

from rich.text import Text

from enrich import html
from enrich.evaluation.answers import AnswerSet
from enrich.evaluation.drift import Drift, Shift
from enrich.evaluation.evaluation import Evaluation, edit_distance
from enrich.evaluation.metrics import Floor, common_insights, metric_kind
from enrich.evaluation.statistics import Estimate
from enrich.review.proposals import Decided
from enrich.text import printable
from enrich.wiki.data import SCORES

HEADINGS = {"answers": "answers", "baseline": "offline", "against": "against", "golden": "golden"}
_STAGES = {"summary": "Summaries", "insights": "Insights", "ratings": "Ratings"}
_LEAST_PAIRS = 5  # fewer pairs are not drawn


# The styles of lines on a terminal.
_BAD, _GOOD, _HEAD, _SOFT = "bold red", "green", "bold", "dim"


def text_lines(evaluation: Evaluation, *, verbose: bool = False) -> Iterator[Text]:
    """What `enrich eval` prints: the verdicts first, then the table. `verbose`: all fields of a comparison, not only those that drifted."""
    counts = ", ".join(f"{stage} {count}" for stage, count in evaluation.counts.items() if count)
    yield Text(f"{printable(evaluation.answers.name)} (pages: {counts or 'none'})", _HEAD)
    if evaluation.drift is not None:
        yield Text("")
        yield from _drift_lines(evaluation.drift, verbose)
    if evaluation.floors:
        yield Text("")
        for one in evaluation.floors:
            yield Text(f"floor {floor_text(one)}", "" if one.held else _BAD)
    if evaluation.names:
        yield Text("")
        yield from _table(evaluation)
        if evaluation.baseline is not None:
            versus = Counter(evaluation.versus.values())
            yield Text("")
            yield Text(
                f"against the offline baseline: {versus['better']} better, {versus['worse']} worse, {versus['same']} too close to call "
                "(the 95 % interval of the difference contains zero)",
                _BAD if versus["worse"] > versus["better"] else "",
            )
    if evaluation.decisions:
        yield Text("")
        yield Text("Reviewers' decisions (95 % intervals)", _HEAD)
        yield from map(Text, map(decided_text, evaluation.decisions))
    for row in evaluation.rows[1:]:
        yield Text(f"{HEADINGS[row.role]}: {printable(row.name)}", _SOFT)


def _drift_lines(drift: Drift, verbose: bool) -> Iterator[Text]:
    pair = f"{printable(drift.before)} → {printable(drift.after)}"
    if not drift.shifts:
        yield Text(f"drift: nothing in common to compare ({pair})", _BAD)
    elif drift.called:
        yield Text(f"DRIFT in {len(drift.called)} of {len(drift.shifts)} fields: {pair}", _BAD)
    else:
        yield Text(f"no drift in {len(drift.shifts)} fields: {pair}", _GOOD)
    for shift in drift.shifts:
        if verbose or shift.verdict != "steady":
            yield Text(f"  {shift.field:<26} {shift_text(shift):<38} {shift.reason}", _BAD if shift.verdict == "drift" else _SOFT)


def _table(evaluation: Evaluation) -> Iterator[Text]:
    rows = [["metric", *(HEADINGS[row.role] for row in evaluation.rows), "to offline" if evaluation.baseline else ""]]
    for name in evaluation.names:
        cells = [estimate_text(name, row.metrics.get(name), interval=row.role in ("answers", "baseline")) for row in evaluation.rows]
        rows.append([name, *cells, evaluation.versus.get(name, "").replace("same", "")])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for place, row in enumerate(rows):
        yield Text("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), "" if place else _HEAD)


def report_html(evaluation: Evaluation) -> str:
    """The evaluation as a complete HTML document."""
    names = evaluation.names
    groups = {title: [name for name in names if name.startswith(f"{stage}.")] for stage, title in _STAGES.items()}
    return html.render(
        "evaluation.html.j2",
        styles=("evaluation.css",),
        evaluation=evaluation,
        drift=evaluation.drift,
        groups=[(title, found) for title, found in groups.items() if found],
        headings=HEADINGS,
        estimate_text=estimate_text,
        floor_text=floor_text,
        shift_text=shift_text,
        decided_text=decided_text,
        description=lambda name: kind.description if (kind := metric_kind(name)) else name,
        # The axis is ten times the least shift that matters, or longer if needed.
        reach=lambda shift: max(10 * shift.least_shift, abs(shift.shift), abs(shift.low), abs(shift.high)),
        golden_figures=_figures(evaluation, evaluation.golden, "golden"),
        against_figures=_figures(evaluation, evaluation.against, "before") if evaluation.against else [],
        counts={"better": 0, "worse": 0, "same": 0} | Counter(evaluation.versus.values()),
        text=printable,
    )


def _figures(evaluation: Evaluation, other: AnswerSet, label: str) -> list[Mapping[str, object]]:
    """The plots of each scored field; None for one with too little to draw."""
    return [
        {
            "name": field.name,
            "spread": distribution(field, label, None if field.name in SCORES else evaluation.typical),
            "pairs": scatter(field, label) if len(field.pairs) >= _LEAST_PAIRS else None,
            "relied": reliability(field, label) if len(field.pairs) >= _LEAST_PAIRS and label == "golden" else None,
            "count": len(field.pairs),
        }
        for field in scored_fields(evaluation.answers, other)
    ]


def decided_text(one: Decided) -> str:
    """`ratings.rigor, gpt-6-luna, prompt v2: 9 of 12 accepted, 75 % [47 – 91], 3 of them edited by 1.2 [0.8 – 1.6]; wrong 2`"""
    low, high = one.interval
    total = one.accepted + one.rejected
    line = f"{one.field}, {printable(one.model)}, prompt {printable(one.prompt)}: {one.accepted} of {total} accepted, "
    line += f"{100 * one.share:.0f} % [{100 * low:.0f} – {100 * high:.0f}]"
    if one.edited:
        distance = edit_distance(one)
        # Points of a rating, words of a text.
        unit, times = ("", 1) if one.field.startswith("ratings.") else (" % of the words", 100)
        figures = [f"{times * (value or 0.0):.{1 if times == 1 else 0}f}" for value in (distance.value, distance.low, distance.high)]
        line += f", {one.edited} of them edited by {figures[0]} [{figures[1]} – {figures[2]}]{unit}"
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(one.reasons.items()))
    return f"{line}; {reasons}" if reasons else line


def value_text(metric: str, value: float | None) -> str:
    """A metric's value as tables show it, "–" for None."""
    if value is None:
        return "–"
    kind = metric_kind(metric)
    if kind is not None and kind.form != "points":
        return f"{100 * value:.1f} %" if kind.form == "share" else f"{value:.1f}"
    signed = kind is not None and kind.better == "zero" and round(value, 2)
    return f"{round(value, 2) + 0.0:{'+' if signed else ''}.2f}"  # + 0.0: never "-0.00"


def estimate_text(metric: str, estimate: Estimate | None, *, interval: bool = True) -> str:
    """A metric's value with its interval, such as `4.1 % [1.9 – 7.2]`; "–" if there is none."""
    text = value_text(metric, estimate.value if estimate else None)
    if not interval or estimate is None or estimate.low is None or estimate.high is None:
        return text
    low, high = (value_text(metric, bound).removesuffix(" %") for bound in (estimate.low, estimate.high))
    return f"{text} [{low} – {high}]"


def floor_text(floor: Floor) -> str:
    """Whether a floor is held, and the value that was reached."""
    reached = "nothing to measure" if floor.value is None else f"it is {value_text(floor.metric, floor.value)}"
    return f"{'held' if floor.held else 'missed'}: {floor.text} ({reached})"


def shift_text(shift: Shift) -> str:
    """Before, after and the shift, such as `3.20 → 2.20 (-1.00, chance < 0.001)`."""
    scale, digits, unit = {"share": (100, 1, " %"), "words": (1, 1, ""), "count": (1, 1, "")}.get(shift.kind, (1, 2, ""))
    chance = "< 0.001" if shift.chance < 0.001 else f"{shift.chance:.3f}"
    moved = round(shift.shift * scale, digits) + 0.0
    return f"{shift.before * scale:.{digits}f} → {shift.after * scale:.{digits}f}{unit} ({moved:+.{digits}f}, chance {chance})"


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


@dataclass
class Plot:
    """A drawing about one field; values beyond an end of an axis are drawn at that end. `typical`: a range to shade.

    `top` is the height of the highest bar of a distribution. Without bars both axes have the field's scale, and a diagonal.
    `bars` are (left, right, height), `ranges` (x, low, high), `paths` (style, points), `dots` (style, x, y, radius).
    """

    scored: Scored
    description: str
    across: str
    up: str = ""
    top: float | None = None
    typical: tuple[float, float] | None = None
    bars: list[tuple[float, float, float]] = field(default_factory=list)
    ranges: list[tuple[float, float, float]] = field(default_factory=list)
    paths: list[tuple[str, list[tuple[float, float]]]] = field(default_factory=list)
    dots: list[tuple[str, float, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        low, high = self.scored.low, self.scored.high
        self.ticks = range(ceil(low), int(high) + 1, 1 if high - low <= 6 else 2)
        # Each line of the grid: its position, its label.
        self.grid = [(float(value), str(value)) for value in self.ticks] if self.top is None else [(self.top, f"{self.top:.0%}")]
        self.x_ends = (low, high) if self.top is None else (low - _STEP / 2, high + _STEP / 2)
        self.y_ends = (low, high) if self.top is None else (0.0, self.top * 1.08)

    def x(self, value: float) -> float:
        return 34 + self._share(value, *self.x_ends) * 256

    def y(self, value: float) -> float:
        return 186 - self._share(value, *self.y_ends) * 176

    def _share(self, value: float, low: float, high: float) -> float:
        room = (high - low) * 0.05 if self.top is None else 0.0  # between the ends of the axes and the border
        return min(1.0, max(0.0, (value - low + room) / (high - low + 2 * room)))


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


def distribution(scored: Scored, label: str, typical: tuple[float, float] | None = None) -> Plot:
    """How the values are spread: the answers as bars, the other set as a line of steps. `typical`: a range to shade."""
    bins = max(1, round((scored.high - scored.low) / _STEP) + 1)

    def shares(values: Sequence[float]) -> list[float]:
        counts = Counter(min(bins - 1, max(0, round((value - scored.low) / _STEP))) for value in values)
        return [counts[place] / len(values) for place in range(bins)] if values else []

    ours, theirs = shares(scored.ours), shares(scored.theirs)
    middles = [scored.low + place * _STEP for place in range(bins)]
    bars = [(x - 0.42 * _STEP, x + 0.42 * _STEP, share) for x, share in zip(middles, ours, strict=False) if share]
    steps = [(x + side * _STEP, share) for x, share in zip(middles, theirs, strict=False) for side in (-0.5, 0.5)]
    top = max((*ours, *theirs), default=1.0)
    description = f"Distribution of {scored.name}: answers as bars, {label} as a line"
    return Plot(scored, description, scored.name, top=top, typical=typical, bars=bars, paths=[("theirs", steps)])


def scatter(scored: Scored, label: str) -> Plot:
    """Each item's value in the other set (across) and in the answers (up); a dot's area grows with the items on it."""
    plot = Plot(scored, f"{scored.name} of the same items: {label} across, answers up", label, "answers")
    counts = Counter(scored.pairs)
    most = max(6, *counts.values())
    plot.dots = [("dot", x, y, max(1.8, _LARGEST_DOT * sqrt(count / most))) for (x, y), count in counts.most_common()]
    return plot


def reliability(scored: Scored, label: str) -> Plot:
    """For each value of the answers the mean of the other set with its 95 % range; on the diagonal the answers are reliable."""
    description = f"Reliability of {scored.name}: what {label} says on average for each value of answers"
    plot = Plot(scored, description, "answers say", f"{label}, on average")
    width = max(_STEP, (scored.high - scored.low) / 10)
    bins: dict[int, list[tuple[float, float]]] = {}
    for theirs, ours in scored.pairs:
        bins.setdefault(round((ours - scored.low) / width), []).append((ours, theirs))
    for _, held in sorted(bins.items()):
        if len(held) >= _LEAST_IN_BIN:
            x, y = (sum(column) / len(held) for column in zip(*held, strict=True))
            reach = 1.96 * sqrt(sum((theirs - y) ** 2 for _, theirs in held) / (len(held) - 1) / len(held))
            plot.ranges.append((x, max(scored.low, y - reach), min(scored.high, y + reach)))
            plot.dots.append(("mean", x, y, 3.2))
    plot.paths = [("means", [(x, y) for _, x, y, _ in plot.dots])]
    return plot
