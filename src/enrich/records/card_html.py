"""The Page Status card as one HTML file that needs nothing else: no network, no script, light and dark, from a phone's width upwards.

Page text is not trusted. It goes through autoescaping and into text only: no attribute, address or style is made from it, the card's texts
hold no control characters, and a policy in the file forbids everything but its own style sheet.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from enrich.records.card import MAX_SCORE, TOP_INSIGHTS, Card
from enrich.records.card_text import scores
from enrich.records.card_words import number_text
from enrich.text import printable

if TYPE_CHECKING:
    from jinja2 import Template

# What the coverage items are called for people; another name is shown as it stands.
COVERAGE_NAMES = {
    "llmSummary": "LLM summary",
    "schedule": "Update schedule",
    "entity": "Entity",
    "editHistory": "Edit history",
    "overview": "Overview section",
    "tables": "Tables",
    "diagrams": "Diagrams",
    "internalLinks": "Internal links",
    "externalLinks": "External links",
    "footnotes": "Footnotes",
    "references": "References",
    "quotes": "Quotes checked",
    "accuracy": "Claims checked",
}
METRIC_NAMES = {
    "wordCount": "Words",
    "tableCount": "Tables",
    "diagramCount": "Diagrams",
    "internalLinks": "Internal links",
    "externalLinks": "External links",
    "footnoteCount": "Footnotes",
    "bulletRatio": "Bullet ratio",
    "sectionCount": "Sections",
    "hasOverview": "Overview",
    "structuralScore": "Structural score",
}


def card_html(card: Card) -> str:
    """The card as a complete HTML document."""
    record = json.dumps(card.record, ensure_ascii=False, indent=2)
    return _template().render(
        card=card,
        top=TOP_INSIGHTS,
        max_score=MAX_SCORE,
        record="\n".join(printable(line) for line in record.split("\n")),
        coverage_names=COVERAGE_NAMES,
        metric_names=METRIC_NAMES,
        number=number_text,
        scores=scores,
        guide_is_link=card.kind.style_guide.startswith(("https://", "http://")),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("enrich.records", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("card.html.j2")
