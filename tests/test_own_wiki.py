"""The repository's own wiki: every name on its pages resolves, its files keep their odd styles, and its examples are correct.

The pages are read as they are in git's index, so that values which `enrich apply` wrote into the checkout do not matter.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

# Not public: the test reads pages as the product does.
from enrich.config import FOUR_DIMENSIONS, load_config
from enrich.wiki.page_files import find_pages
from enrich.wiki.pages import Page, read_page
from tests.demo import own_wiki

CONFIG = load_config(own_wiki(), env={})
FILES, WARNINGS = find_pages(CONFIG.content, CONFIG.wiki.roots, ids="stem")
PAGES: dict[str, Page] = {file.id: read_page(file) for file in FILES}
STUB = "batch-windows"  # shorter than `min_words` on purpose
ARTICLES = [page for page in PAGES.values() if not page.file.is_index and page.id != STUB]
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
every_article = pytest.mark.parametrize("page", ARTICLES, ids=[page.id for page in ARTICLES])


def data(name: str) -> Any:
    text = (CONFIG.data / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


ENTITIES: list[dict[str, Any]] = [
    entity for path in sorted((CONFIG.data / "entities").glob("*.yaml")) for entity in data(f"entities/{path.name}")
]
RESOURCES: dict[str, dict[str, Any]] = {resource["id"]: resource for resource in data("resources.json")}


def prose(page: Page) -> str:
    """What a reader sees: no code blocks, diagrams, imports, tags, addresses and list numbers."""
    text = re.sub(r"^```.*?^```|^import .*?$|<Mermaid\b.*?`\} />", " ", page.body, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"</?[A-Za-z][^<>]*>|\[\^\d+\]:?|\]\([^)\s]*\)|https?://\S+|^\d+\. ", " ", text, flags=re.MULTILINE)
    return text.replace("\\$", "")


def fences(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page].body, flags=re.MULTILINE | re.DOTALL)


def test_there_is_enough_to_show() -> None:
    assert not WARNINGS
    assert len(PAGES) >= 14
    assert {"risks", "responses", "models"} <= {page.file.path.split("/")[1] for page in PAGES.values()}
    assert CONFIG.llm.backend == "offline"
    carrying = [page for page in PAGES.values() if {"llmSummary", "insights", "ratings", "quality"} & set(page.frontmatter)]
    assert 3 <= len(carrying) < len(PAGES) / 2, "some pages have values, most have none"
    assert any(0 < len(page.frontmatter.get("ratings", {})) < 4 for page in carrying), "one page is rated in part"


@every_page
def test_a_page_is_read_without_a_problem(page: Page) -> None:
    assert page.problem is None
    assert page.title and page.description
    words = sum(bool(re.search(r"\w", word)) for word in prose(page).split())
    assert words < CONFIG.wiki.min_words if page.id == STUB else 300 <= words <= 1500
    for dimension, rating in page.frontmatter.get("ratings", {}).items():
        assert dimension in FOUR_DIMENSIONS and 0 <= rating <= 10


def test_styles_differ_on_purpose() -> None:
    """The tool must keep all of these; an editor or git that makes them equal would make the wiki a weaker test."""
    raw = {page.id: page.raw for page in PAGES.values()}
    assert [name for name, file in raw.items() if b"\r\n" in file] == ["paying-twice"]
    assert not re.search(rb"(?<!\r)\n", raw["paying-twice"])
    assert [name for name, file in raw.items() if file.startswith(b"\xef\xbb\xbf")] == ["golden-sets"]
    assert [name for name, file in raw.items() if not file.endswith(b"\n")] == ["score-drift"]
    heads = "\n".join(page.text.split("\n---", 1)[0] for page in PAGES.values())
    bodies = "\n".join(page.body for page in PAGES.values())
    frontmatter_styles = (
        r"^description: >$", r"^description: >-$", r"^description: \|$", r"^title: '", r'^title: "', r"^title: [A-Z]", r"^ratings: \{",
        r"^clusters: \[", r"^clusters:\n- ", r"^title: .*\n\n", r"^# ", r"^subcategory: \w+ +# ", r"^  # ", r"^description: '.*''",
    )  # fmt: skip
    body_forms = (
        r"^```mermaid$", r"^<Mermaid chart=\{`$", r"^\|---", r"\[\^1\]: ", r'<EntityLink id="E\d+">', r'<EntityLink id="[a-z-]+">',
        r'<R id="[0-9a-f]{16}">', r"^:::note$", r"^```yaml$", r"^import \{.*\} from '@components/wiki';$",
    )  # fmt: skip
    assert [pattern for pattern in frontmatter_styles if not re.search(pattern, heads, re.MULTILINE)] == []
    assert [pattern for pattern in body_forms if not re.search(pattern, bodies, re.MULTILINE)] == []


@every_page
def test_everything_named_exists(page: Page) -> None:
    body = re.sub(r"^```.*?^```", " ", page.body, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\]\((/[^)\s]*)\)", body)) <= {other.file.url for other in PAGES.values()}
    assert set(re.findall(r'<EntityLink\b[^>]*\bid="([^"]*)"', body)) <= {one[key] for one in ENTITIES for key in ("id", "numericId")}
    assert set(re.findall(r'<R\b[^>]*\bid="([^"]*)"', body)) <= set(RESOURCES)
    used, defined = re.findall(r"\[\^(\d+)\](?!:)", body), re.findall(r"^\[\^(\d+)\]: .*https?://", body, flags=re.MULTILINE)
    assert sorted(set(used)) == sorted(defined)
    imported = {name.strip() for names in re.findall(r"^import \{(.*?)\}", body, flags=re.MULTILINE) for name in names.split(",")}
    assert set(re.findall(r"<([A-Z]\w*)", body)) == imported
    for resource, address in re.findall(r'^\[\^\d+\]: .*<R id="([0-9a-f]{16})">.*?: (https?://\S+)$', body, flags=re.MULTILINE):
        assert RESOURCES[resource]["url"] == address


def test_data_files_and_pages_agree() -> None:
    ids = [entity["id"] for entity in ENTITIES]
    assert len(set(ids)) == len(ids) == len({entity["numericId"] for entity in ENTITIES})
    assert set(ids) == {page.id for page in PAGES.values() if not page.file.is_index}
    kinds: dict[str, str] = {entity["id"]: entity["type"] for entity in ENTITIES}
    for entity in ENTITIES:
        assert entity["title"] == PAGES[entity["id"]].title
        assert entity["type"] == PAGES[entity["id"]].frontmatter.get("entityType", "analysis")
        assert all(kinds[related["id"]] == related["type"] for related in entity.get("relatedEntries", []))
    named = {key for page in PAGES.values() for key in re.findall(r'<R id="([0-9a-f]+)"', page.body)}
    assert named == set(RESOURCES), "each resource is cited"
    for ranking in ("reader-importance-ranking.yaml", "research-ranking.yaml"):
        assert sorted(data(ranking)["ranking"]) == sorted(page.id for page in ARTICLES)
    insights = [record for path in (CONFIG.data / "insights").glob("*.yaml") for record in data(f"insights/{path.name}")["insights"]]
    assert len({record["id"] for record in insights}) == len(insights) > 0
    assert {record["source"].rstrip("/") + "/" for record in insights} <= {page.file.url for page in PAGES.values()}


TRAPS = [
    (heading, [cell.strip("`") for cell in re.findall(r"`[^`]+`", line)])
    for heading, section in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGES["yaml-traps"].body, flags=re.MULTILINE | re.DOTALL)
    for line in section.splitlines()
    if line.startswith("| `")
]


def outcome(reader: Callable[[str], Any], text: str, whole: bool) -> str:
    """A parsed value in the spelling of the table: JSON, with dates as `date(…)` and keys as they are."""
    try:
        loaded = reader(text)
    except (yaml.YAMLError, YAMLError):
        return "error"

    def shown(result: Any) -> str:
        if hasattr(result, "year"):
            return f"date({result.year}, {result.month}, {result.day})"
        if isinstance(result, dict):
            return "{" + ", ".join(f"{shown(key)}: {shown(inner)}" for key, inner in result.items()) + "}"
        return json.dumps(result, ensure_ascii=False)

    return shown(loaded if whole else loaded["v"])


def read_1_2(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize(("heading", "cells"), TRAPS, ids=[cells[0] for _, cells in TRAPS])
def test_a_yaml_trap_is_true(heading: str, cells: list[str]) -> None:
    written, one, two, *instead = cells
    whole = heading == "Keys"
    text = written if whole else f"v: {written}"
    assert (outcome(yaml.safe_load, text, whole), outcome(read_1_2, text, whole)) == (one, two)
    for literal in instead:
        assert yaml.safe_load(f"v: {literal}") == read_1_2(f"v: {literal}") == {"v": written}


def test_the_rewrite_example_is_what_pyyaml_gives() -> None:
    before, after = fences("frontmatter-rewrites", "yaml")
    assert yaml.safe_dump({**yaml.safe_load(before), "quality": 61}) == after
    assert yaml.safe_dump(yaml.safe_load(after)) == after, "the second rewrite finds its own style"
    diff = [line[0] for line in difflib.ndiff(before.splitlines(), after.splitlines())]
    assert (diff.count("-"), diff.count("+"), diff.count(" ")) == (7, 7, 0)
    lossless_before, lossless_after = fences("lossless-edits", "yaml")
    assert lossless_before == before
    diff = [line for line in difflib.ndiff(before.splitlines(), lossless_after.splitlines()) if line[0] in "-+"]
    assert diff == ["+ quality: 61"]


def test_the_cache_key_example_is_true() -> None:
    (line,) = (text.strip() for text in fences("answer-cache", "json"))
    question = json.loads(line)

    def key(**changes: Any) -> str:
        text = json.dumps({**question, **changes}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    assert json.dumps(question, sort_keys=True, separators=(",", ":")) == line
    assert re.findall(r"begins with `([0-9a-f]{16})`", PAGES["answer-cache"].body) == [key(), key(sample=1)]
