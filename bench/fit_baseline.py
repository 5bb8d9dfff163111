"""Fit the offline baseline's ratings on a rated wiki, and say how well they hold on pages that were not fitted.

    python bench/fit_baseline.py [WIKI] [--write]

WIKI is a folder with `content/docs` and perhaps `data/insights` (default: the sample wiki beside the checkout; where that is missing, the
script says so and ends with 0). Without `--write` it compares what it finds with the shipped `baseline_coefficients.yaml` and `docs/baseline.md` and
ends with 1 where they differ; with it, it writes them. Only numbers derived from the wiki are written, none of its words.

How: ridge regression on standardised features, every prediction clipped and rounded as the product does it. Errors come from nested
cross-validation: 10 seeded folds by page, 5 times over; the penalty is chosen within each training part; the rival predicts the training
part's median. Intervals: 95 % percentile bootstrap over pages of the gain 1 − MAE / MAE of the median.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from enrich.config import FOUR_DIMENSIONS, SEVEN_DIMENSIONS
from enrich.stages.baseline import (
    _CONSEQUENCE,
    _CUE_POINTS,
    NAMES,
    REACH,
    PageSentences,
    _cue_of,
    _quantities,
    features,
    insights,
    summary,
    terms,
    words_of,
)
from enrich.wiki import yaml12
from enrich.wiki.page_files import find_pages
from enrich.wiki.pages import Page, read_page

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT.parent / "shared" / "wiki-sample"
COEFFICIENTS = ROOT / "src" / "enrich" / "stages" / "baseline_coefficients.yaml"
DOCUMENT = ROOT / "docs" / "baseline.md"

SEED, FOLDS, REPEATS, DRAWS = 0, 10, 5, 2000
PENALTIES = (10.0, 30.0, 100.0, 200.0, 400.0)
INNER_FOLDS = 5
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ridge:
    """score = middle + Σ weight · clip((x − mean) / deviation), kept between low and high."""

    mean: Floats
    deviation: Floats
    middle: float
    weights: Floats
    low: float
    high: float

    def predict(self, x: Floats, step: float) -> Floats:
        z = np.clip((x - self.mean) / self.deviation, -REACH, REACH)
        return snapped(np.clip(self.middle + z @ self.weights, self.low, self.high), step)


@dataclass(frozen=True)
class Result:
    """Errors on pages that were not fitted. `gain` is 1 − mae / median_mae with its 95 % interval."""

    count: int
    mae: float
    median_mae: float
    gain: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.gain > 0

    def to_json(self) -> dict[str, Any]:
        return {name: round(getattr(self, name), 3) for name in ("mae", "median_mae", "gain", "low", "high")}


def snapped(values: Floats, step: float) -> Floats:
    return np.floor(values / step + 0.5) * step


def scales(x: Floats) -> tuple[Floats, Floats]:
    deviation = x.std(axis=0)
    return x.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def fit(x: Floats, y: Floats, penalty: float, mean: Floats, deviation: Floats) -> Ridge:
    z = np.clip((x - mean) / deviation, -REACH, REACH)
    centre = z.mean(axis=0)
    weights = np.linalg.solve((z - centre).T @ (z - centre) + penalty * np.eye(z.shape[1]), (z - centre).T @ (y - y.mean()))
    return Ridge(mean, deviation, float(y.mean() - centre @ weights), weights, float(y.min()), float(y.max()))


def folds(groups: Sequence[str], count: int, rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Masks of the test parts: each group (page) is in one of them."""
    names = sorted(set(groups))
    part = dict(zip(names, rng.permutation(len(names)) % count, strict=True))
    numbers = np.array([part[group] for group in groups])
    return [numbers == number for number in range(count) if (numbers == number).any()]


def best_penalty(x: Floats, y: Floats, groups: Sequence[str], step: float, rng: np.random.Generator) -> float:
    """The penalty with the smallest cross-validated error within these pages."""
    errors = np.zeros(len(PENALTIES))
    for test in folds(groups, INNER_FOLDS, rng):
        mean, deviation = scales(x[~test])
        for at, penalty in enumerate(PENALTIES):
            model = fit(x[~test], y[~test], penalty, mean, deviation)
            errors[at] += np.abs(model.predict(x[test], step) - y[test]).sum()
    return PENALTIES[int(errors.argmin())]


