"""Scores as distributions: from the tokens of an answer, and in the formats of decision endpoints. Internal, since a run shows only their sum."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from openai.types import Decision
from openai.types.decision_create_params import DecisionCreateParams
from pydantic import TypeAdapter

from enrich.llm.messages import ScoreQuestion
from enrich.llm.replies import Token
from enrich.llm.score_distributions import with_distributions
from tests.fake_server import Act, Seen, Serve, completion, decision, status, with_logprobs
from tests.llm.asking import ask, request

QUESTION = ScoreQuestion("ratings.rigor", "Can its claims be checked?", ((0.0, "none"), (3.5, "mixed"), (7.5, "nearly all")))
SURE: dict[str, float] = {}


def tokens(*listed: tuple[str, float, dict[str, float]]) -> list[Token]:
    return [Token(text, chance, tuple(others.items())) for text, chance, others in listed]


FRONT = ('{"score": ', 1.0, SURE)
END = ("}", 1.0, {"}": 1.0})


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("one token", [("4", 0.6, {"4": 0.6, "5": 0.3, "7": 0.1})], {4: 0.6, 5: 0.3, 7: 0.1}),
        ("a half point in one token", [("4.5", 0.5, {"4.5": 0.5, "4": 0.5})], {4: 0.5, 4.5: 0.5}),
        # What would have followed a 6 is taken to be what followed the 4.
        (
            "three tokens",
            [("4", 0.5, {"4": 0.5, "6": 0.5}), (".", 1.0, SURE), ("5", 0.8, {"5": 0.8, "1": 0.2})],
            {4.1: 0.1, 4.5: 0.4, 6.5: 0.5},
        ),
        ("a ten of two tokens", [("1", 0.9, {"1": 0.9, "7": 0.1}), ("0", 1.0, SURE)], {7: 0.1, 10: 0.9}),
        ("a blank before it", [(" 4", 0.5, {" 4": 0.5, " 3": 0.25, "3": 0.25})], {3: 0.5, 4: 0.5}),
        ("what is no score has no part", [("4", 0.6, {"4": 0.6, "3": 0.3, "null": 0.05, "11": 0.05})], {3: 1 / 3, 4: 2 / 3}),
        ("nothing is known of most of it", [("4", 0.4, {"4": 0.4})], None),
        ("no alternatives, and certain", [("4", 1.0, SURE)], {4: 1.0}),
    ],
)
def test_a_score_of_one_or_more_tokens(name: str, number: list[Any], expected: dict[float, float] | None) -> None:
    listed = tokens(FRONT, *number, END)
    text = "".join(token.text for token in listed)
    found = json.loads(with_distributions(text, listed))["score"]
    if expected is None:
        assert found == json.loads(text)["score"]
    else:
        assert {float(value): share for value, share in found.items()} == pytest.approx(expected, abs=1e-5)


def test_a_number_that_may_go_on_and_one_that_ends_within_its_token() -> None:
    going_on = tokens(FRONT, ("4", 1.0, SURE), ("}", 0.75, {"}": 0.75, ".": 0.25}))
    assert json.loads(with_distributions('{"score": 4}', going_on))["score"] == {"4": 0.75, "4.5": 0.25}
    ending = tokens(FRONT, ("4}", 0.75, {"4}": 0.75, "5}": 0.25}))
    assert json.loads(with_distributions('{"score": 4}', ending))["score"] == {"4": 0.75, "5": 0.25}


def test_scores_are_found_behind_thoughts_and_not_inside_of_texts() -> None:
    text = '{"a": {"reason": "he wrote \\"score\\": 9", "score": 3}, "b": {"score": 8}}'
    before = ['<think>"score": 1</think>', '{"a": {"reason": "he wrote \\"score\\": 9", "score": ']
    listed = tokens(
        *((piece, 1.0, SURE) for piece in before),
        ("3", 0.5, {"3": 0.5, "2": 0.5}),
        ('}, "b": {"score": ', 1.0, SURE),
        ("8", 1.0, SURE),
        ("}}", 1.0, SURE),
    )
    found = json.loads(with_distributions(text, listed))
    assert found == {"a": {"reason": 'he wrote "score": 9', "score": {"2": 0.5, "3": 0.5}}, "b": {"score": {"8": 1.0}}}
    assert with_distributions(text, ()) == text


def test_log_probabilities_are_asked_for_and_read(serve: Serve) -> None:
    reply = completion('{"score": 4}')
    server = serve([Act(body=with_logprobs(reply, [FRONT, ("4", 0.5, {"4": 0.5, "6": 0.5}), END]))])
    asked = ask(server, request(measured=True))
    assert (server.seen[0].body["logprobs"], server.seen[0].body["top_logprobs"]) == (True, 10)
    assert asked.text == '{"score": 4}'
    assert asked.reply is not None
    assert json.loads(asked.reply.measured) == {"score": {"4": 0.5, "6": 0.5}}
    ask(server, request())
    assert "logprobs" not in server.seen[1].body


def test_a_stream_brings_log_probabilities_too(serve: Serve) -> None:
    whole = with_logprobs(completion('{"score": 4}'), [FRONT, ("4", 0.5, {"4": 0.5, "6": 0.5}), END])["choices"][0]
    chunks = [
        {"choices": [{"delta": {"content": entry["token"]}, "logprobs": {"content": [entry]}}]} for entry in whole["logprobs"]["content"]
    ]
    sent = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    asked = ask(serve([Act(body=sent.encode(), headers={"content-type": "text/event-stream"})]), request(measured=True))
    assert asked.reply is not None
    assert json.loads(asked.reply.measured) == {"score": {"4": 0.5, "6": 0.5}}


def test_a_server_without_log_probabilities_is_named_once_and_gives_single_scores(serve: Serve) -> None:
    asked = ask(serve([Act(body=completion('{"score": 4}'))]), request(measured=True))
    assert asked.reply is not None
    assert asked.reply.measured == asked.text
    assert any("no log-probabilities" in note for note in asked.notes)


@pytest.mark.parametrize("refusals", [1, 2])
def test_log_probabilities_that_are_refused_are_asked_for_less_and_then_left_out(serve: Serve, refusals: int) -> None:
    refused = status(400, "top_logprobs must be between 0 and 5", param="top_logprobs")
    server = serve([refused] * refusals + [Act(body=completion('{"score": 4}'))])
    ask(server, request(measured=True))
    assert [seen.body.get("top_logprobs") for seen in server.seen] == [10, 5, None][: refusals + 1]


def test_malformed_log_probabilities_are_none(serve: Serve) -> None:
    for content in ([{"token": 4}], [{"token": "4", "logprob": "x"}], "text", [None], [{"token": "4", "logprob": math.nan}]):
        tree = completion('{"score": 4}')
        tree["choices"][0]["logprobs"] = {"content": content}
        reply = ask(serve([Act(body=tree)]), request(measured=True)).reply
        assert reply is not None
        assert reply.measured == '{"score": 4}'


def typed(**changes: Any) -> Any:
    return request(changes.pop("text", "A page."), schema=None, scores=(QUESTION,), max_output_tokens=0, **changes)


def test_openais_format_is_that_of_its_sdk(serve: Serve) -> None:
    server = serve(lambda seen: status(404, "Not Found") if seen.path.endswith("systemone") else None)
    asked = ask(server, typed())
    body = server.seen[1].body
    TypeAdapter(DecisionCreateParams).validate_python(body)
    Decision.model_validate(decision(body).body, strict=True)
    assert set(body) == {"model", "input", "questions"}
    assert body["questions"][0]["levels"][1] == {"label": "3.5", "description": "mixed"}
    shares = json.loads(asked.text)["ratings"]["rigor"]["score"]
    assert set(shares) == {"0", "3.5", "7.5"}
    assert sum(shares.values()) == pytest.approx(1)
    assert any("/decisions" in note for note in asked.notes)


def test_systemone_and_what_it_costs(serve: Serve) -> None:
    server = serve()
    asked = ask(server, typed(text="A page with a few words. " * 20))
    assert server.seen[0].path == "/v1/systemone"
    assert server.seen[0].body["questions"] == {
        "rigor": {"type": "score", "instructions": "Can its claims be checked?", "criteria": ["none", "mixed", "nearly all"]}
    }
    assert asked.reply is not None
    used = asked.reply.usage
    assert used.output == 0
    assert asked.reply.cost_usd == pytest.approx(used.input / 1_000_000)


def without_shares(seen: Seen) -> Act:
    tree = decision(seen.body).body
    del tree["answers"]["rigor"]["probabilities"]
    return Act(body=tree)


def test_failures_of_decision_endpoints_are_named(serve: Serve) -> None:
    gone = ask(serve(lambda seen: status(404, "Not Found")), typed())
    assert "no decision endpoint" in str(gone.error)
    assert gone.error is not None
    assert getattr(gone.error, "final", False)
    lacking = ask(serve(without_shares), typed())
    assert "no probabilities for rigor" in str(lacking.error)
    declined = {"answers": [{"type": "refusal", "name": "rigor"}], "model": "fake", "usage": None}
    assert "declined to rate rigor" in str(ask(serve([Act(body=declined)]), typed()).error)
