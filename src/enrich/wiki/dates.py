"""Dates of the first and last change of each page: from one `git log`, or from a file."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from enrich.errors import UserError
from enrich.wiki.data import Notice

_SECONDS = 600  # for one `git log`


@dataclass(frozen=True, slots=True)
class Dates:
    """`YYYY-MM-DD` by path relative to the content folder: of the last and of the first commit that changed the file."""

    modified: Mapping[str, str] = field(default_factory=dict)
    created: Mapping[str, str] = field(default_factory=dict)


def read_dates(file: Path) -> Dates:
    """Dates from a file `{"modified": {path: date}, "created": {path: date}}`, not validated (null: none).

    Raises `UserError` with file and line for anything else.
    """
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"the dates cannot be read ({error.strerror or error})", where=str(file), do="name another file") from None
    except UnicodeDecodeError:
        raise UserError("not UTF-8", where=str(file), do="save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise UserError(f"broken JSON: {error.msg}", where=f"{file}:{error.lineno}", do="fix that line") from None
    parts = []
    for key in ("modified", "created"):
        part = loaded.get(key, {}) if isinstance(loaded, dict) else None
        if not isinstance(part, dict) or not all(date is None or isinstance(date, str) for date in part.values()):
            raise UserError(f"`{key}` must be a mapping of paths to dates", where=str(file), do='write {"modified": {…}, "created": {…}}')
        parts.append({path: date for path, date in part.items() if date})
    return Dates(*parts)


def git_dates(content: Path, bulk_import_pages: int) -> tuple[Dates, list[Notice]]:
    """Dates of the files below `content` from git's history; without a history, no dates and one notice.

    A first date that more than `bulk_import_pages` files share is the date of a bulk import and is left out.
    """
    command = ["git", "-c", "core.quotepath=off", "-c", "log.showSignature=false", "-c", "core.fsmonitor=false", "--no-pager", "log"]
    command += ["--relative", "--no-renames", "--name-only", "-z", "--date=short", "--format=%x01%ad", "--", "."]
    try:
        done = subprocess.run(
            command,
            cwd=content,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        done = None
    if done is None or done.returncode != 0:
        why = "git cannot be run here" if done is None else "no git history here"
        do = "lastUpdated and dateCreated come from the pages alone; give dates with --dates FILE"
        return Dates(), [Notice("", 0, f"{why} ({content.name}): {do}")]
    modified: dict[str, str] = {}
    created: dict[str, str] = {}
    date = ""
    for entry in os.fsdecode(done.stdout).split("\0"):
        name = entry.lstrip("\n")
        if name.startswith("\x01"):
            # `-z` ends the header with a NUL; older versions of git write the first name after a newline instead.
            date, _, name = name[1:].partition("\n")
            name = name.lstrip("\n")
        if name:
            modified.setdefault(name, date)
            created[name] = date
    shared = Counter(created.values())
    return Dates(modified, {path: day for path, day in created.items() if shared[day] <= bulk_import_pages}), []
