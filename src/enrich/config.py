"""`enrich.toml`: what can be set, where values come from, and errors that name the key, the place and what is allowed.

Flag beats environment (`ENRICH_LLM__MODEL=…`) beats file beats default (DESIGN.md section 4.1). Nothing secret stands in here: the API key
comes from `OPENAI_API_KEY` alone and is read by the client.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import UserError

FILE_NAME = "enrich.toml"
STAGES = ("summary", "insights", "ratings")
FOUR_DIMENSIONS = ("novelty", "rigor", "actionability", "completeness")
SEVEN_DIMENSIONS = ("focus", "novelty", "rigor", "completeness", "concreteness", "actionability", "objectivity")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WikiSection(_Section):
    content: str = "content/docs"
    data: str = "content/data"
    roots: list[str] | None = None
    skip: list[str] = []
    min_words: Annotated[int, Field(ge=0)] = 50
    escape_dollar: bool = True
    profile: str = "default"


class LlmSection(_Section):
    backend: Literal["offline", "openai"] = "offline"
    model: Annotated[str, Field(min_length=1)] = "gpt-5-mini"
    base_url: str | None = None
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 64
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0)] = 120
    breaker_seconds: Annotated[float, Field(gt=0)] = 300
    fuse: bool = True
    structured_output: Literal["json_schema", "json_object"] = "json_schema"


class StageSection(_Section):
    enabled: bool = True
    model: str | None = None
    prompt: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1, le=25)] = 1
    noise: Annotated[float, Field(ge=0)] | None = None


Dimension = Literal["focus", "novelty", "rigor", "completeness", "concreteness", "actionability", "objectivity"]


class RatingsSection(StageSection):
    dimensions: Annotated[list[Dimension], Field(min_length=1)] = list(FOUR_DIMENSIONS)  # type: ignore[arg-type]
    quality: Literal["four", "seven", "off"] = "four"


class StagesSection(_Section):
    summary: StageSection = StageSection()
    insights: StageSection = StageSection()
    ratings: RatingsSection = RatingsSection()

    def __getitem__(self, stage: str) -> StageSection:
        section: StageSection = getattr(self, stage)
        return section


class RunSection(_Section):
    budget_usd: Annotated[float, Field(ge=0)] | None = None


class EvalSection(_Section):
    """`golden`: where `enrich eval` takes golden data from. `typical`: the range of ratings that the prompt states as typical. `floors`: a
    number by metric, or a text such as "<= 60"."""

    golden: Annotated[str, Field(min_length=1)] = "frontmatter"
    typical: tuple[Annotated[float, Field(ge=0, le=10)], Annotated[float, Field(ge=0, le=10)]] = (3.0, 5.0)
    floors: dict[str, float | str] = {}


class PriceSection(_Section):
    """USD per million tokens."""

    input: Annotated[float, Field(ge=0)]
    cached_input: Annotated[float, Field(ge=0)] | None = None
    cache_write: Annotated[float, Field(ge=0)] | None = None
    output: Annotated[float, Field(ge=0)]


class Config(_Section):
    """Everything that can be set. `root`: the wiki's folder; `base_url_from`: who named the server (`file`, `environment`, `flag`, "")."""

    wiki: WikiSection = WikiSection()
    llm: LlmSection = LlmSection()
    stages: StagesSection = StagesSection()
    run: RunSection = RunSection()
    eval: EvalSection = EvalSection()
    prices: dict[str, PriceSection] = {}
    root: Annotated[Path, Field(exclude=True)] = Path()
    base_url_from: Annotated[str, Field(exclude=True)] = ""

    @property
    def content(self) -> Path:
        return self.root / self.wiki.content

    @property
    def data(self) -> Path:
        return self.root / self.wiki.data

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def proposals(self) -> Path:
        return self.root / "proposals"

    @property
    def lock(self) -> Path:
        return self.root / "enrich.lock"


