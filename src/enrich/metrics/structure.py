"""What a page consists of and its structural score (FIELDS.md section 2), and its links (section 4).

The grader counts words and citations in another way: see `metrics.quality.grading_counts`. The reference build is a JavaScript program: where
its results depend on the language, the rule (white space, rounding, numbers as text, truth) is implemented here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import regex

from enrich.text import number
from enrich.wiki import yaml12
from enrich.wiki.profile import Profile
from enrich.wiki.visible import wide_words

# `\s` of JavaScript. Python's `\s` also matches U+001C-1F and U+0085, and does not match U+FEFF.
SPACES = "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
S = r"\t\n\x0b\x0c\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"  # the same, for use inside a character class
_TOKEN = regex.compile(rf"[^{S}]+")
_PYTHON_DIFFERS = regex.compile(r"[\x1c-\x1f\x85\ufeff]")


def js_round(value: float) -> int:
    """The nearest integer, halves rounded up (`Math.round`). Python rounds halves to even."""
    return math.floor(value + 0.5)


def is_falsy(value: Any) -> bool:
    """Whether the value is missing, null, "", 0, false or NaN. An empty list or mapping is not falsy."""
    return value is None or value is False or (isinstance(value, (str, int, float)) and (not value or value != value))


def is_number(value: Any) -> bool:
    """Whether the value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def count_tokens(text: str) -> int:
    """The number of runs of characters that are not JavaScript whitespace."""
    return len(_TOKEN.findall(text)) if _PYTHON_DIFFERS.search(text) else len(text.split())


def strip(text: str) -> str:
    """The text without JavaScript whitespace at both ends (`trim`)."""
    return text.strip(SPACES)


def line_breaks(text: str) -> str:
    """The LF-normalised text with U+2028 and U+2029 as LF: JavaScript's `^`, `$` and `.` treat them as line ends."""
    if "\u2028" in text or "\u2029" in text:
        return text.replace("\u2028", "\n").replace("\u2029", "\n")
    return text


MAX_SCORE = 15

_LAZY_FRONTMATTER = regex.compile(r"\A---.*?---\n*", regex.DOTALL)
_IMPORT_LINE = regex.compile(rf"^import[{S}].*$", regex.MULTILINE)
IMPORT = regex.compile(r"^import.*$", regex.MULTILINE)
FENCE = regex.compile(r"```.*?```", regex.DOTALL)
PIPED = regex.compile(r"\|.*\|")
FOOTNOTE = regex.compile(r"\[\^([0-9]+)\]")

# Expressions of the reference build that look for an end mark. From each of 100,000 `<`, `<[^>]+>` would be searched to the end of the text.
# `(*SKIP)` keeps the time linear: if the match fails behind it, the search goes on there, because no opener before it can match either. The
# comments have the expressions of the reference build, whose matches these are (tests/metrics/test_expressions.py).
LINK = regex.compile(r"\[([^\]]++)(*SKIP)\]\(([^)]++)(*SKIP)\)")  # \[([^\]]+)\]\(([^)]+)\)
TAG = regex.compile(r"<[^>]++(*SKIP)>")  # <[^>]+>
_INTERNAL_LINK = regex.compile(r"\]\(/[^)]++(*SKIP)\)")  # \]\(/[^)]+\)
_EXTERNAL_LINK = regex.compile(r"\]\(https?://[^)]++(*SKIP)\)")  # \]\(https?://[^)]+\)
# What is not counted as words is removed in this order. Links are replaced by their text.
_NOT_WORDS = (
    (FENCE, ""),
    (regex.compile(r"`[^`]+`"), ""),
    # <Mermaid[^`]*`[^`]*`\s*\}\s*/>
    (regex.compile(rf"<Mermaid[^`]*+(*SKIP)`[^`]*+`[{S}]*+\}}[{S}]*+/>"), ""),
    # <[A-Z][a-zA-Z]*\s[^/]*/>
    (regex.compile(rf"<[A-Z][a-zA-Z]*[{S}][^/]*+(*SKIP)/>"), ""),
    (regex.compile(r"<[A-Z][a-zA-Z]*/>"), ""),
    # <[A-Z][a-zA-Z]*[^>]*>.*?</[A-Z][a-zA-Z]*>
    (regex.compile(r"<[A-Z][^>]*+(*SKIP)>(?:[^<]++|<(?!/[A-Z][a-zA-Z]*>))*+(*SKIP)</[A-Z][a-zA-Z]*>"), ""),
    (LINK, r"\1"),
    (regex.compile(rf"https?://[^{S}]+"), ""),
    (TAG, ""),
)

