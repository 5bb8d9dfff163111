"""The Page Status card for a terminal: rich where there is one, plain lines where there is none."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from enrich.records.card import MAX_SCORE, TOP_INSIGHTS, Card, CardInsight, Importance
from enrich.records.card_words import Light, number_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_STYLE: dict[Light, str] = {"green": "green", "amber": "yellow", "red": "red"}
_MARK: dict[Light, str] = {"green": "✓", "amber": "~", "red": "✗"}


def card_text(card: Card, *, width: int = 100, brief: bool = False) -> str:
    """The card as plain text without colours or control sequences, lines of at most `width` columns; `brief`: without the record."""
    from rich.console import Console

    page = io.StringIO()
    plain = Console(file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False, highlight=False)
    print_card(card, plain, brief=brief)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n"


def print_card(card: Card, console: Console, *, brief: bool = False) -> None:
    """The card on a console, which knows its width and whether it can show colours; `brief`: without the record below it."""
    for part in _status(card):
        console.print(part)
    if not brief:
        for part in _record(card):
            console.print(part)


def _status(card: Card) -> Iterable[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text.assemble((card.title, "bold"), ("  Page Status", "dim"))
    yield Text(f"{card.id} · {card.path}", style="dim")
    yield Text()
    yield _facts(_status_rows(card))
    if card.summary:
        yield Text("\nLLM Summary", style="bold")
        yield Padding(Text(card.summary), (0, 0, 0, 2))
    if card.insight_count:
        yield Text(f"\nCritical Insights ({card.insight_count})", style="bold")
        for insight in card.insights[:TOP_INSIGHTS]:
            yield Padding(_insight(insight), (0, 0, 0, 2))
    if card.issues:
        yield Text(f"\nIssues ({len(card.issues)})", style="bold")
        for issue in card.issues:
            mark, style = ("!", "yellow") if issue.severity == "warning" else ("i", "cyan")
            yield Padding(Text.assemble((f"{mark} ", style), (issue.kind, f"bold {style}"), f"  {issue.text}"), (0, 0, 0, 2))
    if card.states:
        yield Text("\nEnrichment", style="bold")
        yield Padding(_facts([(state.stage, Text(_with_reasons(state.state, state.reasons))) for state in card.states]), (0, 0, 0, 2))


def _record(card: Card) -> Iterable[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text("\nPage Record", style="bold")
    yield Padding(_facts(_record_rows(card)), (0, 0, 0, 2))
    if card.coverage:
        yield Text(f"\nCoverage {card.coverage.passing} of {card.coverage.total}", style="bold")
        for item in card.coverage.items:
            amount = "" if item.actual is None else f"{item.actual} of {item.target}"
            line = Text.assemble((f"{_MARK[item.light]} ", _STYLE[item.light]), f"{item.name:<14}", (amount, "dim"))
            yield Padding(line, (0, 0, 0, 2))
    if card.backlinks:
        yield Text(f"\nBacklinks ({len(card.backlinks)})", style="bold")
        yield Padding(_backlinks(card), (0, 0, 0, 2))


def _status_rows(card: Card) -> Iterable[tuple[str, Text]]:
    from rich.text import Text

    guide = f"  Style Guide → {card.kind.style_guide}" if card.kind.style_guide else ""
    yield "Page Type", Text.assemble((card.kind.label, "bold"), f"  {card.kind.description}", (guide, "dim"))
    if card.quality:
        said = f"{number_text(card.quality.value)} ({card.quality.label})"
        yield "Quality", Text.assemble(said, (" ⚠", "yellow") if card.quality.warns else "")
    for label, importance in (("Reader importance", card.reader_importance), ("Research importance", card.research_importance)):
        if importance:
            yield label, Text(_importance(importance))
    if card.edited:
        yield "Last edited", Text(f"{card.edited.date} ({card.edited.age})")
    every = f"{card.update.every} · " if card.update.every else ""
    yield "Update", Text.assemble(every, (card.update.due, _STYLE[card.update.light] if card.update.light else "dim"))
    yield "Words", Text(card.words_text)
    yield "Backlinks", Text(str(card.backlink_count))
    structure = card.structure
    yield (
        "Structure",
        Text.assemble(
            f"📊 {structure.tables}  📈 {structure.diagrams}  🔗 {structure.internal_links}  📚 {structure.external_links}"
            f"  •{structure.bullet_percent}%  ",
            (f"Score: {number_text(structure.score)}/{MAX_SCORE}", _STYLE[structure.light]),
        ),
    )
    if card.sections:
        sections = Text()
        for section in card.sections:
            light: Light = "green" if section.present else "red"
            sections.append(f"{_MARK[light]} ", _STYLE[light]).append(f"{section.label}   ")
        yield "Sections", sections


def _record_rows(card: Card) -> Iterable[tuple[str, Text]]:
    from rich.text import Text

    entity = " ".join(filter(None, (card.entity_type, card.entity_number)))
    if entity:
        yield "Entity", Text(entity)
    if card.ratings:
        yield "Ratings", Text("  ".join(f"{name} {number_text(value)}" for name, value in card.ratings.items()))
    if card.metrics:
        yield "Metrics", Text("  ".join(f"{name} {_value(value)}" for name, value in card.metrics.items()))
    if card.risk:
        light: Light = {"low": "green", "medium": "amber"}.get(card.risk.level, "red")  # type: ignore[assignment]
        factors = f"  {', '.join(card.risk.factors)}" if card.risk.factors else ""
        yield "Hallucination risk", Text.assemble((f"{card.risk.level} ({card.risk.score})", _STYLE[light]), factors)
    similar = "  ".join(f"{page.title} {page.similarity}%" for page in card.similar)
    yield "Redundancy", Text(f"{card.redundancy}%  {similar}".rstrip())


def _insight(insight: CardInsight) -> Text:
    from rich.text import Text

    return Text.assemble(
        ("• ", "dim"),
        (insight.tag, "bold magenta"),
        f"  {insight.text}  ",
        (" ".join(f"{name}:{score}" for name, score in scores(insight)), "dim"),
    )


def scores(insight: CardInsight) -> Iterable[tuple[str, str]]:
    """S, I and A with one decimal, — where one is missing."""
    for name, value in (("S", insight.surprising), ("I", insight.important), ("A", insight.actionable)):
        yield name, "—" if value is None else f"{value:.1f}"


def _importance(importance: Importance) -> str:
    rank = f", rank {importance.rank}" if importance.rank else ""
    return f"{number_text(importance.value)} ({importance.label}{rank})"


def _with_reasons(state: str, reasons: Iterable[str]) -> str:
    said = ", ".join(reasons)
    return f"{state} ({said})" if said else state


def _value(value: float | bool) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else number_text(value)


def _facts(rows: Iterable[tuple[str, Text]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for label, value in rows:
        table.add_row(Text(f"{label}:", style="dim"), value)
    return table


def _backlinks(card: Card) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in ("id", "title", "type", "relationship"):
        table.add_column(column, overflow="fold")
    for link in card.backlinks:
        table.add_row(Text(link.id), Text(link.title), Text(link.type), Text(link.relationship))
    return table
