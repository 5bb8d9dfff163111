"""The sentences of one page that can stand alone: what the baseline may quote.

Everything the baseline says is one of these, word for word, so no number and no statement in it can be missing from the page.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import regex

from enrich.offline.wording import count_words, is_plain, leans_back, points_elsewhere, terms, words_of
from enrich.wiki.pages import Page
from enrich.wiki.visible import Kind, Sentence, VisibleText, visible

MIN_WORDS = 6  # shorter ones are labels and exclamations
MAX_WORDS = 50  # longer ones are mostly lists in disguise, and leave no room for a second one
# Past this many, more sentences only cost time: a page so long is mostly a log or a list, and says early what it is about.
MOST = 2000

_NUMBERING = regex.compile(r"\d{1,9}[.)] +")


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One sentence of the page; `place` counts the page's sentences of its kind from 0, `words` are its distinct words in lower case."""

    text: str
    place: int
    kind: Kind
    length: int
    words: frozenset[str]
    terms: frozenset[str]


class PageSentences:
    """What the baseline knows about one page's sentences. Built once a page (`page_sentences`)."""

    def __init__(self, title: str, description: str, body: str) -> None:
        self.title, self.description, self.body = title, description, body

    @cached_property
    def visible(self) -> VisibleText:
        return visible(self.body)

    @cached_property
    def running(self) -> tuple[Sentence, ...]:
        """All sentences of running text."""
        return self.visible.sentences()

    @cached_property
    def prose(self) -> tuple[Candidate, ...]:
        """The sentences of running text that can stand alone, in order."""
        return tuple(_candidates(self.running, "prose"))

    @cached_property
    def listed(self) -> tuple[Candidate, ...]:
        """The sentences of list items that can stand alone, in order."""
        return tuple(_candidates(self.visible.sentences(("list",)), "list"))

    @cached_property
    def title_terms(self) -> frozenset[str]:
        return terms(words_of(self.title))

    @cached_property
    def weights(self) -> dict[str, float]:
        """log(1 + n) of each term that stands in n ≥ 2 sentences: the page's centroid (MEAD: Radev et al. 2004, "Centroid-based
        summarization of multiple documents"). What stands in one sentence only does not say what the page is about, nor does boilerplate:
        a sentence that is repeated counts once."""
        distinct = {candidate.text: candidate.terms for candidate in (*self.prose, *self.listed)}
        counts = Counter(term for found in distinct.values() for term in found)
        return {term: math.log1p(count) for term, count in counts.items() if count > 1}

    def centrality(self, candidate: Candidate) -> float:
        """Nearness to the centroid, about 0 to 10: the terms' weights over the root of their number, so that length alone earns nothing."""
        weights = self.weights
        return sum(weights.get(term, 0.0) for term in candidate.terms) / math.sqrt(len(candidate.terms) + 4)


@lru_cache(maxsize=8)
def _of(title: str, description: str, body: str) -> PageSentences:
    return PageSentences(title, description, body)


def page_sentences(page: Page) -> PageSentences:
    """The page's sentences; the stages of one page, asked one after the other, share the work."""
    return _of(page.title, page.description, page.body)


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of the smaller one's terms that the other has too (0 to 1)."""
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0


def clipped(sentences: Iterable[str], words: int) -> list[str]:
    """As many of the sentences, in order, as fit into so many words."""
    kept: list[str] = []
    for sentence in sentences:
        words -= count_words(sentence)
        if words < 0:
            break
        kept.append(sentence)
    return kept


def _candidates(sentences: tuple[Sentence, ...], kind: Kind) -> Iterator[Candidate]:
    for place, sentence in enumerate(sentences[:MOST]):
        text = sentence.text
        if kind == "list" and text[:1].isdigit():
            text = _NUMBERING.sub("", text, count=1)
        length = count_words(text)
        if not MIN_WORDS <= length <= MAX_WORDS or leans_back(text) or not is_plain(text):
            continue
        words = words_of(text)
        if not points_elsewhere(text, words):
            yield Candidate(text, place, kind, length, words, terms(words))
