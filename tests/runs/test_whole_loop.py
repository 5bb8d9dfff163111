"""From pages to proposals to pages: what is asked, what is left alone, and that nothing is asked twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki, answering, changed, honest, honest_parts, page_text, parts_of
from tests.fake_server import Act, Seen, Serve


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    return DemoWiki(tmp_path)


def test_pages_stay_untouched_until_apply_and_then_hold_what_was_proposed(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(honest))
    before = wiki.content()
    run = wiki.enrich("run", "--json").json
    assert wiki.content() == before
    assert run["requests"] == 3
    assert run["asked"] == 9
    assert {(item["page"], item["field"]) for item in run["proposed"]} >= {("park-0", "llmSummary"), ("park-2", "ratings.rigor")}
    assert wiki.enrich("apply", "--all").exit == 0
    values = wiki.frontmatter(1)
    assert values["llmSummary"] == "Wind turbines of this type deliver 11 megawatts in a steady breeze."
    assert values["ratings"] == {"novelty": 4.5, "rigor": 4.5, "actionability": 4.5, "completeness": 4.5}
    assert values["quality"] == 36  # 8 × 4.5 + 80/500 words, no citations: FIELDS.md section 12, older formula
    assert not list((wiki.root / "proposals").glob("*.json"))


def test_a_second_run_asks_and_proposes_nothing_before_and_after_apply(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(honest))
    wiki.enrich("run")
    for command in (["run", "--json"], ["apply", "--all"], ["run", "--json"], ["run", "--json", "--apply"]):
        result = wiki.enrich(*command)
        if command[0] == "run":
            assert result.json["requests"] == result.json["due"] == 0
            assert result.json["proposed"] == []
    assert server.requests == 3
    assert {state for state, _ in wiki.states().values()} == {"current"}
    applied = wiki.content()
    assert wiki.enrich("apply", "--all").exit == 0
    assert wiki.content() == applied


def test_an_edited_body_makes_exactly_that_pages_stages_due(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(honest))
    wiki.enrich("run", "--apply")
    wiki.append(1)
    states = wiki.states()
    assert {key for key, (state, _) in states.items() if state == "due"} == {
        ("park-1", name) for name in ("summary", "insights", "ratings")
    }
    assert states["park-1", "summary"] == ("due", ("page-changed",))


def test_an_edited_prompt_makes_exactly_its_stage_due(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(honest))
    wiki.enrich("init")
    wiki.enrich("run", "--apply")
    prompt = wiki.root / "prompts" / "insights.md"
    prompt.write_text(prompt.read_text() + "\nPrefer the rarest.\n")
    states = wiki.states()
    assert {stage for (_, stage), (state, _) in states.items() if state == "due"} == {"insights"}
    assert states["park-0", "insights"][1] == ("prompt-changed",)
    wiki.enrich("run")
    assert [parts_of(seen) for seen in server.seen[3:]] == [["insights"]] * 3
    assert {state for state, _ in wiki.states().values()} == {"current"}  # equal answers renew the lock


def test_a_value_written_by_hand_is_safe_from_refresh_and_apply(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(honest))
    wiki.enrich("run", "--apply")
    file = wiki.file(0)
    file.write_text(file.read_text().replace("deliver 10 megawatts in a steady breeze", "deliver something", 1))
    assert wiki.states()["park-0", "summary"][0] == "human-edited"
    mine = file.read_bytes()
    run = wiki.enrich("run", "--refresh", "--apply", "--json").json
    assert file.read_bytes() == mine
    assert {"page": "park-0", "field": "llmSummary", "flag": "over-human"} in run["held"]
    assert wiki.enrich("apply", "--all").exit == 0
    assert file.read_bytes() == mine
    wiki.enrich("accept", "park-0:llmSummary")
    wiki.enrich("apply")
    assert "deliver 10 megawatts" in file.read_text().split("---")[1]


def test_a_value_that_was_there_before_is_unmanaged_until_it_is_adopted(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path)
    wiki.asks(serve(honest))
    wiki.file(0).write_text(page_text(0, 'llmSummary: "An old one."\n'))
    assert wiki.states()["park-0", "summary"][0] == "unmanaged"
    assert wiki.enrich("adopt", "park-0", "--json").json == {"adopted": [{"page": "park-0", "field": "llmSummary"}]}
    assert wiki.states()["park-0", "summary"] == ("current", ())
    wiki.append(0)
    assert wiki.states()["park-0", "summary"] == ("due", ("page-changed",))
    wiki.enrich("run", "--apply")
    assert "deliver 10 megawatts" in str(wiki.frontmatter(0)["llmSummary"])


def test_adopting_a_value_keeps_what_was_rejected(tmp_path: Path) -> None:
    """`quality` belongs to the same stage as the ratings."""
    wiki = DemoWiki(tmp_path, 1)
    wiki.file(0).write_text(wiki.file(0).read_text().replace("title:", "quality: 55\ntitle:", 1))
    wiki.enrich("run")
    wiki.enrich("reject", "park-0")
    before = wiki.enrich("plan", "--json").json["states"]
    assert wiki.enrich("adopt", "--json").json["adopted"] == [{"page": "park-0", "field": "quality"}]
    assert wiki.enrich("plan", "--json").json["states"] == before
    assert {item["state"] for item in before} == {"rejected"}


def test_a_rejected_field_does_not_come_back_until_the_page_changes(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(honest))
    wiki.enrich("run")
    assert wiki.enrich("reject", "park-0:llmSummary").exit == 0
    assert wiki.states()["park-0", "summary"] == ("rejected", ())
    wiki.enrich("apply", "--all")
    assert "llmSummary" not in wiki.frontmatter(0)
    assert wiki.enrich("run", "--json").json["proposed"] == []
    assert next(line for line in wiki.lock() if line["page"] == "park-0" and line["stage"] == "summary")["fields"] == {
        "llmSummary": "rejected"
    }
    wiki.append(0)
    assert wiki.states()["park-0", "summary"][0] == "due"


def test_a_rejected_change_leaves_the_value_that_stands_ours(wiki: DemoWiki, serve: Serve) -> None:
    score = 4.5
    wiki.asks(serve(lambda seen: answering(honest_parts(seen, score))))
    wiki.enrich("run", "--apply")
    wiki.append(0)
    score = 6.0
    wiki.enrich("run")
    wiki.enrich("reject", "park-0:ratings.rigor")
    wiki.enrich("apply", "--all")
    assert wiki.frontmatter(0)["ratings"] == {"novelty": 6.0, "rigor": 4.5, "actionability": 6.0, "completeness": 6.0}
    assert {state for (page, _), (state, _) in wiki.states().items() if page == "park-0"} <= {"current", "rejected"}
    wiki.append(0, "Even more.")
    score = 7.0
    run = wiki.enrich("run", "--apply", "--json").json
    assert run["held"] == [{"page": "park-0", "field": "ratings.rigor", "flag": "leap"}]
    assert wiki.enrich("apply", "--overwrite", "--json").json["held"] == []
    assert wiki.frontmatter(0)["ratings"] == {"novelty": 7.0, "rigor": 7.0, "actionability": 7.0, "completeness": 7.0}


def test_an_equal_answer_renews_the_lock_and_is_not_due_again(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(honest))
    wiki.enrich("run", "--apply")
    wiki.append(0)
    run = wiki.enrich("run", "--json").json
    assert (run["proposed"], run["unchanged"]) == ([], 3)
    assert {state for state, _ in wiki.states().values()} == {"current"}
    assert server.requests == 4


def test_cached_answers_serve_again_when_proposals_are_gone(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(honest))
    wiki.enrich("run")
    for file in (wiki.root / "proposals").glob("*.json"):
        file.unlink()
    run = wiki.enrich("run", "--json").json
    assert (run["requests"], run["cached"], len(run["proposed"])) == (0, 9, 18)
    assert wiki.enrich("run", "--refresh", "--no-cache", "--json").json["requests"] == 3


def test_a_model_change_asks_again_and_the_way_back_to_offline_asks_nothing(wiki: DemoWiki, serve: Serve) -> None:
    wiki.enrich("run", "--apply")
    offline = wiki.frontmatter(0)
    assert offline["llmSummary"]
    assert {state for state, _ in wiki.states().values()} <= {"current"}
    wiki.asks(serve(lambda seen: answering(honest_parts(seen, 6.0))))
    assert "model-changed" in wiki.states()["park-0", "ratings"][1]
    wiki.enrich("run", "--apply", "--overwrite")  # the ratings move far
    assert wiki.frontmatter(0)["ratings"] != offline["ratings"]
    modelled = wiki.content()
    wiki.server = None
    assert {state for state, _ in wiki.states().values()} == {"current"}
    wiki.enrich("run", "--refresh", "--apply", "--overwrite")
    assert wiki.content() == modelled  # the baseline never replaces a model's words


def test_an_answer_without_insights_is_an_answer(wiki: DemoWiki, serve: Serve) -> None:
    def nothing_new(seen: Seen) -> Act:
        return answering({name: {"insights": []} if name == "insights" else part for name, part in honest_parts(seen).items()})

    wiki.asks(serve(nothing_new))
    wiki.enrich("run", "--apply")
    assert "insights" not in wiki.frontmatter(0)
    assert wiki.states()["park-0", "insights"] == ("current", ())


def test_stage_by_stage_keeps_the_leading_messages_identical(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, "[llm]\nfuse = false\n")
    server = wiki.asks(serve(honest))
    assert wiki.enrich("run", "--json").json["requests"] == 3
    assert len({str(seen.body["messages"][:2]) for seen in server.seen}) == 1
    assert [parts_of(seen) for seen in server.seen] == [["summary"], ["insights"], ["ratings"]]


def test_fused_and_single_questions_share_their_answers(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 2)
    server = wiki.asks(serve(honest))
    wiki.enrich("run")
    for file in (wiki.root / "proposals").glob("*.json"):
        file.unlink()
    assert wiki.enrich("run", "--json", ENRICH_LLM__FUSE="false").json["requests"] == 0
    assert server.requests == 2


def test_limit_takes_pages_in_page_order_and_stage_narrows(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(honest))
    run = wiki.enrich("run", "--limit", "2", "--stage", "summary", "--json").json
    assert [(item["page"], item["field"]) for item in run["proposed"]] == [("park-0", "llmSummary"), ("park-1", "llmSummary")]
    assert [parts_of(seen) for seen in server.seen] == [["summary"], ["summary"]]


def test_run_apply_writes_only_what_this_run_asked_or_found_again(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(honest))
    wiki.enrich("run")
    run = wiki.enrich("run", "park-1", "--apply", "--json").json
    assert {item["page"] for item in run["applied"]} == {"park-1"}
    assert "llmSummary" not in wiki.frontmatter(0)


def test_the_key_appears_nowhere(wiki: DemoWiki, serve: Serve) -> None:
    key = "sk-test-7f3a9c1e5b2d"
    server = wiki.asks(serve(honest))
    said = ""
    for command in (["plan"], ["run", "-v"], ["diff", "--json"], ["apply", "--all"], ["cache", "stats"]):
        result = wiki.enrich(*command, OPENAI_API_KEY=key)
        said += result.out + result.err
    assert server.seen[0].key == key
    assert key not in said
    for file in wiki.root.rglob("*"):
        assert not file.is_file() or key.encode() not in file.read_bytes(), file


def test_an_insight_may_join_two_places_of_the_page_and_its_scores_have_a_reason(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1)

    def two_quotes(seen: Seen, parts: dict[str, Any]) -> None:
        for item in parts.get("insights", {}).get("insights", ()):
            item["evidence"] = [*item["evidence"], parts["summary"]["evidence"][0], "a third quote"]
            item["reason"] = "Few readers know the costs."

    server = serve(changed(two_quotes))
    wiki.asks(server)
    wiki.enrich("run")
    assert "(1) Few readers know the costs." in wiki.enrich("diff", "park-0", "--format", "word").out
    wiki.enrich("apply", "--all")
    schema = server.seen[0].body["response_format"]["json_schema"]["schema"]["properties"]["insights"]["properties"]["insights"]["items"]
    assert schema["properties"]["evidence"]["type"] == "array"
    assert list(schema["properties"]).index("reason") < list(schema["properties"]).index("surprising")
    (insight,) = wiki.frontmatter(0)["insights"]
    assert isinstance(insight["evidence"], list)
    assert len(insight["evidence"]) == 2
    assert "reason" not in insight
    assert "insight-" not in wiki.enrich("check").out
    assert wiki.enrich("build").exit == 0
    assert json.loads((wiki.root / "database.json").read_text())["pages"][0]["insights"][0]["evidence"] == insight["evidence"]
