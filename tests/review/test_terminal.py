"""`enrich review` as a person at a terminal meets it: real processes on a pseudo-terminal, key by key."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest
from rich.cells import cell_len

from enrich.review.proposals import FieldChange, ProposalStore
from enrich.wiki.wiki import Wiki
from tests.review import wikis

ENRICH = Path(sys.executable).with_name("enrich")
RATINGS = ("ratings.novelty", "ratings.rigor", "ratings.actionability", "ratings.completeness")
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
    """A person at the terminal: presses keys, sees screens."""

    def __init__(self, root: Path, arguments: Sequence[str] = (), *, size: tuple[int, int] = (24, 80), **env: str) -> None:
        editor = root / "editor"
        (editor / "answers").mkdir(parents=True, exist_ok=True)
        (editor / "stub.py").write_text(EDITOR, encoding="utf-8")
        self.editor = editor
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "VISUAL", "EDITOR", "COLUMNS", "LINES")}
        surroundings = {
            **kept,
            "TERM": "xterm",
            "LOGNAME": "ann",
            "EDITOR": f"{sys.executable} {editor / 'stub.py'}",
            "LC_ALL": "C.UTF-8",
            **env,
        }
        self.child: Any = pexpect.spawn(
            str(ENRICH), ["--wiki", str(root), "review", *arguments], dimensions=size, env=surroundings, encoding="utf-8", timeout=60
        )
        self.child.delaybeforesend = None
        self.raw = ""
        self.lines: list[str] = []

    def see(self) -> str:
        """The next screen."""
        self.child.expect(r"\x1b\[H(?:(?!\x1b\[J).)*\x1b\[J")
        self.raw += self.child.before + self.child.after
        text = self.child.after.removeprefix("\x1b[H").removesuffix("\x1b[J").replace("\r\n", "\n")
        self.lines = [re.sub(r"\x1b\[[0-9;]*[mK]", "", line) for line in text.split("\n")]
        return "\n".join(self.lines)

    def press(self, key: str) -> str:
        self.child.send(key)
        return self.see()

    def type_in_editor(self, *texts: str) -> None:
        """What the editor will save, one text for each time it is opened."""
        for text in texts:
            number = len(list((self.editor / "answers").iterdir()))
            (self.editor / "answers" / f"{number:03}").write_text(text, encoding="utf-8")

    @property
    def opened(self) -> str:
        """What the editor was given last."""
        return (self.editor / "opened.txt").read_text(encoding="utf-8")

    @property
    def field(self) -> str:
        """The field under the cursor."""
        return next(line for line in self.lines if line.startswith("> ")).split()[1]

    def end(self) -> tuple[int, str]:
        """(exit code, what was printed after the screens)."""
        self.child.expect(pexpect.EOF)
        self.raw += self.child.before
        self.child.close()
        code = self.child.exitstatus
        return (code if code is not None else -self.child.signalstatus), self.child.before


@contextmanager
def desk(root: Path, *arguments: str, **more: Any) -> Iterator[Desk]:
    one = Desk(root, arguments, **more)
    try:
        one.see()
        yield one
    finally:
        one.child.close(force=True)


@pytest.fixture
def seventeen(tmp_path: Path) -> Wiki:
    """Seventeen pages, six proposed fields each; page 3 speaks of a number that is not on it, page 6 has a person's summary."""
    pages = {f"sea/bay-{number:02}": wikis.page_text(f"Bay {number:02}", _front(number)) for number in range(1, 18)}
    workspace = wikis.make_wiki(tmp_path / "wiki", pages)
    for file in workspace.files:
        summary = wikis.summary_answer("It makes 999 megawatts.") if file.id == "bay-03" else wikis.SUMMARY
        wikis.answer(workspace, file.id, {"summary": summary, "insights": wikis.INSIGHTS, "ratings": wikis.ratings_answer(rigor=5.5)})
    return workspace


def _front(number: int) -> dict[str, Any]:
    return {"llmSummary": "A person wrote this."} if number == 6 else {}


def change_of(workspace: Wiki, page: str, field: str) -> FieldChange:
    proposal = workspace.shared(ProposalStore).get(page)
    assert proposal is not None
    change = proposal.change(field)
    assert change is not None
    return change


