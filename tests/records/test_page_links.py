"""Backlinks and broken links of wikis in the habits of several generators, against lists made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from enrich import load_config
from enrich.records.database import build
from enrich.wiki.site_links import page_links
from enrich.wiki.wiki import Wiki
from tests.demo import DemoWiki

NOW = datetime(2026, 3, 13, tzinfo=UTC)
# For each habit: frontmatter and body of each page with, by hand, the pages that link to it.
WIKIS: dict[str, dict[str, tuple[str, list[str]]]] = {
    "obsidian": {
        "Home.md": ("[[Tides]] and [[tides|again]], [[Lamps/Lens#Glass]], ![[Fog]], ![[photo.png]], [[Missing note]]", ["Lamps/Lens"]),
        "Tides.md": (
            "aliases: [Ebb]\n---\nSee [[Storms]] in this folder, [a](Lamps/Lens.md) and `[[Fog]]`.",
            ["Fog", "Home", "Lamps/Lens"],
        ),
        "Fog.md": ("[[Ebb]], [b](Sub%20folder/Deep%20note.md)\n\n```\n[[Home]]\n```\n", ["Home"]),
        "Storms.md": ("Nothing.", ["Tides"]),
        "Lamps/Lens.md": ("[[Storms]] is beside me; [[../Home]], | [[Tides\\|t]] |", ["Home", "Sub folder/Deep note", "Tides"]),
        "Lamps/Storms.md": ("[[Lamps/Storms|me]]", ["Lamps/Lens"]),
        "Sub folder/Deep note.md": ("[[Lens]]", ["Fog"]),
    },
    "astro": {
        "index.mdx": (
            '<Card href="/guides/first/" /> [a](/reference/tool) [b](https://x.example/guides/first)',
            ["de/guides/first", "guides/first"],
        ),
        "guides/first.md": ("[second](../second/#top) [tool](../../reference/tool/) [me](#here) [home](/)", ["guides/second", "index"]),
        "guides/second.mdx": (
            "[first](./first) [f](first/) [img](./lamp.png) [gone](../nowhere/)\n\n[ref]: /base/guides/first/\n",
            ["guides/first", "reference/tool"],
        ),
        "reference/tool.md": ("[second][x]\n\n[x]: <../guides/second.mdx>", ["guides/first", "index"]),
        "de/guides/first.md": ("[second](/de/guides/second/) [en](/)", ["de/guides/second"]),
        "de/guides/second.md": ("[first](../first/)", ["de/guides/first"]),
    },
    "docusaurus": {
        "intro.md": (
            "slug: /\n---\n[a](./guides/01-start.md) [b](guides/start#x) [c](/docs/api/setup)",
            ["guides/01-start", "guides/index"],
        ),
        "guides/index.md": ("[i](../intro.md)", ["api/install", "guides/01-start"]),
        "guides/01-start.md": ("[i](/docs/) [up](./) [n](./02-next.mdx)", ["guides/02-next", "intro"]),
        "guides/02-next.mdx": ('<Link to="/docs/guides/start">s</Link> [x](missing.md) [api](../api/setup)', ["guides/01-start"]),
        "api/install.md": ("slug: setup\n---\n[g](/docs/guides)", ["guides/02-next", "intro"]),
    },
    "hugo": {
        "_index.md": ('[a]({{< ref "posts/storm.md" >}}) {{% relref "calm" %}}', []),
        "posts/storm.md": ('aliases: [/old/storm/]\n---\n[b](/posts/calm/) {{< ref "nope.md" >}}', ["_index", "posts/calm"]),
        "posts/calm.md": ("slug: quiet\n---\n[o](/old/storm/)", ["_index", "about", "posts/storm"]),
        "about.md": ("[q](/posts/quiet/)", []),
    },
    "jekyll": {
        "_posts/2024-05-01-storms.md": ("[c]({% link docs/calm.md %}) [me]({{ page.url }})", ["docs/calm", "zola"]),
        "docs/calm.md": (
            "permalink: /quiet.html\n---\n[p]({% post_url 2024-05-01-storms %}) [z](/zola.html)",
            ["_posts/2024-05-01-storms", "zola"],
        ),
        "zola.md": ("[s](@/docs/calm.md) [d](/2024/05/01/storms.html)", ["docs/calm"]),
    },
}
BROKEN = {
    "obsidian": [("Home.md", "Missing note")],
    "astro": [("guides/second.mdx", "../nowhere/")],
    "docusaurus": [("guides/02-next.mdx", "missing.md")],
    "hugo": [("posts/storm.md", "nope.md")],
    "jekyll": [],
}


def make(root: Path, pages: Mapping[str, tuple[str, list[str]]]) -> Path:
    for path, (text, _) in pages.items():
        file = root / "content" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        head, mark, body = text.partition("---\n")
        file.write_text(
            f"---\ntitle: {file.stem}\n{head}---\n\n{body}\n" if mark else f"---\ntitle: {file.stem}\n---\n\n{text}\n", encoding="utf-8"
        )
    (root / "content" / "guides").mkdir(exist_ok=True)
    (root / "content" / "guides" / "lamp.png").write_bytes(b"")
    (root / "enrich.toml").write_text('[wiki]\ncontent = "content"\ndata = "data"\n', encoding="utf-8")
    return root


@pytest.mark.parametrize("habit", WIKIS)
def test_backlinks_are_those_of_the_list(tmp_path: Path, habit: str) -> None:
    pages = WIKIS[habit]
    document = json.loads(build(Wiki.open(load_config(make(tmp_path, pages), env={})), now=NOW).text())
    found = {page: sorted(entry["id"] for entry in entries) for page, entries in document["backlinks"].items()}
    assert found == {path.rpartition(".")[0]: sorted(sources) for path, (_, sources) in pages.items() if sources}
    counts = {record["id"]: record["backlinkCount"] for record in document["pages"]}
    assert counts == {path.rpartition(".")[0]: len(sources) for path, (_, sources) in pages.items()}


@pytest.mark.parametrize("habit", WIKIS)
def test_broken_links_are_reported_with_their_lines(tmp_path: Path, habit: str) -> None:
    wiki = DemoWiki.at(make(tmp_path, WIKIS[habit]))
    found = [one for one in wiki.enrich("check", "--json").json["findings"] if one["rule"] == "broken-link"]
    assert [(one["page"], one["message"], one["severity"]) for one in found] == [
        (path.rpartition(".")[0], f"no page is at “{target}”", "warning") for path, target in BROKEN[habit]
    ]
    assert all(one["line"] > 3 for one in found)
    # One page by name gives the same for this page.
    for path, _ in BROKEN[habit]:
        alone = wiki.enrich("check", path, "--json").json["findings"]
        assert [one for one in alone if one["rule"] == "broken-link"] == [one for one in found if one["page"] == path.rpartition(".")[0]]


def test_pages_that_no_page_links_to_and_switches(tmp_path: Path) -> None:
    wiki = DemoWiki.at(make(tmp_path, WIKIS["jekyll"] | {"alone.md": ("Actually [[gone]].", [])}))

    def rules(settings: str = "") -> list[tuple[str, str]]:
        (tmp_path / "enrich.toml").write_text(f'[wiki]\ncontent = "content"\n[checks]\n{settings}', encoding="utf-8")
        return [(one["rule"], one["severity"]) for one in wiki.enrich("check", "alone", "--json").json["findings"]]

    assert rules() == [("orphan-page", "info"), ("tone-markers", "warning"), ("broken-link", "warning")]
    assert rules('orphan-page = "error"\ntone-markers = "off"\nbroken-link = "info"\n') == [
        ("orphan-page", "error"),
        ("broken-link", "info"),
    ]
    (tmp_path / "enrich.toml").write_text('[wiki]\ncontent = "content"\n[checks]\ntone = "off"\n', encoding="utf-8")
    assert "unknown rule `tone`" in wiki.enrich("check").err


def test_links_have_their_lines_and_only_pages_are_meant() -> None:
    body = "[a](b.md)\n\n<!-- [c](d.md) -->\n[e](mailto:x@y.example) [[f]] [g](//h.example) ![i](j.md)\n\n    [k]: l.md\n```\n[[x]]\n```\n[m]: n.md\n"
    assert [(link.target, link.line) for link in page_links(body)] == [("b.md", 1), ("f", 4), ("j.md", 4), ("n.md", 10)]
