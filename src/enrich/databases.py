"""SQLite files, and one store of values by key.

A file may have come with somebody else's wiki: nothing in its schema may run, and no stored value is believed unless made here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from enrich.files import Folders, check_database, remove_file

# Reading a schema takes some hundred steps of SQLite's machine.
_STEPS = 100_000
_MOST_OBJECTS = 50
_MACHINE = Path("/etc/machine-id")


class ForeignSchemaError(sqlite3.DatabaseError):
    """A database with a view, trigger, table, index or setting that this program did not make."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself cannot be used, as opposed to a full disk, a read-only folder or a lock of another process."""
    # `SQLITE_ERROR` is a fault in a statement: ours have none where the tables are the right ones.
    damage = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(error, ForeignSchemaError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in damage


def check_schema(file: Path, within: Folders, own: re.Pattern[str]) -> None:
    """Raise `ForeignSchemaError` if a definition in the database, on one line, is not one of `own`. A missing or empty file is fine.

    Its folder is made. Raises `OSError` if SQLite would open something that is not a regular file.

    A view in the place of a table, a trigger or a computed column would run its own query, which need not end.
    """
    check_database(file, within)
    if not file.is_file():
        return
    with closing(sqlite3.connect(file, timeout=5)) as database:
        database.set_progress_handler(lambda: 1, _STEPS)
        database.execute("PRAGMA trusted_schema = OFF")
        rows = database.execute("SELECT name, sql FROM sqlite_master LIMIT ?", (_MOST_OBJECTS,)).fetchall()
    for name, sql in rows:
        if sql is not None and not own.fullmatch(" ".join(str(sql).split())):
            raise ForeignSchemaError(f"`{name}` in it was not made by enrich")
    if len(rows) == _MOST_OBJECTS:
        raise ForeignSchemaError("it has too many tables")


def origin(file: Path) -> bytes:
    """What an archive or a clone of this file cannot have: the machine, the user and the file's place on the disk; 16 bytes."""
    try:
        machine = _MACHINE.read_bytes()
    except OSError:
        machine = b""
    try:
        status = file.stat()
    except OSError:
        return os.urandom(16)
    place = f"{os.getuid()} {status.st_dev} {status.st_ino}".encode()
    return hashlib.blake2b(machine + b"\0" + place, digest_size=16).digest()


_LAYOUT = 2  # of the store's table
_SCHEMA = "CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB)"
_DIGEST = 16


class KeyedStore:
    """Computed values by key in one SQLite file, which can be deleted at any time.

    A key is a hash of what a value was computed from and of `stamp`, the rest that it depends on (code, profile). Each value carries a hash
    of itself and of this very file (`origin`): an entry that is damaged, out of date or came with a clone is not found and gets
    computed again. A file that cannot be used costs time and raises no error.
    """

    def __init__(self, file: Path, stamp: str = "", within: Folders | None = None) -> None:
        self._stamp = hashlib.blake2b(stamp.encode(), digest_size=_DIGEST).digest()
        self._used: set[bytes] = set()
        self._new: dict[bytes, bytes] = {}
        self._db = _open_store(file, within or Folders(file.parent))
        self._origin = origin(file)

    def key(self, kind: str, content: bytes) -> bytes:
        """The key of the value of this `kind` that is computed from `content`."""
        return hashlib.blake2b(kind.encode() + b"\0" + content, digest_size=_DIGEST, key=self._stamp).digest()

    def get(self, key: bytes) -> Any:
        """The JSON value stored under `key`, or None."""
        self._used.add(key)
        sealed = self._new.get(key) or self._stored(key)
        if sealed is None or sealed[:_DIGEST] != self._seal(key, sealed[_DIGEST:]):
            return None
        try:
            return json.loads(sealed[_DIGEST:])
        except (ValueError, RecursionError):
            return None

    def put(self, key: bytes, value: Any) -> None:
        """Store a JSON value under `key` when the store is closed."""
        self._used.add(key)
        data = json.dumps(value, separators=(",", ":")).encode()
        self._new[key] = self._seal(key, data) + data

    def remember(self, kind: str, content: bytes, compute: Callable[[], Any]) -> Any:
        """The JSON value that `compute` gives for `content`, from the store if it is there."""
        key = self.key(kind, content)
        found = self.get(key)
        if found is None:
            found = compute()
            self.put(key, found)
        return found

    def close(self, *, prune: bool = False) -> None:
        """Write new values and, with `prune`, drop the entries that were neither read nor written since the store was opened."""
        with contextlib.suppress(sqlite3.Error), closing(self._db):
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", self._new.items())
            if prune:
                with self._db:
                    stale = [(key,) for (key,) in self._db.execute("SELECT key FROM entries") if key not in self._used]
                    self._db.executemany("DELETE FROM entries WHERE key = ?", stale)

    def _seal(self, key: bytes, value: bytes) -> bytes:
        return hashlib.blake2b(value, digest_size=_DIGEST, key=key + self._origin).digest()

    def _stored(self, key: bytes) -> bytes | None:
        try:
            row = self._db.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            return None
        return row[0] if row is not None and isinstance(row[0], bytes) else None


def _open_store(file: Path, within: Folders) -> sqlite3.Connection:
    """The store's database, replaced by an empty one if it is damaged or has another layout; one in memory if the file cannot be used."""
    for _ in range(2):
        try:
            check_schema(file, within, re.compile(re.escape(_SCHEMA)))
            return _connected(str(file))
        except (sqlite3.Error, OSError) as error:
            if not isinstance(error, sqlite3.Error) or not is_damage(error):
                break  # behind a link, in use, full, read-only: no reason to delete it
            with contextlib.suppress(OSError):
                remove_file(file, within)
    return _connected(":memory:")


def _connected(file: str) -> sqlite3.Connection:
    """The database with the store's table. Raises `sqlite3.Error`."""
    db = sqlite3.connect(file, timeout=5, isolation_level="IMMEDIATE")
    try:
        db.execute("PRAGMA synchronous = OFF")  # a torn value is found by its seal, a torn file is replaced
        (layout,) = db.execute("PRAGMA user_version").fetchone()
        if layout == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            with db:
                db.execute(_SCHEMA)
                db.execute(f"PRAGMA user_version = {_LAYOUT}")
        elif layout != _LAYOUT:
            raise ForeignSchemaError("another layout")
        db.execute("SELECT key, value FROM entries LIMIT 1").fetchone()
    except BaseException:
        db.close()
        raise
    return db
