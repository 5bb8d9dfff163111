"""What the commands share: the global options, the opened wiki, common parameters, and printing that page text cannot take over.

Tables and progress are for a terminal; elsewhere they are plain lines.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text
from typer import Argument, BadParameter, Option

from enrich.config import Config, find_wiki, load_config
from enrich.files import write_atomically
from enrich.text import JSON_ESCAPES, counted, escaped, json_text, usd
from enrich.wiki.wiki import Wiki

if TYPE_CHECKING:
    from enrich.records.database import Progress as BuildProgress
    from enrich.runs.pool import Progress
    from enrich.runs.results import RunResult

TO_REPORT = 10  # the exit code of --exit-code (DESIGN.md section 4.2)
# A longer list ends with the number of the rest: --json and the run's report have all of it.
LISTED = 20

Pages = Annotated[list[str] | None, Argument(metavar="[PAGE]...", help="Page ids, short names that only one page has, paths, or globs.")]
Stages = Annotated[
    list[str] | None,
    Option("--stage", metavar="S", help="Only this stage: summary, insights, ratings or another enabled one (repeatable)."),
]
Backend = Annotated[str | None, Option("--backend", metavar="B", help="Who answers: offline or openai.")]
Model = Annotated[str | None, Option("--model", metavar="M", help="The model to ask.")]
BaseUrl = Annotated[str | None, Option("--base-url", metavar="URL", help="The server to ask.")]
Budget = Annotated[float | None, Option("--budget", metavar="USD", min=0, help="Spend at most this much.")]
Now = Annotated[
    str | None, Option("--now", metavar="ISO", help="The clock, such as 2026-03-13T20:14:00Z: the same clock gives the same bytes.")
]
Output = Annotated[Path | None, Option("-o", "--output", metavar="FILE", help="Write to FILE.")]


class Session:
    """The global options of this call of `enrich`, and how it prints. Results go to stdout, everything else to stderr."""

    def begin(self, *, wiki: Path | None, json: bool, quiet: bool, verbose: bool) -> None:
        self.wiki, self.json, self.quiet, self.verbose = wiki, json, quiet, verbose
        self._config: Config | None = None

    def config(self, **flags: Any) -> Config:
        """The wiki's configuration; `flags` are dotted keys with `__` for the dot."""
        root = self.wiki if self.wiki is not None else find_wiki(Path.cwd())
        self._config = load_config(root, {key.replace("__", "."): value for key, value in flags.items()})
        return self._config

    def open_wiki(self, *, warn: bool = False, **flags: Any) -> Wiki:
        """The wiki; `warn` prints what is wrong with its pages as a whole."""
        wiki = Wiki.open(self.config(**flags))
        self.warn(*(wiki.warnings if warn else ()))
        return wiki

    def document(self, data: Mapping[str, Any]) -> None:
        """Print one JSON document on stdout."""
        sys.stdout.write(json_text(data, indent=None if not sys.stdout.isatty() else 1) + "\n")

    def result(self, data: Mapping[str, Any], *lines: str) -> None:
        """Print a result: `data` under --json, else `lines`."""
        if self.json:
            self.document(data)
        else:
            self.say(*lines)

    def say(self, *lines: str) -> None:
        """Print lines of the result: on stdout, or on stderr under --json."""
        for line in () if self.quiet else lines:
            print(escaped(line), file=sys.stderr if self.json else sys.stdout)

    def say_more_pages(self, number: int) -> None:
        """Print how many pages a list leaves out."""
        if number:
            self.say(f"… and {counted(number, 'more page')} (-v lists all)")

    def warn(self, *lines: str) -> None:
        """Print warnings."""
        for line in lines:
            print(escaped(f"warning: {line}"), file=sys.stderr)

    def note(self, *lines: str) -> None:
        """Print lines about the result, which --quiet leaves out."""
        for line in () if self.quiet else lines:
            print(escaped(line), file=sys.stderr)

    def write(self, text: str | Iterable[str], output: Path | None, what: Callable[[], str] = str, *, coloured: bool = False) -> None:
        """Print `text`, or its parts as they come, or with `output` write it to that file; `what` it was, for the note.

        `coloured`: it was made for a terminal. Other text is escaped on a terminal, which would obey its control characters.
        """
        parts = (text,) if isinstance(text, str) else text
        if output is None:
            for part in parts:
                print(escaped(part) if sys.stdout.isatty() and not coloured else part, end="", flush=True)
        else:
            within = None if self._config is None else self._config.folders_of(output)
            write_atomically(output, (part.encode("utf-8", JSON_ESCAPES) for part in parts), within=within)
            self.note(f"wrote {what()} to {output}" if what() else f"wrote {output}")

    def print_table(self, headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        """Print rows of plain texts under their headers."""
        table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else box.SIMPLE, pad_edge=False, header_style="bold")
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(escaped(cell)) for cell in row))
        out = console()
        if not sys.stdout.isatty():
            out.width = _WIDTH
        out.print(table, soft_wrap=False)

    def print_pages(self, headers: Sequence[str], rows: Iterable[Sequence[str | Text]], number: int, most: int) -> None:
        """Print a table of `number` pages: with -v all, else `most`, and how many it leaves out. Nothing with --quiet."""
        shown = number if self.verbose else min(number, most)
        if shown and not self.quiet:
            self.print_table(headers, islice(rows, shown))
            self.say_more_pages(number - shown)


