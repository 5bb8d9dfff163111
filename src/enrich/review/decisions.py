"""Decisions on proposed fields: accept, reject, skip, edit, undo, and adopt for values that are on pages already (DESIGN.md section 3).

A decision is a step from one form of a field change to another. A step is stored only if the change is still what the person saw, under the folder's
lock: two reviewers in two processes lose no decision, and the later one is informed.

A person's own value is checked like a model's answer. A person may accept what a model may not: findings on their value are shown and must be
confirmed, but they do not refuse the value.

Decisions made elsewhere (in the HTML report, by a script) come back as a JSON document (`enrich review --from FILE`):

```json
{"schema": 1, "decisions": [
  {"page": "solar", "field": "llmSummary", "decision": "accept", "new_hash": "0f3c…"},
  {"page": "solar", "field": "insights", "decision": "edit", "insights": [0, 2], "new_hash": "77ab…"},
  {"page": "wind", "field": "ratings.rigor", "decision": "edit", "value": 5.5, "new_hash": "c1d0…"}]}
```
`new_hash` is `stages.fields.value_hash` of the proposed value that was decided on: an entry whose proposal has changed since then is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enrich.errors import AnswerError, UserError, invalid_data
from enrich.files import DATA_BYTES, Folders, read_bytes
from enrich.grounding import PageIndex
from enrich.review.applying import FIELD_MOVED, MEANWHILE, Applied, appliable, apply, out_of_reach, page_of
from enrich.review.lock import ADOPTED, PERSONS, REJECTED, Key, Lock, LockEntry, LockFile, Question, lock_entry, owner
from enrich.review.proposals import NEEDS_LOOK, OVER_HUMAN, Edit, FieldChange, Proposal, ProposalStore, State, blocking_flag, insight_items
from enrich.stages.fields import INSIGHTS, QUALITY, canonical, current_value, is_missing, same, stage_of, value_hash
from enrich.stages.judges import MAX_INSIGHTS, form_of, judged, with_value
from enrich.stages.stage import Stage
from enrich.text import age, parsed_json
from enrich.wiki import yaml12
from enrich.wiki.frontmatter.cuts import Indents, entry
from enrich.wiki.pages import Page, read_page
from enrich.wiki.wiki import Wiki

# A rating that moves by no more than this is a small move (`accept --safe`): twice the step at which a reader would see a difference.
SAFE_RATING_MOVE = 1.0

Decision = Literal["accept", "reject", "skip"]
Reason = Literal["wrong", "unsupported", "dull", "style"]
REASONS: tuple[Reason, ...] = get_args(Reason)
_STATES: dict[Decision, State] = {"accept": "accepted", "reject": "rejected", "skip": "pending"}


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: a page's field change as the person saw it, and as it is after."""

    page: str
    before: FieldChange
    after: FieldChange


@dataclass(frozen=True, slots=True)
class Outcome:
    """(page, field) pairs that were decided, and those left out with the flag that says why.

    `over` holds the values on pages that accepted ones will replace although they are newer than the question: (page, field, value).
    """

    fields: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str, str], ...]
    over: tuple[tuple[str, str, Any], ...] = ()


# From one form of a change to another


def decided(change: FieldChange, decision: Decision, *, by: str, when: str, reason: str = "") -> FieldChange:
    """The change after a person's decision; `reason` is that of a rejection. Single insights that were rejected stay rejected in an accepted field.

    A skipped one stays pending, but the next review asks about the others first.
    """
    everything = len(change.rejected_items) == sum(item.status != "same" for item in insight_items(change))
    items = {} if decision == "reject" or (decision == "accept" and everything) else change.items
    return replace(change, state=_STATES[decision], items=items, decided=_signed(by, when, decision, reason, change.note))


def undecided(change: FieldChange) -> FieldChange:
    """The change as it was proposed, without a decision and without a person's edit. A note stays."""
    return replace(change.unedited, state="pending", decided=_signed(note=change.note), items={})


def noted(change: FieldChange, note: str, *, by: str, when: str) -> FieldChange:
    """The change with a reviewer's note ("": without)."""
    others = {key: value for key, value in change.decided.items() if key != "note"}
    return replace(change, decided={"by": by, "when": when, **others, "note": note} if note else others if "decision" in others else {})


