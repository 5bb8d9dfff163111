"""The reference wiki's own warnings, all of them: rule, line from the first body line, severity."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from enrich.checks.check import check_pages
from enrich.checks.report import as_json
from enrich.wiki.pages import find_pages
from enrich.wiki.profile import load_profile

pytestmark = pytest.mark.sample

ROOTS = ["knowledge-base", "insight-hunting", "project", "tools"]


def test_all_warnings_equal_the_reference(sample: Path) -> None:
    expected = json.loads((sample / "expected" / "rule-warnings.json").read_text(encoding="utf-8"))
    files, _ = find_pages(sample / "content" / "docs", ROOTS)
    report = check_pages(sample, sample / "no-data", files, load_profile("reference"), date(2026, 3, 13))
    found: dict[str, Counter[tuple[str, int, str]]] = {path: Counter() for path in expected}
    for finding in as_json(report, body_lines=True)["findings"]:
        found[finding["path"].removeprefix("content/docs/")][finding["rule"], finding["line"], finding["severity"]] += 1
    wanted = {path: Counter((w["rule"], w["line"], w["severity"]) for w in warnings) for path, warnings in expected.items()}
    assert {path: (found[path] - wanted[path], wanted[path] - found[path]) for path in wanted if found[path] != wanted[path]} == {}
    assert sum(map(len, expected.values())) == 833


def test_the_insights_of_the_reference_are_sound(sample: Path) -> None:
    files, _ = find_pages(sample / "content" / "docs", ROOTS)
    report = check_pages(sample, sample / "data", files, load_profile("reference"), date(2026, 3, 13))
    insights = Counter((finding.rule, finding.severity) for finding in report.findings if finding.rule.startswith("insight-"))
    assert insights == {("insight-stale", "info"): 43}
