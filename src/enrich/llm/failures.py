"""What a failed attempt means: HTTP statuses and error bodies (for connections that gave no whole response: `transport.py`).

They become errors of `enrich.errors`, or one of the three errors below, on which the client acts.
Nothing from a server is trusted; server texts are redacted before they are kept. How servers word their errors is in `wordings.yaml`. A wording
about the output ceiling that is not known counts as "this parameter is refused", so that it is swapped once and then left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib import resources

import yaml

from enrich.errors import AnswerError, ServiceError
from enrich.llm.server import Endpoint

# A server that asks to wait for longer is treated as if it had said nothing.
_LONGEST_RETRY_AFTER = 3600.0
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|d|h|m|s)"
# The body of a failed validation says where in the request: `"loc": ["body", "max_tokens"]`, escaped or as Python writes it.
_WHERE = re.compile(r"\bloc\W{1,12}body\W{1,12}(\w+)")


_REASONS = ("reasons", "flagged_input")


@cache
def _wordings() -> tuple[dict[str, set[str]], dict[str, re.Pattern[str]]]:
    """(sets of codes, patterns of messages), each by name."""
    tree = yaml.load(resources.files("enrich.llm").joinpath("wordings.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    patterns = {name: re.compile("|".join(wordings), re.IGNORECASE) for name, wordings in tree["messages"].items()}
    return {name: set(codes) for name, codes in tree["codes"].items()}, patterns


def _found(wording: str, message: str) -> re.Match[str] | None:
    return _wordings()[1][wording].search(message)


class TransientError(Exception):
    """This attempt failed, another may succeed. `cause` as in `ServiceError`; `asked_wait`: the `Retry-After` in seconds, None without one.

    `sent` is False if the request never reached a server, so that it cannot have cost anything. `answered`: a server did answer.
    """

    def __init__(self, cause: str, detail: str, *, asked_wait: float | None = None, sent: bool = True, answered: bool = False) -> None:
        self.cause, self.detail, self.asked_wait, self.sent, self.answered = cause, detail, asked_wait, sent, answered
        super().__init__(f"{cause}: {detail}")

    def as_last(self) -> AnswerError | ServiceError:
        """What it means to the caller if no further attempt is made."""
        return AnswerError("invalid", self.detail) if self.cause == "invalid" else ServiceError(self.cause, self.detail)


class ThrottledError(Exception):
    """A 429: all requests to the model wait. `asked_wait`: the `Retry-After` in seconds, None if it is missing or senseless."""

    cause, detail = "rate-limited", "too many requests"

    def __init__(self, asked_wait: float | None) -> None:
        self.asked_wait = asked_wait
        super().__init__("429")


class RefusedParameterError(Exception):
    """A status, 400 in most cases, whose message names a parameter of ours."""

    cause = "parameter"

    def __init__(self, refused: Refused, detail: str) -> None:
        self.refused, self.detail = refused, detail
        super().__init__(detail)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a server asks to wait: `retry-after-ms`, then `Retry-After` in seconds or as an HTTP date. None if senseless."""
    milliseconds = _number(headers.get("retry-after-ms"))
    stated = headers.get("retry-after")
    seconds = _number(stated) if milliseconds is None else milliseconds / 1000
    if seconds is None and stated:
        try:
            moment = parsedate_to_datetime(stated)
        except (ValueError, TypeError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return seconds if seconds is not None and 0 < seconds <= _LONGEST_RETRY_AFTER else None


def duration(text: str | None) -> float | None:
    """Seconds in a reset header: `6m0s`, `20ms`, `1h2m3.5s`, or a number of seconds; None if it is none of these."""
    said = (text or "").strip().lower()
    if not re.fullmatch(f"(?:{_PART})+", said):
        return amount(text)
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, said))


def amount(text: str | None) -> float | None:
    """The number in a header, None if it is missing, negative or senselessly large."""
    value = _number(text)
    return value if value is not None and 0 <= value < 1e12 else None


