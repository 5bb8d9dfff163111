"""`enrich check` from the outside: pages named in every way, exit codes, formats, and what it does not load."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.checks.making import check, run
from tests.demo import DemoWiki

HOSTILE = "EA money 100%\x1b[31mred\x9b2J\u202eevil\u2028::set-output name=x::y\x00"


def test_the_whole_wiki_by_its_own_profile(lighthouses: Path) -> None:
    code, out = run("--wiki", str(lighthouses), "check", "--json")
    report = json.loads(out)
    found = [(item["rule"], item["path"], item["line"]) for item in report["findings"] if item["rule"] != "insight-stale"]
    assert code == 0
    assert found == [
        ("unsourced-biographical-claims", "content/docs/keepers/ada-finch.md", 9),
        ("tone-markers", "content/docs/towers/north-light.md", 36),
        ("insight-source", "content/data/insights/claim.yaml", 13),
    ]
    severities = [item["severity"] for item in report["findings"]]
    assert report["counts"] == {severity: severities.count(severity) for severity in ("error", "warning", "info")}


@pytest.mark.parametrize("name", ["ada-finch", "keepers/ada-finch.md", "keepers/*", "content/docs/keepers/ada-finch.md", "ada-*"])
def test_a_page_is_named_by_id_path_or_glob(lighthouses: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(lighthouses)
    code, out = run("check", name, "--exit-code", "--body-lines")
    assert code == 10
    assert out.split("\n")[0].startswith("content/docs/keepers/ada-finch.md:4: warning unsourced-biographical-claims: ")
    assert out.split("\n")[1] == "1 page checked: 1 warning"


def test_paths_count_from_the_wiki_and_from_the_current_folder(lighthouses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("content/docs/keepers/ada-finch.md", str(lighthouses / "content/docs/keepers/../keepers/ada-finch.md")):
        code, out = run("--wiki", str(lighthouses), "check", path, "--json")
        assert (code, json.loads(out)["pages"]) == (0, 1)
    monkeypatch.chdir(lighthouses / "content" / "docs" / "keepers")
    assert run("check", "ada-finch.md")[1].startswith("ada-finch.md:9: ")


def test_exit_code_is_zero_where_there_is_nothing_to_report(lighthouses: Path) -> None:
    assert run("--wiki", str(lighthouses), "check", "__index__", "--exit-code") == (0, "1 page checked, nothing to report\n")
    assert run("--wiki", str(lighthouses), "check", "__index__", "--format", "github")[1] == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [("noth-light", "no page 'noth-light'. Did you mean north-light"), ("stray.txt", "`roots` or `exclude` in enrich.toml")],
)
def test_an_unknown_page_is_an_error_that_says_why(lighthouses: Path, name: str, message: str) -> None:
    (lighthouses / "content" / "docs" / "stray.txt").write_text("A note.\n", encoding="utf-8")
    result = DemoWiki.at(lighthouses).enrich("check", name)
    assert (result.exit, message in result.err) == (1, True)


def test_a_broken_page_does_not_hide_the_others(lighthouses: Path) -> None:
    (lighthouses / "content" / "docs" / "towers" / "bad.md").write_bytes(b"---\ntitle: [\n---\nIt actually rained \xff.\n")
    code, out = run("--wiki", str(lighthouses), "check", "--json")
    found = [(item["page"], item["rule"], item["severity"]) for item in json.loads(out)["findings"]]
    assert code == 0
    assert ("bad", "unreadable", "error") in found
    assert ("bad", "tone-markers", "warning") in found
    assert ("north-light", "tone-markers", "warning") in found


def test_annotations_count_from_the_repository_and_escape_what_ends_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wiki = tmp_path / "docs"
    wiki.mkdir()
    check(
        wiki, {"a, b:c.md": "---\ntitle: T\nquality: '50%'\n---\n", "models/x.md": "---\ntitle: T\n---\nIt actually rained.\n\n## Risk\n"}
    )
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    first, second, *_ = run("--wiki", str(wiki), "check", "--format", "github")[1].splitlines()
    assert first == (
        "::error file=docs/content/a%2C b%3Ac.md,line=3,title=frontmatter-schema"
        "::`quality` should be a number from 0 to 100, and is “50%25”"
    )
    assert second.startswith("::warning file=docs/content/models/x.md,line=4,title=tone-markers::“actually”: ")


def test_a_hostile_page_cannot_end_a_workflow_command_or_move_the_cursor(tmp_path: Path) -> None:
    pages = {f"x{HOSTILE[8:-1].replace('/', '')}.md": f"It was not just {HOSTILE} but also dim.\n"}
    assert {one.rule for one in check(tmp_path, pages)} >= {"insider-jargon", "tone-markers"}
    for form in ("github", "text"):
        out = run("--wiki", str(tmp_path), "check", "--format", form)[1]
        assert not any(char in out for char in "\x1b\x9b\u202e\u2028\x00\r")
        assert form == "text" or all(line.startswith(("::warning file=", "::error file=")) for line in out.splitlines())
        assert "\n::set-output" not in out


ROOTS = ["knowledge-base", "insight-hunting", "project", "tools"]


def checked(root: Path, sample: Path, data: str) -> list[dict[str, Any]]:
    """The findings of `enrich check` on the sample, which is only read: its configuration is beside a link to its content."""
    (root / "content").symlink_to(sample / "content")
    (root / "data").symlink_to(sample / "data")
    (root / "enrich.toml").write_text(
        f'[wiki]\ncontent = "content/docs"\ndata = "{data}"\nroots = {json.dumps(ROOTS)}\nprofile = "longterm-wiki"\n', encoding="utf-8"
    )
    code, out = run("--wiki", str(root), "check", "--json", "--body-lines", ENRICH_TRUST_FOLDER=str(sample))
    assert code == 0
    findings: list[dict[str, Any]] = json.loads(out)["findings"]
    return findings


@pytest.mark.sample
def test_all_warnings_equal_the_reference(sample: Path, tmp_path: Path) -> None:
    expected = json.loads((sample / "expected" / "rule-warnings.json").read_text(encoding="utf-8"))
    found: dict[str, Counter[tuple[str, int, str]]] = {path: Counter() for path in expected}
    for one in checked(tmp_path, sample, "no-data"):
        found[one["path"].removeprefix("content/docs/")][one["rule"], one["line"], one["severity"]] += 1
    wanted = {path: Counter((w["rule"], w["line"], w["severity"]) for w in warnings) for path, warnings in expected.items()}
    assert {path: (found[path] - wanted[path], wanted[path] - found[path]) for path in wanted if found[path] != wanted[path]} == {}
    assert sum(map(len, expected.values())) == 833


@pytest.mark.sample
def test_the_insights_of_the_reference_are_complete(sample: Path, tmp_path: Path) -> None:
    rules = {one["rule"] for one in checked(tmp_path, sample, "data") if one["rule"].startswith("insight-")}
    assert rules == {"insight-stale"}
