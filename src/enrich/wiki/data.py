"""The data files of a wiki: entities, resources, rankings, insights and dates (FIELDS.md sections 0, 5, 11 and 13). All of them are optional.

Each fault of a file or an entry becomes a notice with file and line; everything else is read. Without a file of dates, they come from
one `git log`.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from enrich.errors import UserError
from enrich.files import DATA_BYTES, Folders, names_in, read_bytes
from enrich.text import parsed_json
from enrich.wiki import yaml12
from enrich.wiki.entities import LINKS_FILE, Entity, Fault, Items, Rows, entity_rows, link_rows
from enrich.wiki.git import NoHistory, history
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page
from enrich.wiki.rankings import LISTS

if TYPE_CHECKING:
    from enrich.wiki.wiki import Wiki

# Returns the JSON value that the callable computes for these bytes, from an earlier build if it is known.
Remember = Callable[[str, bytes, Callable[[], Any]], Any]
# The items of the list in a file's text, and the line of each. Raises `YamlError`.
Load = Callable[[str], tuple[Any, list[int]]]
RowsOf = Callable[[Items, str], Rows]  # of the items and the text of a file

RESOURCES_FILE = "resources.json"
# Types of an insight, and the keys of its scores.
TYPES = ("claim", "counterintuitive", "quantitative", "research-gap", "disagreement", "neglected")
SCORES = ("surprising", "important", "actionable")


class Notice(NamedTuple):
    """Something to tell the user: `message` about `file` (relative to the wiki, "" for none) at `line` (from 1; 0 for none)."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message

    def below(self, folder: str) -> Notice:
        """The same notice for a file that is relative to `folder`."""
        return self._replace(file=f"{folder}/{self.file}")


@dataclass(frozen=True, slots=True)
class Resource:
    """One entry of `resources.json`."""

    id: str
    url: str
    title: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class WikiData:
    """What the data folder contains, without the insights (see `data_insights`).

    `rankings` are (page id, line) by file, best first, each id once; `links` are {platform: url} by page, in the file's order.
    """

    entities: tuple[Entity, ...]
    resources: tuple[Resource, ...]
    rankings: Mapping[str, Sequence[tuple[str, int]]]
    links: Mapping[str, Mapping[str, str]]
    notices: tuple[Notice, ...]


