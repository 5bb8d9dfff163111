"""`enrich.toml`: what can be set, where values come from, and errors that name the key, the place and what is allowed.

A flag takes precedence over an environment variable (`ENRICH_LLM__MODEL=…`), over the file, over the provider's preset, over the default. No secret
is set here: the API key comes from an environment variable and is read by the client.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from enrich.errors import UserError, invalid_data
from enrich.files import SETTINGS_BYTES, Folders, read_text

FILE_NAME = "enrich.toml"
# Folders that a wiki's settings and links may lead to, separated like PATH (docs/security.md).
TRUST_FOLDER = "ENRICH_TRUST_FOLDER"
STAGES = ("summary", "insights", "ratings")
OWN_STAGES = "stages.py"  # a wiki's own stages, loaded only if the user trusts its code
TRUST_CODE = "ENRICH_TRUST_CODE"
Dimension = Literal["focus", "novelty", "rigor", "completeness", "concreteness", "actionability", "objectivity"]
FOUR_DIMENSIONS: tuple[Dimension, ...] = ("novelty", "rigor", "actionability", "completeness")
SEVEN_DIMENSIONS: tuple[str, ...] = get_args(Dimension)
PAGE_SUFFIXES = (".md", ".mdx", ".markdown")
# Parts of pages and templates, in most generators. Hugo's and Zola's `_index.md` is a page.
PARTIALS = tuple(f"**/_*{suffix}" for suffix in PAGE_SUFFIXES)
Ids = Literal["path", "stem"]
FIELD_NAMES = ("llmSummary", "insights", "ratings", "quality")
OFF = "off"
# Keys that say what a page is: a field kept there would change its address, its language, or what a model is shown.
_RESERVED = ("title", "slug", "url", "permalink", "path", "aliases", "lang", "language", "locale", "draft", "date", "layout", "template")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_null_character(cls, value: Any) -> Any:
        """No path can hold one, and no other text needs one."""
        if any("\0" in text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)):
            raise ValueError("contains a null character")
        return value


class WikiSection(_Section):
    content: str = "content/docs"
    data: str = "content/data"
    roots: list[str] | None = None
    exclude: list[str] = list(PARTIALS)
    skip: list[str] = []
    ask: list[str] = []
    ids: Ids | None = None
    min_words: Annotated[int, Field(ge=0)] = 50
    escape_dollar: bool = True
    frontmatter: Literal["keep", "add"] = "keep"
    profile: str = "neutral"


# A plain key in every format of frontmatter.
_KEY = r"[^\s.*:#\"'`\[\]{},&!|>%@]+"
KeyName = Annotated[str, Field(pattern=rf"^{_KEY}(\.{_KEY})*$", max_length=200)]
# A `*` in the last key is the dimension, for sites that know only flat keys.
RatingsKey = Annotated[str, Field(pattern=rf"^({_KEY}\.)*({_KEY}|({_KEY})?\*({_KEY})?)$", max_length=200)]


class FieldsSection(_Section):
    """Where values are kept: a key or a dotted path by field, or `off` (`wiki.page_files`)."""

    llmSummary: KeyName = "llmSummary"  # noqa: N815 - the name of the field
    insights: KeyName = "insights"
    ratings: RatingsKey = "ratings"
    quality: KeyName = "quality"
    under: KeyName | Literal[""] = ""
    evidence: bool = True
    store: Literal["frontmatter", "sidecar"] = "frontmatter"

    @model_validator(mode="after")
    def _are_apart(self) -> FieldsSection:
        paths = {name: f"{self.under}.{value}".lstrip(".").split(".") for name in FIELD_NAMES if (value := getattr(self, name)) != OFF}
        for name, path in paths.items():
            if self.store == "frontmatter" and path[0] in _RESERVED:
                raise ValueError(f"`{name}` cannot be kept under `{path[0]}`, which says what the page is: name another key")
            for other, its in paths.items():
                if name != other and its[: len(path)] == path:
                    raise ValueError(f"`{name}` and `{other}` are kept under the same key `{'.'.join(path)}`: name two keys")
        return self


AUTO = "auto"


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """The presets of servers (`providers.yaml`) by the provider's name."""
    text = resources.files("enrich").joinpath("providers.yaml").read_text(encoding="utf-8")
    tree: dict[str, dict[str, Any]] = yaml.load(text, Loader=yaml.CSafeLoader)
    return tree


