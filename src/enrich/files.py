"""Files of every kind: opened without leaving the wiki, replaced as a whole, and locked against other processes.

A wiki that somebody else made may hold links, devices, pipes and files of any size where this program expects a file of its own. So every file
of a wiki is opened here, relative to a trusted folder (`Folders`), one path component after the other and without following links.
docs/security.md describes the rules.

A reader, or a crash at any moment, finds a file's old bytes or its new ones and nothing between: the new bytes go to a temporary file beside
the target, reach the disk, and take the target's name in one step. A lock ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from enrich.errors import EnrichError, UserError
from enrich.text import JSON_ESCAPES

TEMPORARY = ".enrich-"

# The largest files that are read, in bytes: far above what wikis have, low enough that reading one cannot fill the memory.
PAGE_BYTES = 10_000_000
DATA_BYTES = 50_000_000  # data files, golden data, proposals, decisions
SETTINGS_BYTES = 1_000_000  # enrich.toml, prompts, profiles, what git should ignore
LOCK_BYTES = 200_000_000  # the lock, the journals and database.json: they grow with the wiki

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_LEADS_OUT = "it is a link, or below a link, that leads outside of the wiki's folder"
_OWN_LINK = "it is a link, or below a link; `enrich` writes only to files and folders that are not links"
_NOT_REGULAR = "not a regular file"


class PageMoved(EnrichError):  # noqa: N818 (what happened to the page, not what went wrong here)
    """A page file changed or was removed after it was read. `reason` says which."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file}: {reason}")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the files of a wiki may be: its folder `root`, and `trusted` folders outside of it that the user named by flag or environment.

    A file is read through links that stay in these folders. A file that `enrich` writes, locks or deletes (an "own" file) may be behind a
    link only if it leads into a trusted folder: a link in a wiki must not choose what is overwritten.
    """

    root: Path
    trusted: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        # Paths are compared with these folders, and a person may name a wiki by a path from the working directory.
        object.__setattr__(self, "root", _absolute(self.root))
        object.__setattr__(self, "trusted", tuple(map(_absolute, self.trusted)))

    def allow(self, path: Path) -> bool:
        """Whether `path` is in one of the folders after all links are followed."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(os.path.realpath(base)) for base in (self.root, *self.trusted))

    def open(self, path: Path, flags: int, *, own: bool = False, make: bool = False) -> int:
        """A handle of `path`. Raises `OSError`, also for a link that is not allowed. `make` makes missing folders on the way."""
        path = _absolute(path)
        base = next((base for base in (self.root, *self.trusted) if path.is_relative_to(base)), None)
        if base is not None:
            try:
                return _descend(base, path.relative_to(base).parts, flags, make)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                if Path(os.path.realpath(path)) == Path(os.path.realpath(base), path.relative_to(base)):
                    raise  # no link, or a link to itself
        there, inside = self._behind_links(path, own)
        return _descend(there, inside.parts, flags, make)

    def _behind_links(self, path: Path, own: bool) -> tuple[Path, Path]:
        real = Path(os.path.realpath(path))
        for base in self.trusted if own else (self.root, *self.trusted):
            if real.is_relative_to(there := Path(os.path.realpath(base))):
                return there, real.relative_to(there)
        inside = own and real.is_relative_to(os.path.realpath(self.root))
        raise OSError(errno.ELOOP, _OWN_LINK if inside else _LEADS_OUT, str(path))


def _absolute(path: Path) -> Path:
    """The whole path without `..`: what is opened is then below its folder in any case."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links


def _descend(base: Path, parts: tuple[str, ...], flags: int, make: bool) -> int:
    """A handle of `base/parts…`, where no part may be a link."""
    if make:
        base.mkdir(parents=True, exist_ok=True)
    if not parts:
        return os.open(base, flags | os.O_CLOEXEC)
    folder = os.open(base, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = _subfolder(folder, part, make)
            os.close(folder)
            folder = inner
        if make and flags & os.O_DIRECTORY:
            return _subfolder(folder, parts[-1], make)
        return os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder)
    finally:
        os.close(folder)


def _subfolder(folder: int, name: str, make: bool) -> int:
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def open_file(file: Path, flags: int, within: Folders | None, *, own: bool = True) -> int:
    """A handle of a regular file. Raises `OSError` whose `strerror` says why there is none.

    Without `within` the user named the file, and links are followed. Folders of an `own` file are made.
    """
    flags |= os.O_NONBLOCK | os.O_CLOEXEC  # opening a pipe would wait for its other end
    if within is None:
        if own:
            file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, flags, 0o666)
    else:
        handle = within.open(file, flags, own=own, make=own)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, _NOT_REGULAR, str(file))
    return handle


def read_bytes(file: Path, within: Folders | None, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises `OSError` whose `strerror` says why it cannot be read."""
    handle = open_file(file, os.O_RDONLY, within, own=False)
    try:
        return _all_bytes(handle, limit, file)
    finally:
        os.close(handle)


