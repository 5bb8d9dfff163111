"""The sentences of one page that the baseline may quote, and what the wording of a sentence says about it.

Everything the baseline says is one of these sentences, word for word, so no number and no statement in it can be missing from the page. The
word lists are in `baseline_words.yaml`; for languages that they do not cover, the checks on form alone decide.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import regex

from enrich.wiki import yaml12
from enrich.wiki.pages import Page
from enrich.wiki.visible import Kind, Sentence, VisibleText, visible

WORDS: dict[str, Any] = yaml12.load((resources.files("enrich.stages") / "baseline_words.yaml").read_text(encoding="utf-8"))

_MIN_WORDS = 6  # shorter sentences are labels and exclamations
_MAX_WORDS = 50  # longer ones are mostly lists, and leave no room for a second one
# Past this many, more sentences only cost time: a page so long is mostly a log or a list, and says early what it is about.
_MOST = 2000

# Scripts without spaces between words: two characters count as one word, and overlapping pairs are used as words.
_WIDE = "぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿"
_WIDE_RUN = regex.compile(f"[{_WIDE}]+")
_ASCII_WORD = re.compile(r"[a-z][a-z0-9'-]*")
_WORD = regex.compile(rf"[^\W\d_{_WIDE}](?:[^\W{_WIDE}]|['’-])*")
_NUMBERING = regex.compile(r"\d{1,9}[.)] +")

_STOP_WORDS = frozenset(WORDS["stop_words"].split())
_LEANING = frozenset(WORDS["leaning"].split())
_LEANING_PHRASE = regex.compile(f"(?:{'|'.join(WORDS['leaning_phrases'])})")
_OWN_NAME = regex.compile(rf"this (?:{'|'.join(WORDS['own_names'].split())})\b")
_DEMONSTRATIVE = frozenset(WORDS["demonstratives"].split())
_DEMONSTRATIVE_WITHIN = 7  # words: later on, they mostly refer to the sentence's own beginning
_POINTING = frozenset(WORDS["pointing"].split())
_PLACE = f"(?:{'|'.join(WORDS['places'].split())})s?"
_POINTS_ELSEWHERE = regex.compile("|".join(WORDS["pointing_phrases"]).replace("{place}", _PLACE))
_PLACEHOLDERS = frozenset(WORDS["placeholders"].split())

_END = regex.compile(r"[.!…。！][\"'”’»)\]」』”）]*\Z")
_START = regex.compile(r"[\"'“‘«(「『（]?[\p{Lu}\p{Lt}\p{Lo}\p{N}$€£¥~≈]")
# Markup, formulas, addresses, cells, the gap that a component without text leaves: not a plain sentence.
_ODD = re.compile(r"[{}\\|`<>\[\]$:=_*#]|www| [.,]")  # checked first, since most sentences have none of these
_NO_PROSE = regex.compile(r"[{}\\|`]|[<>]\p{L}|</|\]\(|\[\^|\$[^\s\d]|https?:|www\.|[=_*#]{2}| [.,](?:\s|\Z)")
_ALIVE = regex.compile(r"\b(?:javascript|vbscript|data):\S", regex.IGNORECASE)
_LABEL = regex.compile(r"(?:[^\s:,.;]+ ){0,4}[^\s:,.;]+: ")
_SMALL_WORD = regex.compile(r" \p{Ll}")
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS = _CAPITALS + _CAPITALS.lower() + bytes(range(0x80, 0x100)) + b" "
_MAX_ODD = 0.4  # of the characters that are not spaces: digits, signs, marks
_MIN_SMALL = 0.35  # of the words, in scripts with capitals: with fewer it is a heading or a list of names


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One sentence of the page; `place` counts the page's sentences of its kind from 0, `words` are its distinct words in lower case."""

    text: str
    place: int
    kind: Kind
    length: int
    words: frozenset[str]
    terms: frozenset[str]


class PageSentences:
    """What the baseline knows about one page's sentences. Made once a page (`page_sentences`)."""

    def __init__(self, title: str, description: str, body: str) -> None:
        self.title, self.description, self.body = title, description, body

    @cached_property
    def visible(self) -> VisibleText:
        return visible(self.body)

    @cached_property
    def running(self) -> tuple[Sentence, ...]:
        """All sentences of running text."""
        return self.visible.sentences()

    @cached_property
    def prose(self) -> tuple[Candidate, ...]:
        """The sentences of running text that can be quoted alone, in order."""
        return tuple(_candidates(self.running, "prose"))

    @cached_property
    def listed(self) -> tuple[Candidate, ...]:
        """The sentences of list items that can be quoted alone, in order."""
        return tuple(_candidates(self.visible.sentences(("list",)), "list"))

    @cached_property
    def title_terms(self) -> frozenset[str]:
        return terms(words_of(self.title))

    @cached_property
    def weights(self) -> dict[str, float]:
        """log(1 + n) of each term that occurs in n ≥ 2 sentences: the page's centroid (MEAD: Radev et al. 2004, "Centroid-based
        summarization of multiple documents"). A term of one sentence does not say what the page is about, nor does boilerplate: a
        sentence that is repeated counts once."""
        distinct = {candidate.text: candidate.terms for candidate in (*self.prose, *self.listed)}
        counts = Counter(term for found in distinct.values() for term in found)
        return {term: math.log1p(count) for term, count in counts.items() if count > 1}

    def centrality(self, candidate: Candidate) -> float:
        """Nearness to the centroid, about 0 to 10: the terms' weights over the root of their number, so that length alone does not count."""
        weights = self.weights
        return sum(weights.get(term, 0.0) for term in candidate.terms) / math.sqrt(len(candidate.terms) + 4)


