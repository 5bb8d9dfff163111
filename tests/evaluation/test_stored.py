"""Sets of answers: a wiki's values now and at an earlier commit, golden data as people write it, and errors for mistakes in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from enrich import UserError

# Sets of answers have no public name; every mistake in a file is checked without a command.
from enrich.config import Config, load_config
from enrich.evaluation.answers import AnswerSet, PageAnswers, ScoredInsight, read_answers, stored_answers, stored_at, write_answers
from enrich.review.lock import LockFile
from enrich.wiki.page_files import PageFile, find_pages
from enrich.wiki.wiki import Wiki
from tests.demo import DemoWiki, cases

HEAD = """llmSummary: "It yields \\\\$9 a day."
ratings: {novelty: 3.5, rigor: 12000, completeness: 6, tacticalValue: 40}
insights:
  - {type: claim, text: Wind pays., surprising: 2, important: 3, actionable: 9.5}
  - {type: claim}
"""
DATA = """insights:
- {id: '1', insight: By id., page: park-1, type: claim, surprising: 1.5}
- {id: '2', insight: By path., source: /park-1, type: neglected, important: 4}
- {id: '3', insight: By last part., source: /moved/park-1/, type: neglected}
- {id: '4', insight: Of no page., source: /elsewhere/, type: claim}
- {id: '5', insight: "", page: park-1, type: claim}
- {id: '6', insight: The page has its own., page: park-0, type: claim}
"""


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    made = DemoWiki(tmp_path, 3, toml='data = "data"\n')
    text = made.file(0).read_text(encoding="utf-8")
    made.file(0).write_text(text.replace("---\n\n", HEAD + "---\n\n", 1), encoding="utf-8")
    (tmp_path / "data" / "insights").mkdir(parents=True)
    (tmp_path / "data" / "insights" / "all.yaml").write_text(DATA, encoding="utf-8")
    return made


def config_of(wiki: DemoWiki) -> Config:
    return load_config(wiki.root, env={})


def test_frontmatter_and_data_insights_are_read_and_unusable_values_are_counted(wiki: DemoWiki) -> None:
    config = config_of(wiki)
    found = stored_answers(config, find_pages(config.content, ids="stem")[0])
    assert list(found.pages) == ["park-0", "park-1"]
    first = found.pages["park-0"]
    assert first.summary == "It yields $9 a day."
    assert first.ratings == {"novelty": 3.5, "completeness": 6.0}
    assert [one.text for one in first.insights or ()] == ["Wind pays."]
    assert [one.text for one in found.pages["park-1"].insights or ()] == ["By id.", "By path.", "By last part."]
    assert found.notices == (
        "1 insights of the data folder belong to no page here",
        "3 stored values are out of range or have no text; left out",
    )


def test_what_enrich_wrote_itself_is_not_golden_data(wiki: DemoWiki) -> None:
    wiki.enrich("run", "--apply")
    config = config_of(wiki)
    files = find_pages(config.content, ids="stem")[0]
    everything = stored_answers(config, files)
    assert everything.pages["park-2"].summary and everything.pages["park-0"].ratings["actionability"] >= 0
    golden = stored_answers(config, files, lock=LockFile(Wiki.open(config)).read())
    assert "park-2" not in golden.pages
    assert golden.pages["park-0"].summary == "It yields $9 a day."
    assert set(golden.pages["park-0"].ratings) == {"novelty", "completeness"}
    assert any("written by enrich itself" in notice for notice in golden.notices)


def git(wiki: DemoWiki, *arguments: str) -> None:
    identity = ["-c", "user.name=Keeper", "-c", "user.email=keeper@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=wiki.root, check=True, capture_output=True)


def test_an_earlier_commit_is_read_without_touching_the_working_tree(wiki: DemoWiki) -> None:
    git(wiki, "init", "-q")
    git(wiki, "add", ".")
    git(wiki, "commit", "-qm", "first")
    git(wiki, "tag", "before")
    text = wiki.file(0).read_text(encoding="utf-8")
    wiki.file(0).write_text(text.replace("novelty: 3.5", "novelty: 7"), encoding="utf-8")
    (wiki.root / "data" / "insights" / "all.yaml").unlink()
    changed = wiki.content()
    config = config_of(wiki)
    earlier = stored_at(config, "before")
    assert earlier.name == "frontmatter@before"
    assert earlier.pages["park-0"].ratings["novelty"] == 3.5
    assert len(earlier.pages["park-1"].insights or ()) == 3
    assert wiki.content() == changed
    with pytest.raises(UserError, match="git does not know 'never'"):
        stored_at(config, "never")
    with pytest.raises(UserError, match="not a revision"):
        stored_at(config, "--output=/tmp/x")


def test_pages_outside_the_wiki_have_no_earlier_commit_here(wiki: DemoWiki) -> None:
    config = load_config(wiki.root, {"wiki.content": str(wiki.docs.resolve())}, env={})
    with pytest.raises(UserError, match="is outside the wiki"):
        stored_at(config, "HEAD")


CASES = cases(__file__)

PAGES = [PageFile(name, f"towers/{name}.mdx", Path("/w") / f"{name}.mdx") for name in ("north-light", "south-light", "west-light")]

YAML = """
name: two keepers, March
pages:
  towers/south-light.mdx:
    summary: "The light costs \\\\$5 a night."
  north-light:
    llmSummary: A light.
    insights:
      - {type: claim, text: "Oil was dear.", surprising: 2.5, important: 3, actionable: 1, evidence: "dear oil"}
      - {type: neglected, insight: "Nobody counts gulls."}
    ratings: {novelty: 3, rigor: 6.5}
  nowhere:
    ratings: {rigor: 1}
