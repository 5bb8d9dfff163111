"""`enrich.lock`: what `enrich` wrote on each page, and from which question (DESIGN.md section 4.5).

JSON lines sorted by page and stage, committed with the wiki. An entry holds a hash of each value of a stage that `enrich` wrote on a page, and the
question that the value answers. From it the next run knows what is due and what a person changed.

A crash at any moment is safe: before pages are replaced, the entries they will have are *appended* as intents and flushed; afterwards the file is
rewritten without them. Where there are several entries for one (page, stage), after a crash or after a merge with `merge=union`, the one that
matches the page wins. An intent that matches nothing is void.

The lock of a million pages has a gigabyte. It is one file until that is too large for git hosts; then its rows are in the files of
`enrich.lock.d`, by a checksum of the page's id, and `enrich.lock` holds only what is being written. Rows are read from all of these files,
wherever a page's rows are.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from operator import not_
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar
from weakref import finalize
from zlib import crc32

from pydantic import Field, TypeAdapter

from enrich.config import PAGE_SUFFIXES
from enrich.errors import UserError
from enrich.files import LOCK_BYTES, Folders, PageMoved, locked, names_in, open_file, remove_file, replace_own_file, write_atomically
from enrich.stages.fields import INSIGHTS, SUMMARY, current_value, is_missing, value_hash
from enrich.stages.stage import OFFLINE, Stage
from enrich.text import JSON_ESCAPES
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, parse_page, read_page
from enrich.wiki.wiki import Wiki

ADOPTED = "adopted"
"""The model of values that `enrich adopt` took over: which model wrote them is unknown, so a change of model makes none of them due."""
REJECTED = "rejected"
PARTS = 16
# GitHub refuses files of more than 100 MB.
LARGEST_WHOLE = 50_000_000
# How the row of an intent begins, and any other row.
_INTENT = b'{"intent":true'
_HEAD = re.compile(rb'\{"page":"([^"\\]*)","stage":"')
_CONFLICT_MARKS = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")
# The page's own text counts for more than any number of equal values.
_SAME_TEXT = 1000
# The entries of a page have about 1,000 bytes: a lock has no more than this for each page of the wiki, or `LOCK_BYTES`.
_PAGE_ROWS_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the lock and the proposals keep it: its key, and the hashes of the parts that the key is made of."""

    key: str
    page_hash: str
    prompt: str
    schema: str
    settings: str
    model: str

    @classmethod
    def of(cls, page: Page, stage: Stage, *, key: str = "") -> Question:
        """The question that `stage` asks about `page` now. The key is empty unless given, because it costs a rendering."""
        return cls(key, page.hash, stage.prompt_hash, stage.schema_hash, stage.settings_hash, stage.model)

    def reasons(self, now: Question) -> list[str]:
        """Why the question `now` differs from this one, in the words of DESIGN.md section 3; [] if it is the same.

        A model's answer stays if the backend is switched to `offline`. An adopted value belongs to no model.
        """
        # The baseline has neither a prompt nor settings, and never replaces a model's answer.
        if now.model == OFFLINE and self.model != OFFLINE:
            return []
        changed = {
            "page-changed": self.page_hash != now.page_hash,
            "prompt-changed": self.prompt != now.prompt,
            "schema-changed": self.schema != now.schema,
            "model-changed": self.model not in (now.model, ADOPTED),
            "settings-changed": self.settings != now.settings,
        }
        return [reason for reason, applies in changed.items() if applies]


