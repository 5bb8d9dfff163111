"""Proposals as a reviewer reads them: the one view model behind every form of `enrich diff` and both review applications.

A view compares a proposal with the current page. What is expensive (word diffs, quotes in their context) is computed when it is first read.
`diff_texts` gives the JSON form, described by `docs/diff.schema.json`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from textwrap import indent
from typing import Any, Literal

from enrich.grounding import Chance, Finding, PageIndex
from enrich.grounding.quotes import QuoteIndex
from enrich.grounding.statements import likeness
from enrich.review.applying import BODY_CHANGED, FIELD_MOVED, GONE, obstacle, page_of
from enrich.review.proposals import STALE, FieldChange, InsightItem, ItemStatus, Proposal, insight_items
from enrich.stages.fields import INSIGHT_STEP, Evidence, current_value, number_of
from enrich.stages.stage import NOISE
from enrich.text import json_text, usd
from enrich.wiki.data import SCORES
from enrich.wiki.pages import Page
from enrich.wiki.visible import Line, visible
from enrich.wiki.wiki import Wiki

# Characters of context on each side: enough to judge a quote, few enough that a review page of 700 pages is a small file.
_CONTEXT = 280


@dataclass(frozen=True, slots=True)
class QuoteView(Evidence):
    """A quote with the text before and after it on the current page.

    `found` and `lines` (from 1, of the file) are those of the current page: (0, 0) for the title, the description and quotes that are not on it.
    """

    before: str = ""
    after: str = ""


class PageQuotes:
    """Finds evidence on one page. The page's visible text is computed when the first quote is looked up."""

    def __init__(self, page: Page | None) -> None:
        self._page = page

    @cached_property
    def _bodies(self) -> Sequence[Sequence[Line]]:
        """The visible lines of the body as a model is shown it, and as it is written: a quote may name a source or leave its name out."""
        bodies = dict.fromkeys((self._page.shown, self._page.body)) if self._page else ()
        return [[line for line in visible(body).lines if line.kind != "comment"] for body in bodies]

    @cached_property
    def chance(self) -> Chance | None:
        """How many wrong numbers and names the page would let pass without a quote; None if there is no page."""
        return PageIndex.of(self._page).chance() if self._page else None

    def view(self, item: Evidence) -> QuoteView:
        """The evidence `item` of a proposal on the current page."""
        page, (first, last) = self._page, item.lines
        missing = QuoteView(**{**asdict(item), "lines": (0, 0), "found": False})
        if page is None or not item.found:
            return missing
        if first == 0:
            return replace(missing, found=item.quote in f"{page.title}\n{page.description}")
        for body in self._bodies:
            places = [place for place, line in enumerate(body) if first <= line.number <= last]
            text = " ".join(body[place].text for place in places)
            if quote := _in_text(item.quote, text, [body[place] for place in places]):
                start, end = text.index(quote), text.index(quote) + len(quote)
                above, below = (_paragraph(body, place) for place in (places[0] - 1, places[-1] + 1))
                return replace(
                    missing,
                    quote=quote,
                    lines=(first + page.body_line - 1, last + page.body_line - 1),
                    before=_tail((f"{above} ¶ " if above else "") + text[:start]),
                    after=_head(text[end:] + (f" ¶ {below}" if below else "")),
                    found=True,
                )
        return missing


def _paragraph(lines: Sequence[Line], place: int) -> str:
    """The text of a line next to a quote; "" for a heading and beyond the page."""
    return lines[place].text if 0 <= place < len(lines) and lines[place].kind != "heading" else ""


def _in_text(quote: str, text: str, lines: Sequence[Line]) -> str:
    """The quote as `text` (these lines) has it, by the rules of grounding for quotation marks, dashes and white space; "" if it is not there."""
    if quote in text or not lines:
        return quote if lines else ""
    match = QuoteIndex(lines).find(quote)
    return "" if match is None else match.text if match.text in text else text


def _tail(text: str) -> str:
    return text if len(text) <= _CONTEXT else "…" + text[-_CONTEXT:].partition(" ")[2]


def _head(text: str) -> str:
    return text if len(text) <= _CONTEXT else text[:_CONTEXT].rpartition(" ")[0] + "…"


Kind = Literal["text", "insights", "rating", "other"]
Piece = tuple[Literal["=", "-", "+", "=!", "+!"], str]
"""A part of a word diff: `=` is in both texts, `-` only in the old one, `+` only in the new one; `!`: a hard finding is about these words."""

