"""From answers to a proposal: what differs from the page, what merely renews the lock, what a person must look at (DESIGN.md section 3.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from enrich.review.lock import LockLine
from enrich.review.origin import Origin
from enrich.review.ownership import PERSONS, owner
from enrich.review.proposals import NEEDS_LOOK, OVER_HUMAN, FieldChange
from enrich.stages.catalogue import OFFLINE
from enrich.stages.fields import FieldAnswer
from enrich.stages.landing import is_missing, same, standing, value_hash
from enrich.stages.matching import kept, order_kept, within
from enrich.wiki.pages import Page


@dataclass(frozen=True, slots=True)
class StageAnswer:
    """One stage's judged answer for one page, with where it came from."""

    stage: str
    fields: Sequence[FieldAnswer]
    origin: Origin
    prompt_version: str = ""
    tokens: Mapping[str, int] | None = None
    cost_usd: float | None = None
    asked: str = ""
    run: str = ""
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer means for a page: changes to propose, and fields of ours (with value hashes) that it confirms."""

    changes: tuple[FieldChange, ...]
    confirmed: Mapping[str, str]


def outcome(page: Page, answer: StageAnswer, line: LockLine | None) -> Outcome:
    """Compare one stage's answer with the page. A value that comes out equal, or moved by less than the noise threshold, is not proposed."""
    changes: list[FieldChange] = []
    confirmed: dict[str, str] = {}
    for answered in answer.fields:
        old = standing(page.frontmatter, answered.field)
        whose = owner(old, line, answered.field)
        given = _settled(answered, old, answer.noise)
        if same(old, given.value) or within(old, given.value, answer.noise):
            if whose not in PERSONS:
                confirmed[given.field] = value_hash(old)
            continue
        if answer.origin.model == OFFLINE and not _baseline_may_write(whose, line, given.field):
            continue
        flags = []
        if given.hard:
            flags.append(NEEDS_LOOK)
        if whose in PERSONS:
            flags.append(OVER_HUMAN)
        changes.append(
            FieldChange(
                field=given.field,
                stage=answer.stage,
                old=None if is_missing(old) else old,
                new=given.value,
                origin=answer.origin,
                flags=tuple(flags),
                findings=tuple(finding.to_json() for finding in given.findings),
                evidence=tuple(item.to_json() for item in given.evidence),
                reason=given.reason,
                spread={part: list(ends) for part, ends in given.spread.items()},
                samples=given.samples,
                prompt_version=answer.prompt_version,
                tokens=dict(answer.tokens or {}),
                cost_usd=answer.cost_usd,
                asked=answer.asked,
                run=answer.run,
            )
        )
    return Outcome(tuple(changes), confirmed)


def renewed(page: str, answer: StageAnswer, line: LockLine | None, confirmed: Mapping[str, str], date: str) -> LockLine:
    """The lock line after an answer that changed nothing: `confirmed` fields answer this question now, others keep what they had."""
    return settled_line(page, answer.stage, answer.origin, line, written=confirmed, date=date)


def settled_line(
    page: str,
    stage: str,
    origin: Origin,
    line: LockLine | None,
    *,
    written: Mapping[str, str],
    rejected: Iterable[str] = (),
    date: str,
) -> LockLine:
    """The lock line of a stage once `written` fields (with value hashes) answer the question `origin`, and `rejected` ones were refused for it.

    Fields of ours that neither name keep their own, earlier question.
    """
    fields = dict(line.fields) if line else {}
    same_question = line is not None and not line.origin.reasons(origin) and line.origin.key == origin.key
    older: dict[str, Origin] = {}
    refused = set(line.rejected) if line and same_question else set()
    if line:
        for name in fields:
            earlier = line.origin_of(name)
            if not same_question or name in line.older:
                older[name] = earlier
    for name, value in written.items():
        fields[name] = value
        older.pop(name, None)
        refused.discard(name)
    refused |= set(rejected)
    return LockLine(page, stage, origin, fields, tuple(sorted(refused)), older, date)


_PLACE = re.compile(r"insights\[(\d+)\]")


def _unescaped(insight: Any) -> Any:
    if not isinstance(insight, Mapping):
        return insight
    return {name: value.replace("\\$", "$") if isinstance(value, str) else value for name, value in insight.items()}


def _settled(given: FieldAnswer, old: Any, noise: float) -> FieldAnswer:
    """Insights matched to those that stand on the page: what has not changed keeps its words and its place, findings and evidence follow."""
    if given.field != "insights" or not isinstance(old, list) or not given.value:
        return given
    old = [_unescaped(insight) for insight in old]
    # A person must see the very words that a finding is about.
    marked = frozenset(int(place[1]) for finding in given.findings if (place := _PLACE.match(finding.where)))
    order = order_kept(old, given.value, marked)
    moved = {before: now for now, before in enumerate(order)}

    def follow(where: str) -> str:
        place = _PLACE.match(where)
        return f"insights[{moved[int(place[1])]}]{where[place.end() :]}" if place and int(place[1]) in moved else where

    return replace(
        given,
        value=kept(old, given.value, noise, marked),
        findings=tuple(replace(finding, where=follow(finding.where)) for finding in given.findings),
        evidence=tuple(replace(item, where=follow(item.where)) for item in given.evidence),
        spread={follow(part): ends for part, ends in given.spread.items()},
    )


def _baseline_may_write(whose: str, line: LockLine | None, field: str) -> bool:
    """The baseline fills gaps and renews its own values; it never replaces a person's or a model's."""
    if whose == "nobody":
        return True
    return whose == "ours" and line is not None and line.origin_of(field).model == OFFLINE
