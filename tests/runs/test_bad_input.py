"""Everything that can be wrong with pages, settings and servers: one clear line, the exit code of the contract, all other pages done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo import DemoWiki, honest, page_text
from tests.fake_server import Act, Serve, bad_key, filtered, invalid_json, no_model, no_quota, refusal


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    return DemoWiki(tmp_path)


def lines_about(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


@pytest.mark.parametrize(
    ("raw", "words", "fails"),
    [
        (b"---\ntitle: [1, 2\n---\nbody\n", "broken YAML", True),
        (b"---\ntitle: a\ntitle: b\n---\nbody\n", "duplicate key 'title'", True),
        (b"---\ntitle: a\n\nno fence ever closes this\n", "no closing", True),
        (b"---\ntitle: a\n---\n" + "über".encode("latin-1") * 80, "not UTF-8", True),
        (b"---\n- a list\n---\nbody\n", "not a mapping", True),
        (b"just words\n" * 80, "no frontmatter", False),
        (b"+++\ntitle = x\n+++\nbody\n", "broken TOML", True),
        (b"---\ntitle: a\nquality: " + b"9" * 400 + b"\n---\nbody\n", "an integer of more than 300 digits", True),
        (b"+++\ntitle = 'a'\nquality = " + b"9" * 400 + b"\n+++\nbody\n", "an integer of more than 300 digits", True),
        (b"", "no frontmatter", False),
    ],
    ids=["broken-yaml", "double-key", "unclosed", "latin-1", "list", "none", "toml", "large-yaml", "large-toml", "empty"],
)
def test_a_page_that_cannot_be_read_is_one_line_and_the_rest_is_done(wiki: DemoWiki, raw: bytes, words: str, fails: bool) -> None:
    (wiki.docs / "bad.md").write_bytes(raw)
    run = wiki.enrich("run", "--json")
    assert run.exit == (3 if fails else 0)
    assert [item["page"] for item in run.json["failed"]] == (["bad"] if fails else [])
    assert {item["page"] for item in run.json["proposed"]} == {"park-0", "park-1", "park-2"}
    said = wiki.enrich("run").err
    assert len(lines_about(said, "bad")) == 1
    assert words in said
    assert (wiki.docs / "bad.md").read_bytes() == raw


def test_a_byte_order_mark_is_no_part_of_a_text_file(wiki: DemoWiki) -> None:
    """Windows' editors write one."""
    wiki.enrich("init")
    (wiki.docs / "own.yaml").write_text("not_asked: {index_pages: true}\n", encoding="utf-8")
    (wiki.root / "enrich.toml").write_text(
        '[wiki]\ncontent = "content"\ndata = "content"\nprofile = "content/own.yaml"\n', encoding="utf-8"
    )
    (wiki.root / ".gitignore").write_text("content/park-2.md\n", encoding="utf-8")
    (wiki.docs / "resources.json").write_text('[{"id": "a", "url": "https://a.example", "title": "A"}]', encoding="utf-8")
    before = wiki.enrich("plan", "--json").json
    for file in (wiki.root / "enrich.toml", wiki.root / ".gitignore", *(wiki.root / "prompts").glob("*.md"), *wiki.docs.glob("*.[yj]*")):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    plan = wiki.enrich("plan", "--json")
    assert (plan.json, plan.err) == (before, "")
    assert len({item["page"] for item in before["states"]}) == 2
    (wiki.root / "dates.json").write_text('\ufeff{"modified": {"park-0.md": "2026-01-02"}}', encoding="utf-8")
    assert wiki.enrich("build", "--dates", "dates.json").err == ""
    wiki.enrich("init")
    assert (wiki.root / ".gitignore").read_bytes().startswith(b"\xef\xbb\xbfcontent/park-2.md\n/cache/\n")
    (wiki.root / "enrich.toml").write_text("[wiki]\n", encoding="utf-16")
    plan = wiki.enrich("plan")
    assert (plan.exit, "enrich.toml: not UTF-8 (byte 0xff). Save it as UTF-8" in plan.err) == (1, True)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("diff -o .", "error: .: not a regular file. Name a file"),
        ("build -o content", "error: content: not a regular file. Name a file"),
        ("site -o .", "error: .: the site cannot be in the wiki's own folder. Name another folder with -o"),
        ("site -o dates.json", "error: dates.json: cannot be written (Not a directory). Name another folder with -o"),
        ("review --from dates.json", "error: dates.json: input should be a mapping of keys to values. Export the decisions again"),
    ],
)
def test_a_wrong_file_is_one_line_in_plain_words(wiki: DemoWiki, command: str, words: str) -> None:
    (wiki.root / "dates.json").write_text("[]", encoding="utf-8")
    assert (wiki.enrich(*command.split()).exit, wiki.enrich(*command.split()).err.strip()) == (1, words)


