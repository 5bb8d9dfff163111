"""What `enrich eval` reports about a rated wiki: `python bench/evaluation.py [SAMPLE]`.

SAMPLE has `content/docs` and `data/insights` (default: `../shared/wiki-sample` beside the checkout; without it the measurement is skipped).
Three tables: drift reported on stored insights that were lowered, with and without noise; random halves of the same data, by page and by
insight, reported wrongly; and the offline baseline's row against the stored values. Exits with 1 if drift misses its goals.

The baseline's coefficients were fitted on these pages: `docs/baseline.md` has its cross-validated errors.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from enrich.config import Config, WikiSection
from enrich.evaluation.answers import AnswerSet, PageAnswers, baseline_answers, stored_answers
from enrich.evaluation.drift import Drift, compare
from enrich.evaluation.evaluation import evaluate
from enrich.evaluation.report import estimate_text
from enrich.wiki.page_files import find_pages
from enrich.wiki.pages import Page, read_page

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "wiki-sample"
DRAWS = 100
STEADY_DRAWS = 95
"""Of 100 draws of random halves so many must not be called."""
NOISE = 0.5  # half a point: the grid of the scores


@dataclass(frozen=True)
class Stored:
    """The values of the wiki, and its pages."""

    answers: AnswerSet
    pages: list[Page]


def load(sample: Path) -> Stored:
    config = Config(wiki=WikiSection(content="content/docs", data="data", profile="longterm-wiki")).with_root(sample)
    files, _ = find_pages(config.content, ids="stem")
    return Stored(stored_answers(config, files, name="stored"), [read_page(file) for file in files])


def rescored(answers: AnswerSet, change: Callable[[float], float]) -> AnswerSet:
    """The set with every S, I and A changed."""
    pages = {}
    for page, given in answers.pages.items():
        insights = given.insights and tuple(
            one.model_copy(update={name: change(score) for name, score in one.scores.items()}) for one in given.insights
        )
        pages[page] = given.model_copy(update={"insights": insights})
    return replace(answers, name="changed", pages=pages)


def lowered(stored: Stored, by: float) -> Drift:
    return compare(stored.answers, rescored(stored.answers, lambda score: score - by))


def shifts_called(stored: Stored, *, draws: int = DRAWS) -> dict[float, int]:
    """In how many of `draws` noisy copies all three scores are called (by 0.3), or any field is (by nothing)."""
    called = {0.3: 0, 0.0: 0}
    for by in called:
        for seed in range(draws):
            rng = random.Random(seed)
            found = compare(stored.answers, rescored(stored.answers, lambda score: score - by + rng.gauss(0, NOISE)), seed=seed).called  # noqa: B023
            called[by] += len(found) == 3 if by else bool(found)
    return called


def halves_called(stored: Stored, split: str, *, draws: int = DRAWS) -> int:
    """In how many of `draws` two random halves of the stored values, by `pages` or by `insights`, are called."""
    return sum(bool(compare(*halves(stored.answers, split, random.Random(seed)), seed=seed).called) for seed in range(draws))


def halves(answers: AnswerSet, split: str, rng: random.Random) -> tuple[AnswerSet, AnswerSet]:
    sides: tuple[dict[str, PageAnswers], dict[str, PageAnswers]] = ({}, {})
    if split == "pages":
        names = list(answers.pages)
        rng.shuffle(names)
        for place, name in enumerate(names):
            sides[place % 2][name] = answers.pages[name]
    else:
        for name, given in answers.pages.items():
            insights = list(given.insights or ())
            rng.shuffle(insights)
            cut = (len(insights) + rng.randrange(2)) // 2
            for side, part in zip(sides, (insights[:cut], insights[cut:]), strict=True):
                if part:
                    side[name] = PageAnswers(page=name, insights=tuple(part))
    return AnswerSet("one half", sides[0]), AnswerSet("the other", sides[1])


def main() -> int:
    sample = Path(sys.argv[1]) if len(sys.argv) > 1 else BESIDE
    if not sample.is_dir():
        print("evaluation: needs ../shared/wiki-sample beside the checkout; skipped")
        return 0
    started = time.perf_counter()
    stored = load(sample)
    one = lowered(stored, 1.0)
    print(f"all S, I and A lowered by 1.0: called in {', '.join(shift.field for shift in one.called)}")
    for shift in one.called:
        print(f"  {shift.field}: {shift.reason}")
    called = shifts_called(stored)
    print(f"lowered by 0.3 with noise of {NOISE}: all three called in {called[0.3]} of {DRAWS} draws")
    print(f"noise of {NOISE} alone: something called in {called[0.0]} of {DRAWS} draws")
    steady = {split: DRAWS - halves_called(stored, split) for split in ("pages", "insights")}
    for split, count in steady.items():
        print(f"two random halves by {split}: not called in {count} of {DRAWS} draws")
    print("\nthe offline baseline against the stored values (fitted on these pages; cross-validated errors: docs/baseline.md)")
    dimensions = dict.fromkeys(name for page in stored.answers.pages.values() for name in page.ratings)
    answers = baseline_answers(stored.pages, stored.answers.asked, dimensions)
    row = evaluate(answers, stored.answers, stored.pages, with_baseline=False)
    for name in row.names:
        cells = {one.role: estimate_text(name, one.metrics.get(name)) for one in row.rows}
        print(f"  {name:<32} {cells['answers']:<26} stored: {cells['golden']}")
    print(f"{time.perf_counter() - started:.0f} s")
    held = len(one.called) == 3 and called[0.3] == DRAWS and min(steady.values()) >= STEADY_DRAWS
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
