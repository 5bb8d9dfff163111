"""Decisions: what accept, reject, skip, edit and undo leave in proposals and lock, and that nobody's decision is lost."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

# Below the public API: two reviewers at once, forms, line marks and a full disk between two files have no command of their own.
from enrich import AnswerError, UserError, Wiki
from enrich.grounding import Finding
from enrich.review.applying import MEANWHILE, apply, changed_lines, line_marks
from enrich.review.decisions import (
    Step,
    decide,
    decided,
    edited,
    form_text,
    is_small_move,
    read_decisions,
    read_form,
    record,
    take,
    undecided,
    with_items,
)
from enrich.review.lock import LockFile, lock_entry
from enrich.review.proposals import Proposal, ProposalStore, insight_items
from enrich.stages.fields import value_hash
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, parse_page, read_page
from tests.review import wikis
from tests.review.wikis import change_of, run

NOW = "2026-03-02T09:00:00Z"
LATER = "2026-03-02T10:00:00Z"


@pytest.fixture
def workspace(tmp_path: Path) -> Wiki:
    """Two pages with all stages proposed; `cove` has ratings and insights of its own."""
    old = wikis.insight("Building it cost a quarter more than planned.", "a third more than was planned", "quantitative")
    front = {"ratings": {"novelty": 4.5, "rigor": 1}, "insights": [old]}
    made = wikis.make_wiki(tmp_path / "wiki", {"bay": wikis.page_text("Bay"), "cove": wikis.page_text("Cove", front)})
    for page in ("bay", "cove"):
        wikis.answer(made, page, {"summary": wikis.SUMMARY, "insights": wikis.INSIGHTS, "ratings": wikis.ratings_answer(rigor=7)})
    return made


def proposal_of(workspace: Wiki, page: str) -> Proposal:
    return next(proposal for proposal in workspace.shared(ProposalStore).all() if proposal.page == page)


def page_of(workspace: Wiki, page: str) -> Page:
    return read_page(workspace.by_id[page])


def summary_state(workspace: Wiki) -> str:
    states = run(workspace, "plan", "bay", "--stage", "summary", "--json").json["states"]
    return str(states[0]["state"])


def rejected(workspace: Wiki) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(line.page, line.stage): line.rejected for line in workspace.shared(LockFile).read()}


# Accept and reject


def test_unnamed_decisions_leave_earlier_ones_alone_and_named_ones_turn_them(workspace: Wiki) -> None:
    decide(workspace, [("bay", ("llmSummary",))], "reject", by="ann", when=NOW)
    done = decide(workspace, [("bay", ())], "accept", by="bob", when=LATER)
    assert ("bay", "llmSummary", "rejected") in done.left_out and ("bay", "insights") in done.fields
    assert change_of(workspace, "bay", "llmSummary").decided == {"by": "ann", "when": NOW, "decision": "reject"}
    assert rejected(workspace) == {("bay", "summary"): ("llmSummary",)}
    decide(workspace, [("bay", ("llmSummary",))], "accept", by="bob", when=LATER)
    assert change_of(workspace, "bay", "llmSummary").decided["by"] == "bob"
    assert rejected(workspace) == {}, "nothing is left of a rejection that was turned round"


def test_safe_takes_small_moves_of_ratings_only(workspace: Wiki) -> None:
    # novelty moves by half a point, rigor by six; both stand over a person's values until they are adopted.
    over = decide(workspace, [("cove", ())], "accept", safe=True, by="ann", when=NOW)
    assert over.fields == () and {flag for _, _, flag in over.left_out} == {"over-human"}
    small = replace(change_of(workspace, "cove", "ratings.novelty"), flags=())
    assert is_small_move(small)
    assert is_small_move(replace(small, old=1.2, new=2.2)), "one point, whatever binary fractions make of it"
    assert not is_small_move(replace(small, new=6.0))
    assert not is_small_move(replace(small, findings=(Finding("number", "soft", "", ""),)))
    assert not is_small_move(replace(small, flags=("over-human",)))
    assert not is_small_move(replace(small, old=None))
    assert not is_small_move(change_of(workspace, "bay", "llmSummary"))


def test_a_rejection_taken_back_leaves_the_lock_as_it_was(workspace: Wiki) -> None:
    apply(
        workspace, [(proposal, [change_of(workspace, "bay", "ratings.novelty")]) for proposal in workspace.shared(ProposalStore).all()[:1]]
    )
    wikis.answer(workspace, "bay", {"ratings": wikis.ratings_answer(novelty=9)})
    before = workspace.config.lock.read_text(encoding="utf-8")
    first = change_of(workspace, "bay", "ratings.novelty")
    no = decided(first, "reject", by="ann", when=NOW)
    record(workspace, [Step("bay", first, no)])
    assert rejected(workspace)["bay", "ratings"] == ("ratings.novelty",)
    record(workspace, [Step("bay", no, first)])
    assert _without_date(workspace.config.lock.read_text(encoding="utf-8")) == _without_date(before)
    assert change_of(workspace, "bay", "ratings.novelty") == first


def _without_date(text: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in json.loads(line).items() if name != "date"} for line in text.splitlines()]


def test_a_rejected_field_is_not_asked_again_until_the_page_changes(workspace: Wiki) -> None:
    assert summary_state(workspace) == "proposed"
    decide(workspace, [("bay", ("llmSummary",))], "reject", by="ann", when=NOW)
    assert summary_state(workspace) == "rejected"
    file = workspace.by_id["bay"].file
    file.write_text(file.read_text(encoding="utf-8").replace("9 cents", "8 cents"), encoding="utf-8")
    assert summary_state(workspace) == "due"


# Two people


ROUNDS = 40


def _reviewer(root: str, name: str, fields: list[str], start: Any, results: Any) -> None:
    """Says no and yes to its own fields of one page again and again, then to everybody's fields of another, once each."""
    workspace = wikis.reopened(Path(root))
    start.wait(60)
    lost = 0
    for turn in range(ROUNDS):
        for field in fields:
            before = change_of(workspace, "bay", field)
            after = decided(before, "accept" if turn % 2 else "reject", by=name, when=f"{name} {turn}")
            lost += len(record(workspace, [Step("bay", before, after)])[1])
    told = []
    proposal = proposal_of(workspace, "cove")
    for before in proposal.changes:
        current = change_of(workspace, "cove", before.field)
        if current.state == "pending" and record(workspace, [Step("cove", current, decided(current, "reject", by=name, when=NOW))])[0]:
            told.append(before.field)
    results.put((name, lost, told))


