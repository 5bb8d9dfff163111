"""The asking path against its floors: ready requests in, validated and durably cached answers out.

`python bench/asking.py` runs everything (about two minutes) and prints a table; `--json FILE` keeps the figures; `--runs 1` for a glance.
Every client is a separate process, against a server in another one. CPU is the client's, after its imports; peak is its largest
resident size, imports included. The targets in the table are those of DESIGN.md section 7.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
# 8 kB of plain words, different for every request.
FILLER = "The page says something of middling length about a subject that no one has measured yet, and then it goes on. " * 73
ANSWER = {
    "summary": {
        "text": "One sentence that says what was done. Another that says what came of it.",
        "evidence": ["a quote of some words", "one more"],
    },
    "insights": [
        {
            "type": "quantitative",
            "text": "Words of an insight " * 4,
            "surprising": 3.5,
            "important": 4.0,
            "actionable": 2.5,
            "evidence": "some words",
        }
    ]
    * 4,
    "ratings": {name: {"score": 4.5, "reason": "a short reason for it"} for name in ("novelty", "rigor", "actionability", "completeness")},
}


def prompt(number: int) -> str:
    return f"{number} {FILLER}"


# --- the clients; each returns (valid answers, requests lost) ---


async def by_hand(base_url: str, count: int, concurrency: int, folder: Path) -> tuple[int, int]:
    """The floor: aiohttp and nothing else; no validation, no cache, no limits."""
    import aiohttp

    done = 0
    gate = asyncio.Semaphore(concurrency)

    async def ask(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal done
        async with gate:
            body = json.dumps({"model": "fake", "messages": [{"role": "user", "content": prompt(number)}]}).encode()
            async with session.post(f"{base_url}/chat/completions", data=body) as response:
                tree = json.loads(await response.read())
                done += bool(tree["choices"][0]["message"]["content"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        await asyncio.gather(*(ask(session, number) for number in range(count)))
    return done, count - done


async def openai_create(base_url: str, count: int, concurrency: int, folder: Path) -> tuple[int, int]:
    """What most would write: `chat.completions.create` with the SDK's own retries."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    done = 0
    gate = asyncio.Semaphore(concurrency)
    async with AsyncOpenAI(api_key="none", base_url=base_url, http_client=DefaultAioHttpClient()) as sdk:

        async def ask(number: int) -> None:
            nonlocal done
            async with gate:
                reply = await sdk.chat.completions.create(model="fake", messages=[{"role": "user", "content": prompt(number)}])
                done += bool(json.loads(reply.choices[0].message.content or "null"))

        results = await asyncio.gather(*(ask(number) for number in range(count)), return_exceptions=True)
    return done, sum(1 for result in results if result is not None)


async def enrich(base_url: str, count: int, concurrency: int, folder: Path, *, same: bool = False) -> tuple[int, int]:
    """The project's path: key, single flight, cache, limits, request, validation, durable cache."""
    from pydantic import BaseModel, Field

    from enrich.llm.cache import AnswerCache, SingleFlight
    from enrich.llm.client import Client, ClientSettings
    from enrich.llm.costs import Prices
    from enrich.llm.messages import Message, Request, question_key
    from enrich.llm.server import Endpoint

    class Insight(BaseModel):
        type: str
        text: str
        surprising: float = Field(ge=1, le=5)
        important: float = Field(ge=1, le=5)
        actionable: float = Field(ge=1, le=5)
        evidence: str

    class Summary(BaseModel):
        text: str
        evidence: list[str]

    class Rating(BaseModel):
        score: float = Field(ge=0, le=10)
        reason: str

    class Answer(BaseModel):
        summary: Summary
        insights: list[Insight]
        ratings: dict[str, Rating]

    schema = Answer.model_json_schema()
    done, lost = 0, 0
    flight = SingleFlight(folder / "flight")
    endpoint = Endpoint.from_settings(base_url, "flag", {})
    numbers = iter(range(count))
    with AnswerCache(folder / "answers") as cache:
        async with Client(endpoint, ClientSettings(concurrency=concurrency), Prices()) as client:

            async def ask(number: int) -> None:
                nonlocal done
                messages = (Message("system", "You are terse."), Message("user", prompt(0 if same else number)))
                key = question_key(model="fake", schema=schema, messages=messages, temperature=None, sample=0)
                async with flight.hold([key]):
                    if cache.get(key) is None:
                        reply = await client.send(Request("fake", messages, schema, "answer", None, 1500))
                        cache.put(key, {"answer": Answer.model_validate_json(reply.text).model_dump(), "cost": reply.cost_usd})
                    done += 1

            async def work() -> None:
                nonlocal lost
                for number in numbers:
                    try:
                        await ask(number)
                    except Exception as error:  # noqa: BLE001 - counted and shown
                        print(error, file=sys.stderr)
                        lost += 1

            workers = count if same else concurrency + concurrency // 4
            await asyncio.gather(*(work() for _ in range(workers)))
    return done, lost


async def enrich_same(base_url: str, count: int, concurrency: int, folder: Path) -> tuple[int, int]:
    """The same question many times at once."""
    return await enrich(base_url, count, concurrency, folder, same=True)


CLIENTS: dict[str, Callable[[str, int, int, Path], Coroutine[Any, Any, tuple[int, int]]]] = {
    "aiohttp by hand": by_hand,
    "openai create": openai_create,
    "enrich": enrich,
    "enrich, same question": enrich_same,
}


