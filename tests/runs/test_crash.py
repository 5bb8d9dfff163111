"""`apply` killed between any two file operations: no value of ours is ever taken for a person's, and a second apply finishes the job."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import enrich
from tests.demo import KILLED, DemoWiki, killed_child

# What changes files: everything else may happen any number of times without a trace.
_WRITING = {"os.rename", "os.link", "os.remove", "os.truncate", "os.mkdir", "os.chmod"}


def _in_child(root: Path, step: int) -> int:
    """Run `enrich apply --all` in a forked child that dies right before its `step`-th file operation; gives the exit code."""

    def prepare(count: Callable[[], None]) -> None:
        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _WRITING or (event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
                count()

        real_fsync = os.fsync

        def fsync(handle: int) -> None:
            count()
            real_fsync(handle)

        os.fsync = fsync  # type: ignore[assignment]
        sys.addaudithook(hook)

    return killed_child(step, ["--wiki", str(root), "apply", "--all"], prepare)


def _states(root: Path) -> set[str]:
    wiki = enrich.Wiki.open(enrich.load_config(root, env={}))
    return {state.state for state in enrich.make_plan(wiki).states}


def _copies(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    step = 0
    while True:
        root = tmp_path / f"step-{step}"
        shutil.copytree(tmp_path / "start", root)
        yield step, root
        step += 1


@pytest.mark.parametrize("store", ["frontmatter", "sidecar"])
def test_apply_killed_before_each_file_operation(tmp_path: Path, store: str) -> None:
    wiki = DemoWiki(tmp_path / "start", 3, f'[fields]\nstore = "{store}"\n')
    # One page carries earlier values of ours, so that old and new lines meet in the lock.
    assert wiki.enrich("run", "park-0", "--apply").exit == 0
    more = "\nThe cable costs 9 million euros and nobody has ordered it yet.\n" * 3
    wiki.file(0).write_text(wiki.file(0).read_text().replace("Overview", "Summary") + more)
    first = wiki.content()
    assert wiki.enrich("run").exit == 0
    calm = DemoWiki.at(Path(shutil.copytree(wiki.root, tmp_path / "calm")))
    assert calm.enrich("apply", "--all").exit == 0
    final = calm.content()
    assert final != first

    for step, root in _copies(tmp_path):
        code = _in_child(root, step)
        files = DemoWiki.at(root).content()
        for name, raw in files.items():
            assert "/.enrich-" in f"/{name}" or raw in (first.get(name), final[name]), f"{name} is torn after a kill at step {step}"
        states = _states(root)
        assert not states & {"human-edited", "unmanaged"}, f"ours was taken for a person's after a kill at step {step}"
        assert _in_child(root, -1) == 0
        assert {name: (root / "content" / name).read_bytes() for name in final} == final
        assert _states(root) == {"current"}, f"something is left after a kill at step {step}"
        assert not list((root / "proposals").glob("*.json"))
        shutil.rmtree(root)
        if code == 0:
            break
        assert code == KILLED
    assert step > 20, "too few file operations were seen for this to prove anything"


def test_a_run_takes_up_what_an_interrupted_apply_left_in_the_proposals(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 2)
    assert wiki.enrich("run").exit == 0
    proposals = {file: file.read_bytes() for file in (wiki.root / "proposals").glob("*.json")}
    assert wiki.enrich("apply", "--all").exit == 0
    for file, raw in proposals.items():  # killed after the pages and the lock were written, before the proposals were
        file.write_bytes(raw)
    applied = wiki.content()
    assert wiki.enrich("run", "--apply").exit == 0
    assert not list((wiki.root / "proposals").glob("*.json"))
    assert wiki.content() == applied
    assert _states(wiki.root) == {"current"}


@pytest.mark.parametrize("torn", [b'{"intent":true,"page":"park-1","sta', b'{"int', b"\n"], ids=["half-a-line", "hardly-a-line", "blank"])
def test_a_lock_write_that_was_cut_off_is_void(tmp_path: Path, torn: bytes) -> None:
    wiki = DemoWiki(tmp_path, 2)
    wiki.enrich("run", "--apply")
    lock = wiki.root / "enrich.lock"
    lock.write_bytes(lock.read_bytes() + torn)
    assert _states(wiki.root) == {"current"}
    wiki.append(0)
    assert wiki.enrich("run", "--apply").exit == 0
    assert _states(wiki.root) == {"current"}


def test_a_line_that_somebody_cut_off_is_an_error_and_not_a_persons_value(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 2)
    wiki.enrich("run", "--apply")
    lock = wiki.root / "enrich.lock"
    lock.write_bytes(lock.read_bytes()[:-20])
    result = wiki.enrich("plan")
    assert result.exit == 1
    assert f"enrich.lock:{len(lock.read_bytes().splitlines())}" in result.err
    assert "version control" in result.err


def test_two_sides_of_a_merge_are_decided_by_the_value_on_the_page(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    wiki.enrich("run", "--apply")
    ours = (wiki.root / "enrich.lock").read_text()
    page = wiki.file(0).read_text()
    wiki.file(0).write_text(page.replace("Overview", "Summary") + "\nThe cable costs 9 million euros and nobody has ordered it yet.\n")
    wiki.enrich("run", "--apply")
    theirs = (wiki.root / "enrich.lock").read_text()
    assert ours != theirs
    # A union merge keeps both sides' lines, in either order.
    for both in (ours + theirs, theirs + ours, f"<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n"):
        (wiki.root / "enrich.lock").write_text(both)
        assert _states(wiki.root) == {"current"}
