"""Work on a list, block by block: in this process, on all cores of this machine, or on a Ray cluster. The results are the same.

What is worked on travels to other processes, so a function that is handed to `Blocks.map` is one of a module, or a `partial` of one.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter
from typing import Any, TypeVar

from enrich.errors import UserError

Block = TypeVar("Block")
Result = TypeVar("Result")

# Work that takes no longer is done here: other processes need about as long to start.
_WORTH_A_POOL = 1.0
# Blocks on their way to each process: one that is worked on, and the next.
_AHEAD = 2


def start_ray(address: str | None) -> Any:
    """The package ray, connected to the cluster at `address` (None: one of its own on this machine).

    Raises `UserError` if the package is not installed, and if no cluster answers.
    """
    # Ray reports its use to its makers unless that is switched off.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise UserError("the engine `ray` needs the package ray", do="install it: pip install 'enrich[ray]'") from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        what = f"no Ray cluster answers at {address or 'this machine'} ({str(error).splitlines()[0][:200]})"
        raise UserError(what, do="check --ray-address, or leave it out to use this machine") from None
    return ray


def ray_processors(ray: Any) -> int:
    """The processors of the cluster, at least two."""
    return max(2, int(ray.cluster_resources().get("CPU", 2)))


@dataclass(slots=True)
class Blocks:
    """Where blocks are worked on: in `processes` processes of this machine, or with the package `ray` on its cluster."""

    processes: int = 1
    ray: Any = None

    def map(self, work: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]:
        """The result of `work` for each block, in order. Blocks are taken as they are needed."""
        if self.ray is not None:
            yield from self._on_ray(work, blocks)
            return
        left, started = iter(blocks), perf_counter()
        for block in left:
            yield work(block)
            if self.processes > 1 and perf_counter() - started > _WORTH_A_POOL:
                yield from self._in_processes(work, left)

    def _in_processes(self, work: Callable[[Block], Result], blocks: Iterator[Block]) -> Iterator[Result]:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # Not `fork`: this process may have threads.
        with ProcessPoolExecutor(self.processes, get_context("spawn"), _remember, (work,)) as pool:
            yield from _in_order(lambda block: pool.submit(_remembered, block).result, blocks, _AHEAD * self.processes)

    def _on_ray(self, work: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]:
        ray = self.ray
        # Sent once, however many blocks there are.
        task, shared = ray.remote(_worked), ray.put(work)

        def submit(block: Block) -> Callable[[], Result]:
            reference = task.remote(shared, block)
            return lambda: ray.get(reference)

        yield from _in_order(submit, blocks, _AHEAD * ray_processors(ray))


def _in_order(submit: Callable[[Block], Callable[[], Result]], blocks: Iterable[Block], ahead: int) -> Iterator[Result]:
    waiting: deque[Callable[[], Result]] = deque()
    for block in blocks:
        waiting.append(submit(block))
        if len(waiting) >= ahead:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def _worked(work: Callable[[Block], Result], block: Block) -> Result:
    return work(block)


# What a process of the pool does with each block; set when the process starts.
_work: Callable[[Any], Any]


def _remember(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work


def _remembered(block: Any) -> Any:
    return _work(block)


@contextmanager
def open_blocks(engine: str = "local", ray_address: str | None = None) -> Iterator[Blocks]:
    """Where blocks are worked on: all processors of this machine that this process may use, or Ray. Raises `UserError`."""
    if engine != "ray":
        yield Blocks(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
        return
    ray = start_ray(ray_address)
    try:
        yield Blocks(ray=ray)
    finally:
        ray.shutdown()
