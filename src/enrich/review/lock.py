"""`enrich.lock`: what we wrote on each page, from which question (DESIGN.md section 4.5).

JSON lines sorted by page and stage, committed with the wiki. A line says which fields of a stage stand on the page in our words (a hash of each
value), and which question they answer. From it the next run knows what is due and what a person changed.

Writing is safe against a crash at any moment: before pages are replaced, the lines they will have are *appended* as intents and flushed;
afterwards the file is rewritten without them. Where several lines stand for one (page, stage) - after a crash, or after a merge with
`merge=union` - the one that matches the page wins, and an intent that matches nothing is void.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from enrich.errors import UserError
from enrich.files import locked, write_text_atomically
from enrich.review.origin import Origin
from enrich.wiki.wiki import Wiki

REJECTED = "rejected"
# How the row of an intent begins.
_INTENT = '{"intent":true'
_CONFLICT_MARKS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")


@dataclass(frozen=True, slots=True)
class LockLine:
    """What the lock knows of one (page, stage).

    `fields` maps each field that stands on the page in our words to its value's hash. `rejected` names the fields for which a reviewer said no
    to this line's question. `older` holds the question of fields whose value comes from an earlier one than the line's.
    """

    page: str
    stage: str
    origin: Origin
    fields: Mapping[str, str]
    rejected: tuple[str, ...] = ()
    older: Mapping[str, Origin] = field(default_factory=dict)
    date: str = ""
    intent: bool = False

    def origin_of(self, name: str) -> Origin:
        return self.older.get(name, self.origin)

    def to_json(self) -> dict[str, Any]:
        # A rejected field without a value of ours says so in the place of its hash.
        fields = {**dict.fromkeys(self.rejected, REJECTED), **self.fields}
        # First in its row: of a row that was cut off it must still be known what it was.
        data: dict[str, Any] = {"intent": True} if self.intent else {}
        data |= {"page": self.page, "stage": self.stage, **self.origin.to_json(), "fields": dict(sorted(fields.items()))}
        if self.rejected:
            data["rejected"] = sorted(self.rejected)
        if self.older:
            data["older"] = {name: origin.to_json() for name, origin in sorted(self.older.items())}
        data["date"] = self.date
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LockLine:
        """Raises KeyError, TypeError, AttributeError or ValueError for anything but a lock line."""
        fields = {str(name): str(value) for name, value in data["fields"].items()}
        return cls(
            page=str(data["page"]),
            stage=str(data["stage"]),
            origin=Origin.from_json(data),
            fields={name: value for name, value in fields.items() if value != REJECTED},
            rejected=tuple(str(name) for name in data.get("rejected", [name for name, value in fields.items() if value == REJECTED])),
            older={str(name): Origin.from_json(origin) for name, origin in data.get("older", {}).items()},
            date=str(data.get("date", "")),
            intent=bool(data.get("intent", False)),
        )


Key = tuple[str, str]


class Lock:
    """The lines of one reading of the lock file."""

    def __init__(self, lines: Iterable[LockLine] = ()) -> None:
        self._lines: dict[Key, list[LockLine]] = {}
        for line in lines:
            self._lines.setdefault((line.page, line.stage), []).append(line)

    def __iter__(self) -> Iterator[LockLine]:
        for key in sorted(self._lines):
            yield from self._lines[key]

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self, page: str, stage: str) -> list[LockLine]:
        """All lines of (page, stage): none or one, but for crashes and merges."""
        return list(self._lines.get((page, stage), ()))

    def line(self, page: str, stage: str, standing_hash: Callable[[str], str], page_hash: str = "") -> LockLine | None:
        """The line of (page, stage) that matches the page best: its fields first, then the page's own text, then the later date.

        `standing_hash(field)` is the hash of what stands there now, `page_hash` the page's hash now.
        """
        lines = self._lines.get((page, stage))
        if not lines:
            return None
        if len(lines) == 1 and not lines[0].intent:
            return lines[0]

        def matches(line: LockLine) -> int:
            return sum(standing_hash(name) == value for name, value in line.fields.items())

        valid = [line for line in lines if not line.intent or matches(line)]

        def rank(line: LockLine) -> tuple[int, bool, str, bool]:
            return matches(line), line.origin.page_hash == page_hash, line.date, not line.intent

        # max() keeps the first of equals: later lines are preferred.
        return max(reversed(valid), key=rank, default=None)

    def pages_with_intents(self) -> list[str]:
        """The pages an interrupted apply left intents for."""
        return sorted({page for (page, _), lines in self._lines.items() if any(line.intent for line in lines)})

    def stages(self, page: str) -> list[str]:
        return [stage for (name, stage) in self._lines if name == page]

    def replace(self, page: str, stage: str, line: LockLine | None) -> None:
        """Make `line` the only one of its (page, stage); None removes all of them."""
        if line is None:
            self._lines.pop((page, stage), None)
        else:
            self._lines[page, stage] = [line]


class LockFile:
    """The file `enrich.lock` and its single-wiki rules. A file in the cache folder is locked while the lock is written."""

    def __init__(self, wiki: Wiki) -> None:
        self.path, self._mutex = wiki.config.lock, wiki.config.cache / "locks" / "wiki"

    def read(self) -> Lock:
        """The lines as they are. Raises `UserError` that names the line for anything that is no lock line."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Lock()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read ({error})", where=str(self.path), do="restore it from version control") from None
        lines = []
        rows = text.split("\n")
        for number, row in enumerate(rows, 1):
            if not row.strip() or row.startswith(_CONFLICT_MARKS):
                continue  # both sides of a merge stay: the line that matches the page wins
            try:
                lines.append(LockLine.from_json(json.loads(row)))
            except (ValueError, KeyError, TypeError, AttributeError):
                if number == len(rows) and (row.startswith(_INTENT) or _INTENT.startswith(row)):
                    continue  # intents that were cut off: their pages were never touched
                raise UserError("no lock line", where=f"{self.path}:{number}", do="restore enrich.lock from version control") from None
        return Lock(lines)

    def may_hold_intents(self) -> bool:
        """False where an interrupted apply surely left none; far cheaper than reading the lines. Raises nothing: `read` will."""
        try:
            return b'"intent"' in self.path.read_bytes()
        except OSError:
            return False

    def writing(self) -> AbstractContextManager[None]:
        """Hold the mutex: one process at a time changes pages and lock."""
        return locked(self._mutex)

    def append_intents(self, lines: Iterable[LockLine]) -> None:
        """Say, durably, what is about to be written. To be called within `writing`."""
        rows = [_row(replace(line, intent=True)) for line in lines]
        if not rows:
            return
        try:
            torn = self.path.exists() and self.path.stat().st_size > 0 and not self._ends_with_newline()
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(("\n" if torn else "") + "".join(rows))
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})",
                where=str(self.path),
                do="no page was touched; make room or make it writable, then apply again",
            ) from None

    def settle(self, changes: Mapping[Key, LockLine | None]) -> None:
        """Rewrite the file with `changes` in place of what stood for their (page, stage). To be called within `writing`."""
        if not changes:
            return
        lock = self.read()
        for (page, stage), line in changes.items():
            lock.replace(page, stage, line)
        self._write(lock)

    def _write(self, lock: Lock) -> None:
        write_text_atomically(self.path, "".join(_row(line) for line in lock))

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as handle:
            handle.seek(-1, os.SEEK_END)
            return handle.read(1) == b"\n"


def _row(line: LockLine) -> str:
    return json.dumps(line.to_json(), ensure_ascii=False, separators=(",", ":")) + "\n"
