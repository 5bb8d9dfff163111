"""One field in the form a person edits it in: the part of an answer that its stage's judge takes, and back through that same judge.

So a person's value is held to the rules a model's answer is held to (DESIGN.md sections 3.4 and 3.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from enrich.errors import AnswerError
from enrich.grounding import PageIndex
from enrich.stages import insights, ratings, summary
from enrich.stages.fields import FieldAnswer, stage_of


def form_of(field: str, value: Any, *, quotes: Sequence[str] = (), reason: str = "") -> dict[str, Any]:
    """The field's value as keys a person can edit: `summary` and `evidence`, `insights`, or `score` and `reason`.

    >>> form_of("ratings.rigor", 4.5, reason="Two trials.")
    {'score': 4.5, 'reason': 'Two trials.'}
    """
    stage = stage_of(field)
    if stage == "summary":
        return {"summary": value, "evidence": list(quotes)}
    if stage == "insights":
        return {"insights": [dict(item) if isinstance(item, Mapping) else item for item in value or []]}
    return {"score": value, "reason": reason}


def judged(field: str, form: Any, index: PageIndex) -> FieldAnswer:
    """The field as a filled-in form says, with the findings on it. Raises `AnswerError("invalid", …)` for what is no value of the field."""
    if not isinstance(form, dict):
        raise AnswerError("invalid", "keep the keys of the form: this is no mapping of keys to values")
    stage = stage_of(field)
    if stage == "summary":
        return summary.judge(form, index)[0]
    if stage == "insights":
        answer = insights.judge(form, index)[0]
        if not answer.value:
            raise AnswerError("invalid", "no insight is left: reject the field to leave the page as it is")
        return answer
    dimension = field.partition(".")[2]
    return ratings.judge_for((dimension,))({dimension: form}, index)[0]


def with_value(field: str, form: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """The form with another value in it: what a decision made elsewhere brings, which knows the value only."""
    return {**form, next(iter(form)): value}
