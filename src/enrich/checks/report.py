"""A check's findings as text, as JSON and as GitHub's workflow commands.

Messages quote pages, and pages are not trusted: control characters never reach a terminal, and nothing in a message can end a workflow
command or begin another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enrich.checks.check import CheckReport
from enrich.checks.findings import SEVERITIES, Finding
from enrich.text import annotation, printable

Format = Callable[[CheckReport, bool], str]
"""A report and whether lines are counted from the first body line, as one text without a final newline."""


def as_text(report: CheckReport, body_lines: bool = False) -> str:
    """One line a finding: `path:line: severity rule: message` (paths from the current folder), and a last line that sums up."""
    here = Path.cwd()
    lines = [
        f"{printable(_path(finding.file, here))}:{_line(finding, body_lines)}:"
        f" {finding.severity} {finding.rule}: {printable(finding.message)}"
        for finding in report.findings
    ]
    return "\n".join([*lines, summary(report)])


def summary(report: CheckReport) -> str:
    """What was found in one line."""
    pages = f"{report.pages} page{'s' * (report.pages != 1)}"
    if not report.findings:
        return f"{pages} checked, nothing to report"
    counts = [(report.count(severity), severity if severity == "info" else f"{severity}{{s}}") for severity in SEVERITIES]
    said = ", ".join(f"{n} {word.format(s='s' * (n != 1))}" for n, word in counts if n)
    return f"{pages} checked: {said}"


def as_json(report: CheckReport, body_lines: bool = False) -> dict[str, Any]:
    """The report as a JSON value: paths from the wiki's folder, findings in order, counts by severity."""
    return {
        "pages": report.pages,
        "counts": {severity: report.count(severity) for severity in SEVERITIES},
        "findings": [
            {
                "page": finding.page,
                "path": _path(finding.file, report.root),
                "line": _line(finding, body_lines),
                "rule": finding.rule,
                "severity": finding.severity,
                "message": finding.message,
            }
            for finding in report.findings
        ],
    }


_COMMAND = {"error": "error", "warning": "warning", "info": "notice"}


def as_github(report: CheckReport, body_lines: bool = False) -> str:
    """One workflow command per finding, which GitHub shows beside the line. Paths are relative to the repository, else the current folder."""
    here = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    return "\n".join(
        annotation(
            _COMMAND[finding.severity],
            finding.message,
            file=_path(finding.file, here),
            line=_line(finding, body_lines),
            title=finding.rule,
        )
        for finding in report.findings
    )


def _line(finding: Finding, body_lines: bool) -> int:
    return finding.body_line if body_lines and finding.body_line is not None else finding.line


def _path(file: Path, base: Path) -> str:
    try:
        return file.relative_to(base).as_posix()
    except ValueError:
        return Path(os.path.relpath(file, base)).as_posix()
