"""Sets of answers: what a model, a person or an earlier run says about pages, by the names that `enrich eval` takes (docs/evaluation.md).

The values that a wiki holds are on its pages and in `insights/*.yaml` of its data folder, now or at an earlier commit. A file of answers:

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
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
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

from enrich.config import PAGE_SUFFIXES, SEVEN_DIMENSIONS, STAGES, Config
from enrich.errors import UserError, invalid_data
from enrich.files import DATA_BYTES, Folders, read_text, write_atomically, write_text_atomically
from enrich.grounding import PageIndex
from enrich.review.lock import Lock, LockFile, owner
from enrich.review.proposals import ProposalStore
from enrich.stages.baseline import answer
from enrich.stages.fields import INSIGHTS, SUMMARY, FieldAnswer, current_value, number_of, stage_of
from enrich.stages.judges import judge_of
from enrich.stages.stage import Stage, load_stages
from enrich.text import parsed_json
from enrich.wiki import yaml12
from enrich.wiki.data import SCORES, TYPES, data_insights, page_insights, quotes_of, with_pages
from enrich.wiki.git import NoHistory, history
from enrich.wiki.page_files import RATINGS, PageFile
from enrich.wiki.pages import Page, read_page
from enrich.wiki.profile import load_profile
from enrich.wiki.wiki import Wiki, page_files


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
        text = read_text(file, within, DATA_BYTES)
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
                yield f"{file}:{place}", parsed_json(line)
            except ValueError as error:
                raise UserError(f"invalid JSON ({error})", where=f"{file}:{place}", do="write one JSON object per line") from None


BASELINE = "offline baseline"

# Gives the answers of a wiki's configured model to these stages of these pages, by page id.
Collect = Callable[[Wiki, Sequence[PageFile], Sequence[Stage]], Mapping[str, Sequence[FieldAnswer]]]


@dataclass
class Sources:
    """Reads sets of answers about `files`, restricted to the stages named in `stages`. `collect` gives a model's answers.

    With `calibrating`, a model's ratings are those that it gave, and ratings that were accepted or edited in a review are golden too.
    """

    wiki: Wiki
    files: Sequence[PageFile]
    stages: Sequence[str]
    collect: Collect
    calibrating: bool = False
    _golden: AnswerSet | None = field(default=None, init=False)

    def golden(self, named: str | None = None) -> AnswerSet:
        """The golden set (default: the configured one). Values that `enrich` wrote into the frontmatter are left out of it."""
        source = self.wiki.config.eval.golden if named is None else named
        if source.partition(":")[0] in ("model", "offline"):
            raise UserError(f"{source!r} is not golden data", do="name a file, or frontmatter", exit_code=2)
        if source == "frontmatter":
            found = stored_answers(self.wiki.config, self.files, lock=self.wiki.shared(LockFile).read())
        else:
            found = self.read(source, in_wiki=named is None)
        self._golden = self._restricted(with_decisions(self.wiki, found) if self.calibrating else found)
        return self._golden

    def is_offline(self, source: str) -> bool:
        """Whether the answers of `source` are the baseline's own."""
        return source == "offline" or (source == "model" and self.wiki.config.llm.backend == "offline")

    def read(self, source: str, *, in_wiki: bool = False) -> AnswerSet:
        """The set that `source` names. Raises `UserError` if it cannot be read. `in_wiki`: a file's path is relative to the wiki's folder."""
        config = self.wiki.config
        word, _, rest = source.partition(":")
        if source == "frontmatter":
            return self._restricted(stored_answers(self.wiki.config, self.files))
        if source.startswith("frontmatter@"):
            return self._restricted(stored_at(self.wiki.config, source.partition("@")[2]))
        if source in ("model", "offline") or (word == "model" and rest):
            return self._collected(source, rest)
        file = config.root / source if in_wiki else Path(source)
        return self._restricted(read_answers(file, self.wiki.files, config.folders if in_wiki else config.folders_of(file)))

    def _restricted(self, found: AnswerSet) -> AnswerSet:
        return found.restricted({file.id: self.stages for file in self.files})

    def _collected(self, source: str, model: str) -> AnswerSet:
        wiki = self._with_model(source, model)
        stages = load_stages(wiki.config, self.stages)
        if self.calibrating:
            stages = [replace(stage, calibration={}) for stage in stages]
        # With golden data only its pages are asked about; without, every page can at least be checked against itself.
        golden = self._golden.pages if self._golden else {}
        files = [file for file in self.files if not golden or file.id in golden]
        name = BASELINE
        if wiki.config.llm.backend != "offline":
            models, versions = dict.fromkeys(one.model for one in stages), [f"{one.name} v{one.prompt.settings.version}" for one in stages]
            name = f"{', '.join(models)} ({', '.join(versions)})"
        return _answered(name, self.collect(wiki, files, stages))

    def _with_model(self, source: str, model: str) -> Wiki:
        """The wiki with the backend and model that `source` names; a named model replaces those of single stages."""
        if source == "model":
            return self.wiki
        config = self.wiki.config
        named = {"backend": "openai", "model": model} if model else {"backend": "offline"}
        sections = {name: config.stages[name].model_copy(update={"model": model}) for name in STAGES} if model else {}
        update = {"llm": config.llm.model_copy(update=named), "stages": config.stages.model_copy(update=sections)}
        return replace(self.wiki, config=config.model_copy(update=update))


