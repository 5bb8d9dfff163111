"""The differences of two texts, word by word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Literal

from enrich.grounding.likeness import likeness

Piece = tuple[Literal["=", "-", "+"], str]
"""A part of a word diff: `=` is in both texts, `-` only in the old one, `+` only in the new one."""

_TOKEN = re.compile(r"\w+(?:[.,'’]\w+)*|\s+|[^\w\s]")
# With a smaller share of common words, a mixture of both texts is harder to read than one after the other.
_ALIKE = 0.35
# The comparison is quadratic; longer texts are shown as a whole. Fields are one or two sentences.
_LONGEST = 3000


def word_diff(old: str, new: str) -> list[Piece]:
    """The pieces that lead from `old` to `new`: joined without the `+` pieces they are `old`, without the `-` pieces `new`.

    >>> word_diff("It costs $5 a page.", "It costs $7 a page.")
    [('=', 'It costs $'), ('-', '5'), ('+', '7'), ('=', ' a page.')]
    """
    if old == new:
        return [("=", old)] if old else []
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    whole: list[Piece] = [("-", old), ("+", new)]
    if not before or not after:
        return [piece for piece in whole if piece[1]]
    if max(len(before), len(after)) > _LONGEST or likeness(old, new) < _ALIKE:
        return whole
    # White space is everywhere: as anchors of the comparison it would tear phrases apart.
    blocks = difflib.SequenceMatcher(str.isspace, before, after, autojunk=False).get_opcodes()
    kept = sum(_words(before[i1:i2]) for tag, i1, i2, _, _ in blocks if tag == "equal")
    if kept < _ALIKE * max(_words(before), _words(after)):
        return whole
    pieces: list[Piece] = []
    gone = come = ""
    for number, (tag, i1, i2, j1, j2) in enumerate(blocks):
        same = "".join(before[i1:i2])
        # White space between two changed words is part of the change: fewer and larger pieces are easier to read.
        if tag == "equal" and not (same.isspace() and 0 < number < len(blocks) - 1):
            pieces += [("-", gone), ("+", come), ("=", same)]
            gone = come = ""
        else:
            gone += same
            come += "".join(after[j1:j2])
    return [piece for piece in (*pieces, ("-", gone), ("+", come)) if piece[1]]


def _words(tokens: Sequence[str]) -> int:
    return sum(not token.isspace() for token in tokens)
