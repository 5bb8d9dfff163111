"""What checking an answer against its page found: one thing each, with where, why and what stands on the page instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Severity = Literal["hard", "soft"]
# number: a quantity without support · quote: evidence that does not stand on the page, or was repaired · self-talk: the answer speaks of
# itself, of its instructions, or holds an error text · markup: a value holds tags or links · off-page: it speaks of something else ·
# orders: its evidence stands in text that gives orders to a model · blemish: something was off by little and trimmed.
FindingKind = Literal["number", "quote", "self-talk", "markup", "off-page", "orders", "blemish"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A nearby value or passage on the page: its text and its body line (from 1; 0: title or description)."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a reviewer, or the model when it is asked again, should know.

    `hard`: not supported, the field needs a look. `soft`: explained by what stands there (a count, a sum, rounding, a repaired quote).
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

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field; `from_json` gives the finding back."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "message": self.message,
            "where": self.where,
            "span": list(self.span) if self.span is not None else None,
            "quantity": self.quantity,
            "candidates": [{"text": candidate.text, "line": candidate.line} for candidate in self.candidates],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """The finding that `to_json` wrote. Raises `ValueError` where the object is no finding."""
        try:
            span = data.get("span")
            if data["kind"] not in get_args(FindingKind) or data["severity"] not in ("hard", "soft"):
                raise ValueError(f"no finding: kind {data['kind']!r}, severity {data['severity']!r}")
            return cls(
                data["kind"],
                data["severity"],
                str(data["message"]),
                str(data["where"]),
                (int(span[0]), int(span[1])) if span is not None else None,
                str(data.get("quantity", "")),
                tuple(Candidate(str(one["text"]), int(one["line"])) for one in data.get("candidates", ())),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"no finding: {error!r}") from None
