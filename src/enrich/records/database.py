"""`database.json`: every page's record, the backlinks and the enrichment states (DESIGN.md section 4.6)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from enrich.blocks import Blocks
from enrich.config import OWN_STAGES, STAGES, Config, shipped_prompts
from enrich.databases import KeyedStore
from enrich.errors import UserError
from enrich.files import LOCK_BYTES, PAGE_BYTES, Folders, names_in, read_bytes, write_text_atomically
from enrich.records.infobox import Row, infobox_rows
from enrich.records.record import LoadedPage, Surroundings, complete, load_pages, open_store, page_record, used_items, with_page_links
from enrich.records.relations import Similar, all_entities, backlinks, compared_text, numeric_ids, redundancy, resource_map
from enrich.text import JSON_ESCAPES, counted
from enrich.wiki import yaml12
from enrich.wiki.data import Dates, Notice, git_dates, insights_of_pages, load_data, read_dates
from enrich.wiki.entities import Entity
from enrich.wiki.page_files import PageFile, find_pages, names_of
from enrich.wiki.pages import parse_page
from enrich.wiki.profile import Profile
from enrich.wiki.wiki import Wiki

SCHEMA = 1
DATES_FILE = "git-dates.json"

Progress = Callable[[str, int, int], None]  # (step, done, of how many)
Enrichment = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Database:
    """The result of a build. `notices` are for the user and not written; `unread` is how many pages and folders have no record because of a fault."""

    pages: list[dict[str, Any]]
    backlinks: dict[str, list[dict[str, Any]]]
    enrichment: Enrichment
    entities: Mapping[str, Entity]
    infobox: Mapping[str, Sequence[Row] | None]
    links: Mapping[str, Mapping[str, str]]
    generated: str
    notices: tuple[Notice, ...]
    unread: int = 0

    def text(self) -> str:
        """The text of `database.json`: one record, one page's backlinks, states, infobox and links, and one entity per line."""
        parts = (
            f'"pages": {_array(self.pages)}',
            f'"backlinks": {_object(self.backlinks)}',
            f'"enrichment": {_object(self.enrichment)}',
            f'"entities": {_object({entity.id: entity.values for entity in self.entities.values()})}',
            f'"infobox": {_object({page: rows and [[row.label, row.value] for row in rows] for page, rows in self.infobox.items()})}',
            f'"externalLinks": {_object(self.links)}',
            f'"generated": {_json(self.generated)}',
            f'"schema": {SCHEMA}',
        )
        return "{" + ",\n".join(parts) + "}\n"


def build(
    wiki: Wiki,
    *,
    now: datetime,
    enrichment: Enrichment | None = None,
    dates_file: Path | None = None,
    blocks: Blocks | None = None,
    progress: Progress | None = None,
) -> Database:
    """The records of all pages of a wiki.

    Scores depend on the time `now`. `enrichment` gives each page's stage states. Dates come from `dates_file`, else from `git-dates.json` in
    the data folder, else from git. `blocks`: where pages are worked on (default: this process). Raises `UserError` if `dates_file` cannot be
    used; any other fault is among the notices, and the rest is built.
    """
    config, profile, files, blocks = wiki.config, wiki.profile, wiki.files, blocks or Blocks()
    notices = list(_notices_of_pages(wiki))
    ids = {file.id for file in files}
    store = open_store(config.cache / "pages", profile, config.folders)
    complete_build = False
    try:
        data = load_data(config.data, store.remember, config.folders)
        notices += [notice.below(config.wiki.data) for notice in data.notices]
        dates = _dates(config, profile, dates_file, notices)
        loaded: list[LoadedPage] = []
        for page in load_pages(_read(files, config.wiki.content, notices), profile, store, blocks):
            loaded.append(page)
            if problem := page.facts.problem:
                notices.append(Notice(f"{config.wiki.content}/{page.file.path}", problem.line, problem.reason))
            if progress is not None:
                progress("pages", len(loaded), len(files))
        linked: dict[str, list[str]] = {}
        if profile.page_links:
            loaded, linked = with_page_links(loaded)
        entities = all_entities(data.entities, loaded, wiki.page_of_entity)
        numbers, said = numeric_ids(data.entities, loaded, wiki.page_of_entity)
        notices += said
        pointed_at = backlinks(entities, loaded, numbers, linked, profile.default_entity_type, wiki.page_of_entity)
        around = Surroundings(
            profile,
            {name: entity for entity in entities for name in (entity.id, wiki.page_of_entity(entity.id))},
            resource_map(data.resources),
            frozenset(resource.id for resource in data.resources),
            dates,
            pointed_at,
            now.astimezone(UTC).year,
            used_items(loaded, entities, data.resources) if profile.coverage.only_used else None,
        )
        records: list[dict[str, Any]] = []
        for page in loaded:
            record, said = page_record(page.file, page.facts, around)
            notices += [notice.below(config.wiki.content) for notice in said]
            records.append(record)
        similar = _similar(loaded, [record["contentFormat"] for record in records], store, blocks, progress)
        complete_build = True
    finally:
        store.close(prune=complete_build)  # an interrupted build does not know which entries are still needed
    notices += _unknown_ranked(wiki, data.rankings)
    complete(records, similar, list(_insights(wiki, loaded)), now)
    generated = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    boxes = {record["id"]: infobox_rows(around.entities.get(record["id"]), record, around.entities, profile) for record in records}
    links = {numbers.get(page, wiki.page_of_entity(page)): urls for page, urls in data.links.items()}
    return Database(
        records,
        {page: pointed_at[page] for page in pointed_at if page in ids},
        enrichment or {},
        around.entities,
        boxes,
        {page: urls for page, urls in links.items() if page in ids},
        generated,
        tuple(notices),
        len(files) - len(loaded),
    )


