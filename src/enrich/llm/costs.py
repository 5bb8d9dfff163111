"""What requests cost: tokens, estimated and as servers count them; contexts; prices, a budget in USD that is never exceeded, shutdown dates.

Tokens are estimated without a tokenizer: a few counts, weighted. The weights in `_WEIGHTS` were fitted by `bench/fit_tokens.py` (least squares
on the relative error, no negative weight) against OpenAI's o200k encoding on 400 Markdown and reST documents of installed packages, this
repository's own pages, and translated program messages in eight languages. On 184 pages of another wiki, which were not part of the fit: sum
+0.7 %, median 2.0 %, 95 % of the pages within 7.5 %, the worst 12.1 %. Chinese, Japanese, Korean, Russian, Spanish within 3 % in sum, French
-7 %, German -16 %, Polish -25 %: for other languages, and for other tokenizers, `Correction` learns a factor.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from pydantic import Field, RootModel, TypeAdapter

from enrich.errors import EnrichError, UserError
from enrich.files import SETTINGS_BYTES, Folders, read_bytes, write_text_atomically
from enrich.llm.failures import number_said
from enrich.llm.messages import Reply, Request, Usage

if TYPE_CHECKING:
    from enrich.config import PriceSection

# Tokens for each match. A long word counts as a word too; its surplus is added here.
_WEIGHTS: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"[A-Za-z]+"), 0.945),
    (re.compile(r"[A-Za-z]{8,}"), 0.490),
    (re.compile(r"[0-9]{1,3}"), 1.648),
    (re.compile(r"[!-/:-@\[-`{-~]+"), 0.754),
    (re.compile(r"\n+"), 1.815),
)
# Each character outside ASCII, by script: letters of alphabets, typographic signs and symbols, ideographs and syllables and emoji.
_OUTSIDE_ASCII: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"[\u0080-\u1fff]"), 0.280),
    (re.compile(r"[\u2000-\u2e7f]"), 0.546),
    (re.compile(r"[\u2e80-\U0010ffff]"), 0.693),
)

# Tokens that a chat format adds to each message, and to the whole.
PER_MESSAGE, PER_REQUEST = 4, 3

# Without any usage of a model its factor is 1; so many estimated tokens of usage move it half-way.
_PRIOR_TOKENS = 2_000.0
# After so much usage the older usage counts half, so that a changed model shows.
_MEMORY_TOKENS = 5_000_000.0
_FURTHEST = 4.0
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# Answers use about this share of their token limit until answers of the model have been seen: limits are set for the longest answers.
_OUTPUT_SHARE = 0.35
# Estimating a page takes over a millisecond, so a run learns from its first requests and then from a few.
_LEARNT_FIRST, _LEARNT_EACH = 20, 25
_LEAST = 256

Shape = TypeVar("Shape")


def learned(shape: type[Shape], file: Path, within: Folders | None, most: int = SETTINGS_BYTES) -> Shape:
    """What earlier runs learned and kept in `file` as JSON, of at most so many bytes; empty if it is missing or damaged."""
    with suppress(OSError, ValueError):
        return TypeAdapter(shape).validate_json(read_bytes(file, within, most))
    return shape()


def keep_learned(value: object, file: Path, within: Folders | None) -> None:
    """Write what was learned; an error is ignored, because an estimate must not fail a run."""
    with suppress(UserError):
        write_text_atomically(file, json.dumps(value) + "\n", durable=False, within=within)


def estimate_tokens(text: str) -> int:
    """Estimated tokens of `text`; 0 for an empty one. English Markdown: a page within 15 %, a wiki's sum within 5 %. Under 2 ms for 20 kB."""
    total = sum(len(pattern.findall(text)) * weight for pattern, weight in _WEIGHTS)
    if not text.isascii():
        total += sum(len(pattern.findall(text)) * weight for pattern, weight in _OUTSIDE_ASCII)
    return max(1, math.ceil(total)) if text else 0


