"""`[stages.ratings] method`: scores with a distribution, from log-probabilities and from decision endpoints, through whole runs."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki, answering, honest, honest_parts, page_of, parts_of, serving
from tests.fake_server import Act, Seen, Serve, decision, with_logprobs
from tests.runs.test_samples import proposal

DECISIONS = '[stages.ratings]\nmethod = "decisions"\n'
LOGPROBS = '[stages.ratings]\nmethod = "logprobs"\ndimensions = ["rigor"]\n'
NO_SHARES: dict[str, float] = {}


def likely(answer: Act, score: str, others: dict[str, float]) -> Act:
    """The answer with the log-probabilities of its score, which is one token of it."""
    text = answer.body["choices"][0]["message"]["content"]
    before, _, after = text.rpartition(f'"score": {score}')
    front = (f'{before}"score": ', 1.0, NO_SHARES)
    return Act(body=with_logprobs(answer.body, [front, (score, others[score], others), (after, 1.0, NO_SHARES)]))


def weighing(**others: float) -> Any:
    shares = {name.removeprefix("s").replace("_", "."): share for name, share in others.items()}
    first = next(iter(shares))
    return lambda seen: (
        likely(answering(honest_parts(seen, float(first))), first, shares) if parts_of(seen) == ["ratings"] else honest(seen)
    )


def test_the_expected_value_is_proposed_with_its_spread(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, LOGPROBS)
    server = wiki.asks(serve(weighing(s4_0=0.5, s6_0=0.5)))
    run = wiki.enrich("run", "--json").json
    # Ratings go out alone: log-probabilities of all other words would be sent too.
    assert sorted(parts_of(seen) for seen in server.seen) == [["ratings"], ["summary", "insights"]]
    found = proposal(wiki, "park-0", "ratings.rigor")
    assert (found["new"], found["spread"], run["held"]) == (5.0, {"ratings.rigor": [4.0, 6.0]}, [])
    assert "samples" not in found
    assert "(none) → 5.0 ±1" in wiki.enrich("diff", "--format", "word").out
    # What was stored is the distribution: nothing is sent again.
    (wiki.root / "proposals" / "park-0.json").unlink()
    assert wiki.enrich("run", "--json").json["requests"] == 0
    assert proposal(wiki, "park-0", "ratings.rigor")["spread"] == {"ratings.rigor": [4.0, 6.0]}


def test_insights_have_distributions_too(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, '[stages.insights]\nmethod = "logprobs"\n')

    def acting(seen: Seen) -> Act:
        answer = answering(honest_parts(seen))
        text = answer.body["choices"][0]["message"]["content"]
        before, mark, after = text.partition('"surprising": ')
        front = (before + mark, 1.0, NO_SHARES)
        return Act(body=with_logprobs(answer.body, [front, ("2.5", 0.5, {"2.5": 0.5, "4.5": 0.5}), (after[3:], 1.0, NO_SHARES)]))

    wiki.asks(serve(acting))
    wiki.enrich("run", "--stage", "insights")
    found = proposal(wiki, "park-0", "insights")
    assert found["new"][0]["surprising"] == 3.5
    assert found["spread"]["insights[0].surprising"] == [2.5, 4.5]
    assert found["spread"]["insights[0].important"] == [3.0, 3.0]


@pytest.mark.parametrize(("spread", "proposed"), [(0.1, True), (2.0, False)])
def test_a_move_within_the_spread_is_noise(tmp_path: Path, serve: Serve, spread: float, proposed: bool) -> None:
    wiki = DemoWiki(tmp_path, 1, LOGPROBS)
    now = 4.0

    def acting(seen: Seen) -> Act:
        low, high = now - spread, now + spread
        act: Act = weighing(**{f"s{low}".replace(".", "_"): 0.5, f"s{high}".replace(".", "_"): 0.5})(seen)
        return act

    wiki.asks(serve(acting))
    wiki.enrich("run", "--stage", "ratings", "--apply")
    wiki.append(0)
    now = 5.0
    assert bool(wiki.enrich("run", "--stage", "ratings", "--json").json["proposed"]) is proposed


def test_a_server_without_log_probabilities_leaves_a_finding(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, LOGPROBS)
    wiki.asks(serve(honest))
    result = wiki.enrich("run", "--stage", "ratings")
    assert "no log-probabilities" in result.err
    found = proposal(wiki, "park-0", "ratings.rigor")
    assert [(one["kind"], one["severity"]) for one in found["findings"]] == [("rating", "soft")]
    assert "single draw" in found["findings"][0]["message"]
    assert "spread" not in found


@pytest.mark.parametrize("lacking", ["", "systemone", "decisions"])
def test_a_decision_endpoint_rates_every_dimension_in_one_request(tmp_path: Path, serve: Serve, lacking: str) -> None:
    wiki = DemoWiki(tmp_path, 2, DECISIONS + '[llm]\nmodel = "fake"\n[prices.fake]\ninput = 1\noutput = 10\n')

    def acting(seen: Seen) -> Act | None:
        if lacking and seen.path.endswith(lacking):
            return Act(404, {"error": {"message": "Not Found"}})
        return None if "questions" in seen.body else honest(seen)

    server = wiki.asks(serve(acting))
    planned = wiki.enrich("plan", "--stage", "ratings", "--json").json
    run = wiki.enrich("run", "--stage", "ratings", "--budget", "1", "--json").json
    assert (run["exit"], run["asked"], run["failed"]) == (0, 2, [])
    asked = [seen for seen in server.seen if "questions" in seen.body]
    # Both pages can have been on their way when the first answer said where the questions go.
    assert len(asked) in ((3, 4) if lacking == "systemone" else (2,))
    assert (planned["tokens"]["output"], run["tokens"]["output"]) == (0, 0)
    assert run["cost_usd"] == pytest.approx(run["tokens"]["input"] / 1e6)
    assert planned["cost_usd"] == pytest.approx(planned["tokens"]["input"] / 1e6)
    found = proposal(wiki, "park-0", "ratings.novelty")
    assert found["reason"].startswith("probabilities of the levels: ")
    low, high = found["spread"]["ratings.novelty"]
    assert low <= found["new"] <= high
    assert wiki.enrich("run", "--stage", "ratings", "--json").json["requests"] == 0


def test_levels_are_those_of_the_prompt(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, DECISIONS)
    server = wiki.asks(serve())
    wiki.enrich("run", "--stage", "ratings")
    question = server.seen[0].body["questions"]["novelty"]
    assert "what is here that could not be had" in question["instructions"]
    assert [len(level.split()) > 0 for level in question["criteria"]] == [True] * 6
    assert question["criteria"][0] == "nothing"
    assert page_of(Seen(0, "", "", {}, {"messages": [{"content": server.seen[0].body["state"]}]}, b"", 0.0))
    # A prompt of one's own without such lines has plain levels.
    (wiki.root / "prompts").mkdir()
    (wiki.root / "prompts" / "ratings.md").write_text("---\nversion: 9\n---\nRate the page.\n")
    wiki.enrich("run", "--stage", "ratings")
    assert server.seen[1].body["questions"]["novelty"]["criteria"][5] == "10 of 10"


def test_refusals_and_missing_endpoints_are_failures_with_a_name(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 3, DECISIONS)
    server = wiki.asks(serve(lambda seen: Act(404, {"error": {"message": "Not Found"}})))
    result = wiki.enrich("run", "--stage", "ratings")
    assert result.exit == 1
    assert "no decision endpoint" in result.err
    assert server.requests <= 6  # a run that cannot succeed ends

    def refusing(seen: Seen) -> Act:
        act = decision(seen.body)
        act.body["answers"]["rigor"] = {"type": "refusal"}
        return act

    wiki.asks(serve(refusing))
    run = wiki.enrich("run", "--stage", "ratings", "--json").json
    assert {failure["cause"] for failure in run["failed"]} == {"refused"}


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[stages.summary]\nmethod = "logprobs"\n', "stages.summary"),
        ('[stages.insights]\nmethod = "decisions"\n', "stages.insights"),
        ('[stages.ratings]\nmethod = "logprobs"\nsamples = 3\n', "samples"),
        ('[stages.ratings]\nmethod = "guess"\n', "method"),
    ],
)
def test_a_method_that_a_stage_cannot_have_is_an_error(tmp_path: Path, toml: str, said: str) -> None:
    result = DemoWiki(tmp_path, 1, toml).enrich("plan")
    assert result.exit == 1
    assert said in result.err


def test_batches_have_no_decisions(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, DECISIONS)
    wiki.asks(serve())
    result = wiki.enrich("run", "--engine", "batch")
    assert result.exit == 2
    assert "stages.ratings.method" in result.err


def test_the_method_is_part_of_the_question(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1)
    wiki.asks(serve(lambda seen: None if "questions" in seen.body else honest(seen)))
    toml = (wiki.root / "enrich.toml").read_text()
    found = []
    for section in ("", '[stages.ratings]\nmethod = "logprobs"\n', DECISIONS):
        (wiki.root / "enrich.toml").write_text(toml + section)
        wiki.enrich("run", "--stage", "ratings")
        found.append(proposal(wiki, "park-0", "ratings.rigor")["origin"])
    assert [len({origin[part] for origin in found}) for part in ("key", "settings")] == [3, 3]
    assert wiki.states()["park-0", "ratings"][0] == "proposed"


@pytest.fixture
def sparrow() -> Iterator[str]:
    """The base URL of a real `/v1/systemone` server that we did not write; skipped by name where its package is missing."""
    if importlib.util.find_spec("sparrow_decider") is None:
        pytest.skip("needs the package sparrow-decider (extra `decider`)")
    command = [sys.executable, "-m", "sparrow_decider.cli", "serve"]
    with serving(command) as url:
        yield url


@pytest.mark.decider
def test_a_real_decision_server_rates_a_page(tmp_path: Path, sparrow: str) -> None:
    wiki = DemoWiki(tmp_path, 2, DECISIONS)
    wiki.server = sparrow
    run = wiki.enrich("run", "--stage", "ratings", "--json").json
    assert (run["exit"], run["asked"], run["failed"]) == (0, 2, [])
    tree = json.loads((wiki.root / "proposals" / "park-0.json").read_text())
    assert len(tree["fields"]) == 4
    for field in tree["fields"]:
        low, high = field["spread"][field["field"]]
        assert 0 <= low < field["new"] < high <= 10
    assert wiki.enrich("run", "--stage", "ratings", "--json").json["requests"] == 0
