"""What an engine costs the driver: CPU for each request and the rate that is held, for `local` and `ray` (`make bench` does not run it).

python bench/engines.py --requests 600 --per-second 100
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import linear_regression
from time import perf_counter, process_time
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from enrich.llm.client import Client, ClientSettings  # noqa: E402
from enrich.llm.costs import Prices  # noqa: E402
from enrich.llm.server import Endpoint  # noqa: E402
from enrich.runs.ray_workers import RayWorkers  # noqa: E402

PARTS = ["local", "ray", "paced"]


async def measured(post: Callable[[int, str, str, bytes], Awaitable[Any]], requests: int, at_once: int) -> tuple[float, float]:
    """(answers a second, the driver's CPU in milliseconds a request).

    The rate is the slope of the line through the moments of the answers: a few that a busy machine delays do not change it.
    """
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "word " * 3000}]}).encode()
    slots, moments = asyncio.Semaphore(at_once), []

    async def one() -> None:
        async with slots:
            assert (await post(0, "m", "/chat/completions", body)).status_code == 200
            moments.append(perf_counter())

    await asyncio.gather(*(one() for _ in range(20)))
    moments.clear()
    cpu = process_time()
    await asyncio.gather(*(one() for _ in range(requests)))
    return 1 / linear_regression(range(requests), sorted(moments)).slope, 1000 * (process_time() - cpu) / requests


async def main(requests: int, per_second: float, address: str | None, parts: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/fake_server.py"), "--latency", "0.1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        endpoint = Endpoint.from_settings(f"http://127.0.0.1:{server.stdout.readline().split()[1]}/v1", "flag", {})
        free = ClientSettings(concurrency=64)
        if "local" in parts:
            async with Client(endpoint, free, Prices()) as client:
                rate, cpu = await measured(client.post, requests, 64)
                print(f"local: {rate:.0f} requests/s, {cpu:.2f} ms of the driver's CPU each", flush=True)
        if "ray" in parts:
            async with RayWorkers([endpoint], free, workers=2, address=address) as workers:
                rate, cpu = await measured(workers.post, requests, 64)
                print(f"ray, 2 workers: {rate:.0f} requests/s, {cpu:.2f} ms of the driver's CPU each", flush=True)
        if "paced" in parts:
            paced = ClientSettings(concurrency=256, requests_per_minute=60 * per_second)
            async with RayWorkers([endpoint], paced, workers=2, address=address) as workers:
                rate, cpu = await measured(workers.post, requests, 256)
                print(f"ray, 2 workers at {per_second:.0f}/s: {rate:.1f} requests/s, {cpu:.2f} ms of the driver's CPU each", flush=True)
        server.stdin and server.stdin.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--per-second", type=float, default=100.0)
    parser.add_argument("--ray-address", help="a cluster; default: one of its own")
    parser.add_argument("--only", choices=PARTS, action="append")
    options = parser.parse_args()
    asyncio.run(main(options.requests, options.per_second, options.ray_address, options.only or PARTS))
