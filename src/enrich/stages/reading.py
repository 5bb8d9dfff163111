"""Reading a model's answer: JSON text into data, data into checked models, scores onto their grid."""

from __future__ import annotations

import json
import math
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from enrich.errors import AnswerError, invalid_keys

Model = TypeVar("Model", bound=BaseModel)
_MAX_ERRORS = 6  # a re-ask names this many problems: more do not help a model


def parse_answer(text: str) -> dict[str, Any]:
    """The JSON object in an answer's text; a Markdown fence around it is tolerated. Raises `AnswerError("invalid", …)`."""
    stripped = text.strip()
    if stripped.startswith("```"):
        stripped = stripped.strip("`").removeprefix("json").strip()
    try:
        data = json.loads(stripped)
    except (ValueError, RecursionError) as error:
        raise AnswerError("invalid", f"not JSON ({error})") from None
    if not isinstance(data, dict):
        raise AnswerError("invalid", "the answer is no JSON object")
    return data


def validated(model: type[Model], data: Any) -> Model:
    """`data` as `model`. Raises `AnswerError("invalid", …)` that names each wrong place and what is allowed there."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise AnswerError("invalid", invalid_keys(error, _MAX_ERRORS)) from None


def on_grid(value: float, step: float) -> tuple[float, bool]:
    """(`value` on the nearest multiple of `step`, halves upwards; whether that moved it)."""
    snapped = round(math.floor(value / step + 0.5) * step, 6)
    return float(snapped), abs(snapped - value) > 1e-9
