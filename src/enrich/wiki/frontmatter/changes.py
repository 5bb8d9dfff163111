"""What a caller asks to be changed: checked, reduced to plain Python values, and arranged as a tree of keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, TypeAlias

from enrich.wiki.frontmatter.refusal import EditRefused

Value: TypeAlias = "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"


class _Delete(Enum):
    DELETE = "DELETE"

    def __repr__(self) -> str:
        return "DELETE"


DELETE: Final = _Delete.DELETE
"""As a change: take this key away, with its lines."""

Path: TypeAlias = tuple[str, ...]
Change: TypeAlias = "Value | _Delete"
Changes: TypeAlias = Mapping[Path, Change]

_MAX_DEPTH = 50  # far beyond any frontmatter; keeps a hostile value from exhausting the stack


class Branch(dict[str, Any]):
    """Changes below one mapping: key -> plain value, or `Branch` for changes further down. A plain `dict` is a value."""


def checked(changes: Changes) -> dict[Path, Any]:
    """The changes with plain values only: `str`, `int`, `float`, `bool`, `None`, `list` and `dict` with text keys, and `DELETE`.

    Raises `EditRefused` for an empty path, for two changes of which one lies inside the other, and for values that no YAML text can carry
    (not a number, infinite, a lone surrogate, another type).
    """
    plain: dict[Path, Any] = {}
    for path, change in changes.items():
        name = ".".join(map(str, path))
        if not path or not all(isinstance(key, str) for key in path):
            raise EditRefused(f"{path!r} names no key")
        for key in path:
            _text(key, name)
        plain[path] = DELETE if change is DELETE else _plain(change, name, 0)
    for path in plain:
        for length in range(1, len(path)):
            if path[:length] in plain:
                raise EditRefused(f"two changes contradict each other: {'.'.join(path[:length])} and {'.'.join(path)}")
    return plain


def tree(changes: Mapping[Path, Any]) -> Branch:
    """Changes by path as a tree, in the caller's order."""
    root = Branch()
    for path, value in changes.items():
        branch = root
        for key in path[:-1]:
            branch = branch.setdefault(key, Branch())
        branch[path[-1]] = value
    return root


def grown(change: Any) -> Any:
    """The value that a change gives where nothing stands yet: changes further down become mappings."""
    return {key: grown(value) for key, value in change.items()} if isinstance(change, Branch) else change


def applied(data: dict[Any, Any], changes: Mapping[Path, Any]) -> dict[Any, Any]:
    """The data of a frontmatter after the changes, as every reader should then read it. The argument is left as it is."""
    result = dict(data)
    for path, value in changes.items():
        place = result
        for key in path[:-1]:
            below = place.get(key)
            if not isinstance(below, dict):
                if value is DELETE:
                    break
                below = {}
            place[key] = place = dict(below)
        else:
            if value is DELETE:
                place.pop(path[-1], None)
            else:
                place[path[-1]] = value
    return result


def _plain(value: Any, name: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise EditRefused(f"the value for {name} is nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, name)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EditRefused(f"the value for {name} is {float(value)}, which is no number to write down")
        return float(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise EditRefused(f"the value for {name} has a key that is no text")
        return {_text(key, name): _plain(below, name, depth + 1) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below, name, depth + 1) for below in value]
    raise EditRefused(f"the value for {name} is of type {type(value).__name__}, which has no YAML form here")


def _text(value: str, name: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        # libyaml refuses "\ud800" in any spelling, so no escape would read the same everywhere.
        raise EditRefused(f"the text for {name!a} holds half a surrogate pair, which no YAML reader accepts") from None
    return str.__str__(value)
