"""Page edits against decisions: every cell of the two tables in docs/review.md, read from there so that they cannot drift."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Below the public API: keys at the terminal are calls of `ReviewSession`; a decision is stored without a command.
from enrich.errors import AnswerError
from enrich.review.decisions import Step, record, with_new_value
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.review.review_session import ReviewSession
from enrich.stages.fields import current_value
from enrich.wiki.pages import read_page
from tests.demo import DemoWiki, Result
from tests.review import wikis

DOCS = Path(__file__).parents[2] / "docs" / "review.md"
FIELD = "llmSummary"
NOW = "2026-03-02T09:00:00Z"
EARLIER = wikis.summary_answer("The station makes 9 megawatts.", "and makes 9 megawatts at spring tide")
NEW = wikis.SUMMARY["summary"]
MINE = "Building it cost 40 million dollars."
PERSONS = "A person's own words."


def _rewrite(change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(file: Path) -> None:
        before = file.read_text(encoding="utf-8")
        after = change(before)
        assert after != before
        file.write_bytes(after.encode("utf-8"))

    return edit


def _field(text: str, line: str) -> str:
    kept = [one for one in text.split("\n") if not one.startswith(FIELD)]
    return "\n".join([kept[0], *([line] if line else []), *kept[1:]])


def _moved(file: Path) -> None:
    (file.parent / "other").mkdir()
    file.rename(file.parent / "other" / file.name)


EDITS: dict[str, Callable[[Path], object]] = {
    "none": lambda file: None,
    "our field: other words": _rewrite(lambda text: _field(text, f'{FIELD}: "{PERSONS}"')),
    "our field: deleted": _rewrite(lambda text: _field(text, "")),
    "our field: the proposed words": _rewrite(lambda text: _field(text, f"{FIELD}: '{NEW}'")),
    "another field": _rewrite(lambda text: text.replace("---\n", "---\nquality: 12\ntags: [a,   b]  # mine\nratings: {rigor: 3}\n", 1)),
    "one line of the body": _rewrite(lambda text: text.replace("9 cents", "8 cents")),
    "the title": _rewrite(lambda text: text.replace("title: Tidal power", "title: Wave power")),
    "the whole file replaced": lambda file: file.write_bytes(b"---\ntitle: Other\n---\nOther text.\n"),
    "the file deleted": lambda file: file.unlink(),
    "the file renamed": lambda file: file.rename(file.with_name("bight.md")),
    "the file moved to another folder": _moved,
    "LF turned into CRLF": lambda file: file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n")),
    "frontmatter broken": _rewrite(lambda text: text.replace("title: ", "title: [")),
}


class Wiki:
    """One page whose summary is ours, a newer one proposed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        workspace = wikis.make_wiki(root, {"bay": wikis.page_text("Bay")}, ids="path")
        wikis.answer(workspace, "bay", {"summary": EARLIER})
        self.run("apply", "--all")
        assert wikis.answer(workspace, "bay", {"summary": wikis.SUMMARY})[0].flags == ()

    def run(self, *arguments: str) -> Result:
        return DemoWiki.at(self.root, "pages").enrich("-q", *arguments)

    @property
    def file(self) -> Path | None:
        return next((self.root / "pages").rglob("*.md"), None)

    @property
    def id(self) -> str:
        """The page's id now."""
        return self.file.relative_to(self.root / "pages").with_suffix("").as_posix() if self.file else "bay"

    def snapshot(self) -> dict[str, bytes]:
        return {str(file.relative_to(self.root)): file.read_bytes() for file in sorted((self.root / "pages").rglob("*.md"))}

    @property
    def summary(self) -> object:
        return current_value(read_page(wikis.reopened(self.root).by_id[self.id]).frontmatter, FIELD)

    def sit(self) -> ReviewSession:
        workspace = wikis.reopened(self.root)
        return ReviewSession(workspace, workspace.shared(ProposalStore).all(), "ann", lambda: NOW)


def _edit_in_review(wiki: Wiki) -> None:
    session = wiki.sit()
    page = read_page(wikis.reopened(wiki.root).by_id["bay"])
    record(session.wiki, [Step("bay", session.change, with_new_value(session.change, MINE, page, by="ann", when=NOW))])


def _skip(wiki: Wiki) -> None:
    wiki.sit().decide("skip")