def baseline_answers(pages: Iterable[Page], asked: Mapping[str, Iterable[str]], dimensions: Iterable[str]) -> AnswerSet:
    """The baseline's answers to the stages `asked` of each page. It rates those of the `dimensions` that it knows."""
    rated = tuple(name for name in dimensions if name in SEVEN_DIMENSIONS)
    judges = {stage: judge_of(stage, rated) for stage in ("summary", "insights", *(["ratings"] if rated else []))}
    fields: dict[str, list[FieldAnswer]] = {}
    for page in pages:
        index = PageIndex.of(page)
        fields[page.id] = []
        for stage in asked.get(page.id, ()):
            if stage in judges:
                said: Any = answer(stage, page, dimensions=rated)
                # A page without a plain sentence has no summary to quote.
                if stage != "summary" or said["summary"].strip():
                    fields[page.id] += judges[stage](said, index)
    return _answered(BASELINE, fields)


def _answered(name: str, fields: Mapping[str, Sequence[FieldAnswer]]) -> AnswerSet:
    """The set of a model's judged fields, those with findings included."""
    found: dict[str, PageAnswers] = {}
    for page, given in fields.items():
        quotes = next(((item.quote for item in one.evidence) for one in given if one.field == SUMMARY), None)
        found[page] = page_answers(page, {one.field: one.value for one in given}, quotes)
    return AnswerSet(name, {page: one for page, one in found.items() if one.stages})


def stored_answers(config: Config, files: Sequence[PageFile], *, name: str = "frontmatter", lock: Lock | None = None) -> AnswerSet:
    """The values on `files` and in the data folder; unusable ones are left out with a notice.

    Insights of the data folder are tied to pages by `wiki.data.with_pages`; a page's own list replaces them. With `lock`, values that `enrich`
    wrote are left out: a model must not be measured against its own earlier answers.
    """
    listed, said = data_insights(config.data, config.folders)
    tied, loose = with_pages(listed, files)
    from_data: dict[str, list[Any]] = {}
    for one in tied:
        from_data.setdefault(one.page, []).append(one.values)
    unusable, written = _unusable([one.values for one in tied], {}), 0
    pages: dict[str, PageAnswers] = {}
    for file in files:
        page = read_page(file)
        ratings = page.data.get(RATINGS)
        fields = (SUMMARY, INSIGHTS, *(f"{RATINGS}.{dimension}" for dimension in (ratings if isinstance(ratings, Mapping) else ())))
        values = {field: current_value(page.data, field) for field in fields}
        ours = {
            field for field, value in values.items() if lock and owner(value, lock.entry(page.id, stage_of(field), page), field) == "ours"
        }
        written += len(ours)
        values = {field: value for field, value in values.items() if field not in ours}
        own = [insight.values for insight in page_insights(page)] if isinstance(values.get(INSIGHTS), list) else []
        unusable += _unusable(own, values)
        given = page_answers(file.id, {**values, INSIGHTS: own})
        if not given.insights:
            given = page_answers(file.id, {**values, INSIGHTS: from_data.get(file.id)})
        if given.stages:
            pages[file.id] = given
    counts = (
        (len(loose), "insights of the data folder belong to no page here"),
        (unusable, "stored values are out of range or have no text; left out"),
        (written, "values were written by enrich itself and are not golden data; left out"),
    )
    return AnswerSet(name, pages, (*map(str, said), *(f"{count} {message}" for count, message in counts if count)))


