"""The HTTP client under the SDK: what is sent about this machine (nothing), and how much a server may send back.

A server can send a body without end, or a megabyte that decompresses to a gigabyte. Bodies are cut off at a size that no answer of a model
reaches, counted after decompression.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

    from enrich.llm.server import Endpoint

# An answer of 30,000 tokens is about 200 kB of JSON. A stream repeats some 200 bytes for each token, log-probabilities have a kB for each.
LARGEST_BODY, LARGEST_STREAM = 4_000_000, 12_000_000
_ABOUT_THIS_MACHINE = "Lang Package-Version OS Arch Runtime Runtime-Version Async Retry-Count Read-Timeout".split()
_ENCODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}  # zlib finds out which of the two it is


class UnreadableBodyError(Exception):
    """A body that is too large, or compressed in a way that was not asked for."""


def open_sdk(endpoint: Endpoint, timeout_seconds: float, connections: int, largest_body: int = LARGEST_BODY) -> AsyncOpenAI:
    """The SDK's client for an endpoint, without retries, redirects and proxies to this machine. `largest_body` of a response, in bytes."""
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    timeout = httpx2.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds))
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
    sdk = AsyncOpenAI(
        api_key=endpoint.key,
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=timeout,
        http_client=http,
        _enforce_credentials=False,
    )
    sdk._platform = "Unknown"  # else it finds out by starting `uname`, which gets the key with the environment
    return sdk


def headers_of(endpoint: Endpoint) -> dict[str, Any]:
    """Headers that replace the SDK's, or leave them out.

    What it takes from the environment is for OpenAI alone, and without our key no other one (an admin's) may be sent instead. What it sends
    about this machine is not needed and costs a tenth of a request's CPU.
    """
    from openai import Omit

    headers: dict[str, Any] = {f"X-Stainless-{name}": Omit() for name in _ABOUT_THIS_MACHINE}
    headers["Accept-Encoding"] = "gzip, deflate"
    if not endpoint.is_openai:
        headers |= {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
    if not endpoint.key or endpoint.form.key_header:
        headers["Authorization"] = Omit()
    if endpoint.key and endpoint.form.key_header:
        headers[endpoint.form.key_header] = endpoint.key
    return headers | dict(endpoint.form.headers)


async def _limit_body(largest: int, response: httpx2.Response) -> None:
    """Before the body is read: replace its stream by one that decompresses and stops at the largest size."""
    if response.status_code == 200 and response.headers.get("content-type", "").startswith("text/event-stream"):
        largest = max(largest, LARGEST_STREAM)
    response.stream = _stream_class()(response.stream, response.headers.pop("content-encoding", "").strip().lower(), largest)


@cache
def _stream_class() -> Any:
    """The class of limited streams; made with the first response, because importing the HTTP client is slow."""
    import httpx2

    class Limited(httpx2.AsyncByteStream):
        def __init__(self, stream: httpx2.AsyncByteStream, encoding: str, largest: int) -> None:
            self._stream, self._encoding, self._largest = stream, encoding, largest

        def __aiter__(self) -> AsyncIterator[bytes]:
            return _limited(self._stream, self._encoding, self._largest)

        async def aclose(self) -> None:
            await self._stream.aclose()

    return Limited


async def _limited(stream: httpx2.AsyncByteStream, encoding: str, largest: int) -> AsyncIterator[bytes]:
    """The decompressed body, piece by piece. Raises `UnreadableBodyError`."""
    if encoding not in ("", "identity", *_ENCODINGS):
        raise UnreadableBodyError("sends a compression that was not asked for")
    decompress = zlib.decompressobj(_ENCODINGS[encoding]) if encoding in _ENCODINGS else None
    left = largest
    async for piece in stream:
        try:
            data = piece if decompress is None else decompress.decompress(piece, left + 1)
        except zlib.error:
            raise UnreadableBodyError("sends a damaged compressed answer") from None
        left -= len(data)
        if left < 0:
            raise UnreadableBodyError(f"sends an answer of more than {largest // 1_000_000} MB")
        yield data
