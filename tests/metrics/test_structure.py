"""The counts of a page and its structural score (exact values of a record's field); line ends do not matter."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrich.metrics.risk import integrity
from enrich.metrics.structure import Structure, counted_text, structural_score, structure, word_count
from enrich.wiki.pages import PageFile, parse_page
from enrich.wiki.profile import load_profile
from tests.demo import cases

CASES = cases(__file__)

PROFILE = load_profile()


def counts(text: str) -> Structure:
    return structure(text, PROFILE)


def made(**values: float | bool) -> Structure:
    """A page with nothing but these counts (and all bullets, so that the ratio gives no points)."""
    none = dict.fromkeys(Structure.__slots__, 0) | {"bullet_ratio": 1.0, "has_overview": False}
    return Structure(**(none | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "words"), CASES["words"])
def test_words(text: str, words: int) -> None:
    assert word_count(text) == words


def test_the_counted_text_ends_frontmatter_early_and_drops_imports() -> None:
    assert counted_text("---\ntitle: a --- b\n---\nbody\nimport X from 'y'\nimportant\n") == " b\n---\nbody\n\nimportant\n"


def test_tables_and_diagrams_are_counted_by_rows_fences_and_components() -> None:
    page = counts(
        "|a|b|\n|---|:-:|\n|1|2|\n\n<ComparisonTable x>\n<ComparisonTables>\n\n```mermaid\nx\n```\n<Mermaid chart />\n<MermaidDiagram>\n"
    )
    assert (page.table_count, page.diagram_count) == (2, 3)
    assert counts("|a|\n|---|\n|---|\n").table_count == 1  # adjacent separator rows are one


def test_links_footnotes_and_headings_are_counted() -> None:
    page = counts(
        '[a](/x) ![i](https://e.org/i.png) [b](http://e.org) <EntityLink id="z">q</EntityLink> <R id="ab">s</R>\n'
        "x[^1] y[^2] z[^1] [^name]\n[^3]: only defined\n## Overview of it\n### Sub\n#### Deep\n## Implications\n"
    )
    assert (page.internal_links, page.external_links, page.footnote_count) == (3, 2, 2)
    assert (page.section_count, page.h3_count, page.has_overview) == (3, 1, True)


@pytest.mark.parametrize(("content_format", "page", "score"), CASES["the_structural_score_takes_the_first_tier_that_fits"])
def test_the_structural_score_takes_the_first_tier_that_fits(content_format: str, page: dict[str, float], score: int) -> None:
    assert structural_score(made(**page), content_format) == score


LINES = st.lists(
    st.sampled_from(
        ["## Overview", "- bullet", "word word", "|a|b|", "|---|---|", "x[^1]", "[^1]: text", "  more", "```", "", "[a](/b)", "---"]
    ),
    max_size=25,
)


@given(LINES, st.sampled_from(["\r\n", "\r"]))
def test_counts_do_not_change_with_the_line_ends(lines: list[str], ending: str) -> None:
    text = "\n".join(["---", "title: T", "---", *lines])
    file = PageFile("x", "x.md", Path("x.md"))
    lf, other = parse_page(file, text.encode()), parse_page(file, text.replace("\n", ending).encode())
    assert counts(lf.text) == counts(other.text)
    assert integrity(lf.body) == integrity(other.body)
