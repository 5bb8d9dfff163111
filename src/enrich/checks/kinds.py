"""What a frontmatter value may be: predicates that answer None or what was expected, and the table of keys (FIELDS.md section 15)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Kind = Callable[[Any], str | None]
"""None where the value fits, else what would (“a number from 0 to 100”)."""


def text(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def true_or_false(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def is_number(value: Any) -> bool:
    """A finite number: YAML's true is none, and neither is .nan."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(low: float, high: float) -> Kind:
    def kind(value: Any) -> str | None:
        return None if is_number(value) and low <= value <= high else f"a number from {low:g} to {high:g}"

    return kind


def above_zero(value: Any) -> str | None:
    return None if is_number(value) and value > 0 else "a number above 0"


def any_number(value: Any) -> str | None:
    return None if is_number(value) else "a number"


def texts(value: Any) -> str | None:
    return None if isinstance(value, list) and all(isinstance(item, str) for item in value) else "a list of texts"


def texts_not_empty(value: Any) -> str | None:
    return None if value and texts(value) is None else "a list of at least one text"


def items(value: Any) -> str | None:
    return None if isinstance(value, list) else "a list"


def mapping(value: Any) -> str | None:
    return None if isinstance(value, dict) else "a mapping"


def only_false(value: Any) -> str | None:
    return None if value is False else "false (leave the key out for pages that age)"


def matching(pattern: str, expected: str) -> Kind:
    compiled = re.compile(pattern)

    def kind(value: Any) -> str | None:
        return None if isinstance(value, str) and compiled.fullmatch(value) else expected

    return kind


def one_of(*words: str) -> Kind:
    return lambda value: None if value in words and isinstance(value, str) else f"one of {', '.join(words)}"


def either(*kinds: Kind) -> Kind:
    def kind(value: Any) -> str | None:
        expected = [one(value) for one in kinds]
        return None if None in expected else " or ".join(filter(None, expected))

    return kind


def shape(parts: Mapping[str, Kind]) -> Kind:
    """A mapping whose known parts fit; parts that the table does not name are left alone."""

    def kind(value: Any) -> str | None:
        if not isinstance(value, dict):
            return "a mapping"
        for name, part in parts.items():
            if value.get(name) is not None:
                expected = part(value[name])
                if expected:
                    return f"a mapping whose `{name}` is {expected}"
        return None

    return kind


HUNDRED = number(0, 100)
TEN = number(0, 10)

# Parts of `ratings`; others are left alone, as the reference's schema strips them silently.
RATINGS: dict[str, Kind] = {
    **dict.fromkeys(("novelty", "rigor", "actionability", "completeness", "focus", "concreteness", "objectivity"), TEN),
    **dict.fromkeys(("changeability", "xriskImpact", "trajectoryImpact", "uncertainty"), HUNDRED),
}

# What `enrich` itself writes or must be able to read: wrong values are errors in every wiki.
OWN_KEYS: dict[str, Kind] = {
    "title": either(text, any_number),
    "description": text,
    "quality": HUNDRED,
    "llmSummary": text,
    "ratings": mapping,  # its parts are judged one by one, on their own lines
    "insights": items,
}

# The rest of the reference wiki's keys; how much a wrong value weighs is the profile's matter.
KEYS: dict[str, Kind] = {
    "numericId": matching(r"E[0-9]+", "E and digits"),
    "sidebar": shape({"label": text, "order": any_number, "hidden": true_or_false, "badge": either(text, mapping)}),
    "entityType": text,
    "subcategory": text,
    "pageType": text,
    "contentFormat": text,
    "pageTemplate": text,
    "draft": true_or_false,
    "fullWidth": true_or_false,
    "hideSidebar": true_or_false,
    "maturity": text,
    **dict.fromkeys(("readerImportance", "researchImportance", "tacticalValue", "tractability", "neglectedness", "uncertainty"), HUNDRED),
    "causalLevel": text,
    "lastEdited": text,
    "lastUpdated": either(matching(r"\d{4}-\d{2}-\d{2}.*", "a date"), true_or_false),
    "createdAt": text,
    "update_frequency": above_zero,
    "evergreen": only_false,
    "clusters": texts,
    "roles": texts,
    "todos": texts_not_empty,
    "todo": text,
    "balanceFlags": texts,
    "seeAlso": either(text, texts),
    "entityId": text,
    "template": one_of("doc", "splash"),
    "hero": mapping,
    "tableOfContents": either(true_or_false, mapping),
    "editUrl": either(text, true_or_false),
    "head": items,
    "prev": either(text, true_or_false, mapping),
    "next": either(text, true_or_false, mapping),
    "banner": mapping,
}
