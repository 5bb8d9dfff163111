"""Ctrl-C and SIGTERM, treated alike: the first ends a run in order, the second at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Within: SIGTERM raises `KeyboardInterrupt`, as Ctrl-C does. Outside the main thread signals stay as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


@asynccontextmanager
async def interruptible(on_interrupt: Callable[[], None]) -> AsyncIterator[None]:
    """Within: the first signal calls `on_interrupt`, a second one cancels what is running."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    times = 0

    def handler() -> None:
        nonlocal times
        times += 1
        if times == 1:
            on_interrupt()
        elif task is not None:
            task.cancel()

    async with AsyncExitStack() as stack:
        try:
            for number in SIGNALS:
                before = signal.getsignal(number)
                loop.add_signal_handler(number, handler)
                stack.callback(signal.signal, number, before)
                stack.callback(loop.remove_signal_handler, number)
        except (NotImplementedError, RuntimeError, ValueError):
            pass  # not in the main thread, or no such signals: Ctrl-C stays as it is
        yield
