"""The view model of a proposal: word diffs, pairs of insights, quotes in their context, and what the review page counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

# Inner names: the view model is what all forms of `diff` show, so it is tested once, below them.
from enrich.review.browser import page_data, review_html
from enrich.review.views import PageView, age, word_diff
from tests.review.wikis import answer, make_wiki, many, page_text, ratings_answer, summary_answer, views, with_old_values


def field(view: PageView, name: str):  # type: ignore[no-untyped-def]
    return next(item for item in view.fields if item.name == name)


def test_insights_find_their_former_selves(tmp_path: Path) -> None:
    view = next(view for view in views(with_old_values(tmp_path)) if view.id == "fresh")
    shown = [
        (item.status, item.index, "".join(text for mark, text in item.pieces if mark != "-")) for item in field(view, "insights").insights
    ]
    assert shown == [
        ("changed", 0, "Building it cost a third more than planned."),
        ("new", 1, "Nobody counts the seals."),
        ("new", 2, "Fishers and operator disagree on herring."),
        ("gone", -1, ""),
    ]
    changed = field(view, "insights").insights[0]
    assert (changed.old_kind, changed.kind) == ("claim", "quantitative")
    assert [(score.name, score.old, score.new) for score in changed.scores] == [
        ("surprising", 3, 3),
        ("important", 3, 4),
        ("actionable", 2, 2),
    ]


def test_a_quote_stands_between_what_surrounds_it_on_the_page(tmp_path: Path) -> None:
    view = next(view for view in views(with_old_values(tmp_path)) if view.id == "fresh")
    quote = field(view, "insights").insights[0].quotes[0]
    assert quote.quote == "a third more than was planned"
    assert quote.before.endswith("Building it cost 40 million dollars, ")
    assert quote.after.startswith(". Each kilowatt hour costs 9 cents today,")
    assert quote.section == "Costs"
    lines = (tmp_path / "pages/kb/fresh.md").read_text(encoding="utf-8").split("\n")
    assert "a third more than was planned" in lines[quote.lines[0] - 1]


def test_a_quote_that_left_the_page_is_told_apart(tmp_path: Path) -> None:
    workspace = with_old_values(tmp_path)
    view = next(view for view in views(workspace) if view.id == "stale")
    assert "stale" in field(view, "insights").flags
    quotes = [quote for item in field(view, "insights").insights for quote in item.quotes]
    assert {quote.quote: quote.found for quote in quotes}["herring avoid the turbines"] is False
    assert {quote.quote: quote.found for quote in quotes}["a third more than was planned"] is True


def test_quotes_over_several_lines_and_markup_are_found(tmp_path: Path) -> None:
    body = "Intro words stand here.\n\nThe **dam** makes\n[nine](x.md) units a day. Later text follows, {name} {power}.\n"
    workspace = make_wiki(tmp_path, {"dam": page_text("Dam", body=body)})
    answer(workspace, "dam", {"summary": summary_answer("The dam makes nine units a day.", "The dam makes nine units a day.")})
    quote = field(views(workspace)[0], "llmSummary").quotes[0]
    assert (quote.quote, quote.before) == ("The dam makes nine units a day.", "Intro words stand here. ¶ ")
    assert quote.lines[1] == quote.lines[0] + 1


def test_the_review_page_has_sections_and_totals(tmp_path: Path) -> None:
    crowd = review_html(views(many(tmp_path / "many", 6)), wiki="w", generated="2026-03-01T10:00:00Z")
    assert {name for name in ("risks", "models", "responses") if f'"section":"{name}"' in crowd} == {"risks", "models", "responses"}
    text = " ".join(review_html(views(with_old_values(tmp_path / "old")), wiki="w", generated="2026-03-01T10:00:00Z").split())
    moves = "How ratings move: 0 −2 or more, 0 −2 to −1, 2 −1 to −0.5, 0 down to −0.5, 0 0, 0 up to +0.5, 0 +0.5 to +1, 0 +1 to +2, 2 +2 or more"
    assert f'aria-label="{moves}"' in text
    assert "4 ratings had no value before" in text
    for name, figure in {"Pages": 2, "Fields": 12, "Stale": 6}.items():
        assert f'<dt>{name}</dt><dd><span class="figure">{figure}</span>' in text


@pytest.mark.parametrize(
    ("move", "place"), [(-3, 0), (-2, 0), (-1.5, 1), (-0.5, 2), (-0.3, 3), (0.3, 5), (0.5, 6), (1.5, 7), (2, 8), (5, 8)]
)
def test_each_move_of_a_rating_is_counted_once(tmp_path: Path, move: float, place: int) -> None:
    workspace = make_wiki(tmp_path, {"a": page_text("A", {"ratings": {"novelty": 5}})})
    answer(workspace, "a", {"ratings": ratings_answer(novelty=5 + move)})
    shown = views(workspace)
    assert page_data(shown[0])["fields"][0]["move"] == move
    bars = review_html(shown, wiki="w", generated="").split('aria-label="How ratings move: ')[1].split('"')[0]
    assert [int(one.split()[0]) for one in bars.split(", ")] == [int(at == place) for at in range(9)]


def test_a_fields_value_that_moved_on_the_page_is_shown(tmp_path: Path) -> None:
    workspace = make_wiki(tmp_path, {"a": page_text("A")})
    answer(workspace, "a", {"ratings": ratings_answer(novelty=7)})
    file = workspace.by_id["a"].file
    file.write_text(file.read_text(encoding="utf-8").replace("---\n", "---\nratings:\n  novelty: 2\n", 1), encoding="utf-8")
    novelty, rigor = (field(views(workspace)[0], f"ratings.{name}") for name in ("novelty", "rigor"))
    assert novelty.edited_on_page and novelty.current == 2 and novelty.flags == ("stale",)
    assert not rigor.edited_on_page and rigor.flags == ()


def test_age() -> None:
    now = "2026-03-03T10:00:00Z"
    ages = {"2026-03-03T09:59:30Z": "just now", "2026-03-03T09:58:00Z": "2 minutes ago", "2026-03-01T09:00:00Z": "2 days ago", "?": "?"}
    assert {then: age(then, now) for then in ages} == ages


# Word diffs


def test_only_the_words_that_differ_are_marked() -> None:
    assert word_diff("It costs $5 a page.", "It costs $7 a page.") == [("=", "It costs $"), ("-", "5"), ("+", "7"), ("=", " a page.")]
    assert ("-", "1,234.5") in word_diff("It made 1,234.5 units last year.", "It made 1,934.5 units last year.")


def test_neighbouring_changes_are_one_change_and_strange_texts_are_kept_apart() -> None:
    pieces = word_diff("They said that red wood burns well here.", "They said that old peat burns well here.")
    assert ("-", "red wood") in pieces and ("+", "old peat") in pieces
    old, new = "Herring avoid the dam.", "Turbines were replaced in spring by larger ones."
    assert word_diff(old, new) == [("-", old), ("+", new)]


WORDS = st.lists(st.sampled_from(["the", "cost", "rose", "12%", "$5", ",", "1984", "a\u202eb", "", "été"]), max_size=30).map(" ".join)


@given(WORDS, WORDS)
def test_both_texts_come_back_from_the_pieces(old: str, new: str) -> None:
    pieces = word_diff(old, new)
    assert "".join(text for mark, text in pieces if mark != "+") == old
    assert "".join(text for mark, text in pieces if mark != "-") == new
    assert all(text for _, text in pieces)
