"""Each content that hung or ended commands in an authorised trial ends in one line, through the command line."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.demo import DemoWiki

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT 'count' AS key, x AS value FROM c"
COMMANDS = (("plan",), ("check",), ("build",), ("show", "park-0"), ("run", "--backend", "offline"), ("diff",), ("adopt",), ("apply",))


def _nested_frontmatter(wiki: DemoWiki) -> None:
    (wiki.docs / "deep.md").write_text(f"---\ntitle: Deep\nx: {'[' * 30_000}\n---\n\nText.\n", encoding="utf-8")


def _nested_data(wiki: DemoWiki) -> None:
    folder = wiki.root / "content" / "data" / "entities"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text("- " * 30_000 + "x", encoding="utf-8")
    (folder.parent / "resources.json").write_text("[" * 30_000, encoding="utf-8")
    (folder.parent / "git-dates.json").write_text('{"a":' * 30_000, encoding="utf-8")


def _surrogates(wiki: DemoWiki) -> None:
    data = wiki.root / "content" / "data"
    data.mkdir(parents=True)
    values = [{"id": "\ud800", "url": "https://a.example/\udfff", "title": "\ud800"}, {"id": "\ud800", "url": "x"}]
    (data / "resources.json").write_text(json.dumps(values), encoding="utf-8")
    wiki.file(0).write_text(
        wiki.file(0).read_text(encoding="utf-8") + '[a](https://a.example/\\ud800)\n<R id="ab">x</R>\n', encoding="utf-8"
    )
    lock = wiki.root / "enrich.lock"
    rows = lock.read_text(encoding="utf-8").splitlines() if lock.exists() else []
    lock.write_text("".join(f"{row}\n".replace("park-1", "park-\\ud800") for row in rows), encoding="utf-8")


def _journal(wiki: DemoWiki) -> None:
    for journal in wiki.root.glob("cache/runs/*/journal.jsonl"):
        journal.write_bytes(b'{"event":"failed","page":"\xff"}\n' + journal.read_bytes() + b"[" * 30_000 + b"\n" + b"9" * 5000)


def _view(wiki: DemoWiki) -> None:
    for file in wiki.root.glob("cache/**/*.sqlite"):
        with sqlite3.connect(file) as database:
            database.execute("DROP TABLE entries")
            database.execute(f"CREATE VIEW entries AS {ENDLESS}")
        database.close()
    (wiki.root / "cache" / "answers").mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(wiki.root / "cache" / "answers" / "cache.db") as database:
        database.execute(f"CREATE VIEW Settings AS {ENDLESS}")
        database.execute(f"CREATE VIEW Cache AS {ENDLESS}")
    database.close()


def _prompt(wiki: DemoWiki) -> None:
    (wiki.root / "prompts").mkdir()
    loops = "{% for a in page %}" * 4 + "x" + "{% endfor %}" * 4
    (wiki.root / "prompts" / "summary.md").write_text(f"---\nversion: 1\n---\n{loops}\n", encoding="utf-8")


HOSTILE = {
    "nested frontmatter": _nested_frontmatter,
    "nested data": _nested_data,
    "surrogates": _surrogates,
    "journal": _journal,
    "views": _view,
    "endless prompt": _prompt,
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_every_command_ends_with_a_documented_exit_code(tmp_path: Path, make: object) -> None:
    wiki = DemoWiki(tmp_path / "wiki", 2)
    assert wiki.enrich("run", "--apply", "--backend", "offline").exit == 0
    wiki.append(0)
    assert callable(make)
    make(wiki)
    for command in (*COMMANDS, ("run", "--failed", "--backend", "offline"), ("cache", "stats"), ("build",)):
        started = time.process_time()
        result = wiki.enrich(*command)
        assert result.exit in (0, 1, 3, 10), (command, result)
        assert "Traceback" not in result.err, (command, result)
        assert all(len(line) < 2000 for line in result.err.splitlines()), command
        assert time.process_time() - started < 60, command
    for answer in ("plan", "build"):
        assert json.loads(wiki.enrich(answer, "--json").out)
