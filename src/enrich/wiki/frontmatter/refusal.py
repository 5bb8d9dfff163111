"""Why an edit was not made."""

from __future__ import annotations

from enrich.errors import EnrichError


class EditRefused(EnrichError):  # noqa: N818 (a refusal is the outcome wished for, not a fault)
    """This page's frontmatter cannot be edited safely, so it is left alone.

    `reason` is one clear line; `line` is the line of the file it is about, counted from 1 (0: none in particular).
    """

    def __init__(self, reason: str, line: int = 0) -> None:
        self.reason, self.line = reason, line
        super().__init__(f"line {line}: {reason}" if line else reason)
