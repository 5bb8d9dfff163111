"""A scripted OpenAI-compatible server that speaks real HTTP/1.1 on 127.0.0.1, for tests and benches.

```python
with FakeServer([too_many(retry_after="1"), ok({"summary": "…"})]) as server:   # a queue; when it is empty, the default answers
    Endpoint.from_settings(server.base_url, "flag", {})
server.seen[0].body["temperature"]; server.statuses
```
A script is a list of `Act`s or a function from `Seen` to `Act` (None: the default). The default is a deterministic answer that fits the
JSON schema that came with the request, its strings cut from the messages, so that whole runs work against it. It runs in a
thread, or as a process: `python tests/fake_server.py --latency 0.1` prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zlib import crc32

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.schema_answers import answer_for


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came: `body` parsed ({} where it is no JSON), `key`: the bearer token or "", `at`: the server's clock."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes
    at: float

    @property
    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def text(self) -> str:
        """All messages' texts, one after the other."""
        return "\n".join(message["content"] for message in self.body.get("messages", []))


@dataclass(frozen=True, slots=True)
class Act:
    """What the server does with one request. `wire`: `normal`, `hang` (never answers), `reset` (closes at once), `cut` (half the body,
    then closes), `drip` (a byte now and then, for ever), `raw` (`body` is all that is sent)."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float | None = None
    wire: str = "normal"
    name: str = ""


def completion(
    content: Any, *, finish: str = "stop", refusal: str | None = None, usage: Any = ..., model: str = "fake-model"
) -> dict[str, Any]:
    """A chat completion around `content` (a dict is sent as JSON text). `usage=...`: a plausible one; None: none."""
    text = content if content is None or isinstance(content, str | list) else json.dumps(content, ensure_ascii=False)
    tree: dict[str, Any] = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1700000000,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": refusal}, "finish_reason": finish}],
    }
    if usage is not None:
        tree["usage"] = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120} if usage is ... else usage
    return tree


def with_logprobs(tree: dict[str, Any], tokens: Iterable[tuple[str, float, Mapping[str, float]]]) -> dict[str, Any]:
    """The completion with log-probabilities in OpenAI's form: `tokens` are (text, probability, the likeliest ones at its place with theirs)."""

    def entry(text: str, chance: float) -> dict[str, Any]:
        return {"token": text, "logprob": math.log(chance) if chance else -9999.0, "bytes": list(text.encode())}

    listed = [
        {**entry(text, chance), "top_logprobs": [entry(other, share) for other, share in others.items()]} for text, chance, others in tokens
    ]
    return {**tree, "choices": [{**tree["choices"][0], "logprobs": {"content": listed, "refusal": None}}]}


def level_shares(name: str, text: str, count: int) -> list[float]:
    """A probability for each level: most of it on one that the texts choose, some on its neighbours."""
    middle = crc32(f"{name}|{text}".encode()) % count
    weights = [{0: 6.0, 1: 2.0}.get(abs(place - middle), 0.0) for place in range(count)]
    return [round(weight / sum(weights), 4) for weight in weights]


Shares = Callable[[str, str, int], list[float]]


