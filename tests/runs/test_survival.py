"""Runs that are stopped, killed, starved of room, or not alone: what was paid for stays, and the next run finishes the rest."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enrich import UserError, Wiki, load_config

# Inner names: a full disk and a renewal that comes too late have no command.
from enrich.llm.cache import AnswerCache
from enrich.review import propose
from enrich.review.lock import LockFile
from tests.demo import DemoWiki, answering, honest, honest_parts, page_of, page_text, parts_of, said, until
from tests.fake_server import Act, Seen, Serve


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out.decode(), err.decode()


def end_state(wiki: DemoWiki) -> dict[str, Any]:
    """Pages, lock and proposals, without what differs between runs."""
    proposals = {}
    for file in sorted((wiki.root / "proposals").glob("*.json")):
        tree = json.loads(file.read_text())
        for change in tree["fields"]:
            for name in ("asked", "run", "tokens", "cost_usd"):
                change.pop(name)
        proposals[file.name] = tree
    lock = [{name: value for name, value in row.items() if name != "date"} for row in wiki.lock()]
    return {"pages": wiki.content(), "lock": lock, "proposals": proposals}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_finishes_what_is_out_and_stores_it(tmp_path: Path, serve: Serve, number: signal.Signals) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("ignored, as under nohup")
    wiki = DemoWiki(tmp_path, 40)
    server = wiki.asks(serve(honest, held=True))
    process = wiki.start("run", "--json")
    until(server, 8, process)
    process.send_signal(number)
    said(process, "Ctrl-C again ends at once")
    server.release()
    code, out, _ = ended(process)
    run = json.loads(out)
    assert (code, run["exit"], run["stopped"]) == (130, 130, "interrupted")
    # Nothing was sent after the signal, all that was out is stored and proposed, nothing has failed.
    assert run["requests"] == server.requests == 8 == len({item["page"] for item in run["proposed"]})
    assert run["failed"] == []
    rest = wiki.enrich("run", "--json").json
    assert (rest["exit"], server.requests) == (0, 40)


def test_the_second_signal_ends_at_once(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 3)
    server = wiki.asks(serve(lambda seen: Act(wire="hang")))
    process = wiki.start("run")
    until(server, 3, process)
    process.send_signal(signal.SIGINT)
    said(process, "stopping")
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130
    assert "Traceback" not in err


def test_a_run_that_waits_for_the_limit_is_stopped_at_once(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 3)
    wiki.asks(serve(lambda seen: Act(429, {"error": {"message": "slow down"}}, {"retry-after": "600"})))
    process = wiki.start("run", "--json")
    said(process, "waits")
    process.send_signal(signal.SIGINT)
    code, out, _ = ended(process)
    assert (code, json.loads(out)["failed"]) == (130, [])


def test_killed_at_any_moment_and_finished_ends_like_a_calm_run(tmp_path: Path, serve: Serve) -> None:
    calm = DemoWiki(tmp_path / "calm", 12)
    server = serve(honest, latency=0.02)
    calm.server = server.base_url
    calm.enrich("run", "--apply")
    wanted, chance = end_state(calm), random.Random(7)
    before = DemoWiki(tmp_path / "before", 12).content()
    for round_number in range(5):
        wiki = DemoWiki(tmp_path / str(round_number), 12)
        wiki.server = server.base_url
        already = server.requests
        process = wiki.start("run", "--apply")
        # Moments are counted in requests: before the first answer, in the middle, while pages are written.
        until(server, already + chance.randrange(1, 13), process)
        process.kill()
        ended(process)
        for path, raw in wiki.content().items():
            assert raw in (before.get(path), wanted["pages"].get(path)) or path.startswith(".enrich-"), f"{path} is torn"
        assert not {state for state, _ in wiki.states().values()} & {"human-edited", "unmanaged"}
        planned = wiki.enrich("plan", "--json").json["requests"]
        rest = wiki.enrich("run", "--apply", "--json").json
        assert rest["exit"] == 0
        left = end_state(wiki)
        left["pages"] = {path: raw for path, raw in left["pages"].items() if not path.startswith(".enrich-")}
        assert left == wanted
        assert rest["requests"] == planned, "only what has no answer yet is asked again"


def test_a_run_killed_while_it_asks_again_goes_on_at_that_place(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1)
    hang = True

    def inventing(seen: Seen) -> Act:
        parts = honest_parts(seen)
        asked_again = len(seen.body["messages"]) > 3
        if asked_again and hang:
            return Act(wire="hang")
        if not asked_again and "summary" in parts:
            parts["summary"]["summary"] = "It delivers 999 megawatts."
        return answering(parts)

    server = wiki.asks(serve(inventing))
    process = wiki.start("run")
    until(server, 2, process)
    process.kill()
    ended(process)
    hang = False
    run = wiki.enrich("run", "--json").json
    # The first answer was paid once: the next run only asks again.
    assert (server.requests, run["requests"], run["failed"], run["held"]) == (3, 1, [], [])
    assert [message["role"] for message in server.seen[2].body["messages"]] == ["system", "user", "user", "assistant", "user"]
    assert parts_of(server.seen[2]) == ["summary"]
    assert "999" in server.seen[2].body["messages"][3]["content"]


def test_a_second_run_says_so_and_waits(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 3)
    server = wiki.asks(serve(honest, held=True))
    first = wiki.start("run", "--json")
    until(server, 1, first)
    second = wiki.start("run", "--json")
    said(second, "is at work on this wiki: waiting")
    server.release()
    assert ended(first)[0] == 0
    code, out, _ = ended(second)
    assert (code, json.loads(out)["due"], server.requests) == (0, 0, 3)


def test_a_page_on_demand_shares_its_answer_with_the_run_beside_it(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1)
    server = wiki.asks(serve(honest, latency=1.0))
    everybody = [wiki.start("run", "--json"), *(wiki.start("page", "park-0", "--json") for _ in range(3))]
    results = [ended(process) for process in everybody]
    assert [code for code, _, _ in results] == [0] * 4
    assert server.requests == 1
    assert sum(json.loads(out)["requests"] for _, out, _ in results) == 1


@pytest.mark.parametrize("deleted", [False, True], ids=["edited", "deleted"])
def test_a_page_that_moved_while_its_question_was_out_keeps_its_answer_for_later(tmp_path: Path, serve: Serve, deleted: bool) -> None:
    wiki = DemoWiki(tmp_path, 2)
    text = wiki.file(0).read_text()

    def meddling(seen: Seen) -> Act:
        if "Park 0" in page_of(seen):
            wiki.file(0).unlink() if deleted else wiki.file(0).write_text(text + "\nSomebody wrote this meanwhile.\n")
        return honest(seen)

    server = wiki.asks(serve(meddling))
    run = wiki.enrich("run", "--json")
    assert run.exit == 3
    assert {(item["page"], item["cause"]) for item in run.json["failed"]} == {("park-0", "page-gone" if deleted else "page-changed")}
    assert {item["page"] for item in run.json["proposed"]} == {"park-1"}
    wiki.file(0).write_text(text)
    again = wiki.enrich("run", "--json").json
    assert (again["requests"], again["cached"], server.requests) == (0, 3, 2)


def test_no_room_for_proposals_ends_the_run_in_one_line_and_loses_no_answer(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiki = DemoWiki(tmp_path, 4)
    server = wiki.asks(serve(honest))
    with monkeypatch.context() as broken:
        broken.setattr("enrich.review.proposals.write_text_atomically", lambda file, text, **_: _full(file))
        result = wiki.enrich("run", "--json")
    assert result.exit == 1
    assert "No space left" in result.json["stopped"]
    assert "Traceback" not in result.err
    paid = server.requests
    rest = wiki.enrich("run", "--json").json
    assert (rest["exit"], server.requests, rest["cached"]) == (0, 4, 3 * paid)


def _full(file: Path) -> None:
    raise UserError("No space left on device", where=str(file), do="make room")


def test_no_room_for_answers_stops_asking(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    wiki = DemoWiki(tmp_path, 60)
    server = wiki.asks(serve(honest))

    def full(self: AnswerCache, key: str, value: dict[str, Any]) -> None:
        del key, value
        _full(self.folder)

    with monkeypatch.context() as broken:
        broken.setattr(AnswerCache, "put", full)
        result = wiki.enrich("run", "--json")
    assert result.exit == 1
    assert "No space left" in result.json["stopped"]
    assert server.requests < 60  # what cannot be kept is not paid for any longer
    assert wiki.enrich("run", "--json").json["exit"] == 0


def test_a_journal_that_cannot_be_written_ends_in_one_line(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path)
    (wiki.root / "cache").mkdir()
    (wiki.root / "cache" / "runs").write_text("in the way")
    result = wiki.enrich("run")
    assert result.exit == 1
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("error: ")
    assert "cache/runs" in result.err


def test_a_damaged_answer_is_asked_for_again(tmp_path: Path, serve: Serve) -> None:
    import sqlite3

    wiki = DemoWiki(tmp_path, 2)
    wiki.asks(serve(honest))
    wiki.enrich("run")
    with sqlite3.connect(wiki.root / "cache" / "answers" / "cache.db") as database:
        database.execute("UPDATE Cache SET value = x'00ff' WHERE rowid = 1")
    database.close()
    for file in (wiki.root / "proposals").glob("*.json"):
        file.unlink()
    result = wiki.enrich("run", "--json")
    assert (result.exit, result.json["requests"], result.json["cached"]) == (0, 1, 5)
    assert "damaged" in result.err


def test_a_renewal_never_overwrites_what_was_applied_meanwhile(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1)
    wiki.asks(serve(honest))
    wiki.enrich("run", "--apply")
    opened = Wiki.open(load_config(wiki.root, env={}))
    lock = opened.shared(LockFile)
    line = next(line for line in lock.read() if line.stage == "summary")
    stale = propose.Renewal(line, line)
    changed = replace(line, fields={"llmSummary": "what an apply wrote"}, date="2030-01-01")
    lock.update({(line.page, line.stage): changed})
    propose.renew(opened, [stale])
    assert lock.read().entries(line.page, line.stage) == [changed]
    propose.renew(opened, [propose.Renewal(changed, line)])
    assert lock.read().entries(line.page, line.stage) == [line]


def test_an_edit_made_while_the_run_waits_is_seen(tmp_path: Path, serve: Serve) -> None:
    """The plan is made once the run is alone: what the run before it did, and what people did meanwhile, counts."""
    wiki = DemoWiki(tmp_path, 2)
    server = wiki.asks(serve(honest, held=True))
    first = wiki.start("run", "--json")
    until(server, 2, first)
    second = wiki.start("run", "--json")
    said(second, "waiting")
    wiki.file(1).write_text(page_text(5))
    server.release()
    ended(first)
    code, out, _ = ended(second)
    assert (code, json.loads(out)["due"], server.requests) == (0, 3, 3)
    assert load_config(wiki.root, env={}).content == wiki.docs


def test_a_disk_that_fills_up_ends_the_run_in_one_line(tmp_path: Path, serve: Serve) -> None:
    """A real limit on the size of files, in a child process: every file that grows reaches it."""
    wiki = DemoWiki(tmp_path, 120)
    server = wiki.asks(serve(honest))
    limited = "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); sys.argv = ['enrich', 'run']; "
    limited += "runpy.run_module('enrich', run_name='__main__')"

    def run(limit: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", limited, str(limit)]
        return subprocess.run(command, cwd=wiki.root, env=wiki.env(), capture_output=True, text=True, timeout=120)

    # No room even for an empty cache: nothing is asked.
    process = run(20_000)
    assert (process.returncode, server.requests) == (1, 0)
    assert [line[:6] for line in process.stderr.splitlines()] == ["error:"]
    process = run(300_000)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr, process.stderr[-3000:]
    assert "ended early" in process.stderr
    assert 0 < server.requests < 120
    kept = len({item["page"] for item in wiki.enrich("diff", "--json").json["pages"]})
    rest = wiki.enrich("run", "--json").json
    assert (rest["exit"], rest["failed"]) == (0, [])
    # At most what was out when the disk was full is paid for again.
    assert server.requests - 120 <= 64
    assert kept > 0
    assert {state for state, _ in wiki.states().values()} == {"proposed"}
