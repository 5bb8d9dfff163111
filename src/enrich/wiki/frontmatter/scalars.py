"""How values are written: YAML 1.1 and 1.2 readers, and tools that only look for `---`, see the same (DESIGN.md sections 4.4, 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
# C0, DEL, C1 (with U+0085), line and paragraph separator, byte-order mark, and the two that are no characters.
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
# Words that one YAML or another reads as something else than text (https://yaml.org/type/bool.html, null.html).
_TAKEN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True, slots=True)
class Indents:
    """How far a list and a mapping stand in from the key they belong to."""

    sequence: int = 2
    mapping: int = 2


def quoted(text: str) -> str:
    """The text double-quoted on one line.

    `---` is written `--\\x2d`, since tools that cut frontmatter at the first `---` would cut there; line breaks of any kind, control
    characters and byte-order marks are escaped; emoji stay.
    """
    body = _ESCAPED.sub(_escape, text).replace("---", "--\\x2d")
    return f'"{body}"'


def key_text(key: str, *, quote: bool = False) -> str:
    """A key as it stands before its colon: plain where that is safe."""
    return quoted(key) if quote or not _KEY.fullmatch(key) or key.lower() in _TAKEN else key


def scalar(value: Any, *, inner: bool = False) -> str:
    """One value without parts; `inner` ones, in a list or mapping, are written plain where they are one lower-case word (`neglected`)."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return value if inner and _WORD.fullmatch(value) and value not in _TAKEN else quoted(value)
    if isinstance(value, float):
        return _float(value)
    return str(value)


def in_flow(value: Any, *, inner: bool = False) -> str:
    """A value on one line, in flow style where it has parts."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key_text(key)}: {in_flow(below, inner=True)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(in_flow(below, inner=True) for below in value) + "]"
    return scalar(value, inner=inner)


def is_block(value: Any) -> bool:
    """Whether a value takes lines of its own below its key: a list or mapping that is not empty."""
    return isinstance(value, list | dict) and bool(value)


def is_flat(value: Any) -> bool:
    """Whether a value is a list or mapping whose parts have no parts."""
    parts = value.values() if isinstance(value, dict) else value
    return not any(isinstance(part, list | dict) for part in parts)


def in_block(value: Any, column: int, indents: Indents) -> list[str]:
    """The lines, without line breaks, of a list or mapping that is not empty, its first character at `column`."""
    margin = " " * column
    lines: list[str] = []
    if isinstance(value, dict):
        for key, below in value.items():
            lines += [margin + line for line in entry(key, below, indents, inner=True)]
        return lines
    for below in value:
        if is_block(below):
            first, *rest = in_block(below, column + 2, indents)
            lines += [f"{margin}- {first[column + 2 :]}", *rest]
        else:
            lines.append(f"{margin}- {in_flow(below, inner=True)}")
    return lines


def entry(key: str, value: Any, indents: Indents, *, inner: bool = False) -> list[str]:
    """The lines of a key and its value, the key at column 0."""
    if not is_block(value):
        return [f"{key_text(key)}: {in_flow(value, inner=inner)}"]
    column = indents.mapping if isinstance(value, dict) else indents.sequence
    return [f"{key_text(key)}:", *in_block(value, column, indents)]


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _float(value: float) -> str:
    # YAML 1.1 wants a point before the exponent: `1e-05` would be text to it.
    text = repr(value)
    mantissa, exponent, power = text.partition("e")
    return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else text
