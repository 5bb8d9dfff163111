"""The three formats of a check, and that nothing from a page takes over a terminal or a workflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enrich.checks.check import CheckReport
from enrich.checks.findings import Finding
from enrich.checks.report import as_github, as_json, as_text

ROOT = Path("/wiki")
HOSTILE = "100%\r\n::set-output name=x::y\x1b[31mred\x9b2J\u202eevil\u2028end\x00"


def report(*findings: Finding) -> CheckReport:
    return CheckReport(ROOT, 2, list(findings))


def finding(message: str = "m", *, name: str = "a.md", line: int = 7, body_line: int | None = 3, severity: str = "warning") -> Finding:
    return Finding("a", ROOT / "content" / name, line, "tone-markers", severity, message, body_line)  # type: ignore[arg-type]


def test_text_is_one_line_a_finding_and_a_summary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    inside = Finding("a", tmp_path / "content" / "a.md", 7, "tone-markers", "error", "say it plainly", 3)
    assert as_text(report(inside)).split("\n") == ["content/a.md:7: error tone-markers: say it plainly", "2 pages checked: 1 error"]
    assert as_text(report(inside), True).startswith("content/a.md:3: ")
    assert as_text(report()) == "2 pages checked, nothing to report"


def test_json_counts_and_lists() -> None:
    data = as_json(report(finding(), finding(severity="info")))
    assert data["counts"] == {"error": 0, "warning": 1, "info": 1}
    assert data["findings"][0] == {
        "page": "a",
        "path": "content/a.md",
        "line": 7,
        "rule": "tone-markers",
        "severity": "warning",
        "message": "m",
    }
    assert as_json(report(finding()), True)["findings"][0]["line"] == 3
    assert as_json(report(finding(body_line=None)), True)["findings"][0]["line"] == 7
    json.dumps(data)


def test_github_annotations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", "/wiki")
    assert as_github(report(finding("50% of: it, all", name="a, b:c.md"))) == (
        "::warning file=content/a%2C b%3Ac.md,line=7,title=tone-markers::50%25 of: it, all"
    )
    kinds = [line.split()[0] for line in as_github(report(*(finding(severity=s) for s in ("error", "warning", "info")))).split("\n")]
    assert kinds == ["::error", "::warning", "::notice"]


def test_a_hostile_page_cannot_end_a_workflow_command_or_move_the_cursor() -> None:
    hostile = finding(HOSTILE, name=f"x{HOSTILE}.md")
    for text in (as_github(report(hostile)), as_text(report(hostile)).split("\n")[0]):
        assert len(text.splitlines()) == 1
        assert not any(char in text for char in "\x1b\x9b\u202e\u2028\x00\r")
    assert as_github(report(hostile)).startswith("::warning ")
    assert as_github(report(hostile)).count("\n::") == 0
