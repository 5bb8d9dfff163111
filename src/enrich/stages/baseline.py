"""The offline baseline: extractive summary and insights, ratings from structure. No network, no key, the same answer each time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex

from enrich.stages.baseline_ratings import ratings
from enrich.stages.baseline_text import (
    WORDS,
    Candidate,
    PageSentences,
    clipped,
    count_words,
    has_label,
    is_plain,
    page_sentences,
    reads_alone,
)
from enrich.wiki.pages import Page
from enrich.wiki.visible import split_sentences, visible

_SUMMARY_WORDS = 70  # named in the summary's prompt
_ALONE_FROM = 45  # words: a first sentence as long as this needs no second

# The parts of a sentence's score for the summary, each about 0 to 1 before it is weighted. Set by hand; the result hardly depends on them.
_LEAD = 1.0
_CENTRALITY = 1.2
_TITLE = 0.4
_LABEL = 0.5  # subtracted for a label before the sentence: it is one of several such
_REPEATS = 1.2  # subtracted from the second one for what the first one has said
_NUMBER = 0.25  # added to the second one: results are given in figures
_SAYS_THE_SAME = 0.8  # of its terms: then the second one adds nothing
_USUAL_TERMS = 12  # of a sentence: brings centrality to about 0 to 1

MAX_INSIGHTS = 3
LEAST = 1.1  # points below which a sentence is not worth showing: one quantity, or a word of contrast alone, is not enough
_ALIKE = 0.5  # of the smaller one's terms: two sentences that say the same
# The medians of the stored insights that `bench/fit_baseline.py` read, in half points, for every insight: no cue predicts a score better
# (`docs/baseline.md`).
SCORES = {"surprising": 3.0, "important": 3.5, "actionable": 3.0}
_CUES: list[tuple[str, frozenset[str], frozenset[str], regex.Pattern[str]]] = [
    (
        kind,
        frozenset(cue["words"].split()),
        frozenset(cue.get("triggers", "").split()),
        regex.compile("|".join(cue.get("phrases", []))),
    )
    for kind, cue in WORDS["cues"].items()
]
_CONSEQUENCE = frozenset(WORDS["consequences"].split())
# A number with a unit, a currency, a factor or a range; a year or a version is not a quantity.
_QUANTITY = regex.compile(
    rf"[$€£¥]\s?\d[\d.,]*|\d[\d.,]*\s?(?:[%×°]|(?:{'|'.join(WORDS['units'])})\b|-?fold\b)"
    r"|\d[\d.,]*\s?[-–]\s?\d[\d.,]*(?!\d)|\b\d+ (?:of|out of|in) \d+\b"
)
_YEAR_RANGE = regex.compile(r"(?:19|20)\d\d\s?[-–]\s?(?:(?:19|20)\d\d|\d\d\b)")
_DIGIT = regex.compile(r"\d")

_CUE_POINTS = {"research-gap": 1.2, "disagreement": 1.0, "neglected": 1.2, "counterintuitive": 1.0}
_QUANTITY_POINTS = (0.0, 0.7, 1.2, 1.5)  # of none, one, two, three and more
_CONSEQUENCE_POINTS = 0.4
_MOST_CONSEQUENCES = 3
_CENTRALITY_POINTS = 0.5


def answer(stage: str, page: Page, *, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """The baseline's answer to `stage` ("summary", "insights", "ratings") about a page, as JSON data that fits the stage's schema.

    `dimensions` are the ratings asked for, of the seven of FIELDS.md section 12. Depends on title, description and body only.
    """
    sentences = page_sentences(page)
    if stage == "summary":
        return summary(sentences)
    if stage == "insights":
        return insights(sentences)
    if stage == "ratings":
        return ratings(sentences, dimensions)
    raise ValueError(f"the offline backend has no answer to stage {stage!r}")


def summary(page: PageSentences) -> dict[str, Any]:
    """`{"summary", "evidence"}`: one or two of the page's own sentences; the evidence is the sentences themselves."""
    sentences = _chosen(page)
    return {"summary": " ".join(sentences), "evidence": list(sentences)}


