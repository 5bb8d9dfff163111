"""Models that take other parameters: learned from their 400s, once for the whole run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import AnswerError, ServiceError
from enrich.llm.messages import Event, Parameters
from tests import fake_server as fake
from tests.fake_server import Act, Seen, Serve
from tests.llm.asking import SCHEMA, ask, client, request

OPENAI_SAYS = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


def picky(*refused: str, message: str = "") -> Callable[[Seen], Act | None]:
    """A server that refuses the named parameters, one at a time, and otherwise answers."""

    def act(seen: Seen) -> Act | None:
        named = next((name for name in refused if name in seen.body), None)
        return fake.unsupported(named, message) if named else None

    return act


@pytest.mark.parametrize(
    ("refused", "message", "word"),
    [
        ("temperature", "", "temperature"),
        (
            "temperature",
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
            "temperature",
        ),
        ("max_tokens", OPENAI_SAYS, "max_completion_tokens"),
        ("response_format", "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", "JSON schema"),
    ],
)
def test_a_refused_parameter_is_swapped_once_for_the_whole_run(serve: Serve, refused: str, message: str, word: str) -> None:
    server = serve(picky(refused, message=message) if refused != "response_format" else _no_schema(message))
    notes: list[str] = []

    async def run() -> None:
        def hear(event: Event) -> None:
            if event.kind == "note":
                notes.append(event.detail)

        async with client(server, hear) as asking:
            for _ in range(3):
                await asking.send(request(temperature=0.2))

    asyncio.run(run())
    assert server.statuses == {400: 1, 200: 3}
    assert len(notes) == 1
    assert "fake" in notes[0]
    assert word in notes[0]


def _no_schema(message: str) -> Callable[[Seen], Act | None]:
    def act(seen: Seen) -> Act | None:
        return (
            fake.status(400, message, param="response_format")
            if (seen.body.get("response_format") or {}).get("type") == "json_schema"
            else None
        )

    return act


def test_many_in_flight_learn_it_with_one_note(serve: Serve) -> None:
    server = serve(picky("temperature"), latency=0.01)
    notes: list[Event] = []

    async def run() -> None:
        async with client(server, lambda event: notes.append(event) if event.kind == "note" else None) as asking:
            await asyncio.gather(*(asking.send(request(f"page {number}", temperature=0.2)) for number in range(30)))

    asyncio.run(run())
    assert len(notes) == 1
    assert server.statuses[200] == 30
    assert server.statuses[400] <= 8, "only those already in flight"


def test_without_schemas_the_schema_stands_in_the_prompt(serve: Serve) -> None:
    server = serve()
    asked = ask(server, request("The page."), structured_output="json_object")
    body = server.seen[0].body
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["content"] == "You are terse.", "the front stays as it is"
    stated = body["messages"][-1]["content"]
    assert stated.startswith("The page.")
    assert "JSON" in stated
    assert json.loads(stated.rpartition("\n")[2]) == SCHEMA
    assert set(json.loads(asked.text)) == {"summary"}


def test_several_refused_parameters_are_learned_one_after_the_other(serve: Serve) -> None:
    server = serve(picky("temperature", "max_tokens", "response_format"))
    asked = ask(server, request(temperature=0.2), attempts=1)
    assert asked.reply is not None
    assert server.statuses == {400: 4, 200: 1}
    assert "max_completion_tokens" in server.seen[-1].body


def test_a_ceiling_that_is_too_high_is_lowered_to_what_the_server_names(serve: Serve) -> None:
    said = "max_tokens is too large: 9000. This model supports at most 800 completion tokens, whereas you provided 9000."

    def act(seen: Seen) -> Act | None:
        return fake.status(400, said, param="max_tokens") if seen.body["max_tokens"] > 800 else fake.ok({"summary": "x"})

    server = serve(act)
    assert ask(server, request(max_output_tokens=9000)).reply is not None
    assert [seen.body["max_tokens"] for seen in server.seen] == [9000, 800]


def test_cut_off_at_the_servers_own_ceiling_is_not_asked_again_in_vain(serve: Serve) -> None:
    def act(seen: Seen) -> Act | None:
        return fake.status(400, "supports at most 800", param="max_tokens") if seen.body["max_tokens"] > 800 else fake.cut_off()

    server = serve(act)
    asked = ask(server, request(max_output_tokens=800))
    assert isinstance(asked.error, AnswerError)
    assert asked.error.cause == "cut-off"
    # 800 cut off, 1600 refused, 800 once more with the new knowledge, and no fourth.
    assert [seen.body["max_tokens"] for seen in server.seen] == [800, 1600, 800]


def test_a_400_that_names_nothing_of_ours_fails_this_request_alone(serve: Serve) -> None:
    server = serve([fake.status(400, "your messages make me sad"), fake.ok({"summary": "x"})])

    async def run() -> tuple[Any, Any]:
        async with client(server) as asking:
            first = await asyncio.gather(asking.send(request()), return_exceptions=True)
            return first[0], await asking.send(request())

    failed, fine = asyncio.run(run())
    assert isinstance(failed, ServiceError)
    assert (failed.cause, failed.final) == ("bad-request", False)
    assert "make me sad" in failed.detail
    assert fine.text == '{"summary": "x"}'


def test_a_server_that_refuses_whatever_is_changed_is_given_up(serve: Serve) -> None:
    server = serve(lambda seen: fake.unsupported("temperature"))
    asked = ask(server, request(temperature=1.0))
    assert isinstance(asked.error, ServiceError)
    assert asked.error.cause == "bad-request"
    assert server.requests == 2


def test_openais_host_gets_its_own_names() -> None:
    body = json.loads(Parameters.first(is_openai=True, structured="json_schema").body(request(), 500))
    assert body["max_completion_tokens"] == 500
    assert body["prompt_cache_key"] == "page"
    assert "max_tokens" not in body
