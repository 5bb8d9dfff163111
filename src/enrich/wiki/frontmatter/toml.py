"""TOML frontmatter (between `+++` lines): read, and edited so that nothing else changes.

A scanner finds where each `key = value` and each `[table]` begins and ends, new values replace exactly their old text, new keys get a line of
their own. The result is read by two readers, tomllib and tomlkit, and must be the old data plus the edit to both, type by type.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.cuts import Cut, Path, applied, carried_out, escaped, same, value_at
from enrich.wiki.frontmatter.spans import EditRefused, line_number

# Reading a key takes time by the square of its parts, and tomlkit is slow: real frontmatter has a few thousand characters.
_LONGEST, _MOST_PARTS = 200_000, 1_000
_MULTILINE = re.compile(r"\"\"\"(?:[^\"\\]|\\[\s\S]|\"{1,2}(?!\"))*+\"{3,5}|'''(?:[^']|'{1,2}(?!'))*+'{3,5}")
_STRING = re.compile(r"\"(?:[^\"\\\r\n]|\\.)*+\"|'[^'\r\n]*+'")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\r\n]+")
_BLANKS = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*+")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?:\r\n|\n|\Z)")
_LARGEST = 2**63


def toml_data(text: str) -> dict[str, Any]:
    """The data of a TOML text; dates and times as texts in ISO form. Raises `YamlError` with the line."""
    data: dict[str, Any] = _plain(_loaded(text), 0)
    return data


def _plain(value: Any, level: int) -> Any:
    if level > yaml12.MOST_LEVELS:
        raise yaml12.YamlError(f"nested more than {yaml12.MOST_LEVELS} levels deep")
    if isinstance(value, dict):
        return {key: _plain(part, level + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part, level + 1) for part in value]
    if isinstance(value, int):
        return yaml12.checked_int(value)
    return value.isoformat() if isinstance(value, date | time) else value


def _loaded(text: str) -> dict[str, Any]:
    if len(text) > _LONGEST or any(line.partition("=")[0].count(".") > _MOST_PARTS for line in text.splitlines()):
        raise yaml12.YamlError("the TOML frontmatter, or a key in it, is too long")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        place = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        reason = str(error)[: place.start() if place else 200]
        raise yaml12.YamlError(f"broken TOML: {reason}", int(place[1]) if place else 0) from None


@dataclass(slots=True)
class _Value:
    """`text[start:end]`; `pairs` if it is an inline table: the full path and value of each of its keys."""

    start: int
    end: int
    pairs: list[tuple[Path, _Value]] | None = None


@dataclass(slots=True)
class _Section:
    """The lines below a `[table]` header (of the root: before the first one). New lines go to `insert`, with the margin of the last."""

    path: Path
    is_array: bool
    start: int
    insert: int
    margin: str = ""
    entries: list[tuple[Path, _Value]] = field(default_factory=list)


class _Scanner:
    """The sections of a text that tomllib has read."""

    def __init__(self, text: str) -> None:
        self.text = text

    def sections(self) -> list[_Section]:
        text, at = self.text, 0
        found = [_Section((), False, 0, -1)]
        while (at := _end(_GAP, text, at)) < len(text):
            start = text.rfind("\n", 0, at) + 1
            if text[at] == "[":
                is_array = text.startswith("[[", at)
                path, at = self._key(_end(_BLANKS, text, at + 1 + is_array))
                at = _end(_REST_OF_LINE, text, _end(_BLANKS, text, at) + 1 + is_array)
                found.append(_Section(path, is_array, start, at))
                continue
            section = found[-1]
            margin = text[start:at]
            key, at = self._key(at)
            value = self._value(_end(_BLANKS, text, _end(_BLANKS, text, at) + 1), (*section.path, *key))
            at = _end(_REST_OF_LINE, text, value.end)
            section.entries.append(((*section.path, *key), value))
            section.insert, section.margin = at, margin
        return found

    def _key(self, at: int) -> tuple[Path, int]:
        """The parts of a dotted key, and its end."""
        parts: list[str] = []
        while True:
            quoted = _STRING.match(self.text, at)
            bare = _BARE_KEY.match(self.text, at)
            match = quoted or bare
            if match is None:
                raise EditRefused("the TOML frontmatter has a key that cannot be edited here", line_number(self.text, at))
            parts.append(tomllib.loads(f"key = {match[0]}")["key"] if quoted else match[0])
            after = _end(_BLANKS, self.text, match.end())
            if self.text[after : after + 1] != ".":
                return tuple(parts), match.end()
            at = _end(_BLANKS, self.text, after + 1)

    def _value(self, at: int, path: Path) -> _Value:
        text = self.text
        if text[at] not in "[{":
            match = _MULTILINE.match(text, at) or _STRING.match(text, at) or _SCALAR.match(text, at)
            end = match.end() if match else at
            return _Value(at, at + len(text[at:end].rstrip(" \t")))
        is_table = text[at] == "{"
        pairs: list[tuple[Path, _Value]] = []
        inside = _end(_GAP, text, at + 1)
        while text[inside] not in "]}":
            key: Path = ()
            if is_table:
                key, inside = self._key(inside)
                inside = _end(_BLANKS, text, _end(_BLANKS, text, inside) + 1)
            value = self._value(inside, (*path, *key))
            pairs.append(((*path, *key), value))
            inside = _end(_GAP, text, value.end)
            if text[inside] == ",":
                inside = _end(_GAP, text, inside + 1)
        return _Value(at, inside + 1, pairs if is_table else None)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def edit_toml(head: str, changes: Mapping[Path, Any], order: Sequence[str], newline: str) -> str:
    """The TOML text after the changes. Raises `EditRefused` as `edit` does, its line counted in `head`."""
    try:
        old = _loaded(head)
        _plain(old, 0)
    except yaml12.YamlError as error:
        raise EditRefused(error.reason, error.line) from None
    due = {path: value for path, value in changes.items() if not same(value_at(old, path), value)}
    if not due:
        return head
    other = _by_tomlkit(head)
    ranks = {key: rank for rank, key in enumerate(order)}
    new = carried_out(head, _cuts(head, old, dict(sorted(due.items(), key=lambda item: ranks.get(item[0][-1], len(ranks)))), newline))
    try:
        readings = (("tomllib", old, _loaded(new)), ("tomlkit", other, _by_tomlkit(new)))
    except (yaml12.YamlError, EditRefused) as error:
        raise EditRefused(f"self-check: the edited frontmatter cannot be read ({error.reason})") from None
    for reader, before, after in readings:
        if not same(applied(before, due), after):
            raise EditRefused(f"self-check: to {reader} the edited frontmatter does not read as intended")
    return new


def _by_tomlkit(text: str) -> dict[str, Any]:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        data: dict[str, Any] = tomlkit.parse(text).unwrap()
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise EditRefused(f"tomlkit cannot read it: {' '.join(str(error).split())[:200]}") from None
    return data


def _cuts(head: str, data: Mapping[str, Any], changes: Mapping[Path, Any], newline: str) -> list[Cut]:
    sections = _Scanner(head).sections()
    entries = dict(_flat(entry for section in sections if not _in_array(section.path, data) for entry in section.entries))
    cuts: list[Cut] = []
    new_tables: dict[str, list[str]] = {}
    for path, value in _merged(data, changes).items():
        if (there := entries.get(path)) is not None:
            cuts.append(Cut(there.start, there.end, _written(value, newline)))
            continue
        name = ".".join(path)
        if value_at(data, path, None) is not None:
            raise EditRefused(f"`{name}` is written as a table, which cannot be replaced here: remove it, or make it one value")
        around = next((path[:end] for end in range(len(path) - 1, 0, -1) if path[:end] in entries), None)
        if around is not None:
            cuts.append(_into_inline_table(entries[around], f"{_dotted(path[len(around) :])} = {_written(value)}"))
            continue
        section = max(sections, key=lambda section: _shared(section, path))
        if not section.path and len(path) > 1 and not _shared(section, path):
            new_tables.setdefault(path[0], []).append(f"{_dotted(path[1:])} = {_written(value, newline)}{newline}")
            continue
        at = section.insert if section.insert >= 0 else _top(head, sections)
        cuts.append(Cut(at, at, f"{section.margin}{_dotted(path[len(section.path) :])} = {_written(value, newline)}{newline}"))
    for table, lines in new_tables.items():
        blank = newline if head.strip() else ""
        cuts.append(Cut(len(head), len(head), f"{blank}[{_dotted((table,))}]{newline}{''.join(lines)}"))
    return cuts


def _merged(data: Mapping[str, Any], changes: Mapping[Path, Any]) -> dict[Path, Any]:
    """The changes, those below an empty text or list as one new table in its place. Raises `EditRefused` for keys below another value."""
    merged: dict[Path, Any] = {}
    for path, value in changes.items():
        parents = (path[:end] for end in range(1, len(path)))
        blocked = next((parent for parent in parents if not isinstance(value_at(data, parent, {}), dict)), None)
        if blocked is None:
            merged[path] = value
        elif value_at(data, blocked) in ("", []):
            merged[blocked] = applied(merged.get(blocked, {}), {path[len(blocked) :]: value})
        else:
            raise EditRefused(f"`{'.'.join(blocked)}` is not a table, so no key can be set below it")
    return merged


def _flat(entries: Iterator[tuple[Path, _Value]]) -> Iterator[tuple[Path, _Value]]:
    for path, value in entries:
        yield path, value
        yield from _flat(iter(value.pairs or ()))


def _in_array(path: Path, data: Mapping[str, Any]) -> bool:
    return any(isinstance(value_at(data, path[:end]), list) for end in range(1, len(path) + 1))


def _shared(section: _Section, path: Path) -> int:
    """How many keys of the path a section has defined already; -1 if the path cannot be written there."""
    depth = len(section.path)
    if section.is_array or path[:depth] != section.path:
        return -1
    for known, _ in section.entries:
        common = next((place for place, (one, other) in enumerate(zip(known[:-1], path[:-1], strict=False)) if one != other), None)
        depth = max(depth, min(len(known), len(path)) - 1 if common is None else common)
    return depth


def _into_inline_table(table: _Value, entry: str) -> Cut:
    if table.pairs is None:
        raise EditRefused("no key can be set below a value that is not a table")
    at = table.pairs[-1][1].end if table.pairs else table.start + 1
    return Cut(at, at, f", {entry}" if table.pairs else f" {entry} ")


def _top(head: str, sections: Sequence[_Section]) -> int:
    """Where root keys go if there are none: above the first table and the comment lines directly over it."""
    if len(sections) == 1:
        return len(head)
    at = sections[1].start
    while at > 0 and head[head.rfind("\n", 0, at - 1) + 1 : at].lstrip(" \t").startswith("#"):
        at = head.rfind("\n", 0, at - 1) + 1
    return at


def _dotted(keys: Path) -> str:
    return ".".join(key if _BARE_KEY.fullmatch(key) else _quoted(key) for key in keys)


def _written(value: Any, newline: str = "") -> str:
    """A value as TOML. A list of tables has a line for each if `newline` is given, everything else is on one line."""
    if value is None:
        raise EditRefused("TOML has no null")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise EditRefused("TOML has no number of this size")
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        parts = [_written(part) for part in value]
        if newline and value and all(isinstance(part, dict) for part in value):
            return f"[{newline}{''.join(f'  {part},{newline}' for part in parts)}]"
        return f"[{', '.join(parts)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_dotted((key,))} = {_written(part)}' for key, part in value.items())} }}" if value else "{}"
    return repr(value)


def _quoted(text: str) -> str:
    """The text on one line. `+++` is written with an escape: some tools cut frontmatter at the first one that ends a line."""
    body = escaped(text, "\\u00").replace("+++", "++\\u002b")
    return f'"{body}"'
