"""`enrich init` on folders in the habits of site generators: what it finds, and that the written settings work at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.demo import DemoWiki, page_text

# Marks and pages of a site; the content folder, the number of pages, and what must be said or written.
SITES: dict[str, tuple[Mapping[str, str], list[str], str, list[str]]] = {
    "Starlight": (
        {"astro.config.mjs": "import starlight from '@astrojs/starlight'", "README.md": "Read me."},
        ["src/content/docs/index.mdx", "src/content/docs/guide/a.md", "src/content/docs/de/guide/a.md"],
        "src/content/docs",
        ["docsSchema"],
    ),
    "Astro": (
        {"astro.config.mjs": "export default {}"},
        ["src/content/blog/a.md", "src/pages/b.md"],
        "src/content",
        ["src/content.config.ts"],
    ),
    "Docusaurus": (
        {"site/docusaurus.config.js": ""},
        ["docs/a.md", "docs/_part.md", "site/blog/x.md"],
        "docs",
        ["site/docusaurus.config.js"],
    ),
    "VitePress": ({"docs/.vitepress/config.ts": ""}, ["docs/a.md", "docs/b/c.md"], "docs", []),
    "MkDocs": ({"mkdocs.yml": "site_name: x"}, ["docs/index.md", "docs/a.md"], "docs", []),
    "mdBook": ({"book.toml": ""}, ["src/SUMMARY.md", "src/a.md", "src/b.md"], "src", ['store = "sidecar"']),
    "Zola": ({"config.toml": 'base_url = "x"'}, ["content/_index.md", "content/a.md"], "content", ['under = "extra.enrich"']),
    "Hugo": (
        {"hugo.toml": 'baseURL = "x"'},
        ["content/posts/one/index.md", "content/posts/two/index.md"],
        "content",
        ["params.enrich", "ask ="],
    ),
    "Hexo": ({"_config.yml": "", "package.json": '{"hexo": {}}'}, ["source/_posts/a.md"], "source", []),
    "Jekyll": ({"_config.yml": ""}, ["_posts/2024-01-02-a.md", "docs/b.md", "_includes/c.md"], ".", []),
    "Obsidian": ({".obsidian/app.json": "{}"}, ["Ideas/a.md", "b.md", "templates/t.md", "prompts/x.md"], ".", ['ratings = "enrich_*"']),
    "MDN content": (
        {"front-matter-config.json": '{"additionalProperties": false}'},
        ["files/en-us/a/index.md"],
        "files",
        ['store = "sidecar"'],
    ),
    "": ({"README.md": "Hello", "CHANGELOG.md": "1.0"}, ["handbook/a.md", "handbook/b.md", "notes.md"], "handbook", []),
}
PAGES = {"Starlight": 3, "Astro": 1, "VitePress": 2, "MkDocs": 2, "mdBook": 2, "Zola": 2, "Hugo": 2, "Jekyll": 2, "Obsidian": 2, "": 2}


@pytest.mark.parametrize("generator", SITES)
def test_a_site_is_recognised_and_its_settings_work_at_once(tmp_path: Path, generator: str) -> None:
    marks, pages, content, said = SITES[generator]
    texts = {**marks, **{path: page_text(number) for number, path in enumerate(pages)}}
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    wiki = DemoWiki.at(tmp_path, content)
    done = wiki.enrich("init", "--json")
    assert done.exit == 0, done.err
    count = PAGES.get(generator, 1)
    assert (done.json["content"], done.json["pages"]) == (content, count)
    found = "\n".join(done.json["found"])
    assert (f"{generator} site" if generator else f"{count} pages below {content}") in found and "languages: en" in found
    written = (tmp_path / "enrich.toml").read_text(encoding="utf-8")
    assert all(part in written + found for part in said)
    assert wiki.enrich("run", "--apply").exit == 0
    assert {state for state, _ in wiki.states().values()} <= {"current", "skipped", "due"}
    changed = {path for path, text in texts.items() if (tmp_path / path).read_text(encoding="utf-8") != text}
    assert changed <= set(pages) and bool(changed) == ('"sidecar"' not in written)
    assert wiki.enrich("run", "--json").json["asked"] == 0


def test_what_is_there_is_kept_and_an_empty_folder_says_so(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path / "a", pages=2)
    before = (wiki.root / "enrich.toml").read_bytes()
    assert wiki.enrich("init", "--json").json["found"] == []
    assert (wiki.root / "enrich.toml").read_bytes() == before
    (tmp_path / "b").mkdir()
    empty = DemoWiki.at(tmp_path / "b").enrich("init")
    assert empty.exit == 0 and "no page was found: set content in enrich.toml" in empty.out


@pytest.mark.parametrize("name", ["index", "README"])
def test_pages_that_are_named_after_nothing_but_their_folder_are_asked_about(tmp_path: Path, name: str) -> None:
    wiki = DemoWiki.at(tmp_path, "rules")
    for number in range(3):
        (wiki.docs / f"rule-{number}").mkdir(parents=True)
        (wiki.docs / f"rule-{number}" / f"{name}.md").write_text(page_text(number), encoding="utf-8")
    assert f"most pages are named {name}" in wiki.enrich("init").out
    assert {state for state, _ in wiki.states().values()} == {"due"}


def test_a_wiki_of_many_languages_and_no_frontmatter_is_described(tmp_path: Path) -> None:
    texts = {
        "en": "The lamp of the tower is seen by ships that come from the south, and they are glad of it.",
        "de": "Die Lampe des Turms wird von Schiffen gesehen, die aus dem Süden kommen, und man freut sich darüber.",
        "fr": "La lampe de la tour est vue par les navires qui viennent du sud, et les marins en sont heureux.",
    }
    for code, text in texts.items():
        for name in "ab":
            (tmp_path / "docs" / code).mkdir(parents=True, exist_ok=True)
            (tmp_path / "docs" / code / f"{name}.md").write_text(f"# {name}\n\n{text}\n", encoding="utf-8")
    said = DemoWiki.at(tmp_path, "docs").enrich("init").out
    for part in (
        "6 pages below docs: de 2, en 2, fr 2",
        "de 33%",
        "en 33%",
        "fr 33%",
        "100% of the pages have no frontmatter",
        'frontmatter = "add"',
    ):
        assert part in said
