"""Time and memory of `enrich build` on synthetic wikis: cold, again, and after one edit (whole processes).

    python bench/records.py                      # 700 and 5,600 pages
    python bench/records.py --pages 20000 --json records.json

Every figure is the median of `--repeat` runs but for wikis of more than 2,000 pages, which are built once. CPU seconds count all threads; peak is
the largest resident memory of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.wikis import write_wiki

NOW = "2026-03-13T20:14:00Z"
ONCE_ABOVE = 2000


def measure(wiki: Path) -> dict[str, float]:
    """One `enrich build` as a process of its own: wall and CPU seconds, peak MB."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("enrich")), "--wiki", str(wiki), "-q", "build", "--now", NOW], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    error = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not (wiki / "database.json").is_file():
        raise SystemExit(f"enrich build failed: {error.decode(errors='replace')}")
    return {
        "wall_s": round(time.perf_counter() - started, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss / 1024),
    }


def edit(wiki: Path, number: int) -> None:
    """Adds a sentence to the first page."""
    page = min((wiki / "content/docs").rglob("*.mdx"))
    with page.open("a", encoding="utf-8") as file:
        file.write(f"\nSentence number {number} was added afterwards.\n")


def bench(pages: int, repeat: int, folder: Path) -> dict[str, object]:
    """Cold, again and after one edit on a fresh wiki of so many pages."""
    wiki = folder / f"wiki-{pages}"
    write_wiki(wiki, pages)
    rounds = 1 if pages > ONCE_ABOVE else repeat
    found: dict[str, list[dict[str, float]]] = {"cold": [], "again": [], "edited": []}
    for number in range(rounds):
        shutil.rmtree(wiki / "cache", ignore_errors=True)
        found["cold"].append(measure(wiki))
        found["again"].append(measure(wiki))
        edit(wiki, number)
        found["edited"].append(measure(wiki))
    shutil.rmtree(wiki)
    medians = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()}
    return {"pages": pages, "runs": rounds, **medians}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, action="append", help="How many pages (repeatable; default: 700 and 5600).")
    parser.add_argument("--repeat", type=int, default=5, help="Runs of each small wiki.")
    parser.add_argument("--json", type=Path, help="Also write the figures to this file.")
    given = parser.parse_args()
    rows = []
    print(f"{'pages':>7} {'':>7} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}")
    with tempfile.TemporaryDirectory(prefix="enrich-bench-") as folder:
        for pages in given.pages or [700, 5600]:
            row = bench(pages, given.repeat, Path(folder))
            rows.append(row)
            for name in ("cold", "again", "edited"):
                figures = row[name]
                assert isinstance(figures, dict)
                print(f"{pages:>7,} {name:>7} {figures['wall_s']:>8.2f} {figures['cpu_s']:>8.2f} {figures['peak_mb']:>8.0f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
