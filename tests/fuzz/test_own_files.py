"""Whatever is in a file of ours, reading it gives a value or one of our own errors: no traceback, no crash, no endless wait."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from enrich.config import load_config
from enrich.errors import EnrichError
from enrich.evaluation.answers import read_answers
from enrich.llm.cache import AnswerCache
from enrich.llm.templates import Prompt
from enrich.review.decisions import read_decisions
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.runs.results import failed_questions, run_folders
from enrich.wiki.data import data_insights, load_data, read_dates
from enrich.wiki.frontmatter.edit import edit
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import parse_page
from enrich.wiki.profile import load_profile
from enrich.wiki.wiki import Wiki
from tests.demo import DemoWiki
from tests.fuzz.mutations import MUTATIONS, mutated

PROMPT = "---\nversion: 1\ntemperature: 0.2\n---\n{% for i in items if i -%}{{ loop.index }} {{ i|upper }}\n{% endfor %}{{ body }}\n"
PROFILE = "required_keys: [title]\nclosed_lists: error\nrules_off: []\n"
ENTITIES = "- id: park-0\n  type: concept\n  title: Park\n  numericId: E1\n  relatedEntries:\n    - {id: park-1, relationship: uses}\n"
INSIGHTS = "insights:\n  - id: i-1\n    insight: Parks cost money.\n    source: /park-0/\n    type: claim\n    surprising: 2\n"
TOML_REST = '[llm]\nmodel = "m"\n[run]\nbudget_usd = 1.5\n[stages.summary]\nenabled = true\n[prices.m]\ninput = 1.0\noutput = 2.0\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWiki]:
    """A wiki with one of each of our files."""
    wiki = DemoWiki(tmp_path_factory.mktemp("fuzz") / "wiki", 2, TOML_REST)
    assert wiki.enrich("run", "--backend", "offline").exit == 0
    assert wiki.enrich("accept", "park-0").exit == 0
    assert wiki.enrich("apply", "park-0").exit == 0
    data = wiki.root / "content" / "data"
    (data / "entities").mkdir(parents=True)
    (data / "insights").mkdir()
    (data / "entities" / "parks.yaml").write_text(ENTITIES, encoding="utf-8")
    (data / "insights" / "parks.yaml").write_text(INSIGHTS, encoding="utf-8")
    (data / "resources.json").write_text(json.dumps([{"id": "r1", "url": "https://a.example", "title": "A"}]), encoding="utf-8")
    (data / "reader-importance-ranking.yaml").write_text("ranking:\n  - park-0\n  - park-1\n", encoding="utf-8")
    (data / "git-dates.json").write_text(json.dumps({"park-0.md": {"created": "2026-01-02", "modified": "2026-01-03"}}), encoding="utf-8")
    (wiki.root / "prompt.md").write_text(PROMPT, encoding="utf-8")
    (wiki.root / "profile.yaml").write_text(PROFILE, encoding="utf-8")
    decisions = {"decisions": [{"page": "park-1", "field": "llmSummary", "decision": "accept"}]}
    (wiki.root / "decisions.json").write_text(json.dumps(decisions), encoding="utf-8")
    (wiki.root / "golden.yaml").write_text("park-0:\n  summary: A park.\n  ratings: {rigor: 3}\n  insights: []\n", encoding="utf-8")
    with AnswerCache(wiki.root / "cache" / "answers") as cache:
        cache.put("a" * 64, {"text": "An answer.", "usage": {"input": 1}})
    yield wiki


def _wiki(root: Path) -> Wiki:
    return Wiki.open(load_config(root, env={}))


def _answers(root: Path) -> None:
    with AnswerCache(root / "cache" / "answers") as cache:
        cache.get("a" * 64)
        cache.put("b" * 64, {"text": "x"})


def _page(root: Path) -> None:
    raw = (root / "content" / "park-1.md").read_bytes()
    page = parse_page(PageFile("park-1", "park-1.md", root / "content" / "park-1.md"), raw)
    assert page.hash
    assert edit(page.text, {("quality",): 3}) != page.text


def _render(root: Path) -> None:
    Prompt.load(root / "prompt.md").render(items=["a", "b"] * 5, body="Text. " * 200)


# Name: (the file below the wiki, what reads it).
READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "configuration": ("enrich.toml", lambda root: load_config(root, env={})),
    "page": ("content/park-1.md", _page),
    "lock": ("enrich.lock", lambda root: list(LockFile(_wiki(root)).read())),
    "proposal": ("proposals/park-1.json", lambda root: ProposalStore(_wiki(root)).all()),
    "decisions": ("decisions.json", lambda root: read_decisions(root / "decisions.json")),
    "journal": ("cache/runs/*/journal.jsonl", lambda root: failed_questions(run_folders(root / "cache" / "runs"))),
    "answers": ("cache/answers/cache.db", _answers),
    "prompt": ("prompt.md", _render),
    "profile": ("profile.yaml", lambda root: load_profile("profile.yaml", root)),
    "entities": ("content/data/entities/parks.yaml", lambda root: load_data(root / "content" / "data")),
    "resources": ("content/data/resources.json", lambda root: load_data(root / "content" / "data")),
    "ranking": ("content/data/reader-importance-ranking.yaml", lambda root: load_data(root / "content" / "data")),
    "insights": ("content/data/insights/parks.yaml", lambda root: data_insights(root / "content" / "data")),
    "dates": ("content/data/git-dates.json", lambda root: read_dates(root / "content" / "data" / "git-dates.json")),
    "golden": ("golden.yaml", lambda root: read_answers(root / "golden.yaml", [])),
}


@pytest.mark.parametrize("name", READERS)
@given(mutations=MUTATIONS)
def test_a_damaged_file_gives_a_value_or_one_of_our_errors(made: DemoWiki, name: str, mutations: list[tuple[str, int, str | int]]) -> None:
    pattern, read = READERS[name]
    file = next(made.root.glob(pattern))
    before = file.read_bytes()
    file.write_bytes(mutated(before, mutations))
    try:
        read(made.root)
    except EnrichError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
    finally:
        for other in file.parent.glob("*cache.db*"):
            other.unlink()
        file.write_bytes(before)


# The commands that use what a file says, not only read it.
COMMANDS = {
    "lock": ("enrich.lock", (("plan",), ("adopt",), ("apply", "--all"))),
    "proposal": ("proposals/park-1.json", (("diff",), ("diff", "--format", "html"), ("accept", "--all"), ("apply",))),
    "decisions": ("decisions.json", (("review", "--from", "decisions.json"),)),
    "journal": ("cache/runs/*/journal.jsonl", (("run", "--failed", "--backend", "offline"), ("cache", "stats"))),
    "page": ("content/park-1.md", (("check",), ("build",), ("show", "park-1"), ("run", "--apply", "--backend", "offline"))),
    "resources": ("content/data/resources.json", (("build",), ("show", "park-0"))),
    "entities": ("content/data/entities/parks.yaml", (("build",), ("check",))),
    "stored facts": ("cache/pages/pages.sqlite", (("build",),)),
    "configuration": ("enrich.toml", (("plan",), ("check",))),
}


@pytest.mark.parametrize("name", COMMANDS)
@settings(max_examples=8 if settings().max_examples <= 100 else 300)
@given(mutations=MUTATIONS)
def test_commands_on_a_damaged_file_end_as_documented(made: DemoWiki, name: str, mutations: list[tuple[str, int, str | int]]) -> None:
    pattern, commands = COMMANDS[name]
    made.enrich("build")
    before = {file: file.read_bytes() for file in made.root.rglob("*") if file.is_file()}
    file = next(made.root.glob(pattern))
    file.write_bytes(mutated(before[file], mutations))
    try:
        for command in commands:
            result = made.enrich(*command)
            assert result.exit in (0, 1, 2, 3, 4, 10), (command, result)
            assert "Traceback" not in result.err
            (made.root / "database.json").exists() and (made.root / "database.json").read_bytes().decode("utf-8")
    finally:
        for other in made.root.rglob("*"):
            if other.is_file() and other not in before:
                other.unlink()
        for other, raw in before.items():
            if not other.exists() or other.read_bytes() != raw:
                other.write_bytes(raw)
