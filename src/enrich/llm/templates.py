"""Prompts: Jinja2 templates with YAML frontmatter (DESIGN.md section 4.3).

Templates are sandboxed and undefined names are errors, so a prompt from a cloned wiki can neither run code nor silently lose a value. Nor can it
run for ever or fill the memory: calls, macros, blocks, imports, growing values (`~` and lists in `set`, `*` on texts) and filters whose result is
larger than their input are not part of the language. Loops are counted and the output is measured while a prompt is rendered.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import thread_time
from typing import Annotated, Any

import yaml
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from enrich.errors import UserError, invalid_data
from enrich.files import SETTINGS_BYTES, Folders, read_text

_FRONTMATTER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_Text = Annotated[str, StringConstraints(pattern=r"\S")]


class PromptSettings(BaseModel):
    """The frontmatter of a prompt; None for what it leaves to the configuration. `version` is for people and provenance."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    version: Annotated[str, Field(coerce_numbers_to_str=True, strict=False, pattern=r"\S")]
    model: _Text | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt file. `hash` (sha256 of the file's text) shows whether it changed."""

    path: str
    settings: PromptSettings
    hash: str
    _language: PromptLanguage = field(repr=False, compare=False)
    _template: Template = field(repr=False, compare=False)
    _first_line: int = field(repr=False, compare=False)

    @classmethod
    def load(cls, path: Path, within: Folders | None = None) -> Prompt:
        """The prompt in the file `path`. Raises `UserError` with file and line."""
        try:
            text = read_text(path, within, SETTINGS_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"cannot be read ({reason})", where=str(path), do="restore the prompt file") from None
        return cls.of(text, str(path))

    @classmethod
    def of(cls, text: str, path: str) -> Prompt:
        """The prompt with this text, known as `path` in errors. Raises `UserError` with the line."""
        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        settings, body, first_line = _split(text, path)
        language = PromptLanguage()
        try:
            template = language.template(body)
        except TemplateSyntaxError as error:
            where = f"{path}:{first_line + error.lineno}"
            raise UserError(f"the template cannot be read: {error.message}", where=where, do="fix that line") from None
        return cls(path, settings, hashlib.sha256(text.encode("utf-8")).hexdigest(), language, template, first_line)

    def render(self, **values: object) -> str:
        """The prompt with `values` filled in, without white space around it. Raises `UserError` for a name that has no value."""
        try:
            return self._language.rendered(self._template, values).strip()
        except UndefinedError as error:
            known = ", ".join(sorted(values)) or "none"
            raise UserError(f"{error.message}", where=self._where(error), do=f"names that can be used here: {known}") from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
            raise UserError(f"the template fails: {error}", where=self._where(error), do="fix the template") from None

    def _where(self, error: BaseException) -> str:
        """File and line: jinja2 rewrites the traceback so that its last frame of the template has the template's line."""
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
        return f"{self.path}:{self._first_line + lines[-1]}" if lines and lines[-1] else self.path


def _split(text: str, path: str) -> tuple[PromptSettings, str, int]:
    """(settings, template, number of lines above the template)."""
    match = _FRONTMATTER.match(text)
    if match is None:
        raise UserError("no frontmatter", where=f"{path}:1", do="start the file with ---, version: 1, ---")
    try:
        tree: Any = yaml.safe_load(match["yaml"])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{2 + (mark.line if mark else 0)}"
        raise UserError(f"invalid YAML in the frontmatter: {getattr(error, 'problem', error)}", where=where, do="fix that line") from None
    if not isinstance(tree, dict) or "version" not in tree:
        raise UserError("the frontmatter has no `version`", where=f"{path}:1", do="add version: 1")
    try:
        settings = PromptSettings.model_validate(tree)
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        lines = [number for number, line in enumerate(match["yaml"].split("\n"), start=2) if line.startswith((f"{key}:", f'"{key}"'))]
        raise invalid_data(error, PromptSettings, where=f"{path}:{lines[0] if lines else 2}", do="fix that line") from None
    return settings, text[match.end() :], text[: match.end()].count("\n")


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
_GROWING = (nodes.Concat, nodes.List, nodes.Tuple, nodes.Dict)


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
        self._deadline = thread_time() + MOST_SECONDS  # of the processor: a busy machine makes no prompt slow
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
        if thread_time() > self._deadline:
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
        if left_out := _left_out(node):
            raise TemplateSyntaxError(f"prompts cannot use {left_out}", node.lineno)
        if isinstance(node, nodes.For):
            node.iter = nodes.Filter(node.iter, "counted", [], [], None, None, lineno=node.lineno)


def _left_out(node: nodes.Node) -> str:
    """What prompts cannot use, in words; "" if they can use this node."""
    match node:
        case nodes.For(recursive=True):
            return "recursive loops"
        case nodes.Filter(name="map") if node.args:
            return "`map` with a filter"
        case nodes.Filter(name="join"):
            separator = node.args[0] if node.args else nodes.Const("")
            short = isinstance(separator, nodes.Const) and len(str(separator.value)) <= _LONGEST_SEPARATOR
            if not short or node.kwargs or node.dyn_args or node.dyn_kwargs:
                return "`join` without a short separator written in the prompt"
            return "`join` of a joined text" if any(inner.name == "join" for inner in node.find_all(nodes.Filter)) else ""
        case nodes.Assign() | nodes.With():
            values = [node.node] if isinstance(node, nodes.Assign) else node.values
            # What is larger than its parts would fill the memory if it were set again and again.
            parts = (part for value in values for part in (value, *value.find_all(nodes.Node)))
            grows = any(isinstance(part, _GROWING) or (isinstance(part, nodes.Filter) and part.name == "join") for part in parts)
            return "`set` and `with` of lists and of joined texts" if grows else ""
    return next((name for kind, name in _LEFT_OUT.items() if isinstance(node, kind)), "")
