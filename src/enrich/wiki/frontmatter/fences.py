"""Where a page's frontmatter begins and ends: the project's one definition of the fences (DESIGN.md section 5.1).

The opening fence is `---` on the first line, the closing fence the next line that is exactly `---`; trailing blanks are allowed on both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BOM = "\ufeff"
_OPEN = re.compile(r"---[ \t]*(?:\r\n|\n|\r)")
_CLOSE = re.compile(r"(?<=[\r\n])---[ \t]*(?:\r\n|\n|\r|\Z)")
LINE_BREAK = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Fences:
    """Offsets into a page's text: `head` and `end` bound the YAML between the fences, `body` is where the body begins."""

    head: int
    end: int
    body: int


def find_fences(text: str, start: int = 0) -> Fences | None:
    """The fences of a page whose first line begins at `start` (1 after a byte-order mark), or None where there is no frontmatter.

    Lines may end in LF, CRLF or CR, also mixed.
    """
    opening = _OPEN.match(text, start)
    if opening is None:
        return None
    closing = _CLOSE.search(text, opening.end())
    if closing is None:
        return None
    return Fences(opening.end(), closing.start(), closing.end())