# A key with this mark is left out of the file where it holds nothing.
IF_ANY = Field(exclude_if=not_)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person decided on a proposed value from a prompt of this version: `distance` of an edit (`proposals`), `reason` of a rejection."""

    decision: Literal["accept", "edit", "reject"]
    version: Annotated[str, IF_ANY] = ""
    distance: Annotated[float, Field(exclude_if=not_, ge=0, le=10, allow_inf_nan=False)] = 0.0
    reason: Annotated[str, IF_ANY] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEntry:
    """What the lock knows about one (page, stage): one line of the file, its keys in their order.

    `fields` maps each field to the hash of the value that `enrich` wrote on the page, or to `REJECTED` if a reviewer rejected the answer and there is
    no value of ours. `rejected` names all fields that were rejected for this entry's question. `older` holds the question of each field whose value
    comes from an earlier question than the entry's. `decided` says what a person decided on fields. `intent` is first because it must be readable
    in a line that was cut off.
    """

    intent: Annotated[bool, IF_ANY] = False
    page: str
    stage: str
    key: str
    page_hash: str
    prompt: str
    schema: str
    settings: str
    model: str
    fields: Mapping[str, str]
    rejected: Annotated[tuple[str, ...], IF_ANY] = ()
    older: Annotated[Mapping[str, Question], IF_ANY] = field(default_factory=dict)
    decided: Annotated[Mapping[str, Verdict], IF_ANY] = field(default_factory=dict)
    date: str

    @property
    def question(self) -> Question:
        return Question(self.key, self.page_hash, self.prompt, self.schema, self.settings, self.model)

    @property
    def written(self) -> dict[str, str]:
        """The hash of each value on the page that `enrich` wrote."""
        return {name: digest for name, digest in self.fields.items() if digest != REJECTED}

    def question_of(self, name: str) -> Question:
        """The question that the value of the field `name` answers."""
        return self.older.get(name, self.question)


_ENTRY = TypeAdapter(LockEntry)

Owner = Literal["missing", "ours", "human-edited", "unmanaged"]
PERSONS: tuple[Owner, ...] = ("human-edited", "unmanaged")


def owner(value: Any, entry: LockEntry | None, name: str) -> Owner:
    """Who wrote the value of a field: `human-edited` also if a person deleted what `enrich` wrote, `unmanaged` if the lock does not know the field."""
    ours = entry.fields.get(name, REJECTED) if entry else REJECTED
    if ours == REJECTED:
        return "missing" if is_missing(value) else "unmanaged"
    return "ours" if value_hash(value) == ours else "human-edited"


def lock_entry(
    page: str,
    stage: str,
    question: Question,
    before: LockEntry | None,
    *,
    written: Mapping[str, str] = MappingProxyType({}),
    rejected: Iterable[str] = (),
    decided: Mapping[str, Verdict] = MappingProxyType({}),
    date: str,
) -> LockEntry:
    """The entry of a stage after `written` fields (with value hashes) answer `question`, and `rejected` ones were rejected for it.

    `decided`: what a person decided on them. Fields of ours that neither of them names keep their own, earlier question.
    """
    kept: dict[str, str] = {}
    older: dict[str, Question] = {}
    refused, verdicts = set(rejected), dict(decided)
    if before:
        same = before.key == question.key and not before.question.reasons(question)
        kept = {name: digest for name, digest in before.written.items() if name not in written}
        older = {name: before.question_of(name) for name in kept if not same or name in before.older}
        refused |= set(before.rejected) - set(written) if same else set()
        verdicts = {name: verdict for name, verdict in before.decided.items() if name not in written} | verdicts
    fields = {**dict.fromkeys(refused, REJECTED), **kept, **written}
    return LockEntry(
        page=page,
        stage=stage,
        **asdict(question),
        fields=dict(sorted(fields.items())),
        rejected=tuple(sorted(refused)),
        older=dict(sorted(older.items())),
        decided={name: verdict for name, verdict in sorted(verdicts.items()) if name in fields},
        date=date,
    )


Key = tuple[str, str]
Parsed = TypeVar("Parsed")


def _opened(path: Path, within: Folders, most: int) -> int:
    """A handle to read a file of at most `most` bytes. Raises `OSError`."""
    handle = open_file(path, os.O_RDONLY, within, own=False)
    if os.fstat(handle).st_size > most:
        os.close(handle)
        raise OSError(errno.EOVERFLOW, f"larger than {most // 1_000_000} MB", str(path))
    return handle


def parsed_rows(
    path: Path, parse: Callable[[bytes], Parsed], within: Folders, *, most: int = LOCK_BYTES, what: str, do: str
) -> Iterator[Parsed]:
    """The rows of a committed JSON-lines file of ours, each read by `parse`, one at a time: that of a large wiki has a gigabyte.

    Blank rows and the marks of a merge are left out, and both sides of the merge stay. A file that is not there has no rows. Raises `UserError` if it
    cannot be read or has more than `most` bytes, and (`what`, `do`) with the line of a row that `parse` refuses.
    """
    try:
        with os.fdopen(_opened(path, within, most), "rb") as handle:
            for number, row in enumerate(iter(lambda: handle.readline(most), b""), 1):
                if row.strip() and not row.startswith(_CONFLICT_MARKS):
                    try:
                        yield parse(row)
                    except (ValueError, RecursionError):  # pydantic's errors are among them
                        raise UserError(what, where=f"{path}:{number}", do=do) from None
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(path), do="restore it from version control") from None


def json_row(shape: TypeAdapter[Any], entry: Any) -> str:
    """The row of an entry."""
    return json.dumps(shape.dump_python(entry), ensure_ascii=False, separators=(",", ":")) + "\n"


def _matching(entry: LockEntry, page: Page | None) -> int:
    """How many of the entry's values are on the page."""
    data = page.data if page else {}
    return sum(value_hash(current_value(data, name)) == digest for name, digest in entry.fields.items())


