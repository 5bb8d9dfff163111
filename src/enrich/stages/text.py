"""One line of plain text out of what a model wrote, and what was trimmed on the way."""

from __future__ import annotations

import re
import unicodedata

from enrich.grounding import Finding

# A tag, a component, a comment, a Markdown link or image, a script address: nothing of it belongs in a value that others will render.
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|<!--|\]\([^)]*\)|\b(?:javascript|vbscript|data):\S", re.IGNORECASE)
# Bidirectional controls reorder what a reader sees; zero-width characters hide text (Unicode TR 36).
_HIDDEN = {"Cf", "Cc", "Cs", "Co", "Cn"}


def plain_line(text: str) -> str:
    """`text` on one line: runs of white space as one blank, control, format and private characters dropped."""
    spaced = " ".join(text.split())
    if spaced.isascii() and spaced.isprintable():
        return spaced
    # Zero-width joiners hold emoji together; every other format character is dropped.
    kept = (char for char in spaced if char == "\u200d" or unicodedata.category(char) not in _HIDDEN)
    return " ".join("".join(kept).split())


def markup_findings(text: str, where: str) -> list[Finding]:
    """A hard finding for each piece of markup in a value: it could come alive where the value is shown."""
    return [
        Finding("markup", "hard", f"holds markup: {match.group()[:60]!r}", where, (match.start(), match.end()))
        for match in _MARKUP.finditer(text)
    ]


def blemish(message: str, where: str) -> Finding:
    """A soft finding: something was off by little and has been trimmed."""
    return Finding("blemish", "soft", message, where)
