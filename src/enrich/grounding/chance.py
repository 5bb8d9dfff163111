"""What the absence of a finding is worth on one page: how many wrong numbers and names the page-wide check lets pass.

A page that is dense with numbers states nearly every small one somewhere, so a wrong one is found there as well. Quotes narrow that down.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING

from enrich.grounding.names import WRONG_NAMES
from enrich.grounding.quantities import Quantity, quantities

if TYPE_CHECKING:
    from enrich.grounding.page import PageIndex

# A share of 20 has a standard error of at most 11 percentage points. More take longer than a reader of one page should notice.
_NUMBERS = 20
_KINDS = ("number", "small", "year", "percent", "points", "currency", "factor", "unit")
_LONGEST = 20  # characters
# A line of many numbers is one place of the page, and a page of few numbers is asked about them several times.
_OF_A_LINE, _ROUNDS = 3, 8
# What a page without numbers is asked about.
_USUAL = "12 sites, 1987, 37%, $4.2 million"
# In front of each value, because a phrase that is on the page word for word counts as copied, as `7%` in `37%`.
_FRONT = "zz "
# How far a wrong year is from the right one.
_YEARS = 20


@dataclass(frozen=True, slots=True)
class Chance:
    """How many of so many wrong numbers and names pass the page-wide check, that is, have no hard finding."""

    numbers: int
    of_numbers: int
    names: int
    of_names: int

    def __str__(self) -> str:
        names = f"{self.names} of {self.of_names} wrong names"
        return f"on this page, {self.numbers} of {self.of_numbers} wrong numbers and {names} would pass without a quote"


def chance(index: PageIndex, seed: int) -> Chance:
    """Check wrong numbers, which are the page's own with other digits, and names of a fixed list.

    A wrong number has the kind, unit, notation and number of digits of one that is on the page; a wrong year is at most 20 years off.
    """
    draw = random.Random(seed)
    numbers = list(islice(_wrong_numbers(index, draw), _NUMBERS))
    passed = [not any(finding.severity == "hard" for finding in index.check(_FRONT + text)) for text in (*numbers, *WRONG_NAMES)]
    return Chance(sum(passed[: len(numbers)]), len(numbers), sum(passed[len(numbers) :]), len(WRONG_NAMES))


def _wrong_numbers(index: PageIndex, draw: random.Random) -> Iterator[str]:
    """Phrases of a wrong value and the noun behind it, without end, for the page's numbers in random order."""
    lines = [line.text for line in index.lines if any(map(str.isdigit, line.text))]
    draw.shuffle(lines)
    read: dict[str, list[Quantity]] = {}
    for text in chain(*repeat(lines, _ROUNDS), repeat(_USUAL)):
        if text not in read:
            found = quantities(text, index.language) if text != _USUAL else quantities(text)
            read[text] = [one for one in found if one.kind in _KINDS and len(one.text) <= _LONGEST and re.search(r"\d", one.text)]
        for one in draw.sample(read[text], min(_OF_A_LINE, len(read[text]))):
            wrong = _wrong(one, draw)
            if wrong != one.text:
                yield f"{wrong} {one.noun}".rstrip()


def _wrong(one: Quantity, draw: random.Random) -> str:
    """The quantity as it is written, with other digits."""
    if one.kind == "year" and len(one.text) == 4:
        return str(int(one.value) + draw.choice([-1, 1]) * draw.randint(1, _YEARS))
    return re.sub(r"\d", lambda found: str(draw.randint(found.start() == 0 or not one.text[found.start() - 1].isdigit(), 9)), one.text)
