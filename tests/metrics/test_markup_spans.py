"""Both ways of `Markup` give the matches of its expression: the linear one must not differ in any text."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from enrich.metrics import links, quality, structure
from enrich.metrics.markup_spans import LINK, TAG, Markup
from enrich.metrics.structure import S

_EXPRESSIONS = {
    "link": LINK,
    "tag": TAG,
    "outside link": links._LINK,
    "id": links._id_of("R", '[^"]+'),
    "hex id": links._id_of("R", "[a-f0-9]+"),
    "self-closing": quality._SELF_CLOSING,
    "paired": quality._PAIRED,
    "inside": structure._INTERNAL_LINK,
    "address": structure._EXTERNAL_LINK,
    "entity link": structure._until_tag_end("<EntityLink"),
    **{
        f"not words {place}": markup
        for place, removed in enumerate(structure._NOT_WORDS)
        if isinstance(markup := getattr(removed, "__self__", None), Markup)
    },
}
_MARKS = ("<", ">", "/", "</", "/>", "[", "]", "(", ")", "](", "](/", "![", "`", "}", "A", "a", " ", "\n", '"', "b", "<R ")
_TEXTS = st.lists(st.sampled_from((*_MARKS, ' id="', "<Mermaid", "<EntityLink", "</A>", "](http://", "|", "-")), max_size=30).map("".join)


@pytest.mark.parametrize("markup", _EXPRESSIONS.values(), ids=_EXPRESSIONS)
@given(text=_TEXTS)
def test_the_linear_search_finds_what_the_expression_matches(markup: Markup, text: str) -> None:
    expected = [(found.start(), found.end(), found.groups()) for found in markup._expression.finditer(text)]
    assert list(markup._matches(text, few=-1)) == expected
    assert list(markup._matches(text, few=1000)) == expected


@given(st.lists(st.sampled_from(("|", "-", ":", " ", "\n", "a", "|\n")), max_size=20).map("".join))
def test_rules_of_tables_are_counted_as_their_expression_matches(text: str) -> None:
    expression = regex.compile(rf"^\|[{S}\-:|]+\|$", regex.MULTILINE)
    assert structure._separator_rows(text) == len(expression.findall(text))
