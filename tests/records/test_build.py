"""`build` on small wikis: records, what is wrong with inputs, reproducible bytes, and what is kept from build to build."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enrich import UserError, load_config

# What is parsed and compared again is seen in the modules that do it; when processes start is set in theirs.
from enrich import blocks as blocks_module
from enrich.blocks import Blocks
from enrich.records import database as module
from enrich.records import record as facts_module
from enrich.records.database import Database, build
from enrich.records.relations import redundancy
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, parse_page
from enrich.wiki.wiki import Wiki

NOW = datetime(2026, 3, 13, 20, 14, tzinfo=UTC)
LONG = " ".join(f"subject{number}" for number in range(40))
PAGES = {
    "birds/owl.md": f"---\ntitle: Owl\nquality: 63.0\nreaderImportance: 40\nentityType: risk\nratings: {{novelty: 4.0, rigor: 7}}\n---\n{LONG} hunts\n",
    "birds/crow.md": f'---\ntitle: Crow\nreaderImportance: 70\n---\n## Overview\n{LONG} caws at <EntityLink id="owl">owls</EntityLink>\n',
    "birds/index.md": '---\ntitle: Birds\ncontentFormat: index\n---\nAll of them, <EntityLink id="E7">owls</EntityLink> too.\n',
    "mice/vole.md": "---\nllmSummary: Small.\ninsights:\n  - {type: claim, text: It digs.}\n---\n[study](https://e.org/vole) says so.\n",
}
ENTITIES = """\
- id: vole
  type: concept
  title: The vole
  relatedEntries:
    - {id: owl, relationship: feeds}
