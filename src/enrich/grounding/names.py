"""Whether the proper names of an answer are on its page: capitalised words, with the ways in which one name is written.

A name is a capitalised word inside a sentence; at its start only one that names a country or month or has inner capitals. It is supported by
the same letters on the page (accents, hyphens, possessives and plurals aside), by its acronym or what an acronym stands for, by its country or
people, or by a form of the same word. Names written in small letters, and what is said about a name, are not checked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from enrich.wiki import yaml12

_DATA: dict[str, Any] = yaml12.load((resources.files("enrich.grounding") / "names.yaml").read_text(encoding="utf-8"))
_SAME: dict[str, set[str]] = {}
for _group in _DATA["same"]:
    for _word in _group.split():
        _SAME.setdefault(_word, set()).update(_group.split())
_PLAIN = frozenset(_DATA["plain"].split())
WRONG_NAMES: tuple[str, ...] = tuple(_DATA["wrong"])
_OPENERS, _ALSO_WORDS = frozenset(_DATA["openers"].split()), frozenset(_DATA["also_words"].split())

_MONTHS = {
    group.split()[0]: rf"(?<!\d)\d{{4}}[-/]0?{number}[-/]\d|(?<![\d/])0?{number}/\d\d?/\d|(?<!\d)\d\d?[./]0?{number}[./](?:19|20)\d\d"
    for number, group in enumerate([*_DATA["same"][:4], "may", *_DATA["same"][4:11]], 1)
}

_WORD = re.compile(r"[^\W\d_][^\W_]*(?:['’.&‑-][^\W_]+)*")
_OPENING = re.compile(r"(?:[.!?:;•|\n]|[.!?]['\"”’)]+)\s*$|(?:^|[\s(\[])['\"“‘«(\[*]+$")
# Only these may be between the words of one name.
_GLUE = re.compile(r"[ .]{1,2}(?:(?:of|the|and|for|in|de|la|von|van|du|del|der|al|bin|&) ){0,2}")
_SMALL = frozenset("of the and for in on de la von van du del der al bin at to".split())
_SUFFIX = re.compile(r"(?:isms?|ists?|ians?|eans?|ans?|ics?|ish|ese|ites?|esque|ity|ers?|ia|ias|y|ies|es|s|e|o|a|is|us)$")
_SHORTEST_STEM = 4
_SQUEEZED_LENGTH = 6
_FIRST_PLACES = 4


@dataclass(frozen=True, slots=True)
class Name:
    """A run of capitalised words at text[start:end], with the (start, end) of those words that count."""

    start: int
    end: int
    words: tuple[tuple[int, int], ...]


def fold(word: str) -> str:
    """A word in lower case without accents and without a possessive."""
    if not word.isascii():
        word = "".join(char for char in unicodedata.normalize("NFKD", word.replace("ß", "ss")) if not unicodedata.combining(char))
        word = word.replace("’", "'").replace("‑", "-").replace("ø", "o").replace("Ø", "O").replace("ł", "l").replace("Ł", "L")
    return word.lower().removesuffix("'s").removesuffix("'")


def names_in(text: str) -> list[Name]:
    """The names of a text, in order.

    >>> text = "In 1969 the Eagle landed, and Neil Armstrong's crew of NASA astronauts cheered. Critics did not."
    >>> [text[name.start:name.end] for name in names_in(text)]
    ['Eagle', "Neil Armstrong's", 'NASA']
    """
    words = [found.span() for found in _WORD.finditer(text)]
    capital = [_is_capital(text[start:end]) for start, end in words]
    runs: list[list[int]] = []
    for at in range(len(words)):
        if capital[at]:
            joined = runs and runs[-1][-1] + 3 >= at and _GLUE.fullmatch(text, words[runs[-1][-1]][1], words[at][0])
            if joined and not _opens(text, words[at][0]):
                runs[-1].append(at)
            else:
                runs.append([at])
    found = []
    for run in runs:
        # The first word of a sentence always has a capital.
        if _opens(text, words[run[0]][0]) and not _is_surely_name(text[slice(*words[run[0]])]):
            run = run[1:]
        spans = tuple(words[at] for at in run)
        if spans:
            found.append(Name(spans[0][0], spans[-1][1], spans))
    return found


def _is_capital(word: str) -> bool:
    return word[0].isupper() or word[0].istitle() or any(char.isupper() for char in word[1:2])


def _opens(text: str, start: int) -> bool:
    """Whether a word at `start` opens a sentence, a list item, a quotation or a title, where any word has a capital."""
    return not text[:start].strip() or _OPENING.search(text, max(0, start - 12), start) is not None


def _is_surely_name(word: str) -> bool:
    """Whether a word at a sentence's start is a name regardless of the next word: a country, a month, a word with inner capitals."""
    plain = fold(word)
    if plain in _OPENERS or plain in _ALSO_WORDS:
        return False
    return (plain in _SAME and len(plain) > 3) or any(char.isupper() for char in word[1:])


