"""Redundancy against a plain reading of its definition, on pages that share words and whole passages."""

from __future__ import annotations

import math
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# The definition is checked on thousands of pairs of texts, without pages around them.
from enrich.records import relations as module
from enrich.records.relations import compared_text, redundancy

Found = list[tuple[int, list[tuple[int, int]]]]


def by_definition(texts: list[str], groups: list[str]) -> Found:
    """FIELDS.md section 7, pair by pair with Python's sets."""
    words = [re.findall("[a-z0-9_]+", text.lower()) for text in texts]
    long = [{word for word in page if len(word) >= 5} for page in words]
    runs = [set(zip(*(page[shift:] for shift in range(5)), strict=False)) for page in words]
    near: list[list[tuple[int, int]]] = [[] for _ in texts]
    highest = [0.0] * len(texts)
    for i in range(len(texts)):
        for j in range(i + 1, len(texts)):
            if groups[i] != groups[j] or len(long[i]) <= 10 or len(long[j]) <= 10:
                continue
            by_words = len(long[i] & long[j]) / len(long[i] | long[j])
            by_runs = len(runs[i] & runs[j]) / len(runs[i] | runs[j]) if runs[i] | runs[j] else 0.0
            similarity = max(by_runs, by_words * 0.8)
            if similarity >= 0.10:
                near[i].append((j, math.floor(100 * similarity + 0.5)))
                near[j].append((i, math.floor(100 * similarity + 0.5)))
                highest[i], highest[j] = max(highest[i], similarity), max(highest[j], similarity)
    return [(math.floor(100 * top + 0.5), sorted(pages, key=lambda page: -page[1])[:5]) for top, pages in zip(highest, near, strict=True)]


def computed(texts: list[str], groups: list[str]) -> Found:
    found = redundancy([compared_text(text) for text in texts], groups)
    return [(similar[0][1] if similar else 0, similar) for similar in found]


def shared_pages(seed: int, pages: int, *, vocabulary: int, passages: int) -> list[str]:
    """Pages made of a few common passages and of words of their own: runs decide as often as words do."""
    draw = random.Random(seed)
    words = [f"w{number}{'xyz' * (number % 3)}" for number in range(vocabulary)]
    common = [[draw.choice(words) for _ in range(draw.randint(5, 80))] for _ in range(passages)]
    texts = []
    for _ in range(pages):
        text = [draw.choice(words) for _ in range(draw.randint(0, 60))]
        for _ in range(draw.randint(0, 4)):
            at = draw.randint(0, len(text))
            text[at:at] = draw.choice(common)
        texts.append(" ".join(text))
    return texts


@pytest.mark.parametrize(("seed", "rows"), [(1, 512), (2, 16), (3, 7), (4, 1), (5, 64)])
def test_it_is_what_the_definition_says(seed: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", rows)
    texts = shared_pages(seed, 130, vocabulary=150 * seed, passages=12)
    groups = [random.Random(place).choice(["article", "article", "table"]) for place in range(len(texts))]
    expected = by_definition(texts, groups)
    assert sum(1 for _, near in expected if len(near) == 5) > 20, "the pages should have something in common"
    assert computed(texts, groups) == expected


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from([f"{word}{word}{word}" for word in "abcdefghijklmnopqr"] + ["an", "it"]), max_size=40), max_size=9)
)
def test_small_pages_are_what_the_definition_says(pages: list[list[str]]) -> None:
    texts = [" ".join(f"{word}xyz" if len(word) > 2 else word for word in page) for page in pages]
    groups = ["article"] * len(texts)
    assert computed(texts, groups) == by_definition(texts, groups)


def test_equal_similarities_stay_in_page_order_and_five_are_kept() -> None:
    text = compared_text(" ".join(f"common{number}" for number in range(20)))
    found = redundancy([text] * 8, ["article"] * 8)
    assert found[4] == [(page, 100) for page in (0, 1, 2, 3, 5)]
    assert found[0] == [(page, 100) for page in (1, 2, 3, 4, 5)]


def test_the_compared_text_is_without_markup() -> None:
    page = (
        "---\ntitle: gone\n---\nimport gone\n# Heading **bold** *slanted* [link text](https://gone)\n| gone | gone |\n"
        '```\ngone\n```\n<Tag a="gone">Kept</Tag> Naïve_1\n'
    )
    assert compared_text(page).split() == b"heading bold slanted link text kept na ve_1".split()
