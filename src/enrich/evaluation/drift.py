"""Drift: whether two sets of answers to the same questions differ by more than chance, field by field.

If both sets have values for the same items (a page's rating; an insight that both have), each item is compared with itself; else pages that
both know are compared by their means; else the sets are two groups of pages. Values of one page depend on each other, so a page is one
observation. Under the hypothesis that nothing drifted it is arbitrary which set a page's answers came from. So the sets are swapped page by
page at random (for two groups: the pages are dealt at random), in the same way for all fields at once. A field has drifted if its shift, in
units of its noise, is reached by the *largest* of all fields' shifts in fewer than one of a hundred such draws (Westfall and Young's step for
many tests). A shift must also be large enough to matter (`LEAST_SHIFT`), because with thousands of pages everything is significant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ValidationError

from enrich.config import Config
from enrich.errors import UserError, invalid_data
from enrich.evaluation.answers import AnswerSet, PageAnswers
from enrich.evaluation.metrics import PageTexts, insight_pairs, words_in_order
from enrich.evaluation.statistics import Floats, Resampling, mean
from enrich.files import DATA_BYTES, read_text
from enrich.stages.fields import INSIGHTS, SUMMARY
from enrich.stages.stage import load_stages
from enrich.wiki.data import SCORES, TYPES

ALPHA = 0.01
"""At most one comparison of equal sets in a hundred is reported as drift, over all its fields together."""

SWAPS = 4999
FEWEST_PAGES = 8
"""With fewer pages even a shift that is the same everywhere occurs by chance more often than `ALPHA`: 2 · 0.5^7 > 0.01."""

# Items in both sets must be this share of the smaller set's, else they are chance hits and pages are compared.
_ENOUGH = 0.5
_DO = "make it with `enrich eval --against model:NAME --json > report.json`"

Basis = Literal["items", "pages", "groups"]
Verdict = Literal["drift", "steady", "too-few"]
Values = Mapping[int, float]  # a page's values of one field by item: the index of the insight, 0 for what a page has once

# The least shift that matters: a tenth of a point of 1 to 5, a quarter of a point of 0 to 10, five per cent of a share, and so on.
LEAST_SHIFT: Mapping[str, float] = {"score": 0.1, "rating": 0.25, "share": 0.05, "words": 3.0, "count": 0.5}


@dataclass(frozen=True, slots=True)
class Shift:
    """One field's comparison. `old` and `new` have the mean value of each page in either set (for `groups` a page is in only one of them).

    `low` and `high` are the 95 % interval of the difference of their means. `chance`: how often equal sets would show as much in some field.
    `uniform`: the difference that nearly all items share, else None.
    """

    field: str
    kind: str
    basis: Basis
    items: int
    old: Mapping[str, float]
    new: Mapping[str, float]
    uniform: float | None = None
    chance: float = 1.0
    low: float = 0.0
    high: float = 0.0

    @property
    def before(self) -> float:
        return fmean(self.old.values())

    @property
    def after(self) -> float:
        return fmean(self.new.values())

    @property
    def shift(self) -> float:
        return self.after - self.before

    @property
    def pages(self) -> int:
        """The number of pages that were compared."""
        return len(self.old) + (len(self.new) if self.basis == "groups" else 0)

    @property
    def least_shift(self) -> float:
        """The least shift that matters."""
        return LEAST_SHIFT[self.kind]

    @property
    def verdict(self) -> Verdict:
        if (2 * min(len(self.old), len(self.new)) if self.basis == "groups" else self.pages) < FEWEST_PAGES:
            return "too-few"
        return "drift" if self.chance < ALPHA and abs(self.shift) >= self.least_shift - 1e-9 else "steady"

    @property
    def reason(self) -> str:
        """The verdict in one line."""
        basis = {"items": "the same items", "pages": "the same pages", "groups": "two groups of pages"}[self.basis]
        if self.verdict == "too-few":
            reason = "too few pages to tell"
        elif self.verdict == "drift":
            reason = "more than chance" if self.uniform is None else f"nearly every value moved by exactly {self.uniform:+.2f}"
        else:
            reason = "too small to matter" if abs(self.shift) < self.least_shift and self.chance < ALPHA else "within chance"
        return f"{reason} ({self.items} values of {self.pages} pages, {basis})"


@dataclass(frozen=True, slots=True)
class Drift:
    """The comparison of two sets; `shifts` in the order of fields, drifted or not."""

    before: str
    after: str
    shifts: tuple[Shift, ...]

    @property
    def called(self) -> tuple[Shift, ...]:
        """The fields that have drifted."""
        return tuple(shift for shift in self.shifts if shift.verdict == "drift")


def compare(before: AnswerSet, after: AnswerSet, pages: Mapping[str, PageTexts] | None = None, *, seed: int = 0) -> Drift:
    """Where `after` has drifted from `before`. With `pages`, unsupported numbers are compared too. The same seed gives the same verdicts."""
    found = [_observed(field, kind, before, after, pages or {}) for field, kind in _fields(before, after)]
    shifts = [shift for shift in found if shift is not None]
    chances = _chances(shifts, seed) if shifts else []
    done = []
    for one, chance in zip(shifts, chances, strict=True):
        low, high = _interval(one, seed)
        done.append(replace(one, chance=chance, low=low, high=high))
    return Drift(before.name, after.name, tuple(done))


def _fields(before: AnswerSet, after: AnswerSet) -> Iterator[tuple[str, str]]:
    """(name, kind) of each field."""
    yield from (("summary.words", "words"), ("summary.unsupported", "share"), ("insights.per_page", "count"))
    yield from ((f"insights.{name}", "score") for name in SCORES)
    yield from ((f"insights.type.{name}", "share") for name in TYPES)
    for name in dict.fromkeys(name for group in (before, after) for one in group.pages.values() for name in one.ratings):
        yield f"ratings.{name}", "rating"


def _values(field: str, one: PageAnswers, pages: Mapping[str, PageTexts]) -> Values:
    """A page's values of one field."""
    insights, value = one.insights or (), None
    match field.split("."):
        case ["summary", "words"] if one.summary is not None:
            value = len(words_in_order(one.summary))
        case ["summary", "unsupported"] if one.summary is not None and one.page in pages:
            value = pages[one.page].unsupported(one.summary)
        case ["insights", "per_page"] if one.insights is not None:
            value = len(insights)
        case ["insights", "type", name]:
            return {place: item.type == name for place, item in enumerate(insights)}
        case ["insights", score] if score in SCORES:
            return {place: item.scores[score] for place, item in enumerate(insights) if score in item.scores}
        case ["ratings", name]:
            return {0: one.ratings[name]} if name in one.ratings else {}
    return {} if value is None else {0: value}


