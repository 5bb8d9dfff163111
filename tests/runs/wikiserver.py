"""What the tests of runs share: faults dealt at given places, and waiting for what a server has seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from tests.demo import honest
from tests.fake_server import Act, FakeServer, Seen


def at(faults: Mapping[int, Act], otherwise: Callable[[Seen], Act] = honest) -> Callable[[Seen], Act]:
    """The script that does `faults[n]` with the n-th request (from 0) and answers the others."""
    return lambda seen: faults.get(seen.number) or otherwise(seen)


def held(gate: threading.Event) -> Callable[[Seen], Act]:
    """The script that answers nothing before `gate` is set."""
    return lambda seen: honest(seen) if gate.wait(60) else Act(500)


def until(server: FakeServer, requests: int, seconds: float = 60.0) -> None:
    """Wait until the server has seen so many requests."""
    end = time.monotonic() + seconds
    while server.requests < requests:
        assert time.monotonic() < end, f"only {server.requests} of {requests} requests came"
        time.sleep(0.01)
