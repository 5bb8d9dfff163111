"""What a failed attempt means: try again, wait, write the request another way, give up this answer, or end the run.

Errors of the SDK and its transport enter here and leave as `enrich.errors` (STYLE.md 5). Server texts are redacted before they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from enrich.errors import AnswerError, ServiceError
from enrich.llm.dialect import Refused, refused_parameter
from enrich.llm.endpoint import Endpoint
from enrich.llm.replies import read_error, retry_after

_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_TOO_LONG = ("context_length_exceeded", "context length", "context window", "context size", "maximum context", "prompt is too long")
_MODEL_CODES = frozenset({"model_not_found", "invalid_model", "unknown_model"})
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})


class TransientError(Exception):
    """This attempt failed in a way that another may not. `cause` as in `ServiceError`; `asked_wait`: what `Retry-After` said, in seconds.

    `sent` is False where the request never reached a server, so that it cannot have cost anything. `answered`: a server did answer.
    """

    def __init__(self, cause: str, detail: str, *, asked_wait: float | None = None, sent: bool = True, answered: bool = False) -> None:
        self.cause, self.detail, self.asked_wait, self.sent, self.answered = cause, detail, asked_wait, sent, answered
        super().__init__(f"{cause}: {detail}")


class ThrottledError(Exception):
    """A 429: everybody waits. `asked_wait`: what `Retry-After` said, in seconds; None where it said nothing sane."""

    def __init__(self, asked_wait: float | None) -> None:
        self.asked_wait = asked_wait
        super().__init__("429")


class RefusedParameterError(Exception):
    """A 400 that names a parameter of ours."""

    def __init__(self, refused: Refused, detail: str) -> None:
        self.refused, self.detail = refused, detail
        super().__init__(detail)


def failure_of_status(status: int, headers: Mapping[str, str], body: bytes, *, model: str, endpoint: Endpoint) -> Exception:
    """The error that an HTTP status other than 2xx stands for."""
    said = read_error(body)
    detail = shown(said.message, endpoint) or "no reason given"
    lowered = said.message.lower()
    if 300 <= status < 400:
        return ServiceError(
            "redirect",
            f"{endpoint.host} answers with a redirect ({status}), which is not followed",
            final=True,
            do="name the right address in llm.base_url",
        )
    if status in (401, 403):
        # What the server says is left out: it likes to echo the key.
        return ServiceError(
            "auth", f"{endpoint.host} does not accept the key ({status})", final=True, do="check OPENAI_API_KEY and what it may use"
        )
    if status == 402 or said.code in _QUOTA_CODES or said.kind in _QUOTA_CODES:
        return ServiceError(
            "quota", f"the quota at {endpoint.host} is used up", final=True, do="check plan and billing there, then run again"
        )
    if status == 404 or said.code in _MODEL_CODES:
        if status == 404 and "model" not in lowered and said.code not in _MODEL_CODES:
            what = f"{endpoint.host} has no chat completions at that address, or no model `{model}` ({detail})"
            return ServiceError("model", what, final=True, do="check llm.base_url (it usually ends in /v1) and llm.model")
        return ServiceError("model", f"{endpoint.host} does not know the model `{model}`", final=True, do="check llm.model")
    if status == 429:
        return ThrottledError(retry_after(headers))
    if status >= 500 or status in (408, 409, 425):
        cause = "timeout" if status in (408, 504) else "server"
        return TransientError(cause, f"{detail} ({status})", asked_wait=retry_after(headers), answered=True)
    if status == 413 or any(word in lowered or word == said.code for word in _TOO_LONG):
        return AnswerError("too-long", detail)
    if said.code in _FILTER_CODES or said.kind in _FILTER_CODES:
        return AnswerError("filtered", detail)
    if status in (400, 422):
        refused = refused_parameter(said.param, said.message)
        if refused is not None:
            return RefusedParameterError(refused, detail)
    return ServiceError("bad-request", f"{detail} ({status})")


def failure_of_transport(error: BaseException, endpoint: Endpoint) -> TransientError:
    """The error of an attempt that got no whole HTTP response: refused, reset, timed out, cut short."""
    import aiohttp

    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    kinds = {type(link).__name__ for link in chain}
    # The SDK's transport reports aiohttp's connection errors as timeouts; the chain still has the original.
    if any(isinstance(link, aiohttp.ClientConnectorError | aiohttp.InvalidURL) for link in chain):
        return TransientError("unreachable", f"no server answers at {endpoint.host}", sent=False)
    if any(isinstance(link, aiohttp.ConnectionTimeoutError) for link in chain):
        return TransientError("unreachable", f"no connection to {endpoint.host} in time", sent=False)
    if any(isinstance(link, aiohttp.ServerTimeoutError | TimeoutError) for link in chain):
        return TransientError("timeout", f"no answer from {endpoint.host} in time")
    if any(isinstance(link, aiohttp.ClientResponseError) for link in chain) or "DecodingError" in kinds:
        return TransientError("server", f"{endpoint.host} does not speak proper HTTP", answered=True)
    if any(isinstance(link, aiohttp.ClientPayloadError) for link in chain):
        return TransientError("reset", f"the answer from {endpoint.host} broke off", answered=True)
    return TransientError("reset", f"the connection to {endpoint.host} was lost")


def shown(text: str, endpoint: Endpoint, limit: int = 200) -> str:
    """A server's text as it may be kept and printed: one line, no key, no control characters, at most `limit` characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: limit * 8]).split())
    line = endpoint.redact(line)
    return line if len(line) <= limit else line[: limit - 1] + "…"
