"""Pages: which files are pages, in which order and under which id; reading them; and selecting them by name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from enrich.errors import UserError
from enrich.files import PAGE_BYTES, Folders, read_bytes
from enrich.wiki import yaml12
from enrich.wiki.frontmatter.spans import find_fences, no_fences
from enrich.wiki.language import language_of

PAGE_SUFFIXES = (".md", ".mdx")


@dataclass(frozen=True, slots=True)
class PageFile:
    """The file of one page. `path` is relative to the content folder, with `/`; `url` is the page's address on the site."""

    id: str
    path: str
    file: Path

    @property
    def content(self) -> Path:
        """The content folder."""
        return self.file.absolute().parents[self.path.count("/")]

    def read(self) -> bytes:
        """The file's bytes now. Raises `OSError` whose `strerror` says why it cannot be read."""
        return read_bytes(self.file, Folders(self.content), PAGE_BYTES)

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
    """Why a page cannot be read or edited. `kind` is a stable word, `line` is a file line from 1 (0: none)."""

    kind: str  # "unreadable", "encoding", "no-frontmatter", "yaml"
    reason: str
    line: int = 0


@dataclass(frozen=True)
class Page:
    """One page as it is on disk.

    `raw` is the file's bytes, `text` their LF-normalised UTF-8 text without a byte-order mark. `frontmatter` is the parsed mapping ({} if
    there is none or it is broken: see `problem`), `body` what follows the closing fence, `body_line` the file line of its first line.
    """

    file: PageFile
    raw: bytes
    text: str
    frontmatter: Mapping[str, Any]
    body: str
    body_line: int
    problem: Problem | None = None

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def title(self) -> str:
        """The frontmatter's title, else the file name with every `-` as a space."""
        title = self.frontmatter.get("title")
        if title is not None and title != "":
            return str(title)
        return self.file.path.rpartition("/")[2].rpartition(".")[0].replace("-", " ")

    @property
    def description(self) -> str:
        value = self.frontmatter.get("description")
        return "" if value is None else str(value)

    @cached_property
    def language(self) -> str:
        """The code of the page's language (see `language_of`)."""
        return language_of(self.file.path, self.frontmatter, "\n".join((self.title, self.description, self.body)))

    @cached_property
    def hash(self) -> str:
        """sha256 of what a model may see: LF-normalised body, title, description."""
        seen = json.dumps([self.title, self.description, self.body], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def file_hash(self) -> str:
        """sha256 of the file's bytes, to detect that it changed on disk after it was read."""
        return hashlib.sha256(self.raw).hexdigest()


def split(text: str) -> tuple[str | None, str, int]:
    """(frontmatter text or None, body, file line of the body's first line) of an LF-normalised page text without a byte-order mark."""
    fences = find_fences(text)
    if fences is None:
        return None, text, 1
    closing_line = text.count("\n", 0, fences.end) + 1
    return text[fences.head : fences.end], text[fences.body :], closing_line + 1


def parse_page(file: PageFile, raw: bytes) -> Page:
    """The page with these bytes. Never raises: what is wrong with them is in `problem`."""
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
        unclosed, reason = no_fences(text)
        problem = problem or Problem("yaml" if unclosed else "no-frontmatter", reason, 1)
    else:
        try:
            loaded = yaml12.load(head)
            if loaded is None or isinstance(loaded, dict):
                data = {str(key): value for key, value in (loaded or {}).items()}
            else:
                problem = problem or Problem("yaml", "the frontmatter is not a mapping of keys to values", 2)
        except yaml12.YamlError as error:
            problem = problem or Problem("yaml", f"broken YAML: {error.reason}", error.line + 1 if error.line else 2)
    return Page(file, raw, text, data, body, body_line, problem)


def read_page(file: PageFile) -> Page:
    """The page on disk now. A file that cannot be read gives an empty page whose `problem` has the reason."""
    try:
        raw = file.read()
    except OSError as error:
        return Page(file, b"", "", {}, "", 1, Problem("unreadable", error.strerror or str(error)))
    return parse_page(file, raw)


def find_pages(content: Path, roots: Iterable[str] | None = None) -> tuple[list[PageFile], list[str]]:
    """All pages below `content` in page order, and warnings (one for each page left out or with another id, one for each missing root).

    Folders are walked depth first with entries in byte order of their names; `roots` are walked in their own order. Names that begin with
    `.` are not pages, nor are names that are not UTF-8: an id is text in every file that we write. A link that leads out of `content` is
    left out: what it points to must not be sent to a model and cannot be written. A folder that cannot be read is in the list like a page that
    cannot be read, because its pages must not be missing without an error.
    """
    warnings: list[str] = []
    found: list[PageFile] = []
    owners: dict[str, str] = {}
    within = Folders(content)
    starts = [""] if roots is None else [root.strip("/") for root in roots]
    for root in list(starts):
        if root and not (".." not in root.split("/") and (content / root).is_dir() and within.allow(content / root)):
            warnings.append(f"{root}: no such folder below {content.name} (roots in enrich.toml); left out")
            starts.remove(root)
    for path, linked in (entry for start in starts for entry in _walk(content, start)):
        if path.encode("utf-8", "replace") != os.fsencode(path):
            warnings.append(f"{path.encode('utf-8', 'backslashreplace').decode()}: its name is not UTF-8; rename it; left out")
            continue
        if linked and not within.allow(content / path):
            warnings.append(f"{path}: it is a link that leads out of {content.name}; left out")
            continue
        own = page_id(path) if path.endswith(PAGE_SUFFIXES) else path
        first = owners.get(own)
        if first is not None:
            lost, own = own, path.rpartition(".")[0]
            if own in owners:  # two files that differ only in their suffix
                own = path
            warnings.append(f"{path}: the id {lost!r} belongs to {first}; this page is known as {own!r}")
        owners[own] = path
        found.append(PageFile(own, path, content / path))
    return found, warnings


def page_id(path: str) -> str:
    """The id of a page, unless another page has it: its file name without suffix, or `__index__` and its folder."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    if stem == "index":
        return f"__index__/{folder}" if folder else "__index__"
    return stem


def _walk(content: Path, folder: str) -> Iterator[tuple[str, bool]]:
    """(path, whether it is a link) of all files that look like pages, and of folders that cannot be read.

    Not recursive: folders can be nested very deeply.
    """
    stack: list[Iterator[tuple[str, os.DirEntry[str] | None]]] = [iter([(folder, None)])]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        path, entry = found
        # A folder behind a link is not walked: it could lead out of the wiki or in a circle.
        if entry is None or entry.is_dir(follow_symlinks=False):
            try:
                stack.append(_entries(content, path))
            except OSError:
                yield path or ".", False
        elif entry.name.endswith(PAGE_SUFFIXES) and not _is_folder(entry):
            yield path, entry.is_symlink()


def _entries(content: Path, folder: str) -> Iterator[tuple[str, os.DirEntry[str] | None]]:
    with os.scandir(content / folder) as scan:
        entries = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda entry: os.fsencode(entry.name))
    return ((f"{folder}/{entry.name}" if folder else entry.name, entry) for entry in entries)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder or a link to one. Anything else is a page: reading it gives the reason why it is not."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def select(names: Iterable[str], files: Sequence[PageFile], content: Path, root: Path) -> list[PageFile]:
    """The pages that `names` (ids, paths, or globs of either) name, in page order; all pages for no name.

    A path may be relative to the content folder, the current folder or the wiki's `root`, or absolute, so that a shell's completion and a
    pre-commit hook can name files as they see them. Raises `UserError` with the closest ids for a name that fits no page, and for a file
    of the content folder that is not a page.
    """
    wanted = list(names)
    if not wanted:
        return list(files)
    ids = {file.id for file in files}
    chosen: set[str] = set()
    for name in wanted:
        path = _inside(name, content, (Path.cwd(), root))
        found = [name] if name in ids else [file.id for file in files if path in (file.path, file.path.rpartition(".")[0])]
        if not found and any(char in name for char in "*?["):
            found = [file.id for file in files if fnmatchcase(file.id, name) or matches(file.path, path)]
        if not found and (content / path).is_file():
            raise UserError(f"{name!r} is not a page of this wiki", do="`roots` in enrich.toml, its name or a link leave it out")
        if not found:
            from difflib import get_close_matches

            close = get_close_matches(name.rpartition("/")[2], list(ids), n=3, cutoff=0.4)
            raise UserError(f"no page {name!r}", do=f"did you mean {', '.join(close)}?" if close else "`enrich plan` lists all pages")
        chosen.update(found)
    return [file for file in files if file.id in chosen]


def _inside(name: str, content: Path, bases: Sequence[Path]) -> str:
    """A path as it was typed, as a path inside the content folder."""
    typed = Path(name)
    inside = Path(os.path.realpath(content))
    for base in bases:
        full = Path(os.path.realpath(base / typed.parent)) / typed.name  # a link to a page keeps its own name
        if full.is_relative_to(inside):
            return full.relative_to(inside).as_posix()
    return typed.as_posix().removeprefix("./")


def matches(path: str, pattern: str) -> bool:
    """Whether a path fits a glob: `*` stays within one folder's name, `**` crosses folders."""
    parts, wanted = path.split("/"), pattern.strip("/").split("/")

    def fits(i: int, j: int) -> bool:
        if j == len(wanted):
            return i == len(parts)
        if wanted[j] == "**":
            return any(fits(k, j + 1) for k in range(i, len(parts) + 1))
        return i < len(parts) and fnmatchcase(parts[i], wanted[j]) and fits(i + 1, j + 1)

    return fits(0, 0)
