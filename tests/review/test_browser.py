"""The review page in a real Chromium: filters, search, keyboard, export, dark mode, a phone's width, hostile text, decisions that land."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Inner names: the page and its server are made in this process, so that a test sees what was stored.
from enrich.review.browser import ReviewServer, review_html
from enrich.review.decisions import read_decisions, take
from enrich.review.proposals import ProposalStore
from enrich.wiki.wiki import Wiki
from tests.browser import CONTRAST, PATIENCE, axe, launched
from tests.review import wikis
from tests.review.wikis import HOSTILE, hostile, many, run, views, with_old_values, with_small_moves

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator, Page, Route

NOW = "2026-03-02T08:00:00Z"
PAGES = 184
FIELDS = 6

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The HTML of 184 pages' proposals."""
    root = tmp_path_factory.mktemp("crowd")
    return written(many(root / "wiki", PAGES), root / "review.html")


def written(workspace: Wiki, file: Path) -> Path:
    file.write_text(review_html(views(workspace), wiki=workspace.config.root.name, generated=NOW), encoding="utf-8")
    return file


class Watched:
    """A tab that remembers every word on its console, every error and every address it asked for."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context = browser.new_context(accept_downloads=True, **options)
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.console: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: self.console.append(f"dialog {dialog.message}"))

    def open(self, where: Path | str, view: str = "browse") -> Page:
        self.page.goto(where.as_uri() if isinstance(where, Path) else where)
        if view != "queue":
            self.page.click(f"#view-{view}")
        return self.page


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Watched]:
    watched = Watched(chromium, viewport={"width": 1280, "height": 900})
    yield watched
    watched.context.close()
    assert watched.console == []
    assert [url for url in watched.asked if not url.startswith(("file://", "http://127.0.0.1:", "blob:"))] == []


def found(page: Page) -> str:
    return page.locator("#found").inner_text()


def tally(page: Page) -> str:
    return page.locator("#tally").inner_text()


def words(place: Locator) -> str:
    """The text of a card or of what is in one: Chromium gives no inner text of what it has not drawn."""
    return place.text_content() or ""


def says(page: Page, text: str) -> None:
    """Returns once the tally says this."""
    page.locator("#tally", has_text=text).wait_for()


def export(page: Page, tmp_path: Path) -> dict[str, Any]:
    page.click("#export-open")
    with page.expect_download() as download:
        page.click("#download")
    file = tmp_path / "decisions.json"
    download.value.save_as(file)
    page.keyboard.press("Escape")
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data


def test_filters_narrow_pages_and_fields(tab: Watched, crowd: Path) -> None:
    page = tab.open(crowd)
    assert found(page) == f"{PAGES} of {PAGES} pages, {PAGES * FIELDS} fields"
    page.select_option("#by-field", "insights")
    page.select_option("#by-finding", "!needs-look")
    assert found(page) == "21 of 184 pages, 21 fields"  # every ninth, from the first
    page.select_option("#by-section", "models")
    assert found(page) == "0 of 184 pages, 0 fields"  # a ninth page is always in the first folder
    assert page.locator("#nothing").is_visible()
    page.click("#clear")
    assert found(page) == f"{PAGES} of {PAGES} pages, {PAGES * FIELDS} fields"
    page.select_option("#by-stage", "ratings")
    page.select_option("#by-section", "risks")
    assert found(page) == "62 of 184 pages, 248 fields"


def test_the_keyboard_alone_is_enough(tab: Watched, crowd: Path, tmp_path: Path) -> None:
    page = tab.open(crowd)
    page.keyboard.press("J")  # the second page
    card = page.locator(".card").nth(1)
    assert card.evaluate("node => node.contains(document.activeElement)")
    assert card.locator(".field").count() == FIELDS
    page.keyboard.press("a")
    assert tally(page).startswith(f"6 accepted. 6 accepted, 0 rejected, 0 skipped, {PAGES * FIELDS - 6} to decide")
    page.keyboard.press("K")
    page.keyboard.press("K")
    page.keyboard.press("a")  # the first page's insights need a look: not taken with the rest
    assert tally(page).startswith("5 accepted, 1 left out: they need a decision of their own. 11 accepted")
    page.keyboard.press("u")
    assert tally(page).startswith("Undone. 6 accepted")
    page.keyboard.press("K")
    for key in ("n", "u", "s", "u", "n"):
        page.keyboard.press(key)
        page.keyboard.press("K")
    assert tally(page).startswith("6 accepted, 1 rejected") or "6 accepted, 1 rejected" in tally(page)
    page.keyboard.press("3")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("y")  # not while a dialog is open
    page.keyboard.press("Escape")
    decisions = export(page, tmp_path)["decisions"]
    assert sorted(one["decision"] for one in decisions) == ["accept"] * 6 + ["reject"]
    page.keyboard.press("/")
    page.keyboard.type("ysn")  # typed, not decided
    assert "6 accepted, 1 rejected" in tally(page)


def test_fifty_nine_fields_are_decided_in_as_many_keys(tab: Watched, tmp_path: Path) -> None:
    """Every field is whole in the window when it is decided; flagged ones come first, one action finds them all."""
    workspace = many(tmp_path / "wiki", 10)
    run(workspace, "reject", "bay-4:ratings.rigor")
    page = tab.open(written(workspace, tmp_path / "r.html"), "queue")
    flagged = sum(bool(field.flags) and field.change.state == "pending" for view in views(workspace) for field in view.changes)
    whole = """() => { const box = document.getElementById('stage').getBoundingClientRect();
                        return box.top >= 0 && box.bottom <= document.getElementById('bottom').getBoundingClientRect().top }"""
    page.keyboard.press("f")
    assert page.locator("#stage .where").inner_text().endswith(f"of {flagged}")
    page.keyboard.press("f")
    for number in range(59):
        assert page.evaluate(whole), page.locator("#stage").inner_text()
        assert bool(
            page.locator("#stage .top .badge", has_text="needs a look").or_(page.locator("#stage .badge", has_text="leap")).count()
        ) == (number < flagged)
        page.keyboard.press("n" if number % 5 == 4 else "y")
    assert page.locator("#all-done").is_visible()
    assert " 0 to decide" in tally(page)


def test_the_sheet_accepts_all_small_moves_after_a_random_ten_were_shown(tab: Watched, tmp_path: Path) -> None:
    workspace = with_small_moves(tmp_path / "wiki", 6)
    wikis.answer(
        workspace, "bay-0", {"ratings": wikis.ratings_answer(novelty=5, rigor=8, actionability=5.5, completeness=3.5)}
    )  # a leap is not in the sheet
    with ReviewServer(workspace, workspace.shared(ProposalStore).all, by="ann", now=lambda: NOW) as server:
        page = tab.open(server.address, "sheet")
        rows, accept = page.locator("#sheet-rows tr"), page.locator("#sheet-accept")
        assert (rows.count(), accept.inner_text(), accept.is_disabled()) == (23, "Accept these 23", True)
        heights = {row.bounding_box()["height"] for row in rows.all()}  # type: ignore[index]
        assert max(heights) < 60, "one line each"
        page.click("#sheet-sample")
        assert page.locator("#sheet-rows tr.sampled").count() == 10
        rows.first.get_by_role("button").click()  # one of them needs a closer look
        page.keyboard.press("n")
        page.click("#view-sheet")
        assert accept.inner_text() == "Accept these 22"
        accept.click()
        all_answered(page)
        assert rows.count() == 0
        stored = [state for fields in wikis.states(workspace).values() for state in fields.values()]
        assert sorted(stored) == ["-/pending"] + ["accept/accepted"] * 22 + ["reject/rejected"]
        page.keyboard.press("u")  # all of them at once
        all_answered(page)
        assert rows.count() == 22


def test_single_insights_edits_notes_and_reasons_are_exported(chromium: Browser, tab: Watched, tmp_path: Path) -> None:
    workspace = many(tmp_path / "wiki", 2)
    page = tab.open(written(workspace, tmp_path / "r.html"), "queue")
    page.locator("[data-insight]").nth(1).get_by_role("button", name="Reject").click()  # reject one …
    page.keyboard.press("y")  # … and keep the others
    page.keyboard.press("e")  # fix a word of the next field
    page.locator("#stage textarea").fill("The station has worked since 1984, says the page.")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("m")
    page.keyboard.type("Ask the operator.")
    page.click("#note-keep")
    page.keyboard.press("e")  # a rating, by the arrow keys
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.keyboard.press("3")
    data = export(page, tmp_path)
    assert [
        (one["field"].partition(".")[0], one["decision"], one.get("value"), one.get("reason"), one.get("note")) for one in data["decisions"]
    ] == [
        ("insights", "reject", None, None, None),
        ("insights", "accept", None, None, None),
        ("llmSummary", "edit", "The station has worked since 1984, says the page.", None, None),
        ("ratings", "note", None, None, "Ask the operator."),
        ("ratings", "edit", 1, None, None),
        ("ratings", "reject", None, "dull", None),
    ]
    other = Watched(chromium)  # another browser profile goes on
    again = other.open(written(workspace, tmp_path / "r.html"), "queue")
    again.keyboard.press("x")
    again.set_input_files("#import", tmp_path / "decisions.json")
    again.locator("#copied:not(:empty)").wait_for()
    again.keyboard.press("Escape")
    assert tally(again).startswith("3 accepted, 1 rejected")
    assert other.console == []
    other.context.close()
    _, refused = take(workspace, read_decisions(tmp_path / "decisions.json").decisions, by="ann", when=NOW)
    assert refused == []
    assert [item["type"] for item in wikis.change_of(workspace, "bay-0", "insights").result] == ["quantitative", "disagreement"]
    assert wikis.states(workspace)["bay-0"]["llmSummary"] == "edit/accepted"


def test_every_kind_of_field_can_be_edited_with_its_quotes_in_view(tab: Watched, tmp_path: Path) -> None:
    workspace = many(tmp_path / "wiki", 1)
    page = tab.open(written(workspace, tmp_path / "r.html"), "queue")
    for _ in range(FIELDS):
        page.keyboard.press("e")
        form = page.locator("#stage .editing")
        name, quotes = form.locator("h3").inner_text(), form.locator("blockquote").count()
        assert (quotes > 0) == (name in ("insights", "llmSummary"))
        if name == "insights":
            form.locator("textarea").nth(1).fill("Seals are not counted.")
            form.get_by_label("important").nth(1).press("ArrowUp")
            page.keyboard.press("Control+Enter")
        else:
            page.keyboard.press("Escape")
            page.keyboard.press("j")
    (edit,) = export(page, tmp_path)["decisions"]
    assert (edit["decision"], edit["value"][1]["text"], edit["value"][1]["important"]) == ("edit", "Seals are not counted.", 3.5)


def test_exported_decisions_are_what_review_from_reads(tab: Watched, tmp_path: Path) -> None:
    workspace = many(tmp_path / "wiki", 3)
    page = tab.open(written(workspace, tmp_path / "r.html"))
    page.click("#all-open")
    card = page.locator(".card").nth(1)
    card.get_by_role("group", name="Decision on llmSummary").get_by_role("button", name="Accept").click()
    card.get_by_role("group", name="Decision on rigor").get_by_role("button", name="Reject").click()
    card.get_by_role("group", name="Decision on novelty").get_by_role("button", name="Skip").click()
    card.get_by_role("group", name="Decision on insight 2").get_by_role("button", name="Reject").click()
    for number in (1, 3):
        card.get_by_role("group", name=f"Decision on insight {number}").get_by_role("button", name="Accept").click()
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    data = export(page, tmp_path)
    page.click("#export-open")
    page.click("#copy")
    page.locator("#copied:not(:empty)").wait_for()
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == data
    assert [(one["field"].partition(".")[0], one["decision"]) for one in data["decisions"]] == [
        ("llmSummary", "accept"),
        ("ratings", "reject"),
        ("ratings", "skip"),
        ("insights", "reject"),
        ("insights", "accept"),
        ("insights", "accept"),
    ]
    _, refused = take(workspace, read_decisions(tmp_path / "decisions.json").decisions, by="ann", when=NOW)
    assert refused == []
    name = data["decisions"][0]["page"]
    stored = wikis.states(workspace)[name]
    assert (stored["llmSummary"], stored["ratings.rigor"], stored["ratings.novelty"]) == (
        "accept/accepted",
        "reject/rejected",
        "skip/pending",
    )
    assert stored["insights"].endswith("/accepted")


def test_decisions_outlive_a_reload_and_belong_to_the_value_seen(tab: Watched, tmp_path: Path) -> None:
    workspace = many(tmp_path / "wiki", 2)
    file = written(workspace, tmp_path / "r.html")
    page = tab.open(file)
    page.keyboard.press("K")
    page.keyboard.press("d")
    assert "6 rejected" in tally(page)
    assert "6 kept, saved " in page.locator("#kept").inner_text()
    page.reload()
    assert "6 rejected" in tally(page)
    wikis.answer(workspace, "bay-0", {"summary": wikis.SUMMARY})
    written(workspace, file)
    page.reload()
    assert "5 rejected" in tally(page)  # the new summary is another value


def test_decisions_outlive_an_empty_storage_a_second_tab_and_another_report(tab: Watched, tmp_path: Path) -> None:
    """Chromium may read localStorage of a page from a file as empty or outdated right after a reload."""
    workspace = many(tmp_path / "wiki", 2)
    file = written(workspace, tmp_path / "r.html")
    page = tab.open(file)
    page.keyboard.press("K")
    page.keyboard.press("d")
    page.evaluate("localStorage.clear()")
    page.reload()
    assert tally(page).startswith("0 accepted, 6 rejected")
    # What was lost is stored again. A second tab with a report that shows other pages leaves it alone, and both see what the other decides.
    other = tmp_path / "other.html"
    other.write_text(review_html(views(workspace)[1:], wiki=workspace.config.root.name, generated=NOW), encoding="utf-8")
    second = tab.context.new_page()
    second.goto(other.as_uri())
    second.keyboard.press("a")
    says(second, "6 accepted")
    says_in_front(page, "6 accepted, 6 rejected")
    second.keyboard.press("u")
    says(second, "0 accepted")
    says_in_front(page, "0 accepted, 6 rejected")
    page.reload()
    assert tally(page).startswith("0 accepted, 6 rejected")
    second.close()


def seen_in_front(page: Page, condition: str) -> None:
    """Returns once this holds in the tab that is in front: Chromium does not always deliver a storage event to one in the background, and a moment
    passes before one tab reads what another one has stored."""
    page.wait_for_function(f"dispatchEvent(new Event('focus')), {condition}")


def says_in_front(page: Page, text: str) -> None:
    seen_in_front(page, f"document.getElementById('tally').innerText.includes('{text}')")


def told(tab: Page, key: str, value: str | None) -> None:
    """Deliver the storage event of another tab, which Chromium may lose; a second one changes nothing."""
    tab.evaluate("([key, newValue]) => dispatchEvent(new StorageEvent('storage', { key, newValue }))", [key, value])


def test_a_tab_that_missed_what_another_one_stored_sees_it_when_it_is_in_front(tab: Watched, tmp_path: Path) -> None:
    workspace = many(tmp_path / "wiki", 2)
    file = written(workspace, tmp_path / "r.html")
    tab.page.add_init_script("addEventListener('storage', event => event.stopImmediatePropagation())")
    page = tab.open(file)
    second = tab.context.new_page()
    second.goto(file.as_uri())
    second.keyboard.press("y")
    says(second, "1 accepted")
    assert tally(page).startswith("0 accepted")
    says_in_front(page, "1 accepted")
    second.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_light_and_dark_are_readable_at_every_width(chromium: Browser, tmp_path: Path, scheme: str, width: int) -> None:
    watched = Watched(chromium, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = watched.open(written(with_old_values(tmp_path / "w"), tmp_path / "r.html"))
    page.click("#all-open")
    page.locator("#cards [data-decision=reject]").first.click()
    page.locator("#cards [data-decision=accept]:not([disabled])").first.click()
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    page.click("#theme" if scheme == "light" else "#theme >> nth=0")
    if scheme == "light":
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background  # dark by choice
    assert page.evaluate(CONTRAST) == []
    assert watched.console == []
    watched.context.close()


def test_on_a_phone_filters_fold_and_buttons_can_be_hit(chromium: Browser, crowd: Path) -> None:
    watched = Watched(chromium, viewport={"width": 360, "height": 740}, has_touch=True)
    page = watched.open(crowd)
    assert not page.locator("#by-field").is_visible()
    page.tap("#more")
    assert page.locator("#by-field").is_visible()
    page.tap("#view-queue")
    for name in ("Accept", "Reject", "Skip"):
        size = page.locator("#decisions").get_by_role("button", name=name).bounding_box()
        assert size is not None and size["height"] >= 38 and size["y"] + size["height"] <= 740
    first = page.locator("#stage .field h3").bounding_box()
    assert first is not None and first["y"] < 400  # the first field is on the first screen
    page.locator("#decisions").get_by_role("button", name="Accept").tap()
    assert tally(page).startswith("1 accepted")
    watched.context.close()


def test_every_control_has_a_name_and_the_focus_can_be_seen(tab: Watched, tmp_path: Path) -> None:
    page = tab.open(written(with_old_values(tmp_path / "w"), tmp_path / "r.html"))
    page.click("#all-open")
    for role in ("button", "combobox", "searchbox", "checkbox"):
        for control in page.get_by_role(role).all():
            assert control.evaluate(
                "node => (node.getAttribute('aria-label') || node.textContent || (node.labels[0] || {}).textContent || '').trim()"
            )
    assert page.evaluate(
        "[...document.querySelectorAll('[id]')].length === new Set([...document.querySelectorAll('[id]')].map(n => n.id)).size"
    )
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def assert_untouched(page: Page) -> None:
    assert page.evaluate("window.owned") is None
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    assert page.evaluate("document.querySelectorAll('style').length") == 1
    assert page.evaluate("document.querySelectorAll('img, iframe, object, a, [onerror], [onclick]').length") == 0
    assert page.evaluate("getComputedStyle(document.body).display") != "none"
    assert page.evaluate("/[\\u202a-\\u202e\\u2066-\\u2069\\u001b\\u009b]/.test(document.body.textContent)") is False


def test_hostile_pages_and_answers_do_nothing(tab: Watched, tmp_path: Path) -> None:
    page = tab.open(written(hostile(tmp_path / "w"), tmp_path / "r.html"))
    page.click("#all-open")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".card").count() == len(HOSTILE)
    assert "<img src=x onerror=window.owned=1>" in words(page.locator("#cards"))
    assert_untouched(page)
    page.select_option("#sort", "most findings")
    page.locator("#search").fill("<script>")
    assert_untouched(page)
    decisions = export(page, tmp_path)
    assert decisions == {"schema": 1, "decisions": []}


def test_markup_that_reaches_the_page_is_stopped_by_its_policy(chromium: Browser, crowd: Path, tmp_path: Path) -> None:
    """The second line of defence: even text that were taken for markup could not run."""
    file = tmp_path / "r.html"
    text = crowd.read_text(encoding="utf-8")
    file.write_text(
        text.replace("<main>", "<main><img src=x onerror='window.owned=1'><script>window.owned=2</script>", 1), encoding="utf-8"
    )
    watched = Watched(chromium)
    page = watched.open(file)
    assert page.evaluate("window.owned") is None
    assert found(page).startswith("184 of 184")  # its own script runs
    assert any("Content Security Policy" in line for line in watched.console)
    watched.context.close()


# Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Wiki, ReviewServer]]:
    workspace = many(tmp_path / "wiki", 4)
    with ReviewServer(workspace, workspace.shared(ProposalStore).all, by="ann", now=lambda: NOW) as server:
        yield workspace, server


def all_answered(page: Page) -> None:
    """Returns once the page has taken in the answers to all its decisions; the tally runs ahead of them."""
    page.locator("#tally:not([aria-busy=true])").wait_for()


def test_a_click_lands_in_the_proposal(tab: Watched, served: tuple[Wiki, ReviewServer]) -> None:
    workspace, server = served
    page = tab.open(server.address)
    assert "token" not in page.url
    first = page.locator(".card").first
    with page.expect_response("**/decisions"):
        first.get_by_role("group", name="Decision on llmSummary").get_by_role("button", name="Accept").click()
    with page.expect_response("**/decisions"):
        first.get_by_role("group", name="Decision on rigor").get_by_role("button", name="Reject").click()
    with page.expect_response("**/decisions"):
        first.get_by_role("group", name="Decision on insight 3").get_by_role("button", name="Reject").click()
    all_answered(page)
    stored = wikis.states(workspace)["bay-0"]
    change = workspace.shared(ProposalStore).get("bay-0").change("insights")
    assert (len(change.result), change.state) == (2, "pending")
    assert stored["llmSummary"] == "accept/accepted"
    assert stored["ratings.rigor"] == "reject/rejected"
    for _ in range(2):
        with page.expect_response("**/decisions"):
            page.keyboard.press("u")
    all_answered(page)
    assert page.locator("#trouble").is_hidden()
    again = wikis.states(workspace)
    assert sum(list(fields.values()).count("reject/rejected") for fields in again.values()) == 0
    page.reload()
    assert tally(page).startswith("1 accepted, 0 rejected")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing_on_the_served_page(chromium: Browser, tmp_path: Path, scheme: str, width: int) -> None:
    workspace = with_old_values(tmp_path / "wiki")
    with ReviewServer(workspace, workspace.shared(ProposalStore).all, by="ann", now=lambda: NOW) as server:
        watched = Watched(chromium, viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = watched.open(server.address, "queue")
        page.keyboard.press("e")
        assert axe(page) == [], "a field that is edited"
        page.keyboard.press("Escape")
        run(workspace, "reject", "--all")  # what is decided now is refused
        page.keyboard.press("y")
        page.locator("#refused", has_text="accept: rejected by ").wait_for()  # the queue went on to another field
        page.click("#look")
        assert page.locator("#stage .refused").is_visible()
        page.keyboard.press("x")
        assert axe(page) == [], "the export"
        page.keyboard.press("Escape")
        for view in ("queue", "browse", "sheet", "totals"):
            page.click(f"#view-{view}")
            assert axe(page) == [], view
        watched.context.close()


def test_a_reload_may_still_decide_and_a_copy_of_the_cookie_may_not(chromium: Browser, served: tuple[Wiki, ReviewServer]) -> None:
    """The tab's secret survives a reload, is out of sight, and is not in what another server on this machine gets: the cookie."""
    workspace, server = served
    first = Watched(chromium)
    page = first.open(server.address)
    assert page.url == f"{server.origin}/"
    page.reload()
    page.keyboard.press("a")
    page.wait_for_selector("#tally[aria-busy=false]")
    assert "accept/accepted" in str(wikis.states(workspace))
    before = wikis.states(workspace)
    thief = Watched(chromium, storage_state=first.context.storage_state())
    page = thief.open(f"{server.origin}/")
    page.keyboard.press("J")
    page.keyboard.press("a")
    page.wait_for_selector("text=this tab may not decide")
    assert wikis.states(workspace) == before
    first.context.close()
    thief.context.close()


