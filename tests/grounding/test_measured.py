"""The measured promises, on the real pages beside the checkout, through the same code that `bench/grounding.py` prints its tables with."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest

from tests.demo import ROOT, script

pytestmark = pytest.mark.sample


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return script(ROOT / "bench" / "grounding.py")


def share(tables: Iterable[Counter[str]], *severities: str) -> float:
    total: Counter[str] = Counter()
    for table in tables:
        total.update(table)
    return sum(total[severity] for severity in severities) / sum(total.values())


@pytest.mark.parametrize("stored", ["summaries", "insights"])
def test_changed_numbers_are_caught(bench: ModuleType, sample: Path, stored: str) -> None:
    pages, indexes = bench.load(sample)
    texts = bench.summaries(pages, indexes) if stored == "summaries" else bench.insights(sample, pages, indexes)
    rng = random.Random(7)
    wide = bench.page_wide(texts, rng, 1)
    assert share(wide.values(), "hard", "soft") >= 0.99
    assert share(wide.values(), "hard") >= 0.95
    table, true = bench.with_evidence(texts, rng)
    assert share(table.values(), "hard", "soft") >= 0.95
    for kind, counts in table.items():
        assert share([counts], "hard", "soft") >= 0.9, kind
    # And what was true stays supported: evidence that holds the number is never said not to.
    assert true["hard"] == 0
    assert share([true], "supported") >= 0.97


def test_quotes_are_found_and_changed_ones_are_not(bench: ModuleType, sample: Path) -> None:
    pages, indexes = bench.load(sample)
    true, other, wrong = bench.quote_tables(pages, indexes, random.Random(7), 1000)
    assert true == {"verbatim, right lines": 1000}, wrong
    assert set(other) <= {"refused", "repaired"}, wrong
    assert other["refused"] + other["repaired"] >= 990


def test_a_value_is_reported_when_its_sentence_changes_and_not_otherwise(sample: Path) -> None:
    changed, elsewhere, wrong = script(ROOT / "bench" / "support.py").table(sample, 40, 7)
    reported = sum(count for kind, count in changed.items() if kind.endswith("reported"))
    assert changed.total() == 40
    assert reported >= 38, wrong
    assert elsewhere["not reported"] == elsewhere.total() >= 35, wrong
