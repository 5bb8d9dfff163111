"""Files of every kind: replaced as a whole, locked against other processes, and one store of values by key.

A reader, or a crash at any moment, finds a file's old bytes or its new ones and nothing between: the new bytes go to a temporary file beside
the target, reach the disk, and take the target's name in one step. A lock ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from enrich.errors import EnrichError, UserError

TEMPORARY = ".enrich-"

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}


class PageMoved(EnrichError):  # noqa: N818 (what happened to the page, not what went wrong here)
    """A page file changed or was removed after it was read. `reason` says which."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file}: {reason}")


def replace_file(file: Path, new: bytes, *, expected: str, root: Path) -> None:
    """Replace a page file, whose bytes must still have the sha256 `expected` (hex), by `new`. Mode and owner are kept.

    A symbolic link is followed if its target is below `root`. Raises `PageMoved` if the file was removed or differs from what was read,
    `UserError` if it cannot be written (read-only, full disk, not a regular file, outside `root`). After an error the file is unchanged and
    no temporary file is left.
    """
    try:
        target = file.resolve(strict=True)
        home = root.resolve(strict=True)
    except FileNotFoundError:
        raise PageMoved(file, "it was removed after it was read") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise UserError(f"cannot be found ({getattr(error, 'strerror', None) or error})", where=str(file)) from None
    if not target.is_relative_to(home):
        raise UserError(f"it is a link to {target}, outside {home}", where=str(file), do="leave it out, or move the page into the wiki")
    with _translated(file):
        before = _status(target, file)
        if not stat.S_ISREG(before.st_mode):
            raise UserError("not a regular file", where=str(file))
        if not os.access(target, os.W_OK):
            raise UserError("the file is read-only", where=str(file), do="make it writable, or leave it out")
        _check_unchanged(target, file, expected)  # before a copy is written in vain
        with _temporary(target.parent, 0o600) as (handle, temporary):
            _write(handle, new)
            _take_over(handle, before)
            os.fsync(handle)
            _check_unchanged(target, file, expected)
            temporary.replace(target)
        _sync_folder(target.parent)


def write_text_atomically(file: Path, text: str, *, durable: bool = True) -> None:
    """Write a file of our own (lock, proposal, report) as UTF-8 with its line breaks unchanged. Missing folders are made, the mode is kept.

    Without `durable` the file survives the end of this process but not a loss of power: much faster, for what can be made again. Raises
    `UserError` if it cannot be written; an earlier file is then unchanged.
    """
    with _translated(file):
        target = file.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            before = target.stat()
        except FileNotFoundError:
            before = None
        with _temporary(target.parent, 0o666) as (handle, temporary):
            _write(handle, text.encode("utf-8"))
            if before is not None:
                _take_over(handle, before)
            if durable:
                os.fsync(handle)
            temporary.replace(target)
        if durable:
            _sync_folder(target.parent)


def remove_leftovers(folder: Path, *, older_than: float, now: float) -> list[Path]:
    """Remove temporary files that a killed process left below `folder`, and return them: `.enrich-*`, `older_than` seconds or more old.

    `now` is in seconds since the epoch. A temporary file is locked while its writer runs, so a file that is being written is kept at any
    age; the age covers file systems without locks and the moment between creating and locking a file. Symbolic links to folders are not
    followed. Files that cannot be removed are left for the next run.
    """
    removed: list[Path] = []
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            if name.startswith(TEMPORARY) and not name.endswith((".md", ".mdx")):
                file = Path(place, name)
                with contextlib.suppress(OSError):
                    if _is_left(file, now - older_than):
                        file.unlink()
                        removed.append(file)
    return removed


def _is_left(file: Path, latest: float) -> bool:
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_mtime > latest:
        return False
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@contextlib.contextmanager
def _temporary(folder: Path, mode: int) -> Iterator[tuple[int, Path]]:
    """A new, locked file in `folder`; removed at the end unless it was renamed."""
    path = folder / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}.tmp"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system: only the age protects the file
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle, path
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


def _write(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _take_over(handle: int, before: os.stat_result) -> None:
    ours = os.fstat(handle)
    if (ours.st_uid, ours.st_gid) != (before.st_uid, before.st_gid):
        with contextlib.suppress(PermissionError):  # only root may change the owner; the mode matters more
            os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode))


def _status(target: Path, file: Path) -> os.stat_result:
    try:
        return target.stat()
    except FileNotFoundError:
        raise PageMoved(file, "it was removed after it was read") from None


