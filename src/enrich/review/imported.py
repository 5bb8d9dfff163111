"""Decisions that were made elsewhere - in the HTML report, by a script - and come back as a JSON file (`enrich review --from FILE`).

```json
{"schema": 1, "decisions": [
  {"page": "solar", "field": "llmSummary", "decision": "accept", "new_hash": "0f3c…"},
  {"page": "solar", "field": "insights", "decision": "edit", "insights": [0, 2], "new_hash": "77ab…"},
  {"page": "wind", "field": "ratings.rigor", "decision": "edit", "value": 5.5, "new_hash": "c1d0…"}]}
```
`new_hash` is `stages.landing.value_hash` of the proposed value that was decided on: an entry whose proposal has changed since is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import AnswerError, UserError, invalid_data
from enrich.review.applying import MEANWHILE
from enrich.review.decisions import MOVED, Step, decided, out_of_reach, page_of, record, undecided
from enrich.review.editing import candidates, chosen_insights, with_new_value
from enrich.review.proposals import FieldChange, Proposal, ProposalStore
from enrich.stages.landing import value_hash
from enrich.wiki.pages import Page
from enrich.wiki.wiki import Wiki

_MOST_BYTES = 50_000_000


class Entry(BaseModel):
    """One decision. `value` belongs to `edit`; `insights` (indices in the proposed list, from 0) to `accept` and `edit`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    page: str
    field: str
    decision: Literal["accept", "reject", "edit", "skip", "undo"]
    value: Any = None
    insights: list[Annotated[int, Field(ge=0)]] | None = None
    new_hash: str


class DecisionFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    schema_: Literal[1] = Field(alias="schema")
    decisions: list[Entry]


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a decisions file: (page, field, decision) that were recorded, and (page, field, why) that were not."""

    taken: tuple[tuple[str, str, str], ...]
    refused: tuple[tuple[str, str, str], ...]


def read_decisions(file: Path) -> DecisionFile:
    """Raises `UserError` that names the place for anything but a decisions file."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UserError("too large for a decisions file", where=str(file))
        return DecisionFile.model_validate(json.loads(file.read_bytes()))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(file)) from None
    except ValidationError as error:
        raise invalid_data(error, DecisionFile, str(file), "export the decisions again") from None
    except (ValueError, RecursionError):
        raise UserError("no JSON", where=str(file), do="export the decisions again") from None


def take(wiki: Wiki, entries: Iterable[Entry], *, by: str, when: str) -> Imported:
    """Record the decisions whose proposal still stands as it was decided on. The last entry for a field counts."""
    steps: list[Step] = []
    words: dict[tuple[str, str], str] = {}
    refused: list[tuple[str, str, str]] = []
    proposals: dict[str, Proposal | None] = {}
    pages: dict[str, Page | None] = {}
    for entry in {(entry.page, entry.field): entry for entry in entries}.values():
        if entry.page not in proposals:
            proposals[entry.page], pages[entry.page] = wiki.shared(ProposalStore).get(entry.page), page_of(wiki, entry.page)
        proposal, page = proposals[entry.page], pages[entry.page]
        change = proposal.change(entry.field) if proposal else None
        if change is None:
            refused.append((entry.page, entry.field, "nothing is proposed there any more"))
            continue
        if value_hash(change.new) != entry.new_hash:
            refused.append((entry.page, entry.field, "the proposal has changed since it was decided on"))
            continue
        try:
            after = _after(entry, change, page, by=by, when=when)
        except AnswerError as error:
            refused.append((entry.page, entry.field, error.detail))
            continue
        steps.append(Step(entry.page, change, after))
        words[entry.page, entry.field] = entry.decision
        if entry.decision == "edit" and after.state == "pending":
            found = "; ".join(finding.message for finding in after.findings)
            refused.append((entry.page, entry.field, f"the edit is kept and waits for a look: {found}"))
    recorded = record(wiki, steps)
    refused += [(step.page, step.after.field, f"{MEANWHILE}: somebody else changed it just now") for step in recorded.lost]
    taken = ((step.page, step.after.field, words[step.page, step.after.field]) for step in recorded.done)
    return Imported(tuple(taken), tuple(refused))


def _after(entry: Entry, change: FieldChange, page: Page | None, *, by: str, when: str) -> FieldChange:
    """The change once the entry has been taken. Raises `AnswerError` that says why it cannot be."""
    if entry.decision in ("reject", "skip"):
        return decided(change, entry.decision, by=by, when=when)
    if entry.decision == "undo":
        return undecided(change)
    reach = out_of_reach(change, page)
    if reach == MOVED:
        raise AnswerError("moved", "it was changed on the page after it was asked about: the page's words stay")
    if reach or page is None:
        raise AnswerError("stale", f"the page's text changed or is gone; `enrich run {entry.page}` asks again")
    if entry.insights is not None:
        if entry.field != "insights":
            raise AnswerError("invalid", "`insights` belongs to the field insights")
        listed = candidates(change)
        unknown = [number for number in entry.insights if number >= len(change.new or [])]
        if unknown:
            raise AnswerError("invalid", f"there is no insight {unknown[0]}")
        wanted = set(entry.insights)
        after = chosen_insights(change, [one for one in listed if one.number in wanted], page, by=by, when=when)
    elif entry.decision == "edit":
        after = with_new_value(change, entry.value, page, by=by, when=when)
    else:
        after = change
    return decided(after, "accept", by=by, when=when) if after is change else after
