"""Write `docs/licences.md`, the licences of all packages that `enrich` needs at run time (`make docs`), from the installed packages' metadata."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

TARGET = Path(__file__).with_name("licences.md")
_HEAD = """# Licences of the dependencies

Written by `make docs` from the metadata of the installed packages; do not edit. These packages are installed with `enrich` on Linux; the
packages of the extras `dev`, `ray`, `llama` and `decider` are only needed to work on it.

| package | licence | needed by |
|---|---|---|
"""
_LICENCE = "License :: OSI Approved :: "
_MOST = 60  # characters of a `License` field that is a name; longer ones are the licence's text


def licence(found: Distribution) -> str:
    """The licence as the package states it: an SPDX expression, a short name, or its classifiers; "" if it states none."""
    metadata = found.metadata
    stated = str(metadata.get("License-Expression") or metadata.get("License") or "").strip()
    if stated and "\n" not in stated and len(stated) <= _MOST:
        return stated
    names = [name.removeprefix(_LICENCE) for name in metadata.get_all("Classifier") or () if name.startswith(_LICENCE)]
    return ", ".join(names) or stated.partition("\n")[0].strip()[:_MOST]


def needed() -> dict[str, set[str]]:
    """Every package that `enrich` needs at run time, with the packages that need it; without what is not installed here."""
    project = tomllib.loads(TARGET.parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    by: dict[str, set[str]] = {}
    open_names: list[tuple[str, frozenset[str]]] = [("enrich", frozenset())]
    seen = set(open_names)
    while open_names:
        name, extras = open_names.pop()
        for line in project["dependencies"] if name == "enrich" else distribution(name).requires or ():
            requirement = Requirement(line)
            if requirement.marker is not None and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                continue
            other = re.sub(r"[-_.]+", "-", requirement.name).lower()
            try:
                distribution(other)
            except PackageNotFoundError:
                continue
            by.setdefault(other, set()).add(name)
            wanted = (other, frozenset(requirement.extras))
            if wanted not in seen:
                seen.add(wanted)
                open_names.append(wanted)
    return by


def table() -> str:
    """The Markdown text of the list."""
    rows = (
        f"| {name} | {licence(distribution(name)).replace('|', '/')} | {', '.join(sorted(by))} |" for name, by in sorted(needed().items())
    )
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    TARGET.write_text(table(), encoding="utf-8")
