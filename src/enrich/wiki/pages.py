"""Finding and loading pages: which files are pages, in which order, under which id, and what stands in them.

Sources: FIELDS.md sections 0 and 1, DESIGN.md sections 1 and 3.1.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.spans import find_fences

PAGE_SUFFIXES = (".md", ".mdx")


@dataclass(frozen=True, slots=True)
class PageFile:
    """Where one page is: light enough to keep one for each of a million pages.

    `path` is relative to the content folder, with `/`; `url` is its address on the site (FIELDS.md section 1, `path`).
    """

    id: str
    path: str
    file: Path

    @property
    def is_index(self) -> bool:
        return self.path.rpartition("/")[2].rpartition(".")[0] == "index"

    @property
    def url(self) -> str:
        folder, _, name = self.path.rpartition("/")
        prefix = f"/{folder}" if folder else ""
        return f"{prefix}/" if self.is_index else f"{prefix}/{name.rpartition('.')[0]}/"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a page cannot be read or edited. `kind` is a stable word, `line` counts file lines from 1 (0: no line)."""

    kind: str  # "unreadable", "encoding", "no-frontmatter", "yaml"
    reason: str
    line: int = 0


@dataclass(frozen=True)
class Page:
    """One page as it stands on disk.

    `raw` is the file's bytes, `text` their LF-normalised UTF-8 text without a byte-order mark. `frontmatter` is the parsed mapping
    ({} where there is none or it is broken: see `problem`), `body` what follows the closing fence, `body_line` the file line of
    its first line.
    """

    file: PageFile
    raw: bytes
    text: str
    frontmatter: Mapping[str, Any]
    body: str
    body_line: int
    problem: Problem | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def title(self) -> str:
        """The frontmatter's title, else the file name with every `-` as a space (FIELDS.md section 1)."""
        title = self.frontmatter.get("title")
        if title is not None and title != "":
            return str(title)
        return self.file.path.rpartition("/")[2].rpartition(".")[0].replace("-", " ")

    @property
    def description(self) -> str:
        value = self.frontmatter.get("description")
        return "" if value is None else str(value)

    @cached_property
    def hash(self) -> str:
        """sha256 of what a model may see: LF-normalised body, title, description (DESIGN.md section 1, page hash)."""
        seen = json.dumps([self.title, self.description, self.body], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def file_hash(self) -> str:
        """sha256 of the file's bytes, to tell whether it changed on disk since it was read."""
        return hashlib.sha256(self.raw).hexdigest()


def split(text: str) -> tuple[str | None, str, int]:
    """(frontmatter text or None, body, file line of the body's first line) of an LF-normalised page text without a byte-order mark.

    What a fence is, `wiki.frontmatter.fences` says.
    """
    fences = find_fences(text)
    if fences is None:
        return None, text, 1
    closing_line = text.count("\n", 0, fences.end) + 1
    return text[fences.head : fences.end], text[fences.body :], closing_line + 1


def parse_page(file: PageFile, raw: bytes) -> Page:
    """The page that these bytes are. Never raises: what is wrong with them is in `problem`."""
    problem: Problem | None = None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "replace")
        problem = Problem("encoding", f"not UTF-8 (byte 0x{raw[error.start]:02x})", raw.count(b"\n", 0, error.start) + 1)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    head, body, body_line = split(text)
    data: Mapping[str, Any] = {}
    if head is None:
        problem = problem or _why_no_frontmatter(text)
    else:
        try:
            loaded = yaml12.load(head)
            if loaded is None:
                loaded = {}
            if isinstance(loaded, dict):
                data = {str(key): value for key, value in loaded.items()}
            else:
                problem = problem or Problem("yaml", "the frontmatter is no mapping of keys to values", 2)
        except yaml12.YamlError as error:
            problem = problem or Problem("yaml", f"broken YAML: {error.reason}", error.line + 1 if error.line else 2)
    return Page(file, raw, text, data, body, body_line, problem)


def _why_no_frontmatter(text: str) -> Problem:
    first = text.partition("\n")[0].rstrip()
    if first == "---":
        return Problem("yaml", "the frontmatter that begins on line 1 is never closed by a line `---`", 1)
    if first == "+++":
        return Problem("no-frontmatter", "TOML frontmatter (`+++`) is not supported, only YAML between `---` lines", 1)
    return Problem("no-frontmatter", "no frontmatter (a block between two `---` lines at the top of the file)", 1)


def read_page(file: PageFile) -> Page:
    """The page on disk now. A file that cannot be read at all comes back empty, with a `problem` that says why."""
    try:
        raw = file.file.read_bytes()
    except OSError as error:
        return Page(file, b"", "", {}, "", 1, Problem("unreadable", error.strerror or str(error)))
    return parse_page(file, raw)


def find_pages(content: Path, roots: Iterable[str] | None = None) -> tuple[list[PageFile], list[str]]:
    """All pages below `content` in page order, and warnings (one per page that lost its id to an earlier one, one per missing root).

    Folders are walked depth first with entries in byte order of their names; `roots` are walked in their own order (FIELDS.md section 0).
    Names that begin with `.` are no pages, nor are names that are not UTF-8: an id is text, in every file that we write. A link that leads
    out of `content` is left out too: what stands there is not the wiki's to send to a model, and could not be written.
    """
    warnings: list[str] = []
    found: list[PageFile] = []
    owners: dict[str, str] = {}
    home = Path(os.path.realpath(content))
    if roots is None:
        starts = [""]
    else:
        starts = [root.strip("/") for root in roots]
        for root in starts:
            if not (content / root).is_dir():
                warnings.append(f"{root}: no such folder below {content.name} (roots in enrich.toml); left out")
    for start in starts:
        for path, linked in _walk(content, start):
            if not path.isprintable() and not _is_text(path):
                warnings.append(f"{path.encode('utf-8', 'backslashreplace').decode()}: its name is not UTF-8; rename it; left out")
                continue
            if linked and not Path(os.path.realpath(content / path)).is_relative_to(home):
                warnings.append(f"{path}: it is a link that leads out of {content.name}; left out")
                continue
            page = PageFile(page_id(path), path, content / path)
            first = owners.get(page.id)
            if first is not None:
                own = path.rpartition(".")[0]
                if own in owners:  # two files that differ only in their suffix
                    own = path
                warnings.append(f"{path}: the id {page.id!r} belongs to {first}; this page is known as {own!r}")
                page = PageFile(own, path, page.file)
            owners[page.id] = path
            found.append(page)
    return found, warnings


def page_id(path: str) -> str:
    """The id a page asks for: its file name without suffix, or `__index__` and its folder (FIELDS.md section 1)."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    if stem == "index":
        return f"__index__/{folder}" if folder else "__index__"
    return stem


def _walk(content: Path, folder: str) -> Iterator[tuple[str, bool]]:
    """(path, whether it is a link) of all files that look like pages."""
    stack: list[Iterator[tuple[str, bool, bool]]] = [_entries(content, folder)]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif entry[1]:
            stack.append(_entries(content, entry[0]))
        else:
            yield entry[0], entry[2]


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _entries(content: Path, folder: str) -> Iterator[tuple[str, bool, bool]]:
    try:
        with os.scandir(content / folder if folder else content) as scan:
            entries = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda entry: os.fsencode(entry.name))
    except OSError:
        return
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        # A folder behind a link is not walked: it could lead out of the wiki or in a circle.
        if entry.is_dir(follow_symlinks=False):
            yield path, True, False
        elif entry.name.endswith(PAGE_SUFFIXES) and _is_page(entry):
            yield path, False, entry.is_symlink()


def _is_page(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link in a circle: reading it will say so
        return True
