"""The visible text of an MDX or Markdown body, line by line, with positions that map back to the body.

What a reader of the rendered page sees counts: prose, headings, lists, tables, footnotes, code, the text inside components and the text
that components are given as attributes (labels, titles, values, captions, a diagram's labels). What nobody sees does not: imports,
comments, link targets, ids and other technical attributes, elements that are hidden by an attribute. So hidden text can neither ground an
answer nor be quoted.

How the markup comes off is `markup`'s part; here lines get their kind and the heading they stand under.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from enrich.wiki.markup import Scan, inline
from enrich.wiki.sentences import split_sentences

Kind = Literal["prose", "heading", "list", "table", "code", "component", "footnote", "comment"]


@dataclass(frozen=True, slots=True)
class Line:
    """One visible line. `number`: body line from 1; `section`: the heading it stands under ("" above the first); `text`: without markup.

    One body line can give two `Line`s: its text, and (kind `component`) the text in attributes of the components on it. The cells of a
    table row, and the values of one component on one line, are joined by ` | `. Kind `comment` is what no reader sees; it grounds nothing.
    """

    number: int
    text: str
    section: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence with the body lines it stands on (from 1, both included)."""

    text: str
    start_line: int
    end_line: int
    section: str


@dataclass(frozen=True)
class VisibleText:
    """The lines of one body in order; blank lines, table rules and imports are left out."""

    lines: tuple[Line, ...]

    @cached_property
    def words(self) -> int:
        """Number of visible words, code and comments not counted; two characters of Chinese, Japanese or Thai count as one word."""
        return sum(_words(line.text) for line in self.lines if line.kind not in ("code", "comment"))

    def sentences(self, kinds: Sequence[Kind] = ("prose",)) -> tuple[Sentence, ...]:
        """The sentences of the lines of these kinds, in order. Lines of prose that follow each other form one paragraph."""
        found: list[Sentence] = []
        for block in _paragraphs(self.lines, kinds):
            text = " ".join(line.text for line in block)
            starts: list[int] = []
            offset = 0
            for line in block:
                starts.append(offset)
                offset += len(line.text) + 1
            at = 0
            for start, end in split_sentences(text):
                while at + 1 < len(starts) and starts[at + 1] <= start:
                    at += 1
                last = at
                while last + 1 < len(starts) and starts[last + 1] < end:
                    last += 1
                found.append(Sentence(text[start:end], block[at].number, block[last].number, block[at].section))
        return tuple(found)


def visible(body: str) -> VisibleText:
    """The visible text of a body (LF-normalised, as `Page.body` is; CRLF is taken too). Never raises.

    >>> [(line.number, line.kind, line.text) for line in visible("## Cost\\n\\nAbout **\\\\$5** in [a table](x.md).").lines]
    [(1, 'heading', 'Cost'), (3, 'prose', 'About $5 in a table.')]
    """
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    scan = Scan(body)
    text = inline(scan.text())
    return VisibleText(tuple(_lines(text.split("\n"), _marked(scan), _shown(scan))))


def source_lines(body: str) -> tuple[list[str], frozenset[int]]:
    """(the lines of an LF-normalised body as they are written, comments blanked; the numbers of those that hold attributes of a tag).

    A model is shown the body with its markup, and may quote an attribute together with its key.
    """
    scan = Scan(body)
    pieces: list[str] = []
    done = 0
    for start, end, what in sorted(scan.spans):
        if what == "comment" and end > done:
            start = max(start, done)
            pieces += [body[done:start], "\n" * body.count("\n", start, end)]
            done = end
    pieces.append(body[done:])
    tagged: set[int] = set()
    for start, end in scan.tags:
        first = body.count("\n", 0, start) + 1
        tagged.update(range(first, first + body.count("\n", start, end) + 1))
    return "".join(pieces).split("\n"), frozenset(tagged)


_HEADING = re.compile(r"#{1,6}(?:[ \t]+|$)")
_LIST = re.compile(r"(?:[-+*•][ \t]+|(?=\d{1,9}[.)][ \t]))(?:\[[ xX]\][ \t]+)?")
_FOOTNOTE = re.compile(r"\[\^([^\[\]\s]{1,100})\]:[ \t]*")
_DEFINITION = re.compile(r"\[[^\[\]]{1,200}\]:[ \t]*\S+(?:[ \t]+[\"'(].*)?$")
_RULE = re.compile(r"(?:-[ \t]*){3,}$|(?:\*[ \t]*){3,}$|(?:_[ \t]*){3,}$|=+$")
_TABLE_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$")
_DIRECTIVE = re.compile(r":{3,}[\w-]*(?:\[([^\]]*)\])?(?:\{[^}]*\})?[ \t]*")
_WIDE = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿]")