def test_clicks_faster_than_the_answers_are_all_stored(tab: Watched, served: tuple[Wiki, ReviewServer]) -> None:
    workspace, server = served
    page = tab.open(server.address)
    held: list[Route] = []
    page.route("**/decisions", lambda route: held.append(route))
    first = page.locator(".card").first
    for number in (3, 2):
        first.get_by_role("group", name=f"Decision on insight {number}").get_by_role("button", name="Reject").click()
    page.keyboard.press("u")
    first.get_by_role("group", name="Decision on insights").get_by_role("button", name="Accept").click()
    for number in range(2):  # one at a time; what came meanwhile goes out together
        while len(held) <= number:
            page.wait_for_timeout(10)
        assert len(held) == number + 1
        held[number].continue_()
    all_answered(page)
    assert tally(page).startswith("1 accepted, 0 rejected")
    assert page.locator("#trouble").is_hidden()
    change = workspace.shared(ProposalStore).get("bay-0").change("insights")
    assert (change.state, len(change.result)) == ("accepted", 2)


def test_the_later_of_two_reviewers_sees_who_decided_and_keeps_their_own(chromium: Browser, served: tuple[Wiki, ReviewServer]) -> None:
    workspace, server = served
    watched = Watched(chromium)
    page = watched.open(server.address)
    run(workspace, "reject", "bay-0:llmSummary")
    by = wikis.change_of(workspace, "bay-0", "llmSummary").decided["by"]
    summary = page.locator(".card").first.locator("[data-field=llmSummary]")
    with page.expect_response("**/decisions"):
        summary.get_by_role("button", name="Accept").click()
    page.wait_for_selector(".refused")
    assert f"accept: rejected by {by}" in words(summary.locator(".refused"))
    assert wikis.states(workspace)["bay-0"]["llmSummary"] == "reject/rejected"
    page.reload()
    page.click("#view-browse")
    assert summary.locator(".refused").is_visible(), "what could not be stored is shown and kept"
    summary.get_by_role("button", name="Decide again").click()
    all_answered(page)
    assert wikis.states(workspace)["bay-0"]["llmSummary"] == "accept/accepted"
    watched.context.close()


