"""Models that take other parameters: learned from their 400s, once for the whole run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import AnswerError, ServiceError
from enrich.llm.messages import Event
from enrich.llm.parameters import Parameters
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
    asked = ask(server, request("The page."), parameters=Parameters(structured_output="json_object"))
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


# (what the server says to 7,200 tokens, the ceiling that is sent next). The prompt is about 10 tokens long in the estimate.
WORDINGS = [
    ("max_tokens is too large: 7200. This model supports at most 4096 completion tokens, whereas you provided 7200.", 4096),
    ("max_tokens=7200 cannot be greater than max_model_len=4096. Please request fewer output tokens.", 4090),
    ("max_tokens=7200 cannot be greater than max_model_len=max_total_tokens=4096. Please request fewer output tokens.", 4090),
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 7200. This model's maximum context length is 4096 tokens and your request has "
        "1200 input tokens (7200 > 4096 - 1200).",
        2888,
    ),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 8400 tokens (1200 in the messages, 7200 in the completion). "
        "Please reduce the length of the messages or completion.",
        2888,
    ),
    (
        "This endpoint's maximum context length is 4096 tokens. However, you requested about 8400 tokens (1200 of text input, 7200 in the "
        "output). Please reduce the length of either one.",
        2888,
    ),
    ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 1200 `inputs` tokens and 7200 `max_new_tokens`", 2888),
    ("`max_tokens` must be less than or equal to `4096`, the maximum value for `max_tokens` is less than the `context_window`", 4096),
    ("max_tokens: 7200 > 4096, which is the maximum allowed number of output tokens for this model", 4096),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 4096]", 4096),
    ("The maximum tokens you requested exceeds the model limit of 4096. Try again with a lower value.", 4096),
    ("it has a maxOutputTokens value of 7200 but the supported range is from 1 (inclusive) to 4096 (exclusive).", 4096),
]


@pytest.mark.parametrize(("said", "sent"), WORDINGS)
def test_a_ceiling_is_lowered_to_what_the_server_takes_in_every_wording(serve: Serve, said: str, sent: int) -> None:
    code = "context_length_exceeded" if "context length" in said else None
    server = serve([fake.status(400, said, code_word=code), fake.ok({"summary": "x"})])
    asked = ask(server, request(max_output_tokens=7200))
    assert [seen.body.get("max_tokens") for seen in server.seen] == [7200, sent]
    assert asked.reply is not None


def _vllm(context: int) -> Callable[[Seen], Act | None]:
    """vLLM's two checks, in its words."""

    def act(seen: Seen) -> Act:
        wanted, prompt = seen.body.get("max_tokens") or seen.body.get("max_completion_tokens") or 0, len(seen.text) // 4
        if wanted > context:
            return fake.status(
                400, f"max_tokens={wanted} cannot be greater than max_model_len={context}. Please request fewer output tokens."
            )
        if prompt + wanted > context:
            said = (
                f"'max_tokens' or 'max_completion_tokens' is too large: {wanted}. This model's maximum context length is {context} tokens "
            )
            return fake.status(400, f"{said}and your request has {prompt} input tokens ({wanted} > {context} - {prompt}).")
        return fake.ok({"summary": "x"})

    return act


def test_a_small_context_is_learned_and_a_page_that_does_not_fit_fails_alone(serve: Serve) -> None:
    server = serve(_vllm(4096))
    outcomes: list[Any] = []

    async def run() -> None:
        async with client(server) as asking:
            for words in (100, 1000, 2500, 3900, 1000):
                outcomes.append(
                    (await asyncio.gather(asking.send(request("page " * words, max_output_tokens=7200)), return_exceptions=True))[0]
                )

    asyncio.run(run())
    assert [getattr(outcome, "cause", "") for outcome in outcomes] == ["", "", "", "too-long", ""]
    # Twice for the first page, then once for each page whose length the server counts differently.
    assert server.requests <= 2 + 2 * 5
    assert "max_tokens" in server.seen[-1].body


@pytest.mark.parametrize(
    "said",
    [
        "max_tokens=7200 cannot be greater than max_model_len=9000",
        "max_tokens and max_completion_tokens are both wrong",
        "max_tokens must be at most 4096",
        "max_tokens is too large. This model's maximum context length is 4096 tokens and your request has 1200 input tokens",
    ],
)
def test_a_server_that_refuses_every_ceiling_ends_the_run_soon(serve: Serve, said: str) -> None:
    """Found in a trial: the ceiling's name was swapped back and forth for ever, 11,273 requests in 427 s with a note each."""
    server = serve(lambda seen: fake.status(400, said))
    notes: list[str] = []
    outcomes: list[Any] = []

    async def run() -> None:
        async with client(server, lambda event: notes.append(event.detail) if event.kind == "note" else None) as asking:
            outcomes.extend(
                await asyncio.gather(
                    *(asking.send(request(f"{number}", max_output_tokens=7200)) for number in range(300)), return_exceptions=True
                )
            )

    asyncio.run(run())
    assert {outcome.cause for outcome in outcomes} == {"bad-request"}
    assert outcomes[-1].final
    assert server.requests <= 80
    assert len(notes) <= 4


def test_options_are_sent_only_if_set_and_left_out_if_refused(serve: Serve) -> None:
    server = serve(picky("service_tier"))
    ask(server)
    assert not {"reasoning_effort", "service_tier"} & set(server.seen[0].body)
    asked = ask(server, parameters=Parameters(options=(("reasoning_effort", "low"), ("service_tier", "flex"))))
    assert asked.reply is not None
    assert [(seen.body.get("reasoning_effort"), seen.body.get("service_tier")) for seen in server.seen[1:]] == [
        ("low", "flex"),
        ("low", None),
    ]


@pytest.mark.parametrize(
    ("model", "room"),
    [
        ("gpt-6-luna", 4096),
        ("openai/gpt-5.6-sol", 4096),
        ("o4-mini", 4096),
        ("deepseek-reasoner", 4096),
        ("gpt-4.1-mini", 0),
        ("gpt-5-chat-latest", 0),
    ],
)
def test_reasoning_models_get_room_by_name_and_all_by_setting(serve: Serve, model: str, room: int) -> None:
    server = serve()
    ask(server, request(model=model))
    ask(server, request(model=model), reasoning_room=1000)
    assert [seen.body["max_tokens"] for seen in server.seen] == [500 + room, 1500]


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
