"""Every quantity in a text: its value, its unit and its place, the same for all notations of the same thing.

`$1.5M`, `\\$1.5M`, `1.5 million US dollars` and `USD 1,500,000` are one reading; so are `30×`, `30x`, `thirty-fold`, and the ends of
`12–78%` and `12% to 78%`. Version-like names (`GPT-4`, `Claude 3.5`, `H100`), ids and addresses are names, not quantities.

A number with invisible characters between its digits, or with digits of two scripts, is `broken`: a reader sees something else than the text
holds, so it supports nothing and nothing supports it. Digits of one other script (full-width, Arabic-Indic, …) are read by value.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple

from enrich.grounding.number_words import LETTER, READ_WORDS, SCALES, TABLES, rules_of, word_numbers, word_set
from enrich.grounding.quotes import BROKEN, DASHES, INVISIBLE, ODD

QuantityKind = Literal[
    "number",
    "small",
    "year",
    "percent",
    "points",
    "currency",
    "factor",
    "unit",
    "ordinal",
    "decade",
    "part",
    "date",
    "time",
    "name",
    "broken",
]


class Reading(NamedTuple):
    """One way to read a quantity. `unit`: `%`, `pp`, `x`, a currency code, a unit's canonical name, `th`, `decade`, or "" for none."""

    value: Decimal
    unit: str


class Quantity(NamedTuple):  # a tuple: tables have thousands, and a frozen dataclass takes three times as long
    """A quantity at text[start:end]. `readings`: the plainest first, then those an elliptic notation allows (`5 to 20 million`).

    `noun`: the lower-case word behind it ("" if none follows); `low_of`: index of the quantity that ends the range it begins, else -1;
    `idiom`: a word that counts only approximately (`doubled`, `third`); `date`: (year, month, day), 0 if not given; `name`: a name's key;
    `label`: the capitalised word before a small number, in lower case (`Channel 4`), or `-` for a part of a score (`3-2`);
    `language`: of the text that it was read in.
    """

    start: int
    end: int
    text: str
    kind: QuantityKind
    readings: tuple[Reading, ...] = ()
    noun: str = ""
    low_of: int = -1
    idiom: bool = False
    date: tuple[int, int, int] = (0, 0, 0)
    name: str = ""
    language: str = "en"
    label: str = ""

    @property
    def value(self) -> Decimal:
        return self.readings[0].value

    @property
    def unit(self) -> str:
        return self.readings[0].unit


# One pattern for all numbers. The rest is decided by looking around each hit: a pattern with units would take ten times as long.
NUMBER = re.compile(r"\d(?:\d{0,2}(?:,\d{3}){1,8}(?!\d)(?:\.\d+)?|\d?(?:,\d\d)+,\d{3}(?!\d)(?:\.\d+)?|\d*(?:\.\d+)*)")
MONTHS = tuple(TABLES["months"].split())
# A text with more quantities is a table of data or an attack; reading them all would take seconds.
MOST_QUANTITIES = 5_000
_LONGEST = 40  # characters of a number that is read by value; longer ones are compared as they are written

_SYMBOLS: dict[str, str] = TABLES["currency_symbols"]
_DOLLARS: dict[str, str] = TABLES["dollars"]
_CODES: dict[str, str] = TABLES["currency_codes"]
_MONEY: dict[str, str] = TABLES["currency_names"] | _CODES
_ATTACHED_SCALES: dict[str, int] = TABLES["attached_scales"]
_SUFFIXES: dict[str, str] = TABLES["suffixes"]
_UNITS = {alias: names.split()[0] for names in TABLES["units"] for alias in names.split()}
_LOOSE_UNITS, _LABELS, _SMALL_LABELS, _JOINED, _JOINED_UNITS = (
    word_set(name) for name in ("loose_units", "labels", "small_labels", "joined", "joined_units")
)