@pytest.mark.parametrize("value", ["9" * 400, "9" * 5000, "[" * 5000], ids=["huge", "digits", "deep"])
def test_a_value_in_json_that_cannot_be_computed_with_is_one_line(wiki: DemoWiki, value: str) -> None:
    wiki.enrich("run")
    file = wiki.root / "proposals" / "park-0.json"
    file.write_text(re.sub(r'"new": [\d.]+', f'"new": {value}', file.read_text(encoding="utf-8")), encoding="utf-8")
    (wiki.root / "own.json").write_text(f'{{"modified": {value}}}', encoding="utf-8")
    for command, exit_code, words in (
        ("diff", 0, f"warning: {file}: not a proposal. Delete it"),
        ("apply park-0", 3, f"warning: {file}: not a proposal. Delete it"),
        ("review --from own.json", 1, "error: own.json: not JSON. Export the decisions again"),
        ("build --dates own.json", 1, "error: own.json: broken JSON: "),
    ):
        done = wiki.enrich(*command.split())
        assert (done.exit, done.err.count("\n"), done.err[: len(words)]) == (exit_code, 1, words)


_HUGE = "9" * 400
_ODD_VALUES = {
    "NaN": ".nan",
    "infinite": "-.inf",
    "huge": _HUGE,
    "large": "1e308",
    "date": "2024-01-01",
    "list": "[1, .nan, {a: .inf}]",
    "mapping": f"{{novelty: .nan, rigor: {_HUGE}, completeness: 1e308}}",
}


@pytest.mark.parametrize("value", _ODD_VALUES.values(), ids=_ODD_VALUES)
def test_a_page_may_have_any_value_under_any_key(tmp_path: Path, value: str) -> None:
    """One page with `quality: .nan` ended every command for all pages."""
    wiki = DemoWiki(tmp_path, 2)
    keys = "quality ratings insights llmSummary readerImportance researchImportance tacticalValue update_frequency lastEdited description"
    odd = "".join(f"{key}: {value}\n" for key in keys.split())
    body = wiki.file(0).read_text(encoding="utf-8").split("---\n", 2)[2]
    wiki.file(0).write_text(f"---\ntitle: {value}\n{odd}---\n{body}", encoding="utf-8")
    (wiki.docs / "toml.md").write_text(f"+++\nquality = {_HUGE}\n[ratings]\nrigor = nan\nnovelty = inf\n+++\n{body}", encoding="utf-8")
    commands = (
        "plan/run --apply/diff/show park-0/build/site/check/adopt/plan/rank --propose/run --refresh --overwrite --apply/diff --against HEAD"
    )
    for command in commands.split("/"):
        done = wiki.enrich(*command.split())
        assert done.exit in ((1,) if command.endswith("HEAD") else (0, 3)), (command, done.err)
        assert "Traceback" not in done.err
    text = (wiki.root / "database.json").read_text(encoding="utf-8")
    assert len(json.loads(text, parse_constant=pytest.fail)["pages"]) == 3


def test_dates_at_the_ends_of_the_calendar_are_read(wiki: DemoWiki) -> None:
    """A page may have any date, and so may a commit and a database that came with a clone."""
    for number, day in enumerate(("9999-12-31", "0001-01-01", "9999-12-31T23:59:59-12:00")):
        text = wiki.file(number).read_text(encoding="utf-8").replace("---\n", f"---\nlastUpdated: {day}\nquality: 5\n", 1)
        wiki.file(number).write_text(text, encoding="utf-8")
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    for command in ("init -q", "add -A", "commit -qm far"):
        env = wiki.env(**names, GIT_COMMITTER_DATE="@253402300900 +0000")
        subprocess.run(["git", *command.split()], cwd=wiki.root, env=env, check=True)
    for command in ("build", "build --now 0001-01-01", "build --now 9999-12-31T23:59:59Z", "show park-0", "site"):
        assert wiki.enrich(*command.split()).exit == 0
    (wiki.root / "old.json").write_text('{"generated": "0001-01-01T00:00:00+05:00"}', encoding="utf-8")
    assert wiki.enrich("build", "-o", "old.json", "--exit-code").exit == 10
    assert wiki.enrich("build", "--now", "0001-01-01T00:00+05:00").exit == 2


