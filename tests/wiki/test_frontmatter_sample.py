"""Edits on real pages: difficult values in a copy of every page, read back by three independent YAML readers (bytes are edited and written
as `enrich apply` does, with modules that are not public)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from enrich.files import replace_file
from enrich.wiki.frontmatter.edit import Changes, Value, edit_bytes
from enrich.wiki.frontmatter.spans import EditRefused

NASTY = [
    "He said \"no\": 'yes' # not a comment",
    "key: value, {a: [b]}, *c &d !e |f >g %h @i `j`",
    "--- a --- b\n---\nc",
    "\\$5 million, C:\\new\\table, \\x41 \\u0041",
    "one\u2028two\u2029three\u0085four\ufefffive",
    "\x00\x07\x1b[31m\x7f\x9f",
    "\U0001f600 é 日本語 \ufffe\uffff",
    " around ",
    "",
    *"no Yes null ~ 0o17 017 0x1F 1:30 1e3 1_000 2026-01-02 2026-01-02T03:04:05Z .inf << =".split(),
    "- a",
    "? b",
]
NUMBERS = [4.5, 4.0, 0.0, 10, 1e-05, 1e16, -2.25]
Rewritten = list[tuple[str, bytes, bytes, Changes]]
TOUCHED = {"llmSummary", "insights", "ratings", "quality"}


def nasty(number: int) -> Changes:
    """Changes for the page of this number: over all pages, each text comes to stand in each place."""
    text, other = NASTY[number % len(NASTY)], NASTY[(number * 7 + 3) % len(NASTY)]
    insight: Value = {"type": "quantitative", "text": text, "surprising": 3.5, "important": 4.0, "evidence": other}
    insights: list[Value] = [insight, {"type": "research-gap", "text": other, "surprising": 1.0}]
    return {
        ("llmSummary",): text,
        ("insights",): insights[: number % 3],
        ("ratings", "novelty"): NUMBERS[number % len(NUMBERS)],
        ("ratings", "remark"): other,
        ("quality",): number,
    }


def load_core(head: str) -> Any:
    """ruamel.yaml's own parser, YAML 1.2."""
    return YAML(typ="safe", pure=True).load(head)


def load_javascript(heads: list[str]) -> list[Any]:
    """The npm package `yaml`, YAML 1.2; `tests/needs.sh` installs it."""
    folder = Path(__file__).parents[1] / "node"
    if not shutil.which("node") or not (folder / "node_modules" / "yaml").is_dir():
        pytest.skip("needs node and the npm package `yaml` (tests/needs.sh installs it)")
    done = subprocess.run(["node", "read.js"], cwd=folder, input=json.dumps(heads), capture_output=True, text=True, check=True)
    answers = json.loads(done.stdout)
    assert not [answer["error"] for answer in answers if "error" in answer]
    return [answer["value"] for answer in answers]


def parts(raw: bytes) -> tuple[str, bytes]:
    """Frontmatter and body, cut by a rule written anew for this test."""
    opening, head, body = raw.replace(b"\n---\r\n", b"\n---\n").split(b"---\n", 2)
    assert opening == b""
    return head.decode(), body


