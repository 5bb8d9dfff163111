"""`quality` on pages where it is a person's: the formula's value is proposed as a field of its own, and agrees with the ratings that are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enrich import Wiki
from tests.review import wikis
from tests.review.wikis import run

# The formula on these pages: 8 times the mean of the four ratings, no citations, few words.
RATINGS = {"novelty": 2.5, "rigor": 5, "actionability": 5, "completeness": 5}
BEFORE, AFTER, RIGOR_ONLY = 35, 45, 41  # with RATINGS; with novelty 4.5 and rigor 8; with rigor 8 alone


@pytest.fixture
def wiki(tmp_path: Path) -> Wiki:
    made = wikis.make_wiki(tmp_path / "wiki", {"bay": wikis.page_text("Bay", {"quality": 55, "ratings": RATINGS})})
    wikis.answer(made, "bay", {"ratings": wikis.ratings_answer(novelty=4.5, rigor=8)})
    return made


def proposed(wiki: Wiki) -> dict[str, Any]:
    """Field -> its part of `diff --json`."""
    return {field["field"]: field for page in run(wiki, "diff", "--json").json["pages"] for field in page["fields"]}


def on_page(wiki: Wiki) -> dict[str, str]:
    """Frontmatter lines of the page: key -> value as written."""
    head = wiki.by_id["bay"].file.read_text(encoding="utf-8").split("---\n")[1]
    return dict(line.strip().split(": ", 1) for line in head.splitlines() if ": " in line)


def test_the_formulas_value_is_offered_over_a_persons(wiki: Wiki) -> None:
    fields = proposed(wiki)
    assert list(fields) == ["ratings.novelty", "ratings.rigor", "quality"]
    quality = fields["quality"]
    assert (quality["old"], quality["new"], quality["flags"], quality["stage"]) == (55, AFTER, ["over-human"], "ratings")
    assert "ratings" in quality["reason"] and quality["provenance"]["model"] == "fake-model"
    assert f"+quality: {AFTER}" in run(wiki, "diff").out
    assert {(one["field"], one["flag"]) for one in run(wiki, "accept", "bay", "--json").json["left_out"]} >= {("quality", "over-human")}


def test_it_is_written_only_after_it_was_accepted_by_name(wiki: Wiki) -> None:
    run(wiki, "accept", "bay:ratings.novelty", "bay:ratings.rigor")
    run(wiki, "apply")
    assert (on_page(wiki)["quality"], on_page(wiki)["ratings"]) == (
        "55",
        '{"novelty": 4.5, "rigor": 8.0, "actionability": 5, "completeness": 5}',
    )
    assert list(proposed(wiki)) == ["quality"], "the difference is still shown"
    assert run(wiki, "accept", "bay:quality").exit == run(wiki, "apply").exit == 0
    assert on_page(wiki)["quality"] == str(AFTER)
    lock = [json.loads(line) for line in wiki.config.lock.read_text(encoding="utf-8").splitlines()]
    assert list(lock[0]["fields"]) == ["quality", "ratings.novelty", "ratings.rigor"]
    assert proposed(wiki) == {}


@pytest.mark.parametrize(
    ("accepted", "quality"),
    [(("ratings.novelty", "ratings.rigor", "quality"), AFTER), (("ratings.rigor", "quality"), RIGOR_ONLY), (("quality",), BEFORE)],
)
def test_its_value_is_that_of_the_ratings_that_are_on_the_page(wiki: Wiki, accepted: tuple[str, ...], quality: int) -> None:
    file = next(wiki.config.proposals.glob("*.json"))
    run(wiki, "accept", *(f"bay:{name}" for name in accepted))
    decided = file.read_bytes()
    assert run(wiki, "apply").exit == 0
    assert on_page(wiki)["quality"] == str(quality)
    page = wiki.by_id["bay"].file.read_bytes()
    file.write_bytes(decided)  # killed before the proposal was written: the second apply finds nothing left to write
    assert run(wiki, "apply").exit == 0
    assert wiki.by_id["bay"].file.read_bytes() == page
    assert {name for page_fields in wikis.states(wikis.reopened(wiki.config.root)).values() for name in page_fields}.isdisjoint(accepted)


def test_overwrite_writes_it_and_a_rejection_keeps_the_persons(wiki: Wiki) -> None:
    run(wiki, "reject", "bay:quality")
    wikis.answer(wiki, "bay", {"ratings": wikis.ratings_answer(novelty=4.5, rigor=8)})
    assert proposed(wiki)["quality"]["state"] == "rejected"
    run(wiki, "apply", "--all", "--overwrite")
    assert on_page(wiki)["quality"] == "55"
    run(wiki, "accept", "bay:quality")
    run(wiki, "apply", "--all", "--overwrite")
    assert on_page(wiki)["quality"] == str(AFTER)


@pytest.mark.parametrize(
    ("front", "toml"), [({"ratings": RATINGS}, ""), ({"quality": AFTER, "ratings": RATINGS}, ""), ({"quality": 55}, "off")]
)
def test_it_is_not_offered_where_there_is_nothing_to_decide(tmp_path: Path, front: dict[str, Any], toml: str) -> None:
    wiki = wikis.make_wiki(tmp_path / "wiki", {"bay": wikis.page_text("Bay", front)})
    if toml:
        (tmp_path / "wiki" / "enrich.toml").write_text(f'{wikis.TOML}[stages.ratings]\nquality = "{toml}"\n', encoding="utf-8")
        wiki = wikis.reopened(tmp_path / "wiki")
    wikis.answer(wiki, "bay", {"ratings": wikis.ratings_answer(novelty=4.5, rigor=8)})
    assert "quality" not in proposed(wiki)
    run(wiki, "apply", "--all", "--overwrite")
    assert on_page(wiki)["quality"] == {"": str(AFTER), "off": "55"}[toml]


def test_it_cannot_be_edited(wiki: Wiki, tmp_path: Path) -> None:
    field = proposed(wiki)["quality"]
    file = tmp_path / "decisions.json"
    entry = {"page": "bay", "field": "quality", "decision": "edit", "value": 9, "new_hash": field["new_hash"]}
    file.write_text(json.dumps({"schema": 1, "decisions": [entry]}), encoding="utf-8")
    refused = run(wiki, "review", "--from", str(file))
    assert (refused.exit, "computed from the ratings" in refused.err) == (3, True)


# Ratings that move far


@pytest.mark.parametrize(("leap", "flagged"), [("", ["rigor", "novelty"]), ("leap = 3.0\n", ["rigor"])])
def test_a_leap_is_written_only_after_it_was_accepted_by_name(tmp_path: Path, leap: str, flagged: list[str]) -> None:
    """Values of ours (adopted) move by 3, 2, 1.9; one dimension had no value, which is not a leap."""
    old = {"ratings": {"rigor": 5, "novelty": 2.5, "actionability": 3.1}}
    made = wikis.make_wiki(tmp_path / "wiki", {"bay": wikis.page_text("Bay", old)})
    with (made.config.root / "enrich.toml").open("a", encoding="utf-8") as file:
        file.write(f"[stages.ratings]\n{leap}")
    run(made, "adopt")
    made = wikis.reopened(made.config.root)
    wikis.answer(made, "bay", {"ratings": wikis.ratings_answer(rigor=8, novelty=4.5, actionability=5, completeness=9)})
    fields = proposed(made)
    assert {name for name, field in fields.items() if field["flags"] == ["leap"]} == {f"ratings.{name}" for name in flagged}
    run(made, "accept", "--all")
    assert {(one["field"], one["flag"]) for one in run(made, "apply", "--all", "--json").json["held"]} == {
        (f"ratings.{name}", "leap") for name in flagged
    }
    assert set(proposed(made)) == {f"ratings.{name}" for name in flagged}
    run(made, "accept", "bay:ratings.rigor")
    assert run(made, "apply", "--overwrite", "--json").json["held"] == []  # --overwrite lets the others through
    assert proposed(made) == {}
