"""Where the values of a page's fields are kept: under which keys, on the page or in a file beside the data (`[fields]` in enrich.toml).

Everywhere else a field has its own name (`llmSummary`, `ratings.rigor`); only this map knows the key that holds its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enrich.config import FIELD_NAMES, OFF, SEVEN_DIMENSIONS, Config
from enrich.files import Folders
from enrich.wiki.frontmatter.cuts import value_at

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
