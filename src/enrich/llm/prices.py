"""What tokens cost, a budget in USD that is never exceeded, and the dates on which vendors shut models down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from enrich.errors import EnrichError, UserError
from enrich.llm.messages import Usage

if TYPE_CHECKING:
    from enrich.config import PriceSection

_MILLION = 1_000_000
# What batches cost of the plain price, at OpenAI, Azure, Groq, Mistral and Together.
BATCH_SHARE = 0.5
# A usage of more than so many times what was sent or allowed is a server's mistake and not counted.
MOST_TIMES = 4
# No text has more bytes for a token than this (a page of tables with long runs of blanks comes nearest).
_BYTES_PER_TOKEN = 16
# Sums of floats are off by less than this, and every token costs more.
_ROUNDING = 1e-9


class Price(NamedTuple):
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

    def input_only(self) -> Price:
        """The price of a decision endpoint: all input at the plain rate, and nothing for output."""
        return Price(self.input, self.input, self.input, 0.0)

    def times(self, share: float) -> Price:
        """The price at a discount: `share` of it."""
        return Price(*(rate * share for rate in self))

    def at_most(self, input_tokens: int, output_tokens: int) -> float:
        """The most USD that so many tokens can cost if the server caches nothing or writes everything to its cache."""
        return (input_tokens * max(self.input, self.cached_input, self.cache_write) + output_tokens * self.output) / _MILLION


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Where list prices come from: a provider of `genai-prices` ("" for any), and the models that deployments and aliases mean.

    `free`: the server is one's own. `from_file`: only the wiki's file says so.
    """

    provider: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    free: bool = False
    from_file: bool = False


class Prices:
    """Prices by model name: from `overrides` (`[prices]`), else from `genai-prices` by way of `source`, without network.

    `file_rates` are (model, rate) of the overrides that only the wiki's file names: they do not undercut a price that the library knows,
    because a cloned wiki must not switch a budget off. `note` is called with a line about each model where that made a difference.
    `share` is the part of these prices that is paid: `BATCH_SHARE` in batches.
    """

    def __init__(
        self,
        overrides: Mapping[str, PriceSection] | None = None,
        file_rates: Collection[tuple[str, str]] = (),
        note: Callable[[str], None] = lambda line: None,
        source: PriceSource | None = None,
        share: float = 1.0,
    ) -> None:
        self._overrides, self._file_rates, self._note, self._share = overrides or {}, frozenset(file_rates), note, share
        self._source = PriceSource() if source is None else source
        self._known: dict[str, Price | None] = {}

    def price_of(self, model: str) -> Price | None:
        """The model's price, None if it is unknown."""
        if model not in self._known:
            price, from_file = self._named(model)
            listed = _from_library(model) if from_file else None
            if price is not None and listed is not None:
                rates = zip(Price._fields, price, listed, strict=True)
                kept = Price(*(max(mine, theirs) if name in from_file else mine for name, mine, theirs in rates))
                if kept != price:
                    self._note(
                        f"{model}: the price in the wiki's file is below the list price, so the list price counts; "
                        f"an environment variable (ENRICH_PRICES__{model}__INPUT) may set a lower one"
                    )
                price = kept
            self._known[model] = None if price is None else price.times(self._share)
        return self._known[model]

    def _named(self, model: str) -> tuple[Price | None, Collection[str]]:
        """(the price by the settings, the names of its rates for which only the wiki's file speaks)."""
        if (own := self._overrides.get(model)) is not None:
            rates = {rate for name, rate in self._file_rates if name == model}
            # A rate that is not given is that of `input`.
            rates |= {"cached_input", "cache_write"} if "input" in rates else set()
            cached, written = (own.input if rate is None else rate for rate in (own.cached_input, own.cache_write))
            return Price(own.input, cached, written, own.output), rates
        source = self._source
        named = source.aliases.get(model, model)
        found = Price(0.0, 0.0, 0.0, 0.0) if source.free else _from_library(named, source.provider) or _from_library(named)
        return found, Price._fields if source.from_file else ()

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


def _from_library(model: str, provider: str = "") -> Price | None:
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    def rate(**tokens: int) -> float:
        return float(calc_price(PricedUsage(**tokens), model_ref=model, provider_id=provider or None).total_price)

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


