"""The terminal review's screens as plain lines of styled text: pure, so that every one can be tested without a terminal.

Everything from pages and models goes through `clean`: no control character reaches a line. Without colour, words that went and came stand in
`[-…-]` and `{+…+}`, as in `git diff --word-diff`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size

from enrich.grounding import Finding
from enrich.review.editing import Candidate
from enrich.review.formats.word import place_of, rating_move
from enrich.review.proposals import FieldChange
from enrich.review.review_session import ReviewSession
from enrich.review.views import FieldView, InsightView, PageView, as_text, provenance
from enrich.review.words import Piece, word_diff
from enrich.text import counted, escaped

Span = tuple[str, str]
"""Text and its style: "", `bold`, `dim`, `gone`, `come`, `warn`, `good`, `bad`, `cursor`."""
Line = tuple[Span, ...]

# Below this a list of fields, a line of keys and a few words of detail do not fit.
SMALLEST = (40, 12)
KEYS: Mapping[str, str] = {
    "y": "accept this field",
    "n": "reject it (the page's words stay)",
    "e": "edit the value in $VISUAL or $EDITOR",
    "s": "skip it for now",
    "i": "choose single insights",
    "o": "take the proposed value over words that moved on the page",
    "u": "undo the last decision",
    "a d": "accept, reject the rest of this page",
    "Y N S": "accept, reject, skip all the rest (asks first)",
    "j k": "next, previous field (also the arrow keys)",
    "J K": "next, previous page",
    "space b": "more of this field, back",
    "r": "read page and proposal again",
    "?": "these keys",
    "q": "quit; every decision is kept (also Ctrl-C, Ctrl-D)",
}


def clean(text: object) -> str:
    """Anything as one line of text without a single control character."""
    return " ".join(escaped(str(text)).split())


def wrapped(spans: Iterable[Span], width: int, *, indent: int = 0, plain: bool = False) -> list[Line]:
    """Spans folded at blanks into lines of at most `width` cells, each after `indent` blanks."""
    room = max(width - indent, 8)
    lines: list[list[Span]] = [[]]
    used = 0
    for text, style in spans:
        for token in re.findall(r"\s+|\S+", text):
            if token.isspace():
                if 0 < used < room:
                    lines[-1].append((" ", style if style in ("gone", "come") and not plain else ""))
                    used += 1
                continue
            for part in _fitting(token, room):
                size = cell_len(part)
                if used + size > room and used:
                    lines.append([])
                    used = 0
                lines[-1].append((part, style))
                used += size
    return [((" " * indent, ""), *line) for line in lines if line] or [()]


def _fitting(token: str, room: int) -> Iterator[str]:
    while cell_len(token) > room:
        cut = 1
        while cut < len(token) and cell_len(token[: cut + 1]) <= room:
            cut += 1
        yield token[:cut]
        token = token[cut:]
    yield token


def cut(line: Line, width: int) -> Line:
    """The line, at most `width` cells wide."""
    kept: list[Span] = []
    left = width
    for text, style in line:
        size = cell_len(text)
        if size > left:
            kept.append((set_cell_size(text, max(left - 1, 0)) + "…" if left > 0 else "", style))
            break
        kept.append((text, style))
        left -= size
    return tuple(kept)


def marked(pieces: Iterable[Piece], *, plain: bool, only: str = "=-+") -> list[Span]:
    """A word diff as spans; `only` leaves out one side."""
    spans: list[Span] = []
    for mark, raw in pieces:
        if mark not in only:
            continue
        text = escaped(raw).replace("\n", " ").replace("\t", " ")
        if mark == "=":
            spans.append((text, ""))
        elif plain:
            inner = text.strip()
            lead, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
            spans.append((f"{lead}[-{inner}-]{tail}" if mark == "-" else f"{lead}{{+{inner}+}}{tail}", "gone" if mark == "-" else "come"))
        else:
            spans.append((text, "gone" if mark == "-" else "come"))
    return spans


def _word_lines(pieces: Sequence[Piece], width: int, *, indent: int = 0, plain: bool) -> list[Line]:
    """A word diff folded; where nothing is common, one text after the other."""
    parts = [[piece] for piece in pieces] if [mark for mark, _ in pieces] == ["-", "+"] else [pieces]
    return [line for part in parts for line in wrapped(marked(part, plain=plain), width, indent=indent, plain=plain)]


# The screen of one page


def page_screen(
    session: ReviewSession, width: int, height: int, *, scroll: int, plain: bool, footer: Sequence[Line] = ()
) -> tuple[list[Line], int]:
    """The lines of the page under the cursor, `height` of them at most, and how far its detail can be scrolled."""
    _, view = session.shown
    head = _head(session, view, width)
    foot = list(footer) or [*wrapped([(clean(session.message), "bold")], width)[:2], ((_key_line(session), "dim"),)]
    rows = _rows(session, view)
    # The fields' rows may take half of what is left; a long list moves with the cursor.
    most = max(1, min(len(rows), (height - len(head) - len(foot) - 2) // 2 if len(rows) > 6 else len(rows)))
    most = max(1, min(most, height - len(head) - len(foot) - 4))
    first = min(max(session.field_at - most // 2, 0), len(rows) - most)
    rule: Line = (("─" * width, "dim"),)
    detail = detail_lines(session, view.fields[session.field_at], width, plain=plain)
    room = max(1, height - len(head) - len(foot) - most - 2)
    furthest = max(0, len(detail) - room)
    scroll = min(scroll, furthest)
    part = detail[scroll : scroll + room]
    if scroll < furthest:
        part[-1] = ((f"… {len(detail) - scroll - room + 1} more lines: space", "dim"),)
    part += [()] * (room - len(part))
    lines = [*head, *rows[first : first + most], rule, *part, rule, *foot]
    return [cut(line, width) for line in lines[:height]], furthest


def _head(session: ReviewSession, view: PageView, width: int) -> list[Line]:
    counts = session.counts()
    place = f"{session.page_at + 1}/{len(session.proposals)}"
    total = sum(counts.values())
    left = f"{total - counts['open'] - counts['skipped']} of {total} fields decided"
    title = clean(f"{view.page}  {view.path}")
    free = width - cell_len(place) - cell_len(left) - 4
    if cell_len(title) > free:
        title = cut(((title, ""),), max(free, 0))[0][0]
    gap = " " * max(1, width - cell_len(place) - cell_len(title) - cell_len(left) - 2)
    lines: list[Line] = [((place, "bold"), ("  ", ""), (title, "bold"), (gap, ""), (left, "dim"))]
    if view.note:
        lines += wrapped([(clean(f"stale: {view.note}"), "warn")], width)[:2]
    lines.append((("─" * width, "dim"),))
    return lines


def _rows(session: ReviewSession, view: PageView) -> list[Line]:
    """The fields as a table: name, what was decided, what changes, what to look at."""
    names = [clean(field.name) for field in view.fields]
    sums = [summary_of(field) for field in view.fields]
    name_width, sum_width = (max(map(cell_len, column), default=0) for column in (names, sums))
    rows: list[Line] = []
    for at in range(len(view.fields)):
        field, change = view.fields[at], view.fields[at].change
        status = change.status
        word = "edited" if change.edited and status in ("accepted", "open") else "" if status == "open" else status
        style = {"accepted": "good", "rejected": "bad", "open": "", "skipped": "dim"}[status]
        flags = [clean(flag) for flag in field.flags]
        if session.shown[0].moved(change):
            flags = ["moved" if flag == "stale" else flag for flag in flags]
        if change.findings:
            flags.append(f"{len(change.findings)} finding{'s' if len(change.findings) > 1 else ''}")
        here = at == session.field_at
        rows.append(
            (
                ("> " if here else "  ", "bold"),
                (names[at] + " " * (name_width - cell_len(names[at]) + 1), "cursor" if here else ""),
                (f"{word:<9} ", style),
                (sums[at] + " " * (sum_width - cell_len(sums[at]) + 1), ""),
                (" ".join(flags), "warn"),
            )
        )
    return rows


def summary_of(field: FieldView) -> str:
    """What a field's change amounts to, in a few words."""
    if field.kind == "rating":
        return clean(rating_move(field))
    if field.kind == "insights":
        counts = [(sum(one.status == word for one in field.insights), word) for word in ("new", "changed", "same", "gone")]
        return ", ".join(f"{number} {word}" for number, word in counts if number)
    came = sum(len(text.split()) for mark, text in field.pieces if mark == "+")
    gone = sum(len(text.split()) for mark, text in field.pieces if mark == "-")
    return f"new, {came} words" if field.change.old is None else f"+{came} −{gone} words"


