"""`enrich init`: what a folder has (site generator, pages, languages), the settings that fit it, and the files that a wiki starts with."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

from enrich.config import FILE_NAME, PARTIALS, load_config, shipped_prompts
from enrich.errors import UserError
from enrich.files import SETTINGS_BYTES, Folders, names_in, read_bytes, read_text, write_text_atomically
from enrich.runs.doctor import git_lines
from enrich.text import counted
from enrich.wiki import yaml12
from enrich.wiki.page_files import PageFile, find_pages
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import page_files

# Content folders of sites that no generator of the table made, the surest first.
_USUAL = ("content/docs", "src/content/docs", "docs", "content", "wiki", "pages", "src")
# So many pages are read to see languages and frontmatter.
_READ = 60
_MOST_OF = 0.6
_SITES = 50  # folders in which a site is looked for
_NOT_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "LICENSE.md")


@dataclass(frozen=True, slots=True)
class Discovery:
    """The settings of `[wiki]` and `[fields]` that fit a folder, and in `reasons` what was found and why, one line each."""

    content: str
    data: str
    exclude: Sequence[str] = ()
    ask: Sequence[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    reasons: Sequence[str] = ()

    def settings(self) -> str:
        """The lines of `[wiki]` and of `[fields]` that differ from the defaults, as TOML."""
        wiki = [f"{name} = {json.dumps(list(globs))}" for name, globs in (("exclude", self.exclude), ("ask", self.ask)) if globs]
        fields = [f"{name} = {json.dumps(value)}" for name, value in self.fields.items()]
        return "\n".join([*wiki, *(["", "[fields]", *fields] if fields else [])])


def discover(root: Path, content: str | None = None) -> Discovery:
    """The settings for the wiki in `root`; `content` is a folder of pages that the user named. Reads names, and some pages; writes nothing."""
    table: list[dict[str, Any]] = yaml12.load((resources.files("enrich.wiki") / "generators.yaml").read_text(encoding="utf-8"))
    reasons: list[str] = []
    site, kind, mark = next(_matching(root, table), ("", {}, ""))
    if kind:
        reasons.append(f"{kind['name']} site: {mark} is there")
    found = _content(root, site, kind, reasons) if content is None else content
    exclude = [*PARTIALS, *kind.get("exclude", ())]
    if not kind and found == ".":
        exclude += _NOT_PAGES
    files = find_pages(root / found, exclude=exclude, root=root)[0] if (root / found).is_dir() else []
    reasons.append(f"{counted(len(files), 'page')} below {found}{_by_folder(files)}")
    reasons += _sampled(files)
    name, number = max(Counter(file.stem for file in files if file.is_index).items(), key=lambda item: item[1], default=("", 0))
    ask = [f"**/{name}.md", f"**/{name}.mdx"] if number > len(files) / 2 else []
    if ask:
        reasons.append(f"most pages are named {name}, each in its own folder: they are asked about like all others (ask)")
    if kind.get("fields"):
        reasons.append(
            f"values are kept as {kind['name']} takes them: [fields] {', '.join(f'{k} = {v}' for k, v in kind['fields'].items())}"
        )
    if kind.get("note"):
        reasons.append(kind["note"])
    return Discovery(
        content=found,
        data="content/data" if found == "content/docs" else "data",
        exclude=exclude if len(exclude) > len(PARTIALS) else (),
        ask=ask,
        fields=kind.get("fields", {}),
        reasons=reasons,
    )


def _matching(root: Path, table: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(folder of the site, its generator, the file that shows it): sites in the folder itself, then in folders below it."""
    below = sorted(name for name in _names(root, root) if not name.startswith((".", "node_modules")) and (root / name).is_dir())
    for site in ("", *below[:_SITES]):
        for kind in table:
            for glob, text in kind["marks"].items():
                folder, _, last = str(Path(site, glob)).rpartition("/")
                for name in sorted(_names(root / folder, root)):
                    if fnmatchcase(name, last) and (not text or re.search(text, _text(root / folder / name, root))):
                        yield site, kind, f"{folder}/{name}".lstrip("/")


def _names(folder: Path, root: Path) -> list[str]:
    try:
        return list(names_in(folder, Folders(root)))
    except OSError:
        return []


def _text(file: Path, root: Path) -> str:
    try:
        return read_text(file, Folders(root), SETTINGS_BYTES)
    except (OSError, UnicodeDecodeError):
        return ""


