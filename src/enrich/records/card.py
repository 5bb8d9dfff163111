"""The Page Status card: everything a user wants to know about a page's state, as one JSON document (FIELDS.md section 10).

`card_rendering` shows the document as text and HTML and adds nothing to it. If FIELDS.md has two versions of a rule, the later one is used.
All texts of a card, except in `record`, are on one line and free of control characters, also if the page's are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from enrich.errors import UserError
from enrich.grounding import PageIndex
from enrich.metrics.structure import is_number, js_round
from enrich.records.database import Database, build
from enrich.records.infobox import Row, shown_links, type_label
from enrich.review.lock import LockFile, owner
from enrich.stages.fields import current_value
from enrich.stages.scores import read_calibration
from enrich.text import number_text, printable
from enrich.wiki import yaml12
from enrich.wiki.data import SCORES, Insight, Notice, data_insights, insights_of_pages, page_insights, quotes_of, with_pages
from enrich.wiki.entities import Entity
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, read_page
from enrich.wiki.profile import PageType, Profile
from enrich.wiki.wiki import Wiki

Card = dict[str, Any]
Light = Literal["green", "amber", "red"]
States = Mapping[str, Mapping[str, Any]]  # as in `database.json`: {"summary": {"state": "due", "reasons": ["missing"]}}

RATING_GAP = 20  # points between quality and what the structure suggests, from which the card warns
SIMILAR_FROM = 40  # percent
STALE_AFTER = 60  # days

_LABELS: dict[str, dict[Any, str]] = yaml12.load((resources.files("enrich.records") / "labels.yaml").read_text(encoding="utf-8"))
# The coverage items that compare two numbers of their own.
_SHARES = {"quotes": ("quotesWithQuotes", "quotesTotal"), "accuracy": ("accuracyChecked", "accuracyTotal")}
_H2 = re.compile(r"^##[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)


def page_card(
    wiki: Wiki,
    file: PageFile,
    now: datetime,
    states: States | None = None,
    *,
    dates_file: Path | None = None,
) -> tuple[Card, list[Notice]]:
    """The card of a page of the wiki, and what is wrong with the wiki around it.

    `states` are the states of the page's stages. Dates come from `dates_file` if it is given, else from git. Raises `UserError` if the page
    cannot be read.
    """
    database = build(wiki, now=now, dates_file=dates_file)
    card = next(page_cards(wiki, database, now, {file.id: states or {}}, only=file), None)
    if card is None:
        raise UserError("the page cannot be read", where=str(file.file), do="see `enrich check` for the reason")
    card["chance"] = asdict(PageIndex.of(read_page(file)).chance())
    config = wiki.config
    found, notices = data_insights(config.data, config.folders)
    _, loose = with_pages(found, wiki.files)
    without_page = "an insight without a page: neither `page` nor `source` names one"
    return card, [
        *database.notices,
        *(notice.below(config.wiki.data) for notice in notices),
        *(Notice(_relative(insight.file, config.root), insight.line, without_page) for insight in loose),
    ]


def rating_margins(wiki: Wiki, page: Page) -> dict[str, float]:
    """How far people's ratings are from those on the page that a calibrated model gave: nine of ten are no further (`stages.scores`)."""
    maps = read_calibration(wiki.config)
    entry = wiki.shared(LockFile).read().entry(page.id, "ratings", page) if maps else None
    found: dict[str, float] = {}
    if entry is None:
        return found
    for one in maps:
        value, question = current_value(page.data, one.field), entry.question_of(one.field)
        if owner(value, entry, one.field) == "ours" and (question.model, question.prompt) == (one.model, one.prompt):
            found[one.field.removeprefix("ratings.")] = round(one.margin, 1)
    return found


def page_cards(
    wiki: Wiki,
    database: Database,
    now: datetime,
    states: Mapping[str, States],
    *,
    only: PageFile | None = None,
) -> Iterator[Card]:
    """The cards of the wiki's pages (of `only` one), by the records of a build; pages without a record are left out."""
    of_data = wiki.shared_by_copies(insights_of_pages)
    records = {record["filePath"]: record for record in database.pages}
    for file in wiki.files if only is None else [only]:
        if file.path not in records:
            continue
        page = read_page(file)
        yield status_card(
            records[file.path],
            page,
            wiki.profile,
            now,
            insights=[*page_insights(page), *of_data.get(file.id, ())],
            backlinks=database.backlinks.get(file.id, ()),
            states=states.get(file.id, {}),
            entity=database.entities.get(file.id),
            infobox=database.infobox.get(file.id),
            links=database.links.get(file.id, {}),
            part_of=_part_of(database, file.id),
        )


