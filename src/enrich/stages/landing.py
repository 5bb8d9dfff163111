"""How values land in the frontmatter, and when two values are the same.

A value is *missing* if it is not there, null, "" or [] (DESIGN.md section 3.2). Numbers are compared by value (4 = 4.0), `\\$` and `$` are
the same text: the file of an MDX page holds `\\$`, everything inside the product holds `$` (DESIGN.md section 4.1, `escape_dollar`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from enrich.llm.keys import canonical_hash

QUALITY = "quality"
_BARE_DOLLAR = re.compile(r"(?<!\\)\$")


def is_missing(value: Any) -> bool:
    return value is None or value == "" or value == []


def canonical(value: Any) -> Any:
    """The value as it is compared and hashed: missing as None, whole floats as ints, `\\$` as `$`, inside lists and mappings too."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value.replace("\\$", "$")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(inner) for inner in value]
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two field values say the same; True and 1 do not."""
    # Texts and numbers are nearly all of them, and need no hash.
    if type(one) is str and type(other) is str:
        return one.replace("\\$", "$") == other.replace("\\$", "$")
    if type(one) in (int, float) and type(other) in (int, float):
        return bool(one == other)
    return canonical_hash(canonical(one)) == canonical_hash(canonical(other))


def value_hash(value: Any) -> str:
    """The hash of one field's value that the lock keeps: 16 hex digits of sha256 over the canonical value."""
    return canonical_hash(canonical(value))[:16]


def as_written(value: Any, *, escape_dollar: bool) -> Any:
    """The value as the file holds it."""
    if isinstance(value, str):
        return _BARE_DOLLAR.sub(r"\\$", value) if escape_dollar else value
    if isinstance(value, Mapping):
        return {key: as_written(inner, escape_dollar=escape_dollar) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_written(inner, escape_dollar=escape_dollar) for inner in value]
    return value


def standing(frontmatter: Mapping[str, Any], field: str) -> Any:
    """The value of a field on the page, `ratings.rigor` meaning the key `rigor` under `ratings`; None where there is none."""
    value: Any = frontmatter
    for part in field.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def key_path(field: str) -> tuple[str, ...]:
    """The frontmatter keys that lead to a field."""
    return tuple(field.split("."))
