"""The nine writing rules: words and habits that make a page less trustworthy (FIELDS.md section 12, "Step-1 rules", and Appendix A).

`writing_rules.yaml` has the words; this module says which lines a rule reads. All rules skip fenced code, imports and comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from enrich.checks.report import PageFinding, Severity
from enrich.metrics.structure import SPACES, S
from enrich.wiki import yaml12
from enrich.wiki.pages import Page
from enrich.wiki.profile import Checks

RULES = (
    *("insider-jargon", "false-certainty", "prescriptive-language", "tone-markers", "structural-quality", "evaluative-framing"),
    *("unsourced-biographical-claims", "evaluative-flattery", "footnote-coverage"),
)
LONG_PARAGRAPH_WORDS = 200
PROSE_THAT_NEEDS_FOOTNOTES = 300  # words
LONGEST_LINE = 20_000  # characters of one line that are read

# JS white space (FIELDS.md, Conventions) without the line feed: no phrase runs over the end of a line.
_BLANK = "[" + S.replace(r"\n", "") + "]"
_LEADS = rf"(?:^|(?<=\.{_BLANK}))"
_WORD = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]+")
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


# --- phrases ---


def _expression(pattern: str, *, any_case: bool = True) -> re.Pattern[str]:
    """A compiled expression of `writing_rules.yaml`: spaces are runs of blanks, nothing runs over the end of a line, ASCII rules."""
    flags = re.ASCII | re.MULTILINE | (re.IGNORECASE if any_case else 0)
    return re.compile(re.sub(r" ([?*]?)", lambda space: _BLANK + ("*" if space[1] else "+"), pattern), flags)


class _Search:
    """An expression, which may be `first.*second`: then nothing behind the line's last `second` is read.

    A line that repeats the first half would otherwise be read to its end from each of them.
    """

    def __init__(self, pattern: str, *, any_case: bool = True, leads: bool = False) -> None:
        whole = _expression(pattern, any_case=any_case)
        self._whole = re.compile(_LEADS + whole.pattern, whole.flags) if leads else whole
        second = pattern.partition(".*")[2]
        self._second = _expression(second, any_case=any_case) if second else None
        self._line, self._end = "", 0

    def match(self, line: str, start: int) -> re.Match[str] | None:
        return self._whole.match(line, start, self._last(line)) if start < self._last(line) else None

    def search(self, line: str) -> re.Match[str] | None:
        return self._whole.search(line, 0, self._last(line))

    def _last(self, line: str) -> int:
        if self._second is None:
            return len(line)
        if self._line is not line:
            self._line, self._end = line, max((found.end() for found in self._second.finditer(line)), default=0)
        return self._end


class _Phrases:
    """The data of all rules. Phrases are kept by the words that they can begin with, so that a page is read once, word by word."""

    def __init__(self, rules: dict[str, Any]) -> None:
        self.advice: dict[str, str] = {}
        self.by_word: dict[str, list[tuple[str, int, _Search]]] = {}
        self.cells: list[tuple[str, re.Pattern[str]]] = []
        for name, rule in rules.items():
            if "phrases" in rule:
                self.advice[name] = rule["advice"]
                self.cells += [(name, _expression(cell)) for cell in rule.get("cells", ())]
                for number, phrase in enumerate(rule["phrases"]):
                    self._add(name, number, {"starts": phrase} if isinstance(phrase, str) else phrase)
        self.claims, self.cell_claims = (
            [_Search(claim) for claim in rules["unsourced-biographical-claims"][kind]] for kind in ("claims", "cells")
        )
        self.vague, self.uncertainty = (_expression(rules["structural-quality"][kind]) for kind in ("vague", "uncertainty_heading"))

    def _add(self, rule: str, number: int, phrase: dict[str, Any]) -> None:
        starts, rest = phrase["starts"], phrase.get("rest", r"\b")
        pattern = _Search(f"(?:{starts}){rest}", any_case=not phrase.get("cased"), leads=bool(phrase.get("leads")))
        for word in {_WORD.findall(start)[0].lower() for start in starts.split("|")}:
            self.by_word.setdefault(word, []).append((rule, number, pattern))

    def matches(self, line: str) -> Iterator[tuple[str, str]]:
        """(rule, matched words) of every phrase in a line; a phrase's matches do not overlap."""
        ends: dict[tuple[str, int], int] = {}
        for word in _WORD.finditer(line):
            for rule, number, pattern in self.by_word.get(word[0].lower(), ()):
                found = pattern.match(line, word.start())
                if found and word.start() >= ends.get((rule, number), 0):
                    ends[rule, number] = found.end()
                    yield rule, found[0]
        for rule, cell in self.cells if "|" in line else ():
            for found in cell.finditer(line):
                yield rule, found[0]


@cache
def _phrases() -> _Phrases:
    return _Phrases(yaml12.load((resources.files("enrich.checks") / "writing_rules.yaml").read_text(encoding="utf-8")))


# --- the rules ---


def _wording(page: Page, lines: Sequence[_Line], checks: Checks) -> Iterator[_Hit]:
    phrases, flattery = _phrases(), _concerns(checks.biography_paths, page)
    in_diagrams = _diagram_lines(lines)
    # The lines that a rule skips beside those that all rules skip.
    skipped: dict[str, Callable[[_Line], bool]] = {
        "prescriptive-language": lambda line: line.trimmed.startswith("#"),
        "evaluative-framing": lambda line: line.number in in_diagrams or line.trimmed.startswith(">") or _is_definition(line),
        "evaluative-flattery": lambda line: not flattery or _is_heading_or_definition(line),
    }
    for line in lines:
        if line.read and line.trimmed:
            for rule, found in phrases.matches(line.text):
                if rule not in skipped or not skipped[rule](line):
                    yield _Hit(rule, line.number, _quoted(found, phrases.advice[rule]))


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
    rule, phrases = "structural-quality", _phrases()
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
        for found in phrases.vague.finditer(line.text):
            yield _Hit(rule, line.number, f"“{' '.join(found[0].split())}” is vague; name them", "info")
        has_section = has_section or bool(_HEADING.match(line.text) and phrases.uncertainty.search(line.text))
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
    phrases = _phrases()
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
        claims = phrases.cell_claims if in_table else phrases.claims
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
