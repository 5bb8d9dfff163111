"""`database.json`: every page's record, the backlinks and the enrichment states (DESIGN.md section 4.6)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from enrich.config import Config
from enrich.errors import UserError
from enrich.files import KeyedStore, write_text_atomically
from enrich.metrics.javascript import is_falsy
from enrich.metrics.links import resource_map
from enrich.records.backlinks import LinkingPage, all_entities, backlinks, numeric_ids
from enrich.records.cache import page_store
from enrich.records.comparison import Comparison, compare
from enrich.records.facts import PageFacts, page_facts
from enrich.records.ranks import ranks, recommended_score
from enrich.records.record import Surroundings, complete, page_record
from enrich.records.redundancy import Redundancy
from enrich.records.tokens import compared_text, count_long, pack, words_digest
from enrich.wiki.data import Ranking, load_data
from enrich.wiki.dates import Dates, git_dates, read_dates
from enrich.wiki.notice import Notice
from enrich.wiki.pages import PageFile, find_pages, parse_page
from enrich.wiki.profile import Profile, load_profile

SCHEMA = 1
DATES_FILE = "git-dates.json"
_FLUSH_EVERY = 500  # pages between writes of the cache

Progress = Callable[[str, int, int], None]  # (what is being done, done, of how many)
Enrichment = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Database:
    """What a build gives. `notices` are for a person; they are not written."""

    pages: list[dict[str, Any]]
    backlinks: dict[str, list[dict[str, Any]]]
    enrichment: Enrichment
    generated: str
    notices: tuple[Notice, ...]

    def chunks(self) -> Iterator[str]:
        """The text of `database.json`: one record, one list of backlinks and one page's states a line."""
        yield '{"pages": [\n'
        yield from _joined(map(_json, self.pages))
        yield '],\n"backlinks": {\n'
        yield from _joined(f"{_json(page)}: {_json(entries)}" for page, entries in self.backlinks.items())
        yield '},\n"enrichment": {\n'
        yield from _joined(f"{_json(page)}: {_json(states)}" for page, states in self.enrichment.items())
        yield f'}},\n"generated": {_json(self.generated)},\n"schema": {SCHEMA}}}\n'

    def split_files(self) -> dict[str, Iterator[str]]:
        """The texts of the files that `--split` adds, by name."""
        return {
            "pages.json": _wrapped("[\n", _joined(map(_json, self.pages)), "]\n"),
            "backlinks.json": _wrapped(
                "{\n", _joined(f"{_json(page)}: {_json(entries)}" for page, entries in self.backlinks.items()), "}\n"
            ),
        }


def build(
    config: Config,
    *,
    now: datetime,
    enrichment: Enrichment | None = None,
    dates_file: Path | None = None,
    progress: Progress | None = None,
) -> Database:
    """The records of all pages of a wiki.

    `now` is the clock that scores depend on; `enrichment` gives each page's stage states; dates come from `dates_file`, else from
    `git-dates.json` in the data folder, else from git. Raises `UserError` for a wiki that is not there or a named file that cannot be used;
    whatever else is wrong is among the notices, and the rest is built.
    """
    if not config.content.is_dir():
        raise UserError("there is no such content folder", where=str(config.content), do="set [wiki] content in enrich.toml")
    profile = load_profile(config.wiki.profile, config.root)
    notices: list[Notice] = []
    files = _page_files(config, notices)
    cache = page_store(config.cache / "pages", profile.model_dump_json())
    pruned = False  # only a build that saw everything knows what is no longer used
    try:
        data = load_data(config.data, cache.remember)
        notices += [Notice(f"{config.wiki.data}/{notice.file}", notice.line, notice.message) for notice in data.notices]
        dates = _dates(config, profile, dates_file, notices)
        loaded = _load_pages(files, profile, cache, config.wiki.content, notices, progress)
        linking = [_linking_page(file, facts) for file, facts in loaded]
        entities = all_entities(data.entities, linking)
        numbers, said = numeric_ids(data.entities, linking)
        notices += said
        found_backlinks = backlinks(entities, linking, numbers)
        around = Surroundings(
            profile,
            {entity.id: entity for entity in reversed(entities)},
            resource_map(data.resources),
            frozenset(resource.id for resource in data.resources),
            dates,
            found_backlinks,
            now.astimezone(UTC).year,
        )
        records: list[dict[str, Any]] = []
        for file, facts in loaded:
            record, said = page_record(file, facts, around)
            notices += [Notice(f"{config.wiki.content}/{notice.file}", notice.line, notice.message) for notice in said]
            records.append(record)
        similar = _redundancy(loaded, records, cache, progress)
        ids = {file.id for file in files}
        pruned = True
        for ranking in (data.reader_ranking, data.research_ranking):
            notices += _unknown_in(ranking, ids, config.wiki.data)
    finally:
        cache.close(prune=pruned)
    _complete(records, loaded, similar, now)
    pointed_at = {page: entries for page, entries in found_backlinks.items() if page in ids}
    generated = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Database(records, pointed_at, enrichment or {}, generated, tuple(notices))