def status_card(
    record: Mapping[str, Any],
    page: Page,
    profile: Profile,
    now: datetime,
    *,
    insights: Sequence[Insight] = (),
    backlinks: Sequence[Mapping[str, Any]] = (),
    states: States | None = None,
    entity: Entity | None = None,
    infobox: Sequence[Row] | None = None,
    links: Mapping[str, str] | None = None,
    part_of: str = "",
) -> Card:
    """The card of `page` from its `record` (FIELDS.md section 1). What a page does not have is None, "" or [].

    `insights` are those of the page's frontmatter and of the data folder, `backlinks` the entries of FIELDS.md section 5, `now` an aware time.
    `entity` is the page's, with the rows of its `infobox` and the title of what it is `part_of`; `links` are {platform: url}.
    """
    metrics, redundancy = _mapping(record.get("metrics")), _mapping(record.get("redundancy"))
    kind = _kind_name(page, profile)
    page_type = profile.page_types[kind]
    edited = _edited(page, record, now)
    shown = sorted(map(_insight, insights), key=lambda one: sum(one[score] or 0 for score in SCORES), reverse=True)
    card = {
        "id": _text(record.get("id")) or page.id,
        "title": _text(record.get("title")) or printable(page.title),
        "path": _text(record.get("path")) or page.file.url,
        "file_path": _text(record.get("filePath")) or page.file.path,
        "description": _text(record.get("description")),
        "entity_type": _text(record.get("entityType")),
        "entity_number": _text(entity and entity.numeric_id) or _text(record.get("numericId")),
        "kind": {
            "name": kind,
            "label": printable(page_type.label),
            "description": printable(page_type.description),
            "style_guide": printable(page_type.style_guide),
        },
        "quality": _quality(record),
        "reader_importance": _importance(record, "readerImportance", "readerRank"),
        "importance": _importance({"importance": page.frontmatter.get("importance")}, "importance", "")
        if record.get("readerImportance") is None
        else None,
        "research_importance": _importance(record, "researchImportance", "researchRank"),
        "edited": edited,
        "words": _count(record.get("wordCount")),
        "words_text": words_text(_count(record.get("wordCount"))),
        "backlink_count": _count(record.get("backlinkCount")),
        "structure": _structure(metrics),
        "summary": _text(record.get("llmSummary")),
        "insight_count": len(shown),
        "insights": shown,
        "issues": [],
        "chance": None,
        "update": _update(record, edited),
        "sections": _sections(page, page_type),
        "states": [
            {"stage": _text(stage), "state": _text(one.get("state")), "reasons": [_text(reason) for reason in one.get("reasons", ())]}
            for stage, one in (states or {}).items()
        ],
        "metrics": {printable(str(key)): value for key, value in metrics.items() if isinstance(value, int | float)},
        "ratings": {printable(str(key)): value for key, value in _mapping(record.get("ratings")).items() if _number(value) is not None},
        "risk": _risk(record),
        "redundancy": _count(redundancy.get("maxSimilarity")),
        "similar": [
            {"id": _text(one.get("id")), "title": _text(one.get("title")), "similarity": _count(one.get("similarity"))}
            for one in redundancy.get("similarPages") or ()
        ],
        "coverage": _coverage(record),
        "backlinks": [
            {key: _text(entry.get(key)) for key in ("id", "title", "type")} | {"relationship": _text(entry.get("relationship")) or "—"}
            for entry in backlinks
        ],
        "infobox": None
        if entity is None or infobox is None
        else {
            "label": printable(type_label(entity, profile)),
            "title": _text(entity.title) or _text(record.get("title")),
            "part_of": printable(part_of),
            "rows": [_row(row) for row in infobox],
        },
        "links": [_row(row) for row in shown_links(links or {}, profile)],
        "external_links": dict(links or {}),
        "record": record,
    }
    card["issues"] = _issues(card, page, profile)
    return card


