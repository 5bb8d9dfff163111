"""Where the frontmatter of a page's text is, and where in it each key and value begins and ends.

The tree is built from the parser's events, not from its nodes: composing replaces an alias by its anchor's node and marks. The marks are
corrected where they are wrong: blocks and block scalars whose marks include following blank lines and comments, and empty values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from enrich.errors import EnrichError
from enrich.wiki import yaml12

BOM = "\ufeff"
LINE_BREAK = re.compile(r"\r\n|\n|\r")
_OPEN = re.compile(r"(---|\+\+\+)[ \t]*(?:\r\n|\n|\r)")
_CLOSE = {
    "---": re.compile(r"(?<=[\r\n])---[ \t]*(?:\r\n|\n|\r|\Z)"),
    "+++": re.compile(r"(?<=[\r\n])\+\+\+[ \t]*(?:\r\n|\n|\r|\Z)"),
}

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Line breaks in YAML 1.1, plain characters in YAML 1.2. The C parser does not count a byte-order mark at the start.
_NO_BREAKS = str.maketrans(dict.fromkeys("\x85\u2028\u2029\ufeff", "\ufffd"))
_ODD = re.compile("[\x85\u2028\u2029\ufeff]")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*")
_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*")
_NAME = re.compile(r"[&*]([^\s,\[\]{}]*)")  # an anchor's or alias's name in YAML 1.2
_GAP = re.compile(r"(?:[ \t\r\n]|(?<![^ \t\r\n])#[^\r\n]*)*")
_SURE_KEY = re.compile(r"(?!(?:null|true|false)\Z)[A-Za-z_][A-Za-z0-9_-]*", re.IGNORECASE)
_MAX_DEPTH = 60  # parsers and readers recurse


class EditRefused(EnrichError):  # noqa: N818 (a refusal is an expected outcome, not a failure)
    """This page's frontmatter cannot be edited safely. `reason` is one line; `line` is the line of the file, from 1 (0: none)."""

    def __init__(self, reason: str, line: int = 0) -> None:
        self.reason, self.line = reason, line
        super().__init__(f"line {line}: {reason}" if line else reason)


@dataclass(frozen=True, slots=True)
class Fences:
    """Offsets into a page's text: `head` and `end` bound what is between the fences, `body` is where the body begins.

    `mark` is the fence: `---` (YAML) or `+++` (TOML).
    """

    head: int
    end: int
    body: int
    mark: str = "---"


def find_fences(text: str, start: int = 0) -> Fences | None:
    """The fences of a page whose first line begins at `start` (1 after a byte-order mark); None if there is no frontmatter.

    The opening fence is `---` (or `+++`) on the first line, the closing fence the next line that is exactly the same. Both may have
    trailing blanks; lines may end in LF, CRLF or CR, also mixed.
    """
    opening = _OPEN.match(text, start)
    closing = _CLOSE[opening[1]].search(text, opening.end()) if opening else None
    return Fences(opening.end(), closing.start(), closing.end(), opening[1]) if opening and closing else None


def no_fences(text: str, start: int = 0) -> tuple[bool, str]:
    """(whether the page begins a frontmatter that is never closed, why it has no frontmatter); for `find_fences` that returns None."""
    for mark in _CLOSE:
        if find_fences(f"{text}\n{mark}", start) is not None:
            return True, f"the frontmatter has no closing `{mark}` line"
    return False, "no frontmatter (a block between two `---` lines at the top of the file)"


@dataclass(slots=True)
class Node:
    """One value (or key): `text[start:end]`, including its anchor and tag. `flow` is true for `[...]` and `{...}`."""

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
        """Whether this is a list or mapping in block style."""
        return self.kind in ("mapping", "sequence") and not self.flow

    @property
    def is_missing(self) -> bool:
        """Whether this is null, an empty text or an empty list, which count as missing."""
        if self.kind == "scalar":
            return self.tag is None and (not self.value or (self.style == "" and self.value in ("~", "null", "Null", "NULL")))
        return self.kind == "sequence" and not self.items


@dataclass(slots=True)
class Pair:
    """A key with its value. `colon` is the offset of the colon, -1 if none follows the key (`{a}`, or a key written `? a`)."""

    key: Node
    value: Node
    colon: int

    @property
    def end(self) -> int:
        return max(self.value.end, self.colon + 1, self.key.end)


@dataclass(slots=True)
class Tree:
    """The root value of a text (None if it has only comments and blank lines), and pairs of an alias and the node it refers to."""

    text: str
    root: Node | None
    aliases: list[tuple[Node, Node]]

    def find(self, mapping: Node, key: str) -> Pair | None:
        """The entry with this text key."""
        for pair in mapping.pairs:
            if pair.key.kind == "scalar" and pair.key.value == key and is_text(pair.key):
                return pair
        return None

    def used_elsewhere(self, node: Node) -> str | None:
        """An anchor inside this node that an alias outside of it refers to."""
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
        yaml12.check_levels(masked)
        events = list(yaml.parse(masked, Loader=_Loader))
    except (yaml12.YamlError, yaml.YAMLError, UnicodeEncodeError) as error:
        problem = yaml12.problem_of(error)
        raise EditRefused(problem.reason, problem.line) from None
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent | yaml.DocumentEndEvent):
            line = event.start_mark.line + 1 if event.start_mark else 0
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise EditRefused("several YAML documents in one frontmatter", line)
            if event.explicit:
                raise EditRefused("a document mark (`---` or `...`) inside the frontmatter", line)
    return _Builder(masked, iter(events)).tree()