def taken_over(change: FieldChange, page: Page, lock: Lock, *, by: str, when: str) -> FieldChange:
    """The change accepted over the value on the page *now*: a person has seen that value and chose the proposed one."""
    now = current_value(page.data, change.field)
    persons = owner(now, lock.entry(page.id, change.stage, page), change.field) in PERSONS
    flags = (*change.flags, OVER_HUMAN) if persons and OVER_HUMAN not in change.flags else change.flags
    edited = Edit(by, when, "over", change.proposed)
    return replace(decided(change, "accept", by=by, when=when), old=canonical(now), flags=flags, edited=edited)


def is_small_move(change: FieldChange) -> bool:
    """Whether a change is safe to accept unseen: no finding, no flag, and a rating that exists and moves little."""
    return not change.flags and not change.findings and change.move is not None and abs(change.move) <= SAFE_RATING_MOVE


def record(wiki: Wiki, steps: Sequence[Step]) -> tuple[list[Step], list[Step]]:
    """Store decisions in the proposals, and rejections in the lock too. Returns (stored steps, lost steps). Durable when it returns.

    Steps on one field follow each other. A step is lost if its change is no longer what the person saw (decided, asked again or applied by
    another process).
    """
    done: list[Step] = []
    lost: list[Step] = []
    lock_file, store = wiki.shared(LockFile), wiki.shared(ProposalStore)
    with lock_file.writing(), store.writing():
        after = {page: store.get(page) for page in dict.fromkeys(step.page for step in steps)}
        for step in steps:
            proposal = after[step.page]
            if proposal is not None and proposal.change(step.before.field) == step.before:
                after[step.page] = proposal.with_changes([step.after])
                done.append(step)
            else:
                lost.append(step)
        # The lock first: after a crash in between, a field is rejected and still proposed; it is never removed and asked for again.
        lock_file.update(_rejections(wiki, lock_file, done))
        for page in dict.fromkeys(step.page for step in done):
            if (proposal := after[page]) is not None:
                store.put(proposal, durable=True)
    return done, lost


def _rejections(wiki: Wiki, lock_file: LockFile, steps: Iterable[Step]) -> dict[Key, LockEntry | None]:
    """The lock entries that rejections, and rejections taken back, change."""
    turned = [step for step in steps if (step.before.state == "rejected") != (step.after.state == "rejected")]
    if not turned:
        return {}
    lock = lock_file.read()
    entries: dict[Key, LockEntry | None] = {}
    for step in turned:
        change, key = step.after, (step.page, step.after.stage)
        entry = entries[key] if key in entries else lock.entry(*key, page_of(wiki, step.page))
        if change.state == "rejected":
            # The entry may come under this question: fields of ours then keep their own in `older`.
            when = change.decided.get("when", "")[:10]
            entries[key] = lock_entry(*key, change.question, entry, rejected=[change.field], decided=change.verdicts, date=when)
        elif entry is not None and change.field in entry.rejected:
            entries[key] = _without_rejection(entry, change.field)
    return entries


def _without_rejection(entry: LockEntry, name: str) -> LockEntry | None:
    """The entry without the rejection of one field; None if nothing else is in it."""
    fields = {other: digest for other, digest in entry.fields.items() if (other, digest) != (name, REJECTED)}
    if not fields:
        return None
    rejected = tuple(other for other in entry.rejected if other != name)
    decided = {other: verdict for other, verdict in entry.decided.items() if other != name}
    earlier = {entry.question_of(other) for other in entry.written}
    question, older = entry.question, entry.older
    if not rejected and len(earlier) == 1:  # only the rejection had put the entry under its question
        question, older = earlier.pop(), {}
    return replace(entry, **asdict(question), fields=fields, rejected=rejected, older=older, decided=decided)


def assign(wiki: Wiki, section: str, name: str) -> int:
    """Note on the proposals of a section (a folder below the content folder, or a glob of pages) who is to review them ("": anyone).

    Returns the number of pages.
    """
    found = [one.page for one in pending(wiki, ()) if f"/{section.strip('/')}/" in f"/{one.path}"]
    pages = found or [one.page for one in pending(wiki, [section])]
    store = wiki.shared(ProposalStore)
    with store.writing():
        for page in pages:
            if (proposal := store.get(page)) is not None:
                store.put(replace(proposal, assigned=name), durable=True)
    return len(pages)


