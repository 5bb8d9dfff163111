"""Two texts word by word: what stayed, what went, what came."""

from __future__ import annotations

import difflib
import re
from typing import Literal

Mark = Literal["=", "-", "+"]
Piece = tuple[Mark, str]

_TOKEN = re.compile(r"\w+(?:[.,'’]\w+)*|\s+|[^\w\s]")
# Below this share of common words a mixture of both reads worse than one after the other.
_ALIKE = 0.35
# Tokens beyond which two texts are shown as a whole: the comparison is quadratic, and fields are one or two sentences.
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
    if not before or not after or len(before) > _LONGEST or len(after) > _LONGEST:
        return [piece for piece in whole if piece[1]]
    # The comparison is quadratic, and of texts with few words in common nothing would come of it.
    if likeness(old, new) < _ALIKE:
        return whole
    # Blanks are everywhere: as anchors they would only cost time and tear words apart.
    matcher = difflib.SequenceMatcher(str.isspace, before, after, autojunk=False)
    blocks = matcher.get_opcodes()
    kept = sum(sum(not token.isspace() for token in before[i1:i2]) for tag, i1, i2, _, _ in blocks if tag == "equal")
    total = max(sum(not token.isspace() for token in before), sum(not token.isspace() for token in after), 1)
    if kept / total < _ALIKE:
        return whole
    pieces: list[Piece] = []
    gone: list[str] = []
    come: list[str] = []
    for position, (tag, i1, i2, j1, j2) in enumerate(blocks):
        same = before[i1:i2]
        # A blank between two changed words is part of the change: `a b` for `c d` reads better than four pieces.
        if tag == "equal" and not (all(token.isspace() for token in same) and 0 < position < len(blocks) - 1):
            pieces += _flushed(gone, come)
            gone, come = [], []
            pieces.append(("=", "".join(same)))
        else:
            gone += before[i1:i2]
            come += after[j1:j2]
    return pieces + _flushed(gone, come)


def _flushed(gone: list[str], come: list[str]) -> list[Piece]:
    pieces: list[Piece] = []
    if gone:
        pieces.append(("-", "".join(gone)))
    if come:
        pieces.append(("+", "".join(come)))
    return pieces


def likeness(old: str, new: str) -> float:
    """How much of two texts is the same, from 0 to 1: the share of words they have in common."""
    one, two = ({token.casefold() for token in _TOKEN.findall(text) if not token.isspace()} for text in (old, new))
    if not one or not two:
        return 0.0
    return 2 * len(one & two) / (len(one) + len(two))
