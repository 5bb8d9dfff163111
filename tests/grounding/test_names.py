"""Names of an answer: found where a capital means a name, and supported by every usual way of writing them."""

from __future__ import annotations

import pytest

from enrich import PageIndex
from enrich.grounding.names import names_in

PAGE = """Søren Ångström, Ph.D., led the Dyke Survey Office (DSO) in Maine until 12/08/2014. William H. Tate wrote its reports for the United States
Geological Survey. The Portuguese engineers left in Sept. 2013; Shakespeare's *Tempest* was played for them near the Sea Gull Inn. Me and the harbour
master, Anne-Marie O'Neill, flew home with K.L.M. on a Boeing 747. Nieuwpoort lies in Belgium. Christian monks wrote about Mohammed.

They used YouTube and the iPhone. The pilot of the Royal Air Force was from Ghana.
"""
INDEX = PageIndex(PAGE, title="The Ostend flood", description="A report by Hanne Vries.")


def missing(text: str, evidence: list[str] | None = None) -> list[tuple[str, str]]:
    return [(one.severity, one.quantity) for one in INDEX.check(text, evidence) if one.kind == "name"]


@pytest.mark.parametrize(
    "text",
    [
        "The survey was led by Soren Angstrom, and later by Ångström's deputy, Dr. Tate.",
        "The office of Bill Tate, W. H. Tate and William Tate worked for the USGS and the U.S. Geological Survey.",
        "The DSO, or Dyke Survey Office, worked in America and in the US.",
        "Engineers from Portugal left in September, the month of the Shakespearean Tempests.",
        "A flight with KLM took Anne Marie O’Neill home in August.",
        "The Belgians of Nieuwpoort met Muhammad the monk and a believer in Christianity at the Seagull inn.",
        "In their videos on You Tube the i-Phone and a Ghanaian of the RAF were seen.",
        "After the Ostend floods Vries wrote a report.",
        'Engineers Left Early. Remarkably, nothing else happened. It was "Unfinished", they said: Never again.',
    ],
)
def test_a_name_in_another_form_is_supported(text: str) -> None:
    assert missing(text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The survey was led by Soren Lindqvist.", ["Lindqvist"]),
        ("The reports were written for the British Geological Survey.", ["British"]),
        ("The Spanish engineers left in March.", ["Spanish", "March"]),
        ("Engineers from Norway flew home with SAS.", ["Norway", "SAS"]),
        ("They lived in Maine and Ohio, said Tate.", ["Ohio"]),
        ("Brazil paid for it.", ["Brazil"]),
        ("The engineers left for Hake.", ["Hake"]),  # the letters are in a longer word
        ("A play by Marlowe was played at the Golden Lion.", ["Marlowe", "Golden Lion"]),
    ],
)
def test_a_name_that_is_not_on_the_page_is_a_hard_finding(text: str, names: list[str]) -> None:
    assert missing(text) == [("hard", name) for name in names]


def test_a_name_outside_the_quotes_is_a_soft_finding() -> None:
    quote = "The pilot of the Royal Air Force was from Ghana."
    assert missing("A pilot from Ghana served in the Royal Air Force, and Ostend was flooded.", [quote]) == []
    assert missing("A pilot from Belgium served in the Air Force.", [quote]) == [("soft", "Belgium")]
    assert missing("A pilot from Chile served in the Air Force.", [quote]) == [("hard", "Chile")]


def test_short_codes_are_names_only_in_capitals() -> None:
    assert [
        one.message for one in PageIndex("Give it to me, or hide in a safe place.").check("They lived in Maine, Oregon and Indiana.")
    ] != []
    assert PageIndex("Offices: Portland, ME; Salem, OR.").check("They have offices in Maine and Oregon.") == []


def test_runs_of_capitalised_words_are_one_name() -> None:
    text = "When the Bank of New England failed, Anna van der Berg's NASA team left. Critics of AI-driven work did not."
    assert [text[name.start : name.end] for name in names_in(text)] == ["Bank of New England", "Anna van der Berg's NASA", "AI-driven"]


@pytest.mark.parametrize("text", ["A" * 50_000, "A. " * 20_000, "Ab " * 20_000, "A-" * 20_000, "A'" * 20_000, "Ab of the " * 5_000])
def test_hostile_texts_are_read_in_linear_time(text: str) -> None:
    assert isinstance(INDEX.check(text), list)
