"""JSON Schemas that strict structured outputs accept, derived from the pydantic models that check the answers.

OpenAI's strict subset: objects with every property required and no others, `enum`, `anyOf` with null, arrays, plain types
(https://platform.openai.com/docs/guides/structured-outputs, "Supported schemas"). Ranges and lengths are not sent: they are stated in the
prompt and checked on return, so that one schema works on every server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_KEPT = ("type", "enum", "const", "anyOf", "items", "properties")


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of `model` with only the keywords of the strict subset, references inlined, every property required."""
    full = model.model_json_schema()
    return _strict(full, full.get("$defs", {}))


def _strict(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _strict(definitions[str(node["$ref"]).rpartition("/")[2]], definitions)
    out: dict[str, Any] = {}
    for key in _KEPT:
        if key not in node:
            continue
        value = node[key]
        if key == "properties":
            out[key] = {name: _strict(inner, definitions) for name, inner in value.items()}
            out["required"] = list(value)
            out["additionalProperties"] = False
        elif key == "anyOf":
            out[key] = [_strict(inner, definitions) for inner in value]
        elif key == "items":
            out[key] = _strict(value, definitions)
        elif key == "const":
            out["enum"] = [value]
        else:
            out[key] = value
    return out


def fused_schema(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One object schema with a property per stage, in the given order."""
    return {"type": "object", "properties": dict(parts), "required": list(parts), "additionalProperties": False}
