"""The question key: what makes two questions the same (DESIGN.md section 4.5)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

from enrich.llm.messages import Message

# Words for people: a new docstring must not lose a cache. `$comment` and `examples` are of the same kind.
_FOR_PEOPLE = frozenset({"title", "description", "$comment", "examples"})
# Below these keywords are names that the schema's author chose: "title" is a property there, not an annotation.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
# Below these are values, which are compared as they are.
_VALUES = frozenset({"enum", "const", "default", "required"})


def question_key(
    *, model: str, schema: Mapping[str, object] | None, messages: Sequence[Message], temperature: float | None, sample: int
) -> str:
    """sha256 (64 hex digits) over what decides the answer to one stage's question.

    `schema`: the stage's JSON Schema; titles, descriptions and docstrings in it do not count. `messages`: the stage's rendered messages.
    `sample`: 0 for the first answer, 1 for the next one to the same question. Not part of it: output ceiling, timeouts, server,
    file paths, and which other stages went out in the same request.
    """
    # Canonical JSON sorts its keys, so the messages come first. The hash of those that all questions about one page have in common is copied
    # and not computed for each question.
    begun = _begun(tuple(messages[:-1])).copy()
    rest = {
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
            bare[keyword] = {name: bare_schema(inner) if isinstance(inner, Mapping) else inner for name, inner in value.items()}
        elif keyword in _VALUES:
            bare[keyword] = value
        elif keyword not in _FOR_PEOPLE:
            bare[keyword] = _inner(value)
    return bare


def canonical_hash(value: object) -> str:
    """sha256 over canonical JSON: sorted keys, no blanks, UTF-8 text as it is; NaN and infinities are refused."""
    return hashlib.sha256(_canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _inner(value: object) -> object:
    if isinstance(value, Mapping):
        return bare_schema(value)
    if isinstance(value, list | tuple):
        return [_inner(item) for item in value]
    return value
