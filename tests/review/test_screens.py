"""The review's screens without a terminal: what a reviewer needs is on them, and they fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from enrich.review.proposals import ProposalStore
from enrich.review.review_session import ReviewSession
from enrich.review.screens import KEYS, Line, age, clean, cut, help_screen, page_screen, wrapped
from tests.review import wikis

THREE_HOURS_LATER = "2026-03-01T13:00:00Z"

INSIGHTS_SCREEN = """\
1/1  bay sea/bay.md                                        0 of 6 fields decided
────────────────────────────────────────────────────────────────────────────────
  llmSummary                      +6 −1 words              over-human
> insights                        2 new, 1 changed, 1 gone over-human
  ratings.novelty                 (none) → 5.0
  ratings.rigor                   4 → 5.5 (+1.5)           over-human
  ratings.actionability           (none) → 5.0
  ratings.completeness            (none) → 5.0
────────────────────────────────────────────────────────────────────────────────
1. changed quantitative S 2→3 I 4 A 2
Building it cost a [-quarter-] more    │ Building it cost a {+third+} more than
than planned.                          │ planned.
  » a third more than was planned (line 11, Costs)
2. new neglected S 4.5 I 3 A 3
  Nobody counts the seals.
  » Nobody has counted the seals around the dam for ten years (line 16,
  Wildlife)
3. new disagreement S 3 I 4 A 2
  Fishers and operator disagree on herring.
  » herring avoid the turbines (line 16, Wildlife)
… 3 more lines: space
────────────────────────────────────────────────────────────────────────────────

y accept  n reject  e edit  i insights  s skip  u undo  j/k  J/K  ? keys  q quit"""


@pytest.fixture
def session(tmp_path: Path) -> ReviewSession:
    old = [
        wikis.insight("Building it cost a quarter more than planned.", "a third more than was planned", "quantitative", (2, 4, 2)),
        wikis.insight("An old claim that goes.", "x"),
    ]
    front = {"llmSummary": "The station has run since 1974.", "insights": old, "ratings": {"rigor": 4}}
    workspace = wikis.make_wiki(tmp_path / "wiki", {"sea/bay": wikis.page_text("Bay", front)})
    wikis.answer(workspace, "bay", {"summary": wikis.SUMMARY, "insights": wikis.INSIGHTS, "ratings": wikis.ratings_answer(rigor=5.5)})
    return ReviewSession(workspace, workspace.shared(ProposalStore).all(), "ann", lambda: THREE_HOURS_LATER)


def text_of(lines: list[Line]) -> str:
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def screen(session: ReviewSession, height: int = 24, *, scroll: int = 0, plain: bool = True) -> str:
    return text_of(page_screen(session, 80, height, scroll=scroll, plain=plain)[0])


def test_a_page_fits_80_by_24(session: ReviewSession) -> None:
    session.move(1)
    assert screen(session) == INSIGHTS_SCREEN


def test_the_rest_is_a_scroll_away(session: ReviewSession) -> None:
    session.move(1)
    _, furthest = page_screen(session, 80, 24, scroll=0, plain=True)
    assert furthest == 2
    last = screen(session, scroll=99)
    assert "gone claim S 3 I 4 A 2" in last and "An old claim that goes." in last and "more lines" not in last
    assert "fake-model, prompt 1, 1,234 tokens in, 210 out, $0.0012, asked 3 hours ago" in last


def test_words_ratings_evidence_and_reason(session: ReviewSession) -> None:
    text = screen(session)
    assert "The station has run since [-1974-]{+1984; it cost 40 million dollars+}." in text
    assert "» Building it cost 40 million dollars (line 11, Costs)" in text
    session.move(3)
    assert "4 → 5.5 (+1.5)\n  because: The page says enough for rigor." in screen(session)


def test_evidence_follows_the_page_as_lines_are_added_above_the_body(session: ReviewSession) -> None:
    file = session.wiki.by_id["bay"].file
    file.write_text(file.read_text(encoding="utf-8").replace("---\n", "---\ntags: []\nquality: 5\n", 1), encoding="utf-8")
    session.refresh()
    assert "(line 13, Costs)" in screen(session)


def test_a_stale_page_says_which_lines_changed(session: ReviewSession) -> None:
    file = session.wiki.by_id["bay"].file
    file.write_text(file.read_text(encoding="utf-8").replace("9 cents", "8 cents"), encoding="utf-8")
    session.refresh()
    assert "stale: line 11 changed after it was asked about; `enrich run bay` asks again" in screen(session)
    session.decide("accept")
    assert session.change.state == "pending" and "Stale" in session.message


def test_a_text_that_has_nothing_in_common_is_shown_whole(session: ReviewSession) -> None:
    session.edit({"summary": "Nobody counts seals.", "evidence": []})
    session.move(-1)
    text = screen(session)
    assert "[-The station has run since 1974.-]\n{+Nobody counts seals.+}" in text
    assert "edited by ann" in text and "it was proposed as:" in text and "dollars.+}" in text
    assert "[-Nobody counts seals.-]\n" in text


def test_age() -> None:
    now = "2026-03-03T10:00:00Z"
    ages = {"2026-03-03T09:59:30Z": "just now", "2026-03-03T09:58:00Z": "2 minutes ago", "2026-03-01T09:00:00Z": "2 days ago", "?": "?"}
    assert {then: age(then, now) for then in ages} == ages


def test_every_key_is_in_the_help() -> None:
    text = text_of(help_screen(80, 24))
    assert all(f"\n  {key}" in text for key in ("y", "n", "e", "s", "i", "o", "u", "a d", "Y N S", "j k", "J K", "space b", "r", "?", "q"))
    assert max(map(cell_len, text.split("\n"))) <= 80 and text.count("\n") < 24


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ANY.map(clean), st.sampled_from(["", "gone", "come"])), max_size=6), st.integers(20, 90), st.integers(0, 8))
def test_folding_keeps_every_word_and_the_width(spans: list[tuple[str, str]], width: int, indent: int) -> None:
    """An inner function, but every screen's width rests on it."""
    lines = wrapped(spans, width, indent=indent)
    assert all(sum(cell_len(text) for text, _ in line) <= width for line in lines)
    folded = "".join(text for line in lines for text, _ in line)
    assert "".join(folded.split()) == "".join("".join(text for text, _ in spans).split())
    assert all(sum(cell_len(text) for text, _ in cut(line, 12)) <= 12 for line in lines)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_clean_text_has_nothing_that_controls(text: str) -> None:
    assert all(char.isprintable() or char in "\u200c\u200d" for char in clean(text))


def test_the_docs_name_every_key() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "review.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in docs.splitlines() if line.startswith("| `") and "PAGE" not in line]
    named = {key for row in rows for key in row.replace("`", " ").replace(",", " ").split()}
    assert named == {key for keys in KEYS for key in keys.split()}
