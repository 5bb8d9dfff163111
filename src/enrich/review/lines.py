"""Proposals as lines of styled spans, and the ways to print them: plain, with colours, as a pull-request comment in Markdown.

Every text form of `enrich diff` and the terminal application show these lines. Spans are text of pages and models unless marked as ours: control
characters become visible escapes, and Markdown puts such text into code (spans, fenced blocks, `<code>` with escaped characters), where forges
ignore mentions, issue numbers, commit hashes, addresses and markup. A comment has a table first, details folded, and is always short enough to be
posted.
"""

from __future__ import annotations

import difflib
import html
import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

from enrich.grounding import Finding
from enrich.review.applying import edited, obstacle
from enrich.review.lock import Lock, LockFile
from enrich.review.proposals import LEAP, NEEDS_LOOK, OVER_HUMAN, STALE, ItemStatus
from enrich.review.views import FieldView, InsightView, PageView, Piece, QuoteView, as_text, finding_name, lines_text, value_text, word_diff
from enrich.stages.fields import INSIGHTS
from enrich.text import age, code_block, code_span, counted, escaped, printable
from enrich.wiki.frontmatter.spans import BOM, EditRefused, find_fences
from enrich.wiki.wiki import Wiki

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {
    "bold": "bold",
    "dim": "dim",
    "gone": "red strike",
    "come": "green underline",
    "bad-come": "red underline",
    "bad-kept": "red underline",
    "removed": "red",
    "added": "green",
    "place": "cyan",
    "warn": "yellow",
    "bad": "red",
    "good": "green",
}
_FILE_STYLES = {"-": "removed", "+": "added", "@": "place"}
_SIGNS = {"new": "+", "changed": "~", "same": "=", "gone": "-"}


class Span(NamedTuple):
    """A piece of a line; `style` is a key of `STYLES` or "". `ours`: the text is not from a page or a model."""

    text: str
    style: str = ""
    ours: bool = False


def ours(text: str, style: str = "") -> Span:
    return Span(text, style, ours=True)


Role = Literal["page", "note", "file", "field", "rating", "insight", "same", "diff", "quote", "remark"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line before it is folded. `role` is what it says (`same`: about an insight that does not change); Markdown prints each role in
    its own way, and without the `sign` that text forms begin with.
    """

    role: Role
    spans: tuple[Span, ...]
    indent: int = 0
    sign: str = ""


def file_texts(wiki: Wiki, views: Iterable[PageView], *, coloured: bool) -> Iterator[str]:
    """The form `text`: for each page the lines that its file would change, then flags, findings and edits."""
    lock = wiki.shared(LockFile).read()
    for view in views:
        yield printed(file_lines(wiki, lock, view), width=100, coloured=coloured) + "\n"


def word_texts(views: Iterable[PageView], *, coloured: bool, width: int = 100) -> Iterator[str]:
    """The form `word`: each page word by word, folded at `width` columns."""
    for view in views:
        fields = (line for field in view.fields for line in (field_heading(field), *field_lines(field)))
        yield printed((*page_heading(view), *fields), width=width, coloured=coloured) + "\n"


# What the lines say


def file_lines(wiki: Wiki, lock: Lock, view: PageView) -> Iterator[Line]:
    """A page as a unified diff of its file, with the flags, findings and edits of its fields."""
    yield from page_heading(view)
    for text in _unified(wiki, lock, view):
        yield Line("file", (Span(text, _FILE_STYLES.get(text[:1], "")),))
    for field in view.changes:
        remarks = [*_findings(field.change.findings, 4), *_edit(field)]
        if remarks or field.flags or field.change.state != "pending":
            yield field_heading(field)
            yield from remarks


def _unified(wiki: Wiki, lock: Lock, view: PageView) -> Sequence[str]:
    """The lines that the page's file would change, with every change that can be applied."""
    page = view.page
    if page is None:
        return []
    fitting = [field.change for field in view.changes if field.change.state != "rejected" and obstacle(page, [field.change]) is None]
    try:
        raw, _ = edited(wiki, page, lock, fitting)
    except EditRefused as error:
        return [f"! cannot be written: {error.reason}"]
    fields, path = page.file.fields, view.path
    if fields.sidecars is not None:
        path = os.path.relpath(page.file.store, wiki.config.root)
    old, new = (data.decode("utf-8", "replace") for data in (page.store_bytes, raw))
    if fields.sidecars is None:  # only the frontmatter can change, and bodies are long
        old, new = (text[: fences.body if (fences := find_fences(text, text.startswith(BOM))) else 0] for text in (old, new))
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), f"a/{path}", f"b/{path}", n=1, lineterm=""))


