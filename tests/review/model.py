"""A model for reviews: its answers come from the pages themselves and differ from what stands there, some of them without support."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

from enrich.config import FOUR_DIMENSIONS
from enrich.stages.baseline import answer
from enrich.wiki.pages import Page, PageFile, read_page
from tests.demo import answering, page_of, parts_of
from tests.fake_server import Act, Seen


def reviewer_fodder(files: Iterable[PageFile]) -> Callable[[Seen], Act]:
    """The fake server's script: ratings moved by up to three points, summaries reworded, one insight in nine with a quote from nowhere."""
    pages = [read_page(file) for file in files]
    by_start = {page.body.strip("\n")[:400]: page for page in pages}

    def acting(seen: Seen) -> Act:
        text = page_of(seen)
        page = next(page for start, page in by_start.items() if start in text)
        return answering({part: _part(page, part) for part in parts_of(seen)})

    return acting


def _part(page: Page, stage: str) -> dict[str, Any]:
    data = answer(stage, page, dimensions=FOUR_DIMENSIONS)
    dice = crc32(page.id.encode())
    if stage == "summary":
        stands = page.frontmatter.get("llmSummary")
        if isinstance(stands, str) and dice % 3:
            data["summary"] = stands.replace("\\$", "$").replace(" and ", " and also ", 1).replace("The ", "This ", 1)
    elif stage == "insights" and data["insights"] and dice % 9 == 0:
        data["insights"][0]["evidence"] = "This sentence stands on no page at all, whatever its author may say."
    elif stage == "ratings":
        stands = page.frontmatter.get("ratings")
        for place, (name, part) in enumerate(data.items()):
            old = stands.get(name) if isinstance(stands, dict) else None
            if isinstance(old, int | float):
                part["score"] = round(min(max(old + ((dice >> place) % 13 - 6) / 2, 0), 10), 1)
    return data