def test_two_reviewers_in_two_processes_lose_no_decision(workspace: Wiki) -> None:
    """Nobody's stored decision is overwritten by the other's older view of the page, in the proposals or in the lock."""
    mine = {"ann": ["llmSummary", "ratings.novelty", "ratings.rigor"], "bob": ["insights", "ratings.actionability", "ratings.completeness"]}
    context = multiprocessing.get_context("spawn")
    results, start = context.Queue(), context.Barrier(2)
    people = [
        context.Process(target=_reviewer, args=(str(workspace.config.root), name, fields, start, results)) for name, fields in mine.items()
    ]
    for one in people:
        one.start()
    said = [results.get(timeout=300) for _ in people]
    for one in people:
        one.join()
        assert one.exitcode == 0
    assert [lost for _, lost, _ in said] == [0, 0], "each found its own fields as it had left them, every time"
    for name, fields in mine.items():
        for field in fields:
            assert change_of(workspace, "bay", field).decided == {"by": name, "when": f"{name} {ROUNDS - 1}", "decision": "accept"}
    proposal = proposal_of(workspace, "cove")
    assert {one.field: one.decided["by"] for one in proposal.changes} == {field: name for name, _, told in said for field in told}
    # On `bay` every rejection was taken back, on `cove` none was.
    assert {(line.page, name) for line in workspace.shared(LockFile).read() for name in line.rejected} == {
        ("cove", one.field) for one in proposal.changes
    }


