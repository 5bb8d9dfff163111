"""Stages that a wiki can enable, built on `StageDefinition` as one's own are: `tactical_value`, `update_frequency`, `description`."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from enrich.config import Config, shipped_prompts
from enrich.errors import AnswerError
from enrich.grounding import PageIndex
from enrich.stages.definition import StageDefinition
from enrich.wiki.pages import Page, read_page
from enrich.wiki.profile import Profile
from enrich.wiki.wiki import page_files

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
