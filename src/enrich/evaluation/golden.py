"""Golden data and saved sets of answers as files: YAML, JSON or JSON lines, one entry a page (docs/evaluation.md).

```yaml
name: two reviewers, March
pages:
  north-light:                       # a page's id, or its path inside the content folder
    llmSummary: "One or two sentences."
    insights:                        # [] says: this page holds none; left out: nobody said
      - {type: claim, text: "…", surprising: 3.5, important: 4, actionable: 2, evidence: "words of the page"}
    ratings: {novelty: 3.5, rigor: 6}
```
As JSON lines each line is such an entry with its `page`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import UserError, invalid_data
from enrich.evaluation.answer_sets import AnswerSet, Insight, PageAnswers, plain
from enrich.files import write_text_atomically
from enrich.stages.judges import InsightType
from enrich.wiki import yaml12
from enrich.wiki.data import SCORES
from enrich.wiki.pages import PageFile

_LINES = (".jsonl", ".ndjson")

# Wider than the scale of 1 to 5: a set that left it is exactly what a comparison has to see.
Score = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False, strict=True)]
Rating = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False, strict=True)]
Text = Annotated[str, Field(min_length=1, strict=True)]


class _InsightEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: InsightType
    text: Annotated[Text, Field(validation_alias=AliasChoices("text", "insight"))]
    evidence: str = ""
    surprising: Score | None = None
    important: Score | None = None
    actionable: Score | None = None


class _PageEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    summary: Annotated[Text | None, Field(validation_alias=AliasChoices("llmSummary", "summary"))] = None
    summary_evidence: Annotated[list[str] | None, Field(validation_alias="summaryEvidence")] = None
    insights: list[_InsightEntry] | None = None
    ratings: dict[str, Rating] | None = None


def read_answers(file: Path, pages: Sequence[PageFile]) -> AnswerSet:
    """The set in `file`, tied to `pages` by id, else by path inside the content folder, else by address.

    Entries of unknown pages are left out with a notice. Raises `UserError` with file, place and what is allowed.
    """
    names = _names(pages)
    order = {page.id: place for place, page in enumerate(pages)}
    found: dict[str, PageAnswers] = {}
    unknown: list[str] = []
    name = file.name
    for page, entry, where in _entries(file):
        if page is None:
            name = str(entry)
            continue
        known = names.get(page.strip("/"))
        if known is None:
            unknown.append(page)
            continue
        if known in found:
            raise UserError(f"the page {page!r} stands there twice", where=where, do="keep one of the entries")
        found[known] = _page(known, entry, where)
    notices = (f"{file}: {len(unknown)} entries belong to no page of this wiki: {', '.join(unknown[:3])}",) if unknown else ()
    return AnswerSet(name, {page: found[page] for page in sorted(found, key=order.__getitem__)}, notices)


def write_answers(answers: AnswerSet, file: Path) -> None:
    """The set as JSON lines, which `read_answers` gives back. Raises `UserError` where it cannot be written."""
    lines = [json.dumps({"page": page, **_as_entry(given)}, ensure_ascii=False) for page, given in answers.pages.items()]
    write_text_atomically(file, "".join(line + "\n" for line in lines))


def _as_entry(given: PageAnswers) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if given.summary is not None:
        entry["llmSummary"] = given.summary
    if given.summary_evidence is not None:
        entry["summaryEvidence"] = list(given.summary_evidence)
    if given.insights is not None:
        entry["insights"] = [
            {"type": one.type, "text": one.text, **one.scores, **({"evidence": one.evidence} if one.evidence else {})}
            for one in given.insights
        ]
    if given.ratings:
        entry["ratings"] = dict(given.ratings)
    return entry


def _names(pages: Sequence[PageFile]) -> dict[str, str]:
    names: dict[str, str] = {}
    for page in pages:
        names.setdefault(page.url.strip("/"), page.id)
    for page in pages:
        names[page.path.rpartition(".")[0]] = names[page.path] = page.id
    return names | {page.id: page.id for page in pages}


def _entries(file: Path) -> Iterator[tuple[str | None, Any, str]]:
    """(page as named there, its entry, where) for each; (None, name, where) for the set's own name."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror or error})", where=str(file), do="name a file of answers, or `frontmatter`"
        ) from None
    except UnicodeDecodeError:
        raise UserError("not UTF-8", where=str(file), do="save the file as UTF-8") from None
    if file.suffix in _LINES:
        for place, line in enumerate(text.split("\n"), 1):
            if line.strip():
                where = f"{file}:{place}"
                yield _paged(_json(line, where), where)
        return
    loaded = _yaml(text, file)
    if isinstance(loaded, dict) and "pages" in loaded:
        extra = sorted(str(key) for key in loaded if key not in ("pages", "name"))
        if extra:
            raise UserError(f"unknown key `{extra[0]}`", where=str(file), do="allowed here: name, pages")
        if isinstance(loaded.get("name"), str):
            yield None, loaded["name"], str(file)
        loaded = loaded["pages"]
    if isinstance(loaded, dict):
        for page, entry in loaded.items():
            yield str(page), entry, f"{file}, page {page!r}"
    elif isinstance(loaded, list):
        for place, entry in enumerate(loaded, 1):
            yield _paged(entry, f"{file}, entry {place}")
    else:
        raise UserError("no set of answers", where=str(file), do="write `pages:` with one entry for each page (docs/evaluation.md)")


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"no JSON ({error})", where=where, do="write one JSON object a line") from None


def _yaml(text: str, file: Path) -> Any:
    try:
        return yaml12.load(text)
    except yaml12.YamlError as error:
        raise UserError(f"broken YAML: {error.reason}", where=f"{file}:{error.line}" if error.line else str(file), do="mend it") from None


def _paged(entry: Any, where: str) -> tuple[str, Any, str]:
    if not isinstance(entry, dict) or not isinstance(entry.get("page"), str):
        raise UserError("an entry without its `page`", where=where, do='write {"page": "id", "llmSummary": …}')
    return entry["page"], {key: value for key, value in entry.items() if key != "page"}, where


def _page(page: str, entry: Any, where: str) -> PageAnswers:
    try:
        read = _PageEntry.model_validate({} if entry is None else entry)
    except ValidationError as error:
        raise invalid_data(error, _PageEntry, where) from None
    return PageAnswers(
        page,
        plain(read.summary) if read.summary is not None else None,
        tuple(map(plain, read.summary_evidence)) if read.summary_evidence is not None else None,
        tuple(map(_insight, read.insights)) if read.insights is not None else None,
        dict(read.ratings or {}),
    )


def _insight(entry: _InsightEntry) -> Insight:
    scores: Mapping[str, float | None] = {name: getattr(entry, name) for name in SCORES}
    return Insight(
        entry.type, plain(entry.text), {name: score for name, score in scores.items() if score is not None}, plain(entry.evidence)
    )
