"""Files replaced as a whole: a reader, or a crash at any moment, finds the old bytes or the new ones and nothing between.

The new bytes go to a temporary file beside the target, reach the disk, and take the target's name in one step (DESIGN.md section 5.5).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from enrich.errors import EnrichError, UserError

TEMPORARY = ".enrich-"

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}


class PageMoved(EnrichError):  # noqa: N818 (what happened to the page, not what went wrong here)
    """The file is not what was read: it changed, or is gone. `file` is which, `reason` says what happened to it."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file}: {reason}")


def replace_file(file: Path, new: bytes, *, expected: str, root: Path) -> None:
    """Put `new` in the place of a page file whose bytes still have the sha256 `expected` (hex); mode and owner stay.

    A link is followed and what it points to is replaced, if that lies below `root`. Raises `PageMoved` where the file is gone or differs
    from what was read, `UserError` where it may not or cannot be written (read-only, no room, no plain file, outside `root`); in both cases
    it is untouched and no temporary file is left.
    """
    try:
        target = file.resolve(strict=True)
        home = root.resolve(strict=True)
    except FileNotFoundError:
        raise PageMoved(file, "it is gone since it was read") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise UserError(f"it cannot be found ({getattr(error, 'strerror', None) or error})", where=str(file)) from None
    if not target.is_relative_to(home):
        raise UserError(f"it is a link to {target}, outside of {home}", where=str(file), do="leave it out, or move the page into the wiki")
    with _translated(file):
        before = _status(target, file)
        if not stat.S_ISREG(before.st_mode):
            raise UserError("it is no plain file", where=str(file))
        if not os.access(target, os.W_OK):
            raise UserError("the file is read-only", where=str(file), do="make it writable, or leave it out")
        _check_unchanged(target, file, expected)  # before a copy is written for nothing
        with _temporary(target.parent, 0o600) as (handle, temporary):
            _write(handle, new)
            _take_over(handle, before)
            os.fsync(handle)
            _check_unchanged(target, file, expected)
            temporary.replace(target)
        _sync_folder(target.parent)


def write_text_atomically(file: Path, text: str, *, durable: bool = True) -> None:
    """Write a file of our own (lock, proposal, report) as UTF-8, line breaks as they are; missing folders are made, its mode stays.

    Without `durable` it survives the death of this process but not that of the machine: for what can be made again, in a fraction of the
    time. Raises `UserError` where it cannot be written; then an earlier file is untouched.
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
    """Remove what a killed process left below `folder`: `.enrich-*` last written `older_than` seconds before `now` or earlier. Says which.

    `now` is seconds since the epoch (`time.time()`). A temporary file is locked as long as its writer lives, so one that is being written
    stays however old it is; the age covers file systems without locks and the moment between a file's birth and its lock. Folders behind
    links are not entered. Files that cannot be removed are left for the next run.
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


def _is_left(file: Path, newest: float) -> bool:
    about = file.lstat()
    if not stat.S_ISREG(about.st_mode) or about.st_mtime > newest:
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
    """A new, locked file in `folder`; gone afterwards unless it was renamed."""
    path = folder / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}.tmp"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: then only the age protects it
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
        with contextlib.suppress(PermissionError):  # only root may give files away; the mode matters more
            os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode))


def _status(target: Path, file: Path) -> os.stat_result:
    try:
        return target.stat()
    except FileNotFoundError:
        raise PageMoved(file, "it is gone since it was read") from None


def _check_unchanged(target: Path, file: Path, expected: str) -> None:
    try:
        found = hashlib.sha256(target.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise PageMoved(file, "it is gone since it was read") from None
    if found != expected:
        raise PageMoved(file, "it changed since it was read")


def _sync_folder(folder: Path) -> None:
    # The new name must reach the disk too. Some file systems cannot sync a folder: the file itself is whole in any case.
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
            raise UserError("there is no room left on the disk", where=str(file), do="make room, then run again") from None
        if error.errno in _NO_RIGHT:
            raise UserError("its folder cannot be written", where=str(file), do="check the folder's permissions") from None
        raise UserError(f"it cannot be written ({error.strerror or error})", where=str(file)) from None
