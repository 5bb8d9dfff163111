"""The connections of a run that asks a model: client, answer cache, single flight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any

from enrich.config import Config
from enrich.llm.budget import Budget
from enrich.llm.cache import AnswerCache
from enrich.llm.client import Client, ClientSettings
from enrich.llm.endpoint import Endpoint
from enrich.llm.flight import SingleFlight
from enrich.llm.lane import LaneState
from enrich.llm.messages import Event
from enrich.llm.prices import Prices
from enrich.runs.estimate import Experience
from enrich.runs.local import Progress
from enrich.stages.catalogue import Stage
from enrich.wiki.pages import Page
from enrich.wiki.wiki import Wiki

# Shorter waits are the ordinary business of a rate limit (seconds).
_WORTH_TELLING = 2.0


def endpoint_of(config: Config, env: Mapping[str, str]) -> Endpoint:
    """The server that page text goes to. Raises `UserError` for one that is not trusted, and for a missing key."""
    return Endpoint.from_settings(config.llm.base_url, config.base_url_from, env)


def client_settings(config: Config) -> ClientSettings:
    llm = config.llm
    return ClientSettings(
        concurrency=llm.concurrency,
        requests_per_minute=llm.requests_per_minute,
        tokens_per_minute=llm.tokens_per_minute,
        timeout_seconds=llm.timeout_seconds,
        breaker_seconds=llm.breaker_seconds,
        structured_output=llm.structured_output,
    )


async def open_service(
    stack: AsyncExitStack, wiki: Wiki, stages: Sequence[Stage], progress: Progress, env: Mapping[str, str]
) -> dict[str, Any]:
    """The parts of an `Asker` that need closing. With a budget, every model's price must be known: `UserError` otherwise."""
    config = wiki.config
    prices = Prices(config.prices)
    budget = None
    if config.run.budget_usd is not None:
        budget = Budget(config.run.budget_usd)
        for stage in stages:
            prices.required(stage.model)

    told_until = float("-inf")

    def tell(event: Event) -> None:
        nonlocal told_until
        if event.kind == "note":
            progress.note(event.detail)
        elif event.kind == "held" and event.seconds >= _WORTH_TELLING and monotonic() >= told_until:
            # One line for a closed gate, not one for each of the requests that found it closed.
            told_until = monotonic() + event.seconds
            progress.note(f"{event.model} waits {event.seconds:.0f} s: {event.detail}")

    experience = Experience(config.cache)
    stack.callback(experience.save)
    endpoint = endpoint_of(config, env)
    answers = stack.enter_context(AnswerCache(config.cache / "answers", progress.note))
    flight = SingleFlight(config.cache / "locks")
    client = await stack.enter_async_context(Client(endpoint, client_settings(config), prices, budget, tell))
    return {
        "sender": client,
        "answers": answers,
        "hold": flight.hold,
        "baseline": _no_baseline,
        "stop_asking": client.stop,
        "learn": experience.learn,
        "throttle": lambda: throttle(client.limits.state()),
    }


def throttle(lanes: Sequence[LaneState]) -> str:
    """What is out and what holds the rest back, in a few words: `12 of 16 at once`, `held 3 s: …`."""
    told = []
    for lane in lanes:
        name = f"{lane.model}: " if len(lanes) > 1 else ""
        if lane.held_seconds > 0:
            told.append(f"{name}held {lane.held_seconds:.0f} s: {lane.why}")
        else:
            why = f" ({lane.why})" if lane.why and lane.waiting else ""
            told.append(f"{name}{lane.in_flight} of {lane.limit} at once{why}")
    return ", ".join(told)


def _no_baseline(stage: str, page: Page) -> Mapping[str, Any]:
    raise AssertionError(f"{stage} of {page.id}: a model was configured")
