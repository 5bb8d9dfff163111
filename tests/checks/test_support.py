"""`enrich check` and `plan` report published values whose support is gone from the page, without a request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enrich import UserError, Wiki, load_config
from enrich.review.support import EvidenceFile  # no command reads it twice after an error
from tests.demo import DemoWiki

# An edit of the page, and what is said about it ("": nothing).
EDITS = {
    "the number": (("100 kilometres", "190 kilometres"), "no longer on the page"),
    "a word": (("the largest single lever", "the smallest single lever"), "no longer on the page"),
    "a negation": (("Most of the cost is spent", "Most of the cost is not spent"), "no longer on the page"),
    "the sentence": (
        (" A second park of the same size would need 100 kilometres of new cable, and the grid owner", " Who"),
        "no longer on the page",
    ),
    "words before it": (("A second park of", "It is not true that a second park of"), "page now says"),
    "another sentence": (("inspected twice a year", "inspected every month"), ""),
    "another number": (("10 megawatts", "90 megawatts"), ""),
    "a new sentence before it": (("Most of the cost", "The park is old. Most of the cost"), ""),
    "line breaks": (("need 100 kilometres", "need\n100 kilometres"), ""),
    "typography": (("flows, which", "flows,  which"), ""),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> DemoWiki:
    wiki = DemoWiki(tmp_path_factory.mktemp("published"), 1)
    assert wiki.enrich("run", "--apply", "--stage", "summary").exit == 0
    return wiki


def _page(wiki: DemoWiki) -> Path:
    (file,) = (wiki.root / "content").rglob("*.md*")
    return file


@pytest.mark.parametrize("name", EDITS)
def test_a_value_is_reported_when_its_sentence_changes_and_not_for_other_edits(published: DemoWiki, name: str) -> None:
    (old, new), said = EDITS[name]
    file = _page(published)
    before = file.read_text()
    body = before[before.index("## Overview") :]
    assert body.count(old) == 1
    file.write_text(before.replace(body, body.replace(old, new)))
    try:
        found = [one for one in published.enrich("check", "--json").json["findings"] if one["rule"] == "support"]
        states = published.enrich("plan", "--json").json["states"]
    finally:
        file.write_text(before)
    reasons = next(state["reasons"] for state in states if state["stage"] == "summary")
    assert not found or any(said in one["message"] for one in found)
    assert (bool(found), "support-lost" in reasons) == (bool(said), bool(said))
    assert all("llmSummary" in before.split("\n")[one["line"] - 1] for one in found)


def test_the_file_holds_the_quotes_of_the_summary_and_nothing_is_due_while_the_page_is_the_same(published: DemoWiki) -> None:
    rows = [json.loads(row) for row in (published.root / "enrich.evidence").read_text().splitlines()]
    assert [(row["field"], bool(row["quotes"][0][0]["quote"])) for row in rows] == [("llmSummary", True)]
    assert not [one for one in published.enrich("check", "--json").json["findings"] if one["rule"] == "support"]


def test_a_damaged_file_is_one_line(published: DemoWiki) -> None:
    file = published.root / "enrich.evidence"
    kept = file.read_text()
    page = _page(published)
    before = page.read_text()
    file.write_text(kept + "{\n")
    page.write_text(before + "\nOne more line.\n")
    try:
        result = published.enrich("check")
        evidence = EvidenceFile(Wiki.open(load_config(published.root)))
        for _ in range(2):  # what was read before the damage is not taken for the whole file: `update` would write it
            with pytest.raises(UserError, match="not an entry of evidence"):
                evidence.read()
    finally:
        file.write_text(kept)
        page.write_text(before)
    assert result.exit == 1
    assert "enrich.evidence:2: not an entry of evidence" in result.err


def test_a_renamed_page_keeps_its_support(published: DemoWiki) -> None:
    file = _page(published)
    before = file.read_text()
    renamed = file.rename(file.with_name("renamed.md"))
    try:
        # The lock knows a page under its new id while its text is the same.
        assert not [one for one in published.enrich("check", "--json").json["findings"] if one["rule"] == "support"]
        assert published.enrich("run", "--stage", "summary").exit == 0
        renamed.write_text(
            before.replace("Most of the cost is spent", "Most of the cost is not spent", 2).replace("is not spent", "is spent", 1)
        )
        found = [one for one in published.enrich("check", "--json").json["findings"] if one["rule"] == "support"]
    finally:
        renamed.write_text(before)
        renamed.rename(file)
    assert "no longer on the page" in found[0]["message"]
