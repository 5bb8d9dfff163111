"""Decisions made elsewhere (in the HTML report, by a script) that come back as a JSON file (`enrich review --from FILE`).

```json
{"schema": 1, "decisions": [
  {"page": "solar", "field": "llmSummary", "decision": "accept", "new_hash": "0f3c…"},
  {"page": "solar", "field": "insights", "decision": "edit", "insights": [0, 2], "new_hash": "77ab…"},
  {"page": "wind", "field": "ratings.rigor", "decision": "edit", "value": 5.5, "new_hash": "c1d0…"}]}
```
`new_hash` is `stages.landing.value_hash` of the proposed value that was decided on: an entry whose proposal has changed since then is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import AnswerError, UserError, invalid_data
from enrich.review.applying import FIELD_MOVED, MEANWHILE, page_of
from enrich.review.decisions import Step, decided, out_of_reach, record, undecided
from enrich.review.editing import candidates, chosen_insights, with_new_value
from enrich.review.proposals import FieldChange, Proposal, ProposalStore
from enrich.stages.field_values import value_hash
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
    """The decisions of a file. Raises `UserError` that names the place of what is wrong."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UserError("too large for a decisions file", where=str(file))
        return DecisionFile.model_validate(json.loads(file.read_bytes()))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(file)) from None
    except ValidationError as error:
        raise invalid_data(error, DecisionFile, str(file), "export the decisions again") from None
    except (ValueError, RecursionError):
        raise UserError("not JSON", where=str(file), do="export the decisions again") from None


def take(wiki: Wiki, entries: Iterable[Entry], *, by: str, when: str) -> Imported:
    """Record the decisions whose proposal is still what it was when they were made. The last entry for a field counts."""
    steps: list[Step] = []
    decisions: dict[tuple[str, str], str] = {}
    refused: list[tuple[str, str, str]] = []
    known: dict[str, tuple[Proposal | None, Page | None]] = {}
    for entry in {(entry.page, entry.field): entry for entry in entries}.values():
        place = (entry.page, entry.field)
        if entry.page not in known:
            known[entry.page] = wiki.shared(ProposalStore).get(entry.page), page_of(wiki, entry.page)
        proposal, page = known[entry.page]
        change = proposal.change(entry.field) if proposal else None
        if change is None:
            refused.append((*place, "nothing is proposed there any more"))
            continue
        if value_hash(change.new) != entry.new_hash:
            refused.append((*place, "the proposal has changed since it was decided on"))
            continue
        try:
            after = _after(entry, change, page, by=by, when=when)
        except AnswerError as error:
            refused.append((*place, error.detail))
            continue
        steps.append(Step(entry.page, change, after))
        decisions[place] = entry.decision
        if entry.decision == "edit" and after.state == "pending":
            findings = "; ".join(finding.message for finding in after.findings)
            refused.append((*place, f"the edit is kept and waits for a look: {findings}"))
    recorded = record(wiki, steps)
    refused += [(step.page, step.after.field, f"{MEANWHILE}: another process changed it just now") for step in recorded.lost]
    done = [(step.page, step.after.field) for step in recorded.done]
    return Imported(tuple((*place, decisions[place]) for place in done), tuple(refused))


def _after(entry: Entry, change: FieldChange, page: Page | None, *, by: str, when: str) -> FieldChange:
    """The change after the entry's decision. Raises `AnswerError` that says why the decision cannot be recorded."""
    if entry.decision in ("reject", "skip"):
        return decided(change, entry.decision, by=by, when=when)
    if entry.decision == "undo":
        return undecided(change)
    reach = out_of_reach(change, page)
    if reach == FIELD_MOVED:
        raise AnswerError("moved", "it was changed on the page after it was asked about, and the page's value is kept")
    if reach or page is None:
        raise AnswerError("stale", f"the page's text changed or is gone; `enrich run {entry.page}` asks again")
    after = change
    if entry.insights is not None:
        if entry.field != "insights":
            raise AnswerError("invalid", "`insights` belongs to the field insights")
        unknown = [number for number in entry.insights if number >= len(change.new or [])]
        if unknown:
            raise AnswerError("invalid", f"there is no insight {unknown[0]}")
        taken = [one for one in candidates(change) if one.number in entry.insights]
        after = chosen_insights(change, taken, page, by=by, when=when)
    elif entry.decision == "edit":
        after = with_new_value(change, entry.value, page, by=by, when=when)
    return decided(after, "accept", by=by, when=when) if after is change else after
