"""Critical insights where they stand: a page's frontmatter (`insights`) and `insights/*.yaml` of the data folder (FIELDS.md section 11).

Values are given as they were read; whether they are sound is for the checks to say. The data files' `insight` is called `text`, as
on pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enrich.wiki.data import load_insights
from enrich.wiki.notice import Notice
from enrich.wiki.pages import Page, PageFile

TYPES = ("claim", "counterintuitive", "quantitative", "research-gap", "disagreement", "neglected")
SCORES = ("surprising", "important", "actionable")


@dataclass(frozen=True, slots=True)
class Insight:
    """One insight as read. `file` and `line` say where it stands, `page` the page it belongs to ("" while it is not tied to one).

    `values` holds every key of the entry, `insight` renamed to `text`; an entry that is no mapping has none.
    """

    page: str
    file: Path
    line: int
    values: Mapping[str, Any]

    @property
    def text(self) -> str:
        value = self.values.get("text")
        return value if isinstance(value, str) else ""


def page_insights(page: Page) -> list[Insight]:
    """The insights in a page's frontmatter, in their order; [] where there are none or the key holds no list."""
    entries = page.frontmatter.get("insights")
    if not isinstance(entries, list) or not entries:
        return []
    head = page.text[: len(page.text) - len(page.body)]
    lines = _entry_lines(head, len(entries))
    return [Insight(page.id, page.file.file, line, _values(entry)) for entry, line in zip(entries, lines, strict=True)]


def data_insights(folder: Path, wanted: Callable[[bytes], bool] | None = None) -> tuple[list[Insight], list[Notice]]:
    """The insights of the data folder, not yet tied to pages, and what is wrong with its files (named relative to `folder`).

    Files whose raw bytes are not `wanted` are left out unread.
    """
    entries, notices = load_insights(folder, wanted=wanted)
    return [Insight("", folder / entry.file, entry.line, _values(entry.values)) for entry in entries], notices


def tie(insights: Iterable[Insight], pages: Sequence[PageFile]) -> tuple[list[Insight], list[Insight]]:
    """(insights with their page, insights that belong to no page), both in their order.

    An insight says where it belongs by `page` (an id), else by `source` as a page's address, else by the address's last part where exactly
    one page answers to it (FIELDS.md section 11: pages move, their names stay).
    """
    ids = {page.id for page in pages}
    addresses = {page.url.rstrip("/"): page.id for page in pages}
    slugs: dict[str, set[str]] = {}
    for page in pages:
        slugs.setdefault(page.url.rstrip("/").rpartition("/")[2], set()).add(page.id)
    tied: list[Insight] = []
    loose: list[Insight] = []
    for insight in insights:
        found = _home(insight.values, ids, addresses, slugs)
        if found:
            tied.append(Insight(found, insight.file, insight.line, insight.values))
        else:
            loose.append(insight)
    return tied, loose


def _home(values: Mapping[str, Any], ids: set[str], addresses: Mapping[str, str], slugs: Mapping[str, set[str]]) -> str:
    named = values.get("page")
    if isinstance(named, str) and named in ids:
        return named
    source = values.get("source")
    if not isinstance(source, str):
        return ""
    address = source.partition("#")[0].rstrip("/")
    if address in addresses:
        return addresses[address]
    last = address.rpartition("/")[2]
    if last in ids:
        return last
    same = slugs.get(last, set())
    return next(iter(same)) if len(same) == 1 else ""


def _values(entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        return {}
    values = {str(key): value for key, value in entry.items()}
    if "text" not in values and "insight" in values:
        values["text"] = values["insight"]
    return values


_ENTRY = re.compile(r"^([ \t]*)- ", re.MULTILINE)


def _entry_lines(head: str, count: int) -> list[int]:
    """The file lines of the block list's entries after `insights:`; all the line of the key where the list is written in another way."""
    key = re.search(r"^insights[ \t]*:", head, re.MULTILINE)
    start = key.end() if key else 0
    lines: list[int] = []
    indent: str | None = None
    for match in _ENTRY.finditer(head, start):
        indent = match[1] if indent is None else indent
        if match[1] == indent:
            lines.append(head.count("\n", 0, match.start()) + 1)
        if len(lines) == count:
            return lines
    return [head.count("\n", 0, start) + 1] * count