class _Builder:
    """Builds the tree of a text from the parser's events."""

    def __init__(self, text: str, events: Iterator[Any]) -> None:
        self.text, self.events = text, events
        self.anchors: dict[str, Node] = {}
        self.aliases: list[tuple[Node, Node]] = []
        self.open: list[Node] = []

    def tree(self) -> Tree:
        root = next((node for event in self.events if (node := self._node(event)) is not None), None)
        return Tree(self.text, root, self.aliases)

    def _node(self, event: Any) -> Node | None:
        """The node that begins with this event; None if the event is only the start or end of something else."""
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, Node("alias", start, end))
        if isinstance(event, yaml.ScalarEvent):
            node = Node("scalar", start, end, event.style or "", event.value, event.anchor, event.tag)
            if node.is_block_scalar:
                node.end = self._block_scalar_end(node)
        elif isinstance(event, yaml.CollectionStartEvent):
            kind: Literal["mapping", "sequence"] = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
            node = Node(kind, start, end, anchor=event.anchor, tag=event.tag, flow=bool(event.flow_style))
        else:
            return None
        if node.anchor:
            self._check_name(node.anchor, self._anchor_start(start), event.start_mark.line + 1)
            self.anchors[node.anchor] = node
        if node.kind != "scalar":
            self._fill(node, event.start_mark.line + 1)
        return node

    def _fill(self, node: Node, line: int) -> None:
        """Read the parts of a list or mapping, up to its end."""
        if len(self.open) >= _MAX_DEPTH:
            raise EditRefused("the frontmatter is nested too deeply", line)
        self.open.append(node)
        parts: list[Node] = []
        for event in self.events:
            part = self._node(event)
            if part is None:
                node.end = event.end_mark.index
                break
            parts.append(part)
        self.open.pop()
        if node.kind == "sequence":
            node.items = parts
        else:
            node.pairs = [self._pair(key, value, node.flow) for key, value in zip(parts[::2], parts[1::2], strict=True)]
        if not node.flow:
            node.end = max(node.pairs[-1].end if node.pairs else node.items[-1].end if node.items else node.start, node.start)

    def _alias(self, event: Any, node: Node) -> Node:
        target = self.anchors.get(event.anchor or "")
        self._check_name(event.anchor, node.start, event.start_mark.line + 1)
        if target is None or any(target is outer for outer in self.open):
            raise EditRefused(f"the alias *{event.anchor} refers to no anchor, or to itself", event.start_mark.line + 1)
        self.aliases.append((node, target))
        return node

    def _anchor_start(self, start: int) -> int:
        """Where the anchor in front of a value is: a tag may be before it."""
        while self.text[start : start + 1] == "!" and (tag := _PROPERTY.match(self.text, start)):
            start = gap_end(self.text, tag.end())
        return start

    def _check_name(self, name: str, start: int, line: int) -> None:
        """Refuse `&title: A`: to YAML 1.2 readers it is an anchor `title:` of the value A, to the parser used here a key with the anchor `title`."""
        found = _NAME.match(self.text, start)
        if found is None or found[1] != name:
            raise EditRefused(f"YAML readers disagree about the anchor or alias {self.text[start : start + 20].split()[0]!r}", line)

    def _pair(self, key: Node, value: Node, flow: bool) -> Pair:
        after = gap_end(self.text, key.end) if flow else blanks_end(self.text, key.end)
        colon = after if self.text[after : after + 1] == ":" else -1
        if value.kind == "scalar" and value.start == value.end:
            # The parsers put an empty value after the colon, before the next key or before `}`.
            value.start = value.end = colon + 1 if colon >= 0 else key.end
        return Pair(key, value, colon)

    def _block_scalar_end(self, node: Node) -> int:
        """Where the last line of a `|` or `>` scalar ends, before its line break."""
        header = block_header(self.text, node)
        first = next_line(self.text, header.end())
        lines = list(_lines(self.text, first, node.end))
        if "+" not in header[0]:
            # Blank lines at the end are not part of the value, unless they are indented further than the scalar.
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
    """Where the anchor and tag in front of a value end (its start if it has none)."""
    end = node.start
    while node.anchor or node.tag:
        match = _PROPERTY.match(text, gap_end(text, end))
        if match is None:
            break
        end = match.end()
    return end


def gap_end(text: str, start: int) -> int:
    """The offset of the next character that is neither whitespace nor comment."""
    match = _GAP.match(text, start)
    return match.end() if match else start


def line_start(text: str, offset: int) -> int:
    """Where the line with this offset begins."""
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def line_end(text: str, offset: int) -> int:
    """Where the line with this offset ends, before its line break."""
    match = LINE_BREAK.search(text, offset)
    return match.start() if match else len(text)


def next_line(text: str, offset: int) -> int:
    """Where the line after the one with this offset begins."""
    match = LINE_BREAK.search(text, offset)
    return match.end() if match else len(text)


def line_number(text: str, offset: int) -> int:
    """The number of the line with this offset, from 1."""
    return len(LINE_BREAK.findall(text, 0, offset)) + 1


def blanks_end(text: str, start: int) -> int:
    """The offset of the next character that is neither space nor tab."""
    rest = text[start : line_end(text, start)]
    return start + len(rest) - len(rest.lstrip(" \t"))


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    while start < end:
        stop = min(line_end(text, start), end)
        yield start, text[start:stop]
        start = next_line(text, stop)
