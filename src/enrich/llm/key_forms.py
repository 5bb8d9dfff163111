"""Whether a text holds the API key, in plain or in an encoding that a reader or a program would undo.

A server that knows the key (it is sent with every request) can put it into an answer as `\\u0073k-…`, `&#115;k-…`, `%73k-…`, in base64, spaced
out or reversed. The text is decoded first; then letters and digits alone are compared, in lower case.
"""

from __future__ import annotations

import base64
import codecs
import html
import re
import unicodedata
from functools import cache

# Encodings in encodings are undone so many times.
_ROUNDS = 4
# Less than this could be a word.
_SHORTEST_FORM = 12
_HEX = "[0-9a-fA-F]"
# It begins with a set of characters, which makes the search fast.
_ESCAPED = re.compile(
    rf"[\\%=U](?:(?<=\\)(?:u\{{?({_HEX}{{4,6}})\}}?|U({_HEX}{{8}})|x({_HEX}{{2}})|([0-7]{{3}})|[nrt])|(?<=[%=])({_HEX}{{2}})|(?<=U)\+({_HEX}{{4,6}}))"
)
_OCTAL = 4
_LOWER = bytes(range(256)).lower()
_NOT_ALPHANUMERIC = bytes(code for code in range(256) if not chr(code).isascii() or not chr(code).isalnum())


def holds_key(text: str, key: str) -> bool:
    """Whether `text` holds `key` in any form.

    >>> holds_key(r"it is \\u0073k-abcdefghijklmnop", "sk-abcdefghijklmnop")
    True
    """
    if key in text:
        return True
    forms = _forms(key)
    for _ in range(_ROUNDS):
        squeezed = _squeezed(text)
        if any(form in squeezed for form in forms):
            return True
        decoded = _ESCAPED.sub(_character, html.unescape(text) if "&" in text else text)
        if decoded == text:
            return False
        text = decoded
    return False


def _squeezed(text: str) -> bytes:
    """The ASCII letters and digits of `text` in lower case."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return plain.encode("ascii", "ignore").translate(_LOWER, _NOT_ALPHANUMERIC)


def _character(match: re.Match[str]) -> str:
    if match.lastindex is None:  # the end of a line, a tab
        return " "
    code = int(match[match.lastindex], 8 if match.lastindex == _OCTAL else 16)
    return chr(code) if code < 0x110000 else match[0]


@cache
def _forms(key: str) -> tuple[bytes, ...]:
    """The squeezed forms of a key."""
    raw = key.encode("utf-8", "replace")
    codes = "".join(str(byte) for byte in raw)
    plain = [key, key[::-1], codecs.encode(key, "rot13"), raw.hex(), codes, base64.b32encode(raw).decode().rstrip("=")]
    # In the middle of other bytes the key can begin at each of three places of a base64 group; only whole characters of its own count.
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode()
        plain.append(whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return tuple(form for form in dict.fromkeys(map(_squeezed, plain)) if len(form) >= _SHORTEST_FORM)
