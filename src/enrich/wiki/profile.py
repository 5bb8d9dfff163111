"""A wiki's profile: names, closed lists, targets and frequencies that differ between wikis.

The package ships `profiles/neutral.yaml`, which fits any wiki, and `profiles/longterm-wiki.yaml` (the reference wiki, FIELDS.md). `[wiki] profile`
in enrich.toml names one of them or a file of the wiki, whose keys are merged into those of the profile that its key `base` names (default: neutral).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from enrich.config import Ids
from enrich.errors import UserError, invalid_data
from enrich.files import SETTINGS_BYTES, Folders, read_text
from enrich.wiki import yaml12

DEFAULT = "neutral"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Part):
    """How many of an item a page of `words` words should have: max(min, round(words / 1000 · rate))."""

    min: Annotated[int, Field(ge=0)] = 0
    rate: Annotated[float, Field(ge=0)] = 0


class CoverageTargets(_Part):
    """The targets of one content format, with the names and order of the record's `coverage.targets`."""

    tables: Target = Target()
    diagrams: Target = Target()
    internalLinks: Target = Target()  # noqa: N815 - a key of the record
    externalLinks: Target = Target()  # noqa: N815
    footnotes: Target = Target()
    references: Target = Target()


class Coverage(_Part):
    targets: dict[str, CoverageTargets]
    overview_formats: list[str] = []
    only_used: bool = False


class Risk(_Part):
    """Entity types by their effect on the hallucination risk; `type_aliases` also holds for the record's `entityType` (FIELDS.md section 6)."""

    type_aliases: dict[str, str] = {}
    biographical: list[str] = []
    factual: list[str] = []
    conceptual: list[str] = []
    structured_formats: list[str] = []
    type_from_category: list[str] = []


class ContentTypes(_Part):
    """The grader's content type: the first whose text is in the page's path, else the default."""

    by_path: dict[str, str] = {}
    default: str = "reference"


class UpdateFrequency(_Part):
    """Days between updates of a page: by exact title, else subcategory, else path, else importance (FIELDS.md section 9)."""

    titles: dict[str, int] = {}
    subcategories: dict[str, int] = {}
    paths: dict[str, int] = {}
    importance: dict[float, int] = {}


Severity = Literal["off", "info", "warning", "error"]


class Checks(_Part):
    """How strictly `enrich check` validates frontmatter, and the pages that some writing rules apply to (FIELDS.md section 15).

    The default is lenient, because most wikis have their own keys. Values that `enrich` writes are always checked strictly; the shipped
    profile `longterm-wiki` is as strict as the reference wiki.
    """

    closed_lists: Severity = "off"
    unknown_keys: Severity = "off"
    key_types: Severity = "warning"
    key_order: Severity = "off"
    required_keys: list[str] = []
    deprecated_keys: dict[str, str] = {}
    keys: list[str] = []
    page_types: list[str] = []
    rules_off: list[str] = []
    biography_paths: list[str] = []
    analysis_paths: list[str] = []
    footnote_paths: list[str] = []


class PageType(_Part):
    """One kind of page on the Page Status card: label, description, style guide (site path or URL) and expected h2 sections.

    `paths`: texts in a page's address that make it this kind; `wins`: the kind named in the frontmatter has precedence over the address.
    `sections`: expected h2 headings, each with alternative headings (FIELDS.md section 10 and Appendix C).
    """

    label: Annotated[str, Field(min_length=1)]
    description: str = ""
    style_guide: str = ""
    paths: list[str] = []
    wins: bool = False
    sections: dict[str, list[str]] = {}


class InfoboxRow(_Part):
    """One row of the infobox: its label and where its value comes from, the first of these that is not empty.

    `by`: texts by the value of a key (`type` as the file has it), key by key. `key`: a key of the entity; where it holds a mapping, the first
    of `parts` in it. `fields`: labels of custom fields, which then have no row of their own. `record`: a number of the page's record, cut to a
    whole one. `children`: the titles of the entities of these types whose key of this name is the entity's id. `default`: a text.
    """

    label: Annotated[str, Field(min_length=1)]
    types: list[str] = []  # entity types that have the row, after `type_aliases`; empty: all
    by: dict[str, dict[str, str]] = {}
    key: str = ""
    parts: list[str] = []
    fields: list[str] = []
    record: str = ""
    children: str = ""
    default: str = ""
    words: dict[str, str] = {}  # texts for some values, in upper or lower case
    show: Literal["text", "capitalized", "title", "host", "list", "compact"] = "text"
    text: str = ""  # with {value} and other keys of the entity in braces, all of which it must have