def page_heading(view: PageView) -> Iterator[Line]:
    yield Line("page", (Span(view.id, "bold"), ours("  "), Span(view.path, "dim")))
    if view.note:
        yield Line("note", (Span(view.note, "warn"),), 2)


def field_heading(field: FieldView) -> Line:
    """`ratings.rigor: 4 → 5.5 (+1.5) [accepted] ! over-human`"""
    rating = field.kind == "rating"
    spans = [Span(field.name, "bold"), *([ours(": "), *move_spans(field)] if rating else [])]
    if field.change.state != "pending":
        spans.append(ours(f" [{field.change.state}]"))
    if field.flags:
        spans += [ours(" ! ", "warn"), Span(", ".join(field.flags), "warn")]
    return Line("rating" if rating else "field", tuple(spans), 2)


def move_spans(field: FieldView) -> list[Span]:
    """`4 → 5.5 (+1.5)`; `(none) → 5.5` if there was no value; `5.5 ±0.8` if its spread matters."""
    old, new, move = field.change.old, as_text(field.change.new), field.change.move
    around = _margin(field.margin)
    if move is None:
        return [ours("(none)") if old is None else Span(as_text(old)), ours(f" → {new}{around}")]
    change = "=" if move == 0 else f"{move:+g}"
    return [ours(f"{old:g} → {float(new):g}{around} ({change})".replace("-", "−"))]


def field_summary(field: FieldView) -> str:
    """What changes in a field, in a few words."""
    if field.kind == "rating":
        return rich_text(Line("rating", tuple(move_spans(field))), plain=True).plain
    if field.kind == "insights":
        return insight_counts(field, "new", "changed", "same", "gone")
    come, gone = (sum(len(text.split()) for mark, text in field.pieces if mark == side) for side in "+-")
    return f"new, {come} words" if field.change.old is None else f"+{come} −{gone} words"


def _margin(margin: float | None) -> str:
    return "" if margin is None else f" ±{margin:g}"


def field_lines(field: FieldView) -> Iterator[Line]:
    """The change of one field, and what speaks for and against it."""
    if field.pieces:
        yield _diff(field.pieces, 4)
    for insight in field.insights:
        yield from insight_lines(insight)
    if field.edited_on_page:
        yield Line(
            "remark", (ours("on the page now: ", "warn"), Span(value_text(field.current)) if field.current else ours("(nothing)")), 4
        )
    if field.interval:
        yield Line("remark", (ours(field.interval, "dim"),), 4)
    if field.change.reason:
        yield Line("remark", (ours("because: ", "dim"), Span(field.change.reason, "dim")), 4)
    yield from quote_lines(field.quotes, 4)
    yield from _findings(field.findings, 4)
    yield from _edit(field)


def insight_counts(field: FieldView, *statuses: ItemStatus) -> str:
    """`2 new, 1 changed`: how many insights have these statuses."""
    counts = Counter(insight.status for insight in field.insights)
    return ", ".join(f"{counts[status]} {status}" for status in statuses if counts[status])


def insight_lines(insight: InsightView) -> Iterator[Line]:
    kinds = dict.fromkeys(kind for kind in (insight.old_kind, insight.kind) if kind)
    spans = [span for kind in kinds for span in (ours(" → "), Span(kind))][1:]
    same = insight.status == "same"
    head = [ours(f"{insight.status}: "), *spans, ours(f" ({_scores(insight)})")]
    if not same:
        head.append(ours(f" {INSIGHTS}.{insight.id}", "dim"))
    if insight.decision:
        head.append(ours(f" [{insight.decision}ed]", "bad" if insight.decision == "reject" else "good"))
    yield Line("same" if same else "insight", tuple(head), 4, _SIGNS[insight.status])
    if insight.pieces:
        yield Line("same", tuple(Span(text) for _, text in insight.pieces), 6) if same else _diff(insight.pieces, 6)
    if not same:
        yield from quote_lines(insight.quotes, 6)
    yield from _findings(insight.findings, 6)


