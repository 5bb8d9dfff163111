"""Over sixty ways in which a server can misbehave, as bytes on the wire, and a process that meets them all (`python -m`, see its test)."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import socketserver
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.fake_server import completion
from tests.llm.asking import ask
from tests.llm.encodings import ENCODED

KEY = "sk-proj-Abc123_secret-0987654321xyz"
ANSWER = {"summary": "Short."}
# Seconds after which a request, or a server that refuses everything, is given up: small in the rows that end in this way, so that the table is
# met in seconds, and in all others so large that no busy machine reaches them.
_SHORT, _NEVER = 1.0, 600.0
# After so many seconds the server ends what has no end: the client must have ended it before.
LONGEST = 120.0
Pieces = Iterable[bytes]
Behaviour = Callable[[int], Pieces]
"""What is sent for the n-th request (from 0): pieces of bytes, then the connection is closed."""


def reply(body: Any, status: int = 200, **headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content-type": "application/json", "content-length": str(len(data)), "connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return (
        f"HTTP/1.1 {status} X\r\n".encode() + b"".join(f"{name}: {value}\r\n".encode() for name, value in fields.items()) + b"\r\n" + data
    )


def error(status: int, message: str, code: str = "", **headers: str) -> bytes:
    return reply({"error": {"message": message, "code": code}}, status, **headers)


def always(*pieces: bytes) -> Behaviour:
    return lambda number: pieces


def once(first: bytes, *more: bytes) -> Behaviour:
    """These replies, one for each request, then a good one."""
    replies = (first, *more)
    return lambda number: [replies[number]] if number < len(replies) else [reply(completion(ANSWER))]


def endless(start: bytes, piece: bytes, pause: float = 0.0) -> Behaviour:
    def send(number: int) -> Iterator[bytes]:
        yield start
        while True:
            yield piece
            time.sleep(pause)

    return send


def bomb(encoding: bytes, start: bytes) -> Behaviour:
    """Two gigabytes in two megabytes: one block of 10 MB, compressed so that it can be repeated."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = squeeze.compress(b" " * 10_000_000) + squeeze.flush(zlib.Z_FULL_FLUSH)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: " + encoding + b"\r\nconnection: close\r\n\r\n"
    return lambda number: [head + start, *[block] * 200]


