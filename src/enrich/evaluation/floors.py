"""Floors: what a metric must reach for a prompt or model to pass, from `[eval.floors]` in enrich.toml or `--floor`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from enrich.errors import UserError
from enrich.evaluation.catalogue import kind, names, shown
from enrich.evaluation.metrics import Metrics

_FORM = re.compile(r"\s*(?P<metric>[^<>=\s]+)\s*(?P<sign><=|>=|=)\s*(?P<bound>[^\s<>=]+)\s*")
_TABLE_FORM = re.compile(r"\s*(?P<sign><=|>=)\s*(?P<bound>[^\s<>=]+)\s*")


@dataclass(frozen=True, slots=True)
class Floor:
    """`metric` must be at least (`>=`) or at most (`<=`) `bound`; `near`: its distance from nought must be at most `bound`."""

    metric: str
    sign: Literal[">=", "<=", "near"]
    bound: float

    @property
    def text(self) -> str:
        return f"|{self.metric}| <= {self.bound:g}" if self.sign == "near" else f"{self.metric} {self.sign} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Judged:
    """A floor with what was reached; `value` None: nothing there to measure, which misses every floor."""

    floor: Floor
    value: float | None

    @property
    def held(self) -> bool:
        if self.value is None:
            return False
        # Decimals are compared as they are written: 0.1 + 0.2 reaches 0.3.
        match self.floor.sign:
            case ">=":
                return self.value >= self.floor.bound - 1e-9
            case "<=":
                return self.value <= self.floor.bound + 1e-9
            case _:
                return abs(self.value) <= self.floor.bound + 1e-9

    @property
    def text(self) -> str:
        reached = "nothing to measure" if self.value is None else shown(self.floor.metric, self.value)
        return f"{'held' if self.held else 'missed'}: {self.floor.text} (it is {reached})" if self.value is not None else (
            f"missed: {self.floor.text} ({reached})"
        )  # fmt: skip


def read_floors(table: Mapping[str, float | str], given: Iterable[str], *, where: str) -> list[Floor]:
    """The floors of the configuration's table and those given on the command line, which replace them metric by metric.

    `metric = number` takes the side that the metric is better on; one that only describes needs `<=` or `>=`.
    Raises `UserError` for an unknown metric or a bound that is no number. `where` names the table.
    """
    floors: dict[tuple[str, bool], Floor] = {}
    for metric, bound in table.items():
        match = _TABLE_FORM.fullmatch(bound) if isinstance(bound, str) else None
        if isinstance(bound, str) and match is None:
            raise UserError(f"the floor of {metric} cannot be {bound!r}", where=where, do='write a number, ">= number" or "<= number"')
        floor = _floor(metric, match["sign"] if match else "=", match["bound"] if match else str(bound), where)
        floors[metric, floor.sign == "<="] = floor
    named = [(text, _FORM.fullmatch(text)) for text in given]
    replaced = {match["metric"] for _, match in named if match}
    floors = {key: floor for key, floor in floors.items() if key[0] not in replaced}
    for text, match in named:
        if match is None:
            raise UserError(f"no floor: {text!r}", do="write --floor METRIC=NUMBER, METRIC>=NUMBER or METRIC<=NUMBER", exit_code=2)
        floor = _floor(match["metric"], match["sign"], match["bound"], "")
        floors[floor.metric, floor.sign == "<="] = floor
    return list(floors.values())


def judge(floors: Iterable[Floor], metrics: Metrics) -> list[Judged]:
    """Each floor with what was reached. The figure itself is held against it, not its interval."""
    return [Judged(floor, metrics[floor.metric].value if floor.metric in metrics else None) for floor in floors]


def _floor(metric: str, sign: str, bound: str, where: str) -> Floor:
    code = 1 if where else 2
    found = kind(metric)
    if found is None:
        close = get_close_matches(metric, names(), n=3, cutoff=0.4)
        raise UserError(f"no metric {metric!r}", where=where, do=f"did you mean {', '.join(close or names()[:3])}?", exit_code=code)
    try:
        number = float(bound)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"the floor of {metric} cannot be {bound!r}", where=where, do="write a number; shares are 0 to 1", exit_code=code)
    if sign == "=":
        if found.better == "none":
            raise UserError(
                f"{metric} has no better side", where=where, do=f"say which: {metric}>={bound} or {metric}<={bound}", exit_code=code
            )
        sides: Mapping[str, Literal[">=", "<=", "near"]] = {"higher": ">=", "lower": "<=", "zero": "near"}
        return Floor(metric, sides[found.better], number)
    return Floor(metric, ">=" if sign == ">=" else "<=", number)