def page_sentences(page: Page) -> PageSentences:
    """The page's sentences. The stages of one page, asked one after the other, share the work."""
    return _of(page.title, page.description, page.body)


_of = lru_cache(maxsize=8)(PageSentences)


def _candidates(sentences: tuple[Sentence, ...], kind: Kind) -> Iterator[Candidate]:
    for place, sentence in enumerate(sentences[:_MOST]):
        text = sentence.text
        if kind == "list" and text[:1].isdigit():
            text = _NUMBERING.sub("", text, count=1)
        length = count_words(text)
        if not _MIN_WORDS <= length <= _MAX_WORDS or _leans_back(text) or not is_plain(text):
            continue
        words = words_of(text)
        if not _points_elsewhere(text, words):
            yield Candidate(text, place, kind, length, words, terms(words))


def clipped(sentences: Iterable[str], words: int) -> list[str]:
    """As many of the sentences, in order, as fit into so many words."""
    kept: list[str] = []
    for sentence in sentences:
        words -= count_words(sentence)
        if words < 0:
            break
        kept.append(sentence)
    return kept


def count_words(text: str) -> int:
    """Words between spaces; two characters of Chinese, Japanese or Thai count as one."""
    spaced = text.count(" ") + 1 if text else 0
    return spaced if text.isascii() else spaced + sum(map(len, _WIDE_RUN.findall(text))) // 2


def words_of(text: str) -> frozenset[str]:
    """The distinct words in lower case; pairs of characters in scripts without spaces between words."""
    lower = text.lower()
    if lower.isascii():
        return frozenset(_ASCII_WORD.findall(lower))
    found = set(_WORD.findall(lower))
    for run in _WIDE_RUN.findall(lower):
        found.update(run[at : at + 2] for at in range(len(run) - 1))
    return frozenset(found)


def terms(words: frozenset[str]) -> frozenset[str]:
    """Of `words_of` a text: those that carry meaning, without their plural."""
    kept = [word for word in words - _STOP_WORDS if len(word) > 2 or not word.isascii()]
    return frozenset([word[:-1] if word[-1] == "s" and len(word) > 4 and word[-2] != "s" else word for word in kept])


def is_plain(text: str) -> bool:
    """Whether this is a whole sentence in plain words: it begins and ends as one, without markup, formula, address or cell."""
    if not _END.search(text, max(0, len(text) - 4)) or not _START.match(text) or not text.isprintable() or not _balanced(text):
        return False
    if _ODD.search(text) and (_NO_PROSE.search(text) or _ALIVE.search(text)):
        return False
    spaces = text.count(" ")
    raw = text.encode("utf-8", "replace")
    if len(raw.translate(None, _LETTERS)) > _MAX_ODD * (len(text) - spaces):
        return False
    capitals = len(raw) - len(raw.translate(None, _CAPITALS))
    return capitals <= (1 - _MIN_SMALL) * spaces or len(_SMALL_WORD.findall(text)) >= _MIN_SMALL * spaces


def _balanced(text: str) -> bool:
    return all(text.count(one) == text.count(other) for one, other in ("()", "[]", "“”")) and text.count('"') % 2 == 0


def reads_alone(text: str) -> bool:
    """Whether it can be read without its context: no leading pronoun or connective, no reference to another place, no placeholder."""
    return not _leans_back(text) and not _points_elsewhere(text, words_of(text))


def _leans_back(text: str) -> bool:
    """Whether its beginning refers to the sentence before."""
    start = text.lower().lstrip("\"'“‘«(").replace("’", "'")
    head = start.split(maxsplit=_DEMONSTRATIVE_WITHIN)[:_DEMONSTRATIVE_WITHIN]
    first = head[0].rstrip(",;:") if head else ""
    if first in _LEANING or first.partition("'")[0] in _LEANING:
        return first != "this" or not _OWN_NAME.match(start)
    return not _DEMONSTRATIVE.isdisjoint(head) or _LEANING_PHRASE.match(start) is not None


def _points_elsewhere(text: str, words: frozenset[str]) -> bool:
    """Whether it refers to another place of the page, or is a placeholder; `words`: `words_of(text)`."""
    return not words.isdisjoint(_PLACEHOLDERS) or (not words.isdisjoint(_POINTING) and _POINTS_ELSEWHERE.search(text.lower()) is not None)


def has_label(text: str) -> bool:
    """Whether up to five words and a colon come before the sentence proper, as in "Cost: each page is paid once."."""
    return _LABEL.match(text) is not None
