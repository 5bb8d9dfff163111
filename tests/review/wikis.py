"""Small wikis with proposals waiting, made through the same code a run uses, without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Below the public API: answers are proposed without asking a server.
from enrich.config import load_config
from enrich.grounding import PageIndex
from enrich.review.lock import LockFile, Question
from enrich.review.proposals import FieldChange, ProposalStore
from enrich.review.propose import StageAnswer, propose
from enrich.stages.stage import load_stages
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

ASKED = "2026-03-01T10:00:00Z"
BODY = """\
The tidal station at {name} has worked since 1984 and makes {power} megawatts at spring tide.

## Costs

Building it cost 40 million dollars, a third more than was planned. Each kilowatt hour costs 9 cents today,
and a survey among 120 engineers expects the price to fall by a fifth until new turbines arrive.

## Wildlife

Nobody has counted the seals around the dam for ten years. Local fishers say that herring avoid the turbines,
while the operator reports no change at all.
"""
TOML = """\
[wiki]
content = "pages"
[llm]
backend = "openai"
model = "fake-model"
base_url = "http://127.0.0.1:9/v1"
"""


def page_text(name: str, front: Mapping[str, Any] = {}, body: str = BODY) -> str:
    """A page whose frontmatter holds a title and `front` (JSON is YAML)."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in front.items()]
    return f"---\ntitle: Tidal power at {name}\n{''.join(lines)}---\n{body.format(name=name, power=len(name) * 3)}"


def make_wiki(root: Path, pages: Mapping[str, str]) -> Wiki:
    """A wiki of these pages (path without suffix: text), opened."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "enrich.toml").write_text(TOML, encoding="utf-8")
    for path, text in pages.items():
        file = root / "pages" / f"{path}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8"))
    return reopened(root)


def reopened(root: Path) -> Wiki:
    return Wiki.open(load_config(root, {}, {}))


def summary_answer(text: str, *quotes: str) -> dict[str, Any]:
    return {"summary": text, "evidence": list(quotes)}


def insight(text: str, quote: str, kind: str = "claim", scores: Sequence[float] = (3, 4, 2)) -> dict[str, Any]:
    surprising, important, actionable = scores
    return {"type": kind, "text": text, "surprising": surprising, "important": important, "actionable": actionable, "evidence": quote}


def ratings_answer(**scores: float) -> dict[str, Any]:
    """Scores for all four dimensions; 5 where none is given."""
    names = ("novelty", "rigor", "actionability", "completeness")
    return {name: {"reason": f"The page says enough for {name}.", "score": scores.get(name, 5)} for name in names}


SUMMARY = summary_answer(
    "The station has run since 1984; it cost 40 million dollars.", "has worked since 1984", "Building it cost 40 million dollars"
)
INSIGHTS = {
    "insights": [
        insight("Building it cost a third more than planned.", "a third more than was planned", "quantitative"),
        insight("Nobody counts the seals.", "Nobody has counted the seals around the dam for ten years", "neglected", (4.5, 3, 3)),
        insight("Fishers and operator disagree on herring.", "herring avoid the turbines", "disagreement"),
    ]
}


def answer(workspace: Wiki, page_id: str, answers: Mapping[str, Any]) -> list[FieldChange]:
    """Leave the proposal that these stages' answers (JSON data) make for a page."""
    page = read_page(workspace.by_id[page_id])
    index = PageIndex(page.body, title=page.title, description=page.description)
    given = [
        StageAnswer(
            stage.name,
            stage.judge(answers[stage.name], index),
            Question.of(page, stage, key=stage.key(page)),
            prompt_version=str(stage.prompt.version),
            tokens={"input": 1234, "cached_input": 0, "cache_write": 0, "output": 210},
            cost_usd=0.0012,
            asked=ASKED,
            run="run-1",
        )
        for stage in load_stages(workspace.config)
        if stage.name in answers
    ]
    return propose(workspace, workspace.shared(LockFile).read(), page, given)[0]


def states(workspace: Wiki) -> dict[str, dict[str, str]]:
    """What is decided about each proposed field: page -> field -> `decision/state`."""
    return {
        proposal.page: {change.field: f"{change.decision or '-'}/{change.state}" for change in proposal.changes}
        for proposal in workspace.shared(ProposalStore).all()
    }
