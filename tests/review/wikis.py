"""Wikis with proposals waiting, made through the same code a run uses, without a server: small ones, large ones, hostile ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Below the public API: answers are proposed without asking a server.
from enrich.config import load_config
from enrich.grounding import PageIndex
from enrich.review.lock import LockFile, Question
from enrich.review.proposals import FieldChange, Proposal, ProposalStore
from enrich.review.propose import StageAnswer, propose
from enrich.review.views import PageView, page_views
from enrich.stages.stage import Stage, load_stages
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki
from tests.demo import DemoWiki, Result

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
ids = "stem"
[llm]
backend = "openai"
model = "fake-model"
base_url = "http://127.0.0.1:9/v1"
"""


def page_text(name: str, front: Mapping[str, Any] = {}, body: str = BODY) -> str:
    """A page whose frontmatter holds a title and `front` (JSON is YAML)."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in front.items()]
    return f"---\ntitle: Tidal power at {name}\n{''.join(lines)}---\n{body.format(name=name, power=len(name) * 3)}"


def make_wiki(root: Path, pages: Mapping[str, str], ids: str = "stem") -> Wiki:
    """A wiki of these pages (path without suffix: text), opened. Ids are short unless `ids` is "path"."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "enrich.toml").write_text(TOML.replace('"stem"', f'"{ids}"'), encoding="utf-8")
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
    return {name: {"reason": f"What it says of the station is enough for {name}.", "score": scores.get(name, 5)} for name in names}


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


def stages(workspace: Wiki) -> list[Stage]:
    """For `shared`: reading a wiki's prompts takes longer than all else that is done for one page."""
    return load_stages(workspace.config)


def answer(workspace: Wiki, page_id: str, answers: Mapping[str, Any]) -> list[FieldChange]:
    """Leave the proposal that these stages' answers (JSON data) make for a page."""
    page = read_page(workspace.by_id[page_id])
    index = PageIndex(page.body, title=page.title, description=page.description)
    given = [
        StageAnswer(
            stage.name,
            stage.judge(answers[stage.name], index),
            Question.of(page, stage, key=stage.key(page)),
            prompt_version=str(stage.prompt.settings.version),
            tokens={"input": 1234, "cached_input": 0, "cache_write": 0, "output": 210},
            cost_usd=0.0012,
            asked=ASKED,
            run="run-1",
        )
        for stage in workspace.shared(stages)
        if stage.name in answers
    ]
    return propose(workspace, workspace.shared(LockFile).read(), page, given)[0]


def states(workspace: Wiki) -> dict[str, dict[str, str]]:
    """What is decided about each proposed field: page -> field -> `decision/state`."""
    return {
        proposal.page: {change.field: f"{change.decision or '-'}/{change.state}" for change in proposal.changes}
        for proposal in workspace.shared(ProposalStore).all()
    }


def change_of(workspace: Wiki, page: str, field: str) -> FieldChange:
    """The change that is proposed for a field."""
    change = workspace.shared(ProposalStore).get(page).change(field)
    assert change is not None
    return change


def run(workspace: Wiki, *arguments: str) -> Result:
    """The command line in the wiki's folder."""
    return DemoWiki.at(workspace.config.root, "pages").enrich(*arguments)


# What must not do anything anywhere, and how each would show itself.
HOSTILE = (
    "<script>window.owned=1</script>",
    "<img src=x onerror=window.owned=1>",
    "</script><script>window.owned=1</script>",
    "</style><style>body{display:none}</style>",
    "[click](javascript:window.owned=1)",
    "<a href='javascript:window.owned=1'>x</a>",
    "@octocat #123 GH-45 8f3a9c1d2b7e4f6a8f3a9c1d2b7e4f6a8f3a9c1d https://evil.example/x www.evil.example",
    "</details></summary><details open>",
    "```\n@octocat\n```` end",
    "`@octocat` ``x`` |||",
    "\u202egnp.exe\u2066 \x1b[2J\x1b]0;owned\x07 \x9b31m",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "]]> --> <!-- \\u003c \u2028 \u2029",
)
FOLDERS = ("risks", "models", "responses")


def many(root: Path, pages: int) -> Wiki:
    """`pages` pages in three folders, each with a summary, insights and ratings proposed over earlier values that nobody wrote by hand."""
    names = [f"Bay {number}" for number in range(pages)]
    texts = {f"kb/{FOLDERS[number % 3]}/bay-{number}": page_text(name) for number, name in enumerate(names)}
    workspace = make_wiki(root, texts)
    for file in workspace.files:
        answer(workspace, file.id, _answers(int(file.id.partition("-")[2])))
    return workspace


