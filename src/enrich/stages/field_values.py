"""Field values on a page: reading the current one, comparing two, and the form in which they are written.

A value is *missing* if it is absent, null, "" or [] (DESIGN.md section 3.2). Numbers are compared by value (4 = 4.0). `\\$` and `$` are the
same text: the file of an MDX page has `\\$`, everything inside the program has `$` (DESIGN.md section 4.1, `escape_dollar`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from enrich.llm.keys import canonical_hash

_BARE_DOLLAR = re.compile(r"(?<!\\)\$")


def current_value(frontmatter: Mapping[str, Any], field: str) -> Any:
    """The value of a field on the page, `ratings.rigor` meaning the key `rigor` under `ratings`; None if there is none."""
    value: Any = frontmatter
    for part in key_path(field):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def key_path(field: str) -> tuple[str, ...]:
    """The frontmatter keys that lead to a field."""
    return tuple(field.split("."))


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
    """Whether two field values are equal; True and 1 are not."""
    return canonical_hash(canonical(one)) == canonical_hash(canonical(other))


def within(old: Any, new: Any, noise: float) -> bool:
    """Whether both are numbers less than `noise` apart."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
    # Decimals are compared as they are written: 4.5 and 4.8 are 0.3 apart, not 0.2999….
    return numbers and round(abs(old - new), 6) < noise


def value_hash(value: Any) -> str:
    """The hash of one field's value that the lock has: 16 hex digits of sha256 over the canonical value."""
    return canonical_hash(canonical(value))[:16]


def as_written(value: Any, *, escape_dollar: bool) -> Any:
    """The value as the file has it."""
    if isinstance(value, str):
        return _BARE_DOLLAR.sub(r"\\$", value) if escape_dollar else value
    if isinstance(value, Mapping):
        return {key: as_written(inner, escape_dollar=escape_dollar) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_written(inner, escape_dollar=escape_dollar) for inner in value]
    return value
