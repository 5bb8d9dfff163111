"""Ratings that cannot be a judgement of their page are held."""

from __future__ import annotations

import pytest

from enrich import PageIndex
from enrich.stages.judges import judge_of

DIMENSIONS = ("novelty", "rigor", "actionability", "completeness")
BODY = (
    "## Costs\n\nThe dyke was raised twice after the flood of 1962. Its crown is 7.5 m high. The harbour master keeps a record of tides.\n\n"
    * 12
)
REASONS = {
    "novelty": "The record of tides is the harbour master's own.",
    "rigor": "The flood has no source.",
    "actionability": "Nothing is said about the next raising of the crown.",
    "completeness": "The dyke's cost is missing.",
}
SCORES = {"novelty": 4.0, "rigor": 4.5, "actionability": 3.5, "completeness": 4.2}


def held(scores: dict[str, float], reasons: dict[str, str]) -> list[str]:
    answer = {name: {"reason": reasons[name], "score": scores[name]} for name in DIMENSIONS}
    fields = judge_of("ratings", DIMENSIONS)(answer, PageIndex(BODY, title="The north dyke"))
    return [field.field.partition(".")[2] for field in fields if field.hard]


def test_ratings_with_reasons_of_the_page_pass() -> None:
    assert held(SCORES, REASONS) == []


@pytest.mark.parametrize(
    ("sentence", "reason", "other"),
    [
        ("这个项目研究了三个城市的太阳能电池板安装成本。", "比较了太阳能电池板的成本。", "Ohne Bezug auf etwas"),
        ("이 연구는 세 도시의 태양광패널 설치비용을 비교하였다.", "태양광패널의 설치비용만 다룬다.", "쓸모있는 글입니다."),
        ("قارنت الدراسة تكلفة الألواح الشمسية في ثلاث مدن.", "تقارن تكلفة الألواح الشمسية فقط.", "Ohne Bezug auf etwas"),
    ],
)
def test_reasons_in_scripts_whose_words_are_not_compared_by_their_beginnings(sentence: str, reason: str, other: str) -> None:
    index = PageIndex(sentence * 20, title="A")
    answer = {name: {"reason": reason, "score": SCORES[name]} for name in DIMENSIONS} | {"rigor": {"reason": other, "score": 4.5}}
    fields = judge_of("ratings", DIMENSIONS)(answer, index)
    said = {field.field: [finding.message for finding in field.hard if "names nothing" in finding.message] for field in fields}
    assert [field for field, messages in said.items() if messages] == ["ratings.rigor"]


@pytest.mark.parametrize(
    ("scores", "reasons", "fields"),
    [
        (SCORES | {"novelty": 9.9}, REASONS, ["novelty"]),
        (dict.fromkeys(DIMENSIONS, 4.0), dict.fromkeys(DIMENSIONS, "The dyke was raised."), list(DIMENSIONS)),
        (SCORES, REASONS | {"rigor": "Nearly every claim has a primary source and a range."}, ["rigor"]),
        (SCORES, REASONS | {"completeness": "An interesting article with valuable insight."}, ["completeness"]),
        (SCORES, REASONS | {"completeness": ""}, ["completeness"]),
    ],
)
def test_ratings_that_are_no_judgement_are_held(scores: dict[str, float], reasons: dict[str, str], fields: list[str]) -> None:
    assert held(scores, reasons) == fields
