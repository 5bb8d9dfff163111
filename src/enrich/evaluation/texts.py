"""What can be measured of one text against its page: unsupported numbers, copied runs, key terms; and which insights say the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache

from enrich.evaluation.answers import ScoredInsight
from enrich.grounding import PageIndex
from enrich.grounding.likeness import likeness, same_insights
from enrich.stages.baseline import terms, words_of
from enrich.wiki.pages import Page

RUN = 6
"""Words in a row that count as copied: shorter runs are idioms and names ("the cost of a single run of the")."""
KEY_TERMS = 10
SAME_INSIGHT = 0.4
"""Two insights are the same from this share of shared terms on. Of 982 pairs of different stored insights of one page in the reference
wiki's sample 21 reach it; read by hand, nearly all of these say the same. The median pair has 0.06."""
# A title's word says more about the subject than any line does; a heading covers its section.
_HEADING_WEIGHT = 3
_TITLE_WEIGHT = 5

_WORD = re.compile(r"[^\W_]+(?:[.,'’][^\W_]+)*")


class PageTexts:
    """One page, indexed once for measuring texts against it."""

    def __init__(self, page: Page) -> None:
        self.index = PageIndex(page.body, title=page.title, description=page.description)
        self._verdicts: dict[tuple[str, tuple[str, ...] | None], bool] = {}

    def unsupported(self, text: str, evidence: Sequence[str] | None = None) -> bool:
        """Whether anything in `text` is not supported by these quotes or, without `evidence`, by the page."""
        key = (text, None if evidence is None else tuple(evidence))
        if key not in self._verdicts:
            findings = self.index.check(text, evidence)
            self._verdicts[key] = any(finding.severity == "hard" for finding in findings)
        return self._verdicts[key]

    def grounded(self, text: str, evidence: str) -> bool:
        """Whether the quote is on the page and supports everything in `text` that needs a quote."""
        return self.index.find_quote(evidence) is not None and not self.unsupported(text, (evidence,))

    def copied(self, text: str) -> tuple[float, int]:
        """(the share of words in runs of `RUN` and more that are on the page word for word, the length of the longest run)."""
        words = words_in_order(text)
        covered: set[int] = set()
        longest = 0
        for start in range(len(words) - RUN + 1):
            # Every run within a run is on the page too, so only longer ones than the longest are tried.
            if self._has(words[start : start + RUN]):
                covered.update(range(start, start + RUN))
                longest = max(longest, RUN)
                while start + longest < len(words) and self._has(words[start : start + longest + 1]):
                    longest += 1
        return len(covered) / len(words) if words else 0.0, longest

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

    def _has(self, words: Sequence[str]) -> bool:
        return f" {' '.join(words)} " in self._words

    @cached_property
    def _words(self) -> str:
        return f" {' '.join(word for line in self.index.lines for word in words_in_order(line.text))} "


def words_in_order(text: str) -> list[str]:
    """The words and numbers of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower().replace("’", "'"))


@lru_cache(maxsize=4096)
def _terms(text: str) -> Counter[str]:
    return Counter(terms(words_of(text)))


def overlap(one: str, other: str) -> float:
    """The share of terms that two texts have in common (F1, which is the Dice coefficient)."""
    return likeness(one, other, _terms) if _terms(one) or _terms(other) else 1.0


def insight_pairs(ones: Sequence[ScoredInsight], others: Sequence[ScoredInsight]) -> list[tuple[int, int]]:
    """(index in `ones`, index in `others`) of the same insights, each used once, in the order of `ones`."""
    first, second = ([(one.text, one.evidence) for one in side] for side in (ones, others))
    return sorted(same_insights(first, second, SAME_INSIGHT, _terms).items())


def repeated(insights: Sequence[ScoredInsight]) -> list[bool]:
    """For each insight, whether an earlier one says the same."""
    texts = [one.text for one in insights]
    return [any(likeness(text, earlier, _terms) >= SAME_INSIGHT for earlier in texts[:place]) for place, text in enumerate(texts)]
