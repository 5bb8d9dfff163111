"""Frontmatter built of hard fragments and changed at random (`EditRefused` is not public, but its reasons are checked).

The test does not use spans: the frontmatter is built of pieces, so it is known which bytes must be kept and in which order. PyYAML (YAML
1.1) and ruamel.yaml's own parser (YAML 1.2) say what the values are afterwards.
"""

# ruff: noqa: E501 (lists of fragments read best close together)

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor

from enrich.wiki.frontmatter.edit import edit
from enrich.wiki.frontmatter.spans import EditRefused

FUZZ = settings().max_examples >= 10_000  # `make fuzz`: new cases each time
CASES = 100_000 if FUZZ else 5000
BODY = "\nText\n---\n\nkey: value\n"

# What follows a key's colon. `{c}` is where a comment may stand; `{n}` is the entry's number, for anchors.
INLINE = [
    " x{c}\n", " 'it''s # no comment'{c}\n", ' "a: \\"b\\" \\u2028"{c}\n', " 5{c}\n", " 4.50{c}\n", "{c}\n", " ~{c}\n", " no{c}\n", " 2026-01-02{c}\n",
    " 2026-02-30{c}\n", " 010{c}\n", " 1:30{c}\n", " !!str 5{c}\n", " é\U0001f600{c}\n", " a:b#c{c}\n", " http://x.y/z#a?b=[c]{c}\n", " .nan{c}\n", ' ""{c}\n', "   x   {c}\n",
    ' "a\u2028b"{c}\n', " &a{n} v{c}\n", " &a{n}{c}\n", " {c}\n", " \\$5 --- x{c}\n",
]  # fmt: skip
OVER_LINES = [
    " a\n  b\n\n   c{c}\n", ' "a\n  b \\\n\n\tc"{c}\n', " 'a\n\n  b'{c}\n", "{c}\n  next{c}\n", "{c}\n  # above\n  'next'{c}\n",
    " |{c}\n  a\n  # text\n   b\n", " >-{c}\n  a\n\n   b\n  c\n", " |+{c}\n  a\n\n\n", " >+{c}\n\n\n", " |2{c}\n   a\n  b\n", " |{c}\n", " |-{c}\n\n   a\n", " !!str |{c}\n  a\n", "\n  |\n  a\n",
    " |{c}\n  a: b\n  - c\n  ---\n",
]  # fmt: skip
FLOW = [
    " []{c}\n", " {{}}{c}\n", " [a, 'b', [c]]{c}\n", " [a, # in\n  b,\n  ]{c}\n", ' {{x: 1, "y": [2], z: }}{c}\n', " {{x: 1, # in\n  y: 2}}{c}\n", " {{ x , y: 'z' }}{c}\n", " [&a{n} a, b]{c}\n",
    ' {{"x":1,"y":"2"}}{c}\n', "{c}\n  [a,\n   b]{c}\n", " [a: 1, {{b: 2}}]{c}\n",
]  # fmt: skip
BLOCK = [
    "{c}\n  - a{c}\n  # in\n  - b: 1\n    c: |\n      d\n\n  - e\n", "{c}\n- a{c}\n- - b\n  - c\n", "{c}\n  x: 1{c}\n  y:\n    z: >\n      t\n", "{c}\n    x: 1\n    'y': 2{c}\n", "{c}\n  -\n  - \n",
    " &a{n}{c}\n  x: 1\n", " &a{n}\n  - 1\n", " !!map{c}\n  x: &b{n} 2\n", "{c}\n  ? x\n  : y\n", "{c}\n  # above\n\n  x: 1\n\n  # between\n  y: [1,\n   2]\n", "{c}\n  x: |+\n    a\n\n", "\n  x:\n  y:{c}\n",
]  # fmt: skip
KEYS = ["title", "quality", "llmSummary", "insights", "ratings", "clusters", "zz", "alpha", "sidebar", "nul", "x-y", "'q k'", '"llm"', "on"]
FILLERS = ["", "", "", "\n", "# about the next\n", "\n\n# a\n\n", "# --- a: b\n"]
TAILS = ["", "", "", " # tail\n"]
COMMENTS = ["", "", " # c: 'd' [", "   # --- é", "\t# t"]


@dataclass(frozen=True)
class Piece:
    """One entry as it stands: `text` from the key to the last line, `tail` comment lines below it, `filler` until the next entry."""

    key: str
    spelled: str
    text: str
    tail: str
    filler: str
    comment: str
    one_line: bool
    block: bool