class NameIndex:
    """The words of one page, to look names up in."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._text = "\n".join(texts)

    @cached_property
    def _lower(self) -> str:
        return self._text.lower()

    @cached_property
    def _written(self) -> frozenset[str]:
        """Every word of the page as it is written."""
        return frozenset(_WORD.findall(self._text))

    @cached_property
    def _words(self) -> frozenset[str]:
        """Every word of the page folded, and the parts of joined ones."""
        found: set[str] = set()
        for word in set(_WORD.findall(self._lower)):
            plain = fold(word)
            found.add(plain)
            if not plain.isalnum():
                found.update(re.split(r"[^\w]", plain))
                found.add(re.sub(r"[^\w]", "", plain))
        return frozenset(found)

    @cached_property
    def _stems(self) -> frozenset[str]:
        return frozenset(map(_stem, self._words))

    @cached_property
    def _squeezed(self) -> str:
        plain = self._text if self._text.isascii() else fold(self._text)
        return re.sub(r"[\W_]+", "", plain).lower()

    @cached_property
    def _acronyms(self) -> frozenset[str]:
        """The initials of every run of capitalised words, with and without the small words in it, and of every part of the run."""
        found: set[str] = set()
        for name in re.finditer(r"[^\W\d_][\w’'-]*(?:[\s-](?:(?:of|the|and|for|in|on|de|&)\s)*[^\W\d_][\w’'-]*){1,7}", self._text):
            words = re.findall(r"[^\W\d_][\w’']*", name[0])
            for initials in ([word[0] for word in words], [word[0] for word in words if word.lower() not in _SMALL]):
                joined = "".join(initials).lower()
                found.update(joined[i:j] for i in range(len(joined)) for j in range(i + 2, min(len(joined), i + 7) + 1))
        return frozenset(found)

    def unsupported(self, text: str, names: Iterable[Name]) -> Iterator[tuple[int, int]]:
        """(start, end) of each piece of a name that the page does not have."""
        for name in names:
            missing = [span for span in name.words if not self.has(text[slice(*span)])]
            if missing and not self._has_joined(text, name) and not self._has_initials(text, name):
                yield missing[0][0], missing[-1][1]

    def has(self, word: str) -> bool:
        """Whether the page has this word of a name in one of its forms."""
        plain = fold(word)
        if len(plain.replace(".", "")) < 2 or plain in _PLAIN or plain in _OPENERS or self._has_form(plain):
            return True
        if "-" in plain or "." in plain or "'" in plain or "&" in plain:
            parts = [part for part in re.split(r"[-.'&]", plain) if part]
            capital = [part for part in re.split(r"[-.'’&‑]", word) if part[:1].isupper()]  # "AI-driven" names AI
            if any(len(part) > 1 for part in capital) and all(len(part) < 2 or self.has(part) for part in capital):
                return True
            plain = "".join(parts)
        if len(plain) >= _SQUEEZED_LENGTH and plain in self._squeezed:
            return True
        return word[:2].isupper() and 2 <= len(plain) <= 7 and plain in self._acronyms

    def _has_form(self, plain: str) -> bool:
        if (
            self._holds(plain)  # all words are looked at only if that finds nothing
            or plain in self._words
            or plain.removesuffix("s") in self._words
            or _stem(plain) in self._stems
        ):
            return True
        if plain in _MONTHS and re.search(_MONTHS[plain], self._text):
            return True
        return any(map(self._has_other, _SAME.get(plain) or _SAME.get(plain.removesuffix("s")) or ()))

    def _holds(self, plain: str) -> bool:
        """Whether one of the first places with these letters is a whole word."""
        text, end = self._lower, 0
        for _ in range(_FIRST_PLACES):
            start = text.find(plain, end)
            if start < 0:
                return False
            end = start + len(plain)
            if not any(char.isalnum() or char == "_" for char in text[start - 1 : start] + text[end : end + 1]):
                return True
        return False

    def _has_other(self, other: str) -> bool:
        """Whether the page has another word for a name: short ones (`me` for Maine) only where they are written in capitals."""
        if "_" in other:
            return other.replace("_", "") in self._squeezed
        if len(other) > 5:
            return other in self._words
        written = {other.upper(), other.upper() + "."} if len(other) < 3 or "." in other else {other.upper(), other.capitalize()}
        return not written.isdisjoint(self._written) or any(f"{form}." in self._text for form in written if "." in form)

    def _has_joined(self, text: str, name: Name) -> bool:
        """Whether the page has the words of a name as one word."""
        joined = re.sub(r"[\W_]+", "", fold(text[name.start : name.end]))
        return len(joined) >= _SQUEEZED_LENGTH and joined in self._squeezed

    def _has_initials(self, text: str, name: Name) -> bool:
        """Whether the page has the acronym of a whole name instead of its words."""
        words = [text[slice(*span)] for span in name.words]
        initials = "".join(word[0] for word in words)
        return (
            len(words) >= 2 and re.search(rf"(?<!\w){re.escape(initials)}(?!\w)|(?<!\w){r'[.]'.join(initials)}[.]", self._text) is not None
        )


def _stem(plain: str) -> str:
    stem = _SUFFIX.sub("", plain)
    return stem if len(stem) >= _SHORTEST_STEM else plain
