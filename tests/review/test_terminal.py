"""`enrich review` at a terminal: keys pressed by Textual's pilot, then stored decisions; and the real command on a pseudo-terminal."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest
from rich.cells import cell_len
from rich.console import Console
from textual.pilot import Pilot

# Inner names: the application is driven in this process, and decisions are read from the store it writes.
from enrich.review.proposals import ProposalStore, insight_items
from enrich.review.review_session import ReviewSession
from enrich.review.terminal_app import ReviewApp, help_table
from enrich.wiki.wiki import Wiki
from tests.demo import default_signals
from tests.review import wikis
from tests.review.wikis import change_of

ENRICH = Path(sys.executable).with_name("enrich")
RATINGS = ("ratings.novelty", "ratings.rigor", "ratings.actionability", "ratings.completeness")
UNTOUCHED = {"llmSummary": "-/pending", "insights": "-/pending", **dict.fromkeys(RATINGS, "-/pending")}
THREE_HOURS_LATER = "2026-03-01T13:00:00Z"
EDITOR = """\
import pathlib, sys
file, answers = pathlib.Path(sys.argv[-1]), pathlib.Path(__file__).with_name("answers")
found = sorted(answers.glob("*"))
(answers.parent / "opened.txt").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
if not found:
    sys.exit(7)
text = found[0].read_bytes()
found[0].unlink()
if text != b"AS IT IS":
    file.write_bytes(text)
"""


class Desk:
    """A person at the application: presses keys, sees the screen."""

    def __init__(self, app: ReviewApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> str:
        """The text of the screen after these keys."""
        await self.pilot.press(*keys)
        return await self.settled()

    async def click(self, selector: str, offset: tuple[int, int] = (0, 0)) -> str:
        await self.pilot.click(selector, offset=offset)
        return await self.settled()

    async def settled(self) -> str:
        """The text of the screen once it no longer changes: on a busy machine a pause can end before all that follows from a key has happened."""
        before = ""
        while before != (now := self.screen):
            before = now
            await self.pilot.pause()
        return now

    @property
    def screen(self) -> str:
        return "\n".join(strip.text.rstrip() for strip in self.app.screen._compositor.render_strips())

    @property
    def words(self) -> str:
        """The screen's text without line breaks."""
        return " ".join(self.screen.split())

    @property
    def field(self) -> str:
        """The field under the cursor."""
        return next(line for line in self.screen.split("\n") if line.startswith("> ")).split()[1]


@asynccontextmanager
async def desk(wiki: Wiki, *pages: str, by: str = "ann", size: tuple[int, int] = (80, 24)) -> AsyncIterator[Desk]:
    proposals = [proposal for proposal in wiki.shared(ProposalStore).all() if not pages or proposal.page in pages]
    app = ReviewApp(ReviewSession(wiki, proposals, by, lambda: THREE_HOURS_LATER))
    async with app.run_test(size=size) as pilot:
        at_work = Desk(app, pilot)
        await at_work.settled()
        yield at_work