def _unusable(insights: Iterable[Any], values: Mapping[str, Any]) -> int:
    # Values on other scales are under `ratings` too (FIELDS.md section 15); they are not answers.
    wrong = [field for field, value in values.items() if field.startswith(RATINGS) and value is not None and number(value, 100) is None]
    return len(wrong) + sum(read_insight(insight) is None for insight in insights)


def stored_at(config: Config, revision: str) -> AnswerSet:
    """The values of the wiki at a git revision. Raises `UserError` if git does not know the revision."""
    with tempfile.TemporaryDirectory(prefix="enrich-eval-") as folder:
        root = Path(folder)
        _check_out(config, revision, root)
        earlier = config.with_root(root)
        if not earlier.content.is_dir():
            raise UserError(f"no pages in {config.wiki.content} at {revision}", where=str(config.root), do="name another revision")
        files, _ = page_files(earlier, load_profile(config.wiki.profile, config.root, config.folders))
        return stored_answers(earlier, files, name=f"frontmatter@{revision}")


def _check_out(config: Config, revision: str, root: Path) -> None:
    """Write the pages and data files of a revision below `root`, from its blobs: no link, filter or hook of the repository has an effect."""
    if revision.startswith("-"):
        raise UserError(f"not a revision: {revision!r}", where=str(config.root), do="name a commit, a tag or a branch")
    wanted = [PurePosixPath(config.wiki.content), PurePosixPath(config.wiki.data, "insights"), PurePosixPath(config.wiki.data, "enrich")]
    for folder in wanted:
        if folder.is_absolute() or ".." in folder.parts:
            raise UserError(f"{folder} is outside the wiki's folder", where=str(config.root), do="compare with a file that --save wrote")
    blobs: list[tuple[str, str]] = []
    try:
        with history(config.root) as repository:
            inside = [str(PurePosixPath(repository.prefix) / folder) for folder in wanted]
            listed = repository.git("ls-tree", "-r", "-z", revision, "--", *([] if "." in inside else inside))
            for row in listed.split(b"\0"):
                meta, _, path = os.fsdecode(row).partition("\t")
                path = path.removeprefix(repository.prefix)
                if meta.startswith("100") and path.endswith((*PAGE_SUFFIXES, ".yaml", ".yml")) and ".." not in PurePosixPath(path).parts:
                    blobs.append((meta.split()[2], path))
            contents = repository.contents(blob for blob, _ in blobs)
    except NoHistory as why:
        do = "name a commit, a tag or a branch of the wiki's repository"
        raise UserError(f"git does not know {revision!r} here: {why}", where=str(config.root), do=do) from None
    for (_, path), content in zip(blobs, contents, strict=True):
        write_atomically(root / path, [content or b""], durable=False, within=Folders(root))


def with_decisions(wiki: Wiki, golden: AnswerSet) -> AnswerSet:
    """The golden ratings, and for pages without one the ratings that a person accepted or edited in a waiting proposal."""
    pages = dict(golden.pages)
    for proposal in wiki.shared(ProposalStore).all():
        decided = {
            change.field.removeprefix("ratings."): float(change.result)
            for change in proposal.changes
            if change.field.startswith("ratings.") and change.state == "accepted" and change.decided.get("by")
        }
        before = pages.get(proposal.page) or PageAnswers(page=proposal.page)
        if decided and proposal.page in wiki.by_id:
            pages[proposal.page] = before.model_copy(update={"ratings": {**decided, **before.ratings}})
    return AnswerSet(golden.name, pages, golden.notices)
