"""A wiki in several languages, end to end: wrong numbers are held, right ones are written, and what is not checked is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.demo import DemoWiki, answering, honest_parts, page_of
from tests.fake_server import Act, FakeServer, Seen

# File → (the page, what the model makes of it).
PAGES = {
    "de/hafen.md": (
        "Der Hafen hat 12.500 Einwohner in seiner Nähe, und der Umbau kostete 2,5 Mio. Euro in drei Jahren.",
        "Der Umbau des Hafens kostete 2,5 Milliarden Euro in drei Jahren.",
    ),
    "fr/port.md": (
        "Le port compte 1 234 567 habitants dans sa région, et les travaux ont coûté 3,5 % du budget.",
        "Le port compte 1234567 habitants dans sa région, et les travaux ont coûté 3.5% du budget.",
    ),
    "zh/gang.md": (
        "该港口于2019年扩建，投资2万5000元，吞吐量增长25%，周边居民约有1.4亿人口，他们大多在港口工作。",
        "该港口于2019年扩建，吞吐量增长52%。",
    ),
    "el/limani.md": (
        "Το λιμάνι είχε 1.250 εργαζόμενους το έτος 2019 και ο αριθμός τους αυξάνεται συνεχώς από τότε.",
        "Το λιμάνι είχε 1.520 εργαζόμενους το έτος 2019.",
    ),
}


def test_a_wiki_in_several_languages(tmp_path: Path, serve: Callable[..., FakeServer]) -> None:
    wiki = DemoWiki(tmp_path, pages=0, toml="min_words = 1\n")
    for path, (text, _) in PAGES.items():
        file = wiki.docs / path
        file.parent.mkdir()
        file.write_text(f"---\ntitle: {file.stem}\n---\n\n{text}\n", encoding="utf-8")

    def paraphrasing(seen: Seen) -> Act:
        parts = honest_parts(seen)
        for page, summary in PAGES.values():
            if page in page_of(seen):
                parts["summary"] = {"summary": summary, "evidence": [page]}
        return answering(parts)

    wiki.server = serve(paraphrasing).base_url
    assert wiki.enrich("run", "--stage", "summary").exit == 0
    found = {page["path"]: page["fields"][0] for page in wiki.enrich("diff", "--json").json["pages"]}
    flagged = {path: (field["flags"], [finding["kind"] for finding in field["findings"]]) for path, field in found.items()}
    assert {path.partition("content/")[2] or path: row for path, row in flagged.items()} == {
        "de/hafen.md": (["needs-look"], ["number"]),
        "el/limani.md": ([], ["language"]),
        "fr/port.md": ([], []),
        "zh/gang.md": (["needs-look"], ["number"]),
    }
    assert "numbers not checked in this language (el)" in wiki.enrich("diff").out
