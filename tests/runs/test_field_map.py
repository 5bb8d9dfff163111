"""`[fields]`: where values are kept, and that everything that reads or writes a field goes by it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from enrich.wiki.frontmatter.edit import edit
from enrich.wiki.frontmatter.spans import EditRefused
from tests.demo import DemoWiki, honest
from tests.fake_server import FakeServer

FLAT = '[fields]\nllmSummary = "description"\nratings = "rating-*"\nquality = "score"\ninsights = "off"\n'
UNDER = '[fields]\nunder = "params.ai"\nllmSummary = "summary"\nevidence = false\n'
SIDECAR = '[fields]\nstore = "sidecar"\n'
DIMENSIONS = ("novelty", "rigor", "actionability", "completeness")


def kept(wiki: DemoWiki, number: int = 0) -> dict[str, Any]:
    """What is in the file that holds a page's values."""
    sidecar = wiki.root / "content/data/enrich" / f"park-{number}.md.yaml"
    found: dict[str, Any] = yaml.safe_load(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else wiki.frontmatter(number)
    return found


@pytest.mark.parametrize(
    "toml", [FLAT, UNDER, SIDECAR, SIDECAR + 'under = "x"\nevidence = false\n'], ids=["flat", "under", "sidecar", "nested"]
)
def test_the_whole_loop_goes_by_the_map(tmp_path: Path, toml: str) -> None:
    wiki = DemoWiki(tmp_path, toml=toml)
    if toml == FLAT:
        for number in (0, 1):  # page 2 keeps a person's description
            wiki.file(number).write_text(re.sub("description: .*\n", "", wiki.file(number).read_text(encoding="utf-8")), encoding="utf-8")
    before = wiki.content()
    with FakeServer(honest) as server:
        wiki.asks(server)
        assert wiki.enrich("run").exit == 0
        applied = wiki.enrich("apply", "--all")
        assert (applied.exit, "park-0" in applied.out) == (0, True)
        asked = server.requests
        states = {key: state for key, (state, _) in wiki.states().items()}
        persons = {("park-2", "summary"): "unmanaged"} if toml == FLAT else {}
        assert {key: state for key, state in states.items() if state != "current"} == persons
        assert wiki.enrich("run").exit == 0
        assert server.requests == asked
        values = kept(wiki)
        if toml == FLAT:
            assert [values[f"rating-{name}"] for name in DIMENSIONS] == [4.5] * 4
            assert values["description"].startswith("Wind turbines")
            assert values["score"] > 0
            assert "insights" not in values
        else:
            inside = values["params"]["ai"] if toml == UNDER else values.get("x", values)
            assert ("evidence" in inside["insights"][0]) == ("evidence" not in toml)
            # The quotes that the page does not have are kept beside the lock.
            kept_quotes = (wiki.root / "enrich.evidence").read_text(encoding="utf-8")
            assert ("Their blades are made of glass fibre" in kept_quotes) == ("evidence" in toml)
        assert ({name: raw for name, raw in wiki.content().items() if name.endswith(".md")} == before) == ("sidecar" in toml)
        # What `enrich` wrote is its own, what a person changes afterwards is theirs.
        store = wiki.root / "content/data/enrich/park-0.md.yaml" if "sidecar" in toml else wiki.file(0)
        store.write_text(store.read_text(encoding="utf-8").replace("Wind turbines of this type", "These turbines", 1), encoding="utf-8")
        assert wiki.states()["park-0", "summary"][0] == "human-edited"
        assert wiki.enrich("check", "park-0").exit == 0
    record = next(page for page in wiki_records(wiki) if page["id"] == "park-0")
    assert record["llmSummary"].startswith("These turbines")
    assert record["ratings"]["rigor"] == 4.5


def wiki_records(wiki: DemoWiki) -> list[dict[str, Any]]:
    assert wiki.enrich("build").exit == 0
    records: list[dict[str, Any]] = json.loads((wiki.root / "database.json").read_text(encoding="utf-8"))["pages"]
    return records


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('llmSummary = "title"', "says what the page is"),
        ('llmSummary = "x"\nquality = "x.y"', "same key"),
        ('llmSummary = "a b"', "llmSummary"),
        ('insights = "x.*"', "insights"),
        ('store = "database"', "sidecar"),
        ('summary = "x"', "summary"),
    ],
)
def test_a_map_that_cannot_be_is_an_error(tmp_path: Path, toml: str, words: str) -> None:
    run = DemoWiki(tmp_path, toml=f"[fields]\n{toml}\n").enrich("plan")
    assert run.exit == 1
    assert words in run.err
    assert "fields" in run.err


def test_a_stage_without_a_field_is_not_asked(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, toml='[fields]\nratings = "off"\ninsights = "off"\n')
    assert {stage for _, stage in wiki.states()} == {"summary"}
    assert wiki.enrich("plan", "--stage", "ratings").exit == 2


