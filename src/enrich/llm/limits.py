"""Turns: who may send a request when. One lane per model (`lane.py`), the configured ceilings over all of them."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping

from enrich.errors import ServiceError
from enrich.llm.lane import Hold, Lane, LaneState
from enrich.llm.pace import Bucket

# So many go in one round of the event loop: a 429 that is on its way is heard before the rest is sent.
_AT_ONCE = 4


class Turn:
    """Permission for one request, from `Limits.turn`. Say how it went, then `end` it (exactly once)."""

    __slots__ = ("_burst", "_lane", "_limits", "_sent_at")

    def __init__(self, limits: Limits, lane: Lane, sent_at: float) -> None:
        self._limits, self._lane, self._sent_at, self._burst = limits, lane, sent_at, lane.burst

    def heard(self, headers: Mapping[str, str]) -> None:
        """The answer's headers: the server's own limits stand there."""
        if "x-ratelimit-remaining-requests" in headers or "x-ratelimit-remaining-tokens" in headers:
            self._lane.heard(self._limits.clock(), headers)

    def clean(self, latency: float) -> None:
        self._lane.clean(self._limits.clock(), self._burst, latency)

    def failed(self, asked_wait: float | None) -> None:
        self._lane.failed(self._limits.clock(), asked_wait)

    def throttled(self, asked_wait: float | None) -> Hold:
        """A 429. Raises the final `ServiceError` when the server has said nothing else for `breaker_seconds`."""
        hold = self._lane.throttled(self._limits.clock(), self._burst, self._sent_at, asked_wait)
        if hold is None:
            raise self._limits.trip(self._lane)
        return hold

    def end(self) -> None:
        self._lane.in_flight -= 1
        self._limits.in_flight -= 1
        self._limits.wake()


class Limits:
    """Concurrency, rates and gates of one client. Not for use from several event loops."""

    def __init__(
        self,
        *,
        concurrency: int,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        breaker_seconds: float,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.clock = clock
        self.in_flight = 0
        self._ceiling, self._breaker_seconds, self._rng = concurrency, breaker_seconds, rng
        self._requests = Bucket.per_minute(requests_per_minute) if requests_per_minute else None
        # A whole page must fit through, so a tenth of a minute may go at once.
        self._tokens = Bucket(tokens_per_minute / 60 * 0.9, tokens_per_minute / 10) if tokens_per_minute else None
        self._lanes: dict[str, Lane] = {}
        self._waiting: dict[str, deque[tuple[float, asyncio.Future[Turn]]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._waking: asyncio.Handle | None = None
        self._tripped: ServiceError | None = None

    async def turn(self, model: str, tokens: float) -> Turn:
        """Waits for permission to send one request of about `tokens` tokens to `model`; first come, first served per model."""
        if self._tripped is not None:
            raise self._tripped
        lane = self._lanes.get(model)
        if lane is None:
            lane = self._lanes[model] = Lane(model, self._ceiling, self._breaker_seconds, self._rng)
            self._waiting[model] = deque()
        queue = self._waiting[model]
        if not queue and self._wait(lane, tokens) == 0:
            return self._start(lane, tokens)
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        queue.append((tokens, future))
        self.wake()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().end()
            raise

    def state(self) -> tuple[LaneState, ...]:
        """What each model's requests are doing, for a progress display."""
        now = self.clock()
        return tuple(lane.state(now, len(self._waiting[name])) for name, lane in self._lanes.items())

    def trip(self, lane: Lane) -> ServiceError:
        """Ends everything that waits: this server only says 429."""
        error = ServiceError(
            "rate-limited",
            f"`{lane.model}` has answered nothing but 429 (too many requests) for {self._breaker_seconds:.0f} s",
            final=True,
            do="run again later: what is done is kept; lower llm.requests_per_minute if it happens often",
        )
        self.stop(error)
        return error

    def stop(self, error: ServiceError) -> None:
        """No further turns: whoever waits, and whoever asks from now on, gets `error`. Turns that were given stay good."""
        self._tripped = error
        for queue in self._waiting.values():
            while queue:
                _, future = queue.popleft()
                if not future.done():
                    future.set_exception(error)

    def wake(self) -> None:
        """Looks soon who may go: once for all that ended in this round of the event loop."""
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Lets go whoever may go, a few at a time, and comes back when the next one may."""
        loop = asyncio.get_running_loop()
        self._waking = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        soonest: float | None = None
        granted = 0
        for name, queue in self._waiting.items():
            lane = self._lanes[name]
            while queue:
                tokens, future = queue[0]
                if future.done():
                    queue.popleft()
                    continue
                wait = self._wait(lane, tokens)
                if wait == 0 and granted == _AT_ONCE:
                    self.wake()
                    return
                if wait == 0:
                    queue.popleft()
                    future.set_result(self._start(lane, tokens))
                    granted += 1
                    continue
                if wait is not None and (soonest is None or wait < soonest):
                    soonest = wait
                break
        if soonest is not None:
            self._timer = loop.call_later(soonest, self.wake)

    def _wait(self, lane: Lane, tokens: float) -> float | None:
        now = self.clock()
        wait = lane.wait(now, tokens)
        if wait is None:
            return None
        if self.in_flight >= self._ceiling:
            lane.why = "requests in flight"
            return None
        for bucket, units, name in ((self._requests, 1.0, "requests_per_minute"), (self._tokens, tokens, "tokens_per_minute")):
            if bucket is not None:
                needed = bucket.wait(now, units)
                if needed > wait:
                    wait, lane.why = needed, f"llm.{name}"
        return wait

    def _start(self, lane: Lane, tokens: float) -> Turn:
        now = self.clock()
        lane.start(now, tokens)
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(now)
        if self._tokens is not None:
            self._tokens.take(now, tokens)
        return Turn(self, lane, now)
