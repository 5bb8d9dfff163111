"""The states of all pages as `database.json` holds them, from the last build where nothing they depend on changed.

Planning reads and parses every page; a build that finds its records in the cache should not wait for that. The states depend on the pages, the
lock, the proposals, the prompts, the configuration and this program: a hash of all of them names the states that were kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import enrich
from enrich.config import STAGES, Config
from enrich.errors import UserError
from enrich.files import write_text_atomically
from enrich.stages.catalogue import load_stages
from enrich.wiki.pages import find_pages

States = Mapping[str, Mapping[str, Any]]


def enrichment_states(config: Config) -> States:
    """Each page's stage states with their reasons (DESIGN.md section 4.6). Raises `UserError` where the configuration cannot be used."""
    file = config.cache / "pages" / "states.json"
    key = _inputs(config)
    kept = _kept(file, key)
    if kept is not None:
        return kept
    from enrich.runs.planning import enrichment, make_plan
    from enrich.wiki.wiki import Wiki

    wiki = Wiki.open(config)
    states = enrichment(make_plan(wiki, wiki.files, load_stages(wiki.config)).states)
    text = json.dumps(states, separators=(",", ":"))
    with suppress(UserError):  # without a cache it only takes longer
        write_text_atomically(file, json.dumps({"key": key, "seal": _seal(key, text), "states": text}))
    return states


def _kept(file: Path, key: str) -> States | None:
    """The kept states where they are of this key and whole."""
    try:
        document = json.loads(file.read_bytes())
        text = document["states"]
        if document["key"] == key and document["seal"] == _seal(key, text):
            states: States = json.loads(text)
            return states
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return None


def _seal(key: str, text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16, key=key.encode()).hexdigest()


def _inputs(config: Config) -> str:
    """A hash of everything the states depend on."""
    digest = hashlib.blake2b(digest_size=16)

    def add(name: str, content: bytes) -> None:
        # Lengths keep one entry from running into the next.
        head = name.encode("utf-8", "surrogateescape")
        digest.update(f"{len(head)} {len(content)} ".encode() + head + content)

    add("config", config.model_dump_json().encode())
    package = Path(enrich.__file__).parent
    for source in sorted(package.rglob("*.py")):
        about = source.stat()
        add(str(source.relative_to(package)), f"{about.st_size} {about.st_mtime_ns}".encode())
    named = [config.root / prompt for name in STAGES if (prompt := config.stages[name].prompt)]
    for file in (*_folder(package / "prompts"), *_folder(package.parents[1] / "prompts"), *_folder(config.root / "prompts"), *named):
        add(str(file), _content(file))
    for file in (config.lock, *_folder(config.proposals)):
        add(file.name, _content(file))
    for page in find_pages(config.content, config.wiki.roots)[0]:
        add(f"{page.id}\0{page.path}", _content(page.file))
    return digest.hexdigest()


def _folder(folder: Path) -> Iterable[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix in (".json", ".md"))
    except OSError:
        return ()


def _content(file: Path) -> bytes:
    """The file's bytes after a mark that tells an empty file from none."""
    try:
        return b"+" + file.read_bytes()
    except OSError as error:
        return f"-{error.errno}".encode()
