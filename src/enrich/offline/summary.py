"""The baseline's summary: one or two of the page's own sentences.

Which ones is the classic extractive reckoning (MEAD, Radev et al. 2004): nearness to the page's centroid, an early place, words shared with
the title; the second one by maximal marginal relevance (Carbonell & Goldstein 1998), so that it adds something.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from enrich.offline.sentences import Candidate, PageSentences, clipped
from enrich.offline.wording import count_words, has_label, is_plain, stands_alone
from enrich.wiki.visible import split_sentences, visible

MAX_WORDS = 70  # said in the summary's prompt
ALONE_FROM = 45  # words: a first sentence as long as this needs no second

# The parts of a sentence's score, each about 0 to 1 before it is weighed. Set by hand; the result hardly depends on them.
_LEAD = 1.0
_CENTRALITY = 1.2
_TITLE = 0.4
_LABEL = 0.5  # taken off for a label before the sentence: it is one of several such
_REPEATS = 1.2  # taken off the second one for what the first one has said
_NUMBER = 0.25  # added to the second one: results are stated in figures
_SAYS_THE_SAME = 0.8  # of its terms: then the second one adds nothing
_USUAL_TERMS = 12  # of a sentence: brings centrality to about 0 to 1


def summary(page: PageSentences) -> dict[str, Any]:
    """`{"summary", "evidence"}`: the evidence is the sentences themselves, word for word."""
    sentences = chosen(page)
    return {"summary": " ".join(sentences), "evidence": list(sentences)}


@lru_cache(maxsize=8)
def chosen(page: PageSentences) -> tuple[str, ...]:
    """The sentences of the summary in page order, one or two."""
    if page.prose:
        return _best_two(page)
    return next(tuple(found) for found in _fallbacks(page) if found)


def _best_two(page: PageSentences) -> tuple[str, ...]:
    scores = _scores(page)
    first = max(page.prose, key=scores.__getitem__)
    room = MAX_WORDS - first.length
    rest = [candidate for candidate in page.prose if candidate is not first and candidate.length <= room]
    if first.length >= ALONE_FROM or not rest:
        return (first.text,)

    def worth(candidate: Candidate) -> float:
        number = _NUMBER if any(map(str.isdigit, candidate.text)) else 0.0
        return scores[candidate] + number - _REPEATS * _repeated(candidate, first)

    second = max(rest, key=worth)
    if _repeated(second, first) > _SAYS_THE_SAME:
        return (first.text,)
    return (first.text, second.text) if first.place < second.place else (second.text, first.text)


def _scores(page: PageSentences) -> dict[Candidate, float]:
    centre = max(page.weights.values(), default=1.0) * math.sqrt(_USUAL_TERMS)
    title = page.title_terms
    return {
        candidate: _LEAD / math.sqrt(1 + candidate.place)
        + _CENTRALITY * page.centrality(candidate) / centre
        + _TITLE * len(candidate.terms & title) / (len(title) or 1)
        - _LABEL * has_label(candidate.text)
        for candidate in page.prose
    }


def _repeated(candidate: Candidate, first: Candidate) -> float:
    return len(candidate.terms & first.terms) / len(candidate.terms) if candidate.terms else 1.0


def _fallbacks(page: PageSentences) -> Iterator[list[str]]:
    """What to say where no sentence of the running text can stand alone, best first; the last one always holds something."""
    described = [
        line.text[start:end]
        for line in visible(page.description).lines
        if line.kind != "comment"
        for start, end in split_sentences(line.text)
    ]
    yield clipped((text for text in described if is_plain(text) and stands_alone(text)), MAX_WORDS)[:2]
    yield [candidate.text for candidate in page.listed[:1]]
    yield clipped((sentence.text for sentence in page.running if is_plain(sentence.text)), MAX_WORDS)[:1]
    yield clipped(described, MAX_WORDS)[:1]
    # No sentence at all: the longest line that is short enough, of the kind that says most.
    for kinds in (("prose", "list"), ("footnote", "table", "component"), ("heading", "code")):
        lines = [line.text for line in page.visible.lines if line.kind in kinds and count_words(line.text) <= MAX_WORDS]
        yield sorted(lines, key=count_words, reverse=True)[:1]
    yield [" ".join(page.title.split())]
