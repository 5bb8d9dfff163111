"""The fields of a page: their current values, the values that an answer gives them, and how both are compared and written.

A value is *missing* if it is absent, null, "" or [] (DESIGN.md section 3.2). Numbers are compared by value (4 = 4.0). `\\$` and `$` are the
same text: the file of an MDX page has `\\$`, everything inside the program has `$` (DESIGN.md section 4.1, `escape_dollar`).
"""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from enrich.errors import AnswerError, invalid_keys
from enrich.grounding import Finding, PageIndex, gives_orders
from enrich.llm.messages import canonical_hash
from enrich.llm.replies import json_object
from enrich.wiki.pages import Page

_BARE_DOLLAR = re.compile(r"(?<!\\)\$")


def current_value(data: Mapping[str, Any], field: str) -> Any:
    """The value of a field in a page's `data`, `ratings.rigor` meaning the key `rigor` under `ratings`; None if there is none."""
    value: Any = data
    for part in field.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def holds(page: Page, field: str, value: Any) -> bool:
    """Whether the page has this value of a field already, as `[fields]` says how it is kept."""
    return same(current_value(page.data, field), page.file.fields.landed(field, value))


def is_missing(value: Any) -> bool:
    return value is None or value == "" or value == []


def canonical(value: Any) -> Any:
    """The value as it is compared and hashed: missing as None, whole floats as ints, NaN and infinity as text, `\\$` as `$`; also inside lists and
    mappings."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value.replace("\\$", "$")
    if isinstance(value, float):
        return int(value) if value.is_integer() else value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(inner) for inner in value]
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two field values are equal; True and 1 are not."""
    return canonical_hash(canonical(one)) == canonical_hash(canonical(other))


def number_of(value: Any) -> float | None:
    """The value as a finite number, or None."""
    return None if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) else float(value)


def within(old: Any, new: Any, noise: float) -> bool:
    """Whether both are numbers less than `noise` apart."""
    numbers = number_of(old) is not None and number_of(new) is not None
    # Decimals are compared as they are written: 4.5 and 4.8 are 0.3 apart, not 0.2999….
    return numbers and round(abs(old - new), 6) < noise


def value_hash(value: Any) -> str:
    """The hash of one field's value that the lock has: 16 hex digits of sha256 over the canonical value."""
    return canonical_hash(canonical(value))[:16]


def as_written(value: Any, *, escape_dollar: bool) -> Any:
    """The value as the file has it."""
    return with_texts(value, lambda text: _BARE_DOLLAR.sub(r"\\$", text) if escape_dollar else text)


def with_texts(value: Any, changed: Callable[[str], str]) -> Any:
    """The value with each text in it replaced, inside lists and mappings too."""
    if isinstance(value, str):
        return changed(value)
    if isinstance(value, Mapping):
        return {key: with_texts(inner, changed) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [with_texts(inner, changed) for inner in value]
    return value


SUMMARY, INSIGHTS, QUALITY = "llmSummary", "insights", "quality"
INSIGHT_STEP = 0.5  # FIELDS.md section 11: half points from 1 to 5
RATING_STEP = 0.1  # DESIGN.md section 4.4: one decimal
Model = TypeVar("Model", bound=BaseModel)
_MAX_ERRORS = 6  # a re-ask names this many problems: more do not help a model
# A tag, a component, a comment, a Markdown link or image, a script address: others will render the value, so none of it may be in there.
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|<!--|\]\([^)]*\)|\b(?:javascript|vbscript|data):\S", re.IGNORECASE)
# Bidirectional controls reorder what a reader sees; zero-width characters hide text (Unicode TR 36).
_HIDDEN = {"Cf", "Cc", "Cs", "Co", "Cn"}
_ZERO_WIDTH_JOINER = "\u200d"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote and its place: the part of the value it supports, first and last body line (0: title, description or not found), heading above.

    Proposals store it as it is.
    """

    quote: str
    where: str
    lines: tuple[int, int] = (0, 0)
    section: str = ""
    found: bool = False
    verbatim: bool = True


Spread = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FieldAnswer:
    """One field's value as it would be written, with the findings on it, the evidence for it and the model's reason if it gave one.

    `spread` has two ends for each number that has them, by its part of the value: the least and the greatest of several `samples`, or one standard
    deviation on each side of an expected value. `interval`: where nine of ten people's ratings are, if the value is calibrated to them.
    """

    field: str
    value: Any
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""
    reasons: tuple[str, ...] = ()  # of each insight's scores, in the order of the value
    spread: Mapping[str, Spread] = dataclasses.field(default_factory=dict)
    samples: int = 1
    interval: Spread | None = None

    def noise(self, part: str, least: float) -> float:
        """By how much the number at `part` can differ if it is asked for again: half its spread, less with more samples; `least` at least."""
        low, high = self.spread.get(part, (0.0, 0.0))
        return max(least, round((high - low) / 2 / math.sqrt(self.samples), 6))

    @property
    def hard(self) -> tuple[Finding, ...]:
        """The findings that keep this value off the page until a person accepts it."""
        return tuple(finding for finding in self.findings if finding.severity == "hard")


Check = Callable[[str], Iterable[Finding]]
Judge = Callable[[Any, PageIndex], list[FieldAnswer]]
"""Checks one stage's part of an answer (JSON data) against the page.

