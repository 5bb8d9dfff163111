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
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import yaml

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.cuts import Cutter, Path, applied, carried_out, same, value_at
from enrich.wiki.frontmatter.spans import BOM, EditRefused, Tree, find_fences, no_fences, other_metadata
from enrich.wiki.frontmatter.toml import edit_toml

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
        old_style = yaml.load(text, Loader=_Loader11)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = error if isinstance(error, yaml12.YamlError) else yaml12.problem_of(error, "YAML 1.1 readers cannot read it")
        raise EditRefused(problem.reason, problem.line) from None
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


def edit(text: str, changes: Changes, *, order: Sequence[str] = KEY_ORDER, add: bool = False) -> str:
    """The text of a page after the changes. Nothing outside the changed keys differs, and a second time changes nothing.

    The frontmatter is YAML or TOML. With `add`, a page without metadata gets a YAML block; what follows it is the old text.

    `text` is the whole page as decoded, with its byte-order mark and line breaks. `changes` maps paths (`("ratings", "novelty")`) to
    values; missing parents are created. A value that is on the page already, under YAML 1.1 and 1.2 rules alike, keeps its spelling. New
    keys of the root take their place by `order`; new keys further down follow the last one. Added lines end as most lines of the page do.

    Raises `EditRefused` if the frontmatter is too complex to be edited safely, if a value cannot be written, and whenever the result does
    not read back as intended.
    """
    plain = _checked(changes)
    before, start = text, 1 if text.startswith(BOM) else 0
    fences = find_fences(text, start)
    if fences is None:
        unclosed, reason = no_fences(text, start)
        other = other_metadata(text, start)
        if unclosed or other or not add:
            raise EditRefused(other or reason, 1)
        newline = _newline(text, "\n")
        text = f"{text[:start]}---{newline}---{newline}{text[start:]}"
        fences = find_fences(text, start)
        assert fences is not None
    head = text[fences.head : fences.end]
    newline = _newline(text, text[: fences.head].lstrip(BOM).lstrip("-+ \t"))
    try:
        new = edit_toml(head, plain, order, newline) if fences.mark == "+++" else _edit_head(head, plain, order, newline)
    except EditRefused as error:
        raise EditRefused(error.reason, error.line + 1 if error.line else 0) from None
    if new == head:
        return before
    result = text[: fences.head] + new + text[fences.end :]
    grown = len(new) - len(head)
    if find_fences(result, start) != replace(fences, end=fences.end + grown, body=fences.body + grown):
        raise EditRefused("self-check: the frontmatter of the edited page would end elsewhere")
    return result


def edit_bytes(raw: bytes, changes: Changes, *, order: Sequence[str] = KEY_ORDER, add: bool = False) -> bytes:
    """`edit` for the bytes of a page file, which must be UTF-8."""
    return edit(_decoded(raw), changes, order=order, add=add).encode("utf-8")


def edit_document(raw: bytes, changes: Changes, *, order: Sequence[str] = KEY_ORDER) -> bytes:
    """The same for a file that is one YAML mapping, without fences."""
    text = _decoded(raw)
    start = 1 if text.startswith(BOM) else 0
    missing = "" if text[start:].endswith(("\n", "\r")) or not text[start:] else _newline(text, "\n")
    new = _edit_head(text[start:] + missing, _checked(changes), order, _newline(text, "\n"))
    return (text[:start] + new).encode("utf-8")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EditRefused(f"not UTF-8 (byte 0x{raw[error.start]:02x})", raw.count(b"\n", 0, error.start) + 1) from None


def _newline(text: str, opening: str) -> str:
    """How most lines of the page end; of two equally frequent ways, that of the `opening` line."""
    crlf = text.count("\r\n")
    counts = {"\n": text.count("\n") - crlf, "\r\n": crlf, "\r": text.count("\r") - crlf}
    return max(counts, key=lambda ending: (counts[ending], ending == opening))


def _edit_head(head: str, changes: Mapping[Path, Any], order: Sequence[str], newline: str) -> str:
    tree = Tree(head)
    old = read(head)
    due = {path: value for path, value in changes.items() if not all(same(value_at(data, path), value) for data in old)}
    if not due:
        return head
    cutter = Cutter(tree, newline, order)
    cutter.change(due)
    new = carried_out(head, cutter.cuts)
    check(old, due, new)
    return new


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
