"""The self-check: an edited frontmatter is read again, under the rules of YAML 1.1 and 1.2, before it is returned.

Both readings must be equal, type by type, to the old data plus the edit. A YAML 1.1 reader may read an untouched value in an odd way (a
date, a number in base 60, `yes`); that reading only has to stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.cuts import Path, applied
from enrich.wiki.frontmatter.spans import EditRefused

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Unreadable(NamedTuple):
    """A value that a YAML 1.1 reader cannot construct, such as the date 2026-02-30."""

    tag: str
    text: str


class _Loader11(_Base):  # type: ignore[misc]
    pass


def _tolerant(loader: Any, node: yaml.Node) -> Any:
    construct = yaml.SafeLoader.yaml_constructors.get(node.tag)
    try:
        if construct is not None:
            return construct(loader, node)
    except (ValueError, OverflowError, KeyError, AttributeError, yaml.YAMLError):
        pass
    return _Unreadable(node.tag, str(node.value))


for _name in ("bool", "int", "float", "timestamp", "binary", "value", "merge"):
    _Loader11.add_constructor(f"tag:yaml.org,2002:{_name}", _tolerant)


class Readings(NamedTuple):
    """The data of one frontmatter as YAML 1.1 and as YAML 1.2 readers read it."""

    old_style: dict[Any, Any]
    core: dict[Any, Any]


def read(text: str) -> Readings:
    """Both readings of a frontmatter ({} if it has no value). Raises `EditRefused`, its line counted in `text`."""
    try:
        core = yaml12.load(text)
    except yaml12.YamlError as error:
        raise EditRefused(f"broken YAML: {error.reason}", error.line) from None
    try:
        old_style = yaml.load(text, Loader=_Loader11)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = yaml12.problem_of(error)
        raise EditRefused(f"YAML 1.1 readers cannot read it: {problem.reason}", problem.line) from None
    if core is None and old_style is None:
        return Readings({}, {})
    if not isinstance(core, dict) or not isinstance(old_style, dict):
        raise EditRefused("the frontmatter is not a mapping of keys to values", 1)
    return Readings(old_style, core)


def check(old: Readings, changes: Mapping[Path, Any], new_text: str) -> None:
    """Raise `EditRefused` unless both readings of `new_text` are the old data plus the changes."""
    try:
        new = read(new_text)
    except EditRefused as error:
        raise EditRefused(f"self-check: the edited frontmatter cannot be read ({error.reason})") from None
    for rules, before, after in (("1.1", old.old_style, new.old_style), ("1.2", old.core, new.core)):
        wanted = applied(before, changes)
        if not same(wanted, after):
            keys = [str(key) for key in {**wanted, **after} if key not in wanted or key not in after or not same(wanted[key], after[key])]
            where = f" ({', '.join(keys[:3])})" if keys else ""
            raise EditRefused(f"self-check: under YAML {rules} rules the edited frontmatter does not read as intended{where}")


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal type by type: 4 is not 4.0, True is not 1, 0.0 is not -0.0, NaN equals itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        keys, others = ({(type(key), key) for key in each} for each in (one, other))
        return keys == others and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return (one == other and math.copysign(1, one) == math.copysign(1, other)) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)
