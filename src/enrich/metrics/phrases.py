"""Phrases that make a text less trustworthy, by writing rule: `enrich check` reports them, the baseline takes no sentence that has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from enrich.metrics.structure import S
from enrich.wiki import yaml12

# JS white space (FIELDS.md, Conventions) without the line feed: no phrase runs over the end of a line.
_BLANK = "[" + S.replace(r"\n", "") + "]"
_LEADS = rf"(?:^|(?<=\.{_BLANK}))"
_WORD = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]+")


def _expression(pattern: str, *, any_case: bool = True) -> re.Pattern[str]:
    """A compiled expression of `writing_rules.yaml`: spaces are runs of blanks, nothing runs over the end of a line, ASCII rules."""
    flags = re.ASCII | re.MULTILINE | (re.IGNORECASE if any_case else 0)
    return re.compile(re.sub(r" ([?*]?)", lambda space: _BLANK + ("*" if space[1] else "+"), pattern), flags)


class _Search:
    """An expression, which may be `first.*second`: then nothing behind the line's last `second` is read.

    A line that repeats the first half would otherwise be read to its end from each of them.
    """

    def __init__(self, pattern: str, *, any_case: bool = True, leads: bool = False) -> None:
        whole = _expression(pattern, any_case=any_case)
        self._whole = re.compile(_LEADS + whole.pattern, whole.flags) if leads else whole
        second = pattern.partition(".*")[2]
        self._second = _expression(second, any_case=any_case) if second else None
        self._line, self._end = "", 0

    def match(self, line: str, start: int) -> re.Match[str] | None:
        return self._whole.match(line, start, self._last(line)) if start < self._last(line) else None

    def search(self, line: str) -> re.Match[str] | None:
        return self._whole.search(line, 0, self._last(line))

    def _last(self, line: str) -> int:
        if self._second is None:
            return len(line)
        if self._line is not line:
            self._line, self._end = line, max((found.end() for found in self._second.finditer(line)), default=0)
        return self._end


class Phrases:
    """The data of all rules. Phrases are kept by the words that they can begin with, so that a page is read once, word by word."""

    def __init__(self, rules: dict[str, Any]) -> None:
        self.advice: dict[str, str] = {}
        self.by_word: dict[str, list[tuple[str, int, _Search]]] = {}
        self.cells: list[tuple[str, re.Pattern[str]]] = []
        for name, rule in rules.items():
            if "phrases" in rule:
                self.advice[name] = rule["advice"]
                self.cells += [(name, _expression(cell)) for cell in rule.get("cells", ())]
                for number, phrase in enumerate(rule["phrases"]):
                    self._add(name, number, {"starts": phrase} if isinstance(phrase, str) else phrase)
        self.claims, self.cell_claims = (
            [_Search(claim) for claim in rules["unsourced-biographical-claims"][kind]] for kind in ("claims", "cells")
        )
        self.vague, self.uncertainty = (_expression(rules["structural-quality"][kind]) for kind in ("vague", "uncertainty_heading"))

    def _add(self, rule: str, number: int, phrase: dict[str, Any]) -> None:
        starts, rest = phrase["starts"], phrase.get("rest", r"\b")
        pattern = _Search(f"(?:{starts}){rest}", any_case=not phrase.get("cased"), leads=bool(phrase.get("leads")))
        for word in {_WORD.findall(start)[0].lower() for start in starts.split("|")}:
            self.by_word.setdefault(word, []).append((rule, number, pattern))

    def matches(self, line: str) -> Iterator[tuple[str, str]]:
        """(rule, matched words) of every phrase in a line; a phrase's matches do not overlap."""
        ends: dict[tuple[str, int], int] = {}
        for word in _WORD.finditer(line):
            for rule, number, pattern in self.by_word.get(word[0].lower(), ()):
                found = pattern.match(line, word.start())
                if found and word.start() >= ends.get((rule, number), 0):
                    ends[rule, number] = found.end()
                    yield rule, found[0]
        for rule, cell in self.cells if "|" in line else ():
            for found in cell.finditer(line):
                yield rule, found[0]


@cache
def phrases() -> Phrases:
    """The phrases of all rules, read once."""
    return Phrases(yaml12.load((resources.files("enrich.metrics") / "writing_rules.yaml").read_text(encoding="utf-8")))