def test_seventeen_proposals_with_every_key(seventeen: Wiki) -> None:
    workspace = seventeen
    root = workspace.config.root
    with desk(root) as first:
        assert first.lines[0].startswith("1/17") and "0 of 102 fields decided" in first.lines[0]
        assert "over-human" not in "\n".join(first.lines)
        # Page 1: accept, move without deciding, reject, skip, undo, the rest of the page.
        first.press("y")
        assert first.field == "insights"
        first.press("j")
        assert first.field == "ratings.novelty"
        first.press("k")
        first.press("\x1b[B")
        assert first.field == "ratings.novelty"
        first.press("n")
        assert first.field == "ratings.rigor"
        first.press("s")
        assert first.field == "ratings.actionability"
        assert "Undone: ratings.rigor." in first.press("u")
        assert first.field == "ratings.rigor"
        assert "Undone: ratings.novelty." in first.press("u")
        assert first.field == "ratings.novelty"
        first.press("n")
        first.press("s")
        first.press("a")  # actionability and completeness; then back to what was left open before
        assert first.field == "insights" and first.lines[0].startswith("1/17")
        # Single insights: leave the second.
        assert "2 [x] proposed: neglected S 4.5 I 3 A 3" in first.press("i")
        assert "2 [ ]" in first.press("2")
        first.press("\r")
        assert first.lines[0].startswith("2/17")
        # Page 2: edit in the editor, then reject the rest of the page.
        first.type_in_editor('summary: "Building it cost 40 million dollars."\nevidence:\n  - "Building it cost 40 million dollars"\n')
        assert "llmSummary: edited and accepted." in first.press("e")
        assert 'summary: "The station has run since 1984; it cost 40 million dollars."' in first.opened
        first.press("d")
        assert first.lines[0].startswith("3/17")
        # Page 3: what is not supported can still be accepted by name; but first look around and read the keys.
        assert "hard:" in "\n".join(first.lines) and "needs-look" in "\n".join(first.lines)
        assert "accept this field" in first.press("?")
        first.press("x")
        assert first.press("J").startswith("4/17")
        assert first.press("K").startswith("3/17")
        first.press("y")
        assert "? shows the keys." in first.press("z")
        assert first.press("J").startswith("4/17")
        assert "Nothing to take back" not in first.press("u")
        assert first.lines[0].startswith("3/17") and first.field == "llmSummary"
        first.press("y")
        # In the middle: quit.
        first.child.send("q")
        code, said = first.end()
        assert code == 0
        assert "5 accepted" not in said and "`enrich apply` writes what was accepted" in said

    after_first = wikis.states(workspace)
    assert after_first["bay-01"] == {
        "llmSummary": "accept/accepted",
        "insights": "accept/accepted",
        "ratings.novelty": "reject/rejected",
        "ratings.rigor": "skip/pending",
        "ratings.actionability": "accept/accepted",
        "ratings.completeness": "accept/accepted",
    }
    assert after_first["bay-02"] == {
        "llmSummary": "edit/accepted",
        "insights": "reject/rejected",
        **dict.fromkeys(RATINGS, "reject/rejected"),
    }
    assert after_first["bay-03"] == {"llmSummary": "accept/accepted", "insights": "-/pending", **dict.fromkeys(RATINGS, "-/pending")}
    assert after_first["bay-04"] == {"llmSummary": "-/pending", "insights": "-/pending", **dict.fromkeys(RATINGS, "-/pending")}

    with desk(root) as second:
        # Resumed at the first open field, not at the skipped one.
        assert second.lines[0].startswith("3/17") and second.field == "insights"
        # Undo without a decision in this session takes the one under the cursor back.
        second.press("k")
        assert "Undone: llmSummary." in second.press("u")
        second.press("n")
        assert second.field == "insights"
        # All the rest of everything: asks first, leaves out what needs a look or is a person's.
        assert "Accept 88 fields on 15 pages, leave out 1 (over-human 1)? y/n" in second.press("Y")
        assert "Nothing was decided." in second.press("n")
        second.press("Y")
        second.press("y")
        assert second.lines[0].startswith("6/17") and second.field == "llmSummary"
        assert "[-" not in second.lines[0]
        # All of it back, and again but for the last pages.
        assert "Undone: 88 fields." in second.press("u")
        assert second.lines[0].startswith("3/17") and second.field == "insights"
        second.press("d")
        assert second.lines[0].startswith("4/17")
        assert "Reject 84 fields on 14 pages? y/n" in second.press("N")
        second.press("x")
        assert "Skip 84 fields on 14 pages? y/n" in second.press("S")
        second.press("n")
        # A value that is none: the text is kept and opens again with the reason; then the editor fails; then it is right.
        second.type_in_editor("summary: 3\n", 'summary: "It makes 4711 megawatts."\nevidence: []\n')
        assert "Not usable:" in second.press("e") and "e opens your text again" in "\n".join(second.lines)
        assert "waits: see its findings" in second.press("e")
        assert "# NOT USABLE:" in second.opened and "summary: 3" in second.opened
        assert second.field == "llmSummary" and "needs-look" in "\n".join(second.lines)
        assert "ended with code 7" in second.press("e")
        second.type_in_editor("AS IT IS")
        assert "Nothing was changed." in second.press("e")
        second.type_in_editor("# nothing but a comment\n\n")
        assert "Nothing was changed." in second.press("e")
        second.press("y")
        # Insights: none left is a rejection; toggled twice is untouched; escape decides nothing.
        assert second.field == "insights"
        second.press("i")
        second.press("1")
        second.press("\x1b")
        assert second.field == "insights"
        second.press("i")
        for key in "123":
            second.press(key)
        second.press("\r")
        assert second.field == "ratings.novelty"
        assert "this field has none" in second.press("i")
        assert "did not change here" in second.press("o")
        second.press("r")
        second.press(" ")
        second.press("b")
        second.child.send("\x04")  # Ctrl-D
        assert second.end()[0] == 0

    after = wikis.states(workspace)
    assert after["bay-01"] == after_first["bay-01"] and after["bay-02"] == after_first["bay-02"]
    assert after["bay-03"] == {"llmSummary": "reject/rejected", "insights": "reject/rejected", **dict.fromkeys(RATINGS, "reject/rejected")}
    assert after["bay-04"] == {"llmSummary": "accept/accepted", "insights": "reject/rejected", **dict.fromkeys(RATINGS, "-/pending")}
    untouched = {"llmSummary": "-/pending", "insights": "-/pending", **dict.fromkeys(RATINGS, "-/pending")}
    assert all(after[f"bay-{number:02}"] == untouched for number in range(5, 18))
    # Values: two of three insights; an edit with its author and what it replaced; an edit with a finding, accepted by hand.
    taken = change_of(workspace, "bay-01", "insights")
    assert [item["type"] for item in taken.new] == ["quantitative", "disagreement"]
    assert len(taken.asked_for) == 3 and [item.where for item in taken.evidence] == ["insights[0]", "insights[1]"]
    mine = change_of(workspace, "bay-02", "llmSummary")
    assert mine.new == "Building it cost 40 million dollars." and mine.asked_for == wikis.SUMMARY["summary"]
    assert mine.provenance["edited"]["by"] == "ann" and mine.decided["by"] == "ann" and not mine.findings
    by_hand = change_of(workspace, "bay-04", "llmSummary")
    assert by_hand.new == "It makes 4711 megawatts." and by_hand.flags == ("needs-look",)
    assert {finding.severity for finding in by_hand.findings} == {"hard"}
    # The lock knows of every rejection and of nothing else.
    lines = [json.loads(line) for line in workspace.config.lock.read_text(encoding="utf-8").splitlines()]
    assert {(line["page"], name) for line in lines for name in line["rejected"]} == {
        (page, name) for page, fields in after.items() for name, said in fields.items() if said == "reject/rejected"
    }
    assert not list(Path("/tmp").glob(".enrich-edit-*"))
    written = subprocess.run([ENRICH, "--wiki", root, "apply", "--json"], capture_output=True, check=True, text=True)
    assert {(item["page"], item["field"]) for item in json.loads(written.stdout)["applied"]} == {
        (page, name) for page, fields in after.items() for name, said in fields.items() if said.endswith("/accepted")
    }
    assert "4711" in (root / "pages/sea/bay-04.md").read_text(encoding="utf-8")


