"""Regular expressions of the reference build that look for an end mark, searched in linear time.

`<[^>]+>` in a text of 100,000 `<` takes 100,000 searches to the end of the text. `Markup` gives exactly the matches of its expression: few
openers are left to the expression; with many, the next end mark is found once and remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import regex

# Up to so many openers the expression itself is faster, and its time is still bounded.
FEW = 200


@dataclass(frozen=True, slots=True)
class Part:
    """What follows an opener: anything up to the first `end`, at least `least` characters and none of `never`, then a match of `then`."""

    end: str
    least: int = 0
    then: str = ""
    never: str = ""


class Markup:
    """An expression that is one opener and parts. `opener`, `Part.end` and `Part.then` are expressions themselves; `last`: its last character.

    The groups of the expression are the texts of its first parts, or the group in a part's `end`.
    """

    def __init__(self, expression: str, opener: str, *parts: Part, last: str) -> None:
        self._expression = regex.compile(expression, regex.DOTALL)
        self._opener, self._parts, self._last = regex.compile(opener), parts, last

    def count(self, text: str, few: int = FEW) -> int:
        return sum(1 for _ in self._matches(text, few))

    def groups(self, text: str, few: int = FEW) -> list[tuple[str, ...]]:
        """The groups of each match."""
        return [found for _, _, found in self._matches(text, few)]

    def removed(self, text: str, few: int = FEW) -> str:
        """The text with the first group in place of each match; without the matches if there is no group."""
        pieces: list[str] = []
        done = 0
        for start, end, found in self._matches(text, few):
            pieces += (text[done:start], *found[:1])
            done = end
        return "".join((*pieces, text[done:])) if done else text

    def _matches(self, text: str, few: int) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """(start, end, groups) of each match, in order."""
        stop = text.rfind(self._last) + 1
        openers = [found.span() for found in self._opener.finditer(text, 0, stop)]
        if len(openers) <= few:
            for found in self._expression.finditer(text, 0, stop) if openers else ():
                yield found.start(), found.end(), found.groups()
            return
        parts = [(part, _Next(text, part.end, stop), _Next(text, part.never, stop), _Then(text, part.then)) for part in self._parts]
        done = 0
        for start, inside in openers:
            if start < done:
                continue
            place, texts = inside, []
            for part, ends, nevers, then in parts:
                end = ends.at(place)
                if end is None:
                    return  # nor does any later opener have this end
                never = nevers.at(place) if part.never else None
                if end.start() - place < part.least or (never is not None and never.start() < end.start()):
                    break
                texts.append(end[1] if end.re.groups else text[place : end.start()])
                place = then.end(end.end())
                if place < 0:
                    break
            else:
                done = place
                yield start, place, tuple(texts[: self._expression.groups])


class _Next:
    """The first match of an expression at or after a place; the places asked for never go back."""

    def __init__(self, text: str, expression: str, stop: int) -> None:
        self._text, self._stop, self._expression = text, stop, regex.compile(expression)
        self._searched, self._found = -1, None

    def at(self, place: int) -> Any:
        found: Any = self._found
        if self._searched < 0 or (found is not None and found.start() < place):
            self._searched = place
            self._found = found = self._expression.search(self._text, place, self._stop)
        return found


class _Then:
    """Where a match of an expression at a place ends, -1 if there is none. The last result is remembered."""

    def __init__(self, text: str, expression: str) -> None:
        self._text, self._expression = text, regex.compile(expression) if expression else None
        self._place, self._end = -1, -1

    def end(self, place: int) -> int:
        if self._expression is None:
            return place
        if self._place != place:
            found = self._expression.match(self._text, place)
            self._place, self._end = place, found.end() if found else -1
        return self._end


LINK = Markup(r"\[([^\]]+)\]\(([^)]+)\)", r"\[", Part(r"\]", 1, r"\("), Part(r"\)", 1), last=")")
TAG = Markup(r"<[^>]+>", "<", Part(">", 1), last=">")
