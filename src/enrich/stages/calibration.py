"""Calibration of a model's ratings to people's: the file `enrich.calibration`, which `enrich eval --calibrate` writes (docs/evaluation.md).

A map is about one field, and about the answers to one question: model, prompt and settings. It is applied to an answer after it was read, so a
new map re-asks nothing: the cache holds what the model said.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from enrich.config import Config
from enrich.errors import UserError, invalid_data
from enrich.files import SETTINGS_BYTES, read_text
from enrich.stages.fields import FieldAnswer, on_grid

_STEP, _HIGH = 0.1, 10.0
_Rating = Annotated[float, Field(ge=0, le=_HIGH, allow_inf_nan=False)]


class CalibrationMap(BaseModel):
    """A monotone map of a model's rating to people's, and how far from it people's ratings are.

    `points` are (the model's, people's) ratings, both rising; none: the model's rating as it is was better. `margin`: nine of ten people's
    ratings are no further from the result. `raw_mae` and `mae`: mean absolute error before and after, on pages that the map had not seen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    field: str
    model: str
    prompt: str
    settings: str
    points: tuple[tuple[_Rating, _Rating], ...]
    margin: _Rating
    pages: Annotated[int, Field(ge=1)]
    raw_mae: _Rating
    mae: _Rating

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if any(x >= next_x or y > next_y for (x, y), (next_x, next_y) in pairwise(self.points)):
            raise ValueError("`points` must rise")
        return self

    def value(self, rating: float) -> float:
        """People's rating for the model's, on the grid of ratings."""
        return on_grid(interpolated(self.points, rating), _STEP)[0]

    def applied(self, given: FieldAnswer) -> FieldAnswer:
        """The answer with people's rating in place of the model's, and with the interval of nine of ten people's ratings."""
        value, exact = self.value(given.value), interpolated(self.points, given.value)
        spread = {part: (self.value(low), self.value(high)) for part, (low, high) in given.spread.items()}
        interval = round(max(0.0, exact - self.margin), 2), round(min(_HIGH, exact + self.margin), 2)
        return replace(given, value=value, spread=spread, interval=interval)


class CalibrationFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_: Annotated[Literal[1], Field(alias="schema")]
    maps: tuple[CalibrationMap, ...]


def interpolated(points: Sequence[tuple[float, float]], x: float) -> float:
    """The value at `x` on the line through the points, level beyond its ends; `x` itself without points."""
    if not points:
        return x
    place = bisect_right(points, x, key=lambda point: point[0])
    if place in (0, len(points)):
        return points[place and -1][1]
    (x0, y0), (x1, y1) = points[place - 1 : place + 1]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def read_calibration(config: Config) -> tuple[CalibrationMap, ...]:
    """All maps of the wiki; () without a file. Raises `UserError` for a file that cannot be used."""
    file = config.calibration
    do = "remove it, or make it again with `enrich eval --calibrate`"
    try:
        return CalibrationFile.model_validate_json(read_text(file, config.folders, SETTINGS_BYTES)).maps
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        raise invalid_data(error, CalibrationFile, str(file), do) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=str(file), do=do) from None


def fitting(maps: Sequence[CalibrationMap], *, model: str, prompt: str, settings: str) -> Mapping[str, CalibrationMap]:
    """The maps for the answers to one question, by field."""
    return {one.field: one for one in maps if (one.model, one.prompt, one.settings) == (model, prompt, settings)}
