"""Critical insights: complete, scored, still supported by the page, and not said twice (FIELDS.md section 11).

Both places are checked: `insights` in a page's frontmatter and `insights/*.yaml` in the data folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

from enrich.checks.frontmatter import is_number, shown
from enrich.checks.report import PageFinding, Severity
from enrich.config import PAGE_SUFFIXES
from enrich.grounding import PageIndex
from enrich.grounding.statements import NearDuplicates
from enrich.wiki.data import SCORES, TYPES, Insight, page_insights, quotes_of
from enrich.wiki.pages import Page

RULES = tuple(f"insight-{name}" for name in ("fields", "scores", "evidence", "id", "source", "stale", "duplicate"))
MOST_ON_A_PAGE = 5  # DESIGN.md section 4.4
DATA_SCORES = (*SCORES, "neglected", "compact")
SAME = 0.9  # FIELDS.md section 11: near-duplicates are a warning, duplicates an error
STALE_DAYS = 90
_ID = re.compile(r"[A-Za-z0-9_-]+")


def page_findings(page: Page) -> Iterator[PageFinding]:
    """Findings about the insights in one page's frontmatter."""
    insights = page_insights(page)
    if len(insights) > MOST_ON_A_PAGE:
        said = f"{len(insights)} insights on one page; at most {MOST_ON_A_PAGE} are shown and read"
        yield _finding(insights[MOST_ON_A_PAGE], "insight-fields", "warning", said)
    index: PageIndex | None = None
    for insight in insights:
        if not insight.values:
            yield _finding(insight, "insight-fields", "error", "an insight is a mapping with type, text, scores and evidence")
            continue
        yield from _fields(insight, ("type", "text", *SCORES, *(["evidence"] if page.file.fields.evidence else [])))
        yield from _scores(insight, SCORES)
        for quote in quotes_of(insight.values):
            index = index or PageIndex.of(page)
            match = index.find_quote(quote)
            if match is None:
                said = f"the evidence is not on the page (any more): {shown(quote)}"
                yield _finding(insight, "insight-evidence", "warning", said)
            elif not match.exact and match.text != quote:
                said = f"the evidence is not word for word on the page (any more), which says {shown(match.text)}"
                yield _finding(insight, "insight-evidence", "warning", said)


def data_findings(tied: Sequence[Insight], loose: Sequence[Insight], today: date) -> Iterator[PageFinding]:
    """Findings about the insights of the data folder: `tied` have a page, `loose` have none; `today` is the day of the check."""
    owners: dict[str, Insight] = {}
    homeless = {id(insight) for insight in loose}
    for insight in sorted((*tied, *loose), key=lambda insight: (insight.file.name, insight.line)):
        values = insight.values
        if not values:
            yield _finding(insight, "insight-fields", "error", "an insight is a mapping with id, insight, source, type and scores")
            continue
        yield from _fields(insight, ("id", "text", "source", "type", *SCORES))
        yield from _scores(insight, DATA_SCORES)
        yield from _identity(insight, owners)
        if id(insight) in homeless:
            said = f"has no page: neither `page`, the address `source` ({shown(values.get('source'))}) nor its last part names one"
            yield _finding(insight, "insight-source", "warning", said)
        yield from _verified(insight, today)


def duplicate_findings(insights: Sequence[Insight], among: Callable[[Insight], bool]) -> Iterator[PageFinding]:
    """One finding for each group of insights that say (nearly) the same, at the second one for which `among` holds, or at the only one."""
    groups: dict[int, tuple[set[int], float]] = {}  # (members, greatest similarity of two of them) by member
    known = NearDuplicates()
    pairs = ((first, second, share) for second, insight in enumerate(insights) for first, share in known.add(insight.text))
    for first, second, similarity in pairs:
        joined = [groups.get(first, ({first}, 0.0)), groups.get(second, ({second}, 0.0))]
        members = joined[0][0] | joined[1][0]
        groups |= dict.fromkeys(members, (members, max(similarity, joined[0][1], joined[1][1])))
    for members, similarity in {id(group[0]): group for group in groups.values()}.values():
        named = [member for member in sorted(members) if among(insights[member])]
        if not named:
            continue
        at = named[:2][-1]
        others = [insights[member] for member in sorted(members) if member != at]
        same = "the same insight as" if similarity >= SAME else "nearly the same insight as"
        listed = ", ".join(f"{one.page or 'no page'} ({one.file.name}:{one.line})" for one in others[:5])
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        said = f"{same} on {listed}{more}: {similarity:.0%} of the word pairs"
        yield _finding(insights[at], "insight-duplicate", "error" if similarity >= SAME else "warning", said)


def _finding(insight: Insight, rule: str, severity: Severity, message: str) -> PageFinding:
    in_page = insight.file.suffix in PAGE_SUFFIXES
    return PageFinding(insight.page, insight.file, insight.line, rule, severity, message, 1 if in_page else None)


def _fields(insight: Insight, required: Iterable[str]) -> Iterator[PageFinding]:
    values = insight.values
    for key in required:
        value = values.get(key)
        if value is None or value == "":
            name = "insight" if key == "text" and "evidence" not in required else key
            yield _finding(insight, "insight-fields", "error", f"`{name}` is missing")
        elif key == "evidence" and isinstance(value, list) and len(quotes_of(values)) == len(value) > 0:
            continue
        elif key in ("text", "evidence", "source") and not isinstance(value, str):
            yield _finding(insight, "insight-fields", "error", f"`{key}` should be a text, and is {shown(value)}")
    kind = values.get("type")
    if kind is not None and kind != "" and kind not in TYPES:
        yield _finding(insight, "insight-fields", "error", f"`type` {shown(kind)} is not one of {', '.join(TYPES)}")
    if "tags" in values and not isinstance(values["tags"], list):
        yield _finding(insight, "insight-fields", "error", f"`tags` should be a list, and is {shown(values['tags'])}")


def _scores(insight: Insight, names: Sequence[str]) -> Iterator[PageFinding]:
    numbers: list[float] = []
    for name in names:
        value = insight.values.get(name)
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


def _identity(insight: Insight, owners: dict[str, Insight]) -> Iterator[PageFinding]:
    value = insight.values.get("id")
    if value is None or value == "":
        return
    name = str(value)
    if not _ID.fullmatch(name):
        yield _finding(insight, "insight-id", "error", f"`id` {shown(name)} may hold only letters, digits, `-` and `_`")
    first = owners.setdefault(name, insight)
    if first is not insight:
        yield _finding(insight, "insight-id", "error", f"the id {shown(name)} is taken by {first.file.name}:{first.line}")


def _verified(insight: Insight, today: date) -> Iterator[PageFinding]:
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