@lru_cache(maxsize=8)
def _chosen(page: PageSentences) -> tuple[str, ...]:
    """The sentences of the summary in page order, one or two.

    By classic extraction (MEAD, Radev et al. 2004): nearness to the page's centroid, an early place, words shared with the title; the second
    one by maximal marginal relevance (Carbonell & Goldstein 1998), so that it adds something.
    """
    if not page.prose:
        return next(tuple(found) for found in _fallbacks(page) if found)
    centre = max(page.weights.values(), default=1.0) * math.sqrt(_USUAL_TERMS)
    title = page.title_terms
    scores = {
        candidate: _LEAD / math.sqrt(1 + candidate.place)
        + _CENTRALITY * page.centrality(candidate) / centre
        + _TITLE * len(candidate.terms & title) / (len(title) or 1)
        - _LABEL * has_label(candidate.text)
        for candidate in page.prose
    }
    first = max(page.prose, key=scores.__getitem__)
    room = _SUMMARY_WORDS - first.length
    rest = [candidate for candidate in page.prose if candidate is not first and candidate.length <= room]
    if first.length >= _ALONE_FROM or not rest:
        return (first.text,)

    def repeated(candidate: Candidate) -> float:
        return len(candidate.terms & first.terms) / len(candidate.terms) if candidate.terms else 1.0

    def worth(candidate: Candidate) -> float:
        number = _NUMBER if any(map(str.isdigit, candidate.text)) else 0.0
        return scores[candidate] + number - _REPEATS * repeated(candidate)

    second = max(rest, key=worth)
    if repeated(second) > _SAYS_THE_SAME:
        return (first.text,)
    return (first.text, second.text) if first.place < second.place else (second.text, first.text)


def _fallbacks(page: PageSentences) -> Iterator[list[str]]:
    """What to say if no sentence of the running text can be quoted alone, best first; the last one always has something."""
    described = [
        line.text[start:end]
        for line in visible(page.description).lines
        if line.kind != "comment"
        for start, end in split_sentences(line.text)
    ]
    yield clipped((text for text in described if is_plain(text) and reads_alone(text)), _SUMMARY_WORDS)[:2]
    yield [candidate.text for candidate in page.listed[:1]]
    yield clipped((sentence.text for sentence in page.running if is_plain(sentence.text)), _SUMMARY_WORDS)[:1]
    yield clipped(described, _SUMMARY_WORDS)[:1]
    # No sentence at all: the longest line that is short enough, of the kind that says most.
    for kinds in (("prose", "list"), ("footnote", "table", "component"), ("heading", "code")):
        lines = [line.text for line in page.visible.lines if line.kind in kinds and count_words(line.text) <= _SUMMARY_WORDS]
        yield sorted(lines, key=count_words, reverse=True)[:1]
    yield [" ".join(page.title.split())]


def insights(page: PageSentences) -> dict[str, Any]:
    """`{"insights": […]}`: up to three of the page's sentences, best first, none if nothing stands out; each is its own evidence.

    A sentence gets points for what statements worth knowing often have (quantities, contrast, uncertainty, opposed views, consequences) and
    for nearness to what the page is about. What the summary has said is not said again. Quantities are seen in any language, cues in English.
    """
    said = set(_chosen(page))
    ranked: list[tuple[float, Candidate, str]] = []
    for candidate in (*page.prose, *page.listed):
        kind, points = _judged(candidate.text, candidate.words)
        if points >= LEAST and candidate.text not in said:
            ranked.append((points + _CENTRALITY_POINTS * page.centrality(candidate), candidate, kind))
    ranked.sort(key=lambda item: -item[0])  # stable: of equals the earlier one
    best: list[tuple[Candidate, str]] = []
    for _, candidate, kind in ranked:
        if len(best) < MAX_INSIGHTS and all(_overlap(candidate.terms, other.terms) < _ALIKE for other, _ in best):
            best.append((candidate, kind))
    return {"insights": [{"type": kind, "evidence": one.text, "text": one.text, **SCORES} for one, kind in best]}


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of the smaller one's terms that the other has too (0 to 1)."""
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0


def _judged(text: str, words: frozenset[str]) -> tuple[str, float]:
    """(the type that the sentence's cues point to, its points for being worth knowing); `words`: its distinct words in lower case."""
    amount = _quantities(text)
    points = _QUANTITY_POINTS[min(amount, 3)] + _CONSEQUENCE_POINTS * min(len(words & _CONSEQUENCE), _MOST_CONSEQUENCES)
    cue = _cue_of(text, words)
    if cue:
        return cue, points + _CUE_POINTS[cue]
    return ("quantitative" if amount else "claim"), points


def _quantities(text: str) -> int:
    """How many quantities a sentence states, without years and versions."""
    return len(_QUANTITY.findall(_YEAR_RANGE.sub("", text))) if _DIGIT.search(text) else 0


def _cue_of(text: str, words: frozenset[str]) -> str:
    """The first type that a cue word or phrase points to, "" for none."""
    for kind, cue_words, triggers, phrases in _CUES:
        if words & cue_words or (words & triggers and phrases.search(text.lower())):
            return kind
    return ""


def cue_counts(text: str, words: frozenset[str]) -> tuple[float, ...]:
    """The cues of one statement as numbers, for a fit of its scores: quantities, consequences, length, each type's cue."""
    cue = _cue_of(text, words)
    counts = (_quantities(text), len(words & _CONSEQUENCE), len(words), *(cue == kind for kind in _CUE_POINTS))
    return tuple(map(float, counts))
