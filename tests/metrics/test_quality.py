"""Quality from ratings by both formulas, suggested quality, and the grader's own counts.

These functions define fields of records; their exact values are tested here, one rule at a time.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enrich.metrics.quality import content_type, grading_counts, quality_from_ratings, suggested_quality
from enrich.wiki.pages import PageFile, read_page
from enrich.wiki.profile import load_profile

PROFILE = load_profile()
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
