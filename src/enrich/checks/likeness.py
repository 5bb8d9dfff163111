"""Which texts say nearly the same: the Jaccard index of their word pairs (FIELDS.md section 11), without comparing all with all.

Two sets with a Jaccard index of at least t share an element among the rarest |x| - ceil(t·|x|) + 1 of each (prefix filtering: Bayardo, Ma
and Srikant, "Scaling up all pairs similarity search", WWW 2007). So each text is compared with the few that share one of its rare word
pairs, and the result is exact.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

_WORD = re.compile(r"\w+")


def word_pairs(text: str) -> frozenset[tuple[str, ...]]:
    """The pairs of neighbouring words longer than two letters, in lower case; a single word stands for itself."""
    words = [word for word in _WORD.findall(text.lower()) if len(word) > 2]
    return frozenset([(words[0],)]) if len(words) == 1 else frozenset(pairwise(words))


def near_duplicates(texts: Sequence[str], threshold: float) -> Iterator[tuple[int, int, float]]:
    """(i, j, similarity) with i < j for all pairs at or above `threshold` (above 0, up to 1), by j, then i.

    Texts without a word take no part.
    """
    sets = [word_pairs(text) for text in texts]
    frequency = Counter(pair for pairs in sets for pair in pairs)
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for j, pairs in enumerate(sets):
        if not pairs:
            continue
        # The tiny slack keeps 0.7 · 10 from asking for 8 of 10.
        prefix = len(pairs) - math.ceil(threshold * len(pairs) - 1e-9) + 1
        rare = sorted(pairs, key=lambda pair: (frequency[pair], pair))[:prefix]
        for i in sorted({i for pair in rare for i in holders[pair]}):
            shared = len(sets[i] & pairs)
            similarity = shared / (len(sets[i]) + len(pairs) - shared)
            if similarity >= threshold:
                yield i, j, similarity
        for pair in rare:
            holders[pair].append(j)
