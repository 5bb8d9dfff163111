"""The commands: their reference, start-up, usage errors, `init`, and those that the README shows."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import enrich
from enrich.cli.main import app  # its parameters are looked at one by one
from tests.demo import ROOT, DemoWiki, honest, own_wiki, page_text, script

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_is_the_help_of_the_commands() -> None:
    reference = script(ROOT / "docs" / "make_cli.py").reference()
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference, "run `make docs`"


def test_every_dependency_is_listed_with_a_licence_that_allows_use() -> None:
    licences = script(ROOT / "docs" / "make_licences.py")
    listed = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    for name in licences.needed():
        stated = licences.licence(distribution(name))
        assert f"| {name} | {stated} |" in listed, "run `make docs`"
        assert re.search(r"MIT|BSD|Apache|ISC|PSF|MPL|Python", stated), (name, stated)


def test_every_command_and_option_has_help_and_every_command_is_in_the_readme() -> None:
    def check(command: Any, path: str) -> None:
        assert command.help, path
        for parameter in command.params:
            if type(parameter).__name__ != "TyperArgument":
                assert getattr(parameter, "help", None) or parameter.name == "help", f"{path} {parameter.name}"
        for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
            assert f"enrich {name}" in README or path != "enrich", name
            check(command.get_command(None, name), f"{path} {name}")

    check(get_command(app), "enrich")


@pytest.mark.parametrize("command", [["--help"], ["plan"], ["run"], ["diff"], ["apply", "--all"], ["build"], ["check"], ["show", "park-0"]])
def test_nothing_heavy_is_loaded_if_nothing_is_asked(tmp_path: Path, command: list[str]) -> None:
    wiki = DemoWiki(tmp_path, 1)
    script = "import sys, json\nfrom enrich.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
    heavy = {"openai", "aiohttp", "textual"}
    if command[0] not in ("build", "show"):  # these compare pages with each other
        heavy.add("numpy")
    script += f"print(json.dumps(sorted({heavy} & set(sys.modules))), file=sys.stderr)\n"
    script += "if '--help' in sys.argv:\n    assert not {'pydantic', 'rich', 'yaml'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, *command], cwd=wiki.root, env=wiki.env(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.decode().splitlines()[-1]) == []


def test_global_options_are_valid_before_and_after_the_command(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path / "wiki", 1)
    for arguments in (["--json", "plan"], ["plan", "--json"], ["plan", "--wiki", str(wiki.root), "park-0", "--json"]):
        assert wiki.enrich(*arguments).json["states"]
    assert wiki.enrich("plan", "--wiki", str(tmp_path)).exit == 1
    assert wiki.enrich("plan", "--", "--quiet").err == "error: no page '--quiet'. `enrich plan -v` lists all pages\n"
    assert wiki.enrich("--version").out == f"enrich {enrich.__version__}\n"


@pytest.mark.parametrize(
    "command", ["run --nope", "nonsense", "run --stage poetry", "run --engine steam", "accept", "run --limit x", "accept park-0:"]
)
def test_wrong_usage_is_exit_code_two_in_one_line_or_one_document(tmp_path: Path, command: str) -> None:
    wiki = DemoWiki(tmp_path, 1)
    plain, document = wiki.enrich(*command.split()), wiki.enrich(*command.split(), "--json")
    assert (plain.exit, document.exit) == (2, 2)
    assert len(plain.err.splitlines()) == 1
    assert set(document.json["error"]) == {"message", "where", "do"}


def test_init_starts_a_wiki_and_keeps_what_is_there(tmp_path: Path) -> None:
    wiki = DemoWiki.at(tmp_path, "docs")
    wiki.docs.mkdir()
    (wiki.docs / "one.md").write_text("---\ntitle: One\n---\n" + "word " * 80)
    (tmp_path / ".gitignore").write_text("node_modules")
    first = wiki.enrich("init", "--json").json
    assert (first["content"], first["pages"]) == ("docs", 1)
    assert (tmp_path / "prompts" / "summary.md").is_file()
    assert (tmp_path / ".gitignore").read_text().splitlines() == ["node_modules", "/cache/", "/proposals/", ".enrich-*"]
    assert "enrich.lock merge=union" in (tmp_path / ".gitattributes").read_text()
    (tmp_path / "prompts" / "summary.md").write_text("---\nversion: 9\n---\nMine.\n")
    assert wiki.enrich("init", "--json").json["written"] == []
    assert (tmp_path / "prompts" / "summary.md").read_text() == "---\nversion: 9\n---\nMine.\n"
    assert wiki.enrich("plan", "--json").json["states"][0]["state"] == "due"


@pytest.mark.parametrize(
    "named", [["init", "wiki"], ["init", "./wiki/"], ["init", "--wiki", "wiki"], ["init", "."], ["init", "../below/wiki"]]
)
def test_a_wiki_is_named_by_a_path_from_here(tmp_path: Path, named: list[str]) -> None:
    """Every command works as it does with the whole path, and from the wiki's folder."""
    folder = tmp_path / "below" / "wiki"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "one.md").write_text(page_text(1))
    here = folder if named[-1] == "." else folder.parent
    wiki = DemoWiki.at(here)
    started = wiki.enrich(*named)
    assert (started.exit, started.err) == (0, ""), started.err
    at = ["--wiki", named[-1]]
    commands = ["run", "diff -o out.txt", "apply --all", "build", "show one", "check", "site -o out", "doctor", "cache stats", "plan"]
    for command in commands:
        result = wiki.enrich(*at, *command.split())
        assert result.exit in (0, 10), (command, result.err)
        assert "link" not in result.err, (command, result.err)
    assert "llmSummary" in (folder / "docs" / "one.md").read_text()
    assert (folder / "database.json").is_file() and (here / "out" / "index.html").is_file()


