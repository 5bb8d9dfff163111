"""Frontmatter: values of the right kind, closed lists, keys that contradict each other, order of keys (FIELDS.md section 15).

The profile decides how severe each finding is (`Checks` in `wiki.profile`); wrong values of the keys that `enrich` itself writes are errors
in every wiki. A key without a value (null, "" or []) counts as missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

from enrich.checks.report import PageFinding
from enrich.stages.fields import is_missing
from enrich.wiki import yaml12
from enrich.wiki.frontmatter.edit import KEY_ORDER
from enrich.wiki.page_files import RATINGS
from enrich.wiki.pages import Page
from enrich.wiki.profile import Profile, Severity

SCHEMA = "frontmatter-schema"
ORDER = "frontmatter-order"
BROKEN = "unreadable"

_RANK = {key: place for place, key in enumerate(KEY_ORDER)}
_Judged = tuple[tuple[str, ...], Severity, str]
"""The path of a key, the severity, and what is wrong."""


def frontmatter(page: Page, profile: Profile) -> list[PageFinding]:
    """All findings about one page's frontmatter, by line. A page whose frontmatter cannot be read gives one finding with the reason."""
    file = page.file.file
    if page.problem is not None:
        lenient = page.problem.kind in ("no-frontmatter", "other-metadata")
        line = max(page.problem.line, 1)
        return [PageFinding(page.id, file, line, BROKEN, "warning" if lenient else "error", page.problem.reason, 1)]
    head, store = _head(page), page.store_head
    findings = [
        PageFinding(page.id, file, key_line(head, *key), SCHEMA, severity, message, 1)
        for judge in (_values, _lists, _contradictions)
        for key, severity, message in judge(page, profile)
        if severity != "off"
    ]
    own = _own_values(page)
    findings += [PageFinding(page.id, page.file.store, key_line(store, *key), SCHEMA, "error", message, 1) for key, message in own]
    # Known keys come first in the order of `KEY_ORDER`, unknown ones after them by name (FIELDS.md section 15).
    ranked = [(_RANK.get(key, len(_RANK)), key) for key in page.frontmatter]
    misplaced = next(((later[1], earlier[1]) for earlier, later in pairwise(ranked) if later < earlier), None)
    if misplaced and profile.checks.key_order != "off":
        said = "`{}` comes after `{}`; the order of keys puts it before".format(*misplaced)
        findings.append(PageFinding(page.id, file, key_line(head, misplaced[0]), ORDER, profile.checks.key_order, said, 1))
    return sorted(findings, key=lambda finding: finding.line)


# --- kinds of values ---


def is_number(value: Any) -> bool:
    """Whether this is a finite number; true and .nan are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


_KINDS: dict[str, Callable[[Any], bool]] = {
    "a text": lambda value: isinstance(value, str),
    "true or false": lambda value: isinstance(value, bool),
    "a number": is_number,
    "a number above 0": lambda value: is_number(value) and value > 0,
    "a number from 0 to 10": lambda value: is_number(value) and 0 <= value <= 10,
    "a number from 0 to 100": lambda value: is_number(value) and 0 <= value <= 100,
    "a list": lambda value: isinstance(value, list),
    "a list of texts": _are_texts,
    "a list of at least one text": lambda value: bool(value) and _are_texts(value),
    "a mapping": lambda value: isinstance(value, dict),
    "a date": lambda value: _matches(r"\d{4}-\d{2}-\d{2}.*", value),
    "E and digits": lambda value: _matches(r"E[0-9]+", value),
    "one of doc, splash": lambda value: _matches("doc|splash", value),
    "false (leave the key out for pages that age)": lambda value: value is False,
}


@cache
def _keys() -> dict[str, Any]:
    data: dict[str, Any] = yaml12.load((resources.files("enrich.checks") / "frontmatter_keys.yaml").read_text(encoding="utf-8"))
    return data


def _expected(value: Any, kinds: Any) -> str:
    """What a value should be, in words; "" if it is of one of these kinds."""
    if isinstance(kinds, list):
        return "" if any(_KINDS[kind](value) for kind in kinds) else " or ".join(kinds)
    if not isinstance(value, dict):
        return "a mapping"
    parts = ((name, _expected(value[name], part)) for name, part in kinds.items() if value.get(name) is not None)
    return next((f"a mapping whose `{name}` is {expected}" for name, expected in parts if expected), "")


# --- what is judged ---


def _values(page: Page, profile: Profile) -> Iterator[_Judged]:
    checks, front, keys = profile.checks, page.frontmatter, _keys()
    ours = {keys[0] for keys in page.file.fields.keys.values()} if page.file.fields.sidecars is None else set()
    for key in checks.required_keys:
        if is_missing(front.get(key)):
            yield (key,), "error", f"`{key}` is missing"
    for key, value in front.items():
        if key in checks.deprecated_keys:
            yield (key,), "error", f"`{key}` is no longer used: {checks.deprecated_keys[key]}"
        elif key not in KEY_ORDER and key not in checks.keys and key not in ours:
            yield (key,), checks.unknown_keys, f"unknown key `{key}`"
        kinds = keys["read"].get(key) or keys["other"].get(key)
        if kinds and key not in ours and not is_missing(value) and (expected := _expected(value, kinds)):
            yield (key,), "error" if key in keys["read"] else checks.key_types, f"`{key}` should be {expected}, and is {shown(value)}"


def _own_values(page: Page) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with values of the kinds that `enrich` writes, wherever they are kept."""
    fields, keys = page.file.fields, _keys()
    for name in fields.keys:
        value = page.data.get(name)
        named = [(name, value, keys["own"][name])]
        if name == RATINGS and isinstance(value, Mapping):
            named += [(f"{name}.{part}", value.get(part), kinds) for part, kinds in keys["ratings"].items()]
        for field, current, kinds in named:
            path = fields.path(field) or ()
            if not is_missing(current) and (expected := _expected(current, kinds)):
                yield path, f"`{'.'.join(path)}` should be {expected}, and is {shown(current)}"


