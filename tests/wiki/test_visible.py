"""Visible text: what a reader sees of a body, on which line, under which heading, of which kind.

Not public, but everything that is checked or quoted depends on these results, line by line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrich.wiki.markup import inline
from enrich.wiki.page_files import find_pages
from enrich.wiki.pages import read_page
from enrich.wiki.visible import Line, visible
from tests.demo import cases

HERE = Path(__file__).parent
CASES = cases(__file__)


def seen(body: str) -> list[tuple[int, str, str]]:
    return [(line.number, line.kind, line.text) for line in visible(body).lines]


def texts(body: str) -> str:
    return "\n".join(line.text for line in visible(body).lines if line.kind != "comment")


def test_a_page_gives_its_lines_with_kinds_numbers_and_headings() -> None:
    body = (HERE / "page.md").read_text(encoding="utf-8")
    lines = visible(body).lines
    assert [(line.number, line.kind, line.text) for line in lines] == [
        (4, "prose", "Opening words."),
        (6, "heading", "Costs {#costs}"),
        (8, "prose", "The price is $5 (source), see run --fast."),
        (10, "list", "first item"),
        (11, "list", "2. second item"),
        (13, "table", "Year | Cost"),
        (15, "table", "2031 | $5"),
        (17, "prose", "quoted words"),
        (20, "code", "price = 5 # *kept*"),
        (23, "comment", "{/* a hidden note */}"),
        (24, "comment", "<!-- another -->"),
        (26, "footnote", "The footnote's words."),
    ]
    assert lines[0].section == ""
    assert {line.section for line in lines[1:]} == {"Costs {#costs}"}


@pytest.mark.parametrize(("body", "text"), CASES["markup_comes_off"])
def test_markup_comes_off(body: str, text: str) -> None:
    assert texts(body) == text


def test_attributes_that_hold_text_are_seen_technical_ones_are_not() -> None:
    body = (HERE / "component.md").read_text(encoding="utf-8")
    found = visible(body)
    shown = "\n".join(line.text for line in found.lines)
    for words in ("What it costs", "Small plan | 12%", "Large plan | 34", "A[First step] --> B[Second step]", "After."):
        assert words in shown
    for hidden in ("99", "77", "88"):
        assert hidden not in shown
    assert [line.number for line in found.lines] == [2, 6, 7, 10, 13]
    assert {line.kind for line in found.lines[:-1]} == {"component"}


@pytest.mark.parametrize("body", CASES["hidden_text_is_no_text"])
def test_hidden_text_is_no_text(body: str) -> None:
    assert "77" not in texts(body)
    assert "words" in texts(body)


def test_an_unclosed_comment_hides_the_rest_only_where_it_opens_a_block() -> None:
    assert texts("words <!-- 77") == "words <!-- 77"
    assert texts("words\n<!-- 77\nmore") == "words"


def test_an_unclosed_fence_runs_to_the_end_and_keeps_line_numbers() -> None:
    assert seen("a\n~~~\ncode\n\n# no heading\n") == [(1, "prose", "a"), (3, "code", "code"), (5, "code", "# no heading")]


def test_words_count_what_is_read() -> None:
    assert visible("# One two\n\nthree `four`\n\n| five | six |\n|---|---|\n").words == 6
    assert visible("```\nnot these\n```\n<!-- nor these -->").words == 0
    assert visible("这是一个用来测试的句子").words >= 5
    assert visible("").words == 0


def test_sentences_keep_abbreviations_decimals_and_versions_whole() -> None:
    first = "Costs fell by 2.5 % (cf. Fig. 3) in v1.2. Dr. A. Smith of the U.S. Navy"
    body = f"{first}\nasked why. “Nobody knew.” The end.\n\n- An item. Not prose.\n"
    found = visible(body).sentences()
    assert [one.text for one in found] == [
        "Costs fell by 2.5 % (cf. Fig. 3) in v1.2.",
        "Dr. A. Smith of the U.S. Navy asked why.",
        "“Nobody knew.”",
        "The end.",
    ]
    assert [(one.start_line, one.end_line) for one in found] == [(1, 1), (1, 2), (2, 2), (2, 2)]
    assert [one.text for one in visible(body).sentences(("list",))] == ["An item.", "Not prose."]


HOSTILE = {
    "open tags": "<a b=" * 40_000,
    "open tags with quotes": '<a b="' * 40_000,
    "open braces": "<A b={" * 40_000,
    "brackets": "[" * 200_000,
    "links": "[x](" * 60_000,
    "closed brackets": "[" * 50_000 + "]" * 50_000,
    "stars": "*" * 200_000,
    "spaced stars": "* a" * 60_000,
    "backticks": "`" * 100_001,
    "single backticks": "` " * 100_000,
    "fences": "```\n" * 50_001,
    "comments": "<!--" * 50_000,
    "mdx comments": "{/*" * 50_000,
    "entities": "&amp" * 60_000,
    "pipes": "|" * 200_000,
    "dashes": "-" * 200_000,
    "table rule": "|-" * 100_000 + "x",
    "digits": "1" * 300_000,
    "backslashes": "\\" * 200_000,
    "underscores": "_a" * 100_000,
    "imports": "import {" + "a, " * 60_000,
    "import lines": "import x\n" * 30_000,
    "wiki links": "[[a|" * 50_000,
    "literals": "<A b={" + '"a ' * 50_000 + "}/>",
    "quotes in braces": "<A b={'" * 30_000,
    "hidden": "<b hidden>" * 30_000,
    "long line": "word " * 100_000,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_bodies_are_read_in_one_pass(name: str) -> None:
    """Each would take hours if any pattern went back over what it has seen; what stands before it is read as ever."""
    found = visible(f"first words\n\n{HOSTILE[name]}\n")
    assert found.lines[0] == Line(1, "first words", "", "prose")
    assert found.words >= 2


_FRAGMENTS = (
    "word", " ", "\n", "\n\n", "**", "*", "_", "`", "```\n", "~~~",
    "<A ", 'b="x y"', "/>", "</A>", ">", "<!--", "-->", "{/*", "*/}", "{", "}",
    "[", "](u)", "]", "(", ")", "|", "\n|---|\n", "# ", "- ", "1. ", "&amp;", "\\$", "\\", "import x from 'y'\n", "[^1]", "[^1]: ", ":::",
    "---\n", "> ", "5%",
)  # fmt: skip
PIECES = st.sampled_from(_FRAGMENTS)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_body_gives_ordered_lines_within_it(body: str) -> None:
    found = visible(body)
    numbers = [line.number for line in found.lines]
    assert numbers == sorted(numbers)
    assert all(1 <= number <= body.count("\n") + 1 for number in numbers)
    assert all(line.text == " ".join(line.text.split()) and line.text for line in found.lines)
    for sentence in found.sentences():
        assert sentence.start_line <= sentence.end_line


@given(st.lists(PIECES, max_size=30).map("".join))
def test_inline_marks_never_move_a_line(text: str) -> None:
    assert inline(text).count("\n") == text.count("\n")


@pytest.mark.sample
def test_every_line_of_the_sample_shows_only_words_of_its_own_line(sample: Path) -> None:
    """Positions map back: each visible word stands on the body line it is said to stand on."""
    for file in find_pages(sample / "content" / "docs")[0]:
        page = read_page(file)
        raw = page.body.split("\n")
        for line in visible(page.body).lines:
            source = raw[line.number - 1]
            words = [word for word in line.text.replace("|", " ").split() if word.isalpha()]
            missing = [word for word in words if word not in source.replace("*", "").replace("_", "").replace("`", "").replace("\\", "")]
            assert not missing, (file.path, line)