def failure_of_status(
    status: int, headers: Mapping[str, str], body: bytes, *, model: str, endpoint: Endpoint, options: Collection[str] = ()
) -> Exception:
    """The error that an HTTP status other than 200 means. `options`: the names of further parameters that were sent."""
    said = _error(body)
    message = said.message
    detail = endpoint.shown(message) or "no reason given"
    if status == 403 and said.moderated:
        return AnswerError("filtered", f"the server's moderation refuses the page ({detail})")
    if final := _final(status, said, detail, model, endpoint):
        return final
    if status == 404:
        return RefusedParameterError(Refused("option", "provider"), detail)
    if status == 429:
        return ThrottledError(retry_after(headers))
    # llama.cpp reports the exceptions of templates as 500, llama-cpp-python what is wrong with a request.
    refuses = status in (400, 422) or (status == 500 and (said.param or _found("refuses", message)))
    refused = refused_parameter(said.param, message, options) if refuses else None
    if status >= 500 or status in (408, 409, 425):
        if refused is None:
            cause = "timeout" if status in (408, 504) else "server"
            return TransientError(cause, f"{detail} ({status})", asked_wait=retry_after(headers), answered=True)
    elif status in (400, 422) and (room := room_left(message)):
        refused = room
    elif status == 413 or _found("too_long", "\n".join([message, *said.codes])):
        return AnswerError("too-long", detail)
    elif said.has("filter"):
        return AnswerError("filtered", detail)
    elif "json_validate_failed" in said.codes:
        # Groq checks the answer against the schema itself.
        return TransientError("invalid", detail, answered=True)
    return RefusedParameterError(refused, detail) if refused else ServiceError("bad-request", f"{detail} ({status})")


def _final(status: int, said: _Said, detail: str, model: str, endpoint: Endpoint) -> ServiceError | None:
    """The error that no later request can overcome, None if it is another one."""
    message = said.message
    if 300 <= status < 400:
        what = f"{endpoint.host} answers with a redirect ({status}), which is not followed"
        return ServiceError("redirect", what, final=True, do="name the right address in llm.base_url")
    if status in (401, 403):
        # Without the server's message: it often echoes the key.
        what = f"{endpoint.host} does not accept the key ({status})"
        return ServiceError("auth", what, final=True, do=f"check {endpoint.key_variable} and what it may use")
    if status == 402 or said.has("quota"):
        what = f"the quota at {endpoint.host} is used up"
        return ServiceError("quota", what, final=True, do="check plan and billing there, then run again")
    unknown = said.has("model") or (status in (400, 404) and _found("no_model", message))
    if unknown or (status == 404 and "model" in message.lower()):
        return ServiceError("model", f"{endpoint.host} does not know the model `{model}`", final=True, do="check llm.model")
    if status == 404 and not _found("no_route", message):
        what = f"{endpoint.host} has no chat completions at that address, or no model `{model}` ({detail})"
        return ServiceError("model", what, final=True, do="check llm.base_url (it usually ends in /v1) and llm.model")
    return None


@dataclass(frozen=True, slots=True)
class _Said:
    """What an error's body says: its message, the parameter it names, its code and type. `moderated`: it is about the text that was sent."""

    message: str
    param: str = ""
    codes: set[str] = field(default_factory=set)
    moderated: bool = False

    def has(self, codes: str) -> bool:
        """Whether one of the codes with this name is in it."""
        return not self.codes.isdisjoint(_wordings()[0][codes])


