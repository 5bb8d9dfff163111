"""From one page's answers to its proposal: what differs from the page, what only renews the lock, what a person must look at (DESIGN.md section 3)."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from typing import Any

from enrich.config import STAGES
from enrich.files import remove_file, write_text_atomically
from enrich.grounding.statements import NearDuplicates, likeness, same_statement
from enrich.review.applying import line_marks, quality_after
from enrich.review.lock import PERSONS, Lock, LockEntry, LockFile, Question, lock_entry, owner, parsed_rows
from enrich.review.proposals import LEAP, NEEDS_LOOK, OVER_HUMAN, FieldChange, Proposal, ProposalStore, item_id
from enrich.review.support import SUPPORTED, EvidenceFile, Support, support_of
from enrich.stages.fields import INSIGHTS, QUALITY, FieldAnswer, current_value, holds, is_missing, same, value_hash, within
from enrich.stages.judges import NEAR_SAME, kept, statement
from enrich.stages.stage import OFFLINE
from enrich.text import parsed_json
from enrich.wiki.data import insights_of_pages, page_insights
from enrich.wiki.pages import Page, read_page
from enrich.wiki.wiki import Wiki

HELD = "enrich.held.jsonl"
"""One proposal a line: fields that a run held back (pending), and fields that it wrote on the branch of a pull request (accepted)."""


@dataclass(frozen=True, slots=True)
class StageAnswer:
    """One stage's checked answer for one page, and where it came from. Values that differ by less than `noise` are taken as equal.

    `partial`: it is about these fields alone; the stage's other fields keep their values, their proposals and their questions.
    """

    stage: str
    fields: Sequence[FieldAnswer]
    question: Question
    prompt_version: str = ""
    tokens: Mapping[str, int] | None = None
    cost_usd: float | None = None
    asked: str = ""
    run: str = ""
    noise: float = 0.0
    partial: bool = False

    def about(self, fields: Collection[str]) -> StageAnswer:
        """The answer about these of its fields."""
        return replace(self, fields=[given for given in self.fields if given.field in fields], partial=True)

    def replaces(self, change: FieldChange) -> bool:
        """Whether an earlier proposal for the field has no more to say."""
        return change.stage == self.stage and (not self.partial or change.field in {QUALITY, *(given.field for given in self.fields)})


@dataclass(frozen=True, slots=True)
class Renewal:
    """A lock entry in place of the one (None: none) that it was made from, and what the confirmed values rest on now."""

    before: LockEntry | None
    after: LockEntry
    supports: Sequence[Support] = ()


def propose(wiki: Wiki, lock: Lock, page: Page, answers: Sequence[StageAnswer]) -> tuple[list[FieldChange], list[Renewal]]:
    """Write the page's proposal. Returns its changes from these answers, and the lock entries that answers without a change renew."""
    store = wiki.shared(ProposalStore)
    changes: list[FieldChange] = []
    renewals: list[Renewal] = []
    for answer in answers:
        entry = lock.entry(page.id, answer.stage, page)
        differing, confirmed = _compared(wiki, page, answer, entry)
        changes += differing
        changes += _quality_change(wiki, page, entry, differing)
        if confirmed:
            supports = [
                support_of(page, given.field, current_value(page.data, given.field), given.value, given.evidence)
                for given in answer.fields
                if given.field in confirmed and given.field in SUPPORTED.values()
            ]
            renewed = lock_entry(page.id, answer.stage, answer.question, entry, written=confirmed, date=wiki.today)
            renewals.append(Renewal(entry, renewed, supports))
    with store.writing():
        before = store.get(page.id)
        if before is not None or changes:
            changes = [_with_decision(change, before) for change in changes]
            after = _merged(page, before, changes, answers)
            if after != before:
                store.put(after)
    return changes, renewals


def renew(wiki: Wiki, renewals: Iterable[Renewal]) -> None:
    """Write renewed entries, except where the entry changed meanwhile (`enrich apply` ran): those pages are looked at in the next run."""
    lock = wiki.shared(LockFile)
    with lock.writing():
        now = lock.read()
        entries: dict[tuple[str, str], LockEntry | None] = {}
        supports: list[Support] = []
        for item in renewals:
            key = item.after.page, item.after.stage
            found = now.entries(*key)
            if item.before in found or (item.before is None and not found):
                entries[key] = item.after
                supports += item.supports
        lock.update(entries)
        wiki.shared(EvidenceFile).update(supports)


