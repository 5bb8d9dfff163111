"""The server: where requests go, whether the API key may go there, and what an answer or a failure means.

The key comes from `OPENAI_API_KEY` alone. It is sent to api.openai.com, to loopback, and to a host that the environment or a flag named; a
host that only the wiki's file names needs `ENRICH_TRUST_HOST=host`: cloning a wiki must not send keys (or pages) away.

Nothing from a server is trusted: malformed parts are treated as missing. Errors of the SDK and its transport enter here and leave as
`enrich.errors` or as one of the three errors below, on which the client acts. Server texts are redacted before they are kept.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from enrich.errors import AnswerError, ServiceError, UserError
from enrich.llm.key_forms import holds_key
from enrich.llm.messages import Usage
from enrich.llm.parameters import Refused, refused_parameter, room_left
from enrich.llm.transport import UnreadableBodyError
from enrich.text import printable

OPENAI_URL = "https://api.openai.com/v1"
_OPENAI_HOST = "api.openai.com"
# One spelling of a host only: what a lenient parser could read in two ways (user@host, backslashes, blanks) is refused.
_NETLOC = re.compile(r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?")
_KEY_LIKE = re.compile(r"\b(?:sk|pk)-[A-Za-z0-9_*.…-]{6,}|(?i:\bbearer)\s+[^\s\"',;]+")
_REDACTED = "[key]"
_WITHHELD = "[a text that holds the key]"
# Local servers take any word as a key; the keys that servers issue are longer.
_SHORTEST_REAL_KEY = 20
_NAMED_BY = {"environment": "OPENAI_BASE_URL / ENRICH_LLM__BASE_URL", "flag": "--base-url"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that speaks OpenAI's chat completions. `host` is shown to people, with its port if one was named."""

    base_url: str
    host: str
    is_openai: bool
    is_loopback: bool
    key: str = field(default="", repr=False)

    @classmethod
    def from_settings(cls, base_url: str | None, named_by: str, env: Mapping[str, str]) -> Endpoint:
        """The endpoint for a configured `base_url` (None or "": OpenAI).

        `named_by` says where it was configured: `file`, `environment`, `flag` or "" (the default). `env` has `OPENAI_API_KEY` and
        `ENRICH_TRUST_HOST` (hosts separated by commas). Raises `UserError` for an unusable address, for a host that only the file names, and
        for a missing or malformed key.
        """
        url = (base_url or OPENAI_URL).strip().rstrip("/")
        where = _NAMED_BY.get(named_by, "llm.base_url")
        name, shown, scheme = _host(url, where)
        is_openai = name == _OPENAI_HOST or name.endswith("." + _OPENAI_HOST)
        is_loopback = _is_loopback(name)
        if is_openai and scheme != "https":
            raise UserError(f"{shown} is used over https only", where=where, do=f"write {OPENAI_URL}")
        trusted = {part.strip().lower() for part in env.get("ENRICH_TRUST_HOST", "").split(",")}
        if not (named_by in _NAMED_BY or name == _OPENAI_HOST or is_loopback or name in trusted or shown.lower() in trusted):
            raise UserError(
                f"only the wiki's own file names the server {shown}: nothing is sent there",
                where=where,
                do=f"if you trust it with your pages and your key, set ENRICH_TRUST_HOST={name}",
            )
        key = env.get("OPENAI_API_KEY", "").strip()
        if any(ord(char) < 33 or ord(char) > 126 for char in key):
            raise UserError(
                "the key has characters that no key has (a blank, a line end, a typographic dash?)",
                where="OPENAI_API_KEY",
                do="copy the key again",
            )
        if not key and is_openai:
            raise UserError(f"no API key for {shown}", where="OPENAI_API_KEY", do='export the key, or set backend = "offline"')
        return cls(base_url=url, host=shown, is_openai=is_openai, is_loopback=is_loopback, key=key)

    def redact(self, text: str) -> str:
        """`text` without the key and without anything that looks like one: for messages of a server, never for answers."""
        if self.key and self.key in text:
            text = text.replace(self.key, _REDACTED)
        text = _KEY_LIKE.sub(_REDACTED, text)
        return _WITHHELD if len(self.key) >= _SHORTEST_REAL_KEY and holds_key(text, self.key) else text

    def leaked_in(self, answer: str, asked: Sequence[str]) -> bool:
        """Whether an answer holds the key, encoded or not, and none of the texts sent does. Short keys (`test`) are words: they never count."""
        if len(self.key) < _SHORTEST_REAL_KEY or not holds_key(answer, self.key):
            return False
        return not any(holds_key(text, self.key) for text in asked)


def host_of(base_url: str | None) -> str:
    """The host that page text would be sent to, for display; needs no key. Raises `UserError` for an unusable address."""
    return _host((base_url or OPENAI_URL).strip().rstrip("/"), "llm.base_url")[1]


def _host(url: str, where: str) -> tuple[str, str, str]:
    """(host in lower case, host as shown with its port, scheme)."""
    example = "write it like https://host/v1 or http://127.0.0.1:8080/v1"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UserError("not a web address", where=where, do=example) from None
    if "@" in parts.netloc:
        raise UserError("must not have a user name or password", where=where, do="put the key into OPENAI_API_KEY")
    match = _NETLOC.fullmatch(parts.netloc)
    odd = any(ord(char) < 33 or char == "\\" for char in url)
    if parts.scheme not in ("http", "https") or match is None or parts.query or parts.fragment or odd:
        # Without its query, which may hold a key.
        raise UserError(f"`{re.split('[?#]', url)[0][:80]}` is not the web address of a server", where=where, do=example)
    if match["port"] and not 0 < int(match["port"]) < 65536:
        raise UserError(f"port {match['port']} does not exist", where=where, do=example)
    return match["host"].strip("[]").lower(), parts.netloc.lower(), parts.scheme


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
    if status in (400, 422) and (room := room_left(message)):
        return RefusedParameterError(room, detail)
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
    for link in chain:
        if isinstance(link, UnreadableBodyError):
            return TransientError("server", f"{endpoint.host} {link}", answered=True)
    if has(aiohttp.ClientResponseError):
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