class Lock:
    """The entries of one reading of the lock's files, which stay open: a page's rows are read when the page is looked at.

    `known` are the wiki's pages by id: with them, a renamed page has the entries of its earlier id. `moved` collects such pages with that id.
    `places` has the (number of the file, start, end) of a page's rows, `_more` those of its rows elsewhere, after a merge or a crash.
    `interrupted` are the pages that an interrupted apply wrote, or was about to write.

    Raises `UserError` that names the line for a row that does not name its page, and `OSError`, also for more than `largest` bytes.
    """

    def __init__(self, files: Iterable[Path], known: Mapping[str, PageFile], moved: dict[str, str], largest: int, within: Folders) -> None:
        self._known, self.moved = known, moved
        self.files: list[tuple[Path, int]] = []
        self.places: dict[str, tuple[int, int, int]] = {}
        self._more: dict[str, list[tuple[int, int, int]]] = {}
        self.interrupted: set[str] = set()
        self._loose: set[str] = set()
        self._last: tuple[str, list[LockEntry]] = ("", [])
        self._homes: dict[tuple[str, str], str] = {}
        for number, file in enumerate(files):
            handle = _opened(file, within, largest)
            finalize(self, os.close, handle)
            self.files.append((file, handle))
            self._scan(number, handle, largest)

    def _scan(self, number: int, handle: int, largest: int) -> None:
        """Find the rows of each page in a file."""
        page, start, at, last = "", 0, 0, b""
        with os.fdopen(handle, "rb", closefd=False) as stream:
            while row := stream.readline(largest):
                about = self._page_of(row, number, at)
                if about != page:
                    self._add(page, number, start, at)
                    page, start = about, at
                elif row <= last:
                    self._loose.add(page)
                last = row
                at += len(row)
        self._add(page, number, start, at)

    def _page_of(self, row: bytes, number: int, at: int) -> str:
        """The page that a row is about; "" for a row that is about none. A page is loose if its rows are not as `enrich` writes them."""
        if (head := _HEAD.match(row)) and row.endswith(b"}\n"):
            with suppress(UnicodeDecodeError):
                return head[1].decode("utf-8")
        # Both sides of a merge stay: the entry that matches the page wins.
        if not row.strip() or row.startswith(_CONFLICT_MARKS):
            return ""
        if not row.endswith(b"\n") and (row.startswith(_INTENT) or _INTENT.startswith(row)):
            try:
                _ENTRY.validate_json(row)
            except ValueError:
                return ""  # an intent that was cut off: its page was not touched
        entry = self._parsed(row, number, at)
        self._loose.add(entry.page)
        self.interrupted |= {entry.page} if entry.intent else set()
        return entry.page

    def _add(self, page: str, number: int, start: int, end: int) -> None:
        if page in self.places:
            self._loose.add(page)
            self._more.setdefault(page, []).append((number, start, end))
        elif page:
            # The same text as the wiki's own, once in memory.
            own = self._known.get(page)
            self.places[page if own is None else own.id] = (number, start, end)

    def runs(self, page: str) -> list[tuple[int, int, int]]:
        """All places of a page's rows."""
        return [self.places[page], *self._more.get(page, ())] if page in self.places else []

    def _read(self, number: int, start: int, end: int) -> bytes:
        return os.pread(self.files[number][1], end - start, start)

    def _parsed(self, row: bytes, number: int, at: int) -> LockEntry:
        try:
            return _ENTRY.validate_json(row)
        except ValueError:  # pydantic's errors are among them
            file, handle = self.files[number]
            line = 1 + sum(os.pread(handle, min(1 << 20, at - place), place).count(b"\n") for place in range(0, at, 1 << 20))
            raise UserError("not a lock entry", where=f"{file}:{line}", do=f"restore {file.name} from version control") from None

    def __iter__(self) -> Iterator[LockEntry]:
        for page in sorted(self.places):
            yield from sorted(self.of(page), key=lambda entry: entry.stage)

    def of(self, page: str) -> list[LockEntry]:
        """The entries of a page in the order of their rows. Raises `UserError` that names the line for one that is damaged."""
        if page != self._last[0]:  # the stages of a page are looked at one after the other
            found = []
            for number, start, end in self.runs(page):
                for row in self._read(number, start, end).split(b"\n"):
                    if row:
                        found.append(self._parsed(row, number, start))
                    start += len(row) + 1
            self._last = page, found
        return self._last[1]

    def rows(self, page: str) -> bytes:
        """The rows of a page as they are written: as they are in the file, if `enrich` wrote them."""
        if page not in self._loose:
            return self._read(*self.places[page])
        return _rows_of(self.of(page))

    def entries(self, page: str, stage: str) -> list[LockEntry]:
        """All entries of (page, stage): none or one, except after a crash or a merge."""
        return [entry for entry in self.of(page) if entry.stage == stage]

    def entry(self, page_id: str, stage: str, page: Page | None) -> LockEntry | None:
        """The entry of (page, stage) that matches the page best: its fields first, then the page's text, then the later date.

        `page` is None if the page is gone.
        """
        home = self._home(page) if page is not None and page_id in self._known else page_id
        entries = [entry for entry in self.entries(home, stage) if not entry.intent or _matching(entry, page)]

        def rank(entry: LockEntry) -> tuple[int, bool, str, bool]:
            return _matching(entry, page), page is not None and entry.page_hash == page.hash, entry.date, not entry.intent

        # max() keeps the first of equals: later entries are preferred.
        found = entries[0] if len(entries) == 1 else max(reversed(entries), key=rank, default=None)
        return found if found is None or home == page_id else replace(found, page=page_id)

    def with_moved_sidecar(self, page: Page) -> Page:
        """The page with the values of the sidecar of its earlier id, if it was renamed and has no sidecar of its own."""
        if page.file.fields.sidecars is None or page.sidecar is not None or page.problem is not None:
            return page
        earlier = self._home(page)
        left = None if earlier == page.id or earlier in self._known else sidecar_left(page.file, earlier)
        return page if left is None else parse_page(page.file, page.raw, left.read_sidecar())

    def _home(self, page: Page) -> str:
        """The id under which the lock has the page's entries: its own, or an earlier one if it was renamed.

        The page was renamed if the entries of another id fit it better than its own do, and better than the page that has that id now.
        """
        if any(entry.page_hash == page.hash for entry in self.of(page.id)):
            return page.id  # no other page's entries can fit better
        if (page.id, page.hash) not in self._homes:
            best, most = page.id, self._fit(page.id, page)
            for earlier in self._candidates(page):
                fit = self._fit(earlier, page)
                if fit > most:
                    file = self._known.get(earlier)
                    if file is None or self._fit(earlier, read_page(file)) < fit:
                        best, most = earlier, fit
            if best != page.id:
                self.moved[page.id] = best
            self._homes[page.id, page.hash] = best
        return self._homes[page.id, page.hash]

    def _candidates(self, page: Page) -> dict[str, None]:
        """Other ids whose entries name the page's text, or a text that is a value on the page."""
        texts = (current_value(page.data, name) for name in (SUMMARY, INSIGHTS))
        # Pages without a value have that in common with many others.
        digests = [page.hash, *(value_hash(text) for text in texts if not is_missing(text))]
        found = dict.fromkeys([*page.file.earlier_ids, *(earlier for digest in digests for earlier in self._by_text.get(digest, ()))])
        found.pop(page.id, None)
        return found

    def _fit(self, page_id: str, page: Page) -> int:
        """How well the entries of an id fit a page: were they asked about its text, and how many of their values does it have?"""
        fit = 0
        for entry in self.of(page_id):
            found, same_text = _matching(entry, page), entry.page_hash == page.hash
            # A single number proves nothing.
            if same_text or entry.stage != "ratings" or 1 < found == len(entry.fields):
                fit += found + _SAME_TEXT * same_text
        return fit

    @cached_property
    def _by_text(self) -> dict[str, list[str]]:
        """Page ids by the hashes of the pages' texts and of the texts that were written on them. Numbers are left out: many pages have the same."""
        found: dict[str, list[str]] = {}
        for entry in self:
            for digest in (entry.page_hash, *(entry.written[name] for name in (SUMMARY, INSIGHTS) if name in entry.written)):
                found.setdefault(digest, []).append(entry.page)
        return found


