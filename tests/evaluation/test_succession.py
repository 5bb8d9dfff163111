"""A model's successor: drift on golden pages by `enrich eval --against model:NEW`, and a run that asks again only about what drifted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki, changed
from tests.fake_server import Seen, Serve
from tests.runs.test_samples import proposal

PAGES = 12
TOML = '[llm]\nmodel = "old"\n[stages.ratings]\ndimensions = ["rigor", "novelty"]\n'


def successor(seen: Seen, parts: dict[str, Any]) -> None:
    """Its `rigor` is 1.5 points lower; summaries, insights and `novelty` stay."""
    if seen.body["model"] == "new" and "ratings" in parts:
        parts["ratings"]["rigor"]["score"] -= 1.5


@pytest.fixture
def wiki(tmp_path: Path, serve: Serve) -> DemoWiki:
    made = DemoWiki(tmp_path, PAGES, TOML)
    made.asks(serve(changed(successor)))
    made.enrich("run", "--apply")
    return made


def compared(wiki: DemoWiki, *more: str) -> str:
    """The name of the report of the comparison."""
    found = wiki.enrich("eval", "--golden", "frontmatter", "--against", "model:new", "--ask", "--json", *more)
    assert found.exit == 0, found.err
    (wiki.root / "report.json").write_text(found.out, encoding="utf-8")
    return "report.json"


def test_drift_between_a_model_and_its_successor_is_shown(wiki: DemoWiki) -> None:
    drift = json.loads((wiki.root / compared(wiki)).read_text())["drift"]
    assert drift["called"] == ["ratings.rigor"]
    assert (drift["before"].partition(" ")[0], drift["after"].partition(" ")[0]) == ("new", "old")
    shown = wiki.enrich("eval", "--against", "model:new").out
    assert "DRIFT in 1 of" in shown
    assert "ratings.rigor" in shown


def test_only_what_drifted_is_asked_again_and_proposed(wiki: DemoWiki) -> None:
    report = compared(wiki)
    plan = wiki.states(ENRICH_LLM__MODEL="new")
    assert {state for state, _ in plan.values()} == {"due"}
    run = wiki.enrich("run", "--model", "new", "--drifted-from", report, "--json").json
    assert (run["due"], run["failed"]) == (PAGES, [])
    assert {item["field"] for item in run["proposed"]} == {"ratings.rigor"}
    assert proposal(wiki, "park-0", "ratings.rigor")["new"] == 3.0
    wiki.enrich("apply", "--all")
    assert wiki.frontmatter(0)["ratings"] == {"rigor": 3.0, "novelty": 4.5}
    # The other fields still are the old model's.
    reasons = wiki.states(ENRICH_LLM__MODEL="new")["park-0", "ratings"]
    assert reasons == ("due", ("model-changed",))
    assert wiki.enrich("run", "--model", "new", "--drifted-from", report, "--json").json["proposed"] == []


def test_a_waiting_proposal_of_a_field_that_did_not_drift_stays(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, PAGES, TOML)
    wiki.asks(serve(changed(successor)))
    wiki.enrich("run")
    wiki.enrich("accept", "park-0:ratings.novelty")
    wiki.enrich("run", "park-0", "--model", "new", "--drifted-from", compared(wiki))
    assert proposal(wiki, "park-0", "ratings.novelty")["state"] == "accepted"
    assert proposal(wiki, "park-0", "ratings.rigor")["model"] == "new"


def test_where_nothing_drifted_nothing_is_asked(wiki: DemoWiki) -> None:
    report = compared(wiki, "--stage", "summary")
    run = wiki.enrich("run", "--model", "new", "--drifted-from", report, "--json").json
    assert (run["exit"], run["due"], run["requests"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "model", "said"),
    [
        (None, "new", "cannot be read"),
        ("no json", "new", "JSON"),
        ("{}", "new", "compares nothing"),
        (
            '{"drift": {"before": "old (x)", "after": "new (x)", "fields": [{"field": "ratings.rigor", "verdict": "too-few"}]}}',
            "new",
            "too few",
        ),
        (
            '{"drift": {"before": "old (x)", "after": "new (x)", "fields": [{"field": "ratings.rigor", "verdict": "drift"}]}}',
            "third",
            "not about",
        ),
        ('{"drift": {"before": "old", "after": "new", "fields": [{"field": "ratings.rigor", "verdict": "odd"}]}}', "new", "verdict"),
    ],
)
def test_a_report_that_says_nothing_about_the_model_is_an_error(
    tmp_path: Path, serve: Serve, text: str | None, model: str, said: str
) -> None:
    wiki = DemoWiki(tmp_path, 1, TOML)
    server = wiki.asks(serve())
    if text is not None:
        (wiki.root / "report.json").write_text(text)
    result = wiki.enrich("run", "--model", model, "--drifted-from", "report.json")
    assert (result.exit, server.requests) == (1, 0)
    assert "report.json" in result.err
    assert said in result.err
