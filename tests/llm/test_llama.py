"""The client against a real OpenAI-compatible server: llama.cpp with a small model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from enrich.llm.messages import Message
from tests.llm.asking import ask, request

SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string", "maxLength": 60}, "kind": {"type": "string", "enum": ["risk", "response", "model"]}},
    "required": ["topic", "kind"],
    "additionalProperties": False,
}
MESSAGES = (Message("system", "Answer with JSON."), Message("user", "Which topic, and of which kind: floods after heavy rain?"))


@pytest.mark.llama
def test_a_schema_valid_answer_arrives_from_a_real_server(llama: str) -> None:
    asked = ask(llama, request(messages=MESSAGES, schema=SCHEMA, temperature=0.0, max_output_tokens=150), timeout_seconds=240)
    answer = json.loads(asked.text)
    assert set(answer) == {"topic", "kind"}
    assert answer["kind"] in ("risk", "response", "model")
    assert len(answer["topic"]) <= 60
    assert asked.reply is not None
    assert asked.reply.usage.input > 20
    assert 0 < asked.reply.usage.output <= 150


@pytest.mark.llama
def test_the_front_of_a_second_prompt_comes_from_the_servers_cache(llama: str) -> None:
    page = " ".join(f"Sentence {number} of the page says a little about floods." for number in range(12))
    fields: dict[str, Any] = {"schema": SCHEMA, "temperature": 0.0, "max_output_tokens": 150}
    first = ask(
        llama, request(messages=(Message("system", "Answer with JSON."), Message("user", f"{page}\nTopic?")), **fields), timeout_seconds=240
    )
    second = ask(
        llama, request(messages=(Message("system", "Answer with JSON."), Message("user", f"{page}\nKind?")), **fields), timeout_seconds=240
    )
    assert first.reply is not None
    assert second.reply is not None
    assert second.reply.usage.cached_input >= 0.9 * first.reply.usage.input