class LockFile:
    """The file `enrich.lock` of one wiki. A file in the cache folder is locked while the lock is written."""

    def __init__(self, wiki: Wiki) -> None:
        self.path, self._mutex = wiki.config.lock, wiki.config.cache / "locks" / "wiki"
        self.parts = wiki.config.lock_parts
        self._within = wiki.config.folders
        self._wiki = wiki
        self.moved: dict[str, str] = {}
        """Renamed pages that a reader of the lock has met, {id: earlier id}; the next `update` writes their entries under their ids."""

    def read(self) -> Lock:
        """The entries of the lock. Raises `UserError` that names the line for anything that is not a lock entry, some only when it is looked at."""
        try:
            return Lock(self.files(), self._wiki.by_id, self.moved, self.largest, self._within)
        except OSError as error:
            raise UserError(
                f"cannot be read ({error.strerror})", where=str(error.filename or self.path), do="restore it from version control"
            ) from None

    @property
    def largest(self) -> int:
        """The bytes of the largest file that is taken for a lock."""
        return max(LOCK_BYTES, _PAGE_ROWS_BYTES * len(self._wiki.files))

    def files(self) -> list[Path]:
        """The files of the lock that exist. Raises `OSError` for a folder of parts that cannot be read."""
        found = [self.path] if os.path.lexists(self.path) else []
        if os.path.lexists(self.parts):
            found += [self.parts / name for name in sorted(names_in(self.parts, self._within)) if name.endswith(".jsonl")]
        return found

    def writing(self) -> AbstractContextManager[None]:
        """Hold the mutex: one process at a time changes pages and lock."""
        return locked(self._mutex, within=self._within)

    def append_intents(self, entries: Iterable[LockEntry]) -> None:
        """Write durably what is about to be written on pages. To be called within `writing`."""
        rows = "".join(json_row(_ENTRY, replace(entry, intent=True)) for entry in entries)
        if not rows:
            return
        try:
            with os.fdopen(open_file(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, self._within), "ab") as handle:
                # The last line can be the rest of one that was cut off.
                handle.write(b"\n" + rows.encode("utf-8", JSON_ESCAPES))
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})",
                where=str(self.path),
                do="no page was touched; make room or make the file writable, then apply again",
            ) from None

    def update(self, changes: Mapping[Key, LockEntry | None]) -> None:
        """Rewrite the file with `changes` in place of the entries of their (page, stage). To be called within `writing`."""
        if not changes and not self.moved:
            return
        for page, earlier in self.moved.items():
            self._move_sidecar(page, earlier)
        lock, left = self.read(), set(self.moved.values()) - set(self.moved)
        # What the lock has under the id of a renamed page fits the page no more.
        new = {
            page: [
                replace(entry, page=page)
                for entry in lock.of(self.moved.get(page, page))
                if page not in left and (page, entry.stage) not in changes
            ]
            for page in {*self.moved, *left, *(page for page, _ in changes)}
        }
        self.moved.clear()
        for entry in filter(None, changes.values()):
            new[entry.page].append(entry)
        self._write(lock, {page: _rows_of(entries) for page, entries in new.items()})

    def _write(self, lock: Lock, new: Mapping[str, bytes]) -> None:
        """Replace the files that hold rows of the pages in `new`; `enrich.lock` in any case and last, since it holds the intents."""
        whole = not os.path.lexists(self.parts) and sum(file.stat().st_size for file in self.files()) <= LARGEST_WHOLE
        home = {page: self.path if whole else self.parts / _part_of(page) for page in {*lock.places, *new}}
        strays = [page for page in lock.places if page not in new and any(lock.files[at][0] != home[page] for at, *_ in lock.runs(page))]
        pages: dict[Path, list[str]] = {file: [] for file in (self.path, *(home[page] for page in (*new, *strays)))}
        for page in sorted(home):
            if home[page] in pages:
                pages[home[page]].append(page)
        if not whole:
            write_atomically(self.parts / ".gitattributes", [b"* merge=union\n"], within=self._within)
        for file in sorted(pages, key=lambda file: file == self.path):
            write_atomically(file, (new[page] if page in new else lock.rows(page) for page in pages[file]), within=self._within)

    def _move_sidecar(self, page: str, earlier: str) -> None:
        """Give a renamed page the sidecar of its earlier id. Of two pages with the same text, the first one has it."""
        file = self._wiki.by_id[page]
        left = sidecar_left(file, earlier) if file.fields.sidecars is not None else None
        raw = left.read_sidecar() if left is not None else None
        if left is not None and isinstance(raw, bytes):
            with suppress(PageMoved):
                replace_own_file(file.store, raw, before=None, within=self._within)
                remove_file(left.store, self._within)


def sidecar_left(file: PageFile, earlier: str) -> PageFile | None:
    """The file of the page that had the id `earlier`, if its sidecar is still there and the page is not."""
    for path in (earlier, *(earlier + suffix for suffix in PAGE_SUFFIXES)):
        left = replace(file, path=path, file=file.content / path)
        if left.store.is_file() and not left.file.exists():
            return left
    return None


def _rows_of(entries: Iterable[LockEntry]) -> bytes:
    """The rows of a page's entries by stage. After a crash while the lock was divided, a row is in two files."""
    rows = (json_row(_ENTRY, entry) for entry in sorted(entries, key=lambda entry: entry.stage))
    return "".join(dict.fromkeys(rows)).encode("utf-8", JSON_ESCAPES)


def _part_of(page: str) -> str:
    """The file name of the part that holds a page's rows, where the lock has parts."""
    return f"{crc32(page.encode('utf-8', 'surrogatepass')) % PARTS:x}.jsonl"