def find_wiki(start: Path) -> Path:
    """The nearest folder at or above `start` with an `enrich.toml`. Raises `UserError` where there is none."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise UserError(
        f"no {FILE_NAME} here or in any folder above",
        where=str(start),
        do="run `enrich init` in the wiki's folder, or name it with --wiki DIR",
    )


def load_config(root: Path, flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Config:
    """The configuration of the wiki in `root`.

    `flags` are dotted keys with values (`{"llm.model": "…"}`; None means not given), `env` stands in for `os.environ`.
    Raises `UserError` that names the key, the file and what is allowed.
    """
    env = os.environ if env is None else env
    file = root / FILE_NAME
    try:
        text = file.read_text(encoding="utf-8")
        tree: dict[str, Any] = tomllib.loads(text)
    except FileNotFoundError:
        raise UserError(f"no {FILE_NAME}", where=str(root), do="run `enrich init` there, or name the wiki with --wiki DIR") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=str(file)) from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"no sound TOML: {error}", where=str(file), do="mend that line") from None
    sources: dict[str, str] = {}
    for name, value in env.items():
        if name.startswith("ENRICH_") and "__" in name:
            path = [part.lower() for part in name.removeprefix("ENRICH_").split("__")]
            _put(tree, path, _from_text(value), name)
            sources[".".join(path)] = f"environment variable {name}"
        elif name.startswith("ENRICH_") and (meant := _meant(name)):
            raise UserError("one `_` between section and key sets nothing", where=f"environment variable {name}", do=f"write {meant}")
    for key, value in (flags or {}).items():
        if value is not None:
            _put(tree, key.split("."), value, key)
            sources[key] = "command line"
    for inner in ("root", "base_url_from"):
        if inner in tree:
            raise UserError(f"unknown key `{inner}`", where=str(file), do=f"allowed here: {', '.join(_public_keys())}")
    base_url = tree.get("llm", {}).get("base_url") if isinstance(tree.get("llm"), dict) else None
    named_by = ""
    if base_url:
        named_by = {"e": "environment", "c": "flag"}.get(sources.get("llm.base_url", " ")[0], "file")
    elif env.get("OPENAI_BASE_URL"):
        named_by = "environment"
        if isinstance(tree.setdefault("llm", {}), dict):
            tree["llm"]["base_url"] = env["OPENAI_BASE_URL"]
    try:
        return Config(**tree, root=root.resolve(), base_url_from=named_by)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = sources.get(key, str(file))
        if first["type"] == "extra_forbidden":
            parent = ".".join(key.split(".")[:-1])
            raise UserError(f"unknown key `{key}`", where=where, do=f"allowed here: {', '.join(_allowed(parent))}") from None
        shown = repr(first["input"])
        raise UserError(f"`{key}` cannot be {shown[:80]}: {_plain(str(first['msg']))}", where=where, do="change it there") from None


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:]


def _public_keys() -> list[str]:
    return [name for name in Config.model_fields if name not in ("root", "base_url_from")]


def _allowed(parent: str) -> list[str]:
    model: type[BaseModel] = Config
    for part in filter(None, parent.split(".")):
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
        else:
            model = PriceSection
    return _public_keys() if model is Config else list(model.model_fields)


def _meant(name: str) -> str:
    """`ENRICH_LLM__MODEL` for `ENRICH_LLM_MODEL`; "" for a name that is no setting's."""
    section, _, key = name.removeprefix("ENRICH_").lower().partition("_")
    annotation = Config.model_fields[section].annotation if section in _public_keys() else None
    known = isinstance(annotation, type) and issubclass(annotation, BaseModel) and key in annotation.model_fields
    return f"ENRICH_{section}__{key}".upper() if known else ""


def _put(tree: dict[str, Any], path: list[str], value: Any, source: str) -> None:
    for part in path[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UserError(f"`{part}` is no section", where=source, do="name a key of enrich.toml, such as ENRICH_LLM__MODEL")
        tree = inner
    tree[path[-1]] = value


def _from_text(value: str) -> Any:
    """An environment variable's text as TOML reads it (numbers, true, lists), else as plain text."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