def _marked(scan: Scan) -> dict[int, tuple[Kind, str]]:
    """Code and comments by body line."""
    marked: dict[int, tuple[Kind, str]] = {}
    line, last = 1, 0
    for start, end, what in sorted(scan.spans):
        line += scan.body.count("\n", last, start)
        last = start
        for number, part in enumerate(scan.body[start:end].split("\n"), line):
            if part.strip():
                marked[number] = ("code" if what == "code" else "comment", part)
    return marked


def _shown(scan: Scan) -> dict[int, str]:
    """The text of attributes by body line, without markup; the values on one line are parted by ` | `."""
    if not scan.extras:
        return {}
    extras = sorted(scan.extras)
    texts = inline(_TAG.sub(" ", "\n".join(text.replace("\n", " ") for _, text in extras))).split("\n")
    shown: dict[int, str] = {}
    line, last = 1, 0
    for (offset, _), text in zip(extras, texts, strict=True):
        line += scan.body.count("\n", last, offset)
        last = offset
        text = " ".join(text.split())
        if text:
            shown[line] = f"{shown[line]} | {text}" if line in shown else text
    return shown


_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,500}>")


def _lines(texts: list[str], marked: dict[int, tuple[Kind, str]], shown: dict[int, str]) -> Iterator[Line]:
    section = ""
    table = False  # within a table without leading pipes
    held: Line | None = None  # the last line of prose: a rule below it makes it a heading, or the head of a table
    for number, raw in enumerate(texts, 1):
        text = raw.strip()
        if text:
            kind: Kind = "prose"
            first = text[0]
            while first == ">":
                text = text[1:].lstrip()
                first = text[:1]
            if first == "|" or (table and "|" in text):
                kind = "table"
            elif first == "#":
                found = _HEADING.match(text)
                if found is not None:
                    kind = "heading"
                    text = text[found.end() :].rstrip("# \t")
            elif first in "-+*•0123456789":
                found = _LIST.match(text)
                if found is not None:
                    kind = "list"
                    text = text[found.end() :]
            elif first == "[":
                found = _FOOTNOTE.match(text)
                if found is not None:
                    kind = "footnote"
                    text = text[found.end() :]
                elif _DEFINITION.match(text):
                    text = ""
            elif first == ":" and text.startswith(":::"):
                found = _DIRECTIVE.match(text)
                if found is not None:
                    text = f"{found[1] or ''} {text[found.end() :]}"
            if first in "-*_=|:" and text:
                if _TABLE_RULE.match(text) and "|" in text:
                    if held is not None and "|" in held.text:
                        held = Line(held.number, _cells(held.text), held.section, "table")
                        table = True
                    text = ""
                elif _RULE.match(text):
                    if held is not None and held.number == number - 1 and first in "=-":
                        section = held.text
                        held = Line(held.number, held.text, section, "heading")
                    text = ""
            if kind == "table":
                text = _cells(text)
            elif text:
                text = " ".join(text.split())
                if kind == "heading":
                    section = text
        else:
            kind = "prose"
            table = False
        if held is not None:
            yield held
            held = None
        if text:
            line = Line(number, text, section, kind)
            if kind == "prose":
                held = line
            else:
                yield line
        if number in marked or number in shown:
            if held is not None:
                yield held
                held = None
            if number in marked:
                kind, text = marked[number]
                yield Line(number, " ".join(text.split()), section, kind)
            if number in shown:
                yield Line(number, shown[number], section, "component")
    if held is not None:
        yield held


def _cells(row: str) -> str:
    return " | ".join(filter(None, (" ".join(cell.split()) for cell in row.strip("|").split("|"))))


def _paragraphs(lines: Sequence[Line], kinds: Sequence[Kind]) -> Iterator[list[Line]]:
    block: list[Line] = []
    for line in lines:
        if line.kind not in kinds:
            continue
        if block and (line.kind != "prose" or block[-1].kind != "prose" or line.number != block[-1].number + 1):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _words(text: str) -> int:
    words = len(text.split()) - text.count(" | ")
    if text.isascii():
        return words
    return words + len(_WIDE.findall(text)) // 2
