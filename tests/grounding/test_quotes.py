"""Quotes: verbatim after normalising, almost verbatim and then repaired, or nowhere; and on which lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from enrich import PageIndex, Quote
from enrich.grounding import normalise  # comparing texts as the index does is what makes a quote found
from tests.demo import cases

CASES = cases(__file__)

BODY = Path(__file__).with_name("tools.md").read_text(encoding="utf-8")
PAGE = PageIndex(BODY, title="A title of its own", description="What the page is about.")


def found(quote: str) -> Quote:
    match = PAGE.find_quote(quote)
    assert match is not None, quote
    return match


@pytest.mark.parametrize(("quote", "first", "last", "section", "text"), CASES["a_quote_is_found_through_markup_on_its_lines"])
def test_a_quote_is_found_through_markup_on_its_lines(quote: str, first: int, last: int, section: str, text: str) -> None:
    match = found(quote)
    assert match.exact
    assert (match.start_line, match.end_line, match.section) == (first, last, section)
    assert match.text.rstrip(".,") == text.rstrip(".,")


COMPONENT = PageIndex(Path(__file__).with_name("component.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("quote", "first", "last", "text"), CASES["what_the_model_is_shown_of_a_component_can_be_quoted_with_its_keys"])
def test_what_the_model_is_shown_of_a_component_can_be_quoted_with_its_keys(quote: str, first: int, last: int, text: str) -> None:
    match = COMPONENT.find_quote(quote)
    assert (match.exact, match.start_line, match.end_line, match.section, match.text) == (True, first, last, "Cruxes", text)
    assert COMPONENT.find_quote(match.text) is not None


@pytest.mark.parametrize(
    "quote", ['implications: "hidden"', 'implications: "Costs fall by $50"', "question: “It does”", "https://example.org/5)."]
)
def test_a_comment_and_other_words_cannot_be_quoted_from_a_component(quote: str) -> None:
    assert COMPONENT.find_quote(quote) is None


@pytest.mark.parametrize("quote", CASES["what_does_not_stand_there_is_not_found"])
def test_what_does_not_stand_there_is_not_found(quote: str) -> None:
    assert PAGE.find_quote(quote) is None


def test_a_cut_through_a_number_is_no_quote() -> None:
    page = PageIndex("They spent 5.5 million, then 1,500 more, in 50 places.")
    for quote in ("They spent 5", "5 million, then", "then 1", "500 more", "in 5", "0 places"):
        assert page.find_quote(quote) is None, quote
    assert page.find_quote("They spent 5.5") is not None


def test_a_number_with_an_invisible_character_cannot_be_quoted() -> None:
    page = PageIndex("They asked 1\u200b00 people about it.")
    assert page.find_quote("They asked 100 people") is None
    assert page.find_quote("They asked 1\u200b00 people") is None
    assert PageIndex("They asked 100 people.").find_quote("They asked 1\u200b00 people") is None


def test_case_and_punctuation_are_repaired_at_any_length() -> None:
    match = found("opening words, About careful tools!")
    assert (match.exact, match.text.rstrip(".")) == (False, "Opening words about careful tools")


LONG = PageIndex(
    "The early teams had planned for a slow spring with few reports from the northern stations.\n\n"
    "The later teams did not plan for any rain, so 40 of the tents were lost near the possible crossing of the river."
)


@pytest.mark.parametrize(
    "quote",
    [
        "The early teams had planned for a quiet spring with few reports from the northern stations",
        "The early teams had planned for a slow spring with few reports from northern stations",
        "The early teams had really planned for a slow spring with few reports from the northern posts",
    ],
)
def test_one_or_two_words_off_become_the_pages_words(quote: str) -> None:
    match = LONG.find_quote(quote)
    assert not match.exact
    assert match.text.rstrip(".") == "The early teams had planned for a slow spring with few reports from the northern stations"
    assert (match.start_line, match.end_line) == (1, 1)


@pytest.mark.parametrize("quote", CASES["an_edit_that_changes_the_statement_is_refused"])
def test_an_edit_that_changes_the_statement_is_refused(quote: str) -> None:
    assert LONG.find_quote(quote) is None


@pytest.mark.parametrize(("text", "plain"), CASES["normalising"])
def test_normalising(text: str, plain: str) -> None:
    assert normalise(text) == plain


MARKS = st.sampled_from(
    ["alpha", "beta", "42", " ", "  ", "\n", "-", "–", " — ", "“", "’", "**", "*", "_", "`", "|", "&amp;", "&lt;", "&", "lt;", "amp;",
     "<", ">", "<b>", "</b>", "<sup>", "[", "](u)", "]", "(", ")", "[^1]", "\\", "~~", "\u200b", "\u00a0", "…", "é", "e\u0301"]
)  # fmt: skip
NOISE = st.lists(MARKS, max_size=30).map("".join)


@given(NOISE)
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(NOISE, st.integers(0, 200), st.integers(1, 60))
def test_a_cut_of_normalised_text_is_normal(text: str, start: int, length: int) -> None:
    plain = normalise(text)
    cut = plain[start : start + length]
    assert normalise(cut) == cut.strip()


_NAMES = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath",
          "islet", "jetty", "knoll", "lagoon", "moor", "nook", "orchard", "pond")  # fmt: skip
WORDS = st.lists(st.sampled_from((*_NAMES, "17", "3.5", "$9", "2040", "not")), min_size=4, max_size=14)
DRESS = st.sampled_from(
    ["{}", "**{}**", "*{}*", "`{}`", "[{}](https://example.org/99)", '<Tip id="x1">{}</Tip>', "“{}”", "{} —", "{}&nbsp;"]
)


@given(st.lists(st.lists(st.tuples(st.integers(0, 15), DRESS), min_size=4, max_size=12), min_size=1, max_size=5), st.booleans(), st.data())
def test_cuts_of_a_page_with_any_markup_are_found_on_their_lines(
    lines: list[list[tuple[int, str]]], table: bool, data: st.DataObject
) -> None:
    tagged = [[f"{_NAMES[at]}{number}x{position}" for position, (at, _) in enumerate(line)] for number, line in enumerate(lines)]
    dressed = [[dress.format(word) for word, (_, dress) in zip(row, line, strict=True)] for row, line in zip(tagged, lines, strict=True)]
    if table:
        body = "\n".join("| " + " | ".join(row) + " |" for row in dressed)
    else:
        body = "\n".join(" ".join(row) for row in dressed)
    page = PageIndex("# Heading\n\n" + body)
    number = data.draw(st.integers(0, len(lines) - 1))
    start = data.draw(st.integers(0, len(lines[number]) - 2))
    end = data.draw(st.integers(start + 2, len(lines[number])))
    # As the file has it, and as a reader would type it.
    for quote in (" ".join(dressed[number][start:end]), ("  |  " if table else "  ").join(dressed[number][start:end])):
        match = page.find_quote(quote)
        assert match.exact
        assert match.start_line == match.end_line == number + 3
        assert match.section == "Heading"
        assert all(word in match.text for word in tagged[number][start:end])


@given(WORDS, st.data())
def test_a_changed_word_is_never_verbatim(words: list[str], data: st.DataObject) -> None:
    page = PageIndex(" ".join(words))
    at = data.draw(st.integers(0, len(words) - 1))
    changed = [*words[:at], data.draw(st.sampled_from(["mistral", "88", "$10", "never"])), *words[at + 1 :]]
    assume(changed != words)
    match = page.find_quote(" ".join(changed))
    assert match is None or not match.exact
    if changed[at] != "mistral":
        assert match is None
    elif words[at][0] in "0123456789$" or words[at] == "not":
        # Where words repeat, a part of the page beside the guarded word can be as near.
        assert match is None or any(normalise(match.text) in " ".join(side) for side in (words[:at], words[at + 1 :]))
    elif match is not None:
        assert len(words) >= 8
        assert normalise(match.text) in " ".join(words)


@pytest.mark.parametrize(
    "quote", ["a " * 50_000, "<" * 50_000, "[" * 50_000, "&amp;" * 20_000, "-" * 50_000, "Opening words " * 5_000, "\x00", "\ue00f"]
)
def test_hostile_quotes_are_refused(quote: str) -> None:
    assert PAGE.find_quote(quote) is None