def _lists(page: Page, profile: Profile) -> Iterator[_Judged]:
    front, checks = page.frontmatter, profile.checks
    for key, allowed in (
        ("entityType", (*profile.entity_types, *profile.entity_type_aliases)),
        ("subcategory", profile.subcategories),
        ("contentFormat", profile.content_formats),
        ("pageType", checks.page_types),
    ):
        value = front.get(key)
        if isinstance(value, str) and value and value not in allowed:
            yield (key,), checks.closed_lists, f"`{key}` {shown(value)} is not in the wiki's list{_nearest(value, allowed)}"
    kind, subcategory = front.get("entityType"), front.get("subcategory")
    if isinstance(kind, str) and isinstance(subcategory, str) and subcategory in profile.subcategories:
        canonical = profile.entity_type_aliases.get(kind, kind)
        usual = profile.usual_subcategories.get(canonical) if canonical in profile.entity_types else None
        if usual and subcategory not in usual and checks.closed_lists != "off":
            said = f"subcategory {shown(subcategory)} is unusual for a page of type {shown(kind)} (usual: {', '.join(usual)})"
            yield ("subcategory",), "warning", said


def _contradictions(page: Page, profile: Profile) -> Iterator[_Judged]:
    front, checks = page.frontmatter, profile.checks
    strict = checks.key_types
    if re.search(r"^lastUpdated:[ \t]*[\"']", _head(page), re.MULTILINE):
        yield ("lastUpdated",), strict, "`lastUpdated` is a date and must be written without quotes"
    never = front.get("evergreen") is False
    frequency = not is_missing(front.get("update_frequency"))
    if never and frequency:
        yield ("evergreen",), strict, "`evergreen: false` says that the page is never updated, `update_frequency` says how often"
    if front.get("contentFormat") in ("table", "diagram") and not never and not frequency:
        said = f"a {front['contentFormat']} needs `update_frequency`, or `evergreen: false` if it is never updated"
        yield ("contentFormat",), "off" if checks.closed_lists == "off" else "warning", said
    if not is_missing(front.get("entityType")) and not is_missing(front.get("numericId")) and checks.closed_lists != "off":
        yield ("numericId",), strict, "`entityType` and `numericId` together: the entity's own number counts, so leave `numericId` out"


# --- lines and values in messages ---


def _head(page: Page) -> str:
    return page.text[: len(page.text) - len(page.body)]


def key_line(head: str, *path: str) -> int:
    """The file line of a key, or of a key within it; 1 if the key is not in the file."""
    lines, at = head.split("\n"), -1
    for depth, name in enumerate(path):
        indent = r"[ \t]+" if depth else ""
        pattern = re.compile(rf"{indent}(?:- +)?[\"']?{re.escape(name)}[\"']?[ \t]*[:=]")
        for place in range(at + 1, len(lines)):
            if pattern.match(lines[place]):
                at = place
                break
            # A key within another one ends with the next line that is not indented.
            if depth and lines[place][:1].strip():
                return at + 1
        else:
            break
    return max(at, 0) + 1


def shown(value: Any) -> str:
    """A value as it is quoted in a message: short, on one line."""
    text = " ".join(str(value).split())
    text = text if len(text) <= 60 else text[:59] + "…"
    return f"“{text}”" if isinstance(value, str) else text


def _nearest(value: str, allowed: Iterable[str]) -> str:
    from difflib import get_close_matches  # rarely needed, and slow to import

    close = get_close_matches(value, list(allowed), n=2)
    return f"; close to it: {', '.join(close)}" if close else ""
