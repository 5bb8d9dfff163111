"""The lock of a large wiki is in several files: `enrich.lock` with more than 50 MB is refused by git hosts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The size at which a lock is divided is set here: a real one has 40,000 pages.
from enrich.review import lock as lock_module
from tests.demo import DemoWiki


def rows(wiki: DemoWiki) -> list[str]:
    """All rows of the lock, wherever they are; those of intents are among them."""
    files = [wiki.root / "enrich.lock", *sorted((wiki.root / "enrich.lock.d").glob("*.jsonl"))]
    return sorted(row for file in files for row in file.read_text().splitlines())


def written(root: Path, pages: int = 12) -> DemoWiki:
    wiki = DemoWiki(root, pages)
    assert wiki.enrich("run", "--apply").exit == 0
    return wiki


def test_a_lock_that_grows_too_large_is_divided_and_holds_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, divided = written(tmp_path / "whole"), written(tmp_path / "divided")
    monkeypatch.setattr(lock_module, "LARGEST_WHOLE", 1000)
    for wiki in (whole, divided):
        wiki.append(3)
        if wiki is whole:
            monkeypatch.setattr(lock_module, "LARGEST_WHOLE", 10**9)
        assert wiki.enrich("run", "--apply").exit == 0
        monkeypatch.setattr(lock_module, "LARGEST_WHOLE", 1000)
    parts = divided.root / "enrich.lock.d"
    assert not (whole.root / "enrich.lock.d").exists()
    assert len(list(parts.glob("*.jsonl"))) > 3 and (divided.root / "enrich.lock").read_bytes() == b""
    assert (parts / ".gitattributes").read_text() == "* merge=union\n"
    assert rows(divided) == rows(whole)
    assert {state for state, _ in divided.states().values()} == {"current"}
    # What is applied next rewrites the part of its page alone, and goes on in parts at any size.
    for file in parts.glob("*.jsonl"):
        os.utime(file, (0, 0))
    monkeypatch.setattr(lock_module, "LARGEST_WHOLE", 10**9)
    divided.append(3, "And more.")
    assert divided.enrich("run", "--apply").exit == 0
    assert sum(file.stat().st_mtime != 0 for file in parts.glob("*.jsonl")) == 1
    assert {state for state, _ in divided.states().values()} == {"current"}


def test_rows_count_wherever_they_are_and_go_home_when_the_lock_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the middle of dividing, or a branch that was made before it, leaves rows in `enrich.lock`."""
    monkeypatch.setattr(lock_module, "LARGEST_WHOLE", 1000)
    wiki = written(tmp_path)
    before = rows(wiki)
    moved = sorted((wiki.root / "enrich.lock.d").glob("*.jsonl"))
    (wiki.root / "enrich.lock").write_text("".join(file.read_text() for file in moved[:2]))
    moved[0].unlink()
    assert {state for state, _ in wiki.states().values()} == {"current"}
    # A renamed page takes its rows along.
    wiki.file(5).rename(wiki.docs / "renamed.md")
    assert wiki.enrich("run", "--apply").exit == 0
    assert (wiki.root / "enrich.lock").read_bytes() == b""
    assert sorted(row.replace('"page":"renamed"', '"page":"park-5"') for row in rows(wiki)) == before
    assert {state for state, _ in wiki.states().values()} == {"current"}


@pytest.mark.parametrize("damage", ["not a row\n", '{"page":"park-3","stage":"summary","key":1}\n'])
def test_a_damaged_row_is_named_by_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr(lock_module, "LARGEST_WHOLE", 1000)
    wiki = written(tmp_path)
    file = next(file for file in (wiki.root / "enrich.lock.d").glob("*.jsonl") if '"park-3"' in file.read_text())
    file.write_text(text := file.read_text() + damage)
    where = f"{file}:{text.count(chr(10))}"
    result = wiki.enrich("plan")
    assert result.exit == 1 and where in result.err and "version control" in result.err
    assert where in wiki.enrich("doctor").out
