"""Proposals word by word, as a pull-request comment, as JSON and as HTML: what they say, and that nothing in them can do anything."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from enrich.review.browser import review_html
from enrich.review.lines import code, markdown_comment, word_text
from enrich.review.proposals import ProposalStore

# Inner names: hostile proposals are written past everything that cleans answers, and limits are set that no command takes.
from enrich.review.views import DiffDocument, diff_document, page_views, schema_text
from enrich.wiki.wiki import Wiki
from tests.demo import DemoWiki
from tests.review.wikis import HOSTILE, hostile, make_wiki, many, page_text, views, with_old_values

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Wiki:
    return hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Wiki:
    return many(tmp_path_factory.mktemp("crowd"), 150)


# Word by word


def test_words_in_plain_text_are_marked_as_git_marks_them(tmp_path: Path) -> None:
    text = word_text([view for view in views(with_old_values(tmp_path)) if view.id == "fresh"], coloured=False)
    assert "The station has run since [-1983-]{+1984+}; it cost 40 million dollars." in text
    assert "ratings.novelty: 3 → 5.5 (+2.5)" in text
    assert "ratings.rigor: 6.5 → 6 (−0.5) ! over-human" in text
    assert "~ changed: claim → quantitative (S 3, I 3 → 4, A 2)" in text
    assert "» a third more than was planned (line 11, Costs)" in text
    assert "\x1b" not in text
    assert max(map(len, text.split("\n"))) <= 100


def test_words_on_a_terminal_are_coloured_and_nothing_else_is(spoiled: Wiki) -> None:
    text = word_text(views(spoiled), coloured=True, width=80)
    assert "\x1b[4;32m" in text
    rest = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert all(char.isprintable() or char == "\n" for char in rest)


# Markdown


def tokens_of(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        yield token
        yield from token.children or ()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, len(attrs)))


def assert_harmless(text: str) -> None:
    """Outside of code there is no markup but ours, no link and none of the hostile strings' words."""
    for token in tokens_of(text):
        assert token.type not in ("link_open", "image"), token
        if token.type in ("html_block", "html_inline"):
            found = Tags()
            found.feed(token.content)
            assert {tag for tag, _ in found.tags} <= {"details", "summary", "code", "br"}, token.content
            assert not any(attributes for _, attributes in found.tags)
            # Mentions and numbers within `<code>` are left alone by forges; nothing of a page stands outside of it.
            outside = re.sub(r"<code>.*?</code>", "", token.content, flags=re.DOTALL)
            assert not re.search(r"[@#]|octocat|evil|owned|GH-", outside), token.content
        elif token.type == "text":
            assert not re.search(r"[@#<]|octocat|evil|owned|GH-|8f3a9c1d", token.content), token.content


def test_a_comment_holds_a_table_first_and_folded_details(tmp_path: Path) -> None:
    text = markdown_comment(views(with_old_values(tmp_path)))
    assert text.index("| page | fields | ratings | findings |") < text.index("<details>")
    assert "`novelty` 3 → 5.5 (+2.5)<br>`rigor` 6.5 → 6 (−0.5)" in text
    assert "`insights` (2 new, 1 changed, 1 gone)" in text
    assert "- The station has run since 1983; it cost 40 million dollars.\n+ The station has run since 1984;" in text
    assert "**over-human** ×4" in text
    assert_harmless(text)


def test_hostile_words_stay_in_code(spoiled: Wiki) -> None:
    text = markdown_comment(views(spoiled), limit=400_000)
    assert text.count("<details>") == len(HOSTILE)
    assert "Cut to fit" not in text
    assert_harmless(text)
    kinds = [token.type for token in tokens_of(text)]
    assert kinds.count("table_open") == 1
    assert kinds.count("tr_open") == len(HOSTILE) + 1


@pytest.mark.parametrize("limit", [2_000, 9_000, 60_000])
def test_a_comment_always_fits_and_says_what_was_cut(crowd: Wiki, limit: int) -> None:
    every = views(crowd)
    text = markdown_comment(every, limit=limit)
    assert len(text.encode("utf-16-le")) // 2 < limit
    rows, details = text.count("\n| `bay-"), text.count("<details>")
    assert details == text.count("</details>") < rows <= 150
    assert f"the details of {150 - details} of 150 pages are left out" in text
    assert (f"{150 - rows} of 150 pages are not in the table" in text) == (rows < 150)
    assert_harmless(text)


