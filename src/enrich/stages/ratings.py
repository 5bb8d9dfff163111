"""The stage `ratings`: 0 to 10 with one decimal for each dimension, a reason for each, and `quality` computed in code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from enrich.grounding import PageIndex, self_talk
from enrich.stages.fields import FieldAnswer, Judge
from enrich.stages.reading import on_grid, validated
from enrich.stages.text import blemish, plain_line

STEP = 0.1  # DESIGN.md section 4.4: one decimal
Rating = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class DimensionAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    reason: str
    score: Rating


@cache
def ratings_answer(dimensions: tuple[str, ...]) -> type[BaseModel]:
    """The model of an answer with one part per dimension, in the configured order."""
    parts: dict[str, Any] = dict.fromkeys(dimensions, (DimensionAnswer, ...))
    return create_model("RatingsAnswer", __config__=ConfigDict(extra="forbid", strict=True), **parts)


def judge_for(dimensions: Sequence[str]) -> Judge:
    """The judge of the fields `ratings.<dimension>` (see `fields.Judge`)."""
    names = tuple(dimensions)

    def judge(data: Any, index: PageIndex) -> list[FieldAnswer]:
        del index  # a rating is an opinion: nothing on the page proves it
        answer: Mapping[str, Any] = dict(validated(ratings_answer(names), data))
        fields = []
        for name in names:
            part: DimensionAnswer = answer[name]
            field = f"ratings.{name}"
            value, off_grid = on_grid(part.score, STEP)
            reason = plain_line(part.reason)[:500]
            findings = [blemish(f"{part.score:g} has more than one decimal: {value} taken", field)] if off_grid else []
            if talk := self_talk(reason):
                findings.append(blemish(f"the reason is no reason: {talk}", field))
            fields.append(FieldAnswer(field, value, tuple(findings), (), reason))
        return fields

    return judge
