"""What a question saw of a page, small enough to keep in the proposal: a mark per line, so that a changed page can be told line by line.

The page hash says *whether* the text changed (`wiki.pages.Page.hash`); the marks say *where*. They are 24 bits of a checksum each: a collision
hides one changed line from the reader, never from the decision.
"""

from __future__ import annotations

import binascii
import difflib
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass

from enrich.wiki.pages import Page

_BYTES = 3
# Beyond this many lines the exact comparison of two texts costs seconds; head and tail that are equal still tell the place.
_MOST_LINES = 20_000


@dataclass(frozen=True, slots=True)
class Moved:
    """What of a page's text is no longer what the question saw. `regions`: (first, last) file lines of today; last < first: lines are gone."""

    title: bool
    description: bool
    regions: tuple[tuple[int, int], ...]

    @property
    def words(self) -> str:
        """The change in words: `the title, lines 14-16 and 20 changed; lines after 31 are gone`."""
        changed = [_span(first, last) for first, last in self.regions if last >= first]
        gone = [f"after {last}" for first, last in self.regions if last < first]
        parts = [word for word, is_so in (("the title", self.title), ("the description", self.description)) if is_so]
        if changed:
            many = len(changed) > 1 or "-" in changed[0]
            parts.append(f"line{'s' if many else ''} {_listed(changed)}")
        said = f"{_listed(parts)} changed" if parts else ""
        if gone:
            said += f"{'; ' if said else ''}lines {_listed(gone)} are gone"
        return said or "the text changed"


def line_marks(page: Page) -> str:
    """The marks of title, description and each body line, four characters each."""
    return b64encode(b"".join(map(_mark, _lines(page)))).decode("ascii")


def moved(marks: str, page: Page) -> Moved:
    """How the page differs from what `marks` saw. Marks that are none (a damaged file) tell nothing: no region."""
    try:
        data = b64decode(marks, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    before = [data[at : at + _BYTES] for at in range(0, len(data), _BYTES)]
    if len(before) < 2 or len(data) % _BYTES:
        return Moved(False, False, ())
    now = [_mark(line) for line in _lines(page)]
    shift = page.body_line
    regions = tuple((first + shift, last + shift - 1) for first, last in _regions(before[2:], now[2:]))
    return Moved(before[0] != now[0], before[1] != now[1], regions)


def _regions(before: list[bytes], now: list[bytes]) -> list[tuple[int, int]]:
    """The (start, end) ranges of `now` that are not in `before`; empty ranges where lines are gone."""
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


def _lines(page: Page) -> list[str]:
    return [page.title, page.description, *page.body.split("\n")]


def _mark(line: str) -> bytes:
    return (zlib.crc32(line.encode("utf-8", "surrogatepass")) & 0xFFFFFF).to_bytes(_BYTES, "big")


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _listed(parts: list[str], most: int = 6) -> str:
    shown = parts[:most] + ([f"{len(parts) - most} more places"] if len(parts) > most else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""
