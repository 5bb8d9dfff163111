"""Whether two statements say the same: that of an answer and the nearest sentence of the page or of the evidence (polarity, direction, how wide it
is, which number or name belongs to what), and two insights.

Words are compared, not meanings: each finding shows both sentences to a reader. It is soft, unless a quote's sentence is the same but for the word
that turns it around.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from itertools import combinations, pairwise
from typing import Any

from enrich.grounding.number_words import NUMBER_WORDS, TURNS, word_set
from enrich.grounding.quotes import normalise
from enrich.wiki import yaml12
from enrich.wiki.visible import split_sentences

_DATA: dict[str, Any] = yaml12.load((resources.files("enrich.grounding") / "opposites.yaml").read_text(encoding="utf-8"))
_NEGATIONS, _WIDENED, _AS_WIDE, _EMPTY = (frozenset(_DATA[name].split()) for name in ("negations", "widened", "as_wide", "empty"))
_WITHOUT_CONTENT = _EMPTY | _NEGATIONS
_GRADED = frozenset(("first", "most"))  # supported by the same word only
_SIDES = [tuple(frozenset(side.split()) for side in pair.split("|")) for pair in _DATA["opposites"]]
_PAIRS: dict[str, list[tuple[frozenset[str], frozenset[str]]]] = {}
for _one, _other in _SIDES:
    for _words, _pair in ((_one, (_one, _other)), (_other, (_other, _one))):
        for _word in _words:
            _PAIRS.setdefault(_word, []).append(_pair)
_OPPOSED = ("un", "in", "im", "ir", "il", "non", "dis", "mis")

_WORD = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*%?")
_CLAUSE = re.compile(r"[,;:()—–]|\s-\s|\b(?:but|while|whereas|although|though|and|or)\b")
# A statement is compared with a sentence that has this share of its content words.
LEAST_COVER = 0.5
_LEAST_CONTENT = 2
SHORTEST_CONTENT = 4  # letters of a word that carries content
# With at most this many other words on either side, two sentences are the same but for the word that turns them around.
_SAME_BUT = 2
_REACH_OF_NEGATION = 4


@dataclass(frozen=True)
class Sentence:
    """A sentence with its body line, ready to be compared."""

    text: str
    line: int

    @cached_property
    def words(self) -> list[str]:
        return [word.lower().replace("’", "'") for word in _WORD.findall(self.text)]

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(self.words)

    @cached_property
    def content(self) -> frozenset[str]:
        return frozenset(content(self.words))

    @cached_property
    def negated(self) -> frozenset[str]:
        """The content words that a negation stands before, within its clause."""
        found: set[str] = set()
        for clause in _CLAUSE.split(self.text.lower().replace("’", "'")):
            words = _WORD.findall(clause)
            for at, word in enumerate(words):
                if is_negation(word):
                    found.update(list(content(words[at + 1 :]))[:_REACH_OF_NEGATION])
        return frozenset(found)

    @cached_property
    def negative(self) -> bool:
        return any(map(is_negation, self.words))


@dataclass(frozen=True, slots=True)
class Turn:
    """What turns a sentence around: its (start, end) there, and what to say.

    `turned`: the two sentences are the same but for words that are opposites.
    """

    start: int
    end: int
    message: str
    turned: bool


def content(words: Iterable[str]) -> Iterator[str]:
    """The stems of the words that carry content; numbers are left out."""
    for word in words:
        if len(word) >= SHORTEST_CONTENT and word not in _WITHOUT_CONTENT and not word[0].isdigit() and not word.endswith("n't"):
            yield word[:5]


def is_negation(word: str) -> bool:
    return word in _NEGATIONS or word.endswith("n't")


def sentences(text: str, line: int) -> Iterator[Sentence]:
    """The sentences of one passage."""
    for start, end in split_sentences(text):
        yield Sentence(text[start:end], line)


class Sentences:
    """Sentences that a statement can be compared with."""

    def __init__(self, found: Iterable[Sentence]) -> None:
        self.all = tuple(found)

    @cached_property
    def _where(self) -> dict[str, list[int]]:
        where: dict[str, list[int]] = {}
        for at, sentence in enumerate(self.all):
            for stem in sentence.content:
                where.setdefault(stem, []).append(at)
        return where

    def nearest(self, statement: Sentence) -> tuple[Sentence | None, float]:
        """The sentence that shares most content words with the statement, and the share of these; rare words decide between equals."""
        shares: Counter[int] = Counter()
        if len(statement.content) >= _LEAST_CONTENT:
            for stem in statement.content:
                shares.update(self._where.get(stem, ()))
        if not shares:
            return None, 0.0
        best = max(shares, key=lambda at: (shares[at] - 0.02 * len(self.all[at].content), -at))
        return self.all[best], shares[best] / len(statement.content)


def turns(mine: Sentence, theirs: Sentence) -> Iterator[Turn]:
    """What turns a sentence of an answer around, compared with the page's nearest one."""
    extra, gone = (mine.counts - theirs.counts).total(), (theirs.counts - mine.counts).total()
    if not extra and not gone:
        return
    same_but = extra <= _SAME_BUT and gone <= _SAME_BUT
    opposite = [(word, message, same_but) for word, message in (*_polarity(mine, theirs), *_direction(mine, theirs))]
    for word, message, turned in (*opposite, *((word, message, False) for word, message in _width(mine, theirs))):
        at = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", mine.text, re.IGNORECASE) if word else None
        yield Turn(*(at.span() if at is not None else (0, len(mine.text))), message, turned)


