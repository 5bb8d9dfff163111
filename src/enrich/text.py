"""Text that is safe to show: on a terminal, on one line, in Markdown, in a GitHub annotation; numbers with their nouns.

HTML is escaped by the templates of the HTML kit.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

# Joiners are part of emoji and of Persian and Indic words. Every other format character only hides or reverses text.
_JOINERS = "\u200c\u200d"
_SPACES = "\n\t\u00a0\u202f\u2009\u3000"
MOST_DIGITS = 300
"""Of an integer in a file: a larger one is not a floating-point number, so computing with it raises an error."""


def printable(text: str, limit: int | None = None) -> str:
    """`text` on one line that is safe on a terminal: white space as spaces, control and format characters as escapes (`\\x1b`, `\\u202e`).

    With a `limit`, runs of white space are one space and longer text is cut to that many characters and an ellipsis.

    >>> printable("a\\u202eb\\nc"), printable("one  two three", 8)
    ('a\\\\u202eb c', 'one two…')
    """
    if limit is not None:
        text = " ".join(text.split())
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_on_one_line, text))
    return text if limit is None or len(text) <= limit else text[: limit - 1].rstrip() + "…"


def escaped(text: str) -> str:
    """`text` with control and format characters as escapes, so that a reviewer sees them; line breaks and tabs are kept.

    Lone surrogates are escaped too: the result can be written as UTF-8.

    >>> escaped("a\\u202eb\\x1b[2J")
    'a\\\\u202eb\\\\x1b[2J'
    """
    return text if text.isprintable() else "".join(map(_in_text, text))


@lru_cache(4096)
def _on_one_line(char: str) -> str:
    return " " if char.isspace() and char not in "\x1c\x1d\x1e\x1f" else char if char in _JOINERS else _in_text(char)


@lru_cache(4096)
def _in_text(char: str) -> str:
    if char.isprintable() or char in _JOINERS or char in _SPACES:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


JSON_ESCAPES = "enrich-escaped"
"""The name of an error handler of `str.encode`: characters that cannot be encoded, such as lone surrogates, are written as JSON escapes."""


def _json_escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(json.dumps(char)[1:-1] for char in error.object[error.start : error.end]), error.end


codecs.register_error(JSON_ESCAPES, _json_escapes)


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises `ValueError` for what is not JSON, is nested too deeply, or has an integer that nothing can compute with."""
    try:
        return json.loads(text, parse_int=_computable)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _computable(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"an integer of more than {MOST_DIGITS} digits")
    return int(digits)


def json_text(data: Any, *, indent: int | None = None) -> str:
    """`data` as JSON that is safe on a terminal: control and format characters, and lone surrogates, as JSON escapes.

    >>> json_text(["a\u202eb", "\x9b2J", "é"])
    '["a\\\\u202eb", "\\\\u009b2J", "é"]'
    """
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    return text if text.isprintable() else "".join(map(_in_json, text))


@lru_cache(4096)
def _in_json(char: str) -> str:
    return char if char.isprintable() or char in _JOINERS or char in _SPACES else json.dumps(char)[1:-1]


def code_span(text: str) -> str:
    """`text` as one Markdown code span that is also safe in a table cell; "" for empty text.

    >>> code_span("a | b"), code_span("`x`")
    ('`a ¦ b`', '`` `x` ``')
    """
    # A bar ends a table cell even inside code.
    text = " ".join(printable(text).split()).replace("|", "¦")
    if not text:
        return ""
    fence = "`" * (_longest_fence(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def code_block(lines: Sequence[str], language: str = "diff") -> list[str]:
    """`lines` as a Markdown code block whose fence no line can close."""
    fence = "`" * max(3, max(map(_longest_fence, lines), default=0) + 1)
    return [f"{fence}{language}", *lines, fence, ""]


def _longest_fence(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def annotation(command: str, message: str, **properties: str | int) -> str:
    """A workflow command that GitHub shows beside a line of a file.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions: `%` is escaped everywhere, `:` and `,` in properties.

    >>> annotation("error", "100% wrong", file="a,b.md", line=3)
    '::error file=a%2Cb.md,line=3::100%25 wrong'
    """
    data = {name: printable(str(value)).replace("%", "%25").replace(":", "%3A").replace(",", "%2C") for name, value in properties.items()}
    return f"::{command} {','.join(f'{name}={value}' for name, value in data.items())}::{printable(message).replace('%', '%25')}"


def counted(number: int, noun: str) -> str:
    """`number` with its noun in the singular or plural; thousands are separated.

    >>> counted(1, "page"), counted(0, "page"), counted(1200, "request"), counted(2, "batch")
    ('1 page', '0 pages', '1,200 requests', '2 batches')
    """
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('ch') else 's'}"


def number(value: float) -> int | float:
    """The number as JavaScript writes it in JSON: 63.0 becomes 63."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value


def number_text(value: float) -> str:
    """The number as JavaScript text: `7`, `0.5`, `1e-7`."""
    value = number(value)
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f")
    return repr(value).replace("e-0", "e-")


def usd(amount: float | None) -> str:
    """An amount of money with four decimals.

    >>> usd(0.5), usd(None)
    ('$0.5000', 'price unknown')
    """
    return "price unknown" if amount is None else f"${amount:.4f}"


def age(then: str, now: str) -> str:
    """How long ago an ISO time was (`3 hours ago`); the text itself if it is not a time."""
    try:
        seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds()
    except (ValueError, TypeError):
        return then
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{counted(int(seconds // size), unit)} ago"
    return "just now"
