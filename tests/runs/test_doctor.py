"""`enrich doctor`: each broken set-up is found by name, a good one has no findings, and the server's capabilities are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki
from tests.fake_server import Serve
from tests.llm.providers import llama_cpp_python, llamacpp

MODEL = "[llm]\nbackend = 'openai'\n"
LOCAL = MODEL + "base_url = 'http://127.0.0.1:{port}/v1'\n"
BUDGET = "[run]\nbudget_usd = 1\n"
KEY = {"OPENAI_API_KEY": "sk-0123456789abcdefghij"}

# name → (enrich.toml beside [wiki], files to write, environment)
BROKEN: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "settings": ("[llm]\nmodle = 'x'\n", {}, {}),
    "no-pages": ("", {"content": "empty"}, {}),
    "no-content": ("", {"content": ""}, {}),
    "broken-pages": ("", {"content/bad.md": "---\ntitle: [\n---\nText.\n"}, {}),
    "stage": ("", {"prompts/summary.md": "---\nversion: 1\n---\n{{ nothing.there() }}\n"}, {}),
    "no-stage": ("".join(f"[stages.{name}]\nenabled = false\n" for name in ("summary", "insights", "ratings")), {}, {}),
    "unused-key": ("", {}, KEY),
    "no-key": (MODEL + BUDGET, {}, {}),
    "malformed-key": (MODEL + BUDGET, {}, {"OPENAI_API_KEY": "sk-a b"}),
    "untrusted-host": (MODEL + "base_url = 'https://api.example.net/v1'\n" + BUDGET, {}, KEY),
    "untrusted-request": (MODEL + "headers = {X-A = 'b'}\n" + BUDGET, {}, KEY),
    "bad-address": (MODEL + "base_url = 'ftp://api.example.net/v1'\n", {}, KEY),
    "trust-form": (MODEL + BUDGET, {}, KEY | {"ENRICH_TRUST_HOST": "https://api.example.net"}),
    "two-servers": (LOCAL, {}, KEY | {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}),
    "chat-path": (MODEL + "base_url = 'http://127.0.0.1:{port}/v1/chat/completions'\n", {}, {}),
    "no-version": (MODEL + "base_url = 'http://127.0.0.1:{port}'\n", {}, {}),
    "provider-mismatch": (MODEL + "provider = 'groq'\n", {}, {"GROQ_API_KEY": "g", "ENRICH_LLM__BASE_URL": "https://api.mistral.ai/v1"}),
    "nothing-listens": (MODEL + "base_url = 'http://127.0.0.1:9/v1'\n", {}, {}),
    "no-price": (LOCAL + "model = 'of-unknown-price'\n" + BUDGET, {}, {}),
    "no-budget": (MODEL, {}, KEY),
    "model-ends": (MODEL + "model = 'gpt-4-0613'\n" + BUDGET, {}, KEY),
    "calibration-outdated": (
        LOCAL,
        {
            "enrich.calibration": '{"schema": 1, "maps": [{"field": "ratings.rigor", "model": "gpt-6-luna", "prompt": "p", "settings": "s",'
            ' "points": [], "margin": 1, "pages": 20, "raw_mae": 1, "mae": 1}]}'
        },
        {},
    ),
    "small-context": (LOCAL + "context_tokens = 2048\n", {}, {}),
    "not-ignored": ("", {".git/HEAD": ""}, {}),
    "lock-ignored": ("", {".git/HEAD": "", ".gitignore": "cache/\nproposals/\nenrich.lock\n"}, {}),
    "no-merge-rule": ("", {".git/HEAD": "", ".gitignore": "cache/\nproposals/\n"}, {}),
    "lock-damaged": ("", {"enrich.lock": "no entry\n"}, {}),
    "evidence-damaged": ("", {"enrich.evidence": "no entry\n"}, {}),
    "proposal-damaged": ("", {"proposals/park-0.json": "{}"}, {}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_set_up_is_found_by_name(tmp_path: Path, serve: Serve, name: str) -> None:
    toml, files, env = BROKEN[name]
    port = serve().port
    wiki = DemoWiki(tmp_path, 0 if "content" in files else 2, toml.replace("{port}", str(port)))
    if files.get("content") == "":
        wiki.docs.rmdir()
    for path, text in files.items():
        if path != "content":
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text)
    done = wiki.enrich("doctor", "--json", **env)
    found: dict[str, Any] = {finding["name"]: finding for finding in done.json["findings"]}
    assert name in found, found
    assert found[name]["do"] or name in ("settings", "stage"), "each finding says what to do"
    assert done.exit == 10
    assert not any(value in done.out for variable, value in env.items() if variable.endswith("_API_KEY") and len(value) > 5)


def test_a_plan_warns_of_a_model_that_is_shut_down_in_the_doctors_words(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1, MODEL + "model = 'gpt-4-0613'\n" + BUDGET)
    plan, found = wiki.enrich("plan", **KEY), wiki.enrich("doctor", "--json", **KEY).json["findings"]
    (ending,) = (finding for finding in found if finding["name"] == "model-ends")
    assert plan.err.count(ending["what"]) == 1 and ending["do"] in plan.err
    assert "shut down" not in wiki.enrich("plan", "--model", "gpt-5-mini", **KEY).err


def test_a_good_set_up_has_no_findings(tmp_path: Path, serve: Serve) -> None:
    done = DemoWiki(tmp_path, 2).enrich("doctor")
    assert (done.exit, done.out) == (0, "no findings\n")
    done = DemoWiki(tmp_path / "other", 2, LOCAL.replace("{port}", str(serve().port)) + "model = 'park'\n").enrich("doctor")
    assert (done.exit, done.out) == (0, "no findings\n")


@pytest.mark.parametrize("ignored", ["cache/\nproposals", "/cache/*\n!/cache/README.md\n/proposals/"])
def test_what_git_ignores_may_be_written_in_several_ways(tmp_path: Path, ignored: str) -> None:
    wiki = DemoWiki(tmp_path, 2)
    merged = "enrich.lock merge=union\nenrich.evidence merge=union\n"
    for name, text in ((".git/HEAD", ""), (".gitignore", f"{ignored}\n"), (".gitattributes", merged)):
        (wiki.root / name).parent.mkdir(exist_ok=True)
        (wiki.root / name).write_text(text)
    assert wiki.enrich("doctor").out == "no findings\n"
    (wiki.root / ".gitattributes").write_text("enrich.lock merge=union\n")
    assert "enrich.evidence merge=union" in wiki.enrich("doctor").out


@pytest.mark.parametrize(
    ("shape", "able", "lines"),
    [
        (
            None,
            {"json_schema", "json_object", "temperature", "system message", "two messages of one role in a row", "bounds in schemas"},
            [],
        ),
        (llamacpp, {"json_schema", "json_object", "temperature"}, ["merge_messages = true"]),
        (llama_cpp_python, {"json_object", "temperature"}, ['structured_output = "json_object"']),
    ],
)
def test_the_server_says_what_it_can_do(tmp_path: Path, serve: Serve, shape: Any, able: set[str], lines: list[str]) -> None:
    server = serve(lambda seen: _scored(shape, seen)) if shape else serve()
    wiki = DemoWiki(tmp_path, 1, LOCAL.replace("{port}", str(server.port)) + "model = 'park'\n")
    found = wiki.enrich("doctor", "--ask", "--json").json
    assert found["findings"] == []
    assert able <= {name for name, yes in found["server"]["able"].items() if yes}
    assert found["server"]["lines"] == lines
    assert server.requests <= 8
    assert all("park" not in seen.text.lower() for seen in server.seen), "no page is sent"


def _scored(shape: Any, seen: Any) -> Any:
    """What a shape refuses, and otherwise the default answer."""
    from tests.llm import providers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers, "answer", lambda *_, **__: None)
        return shape(seen)


def test_a_server_that_fails_is_a_finding(tmp_path: Path, serve: Serve) -> None:
    from tests import fake_server as fake

    server = serve(lambda seen: fake.no_model())
    wiki = DemoWiki(tmp_path, 1, LOCAL.replace("{port}", str(server.port)) + "model = 'park'\n")
    done = wiki.enrich("doctor", "--ask")
    assert done.exit == 10
    assert "does not know the model" in done.out