@st.composite
def heads(draw: st.DrawFn) -> list[Piece]:
    spelled = draw(st.lists(st.sampled_from(KEYS), min_size=0, max_size=6, unique=True))
    pieces: list[Piece] = []
    anchors: list[str] = []
    for number, spelling in enumerate(spelled):
        if anchors and draw(st.integers(0, 5)) == 0:
            form = f" *{draw(st.sampled_from(anchors))}{{c}}\n"
        else:
            form = draw(st.sampled_from(draw(st.sampled_from([INLINE, INLINE, OVER_LINES, FLOW, BLOCK]))))
        comment = draw(st.sampled_from(COMMENTS))
        text = f"{spelling}:{form.format(c=comment, n=number)}"
        anchors += re.findall(r"&(\w+)", text)
        filler = draw(st.sampled_from(FILLERS))
        if "|+" in form or ">+" in form:  # blank lines below would be part of the value
            filler = f"# end\n{filler}"
        # Below a block scalar without lines, an indented comment would be its first line.
        tail = "" if form in (" |{c}\n", " >+{c}\n\n\n") else draw(st.sampled_from(TAILS))
        one_line = form in INLINE and form != "{c}\n"
        pieces.append(Piece(spelling.strip("'\""), spelling, text, tail, filler, comment if "{c}" in form else "", one_line, form in BLOCK))
    return pieces


texts = st.one_of(
    st.sampled_from(["no", "0o17", "1:30", "1e3", "2026-01-02", "---", "a --- b", "\\$5", "a\u2028b\x85", "#", "x: y", "'", '"', "\U0001f600", "", " ", "\n", "word", "two-words"]),
    st.text(st.one_of(st.sampled_from("\"'\\:#-{}[],&*!|>%@` \n\t\r\u2028\u2029\x85\ufeff\x00\x7f"), st.characters(exclude_categories=["Cs"])), max_size=12),
)  # fmt: skip
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, -0.0, 4.0, 1e-5, 1e16, 4.5]))
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
keys = st.one_of(st.sampled_from(["type", "text", "on", "1", "a b", "---"]), texts)
values = st.recursive(scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)), max_leaves=6)
paths = st.one_of(
    st.sampled_from(
        [("llmSummary",), ("insights",), ("quality",), ("ratings",), ("title",), ("zz",), ("q k",), ("new",), ("aa",), ("llm",), ("x-y",)]
    ),
    st.tuples(st.sampled_from(["ratings", "sidebar", "clusters", "nul", "alpha"]), st.sampled_from(["x", "y", "z", "novelty", "1"])),
)
changes = st.dictionaries(paths, values, min_size=1, max_size=3)


def canonical(value: Any) -> str:
    """A text that is equal for two values just where they are equal type by type, whatever the order of keys."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{canonical(key)}:{canonical(below)}" for key, below in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(canonical(below) for below in value) + "]"
    return f"{type(value).__name__}:{value!r}"


_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C takes tabs before comments, the other none


class Eleven(_Parser):  # type: ignore[misc]
    """YAML 1.1, but impossible dates are texts."""


def _date(loader: Any, node: yaml.ScalarNode) -> Any:
    try:
        return yaml.SafeLoader.construct_yaml_timestamp(loader, node)
    except ValueError:
        return f"impossible {node.value}"


Eleven.add_constructor("tag:yaml.org,2002:timestamp", _date)


def eleven(head: str) -> Any:
    return yaml.load(head, Loader=Eleven) or {}


class Twelve(SafeConstructor):
    """YAML 1.2, with dates as texts: a class of its own, because constructors are added to a class and other tests read dates too."""


Twelve.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: f"date {node.value}")


def twelve(head: str) -> Any:
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = Twelve
    # It takes no tab before a comment; in no value here does one stand before `#` unescaped.
    return reader.load(head.replace("\t#", " #")) or {}


def wanted(data: Any, asked: dict[tuple[str, ...], Any]) -> Any:
    result = dict(data)
    for path, value in asked.items():
        if len(path) == 1:
            result[path[0]] = value
        else:
            result[path[0]] = {**(result.get(path[0]) or {}), path[1]: value}
    return result


def assembled(pieces: list[Piece], margin: str) -> str:
    return indented("".join(piece.text + piece.tail + piece.filler for piece in pieces) or "# none\n", margin)


def indented(text: str, margin: str) -> str:
    return re.sub(r"^(?=.)", margin, text, flags=re.MULTILINE) if margin else text


def survivors(pieces: list[Piece], asked: dict[tuple[str, ...], Any], margin: str) -> re.Pattern[str]:
    """What the edited frontmatter has to look like: every byte that is not a touched key's, in order, and new lines only between entries."""
    there = {piece.key for piece in pieces}
    fresh = sorted({re.escape(path[0]) for path in asked if path[0] not in there})
    added = rf"""(?:{margin}"?(?:{"|".join(fresh)})"?:[^\n]*\n(?:{margin}(?:  |- )[^\n]*\n)*?)*?""" if fresh else ""
    parts = [added]
    for piece in pieces:
        about = {path: value for path, value in asked.items() if path[0] == piece.key}
        old = re.escape(indented(piece.text, margin))
        kept = re.escape(indented(piece.tail, margin))
        if not about:
            own = old + kept
        else:
            line = rf"{margin}{re.escape(piece.spelled)}:"
            comment = re.escape(piece.comment.strip()) if piece.one_line else ""
            own = rf"(?:{old}|{line}[^\n]*{comment}[ \t]*\n(?:{margin}(?:[ #-][^\n]*)?\n|\n)*?){kept}"
        parts += [own, added, re.escape(indented(piece.filler, margin)) if piece.filler else "", added]
    if not pieces:
        parts = [re.escape(indented("# none\n", margin)), added.replace(margin, "") if margin else added]
    return re.compile("".join(parts))


