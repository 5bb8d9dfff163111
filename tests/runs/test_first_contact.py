"""The first run on a wiki that has values already, and on one that uses little of what records can hold (DESIGN.md sections 3 and 4.6)."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from enrich.review import lock
from enrich.wiki import data
from enrich.wiki.pages import read_page
from tests.demo import DemoWiki, answering, page_text
from tests.fake_server import Serve

OLD = "Most of the cost is spent before the first kilowatt hour flows, so the interest rate is the largest lever."


def with_insights(wiki: DemoWiki) -> DemoWiki:
    folder = wiki.root / "content" / "data" / "insights"
    folder.mkdir(parents=True)
    (folder / "claim.yaml").write_text(
        f"insights:\n- {{id: a-1, insight: '{OLD}', source: /park-1/, type: claim, surprising: 2, important: 3, actionable: 2}}\n",
        encoding="utf-8",
    )
    return wiki


def test_insights_of_the_data_folder_are_the_pages(tmp_path: Path) -> None:
    wiki = with_insights(DemoWiki(tmp_path / "wiki", pages=3))
    states = wiki.states()
    assert states["park-1", "insights"] == ("unmanaged", ())
    assert states["park-1", "summary"] == states["park-0", "insights"] == ("due", ("missing",))
    said = wiki.enrich("plan").out
    assert "written or changed by a person: kept (`enrich adopt`" in said
    assert wiki.enrich("build").exit == 0
    records = {record["id"]: record for record in json.loads((wiki.root / "database.json").read_text(encoding="utf-8"))["pages"]}
    assert records["park-1"]["insights"][0]["text"] == OLD and "insights" not in records["park-0"]
    assert json.loads((wiki.root / "database.json").read_text(encoding="utf-8"))["enrichment"]["park-1"]["insights"]["state"] == "unmanaged"


def test_what_the_data_folder_or_the_answer_itself_says_already_is_not_proposed(tmp_path: Path, serve: Serve) -> None:
    wiki = with_insights(DemoWiki(tmp_path / "wiki", pages=2))
    quote = "Their blades are made of glass fibre and are inspected twice a year."
    fresh = "Blades of glass fibre are inspected twice a year."

    def insight(text: str, evidence: str) -> dict[str, object]:
        return {"type": "claim", "text": text, "surprising": 3, "important": 3.5, "actionable": 2.5, "evidence": evidence}

    cost = "Most of the cost is spent before the first kilowatt hour flows"
    parts = {"insights": {"insights": [insight(OLD, cost), insight(fresh, quote), insight(fresh.replace("Blades", "The blades"), quote)]}}
    wiki.asks(serve(lambda seen: answering(parts)))
    assert wiki.enrich("run", "park-1", "--stage", "insights", "--refresh").exit == 0
    (field,) = wiki.enrich("diff", "park-1", "--json").json["pages"][0]["fields"]
    assert [one["text"] for one in field["new"]] == [fresh]
    assert wiki.enrich("apply", "--all").exit == 0
    found = wiki.enrich("check", "--json").json["findings"]
    assert "insight-duplicate" not in {one["rule"] for one in found}


def test_kinds_of_pages_that_are_not_asked_about(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path / "wiki", pages=1)
    pages = {
        "guide/index.md": "index-page",
        "guide/README.md": "index-page",
        "news/_index.md": "index-page",
        "internal/rules.md": "kind-of-page",
        "stub.md": "kind-of-page",
        "board.md": "kind-of-page",
        "drafts/a.md": "configuration",
    }
    heads = {"stub.md": "pageType: stub\n", "board.md": "contentFormat: dashboard\n"}
    for path in pages:
        (wiki.docs / path).parent.mkdir(exist_ok=True)
        (wiki.docs / path).write_text(page_text(1, heads.get(path, "")), encoding="utf-8")
    settings = '[wiki]\ncontent = "content"\nskip = ["drafts/**"]\n'
    (wiki.root / "enrich.toml").write_text(settings, encoding="utf-8")
    states = wiki.states()
    assert {path: states[path.removesuffix(".md"), "summary"] for path in pages} == {
        path: ("skipped", (why,)) for path, why in pages.items()
    }
    (wiki.root / "enrich.toml").write_text(settings + 'ask = ["guide/*", "stub.md", "drafts/**"]\n', encoding="utf-8")
    due = {page for (page, stage), (state, _) in wiki.states().items() if state == "due"}
    assert due == {"guide/index", "guide/README", "stub", "park-0"}


def test_a_neutral_wikis_records_hold_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path / "wiki", pages=3)
    wiki.append(0, "See [the next](park-1.md).")
    (wiki.docs / "zh.md").write_text("---\ntitle: 海\n---\n" + "风力发电机每年检查两次。" * 40, encoding="utf-8")
    assert wiki.enrich("build").exit == 0
    text = (wiki.root / "database.json").read_text(encoding="utf-8")
    for word in ("ai-safety", "concept", "EntityLink", "editHistory", "accuracy", "citation", "schedule", "footnotes", "external-sources"):
        assert word not in text.replace('"externalLinks": {', "").replace("footnoteCount", ""), word
    records = {record["id"]: record for record in json.loads(text)["pages"]}
    assert set(records["park-0"]["coverage"]["items"]) == {"llmSummary", "internalLinks"}
    assert records["park-0"]["clusters"] == [] and records["zh"]["wordCount"] > 200
    assert records["park-1"]["backlinkCount"] == 1
    card = wiki.enrich("show", "park-0").out
    assert "No tables" not in card and "schedule" not in card


def test_a_plan_reads_the_data_folder_once_and_no_page_twice(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that all lack a value were compared with one another as possibly renamed, and the data folder was read for each of them."""
    wiki = with_insights(DemoWiki(tmp_path / "wiki", pages=12))
    wiki.asks(serve(lambda seen: answering({"insights": {"insights": []}})))
    wiki.enrich("run", "--stage", "insights")
    for number in range(12):
        wiki.append(number)
    pages, folder = Mock(wraps=read_page), Mock(wraps=data.data_insights)
    monkeypatch.setattr(lock, "read_page", pages)
    monkeypatch.setattr(data, "data_insights", folder)
    assert wiki.enrich("plan").exit == 0
    assert (pages.call_count, folder.call_count) == (0, 1)