def cross_validated(x: Floats, y: Floats, groups: Sequence[str], step: float) -> Result:
    rng = np.random.default_rng(SEED)
    names = np.array(groups)
    error, median_error = np.zeros(len(y)), np.zeros(len(y))
    for _ in range(REPEATS):
        for test in folds(groups, FOLDS, rng):
            train = ~test
            penalty = best_penalty(x[train], y[train], list(names[train]), step, rng)
            model = fit(x[train], y[train], penalty, *scales(x[train]))
            error[test] += np.abs(model.predict(x[test], step) - y[test]) / REPEATS
            median_error[test] += np.abs(snapped(np.median(y[train], keepdims=True), step) - y[test]) / REPEATS
    pages = sorted(set(groups))
    at = {page: number for number, page in enumerate(pages)}
    index = np.array([at[page] for page in groups])
    ours = np.bincount(index, error, len(pages))
    theirs = np.bincount(index, median_error, len(pages))
    draws = rng.integers(0, len(pages), (DRAWS, len(pages)))
    gains = 1 - ours[draws].sum(axis=1) / theirs[draws].sum(axis=1)
    low, high = np.percentile(gains, [2.5, 97.5])
    return Result(
        len(y), float(error.mean()), float(median_error.mean()), float(1 - error.sum() / median_error.sum()), float(low), float(high)
    )


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def fit_ratings(pages: Sequence[Page]) -> tuple[dict[str, Any], dict[str, Result]]:
    """(the content of `baseline_coefficients.yaml`, the cross-validated result of each dimension)."""
    rated = [page for page in pages if isinstance(page.frontmatter.get("ratings"), Mapping)]
    x = np.array([features(PageSentences(page.title, page.description, page.body)) for page in rated])
    mean, deviation = scales(x)
    parts: dict[str, Any] = {}
    results: dict[str, Result] = {}
    for name in SEVEN_DIMENSIONS:
        rows = [at for at, page in enumerate(rated) if is_number(page.frontmatter["ratings"].get(name))]
        if len(rows) < FOLDS * 2:
            continue
        y = np.array([float(rated[at].frontmatter["ratings"][name]) for at in rows])
        groups = [rated[at].id for at in rows]
        result = results[name] = cross_validated(x[rows], y, groups, 0.1)
        part: dict[str, Any] = {"pages": len(rows), "cross_validated": result.to_json(), "low": float(y.min()), "high": float(y.max())}
        if result.holds:
            penalty = best_penalty(x[rows], y, groups, 0.1, np.random.default_rng(SEED))
            model = fit(x[rows], y, penalty, mean, deviation)
            weights = {feature: round(float(weight), 4) for feature, weight in zip(NAMES, model.weights, strict=True)}
            part |= {"middle": round(model.middle, 4), "penalty": penalty, "weights": weights}
        else:
            part |= {"middle": round(float(np.median(y)), 1), "weights": {}}
        parts[name] = part
    data = {
        "fitted": {
            "by": "bench/fit_baseline.py --write",
            "on": f"{len(rated)} rated pages of the reference wiki's sample",
            "method": "ridge on standardised features; penalty by cross-validation; no weights where they do not beat the median",
            "errors": f"nested cross-validation by page, {FOLDS} folds, {REPEATS} times, seed {SEED}; "
            "gain over the median with its 95 % bootstrap interval",
        },
        "features": {
            feature: {"mean": round(float(m), 4), "deviation": round(float(d), 4)}
            for feature, m, d in zip(NAMES, mean, deviation, strict=True)
        },
        "dimensions": parts,
    }
    return data, results


def cue_counts(text: str, words: frozenset[str]) -> tuple[float, ...]:
    """The cues of one statement as numbers, for a fit of its scores: quantities, consequences, length, each type's cue."""
    cue = _cue_of(text, words)
    counts = (_quantities(text), len(words & _CONSEQUENCE), len(words), *(cue == kind for kind in _CUE_POINTS))
    return tuple(map(float, counts))


def fit_insights(wiki: Path) -> dict[str, tuple[Result, float]]:
    """S, I and A from an insight's cues: the cross-validated result in half points, and the median."""
    texts: list[tuple[str, Mapping[str, Any]]] = []
    for file in sorted((wiki / "data" / "insights").glob("*.yaml")):
        data = yaml12.load(file.read_text(encoding="utf-8"))
        texts += [(str(item.get("page") or item.get("source")), item) for item in data["insights"]]
    found: dict[str, tuple[Result, float]] = {}
    for name in ("surprising", "important", "actionable"):
        rows = [(page, item) for page, item in texts if is_number(item.get(name))]
        if len(rows) < FOLDS * 2:
            continue
        x = np.array([cue_counts(str(item["insight"]), words_of(str(item["insight"]))) for _, item in rows], dtype=float)
        y = np.array([float(item[name]) for _, item in rows])
        found[name] = (cross_validated(x, y, [page for page, _ in rows], 0.5), float(np.median(y)))
    return found


def likeness(one: Iterable[str], other: Iterable[str]) -> float:
    """F1 of the terms of two texts (ROUGE-1 without the commonest words, each term once)."""
    a, b = terms(words_of(" ".join(one))), terms(words_of(" ".join(other)))
    shared = len(a & b)
    return 2 * shared / (len(a) + len(b)) if shared else 0.0