@pytest.fixture
def seventeen(tmp_path: Path) -> Wiki:
    """Seventeen pages, six proposed fields each; page 3 names a number that is not on it, page 6 has a person's summary."""
    front = {6: {"llmSummary": "A person wrote this."}}
    pages = {f"sea/bay-{number:02}": wikis.page_text(f"Bay {number:02}", front.get(number, {})) for number in range(1, 18)}
    wiki = wikis.make_wiki(tmp_path / "wiki", pages)
    for file in wiki.files:
        summary = wikis.summary_answer("It makes 999 megawatts.") if file.id == "bay-03" else wikis.SUMMARY
        wikis.answer(wiki, file.id, {"summary": summary, "insights": wikis.INSIGHTS, "ratings": wikis.ratings_answer(rigor=5.5)})
    return wiki


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call it with what the editor will save, one text for each time it is opened."""
    answers = tmp_path / "editor" / "answers"
    answers.mkdir(parents=True)
    (tmp_path / "editor" / "stub.py").write_text(EDITOR, encoding="utf-8")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {tmp_path / 'editor' / 'stub.py'}")

    def will_save(*texts: str) -> None:
        for number, text in enumerate(texts):
            (answers / f"{number:03}").write_text(text, encoding="utf-8")

    return will_save


def test_seventeen_proposals_with_every_key(
    seventeen: Wiki, editor: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(drafts))

    async def first() -> None:
        async with desk(seventeen) as ann:
            assert ann.screen.startswith("1/17") and "0 of 102 fields decided" in ann.screen
            assert "over-human" not in ann.screen
            # Page 1: accept, move without deciding, reject, skip, undo, the rest of the page.
            await ann.press("y")
            assert ann.field == "insights"
            await ann.press("j", "k", "down")
            assert ann.field == "ratings.novelty"
            await ann.press("n", "s")
            assert ann.field == "ratings.actionability"
            assert "Undone: ratings.rigor." in await ann.press("u")
            assert ann.field == "ratings.rigor"
            assert "Undone: ratings.novelty." in await ann.press("u")
            await ann.press("n", "s", "a")  # actionability and completeness; then back to what was left open before
            assert ann.field == "insights" and ann.screen.startswith("1/17")
            # Single insights: leave the second.
            assert "2 [x] proposed: Nobody counts the seals. (neglected S 4.5 I 3 A 3)" in await ann.press("i")
            assert "2 [ ]" in await ann.press("2")
            assert (await ann.press("enter")).startswith("2/17")
            # Page 2: edit in the editor, then reject the rest of the page.
            editor('summary: "Building it cost 40 million dollars."\nevidence:\n  - "Building it cost 40 million dollars"\n')
            assert "llmSummary: edited and accepted." in await ann.press("e")
            opened = (tmp_path / "editor/opened.txt").read_text(encoding="utf-8")
            assert 'summary: "The station has run since 1984; it cost 40 million dollars."' in opened
            assert (await ann.press("d")).startswith("3/17")
            # Page 3: what is not supported can be accepted by hand; first look around and read the keys.
            assert "! hard number:" in ann.screen and "needs-look" in ann.screen
            assert "accept, reject, skip this field" in await ann.press("question_mark")
            assert "accept, reject, skip this field" not in await ann.press("x")
            assert (await ann.press("J")).startswith("4/17")
            assert (await ann.press("K")).startswith("3/17")
            await ann.press("y", "J", "u")
            assert ann.screen.startswith("3/17") and ann.field == "llmSummary"
            await ann.press("y", "q")
        assert ann.app.return_code == 0

    asyncio.run(first())
    after_first = wikis.states(seventeen)
    assert after_first["bay-01"] == {
        "llmSummary": "accept/accepted",
        "insights": "accept/accepted",
        "ratings.novelty": "reject/rejected",
        "ratings.rigor": "skip/pending",
        "ratings.actionability": "accept/accepted",
        "ratings.completeness": "accept/accepted",
    }
    rejected = dict.fromkeys(RATINGS, "reject/rejected")
    assert after_first["bay-02"] == {"llmSummary": "edit/accepted", "insights": "reject/rejected", **rejected}
    assert after_first["bay-03"] == {**UNTOUCHED, "llmSummary": "accept/accepted"}
    assert after_first["bay-04"] == UNTOUCHED

    async def second() -> None:
        async with desk(seventeen) as ann:
            # It goes on at the first open field, not at the skipped one.
            assert ann.screen.startswith("3/17") and ann.field == "insights"
            # Undo without a decision in this session takes back the one under the cursor.
            assert "Undone: llmSummary." in await ann.press("k", "u")
            await ann.press("n")
            # All the rest: asks first, leaves out what needs a look or is a person's.
            await ann.press("Y")
            assert "Accept 88 fields on 15 pages, leave out 1 (over-human 1)? y/n" in ann.words.replace("│ ", "")
            assert "Nothing was decided." in await ann.press("n")
            await ann.press("Y", "y")
            assert ann.screen.startswith("6/17") and ann.field == "llmSummary"
            assert "Undone: 88 fields." in await ann.press("u")
            assert ann.screen.startswith("3/17") and ann.field == "insights"
            assert (await ann.press("d")).startswith("4/17")
            assert "Reject 84 fields on 14 pages? y/n" in await ann.press("N")
            await ann.press("x")
            assert "Skip 84 fields on 14 pages? y/n" in await ann.press("S")
            await ann.press("n")
            # A text that is not a value is kept and opened again with the reason; then the editor fails; then it is right.
            editor("summary: 3\n", 'summary: "It makes 4711 megawatts."\nevidence: []\n')
            await ann.press("e")
            assert "Not usable:" in ann.words and "e opens your text again" in ann.words
            assert "waits: see its findings" in await ann.press("e")
            opened = (tmp_path / "editor/opened.txt").read_text(encoding="utf-8")
            assert "# NOT USABLE:" in opened and "summary: 3" in opened
            assert ann.field == "llmSummary" and "needs-look" in ann.screen
            assert "ended with code 7" in await ann.press("e")
            editor("AS IT IS", "# nothing but a comment\n\n")
            assert "Nothing was changed." in await ann.press("e")
            assert "Nothing was changed." in await ann.press("j", "k", "e")
            await ann.press("y")
            # Insights: escape decides nothing; none left is a rejection.
            await ann.press("i", "1", "escape")
            assert ann.field == "insights"
            await ann.press("i", "1", "2", "3", "enter")
            assert ann.field == "ratings.novelty"
            await ann.press("i", "o", "r", "space", "b")  # neither insights nor a value that was changed on the page
            await ann.press("ctrl+d")
        assert ann.app.return_code == 0 and ann.app.drafts == {}

    asyncio.run(second())
    after = wikis.states(seventeen)
    assert after["bay-01"] == after_first["bay-01"] and after["bay-02"] == after_first["bay-02"]
    assert after["bay-03"] == dict.fromkeys(UNTOUCHED, "reject/rejected")
    assert after["bay-04"] == {**UNTOUCHED, "llmSummary": "accept/accepted", "insights": "reject/rejected"}
    assert all(after[f"bay-{number:02}"] == UNTOUCHED for number in range(5, 18))
    # Values: two of three insights; an edit with its author and what it replaced; an edit with a finding, accepted by hand.
    taken = change_of(seventeen, "bay-01", "insights")
    assert [item["type"] for item in taken.result] == ["quantitative", "disagreement"] and len(taken.new) == 3
    mine = change_of(seventeen, "bay-02", "llmSummary")
    assert mine.new == "Building it cost 40 million dollars." and mine.proposed.new == wikis.SUMMARY["summary"]
    assert mine.edited.by == "ann" and mine.decided["by"] == "ann" and not mine.findings
    by_hand = change_of(seventeen, "bay-04", "llmSummary")
    assert by_hand.new == "It makes 4711 megawatts." and by_hand.flags == ("needs-look",)
    assert {finding.severity for finding in by_hand.findings} == {"hard"}
    # The lock knows of every rejection and of nothing else.
    lines = [json.loads(line) for line in seventeen.config.lock.read_text(encoding="utf-8").splitlines()]
    decided = {(page, name): said for page, fields in after.items() for name, said in fields.items()}
    assert {(line["page"], name) for line in lines for name in line["rejected"]} == {
        at for at, said in decided.items() if said == "reject/rejected"
    }
    assert list(drafts.iterdir()) == []
    written = subprocess.run([ENRICH, "--wiki", seventeen.config.root, "apply", "--json"], capture_output=True, check=True, text=True)
    applied = {(item["page"], item["field"]) for item in json.loads(written.stdout)["applied"]}
    assert applied == {at for at, said in decided.items() if said.endswith("/accepted")}
    assert "4711" in seventeen.by_id["bay-04"].file.read_text(encoding="utf-8")


def test_as_many_keys_as_fields(seventeen: Wiki) -> None:
    pages = [f"bay-{number:02}" for number in range(8, 18)]

    async def decide() -> None:
        async with desk(seventeen, *pages) as ann:
            for _ in range(59):
                await ann.press("y")
            assert "59 of 60 fields decided" in ann.screen and ann.field == "ratings.completeness"
            assert "No field is open any more" in " ".join((await ann.press("y")).split())

    asyncio.run(decide())
    assert {said for page in pages for said in wikis.states(seventeen)[page].values()} == {"accept/accepted"}


def test_the_mouse_moves_and_decides(seventeen: Wiki) -> None:
    async def click() -> None:
        async with desk(seventeen, size=(120, 40)) as ann:
            assert "> ratings.rigor" in await ann.click("#fields", (5, 4))
            assert (await ann.click("#pages", (8, 4))).startswith("5/17")
            assert "1 of 102 fields decided" in await ann.click("FooterKey")  # y accept

    asyncio.run(click())
    assert wikis.states(seventeen)["bay-05"]["llmSummary"] == "accept/accepted"


def test_a_field_shows_its_change_evidence_reason_and_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    old = [
        wikis.insight("Building it cost a quarter more than planned.", "a third more than was planned", "quantitative", (2, 4, 2)),
        wikis.insight("An old claim that goes.", "x"),
    ]
    front = {"llmSummary": "The station has run since 1974.", "insights": old, "ratings": {"rigor": 4}}
    wiki = wikis.make_wiki(tmp_path / "wiki", {"sea/bay": wikis.page_text("Bay", front)})
    wikis.answer(wiki, "bay", {"summary": wikis.SUMMARY, "insights": wikis.INSIGHTS, "ratings": wikis.ratings_answer(rigor=5.5)})
    file = wiki.by_id["bay"].file

    async def look() -> None:
        async with desk(wiki, size=(80, 34)) as ann:
            assert "The station has run since [-1974-]{+1984; it cost 40 million dollars+}." in ann.screen
            assert "» Building it cost 40 million dollars (line 11, Costs)" in ann.screen
            assert " insights 2 new, 1 changed, 1 gone over-human" in ann.words
            await ann.press("j")
            changed, gone = (item.id for item in insight_items(change_of(wiki, "bay", "insights")) if item.status in ("changed", "gone"))
            assert (
                f"~ changed: quantitative (S 2 → 3, I 4, A 2) insights.{changed}\n  Building it cost a [-quarter-]{{+third+}} more than planned."
                in ann.screen
            )
            assert f"- gone: claim (S 3, I 4, A 2) insights.{gone}\n  [-An old claim that goes.-]" in ann.screen
            assert re.search(r"fake-model, prompt \d+, 1,234 tokens in, 210 out, \$0\.0012, asked 3 hours ago", ann.screen)
            assert re.search(r"on this page, \d+ of 20 wrong numbers and 0 of 16 wrong names would pass without a quote", ann.words)
            await ann.press("j", "j")
            assert "4 → 5.5 (+1.5)" in ann.screen and "because: What it says of the station is enough for rigor." in ann.screen
            # Lines are those of the file as it is now.
            file.write_text(file.read_text(encoding="utf-8").replace("---\n", "---\ntags: []\nquality: 5\n", 1), encoding="utf-8")
            await ann.press("r", "k", "k", "k")
            assert "(line 13, Costs)" in ann.screen
            # A person's edit is shown against what was proposed; texts without common words are shown one below the other.
            ann.app.session.edit({"summary": "Nobody counts seals.", "evidence": []})
            await ann.press("r", "k")
            assert "[-The station has run since 1974.-]\n{+Nobody counts seals.+}" in ann.screen
            assert "edit by ann" in ann.screen and "it was proposed as:" in ann.screen
            # A changed page: which lines, and no accepting.
            file.write_text(file.read_text(encoding="utf-8").replace("9 cents", "8 cents"), encoding="utf-8")
            await ann.press("r", "j", "j")
            assert "stale: line 13 changed after it was asked about; `enrich run bay` asks again" in ann.words
            assert "Stale" in await ann.press("y")
            assert ann.app.session.change.state == "pending"

    asyncio.run(look())


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
def test_screens_fit_at_every_size(seventeen: Wiki, size: tuple[int, int], editor: Callable[..., None]) -> None:
    async def look() -> None:
        async with desk(seventeen, size=size) as ann:
            for key in ["j", "i", "2", "q", "question_mark", "x", "J"]:
                lines = (await ann.press(key)).split("\n")
                assert len(lines) <= size[1] and max(map(cell_len, lines)) <= size[0]
            assert "llmSummary" in ann.screen and "2/17" in ann.screen and "accept" in ann.screen
            await ann.pilot.resize_terminal(100, 30)
            await ann.settled()
            assert len(ann.screen.split("\n")) == 30 and "  6 bay-05" in ann.screen

    asyncio.run(look())


def test_two_people_at_two_terminals(seventeen: Wiki) -> None:
    elsewhere = wikis.reopened(seventeen.config.root)

    async def decide() -> None:
        async with desk(seventeen, "bay-09", "bay-10") as ann:
            bob = ReviewSession(
                elsewhere, [item for item in elsewhere.shared(ProposalStore).all() if item.page == "bay-09"], "bob", lambda: ""
            )
            await ann.press("y")
            bob.decide("reject")
            assert "llmSummary is accepted by ann; look again" in bob.message
            bob.move(1)
            bob.decide("reject")
            # Ann meets what bob decided as she goes, and goes past it.
            await ann.press("a", "K")
            assert any("insights" in line and "rejected" in line for line in ann.screen.split("\n"))

    asyncio.run(decide())
    said = wikis.states(seventeen)["bay-09"]
    assert said == {"llmSummary": "accept/accepted", "insights": "reject/rejected", **dict.fromkeys(RATINGS, "accept/accepted")}
    assert change_of(seventeen, "bay-09", "insights").decided["by"] == "bob"


HOSTILE = "a\x1b[2J\x1b]0;owned\x07b\u202egnp.exe\u2066\x9b31m\x85\u200b\r\nY\x08\x7f<script>`rm`[bold red]x[/][@click=app.leave(1)]"
PROPOSED = ("old", "new", "flags", "findings", "evidence", "reason")


def test_nothing_from_pages_and_models_controls_the_terminal(tmp_path: Path) -> None:
    """Straight into the proposal file, past everything that cleans answers: the file may be from anybody."""
    wiki = wikis.make_wiki(tmp_path / "wiki", {"cape": wikis.page_text("the Cape", {"llmSummary": "Old."})})
    wikis.answer(wiki, "cape", {"summary": wikis.SUMMARY, "insights": wikis.INSIGHTS, "ratings": wikis.ratings_answer()})
    file = wiki.config.proposals / "cape.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    for field in data["fields"]:
        field["reason"] = field["prompt_version"] = field["asked"] = HOSTILE
        field["origin"]["model"] = HOSTILE
        field["flags"] = [HOSTILE]
        field["findings"] = [{"kind": HOSTILE, "severity": "hard", "message": HOSTILE, "where": HOSTILE}]
        field["evidence"] = [{**item, "quote": HOSTILE, "section": HOSTILE, "found": True} for item in field["evidence"]]
        field["decided"] = {"by": HOSTILE, "when": HOSTILE, "decision": ""}
        field["edited"] = {"by": HOSTILE, "when": HOSTILE, "how": HOSTILE, "proposed": {name: field[name] for name in PROPOSED}}
        if field["field"] == "llmSummary":
            field["new"] = HOSTILE
        elif field["field"] == "insights":
            field["new"] = [{**item, "text": HOSTILE, "type": HOSTILE} for item in field["new"]]
            field["old"] = [{"type": HOSTILE, "text": HOSTILE, "surprising": HOSTILE, "evidence": HOSTILE}]
        else:
            field["field"], field["new"] = field["field"] + HOSTILE, HOSTILE
    data["path"] = HOSTILE
    file.write_text(json.dumps(data), encoding="utf-8")

    async def look() -> None:
        async with desk(wiki, size=(100, 60)) as ann:
            seen = ann.screen
            for key in ["j", "space", "b", "i", "1", "space", "q", "j", "y", "o", "j", "n", "u", "r", "k", "question_mark", "x"]:
                seen += await ann.press(key)
            assert {char for char in seen if not char.isprintable()} == {"\n"}
            assert "owned" in seen and "\\x1b" in seen and "\\u202e" in seen and "[bold red]x[/]" in seen

    asyncio.run(look())


def test_flagged_fields_notes_and_reasons(wiki_with_flags: Wiki) -> None:
    async def review() -> None:
        async with desk(wiki_with_flags) as ann:
            await ann.press("f")
            assert ann.screen.startswith("2/2") and ann.field == "insights" and "1 field with a flag, 1 open" in ann.screen
            await ann.press("j", "k")
            assert ann.field == "insights"
            await ann.click("#fields", (5, 1))  # a click goes where it points; j goes on to the next flagged field
            assert ann.field == "llmSummary"
            await ann.press("j")
            assert ann.field == "insights"
            await ann.press("m")
            await ann.press(*"dull", "enter")
            assert "note: dull" in ann.screen
            assert "insights: rejected. No flagged field is open any more" in await ann.press("n")
            await ann.press("3")
            await ann.press("1")
            await ann.press("q")

    asyncio.run(review())
    decided = change_of(wiki_with_flags, "cape", "insights").decided
    assert (decided["decision"], decided["note"], decided["reason"]) == ("reject", "dull", "wrong")


@pytest.fixture
def wiki_with_flags(tmp_path: Path) -> Wiki:
    wiki = wikis.make_wiki(tmp_path / "flags", {name: wikis.page_text(name.title()) for name in ("bay", "cape")})
    wikis.answer(wiki, "bay", {"summary": wikis.SUMMARY})
    wrong = {"insights": [wikis.insight("Seals are many.", "This is on no page of the wiki at all.")]}
    wikis.answer(wiki, "cape", {"summary": wikis.SUMMARY, "insights": wrong})
    return wiki


def test_the_help_fits_and_the_docs_name_every_key() -> None:
    with (console := Console(width=76)).capture() as captured:
        console.print(help_table())
    text = captured.get()
    assert text.count("\n") <= 18
    docs = (Path(__file__).parents[2] / "docs" / "review.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in docs.splitlines() if line.startswith("| `") and "PAGE" not in line]
    documented = {key for row in rows for key in row.replace("`", " ").split()}
    assert documented == {key for line in text.splitlines() for key in line[:7].split() if len(key) == 1 or key == "space"}


# The command on a pseudo-terminal


@contextmanager
def terminal(root: Path, *arguments: str, **env: str) -> Iterator[Any]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    child = pexpect.spawn(
        str(ENRICH),
        ["--wiki", str(root), "review", *arguments],
        dimensions=(24, 80),
        env={**kept, "TERM": "xterm", "LOGNAME": "ann", "LC_ALL": "C.UTF-8", **env},
        encoding="utf-8",
        timeout=60,
        preexec_fn=default_signals,
    )
    child.delaybeforesend = None
    try:
        child.expect("quit")
        yield child
    finally:
        if child.isalive():
            child.kill(signal.SIGKILL)
            child.wait()
        child.close()


def left(child: Any) -> tuple[int, str]:
    """(exit code, what was printed last)."""
    child.expect(pexpect.EOF)
    child.wait()  # `close` sends signals to a process that takes a moment to end
    return (child.exitstatus if child.exitstatus is not None else -child.signalstatus), child.before


def decided(wiki: Wiki, page: str, count: int) -> list[str]:
    """What is decided about a page, once `count` decisions are stored."""
    for _ in range(600):
        said = list(wikis.states(wikis.reopened(wiki.config.root))[page].values())
        if sum(not one.startswith("-") for one in said) >= count:
            return said
        time.sleep(0.1)
    raise AssertionError(said)


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 0), ("q", 0)])
def test_leaving_keeps_every_decision_and_the_terminal(seventeen: Wiki, key: str, code: int) -> None:
    with terminal(seventeen.config.root, "bay-09", "sea/bay-10.md") as child:
        child.send("yn")
        decided(seventeen, "bay-09", 2)
        child.send(key)
        exit_code, said = left(child)
    assert exit_code == code
    assert "12 fields on 2 pages: 1 accepted, 1 rejected, 0 skipped, 10 open" in said and "`enrich apply`" in said
    assert "\x1b[?1049l" in said and "\x1b[?25h" in said
    assert decided(seventeen, "bay-09", 2)[:3] == ["accept/accepted", "reject/rejected", "-/pending"]


def test_stopping_gives_the_terminal_back_and_going_on_takes_it(seventeen: Wiki) -> None:
    with terminal(seventeen.config.root, "bay-09") as child:
        child.send("y")
        decided(seventeen, "bay-09", 1)
        child.send("\x1a")
        child.expect(r"\x1b\[\?1049l")
        assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
        child.kill(signal.SIGCONT)
        child.expect(r"\x1b\[\?1049h")
        child.expect("accepted")
        child.kill(signal.SIGTERM)
        exit_code, said = left(child)
    assert exit_code == 128 + signal.SIGTERM and "\x1b[?1049l" in said


def test_ctrl_c_in_the_editor_is_the_editors(seventeen: Wiki, tmp_path: Path) -> None:
    stub = tmp_path / "editor.py"
    stub.write_text(
        "import time\ntry:\n    print('editing', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('caught')\n",
        encoding="utf-8",
    )
    with terminal(seventeen.config.root, "bay-09", EDITOR=f"{sys.executable} {stub}") as child:
        child.send("e")
        child.expect("editing")
        child.send("\x03")
        child.expect("Nothing was changed")
        child.send("y")
        assert decided(seventeen, "bay-09", 1)[0] == "accept/accepted"


def test_a_terminal_that_goes_away_keeps_every_decision(seventeen: Wiki) -> None:
    with terminal(seventeen.config.root, "bay-09") as child:
        child.send("y")
        decided(seventeen, "bay-09", 1)
        child.ptyproc.fileobj.close()
        child.wait()
    assert wikis.states(seventeen)["bay-09"]["llmSummary"] == "accept/accepted"


@pytest.mark.parametrize("setting", ["1", ""])
def test_no_color_means_none(seventeen: Wiki, setting: str) -> None:
    with terminal(seventeen.config.root, "bay-06", NO_COLOR=setting) as child:
        raw = child.before
        child.send("q")
        raw += left(child)[1]
    codes = {code for group in re.findall(r"\x1b\[([0-9;]*)m", raw) for code in group.split(";")}
    coloured = {code for code in codes if re.fullmatch(r"3[0-8]|4[0-8]|9\d|10\d", code)}
    assert bool(coloured) == (not setting)
    assert ("[-" in raw) == bool(setting)


def test_a_damaged_proposal_ends_it_with_the_error(seventeen: Wiki) -> None:
    with terminal(seventeen.config.root, "bay-09", "bay-10") as child:
        child.send("y")
        decided(seventeen, "bay-09", 1)
        (seventeen.config.proposals / "bay-10.json").write_text("{", encoding="utf-8")
        child.send("J")
        exit_code, said = left(child)
    assert exit_code == 1 and "bay-10.json: not a proposal" in " ".join(said.split()) and "Traceback" not in said


def test_without_a_terminal_it_names_the_other_commands(seventeen: Wiki) -> None:
    command = [str(ENRICH), "--wiki", str(seventeen.config.root), "review"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert all(f"`enrich {name}" in done.stderr for name in ("diff", "accept", "reject", "review --from", "apply"))
    dumb = pexpect.spawn(command[0], command[1:], env={**os.environ, "TERM": "dumb"}, encoding="utf-8", timeout=60)
    assert left(dumb)[0] == 2
    as_json = subprocess.run([*command, "--json"], stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    assert as_json.returncode == 2 and "terminal" in json.loads(as_json.stdout)["error"]["message"]