class _Files:
    """The files of a data folder, read once; `notices` say what is wrong with them. Links may lead to `within` (default: the folder)."""

    def __init__(self, folder: Path, within: Folders | None, remember: Remember = lambda _kind, _raw, compute: compute()) -> None:
        self._folder, self._within, self._remember = folder, within or Folders(folder), remember
        self.notices: list[Notice] = []

    def names(self, kind: str) -> list[str]:
        """The YAML files in a subfolder, in byte order of their names."""
        try:
            found = names_in(self._folder / kind, self._within)
        except OSError as error:
            self._left_out(kind, error)
            return []
        return [f"{kind}/{name}" for name in sorted(found, key=os.fsencode) if name.endswith((".yaml", ".yml")) and name[0] != "."]

    def rows(self, kind: str, name: str) -> list[Any]:
        """The rows of a file with a list of this kind; [] if there is no such file."""
        try:
            raw = read_bytes(self._folder / name, self._within, DATA_BYTES)
        except OSError as error:
            self._left_out(name, error)
            return []
        found, said = self._remember(kind, name.encode() + b"\0" + raw, partial(_rows, *_LISTS[kind], raw, name))
        self.notices += [Notice(*notice) for notice in said]
        return list(found)

    def _left_out(self, name: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            self.notices.append(Notice(name, 0, f"cannot be read ({error.strerror or error}); left out"))


def load_data(folder: Path, remember: Remember = lambda _kind, _raw, compute: compute(), within: Folders | None = None) -> WikiData:
    """Entities, resources and rankings in `folder`; links may lead to `within` (default: the folder). Raises nothing for what files contain."""
    files = _Files(folder, within, remember)
    entities: dict[str, Entity] = {}
    places: dict[str, str] = {}
    for name in files.names("entities"):
        for values, line in files.rows("entities", name):
            entity = Entity.read(values)
            if entity.id in entities:
                said = f"the entity {entity.id!r} is already in {places[entity.id]}; this one is left out"
                files.notices.append(Notice(name, line, said))
            else:
                places[entity.id] = f"{name}:{line}" if line else name
                entities[entity.id] = entity
    resources = tuple(Resource(*row) for row in files.rows("resources", RESOURCES_FILE))
    rankings = {ranked.file: files.rows("ranking", ranked.file) for ranked in LISTS.values()}
    links = dict(files.rows("links", LINKS_FILE))
    return WikiData(tuple(entities.values()), resources, rankings, links, tuple(files.notices))


def quotes_of(insight: Mapping[str, Any]) -> tuple[str, ...]:
    """The quotes of an insight's `evidence`: a text, or a list of texts; values of other types are ignored."""
    value = insight.get("evidence")
    return tuple(quote for quote in (value if isinstance(value, list) else [value]) if isinstance(quote, str) and quote.strip())


def resource_titles(folder: Path, within: Folders) -> dict[str, str]:
    """The titles in `resources.json` by id; a resource without one, and a file that cannot be read, has none (`build` reports it)."""
    return {row[0]: row[2] for row in _Files(folder, within).rows("resources", RESOURCES_FILE) if row[2]}


def _rows(load: Load, what: str, rows_of: RowsOf, raw: bytes, name: str) -> tuple[list[Any], list[list[Any]]]:
    """(the rows of a file's list, [file, line, message] of its notices). A file without it gives a notice: `what` says what it must contain."""
    rows: list[Any] = []
    faults: list[Fault] = []
    try:
        text = _decoded(raw)
        items, lines = load(text)
        if isinstance(items, list):
            for row in rows_of(zip(items, lines, strict=True), text):
                (faults if isinstance(row, Fault) else rows).append(row)
        elif items is not None:
            faults = [Fault(1, f"{what}; the file is left out")]
    except yaml12.YamlError as error:
        faults = [Fault(error.line, f"{error.reason}; the file is left out")]
    return rows, [[name, *fault] for fault in sorted(faults, key=lambda fault: fault.line)]


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise yaml12.YamlError("not UTF-8", raw.count(b"\n", 0, error.start) + 1) from None


def _yaml_list(key: str, text: str) -> tuple[Any, list[int]]:
    """The list under `key` ("": the whole file); None for an empty file, anything else that is not a list if there is none."""
    loaded, lines = yaml12.load_marked(text, key or None)
    return loaded if not key or loaded is None else loaded.get(key, "") if isinstance(loaded, dict) else "", lines


def _json(text: str) -> Any:
    try:
        return parsed_json(text)
    except json.JSONDecodeError as error:
        raise yaml12.YamlError(f"broken JSON: {error.msg}", error.lineno) from None
    except ValueError as error:
        raise yaml12.YamlError(f"broken JSON: {error}") from None


def _json_list(text: str) -> tuple[Any, list[int]]:
    loaded = _json(text)
    lines: list[int] = []
    decoder, at, line, counted = json.JSONDecoder(), text.find("[") + 1, 1, 0
    for _ in loaded if isinstance(loaded, list) else ():
        at = _JSON_GAP.match(text, at).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, at), at
        lines.append(line)
        at = decoder.raw_decode(text, at)[1]
    return loaded, lines


_JSON_GAP = re.compile(r"[ \t\r\n,]*")


def _resource_rows(items: Items, _text_of_file: str) -> Rows:
    first: dict[str, int] = {}
    for item, line in items:
        own = _text(item.get("id")) if isinstance(item, dict) else None
        if own is None:
            yield Fault(line, "a resource without an id; left out")
            continue
        url = item.get("url")
        has_url = isinstance(url, str) and url != ""
        if own in first:
            yield Fault(line, f"the resource {item['id']!r} is already in line {first[own]}")
        elif not has_url:
            yield Fault(line, f"the resource {item['id']!r} has no url; no link can be matched to it")
        if has_url:
            first.setdefault(own, line)
            yield [own, url, _text(item.get("title")), _text(item.get("type"))]


