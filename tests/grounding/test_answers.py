"""What the checks are worth on answers written by hand: wrong ones are held or flagged, right ones pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from enrich import Finding, PageIndex

PAGES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "answers.yaml").read_text(encoding="utf-8"))


def checked(kind: str) -> Iterator[tuple[str, str, list[Finding]]]:
    for page in PAGES:
        index = PageIndex(page["body"], title=page["title"])
        for name, text, *evidence in page[kind]:
            yield name, text, index.check(text, evidence)


def test_nearly_all_wrong_answers_are_held_or_flagged() -> None:
    answers = list(checked("wrong"))
    missed = [(name, text) for name, text, findings in answers if not findings]
    held = sum(any(one.severity == "hard" for one in findings) for _, _, findings in answers)
    assert len(answers) >= 60
    assert len(answers) - len(missed) >= 54, missed
    assert held >= 45


def test_right_answers_pass() -> None:
    answers = list(checked("right"))
    held = [(text, one.message) for _, text, findings in answers for one in findings if one.severity == "hard"]
    flagged = [text for _, text, findings in answers if findings]
    assert len(answers) >= 60
    assert len(held) <= 3, held
    assert len(flagged) <= 15, flagged


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page["title"])
def test_the_quotes_of_right_answers_are_on_their_page(page: dict[str, Any]) -> None:
    index = PageIndex(page["body"], title=page["title"])
    for _, text, *evidence in page["right"]:
        assert all(map(index.find_quote, evidence)), text
