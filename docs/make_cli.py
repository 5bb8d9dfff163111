"""Write `docs/cli.md` from the help of the commands (`make docs`); a test compares the two."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command
from typer.testing import CliRunner

from enrich.cli.main import app

TARGET = Path(__file__).with_name("cli.md")
_HEAD = """# Commands

Written by `make docs` from `enrich --help`; do not edit. Global options can be written before or after the command.

Exit codes: 0 done · 1 error, or a final answer of the service (bad key, quota, unknown model), with one line saying what to do · 2 wrong usage ·
3 done, but some pages failed (they are listed) · 4 stopped at the budget, the rest is still due · 10 something to do or to report (`--exit-code`) ·
130 after Ctrl-C.
"""


def names(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """All commands, groups after their own help, in the order of the help."""
    if not hasattr(command, "list_commands"):
        return [path]
    return [path, *(found for name in command.list_commands(None) for found in names(command.get_command(None, name), (*path, name)))]


def reference(application: typer.Typer = app) -> str:
    """The Markdown text of the reference."""
    runner = CliRunner()
    parts = [_HEAD]
    for path in names(get_command(application)):
        # A fixed width: the reference must not depend on the terminal.
        shown = runner.invoke(
            application, [*path, "--help"], env={"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}, prog_name="enrich"
        )
        title = " ".join(("enrich", *path))
        parts.append(f"## `{title}`\n\n```text\n{shown.output.strip()}\n```\n")
    return "\n".join(parts)


def main() -> None:
    os.environ["COLUMNS"] = "100"
    TARGET.write_text(reference(), encoding="utf-8")
    print(f"wrote {TARGET.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
