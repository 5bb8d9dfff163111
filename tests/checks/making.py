"""Small wikis for the tests of checks, checked through the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from enrich.wiki.page_files import PageFile, page_ids
from enrich.wiki.pages import Page, parse_page  # a page without a wiki, for tests of cards and of evaluation
from tests.demo import DemoWiki

# The reference wiki's lists without its strictness.
LENIENT = """
base: longterm-wiki
checks:
  {closed_lists: "off", unknown_keys: "off", key_types: warning, key_order: "off", required_keys: [], page_types: [content, stub, overview],
   deprecated_keys: {importance: null, todo: null, entityId: null}}
"""
PAGE = "towers/north-light.md"


class Finding(NamedTuple):
    """One entry of `findings` in the JSON document."""

    page: str
    path: str
    line: int
    rule: str
    severity: str
    message: str


def run(*arguments: str, **env: str) -> tuple[int, str]:
    """(exit code, standard output) of `enrich` with these arguments."""
    done = DemoWiki.at(Path.cwd()).enrich(*arguments, **env)
    return done.exit, done.out


def check(
    root: Path, pages: Mapping[str, str], *arguments: str, profile: str = LENIENT, data: Mapping[str, str] | None = None
) -> list[Finding]:
    """The findings of `enrich check` on a wiki with these pages and these files of the data folder. `profile` may be YAML."""
    if "\n" in profile:
        (root / "own.yaml").write_text(profile, encoding="utf-8")
        profile = "own.yaml"
    (root / "enrich.toml").write_text(f'[wiki]\ncontent = "content"\ndata = "data"\nprofile = "{profile}"\n', encoding="utf-8")
    for folder, files in (("content", pages), ("data", data or {})):
        for path, text in files.items():
            file = root / folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
    code, out = run("--wiki", str(root), "check", "--json", *arguments)
    assert code == 0, out
    return [Finding(**one) for one in json.loads(out)["findings"]]


def page(text: str, path: str = PAGE) -> Page:
    return parse_page(PageFile(page_ids([path])[0], path, Path("/wiki/content") / path), text.encode())
