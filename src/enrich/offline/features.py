"""What the baseline's ratings are reckoned from: twenty-odd counts of a page's structure and wording.

Only the body counts, so nothing that stands in the frontmatter (least of all an earlier rating) can leak into a rating. Rates are per
thousand visible words, with a floor of 100 words so that a stub's single link is no flood; counts enter as log(1 + n), as their effect
fades.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

import regex

from enrich.metrics.structure import count_citations, structure
from enrich.offline.sentences import PageSentences
from enrich.offline.wording import count_words, word_set
from enrich.wiki.profile import Profile, load_profile

_FLOOR_WORDS = 100

# Wording, in English only: elsewhere these rates are 0, as they are on an English page that uses none of the words.
_HEDGES = word_set(
    """
    may might could perhaps possibly likely unlikely uncertain uncertainty uncertainties unclear unknown suggests suggest appears
    appear seems seem roughly approximately estimate estimates estimated probably probability probabilities plausible plausibly
    confidence speculative debated
    """
)
_ADVICE = word_set(
    """
    should recommend recommends recommended recommendation recommendations priority priorities prioritize prioritise must need needs
    consider implement implements implementing implementation invest investing investment investments intervention interventions
    strategy strategies strategic action actions step steps policy policies funding funders mitigate mitigates mitigation
    mitigations
    """
)
_REASONING = word_set(
    """
    because therefore if then assume assumes assuming assumption assumptions model models modeled modelled modeling modelling
    scenario scenarios parameter parameters mechanism mechanisms dynamics tradeoff tradeoffs framework analysis threshold
    equilibrium feedback depends implies implication implications
    """
)
_PAST = word_set(
    """
    was were had founded announced joined became received published launched served led said reported raised
    """
)
_WORD = re.compile(r"[a-z]+")
_NUMBER = regex.compile(r"\d[\d.,]*")
_RANGE = regex.compile(r"\d\s?%?\s?[-–]\s?\$?\d")

NAMES = (
    "words",
    "prose_share",
    "sections",
    "subsection_share",
    "tables",
    "table_share",
    "diagrams",
    "internal_links",
    "external_links",
    "citations",
    "footnotes",
    "bullets",
    "overview",
    "code_blocks",
    "sentence_length",
    "numbers",
    "years",
    "ranges",
    "hedges",
    "advice",
    "reasoning",
    "past",
    "questions",
)


@lru_cache(maxsize=1)
def _profile() -> Profile:
    return load_profile()


def features(page: PageSentences) -> tuple[float, ...]:
    """One value for each of `NAMES`."""
    # A body that begins with a rule is not to be taken for frontmatter (`counted_text` cuts lazily).
    counts = structure("\n" + page.body, _profile())
    resources = count_citations(page.body, _profile().resource_component)
    lines = page.visible.lines
    by_kind = {"prose": 0, "list": 0, "table": 0}
    parts = []
    for line in lines:
        if line.kind in by_kind:
            by_kind[line.kind] += len(line.text)
            parts.append(line.text)
    text = "\n".join(parts)
    used = Counter(_WORD.findall(text.lower()))
    words = count_words(text.replace("\n", " "))
    total = max(1, sum(by_kind.values()))
    per = 1000 / max(words, _FLOOR_WORDS)

    def rate(wording: frozenset[str]) -> float:
        return math.log1p(sum(used[word] for word in wording) * per)

    sentences = page.running
    numbers = _NUMBER.findall(text)
    years = sum(1 for number in numbers if len(number) == 4 and number[:2] in ("19", "20"))
    values = {
        "words": math.log1p(words),
        "prose_share": by_kind["prose"] / total,
        "sections": math.log1p(counts.section_count),
        "subsection_share": counts.h3_count / max(1, counts.section_count),
        "tables": math.log1p(counts.table_count),
        "table_share": by_kind["table"] / total,
        "diagrams": math.log1p(counts.diagram_count),
        "internal_links": math.log1p(counts.internal_links * per),
        "external_links": math.log1p(counts.external_links * per),
        "citations": math.log1p((counts.footnote_count + resources) * per),
        "footnotes": math.log1p(counts.footnote_count * per),
        "bullets": counts.bullet_ratio,
        "overview": float(counts.has_overview),
        "code_blocks": math.log1p(counts.code_block_count),
        "sentence_length": math.log1p(sum(len(s.text) for s in sentences) / 6 / max(1, len(sentences))),
        "numbers": math.log1p((len(numbers) - years) * per),
        "years": math.log1p(years * per),
        "ranges": math.log1p(len(_RANGE.findall(text)) * per),
        "hedges": rate(_HEDGES),
        "advice": rate(_ADVICE),
        "reasoning": rate(_REASONING),
        "past": rate(_PAST),
        "questions": math.log1p(text.count("?") * per),
    }
    return tuple(values[name] for name in NAMES)
