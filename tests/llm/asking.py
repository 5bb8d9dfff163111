"""What the tests of the client share: a request, and a client with no waits in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.config import PriceSection
from enrich.llm.client import Client, ClientSettings
from enrich.llm.costs import Budget, Prices
from enrich.llm.messages import Event, Message, Reply, Request, Tally
from enrich.llm.server import Endpoint
from tests.fake_server import FakeServer

SCHEMA = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"], "additionalProperties": False}
# Round figures: 1 USD per million input tokens, a tenth of it cached, 10 USD for output.
PRICES = Prices({"fake": PriceSection(input=1.0, cached_input=0.1, cache_write=1.25, output=10.0)})


def request(text: str = "Summarise this page.", **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "model": "fake",
        "messages": (Message("system", "You are terse."), Message("user", text)),
        "schema": SCHEMA,
        "schema_name": "answer",
        "temperature": None,
        "max_output_tokens": 500,
        "cache_group": "page",
    }
    return Request(**{**fields, **changes})


class Asked:
    """What one conversation with a server gave: the result or the error, the events, and what it cost."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.tally = Tally()
        self.reply: Reply | None = None
        self.error: Exception | None = None

    @property
    def text(self) -> str:
        assert self.reply is not None, self.error
        return self.reply.text

    @property
    def causes(self) -> list[str]:
        return [event.cause for event in self.events if event.kind == "attempt"]

    @property
    def notes(self) -> list[str]:
        return [event.detail for event in self.events if event.kind == "note"]


def ask(
    server: FakeServer | str,
    asked: Request | None = None,
    *,
    env: dict[str, str] | None = None,
    budget: Budget | None = None,
    prices: Prices = PRICES,
    **settings: Any,
) -> Asked:
    """Sends one request to the server and gives everything that came of it."""
    result = Asked()

    async def run() -> None:
        async with client(server, result.events.append, env=env, budget=budget, prices=prices, **settings) as asking:
            try:
                result.reply = await asking.send(asked or request(), result.tally)
            except Exception as error:  # noqa: BLE001 - the test looks at it
                result.error = error

    asyncio.run(run())
    return result


def client(
    server: FakeServer | str,
    events: Callable[[Event], None] | None = None,
    *,
    env: dict[str, str] | None = None,
    budget: Budget | None = None,
    prices: Prices = PRICES,
    **settings: Any,
) -> Client:
    """A client whose retries do not wait."""
    base_url = server if isinstance(server, str) else server.base_url
    endpoint = Endpoint.from_settings(base_url, "flag", env or {})
    return Client(endpoint, ClientSettings(**{"retry_wait_seconds": 0.0, "timeout_seconds": 20.0, **settings}), prices, budget, events)
