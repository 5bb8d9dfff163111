"""Which files are pages, in which order, under which id and address; where the values of a page's fields are kept; which pages a name means.

An id is the page's path below the content folder without its suffix, so that no other page's coming or going changes it. A wiki whose pages
are known by their file names has `ids = "stem"` in its profile. Everywhere else a field has its own name (`llmSummary`, `ratings.rigor`): only
the map of fields (`[fields]` in enrich.toml) knows the keys that hold its value, on the page or in a file beside the data.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from enrich.config import FIELD_NAMES, OFF, PAGE_SUFFIXES, PARTIALS, SEVEN_DIMENSIONS, Config, Ids
from enrich.errors import UserError
from enrich.files import PAGE_BYTES, SETTINGS_BYTES, Folders, read_bytes, read_text
from enrich.wiki.frontmatter.cuts import value_at

if TYPE_CHECKING:
    from enrich.wiki.pages import PromptView

# Folders in a wiki's own folder that are `enrich`'s.
_OWN_FOLDERS = ("prompts", "cache", "proposals")
_INDEX_NAMES = ("index", "_index", "readme")
# `2024-05-01-storms.md` and `03-storms.md` are addressed as `storms`.
_PREFIX = re.compile(r"(?:\d{4}-\d{2}-\d{2}|\d{1,3})[-_.] ?(?=\D)")


KeyPath = tuple[str, ...]
RATINGS, INSIGHTS, EVIDENCE = "ratings", "insights", "evidence"
SIDECARS = "enrich"
"""The folder of sidecars in the data folder."""
_OWN_KEYS: Mapping[str, KeyPath] = {name: (name,) for name in FIELD_NAMES}


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The keys of each field that is not off, and what else decides how values are written.

    `sidecars` is the folder of sidecars, None if values are in the frontmatter; `within` are the folders that a sidecar may be in. `add`: pages
    without frontmatter get one. `evidence`: insights are written with their quotes. `hidden`: keys that further stages write and models would be
    shown.
    """

    keys: Mapping[str, KeyPath] = field(default_factory=lambda: _OWN_KEYS)
    evidence: bool = True
    sidecars: Path | None = None
    within: Folders | None = None
    add: bool = False
    hidden: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: Config) -> FieldMap:
        """The map that a configuration describes."""
        fields = config.fields
        under = tuple(fields.under.split(".")) if fields.under else ()
        keys = {name: (*under, *value.split(".")) for name in FIELD_NAMES if (value := getattr(fields, name)) != OFF}
        sidecars = config.data / SIDECARS if fields.store == "sidecar" else None
        hidden = frozenset({"description"} if config.stages.description.enabled else ())
        return cls(keys, fields.evidence, sidecars, config.folders, config.wiki.frontmatter == "add", hidden)

    @property
    def has_own_keys(self) -> bool:
        """Whether each field is kept under its own name."""
        return self.keys == _OWN_KEYS

    def path(self, name: str) -> KeyPath | None:
        """The keys that lead to a field's value (`ratings.rigor` is one field); None if the field is off."""
        name, _, dimension = name.partition(".")
        keys = self.keys.get(name) if name in FIELD_NAMES else (name,)
        if keys is None or not dimension:
            return keys
        return (*keys[:-1], keys[-1].replace("*", dimension)) if "*" in keys[-1] else (*keys, dimension)

    def values(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The fields' values in `data` by their own names; `ratings` is a mapping of dimensions. What has no value is left out."""
        found: dict[str, Any] = {}
        for name, keys in self.keys.items():
            if "*" in keys[-1]:
                parts = {dimension: value_at(data, self.path(f"{name}.{dimension}") or (), None) for dimension in SEVEN_DIMENSIONS}
                value: Any = {dimension: part for dimension, part in parts.items() if part is not None} or None
            else:
                value = value_at(data, keys, None)
            if value is not None:
                found[name] = value
        return found

    def named(self, frontmatter: Mapping[str, Any], stored: Mapping[str, Any]) -> Mapping[str, Any]:
        """The frontmatter with the fields under their own names, whose values are in `stored`."""
        if stored is frontmatter and self.has_own_keys:
            return frontmatter
        others = {key: value for data in (frontmatter, stored) for key, value in data.items() if key not in FIELD_NAMES}
        return {**others, **self.values(stored)}

    def landed(self, name: str, value: Any) -> Any:
        """A field's value as it is kept: without the quotes of insights if `evidence` is false.

        The quotes stay in the proposal (`FieldChange.evidence`), which `review.applying` has at hand when it writes a page.
        """
        if name != INSIGHTS or self.evidence or not isinstance(value, list | tuple):
            return value
        return [{key: part for key, part in item.items() if key != EVIDENCE} if isinstance(item, Mapping) else item for item in value]

    def holds(self, key: str) -> bool:
        """Whether a field is kept under this key of a page's frontmatter: the key is then neither sent nor hashed."""
        return key in self.hidden or (self.sidecars is None and (key,) in self.keys.values())

    def sidecar(self, path: str) -> Path | None:
        """The sidecar of the page with this path below the content folder; None if values are in the frontmatter."""
        return None if self.sidecars is None else self.sidecars / f"{path}.yaml"


DEFAULT_MAP = FieldMap()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a page cannot be read or edited. `kind` is a stable word, `line` is a file line from 1 (0: none)."""

    kind: str  # "unreadable", "encoding", "no-frontmatter", "other-metadata", "yaml", "toml", "sidecar"
    reason: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class PageFile:
    """The file of one page. `path` is relative to the content folder, with `/`; `url` is the page's address on the site.

    `fields` says where the values of the page's fields are kept.
    """

    id: str
    path: str
    file: Path
    fields: FieldMap = field(default=DEFAULT_MAP, compare=False, repr=False)
    view: PromptView | None = field(default=None, compare=False, repr=False)

    @property
    def content(self) -> Path:
        """The content folder."""
        return self.file.absolute().parents[self.path.count("/")]

    def read(self) -> bytes:
        """The file's bytes now. Raises `OSError` whose `strerror` says why it cannot be read."""
        return read_bytes(self.file, Folders(self.content), PAGE_BYTES)

    @property
    def store(self) -> Path:
        """The file that holds the fields' values: the page's own, or its sidecar."""
        return self.fields.sidecar(self.path) or self.file

    def read_sidecar(self) -> bytes | Problem | None:
        """The bytes of the sidecar now, or why it cannot be read; None if there is none."""
        if self.fields.sidecars is None:
            return None
        try:
            return read_bytes(self.store, self.fields.within, PAGE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Problem("sidecar", f"its sidecar {self.store} cannot be used: {error.strerror or error}")

    @property
    def stem(self) -> str:
        """The file name without its suffix."""
        return self.path.rpartition("/")[2].rpartition(".")[0]

    @property
    def is_index(self) -> bool:
        return self.stem.lower() in _INDEX_NAMES

    @property
    def url(self) -> str:
        folder = self.path.rpartition("/")[0]
        prefix = f"/{folder}" if folder else ""
        return f"{prefix}/" if self.is_index else f"{prefix}/{self.stem}/"

    @property
    def earlier_ids(self) -> tuple[str, ...]:
        """The ids that the page may have had under another setting of `ids`, or beside other pages."""
        return self.path.rpartition(".")[0], self.path, stem_id(self.path)

    @property
    def short_names(self) -> tuple[str, ...]:
        """What else the page is called: its stem (of an index page, its folder), its address, both also without number and date prefixes."""
        parts = self.url.strip("/").split("/")
        plain = list(map(plain_name, parts))
        index = (stem_id(self.path),) if self.is_index else ()
        return tuple(dict.fromkeys(filter(None, (parts[-1], plain[-1], "/".join(parts), "/".join(plain), *index))))


def plain_name(part: str) -> str:
    """A file or folder name without the number or date that only orders it."""
    return _PREFIX.sub("", part)


def stem_id(path: str) -> str:
    """The id of a page in a wiki with ids by stem: its file name without suffix, or `__index__` and its folder."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    if stem.lower() in _INDEX_NAMES:
        return f"__index__/{folder}" if folder else "__index__"
    return stem


def page_ids(paths: Sequence[str], ids: Ids = "path") -> list[str]:
    """The ids of pages with these paths. Where several would have the same id, all of them are known by a longer part of their path."""
    forms: list[Callable[[str], str]] = [lambda path: path.rpartition(".")[0], lambda path: path]
    if ids == "stem":
        forms.insert(0, stem_id)
    named = list(map(forms[0], paths))
    for longer in forms[1:]:
        count = Counter(named)
        named = [longer(path) if count[own] > 1 else own for path, own in zip(paths, named, strict=True)]
    return named


def find_pages(
    content: Path,
    roots: Iterable[str] | None = None,
    *,
    ids: Ids = "path",
    exclude: Sequence[str] = PARTIALS,
    root: Path | None = None,
) -> tuple[list[PageFile], list[str]]:
    """All pages below `content` in page order, and warnings (one for each page left out, for each missing root, and for all equal names).

    Folders are walked depth first with entries in byte order of their names; `roots` are walked in their own order. Never pages: names that
    begin with `.`, `node_modules`, what the globs `exclude` name, and in the wiki's folder `root` (default: `content`) the prompts, cache and
    proposals and what `.gitignore` files leave out. Nor are names that are not UTF-8: an id is text in every file that we write. A link to a
    folder and one that leads out of `content` are left out: what they point to must not be sent to a model and cannot be written. A folder that
    cannot be read is in the list like a page that cannot be read, because its pages must not be missing without an error.
    """
    warnings: list[str] = []
    paths: list[str] = []
    within = Folders(content)
    starts = [""] if roots is None else [each.strip("/") for each in roots]
    for start in list(starts):
        if start and not (".." not in start.split("/") and (content / start).is_dir() and within.allow(content / start)):
            warnings.append(f"{start}: no such folder below {content.name} (roots in enrich.toml); left out")
            starts.remove(start)
    walk = _Walk(content, root or content, exclude)
    for path, linked in (entry for start in starts for entry in walk.files(start)):
        if path.encode("utf-8", "replace") != os.fsencode(path):
            warnings.append(f"{path.encode('utf-8', 'backslashreplace').decode()}: its name is not UTF-8; rename it; left out")
        elif linked and (content / path).is_dir():
            warnings.append(
                f"{path}: it is a link to a folder; pages below it are left out (`exclude` in enrich.toml leaves it out without a word)"
            )
        elif linked and not within.allow(content / path):
            warnings.append(f"{path}: it is a link that leads out of {content.name}; left out")
        else:
            paths.append(path)
    pages = [path for path in paths if path.endswith(PAGE_SUFFIXES)]
    owned = dict(zip(pages, page_ids(pages, ids), strict=True))
    shortest = stem_id if ids == "stem" else (lambda path: path.rpartition(".")[0])
    alike = [path for path in pages if owned[path] != shortest(path)]
    if alike:
        kind = "name" if ids == "stem" else "path without suffix"
        warnings.append(f"{alike[0]}: another page has the same {kind}; {len(alike)} such pages are known by their longer paths")
    return [PageFile(owned.get(path, path), path, content / path) for path in paths], warnings


@dataclass
class _Walk:
    """The walk through a content folder. `.gitignore` files count from `root` downwards."""

    content: Path
    root: Path
    exclude: Sequence[str]
    _ignored: dict[Path, list[_Ignore]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._own = {self.root / name for name in _OWN_FOLDERS}
        folder = self.content
        while folder.is_relative_to(self.root) and folder != self.root:
            folder = folder.parent
            self._read_rules(folder)

    def files(self, start: str) -> Iterator[tuple[str, bool]]:
        """(path, whether it is a link) of all files that look like pages, and of folders that cannot be read.

        Not recursive: folders can be nested very deeply.
        """
        stack: list[Iterator[tuple[str, os.DirEntry[str] | None]]] = [iter([(start, None)])]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
                continue
            path, entry = found
            # A folder behind a link is not walked: it could lead out of the wiki or in a circle.
            if entry is None or entry.is_dir(follow_symlinks=False):
                if entry is not None and (entry.name == "node_modules" or self._is_ignored(path, folder=True)):
                    continue
                try:
                    stack.append(self._entries(path))
                except OSError:
                    yield path or ".", False
            elif entry.name == "node_modules":
                continue
            elif (_is_folder(entry) or entry.name.endswith(PAGE_SUFFIXES)) and not self._is_excluded(path):
                yield path, entry.is_symlink()

    def _entries(self, folder: str) -> Iterator[tuple[str, os.DirEntry[str] | None]]:
        with os.scandir(self.content / folder) as scan:
            found = list(scan)
        if any(entry.name == ".gitignore" for entry in found):
            self._read_rules(self.content / folder)
        entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: os.fsencode(entry.name))
        return ((f"{folder}/{entry.name}" if folder else entry.name, entry) for entry in entries)

    def _is_excluded(self, path: str) -> bool:
        is_section = path.rpartition("/")[2].startswith("_index.")
        named = any(matches(path, glob) for glob in self.exclude if not (is_section and glob in PARTIALS))
        return named or self._is_ignored(path, folder=False)

    def _is_ignored(self, path: str, *, folder: bool) -> bool:
        full = self.content / path
        if folder and full in self._own:
            return True
        if self._ignored:
            for base in full.parents:
                for rule in reversed(self._ignored.get(base, ())):
                    if (folder or not rule.folders_only) and rule.fits(full.relative_to(base).as_posix()):
                        return not rule.negated
        return False

    def _read_rules(self, folder: Path) -> None:
        try:
            text = read_text(folder / ".gitignore", Folders(self.root), SETTINGS_BYTES)
        except (OSError, UnicodeDecodeError):
            return
        self._ignored[folder] = [_Ignore.of(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]


@dataclass(frozen=True, slots=True)
class _Ignore:
    """One line of a `.gitignore` file (https://git-scm.com/docs/gitignore)."""

    pattern: str
    negated: bool
    folders_only: bool
    anchored: bool

    @classmethod
    def of(cls, line: str) -> _Ignore:
        line = line.rstrip()
        negated, line = line.startswith("!"), line.removeprefix("!").removeprefix("\\")
        pattern = line.strip("/")
        return cls(pattern, negated, line.endswith("/"), "/" in line.rstrip("/"))

    def fits(self, path: str) -> bool:
        return matches(path, self.pattern) if self.anchored else fnmatchcase(path.rpartition("/")[2], self.pattern)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder or a link to one. Anything else is a page: reading it gives the reason why it is not."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def names_of(files: Iterable[PageFile]) -> dict[str, list[PageFile]]:
    """The pages by each of their short names."""
    found: dict[str, list[PageFile]] = {}
    for file in files:
        for name in file.short_names:
            found.setdefault(name, []).append(file)
    return found


def select(
    names: Iterable[str],
    files: Sequence[PageFile],
    content: Path,
    root: Path,
    given: Callable[[], Mapping[str, Sequence[str]]] = dict,
) -> list[PageFile]:
    """The pages that `names` name, in page order; all pages for no name.

    A name is an id, a path, a glob of either, or a short name that only one page has: its file stem, its address, or what its frontmatter calls
    it (`given` returns the ids by number and address; it is called only for names that fit nothing else). A path may be relative to the content
    folder, the current folder or the wiki's `root`, or absolute, so that a shell's completion and a pre-commit hook can name files as they see
    them. Raises `UserError` for a name of several pages or of none, with the candidates or the closest ids, and for a file of the content
    folder that is not a page.
    """
    wanted = list(names)
    if not wanted:
        return list(files)
    ids = {file.id for file in files}
    short = names_of(files)
    chosen: set[str] = set()
    for name in wanted:
        path = _inside(name, content, (Path.cwd(), root))
        found = [name] if name in ids else [file.id for file in files if path in (file.path, file.path.rpartition(".")[0])]
        if not found and any(char in name for char in "*?["):
            found = [file.id for file in files if fnmatchcase(file.id, name) or matches(file.path, path)]
        if not found:
            found = [file.id for file in short.get(name.strip("/"), ())] or list(given().get(name.strip("/"), ()))
            if len(found) > 1:
                listed = ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")
                raise UserError(f"{name!r} names {len(found)} pages", do=f"name one of {listed}")
        if not found:  # an umlaut is one character or two, depending on where the file was named
            found = [file.id for file in files if normalize("NFC", path) in map(partial(normalize, "NFC"), (file.id, file.path))]
        if not found and (content / path).is_file():
            raise UserError(
                f"{name!r} is not a page of this wiki", do="`roots` or `exclude` in enrich.toml, its name or a link leave it out"
            )
        if not found:
            from difflib import get_close_matches

            known = {**{key.casefold(): file.id for key, pages in short.items() for file in pages}, **{own.casefold(): own for own in ids}}
            close = dict.fromkeys(known[each] for each in get_close_matches(name.strip("/").casefold(), list(known), n=3, cutoff=0.4))
            raise UserError(f"no page {name!r}", do=f"did you mean {', '.join(close)}?" if close else "`enrich plan -v` lists all pages")
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
    wanted = pattern.strip("/").split("/")

    def skipping(places: Iterable[int]) -> set[int]:
        """The places in the pattern, and those behind every `**` that begins there."""
        reached = set(places)
        for at in sorted(reached):
            while at < len(wanted) and wanted[at] == "**":
                at += 1
                reached.add(at)
        return reached

    places = skipping([0])
    for part in path.split("/"):
        fitting = [
            at if wanted[at] == "**" else at + 1
            for at in places
            if at < len(wanted) and (wanted[at] == "**" or fnmatchcase(part, wanted[at]))
        ]
        places = skipping(fitting)
    return len(wanted) in places
