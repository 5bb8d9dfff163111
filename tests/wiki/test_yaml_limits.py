"""Nested YAML ends in one line of error, not in a crash of the process (the C parser recurses)."""

from __future__ import annotations

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
