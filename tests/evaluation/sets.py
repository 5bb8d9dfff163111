"""Small sets of answers and pages for tests, in words of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

# Sets of answers have no public name: most are files, and these tests need hundreds.
from enrich.evaluation.answers import AnswerSet, PageAnswers, ScoredInsight
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
            rescored(ScoredInsight(type="claim", text=insight_text(page, number)), lambda _: score(page, number))  # noqa: B023
            for number in range(each)
        )
        found[f"p{page}"] = PageAnswers(page=f"p{page}", insights=insights)
    return AnswerSet(name, found)


def rated(values: Mapping[str, Sequence[float]], *, name: str = "set") -> AnswerSet:
    """Ratings by dimension, one value a page."""
    pages = max(map(len, values.values()))
    return AnswerSet(
        name,
        {
            f"p{at}": PageAnswers(page=f"p{at}", ratings={one: min(10.0, series[at]) for one, series in values.items() if at < len(series)})
            for at in range(pages)
        },
    )


def rescored(insight: ScoredInsight, score: Callable[[float], float]) -> ScoredInsight:
    return insight.model_copy(update={name: score(getattr(insight, name) or 0.0) for name in ("surprising", "important", "actionable")})


def moved(answers: AnswerSet, change: Callable[[float], float]) -> AnswerSet:
    """The same insights with every score changed."""
    pages = {
        page: one.model_copy(update={"insights": tuple(rescored(each, change) for each in one.insights)})
        for page, one in answers.pages.items()
        if one.insights is not None
    }
    return AnswerSet("moved", pages)


def page(body: str, id: str = "p0", title: str = "The light at Skerry Point") -> Page:  # noqa: A002 - the word of the product
    return make_page(f"---\ntitle: {title}\n---\n{body}\n", f"{id}.md")
