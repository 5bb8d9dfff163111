"""Proposals as a pull-request comment: a table first, details folded, always short enough to be posted.

Everything from pages and models stands in code (spans, fenced blocks, `<code>` with its characters escaped): code is where forges leave
mentions, issue numbers, commit hashes, addresses and markup alone. A fence is longer than any run of backticks inside it.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from enrich.grounding import Finding
from enrich.review.formats.word import place_of, rating_move
from enrich.review.places import Quoted
from enrich.review.totals import finding_name, totals
from enrich.review.views import FieldView, InsightView, PageView
from enrich.text import code_block, code_span, counted, escaped, printable

# GitHub takes 65,536; the rest is for what a workflow adds around it.
LIMIT = 60_000
# Of the limit, what the table may use at most: some details are worth more than the last rows.
_TABLE_SHARE = 0.5
_WRAP = 110
# Room for the lines that say what was cut.
_NOTICE = 400
# One value longer than this is cut: a comment is no place to read a page.
_LONGEST = 4000


def markdown_comment(views: Sequence[PageView], *, title: str = "Proposed changes", limit: int = LIMIT) -> str:
    """The comment: fewer than `limit` characters (UTF-16 units, as forges count), with a line that says what was cut."""
    lead = f"### {title}\n\n{_summary(views)}\n"
    return lead + comment_body(views, room=limit - _size(lead) - 1)


def comment_body(views: Sequence[PageView], *, room: int) -> str:
    """Table and folded details in fewer than `room` characters."""
    if not views:
        return "\nNothing is proposed.\n" if room > 30 else ""
    head = "\n| page | fields | ratings | findings |\n|---|---|---|---|\n"
    table, rows = _fitting((_row(view) for view in views), int(room * _TABLE_SHARE) - _size(head))
    shown = views[:rows]
    parts = [head, *table]
    left = room - sum(map(_size, parts)) - _NOTICE
    details, pages = _fitting((_details(view) for view in shown), left)
    parts += ["\n", *details] if details else []
    cut = []
    if rows < len(views):
        cut.append(f"{len(views) - rows} of {len(views)} pages are not in the table")
    if pages < len(views):
        cut.append(f"the details of {len(views) - pages} of {len(views)} pages are left out")
    if cut:
        parts.append(f"\n**Cut to fit:** {'; '.join(cut)}. `enrich diff --format html` shows everything.\n")
    return "".join(parts)


def _fitting(texts: Iterable[str], room: int) -> tuple[list[str], int]:
    """The first texts that fit, and how many they are."""
    taken: list[str] = []
    for text in texts:
        room -= _size(text)
        if room < 0:
            break
        taken.append(text)
    return taken, len(taken)


def _size(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _summary(views: Sequence[PageView]) -> str:
    sums = totals(views)
    parts = [f"{counted(sums.fields, 'field')} on {counted(sums.pages, 'page')}"]
    if sums.needs_look:
        parts.append(f"{counted(sums.needs_look, 'field')} with findings that need a look")
    if sums.over_human:
        parts.append(f"{sums.over_human} over a person's words")
    if sums.stale:
        parts.append(f"{sums.stale} stale")
    return ", ".join(parts) + "."


def _row(view: PageView) -> str:
    words = [field for field in view.fields if field.kind != "rating"]
    ratings = [field for field in view.fields if field.kind == "rating"]
    names = ", ".join(_field_cell(field) for field in words)
    if ratings and not names:
        names = f"{counted(len(ratings), 'rating')}"
    elif ratings:
        names += f", {counted(len(ratings), 'rating')}"
    moves = "<br>".join(f"{code(field.name.removeprefix('ratings.'))} {_move(field)}" for field in ratings)
    return f"| {code(view.page)} | {names} | {moves} | {_findings_cell(view)} |\n"


def _field_cell(field: FieldView) -> str:
    if not field.insights:
        return code(field.name)
    counts = [(status, sum(insight.status == status for insight in field.insights)) for status in ("new", "changed", "gone")]
    return code(field.name) + f" ({', '.join(f'{number} {status}' for status, number in counts if number) or 'same'})"


def _findings_cell(view: PageView) -> str:
    names: dict[str, int] = {}
    for field in view.fields:
        for flag in field.flags:
            names[f"**{flag}**"] = names.get(f"**{flag}**", 0) + 1
        for finding in field.change.findings:
            name = code(finding_name(finding))
            names[name] = names.get(name, 0) + 1
    return ", ".join(f"{name} ×{number}" if number > 1 else name for name, number in names.items())


def _details(view: PageView) -> str:
    lines = [f"<details><summary><code>{_html(view.title)}</code> · {_html_code(view.path)}</summary>", ""]
    if view.note:
        lines += [code(view.note), ""]
    for field in view.fields:
        flags = f" ({', '.join(field.flags)})" if field.flags else ""
        state = "" if field.change.state == "pending" else f" [{field.change.state}]"
        if field.kind == "rating":
            reason = f" {code(field.change.reason)}" if field.change.reason else ""
            lines += [f"- {code(field.name)}: {_move(field)}{flags}{state}{reason}"]
            lines += [f"  - on the page now: {code(field.now) or '(nothing)'}"] if field.now is not None else []
            lines += [f"  - {finding}" for finding in _findings(field.findings)]
            continue
        lines += ["", f"{code(field.name)}{flags}{state}", ""]
        if field.insights:
            for insight in field.insights:
                lines += _insight(insight)
        else:
            lines += code_block(_removed_and_added(field))
            lines += _quotes(field.quotes)
        lines += [f"- on the page now: {code(field.now) or '(nothing)'}"] if field.now is not None else []
        lines += [f"- {finding}" for finding in _findings(field.findings)]
    lines += ["", "</details>", ""]
    return "\n".join(lines) + "\n"


def _move(field: FieldView) -> str:
    # Where something else than a number stood, it is page text: code as well.
    return rating_move(field) if field.move is not None or field.change.old is None else code(rating_move(field))


def _removed_and_added(field: FieldView) -> list[str]:
    old = "".join(text for mark, text in field.pieces if mark != "+")
    new = "".join(text for mark, text in field.pieces if mark != "-")
    return [*_wrapped("- ", old), *_wrapped("+ ", new)]


def _insight(insight: InsightView) -> list[str]:
    if insight.status == "same":
        return []
    old = "".join(text for mark, text in insight.pieces if mark != "+")
    new = "".join(text for mark, text in insight.pieces if mark != "-")
    scores = ", ".join(
        f"{score.name[0].upper()} {_figure(score.old)} → {_figure(score.new)}"
        if insight.status == "changed" and score.old != score.new
        else f"{score.name[0].upper()} {_figure(score.new if score.new is not None else score.old)}"
        for score in insight.scores
    )
    lines = [f"{insight.status}: {code(insight.kind)} ({scores})", ""]
    body = _wrapped("  ", new) if old == new else [*_wrapped("- ", old), *_wrapped("+ ", new)]
    return [*lines, *code_block(body), *_quotes(insight.quotes), *(f"- {finding}" for finding in _findings(insight.findings)), ""]


def _quotes(quotes: Sequence[Quoted]) -> list[str]:
    return [f"> {code(quote.quote)} {code(place_of(quote)) if place_of(quote) else ''}".rstrip() + "\n" for quote in quotes]


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{code(finding_name(finding))}: {code(finding.message)}"


def _wrapped(prefix: str, text: str) -> list[str]:
    if not text:
        return []
    text = escaped(_short(text)).replace("\t", " ")
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, _WRAP, break_on_hyphens=False) or [""]]
    return [prefix + line for line in lines]


def code(text: str) -> str:
    """`text` as one code span, also within a table cell; "" for empty text."""
    return code_span(_short(text))


def _html(text: str) -> str:
    # Within a line of HTML: entities for what would end it, and nothing for what starts markup after it.
    return html.escape(" ".join(printable(_short(text)).split()), quote=True)


def _html_code(text: str) -> str:
    return f"<code>{_html(text)}</code>"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text) - _LONGEST} more characters)"
