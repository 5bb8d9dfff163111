"""What a person should know about a file, as a value: libraries return notices, the command line prints them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Notice:
    """`message` about `file` (relative to the wiki where it can be, "" for none) at `line` (from 1; 0 for none)."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message