def age(days: int) -> str:
    """How long ago a day was; "today" for a day in the future."""
    if days <= 0:
        return "today"
    if days < 14:
        return f"{_plural(days, 'day')} ago"
    return f"{js_round(days / 7)} weeks ago" if days < 60 else f"{js_round(days / 30)} months ago"


def frequency_text(days: int) -> str:
    """How often a page is looked at, for the days between two looks."""
    return next((label for limit, label in _LABELS["frequency"].items() if days <= limit), f"every {js_round(days / 30)} months")


def due_text(frequency: int, days_since: int) -> tuple[str, Light]:
    """When the next look is due, and how urgent it is."""
    left = frequency - days_since
    if left < 0:
        return f"Overdue by {_plural(-left, 'day')}", "red"
    if left == 0:
        return "Due today", "amber"
    if left <= 7:
        return f"Due in {_plural(left, 'day')}", "amber"
    return f"Due in {_plural(js_round(left / 7), 'week')}", "green"


def words_text(words: int) -> str:
    """A number of words, from 1000 on in thousands with one decimal."""
    return str(words) if words < 1000 else f"{js_round(words / 100) / 10:.1f}k"


def _kind_name(page: Page, profile: Profile) -> str:
    """The page type: the frontmatter's if the profile lets it win, else by path, else the frontmatter's if known, else the default."""
    named = page.frontmatter.get("pageType")
    named = named if isinstance(named, str) and named in profile.page_types else ""
    if named and profile.page_types[named].wins:
        return named
    for name, kind in profile.page_types.items():
        if any(path in page.file.url for path in kind.paths):
            return name
    return named or (profile.index_page_type if page.file.is_index else profile.default_page_type)


def _quality(record: Mapping[str, Any]) -> Card | None:
    value = _number(record.get("quality"))
    if value is None:
        return None
    suggested = _count(record.get("suggestedQuality"))
    return {"value": value, "label": _label(value, "quality"), "suggested": suggested, "warns": abs(value - suggested) >= RATING_GAP}


def _importance(record: Mapping[str, Any], key: str, rank: str) -> Card | None:
    value = _number(record.get(key))
    if value is None:
        return None
    labels = "research_importance" if key == "researchImportance" else "reader_importance"
    return {"value": value, "label": _label(value, labels), "rank": record[rank] if isinstance(record.get(rank), int) else None}


def _edited(page: Page, record: Mapping[str, Any], now: datetime) -> Card | None:
    """The last edit: the frontmatter's `lastEdited` (by a person), else the record's `lastUpdated` (any commit)."""
    for value in (page.frontmatter.get("lastEdited"), record.get("lastUpdated")):
        try:
            day = date.fromisoformat(str(value)[:10])
        except ValueError:
            continue
        days = (now.astimezone(UTC) - datetime(day.year, day.month, day.day, tzinfo=UTC)).days
        return {"date": day.isoformat(), "days": days, "age": age(days)}
    return None


def _structure(metrics: Mapping[str, Any]) -> Card:
    score = _number(metrics.get("structuralScore")) or 0
    return {
        "tables": _count(metrics.get("tableCount")),
        "diagrams": _count(metrics.get("diagramCount")),
        "internal_links": _count(metrics.get("internalLinks")),
        "external_links": _count(metrics.get("externalLinks")),
        "bullet_percent": js_round((_number(metrics.get("bulletRatio")) or 0) * 100),
        "score": score,
        "light": _light(score, 10, 6),
    }


def _insight(insight: Insight) -> Card:
    kind = _text(insight.values.get("type"))
    scores = {name: _number(insight.values.get(name)) for name in SCORES}
    evidence = [printable(quote) for quote in quotes_of(insight.values)]
    return {"tag": _LABELS["insight_types"].get(kind, kind), "type": kind, "text": printable(insight.text), **scores, "evidence": evidence}


def _row(row: Row) -> Card:
    return {"label": printable(row.label), "value": printable(row.value), "link": row.link}


def _part_of(database: Database, page: str) -> str:
    """The title of the entity or page that the page's entity is part of, else the words of its id."""
    entity = database.entities.get(page)
    whole = entity.summary_page if entity is not None else None
    if whole is None:
        return ""
    other = database.entities.get(whole)
    titles = (str(record["title"]) for record in database.pages if record["id"] == whole)
    return (other and other.title) or next(titles, whole.replace("-", " ").title())


