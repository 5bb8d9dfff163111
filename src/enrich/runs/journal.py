"""The folders of runs: each has `journal.jsonl`, one flushed line per event, and the report that is made at the run's end."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from enrich.errors import UserError


class Journal:
    """The events of one run, one JSON line each, flushed: after a crash the journal is correct up to its last whole line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder.name
        try:
            folder.mkdir(parents=True)
            # Without a buffer: what could not be written to a full disk must not be written again when the file is closed.
            self._file = (folder / "journal.jsonl").open("ab", buffering=0)
        except OSError as error:
            raise UserError(f"cannot be written ({error.strerror})", where=str(folder), do="make room there or make it writable") from None

    @classmethod
    def new(cls, runs: Path) -> Journal:
        """A journal in a new folder below `runs`, named by the time so that names sort by age."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return cls(runs / f"{stamp}-{secrets.token_hex(3)}")

    def write(self, event: str, **details: Any) -> None:
        """Add one event. Raises `UserError` if it cannot be written."""
        row = json.dumps({"t": round(time.time(), 3), "event": event, **details}, ensure_ascii=False, separators=(",", ":"))
        try:
            rest = memoryview((row + "\n").encode("utf-8", "surrogatepass"))
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})", where=str(self.folder), do="make room; answers so far are in the cache"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_journal(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The events of a run; lines that cannot be read, such as a torn last one, are left out."""
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


def failed_questions(runs: Sequence[Path]) -> set[tuple[str, str]]:
    """(page, stage) of the questions that failed in the newest batch run and were not answered since; stage "" is a whole page.

    Runs of `enrich page` after that batch run count too. Runs that asked nothing are ignored.
    """
    recent: list[list[Mapping[str, Any]]] = []
    for folder in reversed(runs):
        events = list(read_journal(folder))
        if any(event.get("event") in ("page", "failed") for event in events):
            recent.append(events)
            if events[0].get("kind") != "page":
                break
    failed: set[tuple[str, str]] = set()
    for events in reversed(recent):
        pages = [event for event in events if event.get("event") == "page"]
        answered = {(str(event.get("page")), str(stage)) for event in pages for key in ("asked", "cached") for stage in event.get(key, ())}
        # An answer can come too late to be of use (`page-changed`): then both events are there, and the failure counts.
        failures = {(str(event.get("page")), str(event.get("stage"))) for event in events if event.get("event") == "failed"}
        failed = (failed - answered) | failures
    return failed
