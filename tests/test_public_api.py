"""The public API: small, sorted, and doing what its docstring says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import enrich
from tests.demo import DemoWiki, page_text


def test_the_public_names_are_these_and_no_others() -> None:
    assert enrich.__all__ == [
        "AnswerError", "Config", "EnrichError", "Finding", "PageIndex", "Quote", "RunOptions", "ServiceError", "UserError", "Wiki",
        "edit", "load_config", "make_plan", "run",
    ]  # fmt: skip
    assert enrich.__all__ == sorted(enrich.__all__, key=lambda name: (name[0].islower(), name))
    for name in enrich.__all__:
        assert getattr(enrich, name) is not None


def test_a_few_lines_do_what_the_command_line_does(tmp_path: Path) -> None:
    demo = DemoWiki(tmp_path, 2)
    wiki = enrich.Wiki.open(enrich.load_config(demo.root, env={}))
    assert len(enrich.make_plan(wiki).due) == 2
    result = enrich.run(wiki, enrich.RunOptions(limit=1), env={})
    assert {page for page, _ in result.proposed} == {"park-0"}
    text = page_text(1)
    edited = enrich.edit(text, {("ratings", "rigor"): 4.5})
    assert edited.replace("ratings:\n  rigor: 4.5\n", "") == text


SOURCE = Path(enrich.__file__).parent
MODULES = sorted(
    ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts)
    for file in SOURCE.rglob("*.py")
    if "    >>> " in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
