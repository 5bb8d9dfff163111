"""Sets of answers by the names that `enrich eval` takes: model, model:NAME, offline, frontmatter, frontmatter@REVISION or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from enrich.config import SEVEN_DIMENSIONS, STAGES
from enrich.errors import UserError
from enrich.evaluation.answers import AnswerSet, from_fields, read_answers
from enrich.evaluation.stored import stored_answers, stored_at
from enrich.grounding import PageIndex
from enrich.review.lock import LockFile
from enrich.stages.answers import FieldAnswer
from enrich.stages.baseline import answer
from enrich.stages.judges import judge_of
from enrich.stages.stage import Stage, load_stages
from enrich.wiki.pages import Page, PageFile
from enrich.wiki.wiki import Wiki

BASELINE = "offline baseline"

# Gives the answers of a wiki's configured model to these stages of these pages, by page id.
Collect = Callable[[Wiki, Sequence[PageFile], Sequence[Stage]], Mapping[str, Sequence[FieldAnswer]]]


@dataclass
class Sources:
    """Reads sets of answers about `files`, restricted to the stages named in `stages`. `collect` gives a model's answers."""

    wiki: Wiki
    files: Sequence[PageFile]
    stages: Sequence[str]
    collect: Collect
    _golden: AnswerSet | None = field(default=None, init=False)

    def golden(self, source: str) -> AnswerSet:
        """The golden set. Values that `enrich` wrote into the frontmatter are left out of it."""
        if source.partition(":")[0] in ("model", "offline"):
            raise UserError(f"{source!r} is not golden data", do="name a file, or frontmatter", exit_code=2)
        if source == "frontmatter":
            found = stored_answers(self.wiki.config, self.files, lock=self.wiki.shared(LockFile).read())
        else:
            found = self.read(source)
        self._golden = self._restricted(found)
        return self._golden

    def is_offline(self, source: str) -> bool:
        """Whether the answers of `source` are the baseline's own."""
        return source == "offline" or (source == "model" and self.wiki.config.llm.backend == "offline")

    def read(self, source: str) -> AnswerSet:
        """The set that `source` names. Raises `UserError` if it cannot be read."""
        word, _, rest = source.partition(":")
        if source == "frontmatter":
            return self._restricted(stored_answers(self.wiki.config, self.files))
        if source.startswith("frontmatter@"):
            return self._restricted(stored_at(self.wiki.config, source.partition("@")[2]))
        if source in ("model", "offline") or (word == "model" and rest):
            return self._collected(source, rest)
        return self._restricted(read_answers(Path(source), self.wiki.files))

    def _restricted(self, found: AnswerSet) -> AnswerSet:
        return found.restricted({file.id: self.stages for file in self.files})

    def _collected(self, source: str, model: str) -> AnswerSet:
        wiki = self._with_model(source, model)
        stages = load_stages(wiki.config, self.stages)
        # With golden data only its pages are asked about; without, every page can at least be checked against itself.
        golden = self._golden.pages if self._golden else {}
        files = [file for file in self.files if not golden or file.id in golden]
        name = BASELINE
        if wiki.config.llm.backend != "offline":
            models, versions = dict.fromkeys(one.model for one in stages), [f"{one.name} v{one.prompt.version}" for one in stages]
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
        index = PageIndex(page.body, title=page.title, description=page.description)
        fields[page.id] = []
        for stage in asked.get(page.id, ()):
            if stage in judges:
                said: Any = answer(stage, page, dimensions=rated)
                # A page without a plain sentence has no summary to quote.
                if stage != "summary" or said["summary"].strip():
                    fields[page.id] += judges[stage](said, index)
    return _answered(BASELINE, fields)


def _answered(name: str, fields: Mapping[str, Sequence[FieldAnswer]]) -> AnswerSet:
    given = {page: from_fields(page, one) for page, one in fields.items()}
    return AnswerSet(name, {page: one for page, one in given.items() if one.stages})
