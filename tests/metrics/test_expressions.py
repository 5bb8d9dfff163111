"""The expressions that are searched in linear time match what those of the reference build match, in any text."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from enrich.metrics import quality, structure
from enrich.metrics.structure import S

# (expression of the reference build, the one that is searched)
_EXPRESSIONS = {
    "link": (r"\[([^\]]+)\]\(([^)]+)\)", structure.LINK),
    "tag": ("<[^>]+>", structure.TAG),
    "outside link": (r"(?<!!)\[([^\]]+)\]\(([^)]+)\)", structure._NO_IMAGE),
    "id": (rf'<R[{S}][^>]*?\bid="([^"]+)"', structure._id_of("R", '[^"]+')),
    "hex id": (rf'<R[{S}][^>]*?\bid="([a-f0-9]+)"', structure._id_of("R", "[a-f0-9]+")),
    "self-closing": ("<[^>]+/>", quality._SELF_CLOSING),
    "paired": ("<[^>]+>.*?</[^>]+>", quality._PAIRED),
    "inside": (r"\]\(/[^)]+\)", structure._INTERNAL_LINK),
    "address": (r"\]\(https?://[^)]+\)", structure._EXTERNAL_LINK),
    "entity link": ("<EntityLink[^>]*>", structure._tags("EntityLink")),
    "diagram": (rf"<Mermaid[^`]*`[^`]*`[{S}]*\}}[{S}]*/>", structure._NOT_WORDS[2][0]),
    "component": (rf"<[A-Z][a-zA-Z]*[{S}][^/]*/>", structure._NOT_WORDS[3][0]),
    "component around text": ("<[A-Z][a-zA-Z]*[^>]*>.*?</[A-Z][a-zA-Z]*>", structure._NOT_WORDS[5][0]),
}
_MARKS = ("<", ">", "/", "</", "/>", "[", "]", "(", ")", "](", "](/", "![", "`", "}", "A", "a", " ", "\n", '"', "b", "<R ")
_TEXTS = st.lists(st.sampled_from((*_MARKS, ' id="', "<Mermaid", "<EntityLink", "</A>", "](http://", "|", "-")), max_size=30).map("".join)


@pytest.mark.parametrize(("plain", "linear"), _EXPRESSIONS.values(), ids=_EXPRESSIONS)
@given(text=_TEXTS)
def test_the_linear_search_finds_what_the_expression_matches(plain: str, linear: regex.Pattern[str], text: str) -> None:
    expected, found = (
        [(match.span(), match.groups()) for match in expression.finditer(text)]
        for expression in (regex.compile(plain, regex.DOTALL), linear)
    )
    assert found == expected


@given(st.lists(st.sampled_from(("|", "-", ":", " ", "\n", "a", "|\n")), max_size=20).map("".join))
def test_rules_of_tables_are_counted_as_their_expression_matches(text: str) -> None:
    expression = regex.compile(rf"^\|[{S}\-:|]+\|$", regex.MULTILINE)
    assert structure._separator_rows(text) == len(expression.findall(text))
