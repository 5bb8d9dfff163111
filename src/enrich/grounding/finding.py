"""One result of checking an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["hard", "soft"]
# number: a quantity without support · name: a proper name without support · quote: evidence that is not on the page, or was repaired ·
# self-talk: the answer speaks of itself, of its instructions, or is an error text · markup: a value holds tags or links · off-page: it speaks
# of something else · orders: its evidence is in text that gives orders to a model · blemish: a small defect that was trimmed ·
# evidence: quotes that do not carry the text · flip: the page's sentence says the opposite, less, or it of something else · rating: a score
# that cannot be relied on ·
# language: numbers are not checked in the page's language, or the text is in another one · sections: the page was asked about in parts.
FindingKind = Literal[
    "number", "name", "quote", "self-talk", "markup", "off-page", "orders", "blemish", "evidence", "flip", "rating", "language", "sections"
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A nearby value or passage on the page: its text and its body line (from 1; 0: title or description)."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of checking an answer, for a reviewer, or for the model when it is asked again.

    `hard`: not supported, a person must look at the field. `soft`: explained by the page (a count, a sum, rounding, a repaired quote).
    `message` is one printable line; `where` names the part of the answer (`summary`, `insights[2].text`); `span` is the quantity's or
    phrase's (start, end) in the checked text; `quantity` its words.
    """

    kind: str  # one of FindingKind; a file of another version may hold others
    severity: Severity
    message: str
    where: str
    span: tuple[int, int] | None = None
    quantity: str = ""
    candidates: tuple[Candidate, ...] = ()