def _scores(insight: InsightView) -> str:
    """`S 3 → 4, I 2, A 3.5 ±0.5`"""
    parts = []
    for score in insight.scores:
        old, new = ("–" if value is None else f"{value:g}" for value in (score.old, score.new))
        figures = f"{old} → {new}" if insight.status == "changed" and old != new else old if insight.status == "gone" else new
        parts.append(f"{score.name[0].upper()} {figures}{_margin(score.margin if insight.status in ('new', 'changed') else None)}")
    return ", ".join(parts)


def quote_lines(quotes: Iterable[QuoteView], indent: int) -> Iterator[Line]:
    for quote in quotes:
        place = [ours(lines_text(*quote.lines), "dim")] if quote.lines[0] else []
        if quote.section and quote.found:
            place += [ours(", ", "dim")] * bool(place) + [Span(quote.section, "dim")]
        elif not quote.found:
            place = [ours("not on the page", "warn")]
        around = [ours(" (", "dim"), *place, ours(")", "dim")] if place else []
        yield Line("quote", (Span(quote.quote), *around), indent, "»")


def _findings(findings: Iterable[Finding], indent: int) -> Iterator[Line]:
    for finding in findings:
        style = "bad" if finding.severity == "hard" else "warn"
        yield Line("remark", (Span(finding_name(finding), style), ours(": ", style), Span(finding.message, style)), indent, "!")


def _edit(field: FieldView) -> Iterator[Line]:
    """Who changed the proposed value, and what it was before."""
    if edit := field.change.edited:
        spans = (Span(edit.how, "dim"), ours(" by ", "dim"), Span(edit.by, "dim"), ours(" (", "dim"), Span(edit.when, "dim"), ours("); "))
        yield Line("remark", (*spans, ours("it was proposed as:", "dim")), 4)
        yield _diff(word_diff(value_text(field.change.new), value_text(edit.proposed.new)), 6)


def history_lines(field: FieldView, now: str) -> Iterator[Line]:
    """Who decided, and where the value comes from; `now` is an ISO time."""
    change = field.change
    if change.decision:
        what = "skipped" if change.decision == "skip" else change.decision
        why = f" ({change.decided['reason']})" if change.decided.get("reason") else ""
        yield Line("remark", (Span(f"{what}{why}: {change.decided.get('by')}, {change.decided.get('when')}", "dim"),), 4)
    if change.note:
        yield Line("remark", (ours("note: ", "warn"), Span(change.note)), 4)
    yield Line("remark", (Span(field.provenance(age(change.asked, now)), "dim"),), 4)
    if field.chance is not None:
        yield Line("remark", (ours(str(field.chance), "dim"),), 4)


def _diff(pieces: Sequence[Piece], indent: int) -> Line:
    styles = {"=": "", "-": "gone", "+": "come", "=!": "bad-kept", "+!": "bad-come"}
    spans = [Span(text, styles[mark]) for mark, text in pieces]
    if pieces and pieces[0][0] == "-" and len(pieces) > 1 and all(mark[0] == "+" for mark, _ in pieces[1:]):
        spans.insert(1, ours("\n"))  # nothing in common: one text below the other
    return Line("diff", tuple(spans), indent)


# How they are printed


def rich_text(line: Line, *, plain: bool) -> Text:
    """The line for rich and Textual, without its indent. `plain`: words that go and come are `[-marked-]` and `{+marked+}` as well."""
    from rich.text import Text

    made = Text(f"{line.sign} " if line.sign else "")
    for span in _plain_spans(line.spans) if plain else line.spans:
        text = span.text if span.ours else escaped(span.text) if line.role == "file" else printable(span.text)
        if plain and span.style in ("gone", "come"):
            inner = text.strip()
            text = text.replace(inner, f"[-{inner}-]" if span.style == "gone" else f"{{+{inner}+}}", 1) if inner else text
        made.append(text, STYLES.get(span.style))
    return made


def _plain_spans(spans: Sequence[Span]) -> Iterator[Span]:
    """The spans without the marks of unsupported words, which are colours only."""
    for (style, by_us), run in groupby(spans, lambda span: (span.style.removeprefix("bad-").removeprefix("kept"), span.ours)):
        yield Span("".join(span.text for span in run), style, by_us)


