"""Changes as cuts: which part of the text is replaced by what.

A comment behind a replaced value stays, and so do comment lines above a key. A comment inside a replaced value is removed with it. Values are
written so that YAML 1.1 and 1.2 readers, and tools that only look for `---`, read the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from enrich.wiki.frontmatter import spans
from enrich.wiki.frontmatter.spans import EditRefused, Pair, Tree

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
# C0, DEL, C1 (with U+0085), line and paragraph separator, byte-order mark, and two noncharacters.
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
# Words that one YAML version or another does not read as text (https://yaml.org/type/bool.html, null.html).
_TAKEN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


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
    body = escaped(text).replace("---", "--\\x2d")
    return f'"{body}"'


def escaped(text: str, byte: str = "\\x") -> str:
    """What is between the quotes of a double-quoted text; `byte` begins the escape of a character below 256."""

    def escape(match: re.Match[str]) -> str:
        code = ord(match[0])
        return _SHORT.get(match[0]) or (f"{byte}{code:02x}" if code < 0x100 else f"\\u{code:04x}")

    return _ESCAPED.sub(escape, text)


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
    return json.dumps(value)


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


Path: TypeAlias = tuple[str, ...]


def applied(data: Mapping[Any, Any], changes: Mapping[Path, Any]) -> dict[Any, Any]:
    """A copy of the data with the changes; parents that are missing or not mappings become mappings."""
    result = dict(data)
    for path, value in changes.items():
        parent = result
        for key in path[:-1]:
            below = parent.get(key)
            parent[key] = parent = dict(below) if isinstance(below, dict) else {}
        parent[path[-1]] = value
    return result


def value_at(data: Any, path: Path, default: Any = ...) -> Any:
    """The value that a path leads to in the data, else `default`."""
    for key in path:
        data = data.get(key, ...) if isinstance(data, dict) else ...
    return default if data is ... else data


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


@dataclass(frozen=True, slots=True)
class Cut:
    """`text[start:end]` becomes `new`."""

    start: int
    end: int
    new: str


def carried_out(text: str, cuts: Iterable[Cut]) -> str:
    """The text after all cuts. Insertions at one offset keep the order they were given in."""
    parts: list[str] = []
    done = 0
    for cut in sorted(cuts, key=lambda cut: (cut.start, cut.end)):
        if cut.start < done:
            raise EditRefused("two changes of this edit overlap", spans.line_number(text, cut.start))
        parts += [text[done : cut.start], cut.new]
        done = cut.end
    parts.append(text[done:])
    return "".join(parts)


class Cutter:
    """Plans the cuts for one tree. `newline` ends every added line. `order` is the order of root keys; other keys follow, by name."""

    def __init__(self, tree: Tree, newline: str, order: Sequence[str]) -> None:
        self.tree, self.text, self.newline = tree, tree.text, newline
        self._places = {key: place for place, key in reversed(list(enumerate(order)))}
        self._unknown = len(order)
        self.cuts: list[Cut] = []

    def change(self, changes: Mapping[Path, Any]) -> None:
        """Plan all changes. Of two changes, none may be inside the other."""
        if self.tree.root is None:
            entries = self._ranked(applied({}, changes).items())
            new = "".join(line + self.newline for key, value in entries for line in entry(key, value, Indents()))
            self.cuts.append(Cut(len(self.text), len(self.text), new))
        else:
            self._change(self.tree.root, changes, ())

    def _change(self, mapping: yaml.MappingNode, changes: Mapping[Path, Any], path: Path) -> None:
        new: list[tuple[str, Any]] = []
        for key, value in applied({}, changes).items():
            pair = self.tree.find(mapping, key)
            if pair is None:
                new.append((key, value))
            elif (key,) in changes or spans.is_missing(pair.value):
                self._replace(mapping, pair, value)
            elif isinstance(pair.value, yaml.MappingNode):
                if anchor := self.tree.used_elsewhere(pair.start, self.tree.properties_end(pair.value)):
                    raise EditRefused(f"the mapping with the anchor &{anchor} is used elsewhere too", self._line(pair.start))
                self._change(pair.value, {one[1:]: below for one, below in changes.items() if one[0] == key}, (*path, key))
            else:
                what = "an alias" if pair.start in self.tree.aliases else "not a mapping"
                raise EditRefused(f"`{'.'.join((*path, key))}` is {what}, so no key can be set below it", self._line(pair.key_start))
        if new and not path:
            self._insert_ranked(mapping, new)
        elif new:
            self._insert(mapping, len(mapping.value) - 1, new)

    # -- replacing -----------------------------------------------------------------------------------------------------------------

    def _replace(self, mapping: yaml.MappingNode, pair: Pair, value: Any) -> None:
        old, start = pair.value, pair.key_start
        if anchor := self.tree.used_elsewhere(start, pair.stop):
            raise EditRefused(
                f"the value of `{pair.key.value}` contains the anchor &{anchor}, which is used elsewhere", self._line(pair.start)
            )
        if not mapping.flow_style and (pair.colon < 0 or self.text[spans.line_start(self.text, start) : start].strip(" ")):
            raise EditRefused(f"the key {pair.key.value!r} is written in a form that cannot be edited here", self._line(start))
        keeps_flow = isinstance(old, yaml.CollectionNode) and old.flow_style and old.value and is_block(value) and is_flat(value)
        if mapping.flow_style or keeps_flow or not is_block(value):
            self._replace_in_line(pair, in_flow(value))
        else:
            self._replace_by_block(mapping, pair, value)

    def _replace_in_line(self, pair: Pair, new: str) -> None:
        if pair.colon < 0:  # `{a}`
            self._put(pair.stop, pair.stop, f": {new}")
            return
        start, end, lines = self._parts(pair)
        if spans.is_block(pair.value) and start == end:
            start = end = pair.colon + 1
        self._put(start, end, new)
        if lines <= pair.end:
            self.cuts.append(Cut(lines, spans.next_line(self.text, pair.end), ""))

    def _replace_by_block(self, mapping: yaml.MappingNode, pair: Pair, value: Any) -> None:
        indents = self._indents(mapping, pair)
        column = self._column(mapping) + (indents.mapping if isinstance(value, dict) else indents.sequence)
        new = "".join(line + self.newline for line in in_block(value, column, indents))
        start, end, lines = self._parts(pair)
        if end > start:
            self._clear(pair.colon + 1, start, end)
        # Without lines of its own: after the line of the old value, so that a comment behind it keeps its place.
        after = spans.next_line(self.text, pair.end)
        self.cuts.append(Cut(min(lines, after), after, new))

    def _parts(self, pair: Pair) -> tuple[int, int, int]:
        """(start, end, lines) of a value: `text[start:end]` is before the lines of a block, which begin at `lines`; the whole if it is not a block."""
        if isinstance(pair.value, yaml.ScalarNode) and pair.value.style in ("|", ">"):
            end = self.tree.block_header(pair.value).end()
            return pair.start, end, spans.next_line(self.text, end)
        if spans.is_block(pair.value):
            end = self.tree.properties_end(pair.value)
            return pair.start, end, spans.line_start(self.text, spans.gap_end(self.text, end))
        return pair.start, pair.end, len(self.text)

    def _put(self, start: int, end: int, new: str) -> None:
        space = "" if self.text[start - 1] in " \t\r\n" or new.startswith(":") else " "
        self.cuts.append(Cut(start, end, f"{space}{new}{' ' if self.text[end : end + 1] == '#' else ''}"))

    def _clear(self, after_colon: int, start: int, end: int) -> None:
        """Remove an old value: with the blanks in front of it if it is on its key's line, else with its line if nothing else is on it."""
        first = spans.line_start(self.text, start)
        if first <= after_colon:
            self.cuts.append(Cut(after_colon, end, ""))
        elif self.text[end : spans.line_end(self.text, end)].strip(" \t"):
            # The comment moves to where the value was: not every reader accepts a tab between margin and comment.
            self.cuts.append(Cut(start, spans.blanks_end(self.text, end), ""))
        else:
            self.cuts.append(Cut(first, spans.next_line(self.text, end), ""))

    # -- inserting -----------------------------------------------------------------------------------------------------------------

    def _rank(self, key: str) -> tuple[int, str]:
        place = self._places.get(key)
        return (self._unknown, key) if place is None else (place, "")

    def _ranked(self, entries: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return sorted(entries, key=lambda item: self._rank(item[0]))

    def _insert_ranked(self, mapping: yaml.MappingNode, new: Sequence[tuple[str, Any]]) -> None:
        """Insert each key after the key that precedes it most closely in the order, wherever that is (at the top if none does).

        So a frontmatter in order stays in order, and one out of order gets no further neighbours out of order.
        """
        present = [(self._rank(key.value), index) for index, (key, _) in enumerate(mapping.value) if isinstance(key, yaml.ScalarNode)]
        groups: dict[int, list[tuple[str, Any]]] = {}
        for key, value in self._ranked(new):
            rank = self._rank(key)
            _, index = max((one for one in present if one[0] < rank), default=(rank, -1))
            groups.setdefault(index, []).append((key, value))
        for index, entries in groups.items():
            self._insert(mapping, index, entries)

    def _insert(self, mapping: yaml.MappingNode, index: int, entries: Sequence[tuple[str, Any]]) -> None:
        """Insert entries after the mapping's pair number `index`; -1: before all."""
        if mapping.flow_style:
            self._insert_in_flow(mapping, index, entries)
            return
        margin = " " * self._column(mapping)
        indents = self._indents(mapping)
        new = "".join(f"{margin}{line}{self.newline}" for key, value in entries for line in entry(key, value, indents))
        at = self._block_end(mapping, self.tree.pairs(mapping)[index]) if index >= 0 else self._top(mapping)
        self.cuts.append(Cut(at, at, new))

    def _insert_in_flow(self, mapping: yaml.MappingNode, index: int, entries: Sequence[tuple[str, Any]]) -> None:
        pairs = self.tree.pairs(mapping)
        quote = bool(pairs) and all(isinstance(pair.key, yaml.ScalarNode) and pair.key.style == '"' for pair in pairs)
        new = ", ".join(f"{key_text(key, quote=quote)}: {in_flow(value)}" for key, value in entries)
        if index >= 0:
            pair = pairs[index]
            gap = " " if pair.start == pair.end and pair.colon >= 0 else ""
            self.cuts.append(Cut(pair.stop, pair.stop, f"{gap}, {new}"))
        elif pairs:
            self.cuts.append(Cut(pairs[0].key_start, pairs[0].key_start, f"{new}, "))
        else:
            end = mapping.end_mark.index
            inside = self.text.index("{", self.tree.properties_end(mapping)) + 1
            stop = inside if self.text[inside : end - 1].strip(" \t") else end - 1
            self.cuts.append(Cut(inside, stop, new))

    def _top(self, mapping: yaml.MappingNode) -> int:
        """The line of the first key, or of the comment lines directly above it, which belong to it."""
        top = spans.line_start(self.text, self.tree.pairs(mapping)[0].key_start)
        while top > 0:
            above = spans.line_start(self.text, top - (2 if self.text[top - 2 : top] == "\r\n" else 1))
            if not self.text[above:top].lstrip(" \t").startswith("#"):
                break
            top = above
        return top

    def _block_end(self, mapping: yaml.MappingNode, pair: Pair) -> int:
        """Where the next entry's lines begin: after the value, the comment behind it, and comment lines indented further than the key."""
        column = self._column(mapping)
        at = spans.next_line(self.text, pair.stop)
        while at < len(self.text):
            line = self.text[at : spans.line_end(self.text, at)]
            comment = line.lstrip(" \t")
            if not comment.startswith("#") or len(line) - len(comment) <= column:
                break
            at = spans.next_line(self.text, at)
        return at

    # -- indentation ---------------------------------------------------------------------------------------------------------------

    def _column(self, mapping: yaml.MappingNode) -> int:
        """The column of a block mapping's keys."""
        start = self.tree.pairs(mapping)[0].key_start
        margin = self.text[spans.line_start(self.text, start) : start]
        if margin.rstrip("? \t") or "\t" in margin or ("?" in margin and margin.lstrip(" ")[:1] != "?"):
            raise EditRefused("a mapping that begins in the middle of a line", self._line(start))
        return len(margin) - len(margin.lstrip(" ")) if "?" in margin else len(margin)

    def _indents(self, mapping: yaml.MappingNode, pair: Pair | None = None) -> Indents:
        """The file's own indentation: that of the value itself, else of the first list and mapping beside it, else two spaces."""
        found: dict[str, int] = {}
        column = self._column(mapping)
        for sibling in ([pair] if pair else []) + self.tree.pairs(mapping):
            value = sibling.value
            kind = "mapping" if isinstance(value, yaml.MappingNode) else "sequence"
            if spans.is_block(value) and kind not in found and value.value and sibling.colon >= 0:
                first = spans.gap_end(self.text, self.tree.properties_end(value))
                depth = first - spans.line_start(self.text, first) - column
                if 0 <= depth <= 8 and (depth or kind == "sequence"):
                    found[kind] = depth
        return Indents(**found)

    def _line(self, offset: int) -> int:
        return spans.line_number(self.text, offset)