def _observed(field: str, kind: str, before: AnswerSet, after: AnswerSet, texts: Mapping[str, PageTexts]) -> Shift | None:
    """What is compared of one field, without its chance; None if a set has no value of it."""
    ones, others = (
        {page: values for page, given in side.pages.items() if (values := _values(field, given, texts))} for side in (before, after)
    )
    if not ones or not others:
        return None
    by_insight = field.startswith("insights.") and kind != "count"
    pairs: dict[str, list[tuple[float, float]]] = {}
    for page, first in ones.items():
        second = others.get(page, {})
        places = insight_pairs(before.of(page).insights or (), after.of(page).insights or ()) if by_insight else [(0, 0)]
        if found := [(first[i], second[j]) for i, j in places if i in first and j in second]:
            pairs[page] = found
    items, counts = sum(map(len, pairs.values())), [sum(map(len, side.values())) for side in (ones, others)]
    if items and items >= _ENOUGH * min(counts):
        old, new = ({page: fmean(pair[side] for pair in found) for page, found in pairs.items()} for side in (0, 1))
        return Shift(field, kind, "items", items, old, new, _uniform([b - a for found in pairs.values() for a, b in found]))
    old, new = ({page: fmean(values.values()) for page, values in side.items()} for side in (ones, others))
    shared = [page for page in old if page in new]
    if len(shared) >= _ENOUGH * min(len(old), len(new)):
        total = sum(len(ones[page]) + len(others[page]) for page in shared)
        return Shift(field, kind, "pages", total, {page: old[page] for page in shared}, {page: new[page] for page in shared})
    # A page in both groups would not be independent of itself: it stays with the first.
    rest = {page: value for page, value in new.items() if page not in shared}
    return Shift(field, kind, "groups", sum(counts), old, rest) if rest else None


def _uniform(differences: Sequence[float]) -> float | None:
    """The difference, other than zero, that nine of ten items share."""
    value, count = Counter(round(difference, 3) for difference in differences).most_common(1)[0]
    return value if value and count >= 0.9 * len(differences) else None


