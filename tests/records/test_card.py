"""The Page Status card: what it says of a page, for two profiles."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from enrich import UserError, load_config
from enrich.records.card import Card, page_card, status_card
from enrich.records.card_rendering import card_text
from enrich.wiki.data import Insight
from enrich.wiki.profile import Profile, load_profile

# The card of any record is computed by an inner function: records with every combination of values are hard to produce through a wiki.
from enrich.wiki.wiki import Wiki
from tests.checks.making import page
from tests.demo import cases

NOW = datetime(2026, 3, 12, 9, 30, tzinfo=UTC)
REFERENCE = load_profile("longterm-wiki")
RECORD: dict[str, Any] = {
    "id": "north-light",
    "title": "North Light",
    "path": "/knowledge-base/risks/north-light/",
    "filePath": "knowledge-base/risks/north-light.md",
    "contentFormat": "article",
    "quality": 63,
    "suggestedQuality": 70,
    "wordCount": 4370,
    "updateFrequency": 30,
    "evergreen": True,
    "backlinkCount": 0,
    "unconvertedLinkCount": 0,
    "metrics": {"tableCount": 1, "diagramCount": 0, "internalLinks": 3, "externalLinks": 2, "bulletRatio": 0.155, "structuralScore": 9},
}


def card(
    record: dict[str, Any] | None = None,
    head: str = "title: North Light\nlastEdited: 2026-03-01",
    path: str = "knowledge-base/risks/north-light.md",
    profile: Profile = REFERENCE,
    body: str = "Text.\n",
    **more: Any,
) -> Card:
    return status_card({**RECORD, **(record or {})}, page(f"---\n{head}\n---\n{body}", path), profile, NOW, **more)


def issues(made: Card) -> list[tuple[str, str, str]]:
    return [(one["kind"], one["severity"], one["text"]) for one in made["issues"]]


def edited(days: int) -> str:
    return f"lastEdited: {(NOW - timedelta(days=days)).date()}"


@pytest.mark.parametrize(
    ("label", "value", "expected"),
    [
        pytest.param(label, value, expected, id=f"{name}-{value}")
        for name, label in (
            ("quality", lambda value: card({"quality": value})["quality"]["label"]),
            ("reader", lambda value: card({"readerImportance": value})["reader_importance"]["label"]),
            ("research", lambda value: card({"researchImportance": value})["research_importance"]["label"]),
            ("age", lambda value: card(head=edited(value))["edited"]["age"]),
            ("every", lambda value: card({"updateFrequency": value})["update"]["every"]),
            ("due", lambda value: card(head=edited(value))["update"]["due"]),
            ("words", lambda value: card({"wordCount": value})["words_text"]),
        )
        for expected, values in cases(__file__)["labels"][name].items()
        for value in values
    ],
)
def test_labels_at_their_limits(label: Callable[[float], str], value: float, expected: str) -> None:
    assert label(value) == expected


def test_lights_at_their_limits() -> None:
    lights = {31: "red", 30: "amber", 23: "amber", 22: "green"}
    assert {days: card(head=edited(days))["update"]["light"] for days in lights} == lights
    scores = [card({"metrics": {"structuralScore": score}})["structure"]["light"] for score in (15, 10, 9, 6, 5, 0)]
    assert scores == ["green", "green", "amber", "amber", "red", "red"]
    shares = [(9, 12), (8, 12), (6, 12), (5, 12), (0, 0)]
    made = [card({"coverage": {"passing": passing, "total": total}})["coverage"]["light"] for passing, total in shares]
    assert made == ["green", "amber", "amber", "red", "red"]


def test_the_old_key_of_importance_is_shown_where_there_is_no_new_one() -> None:
    assert card(head="importance: 82.5")["importance"] == {"value": 82.5, "label": "High", "rank": None}
    assert card({"readerImportance": 18.5}, head="importance: 82.5")["importance"] is None
    assert "82.5 (High)" in card_text(card(head="importance: 82.5"))


BARE = {"metrics": {"tableCount": 0, "diagramCount": 0}}
SIMILAR = [
    {"id": "fog", "title": "Fog", "path": "/fog/", "similarity": 40},
    {"id": "mist", "title": "Mist", "path": "/m/", "similarity": 9},
]


@pytest.mark.parametrize(
    ("record", "head", "issue"),
    [
        ({"quality": 63, "suggestedQuality": 82}, "", None),
        ({"quality": 63, "suggestedQuality": 83}, "", "Quality: Rated 63 but structure suggests 83 (underrated by 20 points)"),
        ({"quality": 63, "suggestedQuality": 43}, "", "Quality: Rated 63 but structure suggests 43 (overrated by 20 points)"),
        ({"quality": 62.5, "suggestedQuality": 90}, "", "Quality: Rated 62.5 but structure suggests 90 (underrated by 27.5 points)"),
        ({"unconvertedLinkCount": 1}, "", "Links: 1 link could use <R> components"),
        ({"unconvertedLinkCount": 8}, "", "Links: 8 links could use <R> components"),
        ({"redundancy": {"maxSimilarity": 39, "similarPages": SIMILAR}}, "", None),
        ({"redundancy": {"maxSimilarity": 40, "similarPages": SIMILAR}}, "", 'Redundancy: 40% similar to "Fog"'),
        ({}, edited(60), None),
        ({}, edited(61), "Stale: Last edited 61 days ago - may need review"),
        ({"evergreen": False}, f"{edited(61)}\nevergreen: false", None),
        (BARE, "", "Structure: No tables or diagrams - consider adding visual content"),
        ({**BARE, "contentFormat": "index"}, "", None),
        ({"metrics": {"tableCount": 0, "diagramCount": 1}}, "", None),
    ],
)
def test_each_issue_from_its_limit_on(record: dict[str, Any], head: str, issue: str | None) -> None:
    made = card(record, head) if head else card(record)
    assert [f"{kind}: {text}" for kind, _, text in issues(made)] == ([issue] if issue else [])
    assert {severity for kind, severity, _ in issues(made) if kind in ("Quality", "Redundancy")} <= {"warning"}


def test_page_types_by_address_word_and_default() -> None:
    def kind(path: str, head: str = "title: T", profile: Profile = REFERENCE) -> tuple[str, str]:
        made = card(head=head, path=path, profile=profile)
        return made["kind"]["label"], made["kind"]["style_guide"]

    assert kind("knowledge-base/risks/a.md") == ("Risk", "/internal/risk-style-guide/")
    assert kind("knowledge-base/responses/a.md") == ("Response", "/internal/response-style-guide/")
    assert kind("knowledge-base/risks/a.md", "pageType: stub") == ("Stub", "/internal/stub-style-guide")
    assert kind("knowledge-base/risks/a.md", "pageType: content") == ("Risk", "/internal/risk-style-guide/")
    assert kind("guides/a.md", "pageType: risk") == ("Risk", "/internal/risk-style-guide/")
    assert kind("guides/a.md", "pageType: poem") == ("Content", "")
    assert kind("internal/a.md") == ("Documentation", "")
    assert kind("guides/index.md") == ("Overview", "")
    assert kind("knowledge-base/risks/a.md", profile=load_profile()) == ("Content", "")


def test_expected_sections_by_name_and_by_other_names() -> None:
    body = "## Overview of it\n\n## Pathways ##\n\n### Responses\n\n## Open questions and key uncertainties\n"
    found = {section["label"]: section["present"] for section in card(body=body)["sections"]}
    assert found == {"Overview": True, "Risk Assessment": False, "How It Works": True, "Responses": False, "Key Uncertainties": True}
    assert card(path="guides/a.md")["sections"] == []


def test_a_card_survives_any_record() -> None:
    empty = status_card({}, page("Just text.\n"), load_profile("longterm-wiki"), NOW)
    assert [empty[key] for key in ("title", "quality", "risk", "coverage", "words_text")] == ["north light", None, None, None, "0"]
    odd: dict[str, Any] = {
        "quality": "high",
        "metrics": [],
        "ratings": {"rigor": "x", "mood": 4},
        "coverage": {"items": {"tables": "blue"}},
        "redundancy": None,
    }
    made = status_card(odd, page("Just text.\n"), load_profile("longterm-wiki"), NOW)
    assert (made["quality"], made["ratings"]) == (None, {"mood": 4})
    json.dumps(made)


def test_no_text_of_a_card_holds_control_characters() -> None:
    hostile = "a\x1b[2J\u202eb\nc\u2066"
    made = card(
        {"title": hostile, "llmSummary": hostile, "description": hostile, "ratings": {hostile: 1}},
        backlinks=[{"id": hostile, "title": hostile, "type": hostile, "relationship": hostile}],
        insights=[Insight("x", Path("x"), 1, {"text": hostile, "type": hostile, "evidence": hostile})],
        states={"summary": {"state": hostile, "reasons": [hostile]}},
    )
    shown = json.dumps({**made, "record": None}, ensure_ascii=False)
    assert not any(char in shown for char in "\x1b\u202e\u2066\n")
    assert made["title"] == "a\\x1b[2J\\u202eb c\\u2066"


def test_the_card_of_a_page_on_disk_by_its_wikis_own_profile(lighthouses: Path) -> None:
    wiki = Wiki.open(load_config(lighthouses, env={}))
    file = wiki.by_id["north-light"]
    made, notices = page_card(wiki, file, NOW, {"summary": {"state": "due", "reasons": ["missing"]}})
    assert (made["kind"]["label"], made["kind"]["style_guide"]) == ("Tower", "https://lights.example/how-to-write-towers")
    assert [(section["label"], section["present"]) for section in made["sections"]] == [("Light", True), ("Visiting", False)]
    assert (made["entity_type"], made["entity_number"]) == ("tower", "E1")
    assert [(one["tag"], one["evidence"]) for one in made["insights"]] == [
        ("Claim", []),
        ("Quantitative", ["burned 2 litres of oil a night"]),
    ]
    assert issues(made) == [("Links", "info", "1 link could use <Log> components")]
    assert [(link["id"], link["relationship"]) for link in made["backlinks"]] == [("ada-finch", "keeper of")]
    assert {item["name"]: (item["actual"], item["target"]) for item in made["coverage"]["items"]}["tables"] == (1, 2)
    assert made["states"] == [{"stage": "summary", "state": "due", "reasons": ["missing"]}]
    assert [notice.line for notice in notices if "an insight without a page" in notice.message] == [13]


def test_a_page_that_cannot_be_read_is_an_error(lighthouses: Path) -> None:
    wiki = Wiki.open(load_config(lighthouses, env={}))
    file = wiki.by_id["north-light"]
    file.file.unlink()
    file.file.symlink_to(lighthouses / "nowhere.md")
    with pytest.raises(UserError, match=r"north-light\.md: the page cannot be read"):
        page_card(wiki, file, NOW)
