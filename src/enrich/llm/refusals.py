"""Which parameter of ours a server refuses, read from its error message.

There is no standard for these messages: the wordings below are those of OpenAI, Azure, vLLM, TGI, Together, Groq, Anthropic, DeepSeek, Mistral,
Gemini, OpenRouter, LiteLLM, LM Studio, llama.cpp and llama-cpp-python. A wording about the output ceiling that is not known counts as "this
parameter is refused", so that it is swapped once and then left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "temperature",
    "ceiling",
    "structured",
    "bounds",
    "cache_key",
    "option",
    "roles",
    "system",
    "stream",
    "stream_usage",
    "logprobs",
    "decisions",
]

CEILINGS = ("max_completion_tokens", "max_tokens")
# Other names under which servers speak of the ceiling.
_CEILING_WORDS = (*CEILINGS, "max_new_tokens", "maxoutputtokens", "max_output_tokens", "maximum tokens you requested")
_STRUCTURED = ("response_format", "json_schema", "json_object", "structured output", "guided_json", "guided decoding")
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
# Templates of Gemma, Mistral and Llama 2 take no two messages of one role in a row; some take no system message.
_ROLES = re.compile(r"roles? must alternate|must alternate between|alternate user/assistant|consecutive \w+ messages", re.IGNORECASE)
_SYSTEM = re.compile(
    r"system (?:role|message|prompt)s?\W.{0,20}not (?:be )?(?:supported|allowed)|only user and assistant roles", re.IGNORECASE
)
# "This model only support stream mode", "must be set to false for non-streaming calls", "Streaming is required for …", "stream must be true"
_STREAM = re.compile(
    r"only supports? stream|stream(?:ing)?\W* (?:is required|must be (?:set to )?true|mode only)|non-streaming (?:calls|requests)|`?stream=false",
    re.IGNORECASE,
)
_BOUNDS = re.compile(
    r"maxItems|multipleOf|['\"`]m(?:in|ax)imum['\"`]|(?:propert|keyword)\w*[^.]{0,40}\bm(?:in|ax)imum|\benum\b[^.]{0,40}(?:only|type|not)",
    re.IGNORECASE,
)
# A 5xx is a fault of the server in most cases; with these words and a parameter's name it is a refusal.
_REFUSES = re.compile(
    r"support|unexpected|unknown|unrecogni[sz]ed|not allowed|not permitted|must |input should be|extra inputs|exception", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Refused:
    """What an error message refuses. `name` as the server wrote it.

    `most` is the largest ceiling that it takes. With `context` (the tokens of prompt and answer together) `most` holds for this prompt alone,
    and is None if the server does not say how long the prompt is.
    """

    parameter: Kind
    name: str = ""
    most: int | None = None
    context: int | None = None


def refused_parameter(param: str, message: str, options: Collection[str] = ()) -> Refused | None:
    """The parameter of ours that an error complains about, from its `param` field and its message; None if it names none.

    `options` are the names of the further parameters that were sent.
    """
    if _ROLES.search(message):
        return Refused("roles")
    if _SYSTEM.search(message):
        return Refused("system")
    field, said = param.lower(), f"{param}\n{message}".lower()
    known = {"temperature", "logprobs", "top_logprobs", "prompt_cache_key", "response_format", "stream_options", *CEILINGS}
    known |= {name.lower() for name in options}
    if field in known:
        # The message can name others too: what to send instead, or the request as it came.
        said = field
    if "temperature" in said:
        return Refused("temperature")
    if "logprobs" in said:
        return Refused("logprobs")
    if "prompt_cache_key" in said:
        return Refused("cache_key")
    if "stream_options" in said:
        return Refused("stream_usage")
    for name in options:
        if name == param or re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message):
            return Refused("option", name)
    if any(word in said for word in _STRUCTURED):
        return Refused("bounds" if _BOUNDS.search(message) else "structured")
    if _STREAM.search(message):
        return Refused("stream")
    return _refused_ceiling(field, said, message)


def _refused_ceiling(field: str, said: str, message: str) -> Refused | None:
    # The message often names both ("use max_completion_tokens instead"): the `param` field, else the first one named, is the refused one.
    named = [name for name in _CEILING_WORDS if name in field] or sorted((name for name in _CEILING_WORDS if name in said), key=said.find)
    if not named:
        return Refused("bounds") if _BOUNDS.search(message) and "schema" in said else None
    if context := _CONTEXT.search(message):
        return room_left(message) or Refused("ceiling", named[0], context=int(context[1]))
    largest = _LARGEST.search(message)
    return Refused("ceiling", named[0], int(next(filter(None, largest.groups()))) if largest else None)


def refused_in_fault(param: str, message: str, options: Collection[str] = ()) -> Refused | None:
    """The parameter that a 5xx refuses: llama.cpp reports templates' exceptions so, llama-cpp-python the validation of the request."""
    return refused_parameter(param, message, options) if param or _REFUSES.search(message) else None


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
