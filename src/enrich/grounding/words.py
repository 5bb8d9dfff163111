"""English words that carry numbers or turn statements around: the tables of `words.yaml`, and numbers written in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Any

from enrich.wiki import yaml12

TABLES: dict[str, Any] = yaml12.load((resources.files("enrich.grounding") / "words.yaml").read_text(encoding="utf-8"))


def word_set(name: str) -> frozenset[str]:
    """One list of `words.yaml`."""
    return frozenset(TABLES[name].split())


SCALES: dict[str, int] = TABLES["scales"]
_SMALL: dict[str, int] = TABLES["numbers"]
_TENS: dict[str, int] = TABLES["tens"]
_PARTS: dict[str, int] = TABLES["parts"]
_ORDINALS: dict[str, int] = TABLES["ordinals"]
_FACTORS: dict[str, int] = TABLES["factors"]
_FOLDS = {f"{word}fold": value for word, value in {**_SMALL, **_TENS, "hundred": 100, "thousand": 1000}.items() if value > 1}
_NAMES = {**_SMALL, **_TENS, **SCALES, "dozen": 12}
READ_WORDS = frozenset({*_NAMES, *_PARTS, *_ORDINALS, *_FACTORS, *_FOLDS})
"""The words of numbers that are read by value."""
NUMBER_WORDS = READ_WORDS | word_set("other_numbers")
"""All words that say how many or when; those without a value included."""
TURNS = word_set("turns")
"""Words that turn a statement around."""

_WORD = re.compile(r"[A-Za-z](?<![\w'].)[A-Za-z]*+(?![\w'])")
# "half a million", "a quarter of a billion", "one third billion": a part of a scale is one number.
_PART_OF_SCALE = re.compile(
    rf"(?<![\w'])(?:(?P<count>an?|{'|'.join(word for word in _SMALL if word != 'zero')})[ -])?(?P<part>half|{'|'.join(_PARTS)})(?: of)?(?: an?|-)? ?"
    rf"(?P<scale>{'|'.join(SCALES)})(?![\w'])",
    re.IGNORECASE,
)
_GAP = re.compile(r"(?: |-|\n)(?:and )?\Z")
_ARTICLE = re.compile(r"(?<!\w)(?:an?|half an?) \Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WordNumber:
    """A number in words at text[start:end]. `what`: `count`, `part`, `factor`, `idiom` (an approximate factor) or `ordinal`."""

    start: int
    end: int
    value: Decimal
    what: str


def word_numbers(text: str) -> Iterator[WordNumber]:
    """The numbers in words; parts of a scale first, the others in order. A bare `one` is included; a bare `hundred` or `million` is not a number.

    >>> [(str(n.value), n.what) for n in word_numbers("Twenty-five of one hundred and two labs, tenfold")]
    [('25', 'count'), ('102', 'count'), ('10', 'factor')]
    """
    words: list[str] = []
    start = end = 0
    # "the third million" is an ordinal.
    scaled = [found for found in _PART_OF_SCALE.finditer(text) if found["count"] or found["part"].lower() in ("half", "quarter")]
    for whole in scaled:
        count = _SMALL.get((whole["count"] or "a").lower(), 1)
        yield WordNumber(
            *whole.span(), Decimal(count * SCALES[whole["scale"].lower()]) / (_PARTS | {"half": 2})[whole["part"].lower()], "count"
        )
    for found in _WORD.finditer(text):
        word = found[0].lower()
        if word not in READ_WORDS or any(whole.start() <= found.start() < whole.end() for whole in scaled):
            continue
        if words and _GAP.fullmatch(text, end, found.start()) and _continues(words[-1], word, text[end : found.start()]):
            words.append(word)
        else:
            if words:
                yield from _read(text, start, end, words)
            words, start = [word], found.start()
        end = found.end()
    if words:
        yield from _read(text, start, end, words)


def _continues(last: str, word: str, gap: str) -> bool:
    """Whether `word` belongs to the number that ends with `last`."""
    if word in _PARTS:
        return last in _SMALL and "and" not in gap and (word.endswith("s") or last == "one")
    if word in SCALES:
        return last in _NAMES and "and" not in gap
    if last in SCALES:
        return word in _SMALL or word in _TENS
    return last in _TENS and 0 < _SMALL.get(word, 0) < 10 and "and" not in gap


def _read(text: str, start: int, end: int, words: list[str]) -> Iterator[WordNumber]:
    last = words[-1]
    if len(words) > 1 and last in _PARTS:
        yield WordNumber(start, end, _value(words[:-1]) / _PARTS[last], "part")
    elif last in _FOLDS:
        yield WordNumber(start, end, Decimal(_FOLDS[last]), "factor")
    elif last in _FACTORS:
        yield WordNumber(start, end, Decimal(_FACTORS[last]), "idiom")
    elif last in _PARTS and text[max(0, start - 2) : start].lower() == "a " and text[end : end + 4] == " of ":
        yield WordNumber(start - 2, end, Decimal(1) / _PARTS[last], "part")
    elif last in _ORDINALS:
        yield WordNumber(start, end, Decimal(_ORDINALS[last]), "ordinal")
    elif words[0] in SCALES or words[0] == "dozen":
        if (before := _ARTICLE.search(text[max(0, start - 8) : start])) and before[0].lower().startswith("a"):
            yield WordNumber(start - 2, end, _value(words), "count")
    elif last not in _PARTS:
        yield WordNumber(start, end, _value(words), "count")


def _value(words: list[str]) -> Decimal:
    total = current = 0
    for word in words:
        if word in ("hundred", "dozen"):
            current = max(current, 1) * _NAMES[word]
        elif word in SCALES:
            total += max(current, 1) * SCALES[word]
            current = 0
        else:
            current += _NAMES[word]
    return Decimal(total + current)


def leading_words(value: Decimal) -> tuple[str, ...]:
    """Words that this value can begin with when it is written in words, in lower case: to find the lines worth reading."""
    if 0 < value < 1:
        return (*_PARTS, "two", "three", "four", "one")
    if value != value.to_integral_value() or not 0 <= value < Decimal(10) ** 15:
        return ()
    digits = str(int(value))
    head = int(digits[: (len(digits) - 1) % 3 + 1])
    if head >= 100:
        head //= 100
    elif head >= 20:
        head -= head % 10
    heads = [word for word, one in {**_SMALL, **_TENS}.items() if one == head]
    # "a hundred billion" begins with the scale.
    whole = (*_FACTORS.items(), *_ORDINALS.items(), *SCALES.items(), ("dozen", 12))
    wholes = [word for word, one in whole if one == value or (head == 1 and word == "hundred" and value > 100)]
    parts = ("half", "third", "quarter") if value >= 10 else ()
    return (*heads, *wholes, *parts)


# Words of four letters and more carry the subject; their first five letters are the same in all forms of a word.
_SUBJECT_WORD = re.compile(r"[^\W\d_]{4,}")
# Scripts without blanks between words: each character counts. Korean words end in particles: two syllables count. Arabic words begin with
# articles and prepositions.
_WIDE = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_KOREAN = re.compile("[\uac00-\ud7af]{2,}")
OTHER_SCRIPTS = re.compile("[\u0600-\u06ff\u0e00-\u0eff\u3040-\ud7af\uf900-\ufaff]")
_ARABIC_FRONT = re.compile(r"^[\u0648\u0641]?(?:\u0628?\u0627\u0644|\u0644\u0644)?(?=.{3})")


def stems(texts: Iterable[str]) -> set[str]:
    """The first five letters, in lower case, of the words of four letters and more; of scripts without blanks, the characters."""
    # All texts at once, and each word once: a page has thousands of words in hundreds of lines.
    text = "\n".join(texts).lower()
    if text.isascii() or OTHER_SCRIPTS.search(text) is None:
        return {word[:5] for word in set(_SUBJECT_WORD.findall(text))}
    words = set(_SUBJECT_WORD.findall(_KOREAN.sub(" ", _WIDE.sub(" ", text))))
    found = {_ARABIC_FRONT.sub("", word)[:5] for word in words}
    return found | set(_WIDE.findall(text)) | {word[:2] for word in _KOREAN.findall(text)}