def neighbours(text: str, key: str, margin: str) -> list[str]:
    """The lines of a block that belong to none of its keys but the one that is touched."""
    kept: list[str] = []
    inside = -1
    for line in indented(text, margin).splitlines():
        depth = len(line) - len(line.lstrip(" "))
        if inside >= 0 and (not line.strip() or depth > inside):
            continue
        inside = depth if re.fullmatch(rf"{margin} +['\"]?{re.escape(key)}['\"]?:.*", line) else -1
        if inside < 0:
            kept.append(line)
    return kept


def in_order(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(line in rest for line in few)


# Why an edit may be refused here; anything else, the self-check above all, is a fault of the editor.
EXPLAINED = [
    "which is used elsewhere",
    "is used elsewhere too",
    "is an alias",
    "is not a mapping",
    "form that cannot be edited here",
    "reads as something else",
]


def test_no_wrong_value_and_no_stray_byte() -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=CASES, derandomize=not FUZZ, suppress_health_check=list(HealthCheck), database=None)
    @given(
        heads(), changes, st.sampled_from(["\n", "\n", "\r\n", "\r"]), st.sampled_from(["", "\ufeff"]), st.sampled_from(["", "", "", "  "])
    )
    def case(pieces: list[Piece], asked: dict[tuple[str, ...], Any], ending: str, mark: str, margin: str) -> None:
        if any(path[:1] in asked for path in asked if len(path) > 1):
            return  # two changes that contradict each other: tested by name elsewhere
        head = assembled(pieces, margin)
        try:
            before = eleven(head), twelve(head)
        except Exception:  # noqa: BLE001 (a frontmatter that another reader cannot read is no case)
            counts["no case: not readable everywhere"] += 1
            return
        page = f"{mark}---\n{head}---\n{BODY}".replace("\n", ending)
        try:
            result = edit(page, asked)
        except EditRefused as error:
            reason = next((reason for reason in EXPLAINED if reason in error.reason), None)
            assert reason, error.reason
            counts[f"refused: {reason}"] += 1
            return
        counts["edited"] += 1
        assert edit(result, asked) == result
        new = result.replace(ending, "\n")
        assert new.replace("\n", ending) == result
        assert new.startswith(f"{mark}---\n")
        assert new.endswith(f"---\n{BODY}")
        new_head = new[len(mark) + 4 : -len(f"---\n{BODY}")]
        assert survivors(pieces, asked, margin).fullmatch(new_head), f"stray byte:\n{head}\n->\n{new_head}"
        for piece in pieces:
            touched = [path[1] for path in asked if len(path) == 2 and path[0] == piece.key]
            if len(touched) == 1 and piece.block:
                assert in_order(neighbours(piece.text, touched[0], margin), new_head.splitlines())
        assert new_head.count("---") <= head.count("---")
        for load, data in zip((eleven, twelve), before, strict=True):
            assert canonical(load(new_head)) == canonical(wanted(data, asked))

    case()
    print(dict(counts))
    assert counts["edited"] > sum(counts.values()) * 0.6, counts
