"""Who answers the questions of a run: the offline baseline, the answer cache alone, or a model behind a server."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from enrich.errors import UserError
from enrich.files import SETTINGS_BYTES, Folders, read_bytes, write_text_atomically
from enrich.llm.context import ContextLimits
from enrich.llm.messages import Event, Reply, Request
from enrich.llm.parameters import reasoning_room
from enrich.llm.prices import PER_MESSAGE, PER_REQUEST, Correction, estimate_tokens
from enrich.runs.results import run_folders, spent_since
from enrich.stages.stage import OFFLINE, Stage, fused_request
from enrich.wiki.pages import Page
from enrich.wiki.wiki import Wiki

if TYPE_CHECKING:
    from enrich.llm.budget import Budget
    from enrich.llm.cache import AnswerCache, SingleFlight
    from enrich.llm.client import Client

Baseline = Callable[[str, Page], Mapping[str, Any]]
# Shorter waits are normal under a rate limit (seconds).
_WORTH_A_NOTE = 2.0
# Files that a run opens beside those of its requests: databases, journal, proposals, name resolution.
_SPARE_FILES = 24
# A connection, and one that is being closed.
_FILES_PER_PAGE = 2
# Answers use about this share of their token limit until answers of the model have been seen: limits are set for the longest answers.
_OUTPUT_SHARE = 0.35
# Estimates err by up to a tenth. A schema of all stages has less than so many tokens.
_USED_CONTEXT = 0.9
_SCHEMA_TOKENS = 1500
# Estimating a page takes over a millisecond, so a run learns from its first requests and then from a few.
_LEARNT_FIRST, _LEARNT_EACH = 20, 25


class TokenUse:
    """How a model's token usage compares to the estimate, kept in the cache folder: `input` for prompts, `output` for answers."""

    def __init__(self, folder: Path, within: Folders | None = None) -> None:
        self._file, self._within = folder / "tokens.json", within
        self._seen = 0
        stored: dict[str, Correction] = {}
        with suppress(OSError, ValueError):  # missing or damaged: nothing has been learnt
            stored = TypeAdapter(dict[str, Correction]).validate_json(read_bytes(self._file, within, SETTINGS_BYTES))
        self.input, self.output = stored.get("input", Correction()), stored.get("output", Correction())

    def learn(self, request: Request, reply: Reply) -> None:
        """Compare one reply's usage with the estimate. Replies that took several requests are left out: their usage covers several prompts."""
        self._seen += 1
        if reply.requests == 1 and reply.usage.input and (self._seen <= _LEARNT_FIRST or self._seen % _LEARNT_EACH == 0):
            self.input.learn(request.model, input_tokens(request), reply.usage.input)
            self.output.learn(request.model, output_tokens(request), reply.usage.output)

    def save(self) -> None:
        """Write the file; an error is ignored, because an estimate must not fail a run."""
        with suppress(UserError):
            tree = {"input": self.input.root, "output": self.output.root}
            write_text_atomically(self._file, json.dumps(tree) + "\n", durable=False, within=self._within)


def input_tokens(request: Request) -> int:
    """Estimated tokens of a request's messages and schema, without the model's correction."""
    schema = json.dumps(request.schema, separators=(",", ":")) if request.schema is not None else ""
    messages = sum(estimate_tokens(message.content) + PER_MESSAGE for message in request.messages)
    return messages + estimate_tokens(schema) + PER_REQUEST


def output_tokens(request: Request) -> int:
    """Estimated tokens of a request's answer, without the model's correction."""
    return round(request.max_output_tokens * _OUTPUT_SHARE)


def body_room(page: Page, stages: Sequence[Stage], context: int | None, factor: float) -> int | None:
    """The estimated tokens of a page's body that fit into one request about these stages; None if the whole page fits.

    `factor` is the model's correction of estimates.
    """
    if context is None:
        return None
    request = fused_request(page, stages)
    available = context * _USED_CONTEXT - request.max_output_tokens - reasoning_room(request.model)
    # A token is at least a character: most pages need no estimate.
    if sum(len(message.content) for message in request.messages) + _SCHEMA_TOKENS <= available:
        return None
    whole = input_tokens(request) * factor
    if whole <= available:
        return None
    return max(0, int((available - whole) / factor + estimate_tokens(page.body)))


