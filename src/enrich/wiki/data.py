"""The data files of a wiki: entities, resources, insights and rankings (FIELDS.md sections 0, 5, 11 and 13; all of them optional).

Whatever is wrong with a file or an entry becomes a notice with file and line; everything else is read all the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from enrich.wiki import yaml12
from enrich.wiki.notice import Notice

# Gives the JSON value computed from these bytes, from an earlier build where it can.
Remember = Callable[[str, bytes, Callable[[], Any]], Any]

READER_RANKING = "reader-importance-ranking.yaml"
RESEARCH_RANKING = "research-ranking.yaml"


@dataclass(frozen=True, slots=True)
class Related:
    """One entry of an entity's `relatedEntries`; `relationship` is the entity's own word for it, or None."""

    id: str
    relationship: str | None


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of `entities/*.yaml`; `type` is the raw one, before aliases."""

    id: str
    type: str | None
    title: str | None
    numeric_id: str | None
    related: tuple[Related, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """One entry of `resources.json`."""

    id: str
    url: str
    title: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Insight:
    """One entry of `insights/*.yaml` as it stands there (FIELDS.md section 11), with where it stands. `page` ties it to a page's id."""

    values: Mapping[str, Any]
    file: str
    line: int

    @property
    def id(self) -> str:
        return str(self.values.get("id", ""))

    @property
    def page(self) -> str | None:
        page = self.values.get("page")
        return None if page is None else str(page)


@dataclass(frozen=True, slots=True)
class Ranking:
    """An ordered list of page ids, best first, each once; `lines` are the file lines of the ids."""

    ids: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class WikiData:
    """What the data folder holds, but for the insights: those are read by who shows them (`load_insights`)."""

    entities: tuple[Entity, ...]
    resources: tuple[Resource, ...]
    reader_ranking: Ranking
    research_ranking: Ranking
    notices: tuple[Notice, ...]


def load_data(folder: Path, remember: Remember | None = None) -> WikiData:
    """Entities, resources and rankings in `folder`. Never raises for what stands in the files."""
    keep: Remember = remember or (lambda _kind, _raw, compute: compute())
    notices: list[Notice] = []
    entities: list[Entity] = []
    seen: dict[str, str] = {}
    for name, raw in _files(folder, "entities", notices):
        rows, said = keep("entities", name.encode() + b"\0" + raw, partial(_entity_rows, raw, name))
        notices += [Notice(*notice) for notice in said]
        for entity_id, kind, title, numeric_id, related, line in rows:
            if entity_id in seen:
                notices.append(Notice(name, line, f"the entity {entity_id!r} stands already in {seen[entity_id]}; this one is left out"))
                continue
            seen[entity_id] = f"{name}:{line}" if line else name
            entities.append(Entity(entity_id, kind, title, numeric_id, tuple(Related(*one) for one in related)))
    resources: list[Resource] = []
    raw_resources = _read(folder, "resources.json", notices)
    if raw_resources is not None:
        rows, said = keep("resources", raw_resources, partial(_resource_rows, raw_resources, "resources.json"))
        notices += [Notice(*notice) for notice in said]
        resources = [Resource(*row) for row in rows]
    return WikiData(
        tuple(entities),
        tuple(resources),
        _ranking(folder, READER_RANKING, notices, keep),
        _ranking(folder, RESEARCH_RANKING, notices, keep),
        tuple(notices),
    )


def load_insights(
    folder: Path, remember: Remember | None = None, wanted: Callable[[bytes], bool] | None = None
) -> tuple[list[Insight], list[Notice]]:
    """The entries of `insights/*.yaml` in byte order of the files, and what is wrong with the files. Entries are not judged here.

    Files whose raw bytes are not `wanted` are left unparsed.
    """
    keep: Remember = remember or (lambda _kind, _raw, compute: compute())
    notices: list[Notice] = []
    found: list[Insight] = []
    for name, raw in _files(folder, "insights", notices):
        if wanted is not None and not wanted(raw):
            continue
        rows, said = keep("insights", name.encode() + b"\0" + raw, partial(_insight_rows, raw, name))
        notices += [Notice(*notice) for notice in said]
        found += [Insight(values, name, line) for values, line in rows]
    return found, notices


def _files(folder: Path, kind: str, notices: list[Notice]) -> Iterator[tuple[str, bytes]]:
    """(name relative to the data folder, bytes) of the YAML files of one kind, in byte order of their names."""
    try:
        entries = [entry.name for entry in (folder / kind).iterdir()]
    except OSError:
        return
    for name in sorted((name for name in entries if name.endswith((".yaml", ".yml")) and name[0] != "."), key=os.fsencode):
        raw = _read(folder, f"{kind}/{name}", notices)
        if raw is not None:
            yield f"{kind}/{name}", raw


def _read(folder: Path, name: str, notices: list[Notice]) -> bytes | None:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        notices.append(Notice(name, 0, f"cannot be read ({error.strerror or error}); left out"))
        return None


def _load(raw: bytes, name: str, said: list[Any], key: str | None = None) -> tuple[Any, list[int]]:
    """(YAML value of a file, lines of the items of its list, or of the list under `key`); None and no lines, with a notice, where it is broken."""
    try:
        return yaml12.load_marked(raw.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n"), key)
    except yaml12.YamlError as error:
        said.append([name, error.line, f"broken YAML: {error.reason}; the file is left out"])
    except UnicodeDecodeError as error:
        said.append([name, raw.count(b"\n", 0, error.start) + 1, "not UTF-8; the file is left out"])
    return None, []


def _entity_rows(raw: bytes, name: str) -> Any:
    """[rows, notices] of one entity file, as JSON holds them."""
    said: list[Any] = []
    loaded, lines = _load(raw, name, said)
    if loaded is None:
        return [[], said]
    if not isinstance(loaded, list):
        said.append([name, 1, "an entity file is a list of entities; the file is left out"])
        return [[], said]
    rows = []
    for place, item in enumerate(loaded):
        line = lines[place] if place < len(lines) else 0
        if not isinstance(item, dict) or not _text(item.get("id")):
            said.append([name, line, "an entity without an id; left out"])
            continue
        related = []
        entries = item.get("relatedEntries")
        if entries is not None and not isinstance(entries, list):
            said.append([name, line, f"relatedEntries of {item['id']!r} is no list; left out"])
            entries = None
        for entry in entries or []:
            if isinstance(entry, dict) and _text(entry.get("id")):
                related.append([_text(entry["id"]), _text(entry.get("relationship"))])
            else:
                said.append([name, line, f"a related entry of {item['id']!r} has no id; left out"])
        rows.append([_text(item["id"]), _text(item.get("type")), _text(item.get("title")), _text(item.get("numericId")), related, line])
    return [rows, said]


def _resource_rows(raw: bytes, name: str) -> Any:
    said: list[Any] = []
    try:
        text = raw.decode("utf-8")
        loaded = json.loads(text)
    except UnicodeDecodeError as error:
        return [[], [[name, raw.count(b"\n", 0, error.start) + 1, "not UTF-8; the file is left out"]]]
    except json.JSONDecodeError as error:
        return [[], [[name, error.lineno, f"broken JSON: {error.msg}; the file is left out"]]]
    except RecursionError:
        return [[], [[name, 0, "nested too deep; the file is left out"]]]
    if not isinstance(loaded, list):
        return [[], [[name, 1, "not a list of resources; the file is left out"]]]
    rows, lines = [], None
    first: dict[str, int] = {}
    for place, item in enumerate(loaded):
        sound = isinstance(item, dict) and _text(item.get("id")) and isinstance(item.get("url"), str) and item["url"]
        if not sound or item["id"] in first:
            lines = lines if lines is not None else _json_lines(text)
            line = lines[place] if place < len(lines) else 0
            if not isinstance(item, dict) or not _text(item.get("id")):
                said.append([name, line, "a resource without an id; left out"])
            elif item["id"] in first:
                said.append([name, line, f"the resource {item['id']!r} stands already in line {lines[first[item['id']]]}"])
            else:
                said.append([name, line, f"the resource {item['id']!r} has no url; no link can be matched to it"])
        if sound:
            first.setdefault(item["id"], place)
            rows.append([_text(item["id"]), item["url"], _text(item.get("title")), _text(item.get("type"))])
    return [rows, said]


def _json_lines(text: str) -> list[int]:
    """The file lines on which the items of a JSON list begin."""
    decoder, at, line, counted = json.JSONDecoder(), text.index("[") + 1, 1, 0
    lines: list[int] = []
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] == "]":
            return lines
        line += text.count("\n", counted, at)
        counted = at
        lines.append(line)
        at = decoder.raw_decode(text, at)[1]


def _insight_rows(raw: bytes, name: str) -> Any:
    said: list[Any] = []
    loaded, lines = _load(raw, name, said, "insights")
    if loaded is None:
        return [[], said]
    items = loaded.get("insights") if isinstance(loaded, dict) else None
    if not isinstance(items, list):
        return [[], [[name, 1, "an insight file has a list under `insights`; the file is left out"]]]
    rows = []
    for place, item in enumerate(items):
        line = lines[place] if place < len(lines) else 0
        if isinstance(item, dict):
            rows.append([{str(key): value for key, value in item.items()}, line])
        else:
            said.append([name, line, "an insight is a mapping of keys to values; left out"])
    return [rows, said]


def _ranking(folder: Path, name: str, notices: list[Notice], keep: Remember) -> Ranking:
    raw = _read(folder, name, notices)
    if raw is None:
        return Ranking()
    rows, said = keep("ranking", name.encode() + b"\0" + raw, partial(_ranking_rows, raw, name))
    notices += [Notice(*notice) for notice in said]
    return Ranking(tuple(page for page, _ in rows), tuple(line for _, line in rows), name)


def _ranking_rows(raw: bytes, name: str) -> Any:
    said: list[Any] = []
    loaded, lines = _load(raw, name, said, "ranking")
    if loaded is None:
        return [[], said]
    items = loaded.get("ranking") if isinstance(loaded, dict) else None
    if not isinstance(items, list):
        return [[], [[name, 1, "a ranking file has a list of page ids under `ranking`; the file is left out"]]]
    rows: dict[str, int] = {}
    for place, item in enumerate(items):
        line = lines[place] if place < len(lines) else 0
        page = _text(item)
        if page is None:
            said.append([name, line, "a ranking holds page ids; this entry is left out"])
        elif page in rows:
            said.append([name, line, f"{page!r} is ranked already in line {rows[page]}; this entry is left out"])
        else:
            rows[page] = line
    return [list(rows.items()), said]


def _text(value: Any) -> str | None:
    """A scalar as text; None for nothing, an empty text or a value that is no scalar."""
    if value is None or value == "" or isinstance(value, (list, dict)):
        return None
    return str(value)
