"""The rows of a wiki's lock by page, read when a page is looked at: the lock of a million pages has a gigabyte.

The lock is one file, `enrich.lock`, until that is too large for git hosts; then its rows are in the files of `enrich.lock.d`, by a checksum of the
page's id, and `enrich.lock` holds only what is being written. Rows are read from all of these files, wherever a page's rows are.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from weakref import finalize
from zlib import crc32

from pydantic import TypeAdapter

from enrich.errors import UserError
from enrich.files import LOCK_BYTES, Folders, open_file

Parsed = TypeVar("Parsed")
PARTS = 16
# GitHub refuses files of more than 100 MB.
LARGEST_WHOLE = 50_000_000
# How the row of an intent begins.
INTENT = b'{"intent":true'
_CONFLICT_MARKS = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")
_PAGE, _STAGE = b'{"page":"', b'","stage":"'


def part_of(page: str) -> str:
    """The file name of the part that holds a page's rows, where the lock has parts."""
    return f"{crc32(page.encode('utf-8', 'surrogatepass')) % PARTS:x}.jsonl"


def parsed_rows(
    path: Path, parse: Callable[[bytes], Parsed], within: Folders, *, most: int = LOCK_BYTES, what: str, do: str
) -> Iterator[Parsed]:
    """The rows of a committed JSON-lines file of ours, each read by `parse`, one at a time: that of a large wiki has a gigabyte.

    Blank rows and the marks of a merge are left out, and both sides of the merge stay. A file that is not there has no rows. Raises `UserError` if it
    cannot be read or has more than `most` bytes, and (`what`, `do`) with the line of a row that `parse` refuses.
    """
    try:
        with os.fdopen(open_file(path, os.O_RDONLY, within, own=False), "rb") as handle:
            if os.fstat(handle.fileno()).st_size > most:
                raise OSError(errno.EOVERFLOW, f"larger than {most // 1_000_000} MB", str(path))
            for number, row in enumerate(iter(lambda: handle.readline(most), b""), 1):
                if row.strip() and not row.startswith(_CONFLICT_MARKS):
                    try:
                        yield parse(row)
                    except (ValueError, RecursionError):  # pydantic's errors are among them
                        raise UserError(what, where=f"{path}:{number}", do=do) from None
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(path), do="restore it from version control") from None


def json_row(shape: TypeAdapter[Any], entry: Any) -> str:
    """The row of an entry."""
    return json.dumps(shape.dump_python(entry), ensure_ascii=False, separators=(",", ":")) + "\n"


class LockRows:
    """The places of each page's rows in the files, which stay open. `known`: the wiki's pages by id. `largest`: more bytes are no lock.
    `interrupted`: the pages with an intent.

    Raises `UserError` that names the line for a row that does not name its page, and `OSError`.
    """

    def __init__(
        self, files: Iterable[Path], shape: TypeAdapter[Any], known: Mapping[str, Any], largest: int, within: Folders | None = None
    ) -> None:
        self._shape, self._known = shape, known
        self._files: list[tuple[Path, int]] = []
        # (number of the file, start, end) of each run of a page's rows, one after the other
        self._places: dict[str, tuple[int, ...]] = {}
        self._loose: set[str] = set()
        self.interrupted: set[str] = set()
        for file in files:
            handle = open_file(file, os.O_RDONLY, within, own=False)
            finalize(self, os.close, handle)
            if os.fstat(handle).st_size > largest:
                raise OSError(errno.EOVERFLOW, f"larger than {largest // 1_000_000} MB", str(file))
            self._files.append((file, handle))
            self._scan(len(self._files) - 1, handle, largest)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def of(self, page: str) -> list[Any]:
        """The entries of a page in the order of their rows. Raises `UserError` that names the line for one that is damaged."""
        found = []
        for number, start, end in self._runs(page):
            for row in self._read(number, start, end).split(b"\n"):
                if row:
                    found.append(self._parsed(row, number, start))
                start += len(row) + 1
        return found

    def raw(self, page: str) -> bytes | None:
        """The rows of a page as they are in the file; None if they are not as they would be written."""
        if page in self._loose:
            return None
        ((number, start, end),) = self._runs(page)
        return self._read(number, start, end)

    def files_of(self, page: str) -> set[Path]:
        """The files that hold rows of a page."""
        return {self._files[number][0] for number, _, _ in self._runs(page)}

    def _runs(self, page: str) -> Iterator[tuple[int, int, int]]:
        places = self._places.get(page, ())
        for at in range(0, len(places), 3):
            yield places[at], places[at + 1], places[at + 2]

    def _read(self, number: int, start: int, end: int) -> bytes:
        return os.pread(self._files[number][1], end - start, start)

    def _scan(self, number: int, handle: int, largest: int) -> None:
        page, head, start, at, last = "", b"", 0, 0, b""
        with os.fdopen(handle, "rb", closefd=False) as stream:
            while row := stream.readline(largest):
                if head and row.startswith(head) and row.endswith(b"}\n"):
                    if row <= last:
                        self._loose.add(page)
                else:
                    self._add(page, number, start, at)
                    start = at
                    page, head = self._page_of(row, number, at)
                last = row
                at += len(row)
        self._add(page, number, start, at)

    def _page_of(self, row: bytes, number: int, at: int) -> tuple[str, bytes]:
        """(the page that a row is about, how the next row begins if it is about it too); "" for a row that is about none."""
        end = row.find(_STAGE, len(_PAGE))
        if row.startswith(_PAGE) and end > 0 and b"\\" not in row[:end] and row.endswith(b"}\n"):
            try:
                return row[len(_PAGE) : end].decode("utf-8"), row[: end + len(_STAGE)]
            except UnicodeDecodeError:
                pass
        # Both sides of a merge stay: the entry that matches the page wins.
        if not row.strip() or row.startswith(_CONFLICT_MARKS):
            return "", b""
        if not row.endswith(b"\n") and (row.startswith(INTENT) or INTENT.startswith(row)):
            try:
                self._shape.validate_json(row)
            except ValueError:
                return "", b""  # an intent that was cut off: its page was not touched
        entry = self._parsed(row, number, at)
        self._loose.add(entry.page)
        self.interrupted |= {entry.page} if entry.intent else set()
        return entry.page, b""

    def _add(self, page: str, number: int, start: int, end: int) -> None:
        if not page:
            return
        before = self._places.get(page, ())
        if before:
            self._loose.add(page)
        # The same text as the wiki's own, once in memory.
        own = self._known.get(page)
        self._places[page if own is None else own.id] = (*before, number, start, end)

    def _parsed(self, row: bytes, number: int, at: int) -> Any:
        try:
            return self._shape.validate_json(row)
        except ValueError:  # pydantic's errors are among them
            file, handle = self._files[number]
            line = 1 + sum(os.pread(handle, min(1 << 20, at - place), place).count(b"\n") for place in range(0, at, 1 << 20))
            raise UserError("not a lock entry", where=f"{file}:{line}", do=f"restore {file.name} from version control") from None
