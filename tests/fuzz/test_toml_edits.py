"""TOML frontmatter built of hard fragments and changed at random, and damaged frontmatter: no byte but the values of the edit changes.

The frontmatter is built of known pieces, so it is known which text an edit may remove. tomllib and tomlkit must read the same afterwards.
"""

# ruff: noqa: E501 (lists of fragments read best close together)

from __future__ import annotations

import tomllib
from typing import Any

import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from enrich.wiki.frontmatter.cuts import value_at
from enrich.wiki.frontmatter.edit import edit
from enrich.wiki.frontmatter.spans import EditRefused
from tests.fuzz.mutations import MUTATIONS, mutated

BODY = "+++ not a fence\n\nText = 1\n[table]\n"
INSIGHT = {"type": "claim", "text": 'A "b" +++', "surprising": 3.5}
ROOT = [
    'title = "A page"{c}\n', "quality = 4{c}\n", "llmSummary = 'old # text'{c}\n", 'tags = [ "a", # in ]\n  "b" ]{c}\n', "draft=true{c}\n", "ratings.rigor = 2.5{c}\n",
    'text = """\nx = 1\n[y]\n"""{c}\n', "date = 2024-01-02 03:04:05{c}\n", 'ratings = {{ rigor = 1, "novelty" = [ 1,\n 2 ] }}{c}\n', "insights = [ {{ text = 'a' }},\n  {{ text = 'b' }} ]{c}\n", "  n = inf{c}\n",
    "'quoted key' = -0x1F{c}\n".replace("-", ""), "ratings = ''{c}\n", 'a."b c".d = 1_000{c}\n',
]  # fmt: skip
TABLES = [
    "[ratings]{c}\nnovelty = 3{c}\n", "[extra]{c}\n", "[extra.ai]{c}\n  summary = 'x'{c}\n", "[[items]]\na = 1{c}\n[[items]]\na = 2\n", "[ menu . main ]\nweight = 5{c}\n",
    "[[insights]]\ntext = 'a'\n",
]  # fmt: skip
FILLERS = ["", "", "\n", "# about\n", "\t# a = 1\n\n"]
COMMENTS = ["", "", " # c = [", "\t# 'é"]
CHANGES: list[dict[tuple[str, ...], Any]] = [
    {("quality",): 63}, {("llmSummary",): 'New "text" +++\n\x07 é'}, {("insights",): [INSIGHT, INSIGHT]}, {("ratings", "rigor"): 4.5}, {("ratings", "novelty"): 1e-7},
    {("extra", "ai", "summary"): "s"}, {("extra", "quality"): 3}, {("ratings", "rigor"): 4.5, ("ratings", "focus"): 2, ("quality",): 5, ("extra", "ai", "insights"): [INSIGHT]},
]  # fmt: skip


@st.composite
def heads(draw: st.DrawFn) -> str:
    def entries(forms: list[str]) -> str:
        chosen = draw(st.lists(st.sampled_from(forms), max_size=5, unique=True))
        return "".join(form.format(c=draw(st.sampled_from(COMMENTS))) + draw(st.sampled_from(FILLERS)) for form in chosen)

    return draw(st.sampled_from(FILLERS)) + entries(ROOT) + entries(TABLES)


# The texts in ROOT and TABLES that a change may replace.
VALUES = {
    ("quality",): ["4"], ("llmSummary",): ["'old # text'"], ("insights",): ["[ { text = 'a' },\n  { text = 'b' } ]"], ("ratings", "rigor"): ["2.5", "1", "''"],
    ("ratings", "novelty"): ["[ 1,\n 2 ]", "3", "''"], ("extra", "ai", "summary"): ["'x'"],
}  # fmt: skip


def _removed(before: str, after: str) -> str:
    """The part of a page between its common start and its common end with the edited page."""
    most = min(len(before), len(after))
    start = next((at for at in range(most) if before[at] != after[at]), most)
    end = next((at for at in range(most - start) if before[-1 - at] != after[-1 - at]), most - start)
    return before[start : len(before) - end]


@settings(max_examples=max(1400, settings.default.max_examples))
@given(heads(), st.sampled_from(CHANGES))
def test_random_frontmatter(head: str, changes: dict[tuple[str, ...], Any]) -> None:
    page = f"+++\n{head}+++\n{BODY}"
    try:
        after = edit(page, changes)
    except EditRefused as error:
        assert "self-check" not in error.reason, error.reason
        return
    data = after.removeprefix("+++\n").removesuffix("+++\n" + BODY)
    assert tomllib.loads(data) == tomlkit.parse(data).unwrap()
    if len(changes) == 1:
        removed, (path,) = _removed(page, after), changes
        assert not removed or any(removed in value for value in VALUES[path]), removed
    assert after.endswith("+++\n" + BODY)
    assert edit(after, changes) == after


@settings(max_examples=max(600, settings.default.max_examples))
@given(st.sampled_from(ROOT), st.sampled_from(TABLES), st.sampled_from(CHANGES[:5]), MUTATIONS)
def test_damaged_frontmatter(root: str, table: str, changes: dict[tuple[str, ...], Any], mutations: list[Any]) -> None:
    raw = mutated((root + table).format(c="").encode(), mutations)
    page = f"+++\n{raw.decode('utf-8', 'ignore')}\n+++\n{BODY}"
    try:
        after = edit(page, changes)
    except EditRefused:
        return
    (path,) = changes
    known = value_at(tomllib.loads(page[4 : page.rindex("+++\n" + BODY)]), path, None)
    assert (
        not _removed(page, after)
        or known is not None
        or value_at(tomllib.loads(page[4 : page.rindex("+++\n" + BODY)]), path[:1]) in ("", [])
    )
    assert after.endswith(BODY)
    assert edit(after, changes) == after
