"""Turns under limits: simulated servers in virtual time, so nothing here waits and nothing depends on the machine."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import ServiceError
from enrich.llm.failures import duration, retry_after
from enrich.llm.limits import START, Limits, LimitSettings
from tests.fake_server import RateLimit
from tests.llm.virtual import VirtualLoop, in_virtual_time, simulate


@pytest.mark.parametrize("tell", ["retry-after", "retry-after-ms", "x-ratelimit", "none"])
@pytest.mark.parametrize("kind", ["window", "bucket"])
@pytest.mark.parametrize("offset", [0.0, 0.3, 0.6, 0.9])
def test_a_hundred_a_second_is_reached_and_hardly_exceeded(kind: str, tell: str, offset: float) -> None:
    run = simulate(600, server=RateLimit(100, kind, tell), offset=offset)
    assert run.done == 600
    assert run.seconds <= 6.9
    assert run.refused <= 30


@pytest.mark.parametrize("tell", ["retry-after", "none", "x-ratelimit"])
@pytest.mark.parametrize("kind", ["window", "bucket"])
def test_a_limit_that_halves_midway_is_followed(kind: str, tell: str) -> None:
    run = simulate(600, server=RateLimit(100, kind, tell, halve_after=300), offset=0.3)
    assert run.done == 600
    # Nine seconds at best: three for the first half, six for the second.
    assert run.seconds <= 9 * 1.2
    assert run.refused <= 30


def test_an_unlimited_server_is_soon_asked_at_full_concurrency() -> None:
    run = simulate(1000, latency=0.1)
    assert run.limits[0] == START
    assert run.limits[-1] == 64
    assert run.most_in_flight == 64
    assert run.refused == 0
    # 1000 / 64 rounds of 0.1 s and the time to grow; what the client computes comes on top.
    assert run.seconds < 2.2


def test_the_ceiling_is_never_exceeded() -> None:
    assert simulate(300, concurrency=5).most_in_flight == 5
    assert simulate(300, concurrency=1).most_in_flight == 1


def test_the_ceiling_holds_over_all_models() -> None:
    async def run(loop: VirtualLoop) -> int:
        limits = make(loop, concurrency=6)
        in_flight, most = 0, 0

        async def ask(model: str) -> None:
            nonlocal in_flight, most
            turn = await limits.turn(model, 10)
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(0.1)
            in_flight -= 1
            turn.clean(0.1)
            turn.end()

        await asyncio.gather(*(ask(model) for model in ("a", "b", "c") for _ in range(20)))
        return most

    assert in_virtual_time(run) == 6


def test_a_server_that_works_one_by_one_is_not_flooded() -> None:
    # Answers take as much longer as there are requests in flight: more of them gain nothing.
    run = simulate(400, latency=lambda in_flight: 0.2 * in_flight)
    assert run.done == 400
    assert max(run.limits) <= 32


def test_a_server_that_only_says_429_trips_the_breaker_once_its_time_is_over() -> None:
    run = simulate(50, fault=lambda number: "429", breaker_seconds=60.0)
    assert isinstance(run.error, ServiceError)
    assert (run.error.cause, run.error.final) == ("rate-limited", True)
    assert run.done == 0
    assert 60 <= run.seconds <= 95
    assert run.refused <= 40


@pytest.mark.parametrize("stated", ["3000", "3600"])
def test_a_very_long_retry_after_is_tried_once_more_before_the_breaker(stated: str) -> None:
    run = simulate(50, server=_Always(stated), breaker_seconds=60.0)
    assert run.error is not None
    assert 60 <= run.seconds <= 61


class _Always(RateLimit):
    def __init__(self, stated: str) -> None:
        super().__init__(1)
        self.stated = stated

    def ask(self, now: float) -> tuple[bool, dict[str, str]]:
        return False, {"retry-after": self.stated}


def test_one_success_resets_the_breaker() -> None:
    # 50 s of refusals, one answer, 50 s of refusals, and so on: never 60 s without one.
    run = simulate(5, server=_Rarely(50), breaker_seconds=60.0, concurrency=1)
    assert run.error is None
    assert run.done == 5


class _Rarely(RateLimit):
    def __init__(self, pause: float) -> None:
        super().__init__(1)
        self.pause, self.next = pause, pause

    def ask(self, now: float) -> tuple[bool, dict[str, str]]:
        if now >= self.next:
            self.next = now + self.pause
            return True, {}
        return False, {"retry-after": "1"}


def make(loop: VirtualLoop, **settings: Any) -> Limits:
    return Limits(LimitSettings(**settings), clock=loop.time, rng=random.Random(7))


def test_a_retry_after_holds_everybody() -> None:
    async def run(loop: VirtualLoop) -> list[float]:
        limits = make(loop)
        first, second = await limits.turn("fake", 1), await limits.turn("fake", 1)
        first.throttled(5.0)
        first.end()
        sent: list[float] = []

        async def ask() -> None:
            turn = await limits.turn("fake", 1)
            sent.append(loop.time())
            turn.clean(0.1)
            turn.end()

        asking = asyncio.gather(*(ask() for _ in range(3)))
        await asyncio.sleep(1)
        held = "held 4 s: the server said too many requests (429) and to wait 5.0 s"
        assert limits.status() == held
        other = await limits.turn("another", 1)
        assert limits.status() == f"fake: {held}, another: 1 of 8 at once"
        assert loop.time() == 1, "another model is not held"
        other.end()
        await asking
        second.end()
        return sent

    assert min(in_virtual_time(run)) == pytest.approx(5.0)


def test_a_503_that_only_asks_to_wait_trips_the_breaker() -> None:
    async def run(loop: VirtualLoop) -> tuple[float, ServiceError]:
        limits = make(loop, breaker_seconds=60.0)
        for _ in range(100):
            turn = await limits.turn("fake", 1)
            try:
                turn.failed(3599.0)
            except ServiceError as error:
                return loop.time(), error
            finally:
                turn.end()
        raise AssertionError("the breaker never tripped")

    seconds, error = in_virtual_time(run)
    assert (seconds, error.cause, error.final) == (60, "server", True)
    assert "finished work is kept" in error.do


def test_after_a_429_without_a_time_a_single_request_tries() -> None:
    async def run(loop: VirtualLoop) -> list[int]:
        limits = make(loop)
        (turn := await limits.turn("fake", 1)).throttled(None)
        turn.end()
        waiting = [asyncio.ensure_future(limits.turn("fake", 1)) for _ in range(5)]
        await asyncio.sleep(1)
        gone = [sum(1 for one in waiting if one.done())]
        probe = next(one for one in waiting if one.done()).result()
        probe.clean(0.1)
        probe.end()
        await asyncio.sleep(1)
        return [*gone, sum(1 for one in waiting if one.done())]

    assert in_virtual_time(run) == [1, 5]


@pytest.mark.parametrize("per_minute", [1, 2, 30, 100, 500, 6000])
def test_no_minute_holds_more_requests_than_configured(per_minute: int) -> None:
    run = simulate(min(300, per_minute * 3), requests_per_minute=float(per_minute), latency=0.01)
    starts = sorted(run.starts)
    assert all(sum(1 for one in starts if start <= one < start + 59.99) <= per_minute for start in starts)


def test_tokens_per_minute_are_kept() -> None:
    run = simulate(100, tokens_per_minute=100_000.0, tokens=5000, latency=0.01)
    starts = sorted(run.starts)
    assert max(sum(5000 for one in starts if start <= one < start + 60) for start in starts) <= 105_000
    assert run.seconds < 100 * 5000 / 100_000 * 60 * 1.2


def test_x_ratelimit_headers_hold_back_before_there_is_a_429() -> None:
    # 30 of 600 are left and come back in 6 s: five a second, not more.
    stated = {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "30", "x-ratelimit-reset-requests": "6s"}
    run = simulate(60, latency=0.01, headers=lambda now: stated)
    assert 8 <= run.seconds <= 14


@pytest.mark.parametrize("remaining", ["-5", "many", "", "nan", "inf"])
@pytest.mark.parametrize("reset", ["-1", "soon", "9999h", ""])
def test_headers_that_lie_do_not_stall_a_run(remaining: str, reset: str) -> None:
    stated = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": remaining, "x-ratelimit-reset-requests": reset}
    assert simulate(100, latency=0.01, headers=lambda now: stated).seconds < 5


def test_a_reset_in_the_far_future_is_waited_for_a_minute_at_most() -> None:
    stated = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9999h"}
    run = simulate(12, latency=0.01, headers=lambda now: stated, concurrency=2)
    assert run.done == 12
    assert run.seconds <= 12 * 61


def test_a_cancelled_wait_gives_its_turn_back() -> None:
    async def run(loop: VirtualLoop) -> int:
        limits = make(loop, concurrency=1)
        first = await limits.turn("fake", 1)
        waiting = [asyncio.ensure_future(limits.turn("fake", 1)) for _ in range(2)]
        await asyncio.sleep(0)
        first.end()
        await asyncio.sleep(0)
        # The first of the two has its turn but has not run yet.
        waiting[0].cancel()
        second = await waiting[1]
        second.end()
        return limits.in_flight

    assert in_virtual_time(run) == 0


def test_reset_times_as_servers_write_them() -> None:
    times = {"6m0s": 360, "20ms": 0.02, "1h2m3.5s": 3723.5, "2m59.56s": 179.56, "12": 12, "1d": 86400, "500us": 0.0005}
    assert {text: duration(text) for text in times} == pytest.approx(times)
    assert [duration(text) for text in (None, "", "soon", "5 parsecs", "m5", "-3", "nan", "1m-5s")] == [None] * 8


def test_retry_after_in_its_three_forms() -> None:
    now = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
    times = {"2": 2, "0.25": 0.25, "Sun, 22 Nov 2026 10:00:30 GMT": 30}
    assert {text: retry_after({"retry-after": text}, now) for text in times} == times
    assert retry_after({"retry-after-ms": "150", "retry-after": "2"}, now) == 0.15
    senseless = ("Sun, 22 Nov 2026 09:00:00 GMT", "-1", "0", "1e9", "nan", "later", "")
    assert [retry_after({"retry-after": text}, now) for text in senseless] == [None] * 7