def read_text(file: Path, within: Folders | None, limit: int) -> str:
    """The same as UTF-8 text, without a byte-order mark. Raises `OSError` and `UnicodeDecodeError`."""
    return read_bytes(file, within, limit).decode("utf-8-sig")


def _all_bytes(handle: int, limit: int, file: Path) -> bytes:
    size = os.fstat(handle).st_size
    blocks: list[bytes] = []
    while size <= limit and (block := os.read(handle, max(size + 1, 65536))):
        blocks.append(block)
        size = max(size, sum(map(len, blocks)))
    if size > limit:
        raise OSError(errno.EOVERFLOW, f"larger than {limit // 1_000_000} MB", str(file))
    return b"".join(blocks)


def names_in(folder: Path, within: Folders, *, own: bool = False) -> list[str]:
    """The names in a folder, in no order. Raises `OSError`."""
    handle = within.open(folder, os.O_RDONLY | os.O_DIRECTORY, own=own)
    try:
        return os.listdir(handle)
    finally:
        os.close(handle)


def remove_file(file: Path, within: Folders) -> None:
    """Remove an own file if it is there; of a link the link itself. Raises `OSError`."""
    with _own_folder(file.parent, within) as folder, contextlib.suppress(FileNotFoundError):
        os.unlink(file.name, dir_fd=folder)


def remove_folder(folder: Path, within: Folders) -> None:
    """Remove an own folder with what is in it, without following a link; what cannot be removed is left."""
    with contextlib.suppress(OSError), _own_folder(folder.parent, within) as parent:
        shutil.rmtree(folder.name, ignore_errors=True, dir_fd=parent)


@contextlib.contextmanager
def _own_folder(folder: Path, within: Folders, *, make: bool = False) -> Iterator[int]:
    handle = within.open(folder, _FOLDER, own=True, make=make)
    try:
        yield handle
    finally:
        os.close(handle)


def make_folder(folder: Path, within: Folders | None) -> None:
    """Make a folder of our own with its parents, if it is missing. Raises `OSError`."""
    if within is None:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        with _own_folder(folder, within, make=True):
            pass


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
    with _translated(file), _own_folder(target.parent, Folders(home)) as folder:
        before = _status(folder, target.name)
        if before is None:
            raise PageMoved(file, "it was removed after it was read")
        if not stat.S_ISREG(before.st_mode):
            raise UserError(_NOT_REGULAR, where=str(file))
        if not os.access(target.name, os.W_OK, dir_fd=folder):
            raise UserError("the file is read-only", where=str(file), do="make it writable, or leave it out")
        _check_unchanged(folder, target.name, file, expected)  # before a copy is written in vain
        with _temporary(folder, (new,), before) as temporary:
            _check_unchanged(folder, target.name, file, expected)
            if _exchange(folder, temporary, target.name):
                _put_newer_back(folder, temporary, target.name, new, file, expected)
            else:
                os.replace(temporary, target.name, src_dir_fd=folder, dst_dir_fd=folder)
        _sync_folder(folder)


