"""Finding the phrases of `wording` on a page: each line is read once, and at each word only phrases that begin with it are tried."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from enrich.checks.bodylines import BLANK, BodyLines, expression
from enrich.checks.wording import WordingRule

_WORD = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]+")
_LEADS = rf"(?:^|(?<=\.{BLANK}))"


class Lexicon:
    """The phrases of some rules by the words that they begin with."""

    def __init__(self, rules: Sequence[WordingRule]) -> None:
        self.rules = tuple(rules)
        self._by_word: dict[str, list[tuple[str, int, re.Pattern[str]]]] = {}
        self._cells = [(rule.name, expression(cell)) for rule in rules for cell in rule.cells]
        number = 0
        for rule in rules:
            for phrase in rule.phrases:
                number += 1
                start = _LEADS if phrase.leads else ""
                pattern = expression(f"(?:{phrase.starts}){phrase.rest}", any_case=not phrase.cased)
                pattern = re.compile(start + pattern.pattern, pattern.flags)
                for word in {_first_word(text) for text in phrase.starts.split("|")}:
                    self._by_word.setdefault(word, []).append((rule.name, number, pattern))

    def matches(self, lines: BodyLines) -> Iterator[tuple[str, int, str]]:
        """(rule, line from 1, matched words) of every phrase in the lines that any rule reads; a phrase's matches do not overlap."""
        by_word = self._by_word
        for number, (line, read) in enumerate(zip(lines.lines, lines.read, strict=True), 1):
            if not read:
                continue
            ends: dict[int, int] = {}
            for word in _WORD.finditer(line):
                for rule, phrase, pattern in by_word.get(word.group().lower(), ()):
                    at = word.start()
                    found = pattern.match(line, at)
                    if found and at >= ends.get(phrase, 0):
                        ends[phrase] = found.end()
                        yield rule, number, found.group()
            if "|" in line:
                for rule, pattern in self._cells:
                    for found in pattern.finditer(line):
                        yield rule, number, found.group()


@cache
def lexicon(rules: tuple[WordingRule, ...]) -> Lexicon:
    return Lexicon(rules)


def _first_word(text: str) -> str:
    match = _WORD.match(text)
    if match is None:
        raise ValueError(f"the phrase {text!r} does not begin with a word")
    return match.group().lower()