@dataclass(frozen=True, slots=True)
class Service:
    """What answers questions. With a `baseline` nothing is sent; without a `client` only the answers in the cache are found.

    `workers` pages are asked about at once.
    """

    baseline: Baseline | None = None
    answers: AnswerCache | None = None
    client: Client | None = None
    flight: SingleFlight | None = None
    tokens: TokenUse | None = None
    contexts: ContextLimits | None = None
    workers: int = 1

    def hold(self, keys: Iterable[str]) -> AbstractAsyncContextManager[None]:
        """Hold these questions: no other worker or process asks them meanwhile."""
        return nullcontext() if self.flight is None else self.flight.hold(keys)

    def stop(self, why: str) -> None:
        """Send nothing more; requests in flight are finished."""
        if self.client is not None:
            self.client.stop(why)

    def throttle(self) -> str:
        """The requests in flight and what limits them, per model."""
        return "" if self.client is None else self.client.limits.status()


def offline(wiki: Wiki) -> Service:
    """The built-in baseline: no network, no key, the same answers each time."""
    from enrich.stages.baseline import answer

    return Service(workers=wiki.config.llm.concurrency, baseline=partial(answer, dimensions=tuple(wiki.config.stages.ratings.dimensions)))


def affordable_workers() -> int:
    """How many pages can be asked about at once within this process's limit of open files."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return sys.maxsize
    with suppress(OSError):
        most -= len(os.listdir("/dev/fd"))
    return max(1, (most - _SPARE_FILES) // _FILES_PER_PAGE)


@asynccontextmanager
async def open_service(wiki: Wiki, stages: Sequence[Stage], note: Callable[[str], None], env: Mapping[str, str]) -> AsyncIterator[Service]:
    """The service that the wiki's configuration names, until the end of the block. `note` is called with lines for the user.

    Raises `UserError` for a server that is not trusted, for a missing key, and with a budget for a model without a known price.
    """
    if wiki.config.llm.backend == OFFLINE:
        yield offline(wiki)
        return
    from enrich.llm.cache import AnswerCache, SingleFlight
    from enrich.llm.client import Client, ClientSettings
    from enrich.llm.prices import Prices
    from enrich.llm.server import Endpoint

    config, llm = wiki.config, wiki.config.llm
    prices, budget = Prices(config.prices, config.file_rates, note), _budget(wiki)
    for stage in stages if budget is not None else ():
        prices.required(stage.model)
    noted_until = float("-inf")

    def on_event(event: Event) -> None:
        nonlocal noted_until
        if event.kind == "note":
            note(event.detail)
        elif event.kind == "held" and event.seconds >= _WORTH_A_NOTE and monotonic() >= noted_until:
            # One line for each hold, not one for each request that waits.
            noted_until = monotonic() + event.seconds
            note(f"{event.model} waits {event.seconds:.0f} s: {event.detail}")

    workers = min(llm.concurrency, affordable_workers())
    if workers < llm.concurrency:
        note(f"at most {workers} requests at once: this process may have few open files (`ulimit -n`)")
    settings = ClientSettings(
        concurrency=workers,
        requests_per_minute=llm.requests_per_minute,
        tokens_per_minute=llm.tokens_per_minute,
        timeout_seconds=llm.timeout_seconds,
        breaker_seconds=llm.breaker_seconds,
        structured_output=llm.structured_output,
        reasoning_room=llm.reasoning_room,
        reasoning_effort=llm.reasoning_effort,
        service_tier=llm.service_tier,
    )
    tokens, endpoint = TokenUse(config.cache, config.folders), Endpoint.from_settings(llm.base_url, config.base_url_from, env)
    contexts = ContextLimits(config.cache, llm.context_tokens, config.folders)
    with AnswerCache(config.cache / "answers", note, config.folders) as answers:
        try:
            async with Client(endpoint, settings, prices, budget, on_event) as client:
                flight = SingleFlight(config.cache / "locks", config.folders)
                yield Service(answers=answers, client=client, flight=flight, tokens=tokens, workers=workers, contexts=contexts)
        finally:
            tokens.save()


@dataclass(slots=True)
class _Spending:
    """The budget of everything that a command asks: it is spent once, however many services and models the command uses."""

    wiki: Wiki
    budget: Budget | None = None


def _budget(wiki: Wiki) -> Budget | None:
    """The budget that the configuration sets, None without one."""
    from enrich.llm.budget import Budget

    run = wiki.config.run
    if run.budget_usd is None:
        return None
    spending = wiki.shared_by_copies(_Spending)
    if spending.budget is None:
        earlier = 0.0
        if run.budget_window_hours is not None:
            earlier = spent_since(
                run_folders(wiki.config.cache / "runs", wiki.config.folders), time.time() - 3600 * run.budget_window_hours
            )
        spending.budget = Budget(run.budget_usd, earlier)
    spending.budget.limit_usd = run.budget_usd
    return spending.budget
