"""When a request may be sent: concurrency, rates and waits, one set of limits for each model and the configured ceilings over all of them.

Three things hold a request back, and each is learned separately:
* the **limit** of requests in flight: starts at 8, quadruples while rounds are clean and full, after the first cut grows by a tenth. It is
  cut on a 429, at most once per interval, and does not grow while there are faults or while answers take twice as long as they did at best;
* the **pace** in requests a second: unknown until a 429, then what the server accepted in the second before it, and from there up again.
  Without it, a server that allows 100 requests a second refuses 5 to 20 % of 600 requests instead of 1 %. The `x-ratelimit-*` headers set a
  pace before there is a 429;
* the **gate**: after a 429 or a `Retry-After` nothing is sent until it opens. If the server does not say how long, single requests try after
  growing waits.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from enrich.errors import ServiceError
from enrich.llm.failures import amount, duration

START = 8
# Until the first cut each clean, full round quadruples the limit: two rounds to 64, where doubling takes three.
_FAST_STEP = 3
_CUT = 0.7
_CUT_INTERVAL = 1.0
# A little below what the server accepted, so that clocks which differ do not cost a 429 in every window.
_BELOW = 0.96
_UNLIMITED = float("inf")
# After a 429 at a pace that was learned; after another one as soon as the gate has opened.
_LESS, _STILL_LESS = 0.9, 0.85
# Some milliseconds of a pace may be sent at once: a busy machine wakes us late, and what was not sent meanwhile must not be lost.
_PACE_BURST = 0.05
# If a quarter of the first pace has not ended the 429s, they have another cause: no pace for a minute.
_NO_HELP, _NO_PACE_SECONDS = 4.0, 60.0
# After a 429 the pace is kept for this long, then grows by 2 % a second, doubled with every clean second.
_PACE_REST, _PACE_GROWTH, _PACE_FASTEST_GROWTH = 3.0, 0.02, 0.5
_FIRST_PROBE, _PROBE_GROWTH, _LONGEST_PROBE = 0.25, 1.2, 30.0
# No header may stall a run for longer than this.
_LONGEST_RESET = 60.0
_SLOWER_BY, _SLOWER_AT_LEAST = 2.0, 0.05
# So many requests refused in a row (400) end a run, and as many more as may be in flight while a few parameters are learned.
_UNUSABLE, _UNUSABLE_EACH = 20, 4
# At most this many are sent in one round of the event loop: a 429 that is on its way is read before the rest is sent.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How hard a server may be asked: `concurrency` is a ceiling over all models, `breaker_seconds` how long one may refuse everything."""

    concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    breaker_seconds: float = 300.0

    def shared_by(self, servers: int) -> LimitSettings:
        """The settings of each of so many servers: rates are divided."""
        requests, tokens = (None if rate is None else rate / servers for rate in (self.requests_per_minute, self.tokens_per_minute))
        return LimitSettings(self.concurrency, requests, tokens, self.breaker_seconds)


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` units a second, `burst` units at once. A request larger than the burst takes a full bucket and leaves a debt.

    A request is one unit, or its tokens. `why` is what people read while they wait for it. After `until` it counts no longer.
    """

    rate: float
    burst: float
    why: str = ""
    of_tokens: bool = False
    seen: float = 0.0
    until: float = float("inf")
    level: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.burst

    def wait(self, now: float, tokens: float) -> float:
        """Seconds until a request of so many tokens may be sent; 0: now."""
        self._refill(now)
        lacking = min(tokens if self.of_tokens else 1.0, self.burst) - self.level
        # Less than a millionth of a unit is rounding.
        return lacking / self.rate if lacking > 1e-6 else 0.0

    def take(self, now: float, tokens: float) -> None:
        self._refill(now)
        self.level -= tokens if self.of_tokens else 1.0

    def change_rate(self, now: float, rate: float, burst: float) -> None:
        self._refill(now)
        self.rate, self.burst, self.level = rate, burst, min(self.level, burst)

    def _refill(self, now: float) -> None:
        if now > self.seen:
            self.level = min(self.burst, self.level + (now - self.seen) * self.rate)
            self.seen = now


class Pace(Bucket):
    """The requests a second that a server accepts: unlimited until a 429, then learned, then growing again."""

    def __init__(self) -> None:
        super().__init__(_UNLIMITED, 1.0, "the server's rate limit, as learned")
        self.before = self._first = _UNLIMITED
        # A pace did not help a short time ago, so that none is set until then.
        self.off_until = float("-inf")
        self._checked, self._bound, self._step = 0.0, False, _PACE_GROWTH

    def wait(self, now: float, tokens: float) -> float:
        """Seconds until the next request; 0: now."""
        if self.rate < _UNLIMITED and now >= self._checked + 1.0:
            if self._bound:
                self._change(now, self.rate * (1 + self._step))
                self._step = min(_PACE_FASTEST_GROWTH, self._step * 2)
            self._checked, self._bound = now, False
        wait = super().wait(now, tokens)
        self._bound = self._bound or wait > 0
        return wait

    def learn(self, now: float, accepted: int) -> None:
        """Set the pace from what was `accepted` in the last second, and in any case below the pace `before` the burst."""
        rate = _BELOW * accepted
        if self.before < _UNLIMITED:
            # One odd moment must not stop everything.
            rate = max(min(rate, _LESS * self.before), self.before / 2)
        self._set(now, rate)

    def lower(self, now: float) -> None:
        """Lower the pace, because the gate opened when the server said and it was still too much."""
        if self.rate < _UNLIMITED:
            self._set(now, self.rate * _STILL_LESS)

    def _set(self, now: float, rate: float) -> None:
        if now < self.off_until:
            return
        if self.rate == _UNLIMITED:
            self._first, self.level, self.seen = rate, 1.0, now
        elif rate < self._first / _NO_HELP:
            self.rate, self.off_until = _UNLIMITED, now + _NO_PACE_SECONDS
            return
        self._change(now, rate)
        self._checked, self._bound, self._step = now + _PACE_REST, False, _PACE_GROWTH

    def _change(self, now: float, rate: float) -> None:
        self.change_rate(now, rate, max(1.0, rate * _PACE_BURST))


class ModelLimits:
    """The limits of one model, and who waits for them. Without side effects: all times are handed in, in monotonic seconds.

    `ceilings` are the configured rates, over all models.
    """

    def __init__(self, model: str, settings: LimitSettings, ceilings: Sequence[Bucket]) -> None:
        self.model, self.settings, self._ceilings = model, settings, ceilings
        self.waiting: deque[tuple[float, asyncio.Future[Turn]]] = deque()
        self.limit = min(START, settings.concurrency)
        self.in_flight = 0
        # Requests sent before the first 429 of a burst belong to that burst: their 429s say nothing new.
        self.burst = 0
        self.why = ""
        self.growing_fast = True
        self.new_round()
        self._best_latency: float | None = None
        self.last_cut = float("-inf")
        self.gate_until, self.gate_why = float("-inf"), ""
        self.probing = False
        self.strikes = 0
        self.first_refusal: float | None = None
        self.unusable = 0
        self.first_sent = float("inf")
        self.sent: deque[float] = deque(maxlen=8192)
        self.pace = Pace()
        self.granted: dict[str, Bucket] = {}

    def wait(self, now: float, tokens: float) -> float | None:
        """Seconds until a request of so many tokens may be sent; 0: now; None: when another one has ended."""
        if now < self.gate_until:
            self.why = self.gate_why
            return self.gate_until - now
        if self.probing and self.in_flight > 0:
            self.why = "one request tries whether the limit is over"
            return None
        if self.in_flight >= self.limit:
            self._full = True
            self.why = "requests in flight"
            return None
        longest = 0.0
        for bucket in (self.pace, *self.granted.values(), *self._ceilings):
            # A header counts until its reset: the next answer may have none.
            needed = min(bucket.wait(now, tokens), bucket.until - now)
            if needed > longest:
                longest, self.why = needed, bucket.why
        return longest

    def start(self, now: float, tokens: float) -> None:
        """A request is sent."""
        self.in_flight += 1
        self.first_sent = min(self.first_sent, now)
        self.sent.append(now)
        for bucket in (self.pace, *self.granted.values(), *self._ceilings):
            bucket.take(now, tokens)

    def grant(self, now: float, name: str, remaining: float, granted: float | None, reset: float | None) -> None:
        """The server grants `remaining` requests or tokens of `granted` for the next `reset` seconds."""
        if not granted or not reset or remaining > granted / 2:
            self.granted.pop(name, None)
            return
        reset = min(reset, _LONGEST_RESET)
        rate = max(remaining, 1.0) / reset
        burst = max(1.0, remaining / (20 if name == "requests" else 4))
        bucket = self.granted.get(name)
        if bucket is None or bucket.until <= now:
            bucket = self.granted[name] = Bucket(rate, burst, f"the server's limit of {name}", name == "tokens", seen=now)
        bucket.change_rate(now, rate, burst)
        bucket.until = now + reset

    def status(self, now: float) -> str:
        """The requests in flight and what limits them: `12 of 16 at once (…)`, `held 3 s: …`."""
        if now < self.gate_until:
            return f"held {self.gate_until - now:.0f} s: {self.gate_why}"
        return f"{self.in_flight} of {self.limit} at once{f' ({self.why})' if self.why and self.waiting else ''}"

    def count(self, latency: float | None) -> None:
        """One request of the round has ended, after `latency` seconds, None: failed; with the last one the limit may grow."""
        self._done += 1
        self._faults += latency is None
        self._latency += latency or 0.0
        if self._done < self.limit:
            return
        mean = self._latency / max(1, self._done - self._faults)
        # The best latency drifts up by a fiftieth a round, so that one lucky round does not stop growth for ever.
        best = mean if self._best_latency is None else min(self._best_latency * 1.02, mean)
        slower = mean > best * _SLOWER_BY and mean > best + _SLOWER_AT_LEAST
        if self._full and not self._faults and not slower:
            step = _FAST_STEP * self.limit if self.growing_fast else max(1, self.limit // 10)
            self.limit = min(self.settings.concurrency, self.limit + step)
        if self._done > self._faults:
            self._best_latency = best
        self.new_round()

    def new_round(self) -> None:
        self._done, self._full, self._faults, self._latency = 0, False, 0, 0.0

    def refused_too_long(self, now: float) -> bool:
        """Note one more refusal. Whether the server has sent nothing else for as long as the breaker allows."""
        if self.first_refusal is None:
            self.first_refusal = now
        return now - self.first_refusal >= self.settings.breaker_seconds

    def useless(self, cause: str, what: str, more: str = "") -> ServiceError:
        return ServiceError(cause, f"`{self.model}` has {what}", final=True, do=f"run again later: finished work is kept{more}")

    def close(self, now: float, seconds: float, why: str) -> None:
        until = now + seconds
        if self.first_refusal is not None:
            # However long the server asks to wait, one more request is sent before the breaker's time is over.
            until = min(until, self.first_refusal + self.settings.breaker_seconds)
        if until > self.gate_until:
            self.gate_until, self.gate_why = until, why


class Turn:
    """Permission for one request, from `Limits.turn`. Report how it went, which changes its model's limits, then call `end` (exactly once).

    `failed`, `unusable` and `throttled` raise the final `ServiceError` if the server has answered nothing else for too long.
    """

    __slots__ = ("_burst", "_limits", "_model", "_sent_at")

    def __init__(self, limits: Limits, model: ModelLimits, sent_at: float) -> None:
        self._limits, self._model, self._sent_at, self._burst = limits, model, sent_at, model.burst

    def end(self) -> None:
        self._model.in_flight -= 1
        self._limits.in_flight -= 1
        self._limits.wake()

    def clean(self, latency: float) -> None:
        """The request got a usable answer after `latency` seconds."""
        model = self._model
        model.first_refusal, model.unusable = None, 0
        if self._burst == model.burst:
            model.strikes, model.probing = 0, False
        model.count(latency)

    def failed(self, asked_wait: float | None) -> None:
        """The request failed (5xx, timeout, reset): no growth in this round; a `Retry-After` closes the gate."""
        model, now = self._model, self._limits.clock()
        model.count(None)
        if asked_wait is not None:
            if model.refused_too_long(now):
                raise model.useless("server", f"only asked to wait for {model.settings.breaker_seconds:.0f} s")
            model.close(now, asked_wait, f"the server asked to wait {asked_wait:.1f} s")

    def unusable(self, detail: str) -> None:
        """The request was refused for what is in it (400). After so many in a row the next ones will be too."""
        model = self._model
        model.unusable += 1
        if model.unusable > _UNUSABLE + _UNUSABLE_EACH * model.limit:
            raise model.useless("bad-request", f"refused every request ({detail})")

    def throttled(self, asked_wait: float | None) -> tuple[float, str]:
        """A 429: the seconds for which all requests to the model are held, and why."""
        model, now, pace = self._model, self._limits.clock(), self._model.pace
        model.new_round()
        with suppress(ValueError):
            model.sent.remove(self._sent_at)
        if model.refused_too_long(now):
            what = f"answered nothing but 429 (too many requests) for {model.settings.breaker_seconds:.0f} s"
            raise model.useless("rate-limited", what, "; lower llm.requests_per_minute if it happens often")
        first_of_burst = self._burst == model.burst
        if first_of_burst:
            model.burst += 1
            model.strikes += 1
            pace.before = pace.rate
            if now - model.last_cut >= _CUT_INTERVAL:
                model.last_cut = now
                model.growing_fast = False
                model.limit = max(1, int(model.limit * _CUT))
        if asked_wait is not None:
            # Without a pace, a server that asks for a very short wait would be asked again and again.
            asked_wait = max(asked_wait, _FIRST_PROBE) if now < pace.off_until else asked_wait
            model.probing = False
            model.close(now, asked_wait, f"the server said too many requests (429) and to wait {asked_wait:.1f} s")
        elif first_of_burst:
            wait = min(_LONGEST_PROBE, _FIRST_PROBE * _PROBE_GROWTH ** (model.strikes - 1)) * self._limits.rng.uniform(0.9, 1.1)
            model.probing = True
            model.close(now, wait, "the server said too many requests (429)")
        if model.strikes == 1:
            accepted = sum(1 for sent in model.sent if sent > now - 1.0)
            # A few accepted requests say nothing about a rate, in the slow first second not even many.
            if accepted >= (START if now - model.first_sent >= 1.0 else 4 * START):
                pace.learn(now, accepted)
        elif first_of_burst and asked_wait is not None:
            pace.lower(now)
        return max(0.0, model.gate_until - now), model.gate_why

    def heard(self, headers: Mapping[str, str]) -> None:
        """Read the `x-ratelimit-*` headers of an answer: if less than half of the grant is left, the rest is spread until its reset.

        For a server with fixed windows that is exactly what may be sent; one that refills all the time settles at half its grant, at full rate.
        """
        for name in ("requests", "tokens"):
            remaining = amount(headers.get(f"x-ratelimit-remaining-{name}"))
            if remaining is not None:
                granted, reset = amount(headers.get(f"x-ratelimit-limit-{name}")), duration(headers.get(f"x-ratelimit-reset-{name}"))
                self._model.grant(self._limits.clock(), name, remaining, granted, reset)


class Limits:
    """Concurrency, rates and gates of one client. For one event loop."""

    def __init__(self, settings: LimitSettings, *, clock: Callable[[], float], rng: random.Random) -> None:
        self.clock, self.rng, self.in_flight = clock, rng, 0
        self._settings = settings
        self._ceilings: list[Bucket] = []
        if requests := settings.requests_per_minute:
            # At most so many in any 60 seconds, a second's worth at once.
            burst = max(1.0, requests / 60)
            self._ceilings.append(Bucket((requests - burst + 1) / 60, burst, "llm.requests_per_minute"))
        if tokens := settings.tokens_per_minute:
            # A whole page must fit through, so a tenth of a minute may be sent at once.
            self._ceilings.append(Bucket(tokens / 60 * 0.9, tokens / 10, "llm.tokens_per_minute", of_tokens=True))
        self._models: dict[str, ModelLimits] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._waking: asyncio.Handle | None = None
        self._stopped: ServiceError | None = None

    async def turn(self, model: str, tokens: float) -> Turn:
        """Wait for permission to send one request of about `tokens` tokens to `model`; first come, first served per model."""
        if self._stopped is not None:
            raise self._stopped
        limits = self._models.get(model)
        if limits is None:
            limits = self._models[model] = ModelLimits(model, self._settings, self._ceilings)
        if not limits.waiting and self._wait(limits, tokens) == 0:
            return self._start(limits, tokens)
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        limits.waiting.append((tokens, future))
        self.wake()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().end()
            raise

    def status(self) -> str:
        """What each model's requests are doing, on one line."""
        now, named = self.clock(), len(self._models) > 1
        return ", ".join(f"{f'{name}: ' if named else ''}{limits.status(now)}" for name, limits in self._models.items())

    def is_held(self, model: str) -> bool:
        """Whether the server asked to wait with requests to this model."""
        return model in self._models and self.clock() < self._models[model].gate_until

    def stop(self, error: ServiceError) -> None:
        """Give no further turns: all who wait, and all who ask from now on, get `error`. Turns that were given stay valid."""
        self._stopped = error
        for limits in self._models.values():
            while limits.waiting:
                _, future = limits.waiting.popleft()
                if not future.done():
                    future.set_exception(error)

    def wake(self) -> None:
        """Look soon who may go on: once for all that ended in this round of the event loop."""
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_soon(self._give_turns)

    def _give_turns(self) -> None:
        """Give turns to those who may send, a few at a time, and set a timer for the next one."""
        self._waking = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waits: list[float] = []
        given = 0
        for limits in self._models.values():
            while limits.waiting:
                tokens, future = limits.waiting[0]
                if future.done():
                    limits.waiting.popleft()
                    continue
                wait = self._wait(limits, tokens)
                if wait != 0:
                    waits += [] if wait is None else [wait]
                    break
                if given == _AT_ONCE:
                    self.wake()
                    return
                limits.waiting.popleft()
                future.set_result(self._start(limits, tokens))
                given += 1
        if waits:
            self._timer = asyncio.get_running_loop().call_later(min(waits), self.wake)

    def _wait(self, limits: ModelLimits, tokens: float) -> float | None:
        wait = limits.wait(self.clock(), tokens)
        if wait is not None and self.in_flight >= self._settings.concurrency:
            limits.why = "requests in flight"
            return None
        return wait

    def _start(self, limits: ModelLimits, tokens: float) -> Turn:
        now = self.clock()
        limits.start(now, tokens)
        self.in_flight += 1
        return Turn(self, limits, now)
