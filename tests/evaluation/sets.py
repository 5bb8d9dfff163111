"""Small sets of answers and pages for tests, in words of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from enrich.evaluation.answer_sets import AnswerSet, Insight, PageAnswers
from enrich.wiki.pages import Page
from tests.checks.making import page as make_page

_SUBJECTS = (
    "lamp oil harbour keeper lens fog bell tower granite wick mirror beam tide anchor mast pilot reef channel buoy chart signal rocket "
    "cottage garden ladder paint rust copper brass winter storm gull seal ferry rope winch cable engine diesel battery solar panel"
).split()


def insight_text(page: int, number: int) -> str:
    """A sentence that shares hardly a word with any other one."""
    words = [_SUBJECTS[(page * 7 + number * 11 + step * 5) % len(_SUBJECTS)] for step in range(4)]
    return " ".join(f"{word}{page}x{number}" for word in words) + f" meets {words[0]}."


def scored(pages: int, score: Callable[[int, int], float], *, name: str = "set", each: int = 4, first: int = 0) -> AnswerSet:
    """`each` insights a page, `score(page, number)` for each of S, I and A."""
    found = {}
    for page in range(first, first + pages):
        insights = tuple(
            Insight("claim", insight_text(page, number), dict.fromkeys(("surprising", "important", "actionable"), score(page, number)))
            for number in range(each)
        )
        found[f"p{page}"] = PageAnswers(f"p{page}", insights=insights)
    return AnswerSet(name, found)


def rated(values: Mapping[str, Sequence[float]], *, name: str = "set") -> AnswerSet:
    """Ratings by dimension, one value a page."""
    pages = max(map(len, values.values()))
    return AnswerSet(
        name,
        {
            f"p{at}": PageAnswers(f"p{at}", ratings={one: series[at] for one, series in values.items() if at < len(series)})
            for at in range(pages)
        },
    )


def moved(answers: AnswerSet, change: Callable[[float], float]) -> AnswerSet:
    """The same insights with every score changed."""
    pages = {
        page: replace(
            one,
            insights=tuple(replace(each, scores={key: change(value) for key, value in each.scores.items()}) for each in one.insights or ()),
        )
        for page, one in answers.pages.items()
        if one.insights is not None
    }
    return AnswerSet("moved", pages)


def page(body: str, id: str = "p0", title: str = "The light at Skerry Point") -> Page:  # noqa: A002 - the word of the product
    return make_page(f"---\ntitle: {title}\n---\n{body}\n", f"{id}.md")