def test_what_the_server_does_not_take_is_kept_and_sent_later(chromium: Browser, served: tuple[Wiki, ReviewServer]) -> None:
    workspace, server = served
    watched = Watched(chromium, viewport={"width": 1280, "height": 700})
    watched.page.on("dialog", lambda dialog: dialog.accept())
    page = watched.open(server.address, "queue")
    page.route("**/decisions", lambda route: route.abort())
    for key in ("n", "y", "s", "u"):
        page.keyboard.press(key)
    page.wait_for_selector("#trouble:not([hidden])")
    box = page.locator("#trouble").bounding_box()
    assert box is not None and 0 <= box["y"] < 700, "in the window, however far one has scrolled"
    assert "3 waiting for the server" in page.locator("#kept").inner_text()
    before = wikis.states(workspace)
    page.reload()
    page.unroute("**/decisions")
    page.reload()
    all_answered(page)
    assert wikis.states(workspace) != before
    assert tally(page).startswith("1 accepted, 1 rejected, 0 skipped")
    assert page.locator("#trouble").is_hidden()
    watched.context.close()


def test_leaving_with_a_click_unanswered_asks_first(chromium: Browser, served: tuple[Wiki, ReviewServer]) -> None:
    _, server = served
    watched = Watched(chromium)
    page = watched.open(server.address)
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.reload()
    assert asked == []
    held: list[Route] = []
    page.route("**/decisions", lambda route: held.append(route))
    page.locator(".card").first.get_by_role("group", name="Decision on llmSummary").get_by_role("button", name="Accept").click()
    page.reload()
    assert asked == ["beforeunload"]
    watched.context.close()