def _check_unchanged(target: Path, file: Path, expected: str) -> None:
    try:
        found = hashlib.sha256(target.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise PageMoved(file, "it was removed after it was read") from None
    if found != expected:
        raise PageMoved(file, "it changed after it was read")


def _sync_folder(folder: Path) -> None:
    # The new name must reach the disk too. Some file systems cannot sync a folder; the file itself is complete in any case.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _translated(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise UserError("the disk is full", where=str(file), do="free some space, then run again") from None
        if error.errno in _NO_RIGHT:
            raise UserError("the folder is not writable", where=str(file), do="check the folder's permissions") from None
        raise UserError(f"cannot be written ({error.strerror or error})", where=str(file)) from None


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`, made if missing: one process at a time is inside. Raises `UserError` if the file cannot be made.

    `waiting` is called once with the holder's name ("process 12" or "") if another process has the lock. The lock file is kept.
    """
    handle = -1
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX if waiting is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is not None:
                    waiting(path.read_bytes()[:40].decode("ascii", "replace").strip())
                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise UserError(f"cannot be locked ({error.strerror})", where=str(path), do="make the folder writable") from None
        if waiting is not None:
            with contextlib.suppress(OSError):  # the name is only for people: a full disk must not stop the holder
                os.truncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        if handle >= 0:
            os.close(handle)


_LAYOUT = 2  # of the store's table
_DIGEST = 16


class KeyedStore:
    """Computed values by key in one SQLite file, which can be deleted at any time.

    A key is a hash of what a value was computed from and of `stamp`, the rest that it depends on (code, profile). Each value carries a hash
    of itself: an entry that is damaged, foreign or out of date is not found and gets computed again. A file that cannot be used costs time
    and raises no error.
    """

    def __init__(self, file: Path, stamp: str = "") -> None:
        self._stamp = hashlib.blake2b(stamp.encode(), digest_size=_DIGEST).digest()
        self._used: set[bytes] = set()
        self._new: dict[bytes, bytes] = {}
        self._db = _open_store(file)

    def key(self, kind: str, content: bytes) -> bytes:
        """The key of the value of this `kind` that is computed from `content`."""
        return hashlib.blake2b(kind.encode() + b"\0" + content, digest_size=_DIGEST, key=self._stamp).digest()

    def get(self, key: bytes) -> Any:
        """The JSON value stored under `key`, or None."""
        self._used.add(key)
        sealed = self._new.get(key) or self._stored(key)
        if sealed is None or sealed[:_DIGEST] != _seal(key, sealed[_DIGEST:]):
            return None
        return json.loads(sealed[_DIGEST:])

    def put(self, key: bytes, value: Any) -> None:
        """Store a JSON value under `key` when the store is closed."""
        self._used.add(key)
        if self._db is not None:
            data = json.dumps(value, separators=(",", ":")).encode()
            self._new[key] = _seal(key, data) + data

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
        if self._db is None:
            return
        with contextlib.suppress(sqlite3.Error):
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", self._new.items())
            if prune:
                with self._db:
                    stale = [(key,) for (key,) in self._db.execute("SELECT key FROM entries") if key not in self._used]
                    self._db.executemany("DELETE FROM entries WHERE key = ?", stale)
        self._disconnect()

    def _stored(self, key: bytes) -> bytes | None:
        if self._db is None:
            return None
        try:
            row = self._db.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            self._disconnect()
            return None
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def _disconnect(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None


def _seal(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_DIGEST, key=key).digest()


def _open_store(file: Path) -> sqlite3.Connection | None:
    """The store's database, replaced by an empty one if it is damaged or has another layout; None if the file cannot be used."""
    for _ in range(2):
        db = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(file, timeout=5, isolation_level="IMMEDIATE")
            db.execute("PRAGMA synchronous = OFF")  # a torn value is found by its seal, a torn file is replaced
            (layout,) = db.execute("PRAGMA user_version").fetchone()
            if layout == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                with db:
                    db.execute("CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB)")
                    db.execute(f"PRAGMA user_version = {_LAYOUT}")
            elif layout != _LAYOUT:
                raise sqlite3.DatabaseError("another layout")
            db.execute("SELECT key, value FROM entries LIMIT 1").fetchone()
            return db
        except (sqlite3.Error, OSError) as error:
            if db is not None:
                with contextlib.suppress(sqlite3.Error):
                    db.close()
            if isinstance(error, sqlite3.OperationalError):  # in use, full, read-only: no reason to delete it
                return None
            with contextlib.suppress(OSError):
                file.unlink()
    return None
