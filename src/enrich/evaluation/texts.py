"""What can be measured of one text against its page: unsupported numbers, copied runs, key terms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from enrich.grounding import PageIndex
from enrich.stages.baseline_text import terms, words_of
from enrich.wiki.pages import Page

RUN = 6
"""Words in a row that count as copied: shorter runs are idiom and names ("the cost of a single run of the")."""
KEY_TERMS = 10
# A title's word says more about the subject than any line does; a heading stands for its section.
_HEADING_WEIGHT = 3
_TITLE_WEIGHT = 5

_WORD = re.compile(r"[^\W_]+(?:[.,'’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Copied:
    """How much of a text stands word for word on the page: the share of its words in runs of `RUN` and more, and the longest run."""

    share: float
    longest: int


class PageTexts:
    """One page as texts are measured against it. Built once a page."""

    def __init__(self, page: Page) -> None:
        self.index = PageIndex(page.body, title=page.title, description=page.description)
        self._verdicts: dict[tuple[str, tuple[str, ...] | None], bool] = {}

    def unsupported(self, text: str, evidence: Sequence[str] | None = None) -> bool:
        """Whether anything in `text` is not supported: by these quotes, or (None) by the whole page."""
        key = (text, None if evidence is None else tuple(evidence))
        if key not in self._verdicts:
            findings = self.index.check(text, evidence)
            self._verdicts[key] = any(finding.severity == "hard" for finding in findings)
        return self._verdicts[key]

    def grounded(self, text: str, evidence: str) -> bool:
        """Whether the quote stands on the page, and everything in `text` that needs a quote is in it."""
        return self.index.find_quote(evidence) is not None and not self.unsupported(text, (evidence,))

    def copied(self, text: str) -> Copied:
        words = words_in_order(text)
        covered: set[int] = set()
        longest = 0
        for start in range(len(words) - RUN + 1):
            # Every run within a run stands there too, so only what is longer than the longest one is worth trying.
            if self._stands(words[start : start + RUN]):
                covered.update(range(start, start + RUN))
                longest = max(longest, RUN)
                while start + longest < len(words) and self._stands(words[start : start + longest + 1]):
                    longest += 1
        return Copied(len(covered) / len(words) if words else 0.0, longest)

    def coverage(self, text: str) -> float | None:
        """The share of the page's key terms that `text` uses; None for a page without words."""
        return len(self.key_terms & terms(words_of(text))) / len(self.key_terms) if self.key_terms else None

    @cached_property
    def key_terms(self) -> frozenset[str]:
        """The ten terms that most lines of the page use; title and headings weigh more."""
        counts: Counter[str] = Counter()
        for line in self.index.lines:
            if line.kind == "code":
                continue
            weight = _TITLE_WEIGHT if line.section == "title" and not line.number else _HEADING_WEIGHT if line.kind == "heading" else 1
            for term in terms(words_of(line.text)):
                counts[term] += weight
        ranked = sorted(counts, key=lambda term: (-counts[term], term))
        return frozenset(ranked[:KEY_TERMS])

    def _stands(self, words: Sequence[str]) -> bool:
        return f" {' '.join(words)} " in self._words

    @cached_property
    def _words(self) -> str:
        return f" {' '.join(word for line in self.index.lines for word in words_in_order(line.text))} "


def words_in_order(text: str) -> list[str]:
    """The words and numbers of a text in lower case; marks between them do not count."""
    return _WORD.findall(text.lower().replace("’", "'"))


def overlap(one: str, other: str) -> float:
    """The share of terms that two texts have in common (F1 = Dice)."""
    a, b = terms(words_of(one)), terms(words_of(other))
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0
