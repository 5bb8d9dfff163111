"""Prompts: Jinja2 templates with YAML frontmatter (DESIGN.md section 4.3).

Templates are sandboxed and undefined names are errors, so a prompt from a cloned wiki can neither run code nor silently lose a value.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from enrich.errors import UserError, invalid_data
from enrich.files import SETTINGS_BYTES, Folders, read_text

if TYPE_CHECKING:
    from jinja2 import Template

    from enrich.llm.prompt_language import PromptLanguage

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
        from jinja2 import TemplateSyntaxError

        from enrich.llm.prompt_language import PromptLanguage

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
        from jinja2 import TemplateError, UndefinedError

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
    import yaml

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
