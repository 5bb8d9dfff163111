"""`enrich run --engine batch`: the same pages as `local`, no answer lost, paid twice or orphaned, whatever becomes of a batch or of a run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from enrich.llm.cache import AnswerCache
from enrich.llm.transport import Connection
from enrich.runs.ask import Asker
from enrich.runs.batch import BatchRecords
from tests.demo import KILLED, DemoWiki, Result, answering, honest, honest_parts, killed_child, page_of
from tests.fake_batches import FakeBatches, Fate
from tests.fake_server import Act, FakeServer, Seen, cut_off, filtered, invalid_json, refusal, status

Serve = Callable[..., FakeServer]
_TOML = '[llm]\nbatch_poll_seconds = 0.01\n[prices."gpt-6-luna"]\ninput = 2.0\noutput = 8.0\n'


def troubled(seen: Seen) -> Act:
    """A model that makes each kind of mistake on some pages, by the request alone, so that each engine sees the same."""
    kind, turn = crc32(page_of(seen).encode()) % 12, len(seen.body["messages"])
    ceiling = seen.body.get("max_tokens") or seen.body["max_completion_tokens"]
    if kind == 0 and turn == 3:
        return invalid_json()
    if kind == 1 and turn < 7:
        return answering({**honest_parts(seen), "ratings": {"nothing": "that was asked"}})
    if kind == 2 and turn == 3 and "summary" in honest_parts(seen):
        return answering({**honest_parts(seen), "summary": {"summary": "It delivers 987654 megawatts.", "evidence": []}})
    if kind == 3 and ceiling < 10_000:
        return cut_off()
    return refusal() if kind == 4 else filtered() if kind == 5 else honest(seen)


def batch(wiki: DemoWiki, *more: str, **env: str) -> Result:
    return wiki.enrich("run", "--engine", "batch", *more, **env)


def finished(wiki: DemoWiki) -> dict[str, Any]:
    """The outcome of a run that waits for its batches."""
    document: dict[str, Any] = batch(wiki, "--wait", "--json").json
    return document


def test_1002_questions_end_as_with_the_local_engine(tmp_path: Path, serve: Serve) -> None:
    local, other = DemoWiki(tmp_path / "local", 334, _TOML), DemoWiki(tmp_path / "batch", 334, _TOML)
    local.asks(serve(troubled))
    batches = FakeBatches(troubled)
    other.asks(serve(batches))
    first = local.enrich("run", "--apply", "--json").json
    second = batch(other, "--wait", "--apply", "--json").json
    assert local.content() == other.content()
    for name in ("due", "asked", "cached", "unchanged", "proposed", "applied", "held", "tokens", "requests", "exit"):
        assert second[name] == first[name], name
    assert {(one["page"], one["stage"], one["cause"]) for one in second["failed"]} == {
        (one["page"], one["stage"], one["cause"]) for one in first["failed"]
    }
    assert second["due"] == 1002 and len(first["failed"]) > 100
    assert second["cost_usd"] == pytest.approx(first["cost_usd"] / 2)
    assert max(batches.paid.values()) == 1 and not batches.live and not batches.orphans()
    assert batches.paid.total() == second["requests"]
    # Nothing is kept of questions that have their answers.
    assert not list((other.root / "cache/batches").glob("*.json"))
    with AnswerCache(other.root / "cache/batches/rows") as rows:
        assert rows.stats()["answers"] == 0


_EXPIRED, _CANCELLED = Fate("expired", answered=0.5), Fate("cancelled", answered=0.34)
_NO_FILE, _NO_OUTPUT = Fate(output=False), Fate("completed", answered=0.0, output=False)
_STRANGER = b'{"id":"r","custom_id":"somebody-elses","response":{"status_code":200,"request_id":"","body":{}},"error":null}'


def _line_error(line: int) -> dict[str, Any]:
    return {"code": "invalid_request", "line": line, "message": "the line has a fault", "param": None}


_TOO_MANY = {
    "code": "token_limit_exceeded",
    "line": None,
    "message": "Enqueued token limit reached. Limit: 3,500 enqueued tokens.",
    "param": None,
}


@pytest.mark.parametrize(
    ("fates", "said", "failed"),
    [
        ([_EXPIRED], "batch_0 expired: 3 of 6 requests answered", ""),
        ([_CANCELLED], "batch_0 cancelled: 2 of 6 requests answered", ""),
        ([_EXPIRED, _CANCELLED, Fate()], "batch_1 cancelled: 1 of 3 requests answered", ""),
        ([Fate("expired", answered=0.0)] * 3, "batch_2 expired: 0 of 6", "batch_expired"),
        ([_NO_FILE], "batch_0 completed: 0 of 6 requests answered", "no output file"),
        ([Fate(rows=lambda rows: rows * 2)], "6 duplicate rows", ""),
        ([Fate(rows=lambda rows: [_STRANGER, *rows, b"{not json", b'{"custom_id": 5}'])], "2 unreadable rows, 1 unknown row", ""),
        ([Fate(rows=lambda rows: rows[:4])], "batch_0 completed: 4 of 6 requests answered", ""),
        ([Fate("failed", errors=(_line_error(2),))], "batch_0 failed: 0 of 6", "the line has a fault"),
        ([Fate("failed", errors=(_TOO_MANY,))], "files are made to fit", ""),
    ],
)
def test_every_end_of_a_batch(tmp_path: Path, serve: Serve, fates: list[Fate], said: str, failed: str) -> None:
    wiki = DemoWiki(tmp_path, 6, _TOML)
    batches = FakeBatches(honest, list(fates))
    wiki.asks(serve(batches))
    result = batch(wiki, "--wait", "--json")
    assert said in result.err
    document = result.json
    assert all(failed in one["detail"] for one in document["failed"]) and bool(document["failed"]) == bool(failed)
    # What failed is due again, and only that is submitted.
    answered = document["asked"]
    again = finished(wiki)
    assert (again["due"], again["asked"], again["exit"]) == (18 - answered, 18 - answered, 0)
    lost = 6 if fates == [_NO_FILE] else 2 if "4 of 6" in said else 0  # answers that the server has not put into a file
    assert not batches.orphans() and batches.paid.total() == 6 + lost
    assert batches.live == 0


def test_a_batch_that_the_server_does_not_accept_ends_the_run(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 2, _TOML)
    problem = {"code": "model_not_found", "line": None, "message": "No such model: sk-abcdefghijkl", "param": None}
    wiki.asks(serve(batches := FakeBatches(honest, [Fate("failed", errors=(problem,))])))
    result = batch(wiki, "--wait")
    assert result.exit == 1 and "batch batch_0 failed: No such model: [key]" in result.err
    assert finished(wiki)["asked"] == 6 and batches.paid.total() == 2


def test_each_row_with_an_error_is_that_pages_failure_or_submitted_again(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 4, _TOML)
    seen_by: dict[str, int] = {}

    def rows(seen: Seen) -> Act:
        page = seen.text[seen.text.index("Title: ") :].split("\n")[0]
        seen_by[page] = seen_by.get(page, 0) + 1
        if page.endswith("0") and seen_by[page] == 1:
            return status(500, "The server had an error")
        if page.endswith("1"):
            return status(429, "Rate limit reached")
        if "temperature" in seen.body:
            return status(400, "Unsupported value: 'temperature' is not supported with this model.", param="temperature")
        return status(400, "The page was flagged", code_word="content_policy_violation") if page.endswith("2") else honest(seen)

    (wiki.root / "enrich.toml").write_text((wiki.root / "enrich.toml").read_text() + "[stages.summary]\ntemperature = 0.5\n")
    wiki.asks(serve(FakeBatches(rows)))
    document = finished(wiki)
    assert {(one["page"], one["cause"]) for one in document["failed"]} == {("park-1", "batch"), ("park-2", "filtered")}
    assert document["asked"] == 6


def test_budget_counts_what_is_submitted(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 6, _TOML)
    batches = FakeBatches(honest, [Fate(steps=("in_progress",) * 50)] * 9)
    wiki.asks(serve(batches))
    most = batch(DemoWiki(tmp_path / "other", 1, _TOML), "--json", **wiki.env()).err
    one = float(most.partition("at most $")[2].split()[0])
    budget = f"{one * 3.5:.6f}"
    first = batch(wiki, "--budget", budget, "--json")
    assert first.exit == 4 and first.json["waiting"] == 9
    # What is open counts in the next run too: three requests are all that the budget covers.
    assert batch(wiki, "--budget", budget, "--json").exit == 4
    assert [len(files.splitlines()) for name, files in batches.files.items()] == [1, 3]


def test_a_batch_goes_to_one_server(tmp_path: Path, serve: Serve) -> None:
    batches = FakeBatches(honest)
    wiki, servers = DemoWiki(tmp_path, 2, _TOML), [serve(batches), serve(batches)]
    wiki.asks(servers[0])
    urls = json.dumps([server.base_url for server in servers])
    result = wiki.enrich("run", "--engine", "batch", ENRICH_LLM__BASE_URLS=urls)
    assert result.exit == 1 and "uses one server, and llm.base_urls names 2" in result.err and "llm.base_url to one of them" in result.err
    assert sum(server.requests for server in servers) == 0
    # Any server may answer files.
    assert wiki.enrich("run", "--engine", "batch", "--files", ENRICH_LLM__BASE_URLS=urls).exit == 0


def test_cancel_collects_what_was_paid(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 6, _TOML)
    batches = FakeBatches(honest, [Fate(answered=0.5, steps=("in_progress",) * 50)])
    wiki.asks(serve(batches))
    assert batch(wiki, "--json").json["waiting"] == 18
    document = batch(wiki, "--cancel", "--json").json
    assert (document["asked"], document["requests"]) == (9, 3)
    assert len(batches.batches) == 1 and not list((wiki.root / "cache/batches").glob("*.json"))
    assert finished(wiki)["asked"] == 9 and batches.paid.total() == 6


def test_files_for_vllm(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 3, _TOML)
    server = wiki.asks(serve(honest))
    assert batch(wiki, "--files", "--json").json["waiting"] == 9
    file = next((wiki.root / "cache/batches").glob("*.jsonl"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    answers = []
    for row in rows:  # what `vllm run-batch -i NAME.jsonl -o NAME.output.jsonl` writes
        body = honest(Seen(0, "POST", row["url"], {}, row["body"], b"", 0.0)).body
        answers.append(
            {"id": "vllm-1", "custom_id": row["custom_id"], "response": {"status_code": 200, "request_id": "", "body": body}, "error": None}
        )
    assert batch(wiki, "--json").json["waiting"] == 9
    file.with_name(f"{file.stem}.output.jsonl").write_text("\n".join(map(json.dumps, answers)) + "\n")
    assert batch(wiki, "--json").json["asked"] == 9 and server.requests == 0


def test_other_runs_do_not_pay_for_what_waits_in_a_batch(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 3, _TOML)
    batches = FakeBatches(honest)
    wiki.asks(serve(batches))
    batch(wiki, "park-0", "park-1")
    local = wiki.enrich("run", "--json")
    assert "1 batch open" in local.err and (local.json["asked"], local.json["waiting"]) == (3, 6) and batches.live == 1
    # One stage has another prompt when the answers come: what was paid for the others is used.
    shutil.copytree(Path(__file__).parents[2] / "prompts", wiki.root / "prompts")
    prompt = wiki.root / "prompts/ratings.md"
    prompt.write_text(prompt.read_text() + "\nBe strict.\n")
    document = finished(wiki)
    assert document["asked"] == 4 + 3 and batches.paid.total() == 2 + 3
    assert finished(wiki)["due"] == 0


def test_a_long_page_and_its_sections(tmp_path: Path, serve: Serve) -> None:
    def short(seen: Seen) -> Act:
        length = sum(len(message["content"]) for message in seen.body["messages"])
        message = "This model's maximum context length is 9000 tokens. However, your messages resulted in 12000 tokens."
        return status(400, message, code_word="context_length_exceeded") if length > 30_000 else honest(seen)

    wikis = [
        DemoWiki(tmp_path / name, 2, _TOML.replace("gpt-6-luna", "plain").replace("[llm]", "[llm]\nmodel = 'plain'"))
        for name in ("local", "batch")
    ]
    for wiki in wikis:
        for part in range(90):
            wiki.append(
                0,
                f"\n## Part {part}\n\n"
                + f"In part {part} the cable has {part} kilometres and {part + 7} joints, and each of them is inspected. " * 5,
            )
    wikis[0].asks(serve(short))
    wikis[1].asks(serve(batches := FakeBatches(short)))
    wikis[0].enrich("run", "--apply")
    document = batch(wikis[1], "--wait", "--apply", "--json").json
    # How large sections are depends on what was learned before: the number of fields does not.
    assert wikis[0].content()["park-1.md"] == wikis[1].content()["park-1.md"]
    assert wikis[0].frontmatter(0).keys() == wikis[1].frontmatter(0).keys() and document["asked"] == 6
    assert max(batches.paid.values()) == 1 and len(batches.batches) == 3


def _killed(wiki: DemoWiki, step: int) -> int:
    """Run in a forked child that dies right before its `step`-th write or request, or right after the server has handled one."""

    def prepare(count: Callable[[], None]) -> None:
        def counted(kind: type, name: str) -> None:
            real = getattr(kind, name)

            def method(*given: Any, **more: Any) -> Any:
                count()
                return real(*given, **more)

            setattr(kind, name, method)

        async def request(*given: Any, **more: Any) -> Any:
            count()
            response = await real_request(*given, **more)
            count()
            return response

        real_request = Connection.send
        Connection.send = request  # type: ignore[method-assign]
        for kind, name in ((BatchRecords, "save"), (BatchRecords, "drop"), (BatchRecords, "put"), (Asker, "store")):
            counted(kind, name)
        os.environ.update(wiki.env())

    return killed_child(step, ["--wiki", str(wiki.root), "run", "--engine", "batch", "--wait"], prepare)


def test_killed_at_each_step(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enrich.runs.batch._LISTED_SECONDS", 0.0)  # this server lists a batch at once

    def model(seen: Seen) -> Act:
        # The page is asked about twice: its first summary is not supported.
        parts = honest_parts(seen)
        if len(seen.body["messages"]) == 3:
            parts["summary"] = {"summary": "It delivers 987654 megawatts.", "evidence": []}
        return answering(parts)

    for step in range(200):
        batches = FakeBatches(model, [Fate(steps=())] * 9)
        wiki = DemoWiki(tmp_path / f"{step}", 1, _TOML)
        wiki.asks(serve(batches))
        code = _killed(wiki, step)
        assert finished(wiki)["exit"] == 0
        assert {state for state, _ in wiki.states().values()} == {"proposed"}, f"killed at step {step}"
        assert max(batches.paid.values()) == 1 and not batches.orphans(), f"killed at step {step}"
        assert not list((wiki.root / "cache/batches").glob("*.json")), f"killed at step {step}"
        if code == 0:
            break
        assert code == KILLED
    assert step > 25, "too few steps were seen for this to prove anything"


@pytest.mark.parametrize("missing", ["/v1/files", "/v1/batches"])
def test_a_server_without_batches_keeps_no_question(tmp_path: Path, serve: Serve, missing: str) -> None:
    """What it refused was never submitted: another engine asks it."""
    wiki = DemoWiki(tmp_path, 2, _TOML)
    batches = FakeBatches(honest)
    wiki.asks(serve(lambda seen: status(404, "Not Found") if seen.path.startswith(missing) else batches(seen)))
    refused = batch(wiki)
    assert (refused.exit, "has no Batch API; use `--engine local`" in refused.err) == (1, True)
    if missing == "/v1/batches":  # the file was sent, so that this server may have batches at another time
        assert batch(wiki).exit == 1
        given_up = batch(wiki, "--cancel")
        assert "has no Batch API" not in given_up.err
    done = wiki.enrich("run", "--json").json
    assert (done["exit"], done["asked"]) == (0, 6)
    assert not list((wiki.root / "cache/batches").glob("*.json"))
