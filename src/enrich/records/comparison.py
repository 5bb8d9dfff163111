"""Redundancy from build to build: after a few edits only the pages they concern are compared again, with the same result as all over.

A page's kept list is complete in what it leaves out: whatever is not on a list of five is not nearer than its last. So an edited page is
compared with everybody, a page that had an edited or removed one on its full list too, and every other page only gains or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enrich.records.redundancy import KEPT, LEAST, MIN_WORDS, NONE, WORD_WEIGHT, Redundancy, Similar, redundancy
from enrich.records.tokens import count_long, unpack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Comparing row by row pays while the rows are few: above this share of the pages, all pairs at once are quicker.
_FEW = 0.05
_FEW_LEAST = 4

Words = Callable[[int], bytes]  # the packed words of the page at a place


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a build compared and found: per page what its words and its group (content format) are known by, and its redundancy."""

    states: tuple[tuple[str, str], ...]
    found: tuple[Redundancy, ...]

    def to_json(self) -> Any:
        rows = [[one.maximum, [[near.place, near.similarity] for near in one.similar]] for one in self.found]
        return [[list(state) for state in self.states], rows]

    @classmethod
    def from_json(cls, value: Any) -> Comparison:
        """The comparison that `to_json` gave. Raises `TypeError` or `ValueError` for anything else."""
        states, rows = value
        found = tuple(
            Redundancy(int(maximum), tuple(Similar(int(place), int(near)) for place, near in similar)) for maximum, similar in rows
        )
        if len(found) != len(states):
            raise ValueError("a redundancy a page is missing")
        return cls(tuple((str(words), str(group)) for words, group in states), found)


def compare(
    states: Sequence[tuple[str, str]], words: Words, before: Comparison | None, progress: Callable[[int, int], None] | None = None
) -> Comparison:
    """The redundancy of all pages: from `before` where it says all, by the pages that changed where they are few, else from the start."""
    if before is not None:
        if before.states == tuple(states):
            return before
        found = _after_few_edits(states, words, before)
        if found is not None:
            return Comparison(tuple(states), tuple(found))
    groups = [group for _, group in states]
    return Comparison(tuple(states), tuple(redundancy((words(place) for place in range(len(states))), groups, progress)))


def _after_few_edits(states: Sequence[tuple[str, str]], words: Words, before: Comparison) -> list[Redundancy] | None:
    """The redundancy by way of the earlier one; None where too much changed, or the order of the pages did."""
    moved = _moves(before.states, states)
    standing = [place for place in moved if place is not None]
    if standing != sorted(standing):
        return None
    edited = sorted(set(range(len(states))).difference(standing))
    few = max(_FEW_LEAST, int(_FEW * len(states)))
    if len(edited) > few:
        return None
    found: list[Redundancy] = [NONE] * len(states)
    lost = []
    for old, new in enumerate(moved):
        if new is None:
            continue
        kept = [(moved[one.place], one.similarity) for one in before.found[old].similar]
        if len(kept) == KEPT and any(place is None for place, _ in kept):
            lost.append(new)
        else:
            found[new] = _best([(place, similarity) for place, similarity in kept if place is not None])
    if len(edited) + len(lost) > few:
        return None
    rows = edited + lost
    if rows:
        _renew(found, rows, len(edited), [group for _, group in states], words)
    return found


def _moves(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> list[int | None]:
    """Where each old page stands now; None for one that is gone. Pages of equal words keep their order."""
    places: dict[tuple[str, str], list[int]] = {}
    for place in range(len(new) - 1, -1, -1):
        places.setdefault(new[place], []).append(place)
    return [waiting.pop() if (waiting := places.get(state)) else None for state in old]


def _renew(found: list[Redundancy], rows: list[int], edited: int, groups: Sequence[str], words: Words) -> None:
    """Compares the pages at `rows` with all of their groups; the first `edited` of them are news to the others, too."""
    import numpy as np

    mine = [_Page.of(words(place)) for place in rows]
    long, runs = _Index.of([page.words for page in mine]), _Index.of([page.runs for page in mine])
    near: list[list[tuple[int, int]]] = [[] for _ in rows]
    is_row = set(rows)
    wanted = {groups[place] for place in rows}
    row_groups = np.array([groups[place] for place in rows])
    long_counts, run_counts = (
        np.array([len(part) for part in parts], float) for parts in ([p.words for p in mine], [p.runs for p in mine])
    )
    takes_part = np.array([page.takes_part for page in mine])
    for place, group in enumerate(groups):
        if group not in wanted:
            continue
        packed = words(place)
        if count_long(packed) <= MIN_WORDS:
            continue
        page = _Page.of(packed)
        similarity = np.maximum(
            WORD_WEIGHT * _jaccard(long.shared(page.words), long_counts, len(page.words)),
            _jaccard(runs.shared(page.runs), run_counts, len(page.runs)),
        )
        news = []
        for row in np.flatnonzero((similarity >= LEAST) & takes_part & (row_groups == group)).tolist():
            if rows[row] != place:
                percent = math.floor(100 * float(similarity[row]) + 0.5)
                near[row].append((place, percent))
                if row < edited:
                    news.append((rows[row], percent))
        if news and place not in is_row:
            found[place] = _best([*((one.place, one.similarity) for one in found[place].similar), *news])
    for row, place in enumerate(rows):
        found[place] = _best(near[row])


@dataclass(frozen=True, slots=True)
class _Page:
    words: NDArray[np.uint64]
    runs: NDArray[np.uint64]
    takes_part: bool

    @classmethod
    def of(cls, packed: bytes) -> _Page:
        return cls(*unpack(packed), count_long(packed) > MIN_WORDS)


@dataclass(frozen=True, slots=True)
class _Index:
    """Which of a few pages hold each of their members: `members` sorted, `holders` members × pages as 0/1."""

    members: NDArray[np.uint64]
    holders: NDArray[np.uint8]

    @classmethod
    def of(cls, pages: Sequence[NDArray[np.uint64]]) -> _Index:
        import numpy as np

        members = np.unique(np.concatenate(pages))
        holders = np.zeros((len(members) + 1, len(pages)), np.uint8)  # the last row is for what is none of theirs
        for column, page in enumerate(pages):
            holders[np.searchsorted(members, page), column] = 1
        return cls(members, holders)

    def shared(self, page: NDArray[np.uint64]) -> NDArray[np.float64]:
        """How many members each of the few pages shares with this one."""
        import numpy as np

        at = np.searchsorted(self.members, page)
        known = at < len(self.members)
        known[known] = self.members[at[known]] == page[known]
        counts: NDArray[np.float64] = self.holders[at[known]].sum(axis=0, dtype=np.int64).astype(float)
        return counts


def _jaccard(shared: NDArray[np.float64], sizes: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    import numpy as np

    union = sizes + size - shared
    quotient: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return quotient


def _best(near: list[tuple[int, int]]) -> Redundancy:
    """The five best of these (place, similarity), ties in page order."""
    ordered = sorted(near, key=lambda one: (-one[1], one[0]))[:KEPT]
    return Redundancy(ordered[0][1], tuple(Similar(*one) for one in ordered)) if ordered else NONE
