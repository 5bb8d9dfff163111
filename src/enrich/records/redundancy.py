"""How much pages repeat each other: every pair of pages of one content format, exactly (FIELDS.md section 7).

similarity = max(Jaccard of runs of five words, 0.8 · Jaccard of long words). Both need how many members two pages share. Words on many
pages are counted by products of dense 0/1 matrices (float32 holds such counts exactly), the rest and the runs by sparse ones; a run on one
page only is shared by nobody and left out. The similarity itself is reckoned in double precision. Pages are taken a strip of rows at a time
against those at or after it, so memory grows with the wiki's words and not with its pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enrich.records.tokens import count_long, unpack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_WORDS = 10  # a page with no more long words than this takes no part
WORD_WEIGHT = 0.8
LEAST = 0.10  # pairs below are not kept
KEPT = 5

# Above this share of the pages a word is cheaper in the dense product than in the sparse one (measured at 5,600 pages: 0.05 to 0.1 is flat).
_FREQUENT = 0.06
_FREQUENT_LEAST = 8
_STRIP = 512
_TILE = 4096
_SLABS = 8  # how often the sparse right side is cut down to the pages still to come
_PARTS = 16  # the runs are sorted in so many parts of their range, so that all of them never stand in memory twice


@dataclass(frozen=True, slots=True)
class Similar:
    """`similarity` of 1 to 100 to the page at `place` in the given order."""

    place: int
    similarity: int


@dataclass(frozen=True, slots=True)
class Redundancy:
    """The highest similarity of one page (0 to 100), and the pages that come nearest: at most five, best first, ties in page order."""

    maximum: int
    similar: tuple[Similar, ...]


NONE = Redundancy(0, ())


def redundancy(
    pages: Iterable[bytes], groups: Sequence[str], progress: Callable[[int, int], None] | None = None, *, strip: int = _STRIP
) -> list[Redundancy]:
    """The redundancy of each page: `pages` are packed words (`records.tokens.pack`); only pages of equal group (format) are compared."""
    found = [NONE] * len(groups)
    taking_part: dict[str, _Unpacked] = {}
    for place, (packed, group) in enumerate(zip(pages, groups, strict=True)):
        if count_long(packed) > MIN_WORDS:
            taking_part.setdefault(group, _Unpacked()).add(place, packed)
    total, done = sum(len(unpacked.places) for unpacked in taking_part.values()), 0
    for unpacked in taking_part.values():
        places = unpacked.places
        if len(places) > 1:

            def step(count: int, before: int = done) -> None:
                if progress is not None:
                    progress(before + count, total)

            for place, result in zip(places, _group(unpacked, step, strip), strict=True):
                found[place] = Redundancy(result.maximum, tuple(Similar(places[one.place], one.similarity) for one in result.similar))
        done += len(places)
    return found


class _Unpacked:
    """The pages of one group: their places in the given order, and the sorted hashes of their words and runs."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.words: list[NDArray[np.uint64]] = []
        self.runs: list[NDArray[np.uint64]] = []

    def add(self, place: int, packed: bytes) -> None:
        words, runs = unpack(packed)
        self.places.append(place)
        self.words.append(words)
        self.runs.append(runs)