def _chances(compared: Sequence[Shift], seed: int) -> list[float]:
    """For each field, how often randomly swapped sets show a shift as large in some field."""
    rng = np.random.default_rng(seed)
    pages = {page: place for place, page in enumerate(dict.fromkeys(page for one in compared for page in (*one.old, *one.new)))}
    signs = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), size=(SWAPS, len(pages)))
    deals: dict[tuple[str, ...], Any] = {}
    order = None
    drawn: list[Floats] = []
    observed: list[float] = []
    for one in compared:
        if one.basis == "groups":
            if order is None:
                order = rng.random((SWAPS, len(pages)), dtype=np.float32)
            held = (*one.old, *one.new)
            if held not in deals:
                # Most fields are about the same pages, which are dealt once.
                deals[held] = np.argsort(order[:, [pages[page] for page in held]], axis=1)
            shift, shifts = _dealt(one, deals[held])
        else:
            places = [pages[page] for page in one.old]
            moved = np.array([one.new[page] - value for page, value in one.old.items()])
            size = float(np.sqrt(moved @ moved))
            scaled = moved / size if size > 1e-12 else moved * 0  # no shift at all, however the sets are swapped
            shift, shifts = abs(float(scaled.sum())), abs(signs[:, places] @ scaled)
        observed.append(shift)
        drawn.append(shifts)
    largest = np.max(np.array(drawn), axis=0)
    # Sums of the same numbers in another order differ in their last digits.
    return [float((1 + np.count_nonzero(largest >= shift - 1e-6)) / (1 + SWAPS)) for shift in observed]


def _dealt(one: Shift, deals: Any) -> tuple[float, Floats]:
    """(shift, shifts of pages dealt at random), both in units of the latter's deviation. `deals`: an order of the pages in each row."""
    values = np.array([*one.old.values(), *one.new.values()])
    values = values - values.mean()
    size = len(one.old)
    shuffled = values[deals]
    shifts = shuffled[:, size:].mean(axis=1) - shuffled[:, :size].mean(axis=1)
    noise = float(shifts.std())
    if noise < 1e-12:
        return 0.0, abs(shifts) * 0
    return abs(float(values[size:].mean() - values[:size].mean())) / noise, abs(shifts) / noise


def _interval(one: Shift, seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of the shift, by page."""

    def draws_of(values: Mapping[str, float], seed: int) -> Floats:
        return Resampling(list(values), seed=seed).estimate(mean, list(values.items())).draws

    if one.basis == "groups":
        draws = draws_of(one.new, seed + 1) - draws_of(one.old, seed)
    else:
        draws = draws_of({page: one.new[page] - value for page, value in one.old.items()}, seed)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


class _ReportedShift(BaseModel):
    field: str
    verdict: Verdict


class _ReportedDrift(BaseModel):
    before: str
    after: str
    fields: list[_ReportedShift]


class _Report(BaseModel):
    """The part of the document of `enrich eval --against … --json` that is needed; it has more keys."""

    drift: _ReportedDrift | None = None


def drifted_fields(file: Path, config: Config) -> tuple[str, ...]:
    """The fields of pages that drifted, in the report's order; () if none did. A score of insights is about the whole field `insights`.

    Raises `UserError` for a report without drift, about other models than the configured ones, or with too few pages for any verdict.
    """
    try:
        drift = _Report.model_validate_json(read_text(file, config.folders_of(file), DATA_BYTES)).drift
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror or error})", where=str(file), do=_DO) from None
    except UnicodeDecodeError:
        raise UserError("not UTF-8", where=str(file), do=_DO) from None
    except ValidationError as error:
        raise invalid_data(error, _Report, str(file), _DO) from None
    if drift is None or not drift.fields:
        raise UserError("the report compares nothing", where=str(file), do=_DO)
    models = {stage.model for stage in load_stages(config)}
    # A set of answers is named after its models: `new-model (summary v2, ratings v2)`.
    compared = {model.strip() for side in (drift.before, drift.after) for model in side.partition(" (")[0].split(",")}
    if not models & compared:
        do = f"set llm.model to one of {', '.join(sorted(compared))}, or compare the configured model"
        raise UserError(f"the report is not about {', '.join(sorted(models))}", where=str(file), do=do)
    if all(shift.verdict == "too-few" for shift in drift.fields):
        raise UserError("too few golden pages for a verdict", where=str(file), do="compare at least 8 pages")
    return tuple(dict.fromkeys(_field(shift.field) for shift in drift.fields if shift.verdict == "drift"))


def _field(name: str) -> str:
    return {"summary": SUMMARY, "insights": INSIGHTS}.get(name.partition(".")[0], name)
