"""What a server sent: completions, usage, limits in headers, and what a failure means.

Nothing from a server is trusted: malformed parts are treated as missing. Errors of the SDK and its transport enter here and leave as
`enrich.errors` or as one of the three errors below, on which the client acts. Server texts are redacted before they are kept.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from enrich.errors import AnswerError, ServiceError
from enrich.llm.endpoint import Endpoint
from enrich.llm.messages import Usage
from enrich.llm.parameters import Refused, refused_parameter
from enrich.text import printable

# A server that asks to wait for longer is treated as if it had said nothing.
_LONGEST_RETRY_AFTER = 3600.0
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|d|h|m|s)")
_QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_TOO_LONG = ("context_length_exceeded", "context length", "context window", "context size", "maximum context", "prompt is too long")
_MODEL_CODES = {"model_not_found", "invalid_model", "unknown_model"}
_FILTER_CODES = {"content_filter", "content_policy_violation"}


class TransientError(Exception):
    """This attempt failed, another may succeed. `cause` as in `ServiceError`; `asked_wait`: the `Retry-After` in seconds, None without one.

    `sent` is False if the request never reached a server, so that it cannot have cost anything. `answered`: a server did answer.
    """

    def __init__(self, cause: str, detail: str, *, asked_wait: float | None = None, sent: bool = True, answered: bool = False) -> None:
        self.cause, self.detail, self.asked_wait, self.sent, self.answered = cause, detail, asked_wait, sent, answered
        super().__init__(f"{cause}: {detail}")


class ThrottledError(Exception):
    """A 429: all requests to the model wait. `asked_wait`: the `Retry-After` in seconds, None if it is missing or senseless."""

    def __init__(self, asked_wait: float | None) -> None:
        self.asked_wait = asked_wait
        super().__init__("429")


class RefusedParameterError(Exception):
    """A 400 that names a parameter of ours."""

    def __init__(self, refused: Refused, detail: str) -> None:
        self.refused, self.detail = refused, detail
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Completion:
    """A well-formed reply: its text, why it ended (`stop`, `length`, `content_filter`, …), the model's refusal, its usage if stated."""

    text: str
    finish: str
    refusal: str
    usage: Usage | None


