"""The entities of a wiki (`entities/*.yaml`, FIELDS.md section 16) and the external links of its pages (`external-links.yaml`, section 17).

An entity's known keys are typed; keys that only the wiki knows are kept as they are. A value of the wrong kind is left out with a notice that
names its file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, PrivateAttr, ValidationError
from pydantic.alias_generators import to_camel

from enrich.text import number_text
from enrich.wiki import yaml12

_Path = tuple[int | str, ...]


class Fault(NamedTuple):
    """What is wrong with an item of a data file, and its line."""

    line: int
    message: str


# A data file's (item, line) pairs, and what is made of them: rows, which are JSON, and faults.
Items = Iterable[tuple[Any, int]]
Rows = Iterator[Any | Fault]


def scalar_text(value: Any) -> str | None:
    """A text, a number as JavaScript writes it, `true` or `false`; None for null and "". Raises `ValueError` for a list or a mapping."""
    if isinstance(value, list | dict):
        raise ValueError("must be a text or a number")
    if isinstance(value, bool):
        return str(value).lower()
    return number_text(value) if isinstance(value, int | float) else value or None


def _some_text(value: Any) -> str:
    text = scalar_text(value)
    if text is None:
        raise ValueError("is empty")
    return text


def _estimate(value: Any) -> Any:
    return value if value is None or isinstance(value, dict) else {"display": value}


def _texts(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


Text = Annotated[str, BeforeValidator(_some_text)]
OptionalText = Annotated[str | None, BeforeValidator(scalar_text)]
Texts = Annotated[list[Text], BeforeValidator(_texts)]


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=to_camel, populate_by_name=True)


class CustomField(_Open):
    """A row of an entity's own: label, value, and the address it links to."""

    label: Text
    value: OptionalText = None
    link: OptionalText = None


class Estimate(_Open):
    """A likelihood (`level`) or a time (`median`, `earliest`, `latest`). A plain text in the file is its `display`."""

    display: OptionalText = None
    level: OptionalText = None
    median: OptionalText = None
    earliest: OptionalText = None
    latest: OptionalText = None
    status: OptionalText = None
    confidence: OptionalText = None
    notes: OptionalText = None


class Related(_Open):
    """One entry of an entity's `relatedEntries`."""

    id: Text
    type: OptionalText = None
    relationship: OptionalText = None
    strength: OptionalText = None


class Source(_Open):
    """A source that an entity names."""

    title: OptionalText = None
    url: OptionalText = None
    author: OptionalText = None
    date: OptionalText = None


class Entity(_Open):
    """One entity; `type` is as written in the file, before aliases. `values` has every key as the file has it, unknown ones included."""

    id: Text
    type: OptionalText = None
    title: OptionalText = None
    numeric_id: OptionalText = None
    description: OptionalText = None
    summary_page: OptionalText = None
    status: OptionalText = None
    website: OptionalText = None
    last_updated: OptionalText = None
    severity: OptionalText = None
    likelihood: Annotated[Estimate | None, BeforeValidator(_estimate)] = None
    timeframe: Annotated[Estimate | None, BeforeValidator(_estimate)] = None
    maturity: OptionalText = None
    org_type: OptionalText = None
    parent_org: OptionalText = None
    founded: OptionalText = None
    headquarters: OptionalText = None
    employees: OptionalText = None
    funding: OptionalText = None
    role: OptionalText = None
    affiliation: OptionalText = None
    known_for: Texts | None = None
    custom_fields: list[CustomField] | None = None
    related_entries: list[Related] | None = None
    sources: list[Source] | None = None
    tags: Texts | None = None
    _values: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls, values: dict[str, Any]) -> Entity:
        """The entity with these keys. Raises `ValidationError`."""
        entity = cls.model_validate(values)
        entity._values = values
        return entity

    @property
    def values(self) -> Mapping[str, Any]:
        return self._values or self.model_dump(by_alias=True, exclude_none=True)

    @property
    def related(self) -> list[Related]:
        return self.related_entries or []


def entity_rows(items: Items, text: str) -> Rows:
    """[values, line] of each entity of a file with this text, and its faults. All values are JSON."""
    for place, (item, line) in enumerate(items):
        if not isinstance(item, dict) or item.get("id") in (None, "", [], {}):
            yield Fault(line, "an entity without an id; left out")
            continue
        named = f"the entity {str(item['id'])[:80]!r}"
        try:
            values = yaml12.json_value(item)
        except yaml12.YamlError as error:
            yield Fault(line, f"{named}: {error.reason}; left out")
            continue
        for path, why in _without_wrong(values).items():
            yield Fault(yaml12.line_at(text, (place, *path)), f"{'.'.join(map(str, path))} of {named} {why}; left out")
        if "id" in values:
            yield [values, line]


def _without_wrong(values: dict[str, Any]) -> dict[_Path, str]:
    """Take what does not fit `Entity` out of `values`, single items of lists where possible; return path and reason of each."""
    try:
        Entity.model_validate(values)
    except ValidationError as error:
        wrong: dict[_Path, str] = {}
        for problem in error.errors(include_url=False):
            key, *rest = problem["loc"]
            path: _Path = (key, rest[0]) if isinstance(values[str(key)], list) and rest and isinstance(rest[0], int) else (key,)
            reason = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            wrong.setdefault(path, reason.replace("valid dictionary or instance of", "mapping, as"))
        for path in reversed(wrong):
            parent: Any = values[str(path[0])] if len(path) > 1 else values
            del parent[path[-1]]
        return wrong
    return {}


LINKS_FILE = "external-links.yaml"
# What the reference build rejects in an address; a link with one of these could end the attribute or the script it is written into.
_UNSAFE = re.compile(r"""[`"\\;|&{}<>\r\n]|\$[A-Za-z0-9_(]""")


def link_rows(items: Items, text: str) -> Rows:
    """[page, {platform: url}] of each item of a file with this text, and its faults; the addresses are as in the file."""
    for place, (item, line) in enumerate(items):
        page, links = (item.get("pageId"), item.get("links")) if isinstance(item, dict) else (None, None)
        if page in (None, "") or isinstance(page, list | dict) or not isinstance(links, dict):
            yield Fault(line, "an item needs `pageId` and `links`, a mapping of platforms to addresses; left out")
            continue
        given = {str(platform): url for platform, url in links.items() if url not in (None, "")}
        for platform, url in given.items():
            if why := link_problem(url):
                yield Fault(yaml12.line_at(text, (place, "links", platform)), f"{platform} of {page!r}: {why}")
        yield [str(page), {platform: url for platform, url in given.items() if isinstance(url, str)}]


def link_problem(url: Any) -> str:
    """Why an external link is not shown as one; "" if it is."""
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return "the address must begin with http:// or https://"
    return "the address has a character that must be percent-encoded" if _UNSAFE.search(url) else ""