DECIDED_FIRST: dict[str, tuple[Callable[[Wiki], object], tuple[str, ...]]] = {
    "undecided, `apply --all`": (lambda wiki: None, ("apply", "--all")),
    "accepted, `apply`": (lambda wiki: wiki.run("accept", "bay"), ("apply",)),
    "edited, `apply`": (_edit_in_review, ("apply",)),
    "rejected, `apply --all`": (lambda wiki: wiki.run("reject", "bay:llmSummary"), ("apply", "--all")),
    "skipped, `apply`": (_skip, ("apply",)),
}
DECIDED_AFTER: dict[str, Callable[[Wiki], object]] = {
    "`accept PAGE:FIELD`": lambda wiki: wiki.run("accept", f"{wiki.id}:llmSummary", "--json"),
    "`accept PAGE:FIELD --overwrite`": lambda wiki: wiki.run("accept", f"{wiki.id}:llmSummary", "--overwrite", "--json"),
    "`accept PAGE`": lambda wiki: wiki.run("accept", wiki.id, "--json"),
    "`y` at the terminal": lambda wiki: wiki.sit().decide("accept"),
    "`o` at the terminal": lambda wiki: wiki.sit().take_over(),
    "`reject PAGE:FIELD`": lambda wiki: wiki.run("reject", f"{wiki.id}:llmSummary", "--json"),
}


def _tables() -> list[list[list[str]]]:
    """The tables of docs/review.md whose first column is the page's edit: rows of cells."""
    tables: list[list[list[str]]] = [[]]
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif tables[-1]:
            tables.append([])
    return [table for table in tables if table and table[0][0] == "the page's edit"]


def _cells(number: int) -> Iterator[tuple[str, str, str]]:
    head, _, *rows = _tables()[number]
    for row in rows:
        yield from ((row[0], column, cell) for column, cell in zip(head[1:], row[1:], strict=True))


def test_the_tables_are_complete() -> None:
    assert {(row, column) for row, column, _ in _cells(0)} == {(row, column) for row in EDITS for column in DECIDED_FIRST}
    assert {(row, column) for row, column, _ in _cells(1)} == {(row, column) for row in EDITS for column in DECIDED_AFTER}


@pytest.mark.parametrize(("edit", "decision", "outcome"), list(_cells(0)))
def test_decided_then_edited(tmp_path: Path, edit: str, decision: str, outcome: str) -> None:
    wiki = Wiki(tmp_path / "wiki")
    decide, command = DECIDED_FIRST[decision]
    decide(wiki)
    EDITS[edit](wiki.file or Path())
    before = wiki.snapshot()
    proposals = wikis.states(wikis.reopened(wiki.root))
    done = wiki.run(*command, "--json")
    if outcome.startswith("refused: "):
        assert done.exit == 3 and [one["cause"] for one in done.json["refused"]] == [outcome.removeprefix("refused: ")]
        assert wiki.snapshot() == before and wikis.states(wikis.reopened(wiki.root)) == proposals
        if outcome.endswith("body-changed") and edit == "one line of the body":
            assert "line 9 changed" in done.json["refused"][0]["detail"]
        if edit == "the title":
            assert "the title changed" in done.json["refused"][0]["detail"]
        return
    assert done.exit == 0
    _check(wiki, outcome, before, MINE if decision.startswith("edited") else NEW, edit)


@pytest.mark.parametrize(("edit", "decision", "outcome"), list(_cells(1)))
def test_edited_then_decided(tmp_path: Path, edit: str, decision: str, outcome: str) -> None:
    wiki = Wiki(tmp_path / "wiki")
    EDITS[edit](wiki.file or Path())
    before = wiki.snapshot()
    done = DECIDED_AFTER[decision](wiki)
    if outcome.startswith("left out: "):
        assert isinstance(done, Result)
        assert [one["flag"] for one in done.json["left_out"]] == [outcome.removeprefix("left out: ")]
        # Something that was named and not taken is no success.
        assert done.exit == (3 if ":" in decision else 0)
    wiki.run("apply")
    _check(wiki, "stays" if outcome.startswith("left out") else outcome, before, NEW, edit)
    if "reject" in decision:
        assert wikis.states(wikis.reopened(wiki.root))[wiki.id] == {FIELD: "reject/rejected"}
    elif outcome == "stays" or outcome.startswith("left out"):
        # What was not taken still waits, and still shows what the page says.
        assert wikis.states(wikis.reopened(wiki.root))[wiki.id] == {FIELD: "-/pending"}


