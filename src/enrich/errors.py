"""The errors of `enrich`, split by who must act.

```
EnrichError
├── UserError       the user must change something: one line with what, where and what to do; exit code 1 or the one it carries
├── AnswerError     this page's answer cannot be used; the run goes on
└── ServiceError    the model's service failed; `final`: no later request of this run can succeed
```
Any other exception is a bug and keeps its traceback. Errors of libraries are translated where they are raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


# A message can quote a file: a word of megabytes is cut.
_LONGEST = 1000


class EnrichError(Exception):
    """The root of everything `enrich` raises on purpose."""


class UserError(EnrichError):
    """The user must act: `what` went wrong, `where` (file, line, key, page; may be ""), what to `do` (may be "")."""

    def __init__(self, what: str, *, where: str = "", do: str = "", exit_code: int = 1) -> None:
        self.what, self.where, self.do, self.exit_code = what if len(what) <= _LONGEST else f"{what[: _LONGEST - 1]}…", where, do, exit_code
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """The error as the one line that is printed."""
        text = (f"{self.where}: {self.what}" if self.where else self.what).rstrip(".")
        line = f"{text}. {self.do[:1].upper()}{self.do[1:]}" if self.do else text
        return " ".join(map(str.strip, line.splitlines())) if "\n" in line else line


@contextmanager
def os_errors(what: str, where: object, do: str = "") -> Iterator[None]:
    """Within the block, an `OSError` becomes a `UserError`: `what` and the system's reason."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{what} ({error.strerror or error})", where=str(where), do=do) from None


class AnswerError(EnrichError):
    """One answer cannot be used: `cause` is a short stable word (`refused`, `filtered`, `invalid`, `cut-off`, …), `detail` says more."""

    final = False

    def __init__(self, cause: str, detail: str = "") -> None:
        self.cause, self.detail = cause, detail
        super().__init__(f"{cause}: {detail}" if detail else cause)


class ServiceError(EnrichError):
    """The model's service failed: `cause` is a short stable word (`auth`, `quota`, `model`, `timeout`, `server`, …).

    `final` means that no later request of this run can succeed (bad key, exhausted quota, unknown model, breaker).
    """

    def __init__(self, cause: str, detail: str = "", *, final: bool = False, do: str = "") -> None:
        self.cause, self.detail, self.final, self.do = cause, detail, final, do
        super().__init__(f"{cause}: {detail}" if detail else cause)


def invalid_data(error: ValidationError, model: type[BaseModel], where: str, do: str = "change it there") -> UserError:
    """The first problem that pydantic found in data for `model`, as an error that names the key and what is allowed."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(_allowed_keys(model, first["loc"][:-1]))
        return UserError(f"unknown key `{key}`", where=where, do=f"allowed there: {allowed}")
    value = "" if first["type"] == "missing" else f" cannot be {repr(first['input'])[:80]}"
    return UserError(f"`{key}`{value}: {_message(first)}" if key else _message(first), where=where, do=do)


def invalid_keys(error: ValidationError, limit: int = 6) -> str:
    """All problems that pydantic found, up to `limit`, on one line: "`key`: message; …"."""
    found = error.errors(include_url=False, include_input=False)[:limit]
    return "; ".join(f"`{'.'.join(map(str, item['loc'])) or 'the whole'}`: {_message(item)}" for item in found)


def _message(item: Any) -> str:
    if item["type"] in ("dict_type", "model_type"):  # pydantic's text names the class
        return "input should be a mapping of keys to values"
    message = str(item["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _allowed_keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The keys of the model that `loc` leads to from `model`, as files spell them."""
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(_models_in(field.annotation), model)
    names = []
    for name, field in model.model_fields.items():
        if not field.exclude:
            alias = field.validation_alias
            names.append(str(getattr(alias, "choices", [alias])[0] or name))
    return names


def _models_in(annotation: Any) -> Any:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
