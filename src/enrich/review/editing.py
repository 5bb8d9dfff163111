"""A person's own value for a proposed field: written in a form, checked like a model's answer, and marked as theirs.

A person may accept what a model may not: findings on their value are shown and must be confirmed, but they do not refuse the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from enrich.errors import AnswerError
from enrich.grounding import PageIndex
from enrich.review.decisions import decided
from enrich.review.proposals import NEEDS_LOOK, Edit, FieldChange
from enrich.stages.answers import QUALITY, stage_of
from enrich.stages.field_values import canonical, same
from enrich.stages.judges import form_of, judged, with_value
from enrich.wiki import yaml12
from enrich.wiki.frontmatter.scalars import Indents, entry
from enrich.wiki.pages import Page

# Findings that mean a person's text was trimmed, rounded or replaced by the page's words: the person looks at the result before it counts.
_ALTERED = ("blemish", "quote")


def form_text(page_id: str, change: FieldChange) -> str:
    """The text that an editor opens: comments, then the value as YAML."""
    lines = [
        f"# {change.field} of {page_id}: change the value, save, and leave the editor.",
        "# Lines that begin with # do not count; an empty file changes nothing.",
    ]
    if stage_of(change.field) == "insights":
        lines.append("# Delete an insight to leave it out, or write one of your own: each needs a quote of the page as its evidence.")
    for key, value in _form(change).items():
        lines += entry(key, value, Indents())
    return "\n".join(lines) + "\n"


def read_form(text: str) -> dict[str, Any] | None:
    """The content of an edited form; None if it is empty. Raises `AnswerError("invalid", …)` if it is not a form."""
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return None
    try:
        data = yaml12.load(text)
    except yaml12.YamlError as error:
        raise AnswerError("invalid", f"line {error.line}: {error.reason}" if error.line else error.reason) from None
    if not isinstance(data, dict):
        raise AnswerError("invalid", "keep the keys of the form: this is not a mapping of keys to values")
    return {str(key): value for key, value in data.items()}


def edited(change: FieldChange, form: Any, page: Page, *, by: str, when: str, how: str = "edit") -> FieldChange:
    """The change with the value of a filled-in form, and the findings and evidence of that value; `change` itself if nothing differs.

    It is accepted, unless a finding is hard or something was trimmed or repaired: then it waits for a decision. Raises
    `AnswerError("invalid", …)` if the form holds no value of the field, or the value that is on the page already.
    """
    if change.field == QUALITY:
        raise AnswerError("invalid", "quality is computed from the ratings: accept or reject it")
    index = PageIndex(page.body, title=page.title, description=page.description)
    answer = judged(change.field, form, index)
    if same(answer.value, change.new) and form == _form(change):
        return change
    if same(answer.value, change.old):
        raise AnswerError("invalid", "this value is on the page already: reject the field to keep it")
    wait = any(finding.severity == "hard" or finding.kind in _ALTERED for finding in answer.findings)
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
        edited=Edit(by, when, how, change.proposed),
    )


def with_new_value(change: FieldChange, value: Any, page: Page, *, by: str, when: str) -> FieldChange:
    """`edited` for a value without a form, as decisions made elsewhere bring it."""
    return edited(change, with_value(change.field, _form(change), value), page, by=by, when=when)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One insight that could be on the page: a proposed one (`number` is its place in the proposal), or one on the page that would be removed."""

    insight: Mapping[str, Any]
    number: int | None

    @property
    def proposed(self) -> bool:
        return self.number is not None


def candidates(change: FieldChange) -> list[Candidate]:
    """All proposed insights, then those on the page that are not among them."""
    new = [Candidate(item, number) for number, item in enumerate(change.new or []) if isinstance(item, Mapping)]
    old = canonical(change.old) or []
    removed = [item for item in old if isinstance(item, Mapping) and not any(same(item, one.insight) for one in new)]
    return [*new, *(Candidate(item, None) for item in removed)]


def chosen_insights(change: FieldChange, taken: Sequence[Candidate], page: Page, *, by: str, when: str) -> FieldChange:
    """The change accepted with only `taken` as its value; `change` itself if that is the whole proposal."""
    if [one.number for one in taken] == list(range(len(change.new or []))):
        return change
    kept = sum(one.proposed for one in taken)
    how = f"took {kept} of {len(change.new or [])} insights"
    if kept < len(taken):
        how += f", kept {len(taken) - kept} that stood there"
    wanted = [dict(one.insight) for one in taken]
    after = edited(change, {"insights": wanted}, page, by=by, when=when, how=how)
    # Choosing is deciding: the findings were on the screen. Only if something was trimmed, the person has not seen the result yet.
    return decided(after, "accept", by=by, when=when) if same(after.new, wanted) else after


def _form(change: FieldChange) -> dict[str, Any]:
    return form_of(change.field, change.new, quotes=[item.quote for item in change.evidence], reason=change.reason)
