"""`enrich site`: one folder of static HTML over the records, proposals, decisions and git's history."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.browser import CONTRAST, PATIENCE, axe, launched
from tests.demo import DemoWiki
from tests.review import wikis
from tests.review.wikis import HOSTILE


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    """Three pages whose quality moved, one with a field that was rejected."""
    wiki = DemoWiki(tmp_path, 3)
    git(tmp_path, "init", "-q")
    for quality in (40, 55):
        for number in range(2):
            text = re.sub(r"^quality: .*\n", "", wiki.file(number).read_text(encoding="utf-8"), flags=re.MULTILINE)
            wiki.file(number).write_text(text.replace("---\n", f"---\nquality: {quality + number}\n", 1), encoding="utf-8")
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", str(quality))
    wiki.enrich("run")
    assert wiki.enrich("reject", "park-0:llmSummary", "--reason", "dull").exit == 0
    assert wiki.enrich("accept", "park-1:llmSummary").exit == 0
    wiki.enrich("apply", "--all")
    return wiki


def words(file: Path) -> str:
    body = re.sub(r"<(style|script)[^>]*>.*?</\1>", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_every_page_has_a_row_and_a_card(wiki: DemoWiki) -> None:
    said = wiki.enrich("site", "--json", "--now", "2026-03-01T00:00:00Z").json
    site = wiki.root / "site"
    assert said["pages"] == 3 and said["files"] == len(list(site.rglob("*.html"))) == 5
    text = (site / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(pages/[^"]+)"', text)
    assert len(set(links)) == 3 and all((site / link).is_file() for link in links)
    shown = words(site / "index.html")
    assert "40 → 55" in shown and "41 → 56" in shown, "the quality that pages had, from git"
    row = re.search(r"llmSummary offline v\S* 1 1 0 50 % \((\d+)–(\d+)\) dull 1 1", shown)  # one was written without a decision
    assert row is not None and (int(row[1]), int(row[2])) == (9, 91)  # Wilson's interval of 1 of 2
    card = next(site / link for link in links if "park-0" in link)
    assert "All pages Source Review" in words(card) and "Proposed Field Decision Flags llmSummary rejected" in words(card)
    source = re.search(r'href="([^"]+)">Source', card.read_text(encoding="utf-8"))
    assert source is not None and (card.parent / source[1]).resolve() == wiki.file(0)
    assert "src=" not in text and "@import" not in text


def test_the_site_does_not_land_among_the_pages(wiki: DemoWiki) -> None:
    done = wiki.enrich("site", "-o", "content/site")
    assert done.exit == 1 and "inside the content folder" in done.err


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_table_sorts_and_filters_and_hostile_text_does_nothing(tmp_path: Path, width: int, scheme: Any) -> None:
    workspace = wikis.hostile(tmp_path / "w")
    wiki = DemoWiki.at(workspace.config.root, "pages")
    assert wiki.enrich("run", "--backend", "offline").exit in (0, 3)  # for its report
    assert wiki.enrich("eval", "--answers", "offline", "--format", "html", "-o", "eval.html").exit == 0
    assert wiki.enrich("site").exit == 0
    with launched() as browser:
        page = browser.new_page(viewport={"width": width, "height": 740}, color_scheme=scheme)
        page.set_default_timeout(PATIENCE)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto((wiki.root / "site/index.html").as_uri())
        assert page.locator("#number").inner_text() == f"{len(HOSTILE)} of {len(HOSTILE)} pages"
        page.get_by_role("button", name="Words").click()
        numbers = [int(text) for text in page.locator("#pages tr td:nth-child(5)").all_inner_texts()]
        assert numbers == sorted(numbers, reverse=True)
        page.fill("#words", "octocat #123")
        assert page.locator("#number").inner_text() == f"1 of {len(HOSTILE)} pages"
        assert page.evaluate(CONTRAST) == [] and axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        with page.expect_navigation():
            page.locator("#pages tr:not([hidden]) a").click()
        assert axe(page) == []  # the card
        with page.expect_navigation():
            page.get_by_role("link", name="Review").click()
        assert page.locator(".card").count() == 1  # the review shows that page
        for view in ("queue", "browse", "sheet", "totals"):
            page.click(f"#view-{view}")
            assert axe(page) == [], view
        assert page.evaluate("window.owned") is None
        for file in (next((wiki.root / "cache/runs").glob("*/report.html")), wiki.root / "eval.html"):
            page.goto(file.as_uri())
            assert axe(page) == [], file.name
        assert said == []


def test_what_git_cannot_tell_is_left_out(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    assert json.loads(wiki.enrich("site", "--json").out)["files"] == 2  # nothing is proposed: no review page
