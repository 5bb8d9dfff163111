"""Nothing that came from a file, its name, a person or a server reaches a terminal as a control character, in any command or format."""

from __future__ import annotations

import json
import os
import pty
import re
from contextlib import suppress
from pathlib import Path

import pytest

from enrich.cli.main import main
from tests.demo import DemoWiki, forked

# ESC ] 0 sets the window's title; C1 CSI and OSC; directions that reorder what is shown; a carriage return hides what is before it.
EVIL = "x\x1b]0;owned\x07y\x9b31m\x9d0;z\x9c\u202egnp\u2066.exe\u2069\x7f\x08"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    wiki = DemoWiki(tmp_path / "wiki", 1)
    evil = json.dumps(EVIL)  # YAML reads JSON's escapes
    name = EVIL.replace("/", "").replace("\x08", "")
    (wiki.docs / f"{name}.md").write_text(
        f"---\ntitle: {evil}\ndescription: {evil}\nllmSummary: {evil}\n{evil}: 1\nratings: {evil}\ninsights:\n  - {evil}\n---\n\n"
        f"## {EVIL}\n\nClearly {EVIL}. " + "The park of this type delivers 12 megawatts in a steady breeze. " * 12,
        encoding="utf-8",
    )
    (wiki.docs / "broken.md").write_text(f"---\n{EVIL}: [\n---\n{EVIL}\n", encoding="utf-8")
    data = wiki.root / "content" / "data"
    data.mkdir(parents=True)
    (data / "resources.json").write_text(json.dumps([{"id": EVIL, "url": EVIL}, {"id": EVIL, "url": "\ud800"}, {}]), encoding="utf-8")
    return wiki


def on_a_terminal(wiki: DemoWiki, *arguments: str) -> str:
    def act() -> None:
        os.chdir(wiki.root)
        os.environ.clear()
        os.environ.update(wiki.env(TERM="xterm", COLUMNS="100"))
        main(list(arguments))

    ours, theirs = pty.openpty()
    child = forked(act, theirs)
    os.close(theirs)
    found = b""
    with os.fdopen(ours, "rb", buffering=0) as shown, suppress(OSError):  # Linux reports the end of a terminal as an error
        while part := shown.read(65536):
            found += part
    os.waitpid(child, 0)
    return found.decode("utf-8")


def test_no_command_prints_control_characters_on_a_terminal(wiki: DemoWiki) -> None:
    wiki.enrich("run", "--backend", "offline")
    page = next(file.stem for file in wiki.docs.iterdir() if file.stem.startswith("x"))
    commands = (
        *(("check",), ("check", "--json"), ("check", "--format", "github"), ("plan",), ("plan", "--json"), ("build",), ("build", "--json")),
        *(("show", page), ("show", page, "--json"), ("show", page, "--format", "html"), ("page", page), ("page", page, "--json")),
        *(("diff", "--format", form) for form in ("text", "word", "markdown", "json", "html")),
        *(
            ("accept", f"{page}:nothing"),
            ("show", EVIL.replace("\x08", "") + "?"),
            ("reject", page),
            ("run", page, "--refresh", "-v"),
            ("doctor",),
        ),
    )
    for command in commands:
        shown = COLOUR.sub("", on_a_terminal(wiki, *command))
        assert "Traceback" not in shown, (command, shown)
        # The terminal's own line ends, and what a progress bar moves the cursor with.
        text = re.sub(r"\x1b\[(?:\?25[lh]|\d*[AK]|2K)", "", shown)
        assert FORBIDDEN.search(text) is None, (command, FORBIDDEN.search(text), text)


def test_json_is_valid_and_has_the_same_values(wiki: DemoWiki) -> None:
    record = wiki.enrich("show", "x*", "--json")
    assert FORBIDDEN.search(record.out) is None
    assert record.json["record"]["insights"] == [EVIL]


def test_a_diff_is_word_by_word_on_a_terminal_and_by_lines_elsewhere(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    wiki.enrich("run")
    assert "+++ b/park-0.md" in wiki.enrich("diff").out
    shown = COLOUR.sub("", on_a_terminal(wiki, "diff"))
    assert "+++ b/park-0.md" not in shown
    assert "(line 8, Overview)" in shown
