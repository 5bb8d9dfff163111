"""What a stage hands on: one value per field, with its reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from enrich.grounding import Finding, PageIndex

STAGE_FIELDS: Mapping[str, tuple[str, ...]] = {"summary": ("llmSummary",), "insights": ("insights",)}


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


@dataclass(frozen=True, slots=True)
class FieldAnswer:
    """One field's value as it would land, with the findings on it, the evidence behind it and the model's reason where it gave one.

    Out of several `samples`, `spread` gives the least and the greatest of each number by its part of the value.
    """

    field: str
    value: Any
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""
    spread: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    samples: int = 1

    @property
    def hard(self) -> tuple[Finding, ...]:
        """The findings that keep this value off the page until a person says otherwise."""
        return tuple(finding for finding in self.findings if finding.severity == "hard")


Judge = Callable[[Any, PageIndex], list[FieldAnswer]]
"""Checks one stage's part of an answer (JSON data) against the page.

Raises `AnswerError("invalid", …)` where it does not fit the schema or its stated ranges; trims blemishes; verifies the rest.
"""


def fields_of(stage: str, dimensions: tuple[str, ...]) -> tuple[str, ...]:
    """The fields a stage answers, in the order they are shown."""
    if stage == "ratings":
        return tuple(f"ratings.{dimension}" for dimension in dimensions)
    return STAGE_FIELDS[stage]


def stage_of(field: str) -> str:
    """The stage a field belongs to (`quality` goes with `ratings`)."""
    if field == "llmSummary":
        return "summary"
    return "insights" if field == "insights" else "ratings"
