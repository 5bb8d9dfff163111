"""Links between pages in the styles of all generators, and the pages that they lead to.

A link is found in the text by `page_links`; a `SiteMap` of all pages knows what it leads to. Where generators disagree (whether `../b` starts from
the file or from the page's address), both are tried: a link that leads to a page in one of them is meant so.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

import regex

from enrich.config import PAGE_SUFFIXES
from enrich.wiki.page_files import PageFile, plain_name

Style = Literal["markdown", "wiki", "reference"]
# The frontmatter keys that give a page another address or another name.
ADDRESS_KEYS = ("slug", "permalink", "url", "path", "aliases", "redirect_from")

# Each is read from its beginning and up to a bounded length: no text makes them slow.
_CODE = re.compile(r"^(```|~~~)[^\n]*\n(?:(?!\1)[^\n]*\n)*+(?:\1[^\n]*)?|`[^`\n]{1,500}`", re.MULTILINE)
_COMMENT = regex.compile(r"<!--(?:[^-]++|-(?!->))*+(*SKIP)-->")  # one that is not closed is text
_LINKS = re.compile(
    r"\{\{[<%]\s{0,9}(?:rel)?ref\s{1,9}[\"'`]?(?P<ref>[^\"'`\s>%]{1,500})"
    r"|\{%-?\s{0,9}(?:link|post_url)\s{1,9}(?P<liquid>[^%\n]{1,500}?)\s{0,9}-?%\}"
    r"|\[\[(?P<wiki>[^\[\]|\n]{1,500})(?:\|[^\[\]\n]{0,500})?\]\]"
    r"|\]\((?!\{[{%])\s{0,9}(?:<(?P<angled>[^<>\n]{1,1000})>|(?P<inline>(?:[^\s()<>]|\([^\s()<>]{0,300}\)){1,1000}+))"
    r"|^[ ]{0,3}\[[^\[\]\n^]{1,300}\]:[ \t]{0,9}<?(?P<definition>[^\s<>]{1,1000})"
    r"|\b(?:href|to)=[\"'](?P<attribute>[^\"'\n{}]{1,1000})[\"']",
    re.MULTILINE,
)
_STYLES: Mapping[str, Style] = {"ref": "reference", "liquid": "reference", "wiki": "wiki"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}:|//|\{\{|\{%")
_SUFFIXES = (*PAGE_SUFFIXES, ".html")
_DATED = re.compile(r"(\d{4})-(\d{2})-(\d{2})-(.+)")


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link that may lead to a page: its target as written, the kind of markup, and its body line from 1."""

    target: str
    style: Style
    line: int


def page_links(body: str) -> list[PageLink]:
    """The links of an LF-normalised body that do not leave the site and are not within the page, in order; not those in code and comments."""
    text = _COMMENT.sub(_blank, _CODE.sub(_blank, body))
    found: list[PageLink] = []
    line, counted = 1, 0
    for match in _LINKS.finditer(text):
        group = match.lastgroup or ""
        target = match[group].strip().rstrip("\\")  # `\|` in a table
        # A shortcode in a link's target is found by itself.
        if not target or target.startswith("#") or (group not in _STYLES and _SCHEME.match(target)):
            continue
        line, counted = line + text.count("\n", counted, match.start()), match.start()
        found.append(PageLink(target, _STYLES.get(group, "markdown"), line))
    return found


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one]


def given_addresses(file: PageFile, front: Mapping[str, Any]) -> list[str]:
    """The addresses that a page's frontmatter gives it, without slashes around them; a slug counts alone and in the page's folder."""
    found = [one.strip("/") for key in ADDRESS_KEYS for one in _texts(front.get(key))]
    folder = posixpath.dirname("/".join(map(plain_name, file.url.strip("/").split("/"))))
    return found + [posixpath.join(folder, one) for one in _texts(front.get("slug")) if not one.startswith("/")]