class Correction(RootModel[dict[str, tuple[_Positive, _Positive]]]):
    """Per model, how many tokens the server counts for each estimated one, learned from the usage of its answers.

    The data are model → (estimated tokens, counted tokens), each a sum; pydantic reads and writes them.
    """

    root: dict[str, tuple[_Positive, _Positive]] = {}

    def learn(self, model: str, estimated: int, counted: int) -> None:
        """Add one request: the tokens that were estimated, and the tokens that its usage states. Zeros are left out."""
        if estimated <= 0 or counted <= 0:
            return
        before, after = self.root.get(model, (0.0, 0.0))
        if before > _MEMORY_TOKENS:
            before, after = before / 2, after / 2
        self.root[model] = (before + estimated, after + counted)

    def factor(self, model: str) -> float:
        """The factor for estimates, from 1/4 to 4; 1.0 for a model without usage."""
        estimated, counted = self.root.get(model, (0.0, 0.0))
        factor = (counted + _PRIOR_TOKENS) / (estimated + _PRIOR_TOKENS)
        return min(_FURTHEST, max(1 / _FURTHEST, factor))

    def apply(self, model: str, estimated: int) -> int:
        """The estimate, corrected for `model`."""
        return round(estimated * self.factor(model))


class TokenUse:
    """How a model's token usage compares to the estimate, kept in the cache folder: `input` for prompts, `output` for answers."""

    def __init__(self, folder: Path, within: Folders | None = None) -> None:
        self._file, self._within = folder / "tokens.json", within
        self._seen = 0
        stored = learned(dict[str, Correction], self._file, within)
        self.input, self.output = stored.get("input", Correction()), stored.get("output", Correction())

    def learn(self, request: Request, reply: Reply) -> None:
        """Compare one reply's usage with the estimate. Replies that took several requests are left out: their usage covers several prompts."""
        self._seen += 1
        if reply.requests == 1 and reply.usage.input and (self._seen <= _LEARNT_FIRST or self._seen % _LEARNT_EACH == 0):
            self.input.learn(request.model, input_tokens(request), reply.usage.input)
            self.output.learn(request.model, output_tokens(request), reply.usage.output)

    def expected(self, request: Request) -> Usage:
        """The tokens that a request is likely to take."""
        given, answer = input_tokens(request), output_tokens(request)
        return Usage(self.input.apply(request.model, given), output=self.output.apply(request.model, answer))

    def save(self) -> None:
        """Write the file."""
        keep_learned({"input": self.input.root, "output": self.output.root}, self._file, self._within)


def input_tokens(request: Request) -> int:
    """Estimated tokens of a request's messages and schema, without the model's correction."""
    schema = json.dumps(request.schema, separators=(",", ":")) if request.schema is not None else ""
    messages = sum(estimate_tokens(message.content) + PER_MESSAGE for message in request.messages)
    questions = sum(estimate_tokens("\n".join([one.instructions, *(said for _, said in one.levels)])) for one in request.scores)
    return messages + estimate_tokens(schema) + questions + PER_REQUEST


def output_tokens(request: Request) -> int:
    """Estimated tokens of a request's answer, without the model's correction."""
    return round(request.max_output_tokens * _OUTPUT_SHARE)


class ContextLimits:
    """The context of each model. What servers state is kept in the cache folder."""

    def __init__(self, folder: Path, configured: int | None, within: Folders | None = None) -> None:
        self._file, self._configured, self._within = folder / "context.json", configured, within
        self._learned = learned(dict[str, int], self._file, within)
        self._known: dict[str, int | None] = {}

    def of(self, model: str) -> int | None:
        """The model's context in tokens; None if it is not known. A server's word counts more than the library's."""
        if self._configured is not None:
            return self._configured
        if model in self._learned:
            return self._learned[model]
        if model not in self._known:
            self._known[model] = _context_in_library(model)
        return self._known[model]

    def learn(self, model: str, error: str, sent: int) -> int:
        """The context that a server's error states, which is kept; else, for this process, less than the tokens that were `sent`."""
        stated = number_said("n_ctx", error) or number_said("window", error) or 0
        known = stated if stated >= _LEAST else max(_LEAST, sent * 2 // 3)
        if self._configured is not None:
            return known
        changed = self._learned.get(model) != known
        self._learned[model] = known
        if changed and known == stated:
            keep_learned(self._learned, self._file, self._within)
        return known


def _context_in_library(model: str) -> int | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, None, None)
    except (LookupError, ValueError):
        return None
    return info.context_window


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
