"""What earlier builds computed from pages and data files, kept under `cache/pages/`.

Each entry depends on the bytes it was computed from, on the profile and on the code that computed it.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from enrich.files import KeyedStore

FILE_NAME = "pages.sqlite"
# The code an entry depends on: a changed file gives every entry a new key.
_CODE = ("metrics", "records", "wiki")


def page_store(folder: Path, stamp: str) -> KeyedStore:
    """The store of computed values of a wiki; `stamp` is what they depend on beside pages and code, such as the profile."""
    return KeyedStore(folder / FILE_NAME, f"{_code_digest()}\0{stamp}")


def _code_digest() -> str:
    digest = hashlib.blake2b(digest_size=16)
    for package in _CODE:
        for entry in sorted(resources.files("enrich").joinpath(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes() + b"\0")
    return digest.hexdigest()
