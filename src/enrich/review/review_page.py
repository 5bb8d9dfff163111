"""Proposals as one HTML page to review on, made with the kit of `enrich.html`.

Text of pages and models travels as JSON, and the script puts it into text nodes only. Control and direction characters become escapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from enrich import html
from enrich.review.proposals import NEEDS_LOOK, OVER_HUMAN, STALE
from enrich.review.views import FieldView, PageView, as_text, finding_name, provenance
from enrich.stages.answers import QUALITY
from enrich.text import escaped, usd

# Upper edges of the bins of rating moves on the 0 to 10 scale; readers see a difference from half a point on.
_EDGES = (-2.0, -1.0, -0.5, -0.05, 0.05, 0.5, 1.0, 2.0)
_BINS = ("−2 or more", "−2 to −1", "−1 to −0.5", "down to −0.5", "0", "up to +0.5", "+0.5 to +1", "+1 to +2", "+2 or more")
_FILTERS = (
    ("by-field", "Field"),
    ("by-stage", "Stage"),
    ("by-finding", "Finding"),
    ("by-move", "Rating moved by"),
    ("by-section", "Section"),
    ("by-state", "Decision"),
    ("sort", "Sort by"),
)


def review_html(views: Sequence[PageView], *, wiki: str, generated: str, serve: bool = False) -> str:
    """The page. `wiki` is the wiki's name, `generated` an ISO time; with `serve`, decisions go to the server that sent the page."""
    fields = [field for view in views for field in view.changes]
    flags = Counter(flag for field in fields for flag in field.flags)
    states = Counter(field.change.state for field in fields if field.change.state != "pending")
    # A stage's answer is paid once, however many fields it gives.
    costs = {(view.id, field.change.question.key): field.change.cost_usd for view in views for field in view.changes}
    priced = [cost for cost in costs.values() if cost is not None]
    return html.render(
        "review.html.j2",
        styles=("review.css",),
        scripts=("decisions.js", "cards.js", "page.js"),
        island={
            "wiki": wiki,
            "serve": serve,
            "pages": [page_data(view, section) for view, section in zip(views, _sections(views), strict=True)],
        },
        connect="'self'" if serve else "'none'",
        wiki=escaped(wiki),
        generated=generated.replace("T", " ")[:16] + " UTC",
        serve=serve,
        pages=len(views),
        fields=len(fields),
        needs_look=flags[NEEDS_LOOK],
        over_human=flags[OVER_HUMAN],
        stale=flags[STALE],
        models=escaped(", ".join(sorted({field.change.model for field in fields}))),
        findings=_counts(finding_name(finding) for field in fields for finding in field.change.findings),
        stages=_counts(field.change.stage for field in fields),
        states=", ".join(f"{count} {state}" for state, count in states.items()) or "all to decide",
        cost=usd(sum(priced)) if priced else "",
        bins=_BINS,
        moves=_moves(fields),
        first=sum(field.kind == "rating" and field.change.old is None for field in fields),
        filters=_FILTERS,
    )


def page_data(view: PageView, section: str = "") -> dict[str, Any]:
    """One page for the script. `section` is the folder that it is filtered by."""
    costs = {field.change.stage: field.change.cost_usd or 0.0 for field in view.changes}
    shown = {"path": view.path, "title": view.title, "section": section, "note": view.note}
    fields = [{"field": field.name, **_escaped(_field(field))} for field in view.fields]
    return {"page": view.id, "cost": round(sum(costs.values()), 6), **_escaped(shown), "fields": fields}


def _field(field: FieldView) -> dict[str, Any]:
    change = field.change
    rating = field.kind == "rating"
    old = change.old if field.move is not None or change.old is None else as_text(change.old) if rating else ""
    skipped = change.state == "pending" and change.decision == "skip"
    return {
        "stage": change.stage,
        "kind": field.kind,
        "hash": field.new_hash,
        "state": "skipped" if skipped else change.state,
        "flags": field.flags,
        "found": [finding_name(finding) for finding in change.findings],
        "old": old,
        "new": change.new if rating else None,
        "move": field.move,
        "pieces": field.pieces,
        "insights": [asdict(insight) for insight in field.insights],
        "quotes": [asdict(quote) for quote in field.quotes],
        "findings": [asdict(finding) for finding in field.findings],
        "reason": change.reason,
        "now": as_text(field.current) if field.edited_on_page else None,
        "origin": provenance(change, change.asked[:16].replace("T", " ")),
    }


def _escaped(value: Any) -> Any:
    """The JSON value with all its texts escaped."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list | tuple) else value


def _counts(names: Any) -> dict[str, int]:
    return {escaped(name): count for name, count in Counter(names).most_common()}


def _moves(fields: Sequence[FieldView]) -> list[int]:
    """How many ratings move by how much: a count for each of `_BINS`."""
    moves = [0] * len(_BINS)
    for field in fields:
        if (move := field.move) is not None and field.name != QUALITY:
            moves[sum(move > edge if edge < 0 else move >= edge for edge in _EDGES)] += 1
    return moves


def _sections(views: Sequence[PageView]) -> list[str]:
    """For each page the first folder that not all pages share; "" for pages above it. If all share all folders: the last one."""
    folders = [view.path.split("/")[:-1] for view in views]
    inside = [parts for parts in folders if parts]
    shared = 0
    while inside and all(len(parts) > shared and parts[shared] == inside[0][shared] for parts in inside):
        shared += 1
    if inside and all(len(parts) <= shared for parts in inside):
        shared = max(0, shared - 1)
    return [parts[shared] if len(parts) > shared else "" for parts in folders]
