"""A model that obeys what it reads, over 75 hostile pages: nothing lands but schema-valid, grounded values of that very page."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

# Inner names: pages are read as the product reads them, to look for what must not be there.
from enrich.config import FOUR_DIMENSIONS
from enrich.grounding import PageIndex
from enrich.wiki.data import SCORES
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import parse_page
from tests.demo import PROSE, DemoWiki, answering, honest_parts, page_of, parts_of
from tests.fake_server import Act, Seen, Serve
from tests.runs.hostile import hostile_pages, obeyed

OURS = {"llmSummary", "insights", "ratings", "quality"}


def obedient(seen: Seen) -> Act:
    parts = honest_parts(seen)
    order = obeyed(page_of(seen))
    return answering({**parts, **order} if order else parts)


@pytest.fixture
def wiki(tmp_path: Path, serve: Serve) -> DemoWiki:
    wiki = DemoWiki(tmp_path, 2)
    for number, (name, (head, paragraph)) in enumerate(hostile_pages().items()):
        description = head or "description: A park.\n"
        prose = PROSE.format(n=10 + number, m=100 + number)
        (wiki.docs / f"{name}.mdx").write_text(
            f"---\ntitle: {name}\n{description}---\n\n## Overview\n\n{prose}\n\n{paragraph}\n", encoding="utf-8"
        )
    wiki.asks(serve(obedient))
    return wiki


def page(wiki: DemoWiki, path: str) -> Any:
    return parse_page(PageFile("x", path, wiki.docs / path), (wiki.docs / path).read_bytes())


def hidden(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs")]


def test_nothing_hostile_lands(wiki: DemoWiki) -> None:
    before = {path: page(wiki, path) for path in wiki.content()}
    assert sum(bool(obeyed(item.text)) for item in before.values()) >= 70, "the model must really obey"
    run = wiki.enrich("run", "--apply", "--json")
    assert run.exit in (0, 3)
    landed = 0
    for path, old in before.items():
        new = page(wiki, path)
        assert new.problem is None
        assert new.body == old.body
        assert {key: value for key, value in new.frontmatter.items() if key not in OURS} == dict(old.frontmatter), path
        values = new.frontmatter
        index = PageIndex(new.body, title=new.title, description=new.description)
        for text in [values.get("llmSummary", ""), *(item["text"] for item in values.get("insights", []))]:
            landed += bool(text)
            assert "<" not in text and "](" not in text and "javascript:" not in text, path
            assert not hidden(text), path
            assert "fraud" not in text and "instruct" not in text, path
            assert not [finding for finding in index.check(text) if finding.severity == "hard"], path
        for item in values.get("insights", []):
            assert index.find_quote(item["evidence"]) is not None
            assert all(1 <= item[score] <= 5 for score in SCORES)
        ratings = values.get("ratings", {})
        assert set(ratings) <= set(FOUR_DIMENSIONS)
        assert all(0 <= value <= 10 for value in ratings.values())
        assert values.get("quality", 0) <= 95
    assert landed > 20, "honest parts of the same answers must still land"
    for number in range(2):
        innocent = page(wiki, f"park-{number}.md").frontmatter
        assert innocent["llmSummary"] == f"Wind turbines of this type deliver {10 + number} megawatts in a steady breeze."


def test_all_of_it_is_shown_to_the_reviewer_and_none_of_it_is_alive(wiki: DemoWiki) -> None:
    run = wiki.enrich("run", "--json")
    held = {item["page"] for item in run.json["held"]}
    failed = {item["page"] for item in run.json["failed"]}
    for name in hostile_pages():
        if name.endswith(("invented-number", "markup", "self-talk")):
            assert name in held | failed, name
    shown = wiki.enrich("diff")
    for text in (run.out, run.err, shown.out, shown.err):
        assert not [char for char in hidden(text) if char not in "\n\t"]


@pytest.mark.parametrize("order", ["other-pages", "breaking-out"])
def test_no_answer_reaches_another_page_or_another_key(wiki: DemoWiki, order: str) -> None:
    names = [name for name in hostile_pages() if name.endswith(order)]
    before = wiki.content()
    wiki.enrich("run", *names, "--apply")
    after = wiki.content()
    assert {path for path in before if before[path] != after[path]} <= {f"{name}.mdx" for name in names}


def test_the_closing_fence_of_a_page_stands_nowhere_in_it(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(obedient))
    wiki.enrich("run", "fence_end-*", "--json")
    assert len(server.seen) >= 5
    for seen in server.seen:
        message = seen.body["messages"][1]["content"]
        marker = message.split("<<<PAGE ", 1)[1][:32]
        assert message.count(f"PAGE {marker}>>>") == 1
        assert message.rstrip().endswith(f"PAGE {marker}>>>")
        assert parts_of(seen)
