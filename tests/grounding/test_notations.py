"""Notations of numbers: what a page states in one of them supports an answer in another, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrich import PageIndex


def findings(stated: str, asked: str) -> list[tuple[str, str]]:
    """(severity, quantity) of what is wrong with an answer that gives one notation, where the page has the other."""
    page = PageIndex(f"It was about {stated}, they say.")
    return [(one.severity, one.quantity) for one in page.check(f"They say that about {asked}, at that time.") if one.kind == "number"]


def supported(stated: str, asked: str) -> bool:
    return findings(stated, asked) == []


NOTATIONS = [
    ["$100M", r"\$100M", "US$100M", "USD 100 million", "$100 million", "100 million US dollars", "100 million dollars", "$100,000,000",
     "$0.1B", "0.1bn USD", "100M USD", "$100m", "＄100M", "one hundred million dollars"],
    ["€2.5B", "€2.5 billion", "2.5 billion euros", "EUR 2.5 billion", "2.5bn euros"],
    ["30×", "30x", "30-fold", "thirty-fold", "thirtyfold", "30 times", "30 fold", "30X"],
    ["12%", "12 %", "12 percent", "12 per cent", "12pct", "twelve percent", "１２％", "12％", "12.0%"],
    ["7 percentage points", "7pp", "7 pp", "7 %-points", "7-percentage-point", "seven percentage points"],
    ["1500", "1,500", "1.5k", "1.5K", "1.5 thousand", "1\u202f500", "1\u00a0500", "fifteen hundred", "１５００", "١٥٠٠"],
    ["8 years", "8-year", "8 yr", "eight years", "8yrs", "eight-year"],
    ["10^25", "10²⁵", "1e25", "10^{25}", "1 × 10^25", "1·10²⁵"],
    ["70B", "70 billion", "70B parameters", "70,000,000,000"],
    ["0.05", ".05"],
    ["November 2022", "Nov. 2022", "Nov 2022"],
    ["March 13, 2026", "13 March 2026", "the 13th of March 2026", "2026-03-13"],
    ["12–78%", "12% to 78%", "12-78 percent"],
    ["$5–10 million", "$5 million to $10 million"],
    ["2023-2024", "2023−2024", "2023 to 2024"],
    ["3–5-year", "3 to 5 years"],
]  # fmt: skip


# A page's lines are found by digits without spaces or by a number's leading word.
READ_IN_ANSWERS_ONLY = {"1\u202f500", "1\u00a0500", "fifteen hundred"}


@pytest.mark.parametrize("notations", NOTATIONS, ids=lambda notations: notations[0])
def test_all_notations_of_one_thing_support_each_other(notations: list[str]) -> None:
    for notation in notations[1:]:
        assert supported(notations[0], notation), notation
        assert supported(notation, notations[0]) or notation in READ_IN_ANSWERS_ONLY, notation


@pytest.mark.parametrize(
    ("one", "other"),
    [("8%", "8 years"), ("8%", "$8"), ("$8", "€8"), ("8%", "8 pp"), ("8x", "8%"), ("5M", "5B"), ("1.5", "15"), ("1,500", "1.5"),
     ("31st", "31%"), ("10^25", "1025"), ("November 2022", "December 2022"), ("12–78%", "12–79%"), ("5M to 20M", "5M to 20B")],
)  # fmt: skip
def test_different_things_do_not_support_each_other(one: str, other: str) -> None:
    assert not supported(one, other)
    assert not supported(other, one)


@pytest.mark.parametrize(
    "name",
    ["GPT-4", "Claude 3.5", "H100", "COVID-19", "v1.2.3", "Q3", "3D", "5G", "M11-P", "Phase 2", "ASL-3", "o1"],
)  # fmt: skip
def test_a_version_like_name_is_not_a_number(name: str) -> None:
    digits = "".join(char for char in name if char.isdigit() or char == ".").strip(".")
    assert {severity for severity, _ in findings("nothing", name)} == {"hard"}  # a name that is not on the page
    assert supported(name, name)
    assert not supported(name, f"{digits}%")


def test_addresses_and_verbs_are_neither_numbers_nor_dates() -> None:
    assert supported("nothing", "https://example.org/2024/05/10 and arXiv:2301.12345")
    assert findings("nothing", "may 20 times over") == [("hard", "20 times")]
    assert supported("nothing", "one of them, no one, the first and second, half, doubled, twice")


def test_members_of_a_list_share_its_unit() -> None:
    for each in ("5 years", "8 years", "12 years"):
        assert supported("5, 8 and 12 years", each)
    assert not supported("5, 8 and 12 years", "8%")


@pytest.mark.parametrize("text", ["1\u200b00", "1\u202e00", "1\u206600", "1\u00ad00", "1\ufeff,000", "1٠0", "10０", "5\u200d5%"])
def test_a_number_that_is_not_what_it_seems_supports_nothing(text: str) -> None:
    assert not supported(text, text)
    assert not supported(text, "100")
    assert [severity for severity, _ in findings("100", text)] == ["hard"]
    assert supported("\u200b100\u200b labs", "100 labs")


def test_spans_are_those_of_the_text() -> None:
    text = "Costs of “＄１００M” – 12\u00a0% – fell\u200b in twenty-five labs."
    spans = [one.span for one in PageIndex("Nothing.").check(text)]
    assert [text[span[0] : span[1]] for span in spans if span] == ["＄１００M", "12\u00a0%", "twenty-five"]


_SMALL = ("", *"one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen".split(),
          "nineteen")  # fmt: skip
_TENS = ("", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split())


def _words(value: int) -> str:
    """English for 1 to 999,999."""
    if value >= 1000:
        return f"{_words(value // 1000)} thousand{' ' + _words(value % 1000) if value % 1000 else ''}"
    if value >= 100:
        return f"{_SMALL[value // 100]} hundred{' and ' + _words(value % 100) if value % 100 else ''}"
    if value >= 20:
        return _TENS[value // 10] + (f"-{_SMALL[value % 10]}" if value % 10 else "")
    return _SMALL[value]


@given(st.integers(2, 999_999))
def test_every_number_in_words_is_its_number_in_digits(value: int) -> None:
    assert supported(f"{value} labs", f"{_words(value)} labs")
    assert supported(f"{_words(value)} labs", f"{value:,} labs")
    assert [severity for severity, _ in findings("nothing", f"{_words(value)} labs")] == ["hard"]


@pytest.mark.parametrize(
    "text",
    ["1" * 200_000, "1," * 100_000, "1,111" * 50_000, "1.1" * 50_000, "$" * 100_000 + "1", "9-" * 50_000, "ten " * 30_000, "٣" * 50_000,
     "1" * 100_000 + "a٣", "1\u200b" * 40_000, "a@" * 50_000, "10^" * 40_000, "January " * 20_000],
    ids=lambda text: text[:4],
)  # fmt: skip
def test_masses_of_digits_on_a_page_are_read_in_one_pass(text: str) -> None:
    """Each would take hours if any pattern went back over what it has seen."""
    page = PageIndex(f"{text}\n\nIt cost $7.")
    assert page.check("It cost $7.") == []
