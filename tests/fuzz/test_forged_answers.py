"""Answers in a cache that came with a clone are read like answers of a server: validated, checked against the page, never trusted."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki, honest
from tests.fake_server import Serve

FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a list": lambda entry: [],
    "no answer": lambda entry: {},
    "an answer of another kind": lambda entry: {**entry, "answer": ["x"]},
    "an empty answer": lambda entry: {**entry, "answer": {}},
    "usage as text": lambda entry: {**entry, "usage": {"input": "x", "output": "y"}},
    "usage below zero": lambda entry: {**entry, "usage": {"input": -5, "output": 1}},
    "usage with other keys": lambda entry: {**entry, "usage": {"a": 1}},
    "usage as a list": lambda entry: {**entry, "usage": [1]},
    "a cost as text": lambda entry: {**entry, "cost_usd": "free"},
    "a cost below zero": lambda entry: {**entry, "cost_usd": -1e9},
    "sections as text": lambda entry: {**entry, "sections": "x"},
    "asked as a list": lambda entry: {**entry, "asked": [1]},
    "again as text": lambda entry: {**entry, "again": "yes"},
    "deep": lambda entry: {**entry, "answer": json.loads("[" * 900 + "]" * 900)},
}


def _rewrite(wiki: DemoWiki, forge: Callable[[dict[str, Any]], Any]) -> int:
    """Replace every stored answer; how many there were."""
    with sqlite3.connect(wiki.root / "cache" / "answers" / "cache.db") as database:
        rows = database.execute("SELECT rowid, value FROM Cache").fetchall()
        for row, value in rows:
            forged = forge(json.loads(zlib.decompress(value)))
            database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (zlib.compress(json.dumps(forged).encode()), row))
    database.close()
    return len(rows)


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_an_entry_that_is_not_one_of_ours_is_asked_for_again(tmp_path: Path, serve: Serve, forge: Callable[[dict[str, Any]], Any]) -> None:
    wiki = DemoWiki(tmp_path / "wiki", 1)
    server = wiki.asks(serve(honest))
    assert wiki.enrich("run").exit == 0
    paid = server.requests
    assert _rewrite(wiki, forge) == 3
    result = wiki.enrich("run", "--refresh", "--json")
    assert result.exit == 0, result
    assert "Traceback" not in result.err
    assert server.requests > paid
    assert result.json["cached"] == 0


def test_a_forged_statement_is_checked_like_an_answer(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path / "wiki", 1)
    wiki.asks(serve(honest))
    assert wiki.enrich("run").exit == 0

    def invent(entry: dict[str, Any]) -> dict[str, Any]:
        if "summary" in entry["answer"]:
            entry["answer"]["summary"] = (
                "Wind turbines of this type deliver 987654 megawatts in a steady breeze, as everybody knows \x1b[2J."
            )
        return entry

    _rewrite(wiki, invent)
    wiki.enrich("run", "--refresh")
    document = wiki.enrich("diff", "--json").json
    (summary,) = (field for page in document["pages"] for field in page["fields"] if field["field"] == "llmSummary")
    assert "needs-look" in summary["flags"]
    assert wiki.enrich("apply", "--all").exit in (0, 3)
    assert "987654" not in wiki.file(0).read_text(encoding="utf-8")
