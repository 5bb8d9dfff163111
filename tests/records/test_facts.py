"""What is stored of a page is read as it was; a wiki's profile is laid over the default, and errors name file and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from enrich.errors import UserError
from enrich.records.record import KEYS, PageFacts, Surroundings, page_facts, page_record

# No command shows what is stored of a page.
from enrich.records.relations import backlinks
from enrich.wiki.data import Dates
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import parse_page
from enrich.wiki.profile import load_profile
from tests.demo import cases

PROFILE = load_profile("longterm-wiki")
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


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), BODY)
def test_facts_and_records_survive_a_round_trip_through_json(frontmatter: dict[str, object], body: list[str]) -> None:
    # JSON is YAML, so this frontmatter says exactly what was drawn.
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in frontmatter.items())
    page = parse_page(FILE, f"---\n{head}\n---\n{chr(10).join(body)}\n".encode())
    facts = page_facts(page, PROFILE, b"")
    adapter = TypeAdapter(PageFacts)
    again = adapter.validate_python(json.loads(json.dumps(adapter.dump_python(facts))))
    assert again == facts
    around = Surroundings(PROFILE, {}, {}, frozenset(), Dates(), backlinks([], [], {}, {}, None, str), 2026)
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


CASES = cases(__file__)


def own(tmp_path: Path, text: str) -> Path:
    (tmp_path / "profile.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_wikis_file_is_laid_over_the_default_key_by_key(tmp_path: Path) -> None:
    root = own(
        tmp_path,
        "base: longterm-wiki\ndefault_clusters: [birds]\n"
        "risk: {type_aliases: {lab: null, keeper: person}}\n"
        "coverage: {targets: {article: {tables: {min: 7}}}}\n",
    )
    mine, default = load_profile("profile.yaml", root), load_profile("longterm-wiki")
    assert mine.default_clusters == ["birds"]
    assert mine.risk.type_aliases["keeper"] == "person"
    assert "lab" not in mine.risk.type_aliases
    assert mine.coverage.targets["article"].tables.min == 7
    assert mine.coverage.targets["article"].tables.rate == default.coverage.targets["article"].tables.rate
    assert mine.coverage.targets["table"] == default.coverage.targets["table"]


@pytest.mark.parametrize(("text", "said"), CASES["what_does_not_fit_is_named_with_file_and_key"])
def test_what_does_not_fit_is_named_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_profile("profile.yaml", own(tmp_path, text))


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.yaml: the profile cannot be read"):
        load_profile("missing.yaml", tmp_path)
    with pytest.raises(UserError, match=r"there is no profile 'birds'.*neutral"):
        load_profile("birds", tmp_path)
