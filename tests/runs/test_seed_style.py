"""Answers in the style of the seed documents, end to end: what a strong model says about a page is written as it is, without a finding."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.demo import DemoWiki, answering, page_of, parts_of
from tests.fake_server import Act, FakeServer, Seen

OWN = Path(__file__).parents[1] / "wikis" / "seed_style"
KINDS = {"Claim": "claim", "Counterint.": "counterintuitive"}
TOML = '[wiki]\ncontent = "docs"\ndata = "data"\nids = "stem"\nprofile = "longterm-wiki"\n[llm]\nmodel = "m"\n'
# What a model writes besides the values of the seed: one clause that names something of the page.
REASON = "It decides how far {title} can be relied on."
OURS = re.compile(r"^quality:.*\n|^llmSummary:.*\n|^ratings:\n(?:  .*\n)+", re.MULTILINE)
_TOKEN = re.compile(r"[^\W_][\w%×-]*")


@dataclass(frozen=True)
class Expected:
    """The values that the model answers and that the page must have afterwards; `findings` are those that are right."""

    title: str
    summary: str
    insights: list[tuple[str, str, float, float, float]]
    ratings: Mapping[str, float]
    quality: int
    findings: tuple[str, ...] = ()


def quotes(page: str, text: str, most: int) -> list[str]:
    """The sentences and table rows of a page that have most of a text's words, numbers and rare words first: what a careful model quotes."""
    lines = page.split("\n")[2:]
    passages = [part for line in lines for part in re.split(r"(?<=[.!?]) (?=[A-Z])", line.strip()) if part]
    used = Counter(word for passage in passages for word in words(passage))
    left = {word: (5 if word[0].isdigit() else 1) / (1 + used[word]) ** 0.5 for word in words(text)}
    found: list[str] = []
    for _ in range(most):
        best = max(passages, key=lambda one: sum(left.get(word, 0) for word in words(one)) / (20 + len(words(one))) ** 0.5)
        if left.keys().isdisjoint(words(best)):
            break
        found.append(best)
        left = {word: weight for word, weight in left.items() if word not in words(best)}
    return found


def words(text: str) -> set[str]:
    return set(_TOKEN.findall(text.lower()))


def model(expected: Expected) -> Callable[[Seen], Act]:
    """The script for a model that answers these values, with quotes of what it is shown."""
    reason = REASON.format(title=expected.title)

    def acting(seen: Seen) -> Act:
        page = page_of(seen)
        listed = [
            {
                "type": kind,
                "evidence": quotes(page, text, 2),
                "text": text,
                "reason": reason,
                "surprising": s,
                "important": i,
                "actionable": a,
            }
            for kind, text, s, i, a in expected.insights
        ]
        parts: dict[str, Any] = {
            "summary": {"summary": expected.summary, "evidence": quotes(page, expected.summary, 6)},
            "insights": {"insights": listed},
            "ratings": {name: {"reason": f"{reason[:-1]} ({name}).", "score": score} for name, score in expected.ratings.items()},
        }
        return answering({name: parts[name] for name in parts_of(seen)})

    return acting


def answers_are_written(wiki: DemoWiki, page: str, expected: Expected, server: FakeServer) -> None:
    wiki.asks(server)
    before = wiki.findings()
    done = wiki.enrich("page", page, "--apply")
    assert (done.exit, server.requests) == (0, 1)
    assert "applied 6 fields" in done.out
    assert re.findall(r"^ +! (.{42})", done.out, re.MULTILINE) == list(expected.findings)
    assert "not on the page" not in done.out
    (file,) = wiki.docs.rglob(f"{page}.mdx")
    written = yaml.safe_load(file.read_text(encoding="utf-8").split("---\n")[1])
    assert (written["llmSummary"], written["ratings"], written["quality"]) == (expected.summary, expected.ratings, expected.quality)
    insights = [(one["type"], one["text"], one["surprising"], one["important"], one["actionable"]) for one in written["insights"]]
    assert insights == expected.insights
    assert wiki.findings() - before == Counter()


@pytest.mark.sample
def test_the_seeds_answers_are_written_without_a_finding(sample: Path, tmp_path: Path) -> None:
    page = "mesa-optimization"
    seed = (sample.parent / "seeds" / "000_3d34533f06f66e6c.txt").read_text(encoding="utf-8")
    listed = re.findall(r"• (Claim|Counterint\.)(.*?)S:([\d.]+)I:([\d.]+)A:([\d.]+)", seed)
    (source,) = sample.glob(f"content/docs/**/{page}.mdx")
    head, _, body = source.read_text(encoding="utf-8").partition("\n---\n")
    front = yaml.safe_load(head.removeprefix("---\n"))
    expected = Expected(
        title=front["title"],
        summary=re.search(r"LLM Summary:(.*)", seed)[1],  # type: ignore[index]
        insights=[(KINDS[kind], text, float(s), float(i), float(a)) for kind, text, s, i, a in listed],
        ratings=front["ratings"],
        quality=front["quality"],
        # The page says that the classifiers use these activations, not that they use nothing else.
        findings=('soft flip: "only" says more than the page:',),
    )
    (tmp_path / "enrich.toml").write_text(TOML)
    stripped = tmp_path / "docs" / source.relative_to(sample / "content" / "docs")
    stripped.parent.mkdir(parents=True)
    stripped.write_text(f"{OURS.sub('', head)}\n---\n{body}", encoding="utf-8")
    shutil.copytree(sample / "data", tmp_path / "data", ignore=shutil.ignore_patterns("insights"))
    with FakeServer(model(expected)) as server:
        answers_are_written(DemoWiki.at(tmp_path, "docs"), page, expected, server)


def test_answers_of_the_seeds_style_are_written_without_a_finding(tmp_path: Path) -> None:
    given = yaml.safe_load((OWN / "answers.yaml").read_text(encoding="utf-8"))
    expected = Expected("Tidal Lagoons", given["summary"], [tuple(one) for one in given["insights"]], given["ratings"], given["quality"])
    (tmp_path / "enrich.toml").write_text(TOML)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "resources.json").write_text(str(given["resources"]).replace("'", '"'))
    (tmp_path / "docs").mkdir()
    shutil.copy(OWN / "tidal-lagoons.mdx", tmp_path / "docs")
    with FakeServer(model(expected)) as server:
        answers_are_written(DemoWiki.at(tmp_path, "docs"), "tidal-lagoons", expected, server)
