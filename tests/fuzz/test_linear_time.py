"""Every text scanner takes time in proportion to its input, whatever the text: a page or an answer cannot keep a run busy for minutes.

CPU time of this process, the best of some tries, because the machine is shared. The sizes double; each step may take at most `RATIO` times as long.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enrich.checks.frontmatter import frontmatter
from enrich.checks.writing import writing
from enrich.grounding import PageIndex
from enrich.grounding.quantities import quantities
from enrich.grounding.quotes import normalise_quote
from enrich.grounding.self_talk import gives_orders, self_talk
from enrich.grounding.statements import likeness, stems, word_pairs
from enrich.llm.costs import estimate_tokens
from enrich.metrics.quality import grading_counts
from enrich.metrics.risk import integrity
from enrich.metrics.structure import links, structure
from enrich.records.relations import compared_text
from enrich.review.views import word_diff
from enrich.stages import baseline
from enrich.text import code_span, escaped, json_text, printable
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, PromptView, detect_language, parse_page
from enrich.wiki.profile import load_profile
from enrich.wiki.site_links import page_links
from enrich.wiki.visible import source_lines, split_sentences, visible
from tests.fuzz.shapes import SHAPES

RATIO = 3.0  # of the times of two sizes of which one is double the other: 2 and noise; quadratic time gives 4
FEWEST_SECONDS = 0.04  # shorter times say nothing about growth
FAST = 0.015  # for 100,000 characters: below, a text that no longer fits into the processor's cache shows
SECONDS = 0.1  # for 100,000 characters on an idle machine
SHARED = 3.0  # how much slower a shared or old machine may be
LEAST = 50_000  # characters that the time of a shorter text may take: some costs are bounded and do not depend on the length
TRIES = 10  # only a time that is too long is measured again

_PROFILE = load_profile("longterm-wiki", Path())
_FILE = PageFile("x", "knowledge-base/people/x.mdx", Path("x.mdx"))
_ANSWER = "The cost fell by 37 % to $5 million in 2019, from 12 to 14 labs; GPT-4 took third place among 7 groups (twice the 3.5x of 2017)."
_QUOTE = "the cost of this thing is rather high and it may fall by many percent in the coming year"
_PAGE = PageIndex("The cost fell by 5 % to $3 million in 2019.\n\n| a | 5 |\n|--|--|\n| b | 7 |\n", title="Cost")


def _page(body: str, head: str = "title: x") -> Page:
    return parse_page(_FILE, f"---\n{head}\n---\n{body}".encode("utf-8", "replace"))


# Each reads its text once. What reads it several times, in parts that are scanners of their own, is in `_SEVERAL`.
SCANNERS: dict[str, Callable[[str], object]] = {
    "visible text": visible,
    "source lines": source_lines,
    "naming sources": PromptView(load_profile("longterm-wiki", Path()), dict).body,
    "sentences": split_sentences,
    "quantities": quantities,
    "German quantities": lambda text: quantities(text, "de"),
    "Chinese quantities": lambda text: quantities(text, "zh"),
    "language": detect_language,
    "normalising": normalise_quote,
    "stems": lambda text: stems([text]),
    "self-talk": self_talk,
    "orders": gives_orders,
    "structure": lambda text: structure(text, _PROFILE),
    "links": links,
    "page links": page_links,
    "integrity": integrity,
    "grading counts": lambda text: grading_counts(text, _PROFILE),
    "compared words": compared_text,
    "tokens": estimate_tokens,
    "printing": lambda text: (printable(text), escaped(text), code_span(text), json_text(text)),
    "word pairs": word_pairs,
    "page": _page,
    "broken frontmatter": lambda text: _page("", text),
}
_SEVERAL: dict[str, Callable[[str], object]] = {
    "writing rules": lambda text: writing(_page(text), _PROFILE.checks),
    "frontmatter values": lambda text: frontmatter(_page("", "llmSummary: |\n  " + text.replace("\n", "\n  ")), _PROFILE),
    "frontmatter keys": lambda text: frontmatter(_page("", text), _PROFILE),
    "likeness": lambda text: likeness(text, f"{text}x"),
    "word diff": lambda text: word_diff(text, f"{text[: len(text) // 2]} x {text[len(text) // 2 :]}"),
    "finding a quote": lambda text: PageIndex(text).find_quote(_QUOTE),
    "finding its own words": lambda text: PageIndex(text).find_quote(text[:300]),
    "a long quote": _PAGE.find_quote,
    "sizes of lists": lambda text: PageIndex(text).list_sizes(),
    "checking against the page": lambda text: PageIndex(text, title="x").check(_ANSWER),
    "checking with evidence": lambda text: PageIndex(text, title="x").check(_ANSWER, [_QUOTE, text[:60]]),
    "checking a long answer": lambda text: _PAGE.check(text, ["The cost fell by 5 % to"]),
    "baseline": lambda text: [baseline.answer(stage, _page(text), dimensions=("novelty",)) for stage in ("summary", "insights", "ratings")],
}
_ALL = {**SCANNERS, **_SEVERAL}


@pytest.fixture(autouse=True, scope="module")
def _no_collections() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def _seconds(scan: Callable[[str], object], text: str, enough: float) -> float:
    """The best CPU time of some tries; the first one that is below `enough` ends them."""
    best = float("inf")
    for _ in range(TRIES):
        started = time.process_time()
        scan(text)
        best = min(best, time.process_time() - started)
        if best < enough:
            break
    return best


def _faults(name: str, sizes: list[int]) -> Iterator[str]:
    scan = _ALL[name]
    limit = SECONDS * SHARED * (1 if name in SCANNERS else 4)
    scan("Warm up: 5 % of <b>words</b>.")
    for shape, make in SHAPES.items():
        before, smaller = 0.0, 0
        for size in sizes:
            allowed = max(FEWEST_SECONDS, FAST * size / 100_000, before * RATIO ** math.log2(size / smaller)) if smaller else float("inf")
            took = _seconds(scan, make(size), min(allowed, limit * max(size, LEAST) / 100_000))
            if took > allowed:
                yield f"{shape}: {before:.3f} s at {smaller:,} characters, {took:.3f} s at {size:,}"
                break
            if took > limit * max(size, LEAST) / 100_000:
                yield f"{shape}: {took:.3f} s at {size:,} characters"
                break
            before, smaller = took, size


@pytest.mark.parametrize("name", _ALL)
def test_time_grows_with_the_text_and_no_faster(name: str) -> None:
    assert list(_faults(name, [8_000, 32_000])) == []


@pytest.mark.fuzz
@pytest.mark.parametrize("name", _ALL)
def test_up_to_a_megabyte(name: str) -> None:
    assert list(_faults(name, [125_000, 250_000, 500_000, 1_000_000])) == []


def test_there_are_enough_shapes() -> None:
    assert len(SHAPES) >= 40