_RULE_RUN = regex.compile(rf"^\|[{S}\-:|]++", regex.MULTILINE)
_FOOTNOTE_DEFINITION = regex.compile(r"\[\^[0-9]+\]:")
_WITHIN = S.replace(r"\n", "")
_FULL_LINE = re.compile(rf"[^{S}].*")
_BULLET = re.compile(rf"\n[{_WITHIN}]*+(?:[-*]|[0-9]+\.)[{_WITHIN}]")  # a search for a line end is faster than one for `^`
_H2 = regex.compile(rf"^##[{S}]+", regex.MULTILINE)
_H3 = regex.compile(rf"^###[{S}]+", regex.MULTILINE)
_OVERVIEW = regex.compile(rf"^##[{S}]+overview", regex.MULTILINE | regex.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Structure:
    """Counts of one page. `bullet_ratio` is 0 to 1, not rounded; `section_count` counts h2 and h3 headings."""

    word_count: int
    table_count: int
    diagram_count: int
    internal_links: int
    external_links: int
    footnote_count: int
    bullet_ratio: float
    section_count: int
    h3_count: int
    has_overview: bool
    code_block_count: int

    def record(self, content_format: str) -> dict[str, Any]:
        """The `metrics` of the page's record, in its key order; the ratio rounded to two decimals."""
        return {
            "wordCount": self.word_count,
            "tableCount": self.table_count,
            "diagramCount": self.diagram_count,
            "internalLinks": self.internal_links,
            "externalLinks": self.external_links,
            "footnoteCount": self.footnote_count,
            "bulletRatio": number(js_round(self.bullet_ratio * 100) / 100),
            "sectionCount": self.section_count,
            "hasOverview": self.has_overview,
            "structuralScore": structural_score(self, content_format),
        }

    @property
    def citations(self) -> int:
        """Footnotes and external links."""
        return self.footnote_count + self.external_links


def structure(text: str, profile: Profile, *, words: bool = True) -> Structure:
    """The counts of one page. `text` is the LF-normalised text of the whole file, frontmatter included. Without `words` it has 0 of them.

    Counting words takes half the time.
    """
    source = counted_text(text)
    outside = FENCE.sub("", source)
    lines = len(_FULL_LINE.findall(outside))
    citations = count_citations(source, profile.resource_component)
    component = profile.entity_link_component
    entity_links = len(_tags(component).findall(source)) if component else 0
    h3 = len(_H3.findall(source))
    return Structure(
        word_count=word_count(source) if words else 0,
        table_count=_separator_rows(source) + _count_tags(source, profile.table_components),
        diagram_count=source.count("```mermaid") + _count_tags(source, profile.diagram_components),
        internal_links=len(_INTERNAL_LINK.findall(source)) + entity_links + citations,
        external_links=len(_EXTERNAL_LINK.findall(source)),
        footnote_count=_footnote_count(source),
        bullet_ratio=len(_BULLET.findall("\n" + outside)) / lines if lines else 0.0,
        section_count=len(_H2.findall(source)) + h3,
        h3_count=h3,
        has_overview=_OVERVIEW.search(source) is not None,
        code_block_count=len(FENCE.findall(source)),
    )


def counted_text(text: str) -> str:
    """The page text without frontmatter and import lines, as the reference build cuts it: the counts are defined on it.

    Its frontmatter ends at the first `---` after the opening one, even inside a value. Everything else uses `wiki.pages.split`.
    """
    return str(_IMPORT_LINE.sub("", line_breaks(_LAZY_FRONTMATTER.sub("", text, count=1))))


def word_count(source: str) -> int:
    """The words of a `counted_text` without code, components and what they enclose, addresses and tags. `|` and `#` count as words."""
    for expression, replacement in _NOT_WORDS:
        source = expression.sub(replacement, source)
    return count_tokens(source) + wide_words(source)


def _separator_rows(source: str) -> int:
    """The matches of `^\\|[\\s\\-:|]+\\|$`: rules of tables. Neighbouring rules are one match, because the blanks include line ends.

    A run of these characters is read once: a match ends with the run's last `|` at the end of a line.
    """
    count = 0
    for found in _RULE_RUN.finditer(source):
        run = found[0]
        last = len(run) - 1 if found.end() == len(source) and run[-1] == "|" else run.rfind("|\n")
        count += last >= 2
    return count


def _footnote_count(source: str) -> int:
    """The number of distinct N in `[^N]` (digits only) outside the first lines of definitions."""
    seen: set[str] = set()
    if "[^" in source:
        for line in source.split("\n"):
            if "[^" in line and not _FOOTNOTE_DEFINITION.match(strip(line)):
                seen.update(FOOTNOTE.findall(line))
    return len(seen)


def count_citations(text: str, component: str) -> int:
    """Occurrences of `<R id=`, the component that cites a resource."""
    return len(regex.findall(rf"<{regex.escape(component)}[{S}]+id=", text))


def _count_tags(text: str, components: Sequence[str]) -> int:
    # `(?!)` never matches: a profile may name no component.
    return len(regex.findall(rf"<(?:{'|'.join(map(regex.escape, components)) or '(?!)'})[{S}>]", text))


@lru_cache(maxsize=8)
def _tags(component: str) -> regex.Pattern[str]:
    return regex.compile(rf"<{regex.escape(component)}[^>]*+(*SKIP)>")  # <EntityLink[^>]*>


@cache
def score_tables() -> dict[str, dict[str, dict[str, Any]]]:
    """The tables of `scores.yaml`."""
    tables: dict[str, dict[str, dict[str, Any]]] = yaml12.load(
        (resources.files("enrich.metrics") / "scores.yaml").read_text(encoding="utf-8")
    )
    return tables


def structural_score(page: Structure, content_format: str) -> int:
    """0 to 15: how much the page has of what its format expects. Formats without tiers count as articles."""
    formats = score_tables()["structure"]
    tiers = formats.get(content_format, formats["article"])
    score = sum(next((points for least, points in tier if getattr(page, name) >= least), 0) for name, tier in tiers.items())
    if tiers is formats["article"] and page.bullet_ratio < 0.5:
        score += 2 if page.bullet_ratio < 0.3 else 1
    return score


_NO_IMAGE = regex.compile(rf"(?<!!){LINK.pattern}")
_INSIDE = ("/", "#", "mailto:")


@dataclass(frozen=True, slots=True)
class Links:
    """Links of one page.

    `outside`: (text, target) of Markdown links that leave the wiki, in order, with duplicates. `cited`: ids in `<R … id="…">`, `entities`:
    ids in `<EntityLink … id="…">`, each id once, in order of first appearance.
    """

    outside: tuple[tuple[str, str], ...]
    cited: tuple[str, ...]
    entities: tuple[str, ...]


def links(text: str, *, resource_component: str = "R", entity_link_component: str = "EntityLink") -> Links:
    """The links of an LF-normalised page text, frontmatter and code included (as the reference build counts)."""
    return Links(
        outside=tuple((label, target) for label, target in _NO_IMAGE.findall(text) if not target.startswith(_INSIDE)),
        cited=_ids(text, resource_component, "[a-f0-9]+"),
        entities=_ids(text, entity_link_component, '[^"]+'),
    )


def _ids(text: str, component: str, value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_id_of(component, value).findall(text))) if component else ()


@lru_cache(maxsize=16)
def _id_of(component: str, value: str) -> regex.Pattern[str]:
    # <R\s[^>]*?\bid="([a-f0-9]+)", as in `metrics.structure`
    return regex.compile(rf'<{regex.escape(component)}[{S}](?:(?!\bid="{value}")[^>])*+(*SKIP)\bid="({value})"')