def _error(body: bytes) -> _Said:
    """What is read from `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}` or plain text."""
    text = body[:4000].decode("utf-8", "replace").strip()
    found = _WHERE.search(text)
    where = found[1] if found else ""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return _Said("" if text.startswith("<") else text)
    inner = tree.get("error", tree) if isinstance(tree, dict) else tree
    if not isinstance(inner, dict):
        return _Said(inner if isinstance(inner, str) else text, where)
    message, param, metadata = inner.get("message", inner.get("detail")), inner.get("param"), inner.get("metadata")
    parts = [part for part in (inner, inner.get("innererror")) if isinstance(part, dict)]
    codes = {value for part in parts for key in ("code", "type") if isinstance(value := part.get(key), str)}
    # OpenRouter names the reasons of its moderation; a 403 about the key has none.
    moderated = not codes.isdisjoint(_wordings()[0]["filter"]) or (isinstance(metadata, dict) and not metadata.keys().isdisjoint(_REASONS))
    return _Said(message if isinstance(message, str) else text, param if isinstance(param, str) else where, codes, moderated)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None


CEILINGS = ("max_completion_tokens", "max_tokens")
# Other names under which servers speak of the ceiling.
_CEILING_WORDS = (*CEILINGS, "max_new_tokens", "maxoutputtokens", "max_output_tokens", "maximum tokens you requested")
# What parameters are called in requests and messages.
_NAMES = {
    "temperature": "temperature",
    "logprobs": "logprobs",
    "prompt_cache_key": "prompt_cache_key",
    "stream_options": "stream_usage",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """What an error message refuses: a key of `parameters.CHANGES`, `ceiling`, `option` or `decisions`; `name` as the server wrote it.

    `most` is the largest ceiling that it takes. With `context` (the tokens of prompt and answer together) `most` holds for this prompt alone,
    and is None if the server does not say how long the prompt is.
    """

    parameter: str
    name: str = ""
    most: int | None = None
    context: int | None = None


def refused_parameter(param: str, message: str, options: Collection[str] = ()) -> Refused | None:
    """The parameter of ours that an error complains about, from its `param` field and its message; None if it names none.

    `options` are the names of the further parameters that were sent.
    """
    if _found("roles", message):
        return Refused("merge_messages")
    if _found("system", message):
        return Refused("system")
    field, said = param.lower(), f"{param}\n{message}".lower()
    if field in {*_NAMES, "top_logprobs", "response_format", *CEILINGS, *(name.lower() for name in options)}:
        # The message can name others too: what to send instead, or the request as it came.
        said = field
    if named := next((kind for name, kind in _NAMES.items() if name in said), None):
        return Refused(named)
    for name in options:
        if name == param or re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message):
            return Refused("option", name)
    if _found("structured", said):
        return Refused("bounds" if _found("bounds", message) else "structured")
    if _found("stream", message):
        return Refused("stream")
    return _refused_ceiling(field, said, message)


def _refused_ceiling(field: str, said: str, message: str) -> Refused | None:
    # The message often names both ("use max_completion_tokens instead"): the `param` field, else the first one named, is the refused one.
    named = [name for name in _CEILING_WORDS if name in field] or sorted((name for name in _CEILING_WORDS if name in said), key=said.find)
    if not named:
        return Refused("bounds") if _found("bounds", message) and "schema" in said else None
    if context := number_said("context", message):
        return room_left(message) or Refused("ceiling", named[0], context=context)
    return Refused("ceiling", named[0], number_said("largest", message))


def room_left(message: str) -> Refused | None:
    """The ceiling that fits, if a server says how long its context is and how much of it the prompt takes; None if the prompt alone is too long.

    >>> room_left("This model's maximum context length is 4096 tokens and your request has 1200 input tokens").most
    2888
    """
    context, prompt = number_said("context", message), number_said("prompt", message)
    if context is None or prompt is None or prompt >= context:
        return None
    # A few tokens less, because servers differ in whether the bound itself is allowed.
    return Refused("ceiling", most=max(1, context - prompt - 8), context=context)


def number_said(wording: str, message: str) -> int | None:
    """The number in the first of these wordings that the message has."""
    found = _found(wording, message)
    return int(next(filter(None, found.groups())).replace(",", "")) if found else None