def printed(lines: Iterable[Line], *, width: int, coloured: bool) -> str:
    """The lines folded at `width` columns (lines of files are not folded), with ANSI colours or without."""
    from rich.console import Console
    from rich.text import Text

    out = StringIO()
    console = Console(file=out, force_terminal=coloured, color_system="standard" if coloured else None, width=width, highlight=False)
    for line in lines:
        text = rich_text(line, plain=not coloured)
        for part in [text] if line.role == "file" else text.wrap(console, width - line.indent):
            if line.role != "file":
                part.rstrip()
            whole = Text(" " * line.indent) + part
            if coloured:
                console.print(whole, soft_wrap=True)
            else:
                out.write(whole.plain + "\n")
    return out.getvalue()


# GitHub takes 65,536 characters; the rest is for what a workflow adds around the comment.
LIMIT = 60_000
# The share of the limit that the table may use: some details are worth more than the last rows.
_TABLE_SHARE = 0.5
_WRAP = 110
# Room for the line that says what was cut.
_NOTICE = 400
# A longer value is cut.
_LONGEST = 4000


def markdown_comment(views: Sequence[PageView], *, limit: int = LIMIT) -> str:
    """The comment: fewer than `limit` characters (UTF-16 units, as forges count), with a line that says what was cut."""
    lead = f"### Proposed changes\n\n{_summary(views)}\n"
    return lead + comment_body(views, room=limit - _size(lead) - 1)


def comment_body(views: Sequence[PageView], *, room: int) -> str:
    """Table and folded details in fewer than `room` characters."""
    if not views:
        return "\nNothing is proposed.\n" if room > 30 else ""
    head = "\n| page | fields | ratings | findings |\n|---|---|---|---|\n"
    rows = fitting((_row(view) for view in views), int(room * _TABLE_SHARE) - _size(head))
    parts = [head, *rows]
    details = fitting((_details(view) for view in views[: len(rows)]), room - sum(map(_size, parts)) - _NOTICE)
    parts += ["\n", *details] if details else []
    cut = []
    if len(rows) < len(views):
        cut.append(f"{len(views) - len(rows)} of {len(views)} pages are not in the table")
    if len(details) < len(views):
        cut.append(f"the details of {len(views) - len(details)} of {len(views)} pages are left out")
    if cut:
        parts.append(f"\n**Cut to fit:** {'; '.join(cut)}. `enrich diff --format html` shows everything.\n")
    return "".join(parts)


def fitting(texts: Iterable[str], room: int) -> list[str]:
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
    words = {
        NEEDS_LOOK: f"{counted(flags[NEEDS_LOOK], 'field')} with findings that need a look",
        OVER_HUMAN: f"{flags[OVER_HUMAN]} over a person's value",
        LEAP: f"{counted(flags[LEAP], 'rating')} that {'leaps' if flags[LEAP] == 1 else 'leap'}",
        STALE: f"{flags[STALE]} stale",
    }
    whole = f"{counted(len(fields), 'field')} on {counted(len(views), 'page')}"
    return ", ".join([whole, *(text for flag, text in words.items() if flags[flag])]) + "."


def _row(view: PageView) -> str:
    ratings = [field for field in view.fields if field.kind == "rating"]
    names = [_field_cell(field) for field in view.fields if field.kind != "rating"]
    names += [counted(len(ratings), "rating")] if ratings else []
    moves = "<br>".join(f"{code(field.name.removeprefix('ratings.'))} {inline(move_spans(field))}" for field in ratings)
    notes = Counter(f"**{flag}**" for field in view.fields for flag in field.flags)
    notes.update(code(finding_name(finding)) for field in view.fields for finding in field.change.findings)
    findings = ", ".join(f"{name} ×{times}" if times > 1 else name for name, times in notes.items())
    return f"| {code(view.id)} | {', '.join(names)} | {moves} | {findings} |\n"


def _field_cell(field: FieldView) -> str:
    return f"{code(field.name)} ({insight_counts(field, 'new', 'changed', 'gone') or 'same'})" if field.insights else code(field.name)


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
        old, new = (
            "".join(span.text for span in line.spans if not span.style.endswith(other) and not span.ours) for other in ("come", "gone")
        )
        if old == new:
            return code_block(_wrapped("  ", new))
        return code_block([*_wrapped("- ", old), *_wrapped("+ ", new)])
    text = inline(line.spans)
    if line.role in ("rating", "remark"):
        return [f"{inside if line.role == 'remark' else ''}- {text}"]
    if line.role == "quote":
        return [f"> {text}", ""]
    return ["", text, ""]


def inline(spans: Iterable[Span]) -> str:
    """Spans as inline Markdown: text of pages and models as code."""
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
