"""The offline baseline's answers as a set: the row that a model has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from enrich.config import SEVEN_DIMENSIONS
from enrich.evaluation.answer_sets import AnswerSet, PageAnswers, from_fields
from enrich.grounding import PageIndex
from enrich.stages.answers import FieldAnswer
from enrich.stages.baseline import answer
from enrich.stages.judges import judge_of
from enrich.wiki.pages import Page

NAME = "offline baseline"


def baseline_answers(pages: Iterable[Page], asked: Mapping[str, Iterable[str]], dimensions: Iterable[str]) -> AnswerSet:
    """What the baseline says to the stages `asked` of each page. `dimensions`: those to rate; unknown ones have no baseline."""
    rated = tuple(name for name in dimensions if name in SEVEN_DIMENSIONS)
    judges = {stage: judge_of(stage, rated) for stage in ("summary", "insights", *(["ratings"] if rated else []))}
    found: dict[str, PageAnswers] = {}
    for page in pages:
        index = PageIndex(page.body, title=page.title, description=page.description)
        fields: list[FieldAnswer] = []
        for stage in asked.get(page.id, ()):
            if stage in judges:
                said: Any = answer(stage, page, dimensions=rated)
                # A page without a single plain sentence has no summary to quote.
                if stage != "summary" or said["summary"].strip():
                    fields += judges[stage](said, index)
        found[page.id] = from_fields(page.id, fields)
    return AnswerSet(NAME, {page: given for page, given in found.items() if given.stages})
