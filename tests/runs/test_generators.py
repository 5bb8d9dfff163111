"""Ten wikis in the habits of ten generators: from a fresh copy to applied values without any edit by hand (tests/wikis/make.py writes them)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml
from ruamel.yaml import YAML

from tests.demo import DemoWiki, particular
from tests.fake_server import FakeServer
from tests.wikis.make import STYLES, write

# Pages without frontmatter, and Hugo's leaf bundles, whose file is named index.
LEFT_OUT = {"mkdocs": 6, "docusaurus": 3, "vitepress": 3, "obsidian": 3, "hugo": 3}
OURS = ("llmSummary", "insights", "ratings", "quality", "enrich_summary", "enrich_quality")


def _head(raw: bytes) -> tuple[str, str, str]:
    """(mark, frontmatter, body) of a page, by a rule of our own; line breaks as they are."""
    text = raw.decode("utf-8")
    match = re.match(r"(---|\+\+\+)\r?\n(.*?)^\1\r?\n", text, re.DOTALL | re.MULTILINE)
    return (match[1], match[2], text[match.end() :]) if match else ("", "", text)


def _data(mark: str, head: str) -> dict[str, Any]:
    """The frontmatter's data, on which two readers agree."""
    if mark == "+++":
        found = tomllib.loads(head)
        assert tomlkit.parse(head).unwrap() == found
        return found
    one: dict[str, Any] = yaml.load(head, yaml.BaseLoader) or {}
    other = YAML(typ="safe", pure=True).load(head) or {}
    ours = _ours(yaml.safe_load(head) or {})
    assert ours == _ours(other)
    return one


def _ours(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key in OURS or key.startswith("enrich_")}


def _without_ours(data: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in data.items() if key not in _ours(data)}
    for table in ("extra", "params"):  # Zola, Hugo
        if table in kept:
            kept[table] = {key: value for key, value in kept[table].items() if key != "enrich"}
    return {key: value for key, value in kept.items() if value != {}}


def _only_values_are_new(before: bytes, after: bytes) -> None:
    """The old lines are all there, in order, and all that is new is data under our keys."""
    if before == after:
        return
    mark, head, body = _head(before)
    new_mark, new_head, new_body = _head(after)
    assert (new_mark, new_body) == (mark, body)
    lines = iter(new_head.splitlines(keepends=True))
    assert all(any(line == new for new in lines) for line in head.splitlines(keepends=True))
    assert _without_ours(_data(mark, new_head)) == _without_ours(_data(mark, head))


def _files(root: Path) -> dict[str, bytes]:
    own = {
        "cache",
        "proposals",
        "prompts",
        "enrich.toml",
        "enrich.lock",
        "enrich.evidence",
        "database.json",
        ".gitattributes",
        ".gitignore",
        "node_modules",
    }
    found = (file for file in sorted(root.rglob("*")) if file.is_file())
    return {path: file.read_bytes() for file in found if (path := file.relative_to(root).as_posix()).split("/")[0] not in own}


def _enrich(wiki: DemoWiki, *arguments: str) -> Any:
    done = wiki.enrich(*arguments)
    assert done.exit == 0, f"{arguments}: {done.out}{done.err}"
    return done


