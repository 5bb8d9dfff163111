"""The stages of a run: their prompts, schemas and settings, from the configuration and the wiki's `prompts/` folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from enrich.config import FILE_NAME, STAGES, Config
from enrich.errors import UserError
from enrich.llm.keys import bare_schema, canonical_hash, question_key
from enrich.llm.messages import Message
from enrich.llm.templates import Prompt
from enrich.stages.answers import Judge, fields_of
from enrich.stages.judges import MAX_INSIGHTS, MAX_WORDS, answer_model, judge_of
from enrich.stages.request import page_message, strict_schema
from enrich.wiki.pages import Page, PageFile, parse_page

OFFLINE = "offline"
# A smaller difference counts as the same answer (`[stages.*] noise`). Asked twice, a model's ratings differ by a tenth or two: less than 0.3
# on one of four ratings is less than one point of `quality` (8 × 0.3 / 4, FIELDS.md section 12), which is not visible. Insight scores are
# half points, so one step is the least they can differ; two are a change.
NOISE: Mapping[str, float] = {"ratings": 0.3, "insights": 1.0}
_DEFAULT_OUTPUT_TOKENS = 1000
_PROBE = parse_page(PageFile("probe", "probe.md", Path("probe.md")), b"---\ntitle: Probe\ndescription: One line.\n---\nA body.\n")


@dataclass(frozen=True)
class Stage:
    """One thing to ask about a page: prompt, schema, settings, and the judge of its answers."""

    name: str
    system: str
    prompt: Prompt
    variables: Mapping[str, Any]
    schema: Mapping[str, Any]
    judge: Judge
    fields: tuple[str, ...]
    model: str
    temperature: float | None
    max_output_tokens: int
    samples: int = 1
    noise: float = 0.0

    def task(self, page: Page) -> str:
        """The rendered task text for a page. Raises `UserError` for a template that cannot be rendered."""
        return self.prompt.render(title=page.title, description=page.description, **self.variables)

    def messages(self, page: Page) -> tuple[Message, ...]:
        """The stage's own three messages: system, page, task."""
        return (Message("system", self.system), Message("user", page_message(page)), Message("user", self.task(page)))

    def key(self, page: Page, sample: int = 0) -> str:
        """The question key (DESIGN.md section 4.5)."""
        return question_key(model=self.model, schema=self.schema, messages=self.messages(page), temperature=self.temperature, sample=sample)

    @cached_property
    def prompt_hash(self) -> str:
        """Changes with the templates, their variables and the form of the page message: what `prompt-changed` means."""
        probe = [message.content for message in self.messages(_PROBE)]
        return canonical_hash([self.system, self.prompt.hash, probe])[:16]

    @cached_property
    def schema_hash(self) -> str:
        return canonical_hash(bare_schema(self.schema))[:16]

    @cached_property
    def settings_hash(self) -> str:
        return canonical_hash([self.temperature, self.samples])[:16]


def load_stages(config: Config, only: Sequence[str] = ()) -> list[Stage]:
    """The enabled stages in their fixed order, or those of them named in `only`.

    Raises `UserError` for an unknown stage name or a prompt that cannot be used.
    """
    for name in only:
        if name not in STAGES:
            raise UserError(f"unknown stage {name!r}", do=f"use one of {', '.join(STAGES)}", exit_code=2)
    system = _prompt(config, "system", None).render()
    names = [name for name in STAGES if config.stages[name].enabled and (not only or name in only)]
    return [_stage(config, name, system) for name in names]


def _stage(config: Config, name: str, system: str) -> Stage:
    section, dimensions = config.stages[name], tuple(config.stages.ratings.dimensions)
    prompt = _prompt(config, name, section.prompt)
    offline = config.llm.backend == OFFLINE
    temperature = section.temperature if section.temperature is not None else prompt.settings.temperature
    if section.samples > 1 and not offline and not temperature:
        raise UserError(
            f"`stages.{name}.samples` is {section.samples}, but without a temperature every sample is the same answer",
            where=str(config.root / FILE_NAME),
            do=f"set `temperature` above 0 under [stages.{name}], or `samples = 1`",
        )
    variables: dict[str, Mapping[str, Any]] = {
        "summary": {"max_words": MAX_WORDS},
        "insights": {"max_insights": MAX_INSIGHTS},
        "ratings": {"dimensions": dimensions},
    }
    return Stage(
        name=name,
        system=system,
        prompt=prompt,
        variables=variables[name],
        schema=strict_schema(answer_model(name, dimensions)),
        judge=judge_of(name, dimensions),
        fields=fields_of(name, dimensions),
        model=OFFLINE if offline else section.model or prompt.settings.model or config.llm.model,
        temperature=None if offline else temperature,
        max_output_tokens=section.max_output_tokens or prompt.settings.max_output_tokens or _DEFAULT_OUTPUT_TOKENS,
        samples=1 if offline else section.samples,
        noise=NOISE.get(name, 0.0) if section.noise is None else section.noise,
    )


def prompts_folder(config: Config) -> Path:
    """The wiki's own `prompts/`, else the prompts of the package."""
    own = config.root / "prompts"
    return own if own.is_dir() else shipped_prompts()


def shipped_prompts() -> Path:
    """The package's prompts: beside the sources in a checkout, inside the package in a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "prompts"
    return inside if inside.is_dir() else package.parents[1] / "prompts"


def _prompt(config: Config, name: str, named: str | None) -> Prompt:
    if named is not None:
        return Prompt.load(config.root / named)
    own = prompts_folder(config) / f"{name}.md"
    # A wiki may have only the prompts that it has changed.
    return Prompt.load(own if own.is_file() else shipped_prompts() / f"{name}.md")
