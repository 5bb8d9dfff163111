"""The client against a server that misbehaves in every way we could think of, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import AnswerError, ServiceError, UserError
from enrich.llm.costs import Budget
from enrich.llm.messages import Usage
from tests import fake_server as fake
from tests.fake_server import Serve
from tests.llm.asking import SCHEMA, ask, client, request


def test_an_answer_arrives_with_its_usage_and_cost(serve: Serve) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}}
    asked = ask(serve([fake.ok({"summary": "Short."}, usage=usage)]))
    assert json.loads(asked.reply.text) == {"summary": "Short."}
    assert asked.reply.usage == Usage(input=1000, cached_input=400, cache_write=100, output=50)
    # 500 fresh at 1, 400 cached at 0.1, 100 written at 1.25, 50 out at 10 USD per million.
    assert asked.reply.cost_usd == pytest.approx((500 + 40 + 125 + 500) / 1e6)
    assert asked.reply.requests == 1


def test_the_request_is_what_was_asked_for(serve: Serve) -> None:
    server = serve()
    ask(server, request("Häßliche “Zeichen”\u2028 und \ud800.", temperature=0.5))
    seen = server.seen[0]
    assert seen.path == "/v1/chat/completions"
    assert seen.body["model"] == "fake"
    assert seen.body["messages"][1] == {"role": "user", "content": "Häßliche “Zeichen”\u2028 und ?."}
    assert seen.body["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
    assert seen.body["temperature"] == 0.5
    assert seen.body["max_tokens"] == 500
    assert "max_completion_tokens" not in seen.body
    assert "prompt_cache_key" not in seen.body


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (fake.status(500), "server"),
        (fake.status(503, "overloaded"), "server"),
        (fake.html(502), "server"),
        (fake.reset(), "reset"),
        (fake.cut_short(), "reset"),
        (fake.html(200), "invalid"),
        (fake.Act(body=b'{"choices": [{"mess', name="truncated"), "invalid"),
        (fake.Act(body={"choices": []}), "invalid"),
        (fake.Act(body={"id": "x"}), "invalid"),
        (fake.Act(body=["no", "object"]), "invalid"),
        (fake.Act(body={"choices": [{"message": None}]}), "invalid"),
        (fake.Act(body=b"[" * 100_000), "invalid"),
        (fake.ok(""), "invalid"),
        (fake.ok(None), "invalid"),
        (fake.raw(b"this is no HTTP\r\n\r\n"), "server"),
        (fake.raw(b""), "reset"),
        (fake.Act(body=b"not gzip at all", headers={"content-encoding": "gzip"}), "server"),
    ],
)
def test_a_passing_fault_is_tried_again_once_per_fault(serve: Serve, fault: fake.Act, cause: str) -> None:
    server = serve([fault, fault, fake.ok({"summary": "At last."})])
    asked = ask(server)
    assert json.loads(asked.text) == {"summary": "At last."}
    assert asked.causes == [cause, cause, ""]
    assert server.requests == 3


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        (fake.status(500), ServiceError, "server"),
        (fake.reset(), ServiceError, "reset"),
        (fake.html(200), AnswerError, "invalid"),
        (fake.ok(""), AnswerError, "invalid"),
    ],
)
def test_a_lasting_fault_ends_as_a_named_failure_of_this_request(serve: Serve, fault: fake.Act, kind: type[Exception], cause: str) -> None:
    server = serve([fault] * 10)
    asked = ask(server, attempts=3)
    assert isinstance(asked.error, kind)
    assert asked.error.cause == cause  # type: ignore[attr-defined]
    assert not getattr(asked.error, "final", False)
    assert server.requests == 3


@pytest.mark.parametrize("fault", [fake.hang(), fake.drip()])
def test_a_server_that_does_not_finish_is_given_up_after_the_timeout(serve: Serve, fault: fake.Act) -> None:
    server = serve(lambda seen: fake.ok({"summary": "Now."}) if seen.number else fault)
    asked = ask(server, timeout_seconds=0.3, attempts=1000)  # on a busy machine a good answer can come too late as well
    assert json.loads(asked.text) == {"summary": "Now."}
    assert (set(asked.causes[:-1]), asked.causes[-1]) == ({"timeout"}, "")


@pytest.mark.parametrize(
    ("fault", "cause", "words"),
    [
        (fake.bad_key(), "auth", "key"),
        (fake.status(403, "no access"), "auth", "key"),
        (fake.no_quota(), "quota", "quota"),
        (fake.status(402, "pay"), "quota", "quota"),
        (fake.no_model(), "model", "`fake`"),
        (fake.status(404, "Not Found"), "model", "/v1"),
        (fake.status(400, "no such model", code_word="model_not_found"), "model", "`fake`"),
        (fake.status(307, location="http://elsewhere.example/v1/chat/completions"), "redirect", "redirect"),
    ],
)
def test_what_no_later_request_can_mend_is_final_at_once(serve: Serve, fault: fake.Act, cause: str, words: str) -> None:
    server = serve([fault] * 5)
    asked = ask(server)
    assert isinstance(asked.error, ServiceError)
    assert (asked.error.cause, asked.error.final) == (cause, True)
    assert words in f"{asked.error.detail} {asked.error.do}"
    assert asked.error.do
    assert server.requests == 1


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (fake.refusal(), "refused"),
        (fake.ok([{"type": "refusal", "refusal": "No."}]), "refused"),
        (fake.filtered(), "filtered"),
        (fake.status(400, "filtered", code_word="content_filter"), "filtered"),
        (
            fake.status(400, "This model's maximum context length is 8192 tokens; reduce max_tokens", code_word="context_length_exceeded"),
            "too-long",
        ),
        (fake.status(413, "too large"), "too-long"),
    ],
)
def test_a_refused_page_is_an_answer_error_and_not_asked_again(serve: Serve, answer: fake.Act, cause: str) -> None:
    server = serve([answer] * 5)
    asked = ask(server)
    assert isinstance(asked.error, AnswerError)
    assert asked.error.cause == cause
    assert server.requests == 1


def test_content_in_parts_is_joined(serve: Serve) -> None:
    assert ask(serve([fake.ok([{"type": "text", "text": '{"summ'}, {"type": "text", "text": 'ary": "x"}'}])])).text == '{"summary": "x"}'


def test_an_answer_cut_off_by_its_ceiling_is_asked_again_with_more_room(serve: Serve) -> None:
    server = serve([fake.cut_off(), fake.cut_off(), fake.ok({"summary": "Whole."})])
    asked = ask(server)
    assert [seen.body["max_tokens"] for seen in server.seen] == [500, 1000, 2000]
    assert asked.reply.text == '{"summary": "Whole."}'
    assert asked.reply.requests == 3
    assert asked.reply.usage == Usage(input=300, output=60), "cut-off attempts were paid too"
    assert asked.causes == ["cut-off", "cut-off", ""]


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        ('{"score": 5e+1' + "0" * 700, 1),
        ('{"summary": "' + "The park is large. " * 60, 1),
        ("\n" * 900, 1),
        ('{"summary": "cut', 3),
        (" ".join(map(str, range(400))), 3),
    ],
)
def test_a_runaway_answer_is_not_asked_for_again_with_more_room(serve: Serve, text: str, requests: int) -> None:
    server = serve(lambda seen: fake.cut_off(text))
    asked = ask(server)
    assert isinstance(asked.error, AnswerError)
    assert (asked.error.cause, server.requests) == ("cut-off", requests)


def test_an_answer_that_is_always_cut_off_is_given_up(serve: Serve) -> None:
    server = serve([fake.cut_off()] * 9)
    asked = ask(server)
    assert isinstance(asked.error, AnswerError)
    assert asked.error.cause == "cut-off"
    assert server.requests == 3
    assert asked.tally.usage.output == 60


def test_a_429_spends_no_retry(serve: Serve) -> None:
    server = serve([fake.too_many(retry_after_ms="1")] * 7 + [fake.ok({"summary": "Through."})])
    asked = ask(server, attempts=1)
    assert json.loads(asked.text) == {"summary": "Through."}
    assert asked.causes == ["rate-limited"] * 7 + [""]


@pytest.mark.parametrize("value", ["-1", "1e9", "nan", "soon", "", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_senseless_retry_after_does_not_stall_the_run(serve: Serve, value: str) -> None:
    server = serve([fake.too_many(retry_after=value), fake.ok({"summary": "Through."})])
    asked = ask(server)
    assert json.loads(asked.text) == {"summary": "Through."}
    held = [event.seconds for event in asked.events if event.kind == "held"]
    assert len(held) == 1
    assert held[0] < 1


@pytest.mark.parametrize(
    "usage",
    [
        None,
        "many",
        [],
        {"prompt_tokens": -5, "completion_tokens": 3},
        {"prompt_tokens": "x", "completion_tokens": 3},
        {"prompt_tokens": 10**15, "completion_tokens": 3},
        {"prompt_tokens": 9_999_999, "completion_tokens": 1},
    ],
)
def test_usage_that_makes_no_sense_counts_as_the_upper_bound(serve: Serve, usage: Any) -> None:
    server = serve([fake.ok({"summary": "x"}, usage=usage)])
    budget = Budget(1.0)
    asked = ask(server, budget=budget)
    assert asked.reply.usage == Usage()
    bound = (len(server.seen[0].raw) * 1.25 + 500 * 10) / 1e6
    assert asked.reply.cost_usd == pytest.approx(bound)
    assert budget.spent_usd == pytest.approx(bound)


def test_every_attempt_is_paid_for(serve: Serve) -> None:
    server = serve([fake.status(500), fake.too_many(retry_after_ms="1"), fake.ok({"summary": "x"})])
    budget = Budget(1.0)
    asked = ask(server, budget=budget)
    bound = (len(server.seen[0].raw) * 1.25 + 500 * 10) / 1e6
    # The 500 may have been worked for, so its upper bound counts; the 429 was turned away.
    assert budget.spent_usd == pytest.approx(bound + (100 + 200) / 1e6)
    assert budget.reserved_usd == 0
    assert asked.tally.requests == 3
    assert asked.tally.cost_usd == pytest.approx(budget.spent_usd)


def test_a_budget_needs_a_price(serve: Serve) -> None:
    server = serve()
    asked = ask(server, request(model="of-unknown-price"), budget=Budget(1.0))
    assert isinstance(asked.error, UserError)
    assert 'prices."of-unknown-price"' in asked.error.line
    assert server.requests == 0


def test_the_first_final_error_ends_what_waits_without_another_request(serve: Serve) -> None:
    server = serve(lambda seen: fake.bad_key())

    async def run() -> list[object]:
        async with client(server) as asking:
            return await asyncio.gather(*(asking.send(request(f"page {number}")) for number in range(200)), return_exceptions=True)

    errors = asyncio.run(run())
    assert all(isinstance(error, ServiceError) and error.final and error.cause == "auth" for error in errors)
    assert server.requests <= 8, "only those that were out already"


def test_a_cancelled_request_is_settled_and_leaves_nothing_in_flight(serve: Serve) -> None:
    # With a budget, the others wait for the first answer.
    server = serve(lambda seen: fake.hang() if seen.number else fake.ok({"summary": "Short."}))
    budget = Budget(10.0)

    async def run() -> int:
        async with client(server, budget=budget) as asking:
            await asking.send(request("the first page"))
            sending = [asyncio.ensure_future(asking.send(request(f"page {number}"))) for number in range(12)]
            while server.requests < 8:
                await asyncio.sleep(0.005)
            for one in sending:
                one.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            return asking._servers[0].limits.in_flight

    assert asyncio.run(run()) == 0
    assert budget.reserved_usd == 0
    assert budget.spent_usd > 0, "what was out may have been worked for"
