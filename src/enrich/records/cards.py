"""The Page Status card of a page on disk: builds the records (from the cache where nothing changed), reads what belongs to the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from enrich.config import Config
from enrich.errors import UserError
from enrich.records.card import Card, StageState, status_card
from enrich.records.database import build
from enrich.wiki.data import load_data
from enrich.wiki.insights import data_insights, page_insights, tie
from enrich.wiki.notice import Notice
from enrich.wiki.pages import PageFile, read_page
from enrich.wiki.profile import load_profile


def page_card(
    config: Config,
    file: PageFile,
    files: Sequence[PageFile],
    now: datetime,
    states: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    dates_file: Path | None = None,
) -> tuple[Card, list[Notice]]:
    """The card of one of the wiki's `files`, and what is wrong with the wiki around it.

    `states` are the page's stages as `database.json` holds them (`{"summary": {"state": "due", "reasons": ["missing"]}}`), `dates_file` stands
    in for git. Insights that belong to no page are among the notices. Raises `UserError` for a page that cannot be read.
    """
    database = build(config, now=now, dates_file=dates_file)
    record = next((record for record in database.pages if record["filePath"] == file.path), None)
    if record is None:
        raise UserError("the page cannot be read", where=str(file.file), do="see `enrich check` for the reason")
    page = read_page(file)
    found, said = data_insights(config.data)
    tied, loose = tie(found, files)
    card = status_card(
        record,
        page,
        load_profile(config.wiki.profile, config.root),
        now,
        insights=[*page_insights(page), *(insight for insight in tied if insight.page == file.id)],
        backlinks=database.backlinks.get(file.id, ()),
        states=[StageState(stage, state["state"], tuple(state.get("reasons", ()))) for stage, state in (states or {}).items()],
        entity_number=_entity_number(config, file.id) if "entityType" in record else "",
    )
    homeless = [
        Notice(_below(insight.file, config), insight.line, "an insight that belongs to no page (neither `page` nor `source` names one)")
        for insight in loose
    ]
    return card, [*database.notices, *(Notice(f"{config.wiki.data}/{n.file}", n.line, n.message) for n in said), *homeless]


def _entity_number(config: Config, page: str) -> str:
    return next((entity.numeric_id or "" for entity in load_data(config.data).entities if entity.id == page), "")


def _below(file: Path, config: Config) -> str:
    return file.relative_to(config.root).as_posix() if file.is_relative_to(config.root) else str(file)
