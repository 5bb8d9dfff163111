"""The YAML reader of the whole program: YAML 1.2 core rules, so dates and `yes` stay strings.

PyYAML reads YAML 1.1. Its parser is kept (the C one if it is installed), its implicit types are replaced by the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema). Duplicate keys are an error, as in every YAML 1.2 reader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import yaml

from enrich.text import MOST_DIGITS, number

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# A few lines of aliases can unfold to billions of values; code that writes them out would never end.
_MOST_VALUES = 1_000_000
# Values that records hold: a few aliases could fill database.json.
_MOST_JSON_VALUES = 100_000
_MOST_JSON_LEVELS = 50
_TOO_LARGE = 10**MOST_DIGITS
# The C parser recurses for each level and ends the process at some ten thousands; what reads the values recurses too.
MOST_LEVELS = 100
# A level takes a bracket, or one column at the start of a line: only such texts can be too deep. YAML 1.1 has more line breaks than "\n".
_DEEP_LINE = re.compile(rf"(?:^|[\r\x85\u2028\u2029\ufeff])(?:[ \t]|[-?:](?=[ \t])|[&!]\S*(?=[ \t])){{{MOST_LEVELS}}}", re.MULTILINE)


class YamlError(ValueError):
    """Invalid YAML or TOML. `reason` says so; `line` counts from 1 in the text that was read (0 if the parser names none)."""

    def __init__(self, reason: str, line: int = 0) -> None:
        self.reason, self.line = reason, line
        super().__init__(f"line {line}: {reason}" if line else reason)


class Core12Loader(_Base):  # type: ignore[misc]
    """PyYAML's loader with the types of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise YamlError("a key is a list or a mapping", key_node.start_mark.line + 1)
            if key in mapping:
                raise YamlError(f"duplicate key {key!r}", key_node.start_mark.line + 1)
            mapping[key] = self.construct_object(value_node, deep=deep)
        return mapping


def checked_int(value: int) -> int:
    """The value. Raises `YamlError` for one that no floating-point number can hold: nothing can be computed with it."""
    if abs(value) >= _TOO_LARGE:
        raise YamlError(f"an integer of more than {MOST_DIGITS} digits")
    return value


def _int12(loader: Any, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return checked_int(int(text[2:], 8 if text[1] == "o" else 16) if text[:2] in ("0o", "0x") else int(text))


def _float12(loader: Any, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))


def _bool12(loader: Any, node: yaml.ScalarNode) -> bool:
    return str(loader.construct_scalar(node)).lower() == "true"


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.0123456789")),
):
    Core12Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), _first)
for _tag, _construct in (("int", _int12), ("float", _float12), ("bool", _bool12)):
    Core12Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)


_TOO_DEEP = f"nested more than {MOST_LEVELS} levels deep"


def check_levels(text: str) -> None:
    """Raise `YamlError` with the line if lists and mappings are nested too deeply for a parser that recurses. The events come without recursion."""
    if text.count("[") + text.count("{") <= MOST_LEVELS and not _DEEP_LINE.search(text):
        return
    level = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.CollectionStartEvent):
            level += 1
            if level > MOST_LEVELS:
                raise YamlError(_TOO_DEEP, event.start_mark.line + 1 if event.start_mark else 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1


def load(text: str) -> Any:
    """The value of one YAML document under YAML 1.2 core rules (None for an empty text).

    Raises `YamlError` ("broken YAML: …") with the line for invalid syntax, unknown tags, duplicate keys and several documents.
    """
    return load_marked(text)[0]


def load_marked(text: str, key: str | None = None) -> tuple[Any, list[int]]:
    """(value as `load` returns it, lines of the items of the document's list, or of the list under `key`; [] if there is no list)."""
    try:
        check_levels(text)
        loader = Core12Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, []
            value = loader.construct_document(node)
            if "*" in text and "&" in text:
                values, levels = _unfolded(value, {})
                if values > _MOST_VALUES:
                    raise YamlError("aliases unfold to more values than a file may have")
                if levels > MOST_LEVELS:
                    raise YamlError(_TOO_DEEP)
            return value, _item_lines(node, key)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise problem_of(error) from None


def line_at(text: str, path: Sequence[int | str]) -> int:
    """The line of the value that `path` (keys and places in lists) leads to in a document that `load` accepts; of the deepest part there is."""
    loader = Core12Loader(text)
    try:
        node = loader.get_single_node()
        line = node.start_mark.line + 1
        for part in path:
            if isinstance(node, yaml.SequenceNode):
                inner = [(item, item) for place, item in enumerate(node.value) if place == part]
            else:
                inner = [pair for pair in node.value if pair[0].value == str(part)] if isinstance(node, yaml.MappingNode) else []
            if not inner:
                break
            key, node = inner[0]
            line = key.start_mark.line + 1
        return int(line)
    finally:
        loader.dispose()


def json_value(value: Any) -> Any:
    """The value as JSON can hold it: text keys, 63.0 as 63, infinite numbers as null.

    Raises `YamlError` if aliases expand it to more than 100,000 values or it is nested more than 50 levels deep.
    """
    return _json_value(value, [_MOST_JSON_VALUES], 0)


def _json_value(value: Any, budget: list[int], level: int) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or level > _MOST_JSON_LEVELS:
        raise YamlError("the aliases of a value expand to too many values")
    if isinstance(value, dict):
        return {_json_key(key): _json_value(inner, budget, level + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(inner, budget, level + 1) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else None
    return str(value)


def _json_key(key: Any) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(number(key)) if isinstance(key, float) else str(key)


def problem_of(error: Exception, what: str = "broken YAML") -> YamlError:
    """What PyYAML, a constructor of values or this module raised, as one line behind `what`, with its line number."""
    line = 0
    if isinstance(error, YamlError):
        reason, line = error.reason, error.line
    elif isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        reason, line = " ".join(str(error.problem or error.context or "invalid YAML").split()), mark.line + 1 if mark else 0
    else:
        reason = " ".join(str(error).split())
        reason = (reason if isinstance(error, yaml.YAMLError) else f"a value cannot be read ({reason})")[:200]
    return YamlError(f"{what}: {reason}", line)


def _item_lines(node: yaml.Node, key: str | None) -> list[int]:
    if key is not None and isinstance(node, yaml.MappingNode):
        node = next((value for name, value in node.value if name.value == key), node)
    return [item.start_mark.line + 1 for item in node.value] if isinstance(node, yaml.SequenceNode) else []


def _unfolded(value: Any, known: dict[int, tuple[float, int]]) -> tuple[float, int]:
    """(values, levels) with every alias written out; infinitely many values for a value that contains itself."""
    if not isinstance(value, (dict, list)):
        return 1, 0
    if id(value) not in known:
        known[id(value)] = math.inf, 0  # met again before it is counted: a cycle
        parts = [_unfolded(part, known) for part in (value.values() if isinstance(value, dict) else value)]
        known[id(value)] = 1 + sum(values for values, _ in parts), 1 + max((levels for _, levels in parts), default=0)
    return known[id(value)]
