"""An event loop whose clock jumps: minutes of waiting are tested in milliseconds, and always in the same order."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import ServiceError
from enrich.llm.failures import retry_after
from enrich.llm.limits import Limits, LimitSettings
from tests.fake_server import RateLimit


class _Jumping(selectors.SelectSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that never comes")
        self.loop.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _Jumping()
        selector.loop = self
        self.now = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def in_virtual_time(run: Callable[[VirtualLoop], Coroutine[Any, Any, Any]]) -> Any:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(run(loop))
    finally:
        loop.close()


@dataclass
class Outcome:
    """What a simulated run gave. `refused`: 429s; `starts`: when each accepted request was sent."""

    seconds: float = 0.0
    done: int = 0
    refused: int = 0
    most_in_flight: int = 0
    limits: list[int] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    error: ServiceError | None = None


def simulate(
    count: int,
    *,
    latency: Callable[[int], float] | float = 0.1,
    server: RateLimit | None = None,
    fault: Callable[[int], str] | None = None,
    tokens: float = 2000,
    offset: float = 0.0,
    headers: Callable[[float], dict[str, str]] | None = None,
    **settings: Any,
) -> Outcome:
    """`count` requests through `Limits` against a simulated server, in virtual time.

    `latency` by requests in flight; `fault(number)` names what happens to the nth request (`429`, `500` or ""); `offset`: the position of the
    server's clock in its second at the start.
    """
    outcome = Outcome()
    network, client_cost = 0.002, 0.001

    async def run(loop: VirtualLoop) -> None:
        limits = Limits(LimitSettings(**settings), clock=loop.time, rng=random.Random(7))
        in_flight, sent = 0, 0

        async def ask() -> None:
            nonlocal in_flight, sent
            while True:
                turn = await limits.turn("fake", tokens)
                sent += 1
                started, number = loop.time(), sent
                in_flight += 1
                outcome.most_in_flight = max(outcome.most_in_flight, in_flight)
                try:
                    # What the client itself computes for a request keeps the loop from everything else.
                    loop.now += client_cost
                    await asyncio.sleep(network / 2)
                    allowed, stated = server.ask(loop.time() + offset) if server else (True, {})
                    kind = fault(number) if fault else ""
                    takes = latency(in_flight) if callable(latency) else latency
                    if not allowed or kind == "429":
                        await asyncio.sleep(network / 2)
                        outcome.refused += 1
                        turn.throttled(retry_after(stated))
                        continue
                    await asyncio.sleep(takes)
                    turn.heard({**stated, **(headers(loop.time()) if headers else {})})
                    if kind == "500":
                        turn.failed(None)
                        continue
                    outcome.starts.append(started)
                    turn.clean(loop.time() - started)
                    outcome.limits.append(limits._models["fake"].limit)
                    outcome.done += 1
                    return
                finally:
                    in_flight -= 1
                    turn.end()

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(count):
                    tasks.create_task(ask())
        except* ServiceError as group:
            error = group.exceptions[0]
            outcome.error = error if isinstance(error, ServiceError) else None
        outcome.seconds = loop.time()

    in_virtual_time(run)
    return outcome
