"""The infobox of an entity's page and the external links of a page (FIELDS.md sections 16 and 17), as the wiki's profile lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from enrich.metrics.structure import is_falsy
from enrich.text import number_text
from enrich.wiki.entities import Entity, link_problem, scalar_text
from enrich.wiki.profile import Infobox, InfoboxRow, Profile

_KEY = re.compile(r"\{(\w+)\}")
_COMPACT = ((1e12, "T", 1), (1e9, "B", 1), (1e6, "M", 0), (1e3, "K", 0))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an infobox; `link` is "" or the address of a row that is a link."""

    label: str
    value: str
    link: str = ""


def infobox_rows(entity: Entity | None, record: Mapping[str, Any], entities: Mapping[str, Entity], profile: Profile) -> list[Row] | None:
    """The rows of the infobox of a page with this `record`; None if the page has none. `entities` are all of the wiki's, by id."""
    box = profile.infobox
    if entity is None or (box.formats and record["contentFormat"] not in box.formats):
        return None
    if str(record["path"]).startswith(tuple(box.except_paths)):
        return None
    kind = canonical_type(entity, box)
    fitting = [row for row in box.rows if not row.types or kind in row.types]
    used = {label for row in fitting for label in row.fields}
    left = [field for field in entity.custom_fields or () if field.label not in used]
    links = {field.label: field.link for field in reversed(left) if field.link}
    rows: list[Row] = []
    for spec in fitting:
        if value := _row_value(spec, entity, record, entities, box):
            own = scalar_text(entity.values.get(spec.key)) or "" if spec.show == "host" else ""
            rows.append(Row(spec.label, value, _address(own) or _address(links.get(spec.label) or "")))
    return rows + [Row(field.label, field.value, _address(field.link or "")) for field in left if field.value]


def canonical_type(entity: Entity, box: Infobox) -> str:
    """The entity's type after the infobox's own aliases."""
    return box.type_aliases.get(entity.type or "", entity.type or "")


def type_label(entity: Entity, profile: Profile) -> str:
    """The heading of an infobox: the type's label, else its words capitalised."""
    kind = canonical_type(entity, profile.infobox)
    kind = profile.entity_type_aliases.get(kind, kind)
    return profile.infobox.type_labels.get(kind) or " ".join(word[:1].upper() + word[1:] for word in kind.split("-"))


def shown_links(links: Mapping[str, str], profile: Profile) -> list[Row]:
    """The external links that a page shows, in the file's order: label, address, and the address again if it is safe as a link."""
    labels, others = profile.infobox.link_labels, profile.infobox.other_links
    return [Row(labels.get(name, name), url, _address(url)) for name, url in links.items() if others or name in labels]


def _row_value(row: InfoboxRow, entity: Entity, record: Mapping[str, Any], entities: Mapping[str, Entity], box: Infobox) -> str:
    """The text of a row; "" for a row that the entity does not have."""
    value = _shown(next(filter(None, _values(row, entity, record, entities, box)), ""), row, entities)
    if not row.text:
        return value
    parts = {key: value if key == "value" else _text(entity.values.get(key)) for key in _KEY.findall(row.text)}
    # A row of several keys needs each of them; a price of 0 is one.
    return _KEY.sub(lambda key: parts[key[1]], row.text) if all(parts.values()) else ""


def _values(row: InfoboxRow, entity: Entity, record: Mapping[str, Any], entities: Mapping[str, Entity], box: Infobox) -> Iterable[str]:
    for key, texts in row.by.items():
        yield texts.get(_text(entity.values.get(key)), "")
    raw = entity.values.get(row.key)
    if isinstance(raw, Mapping):
        raw = next((raw[part] for part in row.parts if not is_falsy(raw.get(part))), None)
    if not is_falsy(raw):
        yield _text(raw)
    for label in row.fields:
        yield next((field.value or "" for field in entity.custom_fields or () if field.label == label), "")
    if row.record and isinstance(record.get(row.record), int | float):
        yield number_text(int(record[row.record])) if int(record[row.record]) else ""
    if row.children:
        own = (one for one in {one.id: one for one in entities.values()}.values() if one.values.get(row.children) == entity.id)
        yield ", ".join(one.title or one.id for one in own if not row.types or canonical_type(one, box) in row.types)
    yield row.default


def _shown(value: str, row: InfoboxRow, entities: Mapping[str, Entity]) -> str:
    if value.lower() in row.words:
        return row.words[value.lower()]
    match row.show:
        case "capitalized":
            return value[:1].upper() + value[1:]
        case "title":
            return (entities[value].title or value) if value in entities else value
        case "list":
            return ", ".join(filter(None, map(str.strip, value.split(","))))
        case "host":
            return _host(value)
        case "compact":
            return _compact(value)
    return value


def _text(value: Any) -> str:
    """A value as one text: items joined by commas, true and false as Yes and No, "" for null and mappings."""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value)))
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return "" if isinstance(value, Mapping) else scalar_text(value) or ""


def _host(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:  # a bracket that opens no IPv6 address
        return value
    host = parts.hostname if parts.scheme in ("http", "https") else None
    return host.removeprefix("www.") if host else value


def _compact(value: str) -> str:
    """A number as 200K or 1.5B, halves rounded up; with thousands commas below 1,000."""
    try:
        amount = float(value)
    except ValueError:
        return value
    for least, unit, decimals in _COMPACT:
        if amount >= least:
            return f"{int(amount / least * 10**decimals + 0.5) / 10**decimals:.{decimals}f}{unit}"
    return number_text(amount)


def _address(url: str) -> str:
    """The address if it may be shown as a link, else ""."""
    return "" if link_problem(url) else url
