"""Redundancy against a plain reading of its definition, on pages that share words and whole passages."""

from __future__ import annotations

import json
import math
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrich.records import comparison
from enrich.records.comparison import Comparison, compare
from enrich.records.redundancy import Redundancy, Similar, redundancy
from enrich.records.tokens import compared_text, count_long, pack, unpack, words_digest

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


def computed(texts: list[str], groups: list[str], strip: int) -> Found:
    found = redundancy([pack(compared_text(text)) for text in texts], groups, strip=strip)
    return [(page.maximum, [(one.place, one.similarity) for one in page.similar]) for page in found]


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


@pytest.mark.parametrize(("seed", "strip"), [(1, 512), (2, 16), (3, 7), (4, 1), (5, 64)])
def test_it_is_what_the_definition_says(seed: int, strip: int) -> None:
    texts = shared_pages(seed, 130, vocabulary=150 * seed, passages=12)
    groups = [random.Random(place).choice(["article", "article", "table"]) for place in range(len(texts))]
    expected = by_definition(texts, groups)
    assert sum(1 for _, near in expected if len(near) == 5) > 20, "the pages should have something in common"
    assert computed(texts, groups, strip) == expected


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from([f"{word}{word}{word}" for word in "abcdefghijklmnopqr"] + ["an", "it"]), max_size=40), max_size=9),
    st.integers(1, 9),
)
def test_small_pages_are_what_the_definition_says(pages: list[list[str]], strip: int) -> None:
    texts = [" ".join(f"{word}xyz" if len(word) > 2 else word for word in page) for page in pages]
    groups = ["article"] * len(texts)
    assert computed(texts, groups, strip) == by_definition(texts, groups)


def test_equal_similarities_stay_in_page_order_and_five_are_kept() -> None:
    text = " ".join(f"common{number}" for number in range(20))
    found = redundancy([pack(compared_text(text))] * 8, ["article"] * 8, strip=3)
    assert [one.place for one in found[4].similar] == [0, 1, 2, 3, 5]
    assert found[0] == Redundancy(100, tuple(Similar(place, 100) for place in (1, 2, 3, 4, 5)))


def test_pages_of_few_words_and_of_other_formats_take_no_part() -> None:
    ten = pack(compared_text(" ".join(f"common{number}" for number in range(10))))
    eleven = pack(compared_text(" ".join(f"common{number}" for number in range(11))))
    nothing = Redundancy(0, ())
    assert redundancy([ten, ten], ["article", "article"]) == [nothing, nothing]
    assert redundancy([eleven, eleven], ["article", "table"]) == [nothing, nothing]
    assert redundancy([eleven, eleven], ["article", "article"])[0].maximum == 100
    assert redundancy([], []) == []


def test_the_compared_text_is_without_markup() -> None:
    page = (
        "---\ntitle: gone\n---\nimport gone\n# Heading **bold** *slanted* [link text](https://gone)\n| gone | gone |\n"
        '```\ngone\n```\n<Tag a="gone">Kept</Tag> Naïve_1\n'
    )
    assert compared_text(page).split() == b"heading bold slanted link text kept na ve_1".split()


def test_words_are_known_by_their_letters_and_runs_by_their_order() -> None:
    words, runs = unpack(pack(b"alpha beta alpha gamma delta  epsilon"))
    assert len(words) == 4
    assert len(runs) == 2
    same, other = unpack(pack(b" alpha beta alpha gamma delta epsilon"))[1], unpack(pack(b"beta alpha alpha gamma delta epsilon"))[1]
    assert set(runs.tolist()) == set(same.tolist())
    assert not set(runs.tolist()) & set(other.tolist())
    anagrams = unpack(pack(b"stone notes onset tones seton steno"))[0]
    assert len(anagrams) == 6
    assert words_digest(pack(b"a b")) != words_digest(pack(b"ab"))


def test_foreign_bytes_are_no_packed_page() -> None:
    for foreign in (b"", b"tok1", b"nonsense", pack(b"alpha")[:-1], b"tok9" + pack(b"alpha")[4:]):
        with pytest.raises(ValueError, match="no packed page"):
            count_long(foreign)


def compared(texts: dict[str, str], groups: dict[str, str], before: Comparison | None, asked: list[int] | None = None) -> Comparison:
    packed = [pack(compared_text(text)) for text in texts.values()]

    def words(place: int) -> bytes:
        if asked is not None:
            asked.append(place)
        return packed[place]

    return compare([(words_digest(page), groups[name]) for name, page in zip(texts, packed, strict=True)], words, before)


@pytest.mark.parametrize("seed", range(5))
def test_after_edits_it_is_the_same_as_from_the_start(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from_the_start = 0

    def counted(*arguments: Any) -> list[Redundancy]:
        nonlocal from_the_start
        from_the_start += 1
        return redundancy(*arguments)

    monkeypatch.setattr(comparison, "redundancy", counted)
    monkeypatch.setattr(comparison, "_FEW", 0.4)  # so that the short way is taken at this size too
    draw = random.Random(seed)
    texts = {f"{place:03}": text for place, text in enumerate(shared_pages(seed, 60, vocabulary=300, passages=10))}
    new = [*shared_pages(seed + 100, 40, vocabulary=300, passages=10), texts["007"], texts["050"], "too few words"]
    groups = {name: draw.choice(["article", "article", "table"]) for name in texts}
    state, steps = compared(texts, groups, None), 8
    for _ in range(steps):
        for _ in range(draw.randint(1, 3)):
            name, kind = draw.choice(list(texts)), draw.choice(["edit", "edit", "remove", "add", "regroup"])
            if kind == "edit":
                texts[name] = draw.choice(new)
            elif kind == "remove":
                del texts[name]
            elif kind == "add":
                texts[f"{draw.randrange(1000):03}"] = draw.choice(new)
            else:
                groups[name] = draw.choice(["article", "table"])
        texts = dict(sorted(texts.items()))
        groups = {name: groups.get(name, "article") for name in texts}
        state = Comparison.from_json(json.loads(json.dumps(compared(texts, groups, state).to_json())))
        assert state == compared(texts, groups, None)
    assert from_the_start < 1 + 2 * steps, "the short way was never taken"


def test_nothing_is_compared_where_nothing_changed_and_all_where_the_order_did() -> None:
    texts = {f"{place:03}": text for place, text in enumerate(shared_pages(1, 30, vocabulary=200, passages=6))}
    groups = dict.fromkeys(texts, "article")
    first = compared(texts, groups, None)
    asked: list[int] = []
    assert compared(texts, groups, first, asked) is first
    assert asked == []
    turned = dict(reversed(texts.items()))
    assert compared(turned, groups, first) == compared(turned, groups, None)
