"""How reviewers decided on proposed values, by field, model and prompt version: accepted, edited (and by how much), rejected (and why).

A verdict is kept in the lock with the value that it is about, because an applied proposal is gone. Values that were written without a person's
decision (`run --apply`, `apply --all`) are counted apart.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from enrich.review.lock import LockFile, Question, Verdict
from enrich.review.proposals import FieldChange, Proposal
from enrich.stages.fields import INSIGHTS, number_of
from enrich.stages.judges import statement
from enrich.wiki.wiki import Wiki

_Z = 1.96  # of a 95 % interval
_MOST_POINTS = 10.0


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


def verdicts(change: FieldChange) -> dict[str, Verdict]:
    """What a person decided on a change and on single insights of it, by field (`insights.<id>` for one of them)."""
    version = change.prompt_version
    found = {
        f"{INSIGHTS}.{item}": Verdict("reject", version, reason=given.get("reason", ""))
        for item, given in change.items.items()
        if given.get("decision") == "reject"
    }
    if change.state == "pending" or not change.decided.get("by"):
        return found
    if change.state == "rejected":
        return {**found, change.field: Verdict("reject", version, reason=change.decided.get("reason", ""))}
    if change.edited is None:
        return {**found, change.field: Verdict("accept", version)}
    return {**found, change.field: Verdict("edit", version, distance=distance(change.proposed.new, change.result))}


def distance(proposed: Any, written: Any) -> float:
    """How much a person changed: points of a rating, else the share of words (0 to 1) that are not in both texts in the same order."""
    old, new = number_of(proposed), number_of(written)
    if old is not None and new is not None:
        return round(min(abs(old - new), _MOST_POINTS), 2)
    before, after = (_words(value) for value in (proposed, written))
    return round(1 - difflib.SequenceMatcher(None, before, after, autojunk=False).ratio(), 3)


def _words(value: Any) -> list[str]:
    texts = [statement(item)[0] if isinstance(item, Mapping) else str(item) for item in (value if isinstance(value, list) else [value])]
    return " ".join(texts).split()


def decided_rows(wiki: Wiki, proposals: Iterable[Proposal]) -> list[Decided]:
    """What was decided by field, model and prompt: in the lock (applied or rejected), and in the proposals (accepted, not applied yet)."""
    found: dict[tuple[str, str, str], Decided] = {}
    listed = [*_of_lock(wiki), *_of_proposals(proposals)]
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


_Found = Iterator[tuple[str, Question, Verdict | None]]


def _of_lock(wiki: Wiki) -> _Found:
    for entry in wiki.shared(LockFile).read():
        for name in entry.written:
            yield name, entry.question_of(name), entry.decided.get(name)
        for name in entry.rejected:
            yield name, entry.question, entry.decided.get(name) or Verdict("reject")


def _of_proposals(proposals: Iterable[Proposal]) -> _Found:
    for change in (change for proposal in proposals for change in proposal.changes if change.state == "accepted"):
        for name, verdict in verdicts(change).items():
            yield name, change.question, verdict