def _polarity(mine: Sentence, theirs: Sentence) -> Iterator[tuple[str, str]]:
    if mine.negative and not theirs.negative and mine.negated & theirs.content:
        yield next(word for word in mine.words if is_negation(word)), "denies what the page states"
    elif theirs.negative and not mine.negative and theirs.negated & mine.content:
        denied = next(word for word in theirs.words if is_negation(word))
        yield "", f'leaves out "{denied}" of the page\'s sentence'
    for word in mine.counts - theirs.counts:
        for prefix in _OPPOSED:
            if len(word) > 3 and prefix + word in theirs.counts and word not in theirs.counts:
                yield word, f'says the opposite of "{prefix + word}"'
            if word.startswith(prefix) and len(word) - len(prefix) > 3 and word[len(prefix) :] in theirs.counts - mine.counts:
                yield word, f'says the opposite of "{word[len(prefix) :]}"'


def _direction(mine: Sentence, theirs: Sentence) -> Iterator[tuple[str, str]]:
    for word in mine.counts - theirs.counts:
        for side, other in _PAIRS.get(word, ()):
            against = other & theirs.counts.keys()
            if against and not side & theirs.counts.keys() and not other & mine.counts.keys():
                yield word, f'says the opposite of "{min(against)}"'


def _width(mine: Sentence, theirs: Sentence) -> Iterator[tuple[str, str]]:
    for word in dict.fromkeys(word for word in mine.words if word in _WIDENED):
        if not (frozenset((word,)) if word in _GRADED else _AS_WIDE) & theirs.counts.keys():
            yield word, "says more than the page: its sentence has no such word"


def clause_content(text: str, start: int, end: int) -> frozenset[str]:
    """The content words of the clause around a place."""
    left = max((found.end() for found in _CLAUSE.finditer(text, max(0, start - 120), start)), default=max(0, start - 120))
    right = next((found.start() for found in _CLAUSE.finditer(text, end, end + 120)), min(len(text), end + 120))
    return frozenset(content(word.lower() for word in _WORD.findall(text[left:right])))


def exchanged(mine: str, theirs: str, names: Sequence[str]) -> tuple[str, str] | None:
    """Two names that a sentence has in the other order than the page's, around the same words and without a passive."""
    lower, page = mine.lower(), theirs.lower()
    if re.search(r"\bby\b", lower) or re.search(r"\bby\b", page):
        return None
    placed = [(lower.find(name.lower()), page.find(name.lower()), name) for name in dict.fromkeys(names)]
    both = [place for place in placed if min(place[:2]) >= 0]
    for (here, there, one), (other_here, other_there, other) in combinations(both, 2):
        if (here < other_here) != (there < other_there):
            between = lower[min(here, other_here) : max(here, other_here)]
            again = page[min(there, other_there) : max(there, other_there)]
            if set(content(_WORD.findall(between)[1:])) & set(content(_WORD.findall(again)[1:])):
                return one, other
    return None


# --- the words of a text by their beginnings ---


# Words of four letters and more carry the subject; their first five letters are the same in all forms of a word.
_SUBJECT_WORD = re.compile(r"[^\W\d_]{4,}")
# Scripts without blanks between words: each character counts. Korean words end in particles: two syllables count. Arabic words begin with
# articles and prepositions.
_WIDE = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WIDE_CHARACTER = re.compile(f"[{_WIDE}]")
_KOREAN = re.compile("[\uac00-\ud7af]{2,}")
OTHER_SCRIPTS = re.compile("[\u0600-\u06ff\u0e00-\u0eff\u3040-\ud7af\uf900-\ufaff]")
_ARABIC_FRONT = re.compile(r"^[\u0648\u0641]?(?:\u0628?\u0627\u0644|\u0644\u0644)?(?=.{3})")


def stems(texts: Iterable[str]) -> set[str]:
    """The first five letters, in lower case, of the words of four letters and more; of scripts without blanks, the characters."""
    # All texts at once, and each word once: a page has thousands of words in hundreds of lines.
    text = "\n".join(texts).lower()
    if text.isascii() or OTHER_SCRIPTS.search(text) is None:
        return {word[:5] for word in set(_SUBJECT_WORD.findall(text))}
    words = set(_SUBJECT_WORD.findall(_KOREAN.sub(" ", _WIDE_CHARACTER.sub(" ", text))))
    found = {_ARABIC_FRONT.sub("", word)[:5] for word in words}
    return found | set(_WIDE_CHARACTER.findall(text)) | {word[:2] for word in _KOREAN.findall(text)}


