"""The review page: proposals as one HTML file, or served to one browser on this machine, which stores each decision at once (`enrich review --serve`).

Text of pages and models travels as JSON, and the script puts it into text nodes only. Control and direction characters become escapes.

Others have no access: the server listens on 127.0.0.1 only; the address carries a token that works once and is exchanged for a cookie that scripts
cannot read; every request must name this host and port (no DNS rebinding) and come from this page (no other origin, no form elsewhere). Browsers send
cookies to every port of a host, so another server on this machine may get ours: a decision also needs the tab's secret in a header. It reaches
the tab in the address's fragment, which browsers send to no server, and the tab keeps it in a store that belongs to this origin alone. The server
can only do what `enrich review --from` does: record decisions in proposals, and rejections in the lock. It never writes pages.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from types import MappingProxyType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError

from enrich import html
from enrich.errors import EnrichError, invalid_keys
from enrich.files import digest_of
from enrich.review.applying import page_of
from enrich.review.decisions import REASONS, DecisionFile, is_small_move, take
from enrich.review.proposals import LEAP, NEEDS_LOOK, OVER_HUMAN, STALE, Proposal, ProposalStore
from enrich.review.review_session import keys_of
from enrich.review.views import FieldView, PageQuotes, PageView, as_text, finding_name, page_views
from enrich.stages.fields import QUALITY, value_hash, with_texts
from enrich.text import escaped, parsed_json, usd
from enrich.wiki.wiki import Wiki

# Upper edges of the bins of rating moves on the 0 to 10 scale; readers see a difference from half a point on.
_EDGES = (-2.0, -1.0, -0.5, -0.05, 0.05, 0.5, 1.0, 2.0)
_BINS = ("−2 or more", "−2 to −1", "−1 to −0.5", "down to −0.5", "0", "up to +0.5", "+0.5 to +1", "+1 to +2", "+2 or more")


def review_html(
    views: Sequence[PageView],
    *,
    wiki: str,
    generated: str,
    key: str = "",
    reviewer: str | None = None,
    data: Callable[[PageView], dict[str, Any]] | None = None,
) -> str:
    """The page. `wiki` is the wiki's name, `generated` an ISO time, `key` (`wiki_id`) what a browser keeps decisions under.

    With `reviewer`, decisions go to the server that sent the page, as those of this person. `data` is `page_data` unless the caller keeps its results.
    """
    serve = reviewer is not None
    fields = [field for view in views for field in view.changes]
    flags = Counter(flag for field in fields for flag in field.flags)
    states = Counter(field.change.state for field in fields if field.change.state != "pending")
    # A stage's answer is paid once, however many fields it gives.
    costs = {(view.id, field.change.question.key): field.change.cost_usd for view in views for field in view.changes}
    priced = [cost for cost in costs.values() if cost is not None]
    return html.render(
        "review.html.j2",
        styles=("review.css",),
        scripts=("decisions.js", "cards.js", "filters.js", "queue.js", "browse.js", "page.js"),
        island={
            "id": key or wiki,
            "serve": serve,
            "reasons": REASONS,
            "pages": [
                {**(data or page_data)(view), "section": escaped(section)} for view, section in zip(views, _sections(views), strict=True)
            ],
        },
        connect="'self'" if serve else "'none'",
        wiki=escaped(wiki),
        reviewer=escaped(reviewer or ""),
        keys=keys_of("browser"),
        generated=generated.replace("T", " ")[:16] + " UTC",
        serve=serve,
        pages=len(views),
        fields=len(fields),
        flags=flags,
        models=escaped(", ".join(sorted({field.change.model for field in fields}))),
        findings=_counts(finding_name(finding) for field in fields for finding in field.change.findings),
        stages=_counts(field.change.stage for field in fields),
        states=", ".join(f"{count} {state}" for state, count in states.items()) or "all to decide",
        cost=usd(sum(priced)) if priced else "",
        bins=_BINS,
        moves=_moves(fields),
        first=sum(field.kind == "rating" and field.change.old is None for field in fields),
    )


def page_data(view: PageView) -> dict[str, Any]:
    """One page for the script."""
    costs = {field.change.stage: field.change.cost_usd or 0.0 for field in view.changes}
    shown = {"path": view.path, "title": view.title, "note": view.note, "assigned": view.proposal.assigned}
    fields = []
    for field in view.fields:
        # What an edit starts from is the value itself: it goes into text fields only.
        edit = field.change.new if field.kind != "other" and field.name != QUALITY else None
        fields.append({"field": field.name, **with_texts(_field(field), escaped), "edit": edit})
    return {"page": view.id, "cost": round(sum(costs.values()), 6), **with_texts(shown, escaped), "fields": fields}


def _field(field: FieldView) -> dict[str, Any]:
    change = field.change
    rating = field.kind == "rating"
    old = change.old if change.move is not None or change.old is None else as_text(change.old) if rating else ""
    return {
        "stage": change.stage,
        "kind": field.kind,
        "hash": change.new_hash,
        "mark": change.mark,
        "lane": _lane(field),
        **{name: change.decided.get(key, "") for name, key in (("by", "by"), ("when", "when"), ("why", "reason"), ("note", "note"))},
        "state": "skipped" if change.status == "skipped" else change.state,
        "flags": field.flags,
        "found": [finding_name(finding) for finding in change.findings],
        "old": old,
        "new": change.new if rating else None,
        "move": change.move,
        "margin": field.margin,
        "pieces": field.pieces,
        "insights": [asdict(insight) for insight in field.insights],
        "quotes": [asdict(quote) for quote in field.quotes],
        "findings": [asdict(finding) for finding in field.findings],
        "reason": change.reason,
        "now": as_text(field.current) if field.edited_on_page else None,
        "origin": ", ".join(filter(None, (field.interval, field.provenance(change.asked[:16].replace("T", " "))))),
        # What a green check is worth on the page takes up to 0.1 s a page, so the script asks a server for it. With a quote it matters less.
        "chance": field.kind in ("text", "insights") and not any(item.found for item in change.evidence),
    }


def _lane(field: FieldView) -> str:
    """Which lane of the queue a field is in, by what a reviewer has to do about it."""
    lanes = ((STALE, "stale"), (NEEDS_LOOK, "look"), (OVER_HUMAN, "human"), (LEAP, "leap"))
    return next((lane for flag, lane in lanes if flag in field.flags), "small" if is_small_move(field.change) else "text")


def _counts(names: Any) -> dict[str, int]:
    return {escaped(name): count for name, count in Counter(names).most_common()}


def _moves(fields: Sequence[FieldView]) -> list[int]:
    """How many ratings move by how much: a count for each of `_BINS`."""
    moves = [0] * len(_BINS)
    for one in fields:
        if (move := one.change.move) is not None and one.name != QUALITY:
            moves[sum(move > edge if edge < 0 else move >= edge for edge in _EDGES)] += 1
    return moves


def _sections(views: Sequence[PageView]) -> list[str]:
    """For each page the first folder that not all pages share; "" for pages above it. If all share all folders: the last one."""
    folders = [view.path.split("/")[:-1] for view in views]
    levels = zip(*filter(None, folders), strict=False)
    shared = len(list(takewhile(lambda names: len(set(names)) == 1, levels)))
    if shared == max(map(len, folders), default=0):
        shared = max(0, shared - 1)
    return [parts[shared] if len(parts) > shared else "" for parts in folders]


def wiki_id(wiki: Wiki) -> str:
    """What tells this wiki's decisions in a browser from those of others: 12 hex digits of the hash of its folder."""
    return value_hash(str(wiki.config.root))[:12]


