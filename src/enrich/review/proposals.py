"""Proposals: the field changes of one page that wait for a decision, one JSON file per page (DESIGN.md section 4.5).

A verdict on a value that is applied or rejected is kept in the lock, because its proposal is gone then. Values that were written without a person's
decision (`run --apply`, `apply --all`) are counted apart.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, TypeAdapter

from enrich.errors import UserError
from enrich.files import DATA_BYTES, locked, names_in, read_bytes, remove_file, write_text_atomically
from enrich.grounding import Finding
from enrich.grounding.statements import same_insights
from enrich.review.lock import IF_ANY, LockFile, Question, Verdict
from enrich.stages.fields import INSIGHTS, Evidence, canonical, number_of, same, value_hash
from enrich.stages.judges import statement
from enrich.text import parsed_json
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

State = Literal["pending", "accepted", "rejected"]
Status = Literal["open", "skipped", "accepted", "rejected"]
NEEDS_LOOK = "needs-look"
OVER_HUMAN = "over-human"
LEAP = "leap"
STALE = "stale"
_SCHEMA = 1
_MOST_POINTS = 10.0  # of a verdict's distance
_Z = 1.96  # of a 95 % interval
# File systems take 255 bytes a name; the rest is for the suffix, the hash and temporary names.
_MAX_NAME = 180


@dataclass(frozen=True, slots=True)
class Proposed:
    """The parts of a change that a person's edit replaces, as they were proposed."""

    old: Any
    new: Any
    flags: tuple[str, ...]
    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A person's change of a proposed value: who, when, how (`edit`, `over`, `took 1 of 3 insights`), and what it replaced."""

    by: str
    when: str
    how: str
    proposed: Proposed


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field of one page: its value when it was asked about (`old`), the proposed value (`new`), why to trust it, and what was decided.

    The attributes are the keys of the file in their order (`question` is stored as `origin`). `decided` holds who decided (`by`), `when`, and the
    `decision` (`accept`, `reject`, `edit`, `skip`; a skipped field stays pending), or nothing. `edited` is set if a person changed the value, so that
    the edit can be undone. `items` holds the decisions on single insights by their id (`insight_items`): `by`, `when`, `decision` and the `reason` of a
    rejection. `spread` has the two ends of each number that came from several `samples` or from a distribution (`stages.fields.FieldAnswer`),
    `interval` those of a calibrated rating.
    """

    field: str
    stage: str
    old: Any
    new: Any
    state: State = "pending"
    flags: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""
    model: str = ""
    prompt_version: str = ""
    tokens: Mapping[str, int] = dataclasses.field(default_factory=dict)
    cost_usd: float | None = None
    asked: str = ""
    run: str = ""
    samples: Annotated[int, Field(exclude_if=lambda samples: samples == 1)] = 1
    spread: Annotated[Mapping[str, Any] | None, Field(exclude_if=lambda spread: spread is None)] = None
    interval: Annotated[tuple[float, float] | None, Field(exclude_if=lambda interval: interval is None)] = None
    decided: Mapping[str, str] = dataclasses.field(default_factory=dict)
    edited: Annotated[Edit | None, IF_ANY] = None
    items: Annotated[Mapping[str, Mapping[str, str]], IF_ANY] = dataclasses.field(default_factory=dict)
    question: Annotated[Question, Field(alias="origin")]

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", self.question.model)  # repeated in the file for people and scripts that read it

    @property
    def move(self) -> float | None:
        """A rating's new value less its old one; None if one of them is missing."""
        old, new = number_of(self.old), number_of(self.new)
        return None if old is None or new is None else round(new - old, 2)

    @property
    def new_hash(self) -> str:
        """The hash of the proposed value: a decision names it, so that it holds for no other value."""
        return value_hash(self.new)

    @property
    def decision(self) -> str:
        """`accept`, `reject`, `edit`, `skip`, or "" if it is undecided."""
        return self.decided.get("decision") or {"accepted": "accept", "rejected": "reject"}.get(self.state, "")

    @property
    def note(self) -> str:
        """A reviewer's note on the field, or ""."""
        return self.decided.get("note", "")

    @property
    def status(self) -> Status:
        """What a reviewer has decided: `open` (nothing), `skipped`, `accepted` or `rejected`."""
        if self.state != "pending":
            return self.state
        return "skipped" if self.decision == "skip" else "open"

    @property
    def rejected_items(self) -> dict[str, Mapping[str, str]]:
        """The decisions that reject a single insight, by the insight's id."""
        return {item: given for item, given in self.items.items() if given.get("decision") == "reject"}

    @property
    def result(self) -> Any:
        """The value that apply writes: `new` without rejected insights; what they would have changed or removed on the page stays."""
        left = self.rejected_items
        if not left:
            return self.new
        kept = ((item.old if item.id in left else item.new) for item in insight_items(self))
        return [dict(insight) for insight in kept if insight is not None]

    @property
    def mark(self) -> str:
        """A short hash of what was decided so far, "" for nothing: a decision that was made without knowing it is not stored over it."""
        if not (self.decided or self.items or self.state != "pending"):
            return ""
        return value_hash([self.state, dict(self.decided), {item: dict(given) for item, given in self.items.items()}])[:12]

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """What a person decided on the change and on single insights of it, by field (`insights.<id>` for one of them)."""
        version = self.prompt_version
        given = {f"{INSIGHTS}.{item}": decided for item, decided in self.rejected_items.items()}
        if self.state == "rejected" and self.decided.get("by"):
            given[self.field] = self.decided
        found = {name: Verdict("reject", version, reason=decided.get("reason", "")) for name, decided in given.items()}
        if self.state == "accepted" and self.decided.get("by"):
            edited = Verdict("edit", version, distance(self.proposed.new, self.result)) if self.edited else None
            found[self.field] = edited or Verdict("accept", version)
        return found

    @property
    def proposed(self) -> Proposed:
        """What was proposed, before a person edited it."""
        return self.edited.proposed if self.edited else Proposed(*(getattr(self, name) for name in Proposed.__slots__))

    @property
    def unedited(self) -> FieldChange:
        """The change without a person's edit."""
        return replace(self, edited=None, **{name: getattr(self.proposed, name) for name in Proposed.__slots__})