def import_all(name: str) -> None:
    """What is imported at first use, before the clock runs: it is paid once a run, not once a request."""
    import aiohttp  # noqa: F401

    if name != "aiohttp by hand":
        import openai  # noqa: F401
    if name.startswith("enrich"):
        import diskcache  # noqa: F401
        import genai_prices  # noqa: F401


def one(name: str, base_url: str, count: int, concurrency: int, folder: Path) -> dict[str, Any]:
    import_all(name)
    wall, cpu = time.perf_counter(), time.process_time()
    done, lost = asyncio.run(CLIENTS[name](base_url, count, concurrency, folder))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall_s": wall, "cpu_ms": cpu * 1000 / count, "peak_mb": peak, "done": done, "lost": lost}


def run(name: str, count: int, server: list[str], folder: Path | None = None) -> dict[str, Any]:
    """One client process against one server process."""
    serving = subprocess.Popen(
        [sys.executable, str(HERE / "answering.py"), "--content", json.dumps(ANSWER), *server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert serving.stdin is not None and serving.stdout is not None
    with tempfile.TemporaryDirectory(prefix="enrich-bench-") as made:
        base_url = f"http://127.0.0.1:{serving.stdout.readline().strip()}/v1"
        arguments = [
            sys.executable,
            __file__,
            "--one",
            name,
            "--base-url",
            base_url,
            "--count",
            str(count),
            "--folder",
            str(folder or made),
        ]
        try:
            asked = subprocess.run(arguments, capture_output=True, text=True, check=False)
        finally:
            serving.stdin.close()
            counted = json.loads(serving.stdout.readline())
            serving.wait()
    if asked.returncode:
        raise SystemExit(asked.stderr)
    return {**json.loads(asked.stdout), **counted}


def medians(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: median(result[name] for result in results) for name in results[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=["speed", "limits", "same"])
    for hidden in ("--one", "--base-url", "--count", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.base_url, int(options.count), 64, Path(options.folder))))
        return
    figures: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    if options.only in (None, "speed"):
        # Interleaved, so that a noisy minute hits all of them.
        rounds = [{name: run(name, 1000, []) for name in ("aiohttp by hand", "openai create", "enrich")} for _ in range(options.runs)]
        for name in rounds[0]:
            figures[name] = medians([one_round[name] for one_round in rounds])
        with tempfile.TemporaryDirectory(prefix="enrich-bench-") as kept:
            run("enrich", 1000, [], Path(kept))
            figures["enrich, cached rerun"] = medians([run("enrich", 1000, [], Path(kept)) for _ in range(options.runs)])
        floor = figures["aiohttp by hand"]["wall_s"]
        for name, found in figures.items():
            target = "≤ 1.25 × floor, ≤ 1.3 ms, ≤ 100 MB" if name == "enrich" else "0 requests" if "rerun" in name else ""
            rows.append(
                (
                    name,
                    f"{found['wall_s']:.2f} s ({found['wall_s'] / floor:.2f} × floor)",
                    f"{found['cpu_ms']:.2f} ms",
                    f"{found['peak_mb']:.0f} MB",
                    f"{found['requests']:.0f}, lost {found['lost']:.0f}",
                    target,
                )
            )
    if options.only in (None, "limits"):
        limited = {
            "100/s, Retry-After": (["--tell", "retry-after"], "≤ 6.9 s, ≤ 5 % 429, 0 lost"),
            "100/s, no headers": (["--tell", "none"], "≤ 6.9 s, ≤ 5 % 429, 0 lost"),
            "100/s, x-ratelimit headers": (["--tell", "x-ratelimit"], "≤ 6.9 s, ≤ 5 % 429, 0 lost"),
            "100/s refilling, no headers": (["--tell", "none", "--kind", "bucket"], "≤ 6.9 s, ≤ 5 % 429, 0 lost"),
            "100/s, 50/s after 300": (["--halve-after", "300"], "ideal 9 s; ≤ 5 % 429, 0 lost"),
            "100/s, 50/s after 300, no headers": (["--halve-after", "300", "--tell", "none"], "ideal 9 s; ≤ 5 % 429, 0 lost"),
        }
        for name, (arguments, target) in limited.items():
            found = figures[f"600 at {name}"] = medians(
                [run("enrich", 600, ["--per-second", "100", *arguments]) for _ in range(options.runs)]
            )
            refused = f"{found['refused']:.0f} refused ({found['refused'] / found['requests']:.1%}), lost {found['lost']:.0f}"
            rows.append(
                (f"600 at {name}", f"{found['wall_s']:.2f} s", f"{found['cpu_ms']:.2f} ms", f"{found['peak_mb']:.0f} MB", refused, target)
            )
    if options.only in (None, "same"):
        found = figures["200 identical questions"] = medians([run("enrich, same question", 200, []) for _ in range(options.runs)])
        rows.append(
            (
                "200 identical questions",
                f"{found['wall_s']:.2f} s",
                "",
                f"{found['peak_mb']:.0f} MB",
                f"{found['requests']:.0f} requests",
                "1 request",
            )
        )
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "wall", "CPU a request", "peak", "requests", "target", title=f"asking path, medians of {options.runs}")
    for row in rows:
        table.add_row(*row)
    Console(width=180).print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
