"""The nine writing rules: words and habits that make a page less trustworthy (FIELDS.md section 12, "Step-1 rules", and Appendix A).

What is looked for stands in `wording`; which lines a rule reads stands here. Lines are counted from the first body line (`body_line`)
and as file lines (`line`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from enrich.checks import wording
from enrich.checks.bodylines import FOOTNOTE_DEFINITION, BodyLines, expression
from enrich.checks.findings import Finding, Severity
from enrich.checks.phrases import lexicon
from enrich.wiki.pages import Page


@dataclass(frozen=True, slots=True)
class Scope:
    """Which pages the rules about kinds of pages concern, as parts of the content path with `/` around them."""

    biography: tuple[str, ...] = ("/people/", "/organizations/")
    analysis: tuple[str, ...] = ("/models/",)
    footnotes: tuple[str, ...] = ("/knowledge-base/",)
    off: frozenset[str] = field(default_factory=frozenset)  # names of rules that this wiki does not want

    def covers(self, parts: tuple[str, ...], page: Page) -> bool:
        path = f"/{page.file.path}"
        return any(part in path for part in parts)


@dataclass(frozen=True, slots=True)
class Hit:
    """One match: body line from 1, severity, and the sentence that says what and why."""

    line: int
    message: str
    severity: Severity = "warning"


def writing(page: Page, scope: Scope) -> list[Finding]:
    """All findings of the writing rules on one page, rule by rule in the order of `RULES`, each rule's by line.

    A page with broken frontmatter is judged by its body alone; one that could not be read gives nothing.
    """
    lines = BodyLines(page.body)
    hits: dict[str, list[Hit]] = {name: [] for name in RULES if name not in scope.off}
    for name, hit in [
        *_wording(page, lines, scope),
        *_structure(page, lines, scope),
        *_biography(page, lines, scope),
        *_footnotes(page, lines, scope),
    ]:
        if name in hits:
            hits[name].append(hit)
    return [
        Finding(page.id, page.file.file, page.body_line + hit.line - 1, name, hit.severity, hit.message, hit.line)
        for name, found in hits.items()
        for hit in sorted(found, key=lambda hit: hit.line)
    ]


def _no_heading(line: str) -> bool:
    return line.startswith("#")


def _no_heading_or_definition(line: str) -> bool:
    return line.startswith("#") or FOOTNOTE_DEFINITION.match(line) is not None


def _no_quote_or_definition(line: str) -> bool:
    return line.startswith(">") or FOOTNOTE_DEFINITION.match(line) is not None


def _wording(page: Page, lines: BodyLines, scope: Scope) -> Iterator[tuple[str, Hit]]:
    rules = [
        wording.INSIDER_JARGON,
        wording.FALSE_CERTAINTY,
        wording.PRESCRIPTIVE_LANGUAGE,
        wording.TONE_MARKERS,
        wording.EVALUATIVE_FRAMING,
    ]
    if scope.covers(scope.biography, page):
        rules.append(wording.EVALUATIVE_FLATTERY)
    advice = {rule.name: rule.advice for rule in rules}
    kept: dict[str, list[bool]] = {}
    for name, number, found in lexicon(tuple(rules)).matches(lines):
        if name in _READS and name not in kept:
            kept[name] = _READS[name](lines)
        if name not in kept or kept[name][number - 1]:
            yield name, Hit(number, _message(found, advice[name]))


def _message(found: str, advice: str) -> str:
    words = " ".join(found.strip(" .|*:").split())
    return f"“{words if len(words) <= 80 else words[:79] + '…'}”: {advice}"


def _outside_diagrams(lines: BodyLines) -> list[bool]:
    """Without quotes, footnote definitions and diagrams (from a line with `<Mermaid` up to and including the next line with `/>`)."""
    kept = lines.kept(_no_quote_or_definition)
    in_diagram = False
    for index, (line, read) in enumerate(zip(lines.lines, lines.read, strict=True)):
        if in_diagram:
            kept[index] = False
            in_diagram = not (read and "/>" in line)
        elif read and "<Mermaid" in line:
            kept[index] = False
            in_diagram = True
    return kept


# The lines that a wording rule reads, where it leaves out more than all rules do.
_READS: dict[str, Callable[[BodyLines], list[bool]]] = {
    wording.PRESCRIPTIVE_LANGUAGE.name: lambda lines: lines.kept(_no_heading),
    wording.EVALUATIVE_FRAMING.name: _outside_diagrams,
    wording.EVALUATIVE_FLATTERY.name: lambda lines: lines.kept(_no_heading_or_definition),
}


def _structure(page: Page, lines: BodyLines, scope: Scope) -> Iterator[tuple[str, Hit]]:
    name = "structural-quality"
    for first, words in _paragraphs(lines):
        if words > wording.LONG_PARAGRAPH_WORDS:
            yield name, Hit(first, f"a paragraph of {words} words; split it (at most {wording.LONG_PARAGRAPH_WORDS} read well)")
    # The remaining three read everything outside code, comments and headings too (FIELDS.md Appendix A).
    sections = False
    for number, (line, outside) in enumerate(zip(lines.lines, lines.outside_code, strict=True), 1):
        if not outside:
            continue
        lowered = line.lower()
        if "it depends" in lowered and "it depends on" not in lowered:
            following = lines.trimmed[number].lower() if number < len(lines.trimmed) else ""
            if not following.startswith("on"):
                yield name, Hit(number, "“it depends” without saying on what; name what it depends on and how")
        for found in _MANY_FACTORS.finditer(line):
            yield name, Hit(number, f"“{' '.join(found.group().split())}” says little; name them", "info")
        sections = sections or (_HEADING.match(line) is not None and _UNCERTAINTY.search(line) is not None)
    is_analysis = scope.covers(scope.analysis, page) or page.frontmatter.get("contentType") == "analysis"
    if is_analysis and not sections:
        yield name, Hit(1, "an analysis without a section on its uncertainties, limitations or assumptions", "info")


_MANY_FACTORS = expression(wording.MANY_FACTORS)
_UNCERTAINTY = expression(wording.UNCERTAINTY_HEADING)
_HEADING = re.compile(r"#{1,3}[ \t]")
_NO_PROSE = ("#", "-", "*", "|", "import ", "<", ">")


def _paragraphs(lines: BodyLines) -> Iterator[tuple[int, int]]:
    """(first line, words) of every run of prose lines."""
    first, words = 0, 0
    for number, (line, read) in enumerate(zip(lines.trimmed, lines.read, strict=True), 1):
        if read and line and not line.startswith(_NO_PROSE):
            first = first or number
            words += len(line.split())
        elif words:
            yield first, words
            first, words = 0, 0
    if words:
        yield first, words


_CLAIMS = tuple(expression(text) for text in wording.BIOGRAPHICAL_CLAIMS)
_CELL_CLAIMS = tuple(expression(text) for text in wording.BIOGRAPHICAL_CELLS)
_SOURCE_COLUMN = re.compile(r"source|reference", re.IGNORECASE)
_SEPARATOR_ROW = re.compile(r"[|\s:-]+\Z")
# Only numbered footnotes count as a source here, as in the reference.
_CITED = re.compile(r"\[\^[0-9]+\]|<R\s+id=|\[[^\]]*\]\(https?://")


def _biography(page: Page, lines: BodyLines, scope: Scope) -> Iterator[tuple[str, Hit]]:
    if not scope.covers(scope.biography, page):
        return
    in_table = has_sources = False
    for number, (line, read) in enumerate(zip(lines.trimmed, lines.read, strict=True), 1):
        if not read or _no_heading_or_definition(line):
            continue
        if "|" not in line:
            in_table = has_sources = False
        elif not in_table:
            in_table, has_sources = True, _SOURCE_COLUMN.search(line) is not None
        if has_sources or (in_table and _SEPARATOR_ROW.match(line)) or _CITED.search(line):
            continue
        found = next(filter(None, (pattern.search(line) for pattern in (_CELL_CLAIMS if in_table else _CLAIMS))), None)
        if found:
            claim = _message(found.group(), "a claim about a life or an organisation with no source beside it")
            yield "unsourced-biographical-claims", Hit(number, claim)


_FOOTNOTE = re.compile(r"\[\^[0-9]+\]")


def _footnotes(page: Page, lines: BodyLines, scope: Scope) -> Iterator[tuple[str, Hit]]:
    front = page.frontmatter
    if (
        not scope.covers(scope.footnotes, page)
        or page.file.is_index
        or front.get("pageType") in ("stub", "documentation")
        or front.get("entityType") == "internal"
        or _FOOTNOTE.search(page.body)
    ):
        return
    words = sum(
        len(line.split())
        for line, outside in zip(lines.trimmed, lines.outside_code, strict=True)
        if outside and line != "---" and not line.startswith(("import ", "<", "|")) and not FOOTNOTE_DEFINITION.match(line)
    )
    if words >= wording.PROSE_THAT_NEEDS_FOOTNOTES:
        yield "footnote-coverage", Hit(1, f"{words} words of prose and not one numbered footnote; give the sources")


RULES = (
    "insider-jargon",
    "false-certainty",
    "prescriptive-language",
    "tone-markers",
    "structural-quality",
    "evaluative-framing",
    "unsourced-biographical-claims",
    "evaluative-flattery",
    "footnote-coverage",
)