def test_apply_does_not_write_what_was_turned_round_since_it_was_selected(workspace: Wiki) -> None:
    decide(workspace, [("bay", ("llmSummary", "ratings.rigor"))], "accept", by="ann", when=NOW)
    proposal = proposal_of(workspace, "bay")
    selected = [one for one in proposal.changes if one.state == "accepted"]
    decide(workspace, [("bay", ("llmSummary",))], "reject", by="bob", when=LATER)
    done = apply(workspace, [(proposal, selected)])
    assert done.fields == [("bay", "ratings.rigor")] and done.held == [("bay", "llmSummary", MEANWHILE)]
    assert "llmSummary" not in page_of(workspace, "bay").frontmatter
    assert change_of(workspace, "bay", "llmSummary").decided["by"] == "bob"
    # Applied elsewhere meanwhile: nothing to do, and nothing done twice.
    assert apply(workspace, [(proposal, selected)]).fields == []


# Edits


def test_an_edit_is_judged_and_grounded_like_an_answer(workspace: Wiki) -> None:
    first = change_of(workspace, "bay", "llmSummary")
    page = page_of(workspace, "bay")
    good = edited(first, {"summary": "It cost 40 million dollars.", "evidence": ["cost 40 million dollars"]}, page, by="ann", when=NOW)
    assert (good.state, good.flags, good.findings) == ("accepted", (), ())
    assert good.evidence[0].lines == (5, 5) and good.evidence[0].section == "Costs"
    bad = edited(first, {"summary": "It cost 41 million dollars.", "evidence": ["cost 40 million dollars"]}, page, by="ann", when=NOW)
    assert (bad.state, bad.flags) == ("pending", ("needs-look",)) and bad.findings[0].severity == "hard"
    # A third sentence would be trimmed: the person sees the result before it counts.
    long = edited(first, {"summary": "One. Two. Three.", "evidence": []}, page, by="ann", when=NOW)
    assert (long.new, long.state) == ("One. Two.", "pending") and "3 sentences" in long.findings[0].message
    for form in ({"summary": 3, "evidence": []}, {"summary": "Words."}, {"summary": " ", "evidence": []}, ["x"], None):
        with pytest.raises(AnswerError) as refused:
            edited(first, form, page, by="ann", when=NOW)
        assert refused.value.cause == "invalid"


def test_undoing_an_edit_of_an_edit_gives_the_proposal_back(workspace: Wiki) -> None:
    first = change_of(workspace, "bay", "ratings.rigor")
    page = page_of(workspace, "bay")
    second = edited(first, {"score": 3.0, "reason": "Mine."}, page, by="ann", when=NOW)
    third = edited(second, {"score": 2.04, "reason": "Mine."}, page, by="bob", when=LATER)
    assert (third.new, third.proposed.new, third.reason) == (2.0, 7.0, "Mine.")
    assert (third.edited.by, third.edited.when, third.edited.how) == ("bob", LATER, "edit")
    assert undecided(third) == first
    with pytest.raises(AnswerError, match="less than or equal to 10"):
        edited(first, {"score": 11, "reason": ""}, page, by="ann", when=NOW)
    assert edited(first, read_form(form_text("bay", first)), page, by="ann", when=NOW) is first


@pytest.mark.parametrize("text", ["summary: [", "- a\n", "just words", "summary: a\nsummary: b\n", "a: &x 1\nb: *x\n"])
def test_a_form_that_is_none_is_an_answer_error(workspace: Wiki, text: str) -> None:
    with pytest.raises(AnswerError):
        edited(change_of(workspace, "bay", "llmSummary"), read_form(text), page_of(workspace, "bay"), by="ann", when=NOW)


def test_forms_carry_any_text_through_the_editor(workspace: Wiki) -> None:
    first = change_of(workspace, "bay", "insights")
    odd = 'Says "no": # not a comment, --- {x} \\ é\U0001f600'
    changed = replace(first, new=[{**first.new[0], "text": odd}])
    form = read_form(form_text("bay", changed))
    assert form is not None and form["insights"][0]["text"] == odd
    assert read_form("\n# only comments\n") is None


