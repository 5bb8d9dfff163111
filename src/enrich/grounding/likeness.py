"""Whether two insights say the same: one comparison for review, stages and evaluation, with the threshold and the measure as arguments."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

from enrich.grounding.quotes import normalise
from enrich.grounding.words import NUMBER_WORDS, TURNS, word_set

Measure = Callable[[str], Counter[str]]
"""What of a text is compared: its words, or only the terms that carry its subject."""

# Scripts without blanks between words: each character is compared.
_WIDE = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_WIDE}]|[^\W_{_WIDE}]+(?:[.,]\d+)*")
_LONG_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_TELLING = NUMBER_WORDS | TURNS | word_set("comparisons")
_CONTRACTED = re.compile(r"n't\b")


@lru_cache(maxsize=4096)
def words(text: str) -> Counter[str]:
    """The words of a text in lower case, with how often each occurs. Callers must not change the result."""
    return Counter(_WORD.findall(_plain(text)))


def likeness(one: str, other: str, measure: Measure = words) -> float:
    """0 to 1: the share of words that two texts have in common (Dice coefficient of the two multisets)."""
    a, b = measure(one), measure(other)
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else float(one == other)


def same_insights(
    ones: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]], threshold: float, measure: Measure = words
) -> dict[int, int]:
    """Place in `ones` -> place in `others` of the same insight; each place is used once.

    An insight is given as (text, evidence). Two are the same if their likeness reaches `threshold` or if they give the same evidence. Pairs
    with the same evidence are formed first, then by descending likeness; ties go to the earlier places.
    """
    proofs, other_proofs = ([normalise(evidence).casefold() for _, evidence in side] for side in (ones, others))
    scored: list[tuple[float, int, int]] = []
    for i, (text, _) in enumerate(ones):
        for j, (other, _) in enumerate(others):
            value = likeness(text, other, measure) + (proofs[i] != "" and proofs[i] == other_proofs[j])
            if value >= threshold:
                scored.append((-value, i, j))
    found: dict[int, int] = {}
    for _, i, j in sorted(scored):
        if i not in found and j not in found.values():
            found[i] = j
    return found


def same_statement(one: str, other: str, language: str = "en") -> bool:
    """Whether two texts have the same numbers, and the same words that turn a statement around.

    In other languages than English that is known only of texts with the same words.
    """
    if language != "en":
        return words(one) == words(other)
    return _figures(one) == _figures(other)


LIKE = 0.7  # FIELDS.md section 11: the share of word pairs from which two insights are near-duplicates


class NearDuplicates:
    """Texts by their word pairs, to find those that say nearly the same as another one among many thousands (FIELDS.md section 11).

    Only a part of a text's pairs is looked up: of two texts that have a share `LIKE` in common, the first few pairs in one fixed order have
    one in common too (prefix filter: Chaudhuri, Ganti and Kaushik 2006, "A primitive operator for similarity joins in data cleaning").
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._holders: dict[tuple[str, ...], list[int]] = {}

    def find(self, text: str) -> list[tuple[int, float]]:
        """(place, Jaccard index of the word pairs) of each text added so far that reaches `LIKE`, by place."""
        pairs = word_pairs(text)
        places = sorted({place for pair in _first(pairs) for place in self._holders.get(pair, ())})
        scored = ((place, word_pairs(self._texts[place])) for place in places)
        shares = [(place, len(pairs & others) / len(pairs | others)) for place, others in scored]
        return [(place, share) for place, share in shares if share >= LIKE]

    def add(self, text: str) -> list[tuple[int, float]]:
        """Add a text at the next place (from 0). Returns what `find` finds for it before."""
        found = self.find(text)
        for pair in _first(word_pairs(text)):
            self._holders.setdefault(pair, []).append(len(self._texts))
        self._texts.append(text)
        return found


def _first(pairs: frozenset[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return sorted(pairs)[: len(pairs) - math.ceil(LIKE * len(pairs) - 1e-9) + 1]


@lru_cache(maxsize=4096)
def word_pairs(text: str) -> frozenset[tuple[str, ...]]:
    """The pairs of neighbouring words longer than two letters, in lower case; of a single word, the word."""
    words = [word for word in _LONG_WORD.findall(text.lower()) if len(word) > 2]
    return frozenset([(words[0],)]) if len(words) == 1 else frozenset(pairwise(words))


def _figures(text: str) -> tuple[Counter[str], Counter[str]]:
    plain = _plain(text)
    turning = (word for word in words(text).elements() if word in _TELLING)
    return Counter(_NUMBER.findall(plain)), Counter([*turning, *_CONTRACTED.findall(plain)])


def _plain(text: str) -> str:
    return text.lower().replace("\\$", "$").replace("’", "'")
