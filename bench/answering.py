"""A server that costs next to nothing, so that it is not what a bench measures: raw asyncio, one fixed answer after a fixed time.

`python bench/answering.py --latency 0.1` prints its port and serves until its standard input ends; then it prints its counts as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fake_server import RateLimit, completion

REFUSED = b'{"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}'


class Answering(asyncio.Protocol):
    """One connection. Class attributes are shared by all: there is one server in a process."""

    answer = b""
    latency = 0.0
    limit: RateLimit | None = None
    requests = 0
    refused = 0

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self.buffer.lower().find(b"content-length:", 0, end)
        length = int(self.buffer[at + 15 : self.buffer.index(b"\r", at)])
        if len(self.buffer) < end + 4 + length:
            return
        self.buffer = b""
        kind = type(self)
        kind.requests += 1
        head = ""
        if kind.limit is not None:
            allowed, told = kind.limit.ask(time.time())
            head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            if not allowed:
                kind.refused += 1
                self.write(f"HTTP/1.1 429 X\r\n{head}content-length: {len(REFUSED)}\r\n\r\n".encode() + REFUSED)
                return
        answer = kind.answer.replace(b"\r\n", f"\r\n{head}".encode(), 1) if head else kind.answer
        asyncio.get_running_loop().call_later(kind.latency, self.write, answer)

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    await ended.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--content", default="{}")
    parser.add_argument("--per-second", type=float)
    parser.add_argument("--tell", default="retry-after")
    parser.add_argument("--kind", default="window")
    parser.add_argument("--halve-after", type=int)
    options = parser.parse_args()
    body = json.dumps(completion(options.content, usage={"prompt_tokens": 2000, "completion_tokens": 300, "total_tokens": 2300})).encode()
    Answering.answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    Answering.latency = options.latency
    if options.per_second:
        Answering.limit = RateLimit(options.per_second, options.kind, options.tell, options.halve_after)
    asyncio.run(serve())
    print(json.dumps({"requests": Answering.requests, "refused": Answering.refused}), flush=True)


if __name__ == "__main__":
    main()