def test_single_insights_are_taken_left_and_given_back(workspace: Wiki) -> None:
    first = change_of(workspace, "cove", "insights")
    listed = insight_items(first)
    assert [(one.index, one.status) for one in listed] == [(0, "changed"), (1, "new"), (2, "new")]
    one = with_items(first, {listed[0].id: "reject", listed[1].id: "reject"}, by="ann", when=NOW, reason="dull")
    assert (one.state, one.new) == ("pending", first.new), "nothing is accepted by implication, and what was rejected stays visible"
    one = with_items(one, {listed[2].id: "accept"}, by="bob", when=NOW)
    # In place of the first, what is on the page stays.
    assert [item["text"] for item in one.result] == [
        "Building it cost a quarter more than planned.",
        "Fishers and operator disagree on herring.",
    ]
    assert (one.state, one.items[listed[0].id]) == ("accepted", {"by": "ann", "when": NOW, "decision": "reject", "reason": "dull"})
    assert undecided(one) == first
    assert with_items(one, {listed[2].id: None}, by="bob", when=NOW).state == "pending"
    assert with_items(one, {listed[2].id: "reject"}, by="bob", when=NOW).state == "rejected"
    # What was decided on the whole field holds for the insights that have no decision of their own.
    assert with_items(decided(first, "accept", by="ann", when=NOW), {listed[1].id: "reject"}, by="bob", when=NOW).state == "accepted"
    with pytest.raises(AnswerError):
        with_items(first, {"00000000": "accept"}, by="ann", when=NOW)


def test_insights_that_say_the_same_are_proposed_once(workspace: Wiki) -> None:
    one, two, three = wikis.INSIGHTS["insights"]
    again = {**one, "text": "Building it cost a third more than was planned."}
    other = {**one, "text": "Building it cost a quarter more than planned."}  # another number: another statement
    wikis.answer(workspace, "bay", {"insights": {"insights": [one, again, two, other, three]}})
    change = change_of(workspace, "bay", "insights")
    assert [item["text"] for item in change.new] == [one["text"], two["text"], other["text"], three["text"]]
    assert [item.where for item in change.evidence] == [f"insights[{place}]" for place in range(4)]


def test_single_insights_have_addresses_on_the_command_line(workspace: Wiki) -> None:
    field = next(one for one in run(workspace, "diff", "cove", "--json").json["pages"][0]["fields"] if one["field"] == "insights")
    names = [f"cove:insights.{item['id']}" for item in field["items"]]
    assert run(workspace, "reject", names[1], "--reason", "dull").exit == 0
    assert names[1].partition(":")[2] in run(workspace, "diff", "cove", "--format", "word").out
    assert run(workspace, "accept", "cove:insights").exit == 0  # the others
    run(workspace, "apply")
    texts = [item["text"] for item in page_of(workspace, "cove").frontmatter["insights"]]
    assert texts == ["Building it cost a third more than planned.", "Fishers and operator disagree on herring."]
    # The same answer to the same question does not bring it back.
    wikis.answer(workspace, "cove", {"insights": wikis.INSIGHTS})
    assert "insights" not in wikis.states(workspace)["cove"]
    wikis.answer(workspace, "bay", {"insights": wikis.INSIGHTS})
    assert run(workspace, "accept", "bay:insights.00000000").exit == 1


def test_an_applied_edit_is_ours_and_the_next_run_leaves_it(workspace: Wiki) -> None:
    first = change_of(workspace, "bay", "llmSummary")
    mine = edited(first, {"summary": "Nobody counts the seals.", "evidence": []}, page_of(workspace, "bay"), by="ann", when=NOW)
    record(workspace, [Step("bay", first, mine)])
    proposal = proposal_of(workspace, "bay")
    assert apply(workspace, [(proposal, [mine])]).fields == [("bay", "llmSummary")]
    assert page_of(workspace, "bay").frontmatter["llmSummary"] == "Nobody counts the seals."
    assert summary_state(workspace) == "current"


# A later run


