"""What is sent to a model and what comes back: messages, requests, replies, and what they used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question for one model.

    `schema` is the JSON Schema of the answer (None: free text), `schema_name` its name for the server (letters, digits, `_`, `-`).
    `temperature` None is not sent. `max_output_tokens` is the room for the answer; the client adds room for reasoning. `cache_group` names
    requests that share their first messages, so that a server which caches prompts can route them together.
    """

    model: str
    messages: tuple[Message, ...]
    schema: Mapping[str, object] | None
    schema_name: str
    temperature: float | None
    max_output_tokens: int
    cache_group: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counts them, all ≥ 0.

    `input` is the whole prompt. `cached_input` (read from the server's cache) and `cache_write` (written to it) are parts of `input`;
    `fresh_input` is the rest, paid at the plain rate. `output` is everything generated, reasoning included.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def fresh_input(self) -> int:
        return max(0, self.input - self.cached_input - self.cache_write)

    def counts(self) -> dict[str, int]:
        """The numbers by name, as JSON documents have them."""
        return {"input": self.input, "cached_input": self.cached_input, "cache_write": self.cache_write, "output": self.output}

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.cached_input + other.cached_input,
            self.cache_write + other.cache_write,
            self.output + other.output,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request, with everything spent on it, retries and cut-off attempts included.

    `cost_usd` is None if the model's price is unknown. `requests` counts HTTP requests.
    """

    text: str
    usage: Usage
    cost_usd: float | None
    requests: int


@dataclass(slots=True)
class Tally:
    """What was spent, summed over attempts. Hand one to `Client.send` to know it for failures too.

    An attempt whose answer has no usage adds its reserved upper bound to `cost_usd` and nothing to `usage`.
    """

    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None

    def add(self, usage: Usage, cost_usd: float | None, requests: int = 1) -> None:
        self.requests += requests
        self.usage = self.usage + usage
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd


@dataclass(frozen=True, slots=True)
class Event:
    """Something to report while requests run. Holds no page text and no key.

    `kind`: `attempt` (one HTTP request ended; `cause` is "" for a usable answer, else a short word for the failure),
    `note` (`detail` is one line for a person, e.g. that a parameter was dropped),
    `held` (all requests to `model` wait `seconds`; `detail` says why).
    """

    kind: Literal["attempt", "note", "held"]
    model: str
    detail: str = ""
    cause: str = ""
    seconds: float = 0.0
    usage: Usage | None = None
    cost_usd: float | None = None