class Infobox(_Part):
    """The infobox of an entity's page: which pages have one, and its rows in order (FIELDS.md section 16). Custom fields follow the rows."""

    formats: list[str] = []  # content formats of pages that have one; empty: all
    except_paths: list[str] = []  # beginnings of page addresses without one
    type_aliases: dict[str, str] = {}
    type_labels: dict[str, str] = {}  # where a label is not the type's own words
    rows: list[InfoboxRow] = []
    link_labels: dict[str, str] = {}  # of external links, by platform
    other_links: bool = True  # show links of other platforms, by their own names


Names = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
Component = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$")]
NoComponent = Literal[""]


class NotAsked(_Part):
    """The pages that are recorded and not asked about. `values` has values of frontmatter keys, `paths` globs of content paths."""

    index_pages: bool = True
    paths: list[str] = []
    values: dict[str, list[str]] = {}


class Profile(_Part):
    """One wiki's profile. `profiles/neutral.yaml` explains every key."""

    ids: Ids
    not_asked: NotAsked
    content_formats: Names
    default_content_format: str
    default_clusters: list[str]
    table_components: list[Component]
    diagram_components: list[Component]
    entity_link_component: Component | NoComponent
    resource_component: Component | NoComponent
    shown_keys: dict[str, str]
    entity_types: list[str]
    entity_type_aliases: dict[str, str]
    subcategories: list[str]
    usual_subcategories: dict[str, list[str]]
    default_entity_type: str | None
    page_links: bool
    risk: Risk
    coverage: Coverage
    content_types: ContentTypes
    bulk_import_pages: Annotated[int, Field(ge=1)]
    update_frequency: UpdateFrequency
    checks: Checks
    infobox: Infobox
    page_types: Annotated[dict[str, PageType], Field(min_length=1)]
    default_page_type: str
    index_page_type: str

    @model_validator(mode="after")
    def _is_consistent(self) -> Profile:
        if self.default_content_format not in self.content_formats:
            raise ValueError(f"default_content_format {self.default_content_format!r} is not one of content_formats")
        for name in ("default_page_type", "index_page_type"):
            if getattr(self, name) not in self.page_types:
                raise ValueError(f"{name} {getattr(self, name)!r} is not one of page_types")
        return self


def load_profile(name: str = DEFAULT, root: Path = Path(), within: Folders | None = None) -> Profile:
    """The profile that `[wiki] profile` names: one that the package ships, or a YAML file (a path relative to the wiki's `root`).

    Raises `UserError` with the file and the key for anything that is not valid.
    """
    folder = resources.files("enrich") / "profiles"
    shipped = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    where = f"profiles/{name}.yaml"
    try:
        if "/" in name or name.endswith((".yaml", ".yml")):
            where = str(root / name)
            text = read_text(root / name, within or Folders(root), SETTINGS_BYTES)
        elif name in shipped:
            text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
        else:
            do = f"name one of {', '.join(shipped)}, or a path such as profile.yaml"
            raise UserError(f"there is no profile {name!r}", where="[wiki] profile in enrich.toml", do=do)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"the profile cannot be read ({reason})", where=where, do="set [wiki] profile in enrich.toml") from None
    tree = _parsed(text, where)
    base = tree.pop("base", None)
    if base not in (None, *shipped):
        raise UserError(f"`base` cannot be {base!r}", where=where, do=f"name one of {', '.join(shipped)}")
    for below in dict.fromkeys((base or DEFAULT, DEFAULT)):
        if below != name:
            tree = _over(_parsed((folder / f"{below}.yaml").read_text(encoding="utf-8"), f"profiles/{below}.yaml"), tree)
    try:
        return Profile(**tree)
    except ValidationError as error:
        raise invalid_data(error, Profile, where) from None


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        tree = yaml12.load(text)
    except yaml12.YamlError as error:
        place = f"{where}:{error.line}" if error.line else where
        raise UserError(error.reason, where=place, do="fix that line") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict) or any(not isinstance(key, str) for key in tree):
        raise UserError("a profile must be a mapping of keys to values", where=where, do="see profiles/neutral.yaml of the package")
    return tree


def _over(base: Mapping[Any, Any], upper: Mapping[Any, Any]) -> dict[Any, Any]:
    """`base` with `upper` on top: mappings are merged, null removes an entry, anything else replaces it."""
    merged = dict(base)
    for key, value in upper.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _over(merged[key], value)
        else:
            merged[key] = value
    return merged
