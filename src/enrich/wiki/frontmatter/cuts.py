"""Changes as cuts: which stretch of the text is replaced by what.

What becomes of comments: a comment behind a replaced value stays; so do comment lines above a key. What stands inside a replaced or
deleted value goes with it, and so do, at a deleted key, the comment on its own line and comment lines indented further than the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from enrich.wiki.frontmatter import scalars
from enrich.wiki.frontmatter.changes import Branch, grown
from enrich.wiki.frontmatter.order import Rank, predecessor
from enrich.wiki.frontmatter.refusal import EditRefused
from enrich.wiki.frontmatter.scalars import Indents
from enrich.wiki.frontmatter.spans import (
    Node,
    Pair,
    Tree,
    blanks,
    block_header,
    gap_end,
    line_end,
    line_number,
    line_start,
    next_line,
    properties_end,
)


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
            raise EditRefused("two changes of this edit overlap", line_number(text, cut.start))
        parts += [text[done : cut.start], cut.new]
        done = cut.end
    parts.append(text[done:])
    return "".join(parts)


class Cutter:
    """Plans the cuts for one tree. `newline` ends every line that is added; `rank` orders the keys of the root."""

    def __init__(self, tree: Tree, newline: str, rank: Any) -> None:
        self.tree, self.text, self.newline, self.rank = tree, tree.text, newline, rank
        self.cuts: list[Cut] = []

    def change(self, mapping: Node, branch: Branch, path: tuple[str, ...] = ()) -> None:
        """Plan every value that `branch` sets below `mapping`. It holds no deletions: see `delete`."""
        new: list[tuple[str, Any]] = []
        for key, change in branch.items():
            pair = self.tree.find(mapping, key)
            if pair is None:
                new.append((key, grown(change)))
            elif not isinstance(change, Branch):
                self._replace(mapping, pair, change)
            elif pair.value.kind == "mapping":
                self._check_shared(pair.value)
                self.change(pair.value, change, (*path, key))
            elif pair.value.is_missing:
                self._replace(mapping, pair, grown(change))
            else:
                what = "an alias" if pair.value.kind == "alias" else "no mapping"
                raise EditRefused(f"`{'.'.join((*path, key))}` is {what}, so nothing can be set below it", self._line(pair.key))
        if new:
            self._insert(mapping, new, ranked=not path)

    def delete(self, mapping: Node, path: tuple[str, ...]) -> None:
        """Plan the deletion of one key, if it is there. The last key of a mapping leaves `{}` behind (the root: nothing)."""
        owner: tuple[Node, Pair] | None = None
        for key in path[:-1]:
            pair = self.tree.find(mapping, key)
            if pair is None or pair.value.kind != "mapping":
                return
            self._check_shared(pair.value)
            owner, mapping = (mapping, pair), pair.value
        pair = self.tree.find(mapping, path[-1])
        if pair is None:
            return
        self._check_unshared(pair)
        if mapping.flow:
            self._delete_in_flow(mapping, pair)
        elif len(mapping.pairs) == 1 and owner is not None:
            self._replace(*owner, {})
        else:
            self._check_plain_key(pair)
            self.cuts.append(Cut(line_start(self.text, pair.key.start), self._block_end(mapping, pair), ""))

    # -- replacing -----------------------------------------------------------------------------------------------------------------

    def _replace(self, mapping: Node, pair: Pair, value: Any) -> None:
        self._check_unshared(pair)
        if mapping.flow:
            self._replace_in_line(pair, scalars.in_flow(value))
            return
        self._check_plain_key(pair)
        old = pair.value
        keeps_flow = old.flow and (old.pairs or old.items) and isinstance(value, list | dict) and scalars.is_flat(value)
        if not scalars.is_block(value) or keeps_flow:
            self._replace_in_line(pair, scalars.in_flow(value))
        else:
            self._replace_by_block(mapping, pair, value)

    def _replace_in_line(self, pair: Pair, new: str) -> None:
        old = pair.value
        if old.is_block_scalar:
            header_end = block_header(self.text, old).end()
            self._put(old.start, header_end, new)
            self._drop_lines(next_line(self.text, header_end), old.end)
        elif old.is_block:
            properties = properties_end(self.text, old)
            if properties > old.start:
                self._put(old.start, properties, new)
            else:
                self._put(pair.colon + 1, pair.colon + 1, new)
            self._drop_lines(line_start(self.text, gap_end(self.text, properties)), old.end)
        elif pair.colon < 0:  # `{a}`
            self._put(pair.key.end, pair.key.end, f": {new}")
        else:
            self._put(old.start, old.end, new)

    def _replace_by_block(self, mapping: Node, pair: Pair, value: Any) -> None:
        old = pair.value
        indents = self._indents(mapping, pair)
        column = self._column(mapping) + (indents.mapping if isinstance(value, dict) else indents.sequence)
        lines = "".join(line + self.newline for line in scalars.in_block(value, column, indents))
        if old.is_block:
            properties = properties_end(self.text, old)
            if properties > old.start:
                self._clear(pair.colon + 1, old.start, properties)
            first = line_start(self.text, gap_end(self.text, properties))
            self.cuts.append(Cut(first, next_line(self.text, old.end), lines))
            return
        end = old.end
        if old.is_block_scalar:
            header_end = block_header(self.text, old).end()
            self._clear(pair.colon + 1, old.start, header_end)
            self._drop_lines(next_line(self.text, header_end), old.end)
        elif old.end > old.start:
            self._clear(pair.colon + 1, old.start, old.end)
        # Behind everything that stands on the lines of the old value: its trailing comment keeps its place.
        after = next_line(self.text, end)
        self.cuts.append(Cut(after, after, lines))

    def _put(self, start: int, end: int, new: str) -> None:
        space = "" if self.text[start - 1] in " \t\r\n" or new.startswith(":") else " "
        follow = self.text[end : end + 1]
        self.cuts.append(Cut(start, end, f"{space}{new}{' ' if follow == '#' else ''}"))

    def _clear(self, after_colon: int, start: int, end: int) -> None:
        """Take away an old value; with the blanks in front of it where it stands behind its key, with its line where it has one."""
        first = line_start(self.text, start)
        if first <= after_colon:
            self.cuts.append(Cut(after_colon, end, ""))
        elif self.text[end : line_end(self.text, end)].strip(" \t"):
            # The comment moves up to where the value stood: a tab between margin and comment would not be read everywhere.
            self.cuts.append(Cut(start, end + blanks(self.text, end), ""))
        else:
            self.cuts.append(Cut(first, next_line(self.text, end), ""))

    def _drop_lines(self, first: int, last: int) -> None:
        if last >= first:
            self.cuts.append(Cut(first, next_line(self.text, last), ""))

    # -- inserting -----------------------------------------------------------------------------------------------------------------

    def _insert(self, mapping: Node, new: Sequence[tuple[str, Any]], *, ranked: bool) -> None:
        places: dict[int, list[tuple[str, Any]]] = {}
        if ranked:
            present: list[Rank] = [self.rank(pair.key.value) for pair in mapping.pairs]
            for key, value in sorted(new, key=lambda item: self.rank(item[0])):
                places.setdefault(predecessor(self.rank(key), present), []).append((key, value))
        else:
            places[len(mapping.pairs) - 1] = list(new)
        for place, entries in places.items():
            if mapping.flow:
                self._insert_in_flow(mapping, place, entries)
            else:
                self._insert_lines(mapping, place, entries)

    def _insert_lines(self, mapping: Node, place: int, entries: Sequence[tuple[str, Any]]) -> None:
        margin = " " * self._column(mapping)
        lines: list[str] = []
        for key, value in entries:
            lines += [margin + line for line in scalars.entry(key, value, self._indents(mapping))]
        at = self._block_end(mapping, mapping.pairs[place]) if place >= 0 else self._top(mapping)
        self.cuts.append(Cut(at, at, "".join(line + self.newline for line in lines)))

    def _insert_in_flow(self, mapping: Node, place: int, entries: Sequence[tuple[str, Any]]) -> None:
        quote = bool(mapping.pairs) and all(pair.key.style == '"' for pair in mapping.pairs)
        new = ", ".join(f"{scalars.key_text(key, quote=quote)}: {scalars.in_flow(value)}" for key, value in entries)
        if place >= 0:
            pair = mapping.pairs[place]
            gap = " " if pair.value.start == pair.value.end and pair.colon >= 0 else ""
            self.cuts.append(Cut(pair.end, pair.end, f"{gap}, {new}"))
        elif mapping.pairs:
            self.cuts.append(Cut(mapping.pairs[0].key.start, mapping.pairs[0].key.start, f"{new}, "))
        else:
            inside = self.text.index("{", properties_end(self.text, mapping)) + 1
            stop = inside if self.text[inside : mapping.end - 1].strip(" \t") else mapping.end - 1
            self.cuts.append(Cut(inside, stop, new))

    def _top(self, mapping: Node) -> int:
        """The line of the first key, or of the comment lines right above it, which belong to it."""
        top = line_start(self.text, mapping.pairs[0].key.start)
        while top > 0:
            above = line_start(self.text, top - (2 if self.text[top - 2 : top] == "\r\n" else 1))
            if not self.text[above:top].lstrip(" \t").startswith("#"):
                break
            top = above
        return top

    def _delete_in_flow(self, mapping: Node, pair: Pair) -> None:
        index = mapping.pairs.index(pair)
        last = index == len(mapping.pairs) - 1
        end = pair.end
        comma = gap_end(self.text, end)
        if self.text[comma : comma + 1] == ",":
            self.cuts.append(Cut(pair.key.start, end, ""))
            self.cuts.append(Cut(comma, comma + 1 + (0 if last else blanks(self.text, comma + 1)), ""))
        elif index:
            comma = gap_end(self.text, mapping.pairs[index - 1].end)
            if not self.text[comma + 1 : pair.key.start].strip(" \t"):
                self.cuts.append(Cut(comma, end, ""))
            else:
                self.cuts += [Cut(comma, comma + 1, ""), Cut(pair.key.start, end, "")]
        else:
            self.cuts.append(Cut(pair.key.start, end, ""))

    # -- where and how -------------------------------------------------------------------------------------------------------------

    def _block_end(self, mapping: Node, pair: Pair) -> int:
        """Where the next entry's lines begin: after the value, the comment behind it and comment lines that are indented below the key."""
        column = self._column(mapping)
        at = next_line(self.text, pair.end)
        while at < len(self.text):
            line = self.text[at : line_end(self.text, at)]
            comment = line.lstrip(" \t")
            if not comment.startswith("#") or len(line) - len(comment) <= column:
                break
            at = next_line(self.text, at)
        return at

    def _column(self, mapping: Node) -> int:
        """The column of a block mapping's keys."""
        start = mapping.pairs[0].key.start
        margin = self.text[line_start(self.text, start) : start]
        if margin.rstrip("? \t") or "\t" in margin or ("?" in margin and margin.lstrip(" ")[:1] != "?"):
            raise EditRefused("a mapping that begins in the middle of a line", self._line(mapping.pairs[0].key))
        return len(margin) - len(margin.lstrip(" ")) if "?" in margin else len(margin)

    def _indents(self, mapping: Node, pair: Pair | None = None) -> Indents:
        """The file's own indentation: that of the value itself, else of the first list and mapping beside it, else two spaces."""
        found: dict[str, int] = {}
        column = self._column(mapping)
        for sibling in ([pair] if pair else []) + mapping.pairs:
            value = sibling.value
            if value.is_block and value.kind not in found and (value.items or value.pairs) and sibling.colon >= 0:
                first = gap_end(self.text, properties_end(self.text, value))
                depth = first - line_start(self.text, first) - column
                if 0 <= depth <= 8 and (depth or value.kind == "sequence"):
                    found[value.kind] = depth
        return Indents(**found)

    def _line(self, node: Node) -> int:
        return line_number(self.text, node.start)

    def _check_plain_key(self, pair: Pair) -> None:
        start = pair.key.start
        if pair.colon < 0 or self.text[line_start(self.text, start) : start].strip(" "):
            raise EditRefused(f"the key {pair.key.value!r} is written in a form that is not edited here", self._line(pair.key))

    def _check_unshared(self, pair: Pair) -> None:
        for node in (pair.key, pair.value):
            anchor = self.tree.used_elsewhere(node)
            if anchor:
                raise EditRefused(f"the value of `{pair.key.value}` holds the anchor &{anchor}, which is used elsewhere", self._line(node))

    def _check_shared(self, mapping: Node) -> None:
        for _, target in self.tree.aliases:
            if target is mapping:
                raise EditRefused(f"the mapping with the anchor &{mapping.anchor} is used elsewhere too", self._line(mapping))