def test_words_of_a_person_stay_where_the_newer_answer_changes_nothing(workspace: Wiki) -> None:
    first = change_of(workspace, "cove", "ratings.rigor")
    mine = edited(first, {"score": 3.0, "reason": "Mine."}, page_of(workspace, "cove"), by="ann", when=NOW)
    record(workspace, [Step("cove", first, mine)])
    wikis.answer(workspace, "cove", {"ratings": wikis.ratings_answer(rigor=1)})  # what stands on the page
    assert change_of(workspace, "cove", "ratings.rigor") == mine


# Decisions from a file


def entry(workspace: Wiki, page: str, field: str, decision: str, **more: Any) -> dict[str, Any]:
    return {"page": page, "field": field, "decision": decision, "new_hash": value_hash(change_of(workspace, page, field).new), **more}


def written(tmp_path: Path, *entries: dict[str, Any]) -> Path:
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps({"schema": 1, "decisions": list(entries)}), encoding="utf-8")
    return file


def test_decisions_come_from_a_file(workspace: Wiki, tmp_path: Path) -> None:
    file = written(
        tmp_path,
        entry(workspace, "bay", "llmSummary", "accept"),
        entry(workspace, "bay", "insights", "accept", insights=[2, 0]),
        entry(workspace, "bay", "ratings.novelty", "reject"),
        entry(workspace, "bay", "ratings.rigor", "edit", value=3.5),
        entry(workspace, "bay", "ratings.actionability", "skip"),
        entry(workspace, "cove", "insights", "accept", insights=[0, 1, 2]),
    )
    taken, refused = take(workspace, read_decisions(file).decisions, by="ann", when=NOW)
    assert refused == [] and len(taken) == 6
    assert wikis.states(workspace)["bay"] == {
        "llmSummary": "accept/accepted",
        "insights": "accept/accepted",
        "ratings.novelty": "reject/rejected",
        "ratings.rigor": "edit/accepted",
        "ratings.actionability": "skip/pending",
        "ratings.completeness": "-/pending",
    }
    assert [item["type"] for item in change_of(workspace, "bay", "insights").result] == ["quantitative", "disagreement"]
    assert change_of(workspace, "bay", "ratings.rigor").new == 3.5
    assert not change_of(workspace, "cove", "insights").edited
    back = written(tmp_path, entry(workspace, "bay", "ratings.novelty", "undo"))
    take(workspace, read_decisions(back).decisions, by="ann", when=NOW)
    assert rejected(workspace) == {}


def test_what_has_changed_since_is_refused_with_one_line_each(workspace: Wiki, tmp_path: Path) -> None:
    entries = [
        entry(workspace, "bay", "llmSummary", "accept"),
        entry(workspace, "bay", "ratings.rigor", "edit", value=99),
        entry(workspace, "bay", "insights", "accept", insights=[7]),
        entry(workspace, "cove", "llmSummary", "edit", value="It makes 4711 megawatts."),
        {**entry(workspace, "cove", "ratings.novelty", "accept"), "field": "ratings.style"},
        {**entry(workspace, "cove", "ratings.novelty", "accept"), "page": "nowhere"},
        entry(workspace, "cove", "ratings.rigor", "accept"),
    ]
    wikis.answer(workspace, "bay", {"summary": wikis.summary_answer("It has worked since 1984.", "worked since 1984")})
    taken, refused = take(workspace, read_decisions(written(tmp_path, *entries)).decisions, by="ann", when=NOW)
    reasons = {(page, field): why for page, field, why in refused}
    assert "has changed since" in reasons["bay", "llmSummary"]
    assert "less than or equal to 10" in reasons["bay", "ratings.rigor"]
    assert "no insight 7" in reasons["bay", "insights"]
    assert "waits for a look" in reasons["cove", "llmSummary"] and "4711" in reasons["cove", "llmSummary"]
    assert "nothing is proposed" in reasons["cove", "ratings.style"] and "nothing is proposed" in reasons["nowhere", "ratings.novelty"]
    assert [(page, field) for page, field, _ in taken] == [("cove", "llmSummary"), ("cove", "ratings.rigor")]
    assert change_of(workspace, "cove", "llmSummary").new == "It makes 4711 megawatts."
    assert set(wikis.states(workspace)["bay"].values()) == {"-/pending"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"schema": 2, "decisions": []}',
        '{"schema": 1}',
        "\udcff",
        "[" * 5000,
        json.dumps({"schema": 1, "decisions": [{"page": "a", "field": "b", "decision": "maybe", "new_hash": ""}]}),
        json.dumps({"schema": 1, "decisions": [{"page": "a", "field": "b", "decision": "skip", "new_hash": "", "insights": [-1]}]}),
    ],
)
def test_a_file_that_holds_no_decisions_is_a_clear_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "decisions.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError) as error:
        read_decisions(file)
    assert str(file) in error.value.line
    with pytest.raises(UserError):
        read_decisions(tmp_path / "none.json")


