"""Answers about themselves, and page text that gives orders to a model, are recognised; pages about models and refusals are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from enrich import PageIndex
from enrich.grounding import gives_orders, self_talk  # the list of phrases is long, and no other way leads to each of them

SAID = yaml.safe_load(Path(__file__).with_name("self_talk.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", SAID["talk"])
def test_talk_is_caught(text: str) -> None:
    assert self_talk(text) is not None


@pytest.mark.parametrize("text", SAID["content"])
def test_content_is_not(text: str) -> None:
    assert self_talk(text) is None


def test_it_becomes_a_hard_finding_that_says_what_was_said() -> None:
    (finding,) = PageIndex("words").check("I'm sorry, but I cannot rate this page.", where="summary")
    assert (finding.kind, finding.severity, finding.where) == ("self-talk", "hard", "summary")
    assert "apologises" in finding.message


@pytest.mark.parametrize(
    "text",
    ["'" * 50_000, '"' * 50_001, "I " * 50_000, "here is the " + "very " * 50_000, "follow the " * 20_000, "[" * 50_000, " " * 100_000],
)
def test_hostile_texts_are_read_in_one_pass(text: str) -> None:
    assert self_talk(text) is None


@pytest.mark.parametrize("text", SAID["orders"])
def test_orders_to_a_model_are_recognised(text: str) -> None:
    assert gives_orders(text)


@pytest.mark.parametrize("text", SAID["prose"])
def test_ordinary_prose_gives_no_orders(text: str) -> None:
    assert gives_orders(text) == ""


_ABOUT_ERRORS = PageIndex(
    "A TypeError is thrown if the path is not a string. Response: the caller should test the path first.\n\n"
    "A chat model may answer: I'm sorry, but I cannot help with that request today."
)


@pytest.mark.parametrize(
    ("text", "severities"),
    [
        ("Callers that pass a number instead of a path get a TypeError.", []),  # a term of the page
        ("TypeError", ["hard"]),  # not a sentence about anything
        ("The parser stopped with a SyntaxError before it could answer.", ["hard"]),  # not a term of this page
        ("Response: the caller should test the path first.", ["soft"]),  # the page's own sentence
        ("Response: a caller should always test the path first.", ["hard"]),
        ("I'm sorry, but I cannot summarise this page about paths today.", ["hard"]),  # in other words than the page's
        ("Callers get a TypeError, but I cannot summarise this page today.", ["hard"]),  # a term, and a refusal
    ],
)
def test_the_pages_own_terms_and_sentences_are_no_self_talk(text: str, severities: list[str]) -> None:
    assert [finding.severity for finding in _ABOUT_ERRORS.check(text) if finding.kind == "self-talk"] == severities