def test_two_pages_with_one_file_name_are_both_enriched_under_their_paths(wiki: DemoWiki) -> None:
    (wiki.docs / "zone").mkdir()
    (wiki.docs / "zone" / "park-1.md").write_text(page_text(7))
    run = wiki.enrich("run", "--json")
    assert {item["page"] for item in run.json["proposed"]} == {"park-0", "park-1", "park-2", "zone/park-1"}
    assert lines_about(run.err, "zone/park-1") == []
    wiki.enrich("apply", "--all")
    assert "llmSummary" in (wiki.docs / "zone" / "park-1.md").read_text().split("---")[1]
    assert wiki.enrich("run", "--json").json["due"] == 0


@pytest.mark.parametrize(
    ("act", "words"),
    [(bad_key("sk-secret-99"), "OPENAI_API_KEY"), (no_model("gpt-none"), "model"), (no_quota(), "quota")],
    ids=["wrong-key", "unknown-model", "quota"],
)
def test_what_no_later_request_can_fix_ends_the_run_with_one_line(wiki: DemoWiki, serve: Serve, act: Act, words: str) -> None:
    server = wiki.asks(serve(lambda seen: act if seen.number >= 1 else honest(seen)))
    run = wiki.enrich("run", ENRICH_LLM__CONCURRENCY="1", OPENAI_API_KEY="sk-secret-99")
    assert run.exit == 1
    assert len(lines_about(run.err, "ended early")) == 1
    assert words in run.err
    assert "sk-secret-99" not in run.out + run.err
    assert server.requests == 2
    again = wiki.asks(serve(honest))
    assert wiki.enrich("run", "--json").exit == 0
    assert again.requests == 2  # the first page was kept


def test_no_server_at_all_is_one_line(wiki: DemoWiki) -> None:
    wiki.server = "http://127.0.0.1:9/v1"
    run = wiki.enrich("run")
    assert run.exit == 1
    assert len(lines_about(run.err, "127.0.0.1:9")) == 1


@pytest.mark.parametrize(("act", "cause"), [(refusal(), "refused"), (filtered(), "filtered")], ids=["refused", "filtered"])
def test_a_refusal_is_a_failure_of_that_page_and_never_an_answer(wiki: DemoWiki, serve: Serve, act: Act, cause: str) -> None:
    wiki.asks(serve(lambda seen: act if "Park 1" in seen.text else honest(seen)))
    run = wiki.enrich("run", "--json")
    assert run.exit == 3
    assert {(item["page"], item["cause"]) for item in run.json["failed"]} == {("park-1", cause)}
    assert "park-1" not in {item["page"] for item in run.json["proposed"]}
    assert "cannot help" not in "".join(file.read_text() for file in (wiki.root / "proposals").glob("*.json"))


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[llm]\nmodle = 'x'\n", "unknown key `llm.modle`"),
        ("[llm]\nconcurrency = 0\n", "`llm.concurrency` cannot be 0"),
        ("[llm]\nbackend = 'gpt'\n", "'offline' or 'openai'"),
        ("this is no toml", "invalid TOML"),
        (f"[run]\nbudget_usd = {'9' * 5000}", "4300 digits"),
        ('[eval]\ngolden = "a\\u0000b"\n', "`eval.golden`"),
        ("[run]\nbudget_usd = inf\n", "`run.budget_usd` cannot be inf"),
        ("[stages.ratings]\ndimensions = ['beauty']\n", "stages.ratings.dimensions"),
    ],
    ids=["key", "range", "choice", "syntax", "digits", "null", "infinite", "dimension"],
)
def test_wrong_settings_name_the_key_the_file_and_what_is_allowed(tmp_path: Path, toml: str, words: str) -> None:
    wiki = DemoWiki(tmp_path, 1, toml)
    result = wiki.enrich("plan")
    assert result.exit == 1
    assert words in result.err
    assert "enrich.toml" in result.err
    assert len(result.err.splitlines()) == 1
    document = wiki.enrich("plan", "--json")
    assert document.exit == 1
    assert set(json.loads(document.out)["error"]) == {"message", "where", "do"}


def test_page_text_goes_only_where_somebody_vouched_for(tmp_path: Path, serve: Serve) -> None:
    wiki = DemoWiki(tmp_path, 1, '[llm]\nbackend = "openai"\nbase_url = "https://collector.example/v1"\n')
    result = wiki.enrich("run", OPENAI_API_KEY="sk-secret-99")
    assert result.exit == 1
    assert "ENRICH_TRUST_HOST" in result.err
    assert "collector.example" in result.err


