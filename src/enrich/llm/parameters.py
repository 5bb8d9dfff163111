"""How a request to one model is written: by its preset and settings first, then as learned from the server's refusals, once for the whole run.

Parameters differ by model and server: some take no temperature, some name the output ceiling differently, some know no schemas, some take no two
messages of one role in a row. A refusal that names a parameter (`failures.py`) swaps or drops it; all later requests are written the new way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from enrich.llm.failures import CEILINGS, Refused
from enrich.llm.messages import Message, Request
from enrich.llm.score_distributions import OTHER_FORMAT, SYSTEMONE, decision_fields

Structured = Literal["json_schema", "json_object", "prompt"]
ScoreBounds = Literal["range", "enum", "none"]

# Models that reason count their reasoning against the ceiling: a few thousand tokens for an answer of about 1,000. Too little room costs a
# second request, too much only a larger reservation.
REASONING_ROOM = 4096
# An answer needs about this much; a page that leaves less of a context is too long.
LEAST_ROOM = 256
_REASONS = re.compile(
    r"(?:^|/)(?:o\d|gpt-[5-9](?!.*chat)|gpt-oss|deepseek-r|qwq|qwen3(?!.*(?:instruct|coder))|magistral|glm-[4-9]|minimax-m)|thinking|reason",
    re.IGNORECASE,
)
# More characters than a prompt has for a token: too much room asked for is corrected by the server, too little would cut the answer off.
_CHARACTERS_PER_TOKEN = 5
_BOUNDS = ("minimum", "maximum", "multipleOf", "maxItems")
_NO_BOUNDS = "takes no bounds in a schema: they are no longer sent"
_NO_SCHEMA = ("structured_output", "json_schema", "json_object", "takes no JSON schema: it is sent in the prompt instead (json_object)")
# What a refusal changes: (parameter, its value before, its value from then on, the note about it). The first that fits is made.
CHANGES: Mapping[str, tuple[tuple[str, Any, Any, str], ...]] = {
    "temperature": (("temperature", True, False, "takes no temperature: it is no longer sent"),),
    "prompt_cache_key": (("prompt_cache_key", True, False, "does not take prompt_cache_key: it is no longer sent"),),
    "merge_messages": (("merge_messages", False, True, "takes no two messages of one role in a row: they are sent as one"),),
    "system": (("system", True, False, "takes no system message: its text begins the first message"),),
    "stream": (("stream", False, True, "only streams: answers are read as they come"),),
    "stream_usage": (("stream_usage", True, False, "does not take stream_options: usage is not reported"),),
    "bounds": (("score_bounds", "range", "none", _NO_BOUNDS), ("score_bounds", "enum", "none", _NO_BOUNDS), _NO_SCHEMA),
    "structured": (
        _NO_SCHEMA,
        ("structured_output", "json_object", "prompt", "does not take response_format: the schema is sent in the prompt alone"),
    ),
    "logprobs": (  # some servers give no more than five
        ("top_logprobs", 10, 5, "is asked for at most 5 likely tokens at each place"),
        ("top_logprobs", 5, 0, "takes no logprobs: its scores are single draws"),
    ),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that requests to one model are written with. Frozen: a request knows what it was written with. Those that
    `[llm]` has too have the same names.

    `ceiling_name` is "" if the server takes no output ceiling. `in_words`: the schema is also sent in the prompt. `merge_messages`: messages of one
    role in a row are one message; `system`: there is a system message. `largest_ceiling` and `context` (prompt and answer together) are in
    tokens, as the server said. `top_logprobs` is how many likely tokens are asked for at each place, 0: none. `decisions` is the endpoint for
    typed questions. `options` are further parameters by name.
    """

    ceiling_name: str = "max_tokens"
    ceiling_swapped: bool = False
    structured_output: Structured = "json_schema"
    score_bounds: ScoreBounds = "range"
    in_words: bool = False
    temperature: bool = True
    prompt_cache_key: bool = False
    merge_messages: bool = False
    system: bool = True
    stream: bool = False
    stream_usage: bool = True
    largest_ceiling: int | None = None
    context: int | None = None
    top_logprobs: int = 10
    decisions: str = SYSTEMONE
    decisions_swapped: bool = False
    options: tuple[tuple[str, Any], ...] = ()

    def body(self, request: Request, ceiling: int) -> bytes:
        """The request as JSON, UTF-8. `ceiling` is the output ceiling that is sent, in tokens, reasoning included."""
        if request.scores:
            return _json(decision_fields(request, self.decisions))
        messages = self._messages(request.messages)
        fields: dict[str, object] = {"model": request.model, "messages": messages}
        if request.schema is not None:
            if self.structured_output == "json_schema":
                schema = {"name": request.schema_name, "strict": True, "schema": bounded(request.schema, self.score_bounds)}
                fields["response_format"] = {"type": "json_schema", "json_schema": schema}
            elif self.structured_output == "json_object":
                fields["response_format"] = {"type": "json_object"}
            if self.in_words or self.structured_output != "json_schema":
                # At the end, so that what requests have in common at their front stays the same.
                words = "Reply with one JSON object and nothing else. It must fit this JSON Schema:"
                written = json.dumps(bounded(request.schema, "range"), ensure_ascii=False, separators=(",", ":"))
                messages[-1]["content"] += f"\n\n{words}\n{written}"
        if request.temperature is not None and self.temperature:
            fields["temperature"] = request.temperature
        if self.ceiling_name:
            fields[self.ceiling_name] = ceiling
        if request.measured and self.top_logprobs:
            fields |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        fields.update(self.options)
        if self.stream:
            fields |= {"stream": True, **({"stream_options": {"include_usage": True}} if self.stream_usage else {})}
        if self.prompt_cache_key and request.cache_group:
            fields["prompt_cache_key"] = request.cache_group
        return _json(fields)

    def _messages(self, given: Sequence[Message]) -> list[dict[str, str]]:
        turns = [("user" if message.role == "system" and not self.system else message.role, message.content) for message in given]
        if self.merge_messages or not self.system:
            turns = [(role, "\n\n".join(text for _, text in group)) for role, group in groupby(turns, key=lambda turn: turn[0])]
        return [{"role": role, "content": text} for role, text in turns]

    def ceiling(self, request: Request, wanted: int) -> int:
        """The output ceiling that is sent if `wanted` tokens are wanted."""
        if self.context is not None:
            prompt = sum(len(message.content) for message in request.messages) // _CHARACTERS_PER_TOKEN
            # If the estimate leaves no room, the server decides.
            wanted = min(wanted, max(LEAST_ROOM, self.context - prompt))
        return wanted if self.largest_ceiling is None else min(wanted, self.largest_ceiling)

    def without(self, refused: Refused, sent: int) -> tuple[Parameters, str] | None:
        """The parameters after one was refused, with one line that says what changed; None if nothing is left to change.

        `sent` is the output ceiling of the refused request. Each kind of change is made once; then the parameter is left out.
        """
        if refused.parameter == "ceiling":
            return self._without_ceiling(refused, sent)
        if refused.parameter == "option" and refused.name in dict(self.options):
            left = tuple(option for option in self.options if option[0] != refused.name)
            return replace(self, options=left), f"does not take {refused.name}: it is no longer sent"
        if refused.parameter == "decisions" and not self.decisions_swapped:
            other = OTHER_FORMAT[self.decisions]
            return replace(self, decisions=other, decisions_swapped=True), f"is not at /{self.decisions}: /{other} is asked instead"
        for name, before, after, note in CHANGES.get(refused.parameter, ()):
            if getattr(self, name) == before:
                change: dict[str, Any] = {name: after}
                return replace(self, **change), note
        return None

    def _without_ceiling(self, refused: Refused, sent: int) -> tuple[Parameters, str] | None:
        if refused.context is not None and self.context is None:
            note = f"has a context of {refused.context} tokens: the output ceiling is lowered where a page needs it"
            return replace(self, context=refused.context), note
        if refused.context is not None and refused.most is not None and refused.most < sent:
            return None  # this request alone is lowered
        if refused.most is not None and self.largest_ceiling is None and 0 < refused.most < sent:
            return replace(self, largest_ceiling=refused.most), f"gives at most {refused.most} tokens: the output ceiling is lowered"
        if self.ceiling_name and not self.ceiling_swapped:
            other = next(name for name in CEILINGS if name != self.ceiling_name)
            changed = replace(self, ceiling_name=other, ceiling_swapped=True)
            return changed, f"does not know {self.ceiling_name}: {other} is sent instead"
        if self.ceiling_name:
            return replace(self, ceiling_name=""), f"does not take {self.ceiling_name} either: no output ceiling is sent"
        return None


def bounded(schema: Mapping[str, Any], form: ScoreBounds) -> dict[str, Any]:
    """The schema with its bounds in one form: `range` (`minimum`, `maximum`, `maxItems`), `enum` (every value of a number with bounds and a step,
    for servers that compile schemas into grammars, where a long list costs no tokens), or `none`.

    >>> bounded({"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.5}, "enum")
    {'type': 'number', 'enum': [0, 0.5, 1]}
    """
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: bounded(inner, form) for name, inner in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, Mapping):
            out[key] = bounded(value, form)
        elif key == "anyOf":
            out[key] = [bounded(inner, form) for inner in value]
        elif key not in _BOUNDS:
            out[key] = value
    step, low, high = schema.get("multipleOf"), schema.get("minimum"), schema.get("maximum")
    if form == "none":
        if schema.get("type") == "number":
            out.pop("enum", None)
        return out
    out |= {"maxItems": schema["maxItems"]} if "maxItems" in schema else {}
    if form == "enum" and step and low is not None and high is not None:
        values = [round(low + number * step, 6) for number in range(round((high - low) / step) + 1)]
        return {**out, "enum": [int(value) if value == int(value) else value for value in values]}
    return out | {key: schema[key] for key in ("minimum", "maximum") if key in schema}


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
