"""Each metric on sets small enough to work out by hand, and the row of the baseline."""

from __future__ import annotations

import pytest

from enrich import UserError

# Values are worked out by hand for sets that no model would give.
from enrich.evaluation.answers import AnswerSet, PageAnswers, ScoredInsight
from enrich.evaluation.evaluation import Evaluation, evaluate, to_json
from enrich.evaluation.metrics import Floor, PageTexts, insight_pairs, metric_kind, read_floors, repeated
from enrich.evaluation.report import text_lines
from enrich.wiki.pages import Page
from tests.evaluation.sets import page, rated

BODY = """
## The lamp

The lamp at Skerry Point burned 40 litres of whale oil in a long winter night. Two keepers carried every litre up 112 steps by hand.

## The harbour

Nobody has measured how many ships the light has saved since it was lit in 1861. The harbour master kept a book of wrecks until 1890.
"""


def pages(count: int = 1) -> list[Page]:
    return [page(BODY, f"p{at}") for at in range(count)]


def value(evaluation: Evaluation, name: str, role: str = "answers") -> float | None:
    row = next(row for row in evaluation.rows if row.role == role)
    return row.metrics[name].value if name in row.metrics else None


def one_page(**given: object) -> AnswerSet:
    return AnswerSet("set", {"p0": PageAnswers.model_validate({"page": "p0", **given})})


NOBODY = AnswerSet("nobody", {})


def test_a_summary_is_measured_against_its_page() -> None:
    lie = "The lamp burned 45 litres of whale oil in a long winter night."
    texts = PageTexts(pages()[0])
    assert texts.unsupported(lie)
    assert not texts.unsupported(lie.replace("45", "40"))
    # True of the page, and not in the quote that was given.
    assert texts.unsupported("It was lit in 1861.", ("Two keepers carried every litre up 112 steps by hand.",))
    found = evaluate(one_page(summary=lie, summary_evidence=()), NOBODY, pages(), draws=50)
    assert (value(found, "summary.unsupported"), value(found, "summary.unproven"), value(found, "summary.words")) == (1.0, 1.0, 13.0)


def test_copied_words_are_counted_in_runs_of_six_and_more() -> None:
    texts = PageTexts(pages()[0])
    copied = texts.copied("Every night the lamp at Skerry Point burned 40 litres of tar.")
    # "the lamp at skerry point burned 40 litres of": nine of twelve words.
    assert copied == (9 / 12, 9)
    assert texts.copied("A keeper at Skerry Point burned little.") == (0.0, 0)
    assert texts.copied("") == (0.0, 0)
    assert texts.copied("Two keepers carried every litre up. Nobody has measured how many ships.") == (1.0, 6)


def insight(kind: str, text: str, evidence: str = "", **scores: float) -> ScoredInsight:
    return ScoredInsight(type=kind, text=text, evidence=evidence, **scores)


OIL = insight(
    "quantitative", "One long winter night took 40 litres of whale oil.", "burned 40 litres of whale oil", surprising=3.0, important=2.0
)
GAP = insight(
    "research-gap",
    "Nobody has measured how many ships the light saved.",
    "Nobody has measured how many ships",
    surprising=2.0,
    important=4.0,
)
AGAIN = insight("claim", "How many ships the light saved nobody has measured.", "how many ships the light has saved", surprising=1.0)
FALSE = insight("claim", "Two keepers carried it up 212 steps.", "up 112 steps by hand", surprising=4.0)


def test_insights_are_matched_whoever_worded_them() -> None:
    assert insight_pairs([OIL, GAP], [AGAIN, FALSE]) == [(1, 0)]
    assert repeated([OIL, GAP, AGAIN]) == [False, False, True]
    same_quote = insight("claim", "Fuel was a burden.", "burned **40 litres** of whale oil")
    assert insight_pairs([OIL], [FALSE, same_quote]) == [(0, 1)]
    # Each insight is the same as one other at most.
    assert insight_pairs([GAP, AGAIN], [AGAIN]) == [(1, 0)]
    assert insight_pairs([AGAIN, AGAIN], [AGAIN]) == [(0, 0)]


def test_insights_are_measured_alone_and_against_golden_ones() -> None:
    golden = one_page(insights=(GAP, insight("disagreement", "Masters and pilots dispute the book of wrecks.", surprising=3.0)))
    found = evaluate(one_page(insights=(OIL, AGAIN, FALSE)), golden, pages(), draws=50)
    assert value(found, "insights.per_page") == 3.0
    assert value(found, "insights.grounded") == pytest.approx(2 / 3)
    assert value(found, "insights.unsupported") == pytest.approx(1 / 3)
    assert value(found, "insights.duplicates") == 0.0
    assert value(found, "insights.found") == 0.5
    # Ours: 1/3 quantitative, 2/3 claim; golden: 1/2 research-gap, 1/2 disagreement.
    assert value(found, "insights.mix") == pytest.approx(1.0)
    assert value(found, "insights.type.claim") == pytest.approx(2 / 3)
    assert value(found, "insights.surprising.mean") == pytest.approx(8 / 3)
    assert value(found, "insights.surprising.bias") == pytest.approx(-1.0)
    assert value(found, "insights.important.bias") is None
    assert value(found, "insights.grounded", "golden") == 1.0  # GAP's quote is on the page; the other has none
    bare = evaluate(one_page(insights=(insight("claim", "Oil was carried up 112 steps."),)), NOBODY, pages(), draws=50)
    assert (value(bare, "insights.grounded"), value(bare, "insights.unsupported")) == (None, 0.0)


