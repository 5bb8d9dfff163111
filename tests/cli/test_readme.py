"""The README's commands run as they stand there, on a copy of the repository's own wiki."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from tests.demo import DemoWiki

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands() -> list[list[str]]:
    """The `enrich …` lines of the README's shell blocks, without their comments, in order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for block in _BLOCK.findall(text) for line in block.splitlines()]
    return [shlex.split(line.partition(" #")[0])[1:] for line in lines if line.startswith("enrich ")]


def test_the_readmes_commands_run_in_its_order(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "content", tmp_path / "content")
    shutil.copy(ROOT / "enrich.toml", tmp_path)
    wiki = DemoWiki.__new__(DemoWiki)
    wiki.root, wiki.docs, wiki.server = tmp_path, tmp_path / "content" / "docs", None
    before = wiki.content()
    found = commands()
    assert len(found) > 8
    for command in found:
        result = wiki.enrich(*command)
        assert result.exit == 0, (command, result.err)
        if command[0] != "apply":
            assert wiki.content() == before, command
        else:
            assert wiki.content() != before
            before = wiki.content()