_PLAIN = {
    **dict.fromkeys(DASHES, "-"), **dict.fromkeys("\u00a0\u2009\u202f", " "), "％": "%", "٪": "%", "＄": "$", "٫": ".", "٬": ",",
    "．": ".", "，": ",", "≈": "~",
}  # fmt: skip
_THOUSANDS_SPACE = re.compile("(?<=\\d)[\u00a0\u2009\u202f](?=\\d{3}(?!\\d))")
_FOREIGN_DIGITS = re.compile(r"(?<!\d)[0-9]*+\d\d*+")
_BROKEN_RUN = re.compile(rf"(?<![\d.,])[\d.,]++(?:{BROKEN}++[\d.,]++)+")
_MONTH_NUMBERS = {name: number for number, names in enumerate(MONTHS, 1) for name in names.split("|")}
_MONTH = "(?:" + "|".join(sorted(_MONTH_NUMBERS, key=len, reverse=True)) + r")(?![a-z])\.?"
_DATE = re.compile(
    rf"(?<![\w-])(?P<iso>(?:1[5-9]|20)\d\d-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)(?![\w-])"
    rf"|(?<!\w)(?P<md>{_MONTH}\s+(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?![\w%]|\.\d|,\d)(?:(?:,\s*|\s+)(?:1[5-9]|20)\d\d(?!\d))?)"
    rf"|(?<![\w.,$-])(?P<dm>(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+(?:1[5-9]|20)\d\d(?!\d))?)"
    rf"|(?<!\w)(?P<my>{_MONTH},?\s+(?:of\s+)?(?:1[5-9]|20)\d\d(?![\d%]))",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
# Quick tests for texts without a date, a time or an address, which are most. The expressions for these take ten times as long.
_LETTERS = re.compile(r"[a-z]+")
_MAY_DATE = re.compile(r"\d-[01]\d")
_MAY_CLOCK = re.compile(r"\d(?::[0-5]|[ \t]?[aApP]\.?[mM])")
_MAY_ADDRESS = ("://", "www.", "@", "10.", "xiv", "Xiv", "XIV", "doi", "DOI")
ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|(?:arxiv|doi)[:\s]\s?[\w./-]*\d[\w./-]*|10\.\d{4,9}/\S+|(?<![\w.-])[\w.-]{1,64}@[\w.-]+",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?<![\d:.,$-])(?:(?P<clock>(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)(?![\d:])|(?P<hour>1?\d)(?=[ \t]?[ap]\.?m\b))(?:[ \t]?[ap]\.?m\b)?",
    re.IGNORECASE,
)
_LABEL_WORD = re.compile(rf"(?<=[a-z0-9,;)][ \t])(i?[A-Z][A-Za-z]+)[ \t]$|(?<![A-Za-z])(?i:({TABLES['numbered']}))[ \t]$")
_DECADE_MARK = re.compile(r"['’]s\b")
_SUFFIX = re.compile(r"%|×|[A-Za-z]+")
_BEHIND = re.compile(r"\+?(?P<gap>[ \t]?-?[ \t]?|[ \t]\()(?P<word>%|[A-Za-z]+)")
_BEHIND_ANY = re.compile(rf"\+?(?P<gap>[ \t]?-?[ \t]?|[ \t]\()(?P<word>%|{LETTER}+)")
_POINTS = re.compile(r"[ -]points?(?![a-z])")
# `1e25`, `10^25`, `10²⁵`, `3 × 10^25`.
_EXPONENT = re.compile(
    r"[eE](?P<letter>[+-]?\d{1,3})(?![\w.])"
    r"|(?P<times>[ \t]*[×x·*][ \t]*10)?(?:\^\(?\{?(?P<power>[+-]?\d{1,3})\}?\)?|(?P<raised>[⁻⁺]?[⁰¹²³⁴-⁹]{1,3}))"
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_WORD_BEFORE = re.compile(r"[A-Za-z_]+$")
_TOKEN_BEFORE = re.compile(r"[A-Za-z0-9_.,$€£%]+$")
_LABEL_BEFORE = re.compile(r"([A-Za-z][A-Za-z.]*)[ \t]$")
_NAME_RIGHT = re.compile(r"[A-Za-z0-9_]*(?:[.-][A-Za-z0-9_]+)*")
_DIGITS_RIGHT = re.compile(r"(?:[.-]\d+)+")
_RANGE = re.compile(r"[ \t]*\+?[ \t]*-[ \t]*[~<>]?[ \t]*")
_LIST = re.compile(
    r"[ \t]*\+?[ \t]*(?:to|and|or|vs\.?|versus|through|until|,|, and|, or|/|->|→|&)[ \t]*"
    r"(?:about|over|nearly|roughly|around|almost|up to|at least)?[ \t]*[~<>]?[ \t]*"
)
_TO = re.compile(r"\s*\+?\s*to\s*.*")
_SCALE_WORD = re.compile(r"(?:[ -]?(thousand|million|billion|trillion)|(k|K|M|MM|mn|mln|B|bn|Bn|BN|b|T|tn|trn|m))(?![A-Za-z])")
_KINDS: dict[str, QuantityKind] = {"%": "percent", "pp": "points", "x": "factor", "decade": "decade", "th": "ordinal"}


def quantities(text: str, language: str = "en") -> tuple[Quantity, ...]:
    """The quantities and names of a text in this language, in order; offsets are those of `text`.

    Of each kind (date, figure, word) the first 5,000 are read.

    >>> [(one.text, str(one.value), one.unit) for one in quantities("2,5 Mio. Euro und 3,5 %", "de")]
    [('2,5 Mio. Euro', '2500000.0', 'EUR'), ('3,5 %', '3.5', '%')]
    >>> [(one.kind, one.text, str(one.value), one.unit) for one in quantities("GPT-4 cost $78–100M, 30x more")[1:]]
    [('currency', '$78', '78000000', 'USD'), ('currency', '100M', '100000000', 'USD'), ('factor', '30x', '30', 'x')]
    """
    return tuple(_Reader(text, language).read())


@lru_cache(maxsize=8192)
def key(value: Decimal) -> str:
    """The digits of a value without leading and trailing zeros: what its notations at all scales have in common."""
    return "".join(map(str, value.normalize().as_tuple().digits)).strip("0")


def prepare(text: str, language: str = "en") -> str:
    """The text as numbers are read: same length, English separators, plain dashes, digits and signs; invisible characters become `BROKEN` marks."""
    rules = rules_of(language)
    if rules is not None:
        text = rules.separators(text)
    if text.isascii():
        return text
    odd = set("".join(set(ODD.findall(text))))  # looking at the few odd characters spares a dozen passes over the text
    if not odd.isdisjoint("\u00a0\u2009\u202f"):
        text = _THOUSANDS_SPACE.sub(",", text)
    for char in odd & _PLAIN.keys():
        text = text.replace(char, _PLAIN[char])
    if any(INVISIBLE.match(char) for char in odd):
        text = INVISIBLE.sub(lambda found: BROKEN * len(found[0]), text)
    digits = {char: unicodedata.decimal(char) for char in odd if char.isdecimal()}
    one_script = len({ord(char) - value for char, value in digits.items()}) == 1
    if digits and one_script and re.search(r"[0-9](?![0-9])\d|(?![0-9])\d[0-9]", text) is None:
        for char, value in digits.items():  # takes a tenth of the time of looking at each number
            text = text.replace(char, str(value))
    elif digits:
        text = _FOREIGN_DIGITS.sub(_own_digits, text)
    return text


def _own_digits(found: re.Match[str]) -> str:
    """Digits of one script by value; a mix of scripts as a broken number, because it is a forgery."""
    run = found[0]
    values = [unicodedata.decimal(char) for char in run]
    if len({ord(char) - value for char, value in zip(run, values, strict=True)}) > 1:
        return (run[0] if run[0].isascii() else "0") + BROKEN + "0" * (len(run) - 2)
    return "".join(map(str, values))


class _Reader:
    """One text while its quantities are read. `plain` is the text as numbers are read, at the same offsets."""

    def __init__(self, text: str, language: str) -> None:
        self.text, self.plain, self.language = text, prepare(text, language), language
        self.rules = rules_of(language)
        self.behind = _BEHIND if self.rules is None else _BEHIND_ANY
        self.found: list[Quantity] = []
        self.taken = bytearray(len(self.plain))  # 1 where a character belongs to something already read

    def read(self) -> list[Quantity]:
        plain = self.plain
        words = set(_LETTERS.findall(plain.lower()))
        if _DIGIT.search(plain) is not None:
            self._read_figures(has_month=not words.isdisjoint(_MONTH_NUMBERS))
        if self.rules is not None:
            numbers = self.rules.words(plain)
        else:
            numbers = iter(()) if words.isdisjoint(READ_WORDS) else word_numbers(plain)
        for word in islice(numbers, MOST_QUANTITIES):
            if not self.taken[word.start]:
                self._add(self._in_words(word.start, word.end, word.value, word.what))
        self.found.sort(key=lambda one: one.start)
        for index in range(len(self.found) - 2, -1, -1):
            self._join(index)
        return self.found

    def _read_figures(self, *, has_month: bool) -> None:
        plain = self.plain
        if BROKEN in plain:
            for run in islice(_BROKEN_RUN.finditer(plain), MOST_QUANTITIES):
                figures = run[0].lstrip(f".,{BROKEN}")
                if BROKEN in figures:
                    self._add(self._quantity(run.end() - len(figures), run.end(), "broken"))
        if any(mark in plain for mark in _MAY_ADDRESS):
            for address in ADDRESS.finditer(plain):
                self._take(*address.span())
        if has_month or _MAY_DATE.search(plain):
            for date in islice(_DATE.finditer(plain), MOST_QUANTITIES):
                if not self.taken[date.start()]:
                    self._add(self._date(date))
        for clock in islice(_CLOCK.finditer(plain), MOST_QUANTITIES) if _MAY_CLOCK.search(plain) else ():
            if not self.taken[clock.start()]:
                self._add(self._quantity(*clock.span(), "time")._replace(name=clock["clock"] or re.sub(r"\s", "", clock[0].lower())))
        for number in islice(NUMBER.finditer(plain), MOST_QUANTITIES):
            if not self.taken[number.start()]:
                self._add(self._number(*number.span(), number[0]))

    def _take(self, start: int, end: int) -> None:
        self.taken[start:end] = b"\1" * (end - start)

    def _add(self, one: Quantity | None) -> None:
        if one is not None:
            self.found.append(one)
            self._take(one.start, one.end)

    def _quantity(self, start: int, end: int, kind: QuantityKind, value: Decimal | None = None, unit: str = "", noun: str = "") -> Quantity:
        readings = (Reading(value, unit),) if value is not None else ()
        return Quantity(start, end, self.text[start:end], kind, readings, noun, language=self.language)

    def _date(self, found: re.Match[str]) -> Quantity | None:
        if found["iso"]:
            year, month, day = (*map(int, found["iso"].split("-")), 0)[:3]
            if not day and month == year % 100 + 1:  # 2010-11 is a range of years as often as a month
                return None
        else:
            name = next(word for word in re.findall(r"[A-Za-z]+", found[0]) if word.lower() in _MONTH_NUMBERS)
            if name in ("may", "march", "mar"):  # the verbs
                return None
            month = _MONTH_NUMBERS[name.lower()]
            digits = re.findall(r"\d+", found[0])
            year = next((int(one) for one in digits if len(one) == 4), 0)
            day = next((int(one) for one in digits if len(one) < 4), 0)
        return self._quantity(*found.span(), "date", Decimal(year or day))._replace(date=(year, month, day))

    def _number(self, start: int, end: int, core: str) -> Quantity:
        if core.count(".") > 1 or len(core) > _LONGEST:
            return self._name(start, end)
        number = core.replace(",", "")
        if self.plain[start - 1 : start] == "." and not self.plain[max(0, start - 2) : start - 1].isalnum():
            number, start = f"0.{number}", start - 1  # p < .05
        before = self._before(start)
        if before is None:
            return self._name(start, end)
        currency, start = before
        return self._labelled(self._with_unit(start, end, Decimal(number), core, currency))

    def _labelled(self, found: Quantity) -> Quantity:
        word = _LABEL_WORD.search(self.plain, max(0, found.start - 24), found.start) if found.kind == "small" else None
        return found._replace(label=word[0].strip().lower()) if word is not None else found

    def _before(self, start: int) -> tuple[str, int] | None:
        """(currency before the number, its start); None if the word before the number makes a name of both."""
        plain, before = self.plain, self.plain[start - 1 : start]
        if (before.isalpha() and before.lower() != before.upper()) or before == "_":
            # A script without capitals writes numbers directly behind words.
            word = _WORD_BEFORE.search(plain, max(0, start - 12), start)
            letters = word[0] if word else ""
            if letters in ("FY", "CY"):
                return "", start
            return (_CODES[letters.lower()], start - len(letters)) if letters.lower() in _CODES else None
        if before == " " and plain[start - 2 : start - 1] in _SYMBOLS and not self.taken[start - 2]:
            before, start = plain[start - 2], start - 1  # `$ 160 million`, `€ 2,5 miljoen`
        if before in _SYMBOLS:
            currency, start = _SYMBOLS[before], start - 1
            word = _WORD_BEFORE.search(plain, max(0, start - 3), start) if before == "$" else None
            if word is not None and word[0].lower() in _DOLLARS:
                currency, start = _DOLLARS[word[0].lower()], word.start()
            return currency, start - (plain[start - 1 : start] == "\\")
        if before == "-":
            token = _TOKEN_BEFORE.search(plain, max(0, start - 24), start - 1)
            stem = token[0].lstrip("$€£") if token is not None and any(map(str.isalpha, token[0])) else ""
            named = stem and not stem[0].isdigit() and stem.lower().rstrip(".") not in _JOINED and stem.lower() not in _MONTH_NUMBERS
            return None if named else ("", start)
        label = _LABEL_BEFORE.search(plain, max(0, start - 16), start) if before in (" ", "\t") else None
        if label is not None:
            lower = label[1].lower()
            if lower in _CODES and label[1].isupper():
                return _CODES[lower], label.start()
            if lower in _LABELS and (label[1][0].isupper() or lower in _SMALL_LABELS):
                return None
        return "", start

    def _with_unit(self, start: int, end: int, value: Decimal, core: str, unit: str) -> Quantity:
        """The quantity with what follows it: exponent, scale, percent, unit, currency, and the noun."""
        if self.rules is not None:
            value, end = self.rules.scaled(self.plain, end, value)
            found = self.rules.unit(self.plain, start, end) if not unit else None
            if found is not None and not (found[0] == "year" and _kind(value, "", core) == "year"):
                unit, end = found
                return self._quantity(start, end, _kind(value, unit, core), value, unit, self._noun(end))
        power = _EXPONENT.match(self.plain, end)
        if power is not None and (power["letter"] or power["times"] or core == "10"):
            exponent = int((power["letter"] or power["power"] or power["raised"]).translate(_RAISED))
            value, end = (value if power["letter"] or power["times"] else Decimal(1)).scaleb(exponent), power.end()
        if not unit and len(core) in (2, 4) and core.endswith("0") and core.isdigit() and (mark := _DECADE_MARK.match(self.plain, end)):
            return self._quantity(start, mark.end(), "decade", value, "decade", self._noun(mark.end()))
        suffix = _SUFFIX.match(self.plain, end)
        if suffix is not None:
            attached = self._attached(suffix[0], suffix.end(), value, unit, core)
            if attached is None:
                return self._name(start, end)
            value, unit, end = attached
        if unit in ("x", "decade", "th"):
            noun = self._noun(end)
        else:
            value, unit, end, noun = self._behind(value, unit, end)
        if unit in _LOOSE_UNITS:
            noun, unit = unit, ""
        return self._quantity(start, end, _kind(value, unit, core), value, unit, noun)

    def _attached(self, letters: str, after: int, value: Decimal, unit: str, core: str) -> tuple[Decimal, str, int] | None:
        """(value, unit, end) with the letters or the sign written directly behind the number; None if they make a name of it."""
        lower, before = letters.lower(), after - len(letters)
        if letters == "%" and self.plain.startswith(("-point", " point"), after):
            return value, "pp", after
        if lower in ("×", "x"):
            if self.plain[after : after + 1].isdigit():
                return (value, unit, before) if letters == "×" else None  # 3×4 is a product, 0x7 a name
            return value, "x", after
        if letters in _ATTACHED_SCALES:
            return value * _ATTACHED_SCALES[letters], unit, after
        if letters == "m" and unit:
            return value * 10**6, unit, after
        if lower == "s" and len(core) in (2, 4) and core.endswith("0") and core.isdigit():
            return value, "decade", after
        if lower in _SUFFIXES and (letters == lower or _SUFFIXES[lower] != "th"):
            return value, _SUFFIXES[lower], after
        if lower in _UNITS:
            return value, unit or _UNITS[lower], after
        if lower in _CODES and not unit:
            return value, _CODES[lower], after
        return (value * SCALES[lower], unit, after) if lower in SCALES else None

    def _behind(self, value: Decimal, unit: str, end: int) -> tuple[Decimal, str, int, str]:
        """(value, unit, end, noun) after the words behind a number: `million`, `percentage points`, `US dollars`, `-year`, `labs`."""
        plain = self.plain
        for _ in range(3):
            found = self.behind.match(plain, end)
            if found is None:
                break
            gap, word, lower, after = found["gap"], found["word"], found["word"].lower(), found.end()
            points = lower in ("point", "points") if unit == "%" else word == "%" and plain.startswith(("-point", " point"), after)
            if points:
                return value, "pp", after, ""
            if unit == "%":
                return value, unit, end, lower
            if word == "%":
                return value, unit or "%", after, self._noun(after)
            if "(" in gap:
                return value, unit, end, ""
            short = gap == " " and (word in ("bn", "mn", "mln") or (word in ("M", "B", "T", "K") and unit in _SYMBOLS.values()))
            scale = _ATTACHED_SCALES[word] if short else SCALES.get(lower) or SCALES.get(lower.removesuffix("s"))
            if scale:
                value, end = value * scale, after
                continue
            if lower in ("us", "american") and plain.startswith(" dollar", after):
                end = after
                continue
            return self._unit_word(value, unit, end, found)
        return value, unit, end, ""

    def _unit_word(self, value: Decimal, unit: str, end: int, found: re.Match[str]) -> tuple[Decimal, str, int, str]:
        word, lower, after = found["word"], found["word"].lower(), found.end()
        if lower in ("percent", "pct") or (lower == "per" and self.plain.startswith(" cent", after)):
            after += len(" cent") if lower == "per" else 0
            return value, unit or "%", after, self._noun(after)
        if lower == "percentage" and (points := _POINTS.match(self.plain, after)) is not None:
            return value, "pp", points.end(), ""
        if lower in ("pp", "ppt") and not unit:
            return value, "pp", after, ""
        if lower in ("fold", "times", "x") and not unit:
            return value, "x", after, self._noun(after)
        if lower in _MONEY and unit in ("", _MONEY[lower]) and (word.isupper() or lower not in _CODES):
            return value, _MONEY[lower], after, ""
        # One letter is a unit only where it is joined: `5-m`, not `5 h`.
        if (
            lower in _UNITS
            and not unit
            and (len(lower) > (2 if lower in _JOINED_UNITS else 1) or (not found["gap"].strip() and word not in ("w", "h", "M")))
        ):
            return value, _UNITS[lower], after, self._noun(after)
        return value, unit, end, lower

    def _noun(self, end: int) -> str:
        found = self.behind.match(self.plain, end)
        return found["word"].lower() if found is not None and "(" not in found["gap"] else ""

    def _name(self, start: int, end: int) -> Quantity:
        """A version-like name: the word or label before the number, and what is written together with it."""
        plain = self.plain
        right = _NAME_RIGHT.match(plain, end)
        stop = right.end() if right else end
        hyphen = plain[start - 1 : start] == "-"
        before = _LABEL_BEFORE.search(plain, max(0, start - 16), start) or _TOKEN_BEFORE.search(plain, max(0, start - 24), start - hyphen)
        begin = before.start() if before is not None else start
        if any(map(str.isdigit, plain[begin:start])) and (rest := _DIGITS_RIGHT.match(plain, end)) is not None:
            end = rest.end()  # 10b5-1
        # `GPT-4o` is a kind of `GPT-4`; without a word before the number, what is written behind it makes the name: `8VC`.
        return self._quantity(begin, stop, "name")._replace(
            name=re.sub(r"[-\s]", "", plain[begin : end if begin < start else stop]).lower()
        )

    def _in_words(self, start: int, end: int, value: Decimal, what: str) -> Quantity | None:
        if what == "part":
            return self._quantity(start, end, "part", value, "", self._noun(end))
        if what in ("factor", "idiom"):
            return self._quantity(start, end, "factor", value, "x", self._noun(end))._replace(idiom=what == "idiom")
        if what == "ordinal":
            return self._quantity(start, end, "ordinal", value, "th", self._noun(end))._replace(idiom=True)
        one = self._with_unit(start, end, value, "", "")
        # `one` is a pronoun or an article unless something is measured in it.
        return None if one.readings and one.value == value == 1 and not one.unit else self._labelled(one)

    def _join(self, index: int) -> None:
        """Give a quantity what it shares with the next one as ends of a range or members of a list: `$78-89B`, `5, 8 and 12 years`."""
        one, other = self.found[index], self.found[index + 1]
        gap = self.plain[one.end : other.start]
        if not one.readings or not other.readings or "date" in (one.kind, other.kind) or other.start < one.end or len(gap) > 24:
            return
        listed, to = (_LIST, _TO) if self.rules is None else (self.rules.listed, self.rules.to)
        if _RANGE.fullmatch(gap):
            self._join_range(index, one, other)
        elif listed.fullmatch(gap):
            self._join_list(index, one, other, to is not None and bool(to.fullmatch(gap)))

    def _join_range(self, index: int, one: Quantity, other: Quantity) -> None:
        low, high = one.readings[0], other.readings[0]
        label = one.label
        if one.kind == "year" and other.unit == "" and 0 < other.value - one.value % 100 < 50 and len(other.text) == 2:
            high = Reading(one.value - one.value % 100 + other.value, "")  # 2019-23
            self.found[index + 1] = other._replace(readings=(high,), kind="year")
        unit = high.unit if not low.unit and high.unit != "th" else low.unit
        scale = self._scale(other)
        low = Reading(low.value * scale if scale > 1 and low.value < 1000 and self._scale(one) == 1 else low.value, unit)
        if low.unit.isupper() and not high.unit:
            self.found[index + 1] = self.found[index + 1]._replace(readings=(Reading(high.value, low.unit),), kind="currency")
        elif one.kind == other.kind == "small" and (low.value >= high.value or not low.value) and self.plain[one.end : other.start] == "-":
            label = "-"
            self.found[index + 1] = other._replace(label=label)
        kind = "ordinal" if one.kind == "ordinal" else _kind(low.value, low.unit, one.text.strip("$€£\\"))
        self.found[index] = one._replace(readings=(low,), kind=kind, low_of=index + 1, label=label)

    def _scale(self, one: Quantity) -> int:
        """The scale that is written with a quantity: 10**6 for `5 million` and `5M`, 1 for `5,000,000`."""
        number = NUMBER.search(self.plain, one.start, one.end)
        if self.rules is not None and number is not None:
            scaled, end = self.rules.scaled(self.plain, number.end(), Decimal(1))
            if end > number.end():
                return int(scaled)
        found = (_SCALE_WORD.search if number is None else _SCALE_WORD.match)(
            self.plain, one.start if number is None else number.end(), one.end
        )
        if found is None:
            return 1
        return SCALES[found[1].lower()] if found[1] else _ATTACHED_SCALES.get(found[2], 10**6)

    def _join_list(self, index: int, one: Quantity, other: Quantity, is_range: bool) -> None:
        extra: list[Reading] = []
        if one.kind != "year":
            if not one.unit and other.unit:
                extra.append(Reading(one.value, other.unit))
            scale = self._scale(other)
            if scale > 1 and self._scale(one) == 1 and one.value < 1000:
                extra.append(Reading(one.value * scale, one.unit or other.unit))
        if not one.unit:
            extra += [Reading(one.value, reading.unit) for reading in other.readings[1:] if reading.unit]
        low_of = index + 1 if one.kind != "year" and is_range else -1
        if extra or low_of >= 0:
            self.found[index] = one._replace(readings=(*one.readings, *extra), low_of=low_of)
        if one.unit.isupper() and other.unit == "" and other.kind != "year":
            self.found[index + 1] = other._replace(readings=(*other.readings, Reading(other.value, one.unit)))


def _kind(value: Decimal, unit: str, core: str) -> QuantityKind:
    if unit:
        return _KINDS.get(unit) or ("currency" if unit.isupper() else "unit")
    if len(core) == 4 and core.isdigit() and 1500 <= value <= 2100:
        return "year"
    return "small" if value <= 20 and value == value.to_integral_value() else "number"