Raises `AnswerError("invalid", …)` if it does not fit the schema or its stated ranges; trims blemishes; verifies the rest.
"""


def fields_of(stage: str, dimensions: Sequence[str]) -> tuple[str, ...]:
    """The fields that a stage answers, in the order in which they are shown."""
    if stage == "ratings":
        return tuple(f"ratings.{dimension}" for dimension in dimensions)
    return (SUMMARY if stage == "summary" else INSIGHTS,)


def stage_of(field: str) -> str:
    """Which of the three stages a field belongs to (`quality` belongs to `ratings`); "" for a field of a further stage."""
    if field == SUMMARY:
        return "summary"
    if field == INSIGHTS:
        return "insights"
    return "ratings" if field == QUALITY or field.startswith("ratings.") else ""


def parse_answer(text: str) -> dict[str, Any]:
    """The JSON object in an answer's text, also in a code fence or in prose. Raises `AnswerError("invalid", …)`."""
    data = json_object(text)
    if data is None:
        raise AnswerError("invalid", "not JSON: the answer must be one JSON object")
    return data


def validated(model: type[Model], data: Any) -> Model:
    """`data` as `model`. Raises `AnswerError("invalid", …)` that names each wrong place and what is allowed there."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise AnswerError("invalid", invalid_keys(error, _MAX_ERRORS)) from None


def on_grid(value: float, step: float) -> float:
    """`value` on the nearest multiple of `step`, halves upwards."""
    return float(round(math.floor(value / step + 0.5) * step, 6))


def plain_line(text: str) -> str:
    """`text` on one line: runs of white space as one blank, control, format and private characters dropped."""
    spaced = " ".join(text.split())
    if spaced.isascii() and spaced.isprintable():
        return spaced
    # Zero-width joiners hold emoji together; all other format characters are dropped.
    kept = (char for char in spaced if char == _ZERO_WIDTH_JOINER or unicodedata.category(char) not in _HIDDEN)
    return " ".join("".join(kept).split())


def blemish(message: str, where: str) -> Finding:
    """A soft finding: a small fault that has been corrected."""
    return Finding("blemish", "soft", message, where)


def markup_findings(text: str, where: str) -> list[Finding]:
    """A hard finding for each piece of markup in a value: it could be rendered where the value is shown."""
    return [
        Finding("markup", "hard", f"has markup in it: {match.group()[:60]!r}", where, (match.start(), match.end()))
        for match in _MARKUP.finditer(text)
    ]


def checked_value(value: Any, where: str, empty: str, check: Check) -> tuple[Any, list[Finding]]:
    """(the value with its texts on one line, the findings on them: markup, and what `check` finds).

    Raises `AnswerError("invalid", empty)` for an empty text.
    """
    findings: list[Finding] = []

    def checked(given: str) -> str:
        text = plain_line(given)
        if not text:
            raise AnswerError("invalid", empty)
        findings.extend((*markup_findings(text, where), *check(text)))
        return text

    return with_texts(value, checked), findings


def checked_evidence(quotes: Sequence[str], index: PageIndex, where: str) -> tuple[list[Evidence], list[Finding]]:
    """Each quote with its place on the page, in the page's own words if it differed a little, and what was wrong.

    A quote that is not on the page has `found=False` and a hard finding; a repaired one has a soft finding.
    """
    located: list[Evidence] = []
    findings: list[Finding] = []
    for quote in quotes:
        match = index.find_quote(quote)
        if match is None:
            located.append(Evidence(quote, where, found=False, verbatim=False))
            findings.append(Finding("quote", "hard", f"the evidence is not on the page: {quote[:120]!r}", where))
            continue
        if order := gives_orders(match.page_text):
            findings.append(Finding("orders", "hard", f"the evidence is in text that gives orders to a model: {order[:80]!r}", where))
        lines = (match.start_line, match.end_line)
        located.append(Evidence(match.text, where, lines, match.section, found=True, verbatim=match.exact))
        if not match.exact:
            findings.append(Finding("quote", "soft", f"the evidence was repaired to the page's words (it said: {quote[:120]!r})", where))
    return located, findings