def _issues(card: Card, page: Page, profile: Profile) -> list[Card]:
    issues: list[tuple[str, str, str]] = []
    quality, edited, similar, structure = card["quality"], card["edited"], card["similar"], card["structure"]
    if quality and quality["warns"]:
        gap = quality["value"] - quality["suggested"]
        way = f"{'overrated' if gap > 0 else 'underrated'} by {number_text(abs(gap))} points"
        said = f"Rated {number_text(quality['value'])} but structure suggests {quality['suggested']} ({way})"
        issues.append(("Quality", "warning", said))
    links = _count(card["record"].get("unconvertedLinkCount"))
    if links:
        issues.append(("Links", "info", f"{_plural(links, 'link')} could use <{profile.resource_component}> components"))
    if card["redundancy"] >= SIMILAR_FROM and similar:
        issues.append(("Redundancy", "warning", f'{card["redundancy"]}% similar to "{similar[0]["title"]}"'))
    if edited and edited["days"] > STALE_AFTER and page.frontmatter.get("evergreen") is not False:
        issues.append(("Stale", "info", f"Last edited {edited['days']} days ago - may need review"))
    is_default = card["record"].get("contentFormat", profile.default_content_format) == profile.default_content_format
    items = _mapping(_mapping(card["record"].get("coverage")).get("items"))
    if is_default and not structure["tables"] and not structure["diagrams"] and (not items or items.keys() & {"tables", "diagrams"}):
        issues.append(("Structure", "info", "No tables or diagrams - consider adding visual content"))
    return [{"kind": kind, "severity": severity, "text": text} for kind, severity, text in issues]


def _update(record: Mapping[str, Any], edited: Card | None) -> Card:
    """How often the page is looked at and when the next look is due."""
    if record.get("evergreen") is False:
        return {"every": "never", "due": "Not updated any more", "light": None}
    frequency = _count(record.get("updateFrequency"))
    if not frequency:
        items = _mapping(_mapping(record.get("coverage")).get("items"))
        return {"every": "", "due": "No update schedule" if not items or "schedule" in items else "", "light": None}
    due, light = ("Never edited, as far as known", "red") if edited is None else due_text(frequency, edited["days"])
    return {"every": frequency_text(frequency), "due": due, "light": light}


def _sections(page: Page, kind: PageType) -> list[Card]:
    """The sections that pages of this type should have: present if an h2 holds the name or one of its other names (FIELDS.md Appendix C)."""
    headings = [match[1].lower() for match in _H2.finditer(page.body)] if kind.sections else []
    return [
        {"label": printable(label), "present": any(name.lower() in heading for heading in headings for name in (label, *others))}
        for label, others in kind.sections.items()
    ]


def _risk(record: Mapping[str, Any]) -> Card | None:
    risk = _mapping(record.get("hallucinationRisk"))
    if not risk:
        return None
    factors = [_text(factor) for factor in risk.get("factors") or ()]
    return {"level": _text(risk.get("level")), "score": _count(risk.get("score")), "factors": factors}


def _coverage(record: Mapping[str, Any]) -> Card | None:
    coverage = _mapping(record.get("coverage"))
    if not coverage:
        return None
    targets, actuals = _mapping(coverage.get("targets")), _mapping(coverage.get("actuals"))
    items: list[Card] = []
    for name, light in _mapping(coverage.get("items")).items():
        if light not in ("green", "amber", "red"):
            continue
        actual = target = None
        if name in _SHARES:
            actual, target = (_count(actuals.get(key)) for key in _SHARES[name])
        elif name in targets:
            actual, target = _count(actuals.get(name)), _count(targets[name])
        items.append({"name": _text(name), "light": light, "actual": actual, "target": target})
    passing, total = _count(coverage.get("passing")), _count(coverage.get("total"))
    return {"passing": passing, "total": total, "light": _light(passing / total if total else 0, 0.75, 0.5), "items": items}


def _light(value: float, green: float, amber: float) -> Light:
    return "green" if value >= green else "amber" if value >= amber else "red"


def _label(value: float, kind: str) -> str:
    return next(label for least, label in _LABELS[kind].items() if value >= least)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _relative(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return "" if value is None else printable(str(value))


def _number(value: Any) -> float | None:
    return value if is_number(value) else None


def _count(value: Any) -> int:
    return int(_number(value) or 0)
