"""Small wikis in the habits of ten generators: the same mountain huts in several languages, each page with sentences, numbers, a table and links.

`write(name, root)` writes one of them; the same seed gives the same bytes. What differs is what generators differ in: folders, formats of
frontmatter, pages without it, how links, index pages and languages are written, and files that are no pages.
"""

# ruff: noqa: E501 (files of sites read best as they are)

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROSE: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("prose.yaml").read_text(encoding="utf-8"))
SLUGS = ("larch-saddle", "grey-tarn", "windgap", "marten-ridge", "cold-spring", "upper-moraine", "two-cairns", "hollow-pass")


@dataclass(frozen=True)
class Hut:
    """One page before it is written: `number` is its place in its language."""

    number: int
    language: str
    title: str
    slug: str
    body: str


def _number(value: int, words: Mapping[str, Any]) -> str:
    return f"{value:,}".replace(",", words["thousands"])


def _hut(number: int, language: str, link: Callable[[str, str], str]) -> Hut:
    """A page whose links are written by `link` (text, slug)."""
    words, draw = PROSE[language], random.Random(f"{language} {number}")
    title = words["names"][number]
    facts = {
        "name": title,
        "year": draw.randint(1871, 1998),
        "height": _number(draw.randint(1400, 2990), words),
        "crew": draw.randint(11, 48),
        "visitors": _number(draw.randint(1200, 9800), words),
        "share": f"{draw.randint(11, 90)}{words['decimal']}{draw.randint(1, 9)}",
        "distance": draw.randint(120, 890),
        "power": draw.randint(31, 88),
        "cost": _number(draw.randint(12_000, 88_000), words),
        "price": draw.randint(14, 39),
        "group": draw.randint(4, 9),
        "span": draw.randint(3, 19),
    }
    said = [sentence.format(**facts) for sentence in words["sentences"]]
    neighbour = (number + 1) % len(SLUGS)
    see = link(words["names"][neighbour], SLUGS[neighbour])
    one, two, three = words["heads"]
    body = (
        f"{said[0]} {said[1]}\n\n## {one}\n\n{said[6]} → {see}\n\n## {two}\n\n{said[2]} {said[3]}\n\n"
        f"| | |\n|---|---|\n| m | {facts['height']} |\n| € | {facts['cost']} |\n\n{said[4]} {said[5]}\n\n## {three}\n\n* {said[7]}\n* {said[8]}\n"
    )
    return Hut(number, language, title, SLUGS[number], body)


# What each generator's pages look like: (files that are no pages, languages, file of a page, link, text of a page).
Link = Callable[[str, str], str]


def _yaml(hut: Hut, **more: Any) -> str:
    """Frontmatter as people write it: quotes where they are needed, a comment, a list in one line."""
    lines = [f'title: "{hut.title}"' if hut.number % 2 else f"title: {hut.title}", *(f"{key}: {value}" for key, value in more.items())]
    return "---\n" + "\n".join(lines) + "\n---\n"


def _starlight(hut: Hut) -> str:
    more = {"sidebar": f"\n  order: {hut.number}  # by height"} if hut.number % 2 else {"tableOfContents": "false", "tags": "[alps, huts]"}
    return _yaml(hut, **more) + f"\nimport {{ Aside }} from '@astrojs/starlight/components';\n\n<Aside>2 + 2</Aside>\n\n{hut.body}"


def _docusaurus(hut: Hut) -> str:
    if hut.number == 7:
        return f"# {hut.title}\n\n{hut.body}"  # no frontmatter: the heading is the title
    more = {"sidebar_position": hut.number, "tags": "\n  - alps\n  - 'huts & bothies'"}
    return _yaml(hut, **more) + f"\n{hut.body}\n:::note\n\n{hut.title}\n\n:::\n"


def _hugo(hut: Hut) -> str:
    if hut.number % 3 == 0:
        return _yaml(hut, date="2023-05-0" + str(hut.number + 1), draft="false") + f"\n{hut.body}"
    head = f'title = "{hut.title}"\ndate = 2024-03-0{hut.number + 1}T10:00:00Z # first visit\ntags = ["alps",\n  "huts"]\n'
    table = "\n[[resources]]\n  src = 'hut.jpg'\n\n[cover]\n  caption = 'The hut'\n" if hut.number % 2 else ""
    return f"+++\n{head}{table}+++\n\n{hut.body}"


def _jekyll(hut: Hut) -> str:
    return (
        _yaml(hut, layout="post", date="2024-02-1" + str(hut.number) + " 09:30:00 +0100", categories="alps huts")
        + f"\n{hut.body}\n{{{{ page.title }}}}\n"
    )


