"""What a model is shown of a page: cited sources by their titles, links to entities by their labels, facts of the frontmatter."""

from __future__ import annotations

from pathlib import Path

import pytest

from enrich import PageIndex
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, PromptView, parse_page
from enrich.wiki.profile import load_profile

TITLES = {"a1": "Tide tables,\n2024 edition", "b2": "Sea [level]"}
VIEW = PromptView(load_profile("longterm-wiki"), lambda: TITLES)


def page(body: str, head: str = "title: x") -> Page:
    return parse_page(PageFile("x", "x.mdx", Path("x.mdx"), view=VIEW), f"---\n{head}\n---\n{body}".encode())


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('rose.<R id="a1" />', "rose.[source: Tide tables, 2024 edition]"),
        ('rose <R id="a1">tables</R>.', "rose tables [source: Tide tables, 2024 edition]."),
        ("<R n={3} id='b2'>Sea [level]</R>", "Sea [level] [source: Sea (level)]"),
        ('<R id="zz">a report</R>', "[source: a report]"),
        ('<R id="zz"/>', "[source]"),
        ('the <EntityLink id="e-1">Harbour</EntityLink>', "the Harbour"),
        ('the <EntityLink id="old-harbour" />', "the old harbour"),
        ("a <Rock id='a1'/> and <R without end", "a <Rock id='a1'/> and <R without end"),
        ('over\n<R\nid="a1"/>', 'over\n<R\nid="a1"/>'),
    ],
)
def test_citations_and_links_are_words(written: str, shown: str) -> None:
    assert page(written).shown == shown


def test_facts_are_above_the_text_and_part_of_the_hash() -> None:
    one = page("Text.", "title: x\nentityType: risk\ncontentFormat: [table, diagram]\nlastEdited: 2024-05-01\nquality: 5")
    assert one.facts == ("Entity type: risk", "Content format: table, diagram", "Last edited: 2024-05-01")
    assert page("Text.", "title: x\nentityType: policy").hash != page("Text.", "title: x\nentityType: risk").hash
    assert page("Text.", "title: x\nquality: 5").hash == page("Text.", "title: x\nquality: 6").hash


def test_a_sources_title_is_part_of_the_hash_and_can_be_quoted() -> None:
    body = 'The sea rose by 4 mm a year <R id="a1">tables</R>, faster than before.'
    cited = page(body)
    other = parse_page(PageFile("x", "x.mdx", Path("x.mdx"), view=PromptView(load_profile("longterm-wiki"), dict)), cited.raw)
    assert cited.hash != other.hash
    index = PageIndex.of(cited)
    for quote in (
        "4 mm a year tables [source: Tide tables, 2024 edition], faster",
        "Tide tables, 2024 edition",
        "4 mm a year tables, faster",
    ):
        found = index.find_quote(quote)
        assert found is not None, quote
        assert (found.start_line, found.end_line) == (1, 1)
    assert index.find_quote("Sea level of the moon") is None
