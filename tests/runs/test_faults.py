"""Servers as they are: what a fault costs is one more request, the run's counts are the server's, and a second run finishes the rest."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki, at, honest, parts_of
from tests.fake_server import Act, Seen, Serve, completion, cut_off, invalid_json, status, too_many

# What a night brings, of 100 requests.
SHARES = {"429": 8, "500": 4, "hang": 1, "reset": 2, "invalid-json": 3, "schema-invalid": 3, "cut-off": 2}


def fault(name: str, seen: Seen) -> Act:
    return {
        "429": too_many(retry_after="0.05"),
        "500": status(500, "the server had an error"),
        "hang": Act(wire="hang"),
        "reset": Act(wire="reset"),
        "invalid-json": invalid_json(),
        "schema-invalid": Act(body=completion({part: {"nothing": "asked for"} for part in parts_of(seen)})),
        "cut-off": cut_off(),
    }[name]


def report(wiki: DemoWiki) -> dict[str, Any]:
    newest = max((wiki.root / "cache" / "runs").iterdir())  # names sort by time
    tree: dict[str, Any] = json.loads((newest / "report.json").read_text())
    return tree


def test_a_bad_night_wastes_no_request_and_loses_no_question(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 34, "[llm]\nfuse = false\ntimeout_seconds = 10\n")
    deck = [name for name, share in SHARES.items() for _ in range(share)] + [""] * (100 - sum(SHARES.values()))
    random.Random(3).shuffle(deck)
    met: Counter[str] = Counter()

    def night(seen: Seen) -> Act:
        name = deck[seen.number % 100]
        if not name:
            return honest(seen)
        met[name] += 1
        return fault(name, seen)

    server = wiki.asks(serve(night))
    run = wiki.enrich("run", "--json").json
    questions = 34 * 3
    assert run["due"] == questions
    assert set(met) == set(SHARES)
    assert len(run["failed"]) <= questions // 100
    assert run["requests"] == server.requests == questions - len(run["failed"]) + met.total()
    assert run["tokens"]["input"] == server.usage["input"]
    assert run["tokens"]["output"] == server.usage["output"]
    spent = report(wiki)["spent"]
    # A request that is asked for one stage alone counts for it alone, failed attempts too.
    assert sum(one["requests"] for one in spent) == server.requests
    assert sum(one["tokens"]["input"] for one in spent) == server.usage["input"]
    assert sum(one["cost_usd"] for one in spent) == pytest.approx(run["cost_usd"], abs=1e-5)
    wiki.enrich("run")
    assert {state for state, _ in wiki.states().values()} == {"proposed"}


def test_what_failed_is_named_with_how_to_retry_and_asked_by_failed_alone(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 4)
    broken = True

    def failing(seen: Seen) -> Act:
        return invalid_json() if broken and "Park 2" in seen.text else honest(seen)

    server = wiki.asks(serve(failing))
    run = wiki.enrich("run", "--json")
    assert run.exit == 3
    assert [(item["page"], item["stage"], item["cause"]) for item in run.json["failed"]] == [
        ("park-2", stage, "invalid") for stage in ("summary", "insights", "ratings")
    ]
    assert run.json["failed"][0]["retry"] == "enrich run park-2 --stage summary"
    wiki.append(3)
    # A page asked for by hand in between does not make the night's failures forgotten.
    assert wiki.enrich("page", "park-0", "--refresh").exit == 0
    broken, before = False, server.requests
    again = wiki.enrich("run", "--failed", "--json").json
    assert (again["exit"], server.requests - before) == (0, 1)
    assert {item["page"] for item in again["proposed"]} == {"park-2"}
    assert wiki.enrich("run", "--failed", "--json").json["requests"] == 0


def test_an_answer_that_invented_something_stays_when_asking_again_fails(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1)

    def inventing(seen: Seen) -> Act:
        if len(seen.body["messages"]) > 3:
            return Act(400, {"error": {"message": "this conversation is too long", "code": "context_length_exceeded"}})
        act = honest(seen)
        content = act.body["choices"][0]["message"]["content"].replace("deliver 10 megawatts", "deliver 999 megawatts")
        return Act(body=completion(content))

    wiki.asks(serve(inventing))
    run = wiki.enrich("run", "--json").json
    assert run["failed"] == []
    assert {"page": "park-0", "field": "llmSummary", "flag": "needs-look"} in run["held"]


def test_a_budget_is_kept_and_the_next_run_goes_on(tmp_path: Path, serve: Serve) -> None:
    prices = '[prices."demo"]\ninput = 1000\noutput = 1000\n[llm]\nmodel = "demo"\n'
    wiki = DemoWiki(tmp_path, 30, prices)
    server = wiki.asks(serve(honest))
    # A page costs 1.20 here: 1,000 tokens in, 200 out. What is reserved for one is a few times that.
    stopped = wiki.enrich("run", "--budget", "24", "--json")
    assert stopped.exit == 4
    assert stopped.json["cost_usd"] <= 24
    assert stopped.json["cost_usd"] == pytest.approx(1.2 * server.requests)
    assert stopped.json["failed"] == []
    assert "is spent" in stopped.json["stopped"]
    rest = wiki.enrich("run", "--json")
    assert (rest.exit, server.requests) == (0, 30)


def test_a_budget_counts_what_other_commands_spent_in_its_window(tmp_path: Path, serve: Serve) -> None:
    prices = '[prices."demo"]\ninput = 1000\noutput = 1000\n[llm]\nmodel = "demo"\n[run]\nbudget_usd = 24\nbudget_window_hours = 24\n'
    wiki = DemoWiki(tmp_path, 30, prices)
    server = wiki.asks(serve(honest))
    # A page costs 1.20 here.
    assert wiki.enrich("page", "park-0").exit == 0
    (wiki.root / "golden.jsonl").write_text('{"page": "park-1", "ratings": {"novelty": 3}}\n', encoding="utf-8")
    assert wiki.enrich("eval", "--golden", "golden.jsonl", "--ask").exit == 0
    stopped = wiki.enrich("run", "--json")
    assert stopped.exit == 4
    assert server.requests > 2
    assert stopped.json["cost_usd"] <= 24 - 2 * 1.2 + 1e-6
    assert stopped.json["cost_usd"] == pytest.approx(1.2 * (server.requests - 2)), "a run's own cost is its own"
    again = wiki.enrich("run", "--json")
    assert (again.exit, again.json["requests"]) == (4, 0)
    assert "is spent" in again.json["stopped"]
    # A day later all of it may be spent again.
    for journal in (wiki.root / "cache" / "runs").glob("*/journal.jsonl"):
        rows = [json.loads(row) for row in journal.read_text().splitlines()]
        journal.write_text("".join(json.dumps({**row, "t": row["t"] - 25 * 3600}) + "\n" for row in rows), encoding="utf-8")
    assert wiki.enrich("run", "--json").json["requests"] > 0


def test_a_senseless_cost_in_a_journal_is_left_out(tmp_path: Path, serve: Serve) -> None:
    prices = '[prices."demo"]\ninput = 1\noutput = 1\n[llm]\nmodel = "demo"\n[run]\nbudget_usd = 24\nbudget_window_hours = 24\n'
    wiki = DemoWiki(tmp_path, 1, prices)
    wiki.asks(serve(honest))
    journal = wiki.root / "cache" / "runs" / "20260101T000000Z-000000" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("".join(f'{{"t": {10**400}, "event": "page", "cost_usd": {cost}}}\n' for cost in (10**400, "NaN", "1e999", -5)))
    assert wiki.enrich("run").exit == 0


def test_one_budget_covers_all_models_that_an_evaluation_asks(tmp_path: Path, serve: Serve) -> None:
    prices = "".join(f'[prices."{name}"]\ninput = 1000\noutput = 1000\n' for name in ("one", "two"))
    wiki = DemoWiki(tmp_path, 30, prices)
    server = wiki.asks(serve(honest))
    golden = "".join(json.dumps({"page": f"park-{number}", "ratings": {"novelty": 3}}) + "\n" for number in range(30))
    (wiki.root / "golden.jsonl").write_text(golden, encoding="utf-8")
    asking = ("eval", "--golden", "golden.jsonl", "--answers", "model:one", "--against", "model:two", "--ask", "--stage", "ratings")
    assert wiki.enrich(*asking, "--budget", "24").exit == 4
    assert 0 < 1.2 * server.requests <= 24


def test_the_journal_tells_what_each_page_took(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 2)
    server = wiki.asks(serve(at({0: status(500, "no")})))
    run = wiki.enrich("run", "--json").json
    rows = [json.loads(row) for row in next((wiki.root / "cache" / "runs").glob("*/journal.jsonl")).read_text().splitlines()]
    pages = [row for row in rows if row["event"] == "page"]
    assert sum(row["requests"] for row in pages) == run["requests"] == server.requests == 3
    assert sorted(row["requests"] for row in pages) == [1, 2]
    assert {one["stage"] for row in pages for one in row["spent"]} == {"summary", "insights", "ratings"}
    assert all(row["tokens"]["input"] == sum(one["tokens"]["input"] for one in row["spent"]) for row in pages)
    assert (rows[0]["event"], rows[-1]["event"]) == ("start", "end")


def test_a_plan_learns_from_what_the_model_counted(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 12, '[llm]\nmodel = "demo"\n')
    wiki.asks(serve(honest))
    first = wiki.enrich("plan", "--json").json
    wiki.enrich("run")
    again = wiki.enrich("plan", "--refresh", "--json").json
    # The server counts 1,000 and 200 a page, whatever was thought before.
    assert first["requests"] == again["requests"] == 12
    assert abs(again["tokens"]["input"] - 12_000) < abs(first["tokens"]["input"] - 12_000)
    assert again["tokens"]["input"] == pytest.approx(12_000, rel=0.1)
    (wiki.root / "cache" / "tokens.json").write_text("{damaged")
    assert wiki.enrich("plan", "--refresh", "--json").json["tokens"] == first["tokens"]
