"""How many things a page lists in one place: what a derived count in an answer ("five categories") can have counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from enrich.wiki.visible import Line

# Members of a series in a sentence: "a, b and c".
_SERIES = re.compile(r"(?:[^,;:.()|]{2,80}[,;]\s+){1,14}(?:and|or)\s+|(?:[^,;:.()|]{2,80},\s+){2,14}")
_HEADING = re.compile(r"^(#{1,6})[ \t]+\S", re.MULTILINE)
_COMPONENT = re.compile(r"^[ \t]*<([A-Z]\w*)", re.MULTILINE)


def counts(body: str, lines: Sequence[Line]) -> frozenset[int]:
    """Sizes of the page's lists, tables (rows, columns), series, and sets of headings or components of one kind."""
    return frozenset((*_of_lines(lines), *_of_headings(body), *Counter(_COMPONENT.findall(body)).values()))


def _of_lines(lines: Sequence[Line]) -> Iterator[int]:
    items = rows = last = 0
    for line in lines:
        if line.kind == "list":
            if items and line.number > last + 2:
                yield items
                items = 0
            items += 1
            last = line.number
        elif items and line.kind != "component":
            yield items
            items = 0
        if line.kind == "table":
            rows += 1
            columns = line.text.count(" | ")
            yield from (columns, columns + 1)
        elif rows and line.kind != "component":
            yield rows - 1
            rows = 0
        for found in _SERIES.finditer(line.text):
            commas = found[0].count(",") + found[0].count(";")
            yield commas + 1
            if " and " in found[0] or " or " in found[0]:
                yield commas + 2
    yield items
    yield max(0, rows - 1)


def _of_headings(body: str) -> Iterator[int]:
    """How many headings stand directly below each heading, and on each level in all."""
    levels = [len(mark) for mark in _HEADING.findall(body)]
    yield from Counter(levels).values()
    below: dict[int, int] = {}
    for level in levels:
        for deeper in [one for one in below if one > level]:
            yield below.pop(deeper)
        below[level] = below.get(level, 0) + 1
    yield from below.values()
