"""Where sentences end: a splitter for prose that leaves abbreviations, initials, decimals and versions whole."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A mark that can end a sentence, its closing quotes and brackets, and the space behind it; CJK marks need no space.
_END = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s)\s+|[。！？]+[」』”）]*\s*)")
_LAST_WORD = re.compile(r"[\w.&'’-]+$")
# After these a full stop is part of the word. Without the last stop, lower case.
_ABBREVIATIONS = _words(
    """
    mr mrs ms dr prof sr jr st vs v cf al etc ca approx est fig figs no nos vol pp p ch sec eq ed eds inc ltd co corp dept univ
    gov gen sen rep rev hon jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun e.g i.e eg ie a.m p.m
    a.k.a u.s u.k u.n e.u u.s.a d.c ph.d m.d b.a m.a n.b bzw z.b d.h usw nr bd
    """
)
# A capital after an abbreviation that often ends a sentence does begin one if it is one of these.
_STARTERS = _words(
    """
    The This These Those It In However But And A An As At For From He She They We If When While By On Its Their There
    """
)
_MAY_END = _words(
    """
    etc inc ltd co corp u.s u.k u.n e.u u.s.a d.c ph.d m.d a.m p.m al jr sr
    """
)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence of one paragraph, in order, without the space between them.

    >>> text = "Costs fell by 2.5 % (cf. Fig. 3) in v1.2. Nobody knew."
    >>> [text[start:end] for start, end in split_sentences(text)]
    ['Costs fell by 2.5 % (cf. Fig. 3) in v1.2.', 'Nobody knew.']
    """
    found: list[tuple[int, int]] = []
    start = 0
    for mark in _END.finditer(text):
        end = mark.end()
        if end >= len(text):
            break
        if mark[0][0] == "." and not _ends(text, mark.start(), end):
            continue
        if text[end].islower() and mark[0][0] not in "。！？":
            continue
        stop = mark.start() + len(mark[0].rstrip())
        found.append((start, stop))
        start = end
    if text[start:].strip():
        found.append((start, len(text.rstrip())))
    return found


def _ends(text: str, dot: int, after: int) -> bool:
    """Whether the full stop at `dot` ends a sentence that goes on at `after`."""
    word = _LAST_WORD.search(text, max(0, dot - 24), dot)
    if word is None:
        return True
    last = word[0].strip("'’-").lower()
    following = text[after : after + 12].split(" ", 1)[0].strip(",;:")
    if last in _ABBREVIATIONS:
        return last in _MAY_END and following in _STARTERS
    if len(last) == 1 and last.isalpha() and word[0].isupper():  # an initial
        return following in _STARTERS
    if last.isdigit() and (dot == len(last) or text[: dot - len(last)].isspace()):  # "1. First"
        return False
    return not ("." in last and last.replace(".", "").isalpha() and len(last) <= 6 and following not in _STARTERS)
