"""The number of tokens of a text, and what tokens cost.

Tokens are estimated without a tokenizer: a few counts, weighted. The weights in `_WEIGHTS` were fitted by `bench/fit_tokens.py` (least squares
on the relative error, no negative weight) against OpenAI's o200k encoding on 400 Markdown and reST documents of installed packages, this
repository's own pages, and translated program messages in eight languages. On 184 pages of another wiki, which were not part of the fit: sum
+0.7 %, median 2.0 %, 95 % of the pages within 7.5 %, the worst 12.1 %. Chinese, Japanese, Korean, Russian, Spanish within 3 % in sum, French
-7 %, German -16 %, Polish -25 %: for other languages, and for other tokenizers, `Correction` learns a factor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, RootModel

from enrich.errors import UserError
from enrich.llm.messages import Usage

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


_MILLION = 1_000_000
# What batches cost of the plain price, at OpenAI, Azure, Groq, Mistral and Together.
BATCH_SHARE = 0.5


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

    def input_only(self) -> Price:
        """The price of a decision endpoint: all input at the plain rate, and nothing for output."""
        return Price(self.input, self.input, self.input, 0.0)

    def times(self, share: float) -> Price:
        """The price at a discount: `share` of it."""
        return Price(*(rate * share for rate in astuple(self)))

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
            own = self._overrides.get(model)
            price = self._listed(model) if own is None else self._not_undercut(model, _from_override(own), self._from_file(model))
            self._known[model] = None if price is None else price.times(self._share)
        return self._known[model]

    def _listed(self, model: str) -> Price | None:
        """The price by provider and alias; what only the wiki's file says about them does not undercut the model's own list price."""
        source = self._source
        named = source.aliases.get(model, model)
        found = Price(0.0, 0.0, 0.0, 0.0) if source.free else _from_library(named, source.provider) or _from_library(named)
        if found is None or not source.from_file:
            return found
        return self._not_undercut(model, found, {rate.name for rate in fields(Price)})

    def _from_file(self, model: str) -> set[str]:
        """The rates of `[prices]` that only the wiki's file names."""
        named = {rate for name, rate in self._file_rates if name == model}
        # A rate that is not given is that of `input`.
        return named | ({"cached_input", "cache_write"} if "input" in named else set())

    def _not_undercut(self, model: str, own: Price, from_file: Collection[str]) -> Price:
        listed = _from_library(model) if from_file else None
        if listed is None:
            return own
        kept = Price(
            *(
                max(mine, theirs) if rate.name in from_file else mine
                for rate, mine, theirs in zip(fields(Price), astuple(own), astuple(listed), strict=True)
            )
        )
        if kept != own:
            self._note(
                f"{model}: the price in the wiki's file is below the list price, so the list price counts; "
                f"an environment variable (ENRICH_PRICES__{model}__INPUT) may set a lower one"
            )
        return kept

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


def _from_override(entry: PriceSection) -> Price:
    cached, written = (entry.input if rate is None else rate for rate in (entry.cached_input, entry.cache_write))
    return Price(entry.input, cached, written, entry.output)


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
