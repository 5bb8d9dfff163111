"""Sets of answers: what a model, a person or an earlier run says about pages, in memory and as files (docs/evaluation.md).

```yaml
name: two reviewers, March
pages:
  north-light:                       # a page's id, or its path inside the content folder
    llmSummary: "One or two sentences."
    insights:                        # []: this page has none; left out: unknown
      - {type: claim, text: "…", surprising: 3.5, important: 4, actionable: 2, evidence: "words of the page"}
    ratings: {novelty: 3.5, rigor: 6}
```
As JSON lines each line is such an entry with its `page`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from enrich.errors import UserError, invalid_data
from enrich.files import DATA_BYTES, Folders, read_text, write_text_atomically
from enrich.stages.fields import number_of
from enrich.wiki import yaml12
from enrich.wiki.data import SCORES, TYPES, quotes_of
from enrich.wiki.page_files import PageFile


def plain(text: str) -> str:
    """The text on one line, with `$` for `\\$` (DESIGN.md section 4.1, `escape_dollar`)."""
    return " ".join(text.split()).replace("\\$", "$")


# Scores may leave their scale of 1 to 5: a comparison has to see that.
Score = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False, strict=True)]
Line = Annotated[str, Field(strict=True), AfterValidator(plain)]
Text = Annotated[Line, Field(min_length=1)]
# In a file, a single quote is a text.
Quotes = Annotated[
    tuple[Line, ...],
    BeforeValidator(lambda value: tuple(filter(None, [value])) if isinstance(value, str) else value),
    PlainSerializer(lambda quotes: quotes if len(quotes) > 1 else "".join(quotes)),
]


class ScoredInsight(BaseModel):
    """One insight of an answer. `evidence` has its quotes; in a file a single one may be a text."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: str
    text: Annotated[Text, Field(validation_alias=AliasChoices("text", "insight"))]
    surprising: Score | None = None
    important: Score | None = None
    actionable: Score | None = None
    evidence: Quotes = ()

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str, info: ValidationInfo) -> str:
        # Pages may have types of their own; a golden file must not have spelling mistakes.
        if info.context == "file" and value not in TYPES:
            raise ValueError(f"must be one of {', '.join(TYPES)}")
        return value

    @property
    def scores(self) -> dict[str, float]:
        """The scores that are given, by name."""
        return {name: score for name in SCORES if (score := getattr(self, name)) is not None}


class PageAnswers(BaseModel):
    """What a set says about one page. None: it says nothing; `insights` of (): the page has none.

    `summary_evidence` are the quotes given for the summary, None if none were asked for. `ratings` are 0 to 10 by dimension.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    page: str
    summary: Text | None = Field(None, validation_alias=AliasChoices("llmSummary", "summary"), serialization_alias="llmSummary")
    summary_evidence: tuple[Line, ...] | None = Field(None, validation_alias="summaryEvidence", serialization_alias="summaryEvidence")
    insights: tuple[ScoredInsight, ...] | None = None
    ratings: Mapping[str, Score] = {}

    @property
    def stages(self) -> frozenset[str]:
        """The stages it answers."""
        given = {"summary": self.summary is not None, "insights": self.insights is not None, "ratings": bool(self.ratings)}
        return frozenset(stage for stage in given if given[stage])

    def only(self, stages: Iterable[str]) -> PageAnswers:
        """The answers of these stages."""
        parts = {"summary": ("summary", "summary_evidence"), "insights": ("insights",), "ratings": ("ratings",)}
        return PageAnswers.model_construct(page=self.page, **{name: getattr(self, name) for stage in stages for name in parts[stage]})


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """Answers by page id, in page order. `name` is for tables; `notices` say what could not be read."""

    name: str
    pages: Mapping[str, PageAnswers]
    notices: tuple[str, ...] = ()

    def of(self, page: str) -> PageAnswers:
        """The answers about a page, empty if it has none."""
        return self.pages.get(page) or PageAnswers(page=page)

    def with_stage(self, stage: str) -> list[PageAnswers]:
        """The pages with an answer to `stage`."""
        return [page for page in self.pages.values() if stage in page.stages]

    def restricted(self, to: Mapping[str, Iterable[str]]) -> AnswerSet:
        """Only these stages of these pages, so that two sets are judged on the same questions."""
        kept = {page: answers.only(to[page]) for page, answers in self.pages.items() if page in to}
        return replace(self, pages={page: answers for page, answers in kept.items() if answers.stages})

    @property
    def asked(self) -> dict[str, frozenset[str]]:
        """The stages answered, by page."""
        return {page: answers.stages for page, answers in self.pages.items()}


def page_answers(page: str, values: Mapping[str, Any], evidence: Iterable[str] | None = None) -> PageAnswers:
    """The answers in the values of a page's fields, those that can be used. `evidence`: the quotes given for the summary."""
    summary, insights = values.get("llmSummary"), values.get("insights")
    scores = {field.removeprefix("ratings."): number(value, 10) for field, value in values.items() if field.startswith("ratings.")}
    return PageAnswers(
        page=page,
        summary=(plain(summary) if isinstance(summary, str) else "") or None,
        summary_evidence=None if evidence is None else tuple(evidence),
        insights=tuple(filter(None, map(read_insight, insights))) if isinstance(insights, list) else None,
        ratings={name: score for name, score in scores.items() if score is not None},
    )