@pytest.mark.parametrize("kind", ["pipe", "link", "folder link", "broken", "twice", "anchor", "two documents", "list", "latin-1"])
def test_a_sidecar_that_cannot_be_used_is_one_line_and_stays(tmp_path: Path, kind: str) -> None:
    wiki = DemoWiki(tmp_path / "wiki", toml=SIDECAR)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "park-0.md.yaml").write_text("quality: 1\n", encoding="utf-8")
    folder = wiki.root / "content/data/enrich"
    folder.parent.mkdir(parents=True)
    texts = {
        "broken": b"a: [\n", "twice": b"a: 1\na: 2\n", "anchor": b"ratings: &r {rigor: 1}\nx: *r\n", "two documents": b"a: 1\n---\nb: 2\n",
        "list": b"- a\n", "latin-1": b"a: \xfc\n",
    }  # fmt: skip
    if kind == "folder link":
        folder.symlink_to(outside)
    else:
        folder.mkdir()
        sidecar = folder / "park-0.md.yaml"
        if kind == "pipe":
            os.mkfifo(sidecar)
        elif kind == "link":
            sidecar.symlink_to(outside / "park-0.md.yaml")
        else:
            sidecar.write_bytes(texts[kind])
    run = wiki.enrich("run", "--backend", "offline", "--apply")
    assert run.exit == 3
    assert "Traceback" not in run.err
    assert "park-0" in run.err
    assert (outside / "park-0.md.yaml").read_text(encoding="utf-8") == "quality: 1\n"
    assert list(outside.iterdir()) == [outside / "park-0.md.yaml"]
    if kind in texts:
        assert sidecar.read_bytes() == texts[kind]
    if kind != "folder link":
        assert (folder / "park-1.md.yaml").exists()


def test_a_page_without_frontmatter_gets_one_only_if_the_wiki_says_so(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    body = b"\xef\xbb\xbf# Park\r\n\r\n" + wiki.file(0).read_bytes().split(b"---\n")[2].replace(b"\n", b"\r\n")
    wiki.file(0).write_bytes(body)
    assert '1 page left out, no frontmatter: park-0; `frontmatter = "add"`' in wiki.enrich("run", "--backend", "offline").err
    (wiki.root / "enrich.toml").write_text('[wiki]\ncontent = "content"\nfrontmatter = "add"\n', encoding="utf-8")
    assert wiki.enrich("run", "--backend", "offline", "--apply").exit == 0
    after = wiki.file(0).read_bytes()
    assert after.startswith(b"\xef\xbb\xbf---\r\nquality: ")
    assert after.endswith(b"---\r\n" + body[3:])
    assert {state for state, _ in wiki.states(ENRICH_LLM__BACKEND="offline").values()} == {"current"}


@pytest.mark.parametrize("metadata", ['{\n  "title": "Park"\n}\n\n', "Title: Park\nDate: 2024-01-01\n\n", "\ufefftags: a\r\n\r\n"])
def test_metadata_of_another_format_does_not_become_text(tmp_path: Path, metadata: str) -> None:
    """A YAML block above it hides it from the generator: the page would lose its title."""
    wiki = DemoWiki(tmp_path, 1, toml='frontmatter = "add"\n')
    before = metadata.encode() + wiki.file(0).read_bytes().split(b"---\n")[2]
    wiki.file(0).write_bytes(before)
    run = wiki.enrich("run", "--backend", "offline", "--apply")
    assert (run.exit, wiki.file(0).read_bytes()) == (0, before)
    assert "1 page left out, metadata in another format than YAML or TOML: park-0; convert it, or set `store" in run.err
    with pytest.raises(EditRefused, match="neither YAML nor TOML"):
        edit(before.decode(), {("quality",): 3}, add=True)
    (wiki.root / "enrich.toml").write_text(f'[wiki]\ncontent = "content"\n{SIDECAR}', encoding="utf-8")
    assert wiki.enrich("run", "--backend", "offline", "--apply").exit == 0
    assert wiki.file(0).read_bytes() == before
    assert (wiki.root / "content/data/enrich/park-0.md.yaml").exists()


@pytest.mark.parametrize("line", ['under = "title"', 'quality = "title.score"', 'under = "date.x"'])
def test_no_field_is_kept_under_what_says_what_the_page_is(tmp_path: Path, line: str) -> None:
    """The answers would be paid for, and no page could take them."""
    plan = DemoWiki(tmp_path, toml=f"[fields]\n{line}\n").enrich("plan")
    assert (plan.exit, "which says what the page is: name another key" in plan.err) == (1, True)


def test_a_renamed_page_keeps_its_sidecar(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, toml=SIDECAR)
    assert wiki.enrich("run", "--backend", "offline", "--apply").exit == 0
    sidecar = wiki.root / "content/data/enrich/park-0.md.yaml"
    raw = sidecar.read_bytes()
    (wiki.docs / "north").mkdir()
    wiki.file(0).rename(wiki.docs / "north" / "first.md")
    assert {state for state, _ in wiki.states(ENRICH_LLM__BACKEND="offline").values()} == {"current"}
    assert sidecar.exists()  # `plan` writes nothing
    run = wiki.enrich("run", "--backend", "offline", "--json").json
    assert (run["due"], run["proposed"]) == (0, [])
    assert (wiki.root / "content/data/enrich/north/first.md.yaml").read_bytes() == raw
    assert not sidecar.exists()
    assert {state for state, _ in wiki.states(ENRICH_LLM__BACKEND="offline").values()} == {"current"}
