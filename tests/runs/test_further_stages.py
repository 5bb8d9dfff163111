"""Stages beyond the three: those of the package, one's own by the documentation, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.demo import ROOT, DemoWiki, answering, honest_parts
from tests.fake_server import Act, FakeServer, Seen

DOCS = (ROOT / "docs" / "stages.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)[0]
TOML = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)[1]
# As it is in an installed distribution: without the quotation marks of pyproject.toml.
ENTRY = (
    re.findall(r"```text\n(.*?)```", DOCS, re.DOTALL)[0]
    .replace('[project.entry-points."enrich.stages"]', "[enrich.stages]")
    .replace('"', "")
)
Serve = Callable[..., FakeServer]


def says(parts: Mapping[str, Any]) -> Callable[[Seen], Act]:
    """The script for an honest model that answers further stages with `parts`, whose texts may have `{n}` for the page's number."""

    def acting(seen: Seen) -> Act:
        names = list(seen.body["response_format"]["json_schema"]["schema"]["properties"])
        known = {name: value for name, value in parts.items() if name in names}
        rest = Seen(
            seen.number, seen.method, seen.path, seen.headers, {**seen.body, "response_format": _without(seen, known)}, seen.raw, seen.at
        )
        return answering({**honest_parts(rest), **known})

    return acting


def _without(seen: Seen, names: Mapping[str, Any]) -> dict[str, Any]:
    schema = seen.body["response_format"]["json_schema"]["schema"]
    left = {name: part for name, part in schema["properties"].items() if name not in names}
    return {"json_schema": {"schema": {**schema, "properties": left}}}


def proposed(result: Any) -> list[str]:
    return [item["field"] for item in result.json["proposed"]]


def test_a_stage_of_ones_own_by_the_documentation(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 2, TOML)
    (wiki.root / "stages.py").write_text(CODE)
    server = wiki.asks(serve(says({"tags": {"reason": "Its topic.", "tags": ["wind-power", "cost"]}})))
    # Code that nobody allowed is not run.
    refused = wiki.enrich("run", "--stage", "tags")
    assert (refused.exit, server.requests) == (1, 0)
    assert "If you trust the code in stages.py, set ENRICH_TRUST_CODE=1" in refused.err
    done = wiki.enrich("run", "--stage", "tags", "--trust-code", "--json")
    assert (done.exit, proposed(done)) == (0, ["tags", "tags"])
    shown = wiki.enrich("diff", "--format", "word").out
    assert ("wind-power" in shown, "because: Its topic." in shown) == (True, True)
    wiki.enrich("apply", "--all")
    assert wiki.frontmatter(0)["tags"] == ["wind-power", "cost"]
    assert {state for (_, stage), (state, _) in wiki.states(ENRICH_TRUST_CODE="1").items() if stage == "tags"} == {"current"}
    # One request for all stages, a person's value wins, an edited prompt asks again.
    requests = server.requests
    assert wiki.enrich("page", "park-0", ENRICH_TRUST_CODE="1").exit == 0
    assert server.requests == requests + 1
    wiki.file(1).write_text(wiki.file(1).read_text().replace("wind-power", "mine"))
    (wiki.root / "prompts").mkdir()
    (wiki.root / "prompts" / "tags.md").write_text("---\nversion: 2\n---\nName tags.\n")
    states = wiki.states(ENRICH_TRUST_CODE="1")
    assert states["park-0", "tags"] == ("due", ("prompt-changed",))
    assert states["park-1", "tags"] == ("human-edited", ())


@pytest.mark.parametrize(
    ("point", "code", "said"),
    [
        ("tide_stages:tags", 0, ""),
        ("tide_stages:Tags", 1, "tide_stages:Tags: not the definition of the stage 'tags'"),
        ("tide_stages:gone", 1, "tide_stages:gone: the stage cannot be loaded (AttributeError"),
    ],
)
def test_a_stage_of_an_installed_package_needs_no_trust(tmp_path: Path, serve: Serve, point: str, code: int, said: str) -> None:
    wiki = DemoWiki(tmp_path / "wiki", 1, TOML)
    wiki.asks(serve(says({"tags": {"reason": "Its topic.", "tags": ["wind-power", "cost"]}})))
    installed = tmp_path / "site-packages"
    (installed / "tide_stages-1.0.dist-info").mkdir(parents=True)
    (installed / "tide_stages.py").write_text(CODE)
    (installed / "tide_stages-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tide-stages\nVersion: 1.0\n")
    (installed / "tide_stages-1.0.dist-info" / "entry_points.txt").write_text(ENTRY.replace("my_package.stages:tags", point))
    # In a process of its own: what is installed is looked up once a process.
    path = os.pathsep.join([str(installed), *sys.path])
    command = [sys.executable, "-m", "enrich", "run", "--stage", "tags", "--apply"]
    done = subprocess.run(command, cwd=wiki.root, env=wiki.env(PYTHONPATH=path), capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr
    assert code or wiki.frontmatter(0)["tags"] == ["wind-power", "cost"]


def test_an_answer_that_the_model_rejects_is_asked_again_with_the_reason(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, TOML)
    (wiki.root / "stages.py").write_text(CODE)
    answers = iter([{"reason": "x", "tags": ["Not A Tag"]}, {"reason": "x", "tags": ["a", "b"]}])
    server = wiki.asks(serve(lambda seen: answering({"tags": next(answers)})))
    assert proposed(wiki.enrich("run", "--stage", "tags", "--trust-code", "--json")) == ["tags"]
    assert "should match pattern" in server.seen[1].text


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (CODE.replace('"tags": "tags"', '"description": "tags"'), "writes `description`, which models are shown"),
        (CODE.replace('"tags": "tags"', '"tags": "label"'), "takes `label` from its answer, which has reason, tags"),
        (CODE.replace('name="tags"', 'name="labels"'), r"define it in stages\.py, which defines labels"),
        (CODE.replace("import BaseModel", "import NoSuchModel"), r"stages\.py:3: ImportError"),
        ("x = (", r"stages\.py:1: SyntaxError"),
        ("", "no stage 'tags' is defined"),
    ],
)
def test_what_is_wrong_with_a_definition_is_one_line(tmp_path: Path, code: str, error: str) -> None:
    wiki = DemoWiki(tmp_path, 1, TOML)
    (wiki.root / "stages.py").write_text(code)
    result = wiki.enrich("plan", "--trust-code")
    assert result.exit == 1
    assert re.search(error, result.err)
    assert "Traceback" not in result.err


