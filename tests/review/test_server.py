"""The review page served on this machine: one browser gets in, nobody else; decisions reach proposals and the lock, and nothing else is written."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pexpect
import pytest

from enrich.review.browser import ReviewServer, page_data

# Below the public API: the server is asked in this process, so that a test sees what it stored.
from enrich.review.proposals import ProposalStore
from enrich.review.views import PageView
from enrich.stages.fields import value_hash
from enrich.wiki.wiki import Wiki
from tests.demo import default_signals
from tests.review import wikis
from tests.review.test_terminal import ENRICH, left

NOW = "2026-03-02T08:00:00Z"


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    """Requests as a browser would send them, and as others would."""

    def __init__(self, server: ReviewServer) -> None:
        self.server = server
        self.cookie = self.tab = ""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str | None) -> Reply:
        sent: dict[str, str | None] = {"Host": f"127.0.0.1:{self.server.port}"}
        if self.cookie:
            sent["Cookie"] = self.cookie
        if method == "POST":
            sent["X-Enrich-Tab"] = self.tab
            sent |= {"Origin": self.server.origin, "Content-Type": "application/json", "Content-Length": str(len(body or b""))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return reply

    def enter(self) -> Reply:
        parts = urlsplit(self.server.address)
        reply = self.ask("GET", f"{parts.path}?{parts.query}")
        self.tab = parts.fragment
        self.cookie = reply.headers.get("set-cookie", "").partition(";")[0]
        return reply

    def decide(self, *decisions: Mapping[str, Any], **headers: str | None) -> Reply:
        return self.ask("POST", "/decisions", json.dumps({"schema": 1, "decisions": decisions}).encode(), **headers)


@pytest.fixture
def workspace(tmp_path: Path) -> Wiki:
    made = wikis.make_wiki(tmp_path, {"kb/dover": wikis.page_text("Dover"), "kb/brest": wikis.page_text("Brest")})
    for page in ("dover", "brest"):
        wikis.answer(made, page, {"summary": wikis.SUMMARY, "insights": wikis.INSIGHTS, "ratings": wikis.ratings_answer()})
    return made


@pytest.fixture
def server(workspace: Wiki) -> Iterator[ReviewServer]:
    with ReviewServer(workspace, workspace.shared(ProposalStore).all, by="ann", now=lambda: NOW) as made:
        yield made


@pytest.fixture
def browser(server: ReviewServer) -> Browser:
    made = Browser(server)
    made.enter()
    return made


def decision(workspace: Wiki, page: str, field: str, word: str, **more: Any) -> dict[str, Any]:
    return {"page": page, "field": field, "decision": word, "new_hash": value_hash(wikis.change_of(workspace, page, field).new), **more}


def test_the_address_opens_once_and_leaves_a_cookie_no_script_can_read(server: ReviewServer) -> None:
    first, second = Browser(server), Browser(server)
    reply = first.enter()
    assert (reply.status, reply.headers["location"]) == (303, "/")
    assert reply.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert first.ask("GET", "/").status == 200
    assert second.enter().status == 403
    assert second.ask("GET", "/").status == 403
    # Who is in may open the address again (a reload, the back button).
    assert first.ask("GET", urlsplit(server.address)._replace(scheme="", netloc="", fragment="").geturl()).status == 303


def test_it_listens_on_this_machine_only(server: ReviewServer) -> None:
    assert server._http.socket.getsockname()[0] == "127.0.0.1"
    probe = socket.socket()
    try:
        assert probe.connect_ex(("127.0.0.2", server.port)) != 0
    finally:
        probe.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:80"},
        {"Host": None},
        {"Host": "localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Cookie": "enrich-review=guess"},
        {"Cookie": None},
    ],
)
def test_others_get_neither_the_page_nor_a_decision(workspace: Wiki, browser: Browser, headers: dict[str, str | None]) -> None:
    before = wikis.states(workspace)
    assert browser.ask("GET", "/", None, **headers).status in (400, 403)
    assert browser.decide(decision(workspace, "dover", "llmSummary", "accept"), **headers).status in (400, 403)
    assert wikis.states(workspace) == before


@pytest.mark.parametrize("tab", [None, "guess", "\u00e9"])
def test_another_server_on_this_machine_that_got_the_cookie_cannot_decide(workspace: Wiki, browser: Browser, tab: str | None) -> None:
    """Cookies ignore ports: with the session and forged headers alone, nothing is recorded, and no reply holds the tab's secret."""
    before, secret = wikis.states(workspace), browser.tab
    page = browser.ask("GET", "/")
    assert secret
    assert secret not in f"{page.body!r} {page.headers}"
    reply = browser.decide(decision(workspace, "dover", "llmSummary", "accept"), X_Enrich_Tab=tab)
    assert reply.status == 403
    assert "open the address" in reply.json["error"]
    assert wikis.states(workspace) == before


