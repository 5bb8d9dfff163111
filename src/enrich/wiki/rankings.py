"""Ranked lists of pages, which people can edit (FIELDS.md section 13): their files, and the score of a place in a list.

```yaml
ranking:             # best first; ids without a page keep their place
  - superintelligence
  - alignment
placed: [alignment]  # pages whose place a person chose
```
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enrich.errors import UserError
from enrich.files import DATA_BYTES, Folders, read_bytes, write_text_atomically
from enrich.wiki import yaml12

_ITEM = re.compile(r"\s*- ?")
_PLACED = re.compile(r"^placed:.*\n?(?:[ \t-].*\n?)*", re.MULTILINE)
_PLAIN_ID = re.compile(r"(?!(?:true|false|null)$)[A-Za-z_][A-Za-z0-9_./-]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RankedList:
    """A list by its `name`, its file in the data folder, and the frontmatter key that takes the scores."""

    name: str
    file: str
    field: str

    @property
    def stage(self) -> str:
        """The name of its questions in lock and proposals, and of its prompt."""
        return f"{self.name}-importance"


LISTS = {
    "reader": RankedList("reader", "reader-importance-ranking.yaml", "readerImportance"),
    "research": RankedList("research", "research-ranking.yaml", "researchImportance"),
}


def score(place: int, count: int) -> float:
    """The score of a place (from 0) in a list of `count` pages: 95 for the first, 5 for the last, in half points; 50 in a list of one."""
    return 50.0 if count == 1 else math.floor((95 - 90 * place / (count - 1)) * 2 + 0.5) / 2


def moved(before: Sequence[str], now: Sequence[str]) -> set[str]:
    """The ids that were moved to get from one order to the other: as few as possible; ids of one list alone do not count."""
    places = {page: place for place, page in enumerate(before)}
    common = [page for page in now if page in places]
    # The longest run of ids whose order is unchanged: by place, the smallest last place of a run of each length.
    ends: list[int] = []
    lengths = []
    for page in common:
        length = bisect_left(ends, places[page])
        ends[length : length + 1] = [places[page]]
        lengths.append(length)
    kept: set[str] = set()
    wanted = len(ends) - 1
    for page, length in zip(reversed(common), reversed(lengths), strict=True):
        if length == wanted:
            kept.add(page)
            wanted -= 1
    return set(common) - kept


@dataclass(frozen=True, slots=True)
class RankingFile:
    """A list as its file has it; `lines` are the file lines of the ids. Repeated ids count once, at their first place."""

    path: Path
    text: str = ""
    ids: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    placed: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, within: Folders | None = None) -> RankingFile:
        """The list in a file; an empty one if there is no such file. Raises `UserError` for a file that is not a ranking."""
        try:
            text = read_bytes(path, within, DATA_BYTES).decode("utf-8").replace("\r\n", "\n")
        except FileNotFoundError:
            return cls(path)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise UserError(f"cannot be read ({reason})", where=str(path), do="restore the file") from None
        try:
            tree, lines = yaml12.load_marked(text.removeprefix("\ufeff"), "ranking")
        except yaml12.YamlError as error:
            raise UserError(error.reason, where=f"{path}:{error.line}", do="fix that line") from None
        ranking: Any = tree.get("ranking") if isinstance(tree, dict) else None
        placed: Any = (tree.get("placed") or []) if isinstance(tree, dict) else []
        if not _are_ids(ranking) or not _are_ids(placed):
            raise UserError("`ranking` (and `placed`) must be a list of page ids", where=str(path), do="write one id a line")
        first: dict[str, int] = {}
        for page, line in zip(ranking, lines, strict=True):
            first.setdefault(str(page), line)
        return cls(path, text, tuple(first), tuple(first.values()), frozenset(map(str, placed)))

    def write(self, order: Sequence[str], placed: Collection[str], within: Folders | None = None) -> bool:
        """Write the file with this order; comments stay with the id below them. Returns whether it changed."""
        text = self._reordered(order, placed)
        if text == self.text:
            return False
        write_text_atomically(self.path, text, within=within)
        return True

    def _reordered(self, order: Sequence[str], placed: Collection[str]) -> str:
        rows = self.text.split("\n") if self.text else []
        wanted = sorted(page for page in placed if page in set(order))
        ending = f"placed: [{', '.join(map(_written, wanted))}]\n" if wanted else ""
        if self.lines and all(_ITEM.match(rows[line - 1]) for line in self.lines):
            first = self.lines[0] - 1
            while rows[first - 1].lstrip().startswith("#"):
                first -= 1
            starts = [first, *self.lines[:-1]]
            blocks = {page: rows[start:line] for page, start, line in zip(self.ids, starts, self.lines, strict=True)}
            dash = _ITEM.match(rows[self.lines[0] - 1])
            assert dash is not None
            body = [row for page in order for row in blocks.get(page, [f"{dash[0]}{_written(page)}"])]
            tail = _PLACED.sub("", "\n".join(rows[self.lines[-1] :])).strip("\n")
            head = rows[:first]
            text = _PLACED.sub("", "\n".join(head)) + "\n" * bool(head) + "\n".join(body) + "\n" + (f"{tail}\n" if tail else "") + ending
            try:
                tree = yaml12.load(text)
            except yaml12.YamlError:
                tree = None
            if isinstance(tree, dict) and list(map(str, tree.get("ranking") or ())) == list(order):
                return text
        # Not a plain list with one id a line: written again, with the comments above it.
        above = [row for row in rows[: self.lines[0] - 1 if self.lines else None] if row.startswith("#")]
        head = above or ["# The most important page first. Scores follow from the places; move a line to change one."]
        return "\n".join([*head, "ranking:", *(f"  - {_written(page)}" for page in order)]) + "\n" + ending


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and not any(isinstance(item, list | dict) or item in (None, "") for item in value)


def _written(page: str) -> str:
    return page if _PLAIN_ID.fullmatch(page) else json.dumps(page, ensure_ascii=False)
