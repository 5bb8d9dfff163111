"""Finding a quote on a page: verbatim after normalising, or one or two words off and then repaired to the page's words.

White space, the form of quotation marks and dashes, markup, entities, table pipes and invisible characters do not count. The page's visible
lines are normalised once and joined, so that a quote is one `str.find` and one `bisect`; it may run over lines, cells and component text.

Normalising is idempotent and stable under cuts: it is applied until nothing changes, and what it takes away or replaces (a tag, an
entity, a bracket, a star) never occurs in its result, so no cut of a normalised text holds one.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from enrich.grounding.number_words import NUMBER_WORDS, TURNS, NumberRules, has_rules, rules_of, word_set
from enrich.wiki.markup import BLOCKS
from enrich.wiki.visible import Line

# An almost-quote has at least this many words, and at most this many are off (measured: all true ones found, no foreign one accepted).
ALMOST_WORDS = 8
ALMOST_EDITS = 2


@dataclass(frozen=True, slots=True)
class Quote:
    """Where a quote is on its page.

    `text`: the page's own words, whole words without markup; `exact`: the quote is these words; `start_line`, `end_line`: body lines from 1
    (0: title or description); `section`: the heading above; `page_text`: the visible lines that hold it.
    """

    text: str
    exact: bool
    start_line: int
    end_line: int
    section: str
    page_text: str


# Invisible characters: soft hyphen, joiners, zero-width space, direction marks, word joiner, byte-order mark.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]+"
)
ODD = re.compile(r"[^\x00-\x7f]+")
# Replaces invisible characters between two digits, so that `1<ZWSP>00` is never taken for 100.
BROKEN = "\ue00f"
_BROKEN_NUMBER = re.compile(f"(?<=\\d){INVISIBLE.pattern}(?=\\d)")
DASHES = "–—‐‑‒―−－"
_TYPOGRAPHIC = {
    **dict.fromkeys("’‘ʼ′‚‛", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys(DASHES + "⁃", "-"),
    "…": "...",
}
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SUP = re.compile(r"<sup>", re.IGNORECASE)
_TAG = re.compile(r"</?([A-Za-z][\w.-]*+)[^<>]{0,2000}>|</?>")
_OPEN_TAG = re.compile(r"(?<!<)<+([A-Za-z/])")
_TARGET = re.compile(r"\]\([^()\s]{0,2000}(?:\([^()\s]{0,200}\)[^()\s]{0,2000})?\)")
_NOTE = re.compile(r"\[\^[^\[\]\s]{1,100}\]")
_STARS = re.compile(r"\*(?<=\d\*)\**(?=\d)")
_BRACKETS = re.compile(r"[\[\]](?<=\d[\[\]])[\[\]]*(?=\d)")
_MARKS = re.compile(r"[&<\[\]*_`\\|~\t\n\r\f\v\x1c-\x1f]")
_LINE_MARKS = re.compile(r"^[ \t]*(?:(?:#{1,6}|>+|[+•*-])[ \t]+)+", re.MULTILINE)
_LIST_NUMBER = re.compile(r"^\d{1,3}[.)] ")


_MOST_PASSES = 8
_MOST_MARKS = 30


def _odd(text: str) -> set[str]:
    return set("".join(set(ODD.findall(text))))


def _with_few_marks(text: str, odd: Iterable[str]) -> str:
    """The text with at most 30 combining marks in a row (the stream-safe format of Unicode, UAX #15): sorting them takes quadratic time."""
    marks = "".join(char for char in odd if unicodedata.combining(char))
    return re.sub(f"([{marks}]{{{_MOST_MARKS}}})[{marks}]+", r"\1", text) if marks else text


def normalise(text: str) -> str:
    """The text as quotes are compared: one line, plain quotes and dashes, no markup. `normalise(normalise(x)) == normalise(x)`.

    >>> normalise("“**Costs** rose 10 – 12&nbsp;%” | see [notes](n.md)")
    '"Costs rose 10-12 %" see notes'
    """
    text = text.replace(" | ", " ")  # between the cells of a row; most rows have no other mark
    if _is_normal(text):
        return text
    before = None
    passes = 0
    while before != text:
        before = text
        text = _once(text)
        if _is_normal(text):
            return text
        passes += 1
        if passes == _MOST_PASSES:  # entities within entities: each pass would remove one layer
            text = text.replace("&", "")
    return text


def _is_normal(text: str) -> bool:
    """Whether this is an ASCII text that normalising cannot change, as most quotes are."""
    blanks = text[:1] == " " or text[-1:] == " " or "  " in text or " -" in text or "- " in text or "--" in text
    return not blanks and text.isascii() and _MARKS.search(text) is None


def _once(text: str) -> str:
    if "&" in text:
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if not text.isascii():
        odd = _odd(text)
        composed = unicodedata.normalize("NFC", _with_few_marks(text, odd))
        if composed != text:
            text, odd = composed, _odd(composed)
        if any(INVISIBLE.match(char) for char in odd):
            text = _BROKEN_NUMBER.sub(BROKEN, text)
            text = INVISIBLE.sub("", text)
        for char in odd.intersection(_TYPOGRAPHIC):
            text = text.replace(char, _TYPOGRAPHIC[char])
    if "<" in text:
        text = _SUP.sub("^", text)
        text = _TAG.sub(_tag_space, text)
        text = _OPEN_TAG.sub(r"\1", text)
    if "[" in text or "]" in text:
        text = _NOTE.sub("", text)
        text = _TARGET.sub("]", text)
        text = _BRACKETS.sub(" ", text)
        text = text.replace("[", "").replace("]", "")
    if "*" in text:
        text = _STARS.sub("×", text).replace("*", "")
    for mark in "_`\\":
        if mark in text:
            text = text.replace(mark, "")
    if "|" in text:
        text = text.replace("|", " ")
    if "~~" in text:
        text = text.replace("~~", "")
    text = " ".join(text.split())
    if "-" in text:
        text = text.replace(" -", "-").replace("- ", "-")
        while "--" in text:
            text = text.replace("--", "-")
    return text


def _tag_space(found: re.Match[str]) -> str:
    """Tags of block elements separate words, as they do on the page."""
    return " " if found[1] in BLOCKS else ""


def normalise_quote(quote: str) -> str:
    """A quote as the model gave it, normalised; list and heading marks at the start of its lines do not count either."""
    return normalise(_LINE_MARKS.sub("", quote))


_WORD = re.compile(r"[^\s\x00-]+")
_EDGE = ".,;:!?\"'()…"
_DIGIT = re.compile(r"\d|[¼-¾⅐-⅞⁰²³¹⁴-⁹]")


# A repair must not change a number, or a word that turns a statement around.
_GUARDED = NUMBER_WORDS | TURNS | word_set("percent")
_PREFIXES = ("un", "in", "im", "ir", "il", "non", "dis", "mis", "anti", "de")


def _guarded(word: str, rules: NumberRules | None = None) -> bool:
    """Whether a repair must not touch this word: a number, a negation, or what turns or weighs a statement."""
    return (
        (rules is not None and rules.tells(word))
        or word in _GUARDED
        or bool(_DIGIT.search(word))
        or word.endswith(("n't", "fold"))
        or word[0] in "<>=$€£¥%≈~±"
    )


class QuoteIndex:
    """The lines of one page, ready for quotes. Lines of kind `comment` are left out: a reader does not see them."""

    def __init__(self, lines: Sequence[Line], language: str = "en") -> None:
        self._rules = rules_of(language)
        # Where numbers and negations are not known, no word may be off.
        self._edits = ALMOST_EDITS if has_rules(language) else 0
        self._lines: list[Line] = []
        self._starts: list[int] = []
        self._unchanged: list[bool] = []  # whether normalising left the line as it is
        pieces: list[str] = []
        offset = 0
        # The attributes of a component must not divide the text around it: they come after the text. No quote holds the mark between them.
        zones = [[line] for line in lines if line.number <= 0]
        zones.append([line for line in lines if line.number > 0 and line.kind not in ("comment", "component")])
        zones.append([line for line in lines if line.number > 0 and line.kind == "component"])
        for zone in zones:
            for line in zone:
                plain = normalise(line.text)
                # A dash at a line's edge takes no space, as within lines.
                if plain and plain[0] == "-" and pieces and pieces[-1][-1] != "\x00":
                    if pieces[-1][-1] == " ":
                        pieces[-1] = pieces[-1][:-1]
                        offset -= 1
                    if pieces[-1][-1:] == "-":
                        plain = plain[1:]
                if not plain:
                    continue
                self._lines.append(line)
                self._starts.append(offset)
                self._unchanged.append(plain == line.text)
                piece = plain if plain[-1] == "-" else plain + " "
                pieces.append(piece)
                offset += len(piece)
            pieces.append("\x00")
            offset += 1
        self.text = "".join(pieces)

    def find(self, quote: str, *, almost: bool = True) -> Quote | None:
        """Where the quote is on the page, or None: then the page does not support it. With `almost`, a word or two may be off."""
        plain = normalise_quote(quote)
        if not any(char.isalnum() for char in plain) or "\x00" in plain or BROKEN in plain:
            return None
        start = self._verbatim(plain)
        if start >= 0:
            return self._match(start, start + len(plain), exact=True)
        return self._almost(plain) if almost else None

    def _verbatim(self, plain: str) -> int:
        """The offset of the first occurrence that begins and ends with whole words, or -1."""
        text, at = self.text, -1
        while (at := text.find(plain, at + 1)) >= 0:
            end = at + len(plain)
            if (plain[0].isalnum() and at and text[at - 1].isalnum()) or (plain[-1].isalnum() and text[end : end + 1].isalnum()):
                continue
            if _splits_number(text, at) or _splits_number(text, end):
                continue
            return at
        return -1

    @cached_property
    def _words(self) -> tuple[list[str], list[tuple[int, int]], dict[str, list[int]]]:
        words: list[str] = []
        spans: list[tuple[int, int]] = []
        where: dict[str, list[int]] = {}
        for found in _WORD.finditer(self.text.lower()):
            word = found.group().strip(_EDGE)
            if word:
                where.setdefault(word, []).append(len(words))
                words.append(word)
                spans.append(found.span())
        return words, spans, where

    def _almost(self, plain: str) -> Quote | None:
        """The best window of whole words at most `ALMOST_EDITS` off; for a short quote only case and punctuation may differ."""
        wanted = [word for found in _WORD.findall(plain.lower()) if (word := found.strip(_EDGE))]
        if not wanted or len(wanted) > 2000:
            return None
        words, spans, where = self._words
        if len(wanted) > 1 and wanted[0].isdigit() and len(wanted[0]) <= 3 and _LIST_NUMBER.match(plain):
            wanted = wanted[1:]  # the number of a list item is not part of its text
        allowed = self._edits if len(wanted) >= ALMOST_WORDS else 0
        if sum(word in where for word in wanted) < len(wanted) - allowed:
            return None
        windows: list[tuple[int, int, int]] = []
        for begin in _likely_begins(wanted, where):
            low, high = max(0, begin - allowed), min(len(words), begin + len(wanted) + allowed)
            near = _align(wanted, words[low:high], allowed, self._rules)
            if near is not None:
                windows.append((near[0], low + near[1], low + near[2]))
        if not windows:
            return None
        _, first, last = min(windows, key=lambda window: window[0])
        start, end = spans[first][0], spans[last - 1][1]
        if "\x00" in self.text[start:end] or BROKEN in self.text[start:end]:
            return None
        return self._match(start, end, exact=False)

    def _match(self, start: int, end: int, *, exact: bool) -> Quote:
        first = max(0, bisect_right(self._starts, start) - 1)
        last = max(first, bisect_right(self._starts, end - 1) - 1)
        lines = self._lines[first : last + 1]
        if all(self._unchanged[first : last + 1]):
            text = self.text[start:end].strip()
        else:
            skip, keep = self._letters(self._starts[first], start), self._letters(self._starts[last], end)
            parts = [_cut(line.text, skip if line is lines[0] else 0, keep if line is lines[-1] else None) for line in lines]
            text = " ".join(filter(None, parts))
        return Quote(text, exact, lines[0].number, lines[-1].number, lines[0].section, "\n".join(line.text for line in lines))

    def _letters(self, start: int, end: int) -> int:
        return len(_LETTER.findall(self.text, start, end))


_LETTER = re.compile(r"[^\W_]")
_DECIMAL = re.compile(r"\d[.,]\d")


def _cut(text: str, skip: int, keep: int | None) -> str:
    """The part of a line's text after `skip` letters or digits, up to the `keep`-th of them, with the marks that belong to them.

    Normalising leaves letters and digits as they are, so they map a position in normalised text back to the line.
    """
    places = [found.start() for found in islice(_LETTER.finditer(text), keep)]
    begin, end = 0, len(text)
    if keep is not None:
        if not 0 < keep <= len(places):
            return text if keep else ""
        end = places[keep - 1] + 1
        while end < len(text) and _is_mark(text[end]):
            end += 1
    if skip:
        begin = places[skip] if skip < len(places) else len(text)
        while begin and _is_mark(text[begin - 1]):
            begin -= 1
    return text[begin:end].strip(" \t|").lstrip(".,;:!?)…]—–" if skip else " ")


def _is_mark(char: str) -> bool:
    return not char.isspace() and not char.isalnum()


def _splits_number(text: str, at: int) -> bool:
    """Whether a cut at this offset would go through a number (`5` out of `5.5` or `1,500`)."""
    return BROKEN in text[max(0, at - 1) : at + 1] or _DECIMAL.search(text, max(0, at - 2), at + 2) is not None


def _likely_begins(wanted: Sequence[str], where: Mapping[str, Sequence[int]]) -> list[int]:
    """Up to four positions on the page at which the quote most likely begins.

    Its words vote with their places on the page; rare words first, frequent ones only add noise.
    """
    votes: Counter[int] = Counter()
    for count, i in sorted((len(where[word]), i) for i, word in enumerate(wanted) if word in where)[:12]:
        if count > 200 and votes:
            break
        votes.update(at - i for at in where[wanted[i]][:400])
    return [begin for begin, _ in votes.most_common(4)]


def _align(wanted: Sequence[str], window: Sequence[str], allowed: int, rules: NumberRules | None = None) -> tuple[int, int, int] | None:
    """(edits, begin, end) of the part of `window` nearest to `wanted` by word edits; None if that takes more than `allowed` or a guarded word.

    Plain edit distance with free ends in the window; a guarded word costs more than allowed.
    """
    too_far = allowed + 1
    rows = len(wanted)
    turned = _turned(set(wanted), set(window))
    costs = [too_far if _guarded(word, rules) or word in turned else 1 for word in window]
    row = [(0, j) for j in range(len(window) + 1)]  # (edits, where the match begins)
    for i in range(rows):
        word = wanted[i]
        cost = too_far if _guarded(word, rules) or word in turned else 1
        last = row[0]
        # The quote begins and ends with a word that is kept or exchanged, never with one left out.
        row[0] = (too_far, 0)
        least = too_far
        inner = 0 < i < rows - 1
        for j, other in enumerate(window, 1):
            diagonal, last = last, row[j]
            if word == other:
                best = diagonal
            else:
                swap = max(cost, costs[j - 1])
                best = (diagonal[0] + swap, diagonal[1])
                gone = (last[0] + cost, last[1])
                extra = (row[j - 1][0] + costs[j - 1], row[j - 1][1])
                if inner and gone[0] < best[0]:
                    best = gone
                if inner and extra[0] < best[0]:
                    best = extra
            row[j] = best
            if best[0] < least:
                least = best[0]
        if least > allowed:
            return None
    end = min(range(1, len(row)), key=lambda j: (row[j][0], j), default=0)
    edits, begin = row[end]
    return (edits, begin, end) if edits <= allowed and end > begin else None


def _turned(wanted: set[str], window: set[str]) -> set[str]:
    """Words of one side that the other side has with a prefix that turns them around (possible, impossible)."""
    found: set[str] = set()
    for own, other in ((wanted - window, window - wanted), (window - wanted, wanted - window)):
        for word in own:
            for prefix in _PREFIXES:
                if prefix + word in other:
                    found.update((word, prefix + word))
    return found
