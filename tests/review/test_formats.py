"""Proposals in every form, and the view model below them: what they say, and that nothing in them can do anything."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from enrich.review.browser import page_data, review_html
from enrich.review.lines import code, markdown_comment, word_texts
from enrich.review.proposals import ProposalStore

# Inner names: hostile proposals are written past everything that cleans answers, and limits are set that no command takes.
from enrich.review.views import PageView, diff_texts, page_views, word_diff
from enrich.text import age
from enrich.wiki.wiki import Wiki
from tests.demo import DemoWiki, script
from tests.review.wikis import HOSTILE, answer, hostile, make_wiki, many, page_text, ratings_answer, summary_answer, views, with_old_values

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = script(ROOT / "docs/make_schema.py")


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Wiki:
    return hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Wiki:
    return many(tmp_path_factory.mktemp("crowd"), 150)


# Word by word


def test_words_in_plain_text_are_marked_as_git_marks_them(tmp_path: Path) -> None:
    text = "".join(word_texts([view for view in views(with_old_values(tmp_path)) if view.id == "fresh"], coloured=False))
    assert "The station has run since [-1983-]{+1984+}; it cost 40 million dollars." in text
    assert "ratings.novelty: 3 → 5.5 (+2.5)" in text
    assert "ratings.rigor: 6.5 → 6 (−0.5) ! over-human" in text
    assert "~ changed: claim → quantitative (S 3, I 3 → 4, A 2)" in text
    assert "» a third more than was planned (line 11, Costs)" in text
    assert "\x1b" not in text
    assert max(map(len, text.split("\n"))) <= 100


def test_words_on_a_terminal_are_coloured_and_nothing_else_is(spoiled: Wiki) -> None:
    text = "".join(word_texts(views(spoiled), coloured=True, width=80))
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
    data = json.loads("".join(diff_texts(page_views(workspace, workspace.shared(ProposalStore).all()))))
    SCHEMA.DiffDocument.model_validate(data, strict=True)
    schema = json.loads(SCHEMA.schema_text())
    # `span`, `quantity` and `candidates` belong to the kinds of findings.
    named = [key for key in undocumented(data, schema, schema) if ".findings." not in key]
    assert named == []
    assert data["schema"] == 1
    seen = [(field["field"], field["provenance"]["chance"]) for page in data["pages"] for field in page["fields"]]
    assert all(chance is None for name, chance in seen if name.startswith(("ratings", "quality")))
    shown = [chance for _, chance in seen if chance is not None]
    assert shown or make is hostile, "the pages are gone there"
    assert all(0 <= chance["numbers"] <= chance["of_numbers"] == 20 for chance in shown)


def test_the_schema_in_the_docs_is_the_models() -> None:
    assert (ROOT / "docs/diff.schema.json").read_text(encoding="utf-8") == SCHEMA.schema_text()


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


def test_a_page_id_that_reverses_text_is_escaped_in_every_format(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 0)
    (wiki.docs / "a\u202eb\u009bc\u200e.md").write_text(page_text("Kyle"), encoding="utf-8")
    assert wiki.enrich("run").exit == 0
    for form in ("html", "text", "word", "markdown"):
        out = wiki.enrich("diff", "--format", form).out
        assert "b" in out and not re.search("[\u202e\u009b\u200e]", out), form


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


def field(view: PageView, name: str):  # type: ignore[no-untyped-def]
    return next(item for item in view.fields if item.name == name)


def test_insights_find_their_former_selves(tmp_path: Path) -> None:
    view = next(view for view in views(with_old_values(tmp_path)) if view.id == "fresh")
    shown = [
        (item.status, item.index, "".join(text for mark, text in item.pieces if mark != "-")) for item in field(view, "insights").insights
    ]
    assert shown == [
        ("changed", 0, "Building it cost a third more than planned."),
        ("new", 1, "Nobody counts the seals."),
        ("new", 2, "Fishers and operator disagree on herring."),
        ("gone", -1, ""),
    ]
    changed = field(view, "insights").insights[0]
    assert (changed.old_kind, changed.kind) == ("claim", "quantitative")
    assert [(score.name, score.old, score.new) for score in changed.scores] == [
        ("surprising", 3, 3),
        ("important", 3, 4),
        ("actionable", 2, 2),
    ]


def test_a_quote_stands_between_what_surrounds_it_on_the_page(tmp_path: Path) -> None:
    view = next(view for view in views(with_old_values(tmp_path)) if view.id == "fresh")
    quote = field(view, "insights").insights[0].quotes[0]
    assert quote.quote == "a third more than was planned"
    assert quote.before.endswith("Building it cost 40 million dollars, ")
    assert quote.after.startswith(". Each kilowatt hour costs 9 cents today,")
    assert quote.section == "Costs"
    lines = (tmp_path / "pages/kb/fresh.md").read_text(encoding="utf-8").split("\n")
    assert "a third more than was planned" in lines[quote.lines[0] - 1]


def test_a_quote_that_left_the_page_is_told_apart(tmp_path: Path) -> None:
    workspace = with_old_values(tmp_path)
    view = next(view for view in views(workspace) if view.id == "stale")
    assert "stale" in field(view, "insights").flags
    quotes = [quote for item in field(view, "insights").insights for quote in item.quotes]
    assert {quote.quote: quote.found for quote in quotes}["herring avoid the turbines"] is False
    assert {quote.quote: quote.found for quote in quotes}["a third more than was planned"] is True


def test_quotes_over_several_lines_and_markup_are_found(tmp_path: Path) -> None:
    body = "Intro words stand here.\n\nThe **dam** makes\n[nine](x.md) units a day. Later text follows, {name} {power}.\n"
    workspace = make_wiki(tmp_path, {"dam": page_text("Dam", body=body)})
    answer(workspace, "dam", {"summary": summary_answer("The dam makes nine units a day.", "The dam makes nine units a day.")})
    quote = field(views(workspace)[0], "llmSummary").quotes[0]
    assert (quote.quote, quote.before) == ("The dam makes nine units a day.", "Intro words stand here. ¶ ")
    assert quote.lines[1] == quote.lines[0] + 1


@pytest.mark.parametrize("quoted", [True, False])
def test_the_review_page_asks_what_a_text_without_quotes_is_worth(tmp_path: Path, quoted: bool) -> None:
    wiki = make_wiki(tmp_path, {"sea/bay": page_text("Bay", {})})
    summary = summary_answer("The station has run since 1984.", "has worked since 1984")
    answer(wiki, "bay", {"summary": summary if quoted else {**summary, "evidence": []}})
    (field,) = page_data(views(wiki)[0])["fields"]
    assert field["chance"] is not quoted


def test_the_review_page_has_sections_and_totals(tmp_path: Path) -> None:
    crowd = review_html(views(many(tmp_path / "many", 6)), wiki="w", generated="2026-03-01T10:00:00Z")
    assert {name for name in ("risks", "models", "responses") if f'"section":"{name}"' in crowd} == {"risks", "models", "responses"}
    text = " ".join(review_html(views(with_old_values(tmp_path / "old")), wiki="w", generated="2026-03-01T10:00:00Z").split())
    moves = "How ratings move: 0 −2 or more, 0 −2 to −1, 2 −1 to −0.5, 0 down to −0.5, 0 0, 0 up to +0.5, 0 +0.5 to +1, 0 +1 to +2, 2 +2 or more"
    assert f'aria-label="{moves}"' in text
    assert "4 ratings had no value before" in text
    for name, figure in {"Pages": 2, "Fields": 12, "Stale": 6}.items():
        assert f'<dt>{name}</dt><dd><span class="figure">{figure}</span>' in text


@pytest.mark.parametrize(
    ("move", "place"), [(-3, 0), (-2, 0), (-1.5, 1), (-0.5, 2), (-0.3, 3), (0.3, 5), (0.5, 6), (1.5, 7), (2, 8), (5, 8)]
)
def test_each_move_of_a_rating_is_counted_once(tmp_path: Path, move: float, place: int) -> None:
    workspace = make_wiki(tmp_path, {"a": page_text("A", {"ratings": {"novelty": 5}})})
    answer(workspace, "a", {"ratings": ratings_answer(novelty=5 + move)})
    shown = views(workspace)
    assert page_data(shown[0])["fields"][0]["move"] == move
    bars = review_html(shown, wiki="w", generated="").split('aria-label="How ratings move: ')[1].split('"')[0]
    assert [int(one.split()[0]) for one in bars.split(", ")] == [int(at == place) for at in range(9)]


def test_a_fields_value_that_moved_on_the_page_is_shown(tmp_path: Path) -> None:
    workspace = make_wiki(tmp_path, {"a": page_text("A")})
    answer(workspace, "a", {"ratings": ratings_answer(novelty=7)})
    file = workspace.by_id["a"].file
    file.write_text(file.read_text(encoding="utf-8").replace("---\n", "---\nratings:\n  novelty: 2\n", 1), encoding="utf-8")
    novelty, rigor = (field(views(workspace)[0], f"ratings.{name}") for name in ("novelty", "rigor"))
    assert novelty.edited_on_page and novelty.current == 2 and novelty.flags == ("stale",)
    assert not rigor.edited_on_page and rigor.flags == ()


def test_age() -> None:
    now = "2026-03-03T10:00:00Z"
    ages = {"2026-03-03T09:59:30Z": "just now", "2026-03-03T09:58:00Z": "2 minutes ago", "2026-03-01T09:00:00Z": "2 days ago", "?": "?"}
    assert {then: age(then, now) for then in ages} == ages


# Word diffs


def test_only_the_words_that_differ_are_marked() -> None:
    assert word_diff("It costs $5 a page.", "It costs $7 a page.") == [("=", "It costs $"), ("-", "5"), ("+", "7"), ("=", " a page.")]
    assert ("-", "1,234.5") in word_diff("It made 1,234.5 units last year.", "It made 1,934.5 units last year.")


def test_neighbouring_changes_are_one_change_and_strange_texts_are_kept_apart() -> None:
    pieces = word_diff("They said that red wood burns well here.", "They said that old peat burns well here.")
    assert ("-", "red wood") in pieces and ("+", "old peat") in pieces
    old, new = "Herring avoid the dam.", "Turbines were replaced in spring by larger ones."
    assert word_diff(old, new) == [("-", old), ("+", new)]


WORDS = st.lists(st.sampled_from(["the", "cost", "rose", "12%", "$5", ",", "1984", "a\u202eb", "", "été"]), max_size=30).map(" ".join)


@given(WORDS, WORDS)
def test_both_texts_come_back_from_the_pieces(old: str, new: str) -> None:
    pieces = word_diff(old, new)
    assert "".join(text for mark, text in pieces if mark != "+") == old
    assert "".join(text for mark, text in pieces if mark != "-") == new
    assert all(text for _, text in pieces)
