"""Golden data as people write it, errors for mistakes in it, and sets that are read as they were saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from enrich import UserError

# Every mistake in a file is checked without a wiki and a command.
from enrich.evaluation.answers import AnswerSet, PageAnswers, ScoredInsight, read_answers, write_answers
from enrich.wiki.pages import PageFile
from tests.demo import cases

CASES = cases(__file__)

PAGES = [PageFile(name, f"towers/{name}.mdx", Path("/w") / f"{name}.mdx") for name in ("north-light", "south-light", "west-light")]

YAML = """
name: two keepers, March
pages:
  towers/south-light.mdx:
    summary: "The light costs \\\\$5 a night."
  north-light:
    llmSummary: A light.
    insights:
      - {type: claim, text: "Oil was dear.", surprising: 2.5, important: 3, actionable: 1, evidence: "dear oil"}
      - {type: neglected, insight: "Nobody counts gulls."}
    ratings: {novelty: 3, rigor: 6.5}
  nowhere:
    ratings: {rigor: 1}
"""


def read(tmp_path: Path, text: str, name: str = "golden.yaml") -> AnswerSet:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_answers(file, PAGES)


def test_yaml_names_pages_by_id_or_path_and_gives_them_in_page_order(tmp_path: Path) -> None:
    found = read(tmp_path, YAML)
    assert (found.name, list(found.pages)) == ("two keepers, March", ["north-light", "south-light"])
    assert found.pages["south-light"].summary == "The light costs $5 a night."
    north = found.pages["north-light"]
    assert north.ratings == {"novelty": 3.0, "rigor": 6.5}
    assert north.insights == (
        ScoredInsight(type="claim", text="Oil was dear.", evidence="dear oil", surprising=2.5, important=3.0, actionable=1.0),
        ScoredInsight(type="neglected", text="Nobody counts gulls."),
    )
    assert "nowhere" in found.notices[0]


def test_the_same_as_json_lines_and_as_a_list(tmp_path: Path) -> None:
    lines = '{"page": "west-light", "ratings": {"rigor": 4}}\n\n{"page": "north-light", "llmSummary": "A light.", "insights": []}\n'
    found = read(tmp_path, lines, "golden.jsonl")
    assert list(found.pages) == ["north-light", "west-light"]
    assert found.pages["north-light"].stages == {"summary", "insights"}
    assert read(tmp_path, '[{"page": "/towers/west-light/", "ratings": {"rigor": 4}}]', "golden.json").pages["west-light"].ratings == {
        "rigor": 4.0
    }


def test_a_saved_set_is_read_as_it_was(tmp_path: Path) -> None:
    one = PageAnswers(
        page="north-light",
        summary="A “light” – $5.",
        summary_evidence=("a quote",),
        insights=(ScoredInsight(type="claim", text="Oil.", surprising=2.0, evidence="oil"),),
        ratings={"rigor": 4.5},
    )
    other = PageAnswers(page="west-light", insights=())
    write_answers(AnswerSet("saved", {"north-light": one, "west-light": other}), tmp_path / "saved.jsonl")
    assert dict(read_answers(tmp_path / "saved.jsonl", PAGES).pages) == {"north-light": one, "west-light": other}


@pytest.mark.parametrize(("name", "text", "said"), CASES["mistakes_are_reported_with_their_place"])
def test_mistakes_are_reported_with_their_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, text, name)
    assert said in error.value.line
    assert str(tmp_path / name) in error.value.line
