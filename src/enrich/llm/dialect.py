"""What one server and model take: learned from its 400s, once for the whole run.

Parameters differ by model (DESIGN.md section 6): some take no temperature, some name the output ceiling differently, some know no schemas.
A 400 that names a parameter swaps or drops it here; every later request is written the new way.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Literal

from enrich.llm.messages import Request

CeilingName = Literal["max_completion_tokens", "max_tokens", ""]
Structured = Literal["json_schema", "json_object", ""]

# Models that think before they answer count their thoughts against the ceiling; an answer of ours is about 1,000 tokens, a train of
# thought for it a few thousand. Too little costs a second request, too much only a larger reservation.
REASONING_ROOM = 4096
_REASONS = re.compile(r"(?:^|/)(?:o\d|gpt-5|gpt-oss|deepseek-r|qwq)", re.IGNORECASE)
_TOO_LARGE = re.compile(r"(?:at most|maximum(?: value)?(?: of| is|:)?|less than or equal to|<=|up to)\D{0,20}(\d{2,7})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a request to one model is written. Frozen: a request knows the dialect it was written in."""

    ceiling_name: CeilingName = "max_tokens"
    structured: Structured = "json_schema"
    temperature: bool = True
    cache_key: bool = False
    largest_ceiling: int | None = None

    def body(self, request: Request, ceiling: int) -> bytes:
        """The request as JSON, UTF-8. `ceiling` is the output ceiling in tokens, reasoning included."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        fields: dict[str, object] = {"model": request.model, "messages": messages}
        if request.schema is not None:
            if self.structured == "json_schema":
                schema = {"name": request.schema_name, "strict": True, "schema": request.schema}
                fields["response_format"] = {"type": "json_schema", "json_schema": schema}
            else:
                # At the end, so that what requests share at their front stays the same.
                messages[-1]["content"] += schema_in_words(request)
                if self.structured == "json_object":
                    fields["response_format"] = {"type": "json_object"}
        if request.temperature is not None and self.temperature:
            fields["temperature"] = request.temperature
        if self.ceiling_name:
            fields[self.ceiling_name] = self.ceiling(ceiling)
        if self.cache_key and request.cache_group:
            fields["prompt_cache_key"] = request.cache_group
        return _json(fields)

    def ceiling(self, wanted: int) -> int:
        """The output ceiling that is sent where `wanted` tokens are wished for."""
        return wanted if self.largest_ceiling is None else min(wanted, self.largest_ceiling)

    def without(self, refused: Refused, ceiling: int) -> tuple[Dialect, str] | None:
        """The dialect after a refused parameter, with one line that says what changed; None where nothing is left to change."""
        match refused.parameter:
            case "temperature" if self.temperature:
                return replace(self, temperature=False), "takes no temperature: it is no longer sent"
            case "ceiling":
                if refused.most is not None and refused.most < self.ceiling(ceiling):
                    return replace(
                        self, largest_ceiling=refused.most
                    ), f"gives at most {refused.most} tokens: the output ceiling stays there"
                if self.ceiling_name and self.ceiling_name == refused.name:
                    other: CeilingName = "max_tokens" if self.ceiling_name == "max_completion_tokens" else "max_completion_tokens"
                    return replace(self, ceiling_name=other), f"does not know {self.ceiling_name}: {other} is sent instead"
            case "structured" if self.structured == "json_schema":
                return replace(
                    self, structured="json_object"
                ), "does not take a JSON schema: it is stated in the prompt instead (json_object)"
            case "structured" if self.structured == "json_object":
                return replace(self, structured=""), "does not take response_format: the schema is stated in the prompt alone"
            case "cache_key" if self.cache_key:
                return replace(self, cache_key=False), "does not take prompt_cache_key: it is no longer sent"
        return None


@dataclass(frozen=True, slots=True)
class Refused:
    """A parameter that a 400 named. `name` as the server wrote it; `most`: the largest ceiling that the server said it takes."""

    parameter: Literal["temperature", "ceiling", "structured", "cache_key"]
    name: str
    most: int | None = None


def refused_parameter(param: str, message: str) -> Refused | None:
    """Which of our parameters a server's 400 complains about, from its `param` field and its message; None: none of them."""
    said = f"{param}\n{message}".lower()
    if "temperature" in said:
        return Refused("temperature", "temperature")
    if "prompt_cache_key" in said:
        return Refused("cache_key", "prompt_cache_key")
    if any(
        word in said for word in ("response_format", "json_schema", "json_object", "structured output", "guided_json", "guided decoding")
    ):
        return Refused("structured", "response_format")
    # The message often names both ("use max_completion_tokens instead"): the `param` field, else the first one named, is the refused one.
    named = [name for name in ("max_completion_tokens", "max_tokens") if name in param.lower()] or sorted(
        (name for name in ("max_completion_tokens", "max_tokens") if name in said), key=said.find
    )
    if named:
        large = _TOO_LARGE.search(message)
        return Refused("ceiling", named[0], int(large[1]) if large else None)
    return None


def _json(fields: dict[str, object]) -> bytes:
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(fields)
    except (PydanticSerializationError, UnicodeError):
        # A lone surrogate cannot be sent as UTF-8; a question mark can.
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def first_dialect(*, is_openai: bool, structured: Structured) -> Dialect:
    """How requests to a server are written before it has said anything."""
    return Dialect(ceiling_name="max_completion_tokens" if is_openai else "max_tokens", structured=structured, cache_key=is_openai)


def reasoning_room(model: str) -> int:
    """Tokens added to the output ceiling for thoughts that count against it."""
    return REASONING_ROOM if _REASONS.search(model) else 0


def schema_in_words(request: Request) -> str:
    """The request's schema as a part of the prompt, for servers that take none."""
    schema = json.dumps(request.schema, ensure_ascii=False, separators=(",", ":"))
    return f"\n\nReply with one JSON object and nothing else. It must fit this JSON Schema:\n{schema}"
