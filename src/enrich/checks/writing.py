"""The nine writing rules: words and habits that make a page less trustworthy (FIELDS.md section 12, "Step-1 rules", and Appendix A).

`metrics/writing_rules.yaml` has the words; this module says which lines a rule reads. All rules skip fenced code, imports and comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from enrich.checks.report import PageFinding, Severity
from enrich.metrics.phrases import phrases
from enrich.metrics.structure import SPACES
from enrich.wiki.pages import Page
from enrich.wiki.profile import Checks

RULES = (
    *("insider-jargon", "false-certainty", "prescriptive-language", "tone-markers", "structural-quality", "evaluative-framing"),
    *("unsourced-biographical-claims", "evaluative-flattery", "footnote-coverage"),
)
LONG_PARAGRAPH_WORDS = 200
PROSE_THAT_NEEDS_FOOTNOTES = 300  # words
LONGEST_LINE = 20_000  # characters of one line that are read

_HEADING = re.compile(r"#{1,3}[ \t]")
_FOOTNOTE_DEFINITION = re.compile(r"\[\^[^\]]+\]:")
_FOOTNOTE = re.compile(r"\[\^[0-9]+\]")
_SOURCE_COLUMN = re.compile(r"source|reference", re.IGNORECASE)
_SEPARATOR_ROW = re.compile(r"[|\s:-]+\Z")
# Only numbered footnotes count as a source here, as in the reference.
_CITED = re.compile(r"\[\^[0-9]+\]|<R\s+id=|\[[^\[\]]*\]\(https?://")


@dataclass(frozen=True, slots=True)
class _Line:
    """A body line from 1. `outside_code`: not in fenced code (fence lines are code); `read`: neither code, import nor comment."""

    number: int
    text: str
    trimmed: str
    outside_code: bool
    read: bool


class _Hit(NamedTuple):
    rule: str
    line: int
    message: str
    severity: Severity = "warning"


def writing(page: Page, checks: Checks) -> list[PageFinding]:
    """All findings of the writing rules on one page, rule by rule in the order of `RULES`, each rule's by line.

    A page with broken frontmatter is judged by its body alone; one that could not be read gives nothing.
    """
    lines = list(_lines(page.body))
    hits = [
        hit
        for rule in (_wording, _structure, _biography, _footnotes)
        for hit in rule(page, lines, checks)
        if hit.rule not in checks.rules_off
    ]
    return [
        PageFinding(page.id, page.file.file, page.body_line + hit.line - 1, hit.rule, hit.severity, hit.message, hit.line)
        for hit in sorted(hits, key=lambda hit: (RULES.index(hit.rule), hit.line))
    ]


def _lines(body: str) -> Iterator[_Line]:
    in_code = False
    for number, text in enumerate(body.split("\n"), 1):
        text = text[:LONGEST_LINE]
        trimmed = text.strip(SPACES)
        fence = trimmed.startswith("```")
        in_code ^= fence
        outside = not in_code and not fence
        yield _Line(number, text, trimmed, outside, outside and not trimmed.startswith(("import ", "<!--")))


def _concerns(paths: Sequence[str], page: Page) -> bool:
    return any(part in f"/{page.file.path}" for part in paths)


def _quoted(found: str, advice: str) -> str:
    words = " ".join(found.strip(" .|*:").split())
    return f"“{words if len(words) <= 80 else words[:79] + '…'}”: {advice}"


def _wording(page: Page, lines: Sequence[_Line], checks: Checks) -> Iterator[_Hit]:
    known, flattery = phrases(), _concerns(checks.biography_paths, page)
    in_diagrams = _diagram_lines(lines)
    # The lines that a rule skips beside those that all rules skip.
    skipped: dict[str, Callable[[_Line], bool]] = {
        "prescriptive-language": lambda line: line.trimmed.startswith("#"),
        "evaluative-framing": lambda line: line.number in in_diagrams or line.trimmed.startswith(">") or _is_definition(line),
        "evaluative-flattery": lambda line: not flattery or _is_heading_or_definition(line),
    }
    for line in lines:
        if line.read and line.trimmed:
            for rule, found in known.matches(line.text):
                if rule not in skipped or not skipped[rule](line):
                    yield _Hit(rule, line.number, _quoted(found, known.advice[rule]))


def _is_definition(line: _Line) -> bool:
    return _FOOTNOTE_DEFINITION.match(line.trimmed) is not None


def _is_heading_or_definition(line: _Line) -> bool:
    return line.trimmed.startswith("#") or _is_definition(line)


def _diagram_lines(lines: Sequence[_Line]) -> set[int]:
    """Lines of diagrams: from a line with `<Mermaid` up to and including the next line with `/>`."""
    found: set[int] = set()
    in_diagram = False
    for line in lines:
        starts = not in_diagram and line.read and "<Mermaid" in line.text
        if in_diagram or starts:
            found.add(line.number)
            in_diagram = starts or not (line.read and "/>" in line.text)
    return found


def _structure(page: Page, lines: Sequence[_Line], checks: Checks) -> Iterator[_Hit]:
    rule, known = "structural-quality", phrases()
    for first, words in _paragraphs(lines):
        if words > LONG_PARAGRAPH_WORDS:
            yield _Hit(rule, first, f"a paragraph of {words} words; split it (at most {LONG_PARAGRAPH_WORDS})")
    # The remaining three read everything outside code, comments and headings too (FIELDS.md Appendix A).
    has_section = False
    for line in lines:
        if not line.outside_code or not line.trimmed:
            continue
        lowered = line.text.lower()
        if "it depends" in lowered and "it depends on" not in lowered:
            following = lines[line.number].trimmed.lower() if line.number < len(lines) else ""
            if not following.startswith("on"):
                yield _Hit(rule, line.number, "“it depends” without saying on what; name what it depends on and how")
        for found in known.vague.finditer(line.text):
            yield _Hit(rule, line.number, f"“{' '.join(found[0].split())}” is vague; name them", "info")
        has_section = has_section or bool(_HEADING.match(line.text) and known.uncertainty.search(line.text))
    is_analysis = _concerns(checks.analysis_paths, page) or page.frontmatter.get("contentType") == "analysis"
    if is_analysis and not has_section:
        yield _Hit(rule, 1, "an analysis without a section on its uncertainties, limitations or assumptions", "info")


def _paragraphs(lines: Sequence[_Line]) -> Iterator[tuple[int, int]]:
    """(first line, words) of every run of prose lines."""
    first = words = 0
    for line in lines:
        if line.read and line.trimmed and not line.trimmed.startswith(("#", "-", "*", "|", "import ", "<", ">")):
            first = first or line.number
            words += len(line.trimmed.split())
        elif words:
            yield first, words
            first = words = 0
    if words:
        yield first, words


def _biography(page: Page, lines: Sequence[_Line], checks: Checks) -> Iterator[_Hit]:
    known = phrases()
    in_table = has_sources = False
    for line in lines if _concerns(checks.biography_paths, page) else ():
        text = line.trimmed
        if not line.read or _is_heading_or_definition(line):
            continue
        if "|" not in text:
            in_table = has_sources = False
        elif not in_table:
            in_table, has_sources = True, _SOURCE_COLUMN.search(text) is not None
        if not text or has_sources or (in_table and _SEPARATOR_ROW.match(text)) or _CITED.search(text):
            continue
        claims = known.cell_claims if in_table else known.claims
        found = next(filter(None, (pattern.search(text) for pattern in claims)), None)
        if found:
            message = _quoted(found[0], "a claim about a person or an organisation without a source beside it")
            yield _Hit("unsourced-biographical-claims", line.number, message)


def _footnotes(page: Page, lines: Sequence[_Line], checks: Checks) -> Iterator[_Hit]:
    front = page.frontmatter
    if (
        not _concerns(checks.footnote_paths, page)
        or page.file.is_index
        or front.get("pageType") in ("stub", "documentation")
        or front.get("entityType") == "internal"
        or _FOOTNOTE.search(page.body)
    ):
        return
    words = sum(
        len(line.trimmed.split())
        for line in lines
        if line.outside_code and line.trimmed != "---" and not line.trimmed.startswith(("import ", "<", "|")) and not _is_definition(line)
    )
    if words >= PROSE_THAT_NEEDS_FOOTNOTES:
        yield _Hit("footnote-coverage", 1, f"{words} words of prose without a numbered footnote; give the sources")
