"""Line marks: what a question saw of a page, small enough to keep in the proposal, so that a changed page can be compared line by line.

The page hash says *whether* the text changed (`wiki.pages.Page.hash`), the marks say *where*. A mark is 24 bits of a checksum of one line: a collision
hides one changed line in a message, and has no influence on a decision.
"""

from __future__ import annotations

import binascii
import difflib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence

from enrich.wiki.pages import Page

_BYTES = 3
# Beyond this many changed lines the exact comparison takes seconds. Then everything between equal head and tail counts as changed.
_MOST_LINES = 20_000
# A message names this many places.
_MOST_PLACES = 6


def line_marks(page: Page) -> str:
    """The marks of title, description and each body line, four characters each."""
    return b64encode(b"".join(_marks(page))).decode("ascii")


def changed_lines(marks: str, page: Page) -> str:
    """What of the page differs from what `marks` saw: `the title, lines 14-16 and 20 changed; lines after 31 are gone`.

    File lines as they are now; "the text changed" if the marks are damaged or the lines are the same.
    """
    try:
        data = b64decode(marks, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    before, now = [data[at : at + _BYTES] for at in range(0, len(data), _BYTES)], _marks(page)
    if len(before) < 2 or len(data) % _BYTES:
        return "the text changed"
    parts = [name for at, name in enumerate(("the title", "the description")) if before[at] != now[at]]
    regions = [(start + page.body_line, end + page.body_line - 1) for start, end in _regions(before[2:], now[2:])]
    spans = [str(first) if first == last else f"{first}-{last}" for first, last in regions if last >= first]
    if spans:
        parts.append(f"line{'' if len(spans) == 1 and spans[0].isdigit() else 's'} {_listed(spans)}")
    gone = [f"after {last}" for first, last in regions if last < first]
    messages = [f"{_listed(parts)} changed" if parts else "", f"lines {_listed(gone)} are gone" if gone else ""]
    return "; ".join(filter(None, messages)) or "the text changed"


def _regions(before: Sequence[bytes], now: Sequence[bytes]) -> list[tuple[int, int]]:
    """The (start, end) ranges of `now` that are not in `before`; an empty range where lines are gone."""
    head = 0
    while head < min(len(before), len(now)) and before[head] == now[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(now)) - head and before[-1 - tail] == now[-1 - tail]:
        tail += 1
    old, new = before[head : len(before) - tail], now[head : len(now) - tail]
    if not old and not new:
        return []
    if not old or not new or len(old) + len(new) > _MOST_LINES:
        return [(head, len(now) - tail)]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 2000)
    return [(head + start, head + end) for tag, _, _, start, end in matcher.get_opcodes() if tag != "equal"]


def _marks(page: Page) -> list[bytes]:
    lines = [page.title, page.description, *page.body.split("\n")]
    return [(zlib.crc32(line.encode("utf-8", "surrogatepass")) & 0xFFFFFF).to_bytes(_BYTES, "big") for line in lines]


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _MOST_PLACES
    shown = [*parts[:_MOST_PLACES], *([f"{more} more places"] if more > 0 else [])]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
