"""Proposals as a pull-request comment: a table first, details folded, always short enough to be posted.

All text of pages and models is in code (spans, fenced blocks, `<code>` with escaped characters): in code, forges ignore mentions, issue
numbers, commit hashes, addresses and markup. A fence is longer than any run of backticks inside it.
"""

from __future__ import annotations

import html
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from enrich.review.lines import Line, Span, field_heading, field_lines, move_spans
from enrich.review.proposals import NEEDS_LOOK, OVER_HUMAN, STALE
from enrich.review.views import FieldView, PageView, finding_name
from enrich.text import code_block, code_span, counted, escaped, printable

# GitHub takes 65,536 characters; the rest is for what a workflow adds around the comment.
LIMIT = 60_000
# The share of the limit that the table may use: some details are worth more than the last rows.
_TABLE_SHARE = 0.5
_WRAP = 110
# Room for the line that says what was cut.
_NOTICE = 400
# A longer value is cut.
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
    rows = _fitting((_row(view) for view in views), int(room * _TABLE_SHARE) - _size(head))
    parts = [head, *rows]
    details = _fitting((_details(view) for view in views[: len(rows)]), room - sum(map(_size, parts)) - _NOTICE)
    parts += ["\n", *details] if details else []
    cut = []
    if len(rows) < len(views):
        cut.append(f"{len(views) - len(rows)} of {len(views)} pages are not in the table")
    if len(details) < len(views):
        cut.append(f"the details of {len(views) - len(details)} of {len(views)} pages are left out")
    if cut:
        parts.append(f"\n**Cut to fit:** {'; '.join(cut)}. `enrich diff --format html` shows everything.\n")
    return "".join(parts)


def _fitting(texts: Iterable[str], room: int) -> list[str]:
    """The first texts that fit."""
    taken: list[str] = []
    for text in texts:
        room -= _size(text)
        if room < 0:
            break
        taken.append(text)
    return taken


def _size(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _summary(views: Sequence[PageView]) -> str:
    fields = [field for view in views for field in view.changes]
    flags = Counter(flag for field in fields for flag in field.flags)
    parts = [f"{counted(len(fields), 'field')} on {counted(len(views), 'page')}"]
    if flags[NEEDS_LOOK]:
        parts.append(f"{counted(flags[NEEDS_LOOK], 'field')} with findings that need a look")
    if flags[OVER_HUMAN]:
        parts.append(f"{flags[OVER_HUMAN]} over a person's value")
    if flags[STALE]:
        parts.append(f"{flags[STALE]} stale")
    return ", ".join(parts) + "."


def _row(view: PageView) -> str:
    ratings = [field for field in view.fields if field.kind == "rating"]
    names = [_field_cell(field) for field in view.fields if field.kind != "rating"]
    names += [counted(len(ratings), "rating")] if ratings else []
    moves = "<br>".join(f"{code(field.name.removeprefix('ratings.'))} {_inline(move_spans(field))}" for field in ratings)
    notes = Counter(f"**{flag}**" for field in view.fields for flag in field.flags)
    notes.update(code(finding_name(finding)) for field in view.fields for finding in field.change.findings)
    findings = ", ".join(f"{name} ×{times}" if times > 1 else name for name, times in notes.items())
    return f"| {code(view.id)} | {', '.join(names)} | {moves} | {findings} |\n"


def _field_cell(field: FieldView) -> str:
    if not field.insights:
        return code(field.name)
    counts = Counter(insight.status for insight in field.insights)
    return (
        code(field.name)
        + f" ({', '.join(f'{counts[status]} {status}' for status in ('new', 'changed', 'gone') if counts[status]) or 'same'})"
    )


def _details(view: PageView) -> str:
    parts = [f"<details><summary><code>{_html(view.title)}</code> · <code>{_html(view.path)}</code></summary>", ""]
    parts += [code(view.note), ""] if view.note else []
    for field in view.fields:
        inside = "  " if field.kind == "rating" else ""
        for line in (field_heading(field), *field_lines(field)):
            parts += _printed(line, inside)
    return "\n".join([*parts, "", "</details>", ""]).replace("\n\n\n", "\n\n") + "\n"


def _printed(line: Line, inside: str) -> list[str]:
    """The Markdown of one line; `inside` is the indent of remarks in a list item."""
    if line.role == "same":
        return []
    if line.role == "diff":
        old, new = ("".join(span.text for span in line.spans if span.style != other and not span.ours) for other in ("come", "gone"))
        if old == new:
            return code_block(_wrapped("  ", new))
        return code_block([*_wrapped("- ", old), *_wrapped("+ ", new)])
    text = _inline(line.spans)
    if line.role in ("rating", "remark"):
        return [f"{inside if line.role == 'remark' else ''}- {text}"]
    if line.role == "quote":
        return [f"> {text}", ""]
    return ["", text, ""]


def _inline(spans: Iterable[Span]) -> str:
    return "".join(span.text if span.ours else code(span.text) for span in spans)


def _wrapped(prefix: str, text: str) -> list[str]:
    if not text:
        return []
    text = escaped(_short(text)).replace("\t", " ")
    return [prefix + line for part in text.split("\n") for line in textwrap.wrap(part, _WRAP, break_on_hyphens=False) or [""]]


def code(text: str) -> str:
    """`text` as one code span, also within a table cell; "" for empty text."""
    return code_span(_short(text))


def _html(text: str) -> str:
    """`text` on one line within HTML: entities for what would end it."""
    return html.escape(" ".join(printable(_short(text)).split()), quote=True)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text) - _LONGEST} more characters)"