def enrichment_states(wiki: Wiki, plan: Callable[[], Enrichment]) -> Enrichment:
    """What `plan` gives (`Plan.enrichment` of the whole wiki), from the last build if nothing that it depends on has changed.

    Planning parses every page. A build that finds its records in the cache should not wait for that.
    """
    store = KeyedStore(wiki.config.cache / "states.db", within=wiki.config.folders)
    try:
        states: Enrichment = store.remember("states", _inputs(wiki), plan)
        return states
    finally:
        store.close(prune=True)


def _inputs(wiki: Wiki) -> bytes:
    """A hash of everything that states depend on: configuration, code, prompts, lock, proposals and pages."""
    config = wiki.config
    digest = hashlib.blake2b(config.model_dump_json().encode())
    package, stages = Path(__file__).parents[1], (*STAGES, *config.stages.further())
    named = [config.root / OWN_STAGES, *(config.root / prompt for name in stages if (prompt := config.stages[name].prompt))]
    prompts = [config.root / "prompts" / f"{name}.md" for name in ("system", *stages)]
    for folder, own in ((config.data / "insights", False), (config.proposals, True), (config.lock_parts, True)):
        with suppress(OSError):
            named += sorted(folder / name for name in names_in(folder, config.folders, own=own))
    ours = [*package.rglob("*.py"), *shipped_prompts().glob("*.md")]
    reads = [(str(file), file.read_bytes) for file in sorted(ours)]
    reads += [(str(file), partial(read_bytes, file, config.folders, LOCK_BYTES)) for file in (*prompts, *named, config.lock)]
    for page in wiki.files:
        reads.append((f"{page.id}\0{page.path}", page.read))
        if page.fields.sidecars:
            reads.append((f"{page.id}\0sidecar", partial(read_bytes, page.store, config.folders, PAGE_BYTES)))
    for name, read in reads:
        try:
            content = read()
        except OSError as error:
            content = f"{error.errno}".encode()
            name += "\0missing"
        # The lengths mark where one entry ends and the next begins.
        digest.update(f"{len(name)} {len(content)} {name}".encode("utf-8", "surrogateescape") + content)
    return digest.digest()


def write_database(database: Database, file: Path, *, split: bool = False, within: Folders | None = None) -> list[Path]:
    """Write `database.json` and, with `split`, `pages.json` and `backlinks.json` beside it; return their paths."""
    texts = {file: database.text()}
    if split:
        texts[file.parent / "pages.json"] = f"{_array(database.pages)}\n"
        texts[file.parent / "backlinks.json"] = f"{_object(database.backlinks)}\n"
    for path, text in texts.items():
        write_text_atomically(path, text, within=within)
    return list(texts)


def would_change(database: Database, file: Path, within: Folders | None = None) -> bool:
    """Whether writing would change the file."""
    try:
        return read_bytes(file, within, LOCK_BYTES) != database.text().encode("utf-8", JSON_ESCAPES)
    except OSError:
        return True


def generated_at(file: Path, within: Folders | None = None) -> datetime | None:
    """The time of the build that wrote this file; None if no build wrote it."""
    try:
        tail = read_bytes(file, within, LOCK_BYTES)[-200:].decode("utf-8", "replace")
        return datetime.fromisoformat(tail.rpartition('"generated": "')[2].partition('"')[0]).astimezone(UTC)
    except (OSError, ValueError, OverflowError):
        return None


