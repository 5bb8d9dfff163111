"""Floors: what must be reached, and the errors for invalid ones."""

from __future__ import annotations

import pytest

from enrich import UserError

# Floors of every form are read by an inner function; the command is tested with two.
from enrich.evaluation.evaluation import evaluate
from enrich.evaluation.metrics import Floor, read_floors
from tests.evaluation.sets import page, rated

PAGES = [page("A page about nothing much, in a few plain words.", f"p{at}") for at in range(4)]
GOLDEN = rated({"rigor": [4, 5, 6, 7]})


def missed(*floors: str) -> list[str]:
    found = evaluate(rated({"rigor": [5, 6, 7, 8]}), GOLDEN, PAGES, floors=read_floors({}, floors, where=""), draws=20)
    return [one.floor.text for one in found.missed]


def test_a_plain_number_takes_the_side_that_is_better() -> None:
    assert missed("ratings.rigor.mae=1", "ratings.rigor.spearman=1", "ratings.rigor.bias=1") == []
    assert missed("ratings.rigor.mae=0.9", "ratings.rigor.spearman=1.01", "ratings.rigor.bias=0.9") == [
        "ratings.rigor.mae <= 0.9",
        "ratings.rigor.spearman >= 1.01",
        "|ratings.rigor.bias| <= 0.9",
    ]


def test_nothing_to_measure_misses_every_floor() -> None:
    assert missed("insights.grounded=0") == ["insights.grounded >= 0"]
    assert missed("summary.unsupported=1") == ["summary.unsupported <= 1"]


def test_the_command_line_replaces_the_table_metric_by_metric() -> None:
    table: dict[str, float | str] = {"ratings.rigor.mae": 1.5, "summary.words": "<= 60", "ratings.rigor.mean": ">=2"}
    assert read_floors(table, ["ratings.rigor.mae<=0.5"], where="toml") == [
        Floor("summary.words", "<=", 60),
        Floor("ratings.rigor.mean", ">=", 2),
        Floor("ratings.rigor.mae", "<=", 0.5),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ratings.rigor.mea=1", "Did you mean"),
        ("ratings.rigor.mae", "invalid floor"),
        ("ratings.rigor.mae=low", "cannot be 'low'"),
        ("ratings.rigor.mae=nan", "cannot be 'nan'"),
        ("summary.words=50", "has no better side"),
    ],
)
def test_an_invalid_floor_is_an_error(given: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        read_floors({}, [given], where="")
    assert error.value.exit_code == 2