def replace_own_file(file: Path, new: bytes, *, before: bytes | None, within: Folders) -> None:
    """Replace a file of our own, whose bytes must still be `before`; None: it must not exist yet, and its folders are made.

    Raises `PageMoved` if it was made, changed or removed meanwhile, `UserError` if it cannot be written or is behind a link.
    """
    with _translated(file), _own_folder(file.parent, within, make=True) as folder:
        if before is not None:
            os.close(within.open(file, os.O_RDONLY, own=True))  # raises for a link
            replace_file(file, new, expected=digest_of(before), root=file.parent)
            return
        with _temporary(folder, (new,)) as temporary:
            try:
                os.link(temporary, file.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except OSError:  # it exists, or this file system has no hard links
                if _status(folder, file.name) is not None:
                    raise PageMoved(file, "it was made after it was looked for") from None
                os.replace(temporary, file.name, src_dir_fd=folder, dst_dir_fd=folder)
        _sync_folder(folder)


def digest_of(raw: bytes) -> str:
    """sha256 of a file's bytes, to detect that it changed on disk after it was read."""
    return hashlib.sha256(raw).hexdigest()


def write_text_atomically(file: Path, text: str, *, durable: bool = True, within: Folders | None = None) -> None:
    """Write a file of our own (proposal, report) as UTF-8 with its line breaks unchanged, as `write_atomically` does."""
    write_atomically(file, (text.encode("utf-8", JSON_ESCAPES),), durable=durable, within=within)


def write_atomically(file: Path, parts: Iterable[bytes], *, durable: bool = True, within: Folders | None = None) -> None:
    """Write a file of our own from its parts. Missing folders are made, the mode is kept.

    Without `within` the user named the file, and links are followed. Without `durable` the file survives the end of this process but not a
    loss of power: much faster, for what can be made again. Raises `UserError` if it cannot be written; an earlier file is then unchanged.
    """
    with _translated(file):
        if file.is_dir():
            raise UserError(_NOT_REGULAR, where=str(file), do="name a file")
        if within is None:
            file = file.resolve()
            file.parent.mkdir(parents=True, exist_ok=True)
            within = Folders(file.parent)
        with _own_folder(file.parent, within, make=True) as folder:
            before = _status(folder, file.name)
            if before is not None and not stat.S_ISREG(before.st_mode):
                if not stat.S_ISLNK(before.st_mode):
                    raise UserError(_NOT_REGULAR, where=str(file), do="remove it")
                os.close(within.open(file, os.O_RDONLY, own=True))  # raises unless the link leads into a trusted folder
                write_atomically(file.resolve(), parts, durable=durable)
                return
            with _temporary(folder, parts, before, durable=durable) as temporary:
                os.replace(temporary, file.name, src_dir_fd=folder, dst_dir_fd=folder)
            if durable:
                _sync_folder(folder)


def remove_leftovers(folder: Path, *, older_than: float, now: float, within: Folders | None = None) -> list[Path]:
    """Remove temporary files that a killed process left below `folder`, and return them: `.enrich-*`, `older_than` seconds or more old.

    `now` is in seconds since the epoch. A temporary file is locked while its writer runs, so a file that is being written is kept at any
    age; the age covers file systems without locks and the moment between creating and locking a file. Symbolic links to folders are not
    followed. Files that cannot be removed are left for the next run.
    """
    within = within or Folders(folder)
    removed: list[Path] = []
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        with contextlib.suppress(OSError):
            handle = within.open(place, os.O_RDONLY | os.O_DIRECTORY, own=True)
            try:
                removed += _without_leftovers(place, handle, now - older_than, waiting)
            finally:
                os.close(handle)
    return sorted(removed)


def _without_leftovers(place: Path, handle: int, latest: float, waiting: list[Path]) -> Iterator[Path]:
    """Remove the leftovers in one folder and add its subfolders to `waiting`."""
    with os.scandir(handle) as found:
        entries = list(found)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            waiting.append(place / entry.name)
        elif entry.name.startswith(TEMPORARY) and not entry.name.endswith((".md", ".mdx")):
            with contextlib.suppress(OSError):
                if _is_left(handle, entry.name, latest):
                    os.unlink(entry.name, dir_fd=handle)
                    yield place / entry.name


def _is_left(folder: int, name: str, latest: float) -> bool:
    status = _status(folder, name)
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_mtime > latest:
        return False
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@contextlib.contextmanager
def _temporary(folder: int, parts: Iterable[bytes], before: os.stat_result | None = None, *, durable: bool = True) -> Iterator[str]:
    """The name of a new, locked file in `folder` with these bytes, and with mode and owner of the file `before` it.

    It is removed at the end unless it was renamed.
    """
    name = f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}.tmp"
    mode = 0o666 if before is None else 0o600
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system: only the age protects the file
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(handle, rest) :]
        if before is not None:
            _take_over(handle, before)
        if durable:
            os.fsync(handle)
        yield name
    finally:
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def _take_over(handle: int, before: os.stat_result) -> None:
    ours = os.fstat(handle)
    if (ours.st_uid, ours.st_gid) != (before.st_uid, before.st_gid):
        with contextlib.suppress(PermissionError):  # only root may change the owner; the mode matters more
            os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode))