def test_a_damaged_proposal_costs_its_page_and_a_damaged_lock_stops_everything(wiki: DemoWiki) -> None:
    wiki.enrich("run")
    proposal = next((wiki.root / "proposals").glob("*.json"))
    whole = proposal.read_text()
    proposal.write_text(whole[:50])
    plan = wiki.enrich("run", "--json")
    assert plan.exit == 3
    assert [(item["page"], item["cause"]) for item in plan.json["failed"]] == [(proposal.stem, "proposal")]
    result = wiki.enrich("apply", "--all")
    assert result.exit == 3
    assert proposal.name in result.err
    assert {item["page"] for item in wiki.enrich("diff", "--json").json["pages"]} == set()
    assert "llmSummary" not in wiki.docs.joinpath(f"{proposal.stem}.md").read_text()
    proposal.write_text(whole)
    before = wiki.content()
    (wiki.root / "enrich.lock").write_text("{broken\n{}\n")
    result = wiki.enrich("apply", "--all")
    assert result.exit == 1
    assert "enrich.lock:1" in result.err
    assert wiki.content() == before


def test_a_setting_with_one_underscore_is_no_silent_nothing(wiki: DemoWiki) -> None:
    done = wiki.enrich("plan", ENRICH_LLM_BASE_URL="http://127.0.0.1:1/v1", ENRICH_RUN_ID="of somebody else")
    assert done.exit == 1
    assert "ENRICH_LLM_BASE_URL" in done.err
    assert "Write ENRICH_LLM__BASE_URL" in done.err


def test_a_name_that_is_no_text_is_left_out_and_a_link_in_a_circle_is_named(wiki: DemoWiki) -> None:
    with Path(os.fsdecode(os.fsencode(wiki.docs) + b"/bad\xff.md")).open("w", encoding="utf-8") as file:
        file.write(page_text(7))
    (wiki.docs / "loop.md").symlink_to("loop.md")
    done = wiki.enrich("run")
    assert done.exit == 3
    assert "bad\\udcff.md: its name is not UTF-8" in done.err
    assert "content/loop.md: Too many levels of symbolic links (fix the page, then: enrich run loop)" in done.err
    assert {item["page"] for item in wiki.enrich("diff", "--json").json["pages"]} == {"park-0", "park-1", "park-2"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_every_encoding_can_be_printed_in(wiki: DemoWiki, encoding: str) -> None:
    wiki.file(0).write_text(page_text(0, body="Blåbærsyltetøj ☃ 🫐 is 12% of it all. " * 20), encoding="utf-8")
    for arguments in (["run"], ["plan"], ["diff", "--json"], ["diff", "--format", "word"], ["show", "park-0"]):
        process = wiki.start(*arguments, PYTHONIOENCODING=encoding)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, b""), arguments
        if "--json" in arguments:
            new = json.loads(out.decode(encoding))["pages"][0]["fields"][0]["new"]
            assert new.startswith("Blåbærsyltetøj ☃ 🫐")


def test_stages_that_failed_alike_are_one_line_and_pages_not_asked_say_so(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(lambda seen: invalid_json()))
    done = wiki.enrich("run", "--limit", "1")
    assert done.err.count("park-0") == 2
    assert "park-0 summary, insights, ratings: invalid" in done.err
    assert "(again with: enrich run park-0 --stage summary --stage insights --stage ratings)" in done.err
    wiki.asks(serve(lambda seen: bad_key()))
    done = wiki.enrich("run", "--limit", "1")
    assert "not asked, still due" in done.out
    assert "nothing new" not in done.out
    wiki.asks(serve(honest))
    assert wiki.enrich("run", "--budget", "0").err.startswith("warning: ended early: ")


def test_a_link_out_of_the_content_folder_is_neither_sent_nor_in_the_way(wiki: DemoWiki, serve: Serve) -> None:
    secret = wiki.root / "secret.md"
    secret.write_text(page_text(7, body="The secret is told to nobody at all, least of all here. " * 20), encoding="utf-8")
    (wiki.docs / "aaa.md").symlink_to(secret)
    server = wiki.asks(serve(honest))
    done = wiki.enrich("run", "--apply")
    assert done.exit == 0
    assert "aaa.md: it is a link that leads out of content; left out" in done.err
    assert not any("secret" in seen.text for seen in server.seen)
    assert all(b"llmSummary" in wiki.file(number).read_bytes() for number in range(3))


@pytest.mark.parametrize(("where", "exit_code", "words"), [("| true", 0, ""), (">/dev/full", 1, "error: stdout: "), (">&-", 0, "")])
def test_output_that_is_not_read_causes_no_traceback(wiki: DemoWiki, where: str, exit_code: int, words: str) -> None:
    wiki.enrich("run")
    for command in ("diff", "plan", "diff --format json"):
        script = f"{sys.executable} -m enrich {command} {where}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], cwd=wiki.root, env=wiki.env(), capture_output=True, text=True, check=False)
        assert done.returncode == exit_code, (command, done.stderr)
        assert done.stderr.startswith(words)
        assert done.stderr.count("\n") == bool(words)
