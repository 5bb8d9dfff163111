"""Frontmatter: does every key hold what it should, do closed lists hold, do the keys stand in order (FIELDS.md section 15).

How much each thing weighs is the profile's matter (`Checks` in `wiki.profile`); wrong values of the keys that `enrich` itself writes are
errors in every wiki. A key without a value (null, "" or []) counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from enrich.checks import kinds
from enrich.checks.findings import Finding
from enrich.checks.findings import Severity as Weight
from enrich.wiki.frontmatter.edit import KEY_ORDER
from enrich.wiki.pages import Page
from enrich.wiki.profile import Profile, Severity

SCHEMA = "frontmatter-schema"
ORDER = "frontmatter-order"
BROKEN = "unreadable"


def frontmatter(page: Page, profile: Profile) -> list[Finding]:
    """All findings about one page's frontmatter, by line. A page whose frontmatter cannot be read gives the one finding that says so."""
    if page.problem is not None:
        severity: Weight = "warning" if page.problem.kind == "no-frontmatter" else "error"
        return [Finding(page.id, page.file.file, max(page.problem.line, 1), BROKEN, severity, page.problem.reason, 1)]
    lines = KeyLines(page)
    found = [*_values(page, profile), *_lists(page, profile), *_agreement(page, profile)]
    findings = [
        Finding(page.id, page.file.file, lines.line(*key), SCHEMA, severity, message, 1)
        for key, severity, message in found
        if severity != "off"
    ]
    pair = first_out_of_order(page.frontmatter)
    if pair and profile.checks.key_order != "off":
        later, earlier = pair
        said = f"`{later}` stands after `{earlier}`; the order of keys puts it before"
        findings.append(Finding(page.id, page.file.file, lines.line(later), ORDER, profile.checks.key_order, said, 1))
    return sorted(findings, key=lambda finding: finding.line)


_Judged = tuple[tuple[str, ...], Severity, str]


def _present(value: Any) -> bool:
    return value is not None and value != "" and value != []


def _values(page: Page, profile: Profile) -> Iterator[_Judged]:
    checks = profile.checks
    for key in checks.required_keys:
        if not _present(page.frontmatter.get(key)):
            yield (key,), "error", f"`{key}` is missing"
    for key, value in page.frontmatter.items():
        if key in checks.deprecated_keys:
            yield (key,), "error", f"`{key}` is no longer used: {checks.deprecated_keys[key]}"
        elif key not in KEY_ORDER and key not in checks.keys:
            yield (key,), checks.unknown_keys, f"unknown key `{key}`"
        kind = kinds.OWN_KEYS.get(key) or kinds.KEYS.get(key)
        if kind is None or not _present(value):
            continue
        expected = kind(value)
        if expected:
            yield (key,), "error" if key in kinds.OWN_KEYS else checks.key_types, f"`{key}` should be {expected}, and is {shown(value)}"
    ratings = page.frontmatter.get("ratings")
    if isinstance(ratings, dict):
        for part, kind in kinds.RATINGS.items():
            expected = kind(ratings[part]) if _present(ratings.get(part)) else None
            if expected:
                yield ("ratings", part), "error", f"`ratings.{part}` should be {expected}, and is {shown(ratings[part])}"


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
            yield (key,), checks.closed_lists, f"`{key}` {shown(value)} is none of this wiki's{_nearest(value, allowed)}"
    kind, subcategory = front.get("entityType"), front.get("subcategory")
    if isinstance(kind, str) and isinstance(subcategory, str) and subcategory in profile.subcategories:
        canonical = profile.entity_type_aliases.get(kind, kind)
        usual = profile.usual_subcategories.get(canonical) if canonical in profile.entity_types else None
        if usual and subcategory not in usual and checks.closed_lists != "off":
            said = f"subcategory {shown(subcategory)} is unusual for a page of type {shown(kind)} (usual: {', '.join(usual)})"
            yield ("subcategory",), "warning", said


def _agreement(page: Page, profile: Profile) -> Iterator[_Judged]:
    """Keys that contradict each other."""
    front, checks = page.frontmatter, profile.checks
    strict = checks.key_types
    if re.search(r"^lastUpdated:[ \t]*[\"']", page.text[: _head_end(page)], re.MULTILINE):
        yield ("lastUpdated",), strict, "`lastUpdated` is a date and stands without quotes"
    still = front.get("evergreen") is False
    frequency = _present(front.get("update_frequency"))
    if still and frequency:
        yield ("evergreen",), strict, "`evergreen: false` says that the page is never updated, `update_frequency` says how often"
    if front.get("contentFormat") in ("table", "diagram") and not still and not frequency:
        said = f"a {front['contentFormat']} needs `update_frequency`, or `evergreen: false` if it is never updated"
        yield ("contentFormat",), "off" if checks.closed_lists == "off" else "warning", said
    if _present(front.get("entityType")) and _present(front.get("numericId")) and checks.closed_lists != "off":
        yield ("numericId",), strict, "`entityType` and `numericId` together: the entity's own number counts, so leave `numericId` out"


def first_out_of_order(keys: Iterable[str]) -> tuple[str, str] | None:
    """The first two neighbours that stand the wrong way round, as (the one that belongs first, the one that stands first), or None.

    Known keys come first in the order of `KEY_ORDER`, unknown ones after them by name (FIELDS.md section 15).
    """
    rank = {key: index for index, key in enumerate(KEY_ORDER)}
    before: tuple[int, str] | None = None
    for key in keys:
        place = (rank.get(key, len(rank)), key)
        if before is not None and place < before:
            return key, before[1]
        before = place
    return None


class KeyLines:
    """File lines of frontmatter keys. They are looked up only where there is something to report, so a sound page costs nothing."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def line(self, key: str, *inner: str) -> int:
        """The line of a key, or of a key within it; the line of the opening fence where the key does not stand in the file."""
        lines = self._page.text[: _head_end(self._page)].split("\n")
        at = _find(lines, key, "", 0)
        if at is None:
            return 1
        for name in inner:
            deeper = _find(lines, name, r"[ \t]+", at + 1)
            if deeper is None:
                break
            at = deeper
        return at + 1


def _find(lines: list[str], key: str, indent: str, start: int) -> int | None:
    pattern = re.compile(rf"{indent}(?:- +)?[\"']?{re.escape(key)}[\"']?[ \t]*:")
    for index in range(start, len(lines)):
        if pattern.match(lines[index]):
            return index
        if indent and lines[index][:1].strip():
            return None
    return None


def _head_end(page: Page) -> int:
    return len(page.text) - len(page.body)


def shown(value: Any) -> str:
    """A value as it is quoted in a message: short, on one line."""
    text = " ".join(str(value).split())
    text = text if len(text) <= 60 else text[:59] + "…"
    return f"“{text}”" if isinstance(value, str) else text


def _nearest(value: str, allowed: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(value, list(allowed), n=2)
    return f"; close to it: {', '.join(close)}" if close else ""
