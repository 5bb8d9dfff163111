"""How a request to one model is written, learned from the server's 400s once for the whole run.

Parameters differ by model and server: some take no temperature, some name the output ceiling differently, some know no schemas. A 400 that
names a parameter swaps or drops it; all later requests are written the new way. There is no standard for these messages: the wordings below are
those of OpenAI, Azure, vLLM, TGI, Together, Groq, Anthropic, DeepSeek, Mistral, Gemini and OpenRouter. A wording that is not known counts as
"this parameter is refused", so that it is swapped once and then left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from enrich.llm.messages import Request

Structured = Literal["json_schema", "json_object", ""]

# Models that reason count their reasoning against the ceiling: a few thousand tokens for an answer of about 1,000. Too little room costs a
# second request, too much only a larger reservation.
REASONING_ROOM = 4096
# An answer needs about this much; a page that leaves less of a context is too long.
LEAST_ROOM = 256
_REASONS = re.compile(r"(?:^|/)(?:o\d|gpt-[5-9](?!.*chat)|gpt-oss|deepseek-r|qwq|magistral)|thinking|reason", re.IGNORECASE)
# More characters than a prompt has for a token: too much room asked for is corrected by the server, too little would cut the answer off.
_CHARACTERS_PER_TOKEN = 5


_CEILINGS = ("max_completion_tokens", "max_tokens")
# Other names under which servers speak of the ceiling.
_CEILING_WORDS = (*_CEILINGS, "max_new_tokens", "maxoutputtokens", "max_output_tokens", "maximum tokens you requested")
_STRUCTURED = ("response_format", "json_schema", "json_object", "structured output", "guided_json", "guided decoding")
_OPTIONS = ("reasoning_effort", "service_tier")
_NUMBER = r"\D{0,24}?(\d{2,8})"
_CONTEXT = re.compile(rf"(?:maximum context length is|max_model_len\s*=|max_new_tokens`? must be <=){_NUMBER}", re.IGNORECASE)
_PROMPT = re.compile(
    r"(\d{1,8})\s*`?(?:input tokens|inputs`? tokens|in the messages|of text input|prompt tokens|in your prompt|in the prompt)",
    re.IGNORECASE,
)
_LARGEST = re.compile(
    rf"(?:at most|maximum(?: value)?(?: of| is|:)?|less than or equal to|<=|up to|model limit of|exceeds(?: the)?(?: maximum)?|lower than){_NUMBER}"
    r"|:\s*\d+ > (\d{2,8})"
    r"|range of \w+ is \[\d+,\s*(\d{2,8})\]"
    r"|to (\d{2,8}) \(exclusive\)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A parameter that a 400 names. `name` as the server wrote it.

    `most` is the largest ceiling that it takes. With `context` (the tokens of prompt and answer together) `most` holds for this prompt alone,
    and is None if the server does not say how long the prompt is.
    """

    parameter: Literal["temperature", "ceiling", "structured", "cache_key", "option"]
    name: str = ""
    most: int | None = None
    context: int | None = None


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that requests to one model are written with. Frozen: a request knows what it was written with.

    `ceiling_name` is "" if the server takes no output ceiling. `largest_ceiling` and `context` (prompt and answer together) are in tokens, as
    the server said. `options` are further parameters that the configuration sets.
    """

    ceiling_name: str = "max_tokens"
    ceiling_swapped: bool = False
    structured: Structured = "json_schema"
    temperature: bool = True
    cache_key: bool = False
    largest_ceiling: int | None = None
    context: int | None = None
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def first(cls, *, is_openai: bool, structured: Structured, options: Mapping[str, str | None] = MappingProxyType({})) -> Parameters:
        """What is sent before the server has answered anything. Options that are None are not sent."""
        given = tuple((name, value) for name, value in options.items() if value is not None)
        ceiling_name = _CEILINGS[0] if is_openai else _CEILINGS[1]
        return cls(ceiling_name=ceiling_name, structured=structured, cache_key=is_openai, options=given)

    def body(self, request: Request, ceiling: int) -> bytes:
        """The request as JSON, UTF-8. `ceiling` is the output ceiling that is sent, in tokens, reasoning included."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        fields: dict[str, object] = {"model": request.model, "messages": messages}
        if request.schema is not None:
            if self.structured == "json_schema":
                schema = {"name": request.schema_name, "strict": True, "schema": request.schema}
                fields["response_format"] = {"type": "json_schema", "json_schema": schema}
            else:
                # At the end, so that what requests have in common at their front stays the same.
                words = "Reply with one JSON object and nothing else. It must fit this JSON Schema:"
                messages[-1]["content"] += f"\n\n{words}\n{json.dumps(request.schema, ensure_ascii=False, separators=(',', ':'))}"
                if self.structured == "json_object":
                    fields["response_format"] = {"type": "json_object"}
        if request.temperature is not None and self.temperature:
            fields["temperature"] = request.temperature
        if self.ceiling_name:
            fields[self.ceiling_name] = ceiling
        fields.update(self.options)
        if self.cache_key and request.cache_group:
            fields["prompt_cache_key"] = request.cache_group
        return _json(fields)

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
        match refused.parameter:
            case "temperature" if self.temperature:
                return replace(self, temperature=False), "takes no temperature: it is no longer sent"
            case "option" if refused.name in dict(self.options):
                left = tuple(option for option in self.options if option[0] != refused.name)
                return replace(self, options=left), f"does not take {refused.name}: it is no longer sent"
            case "ceiling" if refused.context is not None and self.context is None:
                note = f"has a context of {refused.context} tokens: the output ceiling is lowered where a page needs it"
                return replace(self, context=refused.context), note
            case "ceiling" if refused.context is not None and refused.most is not None and refused.most < sent:
                return None  # this request alone is lowered
            case "ceiling" if refused.most is not None and self.largest_ceiling is None and 0 < refused.most < sent:
                return replace(self, largest_ceiling=refused.most), f"gives at most {refused.most} tokens: the output ceiling is lowered"
            case "ceiling" if self.ceiling_name and not self.ceiling_swapped:
                other = next(name for name in _CEILINGS if name != self.ceiling_name)
                changed = replace(self, ceiling_name=other, ceiling_swapped=True)
                return changed, f"does not know {self.ceiling_name}: {other} is sent instead"
            case "ceiling" if self.ceiling_name:
                return replace(self, ceiling_name=""), f"does not take {self.ceiling_name} either: no output ceiling is sent"
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
    for name in _OPTIONS:
        if name in said:
            return Refused("option", name)
    if any(word in said for word in _STRUCTURED):
        return Refused("structured")
    # The message often names both ("use max_completion_tokens instead"): the `param` field, else the first one named, is the refused one.
    named = [name for name in _CEILING_WORDS if name in param.lower()] or sorted(
        (name for name in _CEILING_WORDS if name in said), key=said.find
    )
    if not named:
        return None
    if context := _CONTEXT.search(message):
        room = room_left(message)
        return room or Refused("ceiling", named[0], context=int(context[1]))
    largest = _LARGEST.search(message)
    return Refused("ceiling", named[0], int(next(filter(None, largest.groups()))) if largest else None)


def room_left(message: str) -> Refused | None:
    """The ceiling that fits, if a server says how long its context is and how much of it the prompt takes; None if the prompt alone is too long.

    >>> room_left("This model's maximum context length is 4096 tokens and your request has 1200 input tokens").most
    2888
    """
    context, prompt = _CONTEXT.search(message), _PROMPT.search(message)
    if context is None or prompt is None or int(prompt[1]) >= int(context[1]):
        return None
    # A few tokens less, because servers differ in whether the bound itself is allowed.
    return Refused("ceiling", most=max(1, int(context[1]) - int(prompt[1]) - 8), context=int(context[1]))


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