def _mkdocs(hut: Hut) -> str:
    if hut.number % 3 == 2:
        return f"# {hut.title}\n\n{hut.body}"
    return _yaml(hut, hide="\n  - navigation") + f"\n# {hut.title}\n\n{hut.body}\n!!! note\n    {hut.title}\n"


def _mdbook(hut: Hut) -> str:
    return f"# {hut.title}\n\n{hut.body}"


def _vitepress(hut: Hut) -> str:
    head = _yaml(hut, outline="deep", prev="false") if hut.number != 6 else ""
    return f"{head}\n# {hut.title}\n\n{hut.body}\n::: tip\n{hut.title}\n:::\n".lstrip("\n")


def _zola(hut: Hut) -> str:
    extra = f"\n[extra]\nheight = {hut.number}  # rank\n" if hut.number % 2 else ""
    return f'+++\ntitle = "{hut.title}"\ndate = 2024-01-0{hut.number + 1}\nweight = {hut.number}\n\n[taxonomies]\ntags = ["alps"]\n{extra}+++\n\n{hut.body}'


def _obsidian(hut: Hut) -> str:
    head = f"---\naliases: [{hut.title} 2]\ntags:\n- alps\ncreated: 2024-01-0{hut.number + 1}\n---\n" if hut.number != 5 else ""
    return f"{head}{hut.body}\n#alps ![[map.png]]\n".replace("\n", "\r\n" if hut.number == 2 else "\n")


def _hexo(hut: Hut) -> str:
    return (
        _yaml(hut, date="2024-02-11 09:30:0" + str(hut.number), tags="\n- alps") + f"{hut.body}<!-- more -->\n\n{{% asset_img hut.jpg %}}\n"
    )


@dataclass(frozen=True)
class Style:
    """One generator's habits. `folder` is the content folder, `path` a page's path below it, `others` are files by path."""

    folder: str
    languages: tuple[str, ...]
    path: Callable[[Hut], str]
    link: Link
    text: Callable[[Hut], str]
    others: Mapping[str, str]


