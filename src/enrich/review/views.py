"""One page's proposal as a reviewer reads it: words that changed, ratings that moved, insights that came and went, quotes in their place.

All forms of `enrich diff` for people (word, markdown, html) are made from these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from enrich.grounding import Finding
from enrich.review.diffs import PageDiff
from enrich.review.places import Places, Quoted
from enrich.review.proposals import STALE, FieldChange
from enrich.review.words import Piece, likeness, word_diff
from enrich.stages.field_values import value_hash
from enrich.wiki.data import SCORES

Kind = Literal["rating", "text", "insights", "other"]
InsightStatus = Literal["new", "changed", "same", "gone"]

# What is read before it is judged comes first.
_ORDER: tuple[Kind, ...] = ("text", "insights", "rating", "other")
# Two insights with at least this share of common words are one that was changed, not one gone and one new.
_SAME_INSIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Score:
    """One of S, I, A (1 to 5), before and after; None where there is none."""

    name: str
    old: float | None
    new: float | None


@dataclass(frozen=True, slots=True)
class InsightView:
    """One insight: `index` is its place in the proposed list (-1: it goes)."""

    status: InsightStatus
    index: int
    kind: str
    kind_was: str
    pieces: tuple[Piece, ...]
    scores: tuple[Score, ...]
    quotes: tuple[Quoted, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class FieldView:
    """One proposed field. `move` is a rating's new value less its old one (None where one of them is missing).

    `now` is what stands on the page where somebody changed the field after it was asked about (None: nobody did).
    """

    change: FieldChange
    kind: Kind
    flags: tuple[str, ...]
    pieces: tuple[Piece, ...]
    move: float | None
    insights: tuple[InsightView, ...]
    quotes: tuple[Quoted, ...]
    findings: tuple[Finding, ...]
    now: str | None = None

    @property
    def name(self) -> str:
        return self.change.field

    @property
    def new_hash(self) -> str:
        """The hash of the proposed value, so that a decision holds for the value that was seen and no other."""
        return value_hash(self.change.new)


@dataclass(frozen=True, slots=True)
class PageView:
    """One page. `section` is the first folder that tells the wiki's pages apart ("" for pages above it)."""

    page: str
    path: str
    title: str
    section: str
    note: str
    fields: tuple[FieldView, ...]

    @property
    def findings(self) -> int:
        return sum(len(field.change.findings) for field in self.fields)

    @property
    def biggest_move(self) -> float:
        return max((abs(field.move) for field in self.fields if field.move is not None), default=0.0)


def page_views(diffs: Iterable[PageDiff]) -> list[PageView]:
    """The diffs as they are read."""
    made = list(diffs)
    shared = _shared_folders([diff.proposal.path for diff in made])
    return [page_view(diff, shared) for diff in made]


def page_view(diff: PageDiff, shared_folders: int = 0) -> PageView:
    """One diff as it is read; `shared_folders` leading folders are the same for all pages and tell nothing."""
    places = Places(diff.page)
    folders = diff.proposal.path.split("/")[:-1][shared_folders:]
    fields = [_of_diff(diff, change, places) for change in diff.proposal.changes]
    return PageView(
        page=diff.proposal.page,
        path=diff.proposal.path,
        title=diff.page.title if diff.page else diff.proposal.page,
        section=folders[0] if folders else "",
        note=diff.note,
        fields=tuple(sorted(fields, key=lambda field: _ORDER.index(field.kind))),
    )


def _of_diff(diff: PageDiff, change: FieldChange, places: Places) -> FieldView:
    flags = diff.flags(change)
    moved = STALE in flags and diff.moved(change)
    return field_view(change, flags, places, now=as_text(diff.now(change)) if moved else None)


def field_view(change: FieldChange, flags: Sequence[str], places: Places, *, now: str | None = None) -> FieldView:
    """One change as it is read."""
    quotes = tuple(places.place(item) for item in change.evidence)
    kind = kind_of(change)
    insights: tuple[InsightView, ...] = ()
    pieces: tuple[Piece, ...] = ()
    findings = tuple(sorted(change.findings, key=lambda finding: finding.severity != "hard"))
    if kind == "insights":
        insights = tuple(_insights(change, quotes, findings))
        of_insights = {id(finding) for view in insights for finding in view.findings}
        findings = tuple(finding for finding in findings if id(finding) not in of_insights)
        quotes = ()
    elif kind != "rating":
        pieces = tuple(word_diff(as_text(change.old), as_text(change.new)))
    return FieldView(change, kind, tuple(flags), pieces, _move(change), insights, quotes, findings, now)


