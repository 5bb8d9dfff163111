"""The answer cache and single flight: damage is a miss, errors are one clear line, no folder can run code, the same question is sent once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import UserError
from enrich.llm.cache import AnswerCache, SingleFlight

KEY, OTHER = "a" * 64, "b" * 64


def rows(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "cache.db") as database:
        found = database.execute(statement, values).fetchall()
    database.close()
    return found


def filled(folder: Path) -> None:
    with AnswerCache(folder) as cache:
        cache.put(KEY, {"text": "Ümläut \u2028 \U0001f600", "n": 1.5, "list": [None, True]})
        cache.put(OTHER, {"text": "other"})


def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path / "answers")
    with AnswerCache(tmp_path / "answers") as cache:
        assert cache.get(KEY) == {"text": "Ümläut \u2028 \U0001f600", "n": 1.5, "list": [None, True]}
        assert cache.get("c" * 64) is None
        cache.put(KEY, {"text": "newer"})
        assert cache.get(KEY) == {"text": "newer"}


def test_prune_keeps_what_is_named(tmp_path: Path) -> None:
    filled(tmp_path)
    with AnswerCache(tmp_path) as cache:
        assert cache.prune({KEY, "never stored"}) == 1
        assert cache.get(KEY) is not None and cache.get(OTHER) is None
        assert (cache.prune(set()), cache.stats()["answers"]) == (1, 0)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE Cache SET value = x'00ff00'",
        "UPDATE Cache SET value = NULL",
        "UPDATE Cache SET value = 'text'",
        "UPDATE Cache SET value = 17, mode = 1",
        "UPDATE Cache SET mode = 9",
        f"UPDATE Cache SET value = x'{zlib.compress(b'[1, 2]').hex()}'",
    ],
)
def test_a_damaged_entry_is_a_note_and_a_miss_and_can_be_written_again(tmp_path: Path, damage: str) -> None:
    filled(tmp_path)
    rows(tmp_path, damage)
    notes: list[str] = []
    with AnswerCache(tmp_path, notes.append) as cache:
        assert cache.get(KEY) is None
        assert len(notes) == 1
        assert "damaged" in notes[0]
        cache.put(KEY, {"text": "again"})
        assert cache.get(KEY) == {"text": "again"}


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(Path(os.environ["TRAP"])),)


@pytest.mark.parametrize("column", ["value", "key"])
def test_a_planted_pickle_is_not_run(tmp_path: Path, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAP", str(tmp_path / "trapped"))
    filled(tmp_path / "answers")
    code = pickle.dumps(_Trap())
    if column == "value":
        rows(tmp_path / "answers", "UPDATE Cache SET mode = 4, value = ?", code)
    else:
        rows(tmp_path / "answers", "UPDATE Cache SET raw = 0, key = ? WHERE rowid = 1", code)
    with AnswerCache(tmp_path / "answers") as cache:
        assert cache.get(KEY) is None
        cache.prune(set())
    assert not (tmp_path / "trapped").exists()


def test_a_planted_path_is_neither_read_nor_deleted(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    filled(tmp_path / "answers")
    rows(tmp_path / "answers", "UPDATE Cache SET mode = 2, filename = '../outside.txt', value = NULL")
    with AnswerCache(tmp_path / "answers") as cache:
        assert cache.get(KEY) is None
        cache.put(KEY, {"text": "again"})
        cache.prune(set())
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("junk", [b"this is no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_database_is_set_aside_not_deleted(tmp_path: Path, junk: bytes) -> None:
    filled(tmp_path)
    (tmp_path / "cache.db").write_bytes(junk)
    notes: list[str] = []
    with AnswerCache(tmp_path, notes.append) as cache:
        assert cache.get(KEY) is None
        cache.put(KEY, {"text": "again"})
        assert cache.get(KEY) == {"text": "again"}
    assert any("set aside" in note for note in notes)
    assert junk in [path.read_bytes() for path in tmp_path.glob("damaged-*")]


def test_a_database_damaged_within_is_a_miss_too(tmp_path: Path) -> None:
    with AnswerCache(tmp_path) as cache:
        for number in range(300):
            cache.put(f"{number:064x}", {"text": os.urandom(300).hex()})
    data = bytearray((tmp_path / "cache.db").read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xee" * 200
    (tmp_path / "cache.db").write_bytes(bytes(data))
    with AnswerCache(tmp_path) as cache:
        assert cache.get(f"{7:064x}") is None
        cache.put(KEY, {"text": "again"})
        assert cache.get(KEY) == {"text": "again"}


def test_settings_planted_in_the_database_cannot_stop_us(tmp_path: Path) -> None:
    filled(tmp_path)
    rows(tmp_path, "UPDATE Settings SET value = 'no such policy' WHERE key = 'eviction_policy'")
    rows(tmp_path, "INSERT INTO Settings VALUES ('disk_nonsense', 1)")
    with AnswerCache(tmp_path) as cache:
        cache.put(KEY, {"text": "still works"})
        assert cache.get(KEY) == {"text": "still works"}


def test_a_folder_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = AnswerCache(tmp_path / "file")
    with pytest.raises(UserError, match="answers cannot be kept here") as caught:
        cache.put(KEY, {"text": "x"})
    assert str(tmp_path / "file") in caught.value.line
    assert "\n" not in caught.value.line


_FILL_UP = """
import resource, signal, sys
from pathlib import Path
from enrich.errors import UserError
from enrich.llm.cache import AnswerCache
import os
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
cache = AnswerCache(Path(sys.argv[1]))
cache.put("a" * 64, {"text": "before"})
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for number in range(1000):
        cache.put(f"{number:064x}", {"text": os.urandom(3000).hex()})
