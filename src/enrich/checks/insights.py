"""Critical insights: complete, scored with thought, still carried by the page, and none said twice (FIELDS.md section 11).

Both homes are checked: `insights` in a page's frontmatter and `insights/*.yaml` in the data folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from enrich.checks.findings import Finding, Severity
from enrich.checks.frontmatter import shown
from enrich.checks.kinds import is_number
from enrich.checks.likeness import near_duplicates
from enrich.wiki.data import SCORES, TYPES, Insight, page_insights
from enrich.wiki.pages import Page

MOST_ON_A_PAGE = 5  # DESIGN.md section 4.4
DATA_SCORES = (*SCORES, "neglected", "compact")
LIKE, SAME = 0.7, 0.9  # FIELDS.md section 11: near-duplicates are a warning, duplicates an error
STALE_DAYS = 90
_ID = re.compile(r"[A-Za-z0-9_-]+")

OnPage = Callable[[str], str | None]
"""A quote as it stands on the page: itself where it stands there word for word, the page's words where they differ by little, else None."""


def page_findings(page: Page, on_page: Callable[[Page], OnPage]) -> list[Finding]:
    """Findings about the insights in one page's frontmatter. `on_page` is only called for a page that has insights with evidence."""
    insights = page_insights(page)
    found: list[Finding] = []
    if len(insights) > MOST_ON_A_PAGE:
        more = insights[MOST_ON_A_PAGE]
        said = f"{len(insights)} insights on one page; {MOST_ON_A_PAGE} at most are shown and read"
        found.append(_finding(more, "insight-fields", "warning", said))
    stands: OnPage | None = None
    for insight in insights:
        if not insight.values:
            found.append(_finding(insight, "insight-fields", "error", "an insight is a mapping with type, text, scores and evidence"))
            continue
        found += _fields(insight, ("type", "text", *SCORES, "evidence"))
        found += _scores(insight, SCORES)
        evidence = insight.values.get("evidence")
        if isinstance(evidence, str) and evidence.strip():
            stands = stands or on_page(page)
            there = stands(evidence)
            if there is None:
                said = f"the evidence is not on the page (any more): {shown(evidence)}"
                found.append(_finding(insight, "insight-evidence", "warning", said))
            elif there != evidence:
                said = f"the evidence is not word for word on the page (any more), which says {shown(there)}"
                found.append(_finding(insight, "insight-evidence", "warning", said))
    return found


def data_findings(tied: Sequence[Insight], loose: Sequence[Insight], today: date) -> list[Finding]:
    """Findings about the insights of the data folder: `tied` belong to a page, `loose` to none; `today` is the day of the check."""
    found: list[Finding] = []
    owners: dict[str, Insight] = {}
    homeless = {id(insight) for insight in loose}
    for insight in sorted((*tied, *loose), key=lambda insight: (insight.file.name, insight.line)):
        values = insight.values
        if not values:
            found.append(_finding(insight, "insight-fields", "error", "an insight is a mapping with id, insight, source, type and scores"))
            continue
        found += _fields(insight, ("id", "text", "source", "type", *SCORES))
        found += _scores(insight, DATA_SCORES)
        found += _identity(insight, owners)
        if id(insight) in homeless:
            said = f"belongs to no page: neither `page`, the address `source` ({shown(values.get('source'))}) nor its last part names one"
            found.append(_finding(insight, "insight-source", "warning", said))
        found += _verified(insight, today)
    return found


def duplicate_findings(insights: Sequence[Insight], among: Callable[[Insight], bool]) -> Iterator[Finding]:
    """A finding for every insight that says (nearly) what an earlier one of the wiki says, where `among` holds for one of the two."""
    for first, second, similarity in near_duplicates([insight.text for insight in insights], LIKE):
        earlier, later = insights[first], insights[second]
        if not among(later):
            earlier, later = later, earlier
        if among(later):
            other = f"{earlier.page or 'no page'} ({earlier.file.name}:{earlier.line})"
            same = "the same insight as" if similarity >= SAME else "nearly the same insight as"
            said = f"{same} on {other}: {similarity:.0%} of the word pairs"
            yield _finding(later, "insight-duplicate", "error" if similarity >= SAME else "warning", said)


def _finding(insight: Insight, rule: str, severity: Severity, message: str) -> Finding:
    in_page = insight.file.suffix in (".md", ".mdx")
    return Finding(insight.page, insight.file, insight.line, rule, severity, message, 1 if in_page else None)


def _fields(insight: Insight, required: Iterable[str]) -> Iterator[Finding]:
    values = insight.values
    for key in required:
        value = values.get(key)
        if value is None or value == "":
            name = "insight" if key == "text" and "evidence" not in required else key
            yield _finding(insight, "insight-fields", "error", f"`{name}` is missing")
        elif key in ("text", "evidence", "source") and not isinstance(value, str):
            yield _finding(insight, "insight-fields", "error", f"`{key}` should be a text, and is {shown(value)}")
    kind = values.get("type")
    if kind is not None and kind != "" and kind not in TYPES:
        yield _finding(insight, "insight-fields", "error", f"`type` {shown(kind)} is none of {', '.join(TYPES)}")
    if "tags" in values and not isinstance(values["tags"], list):
        yield _finding(insight, "insight-fields", "error", f"`tags` should be a list, and is {shown(values['tags'])}")


def _scores(insight: Insight, names: Sequence[str]) -> Iterator[Finding]:
    values: Mapping[str, Any] = insight.values
    numbers: list[float] = []
    for name in names:
        value = values.get(name)
        if value is None:
            if name not in SCORES:  # a missing S, I or A is reported as a missing field
                yield _finding(insight, "insight-scores", "error", f"`{name}` is missing")
        elif not is_number(value):
            yield _finding(insight, "insight-scores", "error", f"`{name}` should be a number from 1 to 5, and is {shown(value)}")
        else:
            numbers.append(float(value))
            if not 1 <= value <= 5:
                yield _finding(insight, "insight-scores", "warning", f"`{name}` should be from 1 to 5, and is {value:g}")
    if len(numbers) == len(names) and len(set(numbers)) == 1:
        yield _finding(insight, "insight-scores", "warning", f"all {len(names)} scores are {numbers[0]:g}: they say nothing")


def _identity(insight: Insight, owners: dict[str, Insight]) -> Iterator[Finding]:
    value = insight.values.get("id")
    if value is None or value == "":
        return
    name = str(value)
    if not _ID.fullmatch(name):
        yield _finding(insight, "insight-id", "error", f"`id` {shown(name)} may hold letters, digits, `-` and `_` only")
    first = owners.setdefault(name, insight)
    if first is not insight:
        yield _finding(insight, "insight-id", "error", f"the id {shown(name)} belongs to {first.file.name}:{first.line}")


def _verified(insight: Insight, today: date) -> Iterator[Finding]:
    value = insight.values.get("lastVerified")
    if value is None or value == "":
        yield _finding(insight, "insight-stale", "info", "never verified against its page (`lastVerified`)")
        return
    try:
        days = (today - date.fromisoformat(str(value)[:10])).days
    except ValueError:
        yield _finding(insight, "insight-stale", "warning", f"`lastVerified` should be a date (YYYY-MM-DD), and is {shown(value)}")
        return
    if days > STALE_DAYS:
        yield _finding(insight, "insight-stale", "warning", f"last verified {days} days ago")