def kind_of(change: FieldChange) -> Kind:
    if change.stage == "insights" and _is_insights(change.new):
        return "insights"
    if number(change.new) is not None:
        return "rating"
    return "text" if isinstance(change.new, str) else "other"


def number(value: Any) -> float | None:
    """The value as a number, or None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_text(value: Any) -> str:
    """Any field value as text; nothing for nothing. `\\$` and `$` are the same text (`stages.landing`)."""
    if value is None:
        return ""
    return value.replace("\\$", "$") if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _move(change: FieldChange) -> float | None:
    old, new = number(change.old), number(change.new)
    return None if old is None or new is None else round(new - old, 2)


def _is_insights(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _insights(change: FieldChange, quotes: Sequence[Quoted], findings: Sequence[Finding]) -> Iterator[InsightView]:
    old = [item for item in change.old if isinstance(item, Mapping)] if isinstance(change.old, list) else []
    for now, was in paired(old, change.new):
        where = f"{change.field}[{now}]"
        before: Mapping[str, Any] = old[was] if was is not None else {}
        after: Mapping[str, Any] = change.new[now] if now is not None else {}
        old_text, new_text = as_text(before.get("text")), as_text(after.get("text"))
        unchanged = now is not None and was is not None and dict(before) == dict(after)
        yield InsightView(
            status="gone" if now is None else "new" if was is None else "same" if unchanged else "changed",
            index=-1 if now is None else now,
            kind=as_text(after.get("type") if now is not None else before.get("type")),
            kind_was=as_text(before.get("type")),
            pieces=tuple(word_diff(old_text, new_text)),
            scores=tuple(Score(name, number(before.get(name)), number(after.get(name))) for name in SCORES),
            quotes=tuple(quote for quote in quotes if quote.where == where) if now is not None else (),
            findings=tuple(finding for finding in findings if finding.where == where) if now is not None else (),
        )


def paired(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int | None, int | None]]:
    """(place in `new`, place in `old`) of each insight: those proposed in their order, then those that go (None for the new place).

    Those with the same evidence find each other first, then the most alike.
    """
    scored = sorted(
        ((-_alike(before, after), now, was) for now, after in enumerate(new) for was, before in enumerate(old)),
    )
    partner: dict[int, int] = {}
    for unlike, now, was in scored:
        if -unlike >= _SAME_INSIGHT and now not in partner and was not in partner.values():
            partner[now] = was
    yield from ((now, partner.get(now)) for now in range(len(new)))
    yield from ((None, was) for was in range(len(old)) if was not in partner.values())


def _alike(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    evidence = as_text(before.get("evidence"))
    same = bool(evidence) and evidence == as_text(after.get("evidence"))
    return same + likeness(as_text(before.get("text")), as_text(after.get("text")))


def _shared_folders(paths: Sequence[str]) -> int:
    """How many leading folders all paths share, so that the next one tells them apart."""
    folders = [path.split("/")[:-1] for path in paths if "/" in path]
    if not folders:
        return 0
    shared = 0
    for names in zip(*folders, strict=False):
        if len(set(names)) > 1:
            break
        shared += 1
    # One folder for all: it is still the section's name.
    return shared if any(len(parts) > shared for parts in folders) else max(0, shared - 1)


def provenance(change: FieldChange, asked: str) -> str:
    """`gpt-5-mini, prompt 3, 1,234 tokens in, 210 out, $0.0012, asked 3 hours ago`: of the whole question, shared by its fields.

    `asked` is the time of the question in the words of whoever shows it; empty where it is not known.
    """
    parts = [change.model]
    if change.prompt_version:
        parts.append(f"prompt {change.prompt_version}")
    if change.tokens:
        parts.append(f"{change.tokens.get('input', 0):,} tokens in, {change.tokens.get('output', 0):,} out")
    if change.cost_usd is not None:
        parts.append(f"${change.cost_usd:.4f}")
    if asked:
        parts.append(f"asked {asked}")
    return ", ".join(parts)
