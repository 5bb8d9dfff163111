"""Asking about a page that does not fit into the model's context: about its sections, then about their summaries and a condensed page.

Each section is a question of its own in the cache: a page that was interrupted continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enrich.errors import AnswerError, ServiceError
from enrich.grounding import Finding, PageIndex
from enrich.llm.messages import AnswerWaitsError, Tally
from enrich.llm.tokens import estimate_tokens
from enrich.stages.sections import IN_SECTIONS, LEAST_ROOM, condensed_page, merged_insights, split_page, summaries_page
from enrich.wiki.pages import Page

if TYPE_CHECKING:
    from enrich.runs.ask import Asker, PageResult, Sample

# Sections that a server still refuses are made smaller: shares of the room.
_SMALLER = (1.0, 0.6, 0.35)
# Summaries of summaries of so many levels do not become shorter.
_MOST_LEVELS = 4


@dataclass(slots=True)
class SectionAsker:
    """Asks about the sections of one page. `index` is the whole page's, so that evidence is located on it."""

    asker: Asker
    page: Page
    index: PageIndex
    result: PageResult
    share: float = 1.0

    async def ask(self, samples: Sequence[Sample]) -> None:
        """Give each sample the answer that the sections' answers make together, or the reason why there is none."""
        for self.share in _SMALLER:
            for sample in samples:
                sample.spent = Tally()
            try:
                await self._answer(samples)
                return
            except (AnswerError, ServiceError) as error:
                if isinstance(error, ServiceError) and error.final:
                    raise
                for sample in samples:
                    sample.fields, sample.closed = None, True
                    sample.refuse(error if isinstance(error, AnswerError) else AnswerError(error.cause, error.detail))
                if error.cause != "too-long":
                    return
        if (answers := self.asker.service.answers) is not None:
            for sample in samples:
                answers.put(sample.key, {"too_long": sample.error.detail, "context": self.asker.context(sample.stage.model) or 0})
                if self.asker.service.client is not None:
                    self.asker.service.client.forget(sample.key)

    async def _answer(self, samples: Sequence[Sample]) -> None:
        by_section = [sample for sample in samples if sample.stage.name in IN_SECTIONS]
        sections = split_page(self.page, self._room(self.page, by_section)) if by_section else []
        if sections:
            self.result.sections = len(sections)
        whole = [sample for sample in samples if sample not in by_section]
        condensed = [(condensed_page(self.page, self._room(self.page, [sample])), [sample]) for sample in whole]
        found = await self._each([*((section, by_section) for section in sections), *condensed])
        parts, alone = list(zip(sections, found, strict=False)), found[len(sections) :]
        for sample in samples:
            if sample not in by_section:
                data = alone[whole.index(sample)][0].data
            else:
                answers = [(section, own[by_section.index(sample)]) for section, own in parts]
                if sample.stage.name == "insights":
                    data = merged_insights([answer.fields or () for _, answer in answers])
                else:
                    data = await self._summary([(section, answer.data) for section, answer in answers], sample, _MOST_LEVELS)
            sample.sections = max(1, len(parts))
            sample.judge(data, self.index)
            self.asker.store([sample], ())

    async def _each(self, asked: Sequence[tuple[Page, Sequence[Sample]]]) -> list[list[Sample]]:
        """The samples' answers about each of these parts of the page. All are asked about, also where some answers come later."""
        found, waits = [], None
        for part, samples in asked:
            try:
                found.append(await self._section(part, samples))
            except AnswerWaitsError as error:
                waits = error
        if waits is not None:
            raise waits
        return found

    def _room(self, page: Page, samples: Sequence[Sample]) -> int:
        """The tokens of a section. Raises `AnswerError` if there are too few."""
        room = self.asker.room(page, samples)
        # Without a room the page fits by the estimate, but a server has refused it.
        tokens = round((0.9 * estimate_tokens(page.body) if room is None else room) * self.share)
        if tokens < LEAST_ROOM:
            context = self.asker.context(samples[0].stage.model)
            raise AnswerError("too-long", f"a context of {context} tokens has no room for the page beside the prompts and the answer")
        return tokens

    async def _summary(self, answers: Sequence[tuple[Page, Any]], sample: Sample, levels: int) -> Any:
        """The summary of the sections' summaries; of their summaries, if they do not fit either."""
        overview = summaries_page(self.page, answers)
        if self.asker.room(overview, [sample]) is None:
            return (await self._section(overview, [sample]))[0].data
        if not levels:
            raise AnswerError("too-long", "the summaries of the page's sections do not fit into the model's context")
        sections = split_page(overview, self._room(overview, [sample]))
        found = await self._each([(section, [sample]) for section in sections])
        return await self._summary([(section, own[0].data) for section, own in zip(sections, found, strict=True)], sample, levels - 1)

    async def _section(self, section: Page, samples: Sequence[Sample]) -> list[Sample]:
        """The samples' answers about one section, stored as questions of their own. Raises `AnswerError` if one is missing."""
        own = [sample.about(section) for sample in samples]
        for part in self.asker.unanswered(own, self.index):
            await self.asker.converse(section, self.index, part, self.result)
        for sample, answer in zip(samples, own, strict=True):
            sample.spent.add(answer.spent.usage, answer.spent.cost_usd)
            if answer.fields is None:
                raise answer.error
        return own


def asked_in_sections(sections: int, where: str) -> Finding:
    """The finding on a field whose page was not asked whole."""
    how = f"in {sections} sections" if sections > 1 else "in a condensed form"
    return Finding("sections", "soft", f"the page does not fit into the model's context: it was asked about {how}", where)