session = Session()
"""What all commands share: `main` begins it with the options of the call before a command runs."""


def clock(text: str | None) -> datetime | None:
    """The time that --now names, with a time zone (UTC if it names none)."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)  # raises before year 1 and after year 9999
    except (ValueError, OverflowError):
        raise BadParameter(f"{text!r} is not a time such as 2026-03-13T20:14:00Z", param_hint="--now") from None
    return moment


def text_width() -> int:
    """The columns of text for people: at most 120 on a terminal, 100 elsewhere."""
    return max(40, min(shutil.get_terminal_size().columns, 120)) if sys.stdout.isatty() else 100


def first_few(items: Sequence[str], limit: int = 5) -> str:
    """The first items, and how many more there are."""
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "")


def by_page(items: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The second of each pair in a list for its page."""
    found: dict[str, list[str]] = {}
    for page, item in items:
        found.setdefault(page, []).append(item)
    return found


def compact(fields: Sequence[str]) -> str:
    """Field names on one line: `ratings.novelty, ratings.rigor` as `ratings (novelty, rigor)`."""
    ratings = [name.removeprefix("ratings.") for name in fields if name.startswith("ratings.")]
    others = [name for name in fields if not name.startswith("ratings.")]
    return ", ".join([*others, *([f"ratings ({', '.join(ratings)})"] if ratings else [])])


# Without a terminal: at most one line per this many seconds, so that the log of a night is readable.
_EVERY = 10.0
# Without a terminal, tables are as wide as this.
_WIDTH = 160


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with 1; `main` knows that a closed pipe is not an error


def console() -> Console:
    """A console on stdout that shows text as it is: no markup, no emoji codes."""
    return _Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty(), emoji=False, markup=False)


class RunProgress:
    """Progress of a run on stderr: in `bar`, or else as one line every ten seconds, also while nothing moves."""

    def __init__(self, bar: RichProgress | None = None) -> None:
        self._bar = bar
        if bar is not None:
            self._task = bar.add_task("", total=None)
        self.start(0)

    def start(self, pages: int) -> None:
        self._pages, self._done = pages, 0
        self._started = self._last = time.monotonic()

    def page_done(self, page: str, result: RunResult) -> None:
        del result
        self._done += 1
        if session.verbose:
            self.note(f"done {page}")

    def note(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(escaped(line), style="dim")
        else:
            session.note(line)

    def tick(self, result: RunResult, throttle: str) -> None:
        now = time.monotonic()
        line = status(self._done, self._pages, now - self._started, result, throttle)
        if self._bar is not None:
            self._bar.update(self._task, total=self._pages, completed=self._done, description=escaped(line))
        elif now - self._last >= _EVERY:
            self._last = now
            session.note(line)


@contextmanager
def progress_of_run() -> Iterator[Progress]:
    """A bar on a terminal, lines elsewhere."""
    with _bar(SpinnerColumn(), BarColumn(24), TextColumn("{task.description}", markup=False)) as bar:
        yield RunProgress(bar)


@contextmanager
def progress_of_build() -> Iterator[BuildProgress | None]:
    """A bar on a terminal, nothing elsewhere."""
    with _bar(TextColumn("{task.description:>10}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        if bar is None:
            yield None
        else:
            task = bar.add_task("", total=None)
            yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


@contextmanager
def _bar(*columns: ProgressColumn) -> Iterator[RichProgress | None]:
    if session.quiet or not sys.stderr.isatty():
        yield None
    else:
        with RichProgress(*columns, console=Console(file=sys.stderr, highlight=False, emoji=False, markup=False), transient=True) as bar:
            yield bar


def status(done: int, pages: int, seconds: float, result: RunResult, throttle: str = "") -> str:
    """One line of progress: pages, rate, cost, time left, failures, and what limits the requests in flight."""
    rate = done / seconds if seconds > 0 else 0.0
    parts = [
        f"{done:,}/{counted(pages, 'page')}",
        f"{rate:.1f} a second",
        "" if result.spent.cost_usd is None else usd(result.spent.cost_usd),
    ]
    if rate and pages > done:
        parts.append(f"{_duration((pages - done) / rate)} left")
    if result.failed:
        parts.append(f"{len(result.failed)} failed")
    return ", ".join(part for part in (*parts, throttle) if part)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s" if minutes else f"{rest} s"
