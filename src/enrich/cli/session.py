"""What every command shares: the global options, the opened wiki, and printing that no page text can take over."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enrich.text import escaped

if TYPE_CHECKING:
    from rich.console import Console

    from enrich.config import Config
    from enrich.wiki.wiki import Wiki


@dataclass
class Session:
    """The global options of one call. `out` is stdout, everything that is not the result goes to `err`."""

    wiki: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    flags: dict[str, Any] = field(default_factory=dict)

    def config(self, **flags: Any) -> Config:
        """The wiki's configuration; `flags` are dotted keys with `__` for the dot."""
        from enrich.config import find_wiki, load_config

        root = self.wiki if self.wiki is not None else find_wiki(Path.cwd())
        return load_config(root, {**self.flags, **{key.replace("__", "."): value for key, value in flags.items()}})

    def workspace(self, **flags: Any) -> Wiki:
        """The wiki, opened; its warnings are printed."""
        from enrich.wiki.wiki import Wiki

        workspace = Wiki.open(self.config(**flags))
        for warning in workspace.warnings:
            self.warn(warning)
        return workspace

    @property
    def out(self) -> Console:
        from rich.console import Console

        class Pipe(Console):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # rich would exit with 1; `main` knows that a reader who went away is no error

        # Not on a terminal: plain lines, as wide as they come, for pipes and logs.
        return Pipe(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty(), emoji=False, markup=False)

    @property
    def err(self) -> Console:
        from rich.console import Console

        return Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty(), emoji=False, markup=False)

    def document(self, data: Mapping[str, Any]) -> None:
        """Print one JSON document on stdout."""
        sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=None if not sys.stdout.isatty() else 1) + "\n")

    def say(self, line: str = "") -> None:
        """A line of the result: stdout, or stderr under --json."""
        if not self.quiet or not line:
            print(escaped(line), file=sys.stderr if self.json else sys.stdout)

    def warn(self, line: str) -> None:
        """A line beside the result."""
        print(escaped(f"warning: {line}"), file=sys.stderr)

    def note(self, line: str) -> None:
        if not self.quiet:
            print(escaped(line), file=sys.stderr)