HOST = "127.0.0.1"
_COOKIE = "enrich-review"
TAB_HEADER = "X-Enrich-Tab"
# The decisions on a thousand pages take about 200 kB.
_MOST_BYTES = 5_000_000
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ReviewServer:
    """Serves the review page from a thread while its context is open. `address` is to be opened once, in one browser.

    `proposals` returns those to show now, `now` the time as ISO 8601. `by` is who decides; `stored` counts decisions. A browser with the
    `session` (a cookie) is shown the page; decisions need the secret of the `tab` as well.
    """

    def __init__(
        self, wiki: Wiki, proposals: Callable[[], Sequence[Proposal]], *, by: str, now: Callable[[], str], port: int | None = None
    ) -> None:
        """Raises `OSError` if the port is taken; without one it is always the same for a wiki, if that is free."""
        self._wiki, self._proposals, self._by, self._now = wiki, proposals, by, now
        self.stored = 0
        self._known: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._turn = threading.Lock()
        self._token, self.session, self.tab = (secrets.token_urlsafe(24) for _ in range(3))
        self._token_left = threading.Lock()  # acquired by the first request with the token
        handler = type("Handler", (_Handler,), {"server_": self})
        # Browsers keep what they store by host and port: with the same port, decisions that could not be sent are sent the next time.
        usual = 49152 + int(wiki_id(wiki), 16) % 16000
        try:
            self._http = _HttpServer((HOST, usual if port is None else port), handler)
        except OSError:
            if port is not None:
                raise
            self._http = _HttpServer((HOST, 0), handler)
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.2,), name="review", daemon=True)

    def page(self) -> str:
        """The review page as it is now."""
        views = page_views(self._wiki, self._proposals())
        name, key = self._wiki.config.root.name, wiki_id(self._wiki)
        return review_html(views, wiki=name, key=key, generated=self._now(), reviewer=self._by, data=self._data)

    def _data(self, view: PageView) -> dict[str, Any]:
        """`page_data`, kept for the next load: most of its time goes into finding quotes on pages that have not changed."""
        page = view.page
        source = (view.proposal, view.note, page and (digest_of(page.raw), page.sidecar))
        if view.id not in self._known or self._known[view.id][0] != source:
            self._known[view.id] = source, page_data(view)
        return self._known[view.id][1]

    def chance(self, page: str) -> dict[str, str]:
        """What a green check is worth on a page (`grounding.Chance`), in words; "" if there is no such page."""
        found = page_of(self._wiki, page)
        return {"chance": str(PageQuotes(found).chance or "") if found is not None and found.problem is None else ""}

    def decide(self, body: bytes) -> dict[str, Any]:
        """Record a decisions document. Returns the pages it names as they are then, and what was refused. Raises `ValueError` if it is not one."""
        entries = DecisionFile.model_validate(parsed_json(body)).decisions
        with self._turn:
            taken, refused = take(self._wiki, entries, by=self._by, when=self._now())
            self.stored += len(taken)
            named = dict.fromkeys(entry.page for entry in entries)
            held = [proposal for page in named if (proposal := self._wiki.shared(ProposalStore).get(page)) is not None]
            views = {view.id: self._data(view) for view in page_views(self._wiki, held)}
        return {
            "pages": [views.get(page, {"page": page, "fields": []}) for page in named],
            "refused": [{"page": page, "field": name, "why": why} for page, name, why in refused],
        }

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def address(self) -> str:
        return f"{self.origin}/?token={self._token}#{self.tab}"

    def admits(self, token: str) -> bool:
        """Whether this is the right token, and the first time it is used."""
        return _is(token, self._token) and self._token_left.acquire(blocking=False)

    def __enter__(self) -> Self:
        self.page()  # finds the quotes of all pages before anybody waits for them
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Return when the server ends; Ctrl-C interrupts."""
        while self._thread.is_alive():
            self._thread.join(0.5)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a browser that hung up; any other error is a bug and keeps its traceback."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request a connection: after a refusal, what is left of a body could be taken for the next request."""

    server_: ClassVar[ReviewServer]
    server_version = "enrich"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        try:
            parts = urlsplit(self.path)
            given = parse_qs(parts.query, max_num_fields=10)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "not an address")
            return
        known, page = self._is_known(), given.get("page", [""])[0]
        if not self._is_from_here():
            self._refuse(HTTPStatus.FORBIDDEN, "another host or origin")
        elif parts.path not in ("/", "/chance"):
            self._refuse(HTTPStatus.NOT_FOUND, "nothing here")
        elif "token" in given:
            if self.server_.admits(given["token"][0]):
                cookie = f"{_COOKIE}={self.server_.session}; Path=/; HttpOnly; SameSite=Strict"
                self._answer(HTTPStatus.SEE_OTHER, b"", "text/plain", {"Location": "/", "Set-Cookie": cookie})
            elif known:
                self._answer(HTTPStatus.SEE_OTHER, b"", "text/plain", {"Location": "/"})
            else:
                self._refuse(HTTPStatus.FORBIDDEN, "this address was used before: start `enrich review --serve` again for a new one")
        elif not known:
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that `enrich review --serve` printed")
        elif parts.path == "/chance":
            self._answer_with(lambda: self.server_.chance(page))
        else:
            self._answer_with(self.server_.page)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        forbidden, tab = HTTPStatus.FORBIDDEN, self.headers.get(TAB_HEADER, "")
        is_length = re.fullmatch(r"[0-9]{1,9}", length) and int(length) <= _MOST_BYTES
        checks = (
            (self._is_from_here(must=True) and self._is_known(), forbidden, "only the page itself may decide"),
            (_is(tab, self.server_.tab), forbidden, "this tab may not decide: open the address that `enrich review --serve` printed"),
            (self.path == "/decisions", HTTPStatus.NOT_FOUND, "nothing here"),
            (self.headers.get_content_type() == "application/json", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "decisions are JSON"),
            (is_length, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long"),
        )
        for passed, status, why in checks:
            if not passed:
                self._refuse(status, why)
                return
        body = self.rfile.read(int(length))
        if len(body) == int(length):  # else the browser hung up in the middle
            self._answer_with(lambda: self.server_.decide(body))

    def _answer_with(self, made: Callable[[], str | Mapping[str, Any]]) -> None:
        """Answer with a page or with JSON; an error goes to the page and does not end the server."""
        try:
            content = made()
        except ValidationError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, invalid_keys(error, 1))
        except (ValueError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST, "no decisions document")
        except EnrichError as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        else:
            if isinstance(content, str):
                self._answer(HTTPStatus.OK, content.encode("utf-8", "replace"), "text/html; charset=utf-8")
            else:
                self._json(HTTPStatus.OK, content)

    def _is_from_here(self, *, must: bool = False) -> bool:
        """Whether the request names this host, and comes from this page if it names an origin (`must`: it has to name one)."""
        if self.headers.get_all("Host") != [f"{HOST}:{self.server_.port}"]:
            return False
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return False
        origin = self.headers.get("Origin")
        return origin == self.server_.origin or (origin is None and not must)

    def _is_known(self) -> bool:
        """Whether the request's cookies name this server's session."""
        try:
            held = SimpleCookie(self.headers.get("Cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return held is not None and _is(held.value, self.server_.session)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._json(status, {"error": why})

    def _json(self, status: HTTPStatus, data: Mapping[str, Any]) -> None:
        self._answer(status, json.dumps(data).encode("ascii"), "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        # The page's own policy allows its script and style by hash; this one is for everything else, and forbids framing.
        policy = "frame-ancestors 'none'" if kind.startswith("text/html") else "default-src 'none'; frame-ancestors 'none'"
        about = {"Content-Security-Policy": policy, "Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in {**_HEADERS, **about, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        del format, args  # the first line holds the token


def _is(given: str, secret: str) -> bool:
    """Whether a secret was given, compared in a time that says nothing about it."""
    return secrets.compare_digest(given.encode(), secret.encode())