def test_all_fields_of_many_pages_are_decided_at_once(tab: Watched, tmp_path: Path) -> None:
    """A browser sends no more than 64 KiB from a page that may be left (`keepalive`): a decision on everything is larger."""
    workspace = many(tmp_path / "wiki", 150)
    with ReviewServer(workspace, workspace.shared(ProposalStore).all, by="ann", now=lambda: NOW) as server:
        page = tab.open(server.address)
        with page.expect_request("**/decisions") as sent:
            page.locator("#reject-shown").click()
        assert len(sent.value.post_data_buffer or b"") > 64 * 1024
        all_answered(page)
        assert " 0 to decide" in tally(page)
        assert page.locator("#trouble").is_hidden()
        assert {state for fields in wikis.states(workspace).values() for state in fields.values()} == {"reject/rejected"}


def test_a_decision_that_could_not_be_stored_is_said(chromium: Browser, served: tuple[Wiki, ReviewServer]) -> None:
    workspace, server = served
    watched = Watched(chromium)
    page = watched.open(server.address)
    name = "bay-0"
    wikis.answer(workspace, name, {"summary": wikis.SUMMARY})  # another run, meanwhile
    page.locator("#search").fill("bay 0")
    with page.expect_response("**/decisions"):
        page.get_by_role("group", name="Decision on llmSummary").get_by_role("button", name="Accept").click()
    page.wait_for_selector(".refused")
    assert "the proposal has changed" in words(page.locator(".refused"))
    assert tally(page).startswith("0 accepted")
    assert wikis.states(workspace)[name]["llmSummary"] == "-/pending"
    watched.context.close()


