"""How reviewers decided on proposed values, by field, model and prompt version: accepted, edited (and by how much), rejected (and why).

A verdict is kept in the lock with the value that it is about, because an applied proposal is gone. Values that were written without a person's
decision (`run --apply`, `apply --all`) are counted apart.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from enrich.review.lock import LockFile, Question, Verdict
from enrich.review.proposals import Proposal
from enrich.stages.fields import INSIGHTS
from enrich.wiki.wiki import Wiki

_Z = 1.96  # of a 95 % interval


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
