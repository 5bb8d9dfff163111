"""YAML as a tree of spans: where in the text each key and value begins and really ends.

Built from the parser's events, not from its nodes: composing replaces an alias by its anchor's node and marks. What the marks do not tell
is put right here: blocks and block scalars whose marks run past following blank lines and comments, and empty values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.fences import LINE_BREAK
from enrich.wiki.frontmatter.refusal import EditRefused

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Line breaks to a YAML 1.1 parser, plain characters to YAML 1.2. The byte-order mark is left out of the C parser's count at the start.
_NO_BREAKS = str.maketrans(dict.fromkeys("\x85\u2028\u2029\ufeff", "\ufffd"))
_ODD = re.compile("[\x85\u2028\u2029\ufeff]")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*")
_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*")
_GAP = re.compile(r"(?:[ \t\r\n]|(?<![^ \t\r\n])#[^\r\n]*)*")
_SURE_KEY = re.compile(r"(?!(?:null|true|false)\Z)[A-Za-z_][A-Za-z0-9_-]*", re.IGNORECASE)
_MAX_DEPTH = 60  # deeper than any frontmatter, far above nothing: parsers and readers recurse


@dataclass(slots=True)
class Node:
    """One value (or key): `text[start:end]`, with its anchor and tag in front. `flow` is for `[...]` and `{...}`."""

    kind: Literal["scalar", "mapping", "sequence", "alias"]
    start: int
    end: int
    style: str = ""
    value: str = ""
    anchor: str | None = None
    tag: str | None = None
    flow: bool = False
    pairs: list[Pair] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)

    @property
    def is_block_scalar(self) -> bool:
        return self.kind == "scalar" and self.style in ("|", ">")

    @property
    def is_block(self) -> bool:
        """A list or mapping on lines of its own."""
        return self.kind in ("mapping", "sequence") and not self.flow

    @property
    def is_missing(self) -> bool:
        """Nothing stands there to a reader: null, an empty text, an empty list (DESIGN.md section 3.2)."""
        if self.kind == "scalar":
            return self.tag is None and (not self.value or (self.style == "" and self.value in ("~", "null", "Null", "NULL")))
        return self.kind == "sequence" and not self.items


@dataclass(slots=True)
class Pair:
    """A key with its value. `colon` is the offset of the colon, -1 where none follows the key (`{a}`, or a key written `? a`)."""

    key: Node
    value: Node
    colon: int

    @property
    def end(self) -> int:
        return max(self.value.end, self.colon + 1, self.key.end)


@dataclass(slots=True)
class Tree:
    """The root value of a text (None where it holds only comments and blank lines), and for each alias the node it stands for."""

    text: str
    root: Node | None
    aliases: list[tuple[Node, Node]]

    def find(self, mapping: Node, key: str) -> Pair | None:
        """The entry under this text key."""
        for pair in mapping.pairs:
            if pair.key.kind == "scalar" and pair.key.value == key and is_text(pair.key):
                return pair
        return None

    def used_elsewhere(self, node: Node) -> str | None:
        """An anchor inside this node that an alias outside of it stands for."""
        for alias, target in self.aliases:
            if node.start <= target.start and target.end <= node.end and not node.start <= alias.start < node.end:
                return target.anchor
        return None


def parse(text: str) -> Tree:
    """The tree of one YAML document without document marks.

    Raises `EditRefused` (its line counted in `text`) for broken YAML, several documents, document marks and extreme nesting.
    """
    masked = text.translate(_NO_BREAKS) if _ODD.search(text) else text
    try:
        events = list(yaml.parse(masked, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise EditRefused(f"broken YAML: {error.problem or error.context}", mark.line + 1 if mark else 0) from None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise EditRefused(f"broken YAML: {' '.join(str(error).split())[:200]}") from None
    documents = 0
    for event in events:
        if not isinstance(event, yaml.DocumentStartEvent | yaml.DocumentEndEvent):
            continue
        line = event.start_mark.line + 1 if event.start_mark else 0
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise EditRefused("several YAML documents in one frontmatter", line)
        if event.explicit:
            raise EditRefused("a document mark (`---` or `...`) inside the frontmatter", line)
    return _Builder(masked).tree(events)


class _Builder:
    def __init__(self, text: str) -> None:
        self.text = text
        self.anchors: dict[str, Node] = {}
        self.aliases: list[tuple[Node, Node]] = []

    def tree(self, events: list[Any]) -> Tree:
        root: Node | None = None
        stack: list[Node] = []
        keys: list[Node | None] = []
        for event in events:
            start, end, line = event.start_mark.index, event.end_mark.index, event.start_mark.line + 1
            if isinstance(event, yaml.ScalarEvent):
                node = Node("scalar", start, end, event.style or "", event.value, event.anchor, event.tag)
                if node.is_block_scalar:
                    node.end = self._block_scalar_end(node)
            elif isinstance(event, yaml.AliasEvent):
                node = Node("alias", start, end)
                target = self.anchors.get(event.anchor or "")
                if target is None or any(target is node for node in stack):
                    raise EditRefused(f"the alias *{event.anchor} stands for nothing, or for itself", line)
                self.aliases.append((node, target))
            elif isinstance(event, yaml.CollectionStartEvent):
                kind: Literal["mapping", "sequence"] = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
                node = Node(kind, start, end, anchor=event.anchor, tag=event.tag, flow=bool(event.flow_style))
                if event.anchor:
                    self.anchors[event.anchor] = node
                stack.append(node)
                keys.append(None)
                if len(stack) > _MAX_DEPTH:
                    raise EditRefused("the frontmatter is nested too deeply", line)
                continue
            elif isinstance(event, yaml.CollectionEndEvent):
                node = stack.pop()
                keys.pop()
                node.end = self._collection_end(node, end)
            else:
                continue
            if node.anchor:
                self.anchors[node.anchor] = node
            if not stack:
                root = node
            elif stack[-1].kind == "sequence":
                stack[-1].items.append(node)
            else:
                key = keys[-1]
                if key is None:
                    keys[-1] = node
                else:
                    keys[-1] = None
                    stack[-1].pairs.append(self._pair(key, node, stack[-1].flow))
        return Tree(self.text, root, self.aliases)

    def _pair(self, key: Node, value: Node, flow: bool) -> Pair:
        after = gap_end(self.text, key.end) if flow else key.end + blanks(self.text, key.end)
        colon = after if self.text[after : after + 1] == ":" else -1
        if value.kind == "scalar" and value.start == value.end:
            # The parsers put an empty value after the colon, before the next key or before `}`.
            value.start = value.end = colon + 1 if colon >= 0 else key.end
        return Pair(key, value, colon)

    def _collection_end(self, node: Node, mark: int) -> int:
        if node.flow:
            return mark
        last = node.pairs[-1].end if node.pairs else node.items[-1].end if node.items else node.start
        return max(last, node.start)

    def _block_scalar_end(self, node: Node) -> int:
        """Where the last line of a `|` or `>` scalar ends, before its line break."""
        header = block_header(self.text, node)
        first = next_line(self.text, header.end())
        lines = list(_lines(self.text, first, node.end))
        if "+" not in header[0]:
            # Blank lines at the end are no part of the value, unless they are indented further than the scalar.
            written = [len(line) - len(line.lstrip(" ")) for _, line in lines if line.strip(" ")]
            margin = 0 if any(char.isdigit() for char in header[0]) else min(written, default=1 << 30)
            while lines and not lines[-1][1].strip(" ") and len(lines[-1][1]) <= margin:
                lines.pop()
        return lines[-1][0] + len(lines[-1][1]) if lines else header.end()


def is_text(key: Node) -> bool:
    """Whether a key is text to a YAML 1.2 reader."""
    if key.style or _SURE_KEY.fullmatch(key.value):
        return True
    try:
        return key.tag is None and isinstance(yaml12.load(key.value), str)
    except yaml12.YamlError:
        return True


def block_header(text: str, node: Node) -> re.Match[str]:
    """The `|` or `>` of a block scalar with its indicators."""
    header = _BLOCK_HEADER.match(text, gap_end(text, properties_end(text, node)))
    if header is None:
        raise EditRefused("a block scalar without its `|` or `>`")
    return header


def properties_end(text: str, node: Node) -> int:
    """Where the anchor and tag in front of a value end (its start where there are none)."""
    end = node.start
    while node.anchor or node.tag:
        match = _PROPERTY.match(text, gap_end(text, end))
        if match is None:
            break
        end = match.end()
    return end


def gap_end(text: str, start: int) -> int:
    """The offset of the next character that is neither white space nor comment."""
    match = _GAP.match(text, start)
    return match.end() if match else start


def line_start(text: str, offset: int) -> int:
    """Where the line that holds this offset begins."""
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def line_end(text: str, offset: int) -> int:
    """Where the line that holds this offset ends, before its line break."""
    match = LINE_BREAK.search(text, offset)
    return match.start() if match else len(text)


def next_line(text: str, offset: int) -> int:
    """Where the line after the one that holds this offset begins."""
    match = LINE_BREAK.search(text, offset)
    return match.end() if match else len(text)


def line_number(text: str, offset: int) -> int:
    """The number of the line that holds this offset, from 1."""
    return len(LINE_BREAK.findall(text, 0, offset)) + 1


def blanks(text: str, start: int) -> int:
    """How many spaces and tabs stand here."""
    end = start
    while text[end : end + 1] in (" ", "\t"):
        end += 1
    return end - start


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    while start < end:
        stop = min(line_end(text, start), end)
        yield start, text[start:stop]
        start = next_line(text, stop)
