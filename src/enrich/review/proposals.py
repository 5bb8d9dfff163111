"""Proposals: the field changes of one page that wait for a decision, one JSON file a page (DESIGN.md section 4.5)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from enrich.errors import UserError
from enrich.files import locked, write_text_atomically
from enrich.review.origin import Origin
from enrich.wiki.wiki import Wiki

State = Literal["pending", "accepted", "rejected"]
NEEDS_LOOK = "needs-look"
OVER_HUMAN = "over-human"
STALE = "stale"
_SCHEMA = 1
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
# File systems take 255 bytes a name; the rest is for the suffix, the hash and temporary names.
_MAX_NAME = 180


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of one page: what stood there when asked (`old`), what is proposed (`new`), why to trust it, and what was decided.

    `decided` says who decided, when, and on what (`accept`, `reject`, `edit`, `skip`; a skipped field stays pending). Where a person changed the
    value, `edited` says who, when and how, and keeps what was proposed (`proposed`), so that it can be taken back. `earlier` holds a person's
    words for an earlier proposal of this field that were not applied before a newer answer came: `value`, `by`, `when`.
    """

    field: str
    stage: str
    old: Any
    new: Any
    origin: Origin
    state: State = "pending"
    flags: tuple[str, ...] = ()
    findings: tuple[Mapping[str, Any], ...] = ()
    evidence: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""
    prompt_version: str = ""
    tokens: Mapping[str, int] = dataclasses.field(default_factory=dict)
    cost_usd: float | None = None
    asked: str = ""
    run: str = ""
    spread: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    samples: int = 1
    decided: Mapping[str, str] = dataclasses.field(default_factory=dict)
    edited: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    earlier: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def decision(self) -> str:
        """`accept`, `reject`, `edit`, `skip`, or "" where nobody has decided."""
        said = str(self.decided.get("decision", ""))
        return said or {"accepted": "accept", "rejected": "reject"}.get(self.state, "")

    @property
    def asked_for(self) -> Any:
        """The value as the answer gave it, before a person changed it."""
        return self.edited["proposed"]["new"] if self.edited else self.new

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the new value comes from, as `diff --json` shows it."""
        return {
            "model": self.origin.model,
            "prompt_version": self.prompt_version,
            "question": self.origin.key,
            "page_hash": self.origin.page_hash,
            "tokens": dict(self.tokens),
            "cost_usd": self.cost_usd,
            "asked": self.asked,
            "run": self.run,
            **({"samples": self.samples, "spread": dict(self.spread)} if self.samples > 1 else {}),
            **({"edited": {name: self.edited[name] for name in ("by", "when", "how")}} if self.edited else {}),
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "field": self.field,
            "stage": self.stage,
            "old": self.old,
            "new": self.new,
            "state": self.state,
            "flags": list(self.flags),
            "findings": [dict(finding) for finding in self.findings],
            "evidence": [dict(item) for item in self.evidence],
            "reason": self.reason,
            "model": self.origin.model,
            "prompt_version": self.prompt_version,
            "tokens": dict(self.tokens),
            "cost_usd": self.cost_usd,
            "asked": self.asked,
            "run": self.run,
            **({"samples": self.samples, "spread": dict(self.spread)} if self.samples > 1 else {}),
            "decided": dict(self.decided),
            **({"edited": dict(self.edited)} if self.edited else {}),
            **({"earlier": dict(self.earlier)} if self.earlier else {}),
            "origin": self.origin.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FieldChange:
        """Raises KeyError, TypeError or ValueError for anything but a field change."""
        if data["state"] not in get_args(State):
            raise ValueError(f"unknown state {data['state']!r}")
        edited = dict(data.get("edited", {}))
        if edited and not {"by", "when", "how", "proposed"} <= set(edited):
            raise ValueError("an edit without its author, its time or what it replaced")
        return cls(
            field=str(data["field"]),
            stage=str(data["stage"]),
            old=data["old"],
            new=data["new"],
            origin=Origin.from_json(data["origin"]),
            state=data["state"],
            flags=tuple(data["flags"]),
            findings=tuple(dict(item) for item in data["findings"]),
            evidence=tuple(dict(item) for item in data["evidence"]),
            reason=str(data["reason"]),
            prompt_version=str(data["prompt_version"]),
            tokens=dict(data["tokens"]),
            cost_usd=data["cost_usd"],
            asked=str(data["asked"]),
            run=str(data["run"]),
            spread=dict(data.get("spread", {})),
            samples=int(data.get("samples", 1)),
            decided=dict(data.get("decided", {})),
            edited=edited,
            earlier=dict(data.get("earlier", {})),
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for one page. `seen` maps each page hash that its changes name to the line marks of that text (`review.seen`)."""

    page: str
    path: str
    changes: tuple[FieldChange, ...]
    seen: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def change(self, name: str) -> FieldChange | None:
        return next((change for change in self.changes if change.field == name), None)

    def with_changes(self, changes: Iterable[FieldChange]) -> Proposal:
        """The proposal with these in place of its changes of the same fields; new ones after the others."""
        merged = {change.field: change for change in self.changes}
        merged.update((change.field, change) for change in changes)
        return replace(self, changes=tuple(merged.values()))

    def without(self, fields: Iterable[str]) -> Proposal:
        gone = set(fields)
        return replace(self, changes=tuple(change for change in self.changes if change.field not in gone))

    def to_json(self) -> dict[str, Any]:
        hashes = [change.origin.page_hash for change in self.changes]
        return {
            "schema": _SCHEMA,
            "page": self.page,
            "path": self.path,
            "page_hash": hashes[-1] if hashes else "",
            "seen": {digest: marks for digest, marks in self.seen.items() if digest in hashes},
            "fields": [change.to_json() for change in self.changes],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Proposal:
        """Raises KeyError, TypeError or ValueError for anything but a proposal."""
        if data["schema"] != _SCHEMA:
            raise ValueError(f"written by another version (schema {data['schema']})")
        changes = tuple(FieldChange.from_json(item) for item in data["fields"])
        seen = {str(digest): str(marks) for digest, marks in data.get("seen", {}).items()}
        return cls(str(data["page"]), str(data["path"]), changes, seen)


class ProposalStore:
    """The folder `proposals/`: reading is free, changing goes through `writing`, so that two reviewers lose no decision."""

    def __init__(self, wiki: Wiki) -> None:
        self.folder = wiki.config.proposals
        self.damaged: list[UserError] = []
        self._names: dict[str, str] | None = None  # casefolded file name -> file name

    def get(self, page: str) -> Proposal | None:
        """The proposal of a page, or None. Raises `UserError` for a file that is none."""
        for name in _candidates(page):
            found = self._read(self.folder / name)
            if found is not None and found.page == page:
                return found
        return None

    def has_any(self) -> bool:
        """Whether there is any proposal: saves looking for each page's."""
        return bool(self._listing())

    def all(self) -> list[Proposal]:
        """All proposals, in the order of their file names. Files that are none cost their own page only: they are in `damaged`."""
        found: list[Proposal] = []
        self.damaged = []
        for name in sorted(self._listing().values()):
            try:
                proposal = self._read(self.folder / name)
            except UserError as error:
                self.damaged.append(error)
                continue
            if proposal is not None:
                found.append(proposal)
        return found

    def pages(self) -> set[str]:
        """The ids of the pages that have a proposal."""
        return {proposal.page for proposal in self.all()}

    def writing(self) -> AbstractContextManager[None]:
        """Hold the folder: one process at a time changes proposals."""
        return locked(self.folder / ".mutex")

    def put(self, proposal: Proposal, *, durable: bool = False) -> None:
        """Write (or, where it has no changes left, remove) one proposal. To be called within `writing`.

        `durable` for a person's decisions: answers can be had again from the cache, decisions only from the person.
        """
        file = self.folder / self._name(proposal.page)
        if not proposal.changes:
            file.unlink(missing_ok=True)
            self._listing().pop(file.name.casefold(), None)
            return
        write_text_atomically(file, _text(proposal), durable=durable)
        self._listing()[file.name.casefold()] = file.name

    def _name(self, page: str) -> str:
        plain, hashed = _candidates(page)
        if plain == hashed:
            return hashed
        taken = self._listing().get(plain.casefold())
        if taken is None:
            return plain
        there = self._read(self.folder / taken)
        return plain if taken == plain and (there is None or there.page == page) else hashed

    def _listing(self) -> dict[str, str]:
        if self._names is None:
            try:
                names = [name for name in os.listdir(self.folder) if name.endswith(".json") and not name.startswith(".")]
            except OSError:
                names = []
            self._names = {name.casefold(): name for name in names}
        return self._names

    def _read(self, file: Path) -> Proposal | None:
        try:
            return Proposal.from_json(json.loads(file.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(
                f"cannot be read ({error.strerror})", where=str(file), do="make it readable, or delete it: its questions are in the cache"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UserError("no proposal", where=str(file), do="delete it and run `enrich run`: the answers are in the cache") from None


def _text(proposal: Proposal) -> str:
    """The file's text: a line a field. Indenting every value would take Python's slow encoder, most of what a proposal costs."""
    tree = proposal.to_json()
    fields = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in tree.pop("fields"))
    return f'{json.dumps(tree, ensure_ascii=False)[:-1]}, "fields": [\n  {fields}\n]}}\n'


def _candidates(page: str) -> tuple[str, str]:
    """The file names a page's proposal may have: its id, and its id with a hash (too long, or another id that differs only in case)."""
    name = "".join(
        char if char in _SAFE else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        for char in unicodedata.normalize("NFC", page)
    )
    if name.startswith("."):
        name = "%2E" + name[1:]
    digest = hashlib.sha256(page.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    hashed = f"{name[:_MAX_NAME]}-{digest}.json"
    return (f"{name}.json" if len(name) <= _MAX_NAME else hashed), hashed