# --- whether two insights say the same: one comparison for review, stages and evaluation, with the threshold and the measure as arguments ---


Measure = Callable[[str], Counter[str]]
"""What of a text is compared: its words, or only the terms that carry its subject."""

_COUNTED_WORD = re.compile(rf"[{_WIDE}]|[^\W_{_WIDE}]+(?:[.,]\d+)*")
_LONG_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_TELLING = NUMBER_WORDS | TURNS | word_set("comparisons")
_CONTRACTED = re.compile(r"n't\b")


@lru_cache(maxsize=4096)
def words(text: str) -> Counter[str]:
    """The words of a text in lower case, with how often each occurs. Callers must not change the result."""
    return Counter(_COUNTED_WORD.findall(_plain(text)))


def likeness(one: str, other: str, measure: Measure = words) -> float:
    """0 to 1: the share of words that two texts have in common (Dice coefficient of the two multisets)."""
    a, b = measure(one), measure(other)
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else float(one == other)


def same_insights(
    ones: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]], threshold: float, measure: Measure = words
) -> dict[int, int]:
    """Place in `ones` -> place in `others` of the same insight; each place is used once.

    An insight is given as (text, evidence). Two are the same if their likeness reaches `threshold` or if they give the same evidence. Pairs
    with the same evidence are formed first, then by descending likeness; ties go to the earlier places.
    """
    proofs, other_proofs = ([normalise(evidence).casefold() for _, evidence in side] for side in (ones, others))
    scored: list[tuple[float, int, int]] = []
    for i, (text, _) in enumerate(ones):
        for j, (other, _) in enumerate(others):
            value = likeness(text, other, measure) + (proofs[i] != "" and proofs[i] == other_proofs[j])
            if value >= threshold:
                scored.append((-value, i, j))
    found: dict[int, int] = {}
    for _, i, j in sorted(scored):
        if i not in found and j not in found.values():
            found[i] = j
    return found


def same_statement(one: str, other: str, language: str = "en") -> bool:
    """Whether two texts have the same numbers, and the same words that turn a statement around.

    In other languages than English that is known only of texts with the same words.
    """
    if language != "en":
        return words(one) == words(other)
    return _figures(one) == _figures(other)


LIKE = 0.7  # FIELDS.md section 11: the share of word pairs from which two insights are near-duplicates


class NearDuplicates:
    """Texts by their word pairs, to find those that say nearly the same as another one among many thousands (FIELDS.md section 11).

    Only a part of a text's pairs is looked up: of two texts that have a share `LIKE` in common, the first few pairs in one fixed order have
    one in common too (prefix filter: Chaudhuri, Ganti and Kaushik 2006, "A primitive operator for similarity joins in data cleaning").
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._holders: dict[tuple[str, ...], list[int]] = {}

    def find(self, text: str) -> list[tuple[int, float]]:
        """(place, Jaccard index of the word pairs) of each text added so far that reaches `LIKE`, by place."""
        pairs = word_pairs(text)
        places = sorted({place for pair in _first(pairs) for place in self._holders.get(pair, ())})
        scored = ((place, word_pairs(self._texts[place])) for place in places)
        shares = [(place, len(pairs & others) / len(pairs | others)) for place, others in scored]
        return [(place, share) for place, share in shares if share >= LIKE]

    def add(self, text: str) -> list[tuple[int, float]]:
        """Add a text at the next place (from 0). Returns what `find` finds for it before."""
        found = self.find(text)
        for pair in _first(word_pairs(text)):
            self._holders.setdefault(pair, []).append(len(self._texts))
        self._texts.append(text)
        return found


def _first(pairs: frozenset[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return sorted(pairs)[: len(pairs) - math.ceil(LIKE * len(pairs) - 1e-9) + 1]


@lru_cache(maxsize=4096)
def word_pairs(text: str) -> frozenset[tuple[str, ...]]:
    """The pairs of neighbouring words longer than two letters, in lower case; of a single word, the word."""
    words = [word for word in _LONG_WORD.findall(text.lower()) if len(word) > 2]
    return frozenset([(words[0],)]) if len(words) == 1 else frozenset(pairwise(words))


def _figures(text: str) -> tuple[Counter[str], Counter[str]]:
    plain = _plain(text)
    turning = (word for word in words(text).elements() if word in _TELLING)
    return Counter(_NUMBER.findall(plain)), Counter([*turning, *_CONTRACTED.findall(plain)])


def _plain(text: str) -> str:
    return text.lower().replace("\\$", "$").replace("’", "'")