# What a question saw


def page(body: str, title: str = "T") -> Page:
    return parse_page(PageFile("p", "p.md", Path("p.md")), f"---\ntitle: {title}\n---\n{body}".encode())


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", "line 5 changed"),
        ("a\nb\nc\n", "a\nB\nC\n", "lines 5-6 changed"),
        ("a\nb\nc\nd\ne\n", "a\nB\nc\nd\nE\nF\n", "lines 5 and 8-9 changed"),
        ("a\nb\nc\n", "a\nc\n", "lines after 4 are gone"),
        ("a\nb\nc\nd\n", "x\nb\nd\n", "line 4 changed; lines after 5 are gone"),
        ("a\n", "a\r\n", "the text changed"),
    ],
)
def test_changed_lines_are_named_by_their_file_lines(before: str, after: str, words: str) -> None:
    assert changed_lines(line_marks(page(before)), page(after)) == words


def test_title_and_description_are_told_apart_and_marks_stay_small() -> None:
    body = "A line of text that goes on for a while, as lines do.\n" * 300
    marks = line_marks(page(body))
    assert changed_lines(marks, page(body, "Other")) == "the title changed"
    assert len(marks) < 1300
    assert changed_lines("no marks!", page(body)) == "the text changed"


def test_lock_lines_of_two_merged_branches_survive_a_rejection(workspace: Wiki) -> None:
    """The line that matches the page is the one that gets the rejection, whichever comes last."""
    question = change_of(workspace, "cove", "ratings.rigor").question
    right = lock_entry("cove", "ratings", question, None, written={"ratings.novelty": value_hash(4.5)}, date=NOW[:10])
    wrong = lock_entry("cove", "ratings", question, None, written={"ratings.novelty": value_hash(9.5)}, date=NOW[:10])
    workspace.config.lock.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in (right, wrong)), encoding="utf-8")
    decide(workspace, [("cove", ("ratings.rigor",))], "reject", by="ann", when=NOW)
    (line,) = workspace.shared(LockFile).read()
    assert line.written == right.written and line.rejected == ("ratings.rigor",)


# The commands


def test_review_from_a_file_names_what_it_refused(workspace: Wiki, tmp_path: Path) -> None:
    good, bad = entry(workspace, "bay", "llmSummary", "accept"), {**entry(workspace, "cove", "llmSummary", "accept"), "new_hash": "0" * 16}
    file = written(tmp_path, good, bad)
    result = run(workspace, "review", "--from", str(file))
    assert (result.exit, result.out.startswith("1 decision on 1 page")) == (3, True)
    assert result.err == "warning: cove:llmSummary: the proposal has changed since it was decided on\n"
    again = run(workspace, "review", "cove", "--from", str(file), "--json")
    assert (again.exit, again.json["decided"]) == (3, [])
    assert [(one["page"], one["field"]) for one in again.json["refused"]] == [("cove", "llmSummary")]


def test_apply_says_what_it_wrote_and_what_it_left(workspace: Wiki) -> None:
    applied = run(workspace, "apply", "--all")
    assert (applied.exit, "applied 9 fields on 2 pages" in applied.out, "held back 3" in applied.out) == (0, True, True)
    assert "cove: llmSummary, ratings (actionability, completeness)\n" in applied.out
    # What is left is over a person's values: by name only.
    assert "left out 3 (over-human): cove:insights, cove:ratings.novelty, cove:ratings.rigor" in run(workspace, "accept", "--all").out
    assert run(workspace, "diff", "--exit-code", "-q").exit == 10
    run(workspace, "reject", "--all")
    assert run(workspace, "diff", "--exit-code", "-q").exit == 0, "what was rejected waits no more"


