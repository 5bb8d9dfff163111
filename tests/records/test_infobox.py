"""Entities and their infobox rows, external links, and what is wrong with their files (FIELDS.md sections 16 and 17)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from enrich import load_config
from enrich.records.database import Database, build
from enrich.records.infobox import infobox_rows, shown_links
from enrich.wiki.entities import Entity
from enrich.wiki.profile import load_profile

# The rows of an entity of any type; through a wiki each would need a build.
from enrich.wiki.wiki import Wiki
from tests.demo import DemoWiki

NOW = datetime(2026, 3, 13, 20, 14, tzinfo=UTC)
REFERENCE = load_profile("longterm-wiki")
RECORD: dict[str, Any] = {"contentFormat": "article", "path": "/a/", "readerImportance": None}
OTHERS = {
    "b": Entity(id="b", type="lab", title="The B", parent_org="whole"),
    "c": Entity(id="c", type="organization", parent_org="whole"),
    "d": Entity(id="d", type="person", title="D", parent_org="whole"),
}


@pytest.mark.parametrize("case", yaml.safe_load(Path(__file__).with_name("infobox.yaml").read_text(encoding="utf-8")))
def test_rows_of_each_type(case: dict[str, Any]) -> None:
    rows = infobox_rows(Entity.read(case["entity"]), RECORD, OTHERS, REFERENCE)
    assert rows is not None
    assert [[row.label, row.value] for row in rows] == case["rows"]


def test_which_pages_have_one() -> None:
    entity = Entity(id="a", type="risk")
    for change, first in (
        ({"readerImportance": 82.5}, "82"),
        ({"readerImportance": 0.5}, "Accident Risk"),
        ({"contentFormat": "table"}, None),
        ({"path": "/internal/a/"}, None),
    ):
        rows = infobox_rows(entity, RECORD | change, {}, REFERENCE)
        assert (rows and rows[0].value) == first
    assert infobox_rows(None, RECORD, {}, REFERENCE) is None
    assert infobox_rows(entity, RECORD | {"contentFormat": "table"}, {}, load_profile()) == []


ENTITIES = """\
- id: light
  type: tower
  title: The Light
  height: 31.0
  beam: {colour: white, ranges: [20, 12.5]}
  keepers: [ada, 7]
  lit: true
  website: https://light.example/x
  customFields:
    - {label: Lens, value: Fresnel, link: https://lens.example/}
    - label: Bad
      value: [1]
    - {label: Oil, value: 2, link: "javascript:alert(1)"}
  sources: [{title: Log, url: https://log.example, page: 3}]
  likelihood: [high]
- id: 7
  tags: {a: b}
"""
LINKS = """\
- pageId: light
  links: {other: https://old.example/}
- pageId: light
  links:
    zeta: https://zeta.example/
    wiki: http://wiki.example/a_(b)
    empty: ""
    bad: ftp://x.example
    odd: https://x.example/"
- links: {wiki: https://x.example}
- pageId: gone
  links: {wiki: https://gone.example}
"""
PROFILE = """\
infobox:
  except_paths: [/drafts/]
  rows:
    - {label: Height in metres, key: height, types: [tower]}
    - {label: Beam, key: beam, parts: [colour], show: capitalized}
    - {label: Kept by, key: keepers}
    - {label: Lit, key: lit}
    - {label: Lens type, fields: [Lens]}
  link_labels: {wiki: The Wiki}
"""


def wiki_of(root: Path, profile: str) -> Path:
    for name, text in {
        "enrich.toml": f'[wiki]\nprofile = "{profile}"\n',
        "own.yaml": PROFILE,
        "content/docs/light.md": "---\ntitle: Light\n---\nIt shines.\n",
        "content/docs/plain.md": "---\ntitle: Plain\n---\nNothing.\n",
        "content/data/entities/a.yaml": ENTITIES,
        "content/data/external-links.yaml": LINKS,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def built(root: Path) -> Database:
    return build(Wiki.open(load_config(root, env={})), now=NOW)


def test_the_neutral_profile_shows_an_entitys_own_fields_and_a_wikis_profile_its_keys(tmp_path: Path) -> None:
    document = json.loads(built(wiki_of(tmp_path, "neutral")).text())
    assert document["infobox"] == {"light": [["Website", "light.example"], ["Lens", "Fresnel"], ["Oil", "2"]], "plain": None}
    light = document["entities"]["light"]
    assert (light["beam"], light["height"], light["sources"][0]["page"]) == ({"colour": "white", "ranges": [20, 12.5]}, 31, 3)
    assert list(light)[:4] == ["id", "type", "title", "height"]
    (tmp_path / "enrich.toml").write_text('[wiki]\nprofile = "own.yaml"\n')
    rows = [["Height in metres", "31"], ["Beam", "White"], ["Kept by", "ada, 7"], ["Lit", "Yes"], ["Lens type", "Fresnel"], ["Oil", "2"]]
    assert json.loads(built(tmp_path).text())["infobox"]["light"] == rows


def test_what_is_wrong_with_entities_and_links_is_named_with_file_and_line(tmp_path: Path) -> None:
    said = [str(notice) for notice in built(wiki_of(tmp_path, "neutral")).notices if "data/" in notice.file]
    assert said == [
        "content/data/entities/a.yaml:11: customFields.1 of the entity 'light' must be a text or a number; left out",
        "content/data/entities/a.yaml:15: likelihood of the entity 'light' must be a text or a number; left out",
        "content/data/entities/a.yaml:17: tags of the entity '7' must be a text or a number; left out",
        "content/data/external-links.yaml:8: bad of 'light': the address must begin with http:// or https://",
        "content/data/external-links.yaml:9: odd of 'light': the address has a character that must be percent-encoded",
        "content/data/external-links.yaml:10: an item needs `pageId` and `links`, a mapping of platforms to addresses; left out",
    ]


def test_links_are_in_the_files_order_and_only_web_addresses_are_links(tmp_path: Path) -> None:
    found = built(wiki_of(tmp_path, "own.yaml")).links
    assert list(found) == ["light"]  # `gone` is no page
    assert list(found["light"]) == ["zeta", "wiki", "bad", "odd"]
    shown = shown_links(found["light"], load_profile("own.yaml", tmp_path))
    assert [(row.label, bool(row.link)) for row in shown] == [("zeta", True), ("The Wiki", True), ("bad", False), ("odd", False)]
    assert shown_links(found["light"], REFERENCE) == []  # it shows the platforms it knows


def test_show_has_infobox_and_links_in_each_format(tmp_path: Path) -> None:
    wiki = DemoWiki.at(wiki_of(tmp_path, "own.yaml"), "content/docs")
    card = wiki.enrich("show", "light", "--json").json
    assert (card["infobox"]["label"], card["infobox"]["title"]) == ("Tower", "The Light")
    assert {"label": "Lens type", "value": "Fresnel", "link": ""} in card["infobox"]["rows"]
    assert {"label": "Oil", "value": "2", "link": ""} in card["infobox"]["rows"]
    text, html = wiki.enrich("show", "light").out, wiki.enrich("show", "light", "--format", "html").out
    for said in ("Tower: The Light", "Height in metres:  31", "External Links", "The Wiki:  http://wiki.example/a_(b)"):
        assert said in text
    for said in ("<dt><bdi>Height in metres</bdi></dt>", '<a href="https://zeta.example/" rel="noreferrer"', "The Wiki"):
        assert said in html
    assert 'href="ftp' not in html
    assert wiki.enrich("show", "plain", "--json").json["infobox"] is None


OF_PATHS = """\
- {id: ada, numericId: E2, type: person, title: Ada Finch, orgType: x, relatedEntries: [{id: north, type: risk, relationship: keeper of}]}
- {id: north, numericId: E1, type: risk, title: North Light, severity: high}
- {id: twin, numericId: E3, type: risk, title: Twin, severity: low}
"""


def test_an_entity_belongs_to_the_only_page_with_its_name(tmp_path: Path) -> None:
    """With ids by path: infobox, number, backlinks and external links of `ada` are those of `people/ada`."""
    pages = {
        "people/ada": 'entityType: person\n---\nShe kept <EntityLink id="E1">it</EntityLink>.',
        "towers/north": 'entityType: risk\n---\nSee <EntityLink id="ada">Ada</EntityLink>.',
        "people/twin": "---\nOne of two.",
        "towers/twin": "---\nOne of two.",
    }
    for page, text in pages.items():
        file = tmp_path / "content" / f"{page}.mdx"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"---\ntitle: {page}\n{text}\n")
    (tmp_path / "data" / "entities").mkdir(parents=True)
    (tmp_path / "data" / "entities" / "all.yaml").write_text(OF_PATHS)
    (tmp_path / "data" / "external-links.yaml").write_text("- {pageId: ada, links: {wikipedia: 'https://en.wikipedia.org/wiki/Ada'}}\n")
    (tmp_path / "enrich.toml").write_text('[wiki]\ncontent = "content"\ndata = "data"\nids = "path"\nprofile = "longterm-wiki"\n')
    wiki = DemoWiki.at(tmp_path)
    assert wiki.enrich("build", "--now", "2026-03-13T20:14:00Z").exit == 0
    document = json.loads((tmp_path / "database.json").read_text(encoding="utf-8"))
    assert ["Severity", "High"] in document["infobox"]["towers/north"]
    assert document["infobox"]["towers/twin"] is None
    assert list(document["entities"]) == ["ada", "north", "twin"]
    assert {page: [link["id"] for link in links] for page, links in document["backlinks"].items()} == {
        "towers/north": ["people/ada"],
        "people/ada": ["towers/north"],
    }
    assert list(document["externalLinks"]) == ["people/ada"]
    card = wiki.enrich("show", "E2", "--json").json
    assert (card["id"], card["infobox"]["title"], card["entity_number"]) == ("people/ada", "Ada Finch", "E2")
    assert wiki.enrich("show", "E3").exit == 1


@pytest.mark.sample
def test_all_infoboxes_and_links_of_the_sample_equal_the_reference(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "enrich.toml").write_text(
        '[wiki]\nroots = ["knowledge-base", "insight-hunting", "project", "tools"]\nprofile = "longterm-wiki"\n'
    )
    config = load_config(tmp_path, {"wiki.content": f"{sample}/content/docs", "wiki.data": f"{sample}/data"}, env={})
    document = json.loads(build(Wiki.open(config), now=NOW).text())
    expected = json.loads((sample / "expected/infobox.json").read_text(encoding="utf-8"))
    assert len(expected) == 184
    assert {page: rows for page, rows in document["infobox"].items() if rows != expected[page]} == {}
    assert set(document["infobox"]) == set(expected)
    listed = yaml.safe_load((sample / "data/external-links.yaml").read_text(encoding="utf-8"))
    links = {item["pageId"]: list(item["links"].items()) for item in listed}
    assert {page: list(urls.items()) for page, urls in document["externalLinks"].items()} == links
    # The figures of FIELDS.md section 17: 71 items of the sample, and links by platform.
    platforms = [row.label for urls in document["externalLinks"].values() for row in shown_links(urls, REFERENCE)]
    assert len(links) == 71
    wanted = {"Wikipedia": 16, "Wikidata": 12, "LessWrong": 45, "Alignment Forum": 4, "EA Forum": 22, "AI Safety Info": 10}
    wanted |= {"Arbital": 1, "80,000 Hours": 13, "Grokipedia": 14}
    assert {platform: platforms.count(platform) for platform in platforms} == wanted