def _whole_loop(wiki: DemoWiki, name: str, pages: int) -> None:
    before = _files(wiki.root)
    started = _enrich(wiki, "init")
    generator = {"mkdocs": "MkDocs", "mdbook": "mdBook", "vitepress": "VitePress"}.get(name, name.title())
    assert f"{generator} site: " in started.out
    found = wiki.findings()
    _enrich(wiki, "run")
    applied = json.loads(_enrich(wiki, "apply", "--all", "--json").out)
    held = {(item["page"], item["field"]) for item in applied["held"]}
    _enrich(wiki, "build")
    assert wiki.findings() - found == Counter()
    after = _files(wiki.root)
    assert before.keys() <= after.keys()
    sidecars = {path: raw for path, raw in after.items() if path not in before}
    if name == "mdbook":
        assert {path: after[path] for path in before} == before
        assert len(sidecars) >= pages
        assert all(_ours(yaml.safe_load(raw)) for raw in sidecars.values())
    else:
        assert not sidecars
        for path, raw in before.items():
            _only_values_are_new(raw, after[path])
        assert sum(before[path] != after[path] for path in before) >= pages - LEFT_OUT.get(name, 0)
    # Every page is current, held for a person by name, or left out for a reason that names what to set.
    plan = _enrich(wiki, "plan")
    states = json.loads(_enrich(wiki, "plan", "--json").out)["states"]
    others = [state for state in states if state["state"] not in ("current", "skipped")]
    assert not [one for one in others if one["state"] != "proposed" or one["page"] not in {page for page, _ in held}]
    for reason in {state["reasons"][0] for state in states if state["state"] == "skipped"}:
        left_out = [line for line in (plan.out + plan.err).splitlines() if "left out" in line]
        assert any(word in line for line in left_out for word in ("frontmatter = ", "min_words", "`ask`", "`skip`")), reason
    records = json.loads((wiki.root / "database.json").read_text(encoding="utf-8"))["pages"]
    assert sum(bool(record["llmSummary"]) for record in records) >= pages - LEFT_OUT.get(name, 0)


def _second_run_sends_nothing(wiki: DemoWiki, before: dict[str, bytes], server: FakeServer | None) -> None:
    asked = server.requests if server else 0
    again = json.loads(_enrich(wiki, "run", "--json").out)
    assert (again["due"], again["requests"], again["proposed"]) == (0, 0, [])
    assert (server.requests if server else 0) == asked
    assert _files(wiki.root) == before


@pytest.mark.parametrize("backend", ["offline", "server"])
@pytest.mark.parametrize("name", STYLES)
def test_from_a_fresh_copy_to_applied_values(tmp_path: Path, name: str, backend: str) -> None:
    pages = write(name, tmp_path)
    assert 20 <= pages <= 60
    wiki = DemoWiki.at(tmp_path, STYLES[name].folder)
    if backend == "offline":
        _whole_loop(wiki, name, pages)
        _second_run_sends_nothing(wiki, _files(tmp_path), None)
        return
    with FakeServer(particular()) as server:
        wiki.asks(server)
        _whole_loop(wiki, name, pages)
        _second_run_sends_nothing(wiki, _files(tmp_path), server)


NODE = Path(__file__).parents[1] / "node"
# (what must be there, the command, where a page's HTML or text is)
BUILDS = {
    "starlight": (NODE / "starlight/node_modules/astro", ["node_modules/.bin/astro", "build"], "dist/**/*.html"),
    "docusaurus": (NODE / "docusaurus/node_modules/@docusaurus", ["node_modules/.bin/docusaurus", "build"], "build/**/*.html"),
    "hugo": (Path(shutil.which("hugo") or "/no-hugo"), ["hugo", "--quiet"], "public/**/*.html"),
}


@pytest.mark.generator
@pytest.mark.parametrize("name", BUILDS)
def test_the_site_builds_with_the_values(tmp_path: Path, name: str) -> None:
    needed, command, pages = BUILDS[name]
    if not needed.exists():
        pytest.skip(f"needs {needed.name} (`make generators` installs it)")
    count = write(name, tmp_path)
    wiki = DemoWiki.at(tmp_path, STYLES[name].folder)
    for arguments in (["init"], ["run"], ["apply", "--all"]):
        _enrich(wiki, *arguments)
    if name != "hugo":
        # Bundlers take a link to another folder for other modules.
        shutil.copytree(NODE / name / "node_modules", tmp_path / "node_modules", symlinks=True)
    environment = {**os.environ, "ASTRO_TELEMETRY_DISABLED": "1", "CI": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    built = list(tmp_path.glob(pages))
    assert len(built) >= count
    if name == "hugo":  # its layout shows the summary
        assert sum("<p>Grey Tarn Hut was built" in page.read_text(encoding="utf-8") for page in built) >= 1
