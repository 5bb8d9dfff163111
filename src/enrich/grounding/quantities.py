"""Every quantity in a text: its value, its unit and where it stands, the same for all notations of the same thing.

`$1.5M`, `\\$1.5M`, `1.5 million US dollars` and `USD 1,500,000` are one reading; so are `30×`, `30x`, `thirty-fold`, and the ends of
`12–78%` and `12% to 78%`. Version-like names (`GPT-4`, `Claude 3.5`, `H100`), ids and addresses are names, no quantities.

A number with invisible characters between its digits, or with digits of two scripts, is `broken`: what a reader sees and what stands there
differ, so it supports nothing and nothing supports it. Digits of one other script (full-width, Arabic-Indic, …) are read by value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from enrich.grounding.digits import prepare
from enrich.grounding.quotes import BROKEN
from enrich.grounding.units import ATTACHED_SCALES, CODES, DOLLARS, LOOSE_UNITS, MONEY, SYMBOLS, UNITS
from enrich.grounding.words import SCALES, word_numbers

QuantityKind = Literal[
    "number", "small", "year", "percent", "points", "currency", "factor", "unit", "ordinal", "decade", "part", "date", "name", "broken"
]


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a quantity. `unit`: `%`, `pp`, `x`, a currency code, a unit's canonical name, `th`, `decade`, or "" for none."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity at text[start:end]. `readings`: the plainest first, then those an elliptic notation allows (`5 to 20 million`).

    `noun`: the lower-case word behind it ("" where none follows); `low_of`: index of the quantity that ends the range it begins, else -1;
    `idiom`: a word that only loosely counts (`doubled`, `third`); `date`: (year, month, day), 0 where not given; `name`: a name's key.
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

    @property
    def value(self) -> Decimal:
        return self.readings[0].value

    @property
    def unit(self) -> str:
        return self.readings[0].unit


# One pattern for all; the rest is decided by looking around each hit: one pattern that also knew units would cost ten times as much.
NUMBER = re.compile(r"\d(?:\d{0,2}(?:,\d{3}){1,8}(?!\d)(?:\.\d+)?|\d*(?:\.\d+)*)")
_LONGEST = 40  # characters of a number that is read by value; longer ones are compared as they stand

_BROKEN_RUN = re.compile(rf"\d[\d.,]*(?:{BROKEN}+[\d.,]+)+")

MONTHS = (
    "january|jan", "february|feb", "march|mar", "april|apr", "may", "june|jun", "july|jul", "august|aug", "september|sept|sep",
    "october|oct", "november|nov", "december|dec",
)  # fmt: skip
_MONTHS = {name: number for number, names in enumerate(MONTHS, 1) for name in names.split("|")}
_MONTH = "(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")(?![a-z])\.?"
_DATE = re.compile(
    rf"(?<![\w-])(?P<iso>(?:1[5-9]|20)\d\d-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)(?![\w-])"
    rf"|(?<!\w)(?P<md>{_MONTH}\s+(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?![\w%]|\.\d|,\d)(?:(?:,\s*|\s+)(?:1[5-9]|20)\d\d(?!\d))?)"
    rf"|(?<![\w.,$-])(?P<dm>(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+(?:1[5-9]|20)\d\d(?!\d))?)"
    rf"|(?<!\w)(?P<my>{_MONTH},?\s+(?:of\s+)?(?:1[5-9]|20)\d\d(?![\d%]))",
    re.IGNORECASE,
)
_MAY_DATE = re.compile(r"[0-9jfmasondJFMASOND](?:\d-\d\d|[Aa][NnRrYy]|[Ee][BbPpCc]|[Pp][Rr]|[Uu][NnLlGg]|[Cc][Tt]|[Oo][Vv])")
_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|(?:arxiv|doi)[:\s]\s?[\w./-]*\d[\w./-]*|10\.\d{4,9}/\S+|(?<![\w.-])[\w.-]{1,64}@[\w.-]+",
    re.IGNORECASE,
)
_MAY_ADDRESS = ("://", "www.", "@", "10.", "xiv", "Xiv", "XIV", "doi", "DOI")  # one of these stands in every address

_SUFFIX = re.compile(r"(?P<attached>%|×|[A-Za-z]+)?")
_BEHIND = re.compile(r"(?P<plus>\+?)(?P<gap>[ \t]?-?[ \t]?|[ \t]\()(?P<word>%|[A-Za-z]+)")
_POINTS = re.compile(r"[ -]points?(?![a-z])")
_EXPONENT = re.compile(r"[eE]([+-]?\d{1,3})(?![\w.])")
_POWER = re.compile(r"\^\(?\{?([+-]?\d{1,3})\}?\)?")
_RAISED = re.compile("([⁻⁺]?)([⁰¹²³⁴-⁹]{1,3})")
_TIMES_TEN = re.compile(r"[ \t]*[×x·*][ \t]*10(?=\^|[⁻⁰¹²³⁴-⁹])")
_RAISED_DIGITS = {char: str(digit) for digit, char in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_WORD_BEFORE = re.compile(r"[A-Za-z_]+$")
_TOKEN_BEFORE = re.compile(r"[A-Za-z0-9_.,$€£%]+$")
_LABEL_BEFORE = re.compile(r"([A-Za-z][A-Za-z.]*)[ \t]$")
# What may be joined to a number by a hyphen without making a name of it.
_JOINED_WORDS = "mid early late pre post sub super over under near to and until top by around about circa non plus minus fy ca"
_JOINED = frozenset(_JOINED_WORDS.split())
_LABEL_WORDS = """
    phase section figure fig fig. table chapter appendix article level tier type step stage part model class category round series title
    rule order directive resolution version v v. claude gpt llama gemini opus sonnet haiku qwen mistral gemma phi grok deepseek palm windows
    python iso rfc act bill no. nr. ch. sec. page scenario premise asl cot option crux principle question item row column footnote ref
