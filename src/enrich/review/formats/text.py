"""Proposed changes as the lines of the files, like `git diff`."""

from __future__ import annotations

from collections.abc import Iterable

from enrich.review.diffs import PageDiff, unified
from enrich.review.lock import LockFile
from enrich.review.proposals import FieldChange
from enrich.text import escaped
from enrich.wiki.wiki import Wiki


def diff_text(wiki: Wiki, diffs: Iterable[PageDiff], *, coloured: bool) -> str:
    """The text form of `enrich diff`: per page the lines that change, then what a reviewer must know."""
    lock = wiki.shared(LockFile).read()
    lines: list[str] = []
    for diff in diffs:
        lines.append(_paint(f"{diff.proposal.page}  {diff.proposal.path}", "1", coloured))
        if diff.note:
            lines.append(f"  {diff.note}")
        lines += [_paint(escaped(line), _DIFF_COLOURS.get(line[:1], ""), coloured) for line in unified(wiki, lock, diff)]
        for change in diff.proposal.changes:
            lines += [_paint(line, "33", coloured) for line in _remarks(diff, change)]
        lines.append("")
    return "\n".join(lines) + ("\n" if lines else "")


_DIFF_COLOURS = {"+": "32", "-": "31", "@": "36"}


def _paint(text: str, colour: str, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured and colour else text


def _remarks(diff: PageDiff, change: FieldChange) -> list[str]:
    flags = diff.flags(change)
    lines = []
    state = "" if change.state == "pending" else f" [{change.state}]"
    if flags or state:
        lines.append(f"  ! {change.field}{state}{': ' if flags else ''}{', '.join(flags)}")
    lines += [escaped(f"    {finding.severity}: {finding.where}: {finding.message}") for finding in change.findings]
    if change.edited:
        lines.append(escaped(f"    {change.edited.how} by {change.edited.by}; proposed was: {change.asked_for!r}"))
    return lines
