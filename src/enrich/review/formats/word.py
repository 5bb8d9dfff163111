"""Proposals word by word: colours on a terminal, `[-old-]{+new+}` (as `git diff --word-diff` writes it) where there are none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from enrich.grounding import Finding
from enrich.review.places import Quoted
from enrich.review.views import FieldView, InsightView, PageView, as_text
from enrich.review.words import Piece
from enrich.text import escaped, printable

_RED, _GREEN, _BOLD, _DIM, _YELLOW = "31;9", "32;4", "1", "2", "33"
_CODE = re.compile(r"\x1b\[[0-9;]*m")
_STATUS = {"new": "+", "changed": "~", "same": "=", "gone": "-"}


def word_text(views: Iterable[PageView], *, coloured: bool, width: int = 100) -> str:
    """The proposals as text of at most `width` columns; everything from pages and models is safe for a terminal."""
    return "".join(f"{line}\n" for view in views for line in (*page_lines(view, coloured=coloured, width=width), ""))


def page_lines(view: PageView, *, coloured: bool, width: int = 100) -> Iterator[str]:
    """One page's lines."""
    paint = _painter(coloured)
    yield paint(printable(view.page), _BOLD) + "  " + paint(printable(view.path), _DIM)
    if view.note:
        yield f"  {printable(view.note)}"
    for field in view.fields:
        yield from _field_lines(field, coloured, width)


def _field_lines(field: FieldView, coloured: bool, width: int) -> Iterator[str]:
    paint = _painter(coloured)
    state = "" if field.change.state == "pending" else f" [{field.change.state}]"
    marks = paint(f" ! {', '.join(field.flags)}", _YELLOW) if field.flags else ""
    name = paint(printable(field.name), _BOLD)
    if field.kind == "rating":
        yield f"  {name}: {rating_move(field)}{state}{marks}"
    else:
        yield f"  {name}{state}{marks}"
        if field.pieces:
            yield from _indented(marked(field.pieces, coloured), 4, width)
    for insight in field.insights:
        yield from _insight_lines(insight, coloured, width)
    if field.now is not None:
        yield from _indented(paint(f"on the page now: {printable(field.now) or '(nothing)'}", _YELLOW), 4, width)
    if field.change.reason:
        yield from _indented(paint(f"because: {printable(field.change.reason)}", _DIM), 4, width)
    yield from _quote_lines(field.quotes, 4, width)
    yield from _finding_lines(field.findings, 4, coloured)


def _insight_lines(insight: InsightView, coloured: bool, width: int) -> Iterator[str]:
    moves = ", ".join(
        f"{score.name[0].upper()} {_figure(score.new if insight.status != 'gone' else score.old)}"
        if insight.status in ("new", "gone") or score.old == score.new
        else f"{score.name[0].upper()} {_figure(score.old)} → {_figure(score.new)}"
        for score in insight.scores
    )
    kind = insight.kind if insight.kind == insight.kind_was or not insight.kind_was else f"{insight.kind_was} → {insight.kind}"
    yield f"    {_STATUS[insight.status]} {insight.status}: {printable(kind)} ({moves})"
    yield from _indented(marked(insight.pieces, coloured), 6, width)
    if insight.status != "same":
        yield from _quote_lines(insight.quotes, 6, width)
    yield from _finding_lines(insight.findings, 6, coloured)


def _quote_lines(quotes: Sequence[Quoted], indent: int, width: int) -> Iterator[str]:
    for quote in quotes:
        place = f" ({place_of(quote)})" if place_of(quote) else ""
        yield from _indented(f"» {printable(quote.quote)}{place}", indent, width)


def place_of(quote: Quoted) -> str:
    """Where a quote stands: `lines 12-13, Costs`."""
    if not quote.found:
        return "not on the page"
    first, last = quote.lines
    lines = "" if first == 0 else f"line {first}" if first == last else f"lines {first}-{last}"
    return ", ".join(part for part in (lines, printable(quote.section)) if part)


def _finding_lines(findings: Iterable[Finding], indent: int, coloured: bool) -> Iterator[str]:
    paint = _painter(coloured)
    for finding in findings:
        severity, message = printable(finding.severity), printable(finding.message)
        yield " " * indent + paint(f"! {severity}: {message}", _YELLOW)


def rating_move(field: FieldView) -> str:
    """`4 → 5.5 (+1.5)`; `(new) → 5.5` where no number stood there."""
    new = as_text(field.change.new)
    if field.move is None:
        return f"{printable(as_text(field.change.old)) or '(none)'} → {new}"
    return f"{_figure(float(field.change.old))} → {_figure(float(field.change.new))} ({field.move:+g})".replace("(+0)", "(=)").replace(
        "-", "−"
    )


def marked(pieces: Iterable[Piece], coloured: bool) -> str:
    """The pieces in one line, the gone and the come marked."""
    paint = _painter(coloured)
    out = []
    for mark, text in pieces:
        text = escaped(text)
        if coloured and mark != "=":
            # A terminal's strike-through and underline end with the line: colour each word, so that wrapping keeps the marks.
            code = _RED if mark == "-" else _GREEN
            out.append(" ".join(paint(word, code) if word else "" for word in text.split(" ")))
        else:
            out.append(f"[-{text}-]" if mark == "-" else f"{{+{text}+}}" if mark == "+" else text)
    return "".join(out)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _painter(coloured: bool) -> Any:
    return (lambda text, code: f"\x1b[{code}m{text}\x1b[0m" if text else "") if coloured else (lambda text, code: text)


def _indented(text: str, indent: int, width: int) -> Iterator[str]:
    # Colour codes take no room on the screen; `textwrap` would count them, and a summary of coloured words would be a narrow column.
    line, used = "", 0
    for word in text.split():
        room = len(_CODE.sub("", word))
        if line and used + 1 + room > width - indent:
            yield " " * indent + line
            line, used = word, room
        else:
            line, used = (f"{line} {word}", used + 1 + room) if line else (word, room)
    yield " " * indent + line
