"""Single flight: the same question is sent once at a time, within a process and across processes.

Each question is a lock file, which is removed when it is released, so unrelated questions never wait for each other. Several locks are taken
in one fixed order, so two holders never wait for each other. Whoever has waited looks into the cache again: the answer is usually there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from enrich.errors import UserError
from enrich.files import release_lock, take_lock

# A lock that another process holds is tried again after this long at first, then less often. Answers take seconds.
_FIRST_LOOK, _LONGEST_LOOK = 0.01, 0.25


class SingleFlight:
    """Locks by question key below `folder` (made when needed). For one event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def hold(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Hold the questions `keys` (sha256 hex digests) alone. Raises `UserError` for a folder that cannot be used."""
        async with AsyncExitStack() as stack:
            for key in sorted(set(keys)):
                await stack.enter_async_context(self._held(key))
            yield

    @asynccontextmanager
    async def _held(self, key: str) -> AsyncIterator[None]:
        # A waiter of this process waits for its own lock and does not look at the file again and again.
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] += 1
        try:
            async with lock:
                file = self.folder / key[:32]
                handle = await self._across_processes(file)
                try:
                    yield
                finally:
                    release_lock(handle, remove=file)
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]

    async def _across_processes(self, file: Path) -> int:
        pause = _FIRST_LOOK
        try:
            while (handle := take_lock(file, wait=False)) is None:
                await asyncio.sleep(pause)
                pause = min(_LONGEST_LOOK, pause * 1.5)
        except OSError as error:
            raise UserError(
                f"locks cannot be kept here ({error.strerror})", where=str(self.folder), do="make the folder writable, or move it"
            ) from None
        return handle