def _compared(wiki: Wiki, page: Page, answer: StageAnswer, entry: LockEntry | None) -> tuple[list[FieldChange], dict[str, str]]:
    """The changes to propose for one stage, and the value hashes of fields of ours that the answer confirms.

    A value that comes out equal, or that differs by less than the noise threshold, is not proposed. The baseline fills gaps and renews its own values;
    it never replaces a person's or a model's. A rating that moves far is flagged.
    """
    changes: list[FieldChange] = []
    confirmed: dict[str, str] = {}
    leap = wiki.config.stages.ratings.leap
    for answered in answer.fields:
        old = current_value(page.data, answered.field)
        whose = owner(old, entry, answered.field)
        given = answered
        if given.field == INSIGHTS and given.value:
            given = _matched(_worth_proposing(wiki, page, given, answer, entry), old, answer.noise, page)
        if holds(page, given.field, given.value) or within(old, given.value, given.noise(given.field, answer.noise)):
            if whose not in PERSONS:
                confirmed[given.field] = value_hash(old)
            continue
        renewable = whose == "ours" and entry is not None and entry.question_of(given.field).model == OFFLINE
        if answer.question.model == OFFLINE and whose != "missing" and not renewable:
            continue
        leaps = answer.stage == "ratings" and within(old, given.value, inf) and not within(old, given.value, leap)
        flags = [flag for flag, applies in ((NEEDS_LOOK, given.hard), (OVER_HUMAN, whose in PERSONS), (LEAP, leaps)) if applies]
        change = FieldChange(
            **{name: getattr(answer, name) for name in ("stage", "question", "prompt_version", "cost_usd", "asked", "run")},
            **{name: getattr(given, name) for name in ("field", "findings", "evidence", "samples", "interval")},
            old=None if is_missing(old) else old,
            new=given.value,
            flags=tuple(flags),
            reason=given.reason or " ".join(f"({place}) {reason}" for place, reason in enumerate(given.reasons, 1) if reason),
            spread={part: list(ends) for part, ends in given.spread.items()} or None,
            tokens=dict(answer.tokens or {}),
        )
        changes.append(change)
    return changes, confirmed


def _quality_change(wiki: Wiki, page: Page, entry: LockEntry | None, ratings: Sequence[FieldChange]) -> list[FieldChange]:
    """The formula's value for `quality`, proposed with a model's changed ratings if the value on the page is a person's."""
    old = page.data.get(QUALITY)
    if not ratings or ratings[0].stage != "ratings" or ratings[0].model == OFFLINE or owner(old, entry, QUALITY) not in PERSONS:
        return []
    new = quality_after(wiki, page, ratings)
    if new is None or same(old, new) or page.file.fields.path(QUALITY) is None:
        return []
    answer = replace(ratings[0], findings=(), evidence=(), samples=1, spread=None, interval=None)
    reason = "computed from the ratings; when it is applied, from those that are on the page then"
    return [replace(answer, field=QUALITY, old=None if is_missing(old) else old, new=new, flags=(OVER_HUMAN,), reason=reason)]


_PLACE = re.compile(r"insights\[(\d+)\]")


def _matched(given: FieldAnswer, old: Any, noise: float, page: Page) -> FieldAnswer:
    """An answer whose insights are matched to those on the page: an unchanged one keeps its text and its place; findings and evidence follow."""
    if not isinstance(old, list) or not given.value:
        return given
    old = [
        {name: value.replace("\\$", "$") if isinstance(value, str) else value for name, value in insight.items()}
        if isinstance(insight, Mapping)
        else insight
        for insight in old
    ]
    # A person must see the exact text that a finding is about.
    marked = frozenset(int(place[1]) for finding in given.findings if (place := _PLACE.match(finding.where)))
    value, order = kept(old, given.value, lambda place, score: given.noise(f"{INSIGHTS}[{place}].{score}", noise), marked, page.language)
    return _reordered(given, value, order)


def _worth_proposing(wiki: Wiki, page: Page, given: FieldAnswer, answer: StageAnswer, entry: LockEntry | None) -> FieldAnswer:
    """The answer without insights that say nearly the same as an earlier one or one of the data folder, and without those that were rejected when
    they were the answer to the same question. The baseline's that another page has go too: a sentence of many pages is not what one says.
    """
    published = wiki.shared(_PublishedInsights) if answer.question.model == OFFLINE else None
    rejected = entry.rejected if entry is not None and not entry.question.reasons(answer.question) else ()
    left, texts = [], [insight.text for insight in wiki.shared_by_copies(insights_of_pages).get(page.id, ())]
    for at, item in enumerate(given.value):
        text = str(item.get("text") or "")
        twin = any(likeness(text, other) >= NEAR_SAME and same_statement(text, other, page.language) for other in texts)
        texts.append(text)
        elsewhere = published is not None and published.only_elsewhere(page.id, text)
        if not (twin or elsewhere or f"{INSIGHTS}.{item_id(item)}" in rejected):
            left.append(at)
    kept_ones = _reordered(given, [given.value[at] for at in left], left)
    if published is not None:
        published.add(page.id, kept_ones.value)
    return kept_ones


class _PublishedInsights:
    """The insights on all pages, in the data folder and in proposals. Pages are read when the baseline proposes the first ones."""

    def __init__(self, wiki: Wiki) -> None:
        self._texts, self._pages = NearDuplicates(), list[str]()
        for insight in chain(*wiki.shared_by_copies(insights_of_pages).values(), *(page_insights(read_page(file)) for file in wiki.files)):
            self.add(insight.page, [insight.values])
        for proposal in wiki.shared(ProposalStore).all():
            if change := proposal.change(INSIGHTS):
                self.add(proposal.page, change.new or ())

    def add(self, page: str, insights: Iterable[Any]) -> None:
        for insight in insights:
            self._texts.add(statement(insight)[0])
            self._pages.append(page)

    def only_elsewhere(self, page: str, text: str) -> bool:
        """Whether another page has nearly the same insight, and this one does not have it yet."""
        pages = [self._pages[place] for place, _ in self._texts.find(text)]
        return bool(pages) and page not in pages


