"""A prompt that came with somebody else's wiki ends in one line of error: it neither runs for ever nor fills the memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrich.errors import UserError
from enrich.llm.templates import Prompt

HOSTILE = {
    "endless loops": "{% for a in body %}{% for b in body %}{% for c in body %}{% endfor %}{% endfor %}{% endfor %}",
    "filtered loops": "{% for a in body if a == 'q' %}{% for b in body %}{{ a }}{% endfor %}{% endfor %}{% for a in body %}x{% endfor %}",
    "range": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "output": "{% for a in items %}" + "{{ body }}" * 60 + "{% endfor %}",
    "product": "{{ 'a' * 10000000000 }}",
    "product of a value": "{{ body * 10000000000 }}",
    "power": "{{ 10 ** 10 ** 10 }}",
    "sum of texts": "{% set a = body + body %}{{ a }}",
    "format": "{{ '%09999999999d' % 1 }}",
    "method": "{{ body.center(9999999999) }}",
    "format filter": "{{ '%09999999999d'|format(1) }}",
    "centred": "{{ body|center(9999999999) }}",
    "replaced": "{{ body|replace('a', body) }}",
    "doubled": "{% set a = body %}" + "{% set a = a ~ a %}" * 60 + "{{ a|length }}",
    "doubled list": "{% set a = body %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "doubled block": "{% set a %}{{ body }}{{ body }}{% endset %}{{ a }}",
    "with": "{% with a = [body, body] %}{{ a }}{% endwith %}",
    "joined": "{{ body|join(body) }}",
    "joined twice": "{{ body|join('0123456789')|join('0123456789') }}",
    "mapped": "{{ items|map('join', '0123456789')|first }}",
    "macro": "{% macro a(x) %}{{ a(x) }}{% endmacro %}{{ a(1) }}",
    "recursion": "{% for a in items recursive %}{{ loop(items) }}{% endfor %}",
    "namespace": "{% set n = namespace(a=body) %}",
    "deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "deep ifs": "{% if body %}" * 300 + "{% endif %}" * 300,
    "long number": "{{ " + "9" * 6000 + " }}",
    "division": "{{ 1 // 0 }}",
    "include": "{% include '/etc/passwd' %}",
    "attribute": "{{ body.__class__.__mro__ }}",
    "unknown": "{{ key }}",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_prompt_is_one_line_of_error(tmp_path: Path, source: str) -> None:
    file = tmp_path / "summary.md"
    file.write_text(f"---\nversion: 1\n---\n{source}\n", encoding="utf-8")
    started = time.process_time()
    with pytest.raises(UserError) as error:
        Prompt.load(file).render(body="a" * 20_000, items=["one", "two"] * 20)
    assert time.process_time() - started < 8
    assert str(file) in error.value.where
    assert "\n" not in error.value.line
    assert len(error.value.line) < 500


def test_a_machine_that_is_busy_makes_no_prompt_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late() -> Iterator[str]:
        time.sleep(0.3)
        yield "a"

    file = tmp_path / "summary.md"
    file.write_text("---\nversion: 1\n---\n{% for item in items %}{{ item }}{% endfor %}", encoding="utf-8")
    monkeypatch.setattr("enrich.llm.templates.MOST_SECONDS", 0.2)
    assert Prompt.load(file).render(items=late()) == "a"


@pytest.mark.parametrize("text", ["[" * 30_000, "version: 2026-02-30", "version: " + "9" * 6000, "version: !!python/name:os.system x"])
def test_hostile_settings_of_a_prompt_are_one_line_of_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "summary.md"
    file.write_text(f"---\n{text}\n---\nText\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        Prompt.load(file)
    assert str(file) in error.value.where


def test_what_prompts_need_works(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text(
        "---\nversion: 1\n---\n{% set n = items|length %}{% for i in items if i != 'b' -%}{{ loop.index }}/{{ n }} {{ i|upper }}"
        "{{ ', ' if not loop.last }}{% else %}none{% endfor %}; {{ items|join(', ') }}; {{ 2 * 3 + 1 }}; {{ 'x' ~ n }}; {{ text or 'none' }}",
        encoding="utf-8",
    )
    assert Prompt.load(file).render(items=["a", "b", "c"], text="") == "1/3 A, 2/3 C; a, b, c; 7; x3; none"
