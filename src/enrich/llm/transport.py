"""HTTP by way of the SDK: connections to one endpoint, and what an attempt means that got no whole response.

The HTTP client says nothing about this machine. A server can send a body without end, or a megabyte that decompresses to a gigabyte: bodies are cut
off at a size that no answer of a model reaches, counted after decompression.

Importing this file imports the SDK, which takes half a second: it is imported with the first request, and a run whose answers are all cached
sends none.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Literal

import aiohttp
import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAioHttpClient, Omit

from enrich.errors import ServiceError
from enrich.llm.failures import TransientError
from enrich.llm.replies import LARGEST_BODY, LARGEST_STREAM
from enrich.llm.server import Endpoint

_ABOUT_THIS_MACHINE = "Lang Package-Version OS Arch Runtime Runtime-Version Async Retry-Count Read-Timeout".split()
_ENCODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}  # zlib finds out which of the two it is


class Connection:
    """The SDK's client for an endpoint, without retries, redirects and proxies to this machine.

    `timeout_seconds` is for each wait, `seconds` for a whole response; `largest_body` in bytes. Raises `ServiceError` if a
    proxy or the certificates that the environment names cannot be used.
    """

    def __init__(
        self, endpoint: Endpoint, timeout_seconds: float, connections: int, seconds: float | None = None, largest_body: int = LARGEST_BODY
    ) -> None:
        self._endpoint, self._seconds = endpoint, seconds
        timeout = httpx2.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds))
        try:
            http = DefaultAioHttpClient(
                timeout=timeout,
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=15.0),
                # A redirect would send page text to a host that the user did not name; requests to this machine need no proxy.
                follow_redirects=False,
                trust_env=not endpoint.is_loopback,
                # Reading all certificates takes 50 ms, and without TLS they are not used.
                verify=endpoint.base_url.startswith("https:"),
                event_hooks={"response": [partial(_limit_body, largest_body)]},
            )
        except (OSError, ValueError, httpx2.InvalidURL):  # its message may hold the proxy's password
            detail = "a proxy or the certificates that the environment names cannot be used"
            do = "correct or unset HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
            raise ServiceError("environment", detail, final=True, do=do) from None
        self._sdk = AsyncOpenAI(
            api_key=endpoint.key,
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=timeout,
            http_client=http,
            _enforce_credentials=False,
        )
        self._sdk._platform = "Unknown"  # else it finds out by starting `uname`, which gets the key with the environment
        self._headers = _headers(endpoint)

    async def send(
        self, method: Literal["get", "post"], path: str, *, params: Any = None, headers: Any = None, **content: Any
    ) -> httpx2.Response:
        """The HTTP response with any status, read to its end. `content` as the SDK takes it. Raises `TransientError`."""
        options = {"headers": self._headers | (headers or {}), "params": params or {}}
        call: Callable[..., Awaitable[httpx2.Response]] = self._sdk.get if method == "get" else self._sdk.post
        try:
            # A server that sends a byte now and then never trips the transport's own timeouts.
            async with asyncio.timeout(self._seconds):
                return await call(path, cast_to=httpx2.Response, options=options, **content)
        except APIStatusError as error:
            return error.response
        except (APIConnectionError, TimeoutError, OSError, UnreadableBodyError, aiohttp.ClientError) as error:
            # The SDK does not translate some of aiohttp's errors (a reply that is not HTTP).
            raise _failure(error, self._endpoint.host) from None

    async def close(self) -> None:
        await self._sdk.close()


def _headers(endpoint: Endpoint) -> dict[str, Any]:
    """Headers that replace the SDK's, or leave them out.

    What it takes from the environment is for OpenAI alone, and without our key no other one (an admin's) may be sent instead. What it sends
    about this machine is not needed and costs a tenth of a request's CPU.
    """
    headers: dict[str, Any] = {f"X-Stainless-{name}": Omit() for name in _ABOUT_THIS_MACHINE}
    headers["Accept-Encoding"] = "gzip, deflate"
    if not endpoint.is_openai:
        headers |= {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
    if not endpoint.key or endpoint.form.key_header:
        headers["Authorization"] = Omit()
    if endpoint.key and endpoint.form.key_header:
        headers[endpoint.form.key_header] = endpoint.key
    return headers | dict(endpoint.form.headers)


class UnreadableBodyError(Exception):
    """A body that is too large, or compressed in a way that was not asked for."""


async def _limit_body(largest: int, response: httpx2.Response) -> None:
    """Before the body is read: replace its stream by one that decompresses and stops at the largest size."""
    if response.status_code == 200 and response.headers.get("content-type", "").startswith("text/event-stream"):
        largest = max(largest, LARGEST_STREAM)
    response.stream = _LimitedStream(response.stream, response.headers.pop("content-encoding", "").strip().lower(), largest)


class _LimitedStream(httpx2.AsyncByteStream):
    """The decompressed body, piece by piece. Raises `UnreadableBodyError`."""

    def __init__(self, stream: Any, encoding: str, largest: int) -> None:
        self._stream, self._encoding, self._largest = stream, encoding, largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._encoding not in ("", "identity", *_ENCODINGS):
            raise UnreadableBodyError("sends a compression that was not asked for")
        decompress = zlib.decompressobj(_ENCODINGS[self._encoding]) if self._encoding in _ENCODINGS else None
        left = self._largest
        async for piece in self._stream:
            try:
                data = piece if decompress is None else decompress.decompress(piece, left + 1)
            except zlib.error:
                raise UnreadableBodyError("sends a damaged compressed answer") from None
            left -= len(data)
            if left < 0:
                raise UnreadableBodyError(f"sends an answer of more than {self._largest // 1_000_000} MB")
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()


# What errors mean, the first that fits: the SDK's transport reports aiohttp's connection errors as timeouts, and their causes say more.
_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], str, str, dict[str, bool]], ...] = (
    ((aiohttp.ClientConnectorError, aiohttp.InvalidURL), "unreachable", "no server answers at {host}", {"sent": False}),
    ((aiohttp.ConnectionTimeoutError,), "unreachable", "no connection to {host} in time", {"sent": False}),
    ((aiohttp.ServerTimeoutError, TimeoutError), "timeout", "no answer from {host} in time", {}),
    ((UnreadableBodyError,), "server", "{host} {error}", {"answered": True}),
    ((aiohttp.ClientResponseError,), "server", "{host} does not send valid HTTP", {"answered": True}),
    ((aiohttp.ClientPayloadError,), "reset", "the answer from {host} broke off", {"answered": True}),
    ((BaseException,), "reset", "the connection to {host} was lost", {}),
)


def _failure(error: BaseException, host: str) -> TransientError:
    """The error of an attempt that got no whole HTTP response: refused, reset, timed out, cut short."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    found = ((one, meaning) for meaning in _MEANINGS for one in chain if isinstance(one, meaning[0]))
    one, (_, cause, what, more) = next(found)
    return TransientError(cause, what.format(host=host, error=one), **more)
