"""Pages for tests, made of a path and a text."""

from __future__ import annotations

from pathlib import Path

from enrich.wiki.pages import Page, PageFile, page_id, parse_page


def page(text: str, path: str = "towers/north-light.md") -> Page:
    return parse_page(PageFile(page_id(path), path, Path("/wiki/content") / path), text.encode())
