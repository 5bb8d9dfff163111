"""Sets of answers by the names that `enrich eval` takes: model, model:NAME, offline, frontmatter, frontmatter@REVISION or a file.

The values that a wiki holds are on its pages and in `insights/*.yaml` of its data folder, now or at an earlier commit.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from enrich.config import PAGE_SUFFIXES, SEVEN_DIMENSIONS, STAGES, Config
from enrich.errors import UserError
from enrich.evaluation.answers import AnswerSet, PageAnswers, number, page_answers, read_answers, read_insight
from enrich.evaluation.calibration import with_decisions
from enrich.grounding import PageIndex
from enrich.review.lock import Lock, LockFile, owner
from enrich.stages.baseline import answer
from enrich.stages.fields import INSIGHTS, SUMMARY, FieldAnswer, current_value, stage_of
from enrich.stages.judges import judge_of
from enrich.stages.stage import Stage, load_stages
from enrich.wiki.data import data_insights, page_insights, with_pages
from enrich.wiki.field_map import RATINGS
from enrich.wiki.git import NoHistory, history
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, read_page
from enrich.wiki.profile import load_profile
from enrich.wiki.wiki import Wiki, page_files

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
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content or b"")
