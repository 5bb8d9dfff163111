"""`enrich build` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enrich.cli.main import main

NOW = "2026-03-13T20:14:00Z"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "content/docs").mkdir(parents=True)
    (tmp_path / "content/data").mkdir()
    (tmp_path / "content/docs/owl.md").write_text("---\ntitle: Owl\n---\nAn owl.\n")
    (tmp_path / "content/data/git-dates.json").write_text('{"modified": {"owl.md": "2026-03-01"}}')
    (tmp_path / "enrich.toml").write_text("[wiki]\n")
    return tmp_path


def test_build_writes_the_database_into_the_wiki(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", "--wiki", str(root), "--now", NOW) == 0
    printed = capsys.readouterr()
    assert "1 record in" in printed.out
    assert printed.err == ""  # no progress where there is no terminal
    document = json.loads((root / "database.json").read_text())
    assert document["generated"] == NOW
    assert list(document["enrichment"]) == ["owl"]
    assert not (root / "pages.json").exists()


def test_build_writes_the_named_file_and_splits_it(root: Path) -> None:
    assert run("--wiki", str(root), "build", "-o", str(root / "out/all.json"), "--split", "--now", NOW) == 0
    texts = {file.name: json.loads(file.read_text()) for file in (root / "out").iterdir()}
    assert sorted(texts) == ["all.json", "backlinks.json", "pages.json"]
    assert (texts["pages.json"], texts["backlinks.json"]) == (texts["all.json"]["pages"], texts["all.json"]["backlinks"])


def test_exit_code_reports_whether_the_file_would_change_and_writes_nothing(root: Path) -> None:
    assert run("--wiki", str(root), "build", "--exit-code") == 10
    assert not (root / "database.json").exists()
    assert run("--wiki", str(root), "build", "--now", NOW) == 0
    before = (root / "database.json").read_bytes()
    assert run("--wiki", str(root), "build", "--exit-code") == 0
    (root / "content/docs/owl.md").write_text("---\ntitle: Eagle owl\n---\nAn owl.\n")
    assert run("--wiki", str(root), "build", "--exit-code") == 10
    assert (root / "database.json").read_bytes() == before


def test_json_gives_one_document_with_the_notices(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "content/docs/crow.md").write_text("---\ntitle: Crow\ntitle: Rook\n---\n")
    assert run("--wiki", str(root), "--json", "build", "--now", NOW) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["pages"], document["files"]) == (2, [str(root / "database.json")])
    assert [(notice["file"], notice["line"]) for notice in document["notices"]] == [("content/docs/crow.md", 3)]
    assert "content/docs/crow.md:3: broken YAML" in printed.err


def test_an_invalid_clock_is_wrong_usage(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--wiki", str(root), "build", "--now", "yesterday") == 2
    assert "2026-03-13T20:14:00Z" in capsys.readouterr().err


def test_states_follow_whatever_they_depend_on(root: Path) -> None:
    def states() -> dict[str, Any]:
        assert run("--wiki", str(root), "-q", "build", "--now", NOW) == 0
        found: dict[str, Any] = json.loads((root / "database.json").read_text())["enrichment"]
        return found

    page = root / "content/docs/owl.md"
    page.write_text(f"---\ntitle: Owl\n---\n{'An owl hunts at night. ' * 40}\n")
    first = states()
    assert {stage["state"] for stage in first["owl"].values()} == {"due"}
    assert states() == first
    page.write_text(page.read_text().replace("title: Owl", "title: Owl\nllmSummary: Mine."))
    second = states()
    assert second["owl"]["summary"]["state"] == "unmanaged"
    (root / "enrich.toml").write_text('[wiki]\nskip = ["owl.md"]\n')
    assert states()["owl"]["summary"] == {"state": "skipped", "reasons": ["configuration"]}
    (root / "enrich.toml").write_text("[wiki]\n")
    assert states() == second
