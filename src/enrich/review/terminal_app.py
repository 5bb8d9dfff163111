"""`enrich review` at a terminal: a Textual application over a review session.

Every decision is stored the moment it is made, so the application can end at any time. All text of pages and models is shown without
markup and without control characters (`lines.rich_text`, `text.printable`).
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Click, Key
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList, Static

from enrich.errors import AnswerError, EnrichError
from enrich.review.decisions import Decision, form_text, read_form
from enrich.review.lines import STYLES, Line, Span, field_heading, field_lines, field_summary, history_lines, insight_lines, rich_text
from enrich.review.proposals import InsightItem, insight_items
from enrich.review.review_session import Bulk, ReviewSession, keys_of
from enrich.review.views import FieldView, insight_text
from enrich.text import counted, printable

_STATE_STYLES = {"accepted": "good", "rejected": "bad", "skipped": "dim"}


class ReviewApp(App[None]):
    """Pages, fields and the details of one field. `drafts`: files with edits that could not be used, by (page, field). `failure`: what ended it."""

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            keys,
            action,
            row.get("footer", {}).get(keys, ""),
            show=keys in row.get("footer", {}),
            tooltip=row["about"],
            priority="ctrl" in keys,
            key_display="?" if action == "help" else None,
        )
        for row in keys_of("terminal")
        for keys, action in row["terminal"].items()
    ]
    CSS = """
    * { scrollbar-size-vertical: 1; }
    #head { height: 1; } #title { width: 1fr; } #count { width: auto; }
    #pages, #fields { text-wrap: nowrap; text-overflow: ellipsis; }
    #pages { display: none; width: 34; border: none; border-right: solid ansi_bright_black; padding: 0; }
    .-wide #pages { display: block; }
    #fields { height: auto; max-height: 40%; border: none; border-top: solid ansi_bright_black; padding: 0; }
    #detail { border-top: solid ansi_bright_black; }
    #note, #message { height: auto; max-height: 3; }
    OptionList > .option-list--option-highlighted { text-style: bold; }
    ModalScreen { align: center middle; }
    ModalScreen > Vertical { width: 90%; max-width: 100; height: auto; max-height: 90%; border: solid ansi_bright_black; padding: 0 1; }
    ModalScreen VerticalScroll, ModalScreen OptionList { height: auto; max-height: 100%; border: none; }
    """

    def __init__(self, session: ReviewSession) -> None:
        if not os.environ.get("NO_COLOR"):
            os.environ.pop("NO_COLOR", None)  # https://no-color.org: an empty value does not count
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.session = session
        self.drafts: dict[tuple[str, str], Path] = {}
        self.failure: EnrichError | None = None

    def compose(self) -> ComposeResult:
        yield Horizontal(_static("title"), _static("count"), id="head")
        with Horizontal():
            yield _Choices(id="pages")
            with Vertical():
                yield _static("note")
                yield _Choices(id="fields")
                yield VerticalScroll(_static("text"), id="detail", can_focus=False)
        yield _static("message")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._catch_signals()
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self.draw()

    def _catch_signals(self) -> None:
        """Leave in order: Textual would let SIGTERM end the process with the terminal in raw mode."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)

    def _handle_exception(self, error: Exception) -> None:
        """Leave with an error that a person can act on; the command reports it. Others keep their traceback."""
        if isinstance(error, EnrichError):
            self.failure = error
            self.exit(return_code=1)
        else:
            super()._handle_exception(error)

    # What is shown

    def draw(self) -> None:
        """Show the session as it is now."""
        session = self.session
        view, field, counts = session.shown, session.shown_field, session.counts()
        place = (f"{session.page_at + 1}/{len(session.proposals)}", "bold")
        decided = counts["accepted"] + counts["rejected"]
        title = Text.assemble(place, f"  {printable(f'{view.id}  {view.path}')}", no_wrap=True, overflow="ellipsis")
        self.query_one("#title", Static).update(title)
        self.query_one("#count", Static).update(Text(f" {decided} of {counts.total()} fields decided", STYLES["dim"]))
        self.query_one("#note", Static).update(Text(f"stale: {printable(view.note)}" if view.note else "", STYLES["warn"]))
        self.query_one("#note").display = bool(view.note)
        self.query_one("#pages", _Choices).show(list(self._page_rows()), session.page_at)
        self.query_one("#fields", _Choices).show(self._field_rows(), session.field_at)
        lines = [*field_lines(field), *history_lines(field, session.now())]
        if field.kind == "rating":
            lines.insert(0, field_heading(field))
        if field.edited_on_page:
            why = "This field was changed on the page after the question was asked: n keeps that value, o takes the proposed one."
            lines.insert(0, Line("note", (Span(why, "warn", ours=True),)))
        self.query_one("#text", Static).update(_shown(lines, plain=self.no_color))
        self.query_one("#detail").scroll_home(animate=False)
        self.query_one("#message", Static).update(Text(printable(session.message), STYLES["bold"]))
        self.refresh_bindings()

    def _page_rows(self) -> Iterator[Text]:
        for proposal in self.session.proposals:
            left = sum(change.status == "open" for change in proposal.changes)
            count = f"{left:>3} " if left else "  ✓ "
            yield Text.assemble((count, STYLES["dim"]), printable(proposal.page))

    def _field_rows(self) -> list[Text]:
        """The fields as a table: name, decision, what changes, flags."""
        fields = self.session.shown.changes
        cells = [(printable(field.name), _decision(field), field_summary(field)) for field in fields]
        widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
        rows = []
        for place, field in enumerate(fields):
            name, decision, summary = map(set_cell_size, cells[place], widths)
            flags = ["changed on page" if flag == "stale" and field.edited_on_page else flag for flag in field.flags]
            flags += [counted(len(field.change.findings), "finding")] if field.change.findings else []
            row = Text("> " if place == self.session.field_at else "  ").append(f"{name} ")
            row.append(f"{decision} " if widths[1] else "", STYLES.get(_STATE_STYLES.get(field.change.status, "")))
            row.append(f"{summary} ").append(printable(" ".join(flags)), STYLES["warn"])
            rows.append(row)
        return rows

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show a key only if it applies to the current field."""
        if action == "insights":
            return self.session.change.stage == "insights"
        return self.session.shown_field.edited_on_page if parameters == ("take_over",) else True

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on a page or a field."""
        if event.option_list.id == "pages":
            self.action_session("move_page", event.option_index - self.session.page_at)
        else:
            self.action_session("show", (self.session.page_at, event.option_index))

    # What the keys do

    def action_session(self, action: str, *arguments: object) -> None:
        """Let the session do what is named, and show the result."""
        self.session.message = ""
        getattr(self.session, action)(*arguments)
        self.draw()

    def action_scroll(self, pages: int) -> None:
        detail = self.query_one("#detail")
        (detail.scroll_page_down if pages > 0 else detail.scroll_page_up)(animate=False)

    def action_help(self) -> None:
        self.push_screen(_Popup(Group(help_table(), Text("Any key goes back.", STYLES["dim"]))))

    def action_note(self) -> None:
        self.push_screen(_Note(self.session.change.note), self._take_note)

    def _take_note(self, text: str | None) -> None:
        if text is not None:
            self.action_session("note", text)

    def action_leave(self, code: int) -> None:
        self.exit(return_code=code)

    def action_rest_of_page(self, decision: Decision) -> None:
        bulk = self.session.bulk(decision, page_only=True)
        self._commit(bulk)
        if bulk.steps and bulk.left:
            self.session.message += f" Left out: {bulk.words.partition(', leave out ')[2]}."
            self.draw()

    def action_rest_of_all(self, decision: Decision) -> None:
        bulk = self.session.bulk(decision, page_only=False)
        if bulk.steps:
            question = Text(f"{bulk.words[:1].upper()}{bulk.words[1:]}? y/n", STYLES["bold"])
            self.push_screen(_Popup(question), lambda key: self._commit(bulk if key in ("y", "Y", "enter") else None))
        else:
            self._commit(bulk)

    def _commit(self, bulk: Bulk | None) -> None:
        if bulk is None:
            self.session.message = "Nothing was decided."
        elif bulk.steps:
            self.session.record(bulk.steps)
        else:
            self.session.message = f"Nothing to {bulk.words}."
        self.draw()

    def action_insights(self) -> None:
        listed = [item for item in insight_items(self.session.change) if item.status != "same"]
        if listed:
            self.push_screen(_InsightChoice(self.session, listed, plain=self.no_color), lambda _: self.draw())

    # The editor

    def action_edit(self) -> None:
        """Let the person change the value in their editor. Text that cannot be used is kept, and opened again with the reason on top."""
        session, place = self.session, (self.session.proposal.page, self.session.change.field)
        session.message = session.blocked()
        if not session.message:
            fresh = place not in self.drafts
            draft = _new_draft(form_text(place[0], session.change)) if fresh else self.drafts[place]
            before = draft.read_bytes()
            failure = self._open_editor(draft)
            if failure or (fresh and draft.read_bytes() == before):
                session.message, done = failure or "Nothing was changed.", fresh
            else:
                done = self._use(draft)
            if done:
                self.drafts.pop(place, None)
                draft.unlink(missing_ok=True)
            else:
                self.drafts[place] = draft
        self.draw()

    def _use(self, draft: Path) -> bool:
        """Store the edited value; whether the draft is no longer needed."""
        try:
            form = read_form(draft.read_text(encoding="utf-8"))
            if form is None:
                self.session.message = "Nothing was changed."
                return True
            return self.session.edit(form)
        except (AnswerError, UnicodeDecodeError) as error:
            problem = error.detail if isinstance(error, AnswerError) else "the text is not UTF-8"
            lines = draft.read_text(encoding="utf-8", errors="replace").splitlines()
            kept = [line for line in lines if not line.startswith("# NOT USABLE:")]
            draft.write_text("\n".join([*(f"# NOT USABLE: {line}" for line in problem.splitlines()), *kept, ""]), encoding="utf-8")
            self.session.message = f"Not usable: {problem}; e opens your text again."
            return False

    def _open_editor(self, file: Path) -> str:
        """What went wrong, or ""."""
        command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            with self._lent():
                done = subprocess.run([*shlex.split(command), str(file)], check=False)
        except (OSError, ValueError) as error:
            return f"The editor {command!r} cannot be started ({getattr(error, 'strerror', None) or error}): set EDITOR."
        return f"The editor ended with code {done.returncode}: nothing was taken." if done.returncode else ""

    @contextmanager
    def _lent(self) -> Iterator[None]:
        """Within, another program has the terminal, and Ctrl-C is that program's."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        # A function, because an ignored signal would stay ignored in the editor.
        before = signal.signal(signal.SIGINT, lambda number, frame: None)
        try:
            with nullcontext() if self.is_headless else self.suspend():
                yield
        finally:
            signal.signal(signal.SIGINT, before)
            self._catch_signals()


class _Choices(OptionList, can_focus=False):
    """A list to click on; keys go to the application."""

    def show(self, rows: Sequence[Text], current: int | None = None) -> None:
        if self.option_count != len(rows):
            self.set_options(rows)
        else:
            for place, row in enumerate(rows):
                if self.get_option_at_index(place).prompt != row:
                    self.replace_option_prompt_at_index(place, row)
        self.highlighted = current


class _Popup(ModalScreen[str]):
    """Shows something until a key is pressed; its result is that key ("" for a click)."""

    def __init__(self, content: RenderableType) -> None:
        super().__init__()
        self._content = content

    def compose(self) -> ComposeResult:
        with Vertical():
            yield VerticalScroll(Static(self._content), can_focus=False)

    def on_key(self, event: Key) -> None:
        event.stop()
        self.dismiss(event.key)

    def on_click(self, _: Click) -> None:
        self.dismiss("")


class _Note(ModalScreen["str | None"]):
    """One line of text; its result is None after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("Note on this field (Enter keeps it)")
            yield Input(self._text, max_length=2000)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(" ".join(event.value.split()))