def _ranking_rows(items: Items, _text_of_file: str) -> Rows:
    first: dict[str, int] = {}
    for item, line in items:
        page = _text(item)
        if page is None:
            yield Fault(line, "a ranking contains page ids; this entry is left out")
        elif page in first:
            yield Fault(line, f"{page!r} is ranked already in line {first[page]}; this entry is left out")
        else:
            first[page] = line
            yield [page, line]


def _insight_rows(items: Items, _text_of_file: str) -> Rows:
    for item, line in items:
        yield [_values(item), line] if isinstance(item, dict) else Fault(line, "an insight is a mapping of keys to values; left out")


# By kind: what reads the list of a file, what such a file contains, and what makes its rows.
_LISTS: Mapping[str, tuple[Load, str, RowsOf]] = {
    "resources": (_json_list, "not a list of resources", _resource_rows),
    "entities": (partial(_yaml_list, ""), "an entity file is a list of entities", entity_rows),
    "links": (partial(_yaml_list, ""), "the file of external links is a list of items with `pageId` and `links`", link_rows),
    "ranking": (partial(_yaml_list, "ranking"), "a ranking file has a list of page ids under `ranking`", _ranking_rows),
    "insights": (partial(_yaml_list, "insights"), "an insight file has a list under `insights`", _insight_rows),
}


def _text(value: Any) -> str | None:
    """A scalar as text; None for null, an empty text, a list or a mapping."""
    return None if value is None or value == "" or isinstance(value, (list, dict)) else str(value)


@dataclass(frozen=True, slots=True)
class Insight:
    """One critical insight as read, not validated. `page` is the id of its page ("" if it is not known yet).

    `values` has every key of the entry, with `insight` renamed to `text`; it is empty if the entry is not a mapping.
    """

    page: str
    file: Path
    line: int
    values: Mapping[str, Any]

    @property
    def text(self) -> str:
        value = self.values.get("text")
        return value if isinstance(value, str) else ""


def page_insights(page: Page) -> list[Insight]:
    """The insights that a page's field holds, in order; [] if the key is missing or not a list."""
    entries = page.data.get("insights")
    if not isinstance(entries, list) or not entries:
        return []
    keys = page.file.fields.path("insights") or ("insights",)
    lines = _entry_lines(page.store_head, keys[-1], len(entries))
    return [Insight(page.id, page.file.store, line, _values(entry)) for entry, line in zip(entries, lines, strict=True)]


def data_insights(folder: Path, within: Folders | None = None) -> tuple[list[Insight], list[Notice]]:
    """The insights of `insights/*.yaml` without their pages, and what is wrong with the files."""
    files = _Files(folder, within)
    found = [Insight("", folder / name, line, values) for name in files.names("insights") for values, line in files.rows("insights", name)]
    return found, files.notices


def with_pages(insights: Iterable[Insight], pages: Sequence[PageFile]) -> tuple[list[Insight], list[Insight]]:
    """(insights with their page, insights without a page), both in order.

    An insight names its page by `page` (an id), else by `source` as a page's address, else by the address's last part if exactly one page
    has it: pages move, their names stay.
    """
    ids = {page.id for page in pages}
    addresses = {page.url.rstrip("/"): page.id for page in pages}
    slugs: dict[str, set[str]] = {}
    for each in pages:
        slugs.setdefault(each.url.rstrip("/").rpartition("/")[2], set()).add(each.id)
    placed: list[Insight] = []
    loose: list[Insight] = []
    for insight in insights:
        named, source = insight.values.get("page"), insight.values.get("source")
        page = named if isinstance(named, str) and named in ids else None
        if page is None and isinstance(source, str):
            address = source.partition("#")[0].rstrip("/")
            slug = address.rpartition("/")[2]
            alike = slugs.get(slug, set())
            page = addresses.get(address) or (slug if slug in ids else next(iter(alike)) if len(alike) == 1 else None)
        if page:
            placed.append(replace(insight, page=page))
        else:
            loose.append(insight)
    return placed, loose


