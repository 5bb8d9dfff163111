"""Every row of the table of misbehaving servers ends in time, with the answer or one named failure, in little memory, and without the key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.llm.server_behaviours import BEHAVIOURS, KEY, LONGEST, serving


def test_whatever_a_server_does_ends_in_time_with_a_name_and_without_the_key() -> None:
    assert len(BEHAVIOURS) >= 60
    # The client is a process of its own, so that its memory is known.
    with serving() as server:
        command = [sys.executable, "-m", "tests.llm.server_behaviours", str(server.server_address[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    rows = dict(zip(BEHAVIOURS, result["rows"], strict=True))
    assert {name: row["end"] for name, row in rows.items()} == {name: end for name, (_, end) in BEHAVIOURS.items()}
    assert {name: row["seconds"] for name, row in rows.items() if row["seconds"] > LONGEST} == {}
    assert max(server.counts.values()) <= 6, "requests for one question"
    assert result["memory_mb"] <= 300
    everything = f"{done.stdout}{done.stderr}"
    assert KEY not in everything
    assert KEY[8:24] not in everything
