"""What the commands share: the global options, the opened wiki, printing that page text cannot take over, and common parameters."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from enrich.config import Config, find_wiki, load_config
from enrich.files import write_text_atomically
from enrich.text import escaped
from enrich.wiki.wiki import Wiki

TO_REPORT = 10  # the exit code of --exit-code (DESIGN.md section 4.2)
# A longer list ends with the number of the rest: --json and the run's report have all of it.
LISTED = 20

Pages = Annotated[list[str] | None, Argument(metavar="[PAGE]...", help="Page ids, paths inside the content folder, or globs of either.")]
Stages = Annotated[list[str] | None, Option("--stage", metavar="S", help="Only this stage: summary, insights or ratings (repeatable).")]
Backend = Annotated[str | None, Option("--backend", metavar="B", help="Who answers: offline or openai.")]
Model = Annotated[str | None, Option("--model", metavar="M", help="The model to ask.")]
BaseUrl = Annotated[str | None, Option("--base-url", metavar="URL", help="The server to ask.")]
Budget = Annotated[float | None, Option("--budget", metavar="USD", min=0, help="Spend at most this much.")]
Output = Annotated[Path | None, Option("-o", "--output", metavar="FILE", help="Write to FILE.")]


@dataclass
class Session:
    """The global options of one call. Results go to stdout, everything else to stderr."""

    wiki: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def config(self, **flags: Any) -> Config:
        """The wiki's configuration; `flags` are dotted keys with `__` for the dot."""
        root = self.wiki if self.wiki is not None else find_wiki(Path.cwd())
        return load_config(root, {key.replace("__", "."): value for key, value in flags.items()})

    def open_wiki(self, *, warn: bool = False, **flags: Any) -> Wiki:
        """The wiki; `warn` prints what is wrong with its pages as a whole."""
        wiki = Wiki.open(self.config(**flags))
        for warning in wiki.warnings if warn else ():
            self.warn(warning)
        return wiki

    def document(self, data: Mapping[str, Any]) -> None:
        """Print one JSON document on stdout."""
        sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=None if not sys.stdout.isatty() else 1) + "\n")

    def say(self, line: str) -> None:
        """Print a line of the result: on stdout, or on stderr under --json."""
        if not self.quiet:
            print(escaped(line), file=sys.stderr if self.json else sys.stdout)

    def warn(self, line: str) -> None:
        """Print a warning."""
        print(escaped(f"warning: {line}"), file=sys.stderr)

    def note(self, line: str) -> None:
        """Print a line about the result, which --quiet leaves out."""
        if not self.quiet:
            print(escaped(line), file=sys.stderr)

    def write(self, text: str, output: Path | None, what: str = "") -> None:
        """Print `text` or, with `output`, write it to that file; `what` it is, for the note."""
        if output is None:
            print(text, end="")
        else:
            write_text_atomically(output, text)
            self.note(f"wrote {what} to {output}" if what else f"wrote {output}")


def first_few(items: Sequence[str], limit: int = 5) -> str:
    """The first items, and how many more there are."""
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "")


def compact(fields: Sequence[str]) -> str:
    """Field names on one line: `ratings.novelty, ratings.rigor` as `ratings (novelty, rigor)`."""
    ratings = [name.removeprefix("ratings.") for name in fields if name.startswith("ratings.")]
    others = [name for name in fields if not name.startswith("ratings.")]
    return ", ".join([*others, *([f"ratings ({', '.join(ratings)})"] if ratings else [])])