def distance(proposed: Any, written: Any) -> float:
    """How much a person changed: points of a rating, else the share of words (0 to 1) that are not in both texts in the same order."""
    old, new = number_of(proposed), number_of(written)
    if old is not None and new is not None:
        return round(min(abs(old - new), _MOST_POINTS), 2)
    values = (value if isinstance(value, list) else [value] for value in (proposed, written))
    texts = (" ".join(statement(item)[0] if isinstance(item, Mapping) else str(item) for item in value) for value in values)
    before, after = (text.split() for text in texts)
    return round(1 - difflib.SequenceMatcher(None, before, after, autojunk=False).ratio(), 3)


# Two insights with at least this share of common words are one insight that changed, not one removed and one added.
_SAME_INSIGHT = 0.5
ItemStatus = Literal["new", "changed", "same", "gone"]


@dataclass(frozen=True, slots=True)
class InsightItem:
    """One insight of a change. `id` is its address (`PAGE:insights.<id>`), `index` its place in the proposed list (-1: it would be removed)."""

    id: str
    index: int
    new: Mapping[str, Any] | None
    old: Mapping[str, Any] | None

    @property
    def status(self) -> ItemStatus:
        if self.new is None or self.old is None:
            return "gone" if self.new is None else "new"
        return "same" if same(self.old, self.new) else "changed"


def insight_items(change: FieldChange) -> list[InsightItem]:
    """The proposed insights in their order, each with the one on the page that it replaces, then those that would be removed; [] for other fields."""
    if change.field != INSIGHTS or not isinstance(change.new, list):
        return []
    new = [item for item in change.new if isinstance(item, Mapping)]
    old = [item for item in canonical(change.old) or [] if isinstance(item, Mapping)] if isinstance(change.old, list) else []
    pairs = same_insights([statement(item) for item in new], [statement(item) for item in old], _SAME_INSIGHT)
    removed = [place for place in range(len(old)) if place not in pairs.values()]
    return [
        *(InsightItem(item_id(item), place, item, old[pairs[place]] if place in pairs else None) for place, item in enumerate(new)),
        *(InsightItem(item_id(old[place]), -1, None, old[place]) for place in removed),
    ]


def item_id(insight: Mapping[str, Any]) -> str:
    """The id of an insight: eight hex digits of the hash of its text."""
    return value_hash(insight.get("text"))[:8]


_CHANGES = TypeAdapter(tuple[FieldChange, ...])