def _reordered(given: FieldAnswer, value: Sequence[Any], order: Sequence[int]) -> FieldAnswer:
    """The insights `value`, each with the place in `given` that it had; findings and evidence follow, those of insights that are gone go."""
    places = {before: now for now, before in enumerate(order)}

    def follow(where: str) -> str | None:
        place = _PLACE.match(where)
        if not place:
            return where
        return f"insights[{places[int(place[1])]}]{where[place.end() :]}" if int(place[1]) in places else None

    return replace(
        given,
        value=list(value),
        findings=tuple(replace(finding, where=now) for finding in given.findings if (now := follow(finding.where))),
        evidence=tuple(replace(item, where=now) for item in given.evidence if (now := follow(item.where))),
        reasons=tuple(given.reasons[place] for place in order) if given.reasons else (),
        spread={now: ends for part, ends in given.spread.items() if (now := follow(part))},
    )


def _with_decision(change: FieldChange, before: Proposal | None) -> FieldChange:
    """The change with the decision that a person has already made on the same answer to the same question."""
    earlier = before.change(change.field) if before else None
    if earlier is None or earlier.question.reasons(change.question):
        return change
    if not (same(earlier.proposed.new, change.new) and same(earlier.old, change.old)):
        return change
    if earlier.edited:
        return replace(earlier, **{name: getattr(change, name) for name in ("question", "tokens", "cost_usd", "asked", "run")})
    return replace(change, state=earlier.state, decided=earlier.decided, items=earlier.items)


def _merged(page: Page, before: Proposal | None, changes: Sequence[FieldChange], answers: Sequence[StageAnswer]) -> Proposal:
    """The page's proposal with these changes, those of other stages, and values that a person edited and the new answers leave alone."""
    base = before or Proposal(page.id, page.file.path, ())
    fields = {change.field for change in changes}
    others = [
        change
        for change in base.changes
        if not any(answer.replaces(change) for answer in answers) or (change.edited and change.field not in fields)
    ]
    # A field keeps its place whichever stage was asked again.
    ordered = sorted((*others, *changes), key=lambda change: STAGES.index(change.stage) if change.stage in STAGES else len(STAGES))
    named = {change.question.page_hash for change in ordered}
    seen = {digest: marks for digest, marks in {**base.seen, page.hash: line_marks(page)}.items() if digest in named}
    return Proposal(page.id, page.file.path, tuple(ordered), seen, base.assigned)


# What an earlier run held back: `enrich.held.jsonl` travels on the branch of a pull request, and `proposals/` does not


def read_held(wiki: Wiki) -> list[Proposal]:
    """The proposals of `enrich.held.jsonl`; [] if there is no such file. Raises `UserError` that names the line of what is not a proposal."""
    file, do = wiki.config.root / HELD, "restore it from version control, or delete it"
    return list(parsed_rows(file, lambda row: Proposal.load(parsed_json(row)), wiki.config.folders, what="not a proposal", do=do))


def write_held(wiki: Wiki, proposals: Iterable[Proposal]) -> None:
    """Write the file, one line a page; without any field it is removed."""
    merged: dict[str, Proposal] = {}
    for proposal in proposals:
        before = merged.get(proposal.page)
        merged[proposal.page] = before.with_changes(proposal.changes, proposal.seen) if before else proposal
    file = wiki.config.root / HELD
    rows = [json.dumps(one.document(), ensure_ascii=False) + "\n" for _, one in sorted(merged.items()) if one.changes]
    if rows:
        write_text_atomically(file, "".join(rows), within=wiki.config.folders)
    else:
        remove_file(file, wiki.config.folders)


def restore_held(wiki: Wiki) -> None:
    """Propose again what an earlier run held back, where nothing newer is proposed and the field was not rejected since."""
    if held := read_held(wiki):
        lock = wiki.shared(LockFile).read()

        def waits(page: str, change: FieldChange) -> bool:
            entry = lock.entry(page, change.stage, None)
            rejected = entry is not None and change.field in entry.rejected and not entry.question.reasons(change.question)
            return change.state == "pending" and not rejected

        known = (one for one in held if one.page in wiki.by_id)
        waiting = (replace(one, changes=tuple(change for change in one.changes if waits(one.page, change))) for one in known)
        propose_again(wiki, waiting, over=False)


def propose_again(wiki: Wiki, held: Iterable[Proposal], *, over: bool) -> None:
    """Put held changes among the proposals; `over`: also in place of what is proposed for the same fields now."""
    store = wiki.shared(ProposalStore)
    with store.writing():
        for proposal in held:
            base = store.get(proposal.page) or replace(proposal, changes=())
            changes = [change for change in proposal.changes if over or base.change(change.field) is None]
            if changes:
                store.put(base.with_changes(changes, proposal.seen))
