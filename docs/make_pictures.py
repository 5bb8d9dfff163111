"""Draw `docs/review.png` and `docs/site.png` (`make docs`): the review page and the site report of this repository's own wiki, in Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = Path("/usr/bin/chromium")
NOW = "2026-03-13T20:14:00Z"


def main() -> None:
    if not CHROMIUM.exists():
        print("no chromium here: the pictures stay as they are")
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        wiki = Path(name) / "wiki"
        for part in ("content", "prompts"):
            shutil.copytree(ROOT / part, wiki / part)
        shutil.copy(ROOT / "enrich.toml", wiki / "enrich.toml")
        env = {name: value for name, value in os.environ.items() if not name.startswith(("ENRICH_", "OPENAI_"))}
        for command in (["run"], ["diff", "--format", "html", "-o", "review.html"], ["site", "--now", NOW]):
            subprocess.run([sys.executable, "-m", "enrich", "-q", *command], cwd=wiki, env=env, check=True)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        for source, picture in (("review.html", "review.png"), ("site/index.html", "site.png")):
            page.goto((wiki / source).as_uri())
            page.screenshot(path=ROOT / "docs" / picture)
            print(f"wrote {picture}")
        browser.close()


if __name__ == "__main__":
    main()