def shutdown_date(host: str, model: str) -> str:
    """The date (YYYY-MM-DD) from which the vendor at `host` announced that it no longer serves a model; "" if none is known.

    From a table that is part of the package (`shutdowns.json`, with its own date); other servers may serve a model of the same name for longer.
    """
    table: dict[str, Any] = json.loads((resources.files("enrich.llm") / "shutdowns.json").read_text(encoding="utf-8"))
    announced: dict[str, list[str]] = table.get(host) or {}
    return next((date for date, models in announced.items() if model in models), "")


class BudgetSpent(EnrichError):  # noqa: N818 (the end that was asked for, not a failure)
    """The budget does not cover the next request, and no request in flight could free some of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Money held for one attempt, in USD. `bound`: its upper bound by the text sent and the output ceiling."""

    model: str
    bound: float
    usd: float


class Budget:
    """Money in USD, reserved before a request and settled after it: what is spent plus what is reserved never exceeds `limit_usd`.

    `spent_usd` starts with what others have spent.

    A server can use more than a request's bound (hidden text, ignored ceilings), so reservations are bounds times the most that the model was
    seen to use. Before anything was seen, one request at a time is sent, with up to `MOST_TIMES` its bound reserved.
    """

    def __init__(self, limit_usd: float, spent_usd: float = 0.0) -> None:
        self.limit_usd, self.spent_usd = limit_usd, spent_usd
        self._held: set[Reservation] = set()
        self._times: dict[str, float] = {}
        self._settled = asyncio.Event()

    @property
    def reserved_usd(self) -> float:
        return sum(held.usd for held in self._held)

    async def reserve(self, model: str, bound: float) -> Reservation:
        """Reserve money for one attempt. Waits while requests in flight may still free some; then raises `BudgetSpent`."""
        while True:
            left = self.limit_usd - self.spent_usd - self.reserved_usd + _ROUNDING
            times = self._times.get(model)
            wanted = bound * (times or 1.0)
            if wanted <= left and not (times is None and any(held.model == model for held in self._held)):
                break
            if not self._held:
                raise self._spent(wanted)
            await self._settled.wait()
        reservation = Reservation(model, bound, wanted if times is not None else min(MOST_TIMES * bound, left))
        self._held.add(reservation)
        return reservation

    def commit(self, bound: float) -> None:
        """Count money that will be spent later: a request of a batch. Raises `BudgetSpent` if it is not there."""
        if self.spent_usd + self.reserved_usd + bound > self.limit_usd + _ROUNDING:
            raise self._spent(bound)
        self.spent_usd += bound

    def _spent(self, wanted: float) -> BudgetSpent:
        return BudgetSpent(f"${self.spent_usd:.4f} of ${self.limit_usd:.2f} is spent; the next request could cost ${wanted:.4f}")

    def settle(self, reservation: Reservation, usd: float | None, *, seen: bool = False) -> float:
        """Replace the reservation by what the attempt cost, and return that. None (unknown) counts as the request's bound.

        `seen`: the server answered, so that `usd` says how much the model uses. More than was reserved is not counted.
        """
        self._held.remove(reservation)
        cost = min(reservation.bound if usd is None else usd, reservation.usd)
        self.spent_usd += cost
        if seen:
            times = usd / reservation.bound if usd is not None and reservation.bound else 1.0
            self._times[reservation.model] = min(MOST_TIMES, max(1.0, times, self._times.get(reservation.model, 1.0)))
        self._settled.set()
        self._settled = asyncio.Event()
        return cost


def counted_usage(stated: Usage | None, sent_bytes: int, answer_bytes: int, ceiling: int) -> tuple[Usage | None, str]:
    """(the usage that is counted, what was wrong with the stated one or ""); None: unknown, so that the attempt's upper bound counts.

    More than a few times of what was sent or allowed is a server's mistake; less than the texts' tokens at the least is raised to them.
    """
    if stated is None:
        return None, ""
    if stated.input > MOST_TIMES * sent_bytes + 1000 or stated.output > MOST_TIMES * ceiling + 1000:
        return None, "more than was sent or allowed: the upper bound counts"
    least_input, least_output = sent_bytes // _BYTES_PER_TOKEN, answer_bytes // _BYTES_PER_TOKEN
    if stated.input >= least_input and stated.output >= least_output:
        return stated, ""
    raised = Usage(max(stated.input, least_input), stated.cached_input, stated.cache_write, max(stated.output, least_output))
    return raised, "less than the texts have: their least number of tokens counts"
