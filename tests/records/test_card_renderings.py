"""The card on a terminal, as JSON and as one HTML file: complete, readable, and safe for hostile pages."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from rich.cells import cell_len
from rich.console import Console

# A hostile text in every value of a record is hard to produce through a wiki.
from enrich.records.card import Card, status_card
from enrich.records.card_rendering import card_html, card_text, print_card
from enrich.records.infobox import Row
from enrich.wiki.data import Insight
from enrich.wiki.entities import Entity
from enrich.wiki.profile import load_profile
from tests.browser import CONTRAST, browser_page
from tests.checks.making import page
from tests.demo import DemoWiki

NOW = datetime(2026, 3, 12, tzinfo=UTC)
HOSTILE = (
    "</style></script></title><script>window.hit=1</script><img src=x onerror=window.hit=2> \"'><a href=javascript:window.hit=3>go</a>"
    " {{ 7*7 }} [bold]b[/bold] \x1b]0;t\x07\x1b[31m\u202egnp\u2066 --> ]]>"
)


def card(text: str = "plain", kind_guide: str = "/guide/") -> Card:
    profile = load_profile("longterm-wiki")
    kinds = {**profile.page_types, "risk": profile.page_types["risk"].model_copy(update={"style_guide": kind_guide, "label": text[:500]})}
    record = Path(__file__).with_name("card.yaml").read_text(encoding="utf-8").replace("TEXT", json.dumps(text)[1:-1])
    insights = [Insight("x", Path("x"), 1, {"text": f"{n} {text}", "type": text, "surprising": n, "evidence": text}) for n in range(1, 5)]
    return status_card(
        yaml.safe_load(record),
        page("---\ntitle: T\nlastEdited: 2026-01-01\n---\n## Overview\n", "knowledge-base/risks/a.md"),
        profile.model_copy(update={"page_types": kinds}),
        NOW,
        insights=insights,
        backlinks=[{"id": text, "title": text, "type": text, "relationship": text}],
        states={text: {"state": text, "reasons": [text]}},
        entity=Entity(id=text, type=text, title=text, numeric_id=text),
        infobox=[Row(text, text)],
        links={text: text},
        part_of=text,
    )


class Outline(HTMLParser):
    """The tags and attributes of a document, and the text outside its style sheet."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._style = False
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.words.append(data)


def test_html_and_text_have_every_part_of_the_card() -> None:
    html = " ".join(" ".join(Outline(card_html(card("plain"))).words).split())
    for said in (
        *("North Light plain", "30 / 100", "structure says 60", "Useful · rank 3", "2 months ago", "Overdue by 40 days", "Score: 9/15"),
        "1.5k words 2 tables 1 diagram 1 internal link 0 external links 1 backlink 25% bullets",
        *("Summary plain", "Critical Insights 4", "1 more", "2 links could use <R> components", '41% similar to "plain"'),
        *("Rated 30 but structure suggests 60 (underrated by 30 points)", "Tables : partly 2 / 6", "Backlinks 1"),
    ):
        assert said in html
    lines = [line.strip() for line in card_text(card()).splitlines()]
    assert {"Critical Insights (4)", "Coverage 1 of 3", "~ tables        2 of 6", "Backlinks (1)"} <= set(lines)


def test_html_of_a_hostile_page_needs_nothing_from_outside_and_runs_nothing() -> None:
    document = card_html(card(HOSTILE))
    outline = Outline(document)
    tags = [tag for tag, _ in outline.tags]
    assert {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a"}.isdisjoint(tags)
    assert tags.count("style") == 1
    for tag, attributes in outline.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "srcset", "style")], tag
        assert all("window" not in (value or "") for value in attributes.values())
    assert not any(char in document for char in "\x1b\x07\u202e\u2066")
    assert "{{ 7*7 }}" in "".join(outline.words)


@pytest.mark.parametrize("guide", ["https://lights.example/guide", "/internal/guide/", "javascript:alert(1)", "//evil.example/", ""])
def test_only_a_web_address_of_the_profile_becomes_a_link(guide: str) -> None:
    links = [attributes.get("href") for tag, attributes in Outline(card_html(card(kind_guide=guide))).tags if tag == "a"]
    assert links == ([guide] if guide.startswith("https://") else [])


def test_text_is_plain_within_its_width() -> None:
    made = card_text(card(HOSTILE), width=80)
    assert not any(ord(char) < 32 and char != "\n" for char in made)
    assert "\u202e" not in made
    assert "[bold]b[/bold]" in made
    assert max(cell_len(line) for line in made.splitlines()) <= 80
    assert not any(line.endswith(" ") for line in made.splitlines())


def test_enrich_show_prints_or_writes_each_format(lighthouses: Path) -> None:
    wiki = DemoWiki.at(lighthouses)
    assert wiki.enrich("show", "north-light").out.startswith("North Light  Page Status\n")
    data = wiki.enrich("show", "towers/north-light.md", "--json").json
    assert (data["id"], data["quality"]["label"], data["record"]["id"]) == ("north-light", "Adequate", "north-light")
    chance = data["chance"]
    said = f"on this page, {chance['numbers']} of 20 wrong numbers and {chance['names']} of 16 wrong names would pass without a quote"
    assert said in " ".join(wiki.enrich("show", "north-light").out.split())
    assert {state["stage"] for state in data["states"]} == {"summary", "insights", "ratings"}
    assert wiki.enrich("show", "north-light", "--format", "html", "-o", "card.html").out == ""
    assert (lighthouses / "card.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert said in (lighthouses / "card.html").read_text(encoding="utf-8")
    several = wiki.enrich("show", "*")
    assert (several.exit, "names 3 pages" in several.err) == (2, True)


def test_text_on_a_terminal_has_colours_and_no_other_control_sequence() -> None:
    screen = io.StringIO()
    print_card(card(HOSTILE), Console(file=screen, width=80, force_terminal=True, color_system="standard", legacy_windows=False))
    assert "\x1b[" in screen.getvalue()
    assert "\x1b" not in re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_a_hostile_page_does_nothing_fits_a_phone_and_can_be_read(tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "card.html"
    file.write_text(card_html(card(HOSTILE)), encoding="utf-8")
    asked: list[str] = []
    with browser_page(360, scheme) as tab:
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("dialog", lambda dialog: asked.append(dialog.message))
        tab.goto(file.as_uri())
        assert asked == [file.as_uri()]
        assert tab.evaluate("window.hit") is None
        assert tab.evaluate("document.documentElement.scrollWidth") == 360
        assert tab.evaluate("document.querySelectorAll('script, a').length") == 0
        assert "<script>window.hit=1</script>" in tab.evaluate("document.body.innerText")
        dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 26)"
        assert dark == (scheme == "dark")
    file.write_text(card_html(card()), encoding="utf-8")
    with browser_page(1100, scheme) as tab:
        tab.goto(file.as_uri())
        assert tab.evaluate(CONTRAST) == []
