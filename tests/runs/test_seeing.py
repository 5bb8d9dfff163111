"""What a run shows while it works, and what its report says afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from enrich.cli.output import Lines, status
from enrich.cli.session import Session
from enrich.llm.messages import Tally
from enrich.runs.results import FailedQuestion, RunResult
from tests.demo import DemoWiki, honest
from tests.fake_server import Act, FakeServer, Seen, invalid_json

Serve = Callable[..., FakeServer]


def test_one_line_says_pages_rate_cost_what_is_left_and_what_holds_it() -> None:
    result = RunResult("r", "openai", spent=Tally(cost_usd=0.0321), failed=[FailedQuestion("a", "summary", "invalid", "")])
    line = status(120, 600, 60.0, result, "8 of 8 at once (requests in flight)")
    assert line == "120/600 pages, 2.0 a second, $0.0321, 4 min 0 s left, 1 failed, 8 of 8 at once (requests in flight)"
    assert status(0, 600, 0.0, RunResult("r", "openai")) == "0/600 pages, 0.0 a second"
    assert "2 h 46 min left" in status(1, 1001, 10.0, RunResult("r", "openai"))


def test_without_a_terminal_a_line_comes_now_and_then_even_while_nothing_moves(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = Lines(Session(), clock=lambda: now)
    lines.start(5)
    result = RunResult("r", "openai")
    for second in range(1, 31):
        now = float(second)
        lines.tick(result, "held 60 s: too many requests (429)")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0] == "0/5 pages, 0.0 a second, held 60 s: too many requests (429)"


def test_the_report_is_complete(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 4)

    def acting(seen: Seen) -> Act:
        return invalid_json() if "Park 3" in seen.text else honest(seen)

    wiki.server = serve(acting).base_url
    run = wiki.enrich("run", "--json", ENRICH_LLM__MODEL="gpt-5-mini").json
    folder = next((wiki.root / "cache" / "runs").iterdir())
    data = json.loads((folder / "report.json").read_text())
    assert {key: data[key] for key in run} == run
    assert {item["page"] for item in data["costliest"]} == {item["page"] for item in data["slowest"]}
    assert len(data["slowest"]) == 4
    said = (folder / "report.md").read_text()
    assert "Failed by cause: invalid 3" in said
    assert "| `park-3` | summary | invalid |" in said
    assert "`enrich run park-3 --stage summary`" in said
    # Three pages answered at once, one asked three times for nothing: its attempts are in the bill.
    assert "| insights | `gpt-5-mini` | 3 | 6 |" in said
    assert "## Slowest pages" in said
    assert "## Costliest pages" in said