# (what is sent, the status of the answer; 0: an answer without a status line, or none)
ODD_REQUESTS = [
    (b"GET http://[::1/ HTTP/1.1\r\nHOST\r\n\r\n", 400),
    (b"GET /?" + b"token=1&" * 100 + b" HTTP/1.1\r\nHOST\r\n\r\n", 400),
    (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHOST\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHOST\r\nCookie: \xff\xfe=\x80; enrich-review=\xe9\r\n\r\n", 403),
    (b"POST /decisions HTTP/1.1\r\nPAGE\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
    (b"POST /decisions HTTP/1.1\r\nPAGE\r\nContent-Length: -1\r\n\r\n", 413),
    (b"POST /decisions HTTP/1.1\r\nPAGE\r\nContent-Length: \xb2\r\n\r\n", 413),
    (b"GET / HTTP/9.9\r\nHOST\r\n\r\n", 0),
    (b"\x16\x03\x01\x00 hello\r\n\r\n", 0),
    (b"POST /decisions HTTP/1.1\r\nPAGE\r\nContent-Length: 100\r\n\r\n{", 0),
    (b"POST /decisions HTTP/1.1\r\nPAGE\r\nContent-Le", 0),
    (b"GET / HTT", 0),
    (b"", 0),
]


def test_odd_requests_and_clients_that_hang_up_leave_no_traceback(browser: Browser, capfd: pytest.CaptureFixture[str]) -> None:
    server = browser.server
    host = f"Host: 127.0.0.1:{server.port}"
    page = f"{host}\r\nOrigin: {server.origin}\r\nCookie: {browser.cookie}\r\nX-Enrich-Tab: {browser.tab}\r\nContent-Type: application/json"
    for request, status in ODD_REQUESTS:
        sent = request.replace(b"HOST", host.encode()).replace(b"PAGE", page.encode())
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").readline()
        assert not status or answer.split()[1] == str(status).encode(), (request, answer)
        # One that does not wait for the answer: the reset reaches the server while it reads or writes.
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01" + b"\x00" * 7)
            connection.sendall(sent)
    assert browser.ask("GET", "/").status == 200
    assert capfd.readouterr() == ("", "")


def test_a_decision_must_come_from_the_page_and_as_json(workspace: Wiki, browser: Browser) -> None:
    wanted = decision(workspace, "dover", "llmSummary", "accept")
    assert browser.decide(wanted, Origin=None).status == 403
    assert browser.decide(wanted, Content_Type="text/plain").status == 415
    assert browser.decide(wanted, Content_Length="99999999999").status == 413
    assert browser.ask("POST", "/", b"{}").status == 404
    for body in (b"", b"[]", b"{", b'{"schema": 2, "decisions": []}', b"[" * 100_000):
        assert browser.ask("POST", "/decisions", body).status == 400
    assert set(wikis.states(workspace)["dover"].values()) == {"-/pending"}


def test_nothing_may_frame_keep_or_sniff_the_page(browser: Browser) -> None:
    reply = browser.ask("GET", "/")
    headers = reply.headers
    assert b"connect-src &#39;self&#39;" in reply.body, "the page may talk to its server only"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_decisions_land_in_the_proposals_and_rejections_in_the_lock(workspace: Wiki, browser: Browser) -> None:
    pages = {file.id: file.file.read_bytes() for file in workspace.files}
    reply = browser.decide(
        decision(workspace, "dover", "llmSummary", "accept"),
        decision(workspace, "dover", "ratings.rigor", "reject"),
        decision(workspace, "brest", "insights", "accept", insights=[0, 2]),
        decision(workspace, "brest", "llmSummary", "skip"),
    )
    assert reply.status == 200
    assert reply.json["refused"] == []
    stored = wikis.states(workspace)
    assert stored["dover"]["llmSummary"] == "accept/accepted"
    assert stored["dover"]["ratings.rigor"] == "reject/rejected"
    assert stored["brest"]["llmSummary"] == "skip/pending"
    brest = workspace.shared(ProposalStore).get("brest")
    insights = brest.change("insights")
    assert (insights.state, [item["type"] for item in insights.result]) == ("accepted", ["quantitative", "disagreement"])
    assert insights.decided["by"] == "ann"
    lines = [json.loads(row) for row in workspace.config.lock.read_text(encoding="utf-8").splitlines()]
    assert [(line["page"], line["stage"], line["rejected"]) for line in lines] == [("dover", "ratings", ["ratings.rigor"])]
    assert {file.id: file.file.read_bytes() for file in workspace.files} == pages
    fresh = {page["page"]: {field["field"]: field["state"] for field in page["fields"]} for page in reply.json["pages"]}
    assert fresh["dover"]["llmSummary"] == "accepted"
    assert fresh["brest"]["llmSummary"] == "skipped"


def test_a_decision_is_undone_and_one_on_another_value_is_refused(workspace: Wiki, browser: Browser) -> None:
    browser.decide(decision(workspace, "dover", "ratings.rigor", "reject"))
    old = {**decision(workspace, "dover", "llmSummary", "accept"), "new_hash": "0" * 16}
    reply = browser.decide(decision(workspace, "dover", "ratings.rigor", "undo"), old)
    assert [(item["page"], item["field"]) for item in reply.json["refused"]] == [("dover", "llmSummary")]
    assert wikis.states(workspace)["dover"]["llmSummary"] == "-/pending"
    assert wikis.states(workspace)["dover"]["ratings.rigor"] == "-/pending"
    assert "rejected" not in workspace.config.lock.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["../../etc/passwd", "/etc/passwd", "", "..", "no such page", "\u202e", "x" * 5000])
def test_a_page_that_is_none_changes_nothing(workspace: Wiki, browser: Browser, page: str, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file() and ".enrich" not in path.name and "locks" not in path.parts)
    reply = browser.decide({"page": page, "field": "llmSummary", "decision": "reject", "new_hash": "0"})
    assert [item["page"] for item in reply.json["refused"]] == [page]
    after = sorted(path for path in tmp_path.rglob("*") if path.is_file() and ".enrich" not in path.name and "locks" not in path.parts)
    assert after == before


def test_what_a_text_without_quotes_is_worth_is_asked_for_page_by_page(workspace: Wiki, browser: Browser) -> None:
    assert browser.ask("GET", "/chance?page=dover").json["chance"].startswith("on this page, ")
    assert browser.ask("GET", "/chance?page=..%2f..%2fetc").json == {"chance": ""}
    browser.cookie = ""
    assert browser.ask("GET", "/chance?page=dover").status == 403


def test_a_load_looks_again_at_changed_pages_and_proposals_only(workspace: Wiki, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding the quotes of all pages takes most of the time of a load."""
    looked: list[str] = []

    def counted(view: PageView) -> Any:
        looked.append(view.id)
        return page_data(view)

    monkeypatch.setattr("enrich.review.browser.page_data", counted)
    browser.ask("GET", "/")
    assert looked == []  # done before the address was printed
    browser.decide(decision(workspace, "dover", "ratings.rigor", "reject"))
    file = workspace.by_id["brest"].file
    file.write_text(file.read_text(encoding="utf-8").replace("herring", "cod"), encoding="utf-8")
    assert b"line 13 changed" in browser.ask("GET", "/").body
    assert looked == ["dover", "brest"]


def test_the_command_prints_the_address_and_ends_at_ctrl_c(workspace: Wiki, tmp_path: Path) -> None:
    child = pexpect.spawn(str(ENRICH), ["review", "--serve"], cwd=str(tmp_path), encoding="utf-8", timeout=60, preexec_fn=default_signals)
    child.expect(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{20,})")
    connection = http.client.HTTPConnection("127.0.0.1", int(child.match.group(1)), timeout=60)
    connection.request("GET", f"/?token={child.match.group(2)}")
    assert connection.getresponse().status == 303
    connection.close()
    child.sendintr()
    child.expect("0 decisions stored")
    assert left(child)[0] == 0
