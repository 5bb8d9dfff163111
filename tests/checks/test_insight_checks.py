"""Insights in both homes: complete, scored, carried by the page, said once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from enrich.checks.check import check_pages
from enrich.checks.findings import Finding
from enrich.wiki.pages import find_pages
from enrich.wiki.profile import load_profile

TODAY = date(2026, 3, 1)
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


def check(tmp_path: Path, *, on_page: str = "", in_data: str = "", chosen: str = "", others: dict[str, str] | None = None) -> list[Finding]:
    pages = {"towers/north-light.md": on_page, **(others or {})}
    for path, insights in pages.items():
        file = tmp_path / "content" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        head = f"insights:\n{insights}" if insights else ""
        file.write_text(f"---\ntitle: T\n{head}---\n{BODY}", encoding="utf-8")
    if in_data:
        (tmp_path / "data" / "insights").mkdir(parents=True)
        (tmp_path / "data" / "insights" / "claim.yaml").write_text(f"insights:\n{in_data}", encoding="utf-8")
    files, _ = find_pages(tmp_path / "content")
    wanted = [file for file in files if file.id == chosen] if chosen else None
    return check_pages(tmp_path, tmp_path / "data", files, load_profile(), TODAY, wanted).findings


def said(findings: list[Finding]) -> list[tuple[str, str, int]]:
    return [(finding.rule, finding.severity, finding.line) for finding in findings]


def test_sound_insights_in_both_homes_are_no_finding(tmp_path: Path) -> None:
    record = RECORD.replace("need a keeper every night", "smoke when their wick is long")
    assert check(tmp_path, on_page=GOOD, in_data=record) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("- type: claim\n  text", "- text", ("insight-fields", "error", "`type` is missing")),
        ("type: claim", "type: rumour", ("insight-fields", "error", "`type` “rumour” is none of claim, counterintuitive")),
        ('  text: "Oil lamps need a keeper every night."\n', "", ("insight-fields", "error", "`text` is missing")),
        ('  evidence: "burned oil and needed a keeper every night"\n', "", ("insight-fields", "error", "`evidence` is missing")),
        ("  important: 3.0\n", "", ("insight-fields", "error", "`important` is missing")),
        ("important: 3.0", "important: high", ("insight-scores", "error", "`important` should be a number from 1 to 5")),
        ("important: 3.0", "important: 5.5", ("insight-scores", "warning", "`important` should be from 1 to 5, and is 5.5")),
        ("burned oil and", "burned gas and", ("insight-evidence", "warning", "the evidence is not word for word on the page")),
        ("burned oil and needed", "was made of brass by", ("insight-evidence", "warning", "the evidence is not on the page")),
    ],
)
def test_what_is_wrong_with_an_insight_on_a_page(tmp_path: Path, old: str, new: str, expected: tuple[str, str, str]) -> None:
    (finding,) = check(tmp_path, on_page=GOOD.replace(old, new))
    assert (finding.rule, finding.severity) == expected[:2]
    assert finding.message.startswith(expected[2])
    assert finding.line == 4


def test_evidence_is_found_through_markup(tmp_path: Path) -> None:
    assert check(tmp_path, on_page=GOOD.replace("burned oil and needed a keeper", "lamp burned oil and needed a keeper")) == []


def test_equal_scores_say_nothing(tmp_path: Path) -> None:
    same = GOOD.replace("2.5", "3").replace("actionable: 4", "actionable: 3")
    (finding,) = check(tmp_path, on_page=same)
    assert (finding.rule, finding.severity, finding.message) == ("insight-scores", "warning", "all 3 scores are 3: they say nothing")


def test_a_sixth_insight_and_an_entry_that_is_none_are_reported_where_they_stand(tmp_path: Path) -> None:
    words = ["granite", "copper", "timber", "marble", "canvas"]
    many = "".join(GOOD.replace("Oil lamps need a keeper every night", f"{word} towers outlast each storm") for word in words)
    findings = check(tmp_path, on_page=many + "- just words\n")
    assert [(f.rule, f.line) for f in findings] == [("insight-fields", 34), ("insight-fields", 34)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("- id: lamp-1\n  insight", "- insight", [("insight-fields", "error", "`id` is missing")]),
        ("id: lamp-1", "id: lamp 1", [("insight-id", "error", "`id` “lamp 1” may hold")]),
        ("tags: [oil]", "tags: oil", [("insight-fields", "error", "`tags` should be a list, and is “oil”")]),
        ("  compact: 5\n", "", [("insight-scores", "error", "`compact` is missing")]),
        ("compact: 5", "compact: 0", [("insight-scores", "warning", "`compact` should be from 1 to 5")]),
        ("2026-02-01", "2025-11-30", [("insight-stale", "warning", "last verified 91 days ago")]),
        ("2026-02-01", "2025-12-01", []),
        ("2026-02-01", "spring", [("insight-stale", "warning", "`lastVerified` should be a date")]),
        ("  lastVerified: '2026-02-01'\n", "", [("insight-stale", "info", "never verified")]),
        ("/towers/north-light/", "/old/place/south-light", [("insight-source", "warning", "belongs to no page")]),
        ("/towers/north-light/", "/old/place/north-light", []),  # moved: known by its last part
        ("/towers/north-light/", "/nowhere/\n  page: north-light", []),
    ],
)
def test_what_is_wrong_with_an_insight_of_the_data_folder(tmp_path: Path, old: str, new: str, expected: list[tuple[str, str, str]]) -> None:
    findings = check(tmp_path, in_data=RECORD.replace(old, new))
    assert [(f.rule, f.severity) for f in findings] == [(rule, severity) for rule, severity, _ in expected]
    assert all(f.message.startswith(words) for f, (_, _, words) in zip(findings, expected, strict=True))
    assert all(f.file.name == "claim.yaml" and f.line == 2 for f in findings)


def test_an_address_is_known_by_its_last_part_where_only_one_page_answers_to_it(tmp_path: Path) -> None:
    moved = RECORD.replace("/towers/north-light/", "/old/coast/")
    one = {"places/coast/index.md": ""}
    assert check(tmp_path / "one", in_data=moved, others=one) == []
    assert said(check(tmp_path / "two", in_data=moved, others={**one, "maps/coast/index.md": ""})) == [("insight-source", "warning", 2)]


def test_an_id_stands_once(tmp_path: Path) -> None:
    second = RECORD.replace("Oil lamps need a keeper every night", "Gas lamps hiss in the wind")
    findings = check(tmp_path, in_data=RECORD + second)
    assert said(findings) == [("insight-id", "error", 13)]
    assert findings[0].message == "the id “lamp-1” belongs to claim.yaml:2"


def test_the_same_insight_twice_is_found_across_both_homes(tmp_path: Path) -> None:
    nearly = GOOD.replace("Oil lamps need a keeper every night.", "Old oil lamps do need a patient keeper every single windy night.")
    findings = check(tmp_path, on_page=GOOD, in_data=RECORD, others={"towers/south-light.md": nearly})
    assert [(f.rule, f.severity, f.page) for f in findings] == [("insight-duplicate", "error", "north-light")]
    assert "claim.yaml:2" in findings[0].message


def test_an_almost_equal_insight_is_a_warning(tmp_path: Path) -> None:
    text = "The keeper of the northern tower must trim every wick before the evening fog arrives from the sea"
    first = GOOD.replace("Oil lamps need a keeper every night.", text)
    second = GOOD.replace("Oil lamps need a keeper every night.", f"{text} again tonight")
    findings = check(tmp_path, on_page=first, others={"towers/south-light.md": second})
    assert [(f.rule, f.severity, f.page) for f in findings] == [("insight-duplicate", "warning", "south-light")]


def test_a_named_page_is_compared_with_the_whole_wiki_and_only_it_is_reported(tmp_path: Path) -> None:
    others = {"towers/south-light.md": GOOD, "towers/west-light.md": GOOD.replace("type: claim", "type: rumour")}
    findings = check(tmp_path, on_page=GOOD, others=others, chosen="north-light")
    assert {(f.rule, f.page) for f in findings} == {("insight-duplicate", "north-light")}
    assert len(findings) == 2


def test_a_named_page_is_compared_with_data_files_that_do_not_name_it(tmp_path: Path) -> None:
    other = RECORD.replace("north-light", "south-light").replace("lamp-1", "lamp-2")
    (tmp_path / "data" / "insights").mkdir(parents=True)
    (tmp_path / "data" / "insights" / "quantitative.yaml").write_text(f"insights:\n{other}", encoding="utf-8")
    (tmp_path / "data" / "insights" / "claim.yaml").write_text(f"insights:\n{RECORD}", encoding="utf-8")
    others = {"towers/south-light.md": ""}
    by_record = check(tmp_path, others=others, chosen="north-light")
    assert [(f.rule, f.file.name) for f in by_record] == [("insight-duplicate", "claim.yaml")]
    (tmp_path / "data" / "insights" / "claim.yaml").unlink()
    by_page = check(tmp_path, on_page=GOOD, others=others, chosen="north-light")
    assert [(f.rule, f.file.name) for f in by_page] == [("insight-duplicate", "north-light.md")]


def test_a_data_file_that_cannot_be_read_is_one_error_and_the_rest_is_checked(tmp_path: Path) -> None:
    (tmp_path / "data" / "insights").mkdir(parents=True)
    (tmp_path / "data" / "insights" / "broken.yaml").write_text("insights:\n- id: [\n", encoding="utf-8")
    (tmp_path / "data" / "insights" / "claim.yaml").write_text(f"insights:\n{RECORD.replace('[oil]', 'oil')}", encoding="utf-8")
    assert [(f.rule, f.file.name) for f in check(tmp_path)] == [("unreadable", "broken.yaml"), ("insight-fields", "claim.yaml")]
