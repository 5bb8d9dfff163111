"""Quality from ratings by both formulas, and the grader's own counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enrich.metrics import agreement, content_type, grading_counts, quality_from_ratings
from enrich.wiki.pages import PageFile, read_page
from enrich.wiki.profile import load_profile

PROFILE = load_profile()
FOUR = {"novelty": 4.5, "rigor": 6.8, "actionability": 5.2, "completeness": 7.5}


def test_the_older_formula_gives_the_quality_of_its_time() -> None:
    assert quality_from_ratings(FOUR, prose_words=2375, citations=25) == 63  # 8·6.0 + 4.75 + 10


def test_the_mean_is_over_the_ratings_that_are_there() -> None:
    assert quality_from_ratings({"novelty": 6}, prose_words=0, citations=0) == 48
    assert quality_from_ratings({"focus": 6}, prose_words=0, citations=0) is None
    assert quality_from_ratings({"novelty": "high"}, prose_words=0, citations=0) is None


def test_the_seven_weigh_by_content_type_and_take_five_for_what_is_missing() -> None:
    def seven(ratings: dict[str, float], kind: str = "reference", words: int = 600, **more: str) -> int | None:
        return quality_from_ratings(ratings, prose_words=words, citations=2, formula="seven", content_type=kind, page_type=more.get("page"))

    everything = dict.fromkeys(("focus", "novelty", "rigor", "completeness", "concreteness", "actionability", "objectivity"), 5.0)
    assert seven(everything) == seven({"focus": 5.0}) == 42  # 40 + 1 + 0.7
    assert seven({"novelty": 10}, "analysis") == 49
    assert seven({"novelty": 10}, "explainer") == 45
    assert seven({"novelty": 10}, "no such type") == seven({"novelty": 10}, "reference")
    assert seven(everything, page="stub") == 35
    assert seven(everything, words=99) == 40
    assert seven(dict.fromkeys(everything, 10.0), words=6000) == 89


def test_agreement_names_how_far_quality_and_structure_are_apart() -> None:
    assert [agreement(50 + d, 50) for d in (20, 19, 10, 9, -9, -10, -20, -21)] == [
        "overrated",
        "slightly overrated",
        "slightly overrated",
        "agrees",
        "agrees",
        "slightly underrated",
        "slightly underrated",
        "underrated",
    ]


def test_the_grader_counts_prose_without_tables_code_and_components() -> None:
    body = (
        "import X\n"
        + 'words here | not these |\n```\nnor this\n```\n<A b="c"/> <R id="q">lost</R> end[^1] end[^1] end[^x]\n|--|--|\n![i](a.png)\n<Mermaid'
    )
    found = grading_counts(body, PROFILE)
    assert found.prose_words == 7
    assert (found.citations, found.tables, found.diagrams) == (2, 1, 2)


def test_the_content_type_is_named_or_told_by_the_path() -> None:
    assert content_type({"contentType": "explainer"}, "a/models/b.md", PROFILE) == "explainer"
    assert content_type({}, "a/models/b.md", PROFILE) == "analysis"
    assert content_type({}, "models/b.md", PROFILE) == "analysis"
    assert content_type({}, "a/b.md", PROFILE) == "reference"


@pytest.mark.sample
def test_all_pages_of_the_sample_give_the_graders_numbers(sample: Path) -> None:
    expected = json.loads((sample / "expected/grading-metrics.json").read_text())
    got = {}
    for path in expected:
        page = read_page(PageFile(path, path, sample / "content/docs" / path))
        found = grading_counts(page.body, PROFILE)
        kind = content_type(page.frontmatter, path, PROFILE)
        ratings = page.frontmatter.get("ratings")
        quality = None
        if ratings:
            quality = quality_from_ratings(
                ratings,
                prose_words=found.prose_words,
                citations=found.citations,
                formula="seven",
                content_type=kind,
                page_type=page.frontmatter.get("pageType"),
            )
        got[path] = {
            "contentType": kind,
            "wordCount": found.prose_words,
            "citations": found.citations,
            "tables": found.tables,
            "diagrams": found.diagrams,
            "qualityFromRatings": quality,
        }
    assert len(expected) == 184
    assert got == expected
