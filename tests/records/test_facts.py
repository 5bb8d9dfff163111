"""What is stored of a page is read as it was, whatever is in its frontmatter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

# No command shows what is stored of a page.
from enrich.records.backlinks import backlinks
from enrich.records.facts import KEYS, PageFacts, page_facts
from enrich.records.record import Surroundings, page_record
from enrich.wiki.dates import Dates
from enrich.wiki.pages import PageFile, parse_page
from enrich.wiki.profile import load_profile

PROFILE = load_profile()
FILE = PageFile("some-page", "a/some-page.md", Path("some-page.md"))
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
BODY = st.lists(
    st.sampled_from(["[a](https://e.org)", '<R id="ab">', '<EntityLink id="x">', "x[^1]", "[^1]: y", "2401.00001", "## Overview"]),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), BODY)
def test_facts_and_records_survive_a_round_trip_through_json(frontmatter: dict[str, object], body: list[str]) -> None:
    # JSON is YAML, so this frontmatter says exactly what was drawn.
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in frontmatter.items())
    page = parse_page(FILE, f"---\n{head}\n---\n{chr(10).join(body)}\n".encode())
    facts = page_facts(page, PROFILE)
    adapter = TypeAdapter(PageFacts)
    again = adapter.validate_python(json.loads(json.dumps(adapter.dump_python(facts))))
    assert again == facts
    around = Surroundings(PROFILE, {}, {}, frozenset(), Dates(), backlinks([], [], {}), 2026)
    record, notices = page_record(FILE, facts, around)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert page_record(FILE, again, around) == (record, notices)


@pytest.mark.parametrize("depth", [9, 30])
def test_aliases_that_expand_without_end_are_refused(depth: int) -> None:
    nines = "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, depth))
    page = parse_page(FILE, f"---\na0: &a0 [x]\n{nines}title: *a{depth - 1}\n---\n".encode())
    assert "aliases unfold" in page.problem.reason
    assert page.title == "some page"
    circle = parse_page(FILE, b"---\ntitle: &a [*a]\n---\n")
    assert circle.problem is not None
    few = parse_page(FILE, b"---\ntags: &t [a, b]\nclusters: *t\n---\n")
    assert (few.problem, few.frontmatter) == (None, {"tags": ["a", "b"], "clusters": ["a", "b"]})
