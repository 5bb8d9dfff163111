"""Text made fit to be shown: page and model text safe for a terminal and for one line; numbers with their nouns."""

from __future__ import annotations

import unicodedata

# Joiners belong to emoji and to Persian and Indic words; every other format character only hides or reverses text.
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    """`text` on one line, without characters that could move a cursor, change colours or reverse the reading direction.

    White space becomes a space, anything else that is not for reading U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _JOINERS else _stand_in(char) for char in text)


def _stand_in(char: str) -> str:
    if (char.isspace() and char not in "\x1c\x1d\x1e\x1f") or unicodedata.category(char) in ("Zs", "Zl", "Zp"):
        return " "
    return "\ufffd"


def escaped(text: str) -> str:
    """`text` with the same characters shown as escapes (`\\x1b`, `\\u202e`), so that a reviewer sees that they are there.

    Line breaks and tabs stay. Lone surrogates are escaped too: the result can be written as UTF-8.

    >>> escaped("a\\u202eb\\x1b[2J")
    'a\\\\u202eb\\\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _KEPT else _escape(char) for char in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "page"), counted(0, "page")
    ('1 page', '0 pages')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_KEPT = _JOINERS + "\n\t\u00a0\u202f\u2009\u3000"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
