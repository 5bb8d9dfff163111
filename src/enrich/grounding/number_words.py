"""Numbers in English words: `three`, `twenty-five`, `one hundred and twenty thousand`, `two-thirds`, `tenfold`, `twice`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_SMALL = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen":
    18, "nineteen": 19,
}  # fmt: skip
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4, "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6,
          "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10}  # fmt: skip
# `first` and `second` order sentences more often than things.
_ORDINALS = {"third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10}
# Idioms of multiplication. On a page they support a factor; in an answer they are not checked, for they round by nature.
_FACTORS = {"twice": 2, "double": 2, "doubles": 2, "doubled": 2, "doubling": 2, "thrice": 3, "triple": 3, "triples": 3, "tripled": 3,
            "tripling": 3, "quadruple": 4, "quadrupled": 4, "quadrupling": 4}  # fmt: skip
_FOLDS = {f"{word}fold": value for word, value in (*_SMALL.items(), *_TENS.items(), ("hundred", 100), ("thousand", 1000)) if value > 1}
_NAMES = {**_SMALL, **_TENS, **SCALES, "dozen": 12}

_ALL = sorted({*_NAMES, *_PARTS, *_ORDINALS, *_FACTORS, *_FOLDS}, key=len, reverse=True)
_WORD = re.compile(r"(?<![\w'])(?:" + "|".join(_ALL) + r")(?![\w'])", re.IGNORECASE)
_WORDS = frozenset(_ALL)
_LETTERS = re.compile(r"[a-z]+")
_GAP = re.compile(r"(?: |-|\n)(?:and )?\Z")


@dataclass(frozen=True, slots=True)
class WordNumber:
    """A number in words: where it stands, its value, and what it is: `count`, `part`, `factor`, `idiom` (loose factor), `ordinal`."""

    start: int
    end: int
    value: Decimal
    what: str


def word_numbers(text: str) -> Iterator[WordNumber]:
    """The numbers in words, in order. A bare `one` may be a pronoun: that is left to the caller; a bare `hundred` or `million` is none.

    >>> [(str(n.value), n.what) for n in word_numbers("Twenty-five of one hundred and two labs, tenfold")]
    [('25', 'count'), ('102', 'count'), ('10', 'factor')]
    """
    if _WORDS.isdisjoint(_LETTERS.findall(text.lower())):
        return
    group: list[tuple[int, int, str]] = []
    for found in _WORD.finditer(text):
        word = found[0].lower()
        if group and _GAP.fullmatch(text, group[-1][1], found.start()) and _follows(group[-1][2], word, text[group[-1][1] : found.start()]):
            group.append((found.start(), found.end(), word))
            continue
        yield from _read(text, group)
        group = [(found.start(), found.end(), word)]
    yield from _read(text, group)


def leading_words(value: Decimal) -> tuple[str, ...]:
    """Words with which this value can begin when written out, in lower case: to find lines worth parsing."""
    found: list[str] = []
    if value == value.to_integral_value() and 0 <= value < Decimal(10) ** 15:
        digits = str(int(value))
        head = int(digits[: (len(digits) - 1) % 3 + 1])
        if head >= 100:
            head //= 100
        elif head >= 20:
            head -= head % 10
        found += [word for word, one in (*_SMALL.items(), *_TENS.items()) if one == head]
        found += [word for word, one in _FACTORS.items() if one == value]
        found += [word for word, one in _ORDINALS.items() if one == value]
        if value == 12:
            found.append("dozen")
        if value in SCALES.values():
            found += [word for word, one in SCALES.items() if one == value]
    elif 0 < value < 1:
        found += ["third", "quarter", "fifth", "fourth", "two", "three", "four", "one"]
    return tuple(found)


def _follows(last: str, word: str, gap: str) -> bool:
    """Whether `word` goes on with the number that `last` ends."""
    if word in _PARTS and word not in _NAMES:
        return last in _SMALL and "and" not in gap and (word.endswith("s") or last == "one")
    if word in SCALES:
        return "and" not in gap
    if last in SCALES:
        return word in _SMALL or word in _TENS
    return last in _TENS and word in _SMALL and 0 < _SMALL[word] < 10 and "and" not in gap


def _read(text: str, group: list[tuple[int, int, str]]) -> Iterator[WordNumber]:
    if not group:
        return
    start, end = group[0][0], group[-1][1]
    words = [word for _, _, word in group]
    last = words[-1]
    if len(words) > 1 and last in _PARTS:
        yield WordNumber(start, end, _value(words[:-1]) / _PARTS[last], "part")
    elif last in _FOLDS:
        yield WordNumber(start, end, Decimal(_FOLDS[last]), "factor")
    elif last in _FACTORS:
        yield WordNumber(start, end, Decimal(_FACTORS[last]), "idiom")
    elif last in _PARTS or last in _ORDINALS:
        if text[max(0, start - 2) : start].lower() == "a " and text[end : end + 4] == " of " and last in _PARTS:
            yield WordNumber(start - 2, end, Decimal(1) / _PARTS[last], "part")
        elif last in _ORDINALS:
            yield WordNumber(start, end, Decimal(_ORDINALS[last]), "ordinal")
    elif words[0] in SCALES or words[0] == "dozen":
        before = re.search(r"(?<!\w)(?:an?|half an?|per|one) \Z", text[max(0, start - 8) : start], re.IGNORECASE)
        if before and before[0].lower().startswith("a"):
            yield WordNumber(start - 2, end, _value(words), "count")
    else:
        yield WordNumber(start, end, _value(words), "count")


def _value(words: list[str]) -> Decimal:
    total = current = 0
    for word in words:
        if word == "hundred":
            current = max(current, 1) * 100
        elif word == "dozen":
            current = max(current, 1) * 12
        elif word in SCALES:
            total += max(current, 1) * SCALES[word]
            current = 0
        else:
            current += _NAMES[word]
    return Decimal(total + current)
