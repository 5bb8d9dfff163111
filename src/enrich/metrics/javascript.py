"""JavaScript's rules for whitespace, numbers and truth.

The reference build is a JavaScript program. Where its results depend on the language, the rule is implemented here.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import regex

# `\s` of JavaScript. Python's `\s` also matches U+001C-1F and U+0085, and does not match U+FEFF.
SPACES = "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
S = r"\t\n\x0b\x0c\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"  # the same, for use inside a character class
_TOKEN = regex.compile(rf"[^{S}]+")
_PYTHON_DIFFERS = regex.compile(r"[\x1c-\x1f\x85\ufeff]")


def js_round(value: float) -> int:
    """The nearest integer, halves rounded up (`Math.round`). Python rounds halves to even."""
    return math.floor(value + 0.5)


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


def is_falsy(value: Any) -> bool:
    """Whether the value is missing, null, "", 0, false or NaN. An empty list or mapping is not falsy."""
    return value is None or value is False or (isinstance(value, (str, int, float)) and (not value or value != value))


def count_tokens(text: str) -> int:
    """The number of runs of characters that are not JavaScript whitespace."""
    return len(_TOKEN.findall(text)) if _PYTHON_DIFFERS.search(text) else len(text.split())


def strip(text: str) -> str:
    """The text without JavaScript whitespace at both ends (`trim`)."""
    return text.strip(SPACES)


def line_breaks(text: str) -> str:
    """The LF-normalised text with U+2028 and U+2029 as LF: JavaScript's `^`, `$` and `.` treat them as line ends."""
    if "\u2028" in text or "\u2029" in text:
        return text.replace("\u2028", "\n").replace("\u2029", "\n")
    return text
