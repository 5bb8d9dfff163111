"""Stages beyond the three that every wiki has: how one is defined, found and checked (docs/stages.md).

A definition comes from this file, from an installed package (entry point `enrich.stages`), or from the wiki's own
`stages.py`, which is loaded only if the user allows it: a cloned wiki must not run code.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from enrich.config import OWN_STAGES, Config, shipped_prompts
from enrich.errors import AnswerError, UserError
from enrich.files import SETTINGS_BYTES, read_text
from enrich.grounding import PageIndex
from enrich.stages.fields import Check, FieldAnswer, blemish, checked_evidence, checked_value, plain_line, validated
from enrich.stages.stage import OFFLINE, load_prompt, strict_schema
from enrich.wiki.pages import Page, read_page
from enrich.wiki.profile import Profile, load_profile
from enrich.wiki.wiki import page_files

GROUP = "enrich.stages"
_SHOWN = {"title", "description"}
_MAX_EVIDENCE = 6
_MAX_REASON = 500
Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """One thing to ask about a page.

    `answer` is the model of a valid answer; what it rejects is asked again with its errors. `fields` maps the frontmatter keys that the stage
    writes (a dotted path leads into a mapping) to keys of the answer; keys `reason` and `evidence` (a list of quotes) go into the proposal.
    `prompt` is the task's template with its frontmatter; a file `prompts/NAME.md` of the wiki takes its place.

    `grounding`: how texts are checked. `evidence`: every number and name must be in the quotes under `evidence`, `page`: anywhere on the page,
    `off`: not checked (for words of one's own choice). Markup is always a hard finding. `noise`: a number that differs by less is the same.

    `applies` says which pages have the field. `rule` gives an answer without a model where it can (None: ask), `offline` what the built-in
    baseline answers; without either, the stage is left out offline. `check` looks at a valid answer once more: it returns remarks for the
    proposal, or raises `AnswerError("invalid", …)`. `settings` gives what `check` and the prompt know beside the keys of `[stages.NAME]`.
    """

    name: str
    answer: type[BaseModel]
    fields: Mapping[str, str]
    prompt: str
    grounding: Literal["evidence", "page", "off"] = "page"
    noise: float = 0.0
    applies: Callable[[Page], bool] = lambda page: True
    rule: Callable[[Page, Profile], Answer | None] | None = None
    offline: Callable[[Page, Profile], Answer] | None = None
    check: Callable[[Any, PageIndex, Mapping[str, Any]], list[str]] = lambda answer, index, settings: []
    settings: Callable[[Config], Mapping[str, Any]] = lambda config: {}

    def judge(self, settings: Mapping[str, Any], data: Any, index: PageIndex) -> list[FieldAnswer]:
        """The fields of an answer with the findings on them. Raises `AnswerError("invalid", …)`."""
        answer = validated(self.answer, data)
        remarks = self.check(answer, index, settings)
        given = answer.model_dump()
        reason = plain_line(str(given.get("reason") or ""))[:_MAX_REASON]
        found = []
        quotes = [quote for quote in map(plain_line, given.get("evidence") or ()) if quote][:_MAX_EVIDENCE]
        for name, key in self.fields.items():
            evidence, findings = checked_evidence(quotes, index, name)
            proofs = [item.quote for item in evidence if item.found] if self.grounding == "evidence" else None
            check: Check = partial(index.check, evidence=proofs, where=name) if self.grounding != "off" else lambda text: ()
            value, problems = checked_value(given[key], name, f"`{key}` has an empty text", check)
            remarked = [blemish(remark, name) for remark in remarks]
            found.append(FieldAnswer(name, value, (*findings, *problems, *remarked), tuple(evidence), reason))
        return found


def definitions(config: Config) -> dict[str, StageDefinition]:
    """The definitions of the further stages that the wiki's configuration names, by name.

    Raises `UserError` for a name that has no definition.
    """
    found: dict[str, StageDefinition] = {}
    for name in config.stages.further():
        definition = FURTHER.get(name) or _installed(name) or _of_the_wiki(config).get(name)
        if definition is None:
            do = f"install a package that defines it, or define it in {OWN_STAGES}"
            if others := ", ".join(_of_the_wiki(config)):
                do += f", which defines {others}"
            elif (config.root / OWN_STAGES).exists() and not config.source.trusts_code:
                do = f"if you trust the code in {OWN_STAGES}, set ENRICH_TRUST_CODE=1 or give --trust-code"
            raise UserError(f"no stage {name!r} is defined", where=f"[stages.{name}] in enrich.toml", do=do)
        if shown := _SHOWN & {key.partition(".")[0] for key in definition.fields if definition not in FURTHER.values()}:
            what = f"the stage {name!r} writes `{min(shown)}`, which models are shown: its own answers would make pages due"
            raise UserError(what, where=f"[stages.{name}] in enrich.toml", do="let it write another key")
        if missing := [key for key in definition.fields.values() if key not in definition.answer.model_fields]:
            what = f"the stage {name!r} takes `{missing[0]}` from its answer, which has {', '.join(definition.answer.model_fields)}"
            raise UserError(what, where=f"[stages.{name}] in enrich.toml", do="correct `fields` in its definition")
        found[name] = definition
    return found


def further_parts(config: Config, wanted: Collection[str]) -> dict[str, dict[str, Any]]:
    """What is particular to each of the further stages of `wanted`; offline, to those that need no model. Raises `UserError`."""
    found = {}
    profile = load_profile(config.wiki.profile, config.root, config.folders)
    offline = config.llm.backend == OFFLINE
    for name, definition in definitions(config).items():
        if name not in wanted or (offline and definition.rule is None and definition.offline is None):
            continue
        section = config.stages[name]
        settings = {**section.model_dump(), **definition.settings(config)}
        found[name] = {
            "prompt": load_prompt(config, name, section.prompt, definition.prompt),
            "variables": settings,
            "schema": strict_schema(definition.answer),
            "judge": partial(definition.judge, settings),
            "fields": tuple(definition.fields),
            "noise": definition.noise,
            "applies": definition.applies,
            "rule": partial(_without_model, definition, profile, offline),
        }
    return found


def _without_model(definition: StageDefinition, profile: Profile, offline: bool, page: Page) -> Answer | None:
    answer = definition.rule(page, profile) if definition.rule is not None else None
    return definition.offline(page, profile) if answer is None and offline and definition.offline is not None else answer


@lru_cache
def _installed(name: str) -> StageDefinition | None:
    """The definition of an installed package."""
    for point in entry_points(group=GROUP, name=name):
        try:
            value = point.load()
        except Exception as error:  # noqa: BLE001 - code of another package
            raise UserError(f"the stage cannot be loaded ({type(error).__name__}: {error})", where=point.value) from None
        if not isinstance(value, StageDefinition) or value.name != name:
            do = "let the entry point name a StageDefinition with this name"
            raise UserError(f"not the definition of the stage {name!r}", where=point.value, do=do)
        return value
    return None


def _of_the_wiki(config: Config) -> Mapping[str, StageDefinition]:
    """The definitions in the wiki's own file; none if there is no such file or its code is not trusted."""
    file = config.root / OWN_STAGES
    if not config.source.trusts_code or not file.exists():
        return {}
    try:
        text = read_text(file, config.folders, SETTINGS_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=str(file)) from None
    return _executed(file, text)


@lru_cache(maxsize=8)
def _executed(file: Path, text: str) -> Mapping[str, StageDefinition]:
    module = ModuleType(f"enrich_stages_of_{abs(hash(file))}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # pydantic looks for a model's annotations there
    try:
        exec(compile(text, str(file), "exec"), module.__dict__)
    except Exception as error:  # noqa: BLE001 - somebody's code
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else 0
        raise UserError(f"{type(error).__name__}: {error}", where=f"{file}:{line}", do="fix the stage's code") from None
    return {value.name: value for value in vars(module).values() if isinstance(value, StageDefinition)}


# --- the stages of this package, built as one's own are ---


_STRICT = ConfigDict(extra="forbid", strict=True)
# What is sent names the five values; the rules of a profile may have others.
Days = Annotated[int, Field(ge=1, le=365), WithJsonSchema({"type": "integer", "enum": [3, 7, 21, 45, 90]})]
_SLOWEST = 90


class TacticalValue(BaseModel):
    """How soon the page is out of date when there is news: five bands (FIELDS.md section 18.2)."""

    model_config = _STRICT
    reason: str
    value: Annotated[int, Field(ge=0, le=100)]


class UpdateFrequency(BaseModel):
    """How often the page's subject changes, in days (FIELDS.md section 18.3)."""

    model_config = _STRICT
    reason: str
    days: Days


class Description(BaseModel):
    """One sentence for search engines and `llms.txt`."""

    model_config = _STRICT
    description: str
    evidence: list[str]


def has_schedule(page: Page) -> bool:
    """Whether a page can have an update frequency: no index, stub, documentation or page of the wiki's own, and not `evergreen: false`."""
    front = page.frontmatter
    kind = front.get("pageType"), front.get("entityType")
    return (
        not page.file.is_index
        and kind[0] not in ("stub", "documentation")
        and kind[1] != "internal"
        and front.get("evergreen") is not False
    )


def frequency_by_rule(page: Page, profile: Profile) -> Mapping[str, Any] | None:
    """The frequency that the profile gives by exact title, subcategory (exact, then a pattern) or path; None where no rule decides."""
    rules = profile.update_frequency
    subcategory = str(page.frontmatter.get("subcategory") or "")
    if page.title in rules.titles:
        return {"reason": "by its title", "days": rules.titles[page.title]}
    patterns = (name for name in rules.subcategories if fnmatchcase(subcategory, name))
    if subcategory and (name := subcategory if subcategory in rules.subcategories else next(patterns, None)):
        return {"reason": f"by its subcategory {name}", "days": rules.subcategories[name]}
    if path := next((part for part in rules.paths if part in page.file.url), None):
        return {"reason": f"by its path {path}", "days": rules.paths[path]}
    return None


def frequency_offline(page: Page, profile: Profile) -> Mapping[str, Any]:
    """The frequency by importance, as pages get their first one (FIELDS.md section 9); the slowest if the page has none."""
    importance = page.frontmatter.get("readerImportance")
    steps = profile.update_frequency.importance if isinstance(importance, int | float) else {}
    found = next((days for least, days in sorted(steps.items(), reverse=True) if importance is not None and importance >= least), _SLOWEST)
    return {"reason": "by its importance", "days": found}


def check_description(answer: Description, index: PageIndex, settings: Mapping[str, Any]) -> list[str]:
    """Refuse a description of another length than the settings allow, and one that another page has."""
    text = " ".join(answer.description.split())
    least, most = settings["min_characters"], settings["max_characters"]
    if not least <= len(text) <= most:
        raise AnswerError("invalid", f"`description` has {len(text)} characters: write {least} to {most}")
    others: dict[str, str] = settings["descriptions"]
    if others.setdefault(text.casefold(), index.title) != index.title:
        raise AnswerError("invalid", f"the page {others[text.casefold()]!r} has this description: say what is particular to this page")
    return []


def known_descriptions(config: Config) -> Mapping[str, Any]:
    """The descriptions that pages have, each with its page's title."""
    pages = (read_page(file) for file in page_files(config)[0])
    described = ((" ".join(str(page.frontmatter.get("description") or "").split()).casefold(), page.title) for page in pages)
    return {"descriptions": {text: title for text, title in described if text}}


def _prompt(name: str) -> str:
    return (shipped_prompts() / f"{name}.md").read_text(encoding="utf-8")


FURTHER = {
    definition.name: definition
    for definition in (
        StageDefinition("tactical_value", TacticalValue, {"tacticalValue": "value"}, _prompt("tactical_value"), noise=5.0),
        StageDefinition(
            "update_frequency",
            UpdateFrequency,
            {"update_frequency": "days"},
            _prompt("update_frequency"),
            applies=has_schedule,
            rule=frequency_by_rule,
            offline=frequency_offline,
        ),
        StageDefinition(
            "description",
            Description,
            {"description": "description"},
            _prompt("description"),
            grounding="evidence",
            check=check_description,
            settings=known_descriptions,
        ),
    )
}
