"""Hallucination risk of a page, 0 to 100, and the integrity of its footnotes and arXiv ids (FIELDS.md section 6)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import regex

from enrich.metrics.structure import Structure
from enrich.wiki.profile import Risk

Level = Literal["low", "medium", "high"]

START = 40
LOW_UP_TO, MEDIUM_UP_TO = 30, 60
FIRST_ARXIV_YEAR = 7  # ids of the form YYMM.NNNN exist since 2007

# A definition begins its line; `[^2]: …` within a line is a reference followed by a colon.
_REFERENCE = regex.compile(r"(?<!^)\[\^([0-9]+)\]|^\[\^([0-9]+)\](?!:)", regex.MULTILINE)
_DEFINITION = regex.compile(r"^\[\^([0-9]+)\]:(.*(?:\n[ \t]+.*)*)", regex.MULTILINE)
_ARXIV = regex.compile(r"(?<![0-9A-Za-z_])([0-9]{2})([0-9]{2})\.([0-9]{4,5})(?![0-9A-Za-z_])")
_ADDRESS = regex.compile(r"https?://")


@dataclass(frozen=True, slots=True)
class Integrity:
    """Counts of the footnotes of a body. `serial_years`: two-digit years with three consecutive arXiv serials, a sign of invented ids."""

    references: int
    orphaned: int
    definitions: int
    repeated_definitions: int
    unsourced: int
    serial_years: tuple[int, ...]


def integrity(body: str) -> Integrity:
    """The footnotes and arXiv serials of an LF-normalised body."""
    references = {within or first for within, first in _REFERENCE.findall(body)} if "[^" in body else set()
    definitions = _DEFINITION.findall(body) if "[^" in body else []
    defined = Counter(name for name, _ in definitions)
    return Integrity(
        references=len(references),
        orphaned=len(references - defined.keys()),
        definitions=len(definitions),
        repeated_definitions=sum(1 for times in defined.values() if times > 1),
        unsourced=sum(1 for _, text in definitions if not _ADDRESS.search(text)),
        serial_years=_serial_years(body),
    )


def hallucination_risk(
    page: Structure,
    checks: Integrity,
    *,
    entity_type: str | None,
    content_format: str,
    rigor: float | None,
    quality: float | None,
    year: int,
    rules: Risk,
    used: frozenset[str] | None = None,
) -> dict[str, Any]:
    """The record's `hallucinationRisk`: level, score and factors, in order; `integrityIssues` are those from footnotes and arXiv ids.

    `entity_type` is the type after aliases; arXiv ids more than a year after `year` are ignored. `used` are the coverage items that the wiki uses
    (None: all): a wiki without footnotes or external links is not judged by them.
    """
    factors: list[tuple[str, int]] = []

    def weigh(fits: bool, name: str, points: int) -> bool:
        if fits:
            factors.append((name, points))
        return fits

    words = page.word_count
    notes, sources = (used is None or name in used for name in ("footnotes", "externalLinks"))
    density = page.footnote_count / words * 1000 if words > 0 else 0.0
    weigh(entity_type in rules.biographical, "biographical-claims", 20)
    weigh(entity_type in rules.factual, "specific-factual-claims", 15)
    if not weigh(notes and page.footnote_count == 0 and words > 300, "no-citations", 15):
        weigh(notes and density < 2 and words > 500, "low-citation-density", 10)
    weigh(rigor is not None and rigor < 4, "low-rigor-score", 10)
    weigh(quality is not None and quality < 40, "low-quality-score", 5)
    weigh(sources and page.external_links < 2 and words > 500, "few-external-sources", 5)
    if not weigh(density > 8, "well-cited", -15):
        weigh(density > 4, "moderately-cited", -10)
    weigh(rigor is not None and rigor >= 7, "high-rigor", -15)
    weigh(entity_type in rules.conceptual, "conceptual-content", -10)
    weigh(content_format in rules.structured_formats, "structured-format", -15)
    weigh(words < 300, "minimal-content", -10)
    weigh(quality is not None and quality >= 80, "high-quality", -5)
    found = _integrity_factors(checks, year)
    score = max(0, min(100, START + sum(points for _, points in [*factors, *found])))
    level: Level = "low" if score <= LOW_UP_TO else "medium" if score <= MEDIUM_UP_TO else "high"
    record: dict[str, Any] = {"level": level, "score": score, "factors": [name for name, _ in [*factors, *found]]}
    if found:
        record["integrityIssues"] = [name for name, _ in found]
    return record


def _integrity_factors(checks: Integrity, year: int) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    if checks.orphaned:
        severe = checks.orphaned / checks.references > 0.5
        found.append(("severe-truncation", 30) if severe else ("orphaned-footnotes", 15))
    if any(FIRST_ARXIV_YEAR <= serial <= year % 100 + 1 for serial in checks.serial_years):
        found.append(("suspicious-sequential-ids", 25))
    if checks.repeated_definitions:
        found.append(("duplicate-footnote-defs", 10))
    if checks.unsourced:
        mostly = checks.unsourced / checks.definitions > 0.5
        found.append(("mostly-unsourced-footnotes", 10) if mostly else ("some-unsourced-footnotes", 5))
    return found


def _serial_years(body: str) -> tuple[int, ...]:
    """Sorted two-digit years in which three distinct arXiv ids of one month have consecutive serials."""
    tokens = sorted({(year + month, serial) for year, month, serial in _ARXIV.findall(body) if 1 <= int(month) <= 12})
    years: set[int] = set()
    run, before = 1, ("", -1)
    for month, text in tokens:
        serial = int(text)
        run = run + 1 if before == (month, serial - 1) else 1
        if run >= 3:
            years.add(int(month[:2]))
        before = (month, serial)
    return tuple(sorted(years))
