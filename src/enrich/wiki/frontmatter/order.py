"""The order of frontmatter keys, and where a new key goes among those that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# FIELDS.md section 15, with `insights` after `llmSummary` (DESIGN.md section 4.4).
KEY_ORDER: tuple[str, ...] = (
    *("numericId", "title", "description", "sidebar", "entityType", "subcategory", "pageType", "contentFormat", "pageTemplate"),
    *("draft", "fullWidth", "quality", "maturity", "readerImportance", "researchImportance", "tacticalValue", "tractability"),
    *("neglectedness", "uncertainty", "causalLevel", "lastEdited", "lastUpdated", "createdAt", "update_frequency", "evergreen"),
    *("llmSummary", "insights", "ratings", "clusters", "roles", "todos", "balanceFlags", "seeAlso", "todo", "entityId", "template"),
    *("hero", "tableOfContents", "editUrl", "head", "prev", "next", "banner"),
)

Rank = tuple[int, str]


def ranking(order: Sequence[str]) -> Callable[[str], Rank]:
    """How keys compare: those in `order` by their place in it, all others after them, alphabetically (FIELDS.md section 15)."""
    places = {key: place for place, key in reversed(list(enumerate(order)))}

    def rank(key: str) -> Rank:
        place = places.get(key)
        return (len(order), key) if place is None else (place, "")

    return rank


def predecessor(rank: Rank, present: Sequence[Rank]) -> int:
    """The index in `present` after which a key of this rank goes, or -1 for the top.

    It is the nearest key that comes before the new one by the order, wherever that stands: so a frontmatter in order stays in order, and
    one that is out of order gets no further pair of neighbours out of order.
    """
    before = [(other, index) for index, other in enumerate(present) if other < rank]
    return max(before)[1] if before else -1
