"""What is sent to a model and what comes back: messages, requests, replies, question keys, what was spent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from enrich.errors import EnrichError


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ScoreQuestion:
    """A question for a decision endpoint: `levels` are (value, what it means), two to ten of them, the lowest first."""

    name: str
    instructions: str
    levels: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One question for one model.

    `schema` is the JSON Schema of the answer (None: free text), `schema_name` its name for the server (letters, digits, `_`, `-`).
    `temperature` None is not sent. `max_output_tokens` is the room for the answer; the client adds room for reasoning. `cache_group` names
    requests that share their first messages, so that a server which caches prompts can route them together.
    `questions` are (name, question key) of what it asks, `again` how often it asked before: an engine that answers later finds it by these.
    `measured`: the probabilities of the scores' tokens are wanted. With `scores` it goes to a decision endpoint, which generates no text.
    """

    model: str
    messages: tuple[Message, ...]
    schema: Mapping[str, object] | None
    schema_name: str
    temperature: float | None
    max_output_tokens: int
    cache_group: str = ""
    questions: tuple[tuple[str, str], ...] = ()
    again: int = 0
    measured: bool = False
    scores: tuple[ScoreQuestion, ...] = ()


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
        return Usage(**{name: count + getattr(other, name) for name, count in self.counts().items()})


class AnswerWaitsError(EnrichError):
    """The answer to a request comes later: the question stays open."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request, with everything spent on it, retries and cut-off attempts included.

    `cost_usd` is None if the model's price is unknown. `requests` counts HTTP requests. `measured` is the text with distributions in place of
    its scores, "" unless they were asked for (`score_distributions`).
    """

    text: str
    usage: Usage
    cost_usd: float | None
    requests: int
    measured: str = ""


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


# A server that refuses a few parameters needs some more requests; one question never costs more than these.
MOST_REQUESTS = 6


@dataclass(slots=True)
class Attempts:
    """The HTTP requests that are left for one question. A 429 does not count: the server has not taken the request."""

    left: int = MOST_REQUESTS


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


# Words for people: a new docstring must not lose a cache. `$comment` and `examples` are of the same kind.
_FOR_PEOPLE = frozenset({"title", "description", "$comment", "examples"})
# Below these keywords are names that the schema's author chose: "title" is a property there, not an annotation.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
# Below these are values, which are compared as they are.
_VALUES = frozenset({"enum", "const", "default", "required"})


def question_key(
    *,
    model: str,
    schema: Mapping[str, object] | None,
    messages: Sequence[Message],
    temperature: float | None,
    sample: int,
    method: str = "",
) -> str:
    """sha256 (64 hex digits) over what decides the answer to one stage's question.

    `schema`: the stage's JSON Schema; titles, descriptions and docstrings in it do not count. `messages`: the stage's rendered messages.
    `sample`: 0 for the first answer, 1 for the next one to the same question. `method`: how scores are measured, "" for a plain answer. Not part
    of it: output ceiling, timeouts, server, file paths, and which other stages went out in the same request.
    """
    # Canonical JSON sorts its keys, so the messages come first. The hash of those that all questions about one page have in common is copied
    # and not computed for each question.
    begun = _begun(tuple(messages[:-1])).copy()
    rest: dict[str, object] = {"method": method} if method else {}
    rest |= {
        "model": model,
        "sample": sample,
        "schema": None if schema is None else bare_schema(schema),
        "temperature": None if temperature is None else float(temperature),
    }
    last = "," if len(messages) > 1 else ""
    ending = ",".join(_canonical([message.role, message.content]) for message in messages[-1:])
    begun.update(f"{last}{ending}],{_canonical(rest)[1:]}".encode("utf-8", "surrogatepass"))
    return begun.hexdigest()


@lru_cache(maxsize=64)
def _begun(messages: tuple[Message, ...]) -> hashlib._Hash:
    """The hash of a question's canonical JSON up to these messages."""
    text = ",".join(_canonical([message.role, message.content]) for message in messages)
    return hashlib.sha256(f'{{"messages":[{text}'.encode("utf-8", "surrogatepass"))


def bare_schema(schema: Mapping[str, object]) -> dict[str, object]:
    """The schema without words for people: equal for equal meaning, so that the lock can have a hash of it."""
    bare: dict[str, object] = {}
    for keyword, value in schema.items():
        if keyword in _NAMED and isinstance(value, Mapping):
            bare[keyword] = {name: _bare(inner) for name, inner in value.items()}
        elif keyword not in _FOR_PEOPLE:
            bare[keyword] = value if keyword in _VALUES else _bare(value)
    return bare


def _bare(value: object) -> object:
    if isinstance(value, Mapping):
        return bare_schema(value)
    return [_bare(item) for item in value] if isinstance(value, list | tuple) else value


def canonical_hash(value: object) -> str:
    """sha256 over canonical JSON: sorted keys, no blanks, UTF-8 text as it is; NaN and infinities are refused."""
    return hashlib.sha256(_canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