def detail_lines(session: ReviewSession, field: FieldView, width: int, *, plain: bool) -> list[Line]:
    """All about one field: the change, why to trust it, where it comes from, what was decided."""
    change = field.change
    lines: list[Line] = []
    if session.moved:
        lines += _three_way(session, change, width, plain=plain)
    elif field.kind == "rating":
        lines += wrapped([(clean(rating_move(field)), "bold")], width)
    elif field.kind == "insights":
        for insight in field.insights:
            lines += insight_lines(insight, width, plain=plain)
    else:
        lines += _word_lines(field.pieces, width, plain=plain)
    if change.reason:
        lines += wrapped([(clean(f"because: {change.reason}"), "")], width, indent=2)
    lines += _evidence(field.quotes, width, 2)
    lines += _findings(field.findings, width, 2)
    lines += _words_of_persons(change, width, plain=plain)
    lines += wrapped([(clean(provenance(change, age(change.asked, session.now()))), "dim")], width)
    return lines


def insight_lines(insight: InsightView, width: int, *, plain: bool) -> list[Line]:
    """One insight, old beside new: what stands on the page left, what is proposed right."""
    kind = insight.kind if insight.kind == insight.kind_was or not insight.kind_was else f"{insight.kind_was} → {insight.kind}"
    scores = " ".join(
        f"{score.name[0].upper()} {_figure(score.old)}"
        if insight.status == "gone"
        else f"{score.name[0].upper()} {_figure(score.new)}"
        if insight.status == "new" or score.old == score.new
        else f"{score.name[0].upper()} {_figure(score.old)}→{_figure(score.new)}"
        for score in insight.scores
    )
    number = f"{insight.index + 1}. " if insight.index >= 0 else ""
    style = {"new": "come", "gone": "gone"}.get(insight.status, "bold")
    lines: list[Line] = [((f"{number}{insight.status}", style), (" " + clean(f"{kind} {scores}"), ""))]
    if insight.status == "changed":
        column = (width - 3) // 2
        old, new = (wrapped(marked(insight.pieces, plain=plain, only=side), column, plain=plain) for side in ("=-", "=+"))
        for at in range(max(len(old), len(new))):
            left, right = (side[at] if at < len(side) else () for side in (old, new))
            lines.append((*_padded(left, column), (" │ ", "dim"), *right))
    else:
        text = clean("".join(piece for _, piece in insight.pieces))
        lines += wrapped([(text, "" if plain else {"gone": "gone", "new": "come"}.get(insight.status, ""))], width, indent=2, plain=plain)
    if insight.status != "same":
        lines += _evidence(insight.quotes, width, 2)
    return lines + _findings(insight.findings, width, 2)


