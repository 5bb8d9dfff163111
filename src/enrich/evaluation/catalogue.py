"""The metrics: what each is called, what it says, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# zero: the nearer to nought the better · none: it describes, and says nothing about quality by itself.
Better = Literal["higher", "lower", "zero", "none"]
Form = Literal["share", "points", "count"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of metric: `form` says how its figures are written (a share as per cent)."""

    what: str
    better: Better
    form: Form


_SUMMARY = {
    "unsupported": Kind("summaries with a number or statement that the page does not support", "lower", "share"),
    "unproven": Kind("summaries with a number that is not in the quotes given for it", "lower", "share"),
    "words": Kind("words a summary", "none", "count"),
    "copied": Kind("share of words in runs of six and more that stand on the page", "none", "share"),
    "longest_copy": Kind("words in the longest copied run", "none", "count"),
    "coverage": Kind("share of the page's ten key terms that the summary uses", "higher", "share"),
    "agreement": Kind("terms in common with the golden summary (F1)", "higher", "share"),
}
_INSIGHTS = {
    "per_page": Kind("insights a page", "none", "count"),
    "grounded": Kind("of the insights given with a quote: those whose quote stands on the page and holds their numbers", "higher", "share"),
    "unsupported": Kind("insights with a number that stands nowhere on the page", "lower", "share"),
    "duplicates": Kind("insights that repeat an earlier one of their page", "lower", "share"),
    "found": Kind("golden insights that were found too", "higher", "share"),
    "mix": Kind("distance from the golden mix of types: 0 the same, 1 nothing in common", "lower", "share"),
}
_SCORES = {
    "mean": Kind("mean, of 1 to 5", "none", "points"),
    "spread": Kind("standard deviation", "none", "points"),
    "bias": Kind("mean difference from golden, on the same insights", "zero", "points"),
    "rank": Kind("rank agreement (Spearman) with golden, on the same insights", "higher", "points"),
}
_RATINGS = {
    "mean": Kind("mean, of 0 to 10", "none", "points"),
    "spread": Kind("standard deviation", "none", "points"),
    "mae": Kind("mean absolute error against golden", "lower", "points"),
    "bias": Kind("mean difference from golden", "zero", "points"),
    "spearman": Kind("rank agreement (Spearman) with golden", "higher", "points"),
    "kappa": Kind("agreement beyond chance (quadratic-weighted kappa)", "higher", "points"),
    "inflation": Kind("how far the median lies outside the range that is stated as typical", "zero", "points"),
    "above": Kind("ratings above the range that is stated as typical", "lower", "share"),
}


def kind(metric: str) -> Kind | None:
    """What a metric's name stands for; None for a name that is none."""
    parts = metric.split(".")
    match parts:
        case ["summary", last]:
            return _SUMMARY.get(last)
        case ["insights", last]:
            return _INSIGHTS.get(last)
        case ["insights", "type", _]:
            return Kind("share of the insights", "none", "share")
        case ["insights", "surprising" | "important" | "actionable", last]:
            return _SCORES.get(last)
        case ["ratings", _, last]:
            return _RATINGS.get(last)
    return None


def names() -> list[str]:
    """All names, with `<score>`, `<type>` and `<dimension>` where a part varies."""
    return [
        *(f"summary.{name}" for name in _SUMMARY),
        *(f"insights.{name}" for name in _INSIGHTS),
        "insights.type.<type>",
        *(f"insights.<score>.{name}" for name in _SCORES),
        *(f"ratings.<dimension>.{name}" for name in _RATINGS),
    ]


def shown(metric: str, value: float | None) -> str:
    """A figure as tables write it."""
    if value is None:
        return "–"
    found = kind(metric)
    form = found.form if found else "points"
    if form == "share":
        return f"{100 * value:.1f} %"
    if form == "count":
        return f"{value:.1f}"
    signed = metric.endswith((".bias", ".inflation"))
    # Never "-0.00": a rounded nought has no direction.
    return f"{round(value, 2) + 0.0:+.2f}" if signed and round(value, 2) else f"{round(value, 2) + 0.0:.2f}"
