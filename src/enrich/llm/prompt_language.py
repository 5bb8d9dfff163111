"""The language of prompts: Jinja2 without what can run for ever or fill the memory. A prompt can come with a wiki that somebody else wrote.

Left out are calls, macros, blocks, imports, growing values (`~` and lists in `set`, `*` on texts) and filters whose result is larger than their
input. Loops are counted and the output is measured while a prompt is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_LOOPS = 10_000
MOST_CHARACTERS = 4_000_000
MOST_SECONDS = 5.0

_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "first", "float", "int", "items", "last", "length", "list", "lower", "map", "max"),
    *("min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title", "trim", "unique", "upper"),
)
# join repeats its separator, so it is allowed with a short one that is written in the prompt.
_LONGEST_SEPARATOR = 100
_LEFT_OUT: dict[type[nodes.Node], str] = {
    nodes.Call: "calls",
    nodes.CallBlock: "call blocks",
    nodes.Macro: "macros",
    nodes.FilterBlock: "filter blocks",
    nodes.AssignBlock: "`set` blocks",
    nodes.Block: "blocks",
    nodes.Import: "imports",
    nodes.FromImport: "imports",
    nodes.Include: "includes",
    nodes.Extends: "`extends`",
    nodes.Pow: "`**`",
}


class PromptError(TemplateError):
    """A prompt that uses too much."""


class PromptLanguage(ImmutableSandboxedEnvironment):
    """One prompt's environment: compiles it, and counts the loops of one rendering."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%"))

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
        join = self.filters["join"]
        self.filters = {name: self.filters[name] for name in _FILTERS} | {"join": join, "counted": self._counted}
        self.globals.clear()
        self._loops, self._deadline = 0, 0.0

    def template(self, source: str) -> Template:
        """The compiled prompt. Raises `TemplateSyntaxError` with the line for what is not part of the language."""
        try:
            tree = self.parse(source)
            _check(tree)
            return Template.from_code(self, self.compile(tree), self.globals)
        except (RecursionError, SyntaxError, MemoryError, ValueError) as error:
            raise TemplateSyntaxError(f"it is too deeply nested, or holds a number that is too long ({type(error).__name__})", 1) from None

    def rendered(self, template: Template, values: dict[str, object]) -> str:
        """The text of a prompt. Raises `PromptError` if it takes too many loops or characters."""
        self._loops = size = 0
        self._deadline = monotonic() + MOST_SECONDS
        pieces = []
        for piece in template.generate(values):
            size += len(piece)
            self._check_time()
            if size > MOST_CHARACTERS:
                raise PromptError(f"it gives more than {MOST_CHARACTERS:,} characters")
            pieces.append(piece)
        return "".join(pieces)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers only: a text times a number, or a format with a width, can be of any size."""
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise PromptError(f"`{operator}` is for numbers")
        return super().call_binop(context, operator, left, right)

    def _check_time(self) -> None:
        if monotonic() > self._deadline:
            raise PromptError(f"it takes more than {MOST_SECONDS:g} seconds")

    def _counted(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self._loops += 1
            if self._loops > MOST_LOOPS:
                raise PromptError(f"its loops run more than {MOST_LOOPS:,} times")
            self._check_time()
            yield value


def _check(tree: nodes.Template) -> None:
    """Raise `TemplateSyntaxError` for what the language leaves out, and count the rounds of every loop."""
    for node in list(tree.find_all(nodes.Node)):
        left_out = next((name for kind, name in _LEFT_OUT.items() if isinstance(node, kind)), "")
        if isinstance(node, nodes.For):
            left_out = "recursive loops" if node.recursive else ""
            node.iter = nodes.Filter(node.iter, "counted", [], [], None, None, lineno=node.lineno)
        elif isinstance(node, nodes.Filter):
            left_out = _wrong_use(node)
        elif isinstance(node, nodes.Assign | nodes.With):
            grows = any(_grows(part) for value in _values(node) for part in (value, *value.find_all(nodes.Node)))
            left_out = "`set` and `with` of lists and of joined texts" if grows else ""
        if left_out:
            raise TemplateSyntaxError(f"prompts cannot use {left_out}", node.lineno)


def _wrong_use(found: nodes.Filter) -> str:
    if found.name == "map" and found.args:
        return "`map` with a filter"
    if found.name != "join":
        return ""
    separator = found.args[0] if found.args else nodes.Const("")
    short = isinstance(separator, nodes.Const) and len(str(separator.value)) <= _LONGEST_SEPARATOR
    if not short or found.kwargs or found.dyn_args or found.dyn_kwargs:
        return "`join` without a short separator written in the prompt"
    return "`join` of a joined text" if any(inner.name == "join" for inner in found.find_all(nodes.Filter)) else ""


def _values(node: nodes.Assign | nodes.With) -> list[nodes.Node]:
    return [node.node] if isinstance(node, nodes.Assign) else list(node.values)


def _grows(value: nodes.Node) -> bool:
    """Whether a value can be larger than what it is made of: set again and again, it would fill the memory."""
    return isinstance(value, nodes.Concat | nodes.List | nodes.Tuple | nodes.Dict) or (
        isinstance(value, nodes.Filter) and value.name == "join"
    )
