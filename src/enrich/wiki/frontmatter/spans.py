"""Where the frontmatter of a page's text is, and where in it each key and value begins and ends.

The marks of PyYAML's nodes are corrected where they are wrong: aliases, empty values, and blocks and block scalars, whose marks include the
blank lines and comments that follow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from enrich.errors import EnrichError
from enrich.wiki import yaml12

BOM = "\ufeff"
LINE_BREAK = re.compile(r"\r\n|\n|\r")
_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\n|\r|\Z)")
_OPEN = re.compile(r"(---|\+\+\+)[ \t]*(?:\r\n|\n|\r)")
_CLOSE = {
    "---": re.compile(r"(?<=[\r\n])---[ \t]*(?:\r\n|\n|\r|\Z)"),
    "+++": re.compile(r"(?<=[\r\n])\+\+\+[ \t]*(?:\r\n|\n|\r|\Z)"),
}
# Metadata of other kinds at the top of a page: a JSON object (Hugo), or lines such as `Title: Tides` (MkDocs, Pelican).
_OTHER_METADATA = re.compile(r"(?P<json>\{\s*\")|(?:title|date|authors?|slug|category|tags|template):[ \t]", re.IGNORECASE)

_Loader: Any = yaml12.Core12Loader
# Line breaks in YAML 1.1, plain characters in YAML 1.2. The C parser does not count a byte-order mark at the start.
_NO_BREAKS = str.maketrans(dict.fromkeys("\x85\u2028\u2029\ufeff", "\ufffd"))
_ODD = re.compile("[\x85\u2028\u2029\ufeff]")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*")
_GAP = re.compile(r"(?:[ \t\r\n]|(?<![^ \t\r\n])#[^\r\n]*)*+")
_PROPERTIES = re.compile(rf"(?:{_GAP.pattern}[&!][^\s,\[\]{{}}]*)*")
# An anchor's or alias's name in YAML 1.2; a tag may be before it.
_NAME = re.compile(rf"(?:!\S*{_GAP.pattern})?[&*]([^\s,\[\]{{}}]*)")
_HIDDEN = "\ufffd"  # for an alias, while the nodes are composed
_TEXT, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
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


def other_metadata(text: str, start: int = 0) -> str:
    """What metadata a page without fences begins with that generators read instead of a YAML block; "" for none.

    A YAML block above it would make it a part of the text.
    """
    found = _OTHER_METADATA.match(text, start)
    return f"its metadata is {'JSON' if found['json'] else 'lines such as `Title: …`'}, which is neither YAML nor TOML" if found else ""


class Pair(NamedTuple):
    """A key, which begins at `key_start`, with its value: `text[start:end]`, including its anchor and tag.

    `colon` is the offset of the colon, -1 if none follows the key (`{a}`, or a key written `? a`).
    """

    key: yaml.Node
    key_start: int
    value: yaml.Node
    start: int
    end: int
    colon: int

    @property
    def stop(self) -> int:
        """Where the whole entry ends."""
        return max(self.end, self.colon + 1)


class Tree:
    """PyYAML's nodes of the mapping in a text. `root` is None if the text has only comments and blank lines.

    Keys have the types that YAML 1.2 gives them. Raises `EditRefused` (its line counted in `text`) for broken YAML, another value than a mapping,
    several documents, document marks and extreme nesting.
    """

    def __init__(self, text: str) -> None:
        self.text = text.translate(_NO_BREAKS) if _ODD.search(text) else text
        self.anchors: dict[str, int] = {}  # their offsets
        self.aliases: dict[int, str] = {}  # by offset
        self._pairs: dict[int, list[Pair]] = {}
        try:
            self._read_events()
            self._hide_aliases()
            root = yaml.compose(self.text, Loader=_Loader)
        except (yaml12.YamlError, yaml.YAMLError, UnicodeEncodeError) as error:
            problem = yaml12.problem_of(error)
            raise EditRefused(problem.reason, problem.line) from None
        if root is not None and not isinstance(root, yaml.MappingNode):
            raise EditRefused("the frontmatter is not a mapping of keys to values", 1)
        self.root = root

    def _read_events(self) -> None:
        documents = 0
        opened: list[str] = []
        event: Any
        for event in yaml.parse(self.text, Loader=_Loader):
            line = event.start_mark.line + 1
            name: str = getattr(event, "anchor", None) or ""
            if isinstance(event, yaml.DocumentStartEvent | yaml.DocumentEndEvent):
                documents += isinstance(event, yaml.DocumentStartEvent)
                if documents > 1:
                    raise EditRefused("several YAML documents in one frontmatter", line)
                if event.explicit:
                    raise EditRefused("a document mark (`---` or `...`) inside the frontmatter", line)
            elif isinstance(event, yaml.CollectionStartEvent):
                opened.append(name)
                if len(opened) > _MAX_DEPTH:
                    raise EditRefused("the frontmatter is nested too deeply", line)
            elif isinstance(event, yaml.CollectionEndEvent):
                opened.pop()
            if name and isinstance(event, yaml.AliasEvent):
                self.aliases[self._name_start(event, name) - 1] = name
                if name in opened or name not in self.anchors:
                    raise EditRefused(f"the alias *{name} refers to no anchor, or to itself", line)
            elif name:
                self.anchors[name] = self._name_start(event, name)

    def _name_start(self, event: Any, name: str) -> int:
        start = event.start_mark.index
        found = _NAME.match(self.text, start)
        if found is None or found[1] != name:
            # `&title: A` is an anchor `title:` of the value A to YAML 1.2 readers, to the parser used here a key with the anchor `title`.
            said = self.text[start : start + 20].split()[0]
            raise EditRefused(f"YAML readers disagree about the anchor or alias {said!r}", event.start_mark.line + 1)
        return found.start(1)

    def _hide_aliases(self) -> None:
        """Write other characters in the place of aliases: a composer would put the node of the anchor, with its marks, there."""
        parts: list[str] = []
        done = 0
        for start, name in self.aliases.items():
            end = start + len(name) + 1
            parts += [self.text[done:start], _HIDDEN * (end - start)]
            done = end
        self.text = "".join([*parts, self.text[done:]])

    def pairs(self, mapping: yaml.MappingNode) -> list[Pair]:
        """The entries of a mapping."""
        if id(mapping) not in self._pairs:
            self._pairs[id(mapping)] = [self._pair(key, value, bool(mapping.flow_style)) for key, value in mapping.value]
        return self._pairs[id(mapping)]

    def _pair(self, key: yaml.Node, value: yaml.Node, flow: bool) -> Pair:
        start, end, key_end = value.start_mark.index, self.end(value), self.end(key)
        after = gap_end(self.text, key_end) if flow else blanks_end(self.text, key_end)
        colon = after if self.text[after : after + 1] == ":" else -1
        if start == end and isinstance(value, yaml.ScalarNode):
            # The parsers put an empty value after the colon, before the next key or before `}`.
            start = end = colon + 1 if colon >= 0 else key_end
        return Pair(key, key.start_mark.index, value, start, end, colon)

    def find(self, mapping: yaml.MappingNode, key: str) -> Pair | None:
        """The entry with this text key."""
        return next((pair for pair in self.pairs(mapping) if pair.key.value == key and pair.key.tag == _TEXT), None)

    def end(self, node: yaml.Node) -> int:
        """Where a value ends. The marks of blocks and block scalars include blank lines and comments that follow."""
        if is_block(node) and node.value:
            return self.pairs(node)[-1].stop if isinstance(node, yaml.MappingNode) else self.end(node.value[-1])
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
            return self._block_scalar_end(node)
        return int(node.end_mark.index)

    def _block_scalar_end(self, node: yaml.ScalarNode) -> int:
        """Where the last line of a `|` or `>` scalar ends, before its line break."""
        header = self.block_header(node)
        first = next_line(self.text, header.end())
        lines = [line for line in _LINE.finditer(self.text, first, node.end_mark.index) if line[0]]
        if "+" not in header[0]:
            # Blank lines at the end are not part of the value, unless they are indented further than the scalar.
            written = [len(line[1]) - len(line[1].lstrip(" ")) for line in lines if line[1].strip(" ")]
            margin = 0 if any(char.isdigit() for char in header[0]) else min(written, default=1 << 30)
            while lines and not lines[-1][1].strip(" ") and len(lines[-1][1]) <= margin:
                lines.pop()
        return lines[-1].end(1) if lines else header.end()

    def block_header(self, node: yaml.Node) -> re.Match[str]:
        """The `|` or `>` of a block scalar with its indicators."""
        header = _BLOCK_HEADER.match(self.text, gap_end(self.text, self.properties_end(node)))
        if header is None:
            raise EditRefused("a block scalar without its `|` or `>`")
        return header

    def properties_end(self, node: yaml.Node) -> int:
        """Where the anchor and tag in front of a value end (its start if it has none)."""
        start: int = node.start_mark.index
        if isinstance(node, yaml.MappingNode) and node.value and node.value[0][0].start_mark.index == start:
            return start  # those of its first key
        match = _PROPERTIES.match(self.text, start)
        return match.end() if match else start

    def used_elsewhere(self, start: int, end: int) -> str | None:
        """An anchor in `text[start:end]` that an alias outside of it refers to."""
        outside = {name for at, name in self.aliases.items() if not start <= at < end}
        return next((name for name, at in self.anchors.items() if start <= at < end and name in outside), None)


def is_block(node: yaml.Node) -> bool:
    """Whether this is a list or mapping in block style."""
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def is_missing(node: yaml.Node) -> bool:
    """Whether this is null, an empty text or an empty list, which count as missing."""
    return node.tag == _NULL or (not node.value and not isinstance(node, yaml.MappingNode))


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