def _answers(number: int) -> dict[str, Any]:
    insights = [dict(one) for one in INSIGHTS["insights"]]
    if number % 9 == 0:
        insights[0]["evidence"] = "This sentence stands on no page at all, whatever its author may say."
    return {
        "summary": summary_answer(
            "The station has worked since 1984.",
            f"has worked since 1984 and makes {len(f'Bay {number}') * 3} megawatts at spring tide",
        ),
        "insights": {"insights": insights},
        "ratings": ratings_answer(novelty=number % 10, rigor=(number % 20) / 2),
    }


def with_small_moves(root: Path, pages: int) -> Wiki:
    """Pages whose four ratings are ours, and are proposed to move by a point at most."""
    old = {"ratings": dict.fromkeys(("novelty", "rigor", "actionability", "completeness"), 4.5)}
    workspace = make_wiki(root, {f"kb/bay-{number}": page_text(f"Bay {number}", old) for number in range(pages)})
    run(workspace, "adopt")
    workspace = reopened(root)
    for file in workspace.files:
        answer(workspace, file.id, {"ratings": ratings_answer(novelty=5, rigor=4, actionability=5.5, completeness=3.5)})
    return workspace


def with_old_values(root: Path) -> Wiki:
    """Two pages with a person's values under the proposed ones; the first page's text has changed since it was asked about."""
    old = {
        "llmSummary": "The station has run since 1983; it cost 40 million dollars.",
        "ratings": {"novelty": 3, "rigor": 6.5},
        "insights": [
            insight("Building it cost a quarter more than expected.", "a third more than was planned", "claim", (3, 3, 2)),
            insight("Tides are regular.", "spring tide"),
        ],
    }
    workspace = make_wiki(root, {"kb/stale": page_text("Old Bay", old), "kb/fresh": page_text("New Bay", old)})
    for page in ("stale", "fresh"):
        answer(workspace, page, {"summary": SUMMARY, "insights": INSIGHTS, "ratings": ratings_answer(novelty=5.5, rigor=6)})
    file = workspace.by_id["stale"].file
    file.write_text(file.read_text(encoding="utf-8").replace("herring", "cod"), encoding="utf-8")
    return workspace


def hostile(root: Path) -> Wiki:
    """A page for each hostile string: in its title, its headings, its sentences, its old values and all that a model said about it."""
    pages = {}
    for number, words in enumerate(HOSTILE):
        line = " ".join(words.split())
        body = f"{BODY}\n## {line}\n\nA sentence with {line} in it stands here.\n"
        front = {"title": f"{words} {number}", "llmSummary": f"Old {words}", "ratings": {"novelty": words}}
        pages[f"kb/page-{number} `a|b`<b>@octocat"] = page_text("X", front, body.replace("{", "{{").replace("}", "}}")).replace(
            "title: Tidal power at X\n", ""
        )
    workspace = make_wiki(root, pages)
    for file, words in zip(sorted(workspace.files, key=_number), HOSTILE, strict=True):
        given = answer(workspace, file.id, {"summary": SUMMARY, "insights": INSIGHTS, "ratings": ratings_answer(novelty=9)})
        # What a server sends is trimmed on its way in; a proposal file that somebody else wrote is not.
        with workspace.shared(ProposalStore).writing():
            workspace.shared(ProposalStore).put(_spoiled(Proposal(file.id, file.path, tuple(given)), words))
    return workspace


def _number(file: Any) -> int:
    return int(file.path.partition("page-")[2].partition(" ")[0])


def _spoiled(proposal: Proposal, words: str) -> Proposal:
    data = proposal.document()
    for field in data["fields"]:
        field["reason"] = f"Because {words}"
        field["prompt_version"] = words
        field["findings"] = [{"kind": words, "severity": "hard", "message": f"See {words}", "where": "insights[0]", "span": None}]
        for item in field["evidence"]:
            item["section"] = words
        if field["field"] == "llmSummary":
            field["new"] = f"New {words} end"
        elif field["field"] == "insights":
            field["new"][0]["text"] = f"Insight {words}"
            field["new"][0]["type"] = words
            field["new"][1]["evidence"] = words
    return Proposal.load(data)


def views(workspace: Wiki) -> list[PageView]:
    """All proposals as they are read."""
    return page_views(workspace, workspace.shared(ProposalStore).all())