def preset(provider: str) -> dict[str, Any]:
    """The keys of `[llm]` that a provider's preset fills in; {} for one that has none."""
    return {key: value for key, value in presets().get(provider, {}).items() if key != "servers"}


def provider_of(base_url: str) -> str:
    """The provider whose servers have such an address; "" if none is known by it.

    >>> provider_of("https://api.groq.com/openai/v1"), provider_of("http://127.0.0.1:8080/v1")
    ('groq', '')
    """
    address = base_url.lower().partition("://")[2].rstrip("/") + "/"
    found = (name for name, keys in presets().items() if any(fnmatchcase(address, pattern) for pattern in keys["servers"]))
    return next(found, "")


if TYPE_CHECKING:
    Provider = str
else:
    Provider = Literal[(AUTO, *presets())]
# What the client sets itself: nothing may be sent twice, or beside the budget.
_OUR_PARAMETERS = frozenset(
    "model messages response_format max_tokens max_completion_tokens temperature stream stream_options n best_of prompt_cache_key "
    "reasoning_effort service_tier prompt_cache_options logprobs top_logprobs".split()
)
# Keys come from the environment, the rest from the HTTP client.
_OUR_HEADERS = frozenset(
    "authorization api-key x-api-key proxy-authorization cookie host connection content-length content-type content-encoding "
    "transfer-encoding accept-encoding".split()
)
_HeaderText = Annotated[str, Field(pattern=r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$")]


def _without(reserved: frozenset[str], what: str) -> AfterValidator:
    def check(values: dict[str, Any]) -> dict[str, Any]:
        for name in values:
            if name.lower() in reserved:
                raise ValueError(f"`{name}` is not a {what} that can be added")
        return values

    return AfterValidator(check)


class LlmSection(_Section):
    """Keys after `provider` are filled in by the provider's preset (`providers.yaml`) where they are not set."""

    backend: Literal["offline", "openai"] = "offline"
    model: Annotated[str, Field(min_length=1)] = "gpt-6-luna"
    provider: Provider = "auto"
    base_url: str | None = None
    base_urls: list[str] = []
    path: Annotated[str, Field(pattern="^/[^?#]*$")] = "/chat/completions"
    headers: Annotated[dict[_HeaderText, _HeaderText], _without(_OUR_HEADERS, "header")] = {}
    query: dict[str, str] = {}
    extra_body: Annotated[dict[str, Any], _without(_OUR_PARAMETERS, "parameter")] = {}
    key_variable: Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]*$")] | None = None
    key_header: Literal["api-key"] | None = None
    ceiling_name: Literal["max_tokens", "max_completion_tokens", ""] = "max_tokens"
    score_bounds: Literal["range", "enum", "none"] = "range"
    merge_messages: bool = False
    stream: bool = False
    prompt_cache_key: bool = False
    price_provider: str | None = None
    aliases: dict[str, str] = {}
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 64
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0)] | None = None
    context_tokens: Annotated[int, Field(ge=1000)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0)] = 120
    breaker_seconds: Annotated[float, Field(gt=0)] = 300
    fuse: bool = True
    structured_output: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    reasoning_room: Annotated[int, Field(ge=0)] | None = None
    reasoning_effort: Annotated[str, Field(min_length=1)] | None = None
    service_tier: Annotated[str, Field(min_length=1)] | None = None
    batch_poll_seconds: Annotated[float, Field(gt=0)] = 30
    prompt_cache_options: dict[str, str] | None = None


Method = Literal["sample", "logprobs", "decisions"]


class StageSection(_Section):
    """`method`: how scores are asked for; of the three stages, `summary` has none, and a decision endpoint writes no insights."""

    _methods: ClassVar[tuple[Method, ...]] = ("sample",)
    enabled: bool = True
    model: str | None = None
    prompt: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1, le=25)] = 1
    noise: Annotated[float, Field(ge=0)] | None = None
    method: Method = "sample"

    @model_validator(mode="after")
    def _has_method(self) -> Self:
        if self.method not in self._methods:
            raise ValueError(f"`method` must be one of {', '.join(self._methods)} here")
        if self.method != "sample" and self.samples > 1:
            raise ValueError(f'with `method = "{self.method}"` one answer has the whole distribution: leave `samples` out')
        return self


class RatingsSection(StageSection):
    _methods = ("sample", "logprobs", "decisions")
    dimensions: Annotated[list[Dimension], Field(min_length=1)] = list(FOUR_DIMENSIONS)
    quality: Literal["four", "seven", "off"] = "four"
    leap: Annotated[float, Field(gt=0)] = 2.0


