"""Checking one answer against its page: every number, every quote, and that it speaks of its subject."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from enrich.grounding.explanations import contradicted, derived_from, following, nearest, other_count, rounded_from, total_of, values_of
from enrich.grounding.findings import Candidate, Finding, Severity
from enrich.grounding.numbers import Passage, Stated, range_in, stated_in
from enrich.grounding.page import PageIndex
from enrich.grounding.quantities import Quantity, quantities
from enrich.grounding.quotes import QuoteMatch
from enrich.grounding.self_talk import self_talk
from enrich.text import printable

# A count of things listed is believable up to here; larger numbers are not counted by hand.
_LARGEST_COUNT = 30
_ABOUT = re.compile(r"(?:[~≈]|\b(?:about|around|roughly|approximately|nearly|almost|circa|ca\.|some))[ \t]*[$€£\\]*$", re.IGNORECASE)
_SUM = re.compile(r"\b(?:total|combined|together|altogether|sum|overall|in all|aggregate|cumulative)", re.IGNORECASE)
_CHANGE = (
    r"\b(?:increas|decreas|reduc|drop|declin|improve|gain|rise|rose|fell|fall|higher|lower|more|less|fewer|shorten|lengthen|cut|grew|growth"
)
_CHANGED = re.compile(_CHANGE + ")", re.IGNORECASE)
_COMPARED = re.compile(_CHANGE + r"|differen|gap|remain|other|points?\b|of\b|out of\b)", re.IGNORECASE)
# What an answer repeats this near to a number (characters) can be what it reckoned the number from.
_BESIDE = 120


@dataclass(frozen=True, slots=True)
class Evidence:
    """Quotes of an answer with where each stands (None: nowhere), and what is to say about them. Same order and length as the quotes."""

    matches: tuple[QuoteMatch | None, ...]
    findings: tuple[Finding, ...]

    @property
    def supported(self) -> bool:
        """Whether every quote stands on the page."""
        return all(match is not None for match in self.matches)


def check_evidence(quotes: Sequence[str], index: PageIndex, *, where: str) -> Evidence:
    """Where the quotes stand: one that stands nowhere is a hard finding, a repaired one a soft one (its match's `text` is the page's)."""
    matches: list[QuoteMatch | None] = []
    findings: list[Finding] = []
    for number, quote in enumerate(quotes):
        place = f"{where}[{number}]" if len(quotes) > 1 else where
        match = index.find_quote(quote)
        matches.append(match)
        if match is None:
            shown = printable(quote, 120)
            reason = "is empty" if not shown else f'does not stand on the page: "{shown}"'
            findings.append(Finding("quote", "hard", f"the quote {reason}", place, (0, len(quote)), shown))
        elif not match.verbatim:
            off = f"{match.edits} word{'s' if match.edits != 1 else ''} off" if match.edits else "other case or punctuation"
            message = f'the quote is not verbatim ({off}); line {match.start_line} says "{printable(match.text, 160)}"'
            findings.append(
                Finding(
                    "quote",
                    "soft",
                    message,
                    place,
                    (0, len(quote)),
                    printable(quote, 120),
                    (Candidate(printable(match.text, 160), match.start_line),),
                )
            )
    return Evidence(tuple(matches), tuple(findings))


def check_text(text: str, evidence: Sequence[str] | None, index: PageIndex, *, where: str) -> list[Finding]:
    """What is wrong with one text of an answer, in the order of the text.

    `evidence`: the quotes given for it. Then a quantity is supported if its value and unit stand in a line or sentence of these quotes as
    they stand on the page (a table row counts with its head); `[]` supports nothing. With None no quotes were asked for, and the whole
    page counts. `where` names the text in findings.
    """
    findings: list[Finding] = []
    talk = self_talk(text)
    if talk is not None:
        findings.append(
            Finding(
                "self-talk",
                "hard",
                f"the text speaks of itself or of its task: it {printable(talk, 160)}",
                where,
                None,
                printable(text, 80),
            )
        )
    found = quantities(text)
    if not found:
        return findings
    passages = None if evidence is None else evidence_passages(evidence, index)
    check = _Check(text, found, passages, index, where)
    findings.extend(check.findings())
    return findings


def evidence_passages(evidence: Sequence[str], index: PageIndex) -> list[Passage]:
    """The lines and sentences of the page on which the quotes stand; a quote that is not found gives none."""
    passages: list[Passage] = []
    seen: set[tuple[int, int]] = set()
    for quote in evidence:
        match = index.find_quote(quote)
        if match is None or (match.start_line, match.end_line) in seen:
            continue
        seen.add((match.start_line, match.end_line))
        passages.extend(index.passages(match))
    return passages


class _Check:
    """One text under check: what is stated, what explains the rest, and the words for it."""

    def __init__(self, text: str, found: Sequence[Quantity], passages: list[Passage] | None, index: PageIndex, where: str) -> None:
        self.text, self.found, self.passages, self.index, self.where = text, found, passages, index, where

    def findings(self) -> Iterator[Finding]:
        missing: set[int] = set()
        for number, quantity in enumerate(self.found):
            finding = self._one(quantity)
            if finding is not None:
                if finding.severity == "hard":
                    missing.add(number)
                yield finding
        for number, low in enumerate(self.found):
            if low.low_of > number and number not in missing and low.low_of not in missing:
                finding = self._range(low, self.found[low.low_of])
                if finding is not None:
                    yield finding

    def _stated(self, quantity: Quantity) -> Stated | None:
        if self.passages is None:
            return self.index.numbers.stated(quantity)
        for passage in self.passages:
            found = stated_in(quantity, passage)
            if found is not None:
                return found
        return None

    def _one(self, quantity: Quantity) -> Finding | None:
        if quantity.kind == "broken":
            return self._finding(
                quantity, "hard", "holds an invisible character or digits of two scripts: what is read is not what stands there", ()
            )
        if quantity.kind == "name":
            if self.index.numbers.named(quantity):
                return None
            return self._finding(quantity, "soft", "is a name that does not stand on the page", ())
        if (quantity.idiom and quantity.kind == "factor") or self._stated(quantity) is not None:
            return None
        if quantity.kind == "ordinal" and quantity.idiom:
            return None if self.index.numbers.stated(quantity) else self._finding(quantity, "soft", "does not stand on the page", ())
        return self._explained(quantity) or self._unsupported(quantity)

    def _explained(self, quantity: Quantity) -> Finding | None:
        """A soft finding where what is stated explains the number."""
        passages = self.index.numbers.passages if self.passages is None else self.passages
        about = bool(_ABOUT.search(self.text, max(0, quantity.start - 12), quantity.start))
        rounded = rounded_from(quantity, passages, about=about)
        if rounded is not None:
            return self._finding(quantity, "soft", f"is rounded from {_told(rounded)}", (rounded,))
        count = quantity.readings[0]
        if self._counts(quantity, passages):
            return self._finding(quantity, "soft", "counts things the page lists; the number itself does not stand there", ())
        if quantity.kind == "small" and not count.value and not quantity.text[0].isdigit():
            return self._finding(quantity, "soft", "stands for none; the page does not give it as a number", ())
        if quantity.low_of >= 0 or any(
            0 <= other.low_of < len(self.found) and self.found[other.low_of] is quantity for other in self.found
        ):
            return None  # the end of a range is no result of reckoning
        given = frozenset(reading.value for other in self.found if other is not quantity for reading in other.readings)
        around = self.text[max(0, quantity.start - 60) : quantity.end + 40]
        groups = chain(map(values_of, passages), [self._repeated(quantity)])
        derived = derived_from(
            quantity,
            groups,
            given,
            summed=bool(_SUM.search(around)),
            compared=bool(_COMPARED.search(around)),
            changed=bool(_CHANGED.search(around)),
        )
        if derived is not None:
            what, one, other = derived
            return self._finding(quantity, "soft", f"is the {what} of {_told(one)} and {_told(other)}", (one, other))
        # A sum of two rows must be called one; a rough number may be a list's total unsaid.
        summed = bool(_SUM.search(around))
        total = total_of(quantity, passages, 2 if summed else 3) if summed or about else ()
        if total:
            return self._finding(quantity, "soft", f"is the total of {len(total)} values from {_told(total[0])} on", total[:3])
        return None

    def _repeated(self, quantity: Quantity) -> list[Stated]:
        """The values around a number that the answer has from the page, wherever they stand there, in the answer's order."""
        start, end = quantity.start - _BESIDE, quantity.end + _BESIDE
        near = (other for other in self.found if other is not quantity and other.readings and other.start >= start and other.end <= end)
        return [stated for other in near if (stated := self._stated(other))]

    def _counts(self, quantity: Quantity, passages: Sequence[Passage]) -> bool:
        """Whether the number counts what the page (or what its evidence's section) lists, and nothing there counts the same otherwise."""
        count = quantity.readings[0]
        if quantity.kind not in ("small", "number") or count.unit or not quantity.noun or not 2 <= count.value <= _LARGEST_COUNT:
            return False
        if contradicted(quantity, following(self.text, quantity.end), passages):
            return False
        if self._counts_itself(quantity):
            return True
        if self.passages is None:
            return count.value in self.index.listed
        if any(map(other_count, self.passages)):
            return False
        return any(count.value in self.index.listed_by(passage.section) for passage in self.passages)

    def _counts_itself(self, quantity: Quantity) -> bool:
        """Whether the answer lists, right behind the number, as many things as it counts."""
        rest = self.text[quantity.end : quantity.end + 300].split(".")[0]
        for opening in ("(", ":", "—", " - ", "–"):
            head, mark, series = rest.partition(opening)
            if mark and len(head) < 60:
                series = series.split(")")[0] if opening == "(" else series
                return series.count(",") + series.count(";") + (", and " not in series and " and " in series) + 1 == int(quantity.value)
        return False

    def _unsupported(self, quantity: Quantity) -> Finding:
        numbers = self.index.numbers
        if self.passages is not None:
            elsewhere = numbers.stated(quantity)
            if elsewhere is not None:
                known = "no quote is given" if not self.passages else "it does not stand in the quotes given"
                line = f"line {elsewhere.line}" if elsewhere.line else "the title or description"
                message = f"is not in its evidence: {known}; {line} of the page states it, quote that"
                return self._finding(quantity, "hard", message, (elsewhere,))
        near = nearest(quantity, numbers.passages)
        told = "; nearest: " + ", ".join(map(_told, near)) if near else ""
        return self._finding(quantity, "hard", f"does not stand on the page{_as(quantity)}{told}", near)

    def _range(self, low: Quantity, high: Quantity) -> Finding | None:
        if low.kind == "date" or low.readings[0].unit != high.readings[0].unit:
            return None
        # "from 12% to 4%" is a fall; "12-4%" is nothing.
        no_range = low.value >= high.value and not any(map(str.isalpha, self.text[low.end : high.start]))
        if self.passages is None:
            together = self.index.numbers.stated_together(low, high, as_range=no_range)
        else:
            together = any(range_in(low, high, passage, as_range=no_range) for passage in self.passages)
        if together:
            return None
        whole = Quantity(low.start, high.end, self.text[low.start : high.end], low.kind, low.readings)
        if no_range:
            return self._finding(whole, "hard", "is a range that goes nowhere or backwards, and the page does not state it", ())
        one, other = self._stated(low), self._stated(high)
        ends = tuple(filter(None, (one, other)))
        return self._finding(whole, "soft", "is composed of two values that the page states apart: " + " and ".join(map(_told, ends)), ends)

    def _finding(self, quantity: Quantity, severity: Severity, message: str, candidates: Sequence[Stated]) -> Finding:
        shown = printable(quantity.text, 60)
        return Finding(
            "number",
            severity,
            f'"{shown}" {message}',
            self.where,
            (quantity.start, quantity.end),
            shown,
            tuple(Candidate(printable(stated.quantity.text, 60), stated.line) for stated in candidates),
        )


def _told(stated: Stated) -> str:
    line = f"line {stated.line}" if stated.line else "title or description"
    noun = f" {stated.quantity.noun}" if stated.quantity.noun and stated.quantity.unit == "" else ""
    return f'"{printable(stated.quantity.text, 40)}{noun}" ({line})'


def _as(quantity: Quantity) -> str:
    names = {
        "percent": " as a percentage",
        "points": " as percentage points",
        "currency": " as an amount of money",
        "factor": " as a factor",
    }
    return names.get(quantity.kind, " with this unit" if quantity.kind == "unit" else "")
