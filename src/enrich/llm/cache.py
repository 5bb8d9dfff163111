"""Answers by question key: each is paid once, and the same question is asked once at a time.

The answers are kept for ever and never trusted: diskcache with JSON values (never pickle: a cache folder must not be able to run code), no
expiry, no eviction. A damaged entry is a miss, a damaged database is set aside under another name and a new one started; what cannot be
written is a `UserError`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import sqlite3
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import time_ns
from typing import Any, Self
from weakref import WeakValueDictionary, finalize

from diskcache import Cache, JSONDisk, Timeout

from enrich.databases import ForeignSchemaError, check_schema, is_damage
from enrich.errors import UserError, os_errors
from enrich.files import Folders, open_file
from enrich.text import parsed_json

_DATABASE = "cache.db"
# What diskcache makes. A cache folder can come with a clone: a view, or a trigger with another query, would run when the cache is used.
_OWN_SCHEMA = re.compile(
    r"CREATE TABLE (?:Settings|Cache) ?\([\w, ]*\)"
    r"|CREATE (?:UNIQUE )?INDEX Cache_\w+ ON Cache ?\([\w, ]+\)(?: WHERE \w+ IS NOT NULL)?"
    r"|CREATE TRIGGER Settings_\w+ (?:AFTER|BEFORE) (?:INSERT|UPDATE|DELETE) ON Cache FOR EACH ROW BEGIN"
    r' UPDATE Settings SET value = value [+-] [\w. +-]+ WHERE key = "\w+"; END'
)
_MOST_BYTES = 16_000_000  # of one answer
_COMPANIONS = ("", "-wal", "-shm")
# Larger values would be stored in separate files; answers are a few kB, and one file is easier to check than many.
_IN_DATABASE = 1 << 30
# Another process's transaction takes well under a second, even on a slow disk.
_BUSY_SECONDS = 30
# A question that another process asks is looked at again after so many seconds, then less often. Answers take seconds.
_FIRST_LOOK, _LONGEST_LOOK = 0.01, 0.25
# Linux has locks of an open file (fcntl(2)); elsewhere a lock is its process's, and one `SingleFlight` per process and folder is assumed.
_OPEN_FILE_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)


class DamagedEntryError(Exception):
    """A row that this program did not write."""


class PlainDisk(JSONDisk):  # type: ignore[misc]
    """JSON in the database and nothing else: a row that asks for a pickle or for a file was not written by us."""

    def get(self, key: Any, raw: Any) -> Any:
        if not raw or not isinstance(key, bytes):
            raise DamagedEntryError
        return super().get(key, raw)

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> Any:
        if mode != 1 or filename is not None or not isinstance(value, bytes):
            raise DamagedEntryError
        unpacked = zlib.decompressobj()
        data = unpacked.decompress(value, _MOST_BYTES)
        if not unpacked.eof:  # cut short, or larger than any answer
            raise DamagedEntryError
        return parsed_json(data)

    def remove(self, file_path: Any) -> None:
        """Do nothing: no value is kept in a file, so a path in a row is not ours to delete."""


class AnswerCache:
    """A folder of answers. A context manager; usable from several processes at once, and from asyncio (0.1–0.3 ms a call).

    `note` is called with one line for a person if something is damaged.
    """

    def __init__(self, folder: Path, note: Callable[[str], None] | None = None, within: Folders | None = None) -> None:
        self.folder = folder
        self._within = within or Folders(folder)
        self._note = note or (lambda line: None)
        self._open: Cache | None = None

    def __enter__(self) -> Self:
        self._done(len)
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        cache, self._open = self._open, None
        if cache is not None:
            cache.close()

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer stored under `key`; None if there is none or if it is damaged (then with a note)."""
        try:
            value = self._done(lambda cache: cache.get(key))
        except (DamagedEntryError, ValueError, zlib.error):
            value = ...
        if value is None or isinstance(value, dict):
            return value
        self._note(f"{self.folder}: the answer {key[:12]}… is damaged and will be asked for again")
        return None

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Store `value` (JSON) under `key`, safe from the end of this process. Raises `UserError` (full disk, …)."""
        self._done(lambda cache: cache.set(key, value))

    def remove(self, key: str) -> None:
        """Remove what is stored under `key`, if anything is."""
        self._done(lambda cache: cache.delete(key))

    def stats(self) -> dict[str, int]:
        """`answers`: their number; `bytes`: their size on disk."""
        answers = self._done(len)
        return {"answers": answers, "bytes": sum(file.stat().st_size for file in self._files())}

    def prune(self, keep: set[str]) -> int:
        """Drop all answers but those of `keep`, and return how many were dropped. Damaged rows are dropped."""

        def drop(cache: Cache) -> int:
            wanted = {bytes(cache.disk.put(key)[0]) for key in keep}
            # By raw key: a row whose key cannot be read must be dropped too.
            rows = [(row,) for row, key in cache._sql("SELECT rowid, key FROM Cache") if not isinstance(key, bytes) or key not in wanted]
            with cache.transact(retry=True):
                for row in rows:
                    cache._sql("DELETE FROM Cache WHERE rowid = ?", row)
            cache._sql("VACUUM")
            return len(rows)

        dropped: int = self._done(drop)
        return dropped

    def _done(self, work: Callable[[Cache], Any]) -> Any:
        """What `work` returns for the open cache; a damaged database is set aside, and the work is done on a new one."""
        try:
            try:
                return work(self._opened())
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._set_aside(str(error))
                return work(self._opened())
        except Timeout:
            raise UserError(
                "another process has locked the answers", where=str(self.folder), do="wait until it has ended, then run again"
            ) from None
        except (sqlite3.Error, OSError) as error:
            said = str(error)
            do = (
                "make room on the disk; stored answers are safe"
                if "full" in said or "space" in said or "I/O" in said
                else "make the folder writable, or move it"
            )
            raise UserError(f"answers cannot be kept here ({said})", where=str(self.folder), do=do) from None

    def _opened(self) -> Cache:
        if self._open is not None:
            return self._open
        check_schema(self.folder / _DATABASE, self._within, _OWN_SCHEMA)
        try:
            self._open = Cache(
                str(self.folder.resolve()),
                timeout=_BUSY_SECONDS,
                disk=PlainDisk,
                eviction_policy="none",
                cull_limit=0,
                size_limit=1 << 62,
                statistics=0,
                tag_index=0,
                disk_min_file_size=_IN_DATABASE,
                # Safe from the end of the process; a loss of power can take the last answers, never the database.
                sqlite_synchronous=1,
                sqlite_journal_mode="wal",
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # diskcache keeps its settings in the database, and uses what it finds there.
            raise ForeignSchemaError(str(error) or type(error).__name__) from None
        return self._open

    def _files(self) -> list[Path]:
        return [file for suffix in _COMPANIONS if (file := self.folder / f"{_DATABASE}{suffix}").exists()]

    def _set_aside(self, why: str) -> None:
        self._close()
        stamp = time_ns()
        for file in self._files():
            file.rename(file.with_name(f"damaged-{stamp}-{file.name}"))
        self._note(
            f"{self.folder}: the answers' database is damaged ({why}); it is set aside as damaged-{stamp}-{_DATABASE} and a new one started"
        )


class SingleFlight:
    """Holds questions by key, so that the same one is asked once at a time, within a process and across processes. For one event loop.

    Each question is one byte of a lock file in `folder`: a byte-range lock ends with its process, costs no file per question (a fifth of a
    request's CPU), and unrelated questions never wait for each other. Several are taken in sorted order, so that two holders never wait for
    each other. After a wait, the answer is usually in the cache.
    """

    def __init__(self, folder: Path, within: Folders | None = None) -> None:
        self.folder, self._within = folder, within
        self._here: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._handle: int | None = None

    @asynccontextmanager
    async def hold(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Hold the questions `keys` (hex digests): all others wait. Raises `UserError` for an unusable folder."""
        async with AsyncExitStack() as stack:
            # 60 bits: far below the largest file offset, and far too many for two questions to share a byte.
            for place in sorted({int(key[:15], 16) for key in keys}):
                await stack.enter_async_context(self._here.setdefault(place, asyncio.Lock()))
                stack.callback(_set_lock, await self._across_processes(place), place, fcntl.F_UNLCK)
            yield

    async def _across_processes(self, place: int) -> int:
        pause = _FIRST_LOOK
        with os_errors("locks cannot be kept here", self.folder, "make the folder writable, or move it"):
            if self._handle is None:
                self._handle = open_file(self.folder / "questions", os.O_RDWR | os.O_CREAT, self._within)
                finalize(self, os.close, self._handle)
            while not _set_lock(self._handle, place, fcntl.F_WRLCK):
                await asyncio.sleep(pause)
                pause = min(_LONGEST_LOOK, pause * 1.5)
        return self._handle


def _set_lock(handle: int, place: int, kind: int) -> bool:
    """Lock (`F_WRLCK`) or unlock (`F_UNLCK`) one byte of the file; False if another holder has it."""
    try:
        if _OPEN_FILE_LOCK is None:
            fcntl.lockf(handle, fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        else:
            # struct flock: type, whence, start, length, process (0 for locks of open files).
            fcntl.fcntl(handle, _OPEN_FILE_LOCK, struct.pack("hhqqi4x", kind, os.SEEK_SET, place, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True
