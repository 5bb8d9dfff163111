"""`edit`: a page's text with some frontmatter keys changed, and every other byte as it was.

```python
edit(text, {("llmSummary",): "Two methods agree.", ("ratings", "novelty"): 4.5})
```
The edited frontmatter is read again, under the rules of YAML 1.1 and 1.2, before it is returned. Both readings must be equal, type by type, to
the old data plus the edit. A YAML 1.1 reader may read an untouched value in an odd way (a date, a number in base 60, `yes`); that reading only
has to stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import yaml

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.cuts import Cutter, Path, applied, carried_out
from enrich.wiki.frontmatter.spans import BOM, EditRefused, Fences, find_fences, no_fences, parse

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


Value: TypeAlias = "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"
Changes: TypeAlias = Mapping[Path, Value]

# FIELDS.md section 15, with `insights` after `llmSummary`.
KEY_ORDER: tuple[str, ...] = (
    *("numericId", "title", "description", "sidebar", "entityType", "subcategory", "pageType", "contentFormat", "pageTemplate"),
    *("draft", "fullWidth", "quality", "maturity", "readerImportance", "researchImportance", "tacticalValue", "tractability"),
    *("neglectedness", "uncertainty", "causalLevel", "lastEdited", "lastUpdated", "createdAt", "update_frequency", "evergreen"),
    *("llmSummary", "insights", "ratings", "clusters", "roles", "todos", "balanceFlags", "seeAlso", "todo", "entityId", "template"),
    *("hero", "tableOfContents", "editUrl", "head", "prev", "next", "banner"),
)
_MAX_DEPTH = 50  # a value nested deeper would exhaust the stack
_ABSENT = object()


def edit(text: str, changes: Changes, *, order: Sequence[str] = KEY_ORDER) -> str:
    """The text of a page after the changes. Nothing outside the changed keys differs, and a second time changes nothing.

    `text` is the whole page as decoded, with its byte-order mark and line breaks. `changes` maps paths (`("ratings", "novelty")`) to
    values; missing parents are created. A value that is on the page already, under YAML 1.1 and 1.2 rules alike, keeps its spelling. New
    keys of the root take their place by `order`; new keys further down follow the last one. Added lines end as most lines of the page do.

    Raises `EditRefused` if the frontmatter is too complex to be edited safely, if a value cannot be written, and whenever the result does
    not read back as intended.
    """
    plain = _checked(changes)
    start = 1 if text.startswith(BOM) else 0
    fences = find_fences(text, start)
    if fences is None:
        raise EditRefused(no_fences(text, start)[1], 1)
    head = text[fences.head : fences.end]
    try:
        new = _edit_head(head, plain, order, _newline(text, fences))
    except EditRefused as error:
        raise EditRefused(error.reason, error.line + 1 if error.line else 0) from None
    if new == head:
        return text
    result = text[: fences.head] + new + text[fences.end :]
    grown = len(new) - len(head)
    if find_fences(result, start) != Fences(fences.head, fences.end + grown, fences.body + grown):
        raise EditRefused("self-check: the frontmatter of the edited page would end elsewhere")
    return result


def edit_bytes(raw: bytes, changes: Changes, *, order: Sequence[str] = KEY_ORDER) -> bytes:
    """`edit` for the bytes of a page file, which must be UTF-8."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EditRefused(f"not UTF-8 (byte 0x{raw[error.start]:02x})", raw.count(b"\n", 0, error.start) + 1) from None
    return edit(text, changes, order=order).encode("utf-8")


def _newline(text: str, fences: Fences) -> str:
    """How most lines of the page end; of two equally frequent ways, that of the opening fence."""
    crlf = text.count("\r\n")
    counts = {"\n": text.count("\n") - crlf, "\r\n": crlf, "\r": text.count("\r") - crlf}
    opening = next(ending for ending in ("\r\n", "\n", "\r") if text.endswith(ending, 0, fences.head))
    return max(counts, key=lambda ending: (counts[ending], ending == opening))


def _edit_head(head: str, changes: Mapping[Path, Any], order: Sequence[str], newline: str) -> str:
    tree = parse(head)
    old = read(head)
    if tree.root is not None and tree.root.kind != "mapping":
        raise EditRefused("the frontmatter is not a mapping of keys to values", 1)
    due = {path: value for path, value in changes.items() if not all(same(_at(data, path), value) for data in old)}
    if not due:
        return head
    cutter = Cutter(tree, newline, order)
    cutter.change(due)
    new = carried_out(head, cutter.cuts)
    check(old, due, new)
    return new


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key, _ABSENT) if isinstance(data, dict) else _ABSENT
    return data


def _checked(changes: Changes) -> dict[Path, Any]:
    """The changes with plain values only: `str`, `int`, `float`, `bool`, `None`, `list`, and `dict` with text keys.

    Raises `EditRefused` for an empty path, for two changes of which one is inside the other, and for values that no YAML text can hold
    (not a number, infinite, a lone surrogate, another type).
    """
    plain: dict[Path, Any] = {}
    for path, change in changes.items():
        name = ".".join(map(str, path))
        if not path or not all(isinstance(key, str) for key in path):
            raise EditRefused(f"{path!r} is not the path of a key")
        for key in path:
            _text(key, name)
        plain[path] = _plain(change, name, 0)
    for path in plain:
        for length in range(1, len(path)):
            if path[:length] in plain:
                raise EditRefused(f"two changes contradict each other: {'.'.join(path[:length])} and {'.'.join(path)}")
    return plain


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
            raise EditRefused(f"the value for {name} is {float(value)}, not a finite number")
        return float(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise EditRefused(f"the value for {name} has a key that is not text")
        return {_text(key, name): _plain(below, name, depth + 1) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below, name, depth + 1) for below in value]
    raise EditRefused(f"the value for {name} is of type {type(value).__name__}, which cannot be written as YAML here")


def _text(value: str, name: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        # libyaml refuses "\ud800" in any spelling, so no escape reads the same everywhere.
        raise EditRefused(f"the text for {name!a} has half of a surrogate pair, which no YAML reader accepts") from None
    return str.__str__(value)
