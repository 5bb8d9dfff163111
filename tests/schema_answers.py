"""Values that fit a JSON schema, for the fake server's answers: always the same for the same schema and text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from zlib import crc32

_PROSE = re.compile(r"^[A-Z][^\n<>{}|`$*_\[\]#\\]{40,400}[.!?]$", re.MULTILINE)


def answer_for(schema: Mapping[str, Any], text: str) -> Any:
    """A value that fits `schema`, always the same for the same schema and text; strings are sentences from `text` where it has any."""
    sentences = [
        sentence.strip()
        for line in _PROSE.findall(text)
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", line)
        if 30 <= len(sentence) <= 300
    ]
    definitions = {**schema.get("$defs", {}), **schema.get("definitions", {})}
    return _value(schema, "", sentences or ["The page states its case in a few plain words."], definitions, 0)


def _value(schema: Mapping[str, Any], path: str, sentences: list[str], definitions: Mapping[str, Any], depth: int) -> Any:
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rpartition("/")[2]], path, sentences, definitions, depth + 1)
    if "const" in schema:
        return schema["const"]
    pick = crc32(f"{path}|{sentences[0]}".encode())
    if "enum" in schema:
        return schema["enum"][pick % len(schema["enum"])]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            best = next((one for one in schema[several] if one.get("type") != "null"), schema[several][0])
            return _value(best, path, sentences, definitions, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    if kind == "object":
        return {
            name: _value(inner, f"{path}.{name}", sentences, definitions, depth + 1) for name, inner in schema.get("properties", {}).items()
        }
    if kind == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        count = max(least, min(most, 2)) if depth < 12 else least
        # Items of one kind of thing follow each other on the page, so they differ.
        return [
            _value(schema.get("items", {}), f"{path}[{number}]", sentences[number:] or sentences, definitions, depth + 1)
            for number in range(count)
        ]
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", schema.get("exclusiveMinimum", 0)), schema.get("maximum", schema.get("exclusiveMaximum", 10))
        value = low + (high - low) * (0.3 + 0.4 * (pick % 5) / 5)
        grid = schema.get("multipleOf", 1 if kind == "integer" else 0.5)
        value = min(high, max(low, round(value / grid) * grid))
        return int(value) if kind == "integer" else float(value)
    if kind == "boolean":
        return bool(pick % 2)
    if kind == "null":
        return None
    # The same sentence for every string of one object: a text and its evidence belong together.
    return sentences[0][: schema.get("maxLength", 10_000)].ljust(schema.get("minLength", 0), ".")
