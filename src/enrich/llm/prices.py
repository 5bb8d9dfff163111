"""What tokens cost: the price library's offline data, or the wiki's own `[prices]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from enrich.errors import UserError
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
        """USD that so many tokens cannot exceed, whatever the server caches."""
        return (input_tokens * max(self.input, self.cached_input, self.cache_write) + output_tokens * self.output) / _MILLION


class Prices:
    """Prices by model name. `overrides` (from `[prices]`) win; other names are looked up in `genai-prices`, without network."""

    def __init__(self, overrides: Mapping[str, PriceOverride] | None = None) -> None:
        self._known: dict[str, Price | None] = {name: _from_override(entry) for name, entry in (overrides or {}).items()}

    def price_of(self, model: str) -> Price | None:
        """The model's price, None where nobody knows it."""
        if model not in self._known:
            self._known[model] = _from_library(model)
        return self._known[model]

    def required(self, model: str) -> Price:
        """The model's price, for when a budget must hold. Raises `UserError` where it is unknown."""
        price = self.price_of(model)
        if price is None:
            raise UserError(
                f"nobody knows the price of model `{model}`, so a budget cannot be kept",
                where=f'prices."{model}"',
                do=f'add [prices."{model}"] with input and output in USD per million tokens, or leave the budget out',
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
    # A library that does not know a cache rate charges nothing for it; the plain rate is the honest guess.
    return Price(plain, cached or plain, written or plain, output)
