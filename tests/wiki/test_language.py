"""The language of a page, and sentences of other scripts."""

from __future__ import annotations

import pytest

from enrich.wiki.pages import language_of
from enrich.wiki.visible import split_sentences

GERMAN = "Der Hafen wurde im Jahr 1880 gebaut und ist heute vor allem ein Ziel für Ausflüge."
ENGLISH = "The harbour was built in 1880 and is now a destination for day trips."


@pytest.mark.parametrize(
    ("path", "frontmatter", "text", "language"),
    [
        ("a.md", {}, ENGLISH, "en"),
        ("a.md", {}, GERMAN, "de"),
        ("a.md", {"lang": "fr"}, GERMAN, "fr"),
        ("a.md", {"locale": "pt_BR"}, ENGLISH, "pt"),
        ("a.md", {"language": "Python"}, ENGLISH, "en"),
        ("de/a.md", {}, "12,5", "de"),
        ("docs/a.zh-cn.md", {}, "", "zh"),
        ("de/a.md", {}, ENGLISH, "en"),  # a page that is not translated yet
        ("it/a.md", {}, ENGLISH, "en"),  # a folder that is not named after a language
        ("ai/a.md", {}, "12,5", "en"),
        ("a.md", {}, "```python\nfor x in range(10): print(x)\n```", "en"),
        ("a.md", {}, "Det er for dyrt at bo i byen, og to af tre er på vej ud.", "da"),
        ("a.md", {}, "Dit is een van de huizen in de stad of het dorp.", "nl"),
        ("a.md", {}, "三千", "zh"),
        ("nn/a.md", {}, "Delen auka til 3,5 prosent av hushalda i byen.", "no"),
    ],
)
def test_the_language_of_a_page(path: str, frontmatter: dict[str, str], text: str, language: str) -> None:
    assert language_of(path, frontmatter, text) == language


@pytest.mark.parametrize(
    "sentences",
    [
        ["यह पहला वाक्य है।", "यह दूसरा है।"],
        ["最初の文です。", "次の文です。"],
        ["هل هذا صحيح؟", "نعم هذا صحيح."],
        ["Er kam am 12. März 2019 an.", "Es kostete 2,5 Mio. Euro."],
        ["Бюджет вырос до 3 млн. рублей.", "Это много."],
    ],
)
def test_sentences(sentences: list[str]) -> None:
    text = " ".join(sentences)
    assert [text[start:end] for start, end in split_sentences(text)] == sentences