def _status(folder: int, name: str) -> os.stat_result | None:
    """The status of `name` itself, not of what a link leads to; None if there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _check_unchanged(folder: int, name: str, file: Path, expected: str) -> None:
    found = _content(folder, name, file)
    if found is None:
        raise PageMoved(file, "it was removed after it was read")
    if digest_of(found) != expected:
        raise PageMoved(file, "it changed after it was read")


def _content(folder: int, name: str, file: Path) -> bytes | None:
    """The bytes of a page; None if it is gone."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        return _all_bytes(handle, LOCK_BYTES, file)
    finally:
        os.close(handle)


_AT_ONCE = 2  # RENAME_EXCHANGE of linux/fs.h


@cache
def _renameat2() -> Any:
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # not Linux, or a C library without it
        return None


def _exchange(folder: int, one: str, other: str) -> bool:
    """Exchange two files of a folder in one step; False if this system cannot. Raises `OSError`."""
    rename = _renameat2()
    if rename is None:
        return False
    if rename(folder, os.fsencode(one), folder, os.fsencode(other), _AT_ONCE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), other)


def _put_newer_back(folder: int, temporary: str, name: str, new: bytes, file: Path, expected: str) -> None:
    """After an exchange: raise `PageMoved` and restore the page if it was saved between the last check and the exchange.

    While that save is put back, the page can be saved once more; the newest save stays.
    """
    found = _content(folder, temporary, file)
    if found is not None and digest_of(found) == expected:
        return
    ours = {new}
    while found is not None and found not in ours:
        ours.add(found)
        if not _exchange(folder, temporary, name):
            break
        found = _content(folder, temporary, file)
    raise PageMoved(file, "it changed after it was read")


def _sync_folder(folder: int) -> None:
    # The new name must reach the disk too. Some file systems cannot sync a folder; the file itself is complete in any case.
    with contextlib.suppress(OSError):
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
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
        if error.strerror in (_LEADS_OUT, _OWN_LINK):
            raise UserError(error.strerror, where=str(file), do=LINK_CURE) from None
        raise UserError(f"cannot be written ({error.strerror or error})", where=str(file)) from None


LINK_CURE = "remove the link, or set ENRICH_TRUST_FOLDER to the folder that it leads to"


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[str], None] | None = None, within: Folders | None = None) -> Iterator[None]:
    """Hold the lock file `path`, made if missing: one process at a time is inside. Raises `UserError` if the file cannot be made.

    `waiting` is called once with the holder's name ("process 12" or "") if another process has the lock. The lock file is kept.
    """
    handle = -1
    try:
        try:
            handle = open_file(path, os.O_RDWR | os.O_CREAT, within)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX if waiting is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is not None:
                    waiting(os.pread(handle, 40, 0).decode("ascii", "replace").strip())
                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            do = LINK_CURE if error.strerror in (_LEADS_OUT, _OWN_LINK) else "make the folder writable"
            raise UserError(f"cannot be locked ({error.strerror})", where=str(path), do=do) from None
        if waiting is not None:
            with contextlib.suppress(OSError):  # the name is only for people: a full disk must not stop the holder
                os.truncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        if handle >= 0:
            os.close(handle)


def check_database(file: Path, within: Folders) -> None:
    """Make the folder of an own SQLite database, and raise `OSError` if SQLite would open something that is not a regular file there."""
    with _own_folder(file.parent, within, make=True) as folder:
        for suffix in ("", "-journal", "-wal", "-shm"):
            status = _status(folder, file.name + suffix)
            if status is not None and not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, _NOT_REGULAR, f"{file}{suffix}")