def write_database(database: Database, file: Path, *, split: bool = False) -> list[Path]:
    """Writes `database.json` and, with `split`, `pages.json` and `backlinks.json` beside it, each whole or not at all. Gives the paths."""
    texts: dict[Path, Iterator[str]] = {file: database.chunks()}
    if split:
        texts.update({file.parent / name: text for name, text in database.split_files().items()})
    for path, chunks in texts.items():
        write_text_atomically(path, "".join(chunks))
    return list(texts)


def would_change(database: Database, file: Path) -> bool:
    """Whether writing would change the file."""
    digest, standing = hashlib.sha256(), hashlib.sha256()
    for chunk in database.chunks():
        digest.update(chunk.encode())
    try:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                standing.update(block)
    except OSError:
        return True
    return digest.digest() != standing.digest()


def generated_at(file: Path) -> datetime | None:
    """The clock of the build that wrote this file; None where it is none of ours."""
    try:
        with file.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 200))
            tail = stream.read().decode("utf-8", "replace")
        _, _, text = tail.rpartition('"generated": "')
        return datetime.fromisoformat(text.partition('"')[0])
    except (OSError, ValueError):
        return None


_Loaded = tuple[PageFile, PageFacts]


def _page_files(config: Config, notices: list[Notice]) -> list[PageFile]:
    files, said = find_pages(config.content, config.wiki.roots)
    for warning in said:
        path, _, message = warning.partition(": ")
        line = 0 if (config.content / path).is_dir() or not (config.content / path).exists() else 1
        notices.append(Notice(f"{config.wiki.content}/{path}", line, message))
    if config.wiki.roots is not None:
        inside = {file.path for file in files}
        outside = [file.path for file in find_pages(config.content)[0] if file.path not in inside]
        if outside:
            many = f"{len(outside)} pages stand" if len(outside) > 1 else "this page stands"
            notices.append(Notice(f"{config.wiki.content}/{outside[0]}", 1, f"{many} outside the roots of enrich.toml and get no record"))
    return files


def _dates(config: Config, profile: Profile, dates_file: Path | None, notices: list[Notice]) -> Dates:
    if dates_file is not None:
        return read_dates(dates_file)
    if (config.data / DATES_FILE).is_file():
        try:
            return read_dates(config.data / DATES_FILE)
        except UserError as error:
            notices.append(Notice(f"{config.wiki.data}/{DATES_FILE}", 0, f"{error.what}; git is asked instead"))
    dates, said = git_dates(config.content, profile.bulk_import_pages)
    notices += said
    return dates


