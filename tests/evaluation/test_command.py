"""`enrich eval` as its users call it: what it asks, what it costs, what it saves, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki, changed, honest
from tests.evaluation.test_report_html import links_and_scripts
from tests.fake_server import Seen, Serve

PAGES = 12


def entry(number: int) -> dict[str, Any]:
    return {
        "page": f"park-{number}",
        "llmSummary": f"It yields {10 + number} megawatts.",
        "ratings": {"rigor": 4.0 + number / 10, "novelty": 4.5},
    }


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    made = DemoWiki(tmp_path / "wiki", PAGES)
    (made.root / "golden.jsonl").write_text("".join(json.dumps(entry(number)) + "\n" for number in range(PAGES)), encoding="utf-8")
    return made


def test_nothing_is_asked_without_ask(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(honest))
    before = wiki.content()
    result = wiki.enrich("eval", "--golden", "golden.jsonl", "--json")
    assert (result.exit, server.requests) == (0, 0)
    assert result.json["pages"] == {"summary": 0, "insights": 0, "ratings": 0}
    assert f"no answer to {3 * PAGES} questions about golden pages; --ask sends them" in result.err
    assert not (wiki.root / "cache" / "answers").exists()
    assert wiki.content() == before


def test_what_is_asked_is_kept_and_proposes_nothing(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(honest))
    first = wiki.enrich("eval", "--golden", "golden.jsonl", "--ask", "--limit", "5", "--json").json
    assert (first["pages"]["summary"], server.requests) == (5, 5)
    second = wiki.enrich("eval", "--golden", "golden.jsonl", "--ask", "--json").json
    assert (second["pages"]["summary"], server.requests) == (PAGES, PAGES)
    assert second["metrics"]["ratings.rigor.mae"]["answers"]["value"] == pytest.approx(sum(abs(0.5 - n / 10) for n in range(PAGES)) / PAGES)
    assert second["metrics"]["summary.unsupported"]["answers"]["value"] == 0.0
    assert second["metrics"]["insights.grounded"]["answers"]["value"] == 1.0
    assert "baseline" in second["metrics"]["ratings.rigor.mae"]
    assert second["answers"].startswith("gpt-6-luna (summary v")
    assert not list((wiki.root / "proposals").glob("*.json"))
    assert not (wiki.root / "enrich.lock").exists()
    # The next run finds the answers in the cache.
    assert wiki.enrich("run", "--json").json["cached"] == 3 * PAGES
    assert server.requests == PAGES


def test_only_golden_pages_and_chosen_stages_are_asked(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(honest))
    (wiki.root / "few.jsonl").write_text(json.dumps(entry(2)) + "\n" + json.dumps(entry(7)) + "\n", encoding="utf-8")
    found = wiki.enrich("eval", "--golden", "few.jsonl", "--stage", "ratings", "--ask", "--json").json
    assert (found["pages"], server.requests) == ({"summary": 0, "insights": 0, "ratings": 2}, 2)
    assert wiki.enrich("eval", "park-7", "--golden", "golden.jsonl", "--stage", "ratings", "--json").json["pages"]["ratings"] == 1


def test_a_spent_budget_stops_the_asking_and_measures_what_is_there(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(honest))
    result = wiki.enrich("eval", "--golden", "golden.jsonl", "--ask", "--budget", "0.000001", "--json")
    assert (result.exit, server.requests) == (4, 0)
    assert "raise the budget" in result.err
    assert result.json["pages"]["summary"] == 0


def test_a_changed_prompt_is_compared_with_saved_answers(wiki: DemoWiki, serve: Serve) -> None:
    def lower(seen: Seen, parts: dict[str, Any]) -> None:
        if "Be merciless." in seen.text:
            for one in parts["ratings"].values():
                one["score"] -= 1.5

    wiki.asks(serve(changed(lower)))
    wiki.enrich("eval", "--golden", "golden.jsonl", "--ask", "--save", "before.jsonl")
    same = wiki.enrich("eval", "--golden", "golden.jsonl", "--against", "before.jsonl", "--exit-code", "--json")
    assert (same.exit, same.json["drift"]["called"]) == (0, [])
    wiki.enrich("init")
    prompt = wiki.root / "prompts" / "ratings.md"
    prompt.write_text(prompt.read_text(encoding="utf-8") + "\nBe merciless.\n", encoding="utf-8")
    command = ("eval", "--golden", "golden.jsonl", "--ask", "--against", "before.jsonl")
    drifted = wiki.enrich(*command, "--exit-code", "--json")
    assert drifted.exit == 10
    assert drifted.json["drift"]["called"] == [f"ratings.{name}" for name in ("novelty", "rigor", "actionability", "completeness")]
    assert wiki.enrich(*command).exit == 0
    assert "DRIFT in 4 of" in wiki.enrich(*command).out


def test_a_missed_floor_is_exit_code_ten_from_flag_and_from_the_file(wiki: DemoWiki) -> None:
    assert wiki.enrich("eval", "--golden", "golden.jsonl", "--floor", "summary.unsupported=0").exit == 0
    missed = wiki.enrich("eval", "--golden", "golden.jsonl", "--floor", "summary.agreement=0.99")
    assert missed.exit == 10
    assert "missed: summary.agreement >= 0.99" in missed.out
    toml = wiki.root / "enrich.toml"
    toml.write_text(
        toml.read_text(encoding="utf-8") + '[eval]\ngolden = "golden.jsonl"\n[eval.floors]\n"summary.words" = "<= 5"\n', encoding="utf-8"
    )
    assert wiki.enrich("eval").exit == 10
    assert wiki.enrich("eval", "--floor", "summary.words<=500").exit == 0
    toml.write_text(toml.read_text(encoding="utf-8").replace("summary.words", "summary.wrods"), encoding="utf-8")
    wrong = wiki.enrich("eval")
    assert wrong.exit == 1
    assert "[eval.floors]: unknown metric 'summary.wrods'" in wrong.err


def test_an_unknown_source_is_an_error_of_one_line(wiki: DemoWiki) -> None:
    for arguments, code, said in (
        (["--golden", "model"], 2, "is not golden data"),
        (["--against", "nothing.jsonl"], 1, "cannot be read"),
        (["--against", "frontmatter@HEAD"], 1, "git does not know 'HEAD'"),
        (["--answers", "prose"], 1, "cannot be read"),
    ):
        result = wiki.enrich("eval", "--golden", "golden.jsonl", *arguments)
        assert (result.exit, len(result.err.splitlines())) == (code, 1), arguments
        assert said in result.err


def test_the_html_page_is_written_to_the_named_file(wiki: DemoWiki) -> None:
    result = wiki.enrich("eval", "--golden", "golden.jsonl", "--format", "html", "-o", "report.html")
    assert (result.exit, result.out) == (0, "")
    text = (wiki.root / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert links_and_scripts(text) == []
    both = wiki.enrich("eval", "--golden", "golden.jsonl", "--format", "html", "-o", "again.html", "--json")
    assert both.json["metrics"]
    assert (wiki.root / "again.html").read_text(encoding="utf-8") == text
    assert wiki.enrich("eval", "--golden", "golden.jsonl", "-q").out.startswith("offline baseline")
