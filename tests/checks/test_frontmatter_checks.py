"""Frontmatter: values, closed lists, agreement and order, strict and lenient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checks.making import LENIENT, PAGE, check
from tests.demo import cases

CASES = cases(__file__)

Found = Callable[..., list[tuple[int, str, str]]]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """(line, severity, message) of each finding about a page with this frontmatter."""

    def judged(head: str, profile: str = "longterm-wiki") -> list[tuple[int, str, str]]:
        return [
            (one.line, one.severity, one.message) for one in check(tmp_path, {PAGE: f"---\n{head.strip()}\n---\nText.\n"}, profile=profile)
        ]

    return judged


@pytest.mark.parametrize(("line", "expected"), CASES["a_wrong_value_is_an_error_on_its_own_line"])
def test_a_wrong_value_is_an_error_on_its_own_line(found: Found, line: str, expected: str) -> None:
    ((number, severity, message),) = found(f"title: North Light\n{line}")
    assert (number, severity) == (3, "error")
    assert message.startswith(expected)


@pytest.mark.parametrize("line", CASES["a_right_value_is_no_finding"])
def test_a_right_value_is_no_finding(found: Found, line: str) -> None:
    assert found(f"title: North Light\n{line}") == []


def test_keys_that_contradict_each_other(found: Found) -> None:
    assert [said for _, _, said in found("title: T\nupdate_frequency: 7\nevergreen: false")] == [
        "`evergreen: false` says that the page is never updated, `update_frequency` says how often"
    ]
    assert [(line, kind) for line, kind, _ in found("title: T\ncontentFormat: table")] == [(3, "warning")]
    assert found("title: T\ncontentFormat: table\nevergreen: false") == []
    assert [kind for _, kind, _ in found("numericId: E1\ntitle: T\nentityType: risk")] == ["error"]


def test_a_subcategory_that_is_unusual_for_the_type_is_a_warning(found: Found) -> None:
    assert [(line, kind) for line, kind, _ in found("title: T\nentityType: risk\nsubcategory: labs")] == [(4, "warning")]
    assert found("title: T\nentityType: researcher\nsubcategory: forecasters") == []  # by its alias
    assert found("title: T\nentityType: event\nsubcategory: labs") == []  # a type without usual ones


def test_a_missing_title_counts_where_the_profile_requires_it(found: Found) -> None:
    assert found("title: ''") == [(2, "error", "`title` is missing")]
    assert found("quality: 4") == [(1, "error", "`title` is missing")]
    assert found("quality: 4", LENIENT) == []


def test_a_wiki_with_its_own_keys_is_not_drowned_by_the_default_profile(found: Found) -> None:
    own = "tags: [a]\ntitle: T\nentityType: lighthouse\nsubcategory: coast\nweight: 3\npageType: tower\ncontentFormat: poster\nnumericId: 7"
    assert {kind for _, kind, _ in found(own, LENIENT)} <= {"warning"}
    assert found(own.removesuffix("\nnumericId: 7"), LENIENT) == []


def test_the_first_pair_out_of_order_is_named(found: Found) -> None:
    assert found("title: T\nquality: 40\ndescription: D\nratings: {rigor: 4}\nllmSummary: S") == [
        (4, "warning", "`description` comes after `quality`; the order of keys puts it before")
    ]


def test_what_enrich_writes_is_in_order_and_unknown_keys_follow_by_name(found: Found) -> None:
    keys = ["title: T", "quality: 4", "llmSummary: S", "ratings: {}", "clusters: [a]", "apple: 1", "zebra: 2"]
    own = "checks: {key_order: warning}\n"
    assert found("\n".join(keys), own) == []
    for head in ("title: T\nratings: {}\nllmSummary: S", "title: T\nzebra: 2\napple: 1", "zebra: 2\ntitle: T"):
        assert [severity for _, severity, _ in found(head, own)] == ["warning"], head


def test_broken_frontmatter_is_one_error_with_its_line(found: Found, tmp_path: Path) -> None:
    assert [(line, kind) for line, kind, _ in found("title: T\nquality: [4")] == [(4, "error")]
    assert [(line, kind) for line, kind, _ in found("title: T\ntitle: U")] == [(3, "error")]
    (nothing,) = check(tmp_path, {PAGE: "Just text.\n"})
    assert (nothing.line, nothing.severity) == (1, "warning")


def test_a_small_profile_brings_its_own_lists(found: Found) -> None:
    profile = (
        "entity_types: [tower, keeper]\nentity_type_aliases: {beacon: tower}\nsubcategories: [inland, offshore]\n"
        "usual_subcategories: {tower: [offshore]}\n"
        "checks: {closed_lists: warning, unknown_keys: info, keys: [height], deprecated_keys: {flash: write rhythm}}\n"
    )
    assert found("entityType: beacon\nsubcategory: offshore\nheight: 40", profile) == []
    assert [(line, kind) for line, kind, _ in found("entityType: risk\nsubcategory: inland\nwidth: 4\nflash: 2", profile)] == [
        (2, "warning"),
        (4, "info"),
        (5, "error"),
    ]
    assert [said for _, _, said in found("entityType: beacon\nsubcategory: inland", profile)] == [
        "subcategory “inland” is unusual for a page of type “beacon” (usual: offshore)"
    ]