def read_completion(body: bytes) -> Completion:
    """The first choice of a chat completion. Raises `TransientError` (`invalid`) if there is none."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        raise TransientError("invalid", "the reply is not JSON", answered=True) from None
    choices = _mapping(tree).get("choices")
    choice = _mapping(choices[0] if isinstance(choices, list) and choices else None)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise TransientError("invalid", "the reply has no answer (`choices` is missing or empty)", answered=True)
    content = message.get("content")
    # The content is a string or a list of parts, each with a text or a refusal.
    parts = [{"text": part} if isinstance(part, str) else _mapping(part) for part in content] if isinstance(content, list) else []
    return Completion(
        text=_string(content) or "".join(_string(part.get("text")) for part in parts),
        finish=_string(choice.get("finish_reason")),
        refusal=_string(message.get("refusal")) or "".join(_string(part.get("refusal")) for part in parts),
        usage=_usage(_mapping(tree.get("usage"))),
    )


def _usage(tree: Mapping[str, object]) -> Usage | None:
    """The usage as stated, None if it is missing or senseless."""
    given, output = _count(tree.get("prompt_tokens")), _count(tree.get("completion_tokens"))
    if given is None or output is None:
        return None
    details = _mapping(tree.get("prompt_tokens_details"))
    cached = min(_count(details.get("cached_tokens")) or 0, given)
    written = min(_count(details.get("cache_write_tokens")) or _count(details.get("cache_creation_tokens")) or 0, given - cached)
    return Usage(input=given, cached_input=cached, cache_write=written, output=output)


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
    plain = amount(text)
    parts = _DURATION.findall((text or "").strip().lower())
    if plain is not None or not parts or "".join(number + unit for number, unit in parts) != (text or "").strip().lower():
        return plain
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def amount(text: str | None) -> float | None:
    """The number in a header, None if it is missing, negative or senselessly large."""
    value = _number(text)
    return value if value is not None and 0 <= value < 1e12 else None


def failure_of_status(status: int, headers: Mapping[str, str], body: bytes, *, model: str, endpoint: Endpoint) -> Exception:
    """The error that an HTTP status other than 200 means."""
    message, codes, param = _error(body)
    detail = shown(message, endpoint) or "no reason given"
    lowered = message.lower()
    if 300 <= status < 400:
        what = f"{endpoint.host} answers with a redirect ({status}), which is not followed"
        return ServiceError("redirect", what, final=True, do="name the right address in llm.base_url")
    if status in (401, 403):
        # Without the server's message: it often echoes the key.
        what = f"{endpoint.host} does not accept the key ({status})"
        return ServiceError("auth", what, final=True, do="check OPENAI_API_KEY and what it may use")
    if status == 402 or codes & _QUOTA_CODES:
        what = f"the quota at {endpoint.host} is used up"
        return ServiceError("quota", what, final=True, do="check plan and billing there, then run again")
    if codes & _MODEL_CODES or (status == 404 and "model" in lowered):
        return ServiceError("model", f"{endpoint.host} does not know the model `{model}`", final=True, do="check llm.model")
    if status == 404:
        what = f"{endpoint.host} has no chat completions at that address, or no model `{model}` ({detail})"
        return ServiceError("model", what, final=True, do="check llm.base_url (it usually ends in /v1) and llm.model")
    if status == 429:
        return ThrottledError(retry_after(headers))
    if status >= 500 or status in (408, 409, 425):
        cause = "timeout" if status in (408, 504) else "server"
        return TransientError(cause, f"{detail} ({status})", asked_wait=retry_after(headers), answered=True)
    if status == 413 or any(word in lowered or word in codes for word in _TOO_LONG):
        return AnswerError("too-long", detail)
    if codes & _FILTER_CODES:
        return AnswerError("filtered", detail)
    refused = refused_parameter(param, message) if status in (400, 422) else None
    return RefusedParameterError(refused, detail) if refused else ServiceError("bad-request", f"{detail} ({status})")


def failure_of_transport(error: BaseException, endpoint: Endpoint) -> TransientError:
    """The error of an attempt that got no whole HTTP response: refused, reset, timed out, cut short."""
    import aiohttp

    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    # The SDK's transport reports aiohttp's connection errors as timeouts; the chain still has the original.
    if has(aiohttp.ClientConnectorError, aiohttp.InvalidURL):
        return TransientError("unreachable", f"no server answers at {endpoint.host}", sent=False)
    if has(aiohttp.ConnectionTimeoutError):
        return TransientError("unreachable", f"no connection to {endpoint.host} in time", sent=False)
    if has(aiohttp.ServerTimeoutError, TimeoutError):
        return TransientError("timeout", f"no answer from {endpoint.host} in time")
    if has(aiohttp.ClientResponseError) or any(type(link).__name__ == "DecodingError" for link in chain):
        return TransientError("server", f"{endpoint.host} does not send valid HTTP", answered=True)
    if has(aiohttp.ClientPayloadError):
        return TransientError("reset", f"the answer from {endpoint.host} broke off", answered=True)
    return TransientError("reset", f"the connection to {endpoint.host} was lost")


def shown(text: str, endpoint: Endpoint, limit: int = 200) -> str:
    """A server's text as it may be kept and printed: one line, no key, no control characters, at most `limit` characters."""
    return printable(endpoint.redact(text[: limit * 8]), limit)


def _error(body: bytes) -> tuple[str, set[str], str]:
    """(message, code and type, parameter) of an error: `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}` or plain text."""
    text = body[:4000].decode("utf-8", "replace").strip()
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return "" if text.startswith("<") else text, set(), ""
    inner = tree.get("error", tree) if isinstance(tree, dict) else tree
    if not isinstance(inner, dict):
        return _string(inner) or text, set(), ""
    message = inner.get("message", inner.get("detail"))
    codes = {_string(inner.get("code")), _string(inner.get("type"))}
    return message if isinstance(message, str) else text, codes, _string(inner.get("param"))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    """A whole number ≥ 0, as a number or as digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None