def test_the_readmes_commands_run_in_its_order(tmp_path: Path) -> None:
    wiki = DemoWiki.at(Path(shutil.copytree(own_wiki(), tmp_path / "wiki")), "content/docs")
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.partition(" #")[0] for block in blocks for line in block.splitlines() if line.startswith("enrich ")]
    assert len(lines) > 8
    for line in lines:
        before = wiki.content()
        result = wiki.enrich(*shlex.split(line)[1:])
        assert result.exit == 0, (line, result.err)
        assert (wiki.content() != before) == line.startswith("enrich apply"), line


def test_counts_agree_with_their_nouns(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    printed = "".join(
        wiki.enrich(*command).out
        for command in (["plan"], ["run"], ["apply", "--all"], ["build"], ["check"], ["adopt"], ["cache", "prune"], ["cache", "clear"])
    )
    assert "1 page: " in printed and "1 record in" in printed
    for wrong in ("1 pages", "1 records", "1 fields", "1 requests", "1 runs"):
        assert f" {wrong}" not in f" {printed}".replace("\n", " "), wrong


def test_the_plan_prints_totals_and_its_first_ten_rows(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 14)
    plain = wiki.enrich("plan")
    assert sum(line.lstrip().startswith("park-") for line in plain.out.splitlines()) == 10
    assert "… and 4 more pages (-v lists all)" in plain.out
    assert "14 pages: 42 due" in plain.out
    assert sum(line.lstrip().startswith("park-") for line in wiki.enrich("plan", "-v").out.splitlines()) == 14
    assert len(wiki.enrich("plan", "--json").json["states"]) == 42
    wiki.enrich("run", "--limit", "2")
    # The insight of the second park is that of the first one.
    assert "5 answers proposed: `enrich diff`" in wiki.enrich("plan").out


def test_a_run_lists_the_pages_that_it_asked_about_and_others_on_request(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 2)
    wiki.enrich("run")
    assert "park-0" not in wiki.enrich("run").out
    assert "park-0   nothing new (proposed)" in wiki.enrich("run", "park-0").out
    assert "park-1   nothing new (proposed)" in wiki.enrich("run", "-v").out


@pytest.mark.parametrize(("command", "warns"), [("plan", True), ("run", True), ("diff", False), ("apply", False)])
def test_warnings_about_the_wiki_as_a_whole_come_where_it_is_planned(tmp_path: Path, command: str, warns: bool) -> None:
    wiki = DemoWiki(tmp_path, 1, toml='roots = ["nowhere"]\n')
    assert ("nowhere" in wiki.enrich(command).err) == warns


def test_a_page_on_demand_shows_the_new_answer_first_with_evidence_and_lines(tmp_path: Path, serve: Any) -> None:
    wiki = DemoWiki(tmp_path, 2)
    server = wiki.asks(serve(honest))
    shown = wiki.enrich("page", "park-0").out
    lines = shown.splitlines()
    assert lines[:2] == ["park-0  park-0.md", "  llmSummary"]
    assert "(line 8, Overview)" in lines[3]
    assert "because:" in shown
    assert "Page Status" not in shown
    applied = wiki.enrich("page", "park-0", "--apply", "--card").out
    assert applied.index("llmSummary") < applied.index("Page Status")
    requests = server.requests
    wiki.enrich("page", "park-0", "--refresh")
    assert server.requests == requests
    wiki.enrich("page", "park-0", "--no-cache")
    assert server.requests == requests + 1


def test_show_takes_a_clock(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    wiki.file(0).write_text(wiki.file(0).read_text().replace("title:", "lastEdited: 2026-01-29\ntitle:", 1))
    assert wiki.enrich("show", "park-0", "--now", "2026-02-01", "--json").json["edited"]["age"] == "3 days ago"
    assert "is not a time" in wiki.enrich("show", "park-0", "--now", "soon").err
