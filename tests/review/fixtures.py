"""Wikis with proposals to look at: many ordinary ones, and one whose pages and answers are hostile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enrich.review.proposals import Proposal, ProposalStore
from enrich.review.views import PageView, page_views
from enrich.wiki.wiki import Wiki
from tests.review.wikis import BODY, INSIGHTS, answer, insight, make_wiki, page_text, ratings_answer, summary_answer

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
        "summary": summary_answer("The station has worked since 1984.", "has worked since 1984"),
        "insights": {"insights": insights},
        "ratings": ratings_answer(novelty=number % 10, rigor=(number % 20) / 2),
    }


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


SUMMARY = summary_answer(
    "The station has run since 1984; it cost 40 million dollars.", "has worked since 1984", "Building it cost 40 million dollars"
)


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
