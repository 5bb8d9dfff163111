"""One stage's part of an answer, in the form that a model would give it."""

from __future__ import annotations

from typing import Any

from enrich.offline.insights import insights
from enrich.offline.ratings import ratings
from enrich.offline.sentences import page_sentences
from enrich.offline.summary import summary
from enrich.wiki.pages import Page


def answer(stage: str, page: Page, *, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """The baseline's answer to `stage` ("summary", "insights", "ratings") about a page, as JSON data that fits the stage's schema.

    `dimensions` are the ratings asked for, of the seven of FIELDS.md section 12. Depends on nothing but title, description and body.
    """
    sentences = page_sentences(page)
    if stage == "summary":
        return summary(sentences)
    if stage == "insights":
        return insights(sentences)
    if stage == "ratings":
        return ratings(sentences, dimensions)
    raise ValueError(f"the offline backend has no answer to stage {stage!r}")