def test_the_packages_further_stages(tmp_path: Path, serve: Serve) -> None:
    toml = "".join(f"[stages.{name}]\nenabled = true\n" for name in ("tactical_value", "update_frequency", "description"))
    wiki = DemoWiki(tmp_path, 3, toml)
    for number, head in enumerate(("subcategory: labs\n", "evergreen: false\n", "")):
        text = re.sub(r"description:.*\n", "", wiki.file(number).read_text())
        wiki.file(number).write_text(text.replace("title:", f"{head}title:", 1))
    quote = "Their blades are made of glass fibre and are inspected twice a year."
    said = "Wind turbines whose blades of glass fibre are inspected twice in every year of their service."
    answers = {
        "tactical_value": {"reason": "Slow.", "value": 40},
        "update_frequency": {"reason": "Slow.", "days": 45},
        "description": {"description": said, "evidence": [quote]},
    }
    server = wiki.asks(serve(says(answers)))
    done = wiki.enrich("run", "--json", ENRICH_WIKI__PROFILE="longterm-wiki")
    by_page = {page: [item["field"] for item in done.json["proposed"] if item["page"] == page] for page in ("park-0", "park-1", "park-2")}
    assert "update_frequency" in by_page["park-0"]
    assert "update_frequency" not in by_page["park-1"]
    # One description for all three pages: only one page can have it.
    (own,) = [page for page, fields in by_page.items() if "description" in fields]
    failed = [item for item in done.json["failed"] if item["stage"] == "description"]
    assert {item["page"] for item in failed} == set(by_page) - {own}
    assert "has this description" in failed[0]["detail"]
    wiki.enrich("accept", *by_page, f"{own}:description")
    wiki.enrich("apply")
    # A rule decided about the first page, the model about the third.
    assert (wiki.frontmatter(0)["update_frequency"], wiki.frontmatter(2)["update_frequency"]) == (7, 45)
    assert wiki.frontmatter(2)["tacticalValue"] == 40
    assert wiki.frontmatter(int(own[-1]))["description"] == said
    # What was written is neither shown nor makes a page due.
    wiki.enrich("page", own, "--refresh", "--no-cache")
    assert said not in server.seen[-1].body["messages"][1]["content"]
    states = wiki.states(ENRICH_WIKI__PROFILE="longterm-wiki")
    assert {states[own, stage][0] for stage in ("summary", "tactical_value", "description")} == {"current"}
    assert states["park-1", "update_frequency"] == ("skipped", ("kind-of-page",))


def test_offline_only_stages_that_need_no_model_are_asked(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1, "[stages.tactical_value]\nenabled = true\n[stages.update_frequency]\nenabled = true\n")
    wiki.file(0).write_text(wiki.file(0).read_text().replace("title:", "readerImportance: 85\ntitle:", 1))
    assert {stage for _, stage in wiki.states(ENRICH_WIKI__PROFILE="longterm-wiki")} == {
        "summary",
        "insights",
        "ratings",
        "update_frequency",
    }
    assert wiki.enrich("run", "--apply", ENRICH_WIKI__PROFILE="longterm-wiki").exit == 0
    assert wiki.frontmatter(0)["update_frequency"] == 7
    named = wiki.enrich("run", "--stage", "tactical_value")
    assert (named.exit, "the offline backend has no answer to the stage 'tactical_value'" in named.err) == (2, True)


def test_unknown_stages_are_named(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1, "[stages.sumary]\nenabled = true\n")
    assert "no stage 'sumary' is defined" in wiki.enrich("plan").err


def test_insights_can_have_more_scores_and_tags(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, '[stages.insights]\nextras = ["neglected", "compact", "tags"]\n')
    quote = "Their blades are made of glass fibre and are inspected twice a year."
    insight = {"type": "claim", "evidence": quote, "text": quote, "surprising": 2.5, "important": 3.0, "actionable": 2.0}
    more = {"neglected": 2.5, "compact": 4.0, "tags": ["blades", "glass-fibre"]}
    answers = iter([insight, insight | more])
    server = wiki.asks(serve(lambda seen: answering({"insights": {"insights": [next(answers)]}})))
    assert proposed(wiki.enrich("run", "--stage", "insights", "--apply", "--json")) == ["insights"]
    (written,) = wiki.frontmatter(0)["insights"]
    assert {name: written[name] for name in more} == more
    # What is missing is asked again, and the prompt says what is meant.
    assert server.requests == 2
    assert ("hardly anybody works on it" in server.seen[0].text, "neglected" in server.seen[1].text) == (True, True)
    assert [one["rule"] for one in wiki.enrich("check", "--json").json["findings"] if one["rule"].startswith("insight")] == []
    assert wiki.states()["park-0", "insights"][0] == "current"