def chunked(*pieces: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def used(prompt: Any, output: Any, **more: Any) -> Behaviour:
    return always(reply(completion(ANSWER, usage={"prompt_tokens": prompt, "completion_tokens": output, **more})))


def raw_usage(usage: str) -> Behaviour:
    tree = json.dumps(completion(ANSWER, usage=0))
    return always(reply(tree.replace('"usage": 0', f'"usage": {usage}').encode()))


GOOD = json.dumps(completion(ANSWER)).encode()
HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n"
CEILING = "max_tokens=500 cannot be greater than max_model_len=400"

# name → (what the server does, how it must end: "answer" or the cause of the failure)
BEHAVIOURS: dict[str, tuple[Behaviour, str]] = {
    # Sizes
    "a body without end": (endless(HEAD + b"\r\n", b" " * 65536), "server"),
    "a body without end, of JSON": (endless(HEAD + b"\r\n[", b"[]," * 20_000), "server"),
    "an error without end": (endless(b"HTTP/1.1 500 X\r\nconnection: close\r\n\r\n", b"x" * 65536), "server"),
    "a length of 10 TB": (endless(HEAD + b"content-length: 10000000000000\r\n\r\n", b" " * 65536), "server"),
    "chunks without end": (endless(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"), "server"),
    "a chunk of 10 TB": (endless(HEAD + b"transfer-encoding: chunked\r\n\r\n9fffffffff\r\n", b" " * 65536), "server"),
    "a gzip bomb": (bomb(b"gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\xff"), "server"),
    "a deflate bomb": (bomb(b"deflate", b"\x78\x9c"), "server"),
    "a gzip bomb of an answer": (always(reply(gzip.compress(json.dumps(completion("a" * 50_000_000)).encode()), content_encoding="gzip")), "server"),
    "2 MB of brackets": (always(reply(b"[" * 1_900_000)), "invalid"),
    "2 MB of empty objects": (always(reply(b"[" + b"{}," * 600_000 + b"{}]")), "invalid"),
    "a text with 200,000 numbers": (always(reply(completion({"summary": "1.5 " * 200_000}))), "too-large"),
    "a million words": (always(reply(completion("word " * 300_000))), "too-large"),
    "300,000 choices": (always(reply({"choices": [{}] * 300_000})), "invalid"),
    # Headers
    "headers without end": (endless(HEAD, b"x: y\r\n" * 1000), "server"),
    "one header without end": (endless(HEAD + b"x: ", b"y" * 65536), "server"),
    "a status line without end": (endless(b"HTTP/1.1 200 ", b"y" * 65536), "server"),
    "provisional answers without end": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.01), "timeout"),
    "duplicated lengths": (always(HEAD + b"content-length: 5\r\ncontent-length: 7\r\n\r\n" + GOOD), "server"),
    "a negative length": (always(HEAD + b"content-length: -1\r\n\r\n" + GOOD), "server"),
    "control characters in a header": (always(HEAD + b"x: \x00\x1b[2J\r\n\r\n" + GOOD), "server"),
    # Time
    "no answer": (endless(b"", b"", 0.1), "timeout"),
    "a head and no body": (endless(HEAD + b"content-length: 500\r\n\r\n", b"", 0.1), "timeout"),
    "a drip of body": (endless(HEAD + b"content-length: 100000\r\n\r\n", b" ", 0.02), "timeout"),
    "a drip of headers": (endless(HEAD, b"x: y\r\n", 0.05), "timeout"),
    "a drip of chunks": (endless(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.02), "timeout"),
    # Encodings and form
    "no HTTP": (always(b"hello\r\n\r\n"), "server"),
    "TLS on a plain port": (always(b"\x15\x03\x01\x00\x02\x02\x46"), "server"),
    "nothing": (always(b""), "reset"),
    "half a body": (always(reply(GOOD)[:-20]), "reset"),
    "half a chunk": (always(HEAD + b"transfer-encoding: chunked\r\n\r\nff\r\nabc"), "reset"),
    "gzip that is none": (always(reply(b"plain", content_encoding="gzip")), "server"),
    "half of a gzip": (always(reply(gzip.compress(GOOD)[:60], content_encoding="gzip")), "invalid"),
    "good gzip": (always(reply(gzip.compress(GOOD), content_encoding="gzip")), "answer"),
    "good deflate": (always(reply(zlib.compress(GOOD), content_encoding="deflate")), "answer"),
    "good chunks": (always(chunked(GOOD[:50], GOOD[50:], b"")), "answer"),
    "brotli": (always(reply(b"\x0b\x02\x80hello\x03", content_encoding="br")), "server"),
    "UTF-16": (always(reply(GOOD.decode().encode("utf-16"))), "answer"),
    "Latin-1": (always(reply(json.dumps(completion("ä"), ensure_ascii=False).encode("latin-1"))), "invalid"),
    "a byte order mark": (always(reply(b"\xef\xbb\xbf" + GOOD)), "answer"),
    "lone surrogates": (always(reply(completion('{"summary": "\ud800"}'))), "answer"),
    # Redirects and statuses
    "a redirect to another host": (always(reply(b"", 307, location="http://127.0.0.2:1/v1/chat/completions")), "redirect"),
    "a redirect to a file": (always(reply(b"", 301, location="file:///etc/passwd")), "redirect"),
    "a redirect to itself": (always(reply(b"", 302, location="")), "redirect"),
    "204": (always(HEAD.replace(b"200 OK", b"204 None") + b"\r\n"), "bad-request"),
    "a status of 999": (always(reply(GOOD, 999)), "server"),
    "a proxy's page": (always(reply(b"<html>Bad gateway</html>", 502)), "server"),
    "switching protocols": (always(b"HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"), "bad-request"),
    # Wrong types
    "null": (always(reply(None)), "invalid"),
    "NaN": (always(reply(b"NaN")), "invalid"),
    "a number of 200,000 digits": (always(reply(b'{"choices": ' + b"9" * 200_000 + b"}")), "invalid"),
    "choices of the wrong type": (always(reply({"choices": {"0": {}}})), "invalid"),
    "content of the wrong type": (always(reply(completion([7, None, {"text": 3}, {"text": {}}]))), "invalid"),
    "duplicated keys": (always(reply(b'{"choices": [], ' + GOOD[1:])), "answer"),
    "deep nesting inside the answer": (always(reply(completion("[" * 15_000))), "answer"),
    "an error inside a 200": (always(reply({"error": {"message": "overloaded", "code": 503}})), "server"),
    "an empty answer": (always(reply(completion("  "))), "invalid"),
    # Waiting
    "Retry-After of an hour": (always(error(429, "slow", retry_after="3599")), "rate-limited"),
    "Retry-After of an hour with a 503": (always(error(503, "slow", retry_after="3599")), "server"),
    "Retry-After in the past": (once(error(429, "slow", retry_after="Wed, 21 Oct 2015 07:28:00 GMT")), "answer"),
    "Retry-After in the year 9999": (once(error(429, "slow", retry_after="Fri, 31 Dec 9999 23:59:59 GMT")), "answer"),
    "Retry-After that is no time": (once(error(429, "slow", retry_after="\t-1e999 soon")), "answer"),
    "Retry-After of NaN": (once(error(429, "slow", retry_after="nan", retry_after_ms="inf")), "answer"),
    "Retry-After in milliseconds": (once(error(503, "slow", retry_after_ms="10")), "answer"),
    "rate headers that lie": (
        always(reply(completion(ANSWER), x_ratelimit_remaining_requests="-1e9", x_ratelimit_limit_requests="NaN", x_ratelimit_reset_requests="9y")),
        "answer",
    ),
    # Refusals
    "a ceiling refused for ever": (always(error(400, CEILING)), "bad-request"),
    "every parameter refused in turn": (once(*(error(400, f"no {name}") for name in ("max_tokens", "response_format", "json_schema"))), "answer"),
    "a reason of 2 MB": (always(error(400, "no " * 500_000)), "bad-request"),
    "a quota": (always(error(429, "pay", "insufficient_quota")), "quota"),
    # Usage
    "no usage": (always(reply(completion(ANSWER, usage=None))), "answer"),
    "usage of zero": (used(0, 0), "answer"),
    "usage of a billion": (used(10**9, 10**9), "answer"),
    "usage below zero": (used(-5, -5), "answer"),
    "usage of NaN": (raw_usage('{"prompt_tokens": NaN, "completion_tokens": Infinity}'), "answer"),
    "usage of 1e400": (raw_usage('{"prompt_tokens": 1e400, "completion_tokens": 1}'), "answer"),
    "usage in words": (used("many", True), "answer"),
    "more cached than sent": (used(50, 5, prompt_tokens_details={"cached_tokens": 10**9, "cache_write_tokens": -1}), "answer"),
    # The key
    "the key in an error": (always(error(400, f"bad key {KEY}")), "bad-request"),
    "the key in a status line": (always(f"HTTP/1.1 500 {KEY}\r\n{KEY}\r\n\r\n".encode()), "server"),
    "the key as the model's name": (always(reply(completion(ANSWER, model=KEY, finish=KEY))), "answer"),
    **{
        f"the key in an answer: {name}": (always(reply(completion({"summary": f"See {write(KEY)}."}))), "key-in-answer")
        for name, write in ENCODED.items()
    },
    **{f"the key in a refusal: {name}": (always(reply(completion(None, refusal=write(KEY)))), "refused") for name, write in ENCODED.items()},
}  # fmt: skip


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with suppress(OSError, ValueError):
            row = int(self.rfile.readline().split(b"/")[1])
            length = 0
            while (line := self.rfile.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            self.rfile.read(length)
            counts: dict[int, int] = self.server.counts  # type: ignore[attr-defined]
            number = counts.get(row, 0)
            counts[row] = number + 1
            until = time.monotonic() + LONGEST
            for piece in list(BEHAVIOURS.values())[row][0](number):
                if time.monotonic() > until:
                    return
                self.wfile.write(piece)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def serving() -> Iterator[_Server]:
    """A server at `/N/…` that behaves as the N-th row says."""
    with _Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def _peak_memory_mb() -> float:
    """The peak memory of this program. `ru_maxrss` also counts what the test's process had when it started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Meet all rows at the port in the first argument, a few at once; print what came of each, and this process's memory, as JSON."""

    def meet(row: int) -> dict[str, Any]:
        name, (_, end) = list(BEHAVIOURS.items())[row]
        patience = _SHORT if end == "timeout" else _NEVER, _SHORT if name.startswith("Retry-After of an hour") else _NEVER
        url = f"http://127.0.0.1:{sys.argv[1]}/{row}/v1"
        started = time.monotonic()
        asked = ask(url, env={"OPENAI_API_KEY": KEY}, attempts=2, timeout_seconds=patience[0], breaker_seconds=patience[1])
        produced = repr((asked.events, asked.reply, asked.tally, asked.error, getattr(asked.error, "do", "")))
        end = getattr(asked.error, "cause", repr(asked.error)) if asked.error else "answer"
        return {"end": end, "seconds": time.monotonic() - started, "produced": produced}

    async def meet_all() -> list[dict[str, Any]]:
        at_once = asyncio.Semaphore(6)

        async def one(row: int) -> dict[str, Any]:
            async with at_once:
                return await asyncio.to_thread(meet, row)

        return await asyncio.gather(*(one(row) for row in range(len(BEHAVIOURS))))

    rows = asyncio.run(meet_all())
    print(json.dumps({"rows": rows, "memory_mb": _peak_memory_mb()}))


if __name__ == "__main__":
    main()
