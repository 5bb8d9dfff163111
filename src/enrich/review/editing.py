"""A person's own value for a proposed field: written in a form, judged and grounded like an answer, and marked as theirs.

A person may accept what a model may not: their words are shown with their findings and wait for a `y`, never refused for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from enrich.errors import AnswerError
from enrich.grounding import Finding, PageIndex
from enrich.review.decisions import as_proposed, decided
from enrich.review.proposals import NEEDS_LOOK, Edit, FieldChange
from enrich.stages.fields import stage_of
from enrich.stages.forms import form_of, judged, with_value
from enrich.stages.landing import QUALITY, canonical, same
from enrich.wiki import yaml12
from enrich.wiki.frontmatter.scalars import Indents, entry
from enrich.wiki.pages import Page

# Findings that mean a person's text was cut, moved to the grid or put into the page's words: they look at the result before it counts.
_ALTERED = ("blemish", "quote")


def page_index(page: Page) -> PageIndex:
    """The page as findings are computed on it."""
    return PageIndex(page.body, title=page.title, description=page.description)


def form_text(page_id: str, change: FieldChange, problem: str = "") -> str:
    """The text an editor opens: comments, then the value as YAML."""
    head = [
        f"{change.field} of {page_id}: change the value, save, and leave the editor.",
        "Lines that begin with # do not count; an empty file changes nothing.",
    ]
    if stage_of(change.field) == "insights":
        head.append("Delete an insight to leave it out, or write one of your own: each needs a quote of the page as its evidence.")
    if problem:
        head += ["", *(f"NOT USABLE: {line}" for line in problem.splitlines())]
    lines = [f"# {line}".rstrip() for line in head]
    for key, value in _form(change).items():
        lines += entry(key, value, Indents())
    return "\n".join(lines) + "\n"


def read_form(text: str) -> dict[str, Any] | None:
    """What an edited form says; None where nothing is left in it. Raises `AnswerError("invalid", …)` for a text that is no form."""
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return None
    try:
        data = yaml12.load(text)
    except yaml12.YamlError as error:
        raise AnswerError("invalid", f"line {error.line}: {error.reason}" if error.line else error.reason) from None
    if not isinstance(data, dict):
        raise AnswerError("invalid", "keep the keys of the form: this is no mapping of keys to values")
    return {str(key): value for key, value in data.items()}


def edited(change: FieldChange, form: Any, page: Page, *, by: str, when: str, how: str = "edit") -> FieldChange:
    """The change with the value of a filled-in form, its findings and evidence computed anew; `change` itself where nothing differs.

    It is accepted, unless a finding is hard or something was trimmed or repaired: then it waits for a decision. Raises
    `AnswerError("invalid", …)` for what is no value of the field, or is what stands on the page already.
    """
    if change.field == QUALITY:
        raise AnswerError("invalid", "quality is computed from the ratings: accept or reject it")
    answer = judged(change.field, form, page_index(page))
    if same(answer.value, change.new) and form == _form(change):
        return change
    if same(answer.value, change.old):
        raise AnswerError("invalid", "that is what stands on the page already: reject the field to leave it so")
    wait = any(_wants_a_look(finding) for finding in answer.findings)
    others = tuple(flag for flag in change.flags if flag != NEEDS_LOOK)
    return replace(
        change,
        new=answer.value,
        state="pending" if wait else "accepted",
        flags=((NEEDS_LOOK,) if answer.hard else ()) + others,
        findings=answer.findings,
        evidence=answer.evidence,
        reason=answer.reason or change.reason,
        decided={} if wait else {"by": by, "when": when, "decision": "edit"},
        edited=Edit(by, when, how, as_proposed(change)),
    )


def with_new_value(change: FieldChange, value: Any, page: Page, *, by: str, when: str) -> FieldChange:
    """`edited` for a bare value, as decisions made elsewhere bring it."""
    return edited(change, with_value(change.field, _form(change), value), page, by=by, when=when)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One insight that could land on the page: proposed (`number` counts in the proposal), or standing there now and proposed to go."""

    insight: Mapping[str, Any]
    number: int | None

    @property
    def proposed(self) -> bool:
        return self.number is not None


def candidates(change: FieldChange) -> list[Candidate]:
    """All proposed insights, then those that stand on the page and are not among them."""
    new = [Candidate(item, number) for number, item in enumerate(change.new or []) if isinstance(item, Mapping)]
    old = canonical(change.old) or []
    gone = [item for item in old if isinstance(item, Mapping) and not any(same(item, one.insight) for one in new)]
    return [*new, *(Candidate(item, None) for item in gone)]


def chosen_insights(change: FieldChange, taken: Sequence[Candidate], page: Page, *, by: str, when: str) -> FieldChange:
    """The change with only `taken` as its value; `change` where that is the whole proposal. The left ones stay in `edited`."""
    if [one.number for one in taken] == list(range(len(change.new or []))):
        return change
    kept = [one.number for one in taken if one.number is not None]
    how = f"took {len(kept)} of {len(change.new or [])} insights"
    if len(kept) < len(taken):
        how += f", kept {len(taken) - len(kept)} that stood there"
    wanted = [dict(one.insight) for one in taken]
    after = edited(change, {"insights": wanted}, page, by=by, when=when, how=how)
    # Choosing is deciding: the findings were on the screen. Only where something was trimmed has nobody seen the result yet.
    return decided(after, "accept", by=by, when=when) if same(after.new, wanted) else after


def _form(change: FieldChange) -> dict[str, Any]:
    quotes = [item.quote for item in change.evidence]
    return form_of(change.field, change.new, quotes=quotes, reason=change.reason)


def _wants_a_look(finding: Finding) -> bool:
    return finding.severity == "hard" or finding.kind in _ALTERED