class SiteMap:
    """The pages of a site by their paths, addresses and names. `pages` are the files with their frontmatter."""

    def __init__(self, pages: Iterable[tuple[PageFile, Mapping[str, Any]]]) -> None:
        self._addresses: dict[str, str] = {}
        self._names: dict[str, list[PageFile]] = {}
        self._folders: set[str] = set()
        given = list(pages)
        # Paths first: what a page is called besides must not hide another page's path.
        for file, _ in given:
            self._add(file.path.rpartition(".")[0], file)
            folder = posixpath.dirname(file.path)
            while folder not in self._folders:
                self._folders.add(folder)
                folder = posixpath.dirname(folder)
        for file, _ in given:
            self._add(file.url.strip("/"), file)
        for file, front in given:
            plain = "/".join(map(plain_name, file.url.strip("/").split("/")))
            self._add(plain, file)
            if dated := _DATED.fullmatch(file.stem):
                self._add("/".join(dated.groups()), file)
                self._add(dated[4], file)
            names = [file.stem, *file.short_names[:2]]
            for address in given_addresses(file, front):
                self._add(address, file)
            names += _texts(front.get("aliases"))
            for name in dict.fromkeys(name.casefold() for name in names):
                self._names.setdefault(name, []).append(file)

    def _add(self, address: str, file: PageFile) -> None:
        self._addresses.setdefault(address.removesuffix(".html"), file.id)
        self._addresses.setdefault(address.removesuffix(".html").casefold(), file.id)

    def page(self, link: PageLink, source: PageFile) -> str | None:
        """The id of the page that a link on the page `source` leads to; "" if it must lead to a page and there is none; None if it may be a file,
        a folder or an address that no page of the wiki has."""
        target = unquote(re.split(r"[?#]", link.target, maxsplit=1)[0]).strip()
        if not target:
            return source.id
        stem = next((target.removesuffix(suffix) for suffix in _SUFFIXES if target.endswith(suffix)), target)
        found = next((found for address in self._candidates(stem, source) if (found := self._at(address))), None)
        if found is None and link.style != "markdown":
            found = self._named(stem, source)
        if found is not None:
            return found
        is_file = stem == target and "." in posixpath.basename(target)
        if link.style != "markdown":
            return None if is_file and link.style == "wiki" else ""
        if target.startswith("/") or is_file or target.endswith(".html"):
            return None
        there = (source.file.parent / target).exists() or posixpath.normpath(
            posixpath.join(posixpath.dirname(source.path), target)
        ) in self._folders
        return None if there else ""

    def _at(self, address: str) -> str | None:
        address = posixpath.normpath(address).strip("/") if address.strip("/") else ""
        if address == ".":
            address = ""
        return self._addresses.get(address) or self._addresses.get(address.casefold())

    def _candidates(self, stem: str, source: PageFile) -> Iterable[str]:
        """The addresses that a target may mean, the likeliest first."""
        if stem.startswith("@/"):  # Zola
            yield stem[2:]
        elif stem.startswith("/"):
            yield stem
            # The address of the site or of its section, such as /docs, is not part of a page's path.
            first, _, rest = stem.strip("/").partition("/")
            if first:
                yield rest or "/"
                yield rest.partition("/")[2] or rest or "/"
        else:
            for folder in (posixpath.dirname(source.path), source.url.strip("/")):
                joined = posixpath.normpath(posixpath.join("/", folder, stem)) if stem.startswith(".") else posixpath.join(folder, stem)
                yield joined
            yield stem

    def _named(self, name: str, source: PageFile) -> str | None:
        """The page that a wiki link or a reference names: of several with this name the one in the same folder, else the least deep one."""
        wanted = name.strip("/").casefold()
        found = self._names.get(posixpath.basename(wanted), [])
        if "/" in wanted:
            found = [file for file in found if f"/{file.path.rpartition('.')[0].casefold()}".endswith(f"/{wanted}")]
        here = posixpath.dirname(source.path)
        nearest = sorted(found, key=lambda file: (posixpath.dirname(file.path) != here, file.path.count("/"), file.path))
        return nearest[0].id if nearest else None
