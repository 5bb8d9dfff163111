"""What a check finds: one value for every kind of check, so that each format prints all of them alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at.

    `page` is the page's id ("" where a data file is at fault), `file` the file as it was opened, `line` counts its lines from 1,
    `body_line` body lines from 1 (None in a data file; a rule about a whole page or its frontmatter reports line 1). `message` is one
    sentence for a person; it may quote the page, so whoever prints it must escape it for the place.
    """

    page: str
    file: Path
    line: int
    rule: str
    severity: Severity
    message: str
    body_line: int | None = None


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The findings by file (in the order in which the files first appear), then line; findings of one line keep their order."""
    collected = list(findings)
    rank: dict[Path, int] = {}
    for finding in collected:
        rank.setdefault(finding.file, len(rank))
    return sorted(collected, key=lambda finding: (rank[finding.file], finding.line))