def _content(root: Path, site: str, kind: Mapping[str, Any], reasons: list[str]) -> str:
    """The folder of pages: of the generator's folders the one with the most pages, else a usual one, else the one that has most Markdown."""
    named = [Path(root, site, name).resolve() for name in kind.get("content", ())]
    sizes: dict[str, int] = {}
    for folder in named:
        if folder.is_relative_to(root.resolve()) and folder.is_dir():
            path = folder.relative_to(root.resolve()).as_posix()
            sizes[path] = len(find_pages(folder, root=root)[0])
            if sizes[path]:  # a folder that is named later may contain this one
                break
    if any(sizes.values()):
        return max(sizes, key=lambda name: sizes[name])
    everything = find_pages(root, exclude=(*PARTIALS, *_NOT_PAGES), root=root)[0]
    by_folder = Counter(file.path.partition("/")[0] if "/" in file.path else "." for file in everything)
    for usual in _USUAL:
        if by_folder and (root / usual).is_dir() and find_pages(root / usual, root=root)[0]:
            return usual
    largest, most = max(by_folder.items(), key=lambda item: item[1], default=("content/docs", 0))
    if most and most < _MOST_OF * by_folder.total():
        reasons.append("no folder has most of the pages: all are taken")
        return "."
    return largest


def _by_folder(files: Sequence[PageFile]) -> str:
    """How many pages the largest folders have."""
    folders = Counter(file.path.partition("/")[0] for file in files if "/" in file.path)
    if len(folders) < 2:
        return ""
    return ": " + ", ".join(f"{name} {count}" for name, count in folders.most_common(6)) + (", …" if len(folders) > 6 else "")


def _sampled(files: Sequence[PageFile]) -> list[str]:
    """Languages and frontmatter of some pages, spread over all."""
    pages = [read_page(file) for file in files[:: max(1, len(files) // _READ)]]
    if not pages:
        return ["no page was found: set content in enrich.toml"]
    languages = Counter(page.language for page in pages)
    lines = ["languages: " + ", ".join(f"{code} {count / len(pages):.0%}" for code, count in languages.most_common(8))]
    without = sum(page.problem is not None and page.problem.kind == "no-frontmatter" for page in pages)
    if without:
        lines.append(
            f'{without / len(pages):.0%} of the pages have no frontmatter and are left out; frontmatter = "add" under [wiki] gives them one'
        )
    return lines


_IGNORED = ("/cache/", "/proposals/", ".enrich-*")
_MERGED = ("enrich.lock merge=union", "enrich.evidence merge=union")


@dataclass(slots=True)
class Started:
    """What `init` did: files written, files that existed and were kept, the content folder, its number of pages, and what was found and why."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    content: str = ""
    pages: int = 0
    reasons: tuple[str, ...] = ()


def start_wiki(root: Path, choose: Callable[[Discovery], str] = lambda found: found.content) -> Started:
    """Write what a wiki needs into `root`. Existing files are kept; git's files get the lines that they lack.

    `choose` returns the content folder for what was found.
    """
    if not root.is_dir():
        raise UserError("no such folder", where=str(root), do="make it, or name another")
    done = Started()
    if not os.path.lexists(root / FILE_NAME):
        found = discover(root)
        if (content := choose(found)) != found.content:
            found = discover(root, content)
        done.reasons = tuple(found.reasons)
        settings = (resources.files("enrich") / "templates" / "enrich.toml.in").read_text(encoding="utf-8")
        for name, value in (("content", found.content), ("data", found.data), ("found", found.settings())):
            settings = settings.replace(f"{{{name}}}", value)
        settings = settings.replace("\n\n\n", "\n\n")
    else:
        settings = ""
    _write_new(root, FILE_NAME, settings, done)
    for prompt in sorted(shipped_prompts().glob("*.md")):
        _write_new(root, f"prompts/{prompt.name}", prompt.read_text(encoding="utf-8"), done)
    _add_lines(root, ".gitignore", _IGNORED, done)
    _add_lines(root, ".gitattributes", _MERGED, done)
    config = load_config(root)
    done.content = config.wiki.content
    done.pages = len(page_files(config)[0]) if config.content.is_dir() else 0
    return done


def _write_new(root: Path, name: str, text: str, done: Started) -> None:
    if os.path.lexists(root / name):
        done.kept.append(name)
        return
    write_text_atomically(root / name, text, within=Folders(root))
    done.written.append(name)


def _add_lines(root: Path, name: str, lines: tuple[str, ...], done: Started) -> None:
    file = root / name
    try:
        before = read_bytes(file, Folders(root), SETTINGS_BYTES).decode("utf-8")
    except FileNotFoundError:
        before = ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"cannot be read ({reason})", where=str(file), do="remove it, or make it a text file") from None
    missing = [line for line in lines if not git_lines(line) <= git_lines(before)]
    if not missing:
        done.kept.append(name)
        return
    newline = "" if not before or before.endswith("\n") else "\n"
    write_text_atomically(file, before + newline + "\n".join(missing) + "\n", within=Folders(root))
    done.written.append(name)