def test_ratings_against_golden_ones() -> None:
    ours, golden = rated({"rigor": [6, 7, 8, 7]}), rated({"rigor": [4, 5, 7, 6]})
    found = evaluate(ours, golden, pages(4), draws=200)
    assert value(found, "ratings.rigor.mae") == pytest.approx(1.5)
    assert value(found, "ratings.rigor.bias") == pytest.approx(1.5)
    assert value(found, "ratings.rigor.spearman") == pytest.approx(0.9486833)
    assert value(found, "ratings.rigor.kappa") == pytest.approx(1 - 2.5 / (0.5 + 1.25 + 2.25))
    assert value(found, "ratings.rigor.inflation") == pytest.approx(2.0)
    assert value(found, "ratings.rigor.above") == 1.0
    assert value(found, "ratings.rigor.inflation", "golden") == pytest.approx(0.5)
    low = evaluate(rated({"rigor": [1, 2, 2, 9]}), golden, pages(4), draws=50, typical=(3, 5))
    assert value(low, "ratings.rigor.inflation") == pytest.approx(-1.0)
    wide = evaluate(rated({"rigor": [1, 2, 2, 9]}), golden, pages(4), draws=50, typical=(0, 8.5))
    assert (value(wide, "ratings.rigor.inflation"), value(wide, "ratings.rigor.above")) == (0.0, 0.25)


def test_all_rows_are_about_the_same_questions() -> None:
    golden = rated({"rigor": [4, 5, 6, 7], "novelty": [1, 2, 3, 4]})
    answers = AnswerSet(
        "half", {"p1": PageAnswers(page="p1", ratings={"rigor": 5.0}), "p3": PageAnswers(page="p3", ratings={"rigor": 6.0})}
    )
    found = evaluate(answers, golden, pages(4), against=golden, draws=50)
    for row in found.rows:
        assert {estimate.pages for estimate in row.metrics.values()} == {2}, row.role
        assert {name.split(".")[1] for name in row.metrics} == {"rigor"}, row.role


def test_answers_are_compared_with_the_baseline() -> None:
    golden = rated({"rigor": [1.0 + 0.2 * at for at in range(30)]})
    perfect = evaluate(golden, golden, pages(30), draws=300)
    assert value(perfect, "ratings.rigor.mae") == 0.0
    assert (value(perfect, "ratings.rigor.mae", "baseline") or 0) > 0.5
    assert perfect.versus["ratings.rigor.mae"] == "better"
    hopeless = evaluate(rated({"rigor": [10.0] * 30}), golden, pages(30), draws=300)
    assert hopeless.versus["ratings.rigor.mae"] == hopeless.versus["ratings.rigor.bias"] == "worse"
    assert "ratings.rigor.mean" not in hopeless.versus
    own = evaluate(golden, golden, pages(30), with_baseline=False, draws=50)
    assert [row.role for row in own.rows] == ["answers", "golden"]
    assert own.versus == {}


def test_every_metric_has_words_and_every_table_holds_every_metric() -> None:
    golden = one_page(summary="A lamp of 40 litres.", insights=(GAP,), ratings={"rigor": 4.0, "focus": 7.0})
    found = evaluate(one_page(summary="A lamp.", insights=(OIL, AGAIN), ratings={"rigor": 5.0, "focus": 7.0}), golden, pages(), draws=50)
    assert all(metric_kind(name) is not None for name in found.names)
    lines = "\n".join(line.plain for line in text_lines(found))
    document = to_json(found)
    for name in found.names:
        assert f"\n{name} " in lines
        assert set(document["metrics"][name]) & {"answers", "baseline", "golden"}
    assert document["metrics"]["ratings.rigor.mae"]["answers"]["value"] == 1.0


PAGES = [page("A page about nothing much, in a few plain words.", f"p{at}") for at in range(4)]
GOLDEN = rated({"rigor": [4, 5, 6, 7]})


def missed(*floors: str) -> list[str]:
    found = evaluate(rated({"rigor": [5, 6, 7, 8]}), GOLDEN, PAGES, floors=read_floors({}, floors, where=""), draws=20)
    return [one.text for one in found.missed]


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