def insights_of_pages(wiki: Wiki) -> Mapping[str, Sequence[Insight]]:
    """The insights of the data folder by page id. They are a person's, and count as the page's."""
    found: dict[str, list[Insight]] = {}
    for insight in with_pages(data_insights(wiki.config.data, wiki.config.folders)[0], wiki.files)[0]:
        found.setdefault(insight.page, []).append(insight)
    return found


def _values(entry: Any) -> Mapping[str, Any]:
    values = {str(key): value for key, value in entry.items()} if isinstance(entry, dict) else {}
    if "text" not in values and "insight" in values:
        values["text"] = values["insight"]
    return values


_ENTRY = re.compile(r"^([ \t]*)- ", re.MULTILINE)


def _entry_lines(head: str, name: str, count: int) -> list[int]:
    """The file lines of the entries of a block list under a key; the key's line for each if the list is written in another way."""
    key = re.search(rf"^[ \t]*(?:\w+\.)*{re.escape(name)}[ \t]*[:=]", head, re.MULTILINE)
    start = key.end() if key else 0
    lines: list[int] = []
    indent: str | None = None
    line, counted = 1, 0
    for match in _ENTRY.finditer(head, start):
        indent = match[1] if indent is None else indent
        if match[1] == indent:
            line, counted = line + head.count("\n", counted, match.start()), match.start()
            lines.append(line)
        if len(lines) == count:
            return lines
    return [head.count("\n", 0, start) + 1] * count


@dataclass(frozen=True, slots=True)
class Dates:
    """`YYYY-MM-DD` by path relative to the content folder: of the last and of the first commit that changed the file."""

    modified: Mapping[str, str] = field(default_factory=dict)
    created: Mapping[str, str] = field(default_factory=dict)


def read_dates(file: Path, within: Folders | None = None) -> Dates:
    """Dates from a file `{"modified": {path: date}, "created": {path: date}}`, not validated (null: none).

    Raises `UserError` with file and line for anything else.
    """
    try:
        loaded = _json(_decoded(read_bytes(file, within, DATA_BYTES)))
    except OSError as error:
        raise UserError(f"the dates cannot be read ({error.strerror or error})", where=str(file), do="name another file") from None
    except yaml12.YamlError as error:
        where = f"{file}:{error.line}" if error.line else str(file)
        raise UserError(error.reason, where=where, do="correct it, or name another file") from None
    parts = []
    for key in ("modified", "created"):
        part = loaded.get(key, {}) if isinstance(loaded, dict) else None
        if not isinstance(part, dict) or not all(date is None or isinstance(date, str) for date in part.values()):
            raise UserError(f"`{key}` must be a mapping of paths to dates", where=str(file), do='write {"modified": {…}, "created": {…}}')
        parts.append({path: date for path, date in part.items() if date})
    return Dates(*parts)


def git_dates(root: Path, content: Path, bulk_import_pages: int) -> tuple[Dates, list[Notice]]:
    """Dates of the files below `content` from the history of the wiki in `root`; without a history, no dates and one notice.

    A first date that more than `bulk_import_pages` files share is the date of a bulk import and is left out.
    """
    try:
        with history(root if content.is_relative_to(root) else content) as repository:
            inside = repository.prefix + (content.relative_to(root).as_posix() if content.is_relative_to(root) else ".")
            where = [f"--relative={inside}/", "--", inside] if inside.strip("./") else []
            log = repository.git("log", "--no-renames", "--name-only", "-z", "--date=short", "--format=%x01%ad", *where)
    except NoHistory as why:
        do = "lastUpdated and dateCreated come from the pages alone; give dates with --dates FILE"
        return Dates(), [Notice("", 0, f"{why} ({content.name}): {do}")]
    modified: dict[str, str] = {}
    created: dict[str, str] = {}
    date = ""
    for entry in os.fsdecode(log).split("\0"):
        name = entry.lstrip("\n")
        if name.startswith("\x01"):
            # `-z` ends the header with a NUL; older versions of git write the first name after a newline instead.
            date, _, name = name[1:].partition("\n")
            name = name.lstrip("\n")
        if name:
            modified.setdefault(name, date)
            created[name] = date
    shared = Counter(created.values())
    return Dates(modified, {path: day for path, day in created.items() if shared[day] <= bulk_import_pages}), []
