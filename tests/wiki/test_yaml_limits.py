"""Nested YAML ends in one line of error, not in a crash of the process (the C parser recurses); long frontmatter is edited in a short time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.edit import edit
from enrich.wiki.frontmatter.spans import EditRefused
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import parse_page

DEEP = 30_000
SHAPES = {
    "brackets": "a: " + "[" * DEEP,
    "closed brackets": "a: " + "[" * DEEP + "]" * DEEP,
    "mappings": "{a: " * DEEP,
    "lists in lists": "- " * DEEP + "x",
    "keys": "? " * DEEP + "x",
    "anchors": "".join(f"- &a{number} " for number in range(DEEP)) + "x",
    "tags": "- !a " * DEEP,
    "indented": "\n".join(" " * level + "a:" for level in range(1500)),
    "mixed": "- ? " * DEEP,
    "behind text": "title: x\ntags: [a]\nb:\n" + "  - " + "[" * DEEP,
    **{f"behind the line break {mark!r}": f"- a{mark}" + "- " * DEEP for mark in "\x85\u2028\u2029"},
    "aliases": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 400)),
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_deep_yaml_is_an_error_with_a_reason(text: str) -> None:
    with pytest.raises(yaml12.YamlError):
        yaml12.load(text)
    page = parse_page(PageFile("x", "x.md", Path("x.md")), f"---\n{text}\n---\nText.\n".encode())
    assert page.problem is not None
    assert page.problem.kind == "yaml"
    assert len(page.problem.reason) < 300
    with pytest.raises(EditRefused):
        edit(f"---\n{text}\n---\nText.\n", {("quality",): 1})


def test_a_carriage_return_is_a_line_break_in_data_files_too() -> None:
    with pytest.raises(yaml12.YamlError):
        yaml12.load("- a\r" + "- " * DEEP)


@pytest.mark.parametrize("text", ["a: " + "[" * 90 + "]" * 90, "- " * 90 + "x", "\n".join(" " * level + "a:" for level in range(90))])
def test_deep_enough_is_read(text: str) -> None:
    assert yaml12.load(text) is not None


def test_many_shallow_brackets_are_read() -> None:
    assert yaml12.load("\n".join(f"k{n}: [1, {{a: b}}]" for n in range(500)))["k499"] == [1, {"a": "b"}]


LONG = 20_000
LINES = {
    "aliases": "b: &a 1\nc: [" + "*a, " * (LONG // 4) + "]\n",
    "anchors and aliases": "c: [" + "".join(f"&a{n} x, *a{n}, " for n in range(LONG // 16)) + "]\n",
    "a comment of many behind an anchor": "insights: &a " + "# " * (LONG // 2) + "\n  - old\n",
    "comment lines behind an anchor": "insights: &a\n" + "  # c\n" * (LONG // 6) + "  - old\n",
    "blank lines in a literal": "insights: |\n" + "\n" * LONG + "  a\n" + "\n" * LONG,
    "keys": "".join(f"k{n}: 1\n" for n in range(LONG // 9)),
    "nested keys": "ratings:\n" + "".join(f"  k{n}: 1\n" for n in range(LONG // 11)),
    "a mapping on one line": "ratings: {" + "".join(f"k{n}, " for n in range(LONG // 7)) + "}\n",
    "comments below": "title: x\n" + "  # c\n" * (LONG // 6),
    "comments above": "# c\n" * (LONG // 4) + "zz: 1\n",
    "carriage returns": "a:\r" + "  - x\r" * (LONG // 6),
}


@pytest.mark.parametrize("head", LINES.values(), ids=LINES)
def test_long_frontmatter_is_edited_in_a_short_time(head: str) -> None:
    started = time.process_time()
    edit(f"---\n{head}---\n", {("insights",): [{"a": "b"}], ("ratings", "rigor"): 4.5})
    assert time.process_time() - started < 2  # 0.1 s where every part is read once