def _check(wiki: Wiki, outcome: str, before: dict[str, bytes], value: str, edit: str) -> None:
    after = wiki.snapshot()
    if outcome in ("stays", "booked"):
        assert after == before
    else:
        assert outcome in ("written", "written over")
        assert wiki.summary == value
        # Line by line, only our field's line is another one.
        (old,), (new,) = before.values(), after.values()
        assert before.keys() == after.keys()
        lines = [[line for line in raw.splitlines(keepends=True) if not line.startswith(FIELD.encode())] for raw in (old, new)]
        assert lines[0] == lines[1]
        assert (outcome == "written over") == edit.startswith("our field")
    if outcome != "stays":
        assert wiki.run("plan", "--exit-code").exit in (0, 10)
        assert wikis.states(wikis.reopened(wiki.root)) == {}, "what was applied leaves the proposal"
        lock = wikis.reopened(wiki.root).shared(LockFile).read()
        assert [len(line.fields) for line in lock] == [1]


def test_bulk_decisions_leave_moved_and_stale_fields_out(tmp_path: Path) -> None:
    for edit, why in (("our field: other words", "field-moved"), ("one line of the body", "stale")):
        wiki = Wiki(tmp_path / why)
        EDITS[edit](wiki.file or Path())
        assert wiki.sit().bulk("accept", page_only=False).left == {why: 1}
        assert len(wiki.sit().bulk("reject", page_only=False).steps) == 1


def test_an_edit_of_a_stale_field_is_refused_and_nothing_lost(tmp_path: Path) -> None:
    wiki = Wiki(tmp_path / "wiki")
    EDITS["one line of the body"](wiki.file or Path())
    with pytest.raises(AnswerError, match="[Ss]tale"):
        wiki.sit().edit({"summary": MINE, "evidence": []})


def test_taking_over_can_be_undone_and_is_void_once_the_page_moves_again(tmp_path: Path) -> None:
    wiki = Wiki(tmp_path / "wiki")
    EDITS["our field: other words"](wiki.file or Path())
    before = wiki.sit().change
    session = wiki.sit()
    session.take_over()
    assert "over-human" in session.change.flags and session.change.state == "accepted"
    wiki.sit().undo()
    assert wiki.sit().change == before
    wiki.sit().take_over()
    file = wiki.file or Path()
    file.write_text(file.read_text(encoding="utf-8").replace(PERSONS, "Words again."), encoding="utf-8")
    assert wiki.run("apply").exit == 3
    assert wiki.summary == "Words again."


def test_all_or_nothing_per_page(tmp_path: Path) -> None:
    workspace = wikis.make_wiki(tmp_path / "wiki", {"bay": wikis.page_text("Bay"), "cove": wikis.page_text("Cove")}, ids="path")
    for page in ("bay", "cove"):
        wikis.answer(workspace, page, {"summary": wikis.SUMMARY, "ratings": wikis.ratings_answer()})
    file = workspace.by_id["bay"].file
    EDITS["our field: other words"](file)
    before = file.read_bytes()
    assert wikis.run(workspace, "apply", "--all").exit == 3
    assert file.read_bytes() == before
    assert "novelty: 5.0" in workspace.by_id["cove"].file.read_text(encoding="utf-8")


def test_words_that_moved_can_be_taken_over_and_then_edited(tmp_path: Path) -> None:
    wiki = Wiki(tmp_path / "wiki")
    EDITS["our field: other words"](wiki.file or Path())
    session = wiki.sit()
    form = {"summary": MINE, "evidence": ["cost 40 million dollars"]}
    with pytest.raises(AnswerError, match="n keeps it"):
        session.edit(form)
    assert "n keeps it" in session.blocked()
    session.take_over()
    assert session.edit(form)
    assert wiki.run("apply").exit == 0
    assert wiki.summary == MINE


def test_nobody_gives_up_words_they_have_not_seen(tmp_path: Path) -> None:
    wiki = Wiki(tmp_path / "wiki")
    session = wiki.sit()
    assert not session.shown_field.edited_on_page  # seen before the page moved
    EDITS["our field: other words"](wiki.file or Path())
    session.take_over()
    assert "changed again just now" in session.message and session.change.state == "pending"
    assert session.shown_field.edited_on_page and session.shown_field.current == PERSONS
    file = wiki.file or Path()
    file.write_text(file.read_text(encoding="utf-8").replace(PERSONS, "Words again."), encoding="utf-8")
    session.decide("accept")
    assert session.shown_field.current == "Words again.", "what y refuses to overwrite is on the screen"
    # Without a terminal they are printed.
    assert (
        wiki.run("accept", "bay:llmSummary", "--overwrite").err
        == 'warning: bay:llmSummary replaces the value on the page: "Words again."\n'
    )
