"""The servers that people have, through the command line: with their preset, and without one where their ways are learned."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from enrich.config import LlmSection, Provider, load_config, preset, presets
from enrich.errors import UserError
from enrich.llm.server import Endpoint
from enrich.runs.service import endpoints, first_parameters, prices_of
from tests import fake_server as fake
from tests.demo import DemoWiki, at, free_port, honest, page_text
from tests.fake_server import Act, FakeServer, Seen, Serve
from tests.llm.asking import ask, request
from tests.llm.providers import PROVIDERS, UNNAMED, Server, answer, qwen_gateway, streamed

TOML = "[stages.summary]\ntemperature = 0.3\n[stages.insights]\ntemperature = 0.3\n[stages.ratings]\ntemperature = 0.3\n"


# Requests for one question, for any server: written here too, so that a change of the constant is seen.
MOST = 6


def run_at(wiki: DemoWiki, server: FakeServer, path: str = "/v1", **env: str) -> tuple[Any, str]:
    """(the run's document, its notes)."""
    address = server.base_url.removesuffix("/v1") + path
    done = wiki.enrich("run", "--json", ENRICH_LLM__BACKEND="openai", ENRICH_LLM__BASE_URL=address, **env)
    return done.json, done.err


def most_for_one_page(server: FakeServer) -> int:
    return max(Counter(seen.text.partition("Title: ")[2].partition("\n")[0] for seen in server.seen).values())


# What a provider does with single pages on purpose.
REFUSED = {"azure": ["filtered"], "azure-classic": ["filtered"], "openrouter": ["filtered"]}


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_answers_with_its_preset(tmp_path: Path, serve: Serve, name: str) -> None:
    shape, path, env = PROVIDERS[name]
    server, wiki = serve(shape), DemoWiki(tmp_path, 4, TOML)
    document, notes = run_at(wiki, server, path, ENRICH_LLM__PROVIDER=name, **env)
    assert sorted({item["cause"] for item in document["failed"]}) == REFUSED.get(name, []), document["failed"]
    assert len({item["page"] for item in document["proposed"]}) == 4 - len(REFUSED.get(name, []))
    assert most_for_one_page(server) <= MOST
    key = next((value for variable, value in env.items() if variable.endswith("_API_KEY")), "")
    assert not key or key not in json.dumps(document) + notes
    if name == "ollama":
        assert "cut prompts off" in notes


@pytest.mark.parametrize("name", UNNAMED)
def test_each_server_is_learned_without_a_preset(tmp_path: Path, serve: Serve, name: str) -> None:
    server, wiki = serve(UNNAMED[name]), DemoWiki(tmp_path, 4, f"[llm]\nconcurrency = 2\n{TOML}")
    extra = {"ENRICH_LLM__EXTRA_BODY": "{provider = {require_parameters = true}}"} if "route" in name else {}
    document, notes = run_at(wiki, server, **extra)
    assert document["failed"] == [], (document["failed"], notes)
    assert len({item["page"] for item in document["proposed"]}) == 4
    assert most_for_one_page(server) <= MOST


@pytest.mark.parametrize("shape", [PROVIDERS["lmstudio"][0], PROVIDERS["llamacpp"][0]])
def test_a_page_that_does_not_fit_is_asked_in_sections(tmp_path: Path, serve: Serve, shape: Server) -> None:
    wiki = DemoWiki(tmp_path, 1, "[stages.insights]\nenabled = false\n[stages.ratings]\nenabled = false\n")
    parts = "\n\n".join(f"## Part {number}\n\n{page_text(number).split('## Overview')[1]}" for number in range(40))
    wiki.file(0).write_text(page_text(0, body=parts))
    document, _ = run_at(wiki, serve(shape))
    assert document["failed"] == []
    assert [item["field"] for item in document["proposed"]] == ["llmSummary"]


def hopeless(code: int, body: Any) -> Server:
    return lambda seen: Act(code, body)


HOPELESS: list[Server] = [
    hopeless(400, {"error": {"message": "Unknown parameters: temperature, max_tokens, response_format, provider, stream"}}),
    hopeless(422, {"detail": [{"loc": ["body", "messages"], "msg": "roles must alternate"}]}),
    hopeless(500, {"error": {"message": "unsupported: temperature max_tokens response_format"}}),
    hopeless(500, {"error": {"message": "out of memory"}}),
    hopeless(200, {"error": {"message": "overloaded", "code": 503}}),
    hopeless(200, {"choices": []}),
    lambda seen: fake.cut_off(f"{seen.number} words"),
    lambda seen: fake.cut_off() if seen.number % 3 == 2 else fake.status(500),
    lambda seen: fake.ok("No JSON today."),
    lambda seen: fake.ok({"summary": {}}),
    lambda seen: [fake.status(500), fake.ok("Prose."), fake.cut_off(), fake.ok({"summary": 1})][seen.number % 4],
    lambda seen: streamed(seen, "{}") if seen.number % 2 else fake.html(),
]


@pytest.mark.parametrize("shape", HOPELESS)
def test_no_server_gets_more_than_six_requests_for_one_question(tmp_path: Path, serve: Serve, shape: Server) -> None:
    server, wiki = serve(shape), DemoWiki(tmp_path, 2, TOML)
    run_at(wiki, server, ENRICH_LLM__TIMEOUT_SECONDS="5", ENRICH_LLM__BREAKER_SECONDS="2")
    assert 1 <= most_for_one_page(server) <= MOST


@pytest.mark.parametrize("name", get_args(Provider))
def test_no_preset_sends_more_than_six_requests_for_one_question(serve: Serve, name: str) -> None:
    """The client alone, with the parameters of the preset and each shape of refusal; the re-asks above it share the same six."""
    parameters = first_parameters(LlmSection.model_validate({"provider": name, **preset(name)}))
    for shape in HOPELESS:
        server = serve(shape)
        found = ask(server, request(temperature=0.3), parameters=parameters, timeout_seconds=5.0, breaker_seconds=2.0)
        assert found.error is not None or found.reply is not None
        assert 1 <= server.requests <= MOST, found.causes


THOUGHTS = '<think>\nThe user wants {JSON}. A draft: {"summary": 1}\n</think>\n'


@pytest.mark.parametrize(
    ("text", "answered"),
    [
        ('{"summary": "Short."}', True),
        (THOUGHTS + '{"summary": "Short."}', True),
        ('The user wants JSON.\n</think>\n\n{"summary": "Short."}', True),
        ('```json\n{"summary": "Short."}\n```', True),
        ('Sure! Here it is:\n```\n{"summary": "Short."}\n```\nAnything else?', True),
        ('As {asked}, {"summary": "Short."} is it.', True),
        ('{"summary": "Short."}\n{"summary": "Short."}', True),
        ('{"summary": "It says </think> and ```json {}```."}', True),
        ('{"summary": "Short."} or {"summary": "Long."}', False),
        ('{"part": {"summary": "Short."}, "rest": "cut', False),
        ("summary: Short.", False),
        ("['summary']", False),
        ('<think>without an end {"summary": "Short."}', False),
    ],
)
def test_json_is_read_from_thoughts_fences_and_prose_and_nothing_else_is_guessed(text: str, answered: bool) -> None:
    from enrich.llm.replies import json_object, read_completion

    read = json_object(read_completion(json.dumps(fake.completion(text)).encode()).text)
    assert (read is not None) == answered
    if read is not None:
        assert list(read) == ["summary"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_an_answer_that_a_server_takes_for_thoughts_is_read(serve: Serve, name: str) -> None:
    thinks = serve(lambda seen: answer(seen, "", **{name: '{"summary": "Short."}'}))
    assert ask(thinks).text == '{"summary": "Short."}'
    only_thoughts = serve(lambda seen: answer(seen, "", **{name: "Hmm."}))
    assert ask(only_thoughts, attempts=2).causes == ["invalid", "invalid"]


def test_a_model_that_is_seen_to_reason_gets_room_for_it(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 3, "[llm]\nconcurrency = 1\nmodel = 'park'\n")
    server = serve(lambda seen: answer(seen, reasoning_content="Hmm."))
    run_at(wiki, server)
    ceilings = [seen.body["max_tokens"] for seen in server.seen]
    assert ceilings[1] == ceilings[2] == ceilings[0] + 4096


def test_streams_are_joined_within_the_limits(serve: Serve) -> None:
    ok = serve(lambda seen: qwen_gateway(seen) if not seen.body.get("stream") else streamed(seen, '{"summary": "Short."}', "Hmm.", size=3))
    asked = ask(ok)
    assert asked.text == '{"summary": "Short."}'
    assert asked.reply.usage.input > 0
    assert ok.seen[-1].body["stream_options"] == {"include_usage": True}
    cut = serve(
        lambda seen: Act(body=b'data: {"choices": [{"delta": {"content": "{"}}]}\n\n', headers={"content-type": "text/event-stream"})
    )
    assert set(ask(cut, attempts=2).causes) == {"invalid"}
    event = b'data: {"error": {"code": 429, "message": "slow down"}}\n\n'
    slow = serve(
        lambda seen: answer(seen, '{"summary": ""}') if seen.number else Act(body=event, headers={"content-type": "text/event-stream"})
    )
    assert ask(slow).causes == ["rate-limited", ""]
    endless = serve(lambda seen: streamed(seen, "word " * 600_000, size=3000))
    assert set(ask(endless, attempts=1).causes) <= {"invalid", "too-large"}


def refuses(name: str, body: dict[str, Any]) -> Server:
    return lambda seen: Act(400, body) if name in json.dumps(seen.body) else answer(seen, '{"summary": "Short."}')


def test_bounds_are_dropped_where_a_schema_may_not_have_them(serve: Serve) -> None:
    said = "Invalid schema for response_format 'answer': In context=('properties', 'score'), 'minimum' is not permitted."
    bounded = {"type": "number", "minimum": 0, "maximum": 10, "multipleOf": 0.1}
    schema = {"type": "object", "properties": {"score": bounded, "all": {"type": "array", "maxItems": 3}}, "required": ["score"]}
    server = serve(refuses("minimum", {"error": {"message": said, "param": "response_format", "code": None}}))
    asked = ask(server, request(schema=schema))
    assert asked.reply is not None
    first, second = (seen.body["response_format"]["json_schema"]["schema"]["properties"] for seen in server.seen)
    assert first == {"score": {"type": "number", "minimum": 0, "maximum": 10}, "all": {"type": "array", "maxItems": 3}}
    assert second == {"score": {"type": "number"}, "all": {"type": "array"}}


def config(tmp_path: Path, toml: str, env: dict[str, str] | None = None, **flags: Any) -> Any:
    (tmp_path / "enrich.toml").write_text(f"[llm]\nbackend = 'openai'\n{toml}")
    return load_config(tmp_path, {f"llm.{key}": value for key, value in flags.items()}, env or {})


def test_presets_only_fill_in_known_keys_that_are_not_set(tmp_path: Path) -> None:
    assert get_args(Provider) == ("auto", *presets())
    for name in presets():
        LlmSection.model_validate(preset(name))
    llm = config(tmp_path, "provider = 'openrouter'\nkey_variable = 'MINE'\nheaders = {X-Title = 'my wiki', HTTP-Referer = 'x'}\n").llm
    assert (llm.key_variable, llm.headers, llm.price_provider) == ("MINE", {"X-Title": "my wiki", "HTTP-Referer": "x"}, "openrouter")
    llm = config(tmp_path, "", {"OPENAI_BASE_URL": "https://eastus.openai.azure.com/openai/v1/"}).llm
    assert (llm.key_header, llm.ceiling_name, llm.query) == ("api-key", "max_completion_tokens", {})
    llm = config(tmp_path, "", base_url="https://eastus.openai.azure.com/openai").llm
    assert llm.query == {"api-version": "2024-10-21"}
    body = json.loads(first_parameters(config(tmp_path, "").llm).body(request(), 500))
    assert (body["max_completion_tokens"], body["prompt_cache_key"], "max_tokens" in body) == (500, "page", False)


ELSEWHERE = "https://api.example.net/v1"
GROQ = {"GROQ_API_KEY": "gsk_0123456789abcdefghij"}


@pytest.mark.parametrize(
    ("toml", "env", "flags", "fails"),
    [
        # Whoever names the preset names its host.
        ("provider = 'groq'", GROQ, {}, "only the wiki's own file names the server"),
        ("provider = 'groq'", GROQ | {"ENRICH_TRUST_HOST": "api.groq.com"}, {}, ""),
        ("", GROQ, {"provider": "groq"}, ""),
        ("", GROQ | {"ENRICH_LLM__PROVIDER": "groq"}, {}, ""),
        ("provider = 'ollama'", {}, {}, ""),
        # The key of a provider goes to this provider, and no other key goes there.
        ("", {"OPENAI_API_KEY": "sk-0123456789abcdefghij"}, {"provider": "groq"}, "no API key for api.groq.com"),
        ("provider = 'groq'", GROQ, {"base_url": ELSEWHERE}, "only the wiki's own file adds to requests (provider)"),
        # What the file adds to requests needs trust even where the host has it.
        ("headers = {X-Team = 'a'}", {"OPENAI_API_KEY": "x"}, {}, "only the wiki's own file adds to requests (headers)"),
        ("extra_body = {api_base = 'https://evil.example'}", {}, {"base_url": "http://127.0.0.1:4000"}, "adds to requests (extra_body)"),
        ("key_variable = 'AWS_SECRET_ACCESS_KEY'", {"AWS_SECRET_ACCESS_KEY": "x"}, {"base_url": ELSEWHERE}, "(key_variable)"),
        ("headers = {X-Team = 'a'}", {"OPENAI_API_KEY": "x", "ENRICH_TRUST_HOST": "api.openai.com"}, {}, ""),
        ("", {"OPENAI_API_KEY": "x", "ENRICH_LLM__HEADERS": "{X-Team = 'a'}"}, {}, ""),
        (
            "base_urls = ['http://127.0.0.1:1/v1', 'https://api.example.net/v1']",
            {},
            {},
            "only the wiki's own file names the server api.example.net",
        ),
        # Keys and what the client sets itself cannot be added.
        ("headers = {Authorization = 'Bearer x'}", {}, {}, "not a header that can be added"),
        ('headers = {X-A = "b\\r\\nHost: evil"}', {}, {}, "headers"),
        ("extra_body = {n = 100}", {}, {}, "not a parameter that can be added"),
        ("base_url = 'http://127.0.0.1:1/v1'\nbase_urls = ['http://127.0.0.1:2/v1']", {}, {}, "both set"),
        ("base_urls = ['http://127.0.0.1:2/v1']", {}, {"base_url": "http://127.0.0.1:1/v1"}, ""),
    ],
)
def test_what_a_wikis_file_may_say_about_servers(tmp_path: Path, toml: str, env: dict[str, str], flags: dict[str, str], fails: str) -> None:
    found: list[Endpoint] = []
    try:
        found = endpoints(config(tmp_path, toml, env, **flags), env)
        said = ""
    except UserError as error:
        said = error.line
    assert fails in said if fails else said == ""
    assert bool(found) == (not fails)


@pytest.mark.parametrize(
    ("toml", "env", "model", "cost"),
    [
        ("provider = 'ollama'", {}, "of-unknown-price", 0.0),
        ("base_url = 'http://127.0.0.1:11434/v1'", {}, "gpt-6-luna", 0.0),
        # The file cannot make a listed model free, or take the price of another one.
        ("provider = 'ollama'", {}, "gpt-6-luna", None),
        ("aliases = {gpt-6-luna = 'gpt-4.1-nano'}", {"OPENAI_API_KEY": "x"}, "gpt-6-luna", None),
        ("aliases = {our-deployment = 'gpt-6-luna'}", {"OPENAI_API_KEY": "x"}, "our-deployment", None),
    ],
)
def test_prices_by_provider_and_alias(tmp_path: Path, toml: str, env: dict[str, str], model: str, cost: float | None) -> None:
    made = config(tmp_path, toml, env)
    price = prices_of(made, endpoints(made, env)).price_of(model)
    listed = prices_of(config(tmp_path, ""), []).price_of("gpt-6-luna")
    assert price is not None
    assert listed is not None
    assert price.output == (listed.output if cost is None else cost)


def test_several_servers_share_the_work_and_a_dead_one_loses_nothing(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 24, "[llm]\nconcurrency = 8\n")

    def quick(seen: Seen) -> fake.Act:
        if seen.number == 13:
            slow.release()
        return honest(seen)

    fast, slow, wrong = serve(quick), serve(honest, held=True), serve(lambda seen: fake.no_model())
    urls = [f"http://127.0.0.1:{free_port()}/v1", fast.base_url, slow.base_url, wrong.base_url]

    done = wiki.enrich("run", "--json", ENRICH_LLM__BACKEND="openai", ENRICH_LLM__BASE_URLS=json.dumps(urls))
    assert done.json["failed"] == []
    assert done.json["asked"] == 72
    assert fast.requests + slow.requests == 24
    assert fast.requests > slow.requests >= 2
    assert 1 <= wrong.requests <= 8
    assert f"127.0.0.1:{wrong.port} is left out" in done.err


def test_a_server_that_dies_during_a_run_is_replaced(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 12, "[llm]\nconcurrency = 4\n")
    good = serve(honest, latency=0.02)
    dying = serve(lambda seen: honest(seen) if seen.number < 3 else fake.reset(), latency=0.01)
    done = wiki.enrich("run", "--json", ENRICH_LLM__BACKEND="openai", ENRICH_LLM__BASE_URLS=json.dumps([dying.base_url, good.base_url]))
    assert done.json["failed"] == []
    assert dying.requests <= 3 + 4 + 1


def test_all_servers_of_no_use_end_the_run(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 3)
    servers = [serve(at({}, lambda seen: fake.bad_key())), serve(at({}, lambda seen: fake.no_model()))]
    done = wiki.enrich("run", "--json", ENRICH_LLM__BACKEND="openai", ENRICH_LLM__BASE_URLS=json.dumps([one.base_url for one in servers]))
    assert done.exit == 1
    assert sum(one.requests for one in servers) <= 6
