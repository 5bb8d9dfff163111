"""The entry point: global options in any position, the commands, and the one place that maps errors to exit codes."""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup
from typer.exceptions import Abort, TyperException

import enrich
from enrich.errors import EnrichError, ServiceError, UserError
from enrich.text import JSON_ESCAPES, escaped, json_text

# Command: (its module, its line in `enrich --help`). Only the module of the invoked command is imported.
COMMANDS = {
    "init": ("wiki", "Start a wiki: enrich.toml, prompts, git files."),
    "doctor": ("wiki", "Find what is wrong with the set-up; ask what the server can do."),
    "plan": ("runs", "Show what is due, why, and at what cost."),
    "run": ("runs", "The batch job: ask what is due and leave proposals."),
    "page": ("page", "One page on demand: status card, findings and diff."),
    "diff": ("review", "Show the proposed changes."),
    "review": ("review", "Decide field by field, in the terminal or the browser."),
    "accept": ("review", "Accept proposed fields."),
    "reject": ("review", "Reject proposed fields."),
    "apply": ("review", "Write accepted fields to their pages."),
    "adopt": ("review", "Take over values that are on pages."),
    "rank": ("ranking", "Importance by ranking: show, ask, insert."),
    "build": ("wiki", "Build all records into database.json."),
    "show": ("page", "Show the Page Status card of a page."),
    "site": ("wiki", "All pages as a report in one folder of static HTML."),
    "check": ("wiki", "Check frontmatter, insights and writing rules."),
    "eval": ("evaluation", "Measure how good the answers are."),
    "cache": ("wiki", "Show or clean stored answers and runs."),
}
_FLAGS = {"--trust-code", "--json", "-q", "--quiet", "-v", "--verbose", "--version"}


class _Commands(TyperGroup):
    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # names only, for the list and for suggestions

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"enrich.cli.{COMMANDS[cmd_name][0]}")
        return typer.main.get_group(module.app).commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


app = typer.Typer(
    name="enrich",
    cls=_Commands,
    help="LLM-assisted enrichment of wiki pages that people trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Global options can be written before or after the command.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"enrich {enrich.__version__}")
        raise typer.Exit


@app.callback()
def _global(
    wiki: Annotated[
        Path | None, typer.Option("--wiki", help="The wiki's folder (default: the nearest parent folder with an enrich.toml).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print results and errors only.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print more: every page, every note.")] = False,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run the code in the wiki's stages.py (or set ENRICH_TRUST_CODE=1).")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    from enrich.cli.session import session  # with pydantic and the wiki behind it: not for `enrich --help`
    from enrich.config import TRUST_CODE

    del version
    if trust_code:
        os.environ[TRUST_CODE] = "1"
    session.begin(wiki=wiki, json=as_json, quiet=quiet, verbose=verbose)


def in_front(arguments: list[str]) -> list[str]:
    """The arguments with the global options moved before the command; what follows `--` is unchanged."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += ["--", *waiting]
        elif argument in _FLAGS or argument.startswith("--wiki="):
            front.append(argument)
        elif argument == "--wiki":
            front += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        else:
            rest.append(argument)
    return front + rest


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its exit code."""
    # Reference cycles are rare here, and imports make many objects that stay: by default, collections would go through all of them often.
    gc.set_threshold(20_000, 20, 100)
    given = in_front(sys.argv[1:] if arguments is None else arguments)
    _prepare_output()
    stdout = sys.stdout
    try:
        code = app(given, standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, EnrichError, TyperException, Abort) as error:
        code = _report(error, given)
    except BrokenPipeError:
        code = _discard(stdout)
    except SystemExit:
        if sys.stdout is stdout:
            raise
        code = _discard(stdout)  # typer replaces stdout after a broken pipe and would exit with 1
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        # Our own files are written elsewhere, with their own errors: this is the file that stdout was redirected to.
        _discard(stdout)
        full = UserError("the output cannot be written: the disk is full", where="stdout", do="free some space, then run again")
        code = _report(full, [])
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: BaseException, given: list[str]) -> int:
    """Print an error as one line or, under --json, as a document; return the exit code."""
    if isinstance(error, Abort | KeyboardInterrupt):
        return 130
    if isinstance(error, TyperException):
        message = error.format_message()
        if not given or "\n" in message:
            print(message)  # no arguments: the message is the help
            return 2
        error = UserError(message, do="see `enrich --help`", exit_code=2)
    elif not isinstance(error, UserError):
        error = UserError(str(error), do=error.do if isinstance(error, ServiceError) else "")
    if "--json" in given:
        print(json_text({"error": {"message": error.what, "where": error.where, "do": error.do}}))
    else:
        print("error: " + " ".join(escaped(error.line).split()), file=sys.stderr)
    return error.exit_code


def _prepare_output() -> None:
    """Make printing safe: a closed stream is replaced, characters that stdout's encoding cannot write become `\\uXXXX`."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=JSON_ESCAPES)  # as JSON writes them, so that a document under --json stays valid


def _discard(stdout: TextIO) -> int:
    """Drop the rest of the output: its reader has closed the pipe (`enrich diff | head`), which is not an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
    sys.stdout = stdout
    return 0