def decision(body: Mapping[str, Any], shares: Shares = level_shares) -> Act:
    """What a decision endpoint answers to score questions, in the format of the request: OpenAI's `/v1/decisions` has `input` and a list of
    questions, `/v1/systemone` has `state` and a mapping."""
    questions, text = body.get("questions"), body.get("input", body.get("state"))
    if not questions or not isinstance(text, str) or not isinstance(body.get("model"), str):
        return status(400, "model, questions and input (or state) are required", kind="invalid_request_error")
    usage: dict[str, Any] = {"input_tokens": len(text) // 4, "output_tokens": 0}
    if isinstance(questions, list):
        listed = []
        for one in questions:
            labels = [level["label"] for level in one["levels"]]
            given = shares(one["name"], text, len(labels))
            rows = [
                {"label": label, "value": place, "probability": share}
                for place, (label, share) in enumerate(zip(labels, given, strict=True))
            ]
            listed.append({"type": "score", "name": one["name"], **_expected(given), "probabilities": rows})
        details = {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        usage = {**usage, **details, "total_tokens": usage["input_tokens"]}
        return Act(body={"answers": listed, "model": body["model"], "usage": usage}, name="decision")
    named = {}
    for name, one in questions.items():
        given = shares(name, text, len(one["criteria"]))
        by_level = {str(place): share for place, share in enumerate(given)}
        legend = {str(place): said for place, said in enumerate(one["criteria"])}
        named[name] = {"type": "score", **_expected(given), "legend": legend, "probabilities": by_level}
    return Act(body={"answers": named, "model": body["model"], "usage": usage}, name="decision")


def _expected(shares: list[float]) -> dict[str, float]:
    mean = sum(place * share for place, share in enumerate(shares))
    deviation = math.sqrt(sum((place - mean) ** 2 * share for place, share in enumerate(shares)))
    return {"score": round(mean, 4), "confidence": round(1 - deviation / ((len(shares) - 1) / 2), 4)}


def ok(content: Any, **more: Any) -> Act:
    return Act(body=completion(content, **more), name="ok")


def cut_off(content: str = '{"summary": "half an ans') -> Act:
    return Act(body=completion(content, finish="length"), name="cut-off")


def refusal(words: str = "I cannot help with that.") -> Act:
    return Act(body=completion(None, refusal=words), name="refusal")


def filtered() -> Act:
    return Act(body=completion("", finish="content_filter"), name="filtered")


def invalid_json() -> Act:
    return Act(body=completion('{"summary": "no end'), name="invalid-json")


def schema_invalid() -> Act:
    return Act(body=completion({"nothing": "that was asked for"}), name="schema-invalid")


def status(
    code: int, message: str = "an error", *, kind: str = "", code_word: str | None = None, param: str | None = None, **headers: str
) -> Act:
    """An error in OpenAI's shape; header names are written with underscores."""
    error = {"message": message, "type": kind, "code": code_word, "param": param}
    return Act(code, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()}, name=str(code))


def too_many(**headers: str) -> Act:
    """A 429; `retry_after="2"` or `retry_after_ms="200"` as wished."""
    return status(429, "Rate limit reached", kind="requests", code_word="rate_limit_exceeded", **headers)


def no_quota() -> Act:
    return status(429, "You exceeded your current quota", kind="insufficient_quota", code_word="insufficient_quota")


def bad_key(key: str = "") -> Act:
    return status(401, f"Incorrect API key provided: {key}", code_word="invalid_api_key")


def no_model(model: str = "x") -> Act:
    return status(404, f"The model `{model}` does not exist or you do not have access to it.", code_word="model_not_found")


def unsupported(param: str, message: str = "") -> Act:
    text = message or f"Unsupported parameter: '{param}' is not supported with this model."
    return status(400, text, kind="invalid_request_error", param=param, code_word="unsupported_parameter")


def hang() -> Act:
    return Act(wire="hang", name="hang")


def reset() -> Act:
    return Act(wire="reset", name="reset")


def cut_short() -> Act:
    return Act(body=completion({"summary": "x" * 400}), wire="cut", name="cut-short")


def drip() -> Act:
    return Act(wire="drip", name="drip")


def html(code: int = 200) -> Act:
    return Act(code, b"<html><body>Bad gateway</body></html>", {"content-type": "text/html"}, name="html")


def raw(data: bytes) -> Act:
    return Act(body=data, wire="raw", name="raw")


@dataclass
class RateLimit:
    """A limit of requests a second, as servers keep it. `kind`: `window` (fixed seconds) or `bucket` (refills all the time, one second's
    worth at once). `tell`: `retry-after`, `retry-after-ms`, `x-ratelimit` (headers on every answer too) or `none`. After
    `halve_after` requests were let through, the limit is half of what it was."""

    per_second: float
    kind: str = "window"
    tell: str = "retry-after"
    halve_after: int | None = None
    _window: int = -1
    _used: float = 0.0
    _seen: float = 0.0
    _through: int = 0

    def ask(self, now: float) -> tuple[bool, dict[str, str]]:
        """(let through, headers to send)."""
        rate = self.per_second / 2 if self.halve_after is not None and self._through >= self.halve_after else self.per_second
        if self.kind == "window":
            if int(now) != self._window:
                self._window, self._used = int(now), 0.0
            wait = 1.0 - now % 1.0
        else:
            self._used = max(0.0, self._used - (now - self._seen) * rate)
            wait = (self._used + 1 - rate) / rate
        self._seen = now
        allowed = self._used + 1 <= rate
        if allowed:
            self._used += 1
            self._through += 1
        headers: dict[str, str] = {}
        if self.tell == "x-ratelimit":
            reset_in = wait if self.kind == "window" else self._used / rate
            headers["x-ratelimit-limit-requests"] = str(int(rate))
            headers["x-ratelimit-remaining-requests"] = str(max(0, int(rate - self._used)))
            headers["x-ratelimit-reset-requests"] = f"{max(1, int(reset_in * 1000))}ms"
        if not allowed and self.tell == "retry-after":
            headers["retry-after"] = f"{max(wait, 0.001):.3f}"
        elif not allowed and self.tell in ("retry-after-ms", "x-ratelimit"):
            headers["retry-after-ms"] = str(int(wait * 1000) + 1)
        return allowed, headers


Script = Iterable[Act] | Callable[[Seen], Act | None]


class FakeServer:
    """The server; a context manager. `latency`: seconds before a 200 goes out (errors go at once, as real ones do). `held`: nothing is
    answered before `release`."""

    def __init__(
        self, script: Script = (), *, latency: float = 0.0, limit: RateLimit | None = None, keep: bool = True, held: bool = False
    ) -> None:
        self._ask: Callable[[Seen], Act | None]
        if callable(script):
            self._ask = script
        else:
            self.queue = list(script)
            self._ask = lambda seen: self.queue.pop(0) if self.queue else None
        self.latency, self.limit, self.keep = latency, limit, keep
        self.seen: list[Seen] = []
        self.statuses: Counter[int] = Counter()
        self.acts: Counter[str] = Counter()
        self.usage: Counter[str] = Counter()
        self.requests = 0
        self._prefixes: set[int] = set()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(1024)
        self.port: int = self._socket.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._loop = asyncio.new_event_loop()
        self._connections: set[_Connection] = set()
        self._held: list[Callable[[], None]] | None = [] if held else None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Closes the port and every connection; a client gets `connection refused` from now on."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def hold(self) -> None:
        """Answer nothing before `release`."""
        self._held = []

    def release(self) -> None:
        """Send the answers that were held, and all others at once from now on."""

        def send() -> None:
            waiting, self._held = self._held or [], None
            for perform in waiting:
                perform()

        self._loop.call_soon_threadsafe(send)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._loop.create_server(lambda: _Connection(self), sock=self._socket))
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            self._loop.remove_reader(self._socket)
            # A connection that was accepted right now has its transport a few steps later; a server that is closed by then leaves it open.
            for _ in range(5):
                self._loop.run_until_complete(asyncio.sleep(0))
            server.close()
            for connection in list(self._connections):
                connection.drop()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    def answer(self, method: str, path: str, headers: Mapping[str, str], data: bytes) -> Act:
        """What to do with one request; runs in the server's thread."""
        now = self._loop.time()
        self.requests += 1
        try:
            body = json.loads(data) if data else {}
        except ValueError:
            body = {}
        seen = Seen(self.requests - 1, method, path, headers, body, data, now)
        if self.keep:
            self.seen.append(seen)
        told: dict[str, str] = {}
        act: Act | None = None
        if self.limit is not None:
            allowed, told = self.limit.ask(time.time())
            if not allowed:
                act = replace(too_many(), delay=0.0)
        if act is None:
            act = self._ask(seen)
        if act is None:
            act = self._default(seen)
        if act.delay is None:
            act = replace(act, delay=self.latency if act.status == 200 else 0.0)
        if told:
            act = replace(act, headers={**act.headers, **told})
        self.acts[act.name] += 1
        if act.wire == "normal":
            self.statuses[act.status] += 1
            usage = act.body.get("usage") if isinstance(act.body, dict) else None
            if act.status == 200 and isinstance(usage, dict):
                cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
                for name, amount in (
                    ("input", usage.get("prompt_tokens")),
                    ("output", usage.get("completion_tokens")),
                    ("cached_input", cached),
                ):
                    if isinstance(amount, int):
                        self.usage[name] += amount
        return act

    def _default(self, seen: Seen) -> Act:
        if seen.path.endswith(("/decisions", "/systemone")):
            return decision(seen.body)
        if not seen.path.endswith("/chat/completions"):
            return status(404, "Not Found")
        form = seen.body.get("response_format") or {}
        schema = (form.get("json_schema") or {}).get("schema")
        if schema is None and form.get("type") == "json_object":
            # The schema is stated at the end of the prompt instead.
            _, _, stated = seen.text.rpartition("JSON Schema:\n")
            with contextlib.suppress(ValueError):
                schema = json.loads(stated)
        content = answer_for(schema, seen.text) if isinstance(schema, dict) else "Words without a schema."
        text = json.dumps(content, ensure_ascii=False) if not isinstance(content, str) else content
        return Act(body=completion(text, usage=self.usage_of(seen, text), model=str(seen.body.get("model"))), name="default")

    def usage_of(self, seen: Seen, text: str) -> dict[str, Any]:
        """Usage at four bytes a token; what an earlier request already began with (the schema first, then message by message) is cached."""
        form = seen.body.get("response_format")
        parts = [json.dumps(form)] if form else []
        parts += [message["content"] for message in seen.body.get("messages", [])]
        total, cached, front = 0, 0, 0
        unbroken = True
        for part in parts:
            size = len(part.encode("utf-8")) // 4
            front = crc32(part.encode("utf-8"), front)
            unbroken = unbroken and front in self._prefixes
            self._prefixes.add(front)
            total += size
            cached += size if unbroken else 0
        output = len(text.encode("utf-8")) // 4
        return {
            "prompt_tokens": total,
            "completion_tokens": output,
            "total_tokens": total + output,
            "prompt_tokens_details": {"cached_tokens": cached if cached >= 1024 else 0},
        }


