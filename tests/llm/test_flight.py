"""The same question is out once, in one process and in several."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from enrich.errors import UserError
from enrich.llm.cache import AnswerCache, SingleFlight


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_two_hundred_identical_questions_are_one_call(tmp_path: Path) -> None:
    calls: list[int] = []

    async def ask(number: int, flight: SingleFlight, cache: AnswerCache) -> str:
        async with flight.hold([digest("same")]):
            answer = cache.get(digest("same"))
            if answer is None:
                calls.append(number)
                await asyncio.sleep(0)
                answer = {"text": "the answer"}
                cache.put(digest("same"), answer)
            return str(answer["text"])

    async def run() -> list[str]:
        flight = SingleFlight(tmp_path / "flight")
        with AnswerCache(tmp_path / "answers") as cache:
            return await asyncio.gather(*(ask(number, flight, cache) for number in range(200)))

    assert asyncio.run(run()) == ["the answer"] * 200
    assert len(calls) == 1


def test_different_questions_run_side_by_side(tmp_path: Path) -> None:
    async def run() -> int:
        flight = SingleFlight(tmp_path)
        inside, most = 0, 0
        everybody = asyncio.Event()

        async def ask(number: int) -> None:
            nonlocal inside, most
            async with flight.hold([f"{number:08x}"]):
                inside += 1
                most = max(most, inside)
                if inside == 20:
                    everybody.set()
                await everybody.wait()
                inside -= 1

        await asyncio.wait_for(asyncio.gather(*(ask(number) for number in range(20))), 30)
        return most

    assert asyncio.run(run()) == 20


def test_several_keys_in_any_order_never_lock_each_other_out(tmp_path: Path) -> None:
    async def run() -> int:
        flight, done = SingleFlight(tmp_path), 0
        keys = [digest(str(number)) for number in range(6)]

        async def ask(start: int) -> None:
            nonlocal done
            async with flight.hold([keys[(start + step) % 6] for step in range(4)] + [keys[start % 6]]):
                await asyncio.sleep(0)
                done += 1

        await asyncio.wait_for(asyncio.gather(*(ask(start) for start in range(60))), 60)
        return done

    assert asyncio.run(run()) == 60


def test_a_cancelled_wait_leaves_nothing_locked(tmp_path: Path) -> None:
    async def run() -> bool:
        flight = SingleFlight(tmp_path)
        async with flight.hold([digest("b")]):
            waiting = asyncio.ensure_future(flight.hold([digest("a"), digest("b")]).__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with flight.hold([digest("a"), digest("b")]):
            return True

    assert asyncio.run(asyncio.wait_for(run(), 30))


def test_no_lock_file_is_left(tmp_path: Path) -> None:
    async def run() -> None:
        flight = SingleFlight(tmp_path)
        for number in range(30):
            async with flight.hold([digest(str(number)), digest("shared")]):
                assert len(list(tmp_path.iterdir())) == 2

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


_HOLDER = """
import asyncio, sys
from pathlib import Path
from enrich.llm.cache import SingleFlight

async def run():
    async with SingleFlight(Path(sys.argv[1])).hold([sys.argv[2]]):
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(run())
"""


def test_a_lock_is_respected_across_processes_and_dies_with_its_holder(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path), digest("x")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"

    async def run() -> str:
        flight = SingleFlight(tmp_path)
        hold = flight.hold([digest("x")])
        waiting = asyncio.ensure_future(hold.__aenter__())
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        while_held = "taken" if done else "waits"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        await asyncio.wait_for(waiting, 30)
        await hold.__aexit__(None, None, None)
        return while_held

    try:
        assert asyncio.run(run()) == "waits"
    finally:
        holder.kill()
        holder.communicate()


def test_an_unusable_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    async def run() -> None:
        async with SingleFlight(tmp_path / "file").hold([digest("x")]):
            pass

    with pytest.raises(UserError, match="locks cannot be kept here"):
        asyncio.run(run())
