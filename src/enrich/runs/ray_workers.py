"""The engine `ray`: HTTP requests are sent by Ray actors, on this machine or on those of a cluster.

The driver (this process) keeps everything that must be in one place: plan, cache, budget, retries, checks, proposals, journal. A worker gets the
bytes of one request and gives back the response. One limiter actor hands out the requests and tokens of each minute to all workers, per model.
A worker that is lost is replaced, and its requests are tried again as after a lost connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from enrich.blocks import ray_processors, start_ray
from enrich.llm.client import Client, ClientSettings
from enrich.llm.costs import Prices
from enrich.llm.failures import TransientError
from enrich.llm.server import Endpoint

if TYPE_CHECKING:
    import httpx2


# About four bytes a token, as the client counts for its pacing.
_BYTES_PER_TOKEN = 4
# What an actor may do at once beyond its share of the requests in flight.
_SPARE_CALLS = 16

Answer = tuple[int, dict[str, str], bytes] | tuple[str, str, float | None, bool, bool]
"""A response (status, headers, body), or the parts of a `TransientError`: exceptions with arguments of their own do not travel."""


class Limiter:
    """Leases requests and tokens per minute, per model. One for all workers.

    >>> limiter = Limiter(60, None)
    >>> [round(limiter.lease("m", 100)) for _ in range(3)]
    [0, 1, 2]
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._per_second = {"requests": (requests_per_minute or 0) / 60, "tokens": (tokens_per_minute or 0) / 60}
        self._free: dict[tuple[str, str], float] = {}

    def lease(self, model: str, tokens: int) -> float:
        """The seconds until one request of so many tokens may be sent: it is granted for that moment."""
        now = monotonic()
        moment = now
        for kind, amount in (("requests", 1), ("tokens", tokens)):
            if rate := self._per_second[kind]:
                start = max(now, self._free.get((model, kind), 0.0))
                self._free[model, kind] = start + amount / rate
                moment = max(moment, start)
        return moment - now


class Worker:
    """Sends requests to one of the servers. `limiter` is the actor of a `Limiter`, None without a limit."""

    def __init__(self, servers: Sequence[Endpoint], settings: ClientSettings, limiter: Any) -> None:
        self._client, self._limiter = Client(servers, settings, Prices()), limiter
        # Loaded before anything is leased: requests that were due meanwhile would go out in a burst.
        for name in ("openai", "httpx2", "aiohttp"):
            import_module(name)

    async def post(self, place: int, model: str, path: str, body: bytes) -> Answer:
        """The response to one request to the server at this place of the list."""
        if self._limiter is not None:
            await asyncio.sleep(await self._limiter.lease.remote(model, len(body) // _BYTES_PER_TOKEN))
        try:
            response = await self._client.post(place, model, path, body)
        except TransientError as error:
            return error.cause, error.detail, error.asked_wait, error.sent, error.answered
        return response.status_code, dict(response.headers), response.content


@dataclass(slots=True)
class _Seat:
    """One worker and the number of its requests in flight."""

    actor: Any
    flying: int = 0


class RayWorkers:
    """The workers of one run. An async context manager; `post` is called by the client in place of its own.

    Raises `UserError` if Ray is not installed or the cluster cannot be reached.
    """

    def __init__(self, servers: Sequence[Endpoint], settings: ClientSettings, *, workers: int | None, address: str | None) -> None:
        self._servers, self._settings, self._wanted, self._address = servers, settings, workers, address
        self._seats: list[_Seat] = []
        self._limiter: Any = None
        self._ray: Any = None

    async def __aenter__(self) -> Self:
        ray = self._ray = start_ray(self._address)
        limits = self._settings.requests_per_minute, self._settings.tokens_per_minute
        if any(limits):
            self._limiter = ray.remote(num_cpus=0)(Limiter).remote(*limits)
        count = self._wanted or ray_processors(ray)
        self._seats = [self._seat() for _ in range(count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ray.shutdown()

    async def post(self, place: int, model: str, path: str, body: bytes) -> httpx2.Response:
        """The response to one request, from the worker with the fewest in flight. Raises `TransientError`."""
        import httpx2

        seat = min(self._seats, key=lambda seat: seat.flying)
        seat.flying += 1
        try:
            answer: Answer = await seat.actor.post.remote(place, model, path, body)
        except self._ray.exceptions.RayError as error:
            if seat in self._seats:
                self._seats[self._seats.index(seat)] = self._seat()
            raise TransientError("reset", f"a worker was lost ({type(error).__name__})") from None
        finally:
            seat.flying -= 1
        if len(answer) == 3:
            status, headers, content = answer
            return httpx2.Response(status, headers=headers, content=content)
        cause, detail, asked_wait, sent, answered = answer
        raise TransientError(cause, detail, asked_wait=asked_wait, sent=sent, answered=answered)

    def _seat(self) -> _Seat:
        calls = self._settings.concurrency + _SPARE_CALLS
        # What is sent is limited here; pacing is the limiter's.
        settings = replace(self._settings, requests_per_minute=None, tokens_per_minute=None)
        actor = self._ray.remote(num_cpus=0, max_concurrency=calls, scheduling_strategy="SPREAD")(Worker)
        return _Seat(actor.remote(list(self._servers), settings, self._limiter))
