"""The baseline's insights: up to three of the page's own sentences that look like statements worth knowing.

A sentence earns points for what such statements often have (quantities, contrast, uncertainty, opposed views, consequences) and for being
near to what the page is about; its type follows from the cues, the first that fits. The cues are English words; quantities are seen in any
language. What the summary has said is not said again.

The scores S, I and A are the same for every insight, and say nothing: no cue of a statement foretells them better than their median does
(`docs/baseline.md`). They are given because the form asks for them.
"""

from __future__ import annotations

from typing import Any

import regex

from enrich.offline.sentences import Candidate, PageSentences, overlap
from enrich.offline.summary import chosen
from enrich.offline.wording import word_set

MAX_INSIGHTS = 3
LEAST = 1.1  # points below which a sentence is not worth showing: one quantity, or a word of contrast alone, is not enough
ALIKE = 0.5  # of the smaller one's terms: two sentences that say the same

SCORES = {"surprising": 3.0, "important": 3.5, "actionable": 3.0}
"""The medians of the stored insights that `bench/fit_baseline.py` read, in half points."""

# A cue is a word, or a phrase around a word that says when to look for it.
_GAP_WORDS = word_set("unknown unclear unresolved untested unproven unanswered unmeasured")
_GAP_TRIGGERS = word_set("remain remains not no nobody lack lacks poorly open")
_GAP_PHRASE = regex.compile(
    r"\bremains? (?:uncertain|open|to be seen|unsolved|difficult|unclear)|\bpoorly understood|\bopen questions?\b|\bnobody (?:knows|has)"
    r"|\bnot (?:yet )?(?:known|understood|tested|measured|studied|been (?:tested|measured|studied|shown|demonstrated|validated))"
    r"|\bno (?:\w+ )?(?:evidence|consensus|data|study|studies|measurements?)\b|\blacks? (?:\w+ )?(?:evidence|data)\b"
)
_DISAGREEMENT = word_set(
    """
    disagree disagrees disagreed disagreement disagreements dispute disputes disputed contested controversial sceptics skeptics
    opponents critics
    """
)
_NEGLECT = word_set("neglected overlooked underfunded under-funded understudied under-researched underappreciated underestimated ignored")
_NEGLECT_TRIGGERS = word_set("little less scant insufficient")
_NEGLECT_PHRASE = regex.compile(r"\b(?:little|less|scant|insufficient) (?:\w+ )?(?:attention|funding|research)\b")
_CONTRAST = word_set(
    """
    counterintuitive counterintuitively surprising surprisingly paradox paradoxical paradoxically despite unexpected unexpectedly
    ironically although backfire backfires opposite contrary yet
    """
)
_CONTRAST_TRIGGERS = word_set("even worse not")
_CONTRAST_PHRASE = regex.compile(r"\beven (?:though|when|if)\b|\bworse than\b|\bnot because\b")
# What makes a claim more than a description: consequence, necessity, comparison.
_CONSEQUENCE = word_set(
    """
    because therefore means leads lead results causes caused depends depend requires require cannot must only never always unless
    without most more less fewer greater higher lower increase increases increased reduce reduces reduced key critical crucial essential
    fundamental fundamentally bottleneck limit limits limited fail fails failure risk risks harm harms threshold
    """
)
# A number with a unit, a currency, a factor or a range; a bare year or a version is none.
_QUANTITY = regex.compile(
    r"[$€£¥]\s?\d[\d.,]*|\d[\d.,]*\s?(?:[%×°]|(?:percent|per cent|percentage points?|x|[KMB]|thousand|million|billion|trillion|Mio|Mrd"
    r"|years?|months?|weeks?|days?|hours?|minutes?|seconds?|times|people|FLOPs?|tokens?|parameters?|[kMGT]B|[kMGT]Wh?)\b|-?fold\b)"
    r"|\d[\d.,]*\s?[-–]\s?\d[\d.,]*(?!\d)|\b\d+ (?:of|out of|in) \d+\b"
)
_YEAR_RANGE = regex.compile(r"(?:19|20)\d\d\s?[-–]\s?(?:(?:19|20)\d\d|\d\d\b)")
_DIGIT = regex.compile(r"\d")

_CUE_POINTS = {"research-gap": 1.2, "disagreement": 1.0, "neglected": 1.2, "counterintuitive": 1.0}
_QUANTITY_POINTS = (0.0, 0.7, 1.2, 1.5)  # of none, one, two, three and more
_CONSEQUENCE_POINTS = 0.4
_MOST_CONSEQUENCES = 3
_CENTRALITY_POINTS = 0.5


def insights(page: PageSentences) -> dict[str, Any]:
    """`{"insights": […]}`, best first, none where nothing stands out: text and evidence of each are the sentence, word for word."""
    return {
        "insights": [{"type": kind, "evidence": sentence, "text": sentence, **SCORES} for sentence, kind in _best(page)],
    }


def _best(page: PageSentences) -> list[tuple[str, str]]:
    said = set(chosen(page))
    ranked: list[tuple[float, Candidate, str]] = []
    for candidate in (*page.prose, *page.listed):
        kind, points = judged(candidate.text, candidate.words)
        if points >= LEAST and candidate.text not in said:
            ranked.append((points + _CENTRALITY_POINTS * page.centrality(candidate), candidate, kind))
    ranked.sort(key=lambda item: -item[0])  # stable: of equals the earlier one
    kept: list[tuple[Candidate, str]] = []
    for _, candidate, kind in ranked:
        if all(overlap(candidate.terms, other.terms) < ALIKE for other, _ in kept):
            kept.append((candidate, kind))
            if len(kept) == MAX_INSIGHTS:
                break
    return [(candidate.text, kind) for candidate, kind in kept]


def judged(text: str, words: frozenset[str]) -> tuple[str, float]:
    """(the type that the sentence's cues point to, its points for being worth knowing); `words`: its distinct words in lower case."""
    amount = quantities(text)
    points = _QUANTITY_POINTS[min(amount, 3)] + _CONSEQUENCE_POINTS * min(len(words & _CONSEQUENCE), _MOST_CONSEQUENCES)
    cue = cue_of(text, words)
    if cue:
        return cue, points + _CUE_POINTS[cue]
    return ("quantitative" if amount else "claim"), points


def quantities(text: str) -> int:
    """How many quantities a sentence states, years and versions left out."""
    return len(_QUANTITY.findall(_YEAR_RANGE.sub("", text))) if _DIGIT.search(text) else 0


def cue_of(text: str, words: frozenset[str]) -> str:
    """The first type that a cue word or phrase points to, "" for none."""
    if words & _GAP_WORDS or (words & _GAP_TRIGGERS and _GAP_PHRASE.search(text.lower())):
        return "research-gap"
    if words & _DISAGREEMENT:
        return "disagreement"
    if words & _NEGLECT or (words & _NEGLECT_TRIGGERS and _NEGLECT_PHRASE.search(text.lower())):
        return "neglected"
    if words & _CONTRAST or (words & _CONTRAST_TRIGGERS and _CONTRAST_PHRASE.search(text.lower())):
        return "counterintuitive"
    return ""


def cue_counts(text: str, words: frozenset[str]) -> tuple[float, ...]:
    """The cues of one statement as numbers, for a fit of its scores: quantities, consequences, length, each type's cue."""
    cue = cue_of(text, words)
    return (
        float(quantities(text)),
        float(len(words & _CONSEQUENCE)),
        float(len(words)),
        *(float(cue == kind) for kind in _CUE_POINTS),
    )