_INDEX = "---\ntitle: Huts\n---\n\nAll huts of the range.\n"
STYLES: Mapping[str, Style] = {
    "starlight": Style(
        "src/content/docs", ("en", "de", "fr", "ja"),
        lambda hut: f"{'' if hut.language == 'en' else hut.language + '/'}huts/{hut.slug}.mdx", lambda text, slug: f"[{text}](/huts/{slug}/)", _starlight,
        {
            "astro.config.mjs": "import { defineConfig } from 'astro/config';\nimport starlight from '@astrojs/starlight';\n\nexport default defineConfig({\n  integrations: [\n    starlight({\n"
            "      title: 'Huts',\n      locales: { root: { label: 'English', lang: 'en' }, de: { label: 'Deutsch' }, fr: { label: 'Français' }, ja: { label: '日本語' } },\n    }),\n  ],\n});\n",
            "src/content.config.ts": "import { defineCollection } from 'astro:content';\nimport { z } from 'astro/zod';\nimport { docsLoader } from '@astrojs/starlight/loaders';\nimport { docsSchema } from '@astrojs/starlight/schema';\n\n"
            "export const collections = {\n  docs: defineCollection({ loader: docsLoader(), schema: docsSchema({ extend: z.object({ llmSummary: z.string().optional(), insights: z.array(z.any()).optional(), ratings: z.record(z.number()).optional(), quality: z.number().optional() }) }) }),\n};\n",
            "src/content/docs/index.mdx": _INDEX, "package.json": '{ "type": "module" }\n',
        },
    ),
    "docusaurus": Style(
        "docs", ("en", "es", "de"), lambda hut: f"{hut.language}/{hut.number + 1:02d}-{hut.slug}.md", lambda text, slug: f"[{text}](./{SLUGS.index(slug) + 1:02d}-{slug}.md)", _docusaurus,
        {
            "docusaurus.config.js": "module.exports = {\n  title: 'Huts', url: 'https://huts.example', baseUrl: '/', onBrokenLinks: 'warn',\n"
            "  presets: [['classic', { docs: { routeBasePath: '/' }, blog: false }]],\n};\n",
            "package.json": '{ "private": true }\n', "docs/en/_partial.md": "Not a page.\n", "docs/intro.md": "---\nslug: /\n---\n\nAll huts of the range.\n",
        },
    ),
    "hugo": Style(
        "content", ("en", "fr", "es"), lambda hut: f"{hut.language}/huts/{hut.slug}/index.md" if hut.number == 4 else f"{hut.language}/huts/{hut.slug}.md",
        lambda text, slug: f'[{text}]({{{{< ref "{slug}" >}}}})', _hugo,
        {
            "config.toml": 'baseURL = "https://huts.example/"\ntitle = "Huts"\ndefaultContentLanguage = "en"\ndisableKinds = ["taxonomy", "term", "RSS"]\n'
            '[languages.en]\ncontentDir = "content/en"\n[languages.fr]\ncontentDir = "content/fr"\n[languages.es]\ncontentDir = "content/es"\n',
            "layouts/_default/single.html": "<h1>{{ .Title }}</h1><p>{{ with .Params.enrich }}{{ .llmsummary }}{{ end }}</p>{{ .Content }}\n",
            "layouts/_default/list.html": "{{ range .Pages }}<a href='{{ .RelPermalink }}'>{{ .Title }}</a>{{ end }}\n",
            "content/en/huts/_index.md": '+++\ntitle = "Huts"\n+++\n',
        },
    ),
    "jekyll": Style(
        ".", ("en", "de", "es"), lambda hut: f"_posts/{hut.language}/2024-02-1{hut.number}-{hut.slug}.md",
        lambda text, slug: f"[{text}]({{% post_url 2024-02-1{SLUGS.index(slug)}-{slug} %}})", _jekyll,
        {"_config.yml": "title: Huts\nexclude: [vendor]\n", ".gitignore": "_site/\nvendor/\n", "_site/index.md": "Built.\n", "about.md": "No frontmatter, so Jekyll copies it.\n"},
    ),
    "mkdocs": Style(
        "docs", ("en", "fr", "de"), lambda hut: f"{hut.slug}.{hut.language}.md", lambda text, slug: f"[{text}]({slug}.en.md)", _mkdocs,
        {"mkdocs.yml": "site_name: Huts\ntheme: {name: material}\n", "docs/index.md": "# Huts\n\nAll huts.\n"},
    ),
    "mdbook": Style(
        "src", ("en", "ja", "fr"), lambda hut: f"{hut.language}/{hut.slug}.md", lambda text, slug: f"[{text}](./{slug}.md#top)", _mdbook,
        {"book.toml": '[book]\ntitle = "Huts"\n', "src/SUMMARY.md": "# Summary\n\n- [Larch](en/larch-saddle.md)\n", "src/README.md": "# Huts\n"},
    ),
    "vitepress": Style(
        "docs", ("en", "es", "ja"), lambda hut: f"{'' if hut.language == 'en' else hut.language + '/'}{hut.slug}.md", lambda text, slug: f"[{text}](./{slug})", _vitepress,
        {"docs/.vitepress/config.mts": "export default { title: 'Huts' }\n", "docs/.vitepress/notes.md": "Not a page.\n", "docs/index.md": "---\nlayout: home\nhero:\n  name: Huts\n---\n"},
    ),
    "zola": Style(
        "content", ("en", "de", "fr"), lambda hut: f"huts/{hut.slug}{'' if hut.language == 'en' else '.' + hut.language}.md",
        lambda text, slug: f"[{text}](@/huts/{slug}.md)", _zola,
        {"config.toml": 'base_url = "https://huts.example"\n', "content/huts/_index.md": '+++\ntitle = "Huts"\nsort_by = "weight"\n+++\n'},
    ),
    "obsidian": Style(
        ".", ("en", "de", "ja"), lambda hut: f"{hut.language}/{hut.title}.md", lambda text, slug: f"[[{text}]]", _obsidian,
        {".obsidian/app.json": "{}\n", ".obsidian/plugins/x/README.md": "# Not a page\n", "templates/_note.md": "---\ntags: []\n---\n"},
    ),
    "hexo": Style(
        "source", ("en", "fr", "es"), lambda hut: f"_posts/{hut.language}/{hut.slug}.md", lambda text, slug: f"{{% post_link en/{slug} {text} %}}", _hexo,
        {"_config.yml": "title: Huts\nsource_dir: source\n", "package.json": json.dumps({"hexo": {"version": "7.0.0"}}) + "\n", "source/_drafts/idea.md": "---\ntitle: Idea\n---\nSoon.\n"},
    ),
}  # fmt: skip


def write(name: str, root: Path) -> int:
    """Write the wiki of a generator below `root`. Returns the number of its hut pages."""
    style = STYLES[name]
    texts = dict(style.others)
    count = 0
    for language in style.languages:
        for number in range(len(SLUGS)):
            hut = _hut(number, language, style.link)
            texts[f"{style.folder}/{style.path(hut)}"] = style.text(hut)
            count += 1
    for path, text in texts.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8"))
    return count
