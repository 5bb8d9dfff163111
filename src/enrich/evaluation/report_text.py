"""An evaluation as lines of text for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from enrich.evaluation.catalogue import Form, kind, shown
from enrich.evaluation.drift import Drift, Shift
from enrich.evaluation.evaluating import Evaluation
from enrich.evaluation.statistics import Estimate
from enrich.text import printable

HEADINGS = {"answers": "answers", "baseline": "offline", "against": "against", "golden": "golden"}


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line; `tone` says whether it is good news, bad news or neither."""

    text: str
    tone: str = ""  # "bad", "good", "head", "soft", ""


def text_lines(evaluation: Evaluation, *, verbose: bool = False) -> Iterator[TextLine]:
    """What `enrich eval` prints: the verdicts first, then the table. `verbose`: every field of a comparison, not only what moved."""
    counts = ", ".join(f"{stage} {count}" for stage, count in evaluation.counts.items() if count)
    yield TextLine(f"{printable(evaluation.answers.name)} (pages: {counts or 'none'})", "head")
    if evaluation.drift is not None:
        yield TextLine("")
        yield from _drift_lines(evaluation.drift, verbose)
    if evaluation.floors:
        yield TextLine("")
        for one in evaluation.floors:
            yield TextLine(f"floor {one.text}", "" if one.held else "bad")
    if evaluation.names:
        yield TextLine("")
        yield from _table(evaluation)
        if evaluation.baseline is not None:
            yield TextLine("")
            yield TextLine(*_beaten(evaluation))
    for row in evaluation.rows[1:]:
        yield TextLine(f"{HEADINGS[row.role]}: {printable(row.name)}", "soft")


def _beaten(evaluation: Evaluation) -> tuple[str, str]:
    counts = {word: sum(one == word for one in evaluation.versus.values()) for word in ("better", "worse", "same")}
    tone = "bad" if counts["worse"] > counts["better"] else ""
    return (
        f"against the offline baseline: {counts['better']} better, {counts['worse']} worse, {counts['same']} too close to call "
        "(the 95 % interval of the difference leaves nought out)",
        tone,
    )


def _drift_lines(drift: Drift, verbose: bool) -> Iterator[TextLine]:
    pair = f"{printable(drift.before)} → {printable(drift.after)}"
    if not drift.shifts:
        yield TextLine(f"drift: nothing in common to compare ({pair})", "bad")
        return
    if drift.called:
        yield TextLine(f"DRIFT in {len(drift.called)} of {len(drift.shifts)} fields: {pair}", "bad")
    else:
        yield TextLine(f"no drift in {len(drift.shifts)} fields: {pair}", "good")
    for shift in drift.shifts:
        if verbose or shift.verdict != "steady":
            yield TextLine(f"  {shift.field:<26} {shift_text(shift):<38} {shift.reason}", "bad" if shift.verdict == "drift" else "soft")


FORMS: dict[str, Form] = {"score": "points", "rating": "points", "share": "share", "words": "count", "count": "count"}


def shift_text(shift: Shift) -> str:
    """Before, after and the shift, such as `3.20 → 2.20 (-1.00, chance < 0.001)`."""
    form = FORMS[shift.kind]
    scale, digits, unit = (100, 1, " %") if form == "share" else (1, 1, "") if form == "count" else (1, 2, "")
    chance = "< 0.001" if shift.chance < 0.001 else f"{shift.chance:.3f}"
    moved = round(shift.shift * scale, digits) + 0.0
    return f"{shift.before * scale:.{digits}f} → {shift.after * scale:.{digits}f}{unit} ({moved:+.{digits}f}, chance {chance})"


def _table(evaluation: Evaluation) -> Iterator[TextLine]:
    rows = [["metric", *(HEADINGS[row.role] for row in evaluation.rows), "to offline" if evaluation.baseline else ""]]
    tones = ["head"]
    for name in evaluation.names:
        cells = [figure(name, row.metrics.get(name), interval=row.role in ("answers", "baseline")) for row in evaluation.rows]
        standing = evaluation.versus.get(name, "")
        rows.append([name, *cells, standing if standing != "same" else ""])
        tones.append("")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row, tone in zip(rows, tones, strict=True):
        yield TextLine(_aligned(row, widths), tone)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def figure(name: str, estimate: Estimate | None, *, interval: bool = True) -> str:
    """A figure with its interval, such as `4.1 % [1.9 – 7.2]`; "–" where there is none."""
    if estimate is None or estimate.value is None:
        return "–"
    text = shown(name, estimate.value)
    if not interval or estimate.low is None or estimate.high is None:
        return text
    low, high = (shown(name, bound).removesuffix(" %") for bound in (estimate.low, estimate.high))
    return f"{text} [{low} – {high}]"


def what(name: str) -> str:
    """What a metric says, in words."""
    found = kind(name)
    return found.what if found else name