def _notices_of_pages(wiki: Wiki) -> Iterator[Notice]:
    """What is wrong with the pages as a whole, and pages outside the roots."""
    config = wiki.config
    for warning in wiki.warnings:
        path, _, message = warning.partition(": ")
        line = 0 if (config.content / path).is_dir() or not (config.content / path).exists() else 1
        yield Notice(f"{config.wiki.content}/{path}", line, message)
    if config.wiki.roots is not None:
        inside = {file.path for file in wiki.files}
        everything = find_pages(config.content, exclude=config.wiki.exclude, root=config.root)[0]
        outside = [file.path for file in everything if file.path not in inside]
        if outside:
            said = f"{counted(len(outside), 'page')} outside the roots of enrich.toml: no record"
            yield Notice(f"{config.wiki.content}/{outside[0]}", 1, said)


def _dates(config: Config, profile: Profile, dates_file: Path | None, notices: list[Notice]) -> Dates:
    if dates_file is not None:
        return read_dates(dates_file, config.folders_of(dates_file))
    if os.path.lexists(config.data / DATES_FILE):
        try:
            return read_dates(config.data / DATES_FILE, config.folders)
        except UserError as error:
            notices.append(Notice(f"{config.wiki.data}/{DATES_FILE}", 0, f"{error.what}; git is asked instead"))
    dates, said = git_dates(config.root, config.content, profile.bulk_import_pages)
    notices += said
    return dates


def _read(files: Sequence[PageFile], content: str, notices: list[Notice]) -> Iterator[tuple[PageFile, bytes]]:
    for file in files:
        try:
            yield file, file.read()
        except OSError as error:
            notices.append(Notice(f"{content}/{file.path}", 0, f"cannot be read ({error.strerror or error}); it gets no record"))


def _unknown_ranked(wiki: Wiki, rankings: Mapping[str, Sequence[tuple[str, int]]]) -> Iterator[Notice]:
    known = wiki.by_id.keys() | {name for name, pages in names_of(wiki.files).items() if len(pages) == 1}
    for file, ranking in rankings.items():
        unknown = [(named, line) for named, line in ranking if named not in known]
        if unknown:
            named, line = unknown[0]
            more = f" (and {len(unknown) - 1} more unknown pages)" if len(unknown) > 1 else ""
            yield Notice(f"{wiki.config.wiki.data}/{file}", line, f"the ranking names {named!r}, which is not a page{more}")


def _insights(wiki: Wiki, loaded: Sequence[LoadedPage]) -> Iterator[Any]:
    """Each page's insights: those on the page, then those of the data folder."""
    of_data = wiki.shared_by_copies(insights_of_pages)
    for page in loaded:
        own = page.facts.frontmatter.get("insights")
        shown = list(own) if isinstance(own, list) else []
        for insight in of_data.get(page.file.id, ()):
            values = {"type": insight.values.get("type"), "text": insight.text} | dict(insight.values)
            with suppress(yaml12.YamlError):  # aliases that expand to too many values
                shown.append(yaml12.json_value({key: value for key, value in values.items() if key not in ("insight", "page", "source")}))
        yield shown


def _similar(
    loaded: Sequence[LoadedPage], formats: Sequence[str], store: KeyedStore, blocks: Blocks, progress: Progress | None
) -> Sequence[Sequence[Similar]]:
    """The redundancy of all pages, from the store if no page's words and format changed."""

    def compute() -> list[list[Similar]]:
        texts = (compared_text(parse_page(page.file, page.raw).text) if page.compared is None else page.compared for page in loaded)
        return redundancy(texts, formats, blocks, None if progress is None else lambda done, total: progress("redundancy", done, total))

    inputs = [(page.facts.words, content_format) for page, content_format in zip(loaded, formats, strict=True)]
    found: list[list[Similar]] = store.remember("redundancy", _json(inputs).encode("utf-8", JSON_ESCAPES), compute)
    return found


def _array(values: Iterable[Any]) -> str:
    """A JSON array with one value per line."""
    lines = ",\n".join(map(_json, values))
    return f"[\n{lines}\n]" if lines else "[\n]"


def _object(values: Mapping[str, Any]) -> str:
    """A JSON object with one value per line."""
    lines = ",\n".join(f"{_json(key)}: {_json(value)}" for key, value in values.items())
    return f"{{\n{lines}\n}}" if lines else "{\n}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
