"""The entry point: global options in any place, commands, and the one place that maps errors to exit codes."""

from __future__ import annotations

import codecs
import errno
import gc
import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.exceptions import Abort, TyperException

import enrich
from enrich.cli import card, checks, diff, evaluation, records, review, runs, store, wiki
from enrich.cli.session import Session
from enrich.errors import EnrichError, ServiceError, UserError
from enrich.text import escaped

app = typer.Typer(
    name="enrich",
    help="LLM-assisted enrichment of wiki pages that people trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="The global options may stand before or after the command.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"enrich {enrich.__version__}")
        raise typer.Exit


@app.callback()
def _global(
    ctx: typer.Context,
    wiki: Annotated[
        Path | None, typer.Option("--wiki", help="The wiki's folder (default: the nearest parent folder with an enrich.toml).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print results and errors only.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print more: every page, every note.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    del version
    ctx.obj = Session(wiki=wiki, json=as_json, quiet=quiet, verbose=verbose)


for module in (wiki, runs, diff, review, records, card, checks, evaluation, store):
    module.register(app)


_FLAGS = {"--json", "-q", "--quiet", "-v", "--verbose", "--version"}


def in_front(arguments: list[str]) -> list[str]:
    """The arguments with the global options moved before the command; what follows `--` stays."""
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


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    # As JSON writes it, so that a document under --json stays one.
    return "".join(json.dumps(char)[1:-1] for char in error.object[error.start : error.end]), error.end


def _print_anywhere() -> None:
    """What stdout's encoding cannot write (PYTHONIOENCODING=ascii, a Latin-1 terminal, a file name that is no text) shows as `\\uXXXX`."""
    codecs.register_error("enrich-escaped", _escaped)
    # Closed by the caller (`>&-`): nobody wants to read it.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="enrich-escaped")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the codes of DESIGN.md section 4.2."""
    # Cycles are rare here, and imports make many objects that stay: without this, collections go through all of them again and again.
    gc.set_threshold(20_000, 20, 100)
    given = in_front(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    _print_anywhere()
    stdout = sys.stdout
    try:
        code = app(given, standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        # Wrong usage; without any argument the message is the help itself.
        message = error.format_message()
        code = _failed(message, "", "see `enrich --help`", as_json, 2) if given and "\n" not in message else _helped(message)
    except (Abort, KeyboardInterrupt):
        code = 130
    except UserError as error:
        code = _failed(error.what, error.where, error.do, as_json, error.exit_code)
    except ServiceError as error:
        code = _failed(str(error), "", error.do, as_json, 1)
    except EnrichError as error:
        code = _failed(str(error), "", "", as_json, 1)
    except BrokenPipeError:
        code = _unread(stdout)
    except SystemExit:
        if sys.stdout is stdout:
            raise
        code = _unread(stdout)  # typer puts another stdout there where a pipe broke, and would exit with 1
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        # Our own files are written elsewhere, with errors of their own: this is what stdout was sent to.
        _unread(stdout)
        code = _failed("the output cannot be written: no room left on the disk", "stdout", "make room, then run again", False, 1)
    sys.exit(code if isinstance(code, int) else 0)


def _unread(stdout: TextIO) -> int:
    """The reader of our output went away (`enrich diff | head`), no fault of anybody's: drop the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
    sys.stdout = stdout
    return 0


def _helped(text: str) -> int:
    print(text)
    return 2


def _failed(what: str, where: str, do: str, as_json: bool, code: int) -> int:
    if as_json:
        document: dict[str, Any] = {"error": {"message": what, "where": where, "do": do}}
        print(json.dumps(document, ensure_ascii=False))
    else:
        print("error: " + " ".join(escaped(UserError(what, where=where, do=do).line).split()), file=sys.stderr)
    return code
