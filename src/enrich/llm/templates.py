"""Prompts: Jinja2 templates with a little YAML frontmatter (DESIGN.md section 4.3).

Templates are sandboxed and undefined names are errors, so a prompt from a cloned wiki can neither run code nor silently lose a value.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enrich.errors import UserError

if TYPE_CHECKING:
    from jinja2 import Template

_FRONTMATTER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KEYS = ("version", "model", "temperature", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt file. `version` is for people and provenance; `hash` (sha256 of the file's text) for telling whether it changed.

    `model`, `temperature` (0–2) and `max_output_tokens` (≥ 1) are wishes of the prompt; None where it has none.
    """

    path: str
    version: str
    model: str | None
    temperature: float | None
    max_output_tokens: int | None
    hash: str
    _template: Template = field(repr=False, compare=False)
    _first_line: int = field(repr=False, compare=False)

    @classmethod
    def load(cls, path: Path) -> Prompt:
        """The prompt in the file `path`. Raises `UserError` with file and line."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read ({error})", where=str(path), do="mend or restore the prompt file") from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, path: str) -> Prompt:
        """The same from text; `path` is named in errors."""
        from jinja2 import StrictUndefined, TemplateSyntaxError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        wishes, body, first_line = _split(text, path)
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=False, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )
        try:
            template = environment.from_string(body)
        except TemplateSyntaxError as error:
            raise UserError(
                f"the template cannot be read: {error.message}", where=f"{path}:{first_line + error.lineno}", do="mend that line"
            ) from None
        return cls(
            path=path,
            version=str(wishes["version"]),
            model=wishes.get("model"),
            temperature=wishes.get("temperature"),
            max_output_tokens=wishes.get("max_output_tokens"),
            hash=hashlib.sha256(text.encode("utf-8")).hexdigest(),
            _template=template,
            _first_line=first_line,
        )

    def render(self, **values: object) -> str:
        """The prompt with `values` filled in, without white space around it. Raises `UserError` for a name that has no value."""
        from jinja2 import TemplateError, UndefinedError

        try:
            return self._template.render(values).strip()
        except UndefinedError as error:
            known = ", ".join(sorted(values)) or "none"
            raise UserError(f"{error.message}", where=self._where(error), do=f"names that can be used here: {known}") from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise UserError(f"the template fails: {error}", where=self._where(error), do="mend the template") from None

    def _where(self, error: BaseException) -> str:
        """File and line: jinja2 rewrites the traceback so that its last frame of the template has the template's line."""
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "<template>":
                line = trace.tb_lineno
            trace = trace.tb_next
        return self.path if line is None else f"{self.path}:{self._first_line + line}"


def _split(text: str, path: str) -> tuple[dict[str, Any], str, int]:
    """(frontmatter, template, how many lines stand above the template)."""
    import yaml

    match = _FRONTMATTER.match(text)
    if match is None:
        raise UserError("has no frontmatter", where=f"{path}:1", do="begin the file with ---, version: 1, ---")
    try:
        wishes = yaml.safe_load(match["yaml"])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 2 + (mark.line if mark else 0)
        raise UserError(
            f"the frontmatter is no YAML: {getattr(error, 'problem', None) or error}", where=f"{path}:{line}", do="mend that line"
        ) from None
    if not isinstance(wishes, dict) or "version" not in wishes:
        raise UserError("the frontmatter has no `version`", where=f"{path}:1", do="add version: 1")
    for key, value in wishes.items():
        _check(key, value, f"{path}:{_line_of(str(key), match['yaml'])}")
    return wishes, text[match.end() :], text[: match.end()].count("\n")


def _check(key: object, value: object, where: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key not in _KEYS:
        raise UserError(f"unknown key `{key}`", where=where, do=f"allowed here: {', '.join(_KEYS)}")
    if key == "version" and not ((isinstance(value, str) and value.strip()) or number):
        raise UserError("`version` must be a number or a word", where=where)
    if key == "model" and not (isinstance(value, str) and value.strip()):
        raise UserError("`model` must be a model's name", where=where)
    if key == "temperature" and not (number and 0 <= value <= 2):  # type: ignore[operator]
        raise UserError("`temperature` must be a number from 0 to 2", where=where)
    if key == "max_output_tokens" and not (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        raise UserError("`max_output_tokens` must be a whole number of at least 1", where=where)


def _line_of(key: str, text: str) -> int:
    for number, line in enumerate(text.split("\n"), start=2):
        if line.startswith((f"{key}:", f'"{key}"')):
            return number
    return 2
