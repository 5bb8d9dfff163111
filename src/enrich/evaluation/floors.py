"""Floors: what a metric must reach for a prompt or model to pass, from `[eval.floors]` in enrich.toml or `--floor`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from enrich.errors import UserError
from enrich.evaluation.metrics import Metrics, metric_kind, metric_kinds

_FORM = re.compile(r"\s*(?P<metric>[^<>=\s]+)\s*(?P<sign><=|>=|=)\s*(?P<bound>[^\s<>=]+)\s*")
Sign = Literal[">=", "<=", "near"]
_BETTER: Mapping[str, Sign] = {"higher": ">=", "lower": "<=", "zero": "near"}


@dataclass(frozen=True, slots=True)
class Floor:
    """`metric` must be at least (`>=`) or at most (`<=`) `bound`; `near`: its absolute value must be at most `bound`."""

    metric: str
    sign: Sign
    bound: float

    @property
    def text(self) -> str:
        return f"|{self.metric}| <= {self.bound:g}" if self.sign == "near" else f"{self.metric} {self.sign} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class FloorResult:
    """A floor with the value that was reached; a metric without a value (None) misses every floor."""

    floor: Floor
    value: float | None

    @property
    def held(self) -> bool:
        if self.value is None:
            return False
        # Decimals are compared as they are written: 0.1 + 0.2 reaches 0.3.
        if self.floor.sign == ">=":
            return self.value >= self.floor.bound - 1e-9
        return (abs(self.value) if self.floor.sign == "near" else self.value) <= self.floor.bound + 1e-9


def read_floors(table: Mapping[str, float | str], given: Iterable[str], *, where: str) -> list[Floor]:
    """The floors of the configuration's table and those of the command line, which replace them metric by metric.

    `metric = number` takes the side that is better for the metric; one that only describes needs `<=` or `>=`. Raises `UserError` for an
    unknown metric or a bound that is not a number. `where` names the table.
    """
    configured = []
    for metric, bound in table.items():
        has_sign = isinstance(bound, str) and bound.strip().startswith(("<=", ">="))
        configured.append(_floor(f"{metric}{'' if has_sign else '='}{bound}", where))
    named = [_floor(text, "") for text in given]
    replaced = {floor.metric for floor in named}
    floors = [*(floor for floor in configured if floor.metric not in replaced), *named]
    # A metric can have a lower and an upper bound; of two bounds on the same side the later one counts.
    return list({(floor.metric, floor.sign == "<="): floor for floor in floors}.values())


def check_floors(floors: Iterable[Floor], metrics: Metrics) -> list[FloorResult]:
    """Each floor with the value that was reached. The value itself counts, not its interval."""
    return [FloorResult(floor, metrics[floor.metric].value if floor.metric in metrics else None) for floor in floors]


def _floor(text: str, where: str) -> Floor:
    code = 1 if where else 2
    match = _FORM.fullmatch(text)
    if match is None:
        raise UserError(f"invalid floor: {text!r}", where=where, do="write METRIC=NUMBER, METRIC>=NUMBER or METRIC<=NUMBER", exit_code=code)
    metric, sign, bound = match["metric"], match["sign"], match["bound"]
    kind = metric_kind(metric)
    if kind is None:
        names = list(metric_kinds())
        close = get_close_matches(metric, names, n=3, cutoff=0.4) or names[:3]
        raise UserError(f"unknown metric {metric!r}", where=where, do=f"did you mean {', '.join(close)}?", exit_code=code)
    try:
        number = float(bound)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"the floor of {metric} cannot be {bound!r}", where=where, do="write a number; shares are 0 to 1", exit_code=code)
    if sign == "=" and kind.better == "none":
        do = f"say which: {metric}>={bound} or {metric}<={bound}"
        raise UserError(f"{metric} has no better side", where=where, do=do, exit_code=code)
    return Floor(metric, _BETTER[kind.better] if sign == "=" else ">=" if sign == ">=" else "<=", number)