def test_a_tab_that_sent_an_older_decision_does_not_take_away_a_later_one(chromium: Browser, served: tuple[Wiki, ReviewServer]) -> None:
    """A tab removes from the browser's store what the server has taken. In another process it may not have seen yet what it removes."""
    workspace, server = served
    watched = Watched(chromium)
    watched.page.on("dialog", lambda dialog: dialog.accept())
    first = watched.open(server.address)
    second = watched.context.new_page()
    second.add_init_script(f"sessionStorage.setItem('enrich-review-tab', '{server.address.partition('#')[2]}')")
    second.goto(server.origin)
    for tab in (first, second):
        ready(tab)
    held: list[Route] = []
    second.route("**/decisions", lambda route: held.append(route))
    assert click(second, 0, "ratings.rigor", "skip") == "skip"
    run(workspace, "reject", "bay-0:ratings.rigor")  # what the first tab sends
    key = first.wait_for_function("Object.keys(localStorage).find(key => key.includes('ratings.rigor'))").json_value()
    first.evaluate("key => localStorage.removeItem(key)", key)
    told(second, key, None)
    assert held and "1 waiting for the server" in second.locator("#kept").inner_text()
    held[0].continue_()
    second.unroute("**/decisions")
    all_answered(second)
    assert "skip: rejected by" in words(second.locator(".refused"))
    first.reload()
    ready(first)
    seen_in_front(first, "document.querySelector('.refused')")
    assert "skip: rejected by" in words(first.locator(".refused"))
    # What a person drops in one tab is gone from both.
    (key,) = first.evaluate("Object.keys(localStorage).filter(key => key.includes('ratings.rigor'))")
    first.locator(".refused").get_by_role("button", name="Drop").click()
    told(second, key, "null")
    second.wait_for_function("!document.querySelector('.refused')")
    assert first.evaluate(KEPT) == [] and first.locator(".refused").count() == 0
    watched.context.close()


