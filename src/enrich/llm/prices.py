"""What tokens cost (the price library's offline data, or the wiki's own `[prices]`), and a budget that is never exceeded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from enrich.errors import EnrichError, UserError
from enrich.llm.messages import Usage

_MILLION = 1_000_000


class PriceOverride(Protocol):
    """One entry of `[prices]`: USD per million tokens; None means the rate of `input`."""

    @property
    def input(self) -> float: ...
    @property
    def cached_input(self) -> float | None: ...
    @property
    def cache_write(self) -> float | None: ...
    @property
    def output(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, all ≥ 0."""

    input: float
    cached_input: float
    cache_write: float
    output: float

    def cost(self, usage: Usage) -> float:
        """USD for `usage`: each part of the input at its own rate."""
        return (
            usage.fresh_input * self.input
            + usage.cached_input * self.cached_input
            + usage.cache_write * self.cache_write
            + usage.output * self.output
        ) / _MILLION

    def at_most(self, input_tokens: int, output_tokens: int) -> float:
        """The most USD that so many tokens can cost, whatever the server caches."""
        return (input_tokens * max(self.input, self.cached_input, self.cache_write) + output_tokens * self.output) / _MILLION


class Prices:
    """Prices by model name: from `overrides` (`[prices]`), else from `genai-prices`, without network."""

    def __init__(self, overrides: Mapping[str, PriceOverride] | None = None) -> None:
        self._known: dict[str, Price | None] = {name: _from_override(entry) for name, entry in (overrides or {}).items()}

    def price_of(self, model: str) -> Price | None:
        """The model's price, None if it is unknown."""
        if model not in self._known:
            self._known[model] = _from_library(model)
        return self._known[model]

    def required(self, model: str) -> Price:
        """The model's price, for a run with a budget. Raises `UserError` if it is unknown."""
        price = self.price_of(model)
        if price is None:
            raise UserError(
                f"the price of model `{model}` is unknown, so a budget cannot be kept",
                where=f'prices."{model}"',
                do=f'add [prices."{model}"] with input and output in USD per million tokens, or run without a budget',
            )
        return price


def _from_override(entry: PriceOverride) -> Price:
    return Price(
        input=entry.input,
        cached_input=entry.input if entry.cached_input is None else entry.cached_input,
        cache_write=entry.input if entry.cache_write is None else entry.cache_write,
        output=entry.output,
    )


def _from_library(model: str) -> Price | None:
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    def rate(**tokens: int) -> float:
        return float(calc_price(PricedUsage(**tokens), model_ref=model).total_price)

    # Rates can step up with the size of a request; a page and its prompts are far below the first step, so a small probe gives the rate.
    probe = 1000
    per_million = _MILLION / probe
    try:
        plain = rate(input_tokens=probe) * per_million
        output = rate(input_tokens=0, output_tokens=probe) * per_million
        cached = rate(input_tokens=probe, cache_read_tokens=probe) * per_million
        written = rate(input_tokens=probe, cache_write_tokens=probe) * per_million
    except (LookupError, ValueError):
        return None
    # Without a known cache rate the library charges nothing for it; the plain rate is a safe guess.
    return Price(plain, cached or plain, written or plain, output)


class BudgetSpent(EnrichError):  # noqa: N818 (the end that was asked for, not a failure)
    """The budget does not cover the next request, and no request in flight could free some of it."""


# Sums of floats are off by less than this, and every token costs more.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Money held for one attempt, in USD."""

    usd: float


class Budget:
    """Money in USD: what is spent plus what is reserved never exceeds `limit_usd`."""

    def __init__(self, limit_usd: float) -> None:
        self.limit_usd = limit_usd
        self.spent_usd = 0.0
        self._held: set[Reservation] = set()
        self._settled = asyncio.Event()

    @property
    def reserved_usd(self) -> float:
        return sum(held.usd for held in self._held)

    async def reserve(self, usd: float) -> Reservation:
        """Reserve `usd`, an upper bound of one attempt's cost. Waits while requests in flight may still free some; then raises `BudgetSpent`."""
        while self.spent_usd + self.reserved_usd + usd > self.limit_usd + _ROUNDING:
            if not self._held:
                raise BudgetSpent(f"${self.spent_usd:.4f} of ${self.limit_usd:.2f} is spent; the next request could cost ${usd:.4f}")
            self._settled.clear()
            await self._settled.wait()
        reservation = Reservation(usd)
        self._held.add(reservation)
        return reservation

    def settle(self, reservation: Reservation, usd: float | None) -> None:
        """Replace the reservation by what the attempt cost; None (unknown) counts as the whole reservation. Once per reservation."""
        self._held.remove(reservation)
        self.spent_usd += reservation.usd if usd is None else usd
        self._settled.set()
