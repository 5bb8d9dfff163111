"""`enrich build` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki

NOW = "2026-03-13T20:14:00Z"


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    (tmp_path / "content/docs").mkdir(parents=True)
    (tmp_path / "content/data").mkdir()
    (tmp_path / "content/docs/owl.md").write_text("---\ntitle: Owl\n---\nAn owl.\n")
    (tmp_path / "content/data/git-dates.json").write_text('{"modified": {"owl.md": "2026-03-01"}}')
    (tmp_path / "enrich.toml").write_text("[wiki]\n")
    return DemoWiki.at(tmp_path, "content/docs")


def test_build_writes_the_database_into_the_wiki_or_the_named_files(wiki: DemoWiki) -> None:
    printed = wiki.enrich("build", "--now", NOW)
    assert (printed.exit, "1 record in" in printed.out) == (0, True)
    assert printed.err == ""  # no progress where there is no terminal
    document = json.loads((wiki.root / "database.json").read_text())
    assert (document["generated"], list(document["enrichment"])) == (NOW, ["owl"])
    assert not (wiki.root / "pages.json").exists()
    wiki.enrich("build", "-o", "out/all.json", "--split", "--now", NOW)
    texts = {file.name: json.loads(file.read_text()) for file in (wiki.root / "out").iterdir()}
    assert texts == {"all.json": document, "backlinks.json": document["backlinks"], "pages.json": document["pages"]}


def test_exit_code_reports_whether_the_file_would_change_and_writes_nothing(wiki: DemoWiki) -> None:
    assert wiki.enrich("build", "--exit-code").exit == 10
    assert not (wiki.root / "database.json").exists()
    wiki.enrich("build", "--now", NOW)
    before = (wiki.root / "database.json").read_bytes()
    assert wiki.enrich("build", "--exit-code").exit == 0
    (wiki.docs / "owl.md").write_text("---\ntitle: Eagle owl\n---\nAn owl.\n")
    assert wiki.enrich("build", "--exit-code").exit == 10
    assert (wiki.root / "database.json").read_bytes() == before


def test_json_gives_one_document_with_the_notices(wiki: DemoWiki) -> None:
    (wiki.docs / "crow.md").write_text("---\ntitle: Crow\ntitle: Rook\n---\n")
    printed = wiki.enrich("build", "--json", "--now", NOW)
    assert (printed.json["pages"], printed.json["files"]) == (2, [str(wiki.root / "database.json")])
    assert [(notice["file"], notice["line"]) for notice in printed.json["notices"]] == [("content/docs/crow.md", 3)]
    assert "content/docs/crow.md:3: broken YAML" in printed.err


def test_states_follow_whatever_they_depend_on(wiki: DemoWiki) -> None:
    def states() -> dict[str, Any]:
        assert wiki.enrich("-q", "build", "--now", NOW).exit == 0
        found: dict[str, Any] = json.loads((wiki.root / "database.json").read_text())["enrichment"]
        return found

    page = wiki.docs / "owl.md"
    page.write_text(f"---\ntitle: Owl\n---\n{'An owl hunts at night. ' * 40}\n")
    first = states()
    assert {stage["state"] for stage in first["owl"].values()} == {"due"}
    assert states() == first
    page.write_text(page.read_text().replace("title: Owl", "title: Owl\nllmSummary: Mine."))
    second = states()
    assert second["owl"]["summary"]["state"] == "unmanaged"
    (wiki.root / "enrich.toml").write_text('[wiki]\nskip = ["owl.md"]\n')
    assert states()["owl"]["summary"] == {"state": "skipped", "reasons": ["configuration"]}
    (wiki.root / "enrich.toml").write_text("[wiki]\n")
    assert states() == second