def _padded(line: Line, width: int) -> Line:
    return (*line, (" " * max(0, width - sum(cell_len(text) for text, _ in line)), ""))


def _three_way(session: ReviewSession, change: FieldChange, width: int, *, plain: bool) -> list[Line]:
    """A field that was changed on its page after it was asked about: what stood there, what stands there, what is proposed."""
    then, now, new = (value_text(value) for value in (change.old, session.shown[0].now(change), change.new))
    lines: list[Line] = [
        (("This field was changed on the page since it was asked about. n keeps the page's words, o takes the proposed.", "warn"),)
    ]
    for name, before, text in (("then", "", then), ("page now", then, now), ("proposed", now, new)):
        pieces = word_diff(before, text) if name != "then" else [("=", text)]
        lines.append(((f"{name}:", "bold"),))
        lines += wrapped(marked(pieces, plain=plain) if text or before else [("(nothing)", "dim")], width, indent=2, plain=plain)  # type: ignore[arg-type]
    return [part for line in lines for part in (wrapped(line, width) if sum(cell_len(text) for text, _ in line) > width else [line])]


def value_text(value: Any) -> str:
    """Any field's value as text a person can compare."""
    if isinstance(value, list):
        parts = []
        for number, item in enumerate(value, 1):
            if isinstance(item, Mapping):
                scores = " ".join(
                    f"{name[0].upper()} {item[name]:g}" for name in ("surprising", "important", "actionable") if _is_number(item.get(name))
                )
                parts.append(f"{number}. {as_text(item.get('text'))} ({as_text(item.get('type'))} {scores})")
            else:
                parts.append(f"{number}. {as_text(item)}")
        return " ".join(parts)
    return f"{value:g}" if _is_number(value) else as_text(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _evidence(quotes: Iterable[Any], width: int, indent: int) -> list[Line]:
    lines: list[Line] = []
    for quote in quotes:
        place = place_of(quote)
        spans: list[Span] = [(f"» {clean(quote.quote)}", ""), (f" ({clean(place)})" if place else "", "dim" if quote.found else "warn")]
        lines += wrapped(spans, width, indent=indent)
    return lines


def _findings(findings: Iterable[Finding], width: int, indent: int) -> list[Line]:
    lines: list[Line] = []
    for finding in findings:
        hard = finding.severity == "hard"
        lines += wrapped([(clean(f"! {finding.severity}: {finding.message}"), "bad" if hard else "warn")], width, indent=indent)
    return lines


def _words_of_persons(change: FieldChange, width: int, *, plain: bool) -> list[Line]:
    """What persons made of this change: decisions, edits, and earlier words that wait to be seen."""
    lines: list[Line] = []
    if change.edited:
        how = change.edited.how
        said_how = "edited" if how == "edit" else "taken over the page's words" if how == "over" else how
        lines += wrapped([(clean(f"{said_how} by {change.edited.by} ({change.edited.when}); it was proposed as:"), "dim")], width)
        pieces = word_diff(value_text(change.new), value_text(change.edited.proposed.new))
        lines += _word_lines(pieces, width, indent=2, plain=plain)
    if change.decided:
        word = "skipped" if change.status == "skipped" else change.decision or change.state
        lines += wrapped([(clean(f"{word}: {change.decided.get('by')}, {change.decided.get('when')}"), "dim")], width)
    return lines


def age(then: str, now: str) -> str:
    """How long ago an ISO time was: `3 hours ago`; the time itself where it is none."""
    try:
        seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds()
    except (ValueError, TypeError):
        return then
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{counted(number, name)} ago"
    return "just now"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _key_line(session: ReviewSession) -> str:
    change = session.change
    extra = [
        *(["i insights"] if change.stage == "insights" else []),
        *(["o over"] if session.moved else []),
    ]
    moves = ["j/k field", "J/K page"] if not extra else ["j/k", "J/K"]
    return "  ".join(["y accept", "n reject", "e edit", *extra, "s skip", "u undo", *moves, "? keys", "q quit"])


# Other screens


def help_screen(width: int, height: int) -> list[Line]:
    """What each key does."""
    lines: list[Line] = [(("Keys", "bold"),)]
    lines += [((f"  {keys:<8}", "bold"), (what, "")) for keys, what in KEYS.items()]
    lines += [(), (("Any key goes back.", "dim"),)]
    return [cut(line, width) for line in lines[:height]]


def insights_screen(
    session: ReviewSession, listed: Sequence[Candidate], taken: Sequence[bool], width: int, height: int, *, scroll: int
) -> tuple[list[Line], int]:
    """The insights to choose from: those proposed, and those on the page that would go."""
    _, view = session.shown
    views = {one.index: one for one in view.fields[session.field_at].insights}
    head: list[Line] = [
        ((clean(f"Insights of {view.page}: which shall stand on the page?"), "bold"),),
        (("─" * width, "dim"),),
    ]
    body: list[Line] = []
    for number, (one, chosen) in enumerate(zip(listed, taken, strict=True), 1):
        scores = " ".join(
            f"{name[0].upper()} {one.insight[name]:g}"
            for name in ("surprising", "important", "actionable")
            if _is_number(one.insight.get(name))
        )
        where = "proposed" if one.proposed else "on the page, would go"
        body.append(
            (
                (f"{number % 10} [{'x' if chosen else ' '}] ", "bold"),
                (clean(f"{where}: {as_text(one.insight.get('type'))} {scores}"), "good" if chosen else ""),
            )
        )
        body += wrapped([(clean(as_text(one.insight.get("text"))), "")], width, indent=6)
        if one.number is not None and one.number in views:
            body += _evidence(views[one.number].quotes, width, 6)
            body += _findings(views[one.number].findings, width, 6)
    foot: list[Line] = [
        *wrapped([(clean(session.message), "bold")], width)[:2],
        (("1-9, 0 take or leave one  enter take these  esc back  space more  b back up", "dim"),),
    ]
    room = max(1, height - len(head) - len(foot))
    furthest = max(0, len(body) - room)
    scroll = min(scroll, furthest)
    part = body[scroll : scroll + room]
    if scroll < furthest:
        part[-1] = ((f"… {len(body) - scroll - room + 1} more lines: space", "dim"),)
    part += [()] * (room - len(part))
    return [cut(line, width) for line in (*head, *part, *foot)], furthest
