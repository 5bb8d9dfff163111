"""TOML frontmatter: what an edit writes where, and what it refuses (tests/fuzz/test_toml_edits.py: random and damaged pages)."""

# ruff: noqa: E501 (tables read best close together)

from __future__ import annotations

from typing import Any

import pytest

from enrich.wiki.frontmatter.edit import edit
from enrich.wiki.frontmatter.spans import EditRefused

BODY = "+++ not a fence\n\nText = 1\n[table]\n"
INSIGHT = {"type": "claim", "text": 'A "b" +++', "surprising": 3.5}

# name: (head, changes, head afterwards)
EDITED: dict[str, tuple[str, dict[tuple[str, ...], Any], str]] = {
    "root key after the last one": ('title = "A" # x\n\n# b\n[extra]\na = 1\n', {("quality",): 5}, 'title = "A" # x\nquality = 5\n\n# b\n[extra]\na = 1\n'),
    "root key above the first table": ("# file\n\n# extra\n[extra]\n", {("quality",): 5}, "# file\n\nquality = 5\n# extra\n[extra]\n"),
    "key of a table": ("[extra]\n  a = 1\n\n[b]\n", {("extra", "s"): "x"}, '[extra]\n  a = 1\n  s = "x"\n\n[b]\n'),
    "key of an empty table": ("[extra] # e\n", {("extra", "r", "n"): 4.5}, "[extra] # e\nr.n = 4.5\n"),
    "new table": ("title = 1\n", {("p", "ai", "s"): "x", ("p", "q"): 2}, 'title = 1\n\n[p]\nai.s = "x"\nq = 2\n'),
    "table above a known one": ("[p.ai]\na = 1\n", {("p", "q"): 2}, "[p.ai]\na = 1\n\n[p]\nq = 2\n"),
    "dotted root keys": ("r.a = 1\n[x]\n", {("r", "b"): 2}, "r.a = 1\nr.b = 2\n[x]\n"),
    "inline table": ("r = { a = 1, b = [2, 3] } # c\n", {("r", "a"): 4, ("r", "c"): 5}, "r = { a = 4, b = [2, 3], c = 5 } # c\n"),
    "empty inline table": ("r = {}\n", {("r", "a"): 4}, "r = { a = 4 }\n"),
    "over lines": ("a = [ # x\n  1, # ]\n  '''\n]''',\n]\nb = \"\"\"\nx\"\"\"\"\n", {("a",): 2, ("b",): "y"}, 'a = 2\nb = "y"\n'),
    "list of tables": ("t = 1\n", {("insights",): [INSIGHT]}, 't = 1\ninsights = [\n  { type = "claim", text = "A \\"b\\" ++\\u002b", surprising = 3.5 },\n]\n'),
    "quoted keys": ("\"a.b\" = 1\n'c' . d = 2\n", {("a.b",): 3, ("c", "d"): 4}, "\"a.b\" = 3\n'c' . d = 4\n"),
    "empty parent": ('r = ""\n', {("r", "a"): 1, ("r", "b"): 2}, "r = { a = 1, b = 2 }\n"),
    "dates stay": ("date = 2024-03-01T10:00:00Z\nd = 07:32:00\n", {("q",): 1}, "date = 2024-03-01T10:00:00Z\nd = 07:32:00\nq = 1\n"),
    "CRLF": ("a = 1\r\n[b]\r\n", {("q",): 1}, "a = 1\r\nq = 1\r\n[b]\r\n"),
    "nothing there": ("", {("q",): 1}, "q = 1\n"),
}  # fmt: skip
REFUSED: dict[str, tuple[str, dict[tuple[str, ...], Any], str]] = {
    "array of tables": ("[[insights]]\na = 1\n", {("insights",): []}, "written as a table"),
    "below a text": ('extra = "x"\n', {("extra", "a"): 1}, "not a table"),
    "below an array": ("[[extra]]\na = 1\n", {("extra", "b"): 1}, "not a table"),
    "duplicate keys": ("a = 1\na = 2\n", {("b",): 1}, "broken TOML"),
    "broken": ("a = \n", {("b",): 1}, "broken TOML"),
    "null": ("a = 1\n", {("a",): None}, "no null"),
    "too large": ("a = 1\n", {("a",): 2**70}, "this size"),
    "deep": (f"a = {'[' * 150}{']' * 150}\n", {("b",): 1}, "deep"),
    "endless key": (f"{'a.' * 5000}b = 1\n", {("b",): 1}, "too long"),
}


@pytest.mark.parametrize("name", EDITED)
def test_edited(name: str) -> None:
    head, changes, wanted = EDITED[name]
    newline = "\r\n" if "\r\n" in head else "\n"
    page = f"\ufeff+++{newline}{head}+++ {newline}{BODY}"
    after = edit(page, changes)
    assert after == page.replace(head + "+++ ", wanted + "+++ ") if head else f"\ufeff+++\n{wanted}+++ \n{BODY}"
    assert edit(after, changes) == after


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    head, changes, reason = REFUSED[name]
    with pytest.raises(EditRefused, match=reason):
        edit(f"+++\n{head}+++\n{BODY}", changes)