def blocking_flag(change: FieldChange) -> str:
    """The flag because of which a change is accepted only by name, or ""."""
    return next((flag for flag in (NEEDS_LOOK, OVER_HUMAN, LEAP) if flag in change.flags), "")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for one page. `seen` maps each page hash that its changes name to the line marks of that text; `assigned` names a reviewer."""

    page: str
    path: str
    changes: Annotated[tuple[FieldChange, ...], Field(alias="fields")]
    seen: Mapping[str, str] = dataclasses.field(default_factory=dict)
    assigned: Annotated[str, IF_ANY] = ""

    def change(self, name: str) -> FieldChange | None:
        return next((change for change in self.changes if change.field == name), None)

    def with_changes(self, changes: Iterable[FieldChange], seen: Mapping[str, str] = MappingProxyType({})) -> Proposal:
        """The proposal with these in place of its changes of the same fields; new ones after the others. `seen`: the line marks of their texts."""
        merged = {change.field: change for change in self.changes}
        merged.update((change.field, change) for change in changes)
        return replace(self, changes=tuple(merged.values()), seen={**self.seen, **seen})

    def without(self, fields: Collection[str]) -> Proposal:
        return replace(self, changes=tuple(change for change in self.changes if change.field not in fields))

    def document(self) -> dict[str, Any]:
        """The content of the proposal's file."""
        hashes = [change.question.page_hash for change in self.changes]
        return {
            "schema": _SCHEMA,
            "page": self.page,
            "path": self.path,
            "page_hash": hashes[-1] if hashes else "",
            "seen": {digest: marks for digest, marks in self.seen.items() if digest in hashes},
            **({"assigned": self.assigned} if self.assigned else {}),
            "fields": list(_CHANGES.dump_python(self.changes, by_alias=True)),
        }

    @classmethod
    def load(cls, data: Any) -> Proposal:
        """The proposal of a file's content. Raises `ValueError` if it is not one, or one of another version."""
        if not isinstance(data, dict) or data.get("schema") != _SCHEMA:
            raise ValueError("not a proposal of this version")
        return _PROPOSAL.validate_python(data)


_PROPOSAL = TypeAdapter(Proposal)


class ProposalStore:
    """The folder `proposals/`. Reading needs no lock; changes are made within `writing`, so that two reviewers lose no decision."""

    def __init__(self, wiki: Wiki) -> None:
        self.folder, self._within, self._wiki = wiki.config.proposals, wiki.config.folders, wiki
        self.damaged: list[UserError] = []
        self._unread: list[UserError] = []

    def get(self, page: str) -> Proposal | None:
        """The proposal of a page, or None. Raises `UserError` if its file is damaged."""
        found = (self._read(self.folder / name) for name in file_names(page))
        own = next((proposal for proposal in found if proposal is not None and proposal.page == page), None)
        stray = self._strays.get(page) if own is None else None
        return self._known(self._read(self.folder / stray)) if stray else own

    def has_any(self) -> bool:
        """Whether there is any proposal; spares looking for a file per page."""
        return bool(self._listing)

    def all(self) -> list[Proposal]:
        """All proposals, in the order of their file names. A damaged file costs its own page only: its error is in `damaged`."""
        every = self.each([*(self._wiki.by_id if self.has_any() else ()), *self.removed()])
        return sorted(every, key=lambda proposal: file_names(proposal.page))

    def each(self, pages: Iterable[str]) -> Iterator[Proposal]:
        """The proposals of these pages, one at a time: all of a large wiki do not fit into memory. Errors of damaged files are in `damaged`."""
        strays = self._strays
        self.damaged = list(self._unread)
        for page in pages:
            if page in strays or any(name.casefold() in self._listing for name in file_names(page)):
                try:
                    proposal = self.get(page)
                except UserError as error:
                    self.damaged.append(error)
                    continue
                if proposal is not None:
                    yield proposal

    def removed(self) -> list[str]:
        """The pages that have a proposal and no file any more, in the order of the proposals' file names."""
        return [page for page in self._strays if page not in self._wiki.by_id]

    def writing(self) -> AbstractContextManager[None]:
        """Hold the folder: one process at a time changes proposals."""
        return locked(self.folder / ".mutex", within=self._within)

    def put(self, proposal: Proposal, *, durable: bool = False) -> None:
        """Write one proposal, or remove it if it has no changes left. To be called within `writing`.

        `durable` is for a person's decisions: answers are in the cache, decisions nowhere else.
        """
        name = self._name(proposal.page)
        if proposal.changes:
            write_text_atomically(self.folder / name, _text(proposal), durable=durable, within=self._within)
            self._listing[name.casefold()] = name
        else:
            self._remove(name)
        if self._strays.get(proposal.page, name) != name:
            self._remove(self._strays.pop(proposal.page))

    def _remove(self, name: str) -> None:
        remove_file(self.folder / name, self._within)
        self._listing.pop(name.casefold(), None)

    def _name(self, page: str) -> str:
        plain, hashed = file_names(page)
        taken = self._listing.get(plain.casefold())
        if plain == hashed or taken is None:
            return plain
        there = self._read(self.folder / taken)
        return plain if taken == plain and (there is None or there.page == page) else hashed

    @cached_property
    def _strays(self) -> dict[str, str]:
        """File names of proposals that are not named by a page of the wiki, by the id that the page has now, or had when it was removed."""
        left, found = set(self._listing.values()), dict[str, str]()
        for page in self._wiki.by_id if left else ():
            left.difference_update(file_names(page))
        for name in sorted(left):
            try:
                proposal = self._known(self._read(self.folder / name))
            except UserError as error:
                self._unread.append(error)
            else:
                found |= {proposal.page: name} if proposal is not None else {}
        return found

    def _known(self, proposal: Proposal | None) -> Proposal | None:
        """The proposal under the id that its page has now: the page with its path, else the one with its text and its file name or folder."""
        if proposal is None or proposal.page in self._wiki.by_id:
            return proposal
        folder, _, name = proposal.path.rpartition("/")
        for file in self._wiki.files:
            other, _, last = file.path.rpartition("/")
            alike = file.path == proposal.path or ((other == folder or last == name) and read_page(file).hash in proposal.seen)
            if alike:
                return replace(proposal, page=file.id, path=file.path)
        return proposal

    @cached_property
    def _listing(self) -> dict[str, str]:
        """The file names by their casefolded names."""
        try:
            names = names_in(self.folder, self._within, own=True)
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", where=str(self.folder), do="make it a readable folder") from None
        return {name.casefold(): name for name in names if name.endswith(".json") and not name.startswith(".")}

    def _read(self, file: Path) -> Proposal | None:
        try:
            return Proposal.load(parsed_json(read_bytes(file, self._within, DATA_BYTES)))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(
                f"cannot be read ({error.strerror})", where=str(file), do="make it readable, or delete it: its questions are in the cache"
            ) from None
        except (ValueError, RecursionError):
            raise UserError("not a proposal", where=str(file), do="delete it and run `enrich run`: the answers are in the cache") from None


