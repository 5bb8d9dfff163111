"""The visible text of an MDX or Markdown body, line by line, with positions in the body, and its sentences.

Visible is what a reader of the rendered page sees: prose, headings, lists, tables, footnotes, code, the text inside components, and text
attributes of components (labels, titles, values, captions, a diagram's labels). Not visible are imports, comments, link targets, ids and
other technical attributes, and hidden elements.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple

from enrich.wiki.markup import WORDS, Scan, inline

Kind = Literal["prose", "heading", "list", "table", "code", "component", "footnote", "comment"]


class Line(NamedTuple):  # a tuple: pages have hundreds, and a frozen dataclass takes three times as long
    """One visible line. `number`: body line from 1; `section`: the heading above it ("" above the first); `text`: without markup.

    One body line can give two `Line`s: its text, and (kind `component`) the text in attributes of the components on it. The cells of a
    table row, and the values of one component on one line, are joined by ` | `. Lines of kind `comment` are not visible to readers.
    """

    number: int
    text: str
    section: str
    kind: Kind


class Sentence(NamedTuple):
    """One sentence with its first and last body line (from 1)."""

    text: str
    start_line: int
    end_line: int
    section: str


@dataclass(frozen=True)
class VisibleText:
    """The lines of one body in order, without blank lines, table rules and imports."""

    lines: tuple[Line, ...]

    @cached_property
    def words(self) -> int:
        """The number of visible words outside code and comments; two characters of Chinese, Japanese or Thai count as one word."""
        return sum(self._word_counts())

    def has_words(self, least: int) -> bool:
        """Whether `words` is at least this (above 0). Reads no further than that."""
        return any(count >= least for count in accumulate(self._word_counts()))

    def _word_counts(self) -> Iterator[int]:
        return (word_count(line.text) for line in self.lines if line.kind not in ("code", "comment"))

    @cached_property
    def prose(self) -> tuple[Sentence, ...]:
        """The sentences of running text; some run over several lines."""
        return self.sentences()

    @cached_property
    def wrapped(self) -> tuple[Sentence, ...]:
        """The sentences of running text that run over several lines."""
        paragraphs = (block for block in _paragraphs(self.lines, ("prose",)) if len(block) > 1)
        found = (sentence for block in paragraphs for sentence in _sentences(block))
        return tuple(sentence for sentence in found if sentence.start_line != sentence.end_line)

    def sentences(self, kinds: Sequence[Kind] = ("prose",)) -> tuple[Sentence, ...]:
        """The sentences of the lines of these kinds, in order. Consecutive lines of prose are one paragraph."""
        return tuple(sentence for block in _paragraphs(self.lines, kinds) for sentence in _sentences(block))


def visible(body: str) -> VisibleText:
    """The visible text of a body. Never raises.

    >>> [(line.number, line.kind, line.text) for line in visible("## Cost\\n\\nAbout **\\\\$5** in [a table](x.md).").lines]
    [(1, 'heading', 'Cost'), (3, 'prose', 'About $5 in a table.')]
    """
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    scan = Scan(body)
    text = inline(scan.text)
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
            pieces += [body[done:start], _NOT_A_LINE_END.sub(" ", body[start:end])]
            done = end
    text = "".join((*pieces, body[done:]))
    tags = sorted(scan.tags)
    tagged: set[int] = set()
    for (start, end), first in zip(tags, _line_numbers(body, [start for start, _ in tags]), strict=True):
        tagged.update(range(first, first + body.count("\n", start, end) + 1))
    return text.split("\n"), frozenset(tagged)


_NOT_A_LINE_END = re.compile(r"[^\n]")
_QUOTE_MARKS = re.compile(r"(?:>\s*)+")
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
    spans = sorted(scan.spans)
    for (start, end, what), line in zip(spans, _line_numbers(scan.body, [start for start, _, _ in spans]), strict=True):
        for number, part in enumerate(scan.body[start:end].split("\n"), line):
            if part.strip():
                marked[number] = ("code" if what == "code" else "comment", part)
    return marked


def _shown(scan: Scan) -> dict[int, str]:
    """The text of attributes by body line, without markup; the values on one line are joined by ` | `."""
    extras = sorted(scan.extras)
    texts = inline(_TAG.sub(" ", "\n".join(text.replace("\n", " ") for _, text in extras))).split("\n") if extras else []
    shown: dict[int, str] = {}
    for line, words in zip(_line_numbers(scan.body, [offset for offset, _ in extras]), texts, strict=True):
        text = " ".join(words.split())
        if text:
            shown[line] = f"{shown[line]} | {text}" if line in shown else text
    return shown


def _line_numbers(body: str, offsets: Sequence[int]) -> Iterator[int]:
    """The body lines (from 1) of ascending offsets."""
    line, last = 1, 0
    for offset in offsets:
        line += body.count("\n", last, offset)
        last = offset
        yield line


_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,500}>")


def _lines(texts: list[str], marked: dict[int, tuple[Kind, str]], shown: dict[int, str]) -> Iterator[Line]:
    section = ""
    table = False  # within a table without leading pipes
    held: Line | None = None  # the last line of prose: a rule below it makes it a heading or the head of a table
    for number, raw in enumerate(texts, 1):
        text = raw.strip()
        kind: Kind = "prose"
        if not text:
            table = False
        else:
            kind, text, first = _kind(text, table)
            if text and first in "-*_=|:":
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
            text = _cells(text) if kind == "table" else " ".join(text.split())
            if kind == "heading" and text:
                section = text
        if held is not None:
            yield held
        held = Line(number, text, section, kind) if text else None
        if held is not None and (kind != "prose" or number in marked or number in shown):
            yield held
            held = None
        if number in marked:
            kind, text = marked[number]
            yield Line(number, " ".join(text.split()), section, kind)
        if number in shown:
            yield Line(number, shown[number], section, "component")
    if held is not None:
        yield held


def _kind(text: str, table: bool) -> tuple[Kind, str, str]:
    """(kind of a line, its text without the mark that gives the kind, its first character after quote marks)."""
    if text.startswith(">") and (marks := _QUOTE_MARKS.match(text)):
        text = text[marks.end() :]
    first = text[:1]
    if first == "|" or (table and "|" in text):
        return "table", text, first
    if first == "#" and (found := _HEADING.match(text)):
        return "heading", text[found.end() :].rstrip("# \t"), first
    if first and first in "-+*•0123456789" and (found := _LIST.match(text)):
        return "list", text[found.end() :], first
    if first == "[":
        if found := _FOOTNOTE.match(text):
            return "footnote", text[found.end() :], first
        if _DEFINITION.match(text):
            return "prose", "", first
    if text.startswith(":::") and (found := _DIRECTIVE.match(text)):
        return "prose", f"{found[1] or ''} {text[found.end() :]}", first
    return "prose", text, first


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


def _sentences(block: Sequence[Line]) -> Iterator[Sentence]:
    """The sentences of one paragraph."""
    text = " ".join(line.text for line in block)
    starts = list(accumulate((len(line.text) + 1 for line in block[:-1]), initial=0))
    for start, end in split_sentences(text):
        first, last = block[bisect_right(starts, start) - 1], block[bisect_right(starts, end - 1) - 1]
        yield Sentence(text[start:end], first.number, last.number, first.section)


def word_count(text: str) -> int:
    """The number of words; two characters of Chinese, Japanese or Thai count as one."""
    return len(text.split()) - text.count(" | ") + wide_words(text)


def wide_words(text: str) -> int:
    """The words that blanks do not separate: two characters of Chinese, Japanese or Thai count as one."""
    return 0 if text.isascii() else len(_WIDE.findall(text)) // 2


# A mark that can end a sentence, its closing quotes and brackets, and the space behind it. The marks of other scripts end nothing but
# sentences: Chinese and Japanese, the danda, the Arabic and Urdu, Armenian, Ethiopic, Burmese and Khmer full stops.
_FULL_STOPS = "。！？।॥؟۔։።။។"
# A run of marks is read once, from its beginning: a run that ends no sentence would otherwise be read from each of its marks. The search for one
# set of characters takes a seventh of the time of a search for alternatives; what is before the character is looked at afterwards.
_END = re.compile(
    rf"[.!?…{_FULL_STOPS}](?<![.!?…][.!?…])"
    rf"(?:(?<=[.!?…])[.!?…]*+[\"'”’»)\]]*+\s+|(?<=[{_FULL_STOPS}])[{_FULL_STOPS}]*[」』”）\"'»)]*\s*)"
)
# An ordinal before a month is not the end of a sentence: `am 12. März`, `12. května`.
_MONTH = re.compile("|".join(sorted(WORDS["ordinal_months"])), re.IGNORECASE)
_LAST_WORD = re.compile(r"[\w.&'’-]+$")
_ABBREVIATIONS, _MAY_END, _STARTERS = WORDS["abbreviations"], WORDS["abbreviations_that_may_end"], WORDS["starters"]


def split_sentences(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence of one paragraph, in order, without the space between sentences.

    Abbreviations, initials, decimals and versions do not end a sentence.

    >>> text = "Costs fell by 2.5 % (cf. Fig. 3) in v1.2. That was new."
    >>> [text[start:end] for start, end in split_sentences(text)]
    ['Costs fell by 2.5 % (cf. Fig. 3) in v1.2.', 'That was new.']
    """
    found: list[tuple[int, int]] = []
    start = 0
    for mark in _END.finditer(text):
        end = mark.end()
        if end >= len(text):
            break
        if mark[0][0] == "." and not _ends(text, mark.start(), end):
            continue
        if text[end].islower() and mark[0][0] not in _FULL_STOPS:
            continue
        stop = mark.start() + len(mark[0].rstrip())
        found.append((start, stop))
        start = end
    if text[start:].strip():
        found.append((start, len(text.rstrip())))
    return found


def _ends(text: str, dot: int, after: int) -> bool:
    """Whether the full stop at `dot` ends a sentence; the next one would begin at `after`."""
    word = _LAST_WORD.search(text, max(0, dot - 24), dot)
    if word is None:
        return True
    last = word[0].strip("'’-").lower()
    following = text[after : after + 12].split(" ", 1)[0].strip(",;:")
    if last in _ABBREVIATIONS:
        return last in _MAY_END and following in _STARTERS
    if len(last) == 1 and last.isalpha() and word[0].isupper():  # an initial
        return following in _STARTERS
    if last.isdigit() and len(last) <= 2 and _MONTH.match(text, after):
        return False
    if last.isdigit() and not text[max(0, dot - len(last) - 40) : dot - len(last)].strip() and dot - len(last) <= 40:  # "1. First"
        return False
    return not ("." in last and last.replace(".", "").isalpha() and len(last) <= 6 and following not in _STARTERS)