def test_without_a_terminal_it_names_the_other_commands(seventeen: Wiki) -> None:
    command = [str(ENRICH), "--wiki", str(seventeen.config.root), "review"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert all(f"`enrich {name}" in done.stderr for name in ("diff", "accept", "reject", "review --from", "apply"))
    as_json = subprocess.run([*command, "--json"], stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    assert as_json.returncode == 2 and "terminal" in json.loads(as_json.stdout)["error"]["message"]


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 0), ("q", 0)])
def test_leaving_keeps_every_decision_and_the_terminal(seventeen: Wiki, key: str, code: int) -> None:
    with desk(seventeen.config.root, "bay-09", "sea/bay-10.md") as one:
        assert one.lines[0].startswith("1/2")
        one.press("y")
        one.press("n")
        one.child.send(key)
        left, said = one.end()
        assert left == code
        assert "12 fields on 2 pages: 1 accepted, 1 rejected, 0 skipped, 10 open" in said
        assert one.raw.rindex("\x1b[?1049l") > one.raw.rindex("\x1b[?1049h") and one.raw.rindex("\x1b[?25h") > one.raw.rindex("\x1b[?25l")
    assert list(wikis.states(seventeen)["bay-09"].values())[:3] == ["accept/accepted", "reject/rejected", "-/pending"]


_CAUGHT_ELSEWHERE = """
import os, signal, threading, time
from enrich.cli.terminal import Terminal

def late():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

with Terminal(os.environ) as terminal:
    threading.Thread(target=late, daemon=True).start()
    terminal.draw([(("ready", ""),)])
    try:
        next(terminal.typed())
    except KeyboardInterrupt:
        terminal.draw([(("left", ""),)])
"""


