"""The lines of a page's body as the writing rules see them: which are code, imports or comments, and where a match stands.

All rules skip fenced code, imports and comments; each may skip more (FIELDS.md section 12, "Step-1 rules").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

# JS white space (FIELDS.md, Conventions) without the line feed: no phrase runs over the end of a line.
BLANK = "[\\t\\v\\f\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]"
JS_SPACE = "\t\n\v\f\r \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"

FOOTNOTE_DEFINITION = re.compile(r"\[\^[^\]]+\]:")

# The longest part of one line that is read. Prose has no such lines; expressions that look for two words in one line take quadratic time.
LONGEST_LINE = 20_000


def expression(pattern: str, *, any_case: bool = True) -> re.Pattern[str]:
    """A compiled expression of `wording`: spaces are runs of blanks, nothing runs over the end of a line, ASCII rules."""
    flags = re.ASCII | re.MULTILINE | (re.IGNORECASE if any_case else 0)
    return re.compile(re.sub(r" ([?*]?)", lambda space: BLANK + ("*" if space[1] else "+"), pattern), flags)


@dataclass(frozen=True)
class BodyLines:
    """A body cut into lines, with the lines that no rule reads already known."""

    body: str

    @cached_property
    def lines(self) -> list[str]:
        return [line[:LONGEST_LINE] for line in self.body.split("\n")]

    @cached_property
    def trimmed(self) -> list[str]:
        return [line.strip(JS_SPACE) for line in self.lines]

    @cached_property
    def outside_code(self) -> list[bool]:
        """Whether a line stands outside fenced code (fence lines count as code)."""
        outside: list[bool] = []
        in_code = False
        for line in self.trimmed:
            if line.startswith("```"):
                in_code = not in_code
                outside.append(False)
            else:
                outside.append(not in_code)
        return outside

    @cached_property
    def read(self) -> list[bool]:
        """Whether a line is read by the rules at all."""
        return [outside and not line.startswith(("import ", "<!--")) for outside, line in zip(self.outside_code, self.trimmed, strict=True)]

    def kept(self, skip: Callable[[str], bool]) -> list[bool]:
        """Whether a line is read by a rule that also leaves out the lines for which `skip` (given the trimmed line) holds."""
        return [read and not skip(line) for line, read in zip(self.trimmed, self.read, strict=True)]
