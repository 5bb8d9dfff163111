"""The repository's own wiki is whole: every page loads, every name resolves, and the trial that its files are stays one.

What its pages state is checked in `test_own_wiki_claims.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from enrich.config import FOUR_DIMENSIONS, load_config
from enrich.wiki.pages import Page, find_pages, read_page

ROOT = Path(__file__).resolve().parents[1]
STUB = "batch-windows"

# FIELDS.md section 15, with `insights` after `llmSummary` (DESIGN.md section 4.4).
KEY_ORDER = (
    "numericId",
    "title",
    "description",
    "sidebar",
    "entityType",
    "subcategory",
    "pageType",
    "contentFormat",
    "pageTemplate",
    "draft",
    "fullWidth",
    "quality",
    "maturity",
    "readerImportance",
    "researchImportance",
    "tacticalValue",
    "tractability",
    "neglectedness",
    "uncertainty",
    "causalLevel",
    "lastEdited",
    "lastUpdated",
    "createdAt",
    "update_frequency",
    "evergreen",
    "llmSummary",
    "insights",
    "ratings",
    "clusters",
    "roles",
    "todos",
    "balanceFlags",
    "seeAlso",
    "todo",
    "entityId",
    "template",
    "hero",
    "tableOfContents",
    "editUrl",
    "head",
    "prev",
    "next",
    "banner",
)
UNORDERED = "field-review"  # out of order on purpose

# FIELDS.md appendix B: the part of the closed lists that this wiki uses, and the subcategories usual for each type.
USUAL: dict[str, set[str]] = {
    "risk": {"accident", "epistemic", "structural", "misuse"},
    "approach": {"alignment-evaluation", "epistemic-approaches", "organizational-practices", "resilience"},
    "analysis": {"economic-models", "framework-models"},
    "table": set(),
    "overview": set(),
}

CONFIG = load_config(ROOT, env={})
FILES, WARNINGS = find_pages(CONFIG.content, CONFIG.wiki.roots)
PAGES: dict[str, Page] = {file.id: read_page(file) for file in FILES}
ARTICLES = [page for page in PAGES.values() if not page.file.is_index and page.id != STUB]
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))


def visible_words(page: Page) -> int:
    """Words a reader sees, without imports, code, diagrams, tags, addresses and bare punctuation."""
    text = re.sub(r"^```.*?^```", " ", page.body, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<Mermaid\b.*?`\} />", " ", text, flags=re.DOTALL)
    text = re.sub(r"^import .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"</?[A-Za-z][^<>]*>|\]\([^)\s]*\)|https?://\S+", " ", text)
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def data(name: str) -> Any:
    path = CONFIG.data / name
    return json.loads(path.read_text("utf-8")) if path.suffix == ".json" else yaml.safe_load(path.read_text("utf-8"))


ENTITIES: list[dict[str, Any]] = [
    entity for path in sorted((CONFIG.data / "entities").glob("*.yaml")) for entity in data(f"entities/{path.name}")
]
RESOURCES: dict[str, dict[str, Any]] = {resource["id"]: resource for resource in data("resources.json")}


def test_there_is_enough_to_show() -> None:
    assert not WARNINGS
    assert len(PAGES) >= 14
    assert {"risks", "responses", "models"} <= {page.file.path.split("/")[1] for page in PAGES.values()}
    assert sum(page.file.path.endswith(".md") for page in PAGES.values()) >= 2
    assert CONFIG.llm.backend == "offline"


@every_page
def test_page_loads_without_a_problem(page: Page) -> None:
    assert page.problem is None
    assert page.title and page.description


@every_page
def test_page_length(page: Page) -> None:
    words = visible_words(page)
    if page.id == STUB:
        assert words < CONFIG.wiki.min_words
    else:
        assert 300 <= words <= 1500, words


@every_page
def test_frontmatter_keys(page: Page) -> None:
    keys = list(page.frontmatter)
    assert set(keys) <= set(KEY_ORDER)
    in_order = keys == sorted(keys, key=KEY_ORDER.index)
    assert in_order is (page.id != UNORDERED)
    assert page.frontmatter["clusters"] == ["enrichment"]
    subcategory = page.frontmatter.get("subcategory")
    if "entityType" in page.frontmatter:
        usual = USUAL[page.frontmatter["entityType"]]
        assert subcategory in usual if usual else subcategory is None
    if page.frontmatter.get("contentFormat") == "table":
        assert page.frontmatter["update_frequency"] > 0
    for dimension, rating in page.frontmatter.get("ratings", {}).items():
        assert dimension in FOUR_DIMENSIONS
        assert 0 <= rating <= 10


def test_pages_of_a_kind_share_their_sections() -> None:
    """What the index of risks promises, and where a reader of one page looks on the next."""
    expected = {
        "risks": {"Overview", "Risk Assessment", "How It Works", "Responses", "Key Uncertainties"},
        "responses": {"Overview", "Quick Assessment", "How It Works", "Risks Addressed", "Limitations"},
    }
    for page in ARTICLES:
        sections = set(re.findall(r"^## (.+)$", page.body, flags=re.MULTILINE))
        assert expected.get(page.file.path.split("/")[1], {"Overview"}) <= sections, page.id


def test_some_pages_carry_values_and_most_carry_none() -> None:
    ours = ("llmSummary", "insights", "ratings", "quality")
    carrying = [page for page in PAGES.values() if any(key in page.frontmatter for key in ours)]
    assert 3 <= len(carrying) < len(PAGES) / 2
    assert any("insights" in page.frontmatter for page in carrying)
    assert any(0 < len(page.frontmatter.get("ratings", {})) < 4 for page in carrying), "one page is rated in part"


def test_styles_differ_on_purpose() -> None:
    """The tool has to cope with all of these; an editor or git that irons them out would take the trial away."""
    raw = {page.id: page.raw for page in PAGES.values()}
    assert [name for name, file in raw.items() if b"\r\n" in file] == ["paying-twice"]
    assert not re.search(rb"(?<!\r)\n", raw["paying-twice"])
    assert [name for name, file in raw.items() if file.startswith(b"\xef\xbb\xbf")] == ["golden-sets"]
    assert [name for name, file in raw.items() if not file.endswith(b"\n")] == ["score-drift"]
    heads = {page.id: page.text.split("\n---", 1)[0] for page in PAGES.values()}
    styles = {
        "folded": r"^description: >$",
        "folded, stripped": r"^description: >-$",
        "literal": r"^description: \|$",
        "single quotes": r"^title: '",
        "double quotes": r'^title: "',
        "plain": r"^title: [A-Z]",
        "flow mapping": r"^ratings: \{",
        "flow list": r"^clusters: \[",
        "block list, not indented": r"^clusters:\n- ",
        "blank lines between keys": r"^title: .*\n\n",
        "comment line": r"^# ",
        "comment after a value": r"^subcategory: \w+ +# ",
        "comment inside a value": r"^  # ",
        "doubled single quote": r"^description: '.*''",
    }
    missing = [name for name, pattern in styles.items() if not any(re.search(pattern, head, re.MULTILINE) for head in heads.values())]
    assert not missing


def test_forms_of_body_the_tool_must_cope_with() -> None:
    bodies = [page.body for page in PAGES.values()]
    for pattern in (
        r"^```mermaid$",
        r"^<Mermaid chart=\{`$",
        r"^\|---",
        r"\[\^1\]: ",
        r'<EntityLink id="E\d+">',
        r'<EntityLink id="[a-z-]+">',
        r'<R id="[0-9a-f]{16}">',
        r"^:::note$",
        r"^```yaml$",
        r"^import \{.*\} from '@components/wiki';$",
    ):
        assert any(re.search(pattern, body, re.MULTILINE) for body in bodies), pattern


@every_page
def test_everything_named_exists(page: Page) -> None:
    body = re.sub(r"^```.*?^```", " ", page.body, flags=re.MULTILINE | re.DOTALL)
    addresses = {other.file.url for other in PAGES.values()}
    links = re.findall(r"\]\((/[^)\s]*)\)", body)
    assert set(links) <= addresses
    entities = {entity["id"] for entity in ENTITIES} | {entity["numericId"] for entity in ENTITIES}
    assert set(re.findall(r'<EntityLink\b[^>]*\bid="([^"]*)"', body)) <= entities
    assert set(re.findall(r'<R\b[^>]*\bid="([^"]*)"', body)) <= set(RESOURCES)
    used, defined = re.findall(r"\[\^(\d+)\](?!:)", body), re.findall(r"^\[\^(\d+)\]: .*https?://", body, flags=re.MULTILINE)
    assert sorted(set(used)) == sorted(defined)
    imported = {name.strip() for names in re.findall(r"^import \{(.*?)\}", body, flags=re.MULTILINE) for name in names.split(",")}
    components = set(re.findall(r"<([A-Z]\w*)", body))
    assert components <= imported
    assert imported <= components, f"imported and not used: {sorted(imported - components)}"


@every_page
def test_a_resource_and_the_address_beside_it_agree(page: Page) -> None:
    for resource, address in re.findall(r'^\[\^\d+\]: .*<R id="([0-9a-f]{16})">.*?: (https?://\S+)$', page.body, flags=re.MULTILINE):
        assert RESOURCES[resource]["url"] == address


def test_entities() -> None:
    ids = [entity["id"] for entity in ENTITIES]
    numeric = [entity["numericId"] for entity in ENTITIES]
    assert len(set(ids)) == len(ids) and len(set(numeric)) == len(numeric)
    assert set(ids) == {page.id for page in PAGES.values() if not page.file.is_index}
    for entity in ENTITIES:
        assert re.fullmatch(r"E[1-9]\d*", entity["numericId"])
        assert entity["title"] == PAGES[entity["id"]].title
        assert entity["type"] == PAGES[entity["id"]].frontmatter.get("entityType", "analysis")
        for related in entity.get("relatedEntries", []):
            assert related["id"] in ids and related["type"] == next(e["type"] for e in ENTITIES if e["id"] == related["id"])


def test_resources() -> None:
    assert len(RESOURCES) == len(data("resources.json"))
    for key, resource in RESOURCES.items():
        assert re.fullmatch(r"[0-9a-f]{16}", key) and resource["url"].startswith("https://") and resource["title"]
    named = {key for page in PAGES.values() for key in re.findall(r'<R id="([0-9a-f]+)"', page.body)}
    assert named == set(RESOURCES), "each resource is cited somewhere"


@pytest.mark.parametrize("name", ["reader-importance-ranking.yaml", "research-ranking.yaml"])
def test_rankings_name_each_article_once(name: str) -> None:
    ranking = data(name)["ranking"]
    assert sorted(ranking) == sorted(page.id for page in ARTICLES)


def test_insight_records() -> None:
    ids = []
    for path in sorted((CONFIG.data / "insights").glob("*.yaml")):
        for record in data(f"insights/{path.name}")["insights"]:
            ids.append(record["id"])
            assert record["type"] == path.stem
            assert record["source"].rstrip("/") + "/" in {page.file.url for page in PAGES.values()}
            assert isinstance(record["tags"], list) and record["insight"]
            for score in ("surprising", "important", "actionable", "neglected", "compact"):
                assert 1 <= record[score] <= 5
    assert len(set(ids)) == len(ids) > 0


def test_a_fresh_checkout_keeps_the_bytes() -> None:
    """git is told not to touch the line ends of the files whose ends are part of the trial."""
    attributes = (ROOT / ".gitattributes").read_text()
    for page in ("paying-twice", "golden-sets", "score-drift"):
        assert f"content/docs/{PAGES[page].file.path} -text" in attributes