except UserError as error:
    print(number, error.line)
"""


def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FILL_UP, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    number, _, line = done.stdout.partition(" ")
    assert "answers cannot be kept here" in line
    assert int(number) > 0
    with AnswerCache(tmp_path) as cache:
        assert cache.get("a" * 64) == {"text": "before"}
        assert all(cache.get(f"{stored:064x}") is not None for stored in range(int(number)))


_WRITER = """
import sys
import zlib
from pathlib import Path
from enrich.llm.cache import AnswerCache
with AnswerCache(Path(sys.argv[1])) as cache:
    for number in range(100):
        cache.put(f"{sys.argv[2]}-{number}", {"n": number})
        print(number, flush=True)
    if sys.argv[3] == "stay":
        sys.stdin.read()
"""


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), name, "go"], stdout=subprocess.PIPE) for name in "xyz"]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with AnswerCache(tmp_path) as cache:
        assert cache.stats()["answers"] == 300
        assert all(cache.get(f"{name}-{number}") == {"n": number} for name in "xyz" for number in range(100))


def test_what_was_put_survives_a_kill(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), "x", "stay"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    seen = [int(writer.stdout.readline()) for _ in range(50)]
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    with AnswerCache(tmp_path) as cache:
        assert all(cache.get(f"x-{number}") == {"n": number} for number in seen)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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


FOREIGN = {
    "a view with an endless query": (
        "DROP TABLE Settings",
        "CREATE VIEW Settings AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT 'a' AS key, x AS value FROM c",
    ),
    "a trigger with an endless query": (
        "CREATE TRIGGER Settings_more AFTER INSERT ON Cache BEGIN"
        " UPDATE Settings SET value = (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c); END",
    ),
    "a trigger that deletes": ("CREATE TRIGGER Settings_more AFTER INSERT ON Cache BEGIN DELETE FROM Cache; END",),
    "an index over an expression": ("CREATE INDEX Cache_more ON Cache(hex(zeroblob(100000000)))",),
    "another table": ("CREATE TABLE other (x)",),
    "many tables": tuple(f"CREATE TABLE other{number} (x)" for number in range(100)),
    "a virtual table": ("CREATE VIRTUAL TABLE words USING fts5(x)",),
}


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN)
def test_a_database_with_a_foreign_schema_is_set_aside_before_it_can_run(tmp_path: Path, statements: tuple[str, ...]) -> None:
    filled(tmp_path)
    for statement in statements:
        rows(tmp_path, statement)
    notes: list[str] = []
    with AnswerCache(tmp_path, notes.append) as cache:
        assert cache.get(KEY) is None
        cache.put(KEY, {"text": "new"})
        assert cache.get(KEY) == {"text": "new"}
    assert len(notes) == 1
    assert "set aside" in notes[0]
    assert len(list(tmp_path.glob("damaged-*-cache.db"))) == 1


def test_an_answer_that_unpacks_to_gigabytes_is_damaged(tmp_path: Path) -> None:
    filled(tmp_path)
    packer = zlib.compressobj(9)
    bomb = packer.compress(b'"') + b"".join(packer.compress(b" " * 1_000_000) for _ in range(100)) + packer.flush()
    rows(tmp_path, "UPDATE Cache SET value = ?", bomb)
    notes: list[str] = []
    with AnswerCache(tmp_path, notes.append) as cache:
        assert cache.get(KEY) is None
    assert "damaged" in notes[0]
