"""A whole round of a nightly pull request, with git in a folder and the event files that GitHub would write."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.demo import DemoWiki, answering, honest_parts
from tests.fake_server import Act, FakeServer, Seen, Serve

GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/wiki", "GITHUB_SHA": "a" * 40}
FIELDS = ["novelty", "rigor", "actionability", "completeness"]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message, "--allow-empty")


class Nights:
    """A wiki in git whose ratings moved from 4 to 8 since they were written: the branch `night` is what a nightly run left."""

    def __init__(self, root: Path, serve: Serve) -> None:
        self.score, self.words, self.clones = 4.0, "inspected", 0

        def model(seen: Seen) -> Act:
            parts = honest_parts(seen, self.score)
            if "summary" in parts:
                parts["summary"]["summary"] = f"The blades of these turbines are {self.words} twice a year."
                parts["summary"]["evidence"] = ["Their blades are made of glass fibre and are inspected twice a year."]
            return answering(parts)

        self.server: FakeServer = serve(model)
        self.origin = root / "origin"
        self.main = DemoWiki(self.origin, 4)
        self.main.asks(self.server)
        (self.origin / ".gitignore").write_text("cache/\nproposals/\n*.md.body\n", encoding="utf-8")
        git(self.origin, "init", "-q")
        assert self.main.enrich("run", "--apply").exit == 0
        for number in range(4):
            self.main.append(number)
        commit(self.origin, "day")
        self.score, self.words = 8.0, "checked"
        git(self.origin, "switch", "-qc", "night")
        self.run = self.main.enrich("run", "--apply", "--json", "--pr-body", "cache/body.md", **GITHUB).json
        self.body = (self.origin / "cache/body.md").read_text(encoding="utf-8")
        commit(self.origin, "night")

    def clone(self, branch: str) -> DemoWiki:
        """A fresh checkout: neither cache nor proposals."""
        self.clones += 1
        folder = self.origin.with_name(f"checkout-{self.clones}")
        git(self.origin.parent, "clone", "-q", "-b", branch, str(self.origin), str(folder))
        wiki = DemoWiki.at(folder)
        wiki.asks(self.server)
        return wiki


@pytest.fixture
def nights(tmp_path: Path, serve: Serve) -> Nights:
    return Nights(tmp_path, serve)


def event(wiki: DemoWiki, **data: Any) -> str:
    base = {"repository": {"full_name": "o/wiki"}, "sender": {"login": "ann"}}
    file = wiki.root / "cache/event.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(base | data), encoding="utf-8")
    return "cache/event.json"


def request(body: str, **more: Any) -> dict[str, Any]:
    return {"body": body, "head": {"repo": {"full_name": "o/wiki"}}, **more}


def checked(body: str, *names: str) -> str:
    for name in names:
        assert f"- [ ] accept `{name}` `" in body
        body = body.replace(f"- [ ] accept `{name}` `", f"- [x] accept `{name}` `")
    return body


def test_the_body_names_what_is_held_first_with_links_to_its_evidence(nights: Nights) -> None:
    assert {one["flag"] for one in nights.run["held"]} == {"leap"} and len(nights.run["held"]) == 16
    assert [one for one in nights.run["applied"] if one["field"].startswith("ratings")] == [], "no leap is written"
    body = nights.body
    assert body.index("#### Held back") < body.index("- [ ] accept") < body.index("#### Applied")
    assert re.search(r"^- \[ \] accept `park-0:ratings.rigor` `[0-9a-f]{16}`: \*\*leap\*\* · 4 → 8 \(\+4\)", body, re.MULTILINE)
    held = [json.loads(row) for row in (nights.origin / "enrich.held.jsonl").read_text(encoding="utf-8").splitlines()]
    states = {(one["page"], field["field"]): field["state"] for one in held for field in one["fields"]}
    assert states["park-0", "ratings.rigor"] == "pending" and states["park-0", "llmSummary"] == "accepted"


def test_a_run_that_moves_421_ratings_far_writes_none_of_them(tmp_path: Path, serve: Serve) -> None:
    """105 pages with four ratings that move by 2 points, and one page with a single one."""
    score = 4.0

    def model(seen: Seen) -> Act:
        parts = honest_parts(seen, score)
        if "# Park 105" in str(seen.body) or "Title: Park 105" in str(seen.body):
            parts["ratings"].update({name: {**parts["ratings"][name], "score": 4.0} for name in FIELDS[1:]})
        return answering(parts)

    wiki = DemoWiki(tmp_path / "wiki", 106)
    wiki.asks(serve(model))
    assert len(wiki.enrich("run", "--stage", "ratings", "--apply", "--json").json["applied"]) == 4 * 106
    for number in range(106):
        wiki.append(number)
    pages = [wiki.file(number).read_bytes() for number in range(106)]
    score = 6.0
    run = wiki.enrich("run", "--stage", "ratings", "--apply", "--json").json
    assert (len(run["held"]), {one["flag"] for one in run["held"]}, run["applied"]) == (421, {"leap"}, [])
    assert [wiki.file(number).read_bytes() for number in range(106)] == pages
    assert len(wiki.enrich("apply", "--all", "--json").json["held"]) == 421
    assert [wiki.file(number).read_bytes() for number in range(106)] == pages


def test_what_was_applied_is_shown_against_a_revision(nights: Nights) -> None:
    pages = nights.main.enrich("diff", "--against", "main", "--json").json["pages"]
    assert {(page["page"], field["field"], field["state"]) for page in pages for field in page["fields"]} == {
        (f"park-{number}", "llmSummary", "accepted") for number in range(4)
    }
    field = pages[0]["fields"][0]
    assert ("inspected" in field["old"], "checked" in field["new"], field["flags"], len(field["evidence"])) == (True, True, [], 1)
    assert "checked" in nights.main.enrich("diff", "--against", "HEAD~1", "park-1", "--format", "html").out
    assert nights.main.enrich("diff", "--against", "HEAD", "--json").json["pages"] == []
    for wrong in ("nowhere", "--output=x", "a b"):
        assert nights.main.enrich("diff", f"--against={wrong}").exit == 1


def test_a_held_text_links_to_its_evidence(tmp_path: Path, serve: Serve) -> None:
    def unsupported(seen: Seen) -> Act:
        parts = honest_parts(seen)
        parts["summary"] = {"summary": "It delivers 4711 megawatts.", "evidence": ["Their blades are made of glass fibre"]}
        return answering(parts)

    wiki = DemoWiki(tmp_path, 1)
    wiki.asks(serve(unsupported))
    page = wiki.file(0).read_text(encoding="utf-8").splitlines()
    wiki.enrich("run", "--apply", "--pr-body", "body.md", **GITHUB)
    body = (tmp_path / "body.md").read_text(encoding="utf-8")
    line = next(row for row in body.splitlines() if row.startswith("- [ ] accept `park-0:llmSummary`"))
    assert "**needs-look** · `It delivers 4711 megawatts.` · `hard number`" in line
    found = re.search(rf"\(https://github.com/o/wiki/blob/{'a' * 40}/content/park-0.md#L(\d+)-L\1\)", line)
    assert found is not None
    assert "glass fibre" in page[int(found[1]) - 1], "the line of the commit that the link names, not of the page as it is now"


def test_decisions_on_the_branch_last(nights: Nights) -> None:
    """Two boxes checked, one comment rejects, one line is edited, another deleted; the next night asks nothing again."""
    branch = nights.clone("night")
    body = checked(nights.body, "park-0:ratings.rigor", "park-1:ratings.novelty")
    said = branch.enrich("review", "--json", "--from-pr", event(branch, action="edited", pull_request=request(body))).json
    assert {(one["page"], one["field"], one["decision"]) for one in said["decided"]} == {
        ("park-0", "ratings.rigor", "accept"),
        ("park-1", "ratings.novelty", "accept"),
    }
    comment = {"body": "Too high.\n/enrich reject park-0:ratings.novelty\n", "author_association": "MEMBER"}
    said = branch.enrich("review", "--json", "--from-pr", event(branch, issue={"body": nights.body}, comment=comment)).json
    assert [(one["page"], one["field"], one["decision"]) for one in said["decided"]] == [("park-0", "ratings.novelty", "reject")]
    assert branch.enrich("apply").exit == 0
    assert branch.frontmatter(0)["ratings"]["rigor"] == branch.frontmatter(1)["ratings"]["novelty"] == 8
    assert branch.frontmatter(0)["ratings"]["novelty"] == 4
    edited = branch.file(2).read_text(encoding="utf-8").replace("turbines are checked", "turbines are looked at")
    branch.file(2).write_text(edited, encoding="utf-8")
    without = re.sub(r"llmSummary: .*\n", "", branch.file(3).read_text(encoding="utf-8"))
    branch.file(3).write_text(without, encoding="utf-8")
    commit(branch.root, "reviewed")
    git(nights.origin, "switch", "-q", "main")
    git(branch.root, "push", "-q", "origin", "night")
    git(nights.origin, "merge", "-q", "night")

    before = nights.server.requests
    night = nights.clone("main")
    pages = night.content()
    second = night.enrich("run", "--apply", "--json", "--pr-body", "cache/body.md", **GITHUB).json
    assert (second["due"], second["proposed"], second["applied"]) == (0, [], [])
    assert nights.server.requests == before, "nothing that was decided, or that still waits, is asked again"
    assert night.content() == pages
    assert "looked at" in night.frontmatter(2)["llmSummary"] and "llmSummary" not in night.frontmatter(3)
    waiting = {(one["page"], one["field"]) for one in second["held"]}
    assert waiting == {(f"park-{number}", f"ratings.{name}") for number in range(4) for name in FIELDS} - {
        ("park-0", "ratings.rigor"),
        ("park-1", "ratings.novelty"),
        ("park-0", "ratings.novelty"),
    }


def test_a_pull_request_that_is_closed_unmerged_rejects_all_of_it(nights: Nights) -> None:
    git(nights.origin, "switch", "-q", "main")
    main = nights.clone("main")
    (main.root / "enrich.held.jsonl").write_text(git(nights.origin, "show", "night:enrich.held.jsonl"), encoding="utf-8")
    closed = event(main, action="closed", pull_request=request(nights.body, merged=False))
    said = main.enrich("review", "--json", "--from-pr", closed).json
    assert {one["decision"] for one in said["decided"]} == {"reject"} and len(said["decided"]) == 20 and said["refused"] == []
    assert not (main.root / "enrich.held.jsonl").exists()
    commit(main.root, "rejections")
    assert git(main.root, "show", "--stat", "--format=").split()[0] == "enrich.lock"
    git(main.root, "push", "-q", "origin", "HEAD:rejected")
    git(nights.origin, "merge", "-q", "rejected")
    night = nights.clone("main")
    second = night.enrich("run", "--apply", "--json").json
    assert (second["proposed"], second["applied"], second["held"]) == ([], [], [])


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda body: {"pull_request": {**request(body), "head": {"repo": {"full_name": "evil/wiki"}}}}, 0),
        (lambda body: {"pull_request": {**request(body), "head": {"repo": None}}}, 0),
        (lambda body: {"pull_request": request(re.sub(r"`[0-9a-f]{16}`", "`0000000000000000`", body))}, 0),
        (lambda body: {"pull_request": request("- [x] accept `park-0:ratings.rigor`\n- [x] accept `../../etc:x` `0`: y")}, 0),
        (lambda body: {"issue": {"body": ""}, "comment": {"body": "/enrich accept park-0", "author_association": "NONE"}}, 1),
        (
            lambda body: {"issue": {"body": None}, "comment": {"body": "/enrich accept nowhere:llmSummary", "author_association": "OWNER"}},
            1,
        ),
        (lambda body: {"issue": {}, "comment": {"body": "say /enrich accept park-0", "author_association": "OWNER"}}, 0),
    ],
)
def test_who_may_not_decide_decides_nothing(nights: Nights, change: Callable[[str], dict[str, Any]], refused: int) -> None:
    branch = nights.clone("night")
    before = (branch.root / "enrich.held.jsonl").read_bytes()
    body = checked(nights.body, "park-0:ratings.rigor")
    said = branch.enrich("review", "--json", "--from-pr", event(branch, action="edited", **change(body))).json
    assert (said["decided"], len(said["refused"])) == ([], refused)
    assert (branch.root / "enrich.held.jsonl").read_bytes() == before


def test_what_is_not_an_event_is_an_error_of_one_line(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    for text in ("[]", "{", '{"issue": 3}', "x"):
        (tmp_path / "event.json").write_text(text, encoding="utf-8")
        done = wiki.enrich("review", "--from-pr", "event.json")
        assert done.exit == 1 and "not an event of a pull request" in done.err and done.err.count("\n") == 1
    (tmp_path / "event.json").write_text('{"issue": {"body": 3}}', encoding="utf-8")
    (tmp_path / "enrich.held.jsonl").write_text("{}\n", encoding="utf-8")
    assert "enrich.held.jsonl:1" in wiki.enrich("review", "--from-pr", "event.json").err
