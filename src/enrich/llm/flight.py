"""Single flight: the same question is out once, within a process and across processes.

Each question is a byte far out in one empty lock file, and locking it is a byte-range lock that belongs to the open file and dies with its
holder, so unrelated questions never wait for each other. Where the platform has no such locks, a fixed number of files stands in. Several are
taken in one fixed order, so two holders never wait for each other. Who has waited looks into the cache again: the answer is usually there.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from enrich.errors import UserError

# Without byte-range locks: so many files; two questions that share one wait for each other for nothing.
FILES = 1024
# A lock that another process holds is tried again after this long at first, then less often. Answers take seconds.
_FIRST_LOOK, _LONGEST_LOOK = 0.01, 0.25
# Linux: locks of an open file description (fcntl(2)); plain POSIX locks belong to the process and are lost with any close of the file.
_SETLK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
_HELD_ELSEWHERE = {errno.EAGAIN, errno.EACCES}


class SingleFlight:
    """Locks by question key below `folder` (made when needed). For one event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own: dict[int, tuple[asyncio.Lock, list[None]]] = {}
        self._file: int | None = None

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Closes the lock file; what is still held is free then."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    @asynccontextmanager
    async def hold(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Holds the questions `keys` (sha256 hex digests): nobody else does meanwhile. Raises `UserError` for an unusable folder."""
        taken: list[tuple[int, int]] = []
        try:
            for slot in sorted({_slot(key) for key in keys}):
                await self._enter(slot)
                try:
                    taken.append((slot, await self._across_processes(slot)))
                except BaseException:
                    self._leave(slot)
                    raise
            yield
        finally:
            for slot, handle in reversed(taken):
                self._free(slot, handle)
                self._leave(slot)

    async def _enter(self, slot: int) -> None:
        lock, users = self._own.setdefault(slot, (asyncio.Lock(), []))
        users.append(None)
        try:
            await lock.acquire()
        except BaseException:
            self._forget(slot)
            raise

    def _leave(self, slot: int) -> None:
        self._own[slot][0].release()
        self._forget(slot)

    def _forget(self, slot: int) -> None:
        users = self._own[slot][1]
        users.pop()
        if not users:
            del self._own[slot]

    async def _across_processes(self, slot: int) -> int:
        pause = _FIRST_LOOK
        handle = self._opened(slot)
        try:
            while not _locked(handle, slot):
                await asyncio.sleep(pause)
                pause = min(_LONGEST_LOOK, pause * 1.5)
        except OSError as error:
            self._shut(handle)
            raise self._unusable(error) from None
        except BaseException:
            self._shut(handle)
            raise
        return handle

    def _opened(self, slot: int) -> int:
        if self._file is not None:
            return self._file
        name = "questions" if _SETLK is not None else f"{slot:04d}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unusable(error) from None
        if _SETLK is not None:
            self._file = handle
        return handle

    def _unusable(self, error: OSError) -> UserError:
        return UserError(f"locks cannot be kept here ({error.strerror})", where=str(self.folder), do="make the folder writable, or move it")

    def _free(self, slot: int, handle: int) -> None:
        if _SETLK is None:
            os.close(handle)
        elif self._file == handle:
            _range_lock(handle, fcntl.F_UNLCK, slot)

    def _shut(self, handle: int) -> None:
        if handle != self._file:
            os.close(handle)


def _slot(key: str) -> int:
    number = int(key[:15], 16)  # 60 bits: far below the largest file offset, far above any chance of two questions meeting
    return number if _SETLK is not None else number % FILES


def _locked(handle: int, slot: int) -> bool:
    try:
        if _SETLK is None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _range_lock(handle, fcntl.F_WRLCK, slot)
    except OSError as error:
        if error.errno in _HELD_ELSEWHERE:
            return False
        raise
    return True


def _range_lock(handle: int, kind: int, slot: int) -> None:
    assert _SETLK is not None
    # struct flock: type, whence, start, length, pid (0 for locks of open files).
    fcntl.fcntl(handle, _SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, slot, 1, 0))
