"""Prompt files: what they may say, and errors that name file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.errors import UserError
from enrich.llm.templates import Prompt
from tests.demo import cases

CASES = cases(__file__)

GOOD = """---
version: 3
model: gpt-5-mini
temperature: 0.2
max_output_tokens: 700
---
Summarise {{ title }}.
{% for item in items %}
- {{ item }}
{% endfor %}
End.
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "summary.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_prompt_has_its_wishes_and_its_words(tmp_path: Path) -> None:
    prompt = Prompt.load(write(tmp_path, GOOD))
    assert (prompt.settings.version, prompt.settings.model, prompt.settings.temperature, prompt.settings.max_output_tokens) == (
        "3",
        "gpt-5-mini",
        0.2,
        700,
    )
    assert prompt.render(title="Alignment", items=["a", "b"]) == "Summarise Alignment.\n- a\n- b\nEnd."


def test_the_hash_follows_the_text_and_not_the_line_ends(tmp_path: Path) -> None:
    plain = Prompt.load(write(tmp_path, GOOD))
    (tmp_path / "crlf.md").write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert Prompt.load(tmp_path / "crlf.md").hash == plain.hash
    assert Prompt.load(write(tmp_path, GOOD + "!")).hash != plain.hash


def test_values_are_data(tmp_path: Path) -> None:
    prompt = Prompt.load(write(tmp_path, "---\nversion: 1\n---\n{{ page }}"))
    assert prompt.render(page="{{ 7 * 7 }} {% raw %} <b>&amp;") == "{{ 7 * 7 }} {% raw %} <b>&amp;"


@pytest.mark.parametrize(("text", "line", "words"), CASES["a_bad_file_is_an_error_with_its_line"])
def test_a_bad_file_is_an_error_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        Prompt.load(write(tmp_path, text))
    assert caught.value.where == f"{tmp_path / 'summary.md'}:{line}"


def test_an_undefined_name_is_an_error_with_its_line(tmp_path: Path) -> None:
    prompt = Prompt.load(write(tmp_path, "---\nversion: 1\n---\nfine {{ title }}\n\n{{ tilte }}\n"))
    with pytest.raises(UserError, match="'tilte' is undefined") as caught:
        prompt.render(title="x", body="y")
    assert caught.value.where == f"{tmp_path / 'summary.md'}:6"
    assert "body, title" in caught.value.line


@pytest.mark.parametrize(
    "attack",
    ["{{ ''.__class__.__mro__ }}", "{{ title.__init__.__globals__ }}", "{{ items.append(1) }}", "{{ 1 / 0 }}", "{{ title.nothing }}"],
)
def test_a_template_can_reach_nothing(tmp_path: Path, attack: str) -> None:
    with pytest.raises(UserError) as caught:
        Prompt.load(write(tmp_path, f"---\nversion: 1\n---\n{attack}")).render(title="x", items=[])
    assert caught.value.where.startswith(str(tmp_path))


def test_a_missing_or_undecodable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Prompt.load(tmp_path / "none.md")
    (tmp_path / "latin.md").write_bytes(b"---\nversion: 1\n---\n\xff")
    with pytest.raises(UserError, match="cannot be read"):
        Prompt.load(tmp_path / "latin.md")
