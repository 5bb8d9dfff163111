"""Where the key may go, and that it appears nowhere else."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import AnswerError, UserError
from enrich.llm.cache import AnswerCache
from enrich.llm.messages import Message
from enrich.llm.server import Endpoint
from tests import fake_server as fake
from tests.demo import DemoWiki, cases, changed, honest
from tests.fake_server import Seen, Serve
from tests.llm.asking import Asked, ask, client, request
from tests.llm.encodings import ENCODED

CASES = cases(__file__)

KEY = "sk-proj-Abc123_secret-0987654321xyz"
ENV = {"OPENAI_API_KEY": KEY}


@pytest.mark.parametrize(("base_url", "named_by", "host"), CASES["the_key_goes_where_somebody_vouches_for_the_host"])
def test_the_key_goes_where_somebody_vouches_for_the_host(base_url: str | None, named_by: str, host: str) -> None:
    endpoint = Endpoint.from_settings(base_url, named_by, ENV)
    assert (endpoint.host, endpoint.key) == (host, KEY)


@pytest.mark.parametrize("base_url", CASES["a_host_that_only_the_file_names_gets_nothing"])
def test_a_host_that_only_the_file_names_gets_nothing(base_url: str) -> None:
    with pytest.raises(UserError, match="nothing is sent there") as caught:
        Endpoint.from_settings(base_url, "file", ENV)
    assert "ENRICH_TRUST_HOST=" in caught.value.line
    assert KEY not in caught.value.line


@pytest.mark.parametrize("trusted", ["models.example", "other.example, MODELS.example", "models.example:8443"])
def test_a_host_from_the_file_can_be_trusted_by_name(trusted: str) -> None:
    assert Endpoint.from_settings("https://models.example:8443/v1", "file", {**ENV, "ENRICH_TRUST_HOST": trusted}).key == KEY


@pytest.mark.parametrize("trusted", ["example", "models.example.evil", "*", ""])
def test_trust_is_for_the_very_host(trusted: str) -> None:
    with pytest.raises(UserError):
        Endpoint.from_settings("https://models.example/v1", "file", {**ENV, "ENRICH_TRUST_HOST": trusted})


@pytest.mark.parametrize("base_url", CASES["an_address_that_could_be_read_in_two_ways_is_refused"])
def test_an_address_that_could_be_read_in_two_ways_is_refused(base_url: str) -> None:
    with pytest.raises(UserError) as caught:
        Endpoint.from_settings(base_url, "flag", ENV)
    assert "pass@" not in caught.value.line


def test_openai_needs_a_key_and_loopback_does_not() -> None:
    with pytest.raises(UserError, match="no API key"):
        Endpoint.from_settings(None, "", {})
    assert Endpoint.from_settings("http://127.0.0.1:1/v1", "file", {}).key == ""


@pytest.mark.parametrize("key", ["sk-line\nbreak", "sk-with blank", "sk–typographic"])
def test_a_mangled_key_is_an_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(UserError, match="no key has") as caught:
        Endpoint.from_settings(None, "", {"OPENAI_API_KEY": key})
    assert key not in caught.value.line


def test_the_key_is_sent_and_only_ours(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "from-the-environment")
    server = serve()
    ask(server, env=ENV)
    ask(server)
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in server.seen[1].headers
    for seen in server.seen:
        assert "from-the-environment" not in str(dict(seen.headers))
        assert not [name for name in seen.headers if name.startswith("x-stainless")], "no server needs to know the machine"


def test_a_proxy_is_not_asked_for_loopback(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(serve()).reply is not None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTPS_PROXY", "http://user:hidden-word@p:::x"), ("ALL_PROXY", "ftp://hidden-word"), ("SSL_CERT_FILE", "/hidden-word")],
)
def test_a_proxy_or_certificates_that_cannot_be_used_end_the_run_with_one_line(tmp_path: Path, variable: str, value: str) -> None:
    wiki = DemoWiki(tmp_path)
    env = {"ENRICH_LLM__BACKEND": "openai", "OPENAI_BASE_URL": "https://models.invalid/v1", "OPENAI_API_KEY": KEY, variable: value}
    for command, code in (("run", 1), ("doctor --ask", 10)):
        done = wiki.enrich(*command.split(), **env)
        assert done.exit == code
        said = done.out + done.err
        assert "a proxy or the certificates that the environment names cannot be used" in said
        assert not [word for word in ("hidden-word", "Traceback", "bug") if word in said]


def _echo(seen: Seen, number: int) -> fake.Act:
    """A server that says the key back wherever it can."""
    said = f"Incorrect API key provided: {seen.key} in {json.dumps(dict(seen.headers))}"
    acts = [
        fake.status(401, said),
        fake.status(403, said),
        fake.status(404, f"model {said}"),
        fake.status(404, said),
        fake.status(429, said, code_word="insufficient_quota"),
        fake.status(500, said),
        fake.status(400, said),
        fake.status(400, f"temperature {said}", param="temperature"),
        fake.status(413, said),
        fake.Act(500, said.encode()),
        fake.Act(400, {"detail": said}),
        fake.refusal(said),
        fake.ok({"summary": said}, model=said),
        fake.status(307, location=f"http://127.0.0.1:9/{seen.key}"),
        fake.raw(f"HTTP/1.1 999 {seen.key}\r\n{seen.key}\r\n\r\n".encode()),
    ]
    return acts[number % len(acts)]


def test_the_key_appears_in_nothing_we_produce(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    produced: list[str] = []
    outcomes: list[Asked] = []
    for number in range(15):
        server = serve(lambda seen, number=number: _echo(seen, number))
        asked = ask(server, request(temperature=0.5), env=ENV, attempts=2)
        assert server.seen[0].key == KEY
        outcomes.append(asked)
        produced += [repr(asked.events), repr(asked.reply), repr(asked.tally)]
        if asked.error is not None:
            produced += [repr(asked.error), str(asked.error), repr(vars(asked.error)), "".join(traceback.format_exception(asked.error))]
        if asked.reply is not None:
            with AnswerCache(tmp_path) as cache:
                cache.put("k" * 64, {"text": asked.reply.text})
                produced.append(repr(cache.get("k" * 64)))

    async def shown() -> None:
        async with client(serve(), env=ENV) as asking:
            produced.extend([repr(asking), repr(asking.endpoint), str(asking.endpoint), repr(asking.settings), asking.status()])

    asyncio.run(shown())
    output = capfd.readouterr()
    produced += [caplog.text, output.out, output.err]
    assert [asked.error.cause for asked in outcomes if isinstance(asked.error, AnswerError)].count("key-in-answer") == 1
    assert all(KEY not in text for text in produced)
    assert all(KEY[8:24] not in text for text in produced)


@pytest.mark.parametrize("key", ["test", "x", "internationalisation", "s"])
def test_a_key_that_is_a_word_of_the_page_changes_no_answer(serve: Serve, tmp_path: Path, key: str) -> None:
    wiki = DemoWiki(tmp_path, 1)
    page = wiki.file(0).read_text(encoding="utf-8")
    wiki.file(0).write_text(page.replace("in a steady breeze", "after an untested internationalisation"), encoding="utf-8")
    wiki.asks(serve(honest))
    proposed = []
    for said in ("", key):
        assert wiki.enrich("run", "--json", "--refresh", "--no-cache", OPENAI_API_KEY=said).json["failed"] == []
        proposed.append([(field["field"], field["new"]) for field in wiki.enrich("diff", "--json").json["pages"][0]["fields"]])
    assert proposed[1] == proposed[0]
    assert "untested" in str(proposed[0])


def test_an_answer_that_holds_the_key_fails_and_is_not_stored(serve: Serve, tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)

    def leaking(seen: Seen, parts: dict[str, Any]) -> None:
        parts["summary"]["summary"] = f"Wind turbines deliver {seen.key} in a breeze."

    wiki.asks(serve(changed(leaking)))
    run = wiki.enrich("run", "--json", OPENAI_API_KEY=KEY).json
    assert {(item["page"], item["cause"]) for item in run["failed"]} == {("park-0", "key-in-answer")}
    assert (run["exit"], run["proposed"]) == (3, [])
    for file in (*(wiki.root / "cache").rglob("*"), *(wiki.root / "proposals").rglob("*")):
        assert file.is_dir() or KEY.encode() not in file.read_bytes(), file
    wiki.asks(serve(honest))
    assert wiki.enrich("run", "--json", OPENAI_API_KEY=KEY).json["asked"] == 3, "nothing of it is in the answer cache"


@pytest.mark.parametrize("encoding", ENCODED)
def test_an_answer_that_holds_the_key_in_any_encoding_is_refused(serve: Serve, encoding: str) -> None:
    said = ENCODED[encoding](KEY)
    asked = ask(serve([fake.ok({"summary": f"See {said} there."}), fake.refusal(f"No: {said}")]), env=ENV)
    assert isinstance(asked.error, AnswerError)
    assert asked.error.cause == "key-in-answer"
    # The same for what is shown of a server's own words.
    asked = ask(serve([fake.refusal(f"No: {said}")]), env=ENV)
    assert said[:40] not in str(asked.error)


@pytest.mark.parametrize(
    "text", ["", "a \\u0073k b &#115; %73 " * 500, "\\U99999999 &#x110000; \\u{110000} %zz", "sk-proj-Abc123_", "=" * 10_000]
)
def test_ordinary_texts_and_odd_escapes_hold_no_key(serve: Serve, text: str) -> None:
    assert ask(serve([fake.ok({"summary": text})]), env=ENV).reply is not None


def test_an_answer_may_quote_a_page_that_holds_the_key(serve: Serve) -> None:
    server = serve([fake.ok({"summary": f"The page says {KEY}."})])
    asked = ask(server, request(messages=(Message("user", f"Summarise: the key is {KEY}."),)), env=ENV)
    assert json.loads(asked.text) == {"summary": f"The page says {KEY}."}