"""


def read(tmp_path: Path, text: str, name: str = "golden.yaml") -> AnswerSet:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_answers(file, PAGES)


def test_yaml_names_pages_by_id_or_path_and_gives_them_in_page_order(tmp_path: Path) -> None:
    found = read(tmp_path, YAML)
    assert (found.name, list(found.pages)) == ("two keepers, March", ["north-light", "south-light"])
    assert found.pages["south-light"].summary == "The light costs $5 a night."
    north = found.pages["north-light"]
    assert north.ratings == {"novelty": 3.0, "rigor": 6.5}
    assert north.insights == (
        ScoredInsight(type="claim", text="Oil was dear.", evidence="dear oil", surprising=2.5, important=3.0, actionable=1.0),
        ScoredInsight(type="neglected", text="Nobody counts gulls."),
    )
    assert "nowhere" in found.notices[0]


def test_the_same_as_json_lines_and_as_a_list(tmp_path: Path) -> None:
    lines = '{"page": "west-light", "ratings": {"rigor": 4}}\n\n{"page": "north-light", "llmSummary": "A light.", "insights": []}\n'
    found = read(tmp_path, lines, "golden.jsonl")
    assert list(found.pages) == ["north-light", "west-light"]
    assert found.pages["north-light"].stages == {"summary", "insights"}
    assert read(tmp_path, '[{"page": "/towers/west-light/", "ratings": {"rigor": 4}}]', "golden.json").pages["west-light"].ratings == {
        "rigor": 4.0
    }


def test_a_saved_set_is_read_as_it_was(tmp_path: Path) -> None:
    one = PageAnswers(
        page="north-light",
        summary="A “light” – $5.",
        summary_evidence=("a quote",),
        insights=(ScoredInsight(type="claim", text="Oil.", surprising=2.0, evidence="oil"),),
        ratings={"rigor": 4.5},
    )
    other = PageAnswers(page="west-light", insights=())
    write_answers(AnswerSet("saved", {"north-light": one, "west-light": other}), tmp_path / "saved.jsonl")
    assert dict(read_answers(tmp_path / "saved.jsonl", PAGES).pages) == {"north-light": one, "west-light": other}


@pytest.mark.parametrize(("name", "text", "said"), CASES["mistakes_are_reported_with_their_place"])
def test_mistakes_are_reported_with_their_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, text, name)
    assert said in error.value.line
    assert str(tmp_path / name) in error.value.line
