"""Proposals as they are read: pairs of insights, moves of ratings, quotes in their place on the page."""

from __future__ import annotations

from pathlib import Path

from enrich.review.totals import MOVE_BINS, bin_of, totals
from enrich.review.views import PageView, paired
from tests.review.fodder import many, views, with_old_values
from tests.review.wikis import answer, make_wiki, page_text, ratings_answer, summary_answer


def field(view: PageView, name: str):  # type: ignore[no-untyped-def]
    return next(item for item in view.fields if item.name == name)


def test_insights_find_their_former_selves(tmp_path: Path) -> None:
    view = next(view for view in views(with_old_values(tmp_path)) if view.page == "fresh")
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
    assert (changed.kind_was, changed.kind) == ("claim", "quantitative")
    assert [(score.name, score.old, score.new) for score in changed.scores] == [
        ("surprising", 3, 3),
        ("important", 3, 4),
        ("actionable", 2, 2),
    ]


def test_each_insight_is_paired_once() -> None:
    same = {"text": "The dam costs forty million."}
    assert list(paired([same, same], [same])) == [(0, 0), (None, 1)]
    assert list(paired([], [same, same])) == [(0, None), (1, None)]


def test_the_same_evidence_makes_a_pair_whatever_the_words() -> None:
    old = [{"text": "Herring avoid turbines."}, {"text": "Sparse words.", "evidence": "a dam"}]
    new = [{"text": "Quite another claim", "evidence": "a dam"}, {"text": "Herring avoid all turbines."}]
    assert list(paired(old, new)) == [(0, 1), (1, 0)]


def test_a_quote_stands_between_what_surrounds_it_on_the_page(tmp_path: Path) -> None:
    view = next(view for view in views(with_old_values(tmp_path)) if view.page == "fresh")
    quote = field(view, "insights").insights[0].quotes[0]
    assert quote.quote == "a third more than was planned"
    assert quote.before.endswith("Building it cost 40 million dollars, ")
    assert quote.after.startswith(". Each kilowatt hour costs 9 cents today,")
    assert quote.section == "Costs"
    lines = (tmp_path / "pages/kb/fresh.md").read_text(encoding="utf-8").split("\n")
    assert "a third more than was planned" in lines[quote.lines[0] - 1]


def test_a_quote_that_left_the_page_is_told_apart(tmp_path: Path) -> None:
    workspace = with_old_values(tmp_path)
    view = next(view for view in views(workspace) if view.page == "stale")
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


def test_sections_are_the_folders_that_tell_pages_apart(tmp_path: Path) -> None:
    assert {view.section for view in views(many(tmp_path, 6))} == {"risks", "models", "responses"}


def test_totals_count_moves_findings_and_flags(tmp_path: Path) -> None:
    sums = totals(views(with_old_values(tmp_path)))
    moves = {name: count for name, count in zip(MOVE_BINS, sums.moves, strict=True) if count}
    assert moves == {"+2 or more": 2, "−1 to −0.5": 2}
    assert (sums.pages, sums.fields, sums.first) == (2, 12, 4)
    assert sums.over_human == 8
    assert sums.stale == 6


def test_bins_hold_every_move_once() -> None:
    assert [MOVE_BINS[bin_of(move)] for move in (-3, -2, -1.5, -0.5, -0.3, 0, 0.3, 0.5, 1.5, 2, 9)] == [
        "−2 or more", "−2 or more", "−2 to −1", "−1 to −0.5", "down to −0.5", "0", "up to +0.5", "+0.5 to +1", "+1 to +2", "+2 or more", "+2 or more",
    ]  # fmt: skip


def test_a_fields_value_that_moved_on_the_page_is_shown(tmp_path: Path) -> None:
    workspace = make_wiki(tmp_path, {"a": page_text("A")})
    answer(workspace, "a", {"ratings": ratings_answer(novelty=7)})
    file = workspace.by_id["a"].file
    file.write_text(file.read_text(encoding="utf-8").replace("---\n", "---\nratings:\n  novelty: 2\n", 1), encoding="utf-8")
    assert field(views(workspace)[0], "ratings.novelty").now == "2"
    assert field(views(workspace)[0], "ratings.rigor").now is None