# Decisions of the command line: by name, or on all


def pending(wiki: Wiki, names: Sequence[str]) -> Iterator[Proposal]:
    """The proposals of the pages that PAGE arguments name (all if `names` is empty), in page order, one at a time; those of removed pages are last."""
    store = wiki.shared(ProposalStore)
    gone = store.removed()
    removed = [page for page in names or gone if page in gone]
    others = [name for name in names if name not in removed]
    found = wiki.select(others) if others or not names else []
    yield from store.each([*(file.id for file in found), *removed])


def named_fields(wiki: Wiki, arguments: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The (page, fields) pairs that PAGE[:FIELD] arguments name, `()` for all fields; all proposals if there are no arguments.

    Raises `UserError` if nothing is proposed for an argument.
    """
    proposals = {proposal.page: proposal for proposal in wiki.shared(ProposalStore).all()}
    named: list[tuple[str, tuple[str, ...]]] = []
    for argument in arguments:
        page, colon, field = argument.rpartition(":")
        if not colon or argument in wiki.by_id or argument in proposals:
            page, field = argument, ""
        elif not field:  # not all fields: in a script, the field's variable may be empty
            raise UserError(f"no field is named in {argument!r}", do="write PAGE:FIELD, or PAGE for all its fields", exit_code=2)
        # The id of a removed page still names its proposal.
        found = [page] if page in proposals and page not in wiki.by_id else [file.id for file in wiki.select([page])]
        waiting = [one for one in found if one in proposals]
        if not waiting:
            raise UserError(f"nothing is proposed for {argument!r}", do="`enrich diff` shows the proposals")
        changes = [change for one in waiting for change in proposals[one].changes]
        names = sorted({change.field for change in changes})
        items = {f"{INSIGHTS}.{item.id}" for change in changes for item in insight_items(change)}
        if field and field not in {*names, *items}:
            do = f"proposed there: {', '.join(names)}; `enrich diff` shows the ids of insights"
            raise UserError(f"no proposed field {field!r} on {page}", do=do)
        named += [(one, (field,) if field else ()) for one in waiting]
    return named or [(page, ()) for page in proposals]


def decide(
    wiki: Wiki,
    named: Iterable[tuple[str, Sequence[str]]],
    decision: Decision,
    *,
    safe: bool = False,
    overwrite: bool = False,
    reason: str = "",
    by: str,
    when: str,
) -> Outcome:
    """Accept or reject fields of proposals: `named` pairs a page with fields of it ((): every undecided one).

    Fields that carry `needs-look`, `over-human` or `leap` are accepted only by name; a field whose value on the page changed only by name and with
    `overwrite`; one whose page text changed never. `safe` accepts small moves only (`is_small_move`). Rejected fields do not come back until the
    page, the prompt or the model changes. What was decided otherwise stays decided unless it is named.
    """
    steps: list[Step] = []
    left: list[tuple[str, str, str]] = []
    lock = wiki.shared(LockFile).read() if overwrite else None
    for page_id, fields in named:
        proposal, page = wiki.shared(ProposalStore).get(page_id), page_of(wiki, page_id)
        for change in proposal.changes if proposal else ():
            items: dict[str, Decision | None] = {item.id: decision for item in insight_items(change) if f"{INSIGHTS}.{item.id}" in fields}
            if (fields and not items and change.field not in fields) or (not items and change.state == _STATES[decision]):
                continue
            made = with_items(change, items, by=by, when=when, reason=reason) if items else None
            after, why = made or decided(change, decision, by=by, when=when, reason=reason), ""
            if not fields and change.state != "pending":
                why = change.state
            elif decision == "accept":
                why = out_of_reach(change, page) or ("" if fields else blocking_flag(change))
            if why == FIELD_MOVED and fields and lock is not None and page is not None:
                after, why = taken_over(change, page, lock, by=by, when=when), ""
            elif safe and not why and not is_small_move(change):
                continue
            if why:
                left.append((page_id, change.field, why))
            else:
                steps.append(Step(page_id, change, after))
    done, lost = record(wiki, steps)
    return Outcome(
        fields=tuple((step.page, step.after.field) for step in done),
        left_out=(*left, *((step.page, step.after.field, MEANWHILE) for step in lost)),
        over=tuple((step.page, step.after.field, step.after.old) for step in done if step.after.old != step.before.old),
    )


def apply_decided(wiki: Wiki, proposals: Sequence[Proposal], *, everything: bool, overwrite: bool) -> Applied:
    """Write accepted fields and, with `everything`, pending ones without a blocking flag. Blocked fields are among the result's `held`."""
    chosen = [
        (proposal, [change for change in proposal.changes if appliable(change, everything=everything, overwrite=overwrite)])
        for proposal in proposals
    ]
    done = apply(wiki, chosen)
    for proposal, changes in chosen:
        blocked = (change for change in proposal.changes if change.state == "pending" and change not in changes)
        done.held.extend((proposal.page, change.field, flag) for change in blocked if (flag := blocking_flag(change)))
    return done


def adopt(wiki: Wiki, names: Sequence[str], stages: Sequence[Stage], fields: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Write lock entries for values on the named pages (all) that are a person's so far. Returns the (page, field) pairs that were taken over.

    They count as answers to the question that would be asked today, from an unknown model (`adopted`): they become due when the page, the prompt
    or the schema changes. `quality` is taken over with the ratings. Raises `UserError` for an unknown field.
    """
    known = {name for stage in stages for name in stage.fields} | {QUALITY}
    if unknown := [name for name in fields if name not in known]:
        raise UserError(f"unknown field {unknown[0]!r}", do=f"use one of {', '.join(sorted(known))}", exit_code=2)
    files = [file for file in wiki.select(names) if not wiki.is_skipped(file)]
    taken: list[tuple[str, str]] = []
    entries: dict[Key, LockEntry | None] = {}
    lock_file = wiki.shared(LockFile)
    with lock_file.writing():
        lock = lock_file.read()
        for page in map(read_page, files):
            for stage in stages if page.problem is None else ():
                entry = lock.entry(page.id, stage.name, page)
                own = [*stage.fields, *([QUALITY] if stage.name == "ratings" else [])]
                values = {name: current_value(page.data, name) for name in own if not fields or name in fields}
                theirs = [name for name, value in values.items() if not is_missing(value) and owner(value, entry, name) != "ours"]
                if written := {name: value_hash(values[name]) for name in theirs}:
                    entries[page.id, stage.name] = _adopted(page, stage, entry, written, wiki.today)
                    taken += [(page.id, name) for name in written]
        lock_file.update(entries)
    return taken


def _adopted(page: Page, stage: Stage, entry: LockEntry | None, written: Mapping[str, str], date: str) -> LockEntry:
    """The entry of a stage after a person's values on the page were taken over, `written` with their hashes."""
    now = Question.of(page, stage)
    adopted = replace(now, model=ADOPTED)
    if entry is None or not entry.rejected or entry.question.reasons(now):
        return lock_entry(page.id, stage.name, adopted, entry, written=written, date=date)
    # What was rejected is about the entry's question, which the entry keeps.
    kept = lock_entry(page.id, stage.name, entry.question, entry, written=written, date=date)
    return replace(kept, older={**kept.older, **dict.fromkeys(sorted(written), adopted)})


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


def edited(change: FieldChange, form: Any, page: Page, *, by: str, when: str) -> FieldChange:
    """The change with the value of a filled-in form, and the findings and evidence of that value; `change` itself if nothing differs.

    It is accepted, unless a finding is hard or something was trimmed or repaired: then it waits for a decision. Raises
    `AnswerError("invalid", …)` if the form holds no value of the field, or the value that is on the page already.
    """
    if change.field == QUALITY:
        raise AnswerError("invalid", "quality is computed from the ratings: accept or reject it")
    index = PageIndex.of(page)
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
        decided=_signed(note=change.note) if wait else _signed(by, when, "edit", note=change.note),
        edited=Edit(by, when, "edit", change.proposed),
        items={},
    )


def with_new_value(change: FieldChange, value: Any, page: Page, *, by: str, when: str) -> FieldChange:
    """`edited` for a value without a form, as decisions made elsewhere bring it."""
    return edited(change, with_value(change.field, _form(change), value), page, by=by, when=when)


def with_items(change: FieldChange, given: Mapping[str, Decision | None], *, by: str, when: str, reason: str = "") -> FieldChange:
    """The change after decisions on single insights by their ids; None takes one back.

    Once all that would change are decided, the field is: accepted if one of them is. Raises `AnswerError("invalid", …)` for an unknown id, or
    if more insights would be on the page than are allowed.
    """
    listed = [item.id for item in insight_items(change) if item.status != "same"]
    if unknown := [item for item in given if item not in listed]:
        raise AnswerError("invalid", f"there is no insight {unknown[0]} in this proposal")
    # What was decided on the whole field holds for each insight that has no decision of its own.
    whole = change.decided if change.state != "pending" else {}
    items = {item: change.items.get(item) or dict(whole) for item in listed if item in change.items or whole}
    for item, decision in given.items():
        items.pop(item, None)
        if decision:
            items[item] = _signed(by, when, decision, reason)
    verdicts = {item.get("decision") for item in items.values()}
    after = replace(change, state="pending", decided=_signed(note=change.note), items=items)
    if len(items) == len(listed):
        outcome: Decision = "reject" if verdicts == {"reject"} else "accept"
        after = replace(after, state=_STATES[outcome], decided=_signed(by, when, outcome, note=change.note))
    if after.state == "accepted" and len(after.result) > MAX_INSIGHTS:
        raise AnswerError("invalid", f"{len(after.result)} insights would be on the page, at most {MAX_INSIGHTS} are allowed")
    return after


def _signed(by: str = "", when: str = "", decision: str = "", reason: str = "", note: str = "") -> dict[str, str]:
    """Who decided what and when, as a change keeps it. A note on a field outlives its decisions."""
    parts = {"by": by, "when": when, "decision": decision, "reason": reason, "note": note}
    return {key: text for key, text in parts.items() if text}


def _form(change: FieldChange) -> dict[str, Any]:
    return form_of(change.field, change.new, quotes=[item.quote for item in change.evidence], reason=change.reason)


class Entry(BaseModel):
    """One decision on a field, or on one insight (`insights.<id>`). `value` belongs to `edit`, `reason` to `reject`, `note` to `note`.

    `insights` (indices in the proposed list, from 0) belongs to `accept`: the others are rejected. `seen` is the mark of what
    was decided when the person looked: where somebody has decided since then, the entry is refused.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    page: str
    field: str
    decision: Literal["accept", "reject", "edit", "skip", "undo", "note"]
    value: Any = None
    insights: list[Annotated[int, Field(ge=0)]] | None = None
    reason: Reason | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None
    new_hash: str
    seen: str | None = None


class DecisionFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    schema_: Literal[1] = Field(alias="schema")
    decisions: list[Entry]


def read_decisions(file: Path, within: Folders | None = None) -> DecisionFile:
    """The decisions of a file. Raises `UserError` that names the place of what is wrong."""
    do = "export the decisions again"
    try:
        return DecisionFile.model_validate(json_of(file, within, "not JSON", do))
    except ValidationError as error:
        raise invalid_data(error, DecisionFile, str(file), do) from None


def json_of(file: Path, within: Folders | None, what: str, do: str) -> Any:
    """The data of a JSON file that a person named. Raises `UserError`: it cannot be read, or (`what`, `do`) it is not JSON."""
    try:
        return parsed_json(read_bytes(file, within, DATA_BYTES))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(file)) from None
    except ValueError:
        raise UserError(what, where=str(file), do=do) from None


def take(wiki: Wiki, entries: Iterable[Entry], *, by: str, when: str) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """Record the decisions whose proposal is still what it was when they were made. The last entry for a field counts.

    Returns the (page, field, decision) that were recorded, and the (page, field, why) that were not.
    """
    done: list[tuple[str, str, str]] = []
    refused: list[tuple[str, str, str]] = []
    by_field: dict[tuple[str, str], list[Entry]] = {}
    for one in {(one.page, one.field, one.decision == "note"): one for one in entries}.values():
        field = INSIGHTS if one.field.startswith(f"{INSIGHTS}.") else one.field
        by_field.setdefault((one.page, field), []).append(one)
    pages = {page: (page_of(wiki, page), wiki.shared(ProposalStore).get(page)) for page in {page for page, _ in by_field}}
    steps: list[tuple[Step, list[Entry]]] = []
    for (page_id, field), given in by_field.items():
        page, proposal = pages[page_id]
        before = after = proposal.change(field) if proposal else None
        taken = []
        for one in given:
            try:
                after = _after(one, before, after, page, by=by, when=when)
                taken.append(one)
            except AnswerError as error:
                refused.append((one.page, one.field, error.detail))
        if before and after and taken:
            steps.append((Step(page_id, before, after), taken))
    _, lost = record(wiki, [step for step, _ in steps])
    for step, taken in steps:
        if step in lost:
            refused += [(one.page, one.field, f"{MEANWHILE}: another process changed it just now") for one in taken]
            continue
        done += [(one.page, one.field, one.decision) for one in taken]
        if step.after.state == "pending" and "edit" in [one.decision for one in taken]:
            findings = "; ".join(finding.message for finding in step.after.findings)
            refused.append((step.page, step.after.field, f"the edit is kept and waits for a look: {findings}"))
    return done, refused


def _after(given: Entry, before: FieldChange | None, now: FieldChange | None, page: Page | None, *, by: str, when: str) -> FieldChange:
    """The change `now` after one decision; `before`: as it was stored before this call. Raises `AnswerError` that says why it cannot be recorded."""
    if before is None or now is None:
        raise AnswerError("gone", "nothing is proposed there any more")
    if now.new_hash != given.new_hash:
        raise AnswerError("stale", "the proposal has changed since it was decided on")
    after = _changed(given, now, page, by=by, when=when)
    if given.seen is None or given.seen == before.mark:
        return after
    who, then = now.decided.get("by"), now.decided.get("when", "")
    alike = (after.state, after.decided.get("decision"), after.result) == (now.state, now.decided.get("decision"), now.result)
    if alike and who == by:
        return now  # stored before: its answer was lost on the way
    what = "changed" if not who else "decided" if now.state == "pending" else now.state
    raise AnswerError("decided", f"{what} by {who or 'another reviewer'}{f', {age(then, when)}' if then else ''}: look again")


def _changed(given: Entry, change: FieldChange, page: Page | None, *, by: str, when: str) -> FieldChange:
    """What a decision makes of a change."""
    if given.decision == "note":
        return noted(change, given.note or "", by=by, when=when)
    items = _decided_items(given, change)
    accepts = "accept" in items.values() or (not items and given.decision in ("accept", "edit"))
    if accepts:
        reach = out_of_reach(change, page)
        if reach == FIELD_MOVED:
            raise AnswerError("moved", "it was changed on the page after it was asked about, and the page's value is kept")
        if reach or page is None:
            raise AnswerError("stale", f"the page's text changed or is gone; `enrich run {given.page}` asks again")
        if given.decision == "edit" and not items:
            new = with_new_value(change, given.value, page, by=by, when=when)
            if new is not change:
                return new
    reason = "" if accepts else given.reason or ""
    if items:
        return with_items(change, items, by=by, when=when, reason=reason)
    if given.decision == "undo":
        return undecided(change)
    return decided(change, "accept" if given.decision == "edit" else given.decision, by=by, when=when, reason=reason)


def _decided_items(given: Entry, change: FieldChange) -> dict[str, Decision | None]:
    """The decisions on single insights, by their ids; {} if the decision is about the whole field."""
    if given.field != change.field:
        if given.decision not in ("accept", "reject", "undo"):
            raise AnswerError("invalid", "a single insight is accepted or rejected; `insights` is edited as a whole")
        return {given.field.partition(".")[2]: None if given.decision == "undo" else given.decision}
    if given.insights is None:
        return {}
    if change.field != INSIGHTS:
        raise AnswerError("invalid", "`insights` belongs to the field insights")
    if unknown := [number for number in given.insights if number >= len(change.new or [])]:
        raise AnswerError("invalid", f"there is no insight {unknown[0]}")
    listed = [item for item in insight_items(change) if item.status != "same"]
    return {item.id: "reject" if item.index >= 0 and item.index not in given.insights else "accept" for item in listed}
