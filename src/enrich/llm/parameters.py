"""How a request to one model is written, learned from the server's 400s once for the whole run.

Parameters differ by model and server: some take no temperature, some name the output ceiling differently, some know no schemas. A 400 that
names a parameter swaps or drops it; all later requests are written the new way.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Literal

from enrich.llm.messages import Request

Structured = Literal["json_schema", "json_object", ""]

# Models that reason count their reasoning against the ceiling: a few thousand tokens for an answer of about 1,000. Too little room costs a
# second request, too much only a larger reservation.
REASONING_ROOM = 4096
_REASONS = re.compile(r"(?:^|/)(?:o\d|gpt-5|gpt-oss|deepseek-r|qwq)", re.IGNORECASE)
_CEILINGS = ("max_completion_tokens", "max_tokens")
_LARGEST = re.compile(r"(?:at most|maximum(?: value)?(?: of| is|:)?|less than or equal to|<=|up to)\D{0,20}(\d{2,7})", re.IGNORECASE)
_STRUCTURED = ("response_format", "json_schema", "json_object", "structured output", "guided_json", "guided decoding")


@dataclass(frozen=True, slots=True)
class Refused:
    """A parameter that a 400 named. `name` as the server wrote it; `most`: the largest ceiling that the server said it takes."""

    parameter: Literal["temperature", "ceiling", "structured", "cache_key"]
    name: str = ""
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that requests to one model are written with. Frozen: a request knows what it was written with."""

    ceiling_name: str = "max_tokens"
    structured: Structured = "json_schema"
    temperature: bool = True
    cache_key: bool = False
    largest_ceiling: int | None = None

    @classmethod
    def first(cls, *, is_openai: bool, structured: Structured) -> Parameters:
        """What is sent before the server has answered anything."""
        return cls(ceiling_name=_CEILINGS[0] if is_openai else _CEILINGS[1], structured=structured, cache_key=is_openai)

    def body(self, request: Request, ceiling: int) -> bytes:
        """The request as JSON, UTF-8. `ceiling` is the output ceiling in tokens, reasoning included."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        fields: dict[str, object] = {"model": request.model, "messages": messages}
        if request.schema is not None:
            if self.structured == "json_schema":
                schema = {"name": request.schema_name, "strict": True, "schema": request.schema}
                fields["response_format"] = {"type": "json_schema", "json_schema": schema}
            else:
                # At the end, so that what requests have in common at their front stays the same.
                messages[-1]["content"] += _schema_in_words(request)
                if self.structured == "json_object":
                    fields["response_format"] = {"type": "json_object"}
        if request.temperature is not None and self.temperature:
            fields["temperature"] = request.temperature
        fields[self.ceiling_name] = self.ceiling(ceiling)
        if self.cache_key and request.cache_group:
            fields["prompt_cache_key"] = request.cache_group
        return _json(fields)

    def ceiling(self, wanted: int) -> int:
        """The output ceiling that is sent if `wanted` tokens are wanted."""
        return wanted if self.largest_ceiling is None else min(wanted, self.largest_ceiling)

    def without(self, refused: Refused, ceiling: int) -> tuple[Parameters, str] | None:
        """The parameters after one was refused, with one line that says what changed; None if nothing is left to change."""
        match refused.parameter:
            case "temperature" if self.temperature:
                return replace(self, temperature=False), "takes no temperature: it is no longer sent"
            case "ceiling" if refused.most is not None and refused.most < self.ceiling(ceiling):
                return replace(self, largest_ceiling=refused.most), f"gives at most {refused.most} tokens: the output ceiling is lowered"
            case "ceiling" if self.ceiling_name == refused.name:
                other = next(name for name in _CEILINGS if name != self.ceiling_name)
                return replace(self, ceiling_name=other), f"does not know {self.ceiling_name}: {other} is sent instead"
            case "structured" if self.structured == "json_schema":
                return replace(self, structured="json_object"), "takes no JSON schema: it is sent in the prompt instead (json_object)"
            case "structured" if self.structured == "json_object":
                return replace(self, structured=""), "does not take response_format: the schema is sent in the prompt alone"
            case "cache_key" if self.cache_key:
                return replace(self, cache_key=False), "does not take prompt_cache_key: it is no longer sent"
        return None


def refused_parameter(param: str, message: str) -> Refused | None:
    """The parameter of ours that a server's 400 complains about, from its `param` field and its message; None if it names none."""
    said = f"{param}\n{message}".lower()
    if "temperature" in said:
        return Refused("temperature")
    if "prompt_cache_key" in said:
        return Refused("cache_key")
    if any(word in said for word in _STRUCTURED):
        return Refused("structured")
    # The message often names both ("use max_completion_tokens instead"): the `param` field, else the first one named, is the refused one.
    named = [name for name in _CEILINGS if name in param.lower()] or sorted((name for name in _CEILINGS if name in said), key=said.find)
    if not named:
        return None
    largest = _LARGEST.search(message)
    return Refused("ceiling", named[0], int(largest[1]) if largest else None)


def reasoning_room(model: str) -> int:
    """Tokens added to the output ceiling for reasoning that counts against it."""
    return REASONING_ROOM if _REASONS.search(model) else 0


def _json(fields: dict[str, object]) -> bytes:
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(fields)
    except (PydanticSerializationError, UnicodeError):
        # A lone surrogate cannot be sent as UTF-8; it is replaced by a question mark.
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _schema_in_words(request: Request) -> str:
    """The request's schema as a part of the prompt, for servers that take none."""
    schema = json.dumps(request.schema, ensure_ascii=False, separators=(",", ":"))
    return f"\n\nReply with one JSON object and nothing else. It must fit this JSON Schema:\n{schema}"