- {id: hawk, numericId: E7, type: lab}
"""
RESOURCES = '[\n{"id": "aa", "url": "https://www.e.org/vole/", "title": "Vole study"}\n]\n'
DATES = '{"modified": {"birds/owl.md": "2026-03-01"}, "created": {"birds/owl.md": "2026-01-01", "birds/crow.md": null}}'


def wiki(root: Path, *, pages: Mapping[str, str] = PAGES, data: Mapping[str, str] | None = None, toml: str = "") -> Path:
    files = {f"content/docs/{name}": text for name, text in pages.items()}
    files |= {
        f"content/data/{name}": text
        for name, text in (
            {"entities/a.yaml": ENTITIES, "resources.json": RESOURCES, "git-dates.json": DATES} if data is None else data
        ).items()
    }
    for name, text in {**files, "enrich.toml": f'[wiki]\nprofile = "longterm-wiki"\n{toml}'}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", newline="")
    return root


def built(root: Path, **more: Any) -> Database:
    return build(Wiki.open(load_config(root, env={})), now=NOW, **more)


def said(database: Database) -> list[str]:
    return [str(notice) for notice in database.notices]


def by_id(database: Database) -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in database.pages}


def test_a_record_merges_frontmatter_entities_and_computed_values(tmp_path: Path) -> None:
    found = built(wiki(tmp_path))
    records = by_id(found)
    owl, vole = records["owl"], records["vole"]
    assert list(records) == ["crow", "__index__/birds", "owl", "vole"]
    assert (owl["path"], owl["filePath"], owl["category"]) == ("/birds/owl/", "birds/owl.md", "birds")
    assert (owl["entityType"], owl["readerRank"], records["crow"]["readerRank"]) == ("risk", 2, 1)
    assert "researchRank" not in owl
    assert (owl["lastUpdated"], owl["dateCreated"], records["crow"]["dateCreated"]) == ("2026-03-01", "2026-01-01", None)
    assert owl["redundancy"]["similarPages"][0]["id"] == "crow"
    assert vole["title"] == "vole"
    assert vole["unconvertedLinks"] == [{"text": "study", "url": "https://e.org/vole", "resourceId": "aa", "resourceTitle": "Vole study"}]
    assert vole["insights"] == [{"type": "claim", "text": "It digs."}]
    assert list(vole)[-1] == "insights"
    assert "insights" not in owl
    assert found.notices == ()


def test_backlinks_come_from_entities_first_and_from_links_once(tmp_path: Path) -> None:
    found = built(wiki(tmp_path))
    assert found.backlinks == {
        "owl": [
            {"id": "vole", "type": "concept", "title": "The vole", "relationship": "feeds"},
            {"id": "crow", "type": "concept", "title": "Crow"},
        ]
    }
    assert by_id(found)["owl"]["backlinkCount"] == 2


def test_the_document_holds_states_clock_and_schema(tmp_path: Path) -> None:
    states = {"owl": {"summary": {"state": "due", "reasons": ["missing"]}}}
    document = json.loads(built(wiki(tmp_path), enrichment=states).text())
    assert list(document) == ["pages", "backlinks", "enrichment", "entities", "infobox", "externalLinks", "generated", "schema"]
    assert (document["enrichment"], document["generated"], document["schema"]) == (states, "2026-03-13T20:14:00Z", 1)
    empty = wiki(tmp_path / "empty", pages={}, data={"git-dates.json": "{}"})
    (empty / "content/docs").mkdir()
    assert json.loads(built(empty).text())["pages"] == []


def test_only_edited_pages_are_parsed_and_only_changed_words_are_compared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    compared: list[int] = []

    def watched_parse(file: PageFile, raw: bytes, sidecar: bytes | None) -> Page:
        parsed.append(file.id)
        return parse_page(file, raw, sidecar)

    def watched_compare(texts: Iterable[bytes], *rest: Any) -> Any:
        held = list(texts)
        compared.append(len(held))
        return redundancy(held, *rest)

    monkeypatch.setattr(facts_module, "parse_page", watched_parse)
    monkeypatch.setattr(module, "redundancy", watched_compare)
    first = by_id(built(wiki(tmp_path)))
    assert (sorted(parsed), compared) == (["__index__/birds", "crow", "owl", "vole"], [4])
    built(tmp_path)
    assert (len(parsed), compared) == (4, [4])
    owl = tmp_path / "content/docs/birds/owl.md"
    owl.write_text(owl.read_text().replace("quality: 63.0", "quality: 64"))
    second = by_id(built(tmp_path))
    assert (parsed[4:], compared) == (["owl"], [4])
    assert (second["owl"]["quality"], second["owl"]["redundancy"]) == (64, first["owl"]["redundancy"])
    with (tmp_path / "content/docs/birds/crow.md").open("a") as file:
        file.write("And more.\n")
    edited = built(tmp_path).text()
    assert (parsed[5:], compared) == (["crow"], [4, 4])
    (tmp_path / "cache/pages/pages.sqlite").unlink()
    assert built(tmp_path).text() == edited


def test_a_build_in_several_processes_is_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"lantern{number} keeper{number % 7} harbour{number % 5}" for number in range(60)]
    text = '---\ntitle: "Page {0}"\n---\n' + " ".join(words) + "\n"
    pages = {f"many/page-{number}.md": text.replace("{0}", str(number)) + f"Only here: {number}.\n" for number in range(70)}
    alone = built(wiki(tmp_path / "alone", pages=pages)).text()
    # Processes are started after the first block: the pages of this test would not be worth any.
    monkeypatch.setattr(blocks_module, "_WORTH_A_POOL", 0.0)
    assert built(wiki(tmp_path / "pool", pages=pages), blocks=Blocks(processes=2)).text() == alone
    assert alone.count('"similarity":') == 70 * 5


@pytest.mark.parametrize("harm", ["garbage", "foreign", "cut", "values", "swapped", "folder"])
def test_a_damaged_or_foreign_cache_changes_nothing(tmp_path: Path, harm: str) -> None:
    first = built(wiki(tmp_path)).text()
    file = tmp_path / "cache/pages/pages.sqlite"
    if harm == "garbage":
        file.write_bytes(os.urandom(5000))
    elif harm == "foreign":
        file.unlink()
        with sqlite3.connect(file) as other:
            other.execute("CREATE TABLE entries (something TEXT)")
        other.close()
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:6000])
    elif harm == "folder":
        file.unlink()
        file.mkdir()
    else:
        with sqlite3.connect(file) as ours:
            if harm == "values":
                ours.execute("UPDATE entries SET value = substr(value, 1, length(value) - 3)")
            else:  # valid entries under each other's keys
                (a, b), (c, d), *_ = ours.execute("SELECT key, value FROM entries").fetchall()
                ours.execute("UPDATE entries SET value = ? WHERE key = ?", (d, a))
                ours.execute("UPDATE entries SET value = ? WHERE key = ?", (b, c))
        ours.close()
    assert built(tmp_path).text() == first
    assert built(tmp_path).text() == first


def test_adding_a_page_changes_only_what_depends_on_it(tmp_path: Path) -> None:
    before = by_id(built(wiki(tmp_path)))
    extra = '---\ntitle: Stoat\nreaderImportance: 90\n---\nSays nothing of <EntityLink id="vole">voles</EntityLink>.\n'
    after = by_id(built(wiki(tmp_path, pages={**PAGES, "mice/stoat.md": extra})))
    for page, record in before.items():
        changed = {key for key in after[page] if record.get(key) != after[page][key]}
        assert changed == {"owl": {"readerRank"}, "crow": {"readerRank"}, "vole": {"backlinkCount"}}.get(page, set())


BROKEN = {
    "entities/list.yaml": "id: x\n",
    "entities/bad.yaml": "- id: a\n  type: [b\n",
    "entities/twice.yaml": "- id: one\n- id: two\n- id: one\n- title: nameless\n",
    "resources.json": '[\n{"id": "aa"},\n{"id": "bb", "url": "https://e.org"},\n{"id": "bb", "url": "https://e.org/2"}\n]',
    "reader-importance-ranking.yaml": "ranking:\n  - owl\n  - dodo\n  - moa\n  - owl\n",
    "research-ranking.yaml": "just text\n",
    "git-dates.json": "{}",
}


def test_each_fault_is_reported_once_with_file_and_line_and_the_rest_is_built(tmp_path: Path) -> None:
    pages = {
        **PAGES,
        "mice/owl.md": "---\ntitle: Another owl\n---\nText.\n",
        "mice/broken.md": "---\ntitle: Fine\nquality: [1\n---\nText.\n",
        "mice/odd.md": "---\nquality: good\ncontentFormat: song\n---\nText.\n",
        "mice/laughs.md": "---\na0: &a0 [x]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
        + "title: *a8\n---\nText.\n",
        "about.md": "---\ntitle: About\n---\nOutside.\n",
    }
    found = built(wiki(tmp_path, pages=pages, data=BROKEN, toml='roots = ["birds", "mice", "fish"]\n'))
    lines = said(found)
    expected = [
        "content/docs/fish: no such folder",
        "content/docs/birds/owl.md:1: another page has the same name; 2 such pages",
        "content/docs/about.md:1: 1 page outside the roots",
        "content/data/entities/list.yaml:1: an entity file is a list",
        "content/data/entities/bad.yaml:3: broken YAML",
        "content/data/entities/twice.yaml:3: the entity 'one' is already in entities/twice.yaml:1",
        "content/data/entities/twice.yaml:4: an entity without an id",
        "content/data/resources.json:2: the resource 'aa' has no url",
        "content/data/resources.json:4: the resource 'bb' is already in line 3",
        "content/data/reader-importance-ranking.yaml:5: 'owl' is ranked already in line 2",
        "content/data/reader-importance-ranking.yaml:2: the ranking names 'owl', which is not a page (and 2 more",
        "content/data/research-ranking.yaml:1: a ranking file has a list",
        "content/docs/mice/broken.md:4: broken YAML",
        "content/docs/mice/odd.md:1: quality is not a number ('good')",
        "content/docs/mice/odd.md:1: contentFormat 'song' is not one of",
        "content/docs/mice/laughs.md:2: broken YAML: aliases unfold",
    ]
    for start in expected:
        assert sum(1 for line in lines if line.startswith(start)) == 1, (start, lines)
    assert len(lines) == len(expected), lines
    assert {"birds/owl", "mice/owl", "broken", "odd", "laughs", "vole"} <= by_id(found).keys()
    assert said(built(tmp_path)) == lines, "what is kept from the first build says the same"


def test_no_git_is_one_notice_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = built(wiki(tmp_path, data={}))
    assert len(found.notices) == 1
    assert "no git history" in said(found)[0]
    assert by_id(found)["owl"]["lastUpdated"] is None


def test_dates_come_from_git_without_bulk_imports(tmp_path: Path) -> None:
    def git(*arguments: str, date: str = "2026-01-05T23:30:00+09:00") -> None:
        stamp = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": "2026-02-01T00:00:00Z", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, env={**os.environ, **stamp})

    many = {f"many/p{number}.md": f"---\ntitle: P{number}\n---\nText.\n" for number in range(51)}
    root = wiki(tmp_path, pages={"birds/öwl one.md": "---\ntitle: Owl\n---\nx\n"}, data={})
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    wiki(root, pages=many, data={})
    git("add", ".")
    git("commit", "-qm", "two", date="2026-02-09T00:00:00Z")
    (root / "content/docs/birds/öwl one.md").write_text("---\ntitle: Owl\n---\ny\n")
    git("commit", "-qam", "three", date="2026-02-10T00:00:00Z")
    records = by_id(built(root))
    assert (records["öwl one"]["dateCreated"], records["öwl one"]["lastUpdated"]) == ("2026-01-05", "2026-02-10")
    assert (records["p1"]["dateCreated"], records["p1"]["lastUpdated"]) == (None, "2026-02-09")


def test_a_named_dates_file_must_be_valid(tmp_path: Path) -> None:
    root = wiki(tmp_path)
    good = tmp_path / "dates.json"
    good.write_text('{"modified": {"birds/owl.md": "2026-03-09"}}')
    assert by_id(built(root, dates_file=good))["owl"]["lastUpdated"] == "2026-03-09"
    for text, reason in (("{", r"dates\.json:1: broken JSON"), ('{"modified": []}', "`modified` must be"), ("[]", "`modified` must be")):
        good.write_text(text)
        with pytest.raises(UserError, match=reason):
            built(root, dates_file=good)
    with pytest.raises(UserError, match=r"no\.json: the dates cannot be read"):
        built(root, dates_file=tmp_path / "no.json")


@pytest.mark.sample
def test_all_records_and_backlinks_of_the_sample_equal_the_reference_build(sample: Path, tmp_path: Path) -> None:
    roots = ["knowledge-base", "analysis", "getting-started", "tools", "internal", "style-guides", "guides", "insight-hunting"]
    roots += ["dashboard", "project", "kb", "sources"]
    (tmp_path / "enrich.toml").write_text(f'[wiki]\nprofile = "longterm-wiki"\nroots = {json.dumps(roots)}\n')
    config = load_config(tmp_path, {"wiki.content": f"{sample}/content/docs", "wiki.data": f"{sample}/data"}, env={})
    expected = json.loads((sample / "expected/pages.json").read_text())
    for _ in range(2):  # computed, then from the cache
        document = json.loads(build(Wiki.open(config), now=NOW).text())
        assert [record["id"] for record in document["pages"]] == [record["id"] for record in expected]
        # The reference build no longer had the insights of the data folder when its records were stored.
        assert sum(len(record.pop("insights", ())) for record in document["pages"]) > 300
        for record, wanted in zip(document["pages"], expected, strict=True):
            assert json.dumps(record) == json.dumps(wanted), record["id"]  # values, their number text and the key order
        assert document["backlinks"] == json.loads((sample / "expected/backlinks.json").read_text())
