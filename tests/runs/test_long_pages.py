"""Pages that do not fit into the model's context: asked in sections, planned with their cost, asked once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enrich.stages.sections import condensed_page, split_page
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import parse_page
from tests.demo import DemoWiki, honest_parts, page_of
from tests.fake_server import Act, FakeServer, Seen, completion, status

Serve = Callable[..., FakeServer]
CONTEXT = 8000
TOML = '[llm]\nmodel = "small-model"\n{llm}[prices."small-model"]\ninput = 1.0\noutput = 2.0\n'
SITES = 150


def long_body(sites: int = SITES) -> str:
    """About 400 words a site: headings of two levels, and numbers that no two sites share."""
    pieces = []
    for n in range(sites):
        pieces.append(f"{'##' if n % 10 == 0 else '###'} Site {n}")
        for part in range(5):
            pieces.append(
                f"Site {n} delivers {1000 + n * 10 + part} megawatts in a steady breeze, and its blades are inspected twice a year. "
                + "Most of the cost is spent before the first hour of power flows, which makes the interest rate the largest lever of all. "
                * 3
            )
    return "\n\n".join(pieces)


def short_of_memory(seen: Seen) -> Act:
    """An honest model with a small context: it refuses prompts that do not fit, as OpenAI's servers do."""
    prompt = len(seen.raw) // 4
    room = seen.body.get("max_completion_tokens") or seen.body.get("max_tokens")
    if prompt + room > CONTEXT:
        message = f"This model's maximum context length is {CONTEXT} tokens. However, you requested {prompt + room} tokens."
        return status(400, message, code_word="context_length_exceeded")
    usage = {"prompt_tokens": prompt, "completion_tokens": 200, "total_tokens": prompt + 200}
    return Act(body=completion(honest_parts(seen), usage=usage), name="honest")


def wiki_with(tmp_path: Path, llm: str = "", body: str | None = None) -> DemoWiki:
    wiki = DemoWiki(tmp_path, pages=1, toml=TOML.format(llm=llm))
    wiki.file(0).write_text(f"---\ntitle: Parks\n---\n\n{long_body() if body is None else body}\n", encoding="utf-8")
    return wiki


def changes(wiki: DemoWiki) -> dict[str, Any]:
    (page,) = wiki.enrich("diff", "--json").json["pages"]
    return {field["field"]: field for field in page["fields"]}


def test_a_page_of_60000_words_gets_grounded_answers_and_is_asked_once(tmp_path: Path, serve: Serve) -> None:
    wiki = wiki_with(tmp_path, f"context_tokens = {CONTEXT}\n")
    assert len(wiki.file(0).read_text(encoding="utf-8").split()) > 60_000
    server = serve(short_of_memory)
    wiki.server = server.base_url
    plan = wiki.enrich("plan", "--json").json
    assert plan["sections"]["park-0"] > 10
    assert "1 page too long for the model's context: asked in" in wiki.enrich("plan").out
    run = wiki.enrich("run", "--json").json
    assert server.statuses[400] == 0
    assert run["failed"] == []
    assert run["requests"] == plan["requests"]
    assert 0.5 < run["cost_usd"] / plan["cost_usd"] < 2
    (note,) = run["notes"]
    assert note.startswith(f"park-0: asked in {plan['sections']['park-0']} sections")
    fields = changes(wiki)
    assert set(fields) == {"llmSummary", "insights", "ratings.novelty", "ratings.rigor", "ratings.actionability", "ratings.completeness"}
    for field in fields.values():
        assert field["flags"] == []
        assert [finding["kind"] for finding in field["findings"] if finding["kind"] != "rating"] == ["sections"]
    assert len({insight["text"] for insight in fields["insights"]["new"]}) == len(fields["insights"]["new"]) >= 1
    assert all(one["found"] and one["lines"][0] > 0 for one in fields["insights"]["evidence"])
    asked = server.requests
    for command in (["run"], ["run", "--refresh"], ["apply", "--all"], ["run"]):
        assert wiki.enrich(*command).exit == 0
    assert server.requests == asked


def test_a_server_teaches_its_context(tmp_path: Path, serve: Serve) -> None:
    wiki = wiki_with(tmp_path, body=long_body(30))
    server = serve(short_of_memory)
    wiki.server = server.base_url
    run = wiki.enrich("run", "--json").json
    assert run["failed"] == []
    assert server.statuses[400] == 1
    assert json.loads((wiki.root / "cache" / "context.json").read_text(encoding="utf-8")) == {"small-model": CONTEXT}
    wiki.append(0)
    assert wiki.enrich("plan", "--json").json["sections"]["park-0"] > 1
    assert wiki.enrich("run", "--json").json["failed"] == []
    assert server.statuses[400] == 1


def test_a_page_that_cannot_be_asked_is_not_asked_again_until_it_or_the_context_changes(tmp_path: Path, serve: Serve) -> None:
    wiki = wiki_with(tmp_path, body=long_body(5))
    server = serve(lambda seen: status(400, "the prompt is too long", code_word="context_length_exceeded"))
    wiki.server = server.base_url
    first = wiki.enrich("run", "--json")
    assert first.exit == 3
    assert {failure["cause"] for failure in first.json["failed"]} == {"too-long"}
    asked = server.requests
    assert 0 < asked < 20
    again = wiki.enrich("run", "--json")
    assert (again.exit, again.json["requests"]) == (3, 0)
    assert server.requests == asked
    wiki.append(0)
    assert wiki.enrich("run", "--json").json["requests"] > 0


def test_sections_hold_every_line_and_repeat_the_headings_above() -> None:
    page = parse_page(
        PageFile("p", "p.md", Path("p.md")), f"---\ntitle: T\n---\n{long_body(12)}\n\n{'x' * 9000}\n\n```\n# code\n```\n".encode()
    )
    parts = split_page(page, 900)
    whole = "\n".join(part.body for part in parts)
    assert all(line in whole for line in page.body.split("\n"))
    assert all(part.body.startswith("## Site ") for part in parts[1:3])


def test_a_condensed_page_has_all_headings() -> None:
    page = parse_page(PageFile("p", "p.md", Path("p.md")), f"---\ntitle: T\n---\n{long_body(12)}".encode())
    for room, beginnings in ((3000, 60), (600, 12), (200, 0)):
        condensed = condensed_page(page, room).body
        assert all(f"Site {n}\n" in f"{condensed}\n" for n in range(12))
        assert condensed.count("megawatts") == beginnings


def test_the_page_is_shown_within_its_fence(tmp_path: Path, serve: Serve) -> None:
    wiki = wiki_with(tmp_path, f"context_tokens = {CONTEXT}\n", body=long_body(30))
    server = serve(short_of_memory)
    wiki.server = server.base_url
    wiki.enrich("run")
    assert all(page_of(seen) for seen in server.seen)
