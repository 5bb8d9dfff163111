"""One request to one model: client, limits, retry, cache, prices, prompt templates. Knows nothing of wikis.

Names are loaded when first used: importing this package imports neither the SDK nor the HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enrich.llm.budget import Budget, BudgetSpent
    from enrich.llm.cache import AnswerCache
    from enrich.llm.client import Client, ClientSettings
    from enrich.llm.endpoint import Endpoint, host_of
    from enrich.llm.flight import SingleFlight
    from enrich.llm.keys import bare_schema, canonical_hash, question_key
    from enrich.llm.lane import LaneState
    from enrich.llm.messages import Event, Message, Reply, Request, Tally, Usage
    from enrich.llm.prices import Price, Prices
    from enrich.llm.templates import Prompt
    from enrich.llm.tokens import Correction, estimate_tokens

_HOMES = {
    "AnswerCache": "cache",
    "Budget": "budget",
    "BudgetSpent": "budget",
    "Client": "client",
    "ClientSettings": "client",
    "Correction": "tokens",
    "Endpoint": "endpoint",
    "Event": "messages",
    "LaneState": "lane",
    "Message": "messages",
    "Price": "prices",
    "Prices": "prices",
    "Prompt": "templates",
    "Reply": "messages",
    "Request": "messages",
    "SingleFlight": "flight",
    "Tally": "messages",
    "Usage": "messages",
    "bare_schema": "keys",
    "canonical_hash": "keys",
    "estimate_tokens": "tokens",
    "host_of": "endpoint",
    "question_key": "keys",
}

__all__ = [
    "AnswerCache", "Budget", "BudgetSpent", "Client", "ClientSettings", "Correction", "Endpoint", "Event", "LaneState", "Message", "Price",
    "Prices", "Prompt", "Reply", "Request", "SingleFlight", "Tally", "Usage", "bare_schema", "canonical_hash", "estimate_tokens", "host_of",
    "question_key",
]  # fmt: skip


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
