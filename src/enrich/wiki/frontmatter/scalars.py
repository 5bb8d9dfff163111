"""How values are written, so that YAML 1.1 and 1.2 readers, and tools that only look for `---`, read the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
# C0, DEL, C1 (with U+0085), line and paragraph separator, byte-order mark, and two noncharacters.
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
# Words that one YAML version or another does not read as text (https://yaml.org/type/bool.html, null.html).
_TAKEN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_CONSTANTS = {None: "null", True: "true", False: "false"}


@dataclass(frozen=True, slots=True)
class Indents:
    """How far a list and a mapping are indented relative to their key."""

    sequence: int = 2
    mapping: int = 2


def quoted(text: str) -> str:
    """The text double-quoted on one line.

    Line breaks of any kind, control characters and byte-order marks are escaped. `---` is written `--\\x2d`, because some tools cut
    frontmatter at the first `---`.
    """
    body = _ESCAPED.sub(_escape, text).replace("---", "--\\x2d")
    return f'"{body}"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _SHORT.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def key_text(key: str, *, quote: bool = False) -> str:
    """A key as it is written before its colon: without quotes where that is safe."""
    return quoted(key) if quote or not _KEY.fullmatch(key) or key.lower() in _TAKEN else key


def in_flow(value: Any, *, inner: bool = False) -> str:
    """A value on one line. Texts inside a list or mapping (`inner`) that are one lower-case word have no quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key_text(key)}: {in_flow(below, inner=True)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(in_flow(below, inner=True) for below in value) + "]"
    if isinstance(value, str):
        return value if inner and _WORD.fullmatch(value) and value not in _TAKEN else quoted(value)
    if isinstance(value, float):
        # YAML 1.1 needs a point before the exponent: it reads `1e-05` as text.
        mantissa, exponent, power = repr(value).partition("e")
        return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else repr(value)
    return _CONSTANTS[value] if value is None or isinstance(value, bool) else str(value)


def is_block(value: Any) -> bool:
    """Whether a value is written on lines below its key: a list or mapping that is not empty."""
    return isinstance(value, list | dict) and bool(value)


def is_flat(value: Any) -> bool:
    """Whether a list or mapping contains no list and no mapping."""
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
