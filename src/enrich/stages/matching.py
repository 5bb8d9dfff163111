"""Which insights of two answers are the same one, so that what has not changed keeps its words and its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from enrich.wiki.data import SCORES

# Of the words of two texts so many must be shared for them to be the same statement in near-same words. Above it lie a changed word or two;
# two statements about the same thing share about half.
NEAR_SAME = 0.8
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NUMBER_WORDS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve dozen twenty thirty forty fifty sixty seventy eighty ninety hundred
    thousand million billion trillion half halves third thirds quarter quarters fifth fifths tenth tenths once twice thrice double doubled
    triple tripled""".split()
)
# Words that turn a statement round: negations, and directions and comparisons that have an opposite.
_TURNS = frozenset(
    """no not never none nor neither without cannot nothing nobody hardly barely fails lacks more less fewer most least higher lower above below
    over under before after increase increases increased decrease decreases decreased rise rises rose fall falls fell grow grows grew shrink
    shrinks shrank better worse always all some few many likely unlikely possible impossible safe unsafe""".split()
)


def pairs(old: Sequence[Any], new: Sequence[Any]) -> dict[int, int]:
    """Place in `new` → place in `old` of the same insight: same evidence first, then near-same text; each is used once."""
    found: dict[int, int] = {}
    scored = [
        (likeness, -i, -j) for i, one in enumerate(new) for j, other in enumerate(old) if (likeness := _likeness(other, one)) >= NEAR_SAME
    ]
    for _, i, j in sorted(scored, reverse=True):
        if -i not in found and -j not in found.values():
            found[-i] = -j
    return found


def same_statement(one: Any, other: Any) -> bool:
    """Whether two insights say the same as far as numbers and words that turn a statement round tell: then either's words may stand for the other's."""
    return _figures(_text(one)) == _figures(_text(other))


def kept(old: Sequence[Any], new: Sequence[Mapping[str, Any]], noise: float, untouchable: frozenset[int] = frozenset()) -> list[Any]:
    """`new` with the words, the order and the scores of `old` wherever an insight is the same one.

    Matched insights come first, in their old order and in their old words; a score is replaced where it moved by `noise` or more. The others
    follow in their own order. Insights of `new` at the places in `untouchable` (with findings that a person must see) stay as they are.
    """
    twins = {place: twin for place, twin in pairs(old, new).items() if place not in untouchable and same_statement(old[twin], new[place])}
    first = sorted(twins, key=lambda place: twins[place])
    return [
        *(_settled(old[twins[place]], new[place], noise) for place in first),
        *(insight for place, insight in enumerate(new) if place not in twins),
    ]


def order_kept(old: Sequence[Any], new: Sequence[Mapping[str, Any]], untouchable: frozenset[int] = frozenset()) -> list[int]:
    """Where each insight of `kept` stood in `new`."""
    twins = {place: twin for place, twin in pairs(old, new).items() if place not in untouchable and same_statement(old[twin], new[place])}
    return [*sorted(twins, key=lambda place: twins[place]), *(place for place in range(len(new)) if place not in twins)]


def _settled(old: Mapping[str, Any], new: Mapping[str, Any], noise: float) -> dict[str, Any]:
    settled = dict(old)
    # Evidence that was not found again verbatim is replaced by what the page says now.
    if _plain(str(old.get("evidence", ""))) != _plain(str(new.get("evidence", ""))):
        settled["evidence"] = new.get("evidence")
    for score in SCORES:
        before, now = old.get(score), new.get(score)
        if now is not None and not within(before, now, noise):
            settled[score] = now
    return settled


def within(old: Any, new: Any, noise: float) -> bool:
    """Whether both are numbers less than `noise` apart."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
    # Decimals are compared as they are written: 4.5 and 4.8 are 0.3 apart, not 0.2999….
    return numbers and round(abs(old - new), 6) < noise


def _likeness(one: Any, other: Any) -> float:
    """1 for the same evidence, else the share of words in common (Dice); 0 for what is no insight."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return 0.0
    evidence = _plain(str(one.get("evidence") or ""))
    if evidence and evidence == _plain(str(other.get("evidence") or "")):
        return 1.0 + _dice(_text(one), _text(other))
    return _dice(_text(one), _text(other))


def _dice(one: str, other: str) -> float:
    a, b = Counter(_WORD.findall(one)), Counter(_WORD.findall(other))
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 0.0


def _figures(text: str) -> tuple[Counter[str], Counter[str]]:
    words = _WORD.findall(text)
    numbers = Counter([*_NUMBER.findall(text), *(word for word in words if word in _NUMBER_WORDS)])
    return numbers, Counter(word for word in words if word in _TURNS or word.endswith("n't"))


def _text(insight: Mapping[str, Any]) -> str:
    return str(insight.get("text") or "").lower().replace("\\$", "$").replace("’", "'")


def _plain(text: str) -> str:
    return " ".join(text.replace("\\$", "$").split()).casefold()
