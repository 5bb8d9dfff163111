"""What a run shows while it works and leaves to read: its reports, and the body of a pull request."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

# The progress display depends on time: its lines are tested without a run.
from tests.demo import DemoWiki, answering, changed, honest, honest_parts
from tests.fake_server import Act, Seen, Serve, invalid_json, refusal
from tests.review.test_formats import assert_harmless
from tests.review.wikis import HOSTILE


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    return DemoWiki(tmp_path, 4)


def report(wiki: DemoWiki, name: str = "report.html") -> str:
    """The file `name` of the newest run."""
    folder = max((wiki.root / "cache/runs").iterdir())  # names sort by time
    return (folder / name).read_text(encoding="utf-8")


def words(text: str) -> str:
    """The text that a reader of an HTML page sees, on one line."""
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def troubled(seen: Seen) -> Act:
    """Refuses about park 1, quotes from nowhere about park 2."""
    if "Title: Park 1\n" in seen.text:
        return refusal()
    parts = honest_parts(seen)
    if "Title: Park 2\n" in seen.text and "insights" in parts:
        parts["insights"]["insights"][0]["evidence"] = "These words stand on no page of this wiki at all."
    return answering(parts)


def test_the_report_tells_what_was_asked_proposed_held_and_failed(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(troubled))
    run = wiki.enrich("run", "--json", ENRICH_LLM__MODEL="gpt-5-mini").json
    text = report(wiki)
    shown = words(text)
    assert f"Questions due {run['due']} " in shown
    assert f"Asked {run['asked']} {run['requests']} requests" in shown
    assert f"Fields proposed {len(run['proposed'])} on 3 pages" in shown
    assert "done, with failures" in shown
    assert "park-1 summary refused" in shown
    assert "enrich run park-1 --stage summary" in shown
    assert "Failures by cause refused 3" in shown
    assert "park-2 insights needs-look" in shown
    assert f"Spent ${run['cost_usd']:.4f}" in shown
    assert "<script" not in text
    assert "default-src 'none'; style-src 'sha256-" in html.unescape(text)


def test_spending_by_stage_and_model_adds_up(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(honest))
    run = wiki.enrich("run", "--json", ENRICH_LLM__MODEL="gpt-5-mini", ENRICH_STAGES__SUMMARY__MODEL="gpt-5-nano").json
    spent = json.loads(report(wiki, "report.json"))["spent"]
    assert {(one["stage"], one["model"], one["requests"]) for one in spent} == {
        ("summary", "gpt-5-nano", 4),
        ("insights", "gpt-5-mini", 4),
        ("ratings", "gpt-5-mini", 4),
    }
    for kind in ("input", "cached_input", "output"):
        assert sum(one["tokens"][kind] for one in spent) == run["tokens"][kind]
    assert sum(one["cost_usd"] for one in spent) == pytest.approx(run["cost_usd"], abs=1e-5)
    assert "summary gpt-5-nano 4 4,000" in words(report(wiki))


def test_what_was_applied_stays_in_the_report_and_cached_answers_are_not_spent_again(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(honest))
    run = wiki.enrich("run", "--apply", "--json").json
    changes = json.loads(report(wiki, "report.json"))["changes"]
    assert [(one["page"], field["field"]) for one in changes for field in one["fields"]] == [
        (one["page"], one["field"]) for one in run["applied"]
    ]
    assert changes[0]["fields"][0]["new"] == "Wind turbines of this type deliver 10 megawatts in a steady breeze."
    assert body(wiki, "--refresh").startswith("### 0 fields on 0 pages\n")
    assert json.loads(report(wiki, "report.json"))["spent"] == []


def test_reports_for_programs_and_in_markdown_are_complete(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(lambda seen: invalid_json() if "Park 3" in seen.text else honest(seen)))
    run = wiki.enrich("run", "--json", ENRICH_LLM__MODEL="gpt-5-mini").json
    data = json.loads(report(wiki, "report.json"))
    assert {key: data[key] for key in run} == run
    assert {item["page"] for item in data["costliest"]} == {item["page"] for item in data["slowest"]}
    assert len(data["slowest"]) == 4
    text = report(wiki, "report.md")
    # Three pages were answered at once; the requests for the fourth are counted although all failed.
    for line in (
        "Failed by cause: invalid 3",
        "| `park-3` | summary | invalid |",
        "`enrich run park-3 --stage summary`",
        "| insights | `gpt-5-mini` | 3 | 6 |",
        "## Slowest pages",
        "## Costliest pages",
    ):
        assert line in text


def body(wiki: DemoWiki, *arguments: str) -> str:
    result = wiki.enrich("run", "--apply", "--pr-body", "body.md", *arguments)
    assert result.exit in (0, 3), result.err
    return (wiki.root / "body.md").read_text(encoding="utf-8")


def test_the_pull_request_tells_what_was_applied_held_and_failed(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(troubled))
    text = body(wiki)
    assert text.startswith("### 17 fields on 3 pages\n")
    held, _, rest = text.partition("#### Applied")
    applied, _, failed = rest.partition("#### Failed")
    assert "- [ ] accept `park-2:insights`" in held
    assert "| `park-0` | `llmSummary`, `insights` (1 new), 4 ratings |" in applied
    assert "+ Wind turbines of this type deliver 13 megawatts in a steady breeze." in applied
    assert "park-1" not in applied
    assert "| `park-2` | `insights` (1 new) |" in held
    assert "These words stand on no page" in held
    assert "| `park-1` | summary | refused |" in failed
    assert "`enrich run park-1 --stage ratings`" in failed
    assert "stale" not in text
    assert_harmless(text)


def test_the_pull_request_needs_apply(wiki: DemoWiki) -> None:
    result = wiki.enrich("run", "--pr-body", "body.md")
    assert result.exit == 2
    assert "--apply" in result.err
    assert not (wiki.root / "body.md").exists()


def test_many_pages_still_fit_into_one_request(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 150)

    def half_refused(seen: Seen) -> Act:
        number = int(re.search(r"Title: Park (\d+)", seen.text)[1])  # type: ignore[index]
        return refusal() if number % 2 else honest(seen)

    wiki.asks(serve(half_refused))
    text = body(wiki)
    assert len(text.encode("utf-16-le")) // 2 < 60_000
    assert re.search(r"the details of \d+ of 75 pages are left out", text)
    assert re.search(r"Cut to fit:\*\* \d+ more rows", text)


def test_hostile_titles_and_answers_do_nothing_in_reports(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, len(HOSTILE))
    for number, hostile in enumerate(HOSTILE):
        text = wiki.file(number).read_text(encoding="utf-8")
        text = text.replace(f"title: Park {number}\n", f"title: {json.dumps(hostile)}\n")
        wiki.file(number).write_text(text, encoding="utf-8")
        wiki.file(number).rename(wiki.docs / f"p{number} `<b>|@octocat.md")

    def spoil(seen: Seen, parts: dict[str, Any]) -> None:
        words = HOSTILE[len(seen.raw) % len(HOSTILE)]
        for part in parts.get("ratings", {}).values():
            part["reason"] = words
        if "summary" in parts and len(seen.raw) % 2:
            parts["summary"] = {"summary": words}  # invalid: the error names what came

    wiki.asks(serve(changed(spoil)))
    text = body(wiki)
    assert_harmless(text)
    page = report(wiki)
    tags = set(re.findall(r"<(\w+)", page))
    assert not tags & {"script", "img", "iframe", "a", "object"}
    assert "`<b>|@octocat" in html.unescape(page)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\x9b]", page)


def test_a_held_field_that_was_applied_elsewhere_is_no_longer_held(wiki: DemoWiki, serve: Serve) -> None:
    """A nightly job keeps its proposals; a reviewer accepts on another machine, pages and lock come back through git."""
    wiki.asks(serve(troubled))
    assert "#### Held back" in body(wiki)
    kept = (wiki.root / "proposals/park-2.json").read_bytes()
    assert "#### Held back" in body(wiki, "park-2")
    wiki.enrich("accept", "park-2:insights")
    wiki.enrich("apply")
    (wiki.root / "proposals/park-2.json").write_bytes(kept)
    assert "#### Held back" not in body(wiki, "park-2")
