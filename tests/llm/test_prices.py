"""Prices and the budget: never exceeded, nearly used up, and its end is reported once no request in flight can change it."""

from __future__ import annotations

import asyncio

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.config import PriceSection
from enrich.llm.messages import Usage
from enrich.llm.prices import Budget, BudgetSpent, Prices
from tests.llm.virtual import VirtualLoop, in_virtual_time


def test_reserved_and_spent_never_exceed_the_limit() -> None:
    async def run(loop: VirtualLoop) -> tuple[float, int, int]:
        budget = Budget(1.0)
        done, stopped, highest = 0, 0, 0.0

        async def ask(number: int) -> None:
            nonlocal done, stopped, highest
            try:
                held = await budget.reserve(0.2)
            except BudgetSpent:
                stopped += 1
                return
            highest = max(highest, budget.spent_usd + budget.reserved_usd)
            await asyncio.sleep(0.1 + number * 0.01)
            budget.settle(held, 0.05)
            done += 1

        await asyncio.gather(*(ask(number) for number in range(40)))
        assert highest <= 1.0 + 1e-9
        assert budget.reserved_usd == 0
        return budget.spent_usd, done, stopped

    spent, done, stopped = in_virtual_time(run)
    # The last one needs 0.2 free: 17 at 0.05 fit, and all others are refused.
    assert spent == pytest.approx(0.85)
    assert (done, stopped) == (17, 23)


def test_near_the_end_it_waits_for_settlements_first() -> None:
    async def run(loop: VirtualLoop) -> float:
        budget = Budget(1.0)
        held = await budget.reserve(0.9)
        loop.call_later(5, budget.settle, held, 0.1)
        await budget.reserve(0.5)
        return loop.time()

    assert in_virtual_time(run) == 5


def test_prices_of_our_own_win_over_the_library() -> None:
    prices = Prices(
        {"gpt-5-mini": PriceSection(input=1.0, output=2.0), "mine": PriceSection(input=3.0, cached_input=0.0, cache_write=4.0, output=5.0)}
    )
    plain, mine = prices.price_of("gpt-5-mini"), prices.price_of("mine")
    usage = Usage(input=1_000_000, cached_input=200_000, cache_write=100_000, output=1_000_000)
    assert plain.cost(usage) == 1.0 + 2.0, "without rates of their own, cached and written tokens cost what input costs"
    assert mine.cost(usage) == 0.7 * 3 + 0 + 0.1 * 4 + 5
    assert mine.at_most(1_000_000, 1_000_000) == 9.0


def test_the_library_knows_common_models_and_says_so_where_not() -> None:
    known = Prices().price_of("gpt-4o-mini")
    assert 0 < known.cached_input < known.input < known.output
    assert known.cache_write >= known.input
    assert Prices().price_of("a-model-that-does-not-exist") is None
