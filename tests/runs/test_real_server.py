"""The same code path against a real OpenAI-compatible server that we did not write: its words are worthless, its protocol is real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

# Internal names: what the client sends and learns cannot be seen through the command line.
from enrich.llm.costs import ContextLimits, Prices
from enrich.llm.messages import MOST_REQUESTS, Message
from tests.demo import DemoWiki, page_text
from tests.llm.asking import ask, request

pytestmark = pytest.mark.llama


def test_a_short_page_gets_a_schema_valid_answer_through_the_whole_run(tmp_path: Path, llama: str) -> None:
    wiki = DemoWiki(
        tmp_path, 1, "[llm]\ntimeout_seconds = 300\n[stages.ratings]\ndimensions = ['rigor']\nmax_output_tokens = 120\ntemperature = 0.0\n"
    )
    # The smallest task that still has a schema of its own: a 135M model on a slow machine reads little and writes less.
    (wiki.root / "prompts").mkdir()
    (wiki.root / "prompts" / "system.md").write_text("---\nversion: 1\n---\nAnswer in JSON.\n")
    (wiki.root / "prompts" / "ratings.md").write_text("---\nversion: 1\n---\nGive a reason of three words and a score from 0 to 10.\n")
    wiki.file(0).write_text(page_text(0, body="The dyke is old and low. It was raised once. " * 8))
    wiki.server = llama
    run = wiki.enrich("run", "--stage", "ratings", "--json").json
    assert run["asked"] == 1, run["failed"]
    assert run["tokens"]["input"] > 50
    assert [item["field"] for item in run["proposed"]] == ["ratings.rigor"]
    assert wiki.enrich("run", "--stage", "ratings", "--json").json["requests"] == 0


def test_without_fusing_the_page_is_paid_once_where_the_server_caches_prompts(tmp_path: Path, llama: str) -> None:
    toml = "[llm]\nmodel = 'smollm2'\nfuse = false\nconcurrency = 1\ntimeout_seconds = 300\n[stages.insights]\nenabled = false\n"
    toml += "[stages.summary]\ntemperature = 0.0\nmax_output_tokens = 60\n"
    toml += "[stages.ratings]\ndimensions = ['rigor']\ntemperature = 0.0\nmax_output_tokens = 60\n"
    wiki = DemoWiki(tmp_path, 1, toml)
    (wiki.root / "prompts").mkdir()
    (wiki.root / "prompts" / "system.md").write_text("---\nversion: 1\n---\nAnswer in JSON.\n")
    tasks = {"summary": "One short sentence.", "ratings": "Give three words as reason and a score."}
    for name, task in tasks.items():
        (wiki.root / "prompts" / f"{name}.md").write_text(f"---\nversion: 1\n---\n{task}\n")
    wiki.file(0).write_text(page_text(0, body=" ".join(f"Pier {number} was built in {1800 + number} of oak." for number in range(130))))
    wiki.server = llama
    wiki.enrich("run", "--json")
    report = json.loads(next((wiki.root / "cache" / "runs").glob("*/report.json")).read_text())
    spent = {one["stage"]: one for one in report["spent"]}
    tokens, requests = spent["ratings"]["tokens"], spent["ratings"]["requests"]
    assert tokens["input"] >= 1500 * requests  # the page is in each of them
    # New in a request are its task, and where it asks again the last answer and what was wrong with it; the page was paid with the summary.
    assert tokens["input"] - tokens["cached_input"] <= 150 * requests


def test_a_strict_template_and_a_small_context_are_learned(strict_llama: str) -> None:
    """The client alone: prompts are short, because the model is slow where the machine is busy."""
    asked = request(messages=(*request("The sky is blue.").messages, Message("user", "Summarise.")), max_output_tokens=24, temperature=0.0)
    settings: dict[str, Any] = {"timeout_seconds": 280.0, "prices": Prices()}
    found = ask(strict_llama, asked, **settings)
    assert found.causes[0] == "parameter"
    assert any("one role in a row" in note for note in found.notes)
    assert len(found.causes) <= MOST_REQUESTS
    assert found.reply is not None or getattr(found.error, "cause", "") == "cut-off", found.error
    long = ask(strict_llama, request("A word about the sky. " * 900), **settings)
    assert getattr(long.error, "cause", "") == "too-long"
    contexts = ContextLimits(Path("/nonexistent"), None)
    assert contexts.learn("fake", str(long.error), 9999) == 2048


def test_a_server_without_schemas_answers_in_json(llama_cpp_python: str) -> None:
    """The client alone, with a prompt of a few words: the server reads four tokens a second where the machine is busy."""
    asked = request("The sky is blue.", max_output_tokens=60, temperature=0.0)
    found = ask(llama_cpp_python, asked, timeout_seconds=280.0, prices=Prices())
    assert found.causes == ["parameter", ""], found.error
    assert isinstance(json.loads(found.text), dict)
    assert found.reply.usage.input > 20 and found.reply.usage.output > 0
    assert any("takes no JSON schema" in note for note in found.notes)


def test_a_parameter_that_a_500_names_is_learned(llama_cpp_python: str) -> None:
    found = ask(llama_cpp_python, request("A word about the sky. " * 900), timeout_seconds=280.0, prices=Prices())
    assert found.causes == ["parameter", "too-long"]
    assert any("takes no JSON schema" in note for note in found.notes)
    assert ContextLimits(Path("/nonexistent"), None).learn("fake", str(found.error), 9999) == 2048


def test_its_log_probabilities_give_a_score_with_a_spread(tmp_path: Path, llama: str) -> None:
    toml = "[llm]\ntimeout_seconds = 300\n[stages.ratings]\nmethod = 'logprobs'\ndimensions = ['rigor']\nmax_output_tokens = 120\n"
    toml += "temperature = 0.0\n"  # else the answer is drawn, and may have a score out of range or none with probabilities
    wiki = DemoWiki(tmp_path, 1, toml)
    (wiki.root / "prompts").mkdir()
    (wiki.root / "prompts" / "system.md").write_text("---\nversion: 1\n---\nAnswer in JSON.\n")
    (wiki.root / "prompts" / "ratings.md").write_text("---\nversion: 1\n---\nGive a reason of three words and a score from 0 to 10.\n")
    wiki.file(0).write_text(page_text(0, body="The dyke is old and low. It was raised once. " * 8))
    wiki.server = llama
    assert wiki.enrich("run", "--stage", "ratings", "--json").json["asked"] == 1
    field = json.loads((wiki.root / "proposals" / "park-0.json").read_text())["fields"][0]
    low, high = field["spread"]["ratings.rigor"]
    assert low < field["new"] < high
