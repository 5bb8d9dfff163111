"""Quantities in text: what is one reading under all notations, and what is none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrich.grounding.quantities import quantities
from enrich.grounding.words import word_numbers


def read(text: str) -> list[tuple[str, str]]:
    return [(format(one.value.normalize(), "f"), one.unit) for one in quantities(text) if one.readings]


@pytest.mark.parametrize(
    ("value", "unit", "notations"),
    [
        ("100000000", "USD", ["USD 100 million", "$100M", r"\$100M", "US$100M", "$100 million", "100 million US dollars",
                              "100 million dollars", "$100,000,000", "$0.1B", "0.1bn USD", "100M USD", "$100m", "＄100M",
                              "one hundred million dollars"]),
        ("2500000000", "EUR", ["€2.5B", "€2.5 billion", "2.5 billion euros", "EUR 2.5 billion", "2.5bn euros"]),
        ("30", "x", ["30×", "30x", "30-fold", "thirty-fold", "thirtyfold", "30 times", "30 fold", "30X"]),
        ("12", "%", ["12%", "12 %", "12 percent", "12 per cent", "12pct", "twelve percent", "１２％", "12％", "12.0%"]),
        ("7", "pp", ["7 percentage points", "7pp", "7 pp", "7 %-points", "7-percentage-point", "seven percentage points"]),
        ("1500", "", ["1500", "1,500", "1.5k", "1.5K", "1.5 thousand", "1\u202f500", "1\u00a0500", "fifteen hundred", "１５００", "١٥٠٠"]),
        ("8", "year", ["8 years", "8-year", "8 yr", "eight years", "8yrs", "eight-year"]),
        ("1970", "decade", ["1970s"]),
        ("10000000000000000000000000", "", ["10^25", "10²⁵", "1e25", "10^{25}", "1 × 10^25", "1·10²⁵"]),
        ("3", "th", ["3rd", "third"]),
        ("70000000000", "", ["70B", "70 billion", "70B parameters", "70,000,000,000"]),
        ("0.05", "", ["0.05", ".05"]),
    ],
)  # fmt: skip
def test_notations_of_one_thing_are_one_reading(value: str, unit: str, notations: list[str]) -> None:
    for notation in notations:
        assert (value, unit) in read(f"about {notation}, they say"), notation


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8%", "8 years"),
        ("8%", "8"),
        ("$8", "8"),
        ("$8", "€8"),
        ("8%", "8 pp"),
        ("8x", "8%"),
        ("5M", "5B"),
        ("1.5", "15"),
        ("1,500", "1.5"),
        ("3rd", "3%"),
        ("1970s", "1970"),
        ("10^25", "1025"),
    ],
)
def test_different_things_are_different_readings(one: str, other: str) -> None:
    assert not set(read(one)) & set(read(other))


@pytest.mark.parametrize(
    "name",
    [
        "GPT-4",
        "Claude 3.5",
        "H100",
        "COVID-19",
        "v1.2.3",
        "arXiv:2301.12345",
        "Q3",
        "3D",
        "5G",
        "GPT-3.5",
        "M11-P",
        "Phase 2",
        "ASL-3",
        "o1",
        "https://example.org/2024/05/10",
    ],
)
def test_names_are_no_quantities(name: str) -> None:
    assert read(f"They used {name} there.") == []


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("12–78%", [("12", "%"), ("78", "%")]),
        ("12% to 78%", [("12", "%"), ("78", "%")]),
        ("12-78 percent", [("12", "%"), ("78", "%")]),
        ("$78-89B", [("78000000000", "USD"), ("89000000000", "USD")]),
        ("$5–10 million", [("5000000", "USD"), ("10000000", "USD")]),
        ("3–5-year", [("3", "year"), ("5", "year")]),
        ("2–3x", [("2", "x"), ("3", "x")]),
        ("2023–24", [("2023", ""), ("2024", "")]),
        ("2017−2022", [("2017", ""), ("2022", "")]),
        ("100M-2B", [("100000000", ""), ("2000000000", "")]),
        ("900-1,100", [("900", ""), ("1100", "")]),
    ],
)
def test_the_ends_of_a_range_share_scale_and_unit(text: str, ends: list[tuple[str, str]]) -> None:
    assert read(text) == ends
    assert quantities(text)[0].low_of == 1


def test_lists_may_share_a_unit() -> None:
    first, second, _ = quantities("5, 8 and 12 years")
    assert [reading.unit for reading in first.readings] == ["", "year"]
    assert [reading.unit for reading in second.readings] == ["", "year"]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("November 2022", (2022, 11, 0)),
        ("Nov. 2022", (2022, 11, 0)),
        ("March 13, 2026", (2026, 3, 13)),
        ("13 March 2026", (2026, 3, 13)),
        ("the 13th of March 2026", (2026, 3, 13)),
        ("2026-03-13", (2026, 3, 13)),
        ("June 3rd", (0, 6, 3)),
    ],
)
def test_dates_in_any_notation(text: str, date: tuple[int, int, int]) -> None:
    assert [one.date for one in quantities(text)] == [date]


def test_a_verb_is_no_month() -> None:
    assert all(one.kind != "date" for one in quantities("this may 20 times over, may 5 of them"))


@pytest.mark.parametrize(
    "text", ["1\u200b00", "1\u202e00", "1\u2066 00".replace(" ", ""), "1\u00ad00", "1\ufeff,000", "1٠0", "１0０", "5\u200d5%"]
)
def test_a_number_that_is_not_what_it_seems_is_broken(text: str) -> None:
    found = quantities(f"about {text} of them")
    assert [one.kind for one in found] == ["broken"]


def test_invisible_characters_beside_a_number_do_not_break_it() -> None:
    assert read("\u200b100\u200b labs") == [("100", "")]


def test_offsets_are_those_of_the_text() -> None:
    text = "Costs of “＄１００M” – 12\u00a0% – fell\u200b in twenty-five labs."
    for one in quantities(text):
        assert text[one.start : one.end] == one.text
    assert [one.text for one in quantities(text)][1:] == ["12\u00a0%", "twenty-five"]


def test_idioms_and_pronouns() -> None:
    assert read("one of them, no one, the first and second, a hundred, half") == [("100", "")]
    assert [(one.idiom, str(one.value)) for one in quantities("it doubled, twice")] == [(True, "2"), (True, "2")]
    assert read("two-thirds of one third")[0][0].startswith("0.6666")


@given(st.integers(2, 999_999))
def test_every_number_in_words_is_read_back(value: int) -> None:
    found = list(word_numbers(f"there are {_words(value)} of them"))
    assert [int(one.value) for one in found] == [value]


_SMALL = (
    "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _words(value: int) -> str:
    """English for 1 to 999,999."""
    if value >= 1000:
        return f"{_words(value // 1000)} thousand{' ' + _words(value % 1000) if value % 1000 else ''}"
    if value >= 100:
        return f"{_SMALL[value // 100]} hundred{' and ' + _words(value % 100) if value % 100 else ''}"
    if value >= 20:
        return _TENS[value // 10] + (f"-{_SMALL[value % 10]}" if value % 10 else "")
    return _SMALL[value]


@given(st.decimals(min_value=Decimal("0.01"), max_value=Decimal("999999999"), places=2), st.sampled_from(["", "%", " years", "x"]))
def test_digits_are_read_by_value(value: Decimal, unit: str) -> None:
    for text in (f"{value}{unit}", f"{value:,}{unit}"):
        found = [one for one in quantities(f"about {text} there") if one.readings]
        assert [one.value for one in found] == [value], text


@pytest.mark.parametrize(
    "text",
    [
        "1" * 200_000,
        "1," * 100_000,
        "1,111" * 50_000,
        "1.1" * 50_000,
        "$" * 100_000 + "1",
        "9-" * 50_000,
        "ten " * 30_000,
        "٣" * 50_000,
        "1" * 100_000 + "a٣",
        "1\u200b" * 40_000,
        "a@" * 50_000,
        "10^" * 40_000,
        "January " * 20_000,
    ],
)
def test_masses_of_digits_are_read_in_one_pass(text: str) -> None:
    """Each would take hours if any pattern went back over what it has seen."""
    for one in quantities(text):
        assert text[one.start : one.end] == one.text