def _load_pages(
    files: Sequence[PageFile], profile: Profile, cache: KeyedStore, content: str, notices: list[Notice], progress: Progress | None
) -> list[_Loaded]:
    loaded: list[_Loaded] = []
    for place, file in enumerate(files):
        try:
            raw = file.file.read_bytes()
        except OSError as error:
            notices.append(Notice(f"{content}/{file.path}", 0, f"cannot be read ({error.strerror or error}); it gets no record"))
            continue
        # The file name gives a page without a title its title.
        key = cache.key("page", os.fsencode(file.path.rpartition("/")[2]) + b"\0" + raw)
        facts = None
        with suppress(TypeError, ValueError):
            kept = cache.get_json(key)
            facts = None if kept is None else PageFacts.from_json(kept)
        if facts is None:
            page = parse_page(file, raw)
            packed = pack(compared_text(page.text))
            facts = page_facts(page, profile, words_digest(packed))
            cache.put_json(key, facts.to_json())
            cache.put(cache.key("words", facts.words.encode()), packed)
        else:
            cache.keep(cache.key("words", facts.words.encode()))  # wanted again as soon as any page changes
        if facts.problem is not None:
            _, reason, line = facts.problem
            notices.append(Notice(f"{content}/{file.path}", line, reason))
        loaded.append((file, facts))
        if place % _FLUSH_EVERY == _FLUSH_EVERY - 1:
            cache.flush()
        if progress is not None:
            progress("pages", place + 1, len(files))
    return loaded


def _linking_page(file: PageFile, facts: PageFacts) -> LinkingPage:
    front = facts.frontmatter

    def text(key: str) -> str | None:
        return None if is_falsy(front.get(key)) else str(front[key])

    return LinkingPage(
        file.id, file.path, facts.title, file.is_index, text("numericId"), text("entityId"), text("entityType"), facts.links.entities
    )


def _redundancy(
    loaded: Sequence[_Loaded], records: Sequence[Mapping[str, Any]], cache: KeyedStore, progress: Progress | None
) -> Sequence[Redundancy]:
    """The redundancy of all pages, with what the last build found as a start."""
    states = [(facts.words, str(record["contentFormat"])) for (_, facts), record in zip(loaded, records, strict=True)]
    key = cache.key("redundancy", b"")
    before = None
    with suppress(TypeError, ValueError):
        before = Comparison.from_json(cache.get_json(key))
    step = None if progress is None else (lambda done, total: progress("redundancy", done, total))
    comparison = compare(states, lambda place: _packed_words(*loaded[place], cache), before, step)
    if comparison is not before:
        cache.put_json(key, comparison.to_json())
    return comparison.found


def _packed_words(file: PageFile, facts: PageFacts, cache: KeyedStore) -> bytes:
    key = cache.key("words", facts.words.encode())
    packed = cache.get(key)
    if packed is not None:
        with suppress(ValueError):
            count_long(packed)
            return packed
    packed = pack(compared_text(parse_page(file, file.file.read_bytes()).text))
    cache.put(key, packed)
    return packed


def _complete(records: list[dict[str, Any]], loaded: Sequence[_Loaded], similar: Sequence[Redundancy], now: datetime) -> None:
    reader = ranks([record["readerImportance"] for record in records])
    research = ranks([record["researchImportance"] for record in records])
    for place, record in enumerate(records):
        complete(
            record,
            similar[place],
            records,
            reader_rank=reader[place],
            research_rank=research[place],
            score=recommended_score(record, now),
            insights=loaded[place][1].frontmatter.get("insights"),
        )


def _unknown_in(ranking: Ranking, ids: set[str], data: str) -> list[Notice]:
    missing = [(page, line) for page, line in zip(ranking.ids, ranking.lines, strict=True) if page not in ids]
    if not missing:
        return []
    page, line = missing[0]
    more = f" (and {len(missing) - 1} more that are not)" if len(missing) > 1 else ""
    return [Notice(f"{data}/{ranking.file}", line, f"the ranking names {page!r}, which is no page{more}")]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _joined(lines: Iterator[str]) -> Iterator[str]:
    """The lines with a comma between them, and a line break at the end where there is any."""
    before = ""
    for line in lines:
        yield f"{before}{line}"
        before = ",\n"
    if before:
        yield "\n"


def _wrapped(head: str, lines: Iterator[str], tail: str) -> Iterator[str]:
    yield head
    yield from lines
    yield tail