class _InsightChoice(ModalScreen[None]):
    """The insights to choose from: those proposed, and those on the page that would go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "take", "take these"),
        Binding("escape,q,i", "dismiss", "back"),
        Binding("space,pagedown", "scroll(1)", "more"),
        Binding("b,pageup", "scroll(-1)", show=False),
    ]

    def __init__(self, session: ReviewSession, listed: Sequence[InsightItem], *, plain: bool) -> None:
        super().__init__()
        self._session, self._listed, self._plain = session, listed, plain
        # A rejected removal stays on the page.
        self._taken = [(session.change.items.get(one.id, {}).get("decision") == "reject") == (one.index < 0) for one in listed]

    def compose(self) -> ComposeResult:
        with Vertical():
            title = f"Insights of {printable(self._session.proposal.page)}: 1-9, 0 or a click takes or leaves one"
            yield Static(Text(title, STYLES["bold"]))
            yield _Choices(id="choices")
            yield _static("problem")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._draw()

    def _draw(self) -> None:
        views = {insight.id: insight for insight in self._session.shown_field.insights}
        rows = []
        for number, (one, taken) in enumerate(zip(self._listed, self._taken, strict=True), 1):
            where = "proposed" if one.new else "on the page, would go"
            row = Text.assemble(
                (f"{number % 10} [{'x' if taken else ' '}] {where}: ", STYLES["bold"]), printable(insight_text(one.new or one.old or {}))
            )
            for line in insight_lines(views[one.id]) if one.new and one.id in views else ():
                if line.role in ("quote", "remark"):
                    row.append("\n      ").append_text(rich_text(line, plain=self._plain))
            rows.append(row)
        self.query_one("#choices", _Choices).show(rows)

    def _toggle(self, place: int) -> None:
        if 0 <= place < len(self._listed):
            self._taken[place] = not self._taken[place]
            self._draw()

    def on_key(self, event: Key) -> None:
        self._toggle("1234567890".find(event.key) if len(event.key) == 1 else -1)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._toggle(event.option_index)

    def action_scroll(self, pages: int) -> None:
        choices = self.query_one("#choices")
        (choices.scroll_page_down if pages > 0 else choices.scroll_page_up)(animate=False)

    def action_take(self) -> None:
        try:
            pairs = zip(self._listed, self._taken, strict=True)
            self._session.choose({one.id: "accept" if taken == (one.index >= 0) else "reject" for one, taken in pairs})
        except AnswerError as error:
            self.query_one("#problem", Static).update(Text(printable(f"Not usable: {error.detail}"), STYLES["bad"]))
        else:
            self.dismiss()


def help_table() -> Table:
    """What each key does."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in keys_of("terminal"):
        table.add_row(Text(row["keys"], STYLES["bold"], no_wrap=True), Text(row["about"]))
    return table


def _static(name: str) -> Static:
    return Static(id=name, markup=False)


def _shown(lines: Iterable[Line], *, plain: bool) -> Group:
    return Group(*(Padding(rich_text(line, plain=plain), (0, 0, 0, max(0, line.indent - 4))) for line in lines))


def _decision(field: FieldView) -> str:
    status = field.change.status
    return "edited" if field.change.edited and status in ("accepted", "open") else "" if status == "open" else status


def _new_draft(text: str) -> Path:
    with tempfile.NamedTemporaryFile("w", prefix=".enrich-edit-", suffix=".yaml", encoding="utf-8", delete=False) as file:
        file.write(text)
    return Path(file.name)
