"""`enrich review` in a terminal: keys to decisions (`review.review_session`), decisions to screens (`review.screens`)."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from enrich.cli.session import Session
from enrich.cli.terminal import END, REDRAW, Terminal
from enrich.errors import AnswerError, UserError
from enrich.review.decisions import Decision, pending
from enrich.review.editing import Candidate, candidates, form_text, read_form
from enrich.review.review_session import Bulk, ReviewSession
from enrich.review.screens import SMALLEST, Line, help_screen, insights_screen, page_screen, wrapped
from enrich.text import counted

if TYPE_CHECKING:
    from enrich.wiki.wiki import Wiki

_RETURN = "escape"
_REST: dict[str, tuple[Decision, bool]] = {
    "Y": ("accept", False),
    "N": ("reject", False),
    "S": ("skip", False),
    "a": ("accept", True),
    "d": ("reject", True),
}


def review_in_terminal(session: Session, workspace: Wiki, pages: Sequence[str], *, by: str, now: Callable[[], str]) -> None:
    """Let a person decide. Raises `UserError` (exit code 2) where there is no terminal."""
    if session.json or not Terminal.there():
        raise UserError(
            "`enrich review` needs a terminal",
            do="`enrich diff` shows the changes, `enrich accept` and `enrich reject` decide, `enrich review --from FILE` reads decisions, "
            "`enrich apply` writes what was accepted",
            exit_code=2,
        )
    proposals = [proposal for proposal in pending(workspace, pages) if proposal.changes]
    if not proposals:
        session.say("nothing is proposed; `enrich run` asks what is due")
        return
    review = ReviewSession(workspace, proposals, by, now)
    reviewer = Reviewer(review, Terminal(os.environ))
    try:
        reviewer.run()
    finally:
        counts = review.counts()
        session.say(
            f"{counted(sum(counts.values()), 'field')} on {counted(len(proposals), 'page')}: {counts['accepted']} accepted, "
            f"{counts['rejected']} rejected, {counts['skipped']} skipped, {counts['open']} open"
        )
        for (page, name), draft in reviewer.drafts.items():
            session.warn(f"your edit of {page}:{name} was not used; its text is kept in {draft}")
        if counts["accepted"]:
            session.say("`enrich apply` writes what was accepted")


@dataclass
class Reviewer:
    """Keys and screens of one session. `drafts`: files with edits that could not be used."""

    session: ReviewSession
    terminal: Terminal
    scroll: int = 0
    drafts: dict[tuple[str, str], Path] = field(default_factory=dict)
    _furthest: int = 0
    _confirm: Bulk | None = None
    _help: bool = False
    _choice: tuple[list[Candidate], list[bool]] | None = None
    _problems: dict[tuple[str, str], str] = field(default_factory=dict)

    def run(self) -> None:
        """Until the person leaves. Ctrl-C comes out as KeyboardInterrupt, everything decided stays decided."""
        with self.terminal:
            self._draw()
            for key in self.terminal.typed():
                if key == END or (key == "q" and not self._inside):
                    return
                self._take(key)
                self._draw()

    @property
    def _inside(self) -> bool:
        return self._help or self._confirm is not None or self._choice is not None

    def _draw(self) -> None:
        width, height = self.terminal.size
        width, height = max(width, SMALLEST[0]), max(height, SMALLEST[1])
        if self._help:
            lines = help_screen(width, height)
        elif self._choice is not None:
            lines, self._furthest = insights_screen(self.session, *self._choice, width, height, scroll=self.scroll)
        else:
            footer: list[Line] = []
            if self._confirm is not None:
                question = f"{self._confirm.words[:1].upper()}{self._confirm.words[1:]}? y/n"
                footer = wrapped([(question, "bold")], width)
            lines, self._furthest = page_screen(self.session, width, height, scroll=self.scroll, plain=self.terminal.plain, footer=footer)
        self.terminal.draw(lines)

    def _take(self, key: str) -> None:
        if key == REDRAW:
            return
        if self._help:
            self._help = False
        elif self._confirm is not None:
            bulk, self._confirm = self._confirm, None
            if key in ("y", "Y", "enter"):
                self.session.commit(bulk)
            else:
                self.session.message = "Nothing was decided."
        elif key in (" ", "b"):
            _, height = self.terminal.size
            step = max(1, height // 3)
            self.scroll = min(max(self.scroll + (step if key == " " else -step), 0), self._furthest)
        elif self._choice is not None:
            self._choose(key, *self._choice)
        else:
            self.scroll, self.session.message = 0, ""
            self._act(key)

    def _act(self, key: str) -> None:
        session = self.session
        actions: dict[str, Callable[[], object]] = {
            "y": lambda: session.decide("accept"),
            "n": lambda: session.decide("reject"),
            "s": lambda: session.decide("skip"),
            "o": session.take_over,
            "e": self._edit,
            "i": self._open_insights,
            "u": session.undo,
            "r": session.refresh,
            "j": lambda: session.move(1),
            "down": lambda: session.move(1),
            "k": lambda: session.move(-1),
            "up": lambda: session.move(-1),
            "J": lambda: session.move_page(1),
            "K": lambda: session.move_page(-1),
            "?": self._show_help,
        }
        if key in _REST:
            self._ask_for_the_rest(*_REST[key])
        elif key in actions:
            actions[key]()
        elif key not in ("enter", "escape"):
            session.message = "? shows the keys."

    def _show_help(self) -> None:
        self._help = True

    def _ask_for_the_rest(self, decision: Decision, page_only: bool) -> None:
        bulk = self.session.bulk(decision, page_only=page_only)
        if not bulk.steps:
            self.session.message = f"Nothing to {bulk.words}."
        elif page_only:
            self.session.commit(bulk)
            if bulk.left:
                self.session.message = f"{self.session.message} Left out: {bulk.words.partition(', leave out ')[2]}."
        else:
            self._confirm = bulk

    # Single insights

    def _open_insights(self) -> None:
        listed = candidates(self.session.change) if self.session.change.stage == "insights" else []
        if not listed:
            self.session.message = "i chooses among insights; this field has none."
            return
        self._choice = listed, [one.proposed for one in listed]

    def _choose(self, key: str, listed: list[Candidate], taken: list[bool]) -> None:
        self.session.message = ""
        number = "1234567890".find(key) if len(key) == 1 else -1
        if 0 <= number < len(listed):
            taken[number] = not taken[number]
        elif key in (_RETURN, "q", "i"):
            self._choice = None
        elif key in ("enter", "y"):
            try:
                self.session.choose([one for one, chosen in zip(listed, taken, strict=True) if chosen])
                self._choice = None
            except AnswerError as error:
                self.session.message = f"Not usable: {error.detail}"

    # The editor

    def _edit(self) -> None:
        session = self.session
        if why := session.blocked():
            session.message = why
            return
        place = (session.proposal.page, session.change.field)
        draft = self.drafts.get(place)
        if draft is None:
            handle, name = tempfile.mkstemp(prefix=".enrich-edit-", suffix=".yaml")
            os.close(handle)
            draft = Path(name)
            draft.write_text(form_text(place[0], session.change), encoding="utf-8")
        else:
            draft.write_text(
                _with_problem(draft.read_text(encoding="utf-8", errors="replace"), self._problems.get(place, "")), encoding="utf-8"
            )
        before = draft.read_bytes()
        failure = self._open_editor(draft)
        try:
            if failure:
                raise AnswerError("editor", failure)
            used = draft.read_bytes() == before and place not in self.drafts
            if used:
                session.message = "Nothing was changed."
            else:
                form = read_form(draft.read_text(encoding="utf-8"))
                if form is None:
                    session.message, used = "Nothing was changed.", True
                else:
                    used = session.edit(form)
        except UnicodeDecodeError:
            used, self._problems[place] = False, "the text is not UTF-8"
            session.message = "Not usable: the text is not UTF-8; e opens it again."
        except AnswerError as error:
            used, self._problems[place] = bool(failure), error.detail
            session.message = error.detail if failure else f"Not usable: {error.detail}; e opens your text again."
        if used and not (failure and place in self.drafts):
            self.drafts.pop(place, None)
            draft.unlink(missing_ok=True)
        else:
            self.drafts[place] = draft

    def _open_editor(self, file: Path) -> str:
        """Let the person's editor have the file; what went wrong, or ""."""
        command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            with self.terminal.lent():
                done = subprocess.run([*shlex.split(command), str(file)], check=False)
        except (OSError, ValueError) as error:
            return f"The editor {command!r} cannot be started ({getattr(error, 'strerror', None) or error}): set EDITOR."
        return f"The editor ended with code {done.returncode}: nothing was taken." if done.returncode else ""


def _with_problem(text: str, problem: str) -> str:
    """A draft with what is wrong with it on top, earlier complaints left out."""
    lines = [line for line in text.splitlines() if not line.startswith("# NOT USABLE:")]
    return "\n".join([*(f"# NOT USABLE: {line}" for line in problem.splitlines()), *lines]) + "\n"