class InsightsSection(StageSection):
    """`extras`: what else is asked about each insight (FIELDS.md section 18.4)."""

    _methods = ("sample", "logprobs")
    extras: list[Literal["neglected", "compact", "tags"]] = []


class FurtherSection(StageSection):
    """A stage beyond the three: off unless it is enabled."""

    enabled: bool = False


class DescriptionSection(FurtherSection):
    min_characters: Annotated[int, Field(ge=1)] = 60
    max_characters: Annotated[int, Field(ge=1)] = 160


class ImportanceSection(_Section):
    """`enrich rank`. `comparisons`: how often each page is compared, on average; `pairs`: comparisons in one request."""

    enabled: bool = False
    model: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    comparisons: Annotated[int, Field(ge=1, le=50)] = 12
    pairs: Annotated[int, Field(ge=1, le=50)] = 10
    noise: Annotated[float, Field(ge=0)] = 1.0


class StagesSection(_Section):
    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, FurtherSection] = Field(init=False)
    summary: StageSection = StageSection()
    insights: InsightsSection = InsightsSection()
    ratings: RatingsSection = RatingsSection()
    tactical_value: FurtherSection = FurtherSection()
    update_frequency: FurtherSection = FurtherSection()
    description: DescriptionSection = DescriptionSection()
    importance: ImportanceSection = ImportanceSection()

    def further(self) -> list[str]:
        """The names of the enabled stages beyond the three."""
        names = ["tactical_value", "update_frequency", "description", *(self.__pydantic_extra__ or {})]
        return [name for name in names if self[name].enabled]

    def __getitem__(self, stage: str) -> StageSection:
        section: StageSection = getattr(self, stage)
        return section


class RunSection(_Section):
    budget_usd: Annotated[float, Field(ge=0)] | None = None
    budget_window_hours: Annotated[float, Field(gt=0)] | None = None


CheckSeverity = Literal["off", "info", "warning", "error"]


class EvalSection(_Section):
    """`golden`: the source of golden data. `typical`: the range of ratings that the prompt calls typical. `floors`: a number by metric, or a
    text such as "<= 60"."""

    golden: Annotated[str, Field(min_length=1)] = "frontmatter"
    typical: tuple[Annotated[float, Field(ge=0, le=10)], Annotated[float, Field(ge=0, le=10)]] = (3.0, 5.0)
    floors: dict[str, float | str] = {}


class PriceSection(_Section):
    """USD per million tokens."""

    input: Annotated[float, Field(ge=0)]
    cached_input: Annotated[float, Field(ge=0)] | None = None
    cache_write: Annotated[float, Field(ge=0)] | None = None
    output: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration comes from, and what the user allowed, as opposed to the wiki's file.

    `trusted`: folders outside of the wiki's `root` that the user named. `base_url_from`: who named the server ("file", "environment", "flag" or "").
    `file_keys`: the keys of `[llm]` that the file sets, at least in part, and neither environment nor flag; `file_rates`: (model, rate) of
    `[prices]` likewise. `trusts_code`: the wiki's own code may run.
    """

    root: Path = Path()
    trusted: tuple[Path, ...] = ()
    base_url_from: str = ""
    file_keys: frozenset[str] = frozenset()
    file_rates: frozenset[tuple[str, str]] = frozenset()
    trusts_code: bool = False


class Config(_Section):
    """Everything that can be set. One that is made in code reads no file and no environment: `load_config` does."""

    wiki: WikiSection = WikiSection()
    fields: FieldsSection = FieldsSection()
    llm: LlmSection = LlmSection()
    stages: StagesSection = StagesSection()
    run: RunSection = RunSection()
    checks: dict[str, CheckSeverity] = {}
    eval: EvalSection = EvalSection()
    prices: dict[str, PriceSection] = {}
    _source: Source = PrivateAttr(Source())

    def with_root(self, root: Path) -> Config:
        """The same configuration for the wiki in `root`."""
        config = self._from(replace(self._source, root=root))
        # A Config that is made in code has only paths that the caller named; `load_config` knows where each path comes from.
        trusted = tuple(path.resolve() for _, path in config._paths() if not Folders(root).allow(path))
        return config._from(replace(config._source, trusted=trusted))

    def _from(self, source: Source) -> Config:
        config = self.model_copy()
        config._source = source
        return config

    def _paths(self) -> Iterator[tuple[tuple[str, ...], Path]]:
        """The settings that name a file or folder: (key, path)."""
        for name in ("content", "data", "profile"):
            yield ("wiki", name), self.root / getattr(self.wiki, name)
        for stage in (*STAGES, *self.stages.further()):
            yield ("stages", stage, "prompt"), self.root / (self.stages[stage].prompt or "")
        yield ("eval", "golden"), self.root / self.eval.golden

    @property
    def source(self) -> Source:
        """Where the values come from."""
        return self._source

    @property
    def root(self) -> Path:
        """The wiki's folder."""
        return self._source.root

    @property
    def folders(self) -> Folders:
        """The folders that the wiki's files may be in: the wiki's own, and those that the user named by flag or environment."""
        return Folders(self.root, self._source.trusted)

    def folders_of(self, file: Path) -> Folders | None:
        """The folders for a file that the user named: None (anywhere), unless its path is inside the wiki, where no link may lead it out."""
        return self.folders if Path(os.path.normpath(file.absolute())).is_relative_to(self.root) else None

    @property
    def base_urls(self) -> list[str]:
        """The servers that requests go to; "" is OpenAI."""
        return self.llm.base_urls or [self.llm.base_url or ""]

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

    @property
    def lock_parts(self) -> Path:
        """The folder of the lock's parts where it is too large for one file."""
        return self.root / "enrich.lock.d"

    @property
    def evidence(self) -> Path:
        return self.root / "enrich.evidence"

    @property
    def calibration(self) -> Path:
        return self.root / "enrich.calibration"