STALE_STORE = """() => {
  addEventListener('storage', event => event.stopImmediatePropagation(), true);
  const mine = {}, { getItem, setItem } = Storage.prototype;
  Storage.prototype.setItem = function (name, value) { mine[name] = value; setItem.call(this, name, value); };
  Storage.prototype.getItem = function (name) { return name in mine ? mine[name] : getItem.call(this, name); } }"""


def test_a_tab_that_removes_what_it_sent_leaves_a_decision_it_has_not_seen(chromium: Browser, served: tuple[Wiki, ReviewServer]) -> None:
    """Two tabs decide at the same moment, neither hears of the other, and one is loaded again: its decision is sent, or shown as refused."""
    _, server = served
    watched = Watched(chromium)
    watched.page.on("dialog", lambda dialog: dialog.accept())
    watched.context.add_init_script(f"({STALE_STORE})()")
    first = watched.open(server.address)
    second = watched.context.new_page()
    second.add_init_script(f"sessionStorage.setItem('enrich-review-tab', '{server.address.partition('#')[2]}')")
    second.goto(server.origin)
    held: list[Route] = []
    for tab in (first, second):
        ready(tab)
        tab.route("**/decisions", lambda route: held.append(route))
    assert click(second, 0, "ratings.rigor", "skip") == "skip"
    assert click(first, 0, "ratings.rigor", "accept") == "accept"
    held[0].continue_()
    all_answered(second)
    first.reload()
    first.unroute("**/decisions")
    ready(first)
    all_answered(first)
    assert first.locator(".refused").count() == 1
    assert "accept: decided by" in words(first.locator(".refused"))
    watched.context.close()


