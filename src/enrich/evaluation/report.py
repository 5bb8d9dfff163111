"""An evaluation as lines of text for a terminal or a log, and as one HTML file that needs no network and no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enrich import html
from enrich.evaluation.answers import AnswerSet
from enrich.evaluation.drift import Drift, Shift
from enrich.evaluation.evaluation import Evaluation
from enrich.evaluation.metrics import FloorResult, metric_kind
from enrich.evaluation.plots import distribution, interval, reliability, scatter, scored_fields
from enrich.evaluation.statistics import Estimate
from enrich.text import printable
from enrich.wiki.data import SCORES

if TYPE_CHECKING:
    from markupsafe import Markup

HEADINGS = {"answers": "answers", "baseline": "offline", "against": "against", "golden": "golden"}
_STAGES = {"summary": "Summaries", "insights": "Insights", "ratings": "Ratings"}
_LEAST_PAIRS = 5  # fewer pairs are not drawn


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line; `tone` is "good", "bad", "head", "soft" or ""."""

    text: str
    tone: str = ""


def text_lines(evaluation: Evaluation, *, verbose: bool = False) -> Iterator[TextLine]:
    """What `enrich eval` prints: the verdicts first, then the table. `verbose`: all fields of a comparison, not only those that drifted."""
    counts = ", ".join(f"{stage} {count}" for stage, count in evaluation.counts.items() if count)
    yield TextLine(f"{printable(evaluation.answers.name)} (pages: {counts or 'none'})", "head")
    if evaluation.drift is not None:
        yield TextLine("")
        yield from _drift_lines(evaluation.drift, verbose)
    if evaluation.floors:
        yield TextLine("")
        for one in evaluation.floors:
            yield TextLine(f"floor {floor_text(one)}", "" if one.held else "bad")
    if evaluation.names:
        yield TextLine("")
        yield from _table(evaluation)
        if evaluation.baseline is not None:
            versus = Counter(evaluation.versus.values())
            yield TextLine("")
            yield TextLine(
                f"against the offline baseline: {versus['better']} better, {versus['worse']} worse, {versus['same']} too close to call "
                "(the 95 % interval of the difference contains zero)",
                "bad" if versus["worse"] > versus["better"] else "",
            )
    for row in evaluation.rows[1:]:
        yield TextLine(f"{HEADINGS[row.role]}: {printable(row.name)}", "soft")


def _drift_lines(drift: Drift, verbose: bool) -> Iterator[TextLine]:
    pair = f"{printable(drift.before)} → {printable(drift.after)}"
    if not drift.shifts:
        yield TextLine(f"drift: nothing in common to compare ({pair})", "bad")
    elif drift.called:
        yield TextLine(f"DRIFT in {len(drift.called)} of {len(drift.shifts)} fields: {pair}", "bad")
    else:
        yield TextLine(f"no drift in {len(drift.shifts)} fields: {pair}", "good")
    for shift in drift.shifts:
        if verbose or shift.verdict != "steady":
            yield TextLine(f"  {shift.field:<26} {shift_text(shift):<38} {shift.reason}", "bad" if shift.verdict == "drift" else "soft")


def _table(evaluation: Evaluation) -> Iterator[TextLine]:
    rows = [["metric", *(HEADINGS[row.role] for row in evaluation.rows), "to offline" if evaluation.baseline else ""]]
    for name in evaluation.names:
        cells = [estimate_text(name, row.metrics.get(name), interval=row.role in ("answers", "baseline")) for row in evaluation.rows]
        rows.append([name, *cells, evaluation.versus.get(name, "").replace("same", "")])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for place, row in enumerate(rows):
        yield TextLine("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), "" if place else "head")


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
        description=lambda name: kind.description if (kind := metric_kind(name)) else name,
        strip=_strip,
        golden_figures=_figures(evaluation, evaluation.golden, "golden"),
        against_figures=_figures(evaluation, evaluation.against, "before") if evaluation.against else [],
        counts={"better": 0, "worse": 0, "same": 0} | Counter(evaluation.versus.values()),
        text=printable,
    )


def _strip(shift: Shift) -> Markup:
    """The shift on an axis of ten times the least shift that matters, or longer if needed."""
    reach = max(10 * shift.least_shift, abs(shift.shift), abs(shift.low), abs(shift.high))
    return interval(shift.shift, shift.low, shift.high, reach)


def _figures(evaluation: Evaluation, other: AnswerSet, label: str) -> list[Mapping[str, object]]:
    """The plots of each scored field; None for one with too little to draw."""
    labels = ("answers", label)
    return [
        {
            "name": field.name,
            "spread": distribution(field, labels, None if field.name in SCORES else evaluation.typical),
            "pairs": scatter(field, labels) if len(field.pairs) >= _LEAST_PAIRS else None,
            "relied": reliability(field, labels) if len(field.pairs) >= _LEAST_PAIRS and label == "golden" else None,
            "count": len(field.pairs),
        }
        for field in scored_fields(evaluation.answers, other)
    ]


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


def floor_text(result: FloorResult) -> str:
    """Whether a floor is held, and the value that was reached."""
    reached = "nothing to measure" if result.value is None else f"it is {value_text(result.floor.metric, result.value)}"
    return f"{'held' if result.held else 'missed'}: {result.floor.text} ({reached})"


def shift_text(shift: Shift) -> str:
    """Before, after and the shift, such as `3.20 → 2.20 (-1.00, chance < 0.001)`."""
    scale, digits, unit = {"share": (100, 1, " %"), "words": (1, 1, ""), "count": (1, 1, "")}.get(shift.kind, (1, 2, ""))
    chance = "< 0.001" if shift.chance < 0.001 else f"{shift.chance:.3f}"
    moved = round(shift.shift * scale, digits) + 0.0
    return f"{shift.before * scale:.{digits}f} → {shift.after * scale:.{digits}f}{unit} ({moved:+.{digits}f}, chance {chance})"
