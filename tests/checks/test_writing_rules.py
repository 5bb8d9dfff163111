"""The nine writing rules: what each one finds, what it leaves alone, and on which line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.checks.making import LENIENT, PAGE, check

PERSON = "people/ada-finch.md"
MODEL = "knowledge-base/models/fog.md"
SENTENCES = yaml.safe_load(Path(__file__).with_name("sentences.yaml").read_text(encoding="utf-8"))


Found = Callable[..., list[tuple[str, int]]]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """(rule, body line) of each finding of the writing rules on one page."""

    def judged(text: str, path: str = PAGE, profile: str = LENIENT) -> list[tuple[str, int]]:
        (tmp_path / "wiki").mkdir(exist_ok=True)
        shutil.rmtree(tmp_path / "wiki" / "content", ignore_errors=True)
        findings = check(tmp_path / "wiki", {path: text}, "--body-lines", profile=profile)
        return [(one.rule, one.line) for one in findings if one.rule != "unreadable"]

    return judged


@pytest.mark.parametrize(("rule", "sentence"), [(rule, one) for rule, several in SENTENCES["broken"].items() for one in several])
def test_each_phrase_is_found_once_on_its_line(found: Found, rule: str, sentence: str) -> None:
    hits = [hit for hit in found(f"---\ntitle: T\n---\nFirst line.\n\n{sentence}\n") if hit[0] == rule]
    assert hits == [(rule, 3)]


@pytest.mark.parametrize("sentence", SENTENCES["fine"])
def test_what_only_looks_like_a_phrase_is_left_alone(found: Found, sentence: str) -> None:
    assert found(f"{sentence}\n") == []


def test_matches_of_one_phrase_do_not_overlap(found: Found) -> None:
    assert found("It was not just bright, not just cheap, but also light.\n") == [("tone-markers", 1)]


def test_code_is_not_read_and_lines_after_it_keep_their_numbers(found: Found) -> None:
    text = "```text\nactually\n~~~\nactually\n```\nIt actually rained.\n   ```\nactually\n"
    assert found(text) == [("tone-markers", 6)]


def test_lines_count_from_the_file_or_from_the_body(found: Found, tmp_path: Path) -> None:
    text = "---\ntitle: North Light\nquality: 40\n---\n\nIt actually rained.\n"
    for one in (text, text.replace("\n", "\r\n")):
        assert found(one) == [("tone-markers", 2)]
        assert [finding.line for finding in check(tmp_path, {PAGE: one})] == [6]


def test_a_diagram_is_not_judged_up_to_its_end(found: Found) -> None:
    body = "<Mermaid chart={`\nA utter failure\n`} />\nAn utter failure.\n"
    assert found(body) == [("evaluative-framing", 4)]


def test_a_paragraph_of_more_than_200_words_is_reported_at_its_first_line(found: Found) -> None:
    half = " ".join(["lamp"] * 100)
    assert found(f"Intro.\n\n{half}\n{half}\n") == []
    assert found(f"Intro.\n\n{half}\n{half} end\n\nNext.\n") == [("structural-quality", 3)]
    assert found(f"- {half} {half} {half}\n") == []  # a list item is no paragraph


def test_an_analysis_needs_a_section_on_its_uncertainties(found: Found, tmp_path: Path) -> None:
    assert found("## Method\n\nWe count lamps.\n", MODEL) == [("structural-quality", 1)]
    assert found("## Method\n\n### Why this might be wrong\n\nWe count lamps.\n", MODEL) == []
    assert found("#### Limitations\n", MODEL) == [("structural-quality", 1)]  # too deep to be a section
    assert found("---\ntitle: T\ncontentType: analysis\n---\n## Method\n") == [("structural-quality", 1)]
    assert [one.severity for one in check(tmp_path, {MODEL: "## Method\n"})] == ["warning", "info"]


@pytest.mark.parametrize("claim", SENTENCES["claims"])
def test_a_claim_about_a_life_needs_a_source_beside_it(found: Found, claim: str) -> None:
    rule = "unsourced-biographical-claims"
    assert found(claim + "\n", PERSON) == [(rule, 1)]
    assert found(claim + "\n") == []
    assert found(f"{claim} [^1]\n", PERSON) == []
    assert found(f"{claim} [log](https://example.org)\n", PERSON) == []
    assert found(f'{claim} <R id="ab12" />\n', PERSON) == []
    assert found(f"## {claim}\n", PERSON) == []


def test_years_in_a_table_need_a_source_column(found: Found) -> None:
    plain = "| When | What |\n|---|---|\n| 1901–1910 | Keeper |\n| 1911 - present | Inspector |\n"
    assert [line for _, line in found(plain, PERSON)] == [3, 4]
    assert found(plain.replace("What", "Source"), PERSON) == []
    # A line without a bar ends the table, and with it the column of sources.
    assert [line for _, line in found(plain.replace("What", "Source") + "\n" + plain, PERSON)] == [8, 9]


def test_praise_is_judged_on_pages_about_people_only(found: Found) -> None:
    text = "A renowned engineer, widely respected, one of the best.\n"
    assert found(text, PERSON) == [("evaluative-flattery", 1)] * 3
    assert found(text) == []


def test_long_prose_without_a_numbered_footnote_is_reported_once(found: Found) -> None:
    prose = "\n\n".join(["lamps burn oil at night"] * 60) + "\n"
    path = "knowledge-base/lamps.md"
    assert found(prose, path) == [("footnote-coverage", 1)]
    assert found(prose.removesuffix("night\n") + "\n", path) == []  # 299 words
    assert found(prose + "\nSaid so.[^1]\n", path) == []
    assert found(prose + "\nSaid so.[^log]\n", path) == [("footnote-coverage", 1)]
    assert found(prose, "knowledge-base/index.md") == []
    assert found(prose, "towers/lamps.md") == []
    assert found(f"---\npageType: stub\n---\n{prose}", path) == []
    assert found(f"---\nentityType: internal\n---\n{prose}", path) == []
    table = "\n".join(["| lamps burn oil at night |"] * 60)
    assert found(table, path) == []


def test_a_profile_chooses_rules_and_the_pages_they_concern(found: Found) -> None:
    text = "She actually joined the service in 1901.\n"
    scope = "checks:\n  biography_paths: [/crew/]\n  rules_off: [tone-markers]\n"
    assert found(text, "crew/finch.md", scope) == [("unsourced-biographical-claims", 1)]
    assert found(text, PERSON, scope) == []


def test_a_hostile_line_of_a_megabyte_is_read_in_part_only(found: Found) -> None:
    # Without a bound the expressions that look for two words in one line take quadratic time: this test would not end.
    text = "- " + "founded and joined " * 50_000 + "\nIt actually rained.\n"
    assert found(text, PERSON) == [("tone-markers", 2)]
