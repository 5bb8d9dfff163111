"""Which pages of a ranked list to compare next, what the answers say about its order, and the log of all answers (`cache/rankings`)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from enrich.databases import origin
from enrich.errors import os_errors
from enrich.files import LOCK_BYTES, Folders, make_folder, open_file, read_bytes
from enrich.runs.results import write_whole
from enrich.stages.importance import Comparisons, Pair
from enrich.stages.pairwise import Insertion, Preferences
from enrich.wiki.rankings import score

# How far a page's earlier place moves its first score: less than a few answers do.
_TRUST = 0.7


class ComparisonLog:
    """The answers about one list, one JSON line each, in the order in which they came: nothing that was answered is asked again.

    A line carries a hash of itself and of this very file (`databases.origin`): answers that came with a clone are not believed.
    """

    def __init__(self, file: Path, within: Folders | None = None) -> None:
        self._file, self._within = file, within

    def read(self, comparisons: Comparisons) -> Iterator[tuple[Pair, bool]]:
        """(pair, whether A came first) of the answers to questions as they are asked now: of the same texts, prompt and model."""
        try:
            raw = read_bytes(self._file, self._within, LOCK_BYTES)
        except OSError:
            return
        seal_key = origin(self._file)
        for row in raw.split(b"\n"):
            body, _, seal = row.rpartition(b" ")
            if not body or seal != _seal(body, seal_key):
                continue
            a, b, first, key = json.loads(body)
            pair = Pair(a, b)
            if a in comparisons.pages and b in comparisons.pages and comparisons.key(pair) == key:
                yield pair, first

    def append(self, comparisons: Comparisons, answers: Mapping[Pair, bool]) -> None:
        """Keep these answers, safe from the end of this process. Raises `UserError` if they cannot be written."""
        with os_errors("answers cannot be kept", self._file, "make room or make it writable"):
            make_folder(self._file.parent, self._within)
            handle = open_file(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, self._within)
            with os.fdopen(handle, "ab", buffering=0) as stream:
                key = origin(self._file)
                bodies = [json.dumps([pair.a, pair.b, first, comparisons.key(pair)]).encode() for pair, first in answers.items()]
                # A line that was cut off ends at this newline.
                write_whole(stream, b"\n" + b"".join(body + b" " + _seal(body, key) + b"\n" for body in bodies))


def _seal(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=12, key=key).hexdigest().encode()


def _oriented(a: str, b: str, seen: set[Pair], random: Random) -> Pair:
    """The pair in an order that was not asked about, else in either one: models prefer what comes first."""
    pair, turned = Pair(a, b), Pair(b, a)
    return turned if pair in seen or (turned not in seen and random.random() < 0.5) else pair


class WholeList:
    """Ranks all pages of a list; ids in `fixed` (without a page, or placed by a person) keep their place in `before`."""

    def __init__(self, ids: Sequence[str], before: Sequence[str], fixed: Iterable[str], starts: Mapping[str, float], per_page: int) -> None:
        kept = set(fixed)
        self._ids = [page for page in ids if page not in kept]
        self._fixed = [(place, page) for place, page in enumerate(before) if page in kept]
        self._places = {page: place for place, page in enumerate(self._ids)}
        self.limit = per_page * len(self._ids)
        self.preferences = Preferences(len(self._ids), [_TRUST * starts.get(page, 0.0) for page in self._ids])
        self._seen: set[Pair] = set()

    def next_pairs(self) -> list[Pair]:
        """The next questions, which do not depend on each other's answers; [] if no more are wanted."""
        missing = self.missing()
        if missing <= 0:
            return []
        self.preferences.update()
        # Seeded: the same answers give the same questions.
        random = Random(f"{len(self.preferences)} {len(self._seen)}")
        pairs = self.preferences.pairs(random)[:missing]
        return [_oriented(self._ids[one], self._ids[other], self._seen, random) for one, other in pairs]

    def hear(self, pair: Pair, first: bool) -> None:
        """Take in an answer: whether A comes first."""
        if pair.a in self._places and pair.b in self._places and pair not in self._seen:
            self._seen.add(pair)
            winner, loser = (pair.a, pair.b) if first else (pair.b, pair.a)
            self.preferences.add(self._places[winner], self._places[loser])

    def fail(self, pair: Pair) -> None:
        """Take note that a question has no usable answer."""
        self._seen.add(pair)
        places = sorted((self._places[pair.a], self._places[pair.b]))
        self.preferences.asked[places[0], places[1]] += 1

    def missing(self) -> int:
        """How many more answers are wanted."""
        return self.limit - len(self.preferences) if len(self._ids) > 1 else 0

    def order(self) -> list[str]:
        """All ids of the list, best first."""
        self.preferences.update(last=True)
        found = [self._ids[item] for item in self.preferences.order()]
        for place, page in self._fixed:
            found.insert(place, page)
        return found

    def sureness(self, above: str, below: str) -> float | None:
        """The probability that the first page belongs above the second; None if it is not known."""
        if above not in self._places or below not in self._places:
            return None
        return self.preferences.above(self._places[above], self._places[below])


class Insertions:
    """Puts `new` pages into a list whose own order stays as it is; only its pages in `known` can be compared."""

    def __init__(self, new: Sequence[str], before: Sequence[str], known: Iterable[str], per_page: int) -> None:
        self._before = [page for page in before if page not in set(new)]
        comparable = set(known)
        self._opponents = [page for page in self._before if page in comparable]
        self._places = {page: place for place, page in enumerate(self._opponents)}
        self._new = {page: Insertion(len(self._opponents)) for page in new}
        self._per_page = per_page
        self._seen: set[Pair] = set()

    def next_pairs(self) -> list[Pair]:
        found = []
        for page, insertion in self._new.items():
            place = insertion.opponent() if insertion.asked.total() < self._per_page else None
            if place is not None:
                found.append(_oriented(page, self._opponents[place], self._seen, Random(f"{page} {place}")))
        return found

    def hear(self, pair: Pair, first: bool) -> None:
        new, other, won = (pair.a, pair.b, first) if pair.a in self._new else (pair.b, pair.a, not first)
        if new in self._new and other in self._places and pair not in self._seen:
            self._seen.add(pair)
            self._new[new].add(self._places[other], won=won)

    def fail(self, pair: Pair) -> None:
        self._seen.add(pair)
        new, other = (pair.a, pair.b) if pair.a in self._new else (pair.b, pair.a)
        self._new[new].asked[self._places[other]] += 1

    def missing(self) -> int:
        most = min(self._per_page, 2 * len(self._opponents))
        return sum(max(0, most - insertion.asked.total()) for insertion in self._new.values())

    def order(self) -> list[str]:
        found = list(self._before)
        # From the end, so that places above stay right; ids without a page stay above the page that they were above.
        for page, insertion in sorted(self._new.items(), key=lambda item: -item[1].place()):
            place = insertion.place()
            found.insert(found.index(self._opponents[place]) if place < len(self._opponents) else len(found), page)
        return found


Work = WholeList | Insertions
"""A ranking under way. Both say what to ask next, and what order the answers make."""


def starting_scores(order: Sequence[str], scores: Mapping[str, float]) -> dict[str, float]:
    """First scores between -1 and 1: by the places in `order`, and for other pages by their importance from 0 to 100."""
    starts = {page: max(-1.0, min(1.0, (value - 50) / 45)) for page, value in scores.items()}
    return starts | {page: (score(place, len(order)) - 50) / 45 for place, page in enumerate(order)}