Serve = Callable[..., FakeServer]  # what the fixture `serve` gives


class _Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: keep-alive, content-length bodies, one request at a time."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server._connections.discard(self)
        for timer in self._timers:
            timer.cancel()

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", "0"))
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            method, path, _ = first.split(" ", 2)
            server = self._server
            act = server.answer(method, path, headers, body)
            if server._held is not None:
                server._held.append(partial(self._perform, act))
            elif act.delay:
                self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > server._loop.time()]
                self._timers.append(server._loop.call_later(act.delay, self._perform, act))
            else:
                self._perform(act)

    def _perform(self, act: Act) -> None:
        transport = self._transport
        if transport is None:
            return
        if act.wire == "reset":
            # No linger: the peer sees a reset and not an orderly end.
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            transport.abort()
        elif act.wire == "raw":
            transport.write(act.body)
            transport.close()
        elif act.wire == "drip":
            transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            self._drip()
        elif act.wire != "hang":
            body = act.body if isinstance(act.body, bytes) else json.dumps(act.body, ensure_ascii=False).encode("utf-8", "replace")
            headers = {"content-type": "application/json", "content-length": str(len(body)), **act.headers}
            head = f"HTTP/1.1 {act.status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
            if act.wire == "cut":
                transport.write(head.encode("latin-1") + body[: len(body) // 2])
                transport.close()
            else:
                transport.write(head.encode("latin-1") + body)

    def _drip(self) -> None:
        if self._transport is not None:
            self._transport.write(b" ")
            self._timers.append(self._server._loop.call_later(0.02, self._drip))


def main() -> None:
    """As a process: prints `port N` and serves until its standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    with FakeServer(latency=parser.parse_args().latency, keep=False) as server:
        print(f"port {server.port}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