def shipped_prompts() -> Path:
    """The package's prompts: beside the sources in a checkout, inside the package in a wheel."""
    package = Path(__file__).parent
    inside = package / "prompts"
    return inside if inside.is_dir() else package.parents[1] / "prompts"


def find_wiki(start: Path) -> Path:
    """The nearest folder at or above `start` with an `enrich.toml`. Raises `UserError` if there is none."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise UserError(
        f"no {FILE_NAME} here or in any folder above",
        where=str(start),
        do="run `enrich init` in the wiki's folder, or name it with --wiki DIR",
    )


_FLAG = "command line"


@dataclass(frozen=True, slots=True)
class _Origins:
    """What values can come from: flags by dotted key, environment variables, the wiki's file."""

    flags: Mapping[str, Any]
    env: Mapping[str, str]
    file: Path

    def of(self, *loc: int | str) -> str:
        """Where the value of the key at `loc` comes from."""
        for end in range(len(loc), 0, -1):
            parts = [str(part) for part in loc[:end]]
            if ".".join(parts) in self.flags:
                return _FLAG
            if (variable := "ENRICH_" + "__".join(parts).upper()) in self.env:
                return f"environment variable {variable}"
        return str(self.file)

    def is_file(self, *loc: str) -> bool:
        """Whether the value comes from the wiki's file alone."""
        return self.of(*loc) == str(self.file)