def test_a_page_that_is_gone_can_be_decided_by_its_id(workspace: Wiki) -> None:
    workspace.by_id["bay"].file.unlink()
    assert "left out 6 (stale)" in run(workspace, "accept", "bay").out
    assert run(workspace, "reject", "bay:llmSummary").exit == 0
    assert run(workspace, "accept", "bay:nothing").exit == 1


def test_a_full_disk_between_lock_and_proposal_leaves_the_field_on_the_table(workspace: Wiki, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise UserError("there is no room left on the disk")

    with monkeypatch.context() as patch:
        patch.setattr("enrich.review.proposals.write_text_atomically", full)
        with pytest.raises(UserError):
            decide(workspace, [("bay", ("llmSummary",))], "reject", by="ann", when=NOW)
    assert change_of(workspace, "bay", "llmSummary").state == "pending"
    decide(workspace, [("bay", ("llmSummary",))], "reject", by="ann", when=NOW)
    assert change_of(workspace, "bay", "llmSummary").state == "rejected" and rejected(workspace) == {("bay", "summary"): ("llmSummary",)}


def test_a_decision_is_not_stored_over_one_that_the_reviewer_has_not_seen(workspace: Wiki, tmp_path: Path) -> None:
    def sent(by: str, *entries: dict[str, Any]) -> list[tuple[str, str, str]]:
        return take(workspace, read_decisions(written(tmp_path, *entries)).decisions, by=by, when=NOW)[1]

    first = [entry(workspace, "bay", "llmSummary", decision, seen="") for decision in ("accept", "reject")]
    assert sent("ann", first[0]) == [] and sent("ann", first[0]) == [], "sent again, because its answer was lost"
    assert sent("bob", first[1]) == [("bay", "llmSummary", "accepted by ann, just now: look again")]
    assert sent("bob", {**first[1], "seen": change_of(workspace, "bay", "llmSummary").mark}) == []
    ids = [item.id for item in insight_items(change_of(workspace, "bay", "insights"))]
    both = [{**entry(workspace, "bay", "insights", "reject", seen="", reason="wrong"), "field": f"insights.{one}"} for one in ids[:2]]
    assert sent("ann", *both) == [], "two insights of one field, seen at one time"
    assert sent("bob", {**both[0], "decision": "accept"}) != []
    note = entry(workspace, "bay", "ratings.rigor", "note", note="Ask the operator.", seen="")
    assert sent("ann", note) == []
    assert change_of(workspace, "bay", "ratings.rigor").decided["note"] == "Ask the operator."
    more = {**note, "note": "And the owner.", "seen": change_of(workspace, "bay", "ratings.rigor").mark}
    late = entry(workspace, "bay", "ratings.rigor", "accept", seen="")
    assert sent("bob", more, late) == [("bay", "ratings.rigor", "decided by ann, just now: look again")], (
        "one of two entries of a field is late"
    )
    assert change_of(workspace, "bay", "ratings.rigor").note == "And the owner."
    sent("ann", {**note, "seen": None})
    run(workspace, "reject", "bay:ratings.rigor", "--reason", "unsupported")
    kept = change_of(workspace, "bay", "ratings.rigor").decided
    assert (kept["note"], kept["reason"], kept["decision"]) == ("Ask the operator.", "unsupported", "reject")


def test_pages_are_assigned_by_section(workspace: Wiki) -> None:
    wikis.answer(workspace, "bay", {})
    said = run(workspace, "review", "--assign", "b*=ann", "--json").json["assigned"]
    assert said == [{"section": "b*", "name": "ann", "pages": 1}]
    assert {page["page"]: page["assigned"] for page in run(workspace, "diff", "--json").json["pages"]} == {"bay": "ann", "cove": ""}
    assert run(workspace, "review", "--assign", "nonsense").exit == 2