def extracts(pages: Sequence[Page], wiki: Path) -> list[tuple[str, str, float, float, float]]:
    """(what, against what, ours, the page's first sentences, sentences at random): mean likeness to what was written about the page."""
    rng = np.random.default_rng(SEED)
    stored: dict[str, list[str]] = {}
    for file in sorted((wiki / "data" / "insights").glob("*.yaml")):
        for item in yaml12.load(file.read_text(encoding="utf-8"))["insights"]:
            stored.setdefault(str(item.get("page")), []).append(str(item["insight"]))
    summaries: list[tuple[float, float, float]] = []
    picks: list[tuple[float, float, float]] = []
    for page in pages:
        known = PageSentences(page.title, page.description, page.body)
        usable = [candidate.text for candidate in known.prose]
        if len(usable) < 6:
            continue
        if written := page.frontmatter.get("llmSummary"):
            ours, lead = summary(known)["evidence"], usable[:2]
            chance = float(np.mean([likeness(rng.choice(usable, 2, replace=False), [written]) for _ in range(10)]))
            summaries.append((likeness(ours, [written]), likeness(lead, [written]), chance))
        if page.id in stored and (chosen := [item["text"] for item in insights(known)["insights"]]):

            def nearest(texts: Iterable[str], known: Sequence[str] = tuple(stored[page.id])) -> float:
                return float(np.mean([max(likeness([text], [other]) for other in known) for text in texts]))

            chance = float(np.mean([nearest(rng.choice(usable, len(chosen), replace=False)) for _ in range(10)]))
            picks.append((nearest(chosen), nearest(usable[: len(chosen)]), chance))
    rows = []
    for what, against, values in (
        ("summary", f"{len(summaries)} stored summaries", summaries),
        ("insights", f"the nearest stored insight, {len(picks)} pages", picks),
    ):
        if values:
            ours, lead, chance = np.mean(values, axis=0)
            rows.append((what, against, float(ours), float(lead), float(chance)))
    return rows


def document(
    results: Mapping[str, Result], scores: Mapping[str, tuple[Result, float]], rows: Sequence[tuple[str, str, float, float, float]]
) -> str:
    """`docs/baseline.md`."""

    def gain(result: Result) -> str:
        return f"{result.gain:+.0%} ({result.low:+.0%} to {result.high:+.0%})"

    def row(name: str, result: Result, last: str) -> str:
        return f"| {name} | {result.count} | {result.mae:.2f} | {result.median_mae:.2f} | {gain(result)} | {last} |"

    ordered = [*FOUR_DIMENSIONS, *(name for name in SEVEN_DIMENSIONS if name not in FOUR_DIMENSIONS)]
    ratings = [row(name, results[name], "fitted" if results[name].holds else "the median") for name in ordered if name in results]
    insight = [row(name, result, f"{median:g}") for name, (result, median) in scores.items()]
    extracted = [f"| {what} | {against} | {ours:.3f} | {lead:.3f} | {chance:.3f} |" for what, against, ours, lead, chance in rows]
    template = (Path(__file__).parent / "baseline.md.in").read_text(encoding="utf-8")
    return (
        template.replace("{features}", str(len(NAMES)))
        .replace("{ratings}", "\n".join(ratings))
        .replace("{insights}", "\n".join(insight))
        .replace("{extracts}", "\n".join(extracted))
    )


def close(one: Any, other: Any) -> bool:
    """Whether two values are the same but for the last digits (linear algebra differs between machines)."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if is_number(one) and is_number(other):
        return math.isclose(one, other, rel_tol=1e-3, abs_tol=2e-3)
    return bool(one == other)


def main(arguments: Sequence[str] | None = None, say: Callable[[str], None] = print) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("wiki", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--write", action="store_true", help="write baseline_coefficients.yaml and docs/baseline.md")
    options = parser.parse_args(arguments)
    content = options.wiki / "content" / "docs"
    if not content.is_dir():
        say(f"skipped: {content} is not there (a wiki with rated pages is needed to fit the baseline)")
        return 0 if options.wiki == SAMPLE else 1
    pages = [read_page(file) for file in find_pages(content, ids="stem")[0]]
    data, results = fit_ratings(pages)
    text = document(results, fit_insights(options.wiki), extracts(pages, options.wiki))
    say(text)
    if options.write:
        COEFFICIENTS.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=140), encoding="utf-8")
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(text, encoding="utf-8")
        return 0
    stale = []
    if not COEFFICIENTS.is_file() or not close(yaml12.load(COEFFICIENTS.read_text(encoding="utf-8")), data):
        stale.append(COEFFICIENTS)
    if not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != text:
        stale.append(DOCUMENT)
    for file in stale:
        say(f"{file.relative_to(ROOT)} is not what this wiki gives: run with --write")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