def load_config(root: Path, flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Config:
    """The configuration of the wiki in `root`.

    `flags` are values by dotted key (`{"llm.model": "…"}`; None means not given), `env` replaces `os.environ`.
    Raises `UserError` that names the key, the file and what is allowed.
    """
    env = os.environ if env is None else env
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    origins = _Origins(given, env, root / FILE_NAME)
    variables = _from_variables(env)
    values = _merged(_read_file(origins.file), variables)
    for key, value in given.items():
        section, _, name = key.partition(".")
        values = _merged(values, {section: {name: value}})
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise invalid_data(error, Config, origins.of(*error.errors()[0]["loc"])) from None
    rates = ((model, rate) for model, price in config.prices.items() for rate in price.model_fields_set)
    set_keys = ((name, getattr(config.llm, name)) for name in config.llm.model_fields_set)
    parts = {name: [(key,) for key in value] if isinstance(value, dict) else [()] for name, value in set_keys}
    config._source = Source(
        root=root.resolve(),
        file_keys=frozenset(name for name in parts if any(origins.is_file("llm", name, *part) for part in parts[name])),
        file_rates=frozenset((model, rate) for model, rate in rates if origins.is_file("prices", model, rate)),
        trusts_code=env.get(TRUST_CODE) == "1",
    )
    config._source = replace(config._source, trusted=_trusted(config, origins))
    return _with_preset(config, origins)


def _with_preset(config: Config, origins: _Origins) -> Config:
    """The configuration with the address of the server, and with the keys that its provider's preset fills in."""
    llm = config.llm
    filled = preset(llm.provider)
    if llm.base_url and llm.base_urls:
        if "base_url" in config.source.file_keys or "base_urls" not in config.source.file_keys:
            raise UserError("`llm.base_url` and `llm.base_urls` are both set", where=str(origins.file), do="set one of them")
        llm = llm.model_copy(update={"base_urls": []})
    named_by = ""
    for key, present in (("base_url", llm.base_url), ("base_urls", llm.base_urls), ("provider", filled.get("base_url"))):
        if present:
            source = origins.of("llm", key)
            named_by = "flag" if source == _FLAG else "file" if source == str(origins.file) else "environment"
            break
    base_url = llm.base_url or (None if llm.base_urls else filled.get("base_url"))
    if not named_by and origins.env.get("OPENAI_BASE_URL"):
        named_by, base_url = "environment", origins.env["OPENAI_BASE_URL"]
    if llm.provider == AUTO:
        filled = preset(provider_of((llm.base_urls or [base_url or "https://api.openai.com/v1"])[0]))
    update: dict[str, Any] = {**{key: value for key, value in filled.items() if key not in llm.model_fields_set}, "base_url": base_url}
    for key in ("headers", "query", "extra_body"):
        update[key] = {**filled.get(key, {}), **getattr(llm, key)}
    return config.model_copy(update={"llm": llm.model_copy(update=update)})._from(replace(config.source, base_url_from=named_by))


def _trusted(config: Config, origins: _Origins) -> tuple[Path, ...]:
    """The folders outside of the wiki's that its files may be in. Raises `UserError` if only the wiki's file names one."""
    trusted = [Path(name).resolve() for name in origins.env.get(TRUST_FOLDER, "").split(os.pathsep) if name]
    for loc, path in config._paths():
        if Folders(config.root, tuple(trusted)).allow(path):
            continue
        if origins.is_file(*loc):
            what = f"`{'.'.join(loc)}` leads outside of the wiki's folder, to {path.resolve()}"
            raise UserError(what, where=str(origins.file), do=f"name it by flag or environment, or set {TRUST_FOLDER} to that folder")
        trusted.append(path.resolve())
    return tuple(trusted)


def _read_file(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise UserError(f"no {FILE_NAME}", where=str(file.parent), do="run `enrich init` there, or name the wiki with --wiki DIR")
    try:
        return tomllib.loads(read_text(file, Folders(file.parent), SETTINGS_BYTES))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror or error})", where=str(file)) from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"invalid TOML: {error}", where=str(file), do="fix that line") from None
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 (byte 0x{error.object[error.start]:02x})", where=str(file), do="save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # too deep, a number of more digits than Python converts
        raise UserError(f"cannot be read ({error})", where=str(file)) from None


def _from_variables(env: Mapping[str, str]) -> dict[str, Any]:
    """The settings in environment variables such as `ENRICH_LLM__MODEL`; lists and tables are written as in TOML.

    Raises `UserError` for a variable that looks like a setting and sets nothing.
    """
    tree: dict[str, Any] = {}
    for name, text in env.items():
        section, *keys = name.removeprefix("ENRICH_").lower().split("__")
        where = f"environment variable {name}"
        if not name.startswith("ENRICH_"):
            continue
        if not keys:
            section, _, key = section.partition("_")
            known = section in Config.model_fields and Config.model_fields[section].annotation
            if key in getattr(known, "model_fields", ()):
                do = f"write ENRICH_{section.upper()}__{key.upper()}"
                raise UserError("a single `_` between section and key sets nothing", where=where, do=do)
            continue
        if section not in Config.model_fields:
            raise UserError(f"unknown section `{section}`", where=where, do=f"allowed there: {', '.join(Config.model_fields)}")
        value: Any = text
        if text.lstrip().startswith(("[", "{")):
            # What is not TOML (or a number of more digits than Python converts) is reported by the validation with its key.
            with suppress(ValueError, RecursionError):
                value = tomllib.loads(f"value = {text}")["value"]
        for key in reversed(keys):
            value = {key: value}
        tree = _merged(tree, {section: value})
    return tree


def _merged(below: Any, above: Any) -> Any:
    """`above`, with what only `below` has in its tables."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _merged(below[key], value) if key in below else value for key, value in above.items()}