"""
_LABELS = frozenset(_LABEL_WORDS.split())
_RANGE = re.compile(r"[ \t]*\+?[ \t]*-[ \t]*[~<>]?[ \t]*")
_LIST = re.compile(
    r"[ \t]*\+?[ \t]*(?:to|and|or|vs\.?|versus|through|until|,|, and|, or|/|->|→|&)[ \t]*"
    r"(?:about|over|nearly|roughly|around|almost|up to|at least)?[ \t]*[~<>]?[ \t]*"
)


def quantities(text: str) -> tuple[Quantity, ...]:
    """The quantities and names of a text, in order; offsets are those of `text`.

    >>> [(one.kind, one.text, str(one.value), one.unit) for one in quantities("GPT-4 cost $78–100M, 30x more")[1:]]
    [('currency', '$78', '78000000', 'USD'), ('currency', '100M', '100000000', 'USD'), ('factor', '30x', '30', 'x')]
    """
    plain = prepare(text)
    found: list[Quantity] = []
    taken = bytearray(len(plain))  # 1 where a character belongs to something already read
    if BROKEN in plain:
        for run in _BROKEN_RUN.finditer(plain):
            found.append(Quantity(run.start(), run.end(), text[run.start() : run.end()], "broken"))
            taken[run.start() : run.end()] = b"\1" * len(run[0])
    if any(mark in plain for mark in _MAY_ADDRESS):
        for address in _ADDRESS.finditer(plain):
            taken[address.start() : address.end()] = b"\1" * len(address[0])
    if _MAY_DATE.search(plain):
        for date in _DATE.finditer(plain):
            if not taken[date.start()] and (one := _date(date, text)) is not None:
                found.append(one)
                taken[date.start() : date.end()] = b"\1" * len(date[0])
    for number in NUMBER.finditer(plain):
        if not taken[number.start()] and (one := _number(plain, text, number)) is not None:
            found.append(one)
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
    for word in word_numbers(plain):
        if not taken[word.start] and (one := _in_words(plain, text, word.start, word.end, word.value, word.what)) is not None:
            found.append(one)
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
    found.sort(key=lambda one: one.start)
    return tuple(_ranges(plain, found))


def key(value: Decimal) -> str:
    """The digits of a value without leading and trailing zeros: what all notations of it, whatever the scale, have in common."""
    return "".join(map(str, value.normalize().as_tuple().digits)).strip("0")


def _date(found: re.Match[str], text: str) -> Quantity | None:
    year = month = day = 0
    if found["iso"]:
        parts = [int(part) for part in found["iso"].split("-")]
        year, month = parts[:2]
        day = parts[2] if len(parts) > 2 else 0
        if not day and month + 2000 == year % 100 + 2001:  # 2010-11 is a range of years as often as a month
            return None
    else:
        for part in re.findall(r"[A-Za-z]+|\d+", found[0]):
            if part.lower() in _MONTHS:
                # `may` the verb is no month.
                if part in ("may", "march", "mar"):
                    return None
                month = _MONTHS[part.lower()]
            elif part.isdigit():
                if len(part) == 4:
                    year = int(part)
                else:
                    day = int(part)
    value = Decimal(year or day)
    return Quantity(found.start(), found.end(), text[found.start() : found.end()], "date", (Reading(value, ""),), date=(year, month, day))


def _number(plain: str, text: str, found: re.Match[str]) -> Quantity | None:
    start, end = found.span()
    core = found[0]
    before = plain[start - 1] if start else ""
    if before == BROKEN or plain[end : end + 1] == BROKEN:
        # An invisible character next to a number, but not within it, parts nothing.
        before = "" if before == BROKEN else before
    if core.count(".") > 1 or len(core) > _LONGEST:
        return _name(plain, text, start, end)
    number = core.replace(",", "")
    if before == "." and not plain[max(0, start - 2) : start - 1].isalnum():
        number, start = f"0.{number}", start - 1  # p < .05
        before = plain[start - 1] if start else ""
    currency = ""
    if before and (before.isalpha() or before == "_"):
        word = _WORD_BEFORE.search(plain, max(0, start - 12), start)
        letters = word[0] if word else ""
        if letters not in ("FY", "CY"):
            if letters.lower() not in CODES:
                return _name(plain, text, start, end)
            currency, start = CODES[letters.lower()], start - len(letters)
    elif before in SYMBOLS:
        currency = SYMBOLS[before]
        start -= 1
        if before == "$" and (word := _WORD_BEFORE.search(plain, max(0, start - 3), start)) is not None and word[0].lower() in DOLLARS:
            currency, start = DOLLARS[word[0].lower()], word.start()
        if start and plain[start - 1] == "\\":
            start -= 1
    elif before == "-":
        token = _TOKEN_BEFORE.search(plain, max(0, start - 24), start - 1)
        if token is not None and any(char.isalpha() for char in token[0]):
            stem = token[0].lstrip("$€£")
            if not stem[:1].isdigit() and stem.lower().rstrip(".") not in _JOINED and stem.lower() not in _MONTHS:
                return _name(plain, text, start, end)
    elif before in (" ", "\t"):
        label = _LABEL_BEFORE.search(plain, max(0, start - 16), start)
        if label is not None:
            word_before = label[1]
            if word_before.lower() in CODES and word_before.isupper():
                currency, start = CODES[word_before.lower()], label.start()
            elif word_before.lower() in _LABELS and (
                word_before[0].isupper() or word_before.lower() in ("v", "v.", "version", "phase", "level")
            ):
                return _name(plain, text, start, end)
    value = Decimal(number)
    return _with_unit(plain, text, start, end, value, core, currency)


def _with_unit(plain: str, text: str, start: int, end: int, value: Decimal, core: str, unit: str) -> Quantity | None:
    """The quantity with what stands behind it: exponent, scale, percent, unit, currency, and the noun."""
    exponent, end = _raised(plain, end, core)
    if exponent is not None:
        value = Decimal(1).scaleb(exponent) if core == "10" and plain[start + len(core)] not in "eE" else value.scaleb(exponent)
    ordinal = False
    noun = ""
    attached = _SUFFIX.match(plain, end)
    letters = attached["attached"] if attached else None
    if letters:
        lower = letters.lower()
        after = end + len(letters)
        if letters == "%":
            if plain.startswith(("-point", " point"), after):
                unit, end = "pp", after
            else:
                unit, end = "%", after
        elif letters == "×" or lower == "x":
            if letters == "×" and plain[after : after + 1].isdigit():
                pass  # 3×4
            elif plain[after : after + 1].isdigit():
                return _name(plain, text, start, end)
            else:
                unit, end = "x", after
        elif letters in ATTACHED_SCALES:
            value, end = value * ATTACHED_SCALES[letters], after
        elif letters == "m" and unit:
            value, end = value * 10**6, after
        elif letters in ("st", "nd", "rd", "th"):
            ordinal, end = True, after
        elif lower == "s" and len(core) in (2, 4) and core.endswith("0") and core.isdigit():
            unit, end = "decade", after
        elif lower == "s":
            unit, end = "second", after
        elif lower in ("pct", "percent"):
            unit, end = "%", after
        elif lower in ("pp", "ppt", "pps"):
            unit, end = "pp", after
        elif lower == "fold":
            unit, end = "x", after
        elif lower in UNITS:
            unit, end = (unit or UNITS[lower]), after
        elif lower in CODES and not unit:
            unit, end = CODES[lower], after
        elif lower in SCALES:
            value, end = value * SCALES[lower], after
        else:
            return _name(plain, text, start, end)
    if not ordinal and unit not in ("x", "decade"):
        value, unit, end, noun = _behind(plain, value, unit, end)
    else:
        noun = _noun(plain, end)
    if unit in LOOSE_UNITS:
        noun, unit = unit, ""
    kind: QuantityKind
    if ordinal:
        kind, unit = "ordinal", "th"
    else:
        kind = _kind(value, unit, core)
    return Quantity(start, end, text[start:end], kind, (Reading(value, unit),), noun)


def _raised(plain: str, end: int, core: str) -> tuple[int | None, int]:
    """(power of ten, end) for `1e25`, `10^25`, `10²⁵`, `3 × 10^25`."""
    found = _EXPONENT.match(plain, end)
    if found is not None:
        return int(found[1]), found.end()
    times = _TIMES_TEN.match(plain, end)
    at = times.end() if times is not None else end if core == "10" else -1
    if at < 0:
        return None, end
    power = _POWER.match(plain, at)
    if power is not None:
        return int(power[1]), power.end()
    raised = _RAISED.match(plain, at)
    if raised is not None:
        exponent = int("".join(_RAISED_DIGITS[char] for char in raised[2]))
        return -exponent if raised[1] == "⁻" else exponent, raised.end()
    return None, end


def _behind(plain: str, value: Decimal, unit: str, end: int) -> tuple[Decimal, str, int, str]:
    """(value, unit, end, noun) after the words behind a number: `million`, `percentage points`, `US dollars`, `-year`, `labs`."""
    for _ in range(3):
        found = _BEHIND.match(plain, end)
        if found is None:
            return value, unit, end, ""
        word = found["word"]
        lower = word.lower()
        if unit == "%":
            if lower in ("point", "points"):
                return value, "pp", found.end(), ""
            return value, unit, end, lower
        if word == "%":
            if plain.startswith(("-point", " point"), found.end()):
                return value, "pp", found.end(), ""
            return value, unit or "%", found.end(), _noun(plain, found.end())
        if "(" in found["gap"]:
            return value, unit, end, ""
        if lower in SCALES:
            value, end = value * SCALES[lower], found.end()
            continue
        if word in ("M", "B", "T", "K", "bn", "mn") and found["gap"] == " " and unit in SYMBOLS.values():
            value, end = value * ATTACHED_SCALES[word], found.end()
            continue
        if lower in ("percent", "pct") or (lower == "per" and plain.startswith(" cent", found.end())):
            end = found.end() + (5 if lower == "per" else 0)
            return value, unit or "%", end, _noun(plain, end)
        if lower == "percentage" and (points := _POINTS.match(plain, found.end())) is not None:
            return value, "pp", points.end(), ""
        if lower in ("pp", "ppt") and not unit:
            return value, "pp", found.end(), ""
        if lower in ("fold", "times", "x") and not unit:
            return value, "x", found.end(), _noun(plain, found.end())
        if lower in ("us", "american") and plain.startswith(" dollar", found.end()):
            end = found.end()
            continue
        if lower in MONEY and (not unit or unit == MONEY[lower]) and (word.isupper() or lower not in CODES):
            return value, MONEY[lower], found.end(), ""
        if lower in UNITS and not unit and (len(lower) > 2 or (not found["gap"].strip() and word not in ("w", "h"))):
            return value, UNITS[lower], found.end(), _noun(plain, found.end())
        return value, unit, end, lower
    return value, unit, end, ""


def _noun(plain: str, end: int) -> str:
    found = _BEHIND.match(plain, end)
    return found["word"].lower() if found is not None and "(" not in found["gap"] else ""


def _kind(value: Decimal, unit: str, core: str) -> QuantityKind:
    if unit == "%":
        return "percent"
    if unit == "pp":
        return "points"
    if unit == "x":
        return "factor"
    if unit == "decade":
        return "decade"
    if unit.isupper():
        return "currency"
    if unit:
        return "unit"
    if len(core) == 4 and core.isdigit() and 1500 <= value <= 2100:
        return "year"
    return "small" if value <= 20 and value == value.to_integral_value() else "number"


_NAME_LEFT = re.compile(r"[A-Za-z0-9_]*(?:[-.][A-Za-z0-9_]+)*[-. ]?$")
_NAME_RIGHT = re.compile(r"[A-Za-z0-9_]*(?:[.-][A-Za-z0-9_]+)*")


def _name(plain: str, text: str, start: int, end: int) -> Quantity:
    """A version-like name: the word or label before the number, and what is written together with it."""
    right = _NAME_RIGHT.match(plain, end)
    stop = right.end() if right else end
    label = _LABEL_BEFORE.search(plain, max(0, start - 16), start)
    left = _TOKEN_BEFORE.search(plain, max(0, start - 24), start)
    begin = start
    if label is not None:
        begin = label.start()
    elif plain[start - 1 : start] == "-" and start:
        stem = _TOKEN_BEFORE.search(plain, max(0, start - 24), start - 1)
        begin = stem.start() if stem else start
    elif left is not None:
        begin = left.start()
    words = text[begin:stop]
    return Quantity(begin, stop, words, "name", name=re.sub(r"[-\s]", "", plain[begin:end]).lower())


def _in_words(plain: str, text: str, start: int, end: int, value: Decimal, what: str) -> Quantity | None:
    if what == "part":
        return Quantity(start, end, text[start:end], "part", (Reading(value, ""),), _noun(plain, end))
    if what in ("factor", "idiom"):
        return Quantity(start, end, text[start:end], "factor", (Reading(value, "x"),), _noun(plain, end), idiom=what == "idiom")
    if what == "ordinal":
        return Quantity(start, end, text[start:end], "ordinal", (Reading(value, "th"),), _noun(plain, end), idiom=True)
    one = _with_unit(plain, text, start, end, value, "", "")
    if one is None:
        return None
    # `one` is a pronoun or an article unless something is measured in it.
    if value == 1 and one.unit == "" and one.value == 1:
        return None
    return one


def _ranges(plain: str, found: list[Quantity]) -> Iterator[Quantity]:
    """Quantities with what the ends of a range and the members of a list share: `$78-89B`, `12-78%`, `5, 8 and 12 years`."""
    for index in range(len(found) - 2, -1, -1):
        one, other = found[index], found[index + 1]
        if not one.readings or not other.readings or "date" in (one.kind, other.kind) or other.start < one.end:
            continue
        gap = plain[one.end : other.start]
        if len(gap) > 24:
            continue
        if _RANGE.fullmatch(gap):
            low, high = one.readings[0], other.readings[0]
            if one.kind == "year" and other.unit == "" and 0 < other.value - one.value % 100 < 50 and len(other.text) == 2:
                end_year = Reading(one.value - one.value % 100 + other.value, "")
                found[index + 1] = replace(other, readings=(end_year,), kind="year")
                high = end_year
            if not low.unit and high.unit and high.unit != "th":
                low = Reading(low.value, high.unit)
            scale = _scale(other)
            if scale > 1 and _scale(one) == 1 and low.value < 1000:
                low = Reading(low.value * scale, low.unit)
            if low.unit.isupper() and not high.unit:
                high = Reading(high.value, low.unit)
                found[index + 1] = other = replace(found[index + 1], readings=(high,), kind="currency")
            found[index] = replace(
                one,
                readings=(low,),
                kind=_kind(low.value, low.unit, one.text.strip("$€£\\")) if one.kind != "ordinal" else one.kind,
                low_of=index + 1,
            )
        elif _LIST.fullmatch(gap):
            extra: list[Reading] = []
            scale = _scale(other)
            if one.unit == "" and other.unit and one.kind != "year":
                extra.append(Reading(one.value, other.unit))
            if scale > 1 and _scale(one) == 1 and one.value < 1000 and one.kind != "year":
                extra.append(Reading(one.value * scale, one.unit or other.unit))
            extra += [Reading(one.value, reading.unit) for reading in other.readings[1:] if one.unit == "" and reading.unit]
            low_of = index + 1 if re.fullmatch(r"\s*\+?\s*to\s*.*", gap) and one.kind != "year" else -1
            if extra or low_of >= 0:
                found[index] = replace(one, readings=(*one.readings, *extra), low_of=low_of)
            if one.unit.isupper() and other.unit == "" and other.kind != "year":
                found[index + 1] = replace(other, readings=(*other.readings, Reading(other.value, one.unit)))
    yield from found


_SCALE_WORD = re.compile(r"(?:[ -]?(thousand|million|billion|trillion)|(k|K|M|MM|mn|mln|B|bn|Bn|BN|b|T|tn|trn|m))(?![A-Za-z])")


def _scale(one: Quantity) -> int:
    """The scale that is written with a quantity: 10**6 for `5 million` and `5M`, 1 for `5,000,000`."""
    number = NUMBER.search(prepare(one.text))
    at = number.end() if number is not None else 0
    found = _SCALE_WORD.search(one.text, at) if number is None else _SCALE_WORD.match(one.text, at)
    if found is None:
        return 1
    return SCALES[found[1].lower()] if found[1] else ATTACHED_SCALES.get(found[2], 10**6)