def test_ctrl_c_that_does_not_interrupt_the_wait_ends_it_all_the_same() -> None:
    """A signal just before the wait begins leaves it asleep, as one does here that another thread catches."""
    child = pexpect.spawn(sys.executable, ["-c", _CAUGHT_ELSEWHERE], encoding="utf-8", timeout=10)
    child.expect("left")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_two_people_at_two_terminals(seventeen: Wiki) -> None:
    root = seventeen.config.root
    with desk(root, "bay-09", "bay-10") as ann, desk(root, "bay-09", "bay-10", LOGNAME="bob") as bob:
        ann.press("y")
        assert "llmSummary is accepted by ann; look again" in " ".join(bob.press("n").split())
        assert bob.field == "llmSummary"
        bob.press("j")
        bob.press("n")
        # Ann meets what bob decided as she goes, and goes round it.
        ann.press("a")
        ann.press("K")
        assert any("insights" in line and "rejected" in line for line in ann.lines)
        for one in (ann, bob):
            one.child.send("q")
            assert one.end()[0] == 0
    said = wikis.states(seventeen)["bay-09"]
    assert said == {"llmSummary": "accept/accepted", "insights": "reject/rejected", **dict.fromkeys(RATINGS, "accept/accepted")}
    assert change_of(seventeen, "bay-09", "insights").decided["by"] == "bob"


def test_stopping_gives_the_terminal_back_and_going_on_takes_it(seventeen: Wiki) -> None:
    with desk(seventeen.config.root, "bay-09") as one:
        one.press("y")
        one.child.send("\x1a")
        one.child.expect(r"\x1b\[\?1049l")
        assert os.WIFSTOPPED(os.waitpid(one.child.pid, os.WUNTRACED)[1])
        one.child.kill(signal.SIGCONT)
        one.child.expect(r"\x1b\[\?1049h")
        assert one.see().startswith("1/1") and "accepted" in "\n".join(one.lines)
        one.child.setwinsize(30, 100)
        assert len(one.see().split("\n")) == 30
        one.child.kill(signal.SIGTERM)
        assert one.end()[0] == 128 + signal.SIGTERM
        assert "\x1b[?1049l" in one.child.before


def test_a_terminal_that_goes_away_keeps_every_decision(seventeen: Wiki) -> None:
    with desk(seventeen.config.root, "bay-09") as one:
        one.press("y")
        one.child.close(force=False)
    assert wikis.states(seventeen)["bay-09"]["llmSummary"] == "accept/accepted"


@pytest.mark.parametrize("size", [(24, 80), (12, 40), (60, 200)])
def test_screens_fit_and_no_color_means_none(seventeen: Wiki, size: tuple[int, int]) -> None:
    with desk(seventeen.config.root, size=size, NO_COLOR="1") as one:
        for key in ["j", "i", "2", "q", "?", "x", "J", "e"]:
            one.type_in_editor("AS IT IS")
            one.press(key)
            assert len(one.lines) <= size[0]
            assert max(cell_len(line) for line in one.lines) <= size[1]
        one.child.send("q")
        one.end()
        assert not re.search(r"\x1b\[[0-9;]*m", one.raw)


def test_with_colours_words_are_marked_by_colour(seventeen: Wiki) -> None:
    with desk(seventeen.config.root, "bay-06") as one:
        one.child.send("q")
        one.end()
        assert "\x1b[31;9m" in one.raw and "\x1b[32;4m" in one.raw and "[-" not in one.raw


HOSTILE = "a\x1b[2J\x1b]0;owned\x07b\u202egnp.exe\u2066\x9b31m\x85\u200b\r\nY\x08\x7f<script>`rm`"


def test_nothing_from_pages_and_models_controls_the_terminal(tmp_path: Path) -> None:
    """Straight into the proposal file, past everything that cleans answers: what is on disk may be anybody's."""
    workspace = wikis.make_wiki(tmp_path / "wiki", {"cape": wikis.page_text("the Cape", {"llmSummary": "Old."})})
    wikis.answer(workspace, "cape", {"summary": wikis.SUMMARY, "insights": wikis.INSIGHTS, "ratings": wikis.ratings_answer()})
    file = workspace.config.proposals / "cape.json"
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
    with desk(workspace.config.root, size=(60, 100), NO_COLOR="1") as one:
        for key in ["j", " ", "b", "i", "1", " ", "q", "j", "y", "o", "w", "j", "n", "u", "r", "k", "?", "x"]:
            one.press(key)
        one.child.send("q")
        one.end()
        ours = re.sub(r"\x1b\[(?:H|J|K|2J|\?25[hl]|\?1049[hl])|\r\n", "", one.raw)
        assert {char for char in ours if not char.isprintable()} == set()
        assert "owned" in ours and "\\x1b" in ours and "\\u202e" in ours


PROPOSED = ("old", "new", "flags", "findings", "evidence", "reason")
