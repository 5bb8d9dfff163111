"""Insights in both places: complete, scored, supported by the page, said once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.checks.making import PAGE, Finding, check
from tests.demo import cases

CASES = cases(__file__)

SOUTH = "towers/south-light.md"
DATA = "insights/claim.yaml"
GOOD = """- type: claim
  text: "Oil lamps need a keeper every night."
  surprising: 2.5
  important: 3.0
  actionable: 4
  evidence: "burned oil and needed a keeper every night"
"""
RECORD = """- id: lamp-1
  insight: Oil lamps need a keeper every night.
  source: /towers/north-light/
  tags: [oil]
  type: claim
  surprising: 2
  important: 3
  actionable: 4
  neglected: 1
  compact: 5
  lastVerified: '2026-02-01'
"""
BODY = "The first lamp burned **oil** and needed a [keeper](/keepers/) every night.\n"


def ago(days: int) -> str:
    return (datetime.now(UTC).date() - timedelta(days=days)).isoformat()


def judged(
    root: Path, *names: str, on_page: str = "", in_data: str = "", others: dict[str, str] | None = None, data: dict[str, str] | None = None
) -> list[Finding]:
    """The findings about a page with these insights, other pages with theirs, and data files with these records."""
    root.mkdir(exist_ok=True)
    pages = {
        path: f"---\ntitle: T\n{'insights:' if insights else ''}\n{insights}---\n{BODY}"
        for path, insights in {PAGE: on_page, **(others or {})}.items()
    }
    records = {DATA: in_data} if in_data else data or {}
    return check(root, pages, *names, data={path: "insights:\n" + text.replace("2026-02-01", ago(28)) for path, text in records.items()})


def said(findings: list[Finding]) -> list[tuple[str, str, int]]:
    return [(finding.rule, finding.severity, finding.line) for finding in findings]


def test_sound_insights_in_both_homes_are_no_finding(tmp_path: Path) -> None:
    record = RECORD.replace("need a keeper every night", "smoke when their wick is long")
    assert judged(tmp_path, on_page=GOOD, in_data=record) == []


@pytest.mark.parametrize(("old", "new", "expected"), CASES["what_is_wrong_with_an_insight_on_a_page"])
def test_what_is_wrong_with_an_insight_on_a_page(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    (finding,) = judged(tmp_path, on_page=GOOD.replace(old, new))
    assert (finding.rule, finding.severity) == tuple(expected[:2])
    assert finding.message.startswith(expected[2])
    assert finding.line == 4


def test_equal_scores_say_nothing(tmp_path: Path) -> None:
    same = GOOD.replace("2.5", "3").replace("actionable: 4", "actionable: 3")
    (finding,) = judged(tmp_path, on_page=same)
    assert (finding.rule, finding.severity, finding.message) == ("insight-scores", "warning", "all 3 scores are 3: they say nothing")


def test_a_sixth_insight_and_an_entry_that_is_none_are_reported_where_they_stand(tmp_path: Path) -> None:
    words = ["granite", "copper", "timber", "marble", "canvas"]
    many = "".join(GOOD.replace("Oil lamps need a keeper every night", f"{word} towers outlast each storm") for word in words)
    findings = judged(tmp_path, on_page=many + "- just words\n")
    assert [(f.rule, f.line) for f in findings] == [("insight-fields", 34), ("insight-fields", 34)]


@pytest.mark.parametrize(("old", "new", "expected"), CASES["what_is_wrong_with_an_insight_of_the_data_folder"])
def test_what_is_wrong_with_an_insight_of_the_data_folder(tmp_path: Path, old: str, new: str, expected: list[list[str]]) -> None:
    findings = judged(tmp_path, in_data=RECORD.replace(old, ago(int(new)) if new.isdigit() else new))
    assert [(f.rule, f.severity) for f in findings] == [(rule, severity) for rule, severity, _ in expected]
    assert all(f.message.startswith(words) for f, (_, _, words) in zip(findings, expected, strict=True))
    assert all(f.path.endswith("claim.yaml") and f.line == 2 for f in findings)


def test_an_address_is_known_by_its_last_part_where_only_one_page_answers_to_it(tmp_path: Path) -> None:
    moved = RECORD.replace("/towers/north-light/", "/old/coast/")
    one = {"places/coast/index.md": ""}
    assert judged(tmp_path / "one", in_data=moved, others=one) == []
    assert said(judged(tmp_path / "two", in_data=moved, others={**one, "maps/coast/index.md": ""})) == [("insight-source", "warning", 2)]


def test_an_id_stands_once(tmp_path: Path) -> None:
    second = RECORD.replace("Oil lamps need a keeper every night", "Gas lamps hiss in the wind")
    findings = judged(tmp_path, in_data=RECORD + second)
    assert said(findings) == [("insight-id", "error", 13)]
    assert findings[0].message == "the id “lamp-1” is taken by claim.yaml:2"


def test_the_same_insight_twice_is_found_across_both_homes(tmp_path: Path) -> None:
    nearly = GOOD.replace("Oil lamps need a keeper every night.", "Old oil lamps do need a patient keeper every single windy night.")
    findings = judged(tmp_path, on_page=GOOD, in_data=RECORD, others={SOUTH: nearly})
    assert [(f.rule, f.severity, f.page) for f in findings] == [("insight-duplicate", "error", "north-light")]
    assert "claim.yaml:2" in findings[0].message


def test_an_almost_equal_insight_is_a_warning(tmp_path: Path) -> None:
    text = "The keeper of the northern tower must trim every wick before the evening fog arrives from the sea"
    first = GOOD.replace("Oil lamps need a keeper every night.", text)
    second = GOOD.replace("Oil lamps need a keeper every night.", f"{text} again tonight")
    findings = judged(tmp_path, on_page=first, others={SOUTH: second})
    assert [(f.rule, f.severity, f.page) for f in findings] == [("insight-duplicate", "warning", "south-light")]


def test_a_named_page_is_compared_with_the_whole_wiki_and_only_it_is_reported(tmp_path: Path) -> None:
    others = {SOUTH: GOOD, "towers/west-light.md": GOOD.replace("type: claim", "type: rumour")}
    findings = judged(tmp_path, "north-light", on_page=GOOD, others=others)
    assert {(f.rule, f.page) for f in findings} == {("insight-duplicate", "north-light")}
    assert len(findings) == 1, "a group of duplicates is listed once"
    assert "south-light.md:4), west-light (" in findings[0].message or "towers/south-light" in findings[0].message
    everything = [one for one in judged(tmp_path, on_page=GOOD, others=others) if one.rule == "insight-duplicate"]
    assert len(everything) == 1


def test_a_data_file_that_cannot_be_read_is_one_error_and_the_rest_is_checked(tmp_path: Path) -> None:
    found = judged(tmp_path, data={"insights/broken.yaml": "- id: [\n", DATA: RECORD.replace("[oil]", "oil")})
    assert [(f.rule, f.path) for f in found] == [
        ("unreadable", "data/insights/broken.yaml"),
        ("insight-fields", "data/insights/claim.yaml"),
    ]
