"""What a check of pages finds, and the findings as text, as JSON and as GitHub's workflow commands.

Messages quote pages, and pages are not trusted: control characters never reach a terminal, and nothing in a message can end a workflow
command or begin another one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from enrich.text import annotation, counted, printable

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


@dataclass(frozen=True, slots=True)
class PageFinding:
    """One result of checking a page or a data file.

    `page` is the page's id ("" for a data file), `file` the file as it was opened, `line` its line from 1, `body_line` the body line from 1
    (None in a data file; a rule about a whole page or its frontmatter reports line 1). `message` is one sentence; it may quote the page, so
    it must be escaped where it is printed.
    """

    page: str
    file: Path
    line: int
    rule: str
    severity: Severity
    message: str
    body_line: int | None = None


def in_order(findings: Iterable[PageFinding]) -> list[PageFinding]:
    """The findings by file (in the order in which the files first appear), then line; findings of one line keep their order."""
    collected = list(findings)
    rank = {file: place for place, file in enumerate(dict.fromkeys(finding.file for finding in collected))}
    return sorted(collected, key=lambda finding: (rank[finding.file], finding.line))


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found, in order of files and lines.

    `root` is the wiki's folder, `pages` how many pages were checked, `warnings` lines about the wiki as a whole (lost ids, missing roots).
    With `body_lines`, its texts count lines from the first body line.
    """

    root: Path
    pages: int
    findings: list[PageFinding]
    warnings: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    def rows(self, base: Path, body_lines: bool) -> list[dict[str, Any]]:
        """The findings in order, their paths from `base`."""
        return [
            {
                "page": one.page,
                "path": Path(os.path.relpath(one.file, base)).as_posix(),
                "line": one.body_line if body_lines and one.body_line is not None else one.line,
                "rule": one.rule,
                "severity": one.severity,
                "message": one.message,
            }
            for one in self.findings
        ]

    def as_text(self, body_lines: bool = False) -> str:
        """One line a finding: `path:line: severity rule: message` (paths from the current folder), and a last line that sums up."""
        lines = [printable("{path}:{line}: {severity} {rule}: {message}".format_map(row)) for row in self.rows(Path.cwd(), body_lines)]
        counts = {severity: self.count(severity) for severity in SEVERITIES}
        said = [f"{count} info" if severity == "info" else counted(count, severity) for severity, count in counts.items() if count]
        total = f"{counted(self.pages, 'page')} checked"
        return "\n".join([*lines, f"{total}: {', '.join(said)}" if said else f"{total}, nothing to report"])

    def as_json(self, body_lines: bool = False) -> dict[str, Any]:
        """The report as a JSON value: paths from the wiki's folder, findings in order, counts by severity."""
        counts = {severity: self.count(severity) for severity in SEVERITIES}
        return {"pages": self.pages, "counts": counts, "findings": self.rows(self.root, body_lines)}

    def as_github(self, body_lines: bool = False) -> str:
        """One workflow command a finding, so that GitHub shows it beside the line; paths from the repository's folder (the current one)."""
        here = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
        return "\n".join(
            annotation(_COMMANDS[row["severity"]], row["message"], file=row["path"], line=row["line"], title=row["rule"])
            for row in self.rows(here, body_lines)
        )