_TOKEN = re.compile(r"\w+(?:[.,'’]\w+)*|\s+|[^\w\s]")
# With a smaller share of common words, a mixture of both texts is harder to read than one after the other.
_ALIKE = 0.35
# The comparison is quadratic in the words and in the pairs of equal words; beyond, a text is shown as a whole. Fields are one or two sentences.
_LONGEST, _MOST_PAIRS = 3000, 100_000
# The order of a page's fields: what is read before what is judged.
_ORDER: tuple[Kind, ...] = ("text", "insights", "rating", "other")


@dataclass(frozen=True, slots=True)
class Score:
    """One of S, I, A (1 to 5) before and after; None if there is no value. `margin` as of a field."""

    name: str
    old: float | None
    new: float | None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class InsightView:
    """One insight of a proposal (`proposals.InsightItem`), and what was decided on it: `accept`, `reject` or ""."""

    id: str
    status: ItemStatus
    index: int
    decision: str
    kind: str
    old_kind: str
    pieces: tuple[Piece, ...]
    scores: tuple[Score, ...]
    quotes: tuple[QuoteView, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class FieldView:
    """One proposed field beside its page.

    `flags` are those of the change, and `stale` if it cannot be applied. `current` is the value on the page now (None: no value, or no
    page). `edited_on_page`: the value on the page was changed after the question was asked, and the page's text was not.
    """

    change: FieldChange
    flags: tuple[str, ...]
    current: Any
    edited_on_page: bool
    page_quotes: PageQuotes = field(repr=False)

    @property
    def name(self) -> str:
        return self.change.field

    @property
    def chance(self) -> Chance | None:
        """What the check of a text is worth on this page (see `PageQuotes.chance`); None for ratings, which have no numbers to check."""
        return self.page_quotes.chance if self.kind in ("text", "insights") else None

    @property
    def kind(self) -> Kind:
        new = self.change.new
        if self.change.stage == "insights" and isinstance(new, list) and all(isinstance(item, Mapping) for item in new):
            return "insights"
        if number_of(new) is not None:
            return "rating"
        return "text" if isinstance(new, str) else "other"

    @property
    def margin(self) -> float | None:
        """Half of a rating's spread, for `±`; None if it has none, or one that is too small to matter."""
        return margin(self.change, self.name, NOISE["ratings"])

    @property
    def interval(self) -> str:
        """Where people's ratings are, for a calibrated rating that no person edited; else ""."""
        if self.change.interval is None or self.change.edited is not None:
            return ""
        low, high = self.change.interval
        return f"nine of ten people's ratings are within {low:g} to {high:g}"

    def provenance(self, asked: str) -> str:
        """`gpt-5-mini, prompt 3, 1,234 tokens in, 210 out, $0.0012, asked 3 hours ago`, for the whole question; `asked` is the time as text."""
        change = self.change
        parts = [change.model, f"prompt {change.prompt_version}" if change.prompt_version else ""]
        if change.tokens:
            parts.append(f"{change.tokens.get('input', 0):,} tokens in, {change.tokens.get('output', 0):,} out")
        parts += [usd(change.cost_usd) if change.cost_usd is not None else "", f"asked {asked}" if asked else ""]
        return ", ".join(filter(None, parts))

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The word diff of a text; empty for insights and ratings."""
        if self.kind in ("insights", "rating"):
            return ()
        return marked(word_diff(as_text(self.change.old), as_text(self.change.new)), self.change.findings)

    @cached_property
    def quotes(self) -> tuple[QuoteView, ...]:
        """The evidence that is not shown with an insight."""
        return () if self.kind == "insights" else self.all_quotes

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings that are not shown with an insight, hard ones first."""
        shown = [finding for insight in self.insights for finding in insight.findings]
        return tuple(finding for finding in self._all_findings if finding not in shown)

    @cached_property
    def all_quotes(self) -> tuple[QuoteView, ...]:
        return tuple(self.page_quotes.view(item) for item in self.change.evidence)

    @property
    def _all_findings(self) -> list[Finding]:
        return sorted(self.change.findings, key=lambda finding: finding.severity != "hard")

    @cached_property
    def insights(self) -> tuple[InsightView, ...]:
        """The proposed insights in their order, then those of the page that would be removed; empty for other fields."""
        return tuple(map(self._insight, insight_items(self.change))) if self.kind == "insights" else ()

    def _insight(self, item: InsightItem) -> InsightView:
        before, after = item.old or {}, item.new or {}
        where = f"{self.name}[{item.index}]"
        findings = tuple(finding for finding in self._all_findings if finding.where == where)
        return InsightView(
            id=item.id,
            status=item.status,
            index=item.index,
            decision=self.change.items.get(item.id, {}).get("decision", ""),
            kind=as_text((after or before).get("type")),
            old_kind=as_text(before.get("type")),
            pieces=marked(word_diff(as_text(before.get("text")), as_text(after.get("text"))), findings),
            scores=tuple(
                Score(name, number_of(before.get(name)), number_of(after.get(name)), margin(self.change, f"{where}.{name}", INSIGHT_STEP))
                for name in SCORES
            ),
            quotes=tuple(quote for quote in self.all_quotes if quote.where == where),
            findings=findings,
        )


@dataclass(frozen=True)
class PageView:
    """A page's proposal beside the page. `page` is None if it is gone or cannot be read; `note` says what is wrong with it."""

    proposal: Proposal
    page: Page | None
    note: str
    changes: tuple[FieldView, ...]

    @property
    def id(self) -> str:
        return self.proposal.page

    @property
    def path(self) -> str:
        return self.proposal.path

    @property
    def title(self) -> str:
        return self.page.title if self.page else self.id

    @property
    def fields(self) -> list[FieldView]:
        """The changes in reading order."""
        return sorted(self.changes, key=lambda field: _ORDER.index(field.kind))


def page_views(wiki: Wiki, proposals: Iterable[Proposal]) -> list[PageView]:
    """Each proposal beside its page as it is on the disk now."""
    return [page_view(wiki, proposal) for proposal in proposals]


def page_view(wiki: Wiki, proposal: Proposal) -> PageView:
    """One proposal beside its page as it is on the disk now."""
    page = page_of(wiki, proposal.page)
    note = GONE if page is None else page.problem.reason if page.problem else ""
    if page is None or page.problem is not None:
        page = None
    quotes = PageQuotes(page)
    fields = []
    for change in proposal.changes:
        cause, detail = (GONE, "") if page is None else obstacle(page, [change], proposal.seen) or ("", "")
        if cause == BODY_CHANGED and change.state != "rejected":
            note = note or detail
        current = current_value(page.data, change.field) if page else None
        flags = (*change.flags, *([STALE] if cause else []))
        fields.append(FieldView(change, flags, current, cause == FIELD_MOVED, quotes))
    return PageView(proposal, page, note, tuple(fields))


def margin(change: FieldChange, part: str, least: float) -> float | None:
    """Half of the spread of the number at `part`, with one decimal; None below `least`. A person's number has none."""
    low, high = (change.spread or {}).get(part, (0.0, 0.0)) if change.edited is None else (0.0, 0.0)
    half = round((high - low) / 2, 1)
    return half if half >= least else None


def as_text(value: Any) -> str:
    """A field's value as text; "" for None. `\\$` is how MDX writes `$`."""
    if value is None:
        return ""
    return value.replace("\\$", "$") if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def value_text(value: Any) -> str:
    """A field's value as text that people can compare: insights as a numbered list, numbers without needless digits."""
    if not isinstance(value, list):
        return as_text(value) if number_of(value) is None else f"{value:g}"
    return " ".join(f"{place}. {insight_text(item) if isinstance(item, Mapping) else as_text(item)}" for place, item in enumerate(value, 1))


def insight_text(item: Mapping[str, Any]) -> str:
    """`Text. (claim S 3 I 4.5 A 2)`"""
    scores = "".join(f" {name[0].upper()} {item[name]:g}" for name in SCORES if number_of(item.get(name)) is not None)
    return f"{as_text(item.get('text'))} ({as_text(item.get('type'))}{scores})"


def finding_name(finding: Finding) -> str:
    """`hard number`, `soft quote`: how findings are counted and filtered."""
    return f"{finding.severity} {finding.kind}"


def lines_text(first: int, last: int) -> str:
    """`line 4`, `lines 4-6`; "" for line 0."""
    return "" if first == 0 else f"line {first}" if first == last else f"lines {first}-{last}"


def word_diff(old: str, new: str) -> list[Piece]:
    """The pieces that lead from `old` to `new`: joined without the `+` pieces they are `old`, without the `-` pieces `new`.

    >>> word_diff("It costs $5 a page.", "It costs $7 a page.")
    [('=', 'It costs $'), ('-', '5'), ('+', '7'), ('=', ' a page.')]
    """
    if old == new:
        return [("=", old)] if old else []
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    whole: list[Piece] = [("-", old), ("+", new)]
    if not before or not after:
        return [piece for piece in whole if piece[1]]
    if max(len(before), len(after)) > _LONGEST or _pairs(before, after) > _MOST_PAIRS or likeness(old, new) < _ALIKE:
        return whole
    # White space is everywhere: as anchors of the comparison it would tear phrases apart.
    blocks = difflib.SequenceMatcher(str.isspace, before, after, autojunk=False).get_opcodes()
    kept = sum(_words(before[i1:i2]) for tag, i1, i2, _, _ in blocks if tag == "equal")
    if kept < _ALIKE * max(_words(before), _words(after)):
        return whole
    pieces: list[Piece] = []
    gone = come = ""
    for number, (tag, i1, i2, j1, j2) in enumerate(blocks):
        same = "".join(before[i1:i2])
        # White space between two changed words is part of the change: fewer and larger pieces are easier to read.
        if tag == "equal" and not (same.isspace() and 0 < number < len(blocks) - 1):
            pieces += [("-", gone), ("+", come), ("=", same)]
            gone = come = ""
        else:
            gone += same
            come += "".join(after[j1:j2])
    return [piece for piece in (*pieces, ("-", gone), ("+", come)) if piece[1]]


def marked(pieces: Sequence[Piece], findings: Iterable[Finding]) -> tuple[Piece, ...]:
    """The pieces with the words marked that hard findings are about (`Finding.span` counts in the new text)."""
    spans = sorted(finding.span for finding in findings if finding.span and finding.severity == "hard")
    if not spans:
        return tuple(pieces)
    found: list[Piece] = []
    at = 0
    for mark, text in pieces:
        if mark == "-":
            found.append((mark, text))
            continue
        edges = sorted({0, len(text), *(min(max(edge - at, 0), len(text)) for span in spans for edge in span)})
        for start, end in pairwise(edges):
            bad = any(first <= at + start and at + end <= last for first, last in spans)
            found.append((f"{mark[0]}!" if bad else mark, text[start:end]))  # type: ignore[arg-type]
        at += len(text)
    return tuple(found)


def _pairs(before: Sequence[str], after: Sequence[str]) -> int:
    """How many pairs of equal words the comparison looks at."""
    counts = Counter(after)
    return sum(count * counts[token] for token, count in Counter(before).items() if not token.isspace())


def _words(tokens: Sequence[str]) -> int:
    return sum(not token.isspace() for token in tokens)


def diff_texts(views: Iterable[PageView]) -> Iterator[str]:
    """The document of `diff --json`, page by page, in the form that `json_text` gives the whole document."""
    head, between, tail = '{\n "schema": 1,\n "pages": [', "\n", "]\n}\n"
    for view in views:
        yield head + between + indent(json_text(_page_part(view), indent=1), "  ")
        head, between, tail = "", ",\n", "\n ]\n}\n"
    yield head + tail


def _page_part(view: PageView) -> dict[str, Any]:
    """One page of the document; `docs/diff.schema.json` describes the keys."""
    shift = view.page.body_line - 1 if view.page else 0
    fields = [_field_part(field, shift) for field in view.changes]
    return {"page": view.id, "path": view.path, "note": view.note, "assigned": view.proposal.assigned, "fields": fields}


def _field_part(field: FieldView, shift: int) -> dict[str, Any]:
    """One field of the document. `shift`: the number of file lines above the body."""
    change = field.change
    extras = {
        "samples": change.samples if change.samples > 1 else None,
        "spread": change.spread or {} if change.spread or change.samples > 1 else None,
        "interval": change.interval,
        "edited": {"by": change.edited.by, "when": change.edited.when, "how": change.edited.how} if change.edited else None,
    }
    return {
        "field": change.field,
        "stage": change.stage,
        "old": change.old,
        "new": change.new,
        "new_hash": change.new_hash,
        "state": change.state,
        "flags": field.flags,
        "findings": [asdict(finding) for finding in change.findings],
        "evidence": [{**asdict(item), "file_lines": [line + shift if line else 0 for line in item.lines]} for item in change.evidence],
        "reason": change.reason,
        "provenance": {
            "model": change.model,
            "prompt_version": change.prompt_version,
            "question": change.question.key,
            "page_hash": change.question.page_hash,
            "tokens": change.tokens,
            "cost_usd": change.cost_usd,
            "asked": change.asked,
            "run": change.run,
            "chance": asdict(field.chance) if field.chance else None,
            **{name: value for name, value in extras.items() if value is not None},
        },
        "decided": change.decided,
        "items": [
            {"id": item.id, "index": item.index, "status": item.status, "decided": change.items.get(item.id, {})}
            for item in insight_items(change)
        ],
    }
