"""A text as its numbers are read: plain digits, dashes and signs, in the same places."""

from __future__ import annotations

import re
import unicodedata

from enrich.grounding.quotes import BROKEN, INVISIBLE, ODD

_DASHES = ("–", "—", "‐", "‑", "‒", "―", "−", "－")
_PLAIN = (
    ("％", "%"), ("٪", "%"), ("＄", "$"), ("٫", "."), ("٬", ","), ("．", "."), ("，", ","), ("≈", "~"),
    ("\u00a0", " "), ("\u2009", " "), ("\u202f", " "),
)  # fmt: skip
_THOUSANDS_SPACE = re.compile("(?<=\\d)[\u00a0\u2009\u202f](?=\\d{3}(?!\\d))")
_FOREIGN_DIGITS = re.compile(r"(?<!\d)[0-9]*+\d\d*+")


def prepare(text: str) -> str:
    """The text as numbers are read: same length, plain dashes, digits and signs; invisible characters become `BROKEN` marks."""
    if text.isascii():
        return text
    odd = set("".join(set(ODD.findall(text))))  # looking at the few odd characters spares a dozen passes over the text
    if not odd.isdisjoint("\u00a0\u2009\u202f"):
        text = _THOUSANDS_SPACE.sub(",", text)
    for dash in odd.intersection(_DASHES):
        text = text.replace(dash, "-")
    for char, plain in _PLAIN:
        if char in odd:
            text = text.replace(char, plain)
    if any(INVISIBLE.match(char) for char in odd):
        text = INVISIBLE.sub(lambda found: BROKEN * len(found[0]), text)
    if any(char.isdecimal() for char in odd):
        text = _FOREIGN_DIGITS.sub(_own_digits, text)
    return text


def _own_digits(found: re.Match[str]) -> str:
    """Digits of one script by value; a mix of scripts broken, for nobody writes one in good faith."""
    run = found[0]
    values = [unicodedata.decimal(char) for char in run]
    if len({ord(char) - value for char, value in zip(run, values, strict=True)}) > 1:
        return run[0] + BROKEN + "0" * (len(run) - 2) if run[0] in "0123456789" else "0" + BROKEN + "0" * (len(run) - 2)
    return "".join(map(str, values))
