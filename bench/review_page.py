"""The review page in Chromium: loading it from a file and from `review --serve`, filtering, scrolling, at all pages of a wiki that get proposals.

    python bench/review_page.py                  # the fake server's answers for ../shared/wiki-sample, or for a wiki of our own making
    python bench/review_page.py --wiki FOLDER    # a wiki whose proposals wait already
    python bench/review_page.py --json FILE      # keep the figures

Loading lasts until the first field can be decided on, in a new browser profile; served, that includes comparing each proposal with its page.
Filtering is one change of a filter in browse mode with its layout. Scrolling is the time from frame to frame, with all pages open, 600 pixels a
frame. Every figure is a median in milliseconds; the load of the machine is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench.run import Model, enrich, environment, new_wiki  # noqa: E402
from tests.browser import launched  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

GOALS = {"static load": 500, "served load": 1000, "filter": 50, "scroll": 20}
FILTERS = """() => {
  const times = [];
  for (const [id, value] of [["by-field", "insights"], ["by-field", ""], ["by-stage", "ratings"], ["by-stage", ""], ["by-finding", "+"],
      ["by-finding", ""], ["by-state", "open"], ["by-state", ""], ["sort", "most findings"], ["sort", "page order"]]) {
    const select = document.getElementById(id), start = performance.now();
    select.value = value;
    select.dispatchEvent(new Event("change"));
    document.body.getBoundingClientRect();
    times.push(performance.now() - start);
  }
  return times }"""
SCROLL = """() => new Promise(resolve => {
  const times = [];
  let before = performance.now();
  const frame = now => {
    times.push(now - before);
    before = now;
    scrollBy(0, 600);
    if (times.length < 240) requestAnimationFrame(frame); else resolve(times.slice(5));
  };
  requestAnimationFrame(frame) })"""


def proposed(folder: Path) -> Path:
    """A wiki with the fake server's answers as proposals."""
    wiki = new_wiki(folder)
    command = [sys.executable, str(HERE.parent / "tests/fake_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdin is not None and serving.stdout is not None
        port = serving.stdout.readline().split()[-1]
        enrich(wiki, Model(f"http://127.0.0.1:{port}/v1", folder / "log"), "run", "--refresh")
        serving.stdin.close()
    return wiki


@contextmanager
def served(wiki: Path) -> Iterator[str]:
    """The address that a new `enrich review --serve` prints."""
    command = [sys.executable, "-m", "enrich", "review", "--serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=wiki, env=environment(None), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as serving:
        assert serving.stdout is not None
        try:
            yield serving.stdout.readline().strip()
        finally:
            serving.terminate()


def load(browser: Browser, address: str) -> float:
    """Milliseconds until the first field of the queue is there, in a new profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator("#stage .field").wait_for()
    lasted = (time.perf_counter() - started) * 1000
    context.close()
    return lasted


def in_browse(browser: Browser, file: Path, script: str, prepare: Callable[[Page], Any]) -> list[float]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(file.as_uri())
    page.click("#view-browse")
    prepare(page)
    times: list[float] = page.evaluate(script)
    context.close()
    return times


def measured(wiki: Path, runs: int) -> dict[str, float]:
    """The medians of `GOALS` in milliseconds, the pages and fields they are about, and the size of the report in MB."""
    report = wiki / "review.html"
    command = [sys.executable, "-m", "enrich", "-q", "diff", "--format", "html", "-o", str(report)]
    subprocess.run(command, cwd=wiki, env=environment(None), check=True)
    pages = enrich(wiki, None, "diff").json["pages"]
    with launched() as browser:
        load(browser, report.as_uri())  # the first page of a browser pays for its start
        static = [load(browser, report.as_uri()) for _ in range(runs)]
        serving = []
        for _ in range(runs):
            with served(wiki) as address:
                serving.append(load(browser, address))
        filtering = [one for _ in range(runs) for one in in_browse(browser, report, FILTERS, lambda page: None)]
        scrolling = in_browse(browser, report, SCROLL, lambda page: page.click("#all-open"))
    figures = {
        "static load": median(static),
        "served load": median(serving),
        "filter": median(filtering),
        "scroll": median(scrolling),
    }
    counts = {"pages": len(pages), "fields": sum(len(page["fields"]) for page in pages), "MB": report.stat().st_size / 1e6}
    return {**{name: round(value, 1) for name, value in figures.items()}, **counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wiki", type=Path, help="a wiki with proposals")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = measured(options.wiki or proposed(Path(name)), options.runs)
    print(f"{figures['pages']} pages, {figures['fields']} fields, {figures['MB']:.1f} MB; load {os.getloadavg()[0]:.1f}")
    for name, goal in GOALS.items():
        print(f"{name:12} {figures[name]:8.1f} ms   goal {goal} ms   {'holds' if figures[name] <= goal else 'MISSED'}")
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
