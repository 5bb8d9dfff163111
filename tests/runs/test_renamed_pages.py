"""A page keeps what is known of it when files are renamed, added or removed (DESIGN.md section 4.1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.demo import DemoWiki, page_text

LANGUAGES = ("en", "de", "fr")
STEMS = ("intro", "tides", "storms")
States = dict[tuple[str, str], tuple[str, tuple[str, ...]]]


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    """Nine applied pages in three languages with equal stems, and one with a waiting proposal."""
    wiki = DemoWiki(tmp_path / "wiki", pages=0)
    for number, path in enumerate((language, stem) for language in LANGUAGES for stem in STEMS):
        file = wiki.docs.joinpath(*path).with_suffix(".md")
        file.parent.mkdir(exist_ok=True)
        file.write_text(page_text(number), encoding="utf-8")
    assert wiki.enrich("run", "--apply").exit == 0
    (wiki.docs / "en" / "waits.md").write_text(page_text(20), encoding="utf-8")
    assert wiki.enrich("run").exit == 0
    return wiki


def _new(root: Path, path: str) -> int:
    (root / path).parent.mkdir(exist_ok=True)
    return (root / path).write_text(page_text(30), encoding="utf-8")


CHANGES: dict[str, tuple[Callable[[Path], object], dict[str, str], set[str]]] = {
    # what happens, ids that changed, ids that are new
    "a page with a known stem is added": (lambda root: _new(root, "aa/tides.md"), {}, {"aa/tides"}),
    "a page is removed": (lambda root: (root / "de" / "tides.md").unlink(), {"de/tides": ""}, set()),
    "a page is renamed": (lambda root: (root / "de/tides.md").rename(root / "de/gezeiten.md"), {"de/tides": "de/gezeiten"}, set()),
    "a folder is renamed": (lambda root: (root / "de").rename(root / "at"), {f"de/{stem}": f"at/{stem}" for stem in STEMS}, set()),
    "a new page takes a renamed page's place": (
        lambda root: ((root / "de/tides.md").rename(root / "de/gezeiten.md"), _new(root, "de/tides.md")),
        {"de/tides": "de/gezeiten"},
        {"de/tides"},
    ),
    "a page takes another's place": (
        lambda root: (root / "de/storms.md").replace(root / "fr/storms.md"),
        {"fr/storms": "", "de/storms": "fr/storms"},
        set(),
    ),
    "two pages swap names": (
        lambda root: (
            (root / "de/storms.md").rename(root / "x"),
            (root / "fr/storms.md").rename(root / "de/storms.md"),
            (root / "x").rename(root / "fr/storms.md"),
        ),
        {"fr/storms": "de/storms", "de/storms": "fr/storms"},
        set(),
    ),
    "a page with a proposal is renamed": (lambda root: (root / "en/waits.md").rename(root / "en/w.md"), {"en/waits": "en/w"}, set()),
    "the suffix gets a twin": (lambda root: _new(root, "de/tides.mdx"), {"de/tides": "de/tides.md"}, {"de/tides.mdx"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_other_pages_state_changes(wiki: DemoWiki, change: str) -> None:
    act, renamed, new = CHANGES[change]
    before = wiki.states()
    assert {state for state, _ in before.values()} == {"current", "proposed"}
    act(wiki.docs)
    expected = {(renamed.get(page, page), stage): state for (page, stage), state in before.items() if renamed.get(page, page)}

    def others() -> States:
        return {key: state for key, state in wiki.states().items() if key[0] not in new}

    assert others() == expected
    # The next run writes the lock under the new ids; nothing is asked or taken for a person's, and the file is all that is needed.
    assert wiki.enrich("run", "--limit", "0").exit == 0
    assert others() == expected
    known = {line["page"] for line in wiki.lock()}
    assert known >= {page for (page, _), (state, _) in expected.items() if state == "current"}
    assert not known & {old for old, now in renamed.items() if now and old not in renamed.values()}


@pytest.mark.parametrize("ids", ["stem", "path"])
def test_a_lock_and_proposals_with_other_ids_are_taken_over(wiki: DemoWiki, ids: str) -> None:
    """Here `ids` is switched from "path" to "stem" and from "stem" to "path"."""
    toml = (wiki.root / "enrich.toml").read_text(encoding="utf-8")
    if ids == "path":
        (wiki.root / "enrich.toml").write_text(toml.replace("[wiki]\n", '[wiki]\nids = "stem"\n'), encoding="utf-8")
        wiki.enrich("run", "--limit", "0")
    before = wiki.states()
    (wiki.root / "enrich.toml").write_text(toml.replace("[wiki]\n", f'[wiki]\nids = "{ids}"\n'), encoding="utf-8")
    after = wiki.states()
    assert sorted(after.values()) == sorted(before.values())
    wiki.enrich("run", "--limit", "0")
    assert wiki.states() == after
    assert {line["page"] for line in wiki.lock()} <= {page for page, _ in after}


def test_a_renamed_page_that_a_person_edited_is_still_theirs(wiki: DemoWiki) -> None:
    file = wiki.docs / "de" / "tides.md"
    text = file.read_text(encoding="utf-8")
    summary = next(line for line in text.splitlines() if line.startswith("llmSummary"))
    file.with_name("gezeiten.md").write_text(text.replace(summary, "llmSummary: A person's own words."), encoding="utf-8")
    file.unlink()
    assert wiki.states()["de/gezeiten", "summary"] == ("human-edited", ())
    assert wiki.states()["de/gezeiten", "ratings"] == ("current", ())


def test_adding_a_page_beside_one_of_the_same_name_hands_no_entry_over(tmp_path: Path) -> None:
    """Also where ids are file names: the lock of `b/x` is not that of a new `a/x`."""
    wiki = DemoWiki(tmp_path / "wiki", pages=0, toml='ids = "stem"\n')
    (wiki.docs / "b").mkdir()
    (wiki.docs / "b" / "x.md").write_text(page_text(1), encoding="utf-8")
    assert wiki.enrich("run", "--apply").exit == 0
    assert {line["page"] for line in wiki.lock()} == {"x"}
    _new(wiki.docs, "a/x.md")
    states = wiki.states()
    assert {state for (page, _), state in states.items() if page == "b/x"} == {("current", ())}
    assert {state for (page, _), state in states.items() if page == "a/x"} == {("due", ("missing",))}
    applied = json.loads(wiki.enrich("run", "--apply", "--json").out)
    assert {page for page, _ in ((one["page"], one["field"]) for one in applied["applied"])} == {"a/x"}
    assert {line["page"] for line in wiki.lock()} == {"a/x", "b/x"}