@pytest.mark.parametrize("text", [*HOSTILE, "`", "``", "a`", "\\", "\\`", "|", "a\\|b"])
def test_a_code_span_is_one_code_span_in_a_table_too(text: str) -> None:
    found = [token for token in tokens_of(f"| a |\n|---|\n| {code(text)} |\n") if token.type in ("code_inline", "text")]
    assert [token.type for token in found if token.content.strip()] == ["text", "code_inline"]


# JSON


def undocumented(data: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "") -> list[str]:
    """The keys of `data` that the schema does not name."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    found: list[str] = []
    if isinstance(data, dict) and "properties" in schema:
        found += [f"{where}.{key}" for key in data if key not in schema["properties"]]
        for key, value in data.items():
            found += undocumented(value, schema["properties"].get(key, {}), root, f"{where}.{key}")
    elif isinstance(data, list) and "items" in schema:
        for item in data:
            found += undocumented(item, schema["items"], root, where)
    return found


@pytest.mark.parametrize("make", [with_old_values, hostile, lambda root: many(root, 9)])
def test_real_documents_fit_the_schema_and_hold_no_key_it_does_not_name(make: Any, tmp_path: Path) -> None:
    workspace = make(tmp_path)
    data = json.loads(json.dumps(diff_document(page_views(workspace, workspace.shared(ProposalStore).all()))))
    DiffDocument.model_validate(data, strict=True)
    schema = json.loads(schema_text())
    # `span`, `quantity` and `candidates` belong to the kinds of findings.
    named = [key for key in undocumented(data, schema, schema) if ".findings." not in key]
    assert named == []
    assert data["schema"] == 1


def test_the_schema_in_the_docs_is_the_models() -> None:
    assert (ROOT / "docs/diff.schema.json").read_text(encoding="utf-8") == schema_text()


# HTML


def test_nothing_can_leave_the_data_block(spoiled: Wiki) -> None:
    text = review_html(views(spoiled), wiki="</script><b>", generated="2026-03-01T10:00:00Z")
    data = text.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    assert not re.search("[<>&\u2028\u2029]", data)
    titles = [page["title"] for page in json.loads(data)["pages"]]
    assert any("<script>window.owned=1</script>" in title for title in titles)
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert text.count("<style") == text.count("</style>") == 1
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "\\u202e" in text


def test_the_page_is_one_file_that_asks_for_nothing(crowd: Wiki) -> None:
    text = review_html(views(crowd), wiki="w", generated="2026-03-01T10:00:00Z")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!#)|@import|url\(""", text.split("<script")[0])
    policy = html.unescape(text.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


# The command


def test_every_format_comes_from_the_command_and_into_a_file(tmp_path: Path) -> None:
    with_old_values(tmp_path / "wiki")
    wiki = DemoWiki(tmp_path / "other", 0)
    wiki.root = tmp_path / "wiki"
    starts = {"text": "fresh", "word": "fresh", "markdown": "### Proposed", "json": '{\n "schema": 1', "html": "<!doctype html>"}
    for form, start in starts.items():
        printed = wiki.enrich("diff", "--format", form)
        assert printed.exit == 0
        assert printed.out.lstrip().startswith(start)
        assert wiki.enrich("diff", "--format", form, "-o", str(tmp_path / "out")).out == ""
        assert (tmp_path / "out").read_text(encoding="utf-8").lstrip().startswith(start)
    wrong = wiki.enrich("diff", "--format", "pdf")
    assert wrong.exit == 2
    assert "markdown" in wrong.err


def test_nothing_proposed_is_said_in_every_format(tmp_path: Path) -> None:
    make_wiki(tmp_path / "w", {"a": page_text("A")})
    wiki = DemoWiki(tmp_path / "other", 0)
    wiki.root = tmp_path / "w"
    assert "Nothing is proposed." in wiki.enrich("diff", "--format", "markdown").out
    assert json.loads(wiki.enrich("diff", "--json").out) == {"schema": 1, "pages": []}
    assert '"pages":[]' in wiki.enrich("diff", "--format", "html").out
    assert "no changes are proposed" in wiki.enrich("diff", "--format", "word").err
