"""The command line does on frozen wikis what was recorded (`python tests/golden/record.py --write` records it again)."""

from __future__ import annotations

import pytest

from tests.golden.record import SAMPLE, SCENARIOS, differences, record


def _case(name: str) -> object:
    missing = pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs ../shared/wiki-sample beside the checkout")
    return pytest.param(name, marks=[pytest.mark.sample, missing] if name.startswith("sample") else [])


@pytest.mark.parametrize("name", [_case(name) for name in SCENARIOS])
def test_the_command_line_does_what_was_recorded(name: str) -> None:
    found = differences(name, record(name))
    assert not found, "\n".join(found[:100])
