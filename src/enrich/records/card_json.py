"""The Page Status card for scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from enrich.records.card import Card


def card_json(card: Card) -> dict[str, Any]:
    """The card as a JSON value: its fields under their own names; `record` is the page's record as `database.json` holds it."""
    return asdict(card)
