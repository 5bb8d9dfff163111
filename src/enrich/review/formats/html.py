"""Proposals as one HTML file, made with the kit of `enrich.html`.

Page and model text travels as JSON, and the script puts it into text nodes only. Control and bidirectional characters are shown as escapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from enrich import html
from enrich.grounding import Finding
from enrich.review.diffs import SCHEMA
from enrich.review.places import Quoted
from enrich.review.totals import MOVE_BINS, finding_name, totals
from enrich.review.views import FieldView, InsightView, PageView, as_text, provenance
from enrich.text import escaped

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
    """The page. `wiki` names the wiki, `generated` is an ISO time; with `serve` its decisions go to the server it came from."""
    sums = totals(views)
    counted = {state: count for state, count in sums.states.items() if state != "pending"}
    return html.render(
        "review.html.j2",
        styles=("review.css",),
        scripts=("decisions.js", "cards.js", "page.js"),
        island={"schema": SCHEMA, "wiki": wiki, "serve": serve, "pages": [page_data(view) for view in views]},
        connect="'self'" if serve else "'none'",
        wiki=escaped(wiki),
        generated=generated.replace("T", " ")[:16] + " UTC",
        serve=serve,
        sums=sums,
        models=escaped(", ".join(sums.models)),
        findings={escaped(name): count for name, count in sums.findings.items()},
        stages={escaped(name): count for name, count in sums.stages.items()},
        states=", ".join(f"{count} {state}" for state, count in counted.items()) or "all to decide",
        cost="" if sums.cost_usd is None else f"${sums.cost_usd:.4f}",
        bins=MOVE_BINS,
        filters=_FILTERS,
    )


def page_data(view: PageView) -> dict[str, Any]:
    """One page as the script reads it."""
    costs = {field.change.stage: field.change.cost_usd or 0.0 for field in view.fields}
    return {
        "page": view.page,
        "path": escaped(view.path),
        "title": escaped(view.title),
        "section": escaped(view.section),
        "note": escaped(view.note),
        "cost": round(sum(costs.values()), 6),
        "fields": [_field_data(field) for field in view.fields],
    }


def _field_data(field: FieldView) -> dict[str, Any]:
    change = field.change
    rating = field.kind == "rating"
    return {
        "field": change.field,
        "stage": change.stage,
        "kind": field.kind,
        "hash": field.new_hash,
        "state": "skipped" if change.state == "pending" and change.decided.get("decision") == "skip" else change.state,
        "flags": list(field.flags),
        "found": [escaped(finding_name(finding)) for finding in change.findings],
        "old": change.old if field.move is not None else _old_words(field),
        "new": change.new if rating else None,
        "move": field.move,
        "pieces": [[mark, escaped(text)] for mark, text in field.pieces],
        "insights": [_insight_data(insight) for insight in field.insights],
        "quotes": [_quote_data(quote) for quote in field.quotes],
        "findings": [_finding_data(finding) for finding in field.findings],
        "reason": escaped(change.reason),
        "now": None if field.now is None else escaped(field.now),
        "origin": escaped(provenance(field.change, field.change.asked[:16].replace("T", " "))),
    }


def _old_words(field: FieldView) -> str | None:
    """What stood there where it is no number: shown beside a rating; for other fields only whether there was anything matters."""
    old = field.change.old
    return None if old is None else escaped(as_text(old)) if field.kind == "rating" else ""


def _insight_data(insight: InsightView) -> dict[str, Any]:
    return {
        "status": insight.status,
        "index": insight.index,
        "type": escaped(insight.kind),
        "was": escaped(insight.kind_was),
        "scores": [[score.name, score.old, score.new] for score in insight.scores],
        "pieces": [[mark, escaped(text)] for mark, text in insight.pieces],
        "quotes": [_quote_data(quote) for quote in insight.quotes],
        "findings": [_finding_data(finding) for finding in insight.findings],
    }


def _quote_data(quote: Quoted) -> dict[str, Any]:
    return {
        "quote": escaped(quote.quote),
        "before": escaped(quote.before),
        "after": escaped(quote.after),
        "section": escaped(quote.section),
        "lines": list(quote.lines),
        "found": quote.found,
        "repaired": quote.repaired,
    }


def _finding_data(finding: Finding) -> dict[str, str]:
    return {
        "name": escaped(finding_name(finding)),
        "severity": finding.severity,
        "message": escaped(finding.message),
    }
