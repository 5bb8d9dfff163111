"""Pages as they are read from disk: frontmatter, body, language and hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.spans import find_fences, no_fences
from enrich.wiki.language import language_of
from enrich.wiki.page_files import PageFile


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