# Whatever happens in whatever order

INTERLEAVINGS = int(os.environ.get("ENRICH_TEST_INTERLEAVINGS", "4"))
SEED = int(os.environ.get("ENRICH_TEST_SEED", "7"))
CLICK = """([name, decision]) => { const button = document.querySelector(`[aria-label="${name}"] [data-decision=${decision}]`);
  if (!button || button.disabled) return null;
  button.click();
  const now = document.querySelector(`[aria-label="${name}"] [aria-pressed=true]`);
  return now ? now.dataset.decision : '' }"""
KEPT = """() => Object.keys(localStorage).filter(key => key.startsWith('enrich-review:')).map(key => [
  JSON.parse(key.slice(key.indexOf('['), key.lastIndexOf(']') + 1)), JSON.parse(localStorage.getItem(key))])"""
SIMPLE = ["llmSummary", "ratings.novelty", "ratings.rigor"]


def ready(page: Page) -> None:
    page.click("#view-browse")
    if page.locator("#all-open").get_attribute("aria-pressed") != "true":
        page.click("#all-open")


def click(page: Page, number: int, field: str, decision: str) -> str | None:
    name = f"Decision on {field.removeprefix('ratings.')} of Tidal power at Bay {number}"
    pressed: str | None = page.evaluate(CLICK, [name, decision])
    return pressed


