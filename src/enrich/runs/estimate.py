"""What a plan would cost: requests, tokens and USD, without asking anybody."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enrich.config import Config
from enrich.errors import UserError
from enrich.files import write_text_atomically
from enrich.llm.messages import Request, Usage
from enrich.llm.prices import Prices
from enrich.llm.tokens import PER_MESSAGE, PER_REQUEST, Correction, estimate_tokens
from enrich.runs.planning import Plan
from enrich.runs.spending import counts
from enrich.stages.catalogue import OFFLINE, Stage
from enrich.stages.fusing import fused_request, groups
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

# Answers fill about this share of their ceiling, until the answers of this model have been seen: ceilings are set for the longest that are
# still wanted.
_OUTPUT_SHARE = 0.35
# Estimating a page takes a good millisecond, so a run learns from its first requests and then from a few.
_LEARNT_FIRST, _LEARNT_EACH = 20, 25


@dataclass(frozen=True, slots=True)
class Estimate:
    """Requests and tokens of a plan; `cost_usd` is None where a model's price is unknown, `host` "" where nothing leaves the machine."""

    requests: int
    usage: Usage
    cost_usd: float | None
    host: str
    model: str

    def to_json(self) -> dict[str, Any]:
        """The part of `plan --json` that is not the states."""
        return {
            "requests": self.requests,
            "tokens": counts(self.usage),
            "cost_usd": self.cost_usd,
            "host": self.host,
            "model": self.model,
        }


class Experience:
    """How a model's usage compares to what was estimated, kept in the cache folder: `input` for prompts, `output` for answers."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "tokens.json"
        self._met = 0
        tree: Any = {}
        with suppress(OSError, ValueError):  # it may be missing or damaged: then nothing has been seen
            tree = json.loads(self._file.read_text(encoding="utf-8"))
        given: Mapping[str, Any] = tree if isinstance(tree, Mapping) else {}
        self.input, self.output = Correction.from_json(given.get("input")), Correction.from_json(given.get("output"))

    def learn(self, request: Request, usage: Usage, requests: int) -> None:
        """Take in what one request took. Where it took several attempts, their usage is of several prompts and says nothing plain."""
        self._met += 1
        if requests == 1 and usage.input and (self._met <= _LEARNT_FIRST or self._met % _LEARNT_EACH == 0):
            self.input.learn(request.model, input_tokens(request), usage.input)
            self.output.learn(request.model, output_tokens(request), usage.output)

    def save(self) -> None:
        """Keep it. Raises nothing: an estimate is not worth a run."""
        with suppress(UserError):
            tree = {"input": self.input.to_json(), "output": self.output.to_json()}
            write_text_atomically(self._file, json.dumps(tree) + "\n", durable=False)


def input_tokens(request: Request) -> int:
    """Tokens of a request's prompt with its schema, not yet corrected for the model."""
    schema = json.dumps(request.schema, separators=(",", ":")) if request.schema is not None else ""
    messages = sum(estimate_tokens(message.content) + PER_MESSAGE for message in request.messages)
    return messages + estimate_tokens(schema) + PER_REQUEST


def output_tokens(request: Request) -> int:
    return round(request.max_output_tokens * _OUTPUT_SHARE)


def estimate(wiki: Wiki, plan: Plan, stages: Sequence[Stage]) -> Estimate:
    """The cost of asking what is due, as if no answer were cached and none had to be asked for again."""
    config = wiki.config
    if config.llm.backend == OFFLINE:
        return Estimate(0, Usage(), 0.0, "", OFFLINE)
    by_name = {stage.name: stage for stage in stages}
    prices, seen = Prices(config.prices), Experience(config.cache)
    requests, usage, cost = 0, Usage(), 0.0
    known = True
    for file, names in plan.due:
        page = read_page(file)
        for group in groups([by_name[name] for name in names], fuse=config.llm.fuse):
            # Samples beyond the first are asked for by those stages alone that want them.
            for sample in range(max(stage.samples for stage in group)):
                request = fused_request(page, [stage for stage in group if stage.samples > sample])
                one = Usage(
                    input=seen.input.apply(request.model, input_tokens(request)),
                    output=seen.output.apply(request.model, output_tokens(request)),
                )
                requests, usage = requests + 1, usage + one
                price = prices.price_of(request.model)
                known = known and price is not None
                cost += price.cost(one) if price else 0.0
    return Estimate(requests, usage, round(cost, 6) if known else None, _host(config), config.llm.model)


def _host(config: Config) -> str:
    from enrich.runs.service import endpoint_of

    return endpoint_of(config, {"OPENAI_API_KEY": "none", **os.environ}).host
