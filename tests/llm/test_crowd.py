"""Many requests at once: nothing lost, nothing paid twice, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import AnswerError, ServiceError
from enrich.llm.cache import AnswerCache, SingleFlight
from enrich.llm.keys import question_key
from enrich.llm.messages import Event, Message, Reply
from enrich.llm.prices import Budget
from tests import fake_server as fake
from tests.fake_server import Seen, Serve
from tests.llm.asking import client, request


def faulty(seed: int) -> Callable[[Seen], fake.Act | None]:
    """8 % 429, 4 % 500, 1 % hangs, 2 % resets, 2 % cut off, 1 % no JSON: by the request's number, so every run meets the same."""
    chances = random.Random(seed)

    def act(seen: Seen) -> fake.Act | None:
        roll = chances.random()
        for share, made in (
            (0.08, fake.too_many(retry_after_ms="5")),
            (0.04, fake.status(500)),
            (0.01, fake.hang()),
            (0.02, fake.reset()),
            (0.02, fake.cut_off()),
            (0.01, fake.html()),
        ):
            if roll < share:
                return made
            roll -= share
        return None

    return act


def test_of_many_requests_through_all_faults_none_is_lost_and_none_is_wasted(serve: Serve) -> None:
    server = serve(faulty(5))
    faults: Counter[str] = Counter()

    def hear(event: Event) -> None:
        if event.kind == "attempt":
            faults[event.cause] += 1

    async def run() -> list[Reply | BaseException]:
        async with client(server, hear, timeout_seconds=2.0) as asking:
            return await asyncio.gather(*(asking.send(request(f"page {number}")) for number in range(300)), return_exceptions=True)

    replies = asyncio.run(run())
    failed = [one for one in replies if isinstance(one, BaseException)]
    assert len(failed) <= 3
    assert all(isinstance(one, AnswerError | ServiceError) and not getattr(one, "final", False) for one in failed)
    assert faults.total() == server.requests
    assert server.requests == 300 - len(failed) + faults.total() - faults[""], "an attempt is an answer or a fault the server made"
    assert faults["rate-limited"] == server.statuses[429]
    assert faults["server"] == server.statuses[500]
    assert set(faults) >= {"", "rate-limited", "server", "timeout", "reset", "cut-off", "invalid"}


def test_the_first_final_error_ends_what_waits_without_another_request(serve: Serve) -> None:
    server = serve(lambda seen: fake.bad_key())

    async def run() -> list[object]:
        async with client(server) as asking:
            return await asyncio.gather(*(asking.send(request(f"page {number}")) for number in range(200)), return_exceptions=True)

    errors = asyncio.run(run())
    assert all(isinstance(error, ServiceError) and error.final and error.cause == "auth" for error in errors)
    assert server.requests <= 8, "only those that were out already"


def test_a_cancelled_request_is_settled_and_leaves_nothing_in_flight(serve: Serve) -> None:
    server = serve(lambda seen: fake.hang())
    budget = Budget(10.0)

    async def run() -> int:
        async with client(server, budget=budget) as asking:
            sending = [asyncio.ensure_future(asking.send(request(f"page {number}"))) for number in range(12)]
            while server.requests < 8:
                await asyncio.sleep(0.005)
            for one in sending:
                one.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            return asking.limits.in_flight

    assert asyncio.run(run()) == 0
    assert budget.reserved_usd == 0
    assert budget.spent_usd > 0, "what was out may have been worked for"


def test_two_hundred_identical_questions_are_one_request(serve: Serve, tmp_path: Path) -> None:
    server = serve(latency=0.05)
    messages = (Message("system", "You are terse."), Message("user", "The page."))
    key = question_key(model="fake", schema=None, messages=messages, temperature=None, sample=0)

    async def run() -> set[str]:
        flight = SingleFlight(tmp_path / "flight")
        with AnswerCache(tmp_path / "answers") as cache:
            async with client(server) as asking:

                async def ask() -> str:
                    async with flight.hold([key]):
                        found = cache.get(key)
                        if found is None:
                            found = {"text": (await asking.send(request(messages=messages))).text}
                            cache.put(key, found)
                        return str(found["text"])

                return set(await asyncio.gather(*(ask() for _ in range(200))))

    texts = asyncio.run(run())
    assert len(texts) == 1
    assert set(json.loads(texts.pop())) == {"summary"}
    assert server.requests == 1
