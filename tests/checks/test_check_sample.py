"""The reference wiki's own warnings, all of them: rule, line from the first body line, severity."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.checks.making import run

pytestmark = pytest.mark.sample

ROOTS = ["knowledge-base", "insight-hunting", "project", "tools"]


def checked(root: Path, sample: Path, data: str) -> list[dict[str, Any]]:
    """The findings of `enrich check` on the sample, which is only read: its configuration is beside a link to its content."""
    (root / "content").symlink_to(sample / "content")
    (root / "data").symlink_to(sample / "data")
    (root / "enrich.toml").write_text(
        f'[wiki]\ncontent = "content/docs"\ndata = "{data}"\nroots = {json.dumps(ROOTS)}\nprofile = "reference"\n', encoding="utf-8"
    )
    code, out = run("--wiki", str(root), "check", "--json", "--body-lines")
    assert code == 0
    findings: list[dict[str, Any]] = json.loads(out)["findings"]
    return findings


def test_all_warnings_equal_the_reference(sample: Path, tmp_path: Path) -> None:
    expected = json.loads((sample / "expected" / "rule-warnings.json").read_text(encoding="utf-8"))
    found: dict[str, Counter[tuple[str, int, str]]] = {path: Counter() for path in expected}
    for one in checked(tmp_path, sample, "no-data"):
        found[one["path"].removeprefix("content/docs/")][one["rule"], one["line"], one["severity"]] += 1
    wanted = {path: Counter((w["rule"], w["line"], w["severity"]) for w in warnings) for path, warnings in expected.items()}
    assert {path: (found[path] - wanted[path], wanted[path] - found[path]) for path in wanted if found[path] != wanted[path]} == {}
    assert sum(map(len, expected.values())) == 833


def test_the_insights_of_the_reference_are_complete(sample: Path, tmp_path: Path) -> None:
    rules = {one["rule"] for one in checked(tmp_path, sample, "data") if one["rule"].startswith("insight-")}
    assert rules == {"insight-stale"}
