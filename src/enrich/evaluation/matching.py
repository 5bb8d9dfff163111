"""Which insights of two lists say the same, whoever worded them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from enrich.evaluation.answer_sets import Insight
from enrich.grounding import normalise
from enrich.stages.baseline_text import terms, words_of

SAME_STATEMENT = 0.4
"""Two texts are one statement from this share of shared terms (Dice) on. Of 982 pairs of different stored insights of one page in the
reference wiki's sample 21 reach it; read by hand, nearly all of these say the same twice. The median pair has 0.06."""


def likeness(one: Insight, other: Insight) -> float:
    """0 to 1 by the terms they share (Dice); 1 more where both give the same evidence."""
    same_evidence = bool(one.evidence) and normalise(one.evidence).casefold() == normalise(other.evidence).casefold()
    return _shared(one.text, other.text) + same_evidence


def matches(ones: Sequence[Insight], others: Sequence[Insight]) -> list[tuple[int, int]]:
    """(place in `ones`, place in `others`) of the same statements, likest first taken; each is used once. In the order of `ones`."""
    scored = sorted(
        (
            (-value, i, j)
            for i, one in enumerate(ones)
            for j, other in enumerate(others)
            if (value := likeness(one, other)) >= SAME_STATEMENT
        ),
    )
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in scored:
        if i not in found and j not in taken:
            found[i] = j
            taken.add(j)
    return sorted(found.items())


def repeated(insights: Sequence[Insight]) -> list[bool]:
    """For each insight, whether one before it says the same."""
    return [any(_shared(one.text, earlier.text) >= SAME_STATEMENT for earlier in insights[:place]) for place, one in enumerate(insights)]


def _shared(one: str, other: str) -> float:
    a, b = _terms(one), _terms(other)
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else float(one == other)


@lru_cache(maxsize=4096)
def _terms(text: str) -> frozenset[str]:
    return terms(words_of(text))
