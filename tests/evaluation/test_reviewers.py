"""What reviewers decided, in `enrich eval`: acceptance, edit distance and reasons by field, prompt version and model; also after `apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from enrich.review.proposals import Decided, distance  # the figures are many, and a review gives few
from tests.demo import DemoWiki, honest
from tests.fake_server import Serve

PAGES = 4


def rows(wiki: DemoWiki) -> dict[str, dict[str, Any]]:
    found = wiki.enrich("eval", "--json")
    assert found.exit == 0, found.err
    return {row["field"]: row for row in found.json["decisions"]}


def test_decisions_are_counted_while_they_wait_and_after_they_were_applied(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, PAGES, '[llm]\nmodel = "m"\n[stages.ratings]\ndimensions = ["rigor"]\n')
    wiki.asks(serve(honest))
    wiki.enrich("run")
    assert rows(wiki) == {}
    wiki.enrich("accept", "park-0:ratings.rigor", "park-1:ratings.rigor", "park-0:llmSummary")
    wiki.enrich("reject", "park-2:ratings.rigor", "--reason", "wrong")
    fields = wiki.enrich("diff", "park-3", "--json").json["pages"][0]["fields"]
    hashes = {field["field"]: field["new_hash"] for field in fields}
    edit = {"page": "park-3", "field": "ratings.rigor", "decision": "edit", "value": 6.0, "new_hash": hashes["ratings.rigor"]}
    (wiki.root / "decided.json").write_text(f'{{"schema": 1, "decisions": [{str(edit).replace(chr(39), chr(34))}]}}')
    assert wiki.enrich("review", "--from", "decided.json").exit == 0
    waiting = rows(wiki)
    rating = waiting["ratings.rigor"]
    assert (rating["model"], rating["prompt"], rating["accepted"], rating["edited"], rating["rejected"]) == ("m", "v2", 3, 1, 1)
    assert rating["share"] == {"value": 0.75, "low": pytest.approx(0.3006, abs=1e-4), "high": pytest.approx(0.9544, abs=1e-4)}
    assert (rating["distance"]["value"], rating["reasons"]) == (1.5, {"wrong": 1})
    assert waiting["llmSummary"]["accepted"] == 1
    # The proposals are gone then, and what was written without a decision is counted apart.
    wiki.enrich("apply", "--all")
    assert rows(wiki) == waiting
    shown = wiki.enrich("eval").out
    assert "ratings.rigor, m, prompt v2: 3 of 4 accepted, 75 % [30 – 95], 1 of them edited by 1.5 [1.5 – 1.5]; wrong 1" in shown
    page = wiki.root / "report.html"
    wiki.enrich("eval", "--format", "html", "-o", str(page))
    assert "ratings.rigor, m, prompt v2" in page.read_text(encoding="utf-8")
    assert "Written without a decision" in (wiki.enrich("site", "-o", "out").err or "x") + (wiki.root / "out" / "index.html").read_text()


def test_a_decision_that_was_taken_back_or_asked_again_does_not_count(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1)
    wiki.asks(serve(honest))
    wiki.enrich("run")
    wiki.enrich("reject", "park-0:ratings.rigor", "--reason", "dull")
    assert rows(wiki)["ratings.rigor"]["reasons"] == {"dull": 1}
    wiki.enrich("accept", "park-0:ratings.rigor")
    found = rows(wiki)["ratings.rigor"]
    assert (found["accepted"], found["rejected"], found["reasons"]) == (1, 0, {})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (4.5, 6.0, 1.5),
        ("a b c d", "a b c d", 0.0),
        ("a b c d", "a b x d", 0.25),
        ("a b", "c d", 1.0),
        ([{"text": "a b"}, {"text": "c d"}], [{"text": "a b"}], 0.333),
        (None, 3.0, 1.0),
    ],
)
def test_edit_distances(one: Any, other: Any, expected: float) -> None:
    assert distance(one, other) == expected


def test_intervals_of_shares() -> None:
    assert Decided("f", "m", "p", accepted=0, rejected=10).interval == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert Decided("f", "m", "p", accepted=50, rejected=50).interval == pytest.approx((0.4038, 0.5962), abs=1e-4)