def read_insight(values: Any) -> ScoredInsight | None:
    """An insight from a mapping as pages hold it (DESIGN.md section 4.4), without scores that are not 0 to 10; None if it has no text."""
    if not isinstance(values, Mapping) or not isinstance(values.get("text"), str) or not values["text"].strip():
        return None
    return ScoredInsight(
        type=str(values.get("type") or ""),
        text=values["text"],
        evidence=quotes_of(values),
        **{name: number(values.get(name), 10) for name in SCORES},
    )


def number(value: Any, high: float) -> float | None:
    """`value` as a number from 0 to `high`, or None."""
    found = number_of(value)
    return found if found is not None and 0 <= found <= high else None


def read_answers(file: Path, pages: Sequence[PageFile], within: Folders | None = None) -> AnswerSet:
    """The set in `file`, tied to `pages` by id, else by path inside the content folder, else by site path.

    Entries of unknown pages are left out with a notice. Raises `UserError` with file, place and what is allowed.
    """
    names = {page.url.strip("/"): page.id for page in reversed(pages)}
    names |= {name: page.id for page in pages for name in (page.path.rpartition(".")[0], page.path)}
    names |= {page.id: page.id for page in pages}
    found: dict[str, PageAnswers] = {}
    unknown: list[str] = []
    name, entries = _read_file(file, within)
    for where, entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("page"), str):
            what = "an entry without its `page`" if isinstance(entry, dict) else "an entry must be a mapping"
            raise UserError(what, where=where, do='write {"page": "id", "llmSummary": …}')
        known = names.get(entry["page"].strip("/"))
        if known is None:
            unknown.append(entry["page"])
        elif known in found:
            raise UserError(f"there are two entries for page {entry['page']!r}", where=where, do="keep one of the entries")
        else:
            try:
                found[known] = PageAnswers.model_validate({**entry, "page": known}, context="file")
            except ValidationError as error:
                raise invalid_data(error, PageAnswers, where) from None
    notices = (f"{file}: {len(unknown)} entries belong to no page of this wiki: {', '.join(unknown[:3])}",) if unknown else ()
    return AnswerSet(name, {page.id: found[page.id] for page in pages if page.id in found}, notices)


def write_answers(answers: AnswerSet, file: Path, within: Folders | None = None) -> None:
    """Write the set as JSON lines that `read_answers` reads. Raises `UserError` if it cannot be written."""
    entries = [given.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True) for given in answers.pages.values()]
    write_text_atomically(file, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), within=within)


def _read_file(file: Path, within: Folders | None) -> tuple[str, Iterator[tuple[str, Any]]]:
    """(the set's name, its entries with their places in the file)."""
    try:
        text = read_text(file, within, DATA_BYTES).removeprefix("\ufeff")
    except OSError as error:
        do = "name a file of answers, or `frontmatter`"
        raise UserError(f"cannot be read ({error.strerror or error})", where=str(file), do=do) from None
    except UnicodeDecodeError:
        raise UserError("not UTF-8", where=str(file), do="save the file as UTF-8") from None
    if file.suffix in (".jsonl", ".ndjson"):
        return file.name, _json_lines(text, file)
    try:
        loaded = yaml12.load(text)
    except yaml12.YamlError as error:
        where = f"{file}:{error.line}" if error.line else str(file)
        raise UserError(error.reason.replace("broken", "invalid", 1), where=where, do="fix that line") from None
    name = file.name
    if isinstance(loaded, dict) and "pages" in loaded:
        extra = sorted(str(key) for key in loaded if key not in ("pages", "name"))
        if extra:
            raise UserError(f"unknown key `{extra[0]}`", where=str(file), do="allowed here: name, pages")
        name = loaded["name"] if isinstance(loaded.get("name"), str) else name
        loaded = loaded["pages"]
    if isinstance(loaded, dict):
        # A page without anything may be empty.
        pages = ((page, {} if entry is None else entry) for page, entry in loaded.items())
        named = ((page, {**entry, "page": str(page)} if isinstance(entry, dict) else entry) for page, entry in pages)
        return name, ((f"{file}, page {page!r}", entry) for page, entry in named)
    if isinstance(loaded, list):
        return name, ((f"{file}, entry {place}", entry) for place, entry in enumerate(loaded, 1))
    raise UserError("not a set of answers", where=str(file), do="write `pages:` with one entry for each page (docs/evaluation.md)")


def _json_lines(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    for place, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"{file}:{place}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"invalid JSON ({error})", where=f"{file}:{place}", do="write one JSON object per line") from None
