"""The question key. The pins are literals: whoever breaks them loses every user's cache."""

from __future__ import annotations

from typing import Any

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.llm.messages import Message, bare_schema, canonical_hash, question_key
from enrich.llm.parameters import bounded
from enrich.stages.judges import answer_model
from enrich.stages.stage import strict_schema

SCHEMA = {
    "title": "Summary",
    "description": "What the page says.",
    "type": "object",
    "properties": {"title": {"type": "string", "title": "Title", "description": "x"}, "kind": {"enum": ["title", "b"], "description": "y"}},
    "required": ["title", "kind"],
    "additionalProperties": False,
}
MESSAGES = (Message("system", "Be brief."), Message("user", "Größe: 3 µm — “quoted”\u2028"), Message("user", "Summarise."))


def key(**changes: Any) -> str:
    fields: dict[str, Any] = {"model": "gpt-5-mini", "schema": SCHEMA, "messages": MESSAGES, "temperature": None, "sample": 0}
    return question_key(**{**fields, **changes})


def test_three_keys_are_pinned() -> None:
    assert key() == "607544a7068473bbd92f21788a7e982f343c05b87f1a60c9d2e66e204b3cac22"
    assert key(temperature=1) == key(temperature=1.0)
    assert key(model="other/model", temperature=0.7, sample=3) == "0f9d2e16afe7b764b8b082bad0e8e4a9a52209f3c5f3f08278670c930923050e"
    assert key(schema=None, messages=[Message("user", "")]) == "71105696659a0f2b69181c8ad5929be13f532aa2fc0fc22bb572af675fab25fe"


@pytest.mark.parametrize(
    "same",
    [
        {"schema": {**SCHEMA, "title": "Renamed", "description": "A new docstring."}},
        {"schema": dict(reversed(SCHEMA.items()))},
        {"schema": {**SCHEMA, "properties": {**SCHEMA["properties"], "title": {"type": "string", "examples": ["x"]}}}},  # type: ignore[dict-item]
        {"messages": list(MESSAGES)},
    ],
)
def test_words_for_people_and_order_do_not_count(same: dict[str, Any]) -> None:
    assert key(**same) == key()


@pytest.mark.parametrize(
    "other",
    [
        {"model": "gpt-5"},
        {"temperature": 0.0},
        {"temperature": 1.0},
        {"sample": 1},
        {"messages": MESSAGES[:2]},
        {"messages": (MESSAGES[0], Message("assistant", MESSAGES[1].content), MESSAGES[2])},
        {"messages": (Message("system", "Be brief"), *MESSAGES[1:])},
        {"schema": None},
        {"schema": {**SCHEMA, "required": ["title"]}},
        {"schema": {**SCHEMA, "properties": {"kind": SCHEMA["properties"]["kind"]}}},  # type: ignore[index]
        {"schema": {**SCHEMA, "properties": {**SCHEMA["properties"], "kind": {"enum": ["title"]}}}},  # type: ignore[dict-item]
    ],
)
def test_what_decides_the_answer_counts(other: dict[str, Any]) -> None:
    assert key(**other) != key()


@pytest.mark.parametrize(
    ("stage", "pinned"),
    [
        ("summary", "a743cf7b0d42fc2d"),
        ("insights", "110c5d71faddab2d"),
        ("ratings", "b957d1fae4d60b59"),
    ],
)
def test_the_schemas_of_the_stages_are_pinned(stage: str, pinned: str) -> None:
    schema = strict_schema(answer_model(stage, ("novelty", "rigor")))
    assert canonical_hash(bare_schema(schema))[:16] == pinned


def test_scores_and_lists_have_bounds_in_every_form_that_is_sent() -> None:
    schema = strict_schema(answer_model("ratings", ("novelty",)))
    score = schema["properties"]["novelty"]["properties"]["score"]
    assert score == {"type": "number", "minimum": 0, "maximum": 10, "multipleOf": 0.1}
    assert bounded(score, "range") == {"type": "number", "minimum": 0, "maximum": 10}
    assert bounded(score, "enum")["enum"][:3] == [0, 0.1, 0.2]
    assert len(bounded(score, "enum")["enum"]) == 101
    insights = strict_schema(answer_model("insights", ()))["properties"]["insights"]
    assert (insights["maxItems"], insights["items"]["properties"]["important"]["enum"][-1]) == (5, 5)