@pytest.fixture(scope="module")
def rewritten(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Rewritten:
    """Name, old bytes, new bytes and changes of every page, written through the file system."""
    root = tmp_path_factory.mktemp("wiki") / "content"
    shutil.copytree(sample / "content", root)
    for folder in (root, *root.rglob("*")):
        folder.chmod(0o755 if folder.is_dir() else 0o644)
    pages = []
    for number, file in enumerate(sorted(root.rglob("*.mdx"))):
        changes = nasty(number)
        old = file.read_bytes()
        replace_file(file, edit_bytes(old, changes), expected=sha256(old).hexdigest(), root=root)
        pages.append((str(file.relative_to(root)), old, file.read_bytes(), changes))
    assert len(pages) >= 150
    return pages


def blocks(head: str) -> Iterator[tuple[str, str]]:
    """The frontmatter's lines by top-level key: a line that begins with a letter begins a key."""
    key, lines = "", ""
    for line in head.splitlines(keepends=True):
        if line[0].isalpha():
            yield key, lines
            key, lines = line.partition(":")[0], ""
        lines += line
    yield key, lines


def check_values(pages: Rewritten, load: Callable[[list[str]], list[Any]]) -> None:
    before = load([parts(old)[0] for _, old, _, _ in pages])
    after = load([parts(new)[0] for _, _, new, _ in pages])
    for (name, _, _, changes), was, now in zip(pages, before, after, strict=True):
        wanted = {**was, **{path[0]: value for path, value in changes.items() if len(path) == 1}}
        wanted["ratings"] = {**(was.get("ratings") or {}), **{path[1]: value for path, value in changes.items() if len(path) == 2}}
        assert now == wanted, name


def without_nulls(data: dict[str, Any]) -> dict[str, Any]:
    parts = {key: without_nulls(value) if isinstance(value, dict) else value for key, value in data.items()}
    return {key: value for key, value in parts.items() if value is not None and value != {}}


@pytest.mark.sample
class TestRealPages:
    def test_no_byte_outside_the_touched_keys_changes(self, rewritten: Rewritten) -> None:
        for name, old, new, _ in rewritten:
            (old_head, old_body), (new_head, new_body) = parts(old), parts(new)
            assert old_body == new_body, name
            was = [block for block in blocks(old_head) if block[0] not in TOUCHED]
            now = [block for block in blocks(new_head) if block[0] not in TOUCHED]
            assert was == now, name
            others = [line for line in dict(blocks(old_head)).get("ratings", "").splitlines() if "novelty" not in line]
            assert [line for line in dict(blocks(new_head))["ratings"].splitlines() if "novelty" not in line and "remark" not in line] == (
                others or ["ratings:"]
            ), name

    def test_pyyaml_and_ruamel_read_what_was_written(self, rewritten: Rewritten) -> None:
        check_values(rewritten, lambda heads: [yaml.safe_load(head) for head in heads])
        check_values(rewritten, lambda heads: [load_core(head) for head in heads])

    @pytest.mark.node
    def test_javascript_reads_what_was_written(self, rewritten: Rewritten) -> None:
        check_values(rewritten, load_javascript)

    def test_tools_that_cut_at_the_first_dashes_find_the_same_body(self, rewritten: Rewritten) -> None:
        for name, old, new, _ in rewritten:
            old_cut, new_cut = (raw[raw.index(b"---", 4) :] for raw in (old, new))
            assert old_cut == new_cut, name

    def test_a_second_time_changes_nothing(self, rewritten: Rewritten) -> None:
        for name, _, new, changes in rewritten:
            assert edit_bytes(new, changes) == new, name

    def test_the_way_back_gives_the_old_values(self, rewritten: Rewritten) -> None:
        for name, old, new, changes in rewritten:
            was = load_core(parts(old)[0])
            back: dict[tuple[str, ...], Any] = {}
            for path in changes:
                place = was
                for key in path:
                    place = place.get(key) if isinstance(place, dict) else None
                back[path] = place
            again = load_core(parts(edit_bytes(new, back))[0])
            # What was not there is null now; a mapping that was created has only nulls.
            assert without_nulls(again) == without_nulls(was), name

    def test_half_a_surrogate_pair_is_refused_and_the_page_stays(self, sample: Path) -> None:
        raw = next(iter(sorted((sample / "content").rglob("*.mdx")))).read_bytes()
        with pytest.raises(EditRefused, match="surrogate"):
            edit_bytes(raw, {("llmSummary",): "half \ud83d of one"})


@pytest.mark.node
def test_javascript_reads_every_nasty_text_in_block_and_flow() -> None:
    heads, wanted = [], []
    for head in ("title: x\n", "{title: x, ratings: {a: 1}}\n"):
        for text in NASTY:
            changes: Changes = {("llmSummary",): text, ("insights",): [{"text": text, "a": [text, 1.5]}], ("ratings", "b"): {text: text}}
            heads.append(parts(edit_bytes(f"---\n{head}---\n".encode(), changes))[0])
            ratings = {"a": 1, "b": {text: text}} if "ratings" in head else {"b": {text: text}}
            wanted.append({"title": "x", "llmSummary": text, "insights": [{"text": text, "a": [text, 1.5]}], "ratings": ratings})
    assert load_javascript(heads) == wanted
