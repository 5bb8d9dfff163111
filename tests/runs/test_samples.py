"""Scores that hold still: several samples, their medians and spread; noise; insights that say the same keep their words and order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enrich.stages.judges import kept  # their rules are many, and a run shows only the sum
from tests.demo import DemoWiki, answering, honest, honest_parts, parts_of
from tests.fake_server import Act, Seen, Serve

SAMPLED = '[stages.ratings]\nsamples = 3\ntemperature = 0.7\ndimensions = ["rigor"]\n'


def insight(text: str, *scores: float, evidence: str | None = None) -> dict[str, Any]:
    surprising, important, actionable = scores or (2.0, 3.0, 2.0)
    return {
        "type": "claim",
        "text": text,
        "surprising": surprising,
        "important": important,
        "actionable": actionable,
        "evidence": evidence or text,
    }


def proposal(wiki: DemoWiki, page: str, field: str) -> dict[str, Any]:
    tree = json.loads((wiki.root / "proposals" / f"{page}.json").read_text())
    found: dict[str, Any] = next(item for item in tree["fields"] if item["field"] == field)
    return found


def scoring(*scores: float) -> Callable[[Seen], Act]:
    """Ratings in turn from `scores`."""
    turn = iter(scores)
    return lambda seen: answering(honest_parts(seen, next(turn) if "ratings" in parts_of(seen) else 0.0))


def test_the_median_of_three_samples_is_proposed_with_its_spread(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, SAMPLED)
    server = wiki.asks(serve(scoring(7.0, 2.0, 4.5)))
    run = wiki.enrich("run", "--json").json
    # Ratings go out apart from stages without a temperature, three times.
    assert sorted(parts_of(seen) for seen in server.seen) == [["ratings"]] * 3 + [["summary", "insights"]]
    assert run["asked"] == 3
    found = proposal(wiki, "park-0", "ratings.rigor")
    assert (found["new"], found["samples"], found["spread"]) == (4.5, 3, {"ratings.rigor": [2.0, 7.0]})
    assert found["tokens"]["input"] == 3000
    shown = wiki.enrich("diff", "--json").json["pages"][0]["fields"]
    assert next(item for item in shown if item["field"] == "ratings.rigor")["provenance"]["spread"] == {"ratings.rigor": [2.0, 7.0]}


def test_each_sample_is_an_answer_of_its_own_in_the_cache(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, SAMPLED)
    failing = True

    def acting(seen: Seen) -> Act:
        return Act(body={"no": "answer"}) if failing and server.acts["honest"] == 3 else honest(seen)

    server = wiki.asks(serve(acting))
    run = wiki.enrich("run", "--json").json
    assert [(item["page"], item["stage"]) for item in run["failed"]] == [("park-0", "ratings")]
    failing, before = False, server.requests
    again = wiki.enrich("run", "--json").json
    assert (again["exit"], server.requests - before) == (0, 1)  # the two samples that came are not asked for again


def test_samples_at_temperature_0_are_a_mistake_and_without_one_the_servers_own_counts(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path / "free", 1, "[llm]\nfuse = false\n[stages.ratings]\nsamples = 3\n")
    server = wiki.asks(serve(honest))
    assert wiki.enrich("run", "--stage", "ratings").exit == 0
    assert ["temperature" in seen.body for seen in server.seen] == [False] * 3
    wiki = DemoWiki(tmp_path / "cold", 1, "[stages.ratings]\nsamples = 3\ntemperature = 0\n")
    wiki.asks(serve(honest))
    result = wiki.enrich("run")
    assert result.exit == 1
    assert "stages.ratings.samples" in result.err
    assert "temperature" in result.err


def test_insight_scores_are_medians_over_the_samples_that_give_the_same_insight(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, "[stages.insights]\nsamples = 3\ntemperature = 1\n")
    turn = iter([1.0, 5.0, 4.0])

    def acting(seen: Seen) -> Act:
        parts = honest_parts(seen)
        parts["insights"]["insights"][0]["surprising"] = next(turn)
        return answering(parts)

    wiki.asks(serve(acting))
    wiki.enrich("run", "--stage", "insights")
    found = proposal(wiki, "park-0", "insights")
    assert found["new"][0]["surprising"] == 4.0
    assert found["spread"]["insights[0].surprising"] == [1.0, 5.0]
    assert found["spread"]["insights[0].important"] == [3.0, 3.0]


@pytest.mark.parametrize(("score", "proposed"), [(4.7, False), (4.8, True), (4.2, True), (4.3, False)])
def test_a_rating_that_moved_by_less_than_the_noise_is_not_proposed(tmp_path: Path, serve: Serve, score: float, proposed: bool) -> None:
    wiki = DemoWiki(tmp_path, 1)
    now = 4.5
    wiki.asks(serve(lambda seen: answering(honest_parts(seen, now))))
    wiki.enrich("run", "--apply")
    wiki.append(0)
    now = score
    run = wiki.enrich("run", "--json").json
    assert bool(run["proposed"]) is proposed
    wiki.enrich("apply", "--all")
    assert {state for state, _ in wiki.states().values()} == {"current"}


def test_insights_that_were_only_scored_again_change_nothing(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1)
    second = False

    def acting(seen: Seen) -> Act:
        parts = honest_parts(seen)
        if "insights" in parts:
            one = parts["insights"]["insights"][0]
            other = {**one, "evidence": "Their blades are made of glass fibre and are inspected twice a year."}
            other["text"] = "The blades are glass fibre and somebody inspects them twice a year."
            parts["insights"]["insights"] = [one, other]
            if second:
                reworded = {**one, "text": one["text"].replace("Their blades", "The blades"), "surprising": one["surprising"] + 0.5}
                parts["insights"]["insights"] = [{**other, "important": other["important"] - 0.5}, reworded]
        return answering(parts)

    wiki.asks(serve(acting))
    wiki.enrich("run", "--apply")
    before = wiki.frontmatter(0)["insights"]
    assert len(before) == 2
    wiki.append(0)
    second = True
    run = wiki.enrich("run", "--json").json
    assert run["proposed"] == []
    assert wiki.frontmatter(0)["insights"] == before
    assert wiki.states()["park-0", "insights"] == ("current", ())


CLAIM = "The cable to the second park costs nine million euros and nobody has ordered it yet."


@pytest.mark.parametrize(
    "changed",
    [
        CLAIM.replace("nine", "19").replace("costs", "costs 19"),
        CLAIM.replace("has ordered", "has not ordered"),
        CLAIM.replace("nobody", "somebody"),
    ],
    ids=["number", "negation", "turned-round"],
)
def test_an_insight_that_says_something_else_is_a_new_one(changed: str) -> None:
    for evidence in (CLAIM, changed):
        new = insight(changed, evidence=evidence)
        assert kept([insight(CLAIM)], [new], 1.0)[0] == [new]