def _text(proposal: Proposal) -> str:
    """The file's text, one line per field: indenting every value would take Python's slow encoder, most of what a proposal costs."""
    tree = proposal.document()
    fields = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in tree.pop("fields"))
    return f'{json.dumps(tree, ensure_ascii=False)[:-1]}, "fields": [\n  {fields}\n]}}\n'


def file_names(page: str) -> tuple[str, str]:
    """The possible file names of a page's proposal: its id, and its id with a hash (if it is too long, or another id differs only in case)."""
    name = quote(unicodedata.normalize("NFC", page), safe="", errors="surrogatepass").replace("~", "%7E")
    if name.startswith("."):
        name = "%2E" + name[1:]
    digest = hashlib.sha256(page.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    hashed = f"{name[:_MAX_NAME]}-{digest}.json"
    return (f"{name}.json" if len(name) <= _MAX_NAME else hashed), hashed


# How reviewers decided


@dataclass(slots=True)
class Decided:
    """The decisions on the values of one field from one model and prompt. `prompt` is the version if it is known, else the hash.

    `accepted` includes `edited`; `distances` are those of the edits (`distance`). `written` counts values on pages without a decision.
    """

    field: str
    model: str
    prompt: str
    accepted: int = 0
    rejected: int = 0
    written: int = 0
    distances: list[float] = dataclasses.field(default_factory=list)
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)

    @property
    def edited(self) -> int:
        return len(self.distances)

    @property
    def share(self) -> float:
        """The share of decisions that accept."""
        return self.accepted / max(self.accepted + self.rejected, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share (Wilson 1927)."""
        n, p = max(self.accepted + self.rejected, 1), self.share
        middle, half = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n), _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
        return max(middle - half, 0.0), min(middle + half, 1.0)


def decided_rows(wiki: Wiki, proposals: Iterable[Proposal]) -> list[Decided]:
    """What was decided by field, model and prompt: in the lock (applied or rejected), and in the proposals (accepted, not applied yet)."""
    found: dict[tuple[str, str, str], Decided] = {}
    listed: list[tuple[str, Question, Verdict | None]] = []
    for entry in wiki.shared(LockFile).read():
        listed += [(name, entry.question_of(name), entry.decided.get(name)) for name in entry.written]
        listed += [(name, entry.question, entry.decided.get(name) or Verdict("reject")) for name in entry.rejected]
    accepted = [change for proposal in proposals for change in proposal.changes if change.state == "accepted"]
    listed += [(name, change.question, verdict) for change in accepted for name, verdict in change.verdicts.items()]
    # The lock has only the prompt's hash for values without a verdict.
    versions = {question.prompt: f"v{verdict.version}" for _, question, verdict in listed if verdict is not None and verdict.version}
    for name, question, verdict in listed:
        version = versions.get(question.prompt, question.prompt[:8])
        key = (f"{INSIGHTS} (one)" if name.startswith(f"{INSIGHTS}.") else name, question.model, version)
        row = found.setdefault(key, Decided(*key))
        if verdict is None:
            row.written += 1
            continue
        row.accepted += verdict.decision != "reject"
        row.rejected += verdict.decision == "reject"
        row.distances += [verdict.distance] if verdict.decision == "edit" else []
        row.reasons.update([verdict.reason] if verdict.reason else [])
    return [found[key] for key in sorted(found)]
