"""The folder of one run: `journal.jsonl`, a flushed line per event, and the report that is made from the run's end."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from enrich.errors import UserError


class Journal:
    """Events of one run, one JSON line each, flushed: what a crash leaves is true up to its last whole line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder.name
        try:
            folder.mkdir(parents=True)
            # Without a buffer: what could not be written on a full disk must not come up again when the file is closed.
            self._file = (folder / "journal.jsonl").open("ab", buffering=0)
        except OSError as error:
            raise UserError(f"cannot be written ({error.strerror})", where=str(folder), do="make room there or make it writable") from None

    @classmethod
    def new(cls, runs: Path) -> Journal:
        """A journal in a new folder below `runs`, named by the time so that names sort by age."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return cls(runs / f"{stamp}-{secrets.token_hex(3)}")

    def write(self, event: str, **details: Any) -> None:
        """Add one event. A full disk is an error of the run, not a lost line."""
        row = json.dumps({"t": round(time.time(), 3), "event": event, **details}, ensure_ascii=False, separators=(",", ":"))
        try:
            rest = memoryview((row + "\n").encode("utf-8", "surrogatepass"))
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})", where=str(self.folder), do="make room; answers so far are in the cache"
            ) from None

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The events of a run; a last line that was cut off is left out."""
    try:
        with (folder / "journal.jsonl").open(encoding="utf-8") as rows:
            for row in rows:
                try:
                    event = json.loads(row)
                except ValueError:
                    continue
                if isinstance(event, dict):
                    yield event
    except OSError:
        return


def run_folders(runs: Path) -> list[Path]:
    """The folders of earlier runs, oldest first."""
    try:
        return sorted((Path(entry.path) for entry in os.scandir(runs) if entry.is_dir()), key=lambda folder: folder.name)
    except OSError:
        return []
