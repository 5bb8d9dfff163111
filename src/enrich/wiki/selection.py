"""The pages that PAGE arguments name (DESIGN.md section 4.2): ids, paths, or globs of either."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from enrich.errors import UserError
from enrich.wiki.pages import PageFile


def select(names: Iterable[str], files: Sequence[PageFile], content: Path, root: Path, here: Path | None = None) -> list[PageFile]:
    """The pages that `names` name, in page order; all for no name.

    A path may be given inside the content folder, from `here` (default: the current folder), from the wiki's `root` or absolute, so that a
    shell's completion and a pre-commit hook can name files as they see them. Raises `UserError` with the three closest ids for a name that
    fits no page, and for a file of the content folder that is none.
    """
    wanted = list(names)
    if not wanted:
        return list(files)
    ids = {file.id for file in files}
    chosen: set[str] = set()
    for name in wanted:
        found = [name] if name in ids else _named(name, files, content, (here or Path.cwd(), root))
        if not found and (content / _inside(name, content, (here or Path.cwd(), root))).is_file():
            raise UserError(f"{name!r} is no page of this wiki", do="`roots` in enrich.toml, its name or a link leave it out")
        if not found:
            from difflib import get_close_matches

            close = get_close_matches(name.rpartition("/")[2], list(ids), n=3, cutoff=0.4)
            raise UserError(f"no page {name!r}", do=f"did you mean {', '.join(close)}?" if close else "`enrich plan` lists all pages")
        chosen.update(found)
    return [file for file in files if file.id in chosen]


def _named(name: str, files: Sequence[PageFile], content: Path, bases: Sequence[Path]) -> list[str]:
    path = _inside(name, content, bases)
    exact = [file.id for file in files if path in (file.path, file.path.rpartition(".")[0])]
    if exact or not any(char in name for char in "*?["):
        return exact
    return [file.id for file in files if fnmatchcase(file.id, name) or matches(file.path, path)]


def _inside(name: str, content: Path, bases: Sequence[Path]) -> str:
    """A path as it was typed as a path inside the content folder."""
    typed = Path(name)
    inside = Path(os.path.realpath(content))
    for base in bases:
        full = Path(os.path.realpath(base / typed.parent)) / typed.name  # a linked page keeps its own name; an absolute path stays one
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
