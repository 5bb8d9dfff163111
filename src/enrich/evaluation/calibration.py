"""Fits a model's ratings to people's: an isotonic map, kept where it is better on pages it has not seen, with 90 % intervals.

The map is fitted by pooling adjacent violators (Ayer et al. 1955) and is a line through the pooled means. The pages are dealt into ten folds; each
page's rating is predicted from the other nine. The map is kept if the mean absolute error of these predictions is below that of the raw ratings by
more than chance (95 % bootstrap interval of the difference, by page): of four dimensions one usually gets worse by calibration. The interval is
split conformal on the same held-out errors: their (n + 1) · 90 % smallest (Vovk et al. 2005), which holds for any distribution.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from enrich.config import Config
from enrich.evaluation.answers import AnswerSet
from enrich.evaluation.statistics import Estimate, Resampling, mean
from enrich.files import write_text_atomically
from enrich.stages.scores import CalibrationMap, interpolated, read_calibration
from enrich.stages.stage import Stage

FEWEST_PAGES = 20
LEVEL = 0.9
_FOLDS = 10

Points = tuple[tuple[float, float], ...]
Rated = Mapping[str, tuple[float, float]]  # (the model's rating, people's) by page


@dataclass(frozen=True, slots=True)
class Fit:
    """What was fitted for one field. `gain`: mean absolute error of the raw ratings less that of the map, on held-out pages.

    `margin`: half the 90 % interval. `points` is () if the map is not kept. All but `pages` are empty with too few pages.
    """

    field: str
    pages: int
    points: Points = ()
    raw_mae: float = 0.0
    mae: float = 0.0
    margin: float = 0.0
    gain: Estimate | None = None


def fit(field: str, rated: Rated, *, seed: int = 0) -> Fit:
    """The map of one field. The same ratings and seed give the same map."""
    if len(rated) < FEWEST_PAGES:
        return Fit(field, len(rated))
    pages = sorted(rated)
    random.Random(seed).shuffle(pages)
    mapped: dict[str, float] = {}
    for fold in range(_FOLDS):
        points = isotonic([rated[page] for place, page in enumerate(pages) if place % _FOLDS != fold])
        mapped |= {page: abs(interpolated(points, rated[page][0]) - rated[page][1]) for page in pages[fold::_FOLDS]}
    raw = {page: abs(rated[page][0] - rated[page][1]) for page in pages}
    gain = Resampling(pages, seed=seed).estimate(mean, [(page, raw[page] - mapped[page]) for page in pages])
    kept = gain.low is not None and gain.low > 0
    errors = sorted((mapped if kept else raw).values())
    margin = errors[min(len(errors), math.ceil((len(errors) + 1) * LEVEL)) - 1]
    points = isotonic(list(rated.values())) if kept else ()
    raw_mae, mae = (round(sum(found.values()) / len(pages), 4) for found in (raw, mapped))
    return Fit(field, len(pages), points, raw_mae, mae, round(margin, 2), gain)


def isotonic(pairs: Sequence[tuple[float, float]]) -> Points:
    """The non-decreasing line that fits the (x, y) pairs best in least squares: the means of pooled neighbours.

    >>> isotonic([(1, 2), (2, 5), (3, 3), (4, 6)])
    ((1.0, 2.0), (2.5, 4.0), (4.0, 6.0))
    """
    from scipy.optimize import isotonic_regression  # slow to import

    given, values = np.array(pairs, dtype=np.float64).T
    x, place, count = np.unique(given, return_inverse=True, return_counts=True)
    fitted = isotonic_regression(np.bincount(place, values) / count, weights=count.astype(np.float64)).x
    means, pool = np.unique(fitted.round(9), return_inverse=True)
    middles = np.bincount(pool, count * x) / np.bincount(pool, count)
    return tuple(zip(middles.round(4).tolist(), means.round(4).tolist(), strict=True))


def rated_pages(answers: AnswerSet, people: AnswerSet) -> dict[str, dict[str, tuple[float, float]]]:
    """By dimension and page, the model's rating and people's."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for given in answers.with_stage("ratings"):
        theirs = people.of(given.page).ratings
        for name, rating in given.ratings.items():
            pairs = found.setdefault(name, {})
            if name in theirs:
                pairs[given.page] = rating, theirs[name]
    return found


def store(config: Config, stage: Stage, fits: Sequence[Fit]) -> None:
    """Write the maps into `enrich.calibration`, in place of earlier ones of the same fields and model. Raises `UserError`."""
    question = dict(zip(("model", "prompt", "settings"), stage.asked_as, strict=True))
    fitted = [one for one in fits if one.gain is not None]
    parts = [{key: value for key, value in asdict(one).items() if key in CalibrationMap.model_fields} for one in fitted]
    made = [CalibrationMap.model_validate({**question, **part}) for part in parts]
    replaced = {(one.field, one.model) for one in made}
    others = [one for one in read_calibration(config) if (one.field, one.model) not in replaced]
    maps = sorted([*others, *made], key=lambda one: (one.model, one.field))
    # A map is a line, so that a merge shows what changed.
    rows = ",\n".join(json.dumps(one.model_dump(mode="json"), ensure_ascii=False) for one in maps)
    write_text_atomically(config.calibration, f'{{"schema": 1, "maps": [\n{rows}\n]}}\n', within=config.folders)


def fit_lines(fits: Sequence[Fit]) -> Iterator[str]:
    """What `enrich eval --calibrate` prints: a line for each field."""
    for one in fits:
        if one.gain is None:
            yield f"{one.field}: {one.pages} pages with people's ratings, {FEWEST_PAGES} are needed"
            continue
        verdict = "kept" if one.points else "not kept, the model's own ratings are as good"
        gain = one.gain
        yield (
            f"{one.field}: mean error {one.raw_mae:.2f} → {one.mae:.2f} on {one.pages} held-out pages "
            f"(gain {gain.value:+.2f} [{gain.low:+.2f} – {gain.high:+.2f}]): {verdict}; 90 % of people's ratings within ±{one.margin:.1f}"
        )
