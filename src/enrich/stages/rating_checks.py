"""Whether ratings are a judgement of their page: scores that differ, near what such pages get, with reasons that name something of the page.

A small model's ratings of 24 pages had none of these, and nothing else about them was invalid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from enrich.grounding import Finding, PageIndex
from enrich.grounding.statements import content
from enrich.stages import baseline

# Of 164 rated pages of the reference wiki, 2 % of the ratings are further than 3.3 points from the baseline's, and 0.3 % further than this.
_FAR = 4.0
_FEWEST_WORDS = 250  # the structure of a shorter page says little
_FEWEST_DIMENSIONS = 3
# A reason of which this share is in the dimension's lines of the prompt repeats them.
_REPEATED = 0.7
_WORD = re.compile(r"[^\W_]+")
# In place of a reason where the answer is probabilities alone.
PROBABILITIES = "probabilities of the levels:"
_OWN_REASONS = ("from structure alone", "structure tells nothing")  # the baseline names its counts, which are not words of the page


def rating_findings(ratings: Mapping[str, tuple[float, str]], rubric: Path, index: PageIndex) -> dict[str, list[Finding]]:
    """The findings about each dimension's (score, reason), by dimension; `rubric`: the prompt that describes the dimensions."""
    found: dict[str, list[Finding]] = {name: [] for name in ratings}
    if all(reason.startswith(_OWN_REASONS) for _, reason in ratings.values()):
        return found
    empty = {name: problem for name, (_, reason) in ratings.items() if (problem := _without_content(name, reason, rubric, index))}
    scores = {score for score, _ in ratings.values()}
    reasons = [reason for _, reason in ratings.values()]
    page = baseline.PageSentences(index.title, index.description, index.written, index.visible)
    usual = baseline.ratings(page, tuple(ratings))
    for name, (score, _) in ratings.items():
        field = f"ratings.{name}"
        if name in empty:
            found[name].append(Finding("rating", "hard", empty[name], field))
        if len(ratings) >= _FEWEST_DIMENSIONS and len(scores) == 1:
            severity: Literal["hard", "soft"] = "hard" if len(set(reasons)) == 1 or empty else "soft"
            found[name].append(Finding("rating", severity, f"all {len(ratings)} dimensions got {score:g}", field))
        expected = usual[name]["score"]
        if abs(score - expected) > _FAR and index.visible.words >= _FEWEST_WORDS:
            message = f"{score:g} is far from the {expected:g} that pages of this structure get"
            found[name].append(Finding("rating", "hard", message, field))
    return found


def _without_content(name: str, reason: str, rubric: Path, index: PageIndex) -> str:
    """What is wrong with a reason, or ""."""
    words = set(content(word.lower() for word in _WORD.findall(reason)))
    described = _described(rubric).get(name, frozenset())
    if reason.startswith(PROBABILITIES):
        return ""
    if words and len(words & described) >= _REPEATED * len(words):
        return "the reason repeats the description of the dimension"
    own = words - described
    if own and not own & index.stems and not any(map(str.isdigit, reason)):
        return "the reason names nothing of the page"
    return "" if words else "there is no reason"


@cache
def _described(rubric: Path) -> dict[str, frozenset[str]]:
    """The content words that a prompt says of each dimension, from the line that begins with its name to the next blank line."""
    text = rubric.read_text(encoding="utf-8") if rubric.is_file() else ""
    parts: Sequence[tuple[str, str]] = re.findall(r"^`(\w+)`:(.*?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: frozenset(content(word.lower() for word in _WORD.findall(said))) for name, said in parts}
