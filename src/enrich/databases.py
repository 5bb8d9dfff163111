"""SQLite files that may have come with somebody else's wiki: nothing in their schema may run, and no stored value is believed unless made here."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

# Reading a schema takes some hundred steps of SQLite's machine.
_STEPS = 100_000
_MOST_OBJECTS = 50
_MACHINE = Path("/etc/machine-id")


class ForeignSchemaError(sqlite3.DatabaseError):
    """A database with a view, trigger, table or index that this program did not make."""


def check_schema(file: Path, own: re.Pattern[str]) -> None:
    """Raise `ForeignSchemaError` if a definition in the database, on one line, is not one of `own`. A missing or empty file is fine.

    A view in the place of a table, a trigger or a computed column would run its own query, which need not end.
    """
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
