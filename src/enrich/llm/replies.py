"""Reading what a server sent: completions, usage, errors, headers. Nothing of it is trusted; nothing of it raises what is not ours."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from enrich.llm.messages import Usage

# No sane server asks to wait longer; what does is taken as not having said anything.
LONGEST_RETRY_AFTER = 3600.0


class GarbledReplyError(Exception):
    """A 200 whose body is no completion."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A sound reply: its text, why it ended (`stop`, `length`, `content_filter`, …), what it refused, its usage where stated."""

    text: str
    finish: str
    refusal: str
    usage: Usage | None
    model: str


@dataclass(frozen=True, slots=True)
class ServerSaid:
    """The error that a server's body states: each "" where it does not."""

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""


def read_completion(body: bytes) -> Completion:
    """The first choice of a chat completion. Raises `GarbledReplyError` with what is wrong."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        raise GarbledReplyError("the reply is no JSON") from None
    choices = tree.get("choices") if isinstance(tree, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise GarbledReplyError("the reply holds no answer (`choices` is missing or empty)")
    text, refusal = _text(message.get("content"))
    return Completion(
        text=text,
        finish=_string(choice.get("finish_reason")),
        refusal=_string(message.get("refusal")) or refusal,
        usage=read_usage(tree.get("usage")),
        model=_string(tree.get("model")),
    )


def read_usage(tree: object) -> Usage | None:
    """The usage as stated, None where it is missing or makes no sense (negative, no numbers)."""
    if not isinstance(tree, Mapping):
        return None
    given, output = _count(tree.get("prompt_tokens")), _count(tree.get("completion_tokens"))
    if given is None or output is None:
        return None
    details = tree.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    cached = min(_count(details.get("cached_tokens")) or 0, given)
    written = min(_count(details.get("cache_write_tokens")) or _count(details.get("cache_creation_tokens")) or 0, given - cached)
    return Usage(input=given, cached_input=cached, cache_write=written, output=output)


def read_error(body: bytes) -> ServerSaid:
    """The error in the usual shapes: `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}`, or plain text."""
    text = body[:4000].decode("utf-8", "replace").strip()
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return ServerSaid(message="" if text.startswith("<") else text)
    inner = tree.get("error", tree) if isinstance(tree, dict) else tree
    if not isinstance(inner, dict):
        return ServerSaid(message=_string(inner) or text)
    message = inner.get("message", inner.get("detail"))
    return ServerSaid(
        message=message if isinstance(message, str) else text,
        code=_string(inner.get("code")),
        kind=_string(inner.get("type")),
        param=_string(inner.get("param")),
    )


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a server asks to wait (`retry-after-ms`, then `Retry-After` in seconds or as an HTTP date); None: nothing sane."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _sane(milliseconds / 1000)
    stated = headers.get("retry-after")
    if not stated:
        return None
    seconds = _number(stated)
    if seconds is None:
        try:
            moment = parsedate_to_datetime(stated)
        except (ValueError, TypeError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return _sane(seconds)


def duration(text: str | None) -> float | None:
    """Seconds in a reset header: `6m0s`, `20ms`, `1h2m3.5s`, or a bare number of seconds; None where it is none of these."""
    if not text:
        return None
    plain = _number(text)
    if plain is not None:
        return plain if plain >= 0 else None
    total, digits, rest = 0.0, "", text.strip().lower()
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "d": 86400.0}
    while rest:
        count = next((at for at, char in enumerate(rest) if char not in "0123456789."), len(rest))
        digits, rest = rest[:count], rest[count:]
        count = next((at for at, char in enumerate(rest) if char in "0123456789."), len(rest))
        unit, rest = rest[:count], rest[count:]
        amount = _number(digits)
        if amount is None or unit not in units:
            return None
        total += amount * units[unit]
    return total


def _text(content: object) -> tuple[str, str]:
    """(text, refusal) of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        return "", ""
    texts, refusals = [], []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            texts.append(_string(part.get("text")))
            refusals.append(_string(part.get("refusal")))
    return "".join(texts), "".join(refusals)


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


def _sane(seconds: float) -> float | None:
    return seconds if 0 < seconds <= LONGEST_RETRY_AFTER else None
