"""The command line's reference, help and start-up."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import enrich
from enrich.cli.main import COMMANDS, app, in_front
from tests.demo import DemoWiki

ROOT = Path(__file__).resolve().parents[2]


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("make_cli", ROOT / "docs" / "make_cli.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_commands_say() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == _generator().reference(), "run `make docs`"


def test_every_command_and_option_has_help() -> None:
    def check(command: Any, path: str) -> None:
        assert command.help, path
        for parameter in command.params:
            if type(parameter).__name__ != "TyperArgument":
                assert getattr(parameter, "help", None) or parameter.name == "help", f"{path} {parameter.name}"
        for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
            check(command.get_command(None, name), f"{path} {name}")

    check(get_command(app), "enrich")


def test_every_command_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in COMMANDS if f"enrich {name}" not in readme]
    assert not missing


@pytest.mark.parametrize("command", [["--help"], ["plan"], ["run"], ["diff"], ["apply", "--all"], ["build"], ["check"], ["show", "park-0"]])
def test_nothing_heavy_is_loaded_where_nothing_is_asked(tmp_path: Path, command: list[str]) -> None:
    wiki = DemoWiki(tmp_path, 1)
    script = "import sys, json\nfrom enrich.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
    script += (
        "heavy = {'openai', 'aiohttp', 'tenacity', 'ray', 'sklearn'} & set(sys.modules)\nprint(json.dumps(sorted(heavy)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=wiki.root, env=wiki.env(), capture_output=True, timeout=60, check=True
    )
    assert json.loads(done.stderr.decode().splitlines()[-1]) == []


def test_global_options_stand_before_or_after_the_command(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    assert in_front(["plan", "--json", "--wiki", "x", "park"]) == ["--json", "--wiki", "x", "plan", "park"]
    for arguments in (["--json", "plan"], ["plan", "--json"]):
        assert wiki.enrich(*arguments).json["states"]
    assert wiki.enrich("--version").out == f"enrich {enrich.__version__}\n"


def test_wrong_usage_is_exit_code_two_in_one_line_or_one_document(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    for arguments in (
        ["run", "--nope"],
        ["nonsense"],
        ["run", "--stage", "poetry"],
        ["run", "--engine", "steam"],
        ["accept"],
        ["run", "--limit", "x"],
    ):
        plain = wiki.enrich(*arguments)
        assert plain.exit == 2, arguments
        assert len(plain.err.splitlines()) == 1
        document = wiki.enrich(*arguments, "--json")
        assert document.exit == 2
        assert set(document.json["error"]) == {"message", "where", "do"}


def test_init_starts_a_wiki_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one.md").write_text("---\ntitle: One\n---\n" + "word " * 80)
    (tmp_path / ".gitignore").write_text("node_modules")
    wiki = DemoWiki.__new__(DemoWiki)
    wiki.root, wiki.docs, wiki.server = tmp_path, tmp_path / "docs", None
    first = wiki.enrich("init", "--json").json
    assert (first["content"], first["pages"]) == ("docs", 1)
    assert (tmp_path / "prompts" / "summary.md").is_file()
    assert (tmp_path / ".gitignore").read_text().splitlines() == ["node_modules", "/cache/", "/proposals/", ".enrich-*"]
    assert "enrich.lock merge=union" in (tmp_path / ".gitattributes").read_text()
    (tmp_path / "prompts" / "summary.md").write_text("---\nversion: 9\n---\nMine.\n")
    again = wiki.enrich("init", "--json").json
    assert again["written"] == []
    assert (tmp_path / "prompts" / "summary.md").read_text() == "---\nversion: 9\n---\nMine.\n"
    assert wiki.enrich("plan", "--json").json["states"][0]["state"] == "due"
