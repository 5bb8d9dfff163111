"""Counts, scores, quality, risk and links of a page: exact values of record fields, one rule at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrich.metrics.quality import content_type, grading_counts, quality_from_ratings, suggested_quality
from enrich.metrics.risk import hallucination_risk, integrity
from enrich.metrics.structure import Structure, counted_text, js_round, links, structural_score, structure, word_count
from enrich.records.relations import canonical_href, referenced_resources, resource_map, unconverted_links
from enrich.text import number, number_text
from enrich.wiki.data import Resource
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import parse_page, read_page
from enrich.wiki.profile import load_profile
from tests.demo import cases

CASES = cases(__file__)

PROFILE = load_profile("longterm-wiki")


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


def risk(
    body: str = "", *, kind: str | None = None, content_format: str = "article", rigor: float | None = None, quality: float | None = None
) -> dict[str, Any]:
    return hallucination_risk(
        structure(body, PROFILE),
        integrity(body),
        entity_type=kind,
        content_format=content_format,
        rigor=rigor,
        quality=quality,
        year=2026,
        rules=PROFILE.risk,
    )


def test_a_short_page_without_anything_starts_at_forty() -> None:
    assert risk("few words") == {"level": "low", "score": 30, "factors": ["minimal-content"]}


def test_factors_come_in_the_reference_order_and_are_clamped() -> None:
    report = risk("word " * 600, kind="person", rigor=2, quality=10)
    assert report["factors"] == ["biographical-claims", "no-citations", "low-rigor-score", "low-quality-score", "few-external-sources"]
    assert (report["score"], report["level"]) == (95, "high")
    assert risk("w", kind="concept", content_format="table", rigor=9, quality=90)["score"] == 0


def test_citations_are_weighed_by_their_density() -> None:
    def cited(notes: int) -> Any:
        return risk(
            "word " * 600 + " ".join(f"x[^{n}]" for n in range(notes)) + "".join(f"\n[^{n}]: https://e.org/{n}" for n in range(notes))
        )["factors"]

    assert cited(1)[0] == "low-citation-density"
    assert "moderately-cited" in cited(4)
    assert "well-cited" in cited(9)


@pytest.mark.parametrize(("body", "names"), CASES["integrity_is_read_from_the_body"])
def test_integrity_is_read_from_the_body(body: str, names: list[str]) -> None:
    report = risk(body)
    assert report.get("integrityIssues", []) == names
    assert report["factors"][len(report["factors"]) - len(names) :] == names
    assert ("integrityIssues" in report) == bool(names)


FOUR = {"novelty": 4.5, "rigor": 6.8, "actionability": 5.2, "completeness": 7.5}


@pytest.mark.parametrize(
    ("ratings", "words", "citations", "quality"),
    [
        (FOUR, 2375, 25, 63),  # 8·6.0 + 4.75 + 10
        ({"novelty": 6}, 0, 0, 48),
        ({"focus": 6}, 0, 0, None),
        ({"novelty": "high"}, 0, 0, None),
    ],
)
def test_the_older_formula_takes_the_mean_of_the_present_ratings(
    ratings: dict[str, object], words: int, citations: int, quality: int | None
) -> None:
    assert quality_from_ratings(ratings, prose_words=words, citations=citations) == quality


def test_the_seven_are_weighted_by_content_type_and_missing_ones_count_five() -> None:
    def seven(ratings: dict[str, float], kind: str = "reference", words: int = 600, page_type: str = "") -> int | None:
        return quality_from_ratings(ratings, prose_words=words, citations=2, formula="seven", content_type=kind, page_type=page_type)

    everything = dict.fromkeys(("focus", "novelty", "rigor", "completeness", "concreteness", "actionability", "objectivity"), 5.0)
    assert seven(everything) == seven({"focus": 5.0}) == 42  # 40 + 1 + 0.7
    assert seven({"novelty": 10}, "analysis") == 49
    assert seven({"novelty": 10}, "explainer") == 45
    assert seven({"novelty": 10}, "no such type") == seven({"novelty": 10}, "reference")
    assert seven(everything, page_type="stub") == 35
    assert seven(everything, words=99) == 40
    assert seven(dict.fromkeys(everything, 10.0), words=6000) == 89


def test_the_suggested_quality_scales_the_score_and_caps_stubs() -> None:
    assert [suggested_quality(score, "article") for score in (15, 14, 12, 11, 10)] == [100, 93, 80, 73, 67]
    assert suggested_quality(15, "article", "stub") == 35
    assert suggested_quality(15, "index") == 0


def test_the_grader_counts_prose_without_tables_code_and_components() -> None:
    body = (
        "import X\nwords here | not these |\n```\nnor this\n```\n"
        + '<A b="c"/> <R id="q">lost</R> end[^1] end[^1] end[^x]\n|--|--|\n<Mermaid'
    )
    assert grading_counts(body, PROFILE) == (6, 2)


@pytest.mark.parametrize(
    ("frontmatter", "path", "kind"),
    [
        ({"contentType": "explainer"}, "a/models/b.md", "explainer"),
        ({}, "a/models/b.md", "analysis"),
        ({}, "models/b.md", "analysis"),
        ({}, "a/b.md", "reference"),
    ],
)
def test_the_content_type_is_named_or_follows_from_the_path(frontmatter: dict[str, str], path: str, kind: str) -> None:
    assert content_type(frontmatter, path, PROFILE) == kind


@pytest.mark.sample
def test_all_pages_of_the_sample_give_the_graders_numbers(sample: Path) -> None:
    expected = json.loads((sample / "expected/grading-metrics.json").read_text())
    assert len(expected) == 184
    for path, wanted in expected.items():
        page = read_page(PageFile(path, path, sample / "content/docs" / path))
        words, citations = grading_counts(page.body, PROFILE)
        kind = content_type(page.frontmatter, path, PROFILE)
        ratings = page.frontmatter.get("ratings")
        quality = quality_from_ratings(
            ratings or {},
            prose_words=words,
            citations=citations,
            formula="seven",
            content_type=kind,
            page_type=page.frontmatter.get("pageType"),
        )
        got = {"contentType": kind, "wordCount": words, "citations": citations, "qualityFromRatings": quality}
        assert got == {key: wanted[key] for key in got}, path


KNOWN = resource_map([Resource("aa", "https://Example.org/Paper/", "The paper"), Resource("bb", "http://www.other.org:80", None)])


def test_a_link_is_found_with_and_without_final_slash_and_www() -> None:
    body = (
        "[a](https://example.org/Paper) [b](https://www.example.org/Paper/) ![i](https://example.org/Paper) [c](/Paper) [d](#x) [e](mailto:q)\n"
        "[f](https://example.org/paper) [g](http://other.org) [a](https://example.org/Paper)"
    )
    assert unconverted_links(links(body).outside, KNOWN) == [
        {"text": "a", "url": "https://example.org/Paper", "resourceId": "aa", "resourceTitle": "The paper"},
        {"text": "b", "url": "https://www.example.org/Paper/", "resourceId": "aa", "resourceTitle": "The paper"},
        {"text": "g", "url": "http://other.org", "resourceId": "bb"},
        {"text": "a", "url": "https://example.org/Paper", "resourceId": "aa", "resourceTitle": "The paper"},
    ]


def test_later_resources_overwrite_earlier_ones() -> None:
    known = resource_map([Resource("one", "https://e.org"), Resource("two", "https://e.org/")])
    assert known["https://e.org"].id == "two"


def test_references_are_valid_cited_ids_and_known_links_once_each() -> None:
    found = links('<R id="aa">x</R> <R n="1" id="aa">x</R> <R id="cc">y</R> <R id="zz-not-hex">z</R> [g](http://other.org/)')
    assert found.cited == ("aa", "cc")
    assert referenced_resources(found, KNOWN, {"aa", "bb"}) == {"aa", "bb"}


def test_entity_links_are_named_once_in_order() -> None:
    found = links('<EntityLink id="b">x</EntityLink> <EntityLink name="q" id="a"/> <EntityLink id="b">y</EntityLink> <EntityLinks id="no">')
    assert found.entities == ("b", "a")
    assert links('<Ref id="x">', entity_link_component="Ref").entities == ("x",)


@pytest.mark.parametrize(("url", "href"), CASES["addresses_become_what_a_browser_makes_of_them"])
def test_addresses_become_what_a_browser_makes_of_them(url: str, href: str | None) -> None:
    assert canonical_href(url) == href


def test_numbers_are_rounded_and_written_as_javascript_does() -> None:
    assert [js_round(value) for value in (0.5, 1.5, 2.5, -0.5, 0.49)] == [1, 2, 3, 0, 0]
    assert repr(number(63.0)) == "63"
    assert [number_text(value) for value in (7.0, 0.5, 1e-7, 0.00001, 1e21)] == ["7", "0.5", "1e-7", "0.00001", "1e+21"]
