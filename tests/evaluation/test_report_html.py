"""The evaluation as one HTML file: self-contained, readable in light and dark from a phone's width on, safe for hostile names."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

# A page with hostile names and every plot is made from sets in memory.
from enrich.evaluation.answers import AnswerSet
from enrich.evaluation.evaluation import evaluate
from enrich.evaluation.metrics import read_floors
from enrich.evaluation.report import report_html
from tests.browser import CONTRAST, browser_page
from tests.evaluation.sets import moved, page, rated, scored

HOSTILE = "</style><script>window.hit=1</script><img src=x onerror=window.hit=2> \x1b[31m {{ 7*7 }} \u202egnp"
BODY = "The lamp at Skerry Point burned 40 litres of whale oil in a long winter night, and two keepers carried it up by hand."


class _Tags(HTMLParser):
    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "a", "object", "embed") or any(
            name in ("src", "href") or name[:2] == "on" for name, _ in attrs
        ):
            self.found.append(tag)


def links_and_scripts(document: str) -> list[str]:
    """Tags that could fetch or run something."""
    return _Tags(document).found


def document(name: str = "after", shift: float = -1.0) -> str:
    before = scored(14, lambda page, number: 2 + (page + number) % 5 / 2, name="before")
    ratings = rated({"rigor": [3 + at / 3 for at in range(14)]})
    both = AnswerSet(
        name,
        {
            key: one.model_copy(update={"ratings": ratings.pages[key].ratings})
            for key, one in moved(before, lambda score: score + shift).pages.items()
        },
    )
    pages = [page(BODY, f"p{at}") for at in range(14)]
    floors = read_floors({}, ["ratings.rigor.mae=0.5", "insights.grounded=1"], where="")
    return report_html(evaluate(both, ratings, pages, against=before, floors=floors, draws=50))


def test_names_are_text_and_nothing_is_fetched_or_run() -> None:
    text = document(HOSTILE)
    assert links_and_scripts(text) == []
    assert "<script" not in text and "\x1b" not in text and "\u202e" not in text
    assert "&lt;script&gt;" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_every_plot_is_drawn() -> None:
    text = document()
    assert all(text.count(f'class="{style}"') for style in ("typical", "ours", "theirs", "dot", "even", "doubt", "mean", "means", "tick"))
    assert text.count('aria-label="shift') == text.count('<td class="why">') > 0


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (360, "light"), (1200, "dark"), (1200, "light")])
def test_in_a_browser_it_fits_can_be_read_and_asks_for_nothing(tmp_path: Path, width: int, scheme: str) -> None:
    file = tmp_path / "evaluation.html"
    file.write_text(document(HOSTILE), encoding="utf-8")
    asked: list[str] = []
    with browser_page(width, scheme) as tab:
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(file.as_uri())
        assert asked == [file.as_uri()]
        assert tab.evaluate("window.hit") is None
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        assert tab.evaluate(CONTRAST) == []
        # No row is stretched by a cell that has no room.
        assert tab.evaluate("Math.max(...[...document.querySelectorAll('tr')].map(row => row.getBoundingClientRect().height))") < 200
        assert tab.evaluate("[...document.querySelectorAll('figure svg')].every(plot => plot.getBoundingClientRect().width > 200)")
