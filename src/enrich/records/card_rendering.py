"""The Page Status card for a terminal, as plain text and as one HTML file that needs no network and no script."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from enrich import html
from enrich.grounding import Chance
from enrich.records.card import Card
from enrich.text import json_text, number_text, printable
from enrich.wiki.data import SCORES

TOP_INSIGHTS = 3
MAX_SCORE = 15

_STYLES = {"green": "green", "amber": "yellow", "red": "red"}
_MARKS = {"green": "✓", "amber": "~", "red": "✗"}
_RISK_LIGHTS = {"low": "green", "medium": "amber"}


def card_html(card: Card, *, links: Sequence[tuple[str, str]] = (), proposals: Sequence[tuple[str, str, str]] = ()) -> str:
    """The card as a complete HTML document, with `links` (name, address) above it and `proposals` (field, what was decided, flags) below."""
    return html.render(
        "card.html.j2",
        styles=("card.css",),
        card=card,
        nav=links,
        proposals=proposals,
        top=TOP_INSIGHTS,
        max_score=MAX_SCORE,
        record=_json_lines(card["record"]),
        external_links=_json_lines(card["external_links"]),
        number=number_text,
        scores=_scores,
        marks=_MARKS,
        risk_lights=_RISK_LIGHTS,
        chance=_chance_text(card),
    )


def _json_lines(value: object) -> str:
    return "\n".join(printable(line) for line in json_text(value, indent=2).split("\n"))


def card_text(card: Card, *, width: int = 100, brief: bool = False) -> str:
    """The card as plain text in lines of at most `width` columns; `brief`: without the record."""
    page = io.StringIO()
    plain = Console(file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False, highlight=False)
    print_card(card, plain, brief=brief)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n"


def print_card(card: Card, console: Console, *, brief: bool = False) -> None:
    """Print the card on a console, in colours if it shows them; `brief`: without the record."""
    console.print(Text.assemble((card["title"], "bold"), ("  Page Status", "dim")))
    console.print(Text(f"{card['id']} · {card['path']}", style="dim"))
    console.print()
    console.print(_grid(_status_rows(card)))
    for heading, parts in (*_status_parts(card), *(() if brief else _record_parts(card))):
        console.print(Text(f"\n{heading}", style="bold"))
        for part in parts:
            console.print(Padding(part, (0, 0, 0, 2)))


def _status_rows(card: Card) -> Iterable[tuple[str, Text]]:

    kind, quality, update, structure = card["kind"], card["quality"], card["update"], card["structure"]
    guide = f"  Style Guide → {kind['style_guide']}" if kind["style_guide"] else ""
    yield "Page Type", Text.assemble((kind["label"], "bold"), f"  {kind['description']}", (guide, "dim"))
    if quality:
        yield (
            "Quality",
            Text.assemble(f"{number_text(quality['value'])} ({quality['label']})", (" ⚠" if quality["warns"] else "", "yellow")),
        )
    shown = (("Reader importance", "reader_importance"), ("Importance", "importance"), ("Research importance", "research_importance"))
    for label, key in shown:
        if importance := card[key]:
            rank = f", rank {importance['rank']}" if importance["rank"] else ""
            yield label, Text(f"{number_text(importance['value'])} ({importance['label']}{rank})")
    if card["edited"]:
        yield "Last edited", Text(f"{card['edited']['date']} ({card['edited']['age']})")
    every = f"{update['every']} · " if update["every"] else ""
    if update["due"]:
        yield "Update", Text.assemble(every, (update["due"], _STYLES.get(update["light"], "dim")))
    yield "Words", Text(card["words_text"])
    yield "Backlinks", Text(str(card["backlink_count"]))
    counts = (
        f"📊 {structure['tables']}  📈 {structure['diagrams']}  🔗 {structure['internal_links']}  📚 {structure['external_links']}"
        f"  •{structure['bullet_percent']}%  "
    )
    score = f"Score: {number_text(structure['score'])}/{MAX_SCORE}"
    yield "Structure", Text.assemble(counts, (score, _STYLES[structure["light"]]))
    if card["sections"]:
        lights = [("green" if section["present"] else "red", section["label"]) for section in card["sections"]]
        yield (
            "Sections",
            Text.assemble(*(part for light, label in lights for part in ((f"{_MARKS[light]} ", _STYLES[light]), f"{label}   "))),
        )


def _status_parts(card: Card) -> Iterable[tuple[str, Iterable[RenderableType]]]:
    """(heading, paragraphs) for each part of the status that the page has."""
    if box := card["infobox"]:
        part_of = f"  Part of {box['part_of']}" if box["part_of"] else ""
        values = [(row["label"], Text(_linked(row))) for row in box["rows"]]
        yield f"{box['label']}: {box['title']}{part_of}", [_grid(values)] if values else []
    if card["summary"]:
        yield "LLM Summary", [Text(card["summary"])]
    if card["insights"]:
        yield f"Critical Insights ({card['insight_count']})", map(_insight, card["insights"][:TOP_INSIGHTS])
    if card["issues"]:
        yield f"Issues ({len(card['issues'])})", map(_issue, card["issues"])
    if card["states"]:
        rows = [(one["stage"], one["state"], ", ".join(one["reasons"])) for one in card["states"]]
        yield "Enrichment", [_grid((stage, Text(f"{state} ({reasons})" if reasons else state)) for stage, state, reasons in rows)]
    if card["chance"]:
        yield "Checks", [Text(_chance_text(card))]


def _chance_text(card: Card) -> str:
    return str(Chance(**card["chance"])) if card["chance"] else ""


def _record_parts(card: Card) -> Iterable[tuple[str, Iterable[RenderableType]]]:

    yield "Page Record", [_grid(_record_rows(card))]
    coverage = card["coverage"]
    if coverage:
        yield (
            f"Coverage {coverage['passing']} of {coverage['total']}",
            [
                Text.assemble(
                    (f"{_MARKS[item['light']]} ", _STYLES[item["light"]]),
                    f"{item['name']:<14}",
                    ("" if item["actual"] is None else f"{item['actual']} of {item['target']}", "dim"),
                )
                for item in coverage["items"]
            ],
        )
    if card["links"]:
        yield "External Links", [_grid((row["label"], Text(row["value"])) for row in card["links"])]
    if card["backlinks"]:
        yield f"Backlinks ({len(card['backlinks'])})", [_backlink_table(card)]


def _record_rows(card: Card) -> Iterable[tuple[str, Text]]:

    entity = " ".join(filter(None, (card["entity_type"], card["entity_number"])))
    if entity:
        yield "Entity", Text(entity)
    around = {name: f" ±{margin:g}" for name, margin in card.get("margins", {}).items()}
    for label, key, more in (("Ratings", "ratings", around), ("Metrics", "metrics", {})):
        if card[key]:
            yield label, Text("  ".join(f"{name} {_value(value)}{more.get(name, '')}" for name, value in card[key].items()))
    if risk := card["risk"]:
        factors = f"  {', '.join(risk['factors'])}" if risk["factors"] else ""
        light = _RISK_LIGHTS.get(risk["level"], "red")
        yield "Hallucination risk", Text.assemble((f"{risk['level']} ({risk['score']})", _STYLES[light]), factors)
    similar = "  ".join(f"{page['title']} {page['similarity']}%" for page in card["similar"])
    yield "Redundancy", Text(f"{card['redundancy']}%  {similar}".rstrip())


def _linked(row: Card) -> str:
    return f"{row['value']}  {row['link']}" if row["link"] else str(row["value"])


def _insight(insight: Card) -> Text:

    scores = " ".join(f"{name}:{score}" for name, score in _scores(insight))
    return Text.assemble(("• ", "dim"), (insight["tag"], "bold magenta"), f"  {insight['text']}  ", (scores, "dim"))


def _issue(issue: Card) -> Text:

    mark, style = ("!", "yellow") if issue["severity"] == "warning" else ("i", "cyan")
    return Text.assemble((f"{mark} ", style), (issue["kind"], f"bold {style}"), f"  {issue['text']}")


def _scores(insight: Card) -> Iterable[tuple[str, str]]:
    """S, I and A with one decimal, — for a missing one."""
    for name in SCORES:
        value = insight[name]
        yield name[0].upper(), "—" if value is None else f"{value:.1f}"


def _value(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else number_text(value)


def _grid(rows: Iterable[tuple[str, Text]]) -> RenderableType:

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for label, value in rows:
        table.add_row(Text(f"{label}:", style="dim"), value)
    return table


def _backlink_table(card: Card) -> RenderableType:

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    columns = ("id", "title", "type", "relationship")
    for column in columns:
        table.add_column(column, overflow="fold")
    for link in card["backlinks"]:
        table.add_row(*(Text(link[column]) for column in columns))
    return table