def _group(pages: _Unpacked, step: Callable[[int], None], strip: int) -> list[Redundancy]:
    import numpy as np

    n = len(pages.places)
    words = _number(pages.words, 1)
    pages.words.clear()
    runs = _number(pages.runs, _PARTS)
    pages.runs.clear()
    dense, rare = _split_by_frequency(words, n)
    word_counts, run_counts = words.sizes.astype(np.float64), runs.sizes.astype(np.float64)
    shared_runs = runs.only_shared()
    del words, runs
    best = np.full((n, KEPT), -1, np.int64)  # similarity · n + (n - 1 - place): larger is better, ties to the earlier page
    highest = np.zeros(n, np.float64)
    products = _sparse_products(rare, shared_runs, n, strip)
    for start, rare_counts, shared in products:
        stop = min(n, start + strip)
        left = dense[start:stop].astype(np.float32)
        for low in range(start, n, _TILE):
            high = min(n, low + _TILE)
            both = (left @ dense[low:high].astype(np.float32).T).astype(np.float64)
            both += rare_counts[:, low - start : high - start]
            similarity = both / (word_counts[start:stop, None] + word_counts[None, low:high] - both)
            similarity *= WORD_WEIGHT
            here = shared[:, low - start : high - start].tocoo()
            if here.nnz:
                _raise_by_runs(similarity, here, run_counts[start:stop], run_counts[low:high])
            if low < stop:  # a page is not compared with itself, and each pair once
                similarity[np.arange(low, high)[None, :] <= np.arange(start, stop)[:, None]] = 0.0
            similarity[similarity < LEAST] = 0.0
            np.maximum(highest[start:stop], similarity.max(axis=1), out=highest[start:stop])
            np.maximum(highest[low:high], similarity.max(axis=0), out=highest[low:high])
            similarity *= 100
            similarity += 0.5
            _keep_best(best, similarity.astype(np.int32), start, low)
        step(stop)
    return [_result(row, top, n) for row, top in zip(best.tolist(), highest.tolist(), strict=True)]


