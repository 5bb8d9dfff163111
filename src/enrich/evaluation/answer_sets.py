"""A set of answers: what a model, a person or an earlier run said about some pages, in one form that can be measured and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from enrich.stages.answers import INSIGHTS, SUMMARY, FieldAnswer
from enrich.wiki.data import SCORES

RATINGS = "ratings."


@dataclass(frozen=True, slots=True)
class Insight:
    """One insight as it was said: `scores` holds those of S, I and A (1 to 5) that it has, `evidence` is "" where none was given."""

    type: str
    text: str
    scores: Mapping[str, float] = field(default_factory=dict)
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class PageAnswers:
    """What a set says about one page. None: it says nothing on this; `insights` of () says that the page holds none.

    `summary_evidence`: the quotes given for the summary, None where none were asked for. `ratings`: 0 to 10 by dimension.
    """

    page: str
    summary: str | None = None
    summary_evidence: tuple[str, ...] | None = None
    insights: tuple[Insight, ...] | None = None
    ratings: Mapping[str, float] = field(default_factory=dict)

    @property
    def stages(self) -> frozenset[str]:
        """The stages it answers."""
        there = {"summary": self.summary is not None, "insights": self.insights is not None, "ratings": bool(self.ratings)}
        return frozenset(stage for stage, given in there.items() if given)

    def only(self, stages: Iterable[str]) -> PageAnswers:
        """The parts that belong to these stages."""
        kept = frozenset(stages)
        return PageAnswers(
            self.page,
            self.summary if "summary" in kept else None,
            self.summary_evidence if "summary" in kept else None,
            self.insights if "insights" in kept else None,
            self.ratings if "ratings" in kept else {},
        )


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """Answers by page id, in page order. `name` is what tables call it; `notices` are lines about what was left out on reading."""

    name: str
    pages: Mapping[str, PageAnswers]
    notices: tuple[str, ...] = ()

    def with_stage(self, stage: str) -> list[PageAnswers]:
        """The pages that have an answer to `stage`."""
        return [page for page in self.pages.values() if stage in page.stages]

    def restricted(self, to: Mapping[str, Iterable[str]]) -> AnswerSet:
        """Only these stages of these pages: so that two sets are judged on the same questions."""
        kept = {page: answers.only(to[page]) for page, answers in self.pages.items() if page in to}
        return replace(self, pages={page: answers for page, answers in kept.items() if answers.stages})

    @property
    def asked(self) -> dict[str, frozenset[str]]:
        """The stages answered, by page."""
        return {page: answers.stages for page, answers in self.pages.items()}


def from_fields(page: str, fields: Sequence[FieldAnswer]) -> PageAnswers:
    """The answers of a model as its judged fields, whatever was found about them."""
    summary: str | None = None
    evidence: tuple[str, ...] | None = None
    insights: tuple[Insight, ...] | None = None
    ratings: dict[str, float] = {}
    for given in fields:
        if given.field == SUMMARY:
            summary = str(given.value)
            evidence = tuple(item.quote for item in given.evidence)
        elif given.field == INSIGHTS:
            insights = tuple(insight for value in given.value if (insight := read_insight(value)) is not None)
        elif given.field.startswith(RATINGS) and (score := number(given.value, 0, 10)) is not None:
            ratings[given.field.removeprefix(RATINGS)] = score
    return PageAnswers(page, summary, evidence, insights, ratings)


def read_insight(values: Any) -> Insight | None:
    """An insight out of a mapping as pages hold them (DESIGN.md section 4.4); None where it has no text.

    Scores are read from 0 to 10: a set that left the scale of 1 to 5 is exactly what a comparison has to see.
    """
    if not isinstance(values, Mapping) or not isinstance(values.get("text"), str) or not values["text"].strip():
        return None
    scores = {name: score for name in SCORES if (score := number(values.get(name), 0, 10)) is not None}
    evidence = values.get("evidence")
    return Insight(str(values.get("type") or ""), plain(values["text"]), scores, plain(evidence) if isinstance(evidence, str) else "")


def number(value: Any, low: float, high: float) -> float | None:
    """`value` as a number within the scale, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
        return None
    return float(value)


def plain(text: str) -> str:
    """The text as the product holds it: on one line, `\\$` as `$` (DESIGN.md section 4.1, `escape_dollar`)."""
    return " ".join(text.split()).replace("\\$", "$")
