"""The examples in the docstrings hold."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("grounding.quantities", "grounding.quotes", "grounding.self_talk", "grounding.words", "wiki.markup", "wiki.visible")


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"enrich.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
