"""Frontmatter edits, one test for each trap: the exact text before and after, with either of PyYAML's parsers.

The editor's own modules are imported to choose the parser, to spoil an edit for the self-check, and for the byte form and the refusal.
"""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from enrich.wiki import yaml12
from enrich.wiki.frontmatter import cuts, spans
from enrich.wiki.frontmatter import edit as editor
from enrich.wiki.frontmatter.edit import KEY_ORDER, Changes, Value, edit, edit_bytes
from enrich.wiki.frontmatter.spans import EditRefused, find_fences
from enrich.wiki.pages import split
from tests.demo import cases

CASES = cases(__file__)

INNERMOST: Any = 1
NESTED: Any = reduce(lambda inner, _: [inner], range(100), INNERMOST)
BODY = "\n# Title\n\n---\nText with `---` in it.\n"


@pytest.fixture(autouse=True, params=["c", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Their marks differ in places, and not every installation has the one in C."""
    if request.param == "python":
        types = {"yaml_implicit_resolvers": yaml12.Core12Loader.yaml_implicit_resolvers}
        monkeypatch.setattr(spans, "_Loader", type("Python", (yaml.SafeLoader,), types))
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("needs PyYAML with libyaml")
    return str(request.param)


def page(head: str, body: str = BODY) -> str:
    return f"---\n{head}---\n{body}"


def edited(head: str, changes: Changes) -> str:
    """The frontmatter after the changes; the body must be the same, and a second time must change nothing."""
    new = edit(page(head), changes)
    assert new.startswith("---\n")
    assert new.endswith(f"---\n{BODY}")
    assert edit(new, changes) == new
    return new[len("---\n") : -len(f"---\n{BODY}")]


def q(value: Any = 7) -> Changes:
    return {("quality",): value}


INSIGHTS: list[Value] = [{"type": "quantitative", "text": "One: two.", "surprising": 3.5}, {"type": "research-gap", "text": "None."}]
INSIGHT_LINES = """\
  - type: quantitative
    text: "One: two."
    surprising: 3.5
  - type: research-gap
    text: "None."
"""

# Name: [frontmatter before, [[path, value], ...], frontmatter after].
EXACT = json.loads(Path(__file__).with_name("edits.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str, parser: str) -> None:
    if name == "tabs" and parser == "python":
        pytest.skip("PyYAML without libyaml takes no tab before a value")
    before, changes, after = EXACT[name]
    assert edited(before, {tuple(path): value for path, value in changes}) == after


REFUSED: dict[str, tuple[str, Changes, str, int]] = {
    "no frontmatter": ("# Title\n", q(), "no frontmatter", 1),
    "empty file": ("", q(), "no frontmatter", 1),
    "open TOML": ("+++\ntitle = 1\n", q(), "no closing `+++`", 1),
    "never closed": ("---\ntitle: x\n", q(), "no closing", 1),
    "closed by dots": ("---\ntitle: x\n...\nText\n", q(), "no closing", 1),
    "dots before the fence": ("---\ntitle: x\n...\n---\n", q(), "document mark", 3),
    "document mark": ("---\n--- # again\ntitle: x\n---\n", q(), "document mark", 2),
    "several documents": ("---\ntitle: x\n--- # next\ntitle: y\n---\n", q(), "several YAML documents", 3),
    "directive": ("---\n%YAML 1.2\n---\n", q(), "broken YAML", 0),
    "duplicate key": (page("title: x\nquality: 5\nquality: 6\n"), q(), "duplicate key", 4),
    "duplicate key below": (page("title: x\na: [{b: 1, b: 2}]\n"), q(), "duplicate key", 3),
    "list": (page("- a\n"), q(), "not a mapping", 2),
    "text": (page("just text\n"), q(), "not a mapping", 2),
    "null": (page("~\n"), q(), "not a mapping", 2),
    "broken": (page("title: 'x\n"), q(), "broken YAML", 0),
    "colon": (page("title: a: b\n"), q(), "broken YAML", 2),
    "tab as indentation": (page("a:\n\tb: 1\n"), q(), "broken YAML", 3),
    "control character": (page("title: \x07\n"), q(), "broken YAML", 0),
    "unknown tag": (page("title: !secret x\n"), q(), "broken YAML", 2),
    "anchor used elsewhere": (page("quality: &a 5\nb: *a\n"), q(), "&a, which is used elsewhere", 2),
    "anchor inside used elsewhere": (page("quality: [&a 5]\nb: *a\n"), q(None), "&a, which is used elsewhere", 2),
    "below a shared mapping": (page("ratings: &a {b: 1}\nb: *a\n"), {("ratings", "b"): 2}, "used elsewhere too", 2),
    "below an alias": (page("b: &a {b: 1}\nratings: *a\n"), {("ratings", "b"): 2}, "is an alias", 3),
    "below a text": (page("ratings: good\n"), {("ratings", "b"): 2}, "is not a mapping", 2),
    "alias to itself": (page("a: &a [*a]\n"), q(), "itself", 2),
    "alias to nothing": (page("a: *b\n"), q(), "", 2),
    "anchor with a colon": (page("&title: A\nb: 1\n"), q(), "disagree about the anchor", 2),
    "alias with a colon": (page("a: &x b\n*x: 1\n"), q(), "disagree about the anchor", 3),
    "anchor with a point": (page("a: !!str &x.y 1\n"), q(), "", 2),
    "merge of no mapping": (page("<<: x\n"), q(), "YAML 1.1", 2),
    "deep": (page("a: " + "[" * 80 + "]" * 80 + "\n"), q(), "nested too deeply", 2),
    "key that is true elsewhere": (page("on: 5\n"), {("on",): 6}, "under YAML 1.1", 0),
    "explicit key": (page("? quality\n: 5\n"), q(), "form that cannot be edited", 2),
    "not a number": (page("a: 1\n"), q(float("nan")), "not a finite number", 0),
    "infinite": (page("a: 1\n"), q([{"a": -float("inf")}]), "not a finite number", 0),
    "surrogate": (page("a: 1\n"), q("a\ud800b"), "surrogate", 0),
    "surrogate in a key": (page("a: 1\n"), q({"\udfff": 1}), "surrogate", 0),
    "bytes": (page("a: 1\n"), {("quality",): b"x"}, "type bytes", 0),
    "key that is no text": (page("a: 1\n"), {("quality",): {1: 2}}, "key that is not text", 0),  # type: ignore[dict-item]
    "endless": (page("a: 1\n"), q(NESTED), "nested too deeply", 0),
    "contradiction": (page("a: 1\n"), {("ratings",): None, ("ratings", "a"): 1}, "contradict", 0),
    "no path": (page("a: 1\n"), {(): 1}, "not the path of a key", 0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name: str) -> None:
    text, changes, reason, line = REFUSED[name]
    with pytest.raises(EditRefused) as caught:
        edit(text, changes)
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason
    if line:
        assert caught.value.line == line


@pytest.mark.parametrize(
    ("spoil", "says"), [("title: x", "title: 'y'"), ("7", "8"), ("7", '"7"'), ("quality", "duality"), ("7", "7\ntitle: x"), ("7", "'")]
)
def test_the_self_check_catches_faults_of_the_editor(monkeypatch: pytest.MonkeyPatch, spoil: str, says: str) -> None:
    honest = cuts.carried_out
    monkeypatch.setattr(editor, "carried_out", lambda text, made: honest(text, made).replace(spoil, says))
    with pytest.raises(EditRefused, match="self-check"):
        edit(page("title: x\n"), q())


NASTY = {
    "quotes": "He said \"no\" and 'yes'",
    "colon": "key: value # no comment",
    "dashes": "a --- b ---- c\n---\nd",
    "backslashes": "\\$5 and C:\\new\\table \\x41",
    "separators": "a\u2028b\u2029c\u0085d\ufeffe",
    "controls": "\x00\x01\x08\t\x0b\x1b\x7f\x80\x9f\r\n",
    "emoji": "\U0001f600 é 日本語 \U000e0001",
    "not characters": "\ufffe\uffff\U0001fffe",
    "blanks": "  around  ",
    "empty": "",
    **{word: word for word in """
        no yes on off y n true null ~ 0o17 017 0x1F 1:30 1e3 1_000 2026-01-02 -
        ? = << .nan .inf -.inf [ { * & ! | > % @ ` ,
    """.split()},
}  # fmt: skip


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize(
    "head", ["title: x\n", "llmSummary: old\ninsights: []\nratings:\n  novelty: 1\n", "{title: x, llmSummary: a, ratings: {a: 1}}\n"]
)
def test_a_text_reads_the_same_in_both_yamls(text: str, head: str) -> None:
    changes: Changes = {("llmSummary",): text, ("insights",): [{"text": text, text: 1}], ("ratings", "novelty"): text, ("zz", text): [text]}
    new = edited(head, changes)
    for load in (yaml12.load, yaml.safe_load):
        data = load(new)
        assert data["llmSummary"] == text
        assert data["insights"] == [{"text": text, text: 1}]
        assert data["ratings"]["novelty"] == text
        assert data["zz"] == {text: [text]}
    assert "---" not in new


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1e-05, "1.0e-05"),
        (1.5e-07, "1.5e-07"),
        (1e16, "1.0e+16"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5e-324, "5.0e-324"),
        (4.5, "4.5"),
        (4.0, "4.0"),
        (-0.0, "-0.0"),
        (0, "0"),
        (-12, "-12"),
        (2**70, str(2**70)),
        (True, "true"),
        (None, "null"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_values_as_written(value: Any, written: str) -> None:
    new = edited("title: x\n", q(value))
    assert new == f"title: x\nquality: {written}\n"
    for load in (yaml12.load, yaml.safe_load):
        assert repr(load(new)["quality"]) == repr(value)


class TestOrder:
    @pytest.mark.parametrize("key", KEY_ORDER)
    def test_each_key_finds_its_place(self, key: str) -> None:
        others = [other for other in KEY_ORDER if other != key]
        new = edited("".join(f"{other}: 1\n" for other in others), {(key,): 1})
        assert [line.partition(":")[0] for line in new.splitlines()] == list(KEY_ORDER)

    def test_insights_follow_the_summary(self) -> None:
        assert KEY_ORDER[KEY_ORDER.index("llmSummary") + 1] == "insights"

    def test_unknown_keys_come_last_by_name(self) -> None:
        new = edited("title: x\nbb: 1\nratings: {a: 1}\ndd: 1\n", {("cc",): 1, ("aa",): 1, ("quality",): 1})
        assert [line.partition(":")[0] for line in new.splitlines()] == ["title", "quality", "bb", "cc", "ratings", "aa", "dd"]

    def test_out_of_order_it_follows_its_nearest_predecessor(self) -> None:
        new = edited("ratings: {a: 1}\nevergreen: true\ntitle: x\n", {("llmSummary",): "s"})
        assert new == 'ratings: {a: 1}\nevergreen: true\nllmSummary: "s"\ntitle: x\n'

    def test_another_order_can_be_given(self) -> None:
        assert edit(page("d: 1\nb: 1\n"), {("c",): 1, ("a",): 1, ("e",): 1}, order=["e", "d", "c", "b", "a"]) == page(
            "e: 1\nd: 1\nc: 1\nb: 1\na: 1\n"
        )


class TestFile:
    @pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_line_breaks_and_byte_order_mark_stay(self, ending: str, mark: str) -> None:
        changes: Changes = {("insights",): INSIGHTS, ("ratings", "novelty"): 5, ("quality",): 7}
        before = page("title: |\n  a\n\nquality: 5\nratings:\n  novelty: 4 # c\n# d\n")
        after = page(f"title: |\n  a\n\nquality: 7\ninsights:\n{INSIGHT_LINES}ratings:\n  novelty: 5 # c\n# d\n")
        raw = (mark + before.replace("\n", ending)).encode()
        assert edit_bytes(raw, changes) == (mark + after.replace("\n", ending)).encode()

    def test_mixed_line_breaks_stay_line_by_line(self) -> None:
        before = "---\r\ntitle: x\nquality: 5\r\n---\r\nBody\nof\r\nit"
        assert edit(before, {("quality",): 6, ("zz",): 1}) == "---\r\ntitle: x\nquality: 6\r\nzz: 1\r\n---\r\nBody\nof\r\nit"

    @pytest.mark.parametrize("ending", ["---", "--- \t", "---\n", "---\nBody", "---\n\n\n"])
    def test_the_end_of_the_file_stays(self, ending: str) -> None:
        assert edit(f"--- \ntitle: x\n{ending}", q()) == f"--- \ntitle: x\nquality: 7\n{ending}"

    def test_the_first_fence_closes(self) -> None:
        assert edit("---\ntitle: x\n---\nb: 2\n---\n", q()) == "---\ntitle: x\nquality: 7\n---\nb: 2\n---\n"

    def test_dashes_that_are_no_fence_do_not_close(self) -> None:
        assert edit("---\na: |\n  ---\nb: 1 ---\n ----\n---\n", {("b",): 2}) == "---\na: |\n  ---\nb: 2\n---\n"

    def test_bytes_that_are_no_utf8_are_refused_with_their_line(self) -> None:
        with pytest.raises(EditRefused, match="not UTF-8") as caught:
            edit_bytes(b"---\ntitle: x\n---\nCaf\xe9\n", q())
        assert caught.value.line == 4

    def test_no_change_gives_the_same_text(self) -> None:
        text = page("title: 'x'\n")
        assert edit(text, {}) == text

    @pytest.mark.parametrize("text", CASES["reader_and_editor_cut_alike"])
    def test_reader_and_editor_cut_alike(self, text: str) -> None:
        head, body, line = split(text)
        fences = find_fences(text)
        assert (head is None) == (fences is None)
        if fences is not None:
            assert (head, body) == (text[fences.head : fences.end], text[fences.body :])
            assert text.count("\n", 0, fences.body) + (not text[: fences.body].endswith("\n")) == line - 1
