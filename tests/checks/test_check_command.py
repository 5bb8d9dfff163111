"""`enrich check` from the outside: pages named in every way, exit codes, and what it does not load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from enrich.cli.main import main
from enrich.text import printable


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_whole_wiki_by_its_own_profile(lighthouses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--wiki", str(lighthouses), "check", "--json")
    found = [(item["rule"], item["path"], item["line"]) for item in json.loads(out)["findings"] if item["rule"] != "insight-stale"]
    assert code == 0
    assert found == [
        ("unsourced-biographical-claims", "content/docs/keepers/ada-finch.md", 9),
        ("tone-markers", "content/docs/towers/north-light.md", 36),
        ("insight-source", "content/data/insights/claim.yaml", 13),
    ]


@pytest.mark.parametrize("name", ["ada-finch", "keepers/ada-finch.md", "keepers/*", "content/docs/keepers/ada-finch.md", "ada-*"])
def test_a_page_is_named_by_id_path_or_glob(
    lighthouses: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(lighthouses)
    code, out, _ = run(capsys, "check", name, "--exit-code", "--body-lines")
    assert code == 10
    assert out.split("\n")[0].startswith("content/docs/keepers/ada-finch.md:4: warning unsourced-biographical-claims: ")
    assert out.split("\n")[1] == "1 page checked: 1 warning"


def test_a_path_from_the_wikis_folder_while_standing_elsewhere(lighthouses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--wiki", str(lighthouses), "check", "content/docs/keepers/ada-finch.md", "--json")
    assert (code, json.loads(out)["pages"]) == (0, 1)
    code, out, _ = run(
        capsys, "--wiki", str(lighthouses), "check", str(lighthouses / "content/docs/keepers/../keepers/ada-finch.md"), "--json"
    )
    assert (code, json.loads(out)["pages"]) == (0, 1)


def test_a_path_from_a_folder_inside_the_wiki(
    lighthouses: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lighthouses / "content" / "docs" / "keepers")
    _, out, _ = run(capsys, "check", "ada-finch.md")
    assert out.startswith("ada-finch.md:9: ")


def test_exit_code_is_zero_where_there_is_nothing_to_report(lighthouses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--wiki", str(lighthouses), "check", "__index__", "--exit-code")
    assert (code, out) == (0, "1 page checked, nothing to report\n")
    assert run(capsys, "--wiki", str(lighthouses), "check", "__index__", "--format", "github")[1] == ""


def test_an_unknown_page_is_an_error_with_the_closest_ids(lighthouses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--wiki", str(lighthouses), "check", "noth-light")
    assert code == 1
    assert "no page 'noth-light'. Did you mean north-light" in err


def test_a_file_outside_the_wikis_roots_is_not_called_unknown(lighthouses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lighthouses / "content" / "docs" / "stray.txt").write_text("A note.\n", encoding="utf-8")
    code, _, err = run(capsys, "--wiki", str(lighthouses), "check", "stray.txt")
    assert code == 1
    assert "error: 'stray.txt' is not a page of this wiki. `roots` in enrich.toml, its name or a link leave it out" in err


def test_a_broken_page_does_not_hide_the_others(lighthouses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lighthouses / "content" / "docs" / "towers" / "bad.md").write_bytes(b"---\ntitle: [\n---\nIt actually rained \xff.\n")
    code, out, _ = run(capsys, "--wiki", str(lighthouses), "check", "--json")
    assert code == 0
    found = [(item["page"], item["rule"], item["severity"]) for item in json.loads(out)["findings"]]
    assert ("bad", "unreadable", "error") in found
    assert ("bad", "tone-markers", "warning") in found
    assert ("north-light", "tone-markers", "warning") in found


def test_what_is_only_needed_elsewhere_is_not_loaded(lighthouses: Path) -> None:
    # A pre-commit hook pays for every import: numpy and openai alone cost more than the whole check.
    script = (
        "import sys\nfrom enrich.cli.main import main\n"
        f"try:\n    main(['--wiki', {str(lighthouses)!r}, 'check', 'north-light'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'scipy', 'openai', 'jinja2', 'rich.console', 'diskcache', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("zwei Wörter 🔦 👩\u200d🚒", "zwei Wörter 🔦 👩\u200d🚒"),
        ("a\tb\nc", "a b c"),
        ("a\u00a0b\u2029c", "a b c"),
        ("\x1b[2J\u202etxt\ufeff\x85", "\\x1b[2J\\u202etxt\\ufeff "),
    ],
)
def test_printable_text_stays_on_its_line(text: str, safe: str) -> None:
    assert printable(text) == safe
