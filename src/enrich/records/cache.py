"""What earlier builds worked out about pages and data files, kept by content under `cache/pages/`.

Every entry is named by a hash of the bytes it was computed from and of the code and profile that computed it, and carries a hash of
itself: what is damaged, foreign or out of date is not found, and is computed again. A cache that cannot be used costs time and nothing
else.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

FILE_NAME = "pages.sqlite"
_LAYOUT = 1  # of the tables below
_DIGEST = 16
# The code an entry depends on: a changed file gives every entry a new name.
_CODE = ("metrics", "records", "wiki")


class PageCache:
    """Facts (JSON) and packed words (bytes) by key. `stamp` is what entries depend on beside their bytes, such as the profile."""

    def __init__(self, folder: Path, stamp: str = "") -> None:
        self._stamp = hashlib.blake2b(f"{_code_digest()}\0{stamp}".encode(), digest_size=_DIGEST).digest()
        self._used: set[bytes] = set()
        self._fresh: dict[str, dict[bytes, bytes]] = {"facts": {}, "words": {}}
        self._db = _open(folder / FILE_NAME)

    def key(self, kind: str, raw: bytes) -> bytes:
        """The name of what is computed from these bytes."""
        return hashlib.blake2b(kind.encode() + b"\0" + raw, digest_size=_DIGEST, key=self._stamp).digest()

    def facts(self, key: bytes) -> Any:
        """The JSON value kept under this key, or None."""
        payload = self._get("facts", key)
        if payload is None:
            return None
        try:
            return json.loads(payload)
        except ValueError:
            return None

    def words(self, key: bytes) -> bytes | None:
        """The packed words kept under this key, or None."""
        return self._get("words", key)

    def keep(self, key: bytes) -> None:
        """Counts an entry as used that nobody asked for: pruning leaves it."""
        self._used.add(key)

    def put_facts(self, key: bytes, value: Any) -> None:
        self._put("facts", key, json.dumps(value, separators=(",", ":")).encode())

    def put_words(self, key: bytes, packed: bytes) -> None:
        self._put("words", key, packed)

    def remember(self, kind: str, raw: bytes, compute: Callable[[], Any]) -> Any:
        """The JSON value computed from these bytes, from an earlier build where it can."""
        key = self.key(kind, raw)
        found = self.facts(key)
        if found is None:
            found = compute()
            self.put_facts(key, found)
        return found

    def close(self, *, prune: bool = True) -> None:
        """Writes what is new and, with `prune`, drops what this build did not use."""
        self.flush()
        db, self._db = self._db, None
        if db is None:
            return
        if prune:
            with suppress(sqlite3.Error), db:
                for table in self._fresh:
                    stale = [(key,) for (key,) in db.execute(f"SELECT key FROM {table}") if key not in self._used]
                    if stale:
                        db.executemany(f"DELETE FROM {table} WHERE key = ?", stale)
        _close(db)

    def flush(self) -> None:
        """Writes what is new so far, so that it need not stay in memory."""
        if self._db is None:
            return
        try:
            with self._db:
                for table, rows in self._fresh.items():
                    self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows.items())
        except sqlite3.Error:
            self._forget()
        for rows in self._fresh.values():
            rows.clear()

    def _get(self, table: str, key: bytes) -> bytes | None:
        self._used.add(key)
        sealed = self._fresh[table].get(key)
        if sealed is None:
            sealed = self._kept(table, key)
        if sealed is None:
            return None
        digest, payload = sealed[:_DIGEST], sealed[_DIGEST:]
        return payload if digest == _seal(key, payload) else None

    def _kept(self, table: str, key: bytes) -> bytes | None:
        if self._db is None:
            return None
        try:
            row = self._db.execute(f"SELECT value FROM {table} WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            self._forget()
            return None
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def _put(self, table: str, key: bytes, payload: bytes) -> None:
        self._used.add(key)
        if self._db is not None:
            self._fresh[table][key] = _seal(key, payload) + payload

    def _forget(self) -> None:
        """Works on without a cache that fails in use; the next build begins a new one where this one cannot be opened."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None


def _seal(key: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST, key=key).digest()


def _open(file: Path) -> sqlite3.Connection | None:
    """The database, begun anew where it is none of ours; None where there can be none."""
    for attempt in range(2):
        db = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(file, timeout=5, isolation_level="IMMEDIATE")
            db.execute("PRAGMA synchronous = OFF")  # a torn entry is noticed by its seal, a torn file is begun anew
            (layout,) = db.execute("PRAGMA user_version").fetchone()
            if layout != _LAYOUT:
                if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise sqlite3.DatabaseError("another layout")
                with db:
                    for table in ("facts", "words"):
                        db.execute(f"CREATE TABLE {table} (key BLOB PRIMARY KEY, value BLOB)")
                    db.execute(f"PRAGMA user_version = {_LAYOUT}")
            else:
                for table in ("facts", "words"):
                    db.execute(f"SELECT key, value FROM {table} LIMIT 1").fetchone()
            return db
        except sqlite3.OperationalError:  # locked, full, read-only: not a reason to throw it away
            _close(db)
            return None
        except (sqlite3.Error, OSError):
            _close(db)
            if attempt:
                return None
            with suppress(OSError):
                file.unlink()
    return None


def _close(db: sqlite3.Connection | None) -> None:
    if db is not None:
        with suppress(sqlite3.Error):
            db.close()


def _code_digest() -> str:
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for package in _CODE:
        for entry in sorted(resources.files("enrich").joinpath(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes() + b"\0")
    return digest.hexdigest()
