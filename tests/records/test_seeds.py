"""Both seed documents, line by line and block by block, against the sample wiki; every difference is named with its reason.

The sample has 184 of the reference wiki's 676 pages as they were in March 2026. Seed 000 was read on 2026-02-01, seed 004 on 2026-03-13.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enrich import Config
from enrich.config import WikiSection

# The card as data: the seed's lines are its values in other words.
from enrich.records.card import Card, page_card
from enrich.records.card_rendering import card_html, card_text
from enrich.records.database import Database, build
from enrich.wiki.wiki import Wiki

PAGE = "mesa-optimization"
ROOTS = ["knowledge-base", "insight-hunting", "project", "tools"]


@pytest.fixture(scope="module")
def config(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    wiki = WikiSection(content=str(sample / "content" / "docs"), data=str(sample / "data"), profile="longterm-wiki", roots=ROOTS)
    return Config(wiki=wiki).with_root(tmp_path_factory.mktemp("seeds"))


@pytest.fixture(scope="module")
def card(config: Config) -> Card:
    """The card three days after the last edit, as seed 000 shows it."""
    wiki = Wiki.open(config)
    return page_card(wiki, wiki.by_id[PAGE], datetime(2026, 2, 1, 12, tzinfo=UTC))[0]


@pytest.fixture(scope="module")
def database(config: Config) -> Database:
    return build(Wiki.open(config), now=datetime(2026, 3, 13, 20, 14, tzinfo=UTC))


# Seed 000: (line, our line with the parts that differ, why), in the order of the seed.
LINES = {
    "importance": "rankings of February replaced the old score, which is now `readerImportance`; the old key is not in the sample",
    "words": "the text has changed since: 4.3k words",
    "backlinks": "the sample has other pages than the wiki had then",
    "structure": "the text has changed since, and so has the score (FIELDS.md section 2)",
    "insight": "the stored scores were lowered by one point after the seed was taken (FIELDS.md section 11)",
    "quality issue": "follows from the score",
    "Importance": "follows from the importance; cut to a whole number (FIELDS.md section 16.6)",
}


def shown(card: Card) -> Iterator[tuple[str, str]]:
    """(name, line) for each line of the card in the seed's form."""
    structure, quality = card["structure"], card["quality"]
    yield "title", card["title"]
    yield "status", "📋Page Status"
    yield "type", f"Page Type:{card['kind']['label']}Style Guide →{card['kind']['description']}"
    yield "quality", f"Quality:{quality['value']:g} ({quality['label']}){'⚠️' * quality['warns']}"
    yield "importance", f"Importance:{card['reader_importance']['value']:g} ({card['reader_importance']['label']})"
    yield "edited", f"Last edited:{card['edited']['date']} ({card['edited']['age']})"
    yield "words", f"Words:{card['words_text']}"
    yield "backlinks", f"Backlinks:{card['backlink_count']}"
    yield "structure", "Structure:"
    chips = [structure[key] for key in ("tables", "diagrams", "internal_links", "external_links")]
    chips_text = "".join(f"{mark} {count}" for mark, count in zip("📊📈🔗📚", chips, strict=True))
    yield "structure", f"{chips_text}{structure['bullet_percent']}%Score: {structure['score']}/15"
    yield "summary", f"LLM Summary:{card['summary']}"
    yield "insights", f"Critical Insights ({card['insight_count']}):"
    for insight in card["insights"][:3]:
        scores = "".join(f"{name[0].upper()}:{insight[name]:.1f}" for name in ("surprising", "important", "actionable"))
        yield "insight", f"• {insight['tag']}{insight['text']}{scores}"
    yield "issues", f"Issues ({len(card['issues'])}):"
    for issue in card["issues"]:
        yield f"{issue['kind'].lower()} issue", f"• {issue['kind']}{issue['text']}"
    yield "kind", card["infobox"]["label"]
    yield "title", card["infobox"]["title"]
    for row in card["infobox"]["rows"]:
        yield row["label"], f"{row['label']}{row['value']}"


@pytest.mark.sample
def test_seed_000_line_by_line(sample: Path, card: Card) -> None:
    seed = (sample.parent / "seeds" / "000_3d34533f06f66e6c.txt").read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in seed[seed.index("Mesa-Optimization") :] if line.strip()]
    ours = list(shown(card))
    assert [name for (name, line), wanted in zip(ours, lines, strict=False) if line != wanted and name not in LINES] == []
    # What differs does so in numbers and the words that follow from them only.
    differing = {name for (name, line), wanted in zip(ours, lines, strict=False) if line != wanted}
    assert differing == set(LINES)
    for (_, line), wanted in zip(ours, lines, strict=False):
        without = r"[\d.]+k?|\((High|Peripheral)\)"
        assert re.sub(without, "", line) == re.sub(without, "", wanted)
    # The seed's card ends with the infobox: the next line is the page's own text.
    assert lines[len(ours)].startswith("DimensionAssessmentEvidence")


# Seed 004: the keys of the record that differ, and why.
RECORD = {
    "lastUpdated": "the edit log of the wiki server has the later date; it is not in the sample",
    "dateCreated": "the earliest date comes from the edit log of the wiki server",
    "backlinkCount": "14 of the 32 pages that link here are not in the sample",
    "redundancy": "the fifth similar page is not in the sample",
    "readerRank": "ranks are those among the sample's pages",
    "researchRank": "ranks are those among the sample's pages",
    "recommendedScore": "depends on lastUpdated",
}


@pytest.mark.sample
def test_seed_004_block_by_block(sample: Path, database: Database, card: Card) -> None:
    seed = (sample.parent / "seeds" / "004_e530553623caf956.txt").read_text(encoding="utf-8")
    head, record, rest = before_json(seed)
    between, links, rest = before_json(rest)
    ours = next(record for record in database.pages if record["id"] == PAGE)
    assert list(ours) == [*record, "insights"]
    assert {key for key in record if ours[key] != record[key]} == set(RECORD)
    for said in (card["title"], f"{PAGE}{ours['entityType']}Path: {ours['path']}", f"{card['entity_number']}Entity ID", "Page Record"):
        assert said in head
    assert between.strip() == "External Links"
    assert list(database.links[PAGE].items()) == list(links.items()) == list(card["external_links"].items())
    # The backlinks: the same rows in the same order, without the pages that the sample does not have.
    heading, header, _, *rows = rest.strip().splitlines()
    assert (heading, header) == ("Backlinks (32)", "| id | title | type | relationship |")
    known = {record["id"] for record in database.pages}
    wanted = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]
    found = [[link[key] for key in ("id", "title", "type", "relationship")] for link in card["backlinks"]]
    assert found == [row for row in wanted if row[0] in known or row in found]
    assert ours["backlinkCount"] == len(found)
    # The card shows every block, in text and in HTML.
    for made in (card_text(card, width=400), card_html(card)):
        blocks = ("Page Record", "External Links", "AI Safety Info", links["stampy"], "Backlinks", "Hubinger et al.", "Risks from Learned")
        assert [block for block in blocks if block not in made] == []


def before_json(text: str) -> tuple[str, Any, str]:
    """(text before the first JSON object, the object, text after it)."""
    start = text.index("{")
    value, end = json.JSONDecoder().raw_decode(text, start)
    return text[:start], value, text[end:]
