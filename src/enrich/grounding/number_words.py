"""Numbers written in words, and how a language writes numbers: separators, words for powers of ten, units.

English words, with those that turn a statement around, are the tables of `words.yaml`; English figures are what `quantities` reads by itself.
Other languages have one data file each in `rules/`. A file's lists are words divided by blanks, `_` is a blank inside of a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import Annotated, Any

import regex
from pydantic import BaseModel, BeforeValidator, ConfigDict

from enrich.wiki import yaml12

TABLES: dict[str, Any] = yaml12.load((resources.files("enrich.grounding") / "words.yaml").read_text(encoding="utf-8"))


def word_set(name: str) -> frozenset[str]:
    """One list of `words.yaml`."""
    return frozenset(TABLES[name].split())


SCALES: dict[str, int] = TABLES["scales"]
_SMALL: dict[str, int] = TABLES["numbers"]
_TENS: dict[str, int] = TABLES["tens"]
_PARTS: dict[str, int] = TABLES["parts"]
_ORDINALS: dict[str, int] = TABLES["ordinals"]
_FACTORS: dict[str, int] = TABLES["factors"]
_FOLDS = {f"{word}fold": value for word, value in {**_SMALL, **_TENS, "hundred": 100, "thousand": 1000}.items() if value > 1}
_NAMES = {**_SMALL, **_TENS, **SCALES, "dozen": 12}
READ_WORDS = frozenset({*_NAMES, *_PARTS, *_ORDINALS, *_FACTORS, *_FOLDS})
"""The words of numbers that are read by value."""
NUMBER_WORDS = READ_WORDS | word_set("other_numbers")
"""All words that say how many or when; those without a value included."""
TURNS = word_set("turns")
"""Words that turn a statement around."""

_WORD = re.compile(r"[A-Za-z](?<![\w'].)[A-Za-z]*+(?![\w'])")
# "half a million", "a quarter of a billion", "one third billion": a part of a scale is one number.
_PART_OF_SCALE = re.compile(
    rf"(?<![\w'])(?:(?P<count>an?|{'|'.join(word for word in _SMALL if word != 'zero')})[ -])?(?P<part>half|{'|'.join(_PARTS)})(?: of)?(?: an?|-)? ?"
    rf"(?P<scale>{'|'.join(SCALES)})(?![\w'])",
    re.IGNORECASE,
)
_GAP = re.compile(r"(?: |-|\n)(?:and )?\Z")
_ARTICLE = re.compile(r"(?<!\w)(?:an?|half an?) \Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WordNumber:
    """A number in words at text[start:end]. `what`: `count`, `part`, `factor`, `idiom` (an approximate factor) or `ordinal`."""

    start: int
    end: int
    value: Decimal
    what: str


def word_numbers(text: str) -> Iterator[WordNumber]:
    """The numbers in words; parts of a scale first, the others in order. A bare `one` is included; a bare `hundred` or `million` is not a number.

    >>> [(str(n.value), n.what) for n in word_numbers("Twenty-five of one hundred and two labs, tenfold")]
    [('25', 'count'), ('102', 'count'), ('10', 'factor')]
    """
    words: list[str] = []
    start = end = 0
    # "the third million" is an ordinal.
    scaled = [found for found in _PART_OF_SCALE.finditer(text) if found["count"] or found["part"].lower() in ("half", "quarter")]
    for whole in scaled:
        count = _SMALL.get((whole["count"] or "a").lower(), 1)
        yield WordNumber(
            *whole.span(), Decimal(count * SCALES[whole["scale"].lower()]) / (_PARTS | {"half": 2})[whole["part"].lower()], "count"
        )
    for found in _WORD.finditer(text):
        word = found[0].lower()
        if word not in READ_WORDS or any(whole.start() <= found.start() < whole.end() for whole in scaled):
            continue
        if words and _GAP.fullmatch(text, end, found.start()) and _continues(words[-1], word, text[end : found.start()]):
            words.append(word)
        else:
            if words:
                yield from _read(text, start, end, words)
            words, start = [word], found.start()
        end = found.end()
    if words:
        yield from _read(text, start, end, words)


def _continues(last: str, word: str, gap: str) -> bool:
    """Whether `word` belongs to the number that ends with `last`."""
    if word in _PARTS:
        return last in _SMALL and "and" not in gap and (word.endswith("s") or last == "one")
    if word in SCALES:
        return last in _NAMES and "and" not in gap
    if last in SCALES:
        return word in _SMALL or word in _TENS
    return last in _TENS and 0 < _SMALL.get(word, 0) < 10 and "and" not in gap


def _read(text: str, start: int, end: int, words: list[str]) -> Iterator[WordNumber]:
    last = words[-1]
    if len(words) > 1 and last in _PARTS:
        yield WordNumber(start, end, _value(words[:-1]) / _PARTS[last], "part")
    elif last in _FOLDS:
        yield WordNumber(start, end, Decimal(_FOLDS[last]), "factor")
    elif last in _FACTORS:
        yield WordNumber(start, end, Decimal(_FACTORS[last]), "idiom")
    elif last in _PARTS and text[max(0, start - 2) : start].lower() == "a " and text[end : end + 4] == " of ":
        yield WordNumber(start - 2, end, Decimal(1) / _PARTS[last], "part")
    elif last in _ORDINALS:
        yield WordNumber(start, end, Decimal(_ORDINALS[last]), "ordinal")
    elif words[0] in SCALES or words[0] == "dozen":
        if (before := _ARTICLE.search(text[max(0, start - 8) : start])) and before[0].lower().startswith("a"):
            yield WordNumber(start - 2, end, _value(words), "count")
    elif last not in _PARTS:
        yield WordNumber(start, end, _value(words), "count")


def _value(words: list[str]) -> Decimal:
    total = current = 0
    for word in words:
        if word in ("hundred", "dozen"):
            current = max(current, 1) * _NAMES[word]
        elif word in SCALES:
            total += max(current, 1) * SCALES[word]
            current = 0
        else:
            current += _NAMES[word]
    return Decimal(total + current)


def leading_words(value: Decimal) -> tuple[str, ...]:
    """Words that this value can begin with when it is written in words, in lower case: to find the lines worth reading."""
    if 0 < value < 1:
        return (*_PARTS, "two", "three", "four", "one")
    if value != value.to_integral_value() or not 0 <= value < Decimal(10) ** 15:
        return ()
    digits = str(int(value))
    head = int(digits[: (len(digits) - 1) % 3 + 1])
    if head >= 100:
        head //= 100
    elif head >= 20:
        head -= head % 10
    heads = [word for word, one in {**_SMALL, **_TENS}.items() if one == head]
    # "a hundred billion" begins with the scale.
    whole = (*_FACTORS.items(), *_ORDINALS.items(), *SCALES.items(), ("dozen", 12))
    wholes = [word for word, one in whole if one == value or (head == 1 and word == "hundred" and value > 100)]
    parts = ("half", "third", "quarter") if value >= 10 else ()
    return (*heads, *wholes, *parts)


# --- other languages ---


# Vowel signs and other marks belong to words, but are not letters for `re`.
_MARKS = "\u0300-\u036f\u064b-\u0652\u0670\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963"
LETTER = rf"(?:[^\W\d_]|[{_MARKS}])"
_BLANK = "[ \u00a0\u2009\u202f]"
_NUMBER = r"\d(?:\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d*(?:\.\d+)?)"
_SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB", "₴": "UAH", "₩": "KRW", "₺": "TRY"}
_DIGITS = {
    char: value
    for value, chars in enumerate(("〇零영", "一일", "二两兩이", "三삼", "四사", "五오", "六육", "七칠", "八팔", "九구"))
    for char in chars
}
_POWERS = {"十": 10, "百": 100, "千": 1000, "십": 10, "백": 100, "천": 1000}
_GROUPS = {"万": 10**4, "萬": 10**4, "만": 10**4, "亿": 10**8, "億": 10**8, "억": 10**8, "兆": 10**12, "조": 10**12}
_NUMERAL = re.compile("[" + "".join((*_DIGITS, *_POWERS, *_GROUPS)) + "]{2,}")


def _words(value: object) -> object:
    return tuple(word.replace("_", " ") for word in str(value).split()) if value is not None else ()


_Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    decimal: str
    numbers: Mapping[int, _Words] = {}
    scales: Mapping[int, _Words] = {}
    units: Mapping[str, _Words] = {}
    currency: Mapping[str, _Words] = {}
    percent: _Words = ()
    points: _Words = ()
    factor: _Words = ()
    percent_before: _Words = ()
    joins: _Words = ()  # words between the parts of a spelled number
    scale_links: _Words = ()  # words between a scale and what is counted: `2 millions d'euros`
    to: _Words = ()
    lists: _Words = ()
    turns: _Words = ()  # words that turn a statement around
    not_alone: _Words = ()  # words that mean something else more often than a number
    prefix: _Words = ()  # joined to the front of a word
    compound: bool = False  # a number is one word: `fünfundzwanzig`
    units_first: bool = False  # `five and twenty`
    vigesimal: bool = False  # `quatre-vingt-dix`
    ten_first: bool = False  # `dix-sept`, `on iki`
    ten_last: bool = False  # `خمسة عشر`
    numerals: bool = False  # Chinese numerals, and their Korean readings


@cache
def rules_of(language: str) -> NumberRules | None:
    """The number rules of a language code; None for English, and for a language without rules (see `has_rules`)."""
    code = _code(language)
    file = resources.files("enrich.grounding") / "rules" / f"{code}.yaml"
    if code == "en" or not code.isalpha() or not file.is_file():
        return None
    return NumberRules(_Data.model_validate(yaml12.load(file.read_text(encoding="utf-8"))))


def has_rules(language: str) -> bool:
    """Whether numbers can be checked in this language."""
    return _code(language) == "en" or rules_of(language) is not None


def _code(language: str) -> str:
    code = language.lower().replace("_", "-").partition("-")[0]
    return {"nb": "no", "nn": "no", "": "en"}.get(code, code)


class NumberRules:
    """The rules of one language, compiled."""

    def __init__(self, data: _Data) -> None:
        self.data = data
        self._units = {word: name for name, words in (*data.units.items(), *data.currency.items()) for word in words}
        self._units |= dict.fromkeys(data.percent, "%") | dict.fromkeys(data.points, "pp") | dict.fromkeys(data.factor, "x") | _SYMBOLS
        self._scales = {word: scale for scale, words in data.scales.items() for word in words}
        self._atoms = {word: value for value, words in data.numbers.items() for word in words}
        self._atoms |= {word: scale for word, scale in self._scales.items() if word[-1] != "."} if not data.numerals else {}
        end = "" if data.numerals else f"(?!{LETTER})"
        link = "".join(f"(?:{_BLANK}?{re.escape(word)})?" for word in data.scale_links)
        self._scale = re.compile(rf"{_BLANK}?-?({_any(self._scales)}){end}", re.IGNORECASE)
        self._unit = re.compile(rf"{link}{_BLANK}?-?({_any(self._units)})(?:(?<=[{''.join(_SYMBOLS)}])|{end or '(?=)'})", re.IGNORECASE)
        self._more = re.compile(rf"{_BLANK}?({_NUMBER})")
        about = r"[ \t]*[~<>]?[ \t]*"
        self.to = re.compile(rf"[ \t]*(?:{_any(data.to)}){about}", re.IGNORECASE) if data.to else None
        self.listed = re.compile(rf"[ \t]*(?:{_any((*data.to, *data.lists, ',', '、'))}){about}", re.IGNORECASE)
        atom = f"(?P<atom>{_any(self._atoms)})"
        # Longest words first; a shorter one where the rest is not a number ("zweiundzwanzig" holds "und").
        more = f"(?:(?P<front>(?:{_any(data.joins)})??){atom})*" if data.compound else ""
        self._spelled_word = regex.compile(f"(?P<front>(?:{_any(data.prefix)})??){atom}{more}")
        self._split = lru_cache(maxsize=1 << 16)(self._parts)
        self._before = re.compile(rf"(?:{_any(data.percent_before)})[ ]?\Z", re.IGNORECASE) if data.percent_before else None

    @cached_property
    def spelled(self) -> re.Pattern[str]:
        """Finds places where the digits in the text are not those of the value: spelled numbers, and `2万5000`."""
        if self.data.numerals:
            return re.compile(rf"\d{_BLANK}?[{''.join((*_POWERS, *_GROUPS))}]|{_NUMERAL.pattern}")
        before = rf"(?<!{LETTER})(?:{_any(self.data.prefix)})?" if self.data.prefix else rf"(?<!{LETTER})"
        return re.compile(f"{before}(?:{_any(self._atoms)})", re.IGNORECASE)

    def separators(self, text: str) -> str:
        """The text with English separators in its numbers; same length."""
        return text if self.data.decimal == "." else _SEPARATED.sub(_english, text)

    def scaled(self, text: str, end: int, value: Decimal) -> tuple[Decimal, int]:
        """(value, end) with the powers of ten behind a number: `2,5 Mio.`, `2万5000`, `25 लाख`."""
        total, part = Decimal(0), value
        while (found := self._scale.match(text, end)) is not None:
            part *= self._scales[_lower(found[1])]
            end = found.end()
            more = self._more.match(text, end) if self.data.numerals else None
            if more is None or Decimal(more[1].replace(",", "")) >= part:
                continue
            total, part, end = total + part, Decimal(more[1].replace(",", "")), more.end()
        return total + part, end

    def unit(self, text: str, start: int, end: int) -> tuple[str, int] | None:
        """(unit, end) if a word of this language behind the number, or before it, is its unit."""
        found = self._unit.match(text, end)
        if found is not None:
            return self._units[_lower(found[1])], found.end()
        if self._before is not None and self._before.search(text, max(0, start - 8), start):
            return "%", end
        return None

    def tells(self, word: str) -> bool:
        """Whether a word in lower case is a number or turns a statement around."""
        return word in self.data.turns or bool(self._split(word))

    def words(self, text: str) -> Iterator[WordNumber]:
        """The numbers spelled out, in order. A bare word for a power of ten is not a number."""
        if self.data.numerals:
            yield from _numerals(text)
            return
        run = _Run(self.data)
        end = 0
        for found in _LETTER_RUN.finditer(text):
            word = _lower(found[0])
            joined = word in self.data.joins
            gap = text[end : found.start()]
            apart = len(gap) != 1 or gap not in " -\u00a0\u202f"
            if joined and run.values and not apart:
                run.joined, end = True, found.end()
                continue
            # `ELF` is a name.
            atoms = () if len(word) > 1 and found[0].isupper() else self._split(word)
            if not atoms or apart:
                yield from run.number()
            if atoms and not run.add(atoms, found):
                yield from run.number()
                run.add(atoms, found)
            if atoms:
                run.words.append(word)
            end = found.end()
        yield from run.number()

    def _parts(self, word: str) -> tuple[tuple[int, bool], ...]:
        """(value, whether it is joined to the one before) of the number words that a word consists of; () if it is not a number."""
        found = self._spelled_word.fullmatch(word)
        parts = zip(found.captures("front"), found.captures("atom"), strict=True) if found is not None else ()
        return tuple((self._atoms[atom], front != "") for front, atom in parts)


class _Run:
    """The words of one spelled number while they are read."""

    def __init__(self, data: _Data) -> None:
        self.data = data
        self._clear()

    def _clear(self) -> None:
        self.values: list[int] = []
        self.words: list[str] = []
        self.total = self.group = 0
        self.least: int | None = None  # the least power of ten so far
        self.joined = False
        self.start = self.end = 0

    def add(self, atoms: Iterable[tuple[int, bool]], found: re.Match[str]) -> bool:
        """Take the numbers of one more word up to one that cannot belong to the number. Returns whether all belong to it."""
        for place, (value, joined) in enumerate(atoms):
            joined, self.joined = joined or place > 0 or self.joined, False
            if not self._fits(value, joined):
                return False
            self.start = self.start if self.values else found.start()
            self.values.append(value)
            self.end = found.end()
        return True

    def _fits(self, value: int, joined: bool) -> bool:
        group, rest = self.group, self.group % 100
        if value >= 1000:
            if self.least is not None and value >= self.least:
                return False
            self.total, self.group, self.least = self.total + (group or 1) * value, 0, value
        elif value == 100 and 1 <= group < 10:
            self.group = group * 100
        elif not self.values or (group == 0 and self.least is not None):
            self.group = value
        elif group == 0:
            return False
        elif value == 20 and rest == 4 and self.data.vigesimal:
            self.group = group + 76
        elif (
            (rest == 0 and value < 100)
            or (rest >= 20 and rest % 10 == 0 and 0 < value < 10)
            or (rest in (60, 80) and 0 < value < 20 and self.data.vigesimal)
            or (rest == 10 and 0 < value < 10 and self.data.ten_first)
            or (0 < rest < 10 and value == 10 and self.data.ten_last)
            or (0 < rest < 10 and 20 <= value < 100 and value % 10 == 0 and joined and self.data.units_first)
        ):
            self.group = group + value
        else:
            return False
        return True

    def number(self) -> Iterator[WordNumber]:
        """The number read so far, if it is one; then a new one begins."""
        values, words = self.values, self.words
        counts = any(value < 1000 for value in values)
        alone = len(values) == 1 and words and words[0] in self.data.not_alone
        if values and counts and not alone and values != [100]:
            yield WordNumber(self.start, self.end, Decimal(self.total + self.group), "count")
        self._clear()


def _numerals(text: str) -> Iterator[WordNumber]:
    """Numbers in Chinese numerals (`三千五百`, `百分之二十五` without its percent) or Korean ones (`이천오백`)."""
    for found in _NUMERAL.finditer(text):
        value = _numeral_value(found[0])
        if value is not None and not text[found.start() - 1 : found.start()].isdigit():
            yield WordNumber(*found.span(), Decimal(value), "count")


def _numeral_value(run: str) -> int | None:
    """The value of a run of numerals; None if it is a word that only looks like one (`万一`, `十分`)."""
    if not any(char in _POWERS or char in _GROUPS for char in run):
        # Digit by digit: a year.
        return int("".join(str(_DIGITS[char]) for char in run)) if len(run) == 4 else None
    if run[0] >= "\uac00" and len(run) < 3:
        return None  # Korean syllables of this kind are parts of many words
    if run[0] in _GROUPS or (run[0] in "千천백" and run[1] in _GROUPS):
        return None
    total = group = digit = 0
    last = ""
    for char in run:
        if char in _DIGITS:
            if last and last in _DIGITS and _DIGITS[last]:
                return None
            digit = _DIGITS[char]
        elif char in _POWERS:
            group, digit = group + (digit or 1) * _POWERS[char], 0
        else:
            total, group, digit = total + (group + digit) * _GROUPS[char], 0, 0
        last = char
    return total + group + digit


_LETTER_RUN = re.compile(rf"{LETTER}+(?:['’]{LETTER}+)*")
_SEPARATED = re.compile(rf"(?<![\d.,])\d{{1,3}}([.]|{_BLANK}|['’])\d{{3}}(?:\1\d{{3}})*(?!\d)(?:,\d+(?!,?\d))?|(?<![\d.])\d+(?:,\d+)+")


def _english(found: re.Match[str]) -> str:
    if found[1] is None:
        # `2,3,4` is a list, `1,234,567` has English separators.
        return found[0].replace(",", ".") if found[0].count(",") == 1 else found[0]
    whole, comma, rest = found[0].partition(",")
    return re.sub(r"\D", ",", whole) + ("." if comma else "") + rest


def _lower(word: str) -> str:
    return word.replace("İ", "i").lower()


def _any(words: Any) -> str:
    """Alternatives, the longest first; what matches nothing if there are none."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True)) or r"(?!)"
