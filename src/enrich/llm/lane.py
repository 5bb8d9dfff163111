"""How hard one model may be asked just now. Pure state with the time handed in; `limits.py` does the waiting.

Three things hold a request back, and each is learned by itself:
* the **limit** of requests in flight: starts at 8, quadruples while rounds are clean and full, after the first cut grows by a tenth; cut on a
  429, at most once per interval; does not grow while there are faults or while answers take twice as long as they did at best;
* the **pace** in requests a second: unknown until a 429; then what the server did accept in the second (or ten, or sixty) before it, and
  from there up again, slowly first. The `x-ratelimit-*` headers set a pace too, before there is a 429;
* the **gate**: after a 429 or a `Retry-After` nothing is sent until it opens. Where the server does not say how long, a single request
  tries, after growing waits.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from enrich.llm.pace import Bucket
from enrich.llm.replies import duration

START = 8
# Until the first cut each clean, full round quadruples the limit: two rounds to 64, where doubling takes three.
_FAST_STEP = 3
_CUT = 0.7
_CUT_INTERVAL = 1.0
_WINDOWS = (1.0, 10.0, 60.0)
# A little below what the server took, so that clocks which differ do not cost a 429 per window.
_BELOW = 0.96
# Fewer accepted requests than this tell nothing about a rate, nor does a shorter time than this.
_TELLING, _SHORTEST = START, 0.25
_AGAIN = 0.85
# So many seconds of a pace may go at once: a busy machine wakes us late, and what was not sent meanwhile must not be lost.
_PACE_BURST = 0.05
# Where going this many times slower has not ended the 429s, or so many came in close succession although the pace was learned, they have
# another reason than the pace: forget it for a minute.
_NO_HELP, _NO_HELP_BURSTS, _NO_PACE_SECONDS = 4.0, 8, 60.0
# After a 429 the pace stays for this long, then grows by 2 % a second, doubled with every clean second.
_PACE_REST, _PACE_GROWTH, _PACE_FASTEST_GROWTH = 3.0, 0.02, 0.5
_FIRST_PROBE, _PROBE_GROWTH, _LONGEST_PROBE = 0.25, 1.2, 30.0
# Header paces apply below half of what the server grants: above, there is nothing to save. No header may stall a run longer than this.
_LONGEST_RESET = 60.0
_SLOWER_BY, _SLOWER_AT_LEAST = 2.0, 0.05


@dataclass(frozen=True, slots=True)
class LaneState:
    """For people: what a model's requests are doing. `held_seconds` > 0 means that nothing goes for so long; `why` says what limits it."""

    model: str
    limit: int
    in_flight: int
    waiting: int
    held_seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A closed gate: for how long, and why."""

    seconds: float
    why: str


class Lane:
    """The state of one model. All times are monotonic seconds."""

    def __init__(self, model: str, ceiling: int, breaker_seconds: float, rng: random.Random) -> None:
        self.model, self.ceiling, self.breaker_seconds, self._rng = model, ceiling, breaker_seconds, rng
        self.limit = min(START, ceiling)
        self.in_flight = 0
        self.burst = 0
        self.why = ""
        self._growing_fast = True
        self._done, self._full, self._faults, self._latency = 0, False, 0, 0.0
        self._best_latency: float | None = None
        self._last_cut = float("-inf")
        self._gate_until = float("-inf")
        self._gate_why = ""
        self._probing = False
        self._strikes = 0
        self._first_refusal: float | None = None
        self._burst_started = float("-inf")
        self._opened = float("-inf")
        self._first_sent = 0.0
        self._sent: deque[float] = deque(maxlen=8192)
        self._refused: deque[float] = deque(maxlen=8192)
        self._accepted: dict[float, int] = {}
        self._pace: Bucket | None = None
        self._pace_before: float | None = None
        self._first_pace = 0.0
        self._bursts, self._last_burst = 0, float("-inf")
        self._no_pace_until = float("-inf")
        self._pace_at, self._pace_bound, self._pace_step = 0.0, False, _PACE_GROWTH
        self._granted: dict[str, Bucket] = {}
        self._granted_until: dict[str, float] = {}

    # --- may one go? ---

    def wait(self, now: float, tokens: float) -> float | None:
        """Seconds until a request may go; 0: now; None: when another one has ended."""
        if now < self._gate_until:
            self.why = self._gate_why
            return self._gate_until - now
        if self._probing and self.in_flight > 0:
            self.why = "one request tries whether the limit is over"
            return None
        if self.in_flight >= self.limit:
            self._full = True
            self.why = "requests in flight"
            return None
        longest = 0.0
        if self._pace is not None:
            self._grow_pace(now)
            longest = self._pace.wait(now)
            if longest > 0:
                self._pace_bound = True
                self.why = "the server's rate limit, as learned"
        if self._granted:
            # What a header said holds until its reset and no longer: the next answer may say nothing.
            for name in [name for name in self._granted if now >= self._granted_until[name]]:
                del self._granted[name]
        for name, bucket in self._granted.items():
            needed = min(bucket.wait(now, tokens if name == "tokens" else 1.0), self._granted_until[name] - now)
            if needed > longest:
                longest, self.why = needed, f"the server's limit of {name}"
        return longest

    def start(self, now: float, tokens: float) -> None:
        """One goes."""
        self.in_flight += 1
        if not self._sent:
            self._first_sent = now
        self._sent.append(now)
        if self._pace is not None:
            self._pace.take(now)
        for name, bucket in self._granted.items():
            bucket.take(now, tokens if name == "tokens" else 1.0)

    # --- how did it end? ---

    def clean(self, now: float, burst: int, latency: float) -> None:
        """A request of `burst` came back usable after `latency` seconds."""
        self._first_refusal = None
        if burst == self.burst and self._strikes:
            self._strikes, self._probing = 0, False
            self._learn_pace(now, now - self._burst_started)
        self._done += 1
        self._latency += latency
        if self._done >= self.limit:
            self._end_round()

    def failed(self, now: float, asked_wait: float | None) -> None:
        """A request failed (5xx, timeout, reset): no growth in this round; a `Retry-After` closes the gate."""
        self._done += 1
        self._faults += 1
        if asked_wait is not None:
            self._close(now, asked_wait, f"the server asked to wait {asked_wait:.1f} s")
        if self._done >= self.limit:
            self._end_round()

    def throttled(self, now: float, burst: int, sent_at: float, asked_wait: float | None) -> Hold | None:
        """A 429 for a request of `burst`, sent at `sent_at`. None: refused for longer than the breaker allows."""
        self._done, self._full, self._faults, self._latency = 0, False, 0, 0.0
        self._refused.append(sent_at)
        if self._first_refusal is None:
            self._first_refusal = now
        elif now - self._first_refusal >= self.breaker_seconds:
            return None
        fresh = burst == self.burst
        if fresh:
            # The first 429 since the gate was last open; those that were on their way with it follow as stragglers.
            self.burst += 1
            self._strikes += 1
            self._count_burst(now)
            if self._strikes == 1:
                self._opened, self._burst_started = self._gate_until, now
                self._pace_before = self._pace.rate if self._pace else None
            if now - self._last_cut >= _CUT_INTERVAL:
                self._last_cut = now
                self._growing_fast = False
                self.limit = max(1, int(self.limit * _CUT))
            if asked_wait is None:
                wait = min(_LONGEST_PROBE, _FIRST_PROBE * _PROBE_GROWTH ** (self._strikes - 1)) * self._rng.uniform(0.9, 1.1)
                self._probing = True
                self._close(now, wait, "the server said too many requests (429)")
            else:
                self._probing = False
        if asked_wait is not None:
            # Without a pace, a server that asks to wait for a moment would be asked again and again.
            asked_wait = asked_wait if now >= self._no_pace_until else max(asked_wait, _FIRST_PROBE)
            self._close(now, asked_wait, f"the server said too many requests (429) and to wait {asked_wait:.1f} s")
        if self._strikes == 1:
            self._accepted = {window: self._accepted_since(now - window) for window in _WINDOWS}
            self._learn_pace(now, asked_wait or 0.0)
        elif fresh and asked_wait is not None and self._pace is not None:
            # The gate opened when the server said, and still it was too much.
            self._set_pace(now, self._pace.rate * _AGAIN)
        return Hold(max(0.0, self._gate_until - now), self._gate_why)

    def heard(self, now: float, headers: Mapping[str, str]) -> None:
        """Takes the `x-ratelimit-*` headers of an answer: where less than half of the grant is left, the rest is spread until its reset.

        For a server with fixed windows that is exactly what may go; one that refills all the time settles at half its grant, at full rate.
        """
        for name in ("requests", "tokens"):
            remaining = _amount(headers.get(f"x-ratelimit-remaining-{name}"))
            if remaining is None:
                continue
            grant = _amount(headers.get(f"x-ratelimit-limit-{name}"))
            reset = duration(headers.get(f"x-ratelimit-reset-{name}"))
            if not grant or not reset or remaining > grant / 2:
                self._granted.pop(name, None)
                continue
            reset = min(reset, _LONGEST_RESET)
            self._granted_until[name] = now + reset
            rate = max(remaining, 1.0) / reset
            burst = max(1.0, remaining / 20) if name == "requests" else max(1.0, remaining / 4)
            bucket = self._granted.get(name)
            if bucket is None:
                bucket = self._granted[name] = Bucket(rate, burst)
                bucket.seen = now
            bucket.change_rate(now, rate, burst)

    def state(self, now: float, waiting: int) -> LaneState:
        held = max(0.0, self._gate_until - now)
        why = self._gate_why if held else self.why if waiting else ""
        return LaneState(self.model, self.limit, self.in_flight, waiting, held, why)

    # --- inside ---

    def _end_round(self) -> None:
        latency = self._latency / max(1, self._done - self._faults)
        # What is best drifts up by a fiftieth a round, so that one lucky round does not stop growth for ever.
        best = latency if self._best_latency is None else min(self._best_latency * 1.02, latency)
        slower = latency > best * _SLOWER_BY and latency > best + _SLOWER_AT_LEAST
        if self._full and not self._faults and not slower:
            step = _FAST_STEP * self.limit if self._growing_fast else max(1, self.limit // 10)
            self.limit = min(self.ceiling, self.limit + step)
        if self._done > self._faults:
            self._best_latency = best
        self._done, self._full, self._faults, self._latency = 0, False, 0, 0.0

    def _close(self, now: float, seconds: float, why: str) -> None:
        until = now + seconds
        if self._first_refusal is not None:
            # Whatever the server asks for, it is tried once more before the breaker's time is over.
            until = min(until, self._first_refusal + self.breaker_seconds)
        if until > self._gate_until:
            self._gate_until, self._gate_why = until, why

    def _accepted_since(self, moment: float, until: float = float("inf")) -> int:
        return sum(1 for sent in self._sent if moment < sent <= until) - sum(1 for sent in self._refused if moment < sent <= until)

    def _learn_pace(self, now: float, held: float) -> None:
        """The pace after a 429, from what was accepted before it in the window that the length of the hold points to.

        Too few accepted requests say nothing: then the gate and the limit alone hold back.
        """
        if now < self._no_pace_until:
            return
        for window in _WINDOWS:
            accepted = self._accepted.get(window, 0)
            # Of the first second's slow start only a good many tell what a whole second would have taken.
            telling = _TELLING if self._burst_started - self._first_sent >= _WINDOWS[0] else 4 * _TELLING
            if held > window * 1.5 or accepted < telling:
                continue
            rate = accepted / max(1.0, min(window, self._burst_started - self._first_sent))
            # A server that saves up what was not used lets a burst through first; since the gate opened there was little to save.
            since = self._burst_started - self._opened
            if _SHORTEST <= since <= _WINDOWS[-1]:
                lately = self._accepted_since(self._opened, self._burst_started)
                if lately >= _TELLING:
                    rate = min(rate, lately / since)
            if self._pace_before is not None:
                # It was too fast, whatever the count says; and one odd moment must not stop everything.
                rate = max(min(rate, self._pace_before), self._pace_before / 2)
            self._set_pace(now, _BELOW * rate)
            return

    def _set_pace(self, now: float, rate: float) -> None:
        if self._pace is None:
            self._pace = Bucket(rate, 1.0)
            self._pace.seen = now
            self._first_pace = rate
        elif rate < self._first_pace / _NO_HELP:
            self._forget_pace(now)
            return
        self._pace.change_rate(now, rate, max(1.0, rate * _PACE_BURST))
        self._pace_at, self._pace_bound, self._pace_step = now + _PACE_REST, False, _PACE_GROWTH

    def _count_burst(self, now: float) -> None:
        since = now - self._last_burst
        if since < _SHORTEST:
            return
        self._bursts = self._bursts + 1 if since < _PACE_REST else 1
        self._last_burst = now
        if self._bursts > _NO_HELP_BURSTS:
            self._forget_pace(now)

    def _forget_pace(self, now: float) -> None:
        self._pace, self._pace_before, self._no_pace_until = None, None, now + _NO_PACE_SECONDS

    def _grow_pace(self, now: float) -> None:
        if self._pace is None or now < self._pace_at + 1.0:
            return
        if self._pace_bound:
            rate = self._pace.rate * (1 + self._pace_step)
            self._pace.change_rate(now, rate, max(1.0, rate * _PACE_BURST))
            self._pace_step = min(_PACE_FASTEST_GROWTH, self._pace_step * 2)
        self._pace_at, self._pace_bound = now, False


def _amount(text: str | None) -> float | None:
    try:
        value = float(text) if text else -1.0
    except ValueError:
        return None
    return value if 0 <= value < 1e12 else None