def test_nothing_is_lost_in_any_order_with_a_server(chromium: Browser, tmp_path: Path) -> None:
    """Two tabs, reloads, a server that is gone, another reviewer, edits of pages and undo: the last decision on each field is stored, or it is
    kept in the browser with the reason; none is on another value than the one it was made on."""
    workspace = many(tmp_path / "wiki", 3)
    hashes = {(p, f): wikis.change_of(workspace, f"bay-{p}", f).new for p in range(3) for f in SIMPLE}
    draw = random.Random(SEED)
    with ReviewServer(workspace, workspace.shared(ProposalStore).all, by="ann", now=lambda: NOW) as server:
        watched = Watched(chromium)
        watched.page.on("dialog", lambda dialog: dialog.accept())
        first = watched.open(server.address)
        second = watched.context.new_page()
        second.on("dialog", lambda dialog: dialog.accept())
        second.add_init_script(f"sessionStorage.setItem('enrich-review-tab', '{server.address.partition('#')[2]}')")
        second.goto(server.origin)
        for _ in range(INTERLEAVINGS):
            last: dict[tuple[int, str], str] = {}
            trace: list[str] = []
            for tab in (first, second):
                ready(tab)
            for _ in range(draw.randint(4, 9)):
                tab, place = draw.choice((first, second)), (draw.randrange(3), draw.choice(SIMPLE))
                what = draw.choice(("click", "click", "click", "undo", "reload", "gone", "back", "other", "edit"))
                trace.append(f"{what} {'first' if tab is first else 'second'} {place}")
                match what:
                    case "click":
                        pressed = click(tab, *place, draw.choice(("accept", "reject", "skip")))
                        if pressed is not None:
                            last[place] = pressed
                            trace[-1] += f" -> {pressed!r}"
                    case "undo":
                        tab.keyboard.press("u")
                        last.clear()  # which field it was is seen below: all of them are checked for being on their own value
                    case "reload":
                        tab.reload()
                        ready(tab)
                    case "gone":
                        watched.context.route("**/decisions", lambda route: route.abort())
                    case "back":
                        watched.context.unroute("**/decisions")
                    case "other":
                        run(workspace, draw.choice(("accept", "reject")), f"bay-{place[0]}:{place[1]}")
                        last.pop(place, None)  # a later decision, by name
                    case "edit":
                        file = workspace.by_id[f"bay-{place[0]}"].file
                        text = file.read_text(encoding="utf-8")
                        file.write_text(text[:-2] if text.endswith("\n\n") else text + "\n", encoding="utf-8")
            watched.context.unroute("**/decisions")
            for tab in (first, second):
                tab.reload()
                all_answered(tab)
            kept: dict[tuple[str, str], Any] = {}
            for tab in (first, second):  # each reads a moment later what the other one has stored
                tab.wait_for_function(f"({KEPT})().every(([, entry]) => entry.refused)")
                kept |= {(key[0], key[1]): entry for key, entry in tab.evaluate(KEPT)}
            for (number, field), pressed in last.items():
                change = wikis.change_of(workspace, f"bay-{number}", field)
                mine = kept.get((f"bay-{number}", field))
                assert change.new == hashes[number, field]
                assert change.decision == pressed or mine is not None, "\n".join(trace)
            for tab in (first, second):
                for orphan in tab.locator(".refused").all():
                    assert words(orphan)
            first.evaluate("Object.keys(localStorage).forEach(key => localStorage.removeItem(key)); history.replaceState(null, '')")
            for tab in (first, second):
                tab.evaluate("history.replaceState(null, '')")
                tab.reload()
        watched.context.close()


def test_nothing_is_lost_in_any_order_in_a_file(chromium: Browser, tmp_path: Path) -> None:
    workspace = many(tmp_path / "wiki", 3)
    whole = written(workspace, tmp_path / "r.html")
    part = tmp_path / "part.html"
    part.write_text(review_html(views(workspace)[:2], wiki=workspace.config.root.name, generated=NOW), encoding="utf-8")
    watched = Watched(chromium)
    tabs = [watched.context.new_page(), watched.context.new_page()]
    for tab, file in zip(tabs, (whole, part), strict=True):
        tab.goto(file.as_uri())
        ready(tab)
    draw = random.Random(SEED)
    last: dict[tuple[int, str], str] = {}
    for _ in range(INTERLEAVINGS * 6):
        tab, place = draw.choice(tabs), (draw.randrange(2), draw.choice(SIMPLE))
        match draw.choice(("click", "click", "click", "reload", "clear")):
            case "click":
                pressed = click(tab, *place, draw.choice(("accept", "reject", "skip")))
                assert pressed is not None
                last[place] = pressed
            case "reload":
                tab.reload()
                ready(tab)
            case "clear":  # what Chromium sometimes shows a page from a file
                tab.evaluate("localStorage.clear()")
                tab.reload()
                ready(tab)
    for tab in tabs:
        tab.reload()
        ready(tab)
        for (number, field), pressed in last.items():
            name = f"Decision on {field.removeprefix('ratings.')} of Tidal power at Bay {number}"
            now = tab.locator(f'[aria-label="{name}"] [aria-pressed=true]')
            assert (now.get_attribute("data-decision") if now.count() else "") == pressed
    watched.context.close()