def _sparse_products(rare: Any, runs: Any, n: int, strip: int) -> Iterator[tuple[int, NDArray[np.int32], Any]]:
    """(first row, dense counts of shared rare words, sparse counts of shared runs) of each strip against the pages from its first row on.

    The next strip is worked out by a second thread while the present one is used; scipy lets go of the interpreter for it.
    """
    slab = max(strip, -(-n // _SLABS // strip) * strip)
    first, rare_right, run_right = 0, None, None

    def product(start: int) -> tuple[int, NDArray[np.int32], Any]:
        nonlocal first, rare_right, run_right
        if start % slab == 0:
            first, rare_right, run_right = start, rare[start:].T.tocsr(), runs[start:].T.tocsr()
        rows = slice(start, min(n, start + strip))
        return start, (rare[rows] @ rare_right).toarray()[:, start - first :], (runs[rows] @ run_right).tocsc()[:, start - first :]

    with ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(product, 0)
        for start in range(strip, n, strip):
            ready, waiting = waiting.result(), ahead.submit(product, start)
            yield ready
        yield waiting.result()


def _raise_by_runs(similarity: NDArray[np.float64], shared: Any, left: NDArray[np.float64], right: NDArray[np.float64]) -> None:
    """The larger of the two similarities where two pages share a run."""
    import numpy as np

    count = shared.data.astype(np.float64)
    by_runs = count / (left[shared.row] + right[shared.col] - count)
    similarity[shared.row, shared.col] = np.maximum(similarity[shared.row, shared.col], by_runs)


def _keep_best(best: NDArray[np.int64], percent: NDArray[np.int32], start: int, low: int) -> None:
    """Merges one tile of rounded similarities, rows from `start` and columns from `low`, into the best of its rows and of its columns."""
    import numpy as np

    n = len(best)
    stop, high = start + percent.shape[0], low + percent.shape[1]
    for mine, others, table in (((start, stop), (low, high), percent), ((low, high), (start, stop), np.ascontiguousarray(percent.T))):
        # Only rows with something that may beat their fifth.
        hopeful = np.flatnonzero(table.max(axis=1) >= np.maximum(best[mine[0] : mine[1], 0] // n, 1))
        if not len(hopeful):
            continue
        key = table[hopeful].astype(np.int64) * n + (n - 1 - np.arange(others[0], others[1]))[None, :]
        key[key < n] = -1
        if key.shape[1] > KEPT:
            key.partition(key.shape[1] - KEPT, axis=1)
            key = key[:, -KEPT:]
        merged = np.concatenate([best[hopeful + mine[0]], key], axis=1)
        merged.sort(axis=1)
        best[hopeful + mine[0]] = merged[:, -KEPT:]


def _result(row: list[int], highest: float, n: int) -> Redundancy:
    similar = tuple(Similar(n - 1 - key % n, key // n) for key in reversed(row) if key >= 0)
    return Redundancy(math.floor(100 * highest + 0.5), similar)


@dataclass(frozen=True, slots=True)
class _Members:
    """Which members (words or runs, numbered from 0) each page has: `ids` page after page, `sizes` of all distinct members of each page
    (also of those that are not in `ids`), `starts` into `ids`, `many` different ids."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    many: int

    def matrix(self, ids: NDArray[np.int32], starts: NDArray[np.int64], many: int) -> Any:
        import numpy as np
        from scipy import sparse

        return sparse.csr_matrix((np.ones(len(ids), np.int32), ids, starts), shape=(len(starts) - 1, max(many, 1)))

    def only_shared(self) -> Any:
        return self.matrix(self.ids, self.starts, self.many)


def _number(pages: list[NDArray[np.uint64]], parts: int) -> _Members:
    """The hashes that stand on two pages or more, numbered; worked off in `parts` of the range of hashes to bound memory."""
    import numpy as np

    n = len(pages)
    sizes = np.array([len(page) for page in pages], np.int64)
    edges = [np.uint64(part * 2**64 // parts) for part in range(parts)]
    cuts = np.array([[*np.searchsorted(page, np.array(edges, np.uint64)), len(page)] for page in pages], np.int64).reshape(n, parts + 1)
    owners: list[NDArray[np.int32]] = []
    numbers: list[NDArray[np.int32]] = []
    many = 0
    for part in range(parts):
        everything = np.concatenate([page[cuts[place, part] : cuts[place, part + 1]] for place, page in enumerate(pages)])
        ordered = np.sort(everything)
        twice = ordered[:-1][ordered[1:] == ordered[:-1]]
        twice = twice[np.concatenate([[True], twice[1:] != twice[:-1]])] if len(twice) else twice
        del ordered
        if not len(twice):
            continue
        at = np.minimum(np.searchsorted(twice, everything), len(twice) - 1).astype(np.int32)
        shared = twice[at] == everything
        owners.append(np.repeat(np.arange(n, dtype=np.int32), cuts[:, part + 1] - cuts[:, part])[shared])
        numbers.append(at[shared] + np.int32(many))
        many += len(twice)
    owner = np.concatenate([np.zeros(0, np.int32), *owners])
    ids = np.concatenate([np.zeros(0, np.int32), *numbers])
    if len(owners) > 1:
        order = np.argsort(owner, kind="stable")
        owner, ids = owner[order], ids[order]
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))]).astype(np.int64)
    return _Members(ids, starts, sizes, many)


def _split_by_frequency(words: _Members, n: int) -> tuple[NDArray[np.uint8], Any]:
    """(pages × frequent words as 0/1 bytes, pages × rarer words as a sparse matrix)."""
    import numpy as np

    pages_of = np.bincount(words.ids, minlength=max(words.many, 1))
    frequent = pages_of > max(_FREQUENT_LEAST, _FREQUENT * n)
    new_id = np.where(frequent, np.cumsum(frequent) - 1, np.cumsum(~frequent) - 1).astype(np.int32)
    owner = np.repeat(np.arange(n), np.diff(words.starts))
    is_frequent = frequent[words.ids]
    dense = np.zeros((n, int(frequent.sum())), np.uint8)
    dense[owner[is_frequent], new_id[words.ids[is_frequent]]] = 1
    rare_owner = owner[~is_frequent]
    starts = np.concatenate([[0], np.cumsum(np.bincount(rare_owner, minlength=n))]).astype(np.int64)
    return dense, words.matrix(new_id[words.ids[~is_frequent]], starts, int((~frequent).sum()))
