"""The first run on a wiki that has values already, and on one that uses little of what records can hold (DESIGN.md sections 3 and 4.6)."""

from __future__ import annotations

import json
from pathlib import Path

from tests.demo import DemoWiki, page_text


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
