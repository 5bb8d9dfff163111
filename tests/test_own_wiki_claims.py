"""What the repository's own wiki states can be recomputed, and its YAML examples behave as its pages say.

Each number on a page is a result of arithmetic that the page shows (recomputed here), an input that the page calls an example or data of
a worked table (`GIVEN`, by page), the name of a specification or one of its sections (`NAMES`), or a unit (`UNITS`). A number that is
none of these fails the test that names it.
"""

from __future__ import annotations

import datetime
import difflib
import hashlib
import json
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from enrich.config import load_config
from enrich.wiki.pages import Page, find_pages, read_page

ROOT = Path(__file__).resolve().parents[1]
STUB = "batch-windows"

# Names of specifications, versions, sections and status codes: numerals that count nothing.
NAMES = re.compile(
    r"RFC \d{4}|FIPS 180-4|SHA-256|UTF-8|Annex 15|LLM01|CommonMark 0\.31\.2|YAML 1\.[12](?:\.2)?|[Vv]ersion 1\.[12]|\b429\b|\b503\b|\b5xx\b"
    r"|sections? \d+(?:\.\d+)*(?: \([^)]*\))?(?:,? and \d+(?:\.\d+)*)?"
)
UNITS = {"60": "seconds of a minute", "3,600": "seconds of an hour", "1,000,000": "prices are per million tokens", "100%": "everything"}

# Inputs of examples and data of worked tables, with what they stand for on their page; "1" is the certain event or a single one.
GIVEN: dict[str, dict[str, str]] = {
    "unsupported-numbers": {
        "1": "certain event",
        "0.02": "rate",
        "2%": "rate",
        "0.01": "rate",
        "1%": "rate",
        "6": "numbers in a summary",
        "3": "fewer numbers",
        "1,000": "pages",
    },
    "score-drift": {
        **dict.fromkeys(["2.5", "3.0", "3.5", "4.0", "4.5", "1.5", "2.0"], "score of the table"),
        **dict.fromkeys(["1.0", "0.5", "25", "10", "5", "2"], "shift; spread; pages; pages of the sign test; root of 25; two directions"),
        **dict.fromkeys(["8", "40", "47"], "weight, threshold and value of the quality example"),
        "1": "highest correlation, tested below",
        "4": "a spelling of 4.0",
    },
    "prompt-injection": {"32": "hexadecimal digits", "4": "bits of one", "2": "base of the number of attempts"},
    "lost-rows": {"1": "wait", "2": "wait", "4": "wait", "3": "layers and attempts", "64": "workers"},
    "frontmatter-rewrites": {"200": "pages", "7": "lines of the example, counted below"},
    "paying-twice": {
        "1,000": "questions",
        "900": "answers",
        "6,000": "tokens of a page",
        "500": "tokens of an answer",
        "6,500": "second prompt",
        "7,000": "third prompt",
        "3": "requests",
    },
    "grounding": {
        "100": "numbers on a page",
        "1,000": "bound of the numbers",
        "1": "lower bound",
        "2": "numbers in a line",
        "45%": "sample message",
        "54%": "sample message",
    },
    "golden-sets": {
        **dict.fromkeys(["3.0", "4.0", "5.0", "6.0", "4.5"], "rating of the table"),
        **dict.fromkeys(["1.0", "0.5", "1.5"], "difference, recomputed below"),
        "4": "pages",
        "2": "middle values",
        "25": "pages",
        "5": "root of 25",
        "10": "root of 100",
    },
    "lossless-edits": {},
    "field-review": {"9": "of ten changes", "10": "changes", "50": "pages", "4": "fields", "140": "unchanged", "40": "without a flag"},
    "adaptive-rate-limits": {
        "64": "in flight",
        "4": "seconds",
        "500": "requests a minute",
        "200,000": "tokens a minute",
        "7,000": "tokens a request",
        "1,000": "requests",
    },
    "answer-cache": {
        "1": "one less; one",
        "2": "members of a pair; base",
        "999,999": "a million less one",
        "39": "exponent, tested below",
        "256": "bits of the digest",
    },
    "nightly-run-cost": {
        "1,000": "pages; tokens of the tasks",
        "2%": "due",
        "7,000": "input tokens",
        "800": "output tokens",
        "0.50": "price",
        "2.00": "price",
        "30": "nights",
        "3": "requests",
        "6,000": "tokens of the page",
        "5%": "asked again",
        "64": "in flight",
        "1": "whole",
        "2": "doubled",
        "0.00175": "half of 0.0035",
        "0.0008": "half of 0.0016",
    },
    "reviewer-attention": {"1,200": "N", "70%": "u", "15": "t", "3%": "w", "95%": "c", "1%": "f", "10%": "nervous f", "1": "whole"},
    "yaml-traps": {"1": "hour", "30": "minutes"},
}

# Pages whose arithmetic needs no assumption: bits, pairs, minutes.
FROM_DEFINITIONS = {"answer-cache", "prompt-injection", "yaml-traps"}

# Pages whose pieces of code are all run by tests further down.
CODE_IS_RUN = {"answer-cache", "frontmatter-rewrites", "lossless-edits", "yaml-traps"}

NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?%?|\d+(?:\.\d+){2,}|\d+-\d+|\d+(?:\.\d+)?%?"
CONFIG = load_config(ROOT, env={})
FILES, WARNINGS = find_pages(CONFIG.content, CONFIG.wiki.roots)
PAGES: dict[str, Page] = {file.id: read_page(file) for file in FILES}
ARTICLES = [page for page in PAGES.values() if not page.file.is_index and page.id != STUB]
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
every_article = pytest.mark.parametrize("page", ARTICLES, ids=[page.id for page in ARTICLES])


def without_code(body: str) -> str:
    """The body without imports, fences, diagrams and tags: the prose, tables and formulas that a reader sees."""
    text = re.sub(r"^```.*?^```", " ", body, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<Mermaid\b.*?`\} />", " ", text, flags=re.DOTALL)
    text = re.sub(r"^import .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"</?[A-Za-z][^<>]*>", "", text)
    return re.sub(r"\]\([^)\s]*\)", "]", text)


def prose(page: Page) -> str:
    """`without_code` without footnote marks, addresses, list numbers and escapes, so that each digit left is a statement."""
    text = re.sub(r"\[\^\d+\]:?", " ", without_code(page.body))
    text = re.sub(r"https?://\S+", " ", text)
    text = re.sub(r"^\d+\. ", "", text, flags=re.MULTILINE)
    if page.id in CODE_IS_RUN:
        text = re.sub(r"`[^`]*`", " ", text)
    return text.replace("\\$", "")


def fences(page: Page, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.body, flags=re.MULTILINE | re.DOTALL)


# ---------------------------------------------------------------------------------------------------- arithmetic


def value(text: str) -> Fraction:
    plain = text.replace(",", "")
    return Fraction(plain.rstrip("%")) / (100 if plain.endswith("%") else 1)


def evaluate(expression: str) -> Fraction:
    """`(2.5 + 3.0) ÷ 5`, `2 × 0.5^10`, `1,000 × 2%` as an exact fraction; × and ÷ before + and −, `^` first, from left to right."""
    tokens = re.findall(rf"{NUMBER}|[()×÷+−^]", expression)
    assert "".join(tokens) == expression.replace(" ", ""), f"cannot read {expression!r}"

    def total() -> Fraction:
        result = product()
        while tokens and tokens[0] in "+−":
            sign = tokens.pop(0)
            result = result + product() if sign == "+" else result - product()
        return result

    def product() -> Fraction:
        result = power()
        while tokens and tokens[0] in "×÷":
            sign = tokens.pop(0)
            result = result * power() if sign == "×" else result / power()
        return result

    def power() -> Fraction:
        result = atom()
        if tokens and tokens[0] == "^":
            tokens.pop(0)
            result = result ** int(atom())
        return result

    def atom() -> Fraction:
        token = tokens.pop(0)
        if token != "(":
            return value(token)
        inner = total()
        assert tokens.pop(0) == ")", expression
        return inner

    result = total()
    assert not tokens, expression
    return result


def equations(page: Page) -> list[tuple[str, str, str]]:
    """All `expression = number` and `expression ≈ number` of a page as (expression, sign, number)."""
    found = []
    for run in re.findall(rf"(?:{NUMBER}|[()×÷+−^=≈ ])+", prose(page)):
        left, sign, right = re.match(r"(.*?)(?:([=≈])(.*))?$", run).groups()  # type: ignore[union-attr]
        result = re.match(rf" *({NUMBER})", right or "")
        if sign and result:
            expression = left.strip().removeprefix(")").strip()
            while expression.count("(") > expression.count(")") and expression.startswith("("):
                expression = expression[1:]
            if re.search(r"[×÷+−^]", expression):
                found.append((expression.strip(), sign, result[1]))
    return found


def decimals(number: str) -> int:
    return len(number.rstrip("%").partition(".")[2]) + (2 if number.endswith("%") else 0)


def test_the_arithmetic_reader_itself() -> None:
    assert evaluate("1 − (1 − 0.02)^6") == 1 - Fraction(98, 100) ** 6
    assert evaluate("200,000 ÷ 60 ÷ 7,000") == Fraction(200000, 420000)
    assert evaluate("10 + 2 × 50%") == 11


@every_article
def test_every_equation_holds(page: Page) -> None:
    for expression, sign, number in equations(page):
        exact, shown = evaluate(expression), value(number)
        if sign == "=":
            assert exact == shown, f"{expression} is {float(exact)}, the page says {number}"
        else:
            assert abs(exact - shown) <= Fraction(1, 2 * 10 ** decimals(number)), f"{expression} is {float(exact)}, the page says {number}"
            assert exact != shown, f"{expression} = {number} is exact"


def test_pages_that_calculate_are_read() -> None:
    """Guards the test above: a reader of equations that finds none would pass everything."""
    counts = {page.id: len(equations(page)) for page in ARTICLES}
    shown = {page.id: len(re.findall(r"[=≈] [\d(]", prose(page))) for page in ARTICLES}
    assert counts == shown
    assert sum(counts.values()) > 60


@every_article
def test_every_number_is_backed(page: Page) -> None:
    text = NAMES.sub(" ", prose(page))
    backed = set(UNITS) | set(GIVEN[page.id]) | {number for _, _, number in equations(page)}
    stray = {number for number in re.findall(NUMBER, text) if number not in backed}
    unused = set(GIVEN[page.id]) - set(re.findall(NUMBER, text))
    assert not unused, f"given and not on the page: {sorted(unused)}"
    assert not stray, f"neither computed, nor given, nor the name of something: {sorted(stray)}"
    if equations(page) and page.id not in FROM_DEFINITIONS:
        assert re.search(r"example|assum|suppose", text, re.IGNORECASE), "a page that calculates says that its inputs are examples"


@pytest.mark.parametrize("page", [page for page in PAGES.values() if page.file.is_index], ids=lambda page: page.id)
def test_index_pages_state_no_figures(page: Page) -> None:
    assert set(re.findall(NUMBER, prose(page))) <= {"1.2.2"}


def test_a_uniform_shift_keeps_both_correlations() -> None:
    rows = re.findall(r"^\| [a-e] \| ([\d.]+) \| ([\d.]+) \|$", PAGES["score-drift"].body, flags=re.MULTILINE)
    before, after = [float(row[0]) for row in rows], [float(row[1]) for row in rows]
    assert len(rows) == 5
    assert {x - y for x, y in zip(before, after, strict=True)} == {1.0}
    from scipy import stats

    assert stats.spearmanr(before, after).statistic == pytest.approx(1)
    assert stats.pearsonr(before, after).statistic == pytest.approx(1)


def test_golden_set_table_gives_the_measures_of_its_page() -> None:
    rows = re.findall(r"^\| [a-d] \| ([\d.]+) \| ([\d.]+) \| ([+−][\d.]+) \| ([\d.]+) \|$", PAGES["golden-sets"].body, flags=re.MULTILINE)
    assert len(rows) == 4
    for people, model, difference, absolute in rows:
        assert value(model) - value(people) == Fraction(difference.replace("−", "-"))
        assert abs(value(model) - value(people)) == value(absolute)
    people_sorted = sorted(value(row[0]) for row in rows)
    median = (people_sorted[1] + people_sorted[2]) / 2
    assert [abs(value(row[0]) - median) for row in rows] == [value(x) for x in ("1.5", "0.5", "0.5", "1.5")]
    pairs = [(value(row[0]), value(row[1])) for row in rows]
    assert sorted(pairs) == pairs and sorted(model for _, model in pairs) == [model for _, model in pairs]


def test_fewer_pairs_than_the_power_of_two_that_the_cache_page_names() -> None:
    body = PAGES["answer-cache"].body
    assert "fewer than 2^39" in body and math.comb(1_000_000, 2) < 2**39
    assert "one in 2^217" in body and 256 - 39 == 217


def test_the_token_bound_is_the_smallest() -> None:
    rates = [Fraction(64, 4), Fraction(500, 60), Fraction(200_000, 60 * 7_000)]
    assert min(rates) == rates[2]


# ---------------------------------------------------------------------------------------------------- YAML


def shown(result: Any) -> str:
    """A parsed value in the spelling of the table: JSON, with dates as `date(…)` and keys as they are."""
    if isinstance(result, datetime.date):
        return f"date({result.year}, {result.month}, {result.day})"
    if isinstance(result, dict):
        return "{" + ", ".join(f"{shown(key)}: {shown(inner)}" for key, inner in result.items()) + "}"
    return json.dumps(result, ensure_ascii=False)


def read_1_1(text: str) -> Any:
    return yaml.safe_load(text)


def read_1_2(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def outcome(reader: Any, text: str, key: str | None) -> str:
    try:
        loaded = reader(text)
    except (yaml.YAMLError, YAMLError):
        return "error"
    return shown(loaded if key is None else loaded[key])


TRAPS = [
    (heading, [cell.strip("`") for cell in re.findall(r"`[^`]+`", line)], line)
    for heading, section in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGES["yaml-traps"].body, flags=re.MULTILINE | re.DOTALL)
    for line in section.splitlines()
    if line.startswith("| `")
]


@pytest.mark.parametrize(("heading", "cells", "line"), TRAPS, ids=[f"{cells[0]}" for _, cells, _ in TRAPS])
def test_yaml_trap_is_true(heading: str, cells: list[str], line: str) -> None:
    written, one, two, *instead = cells
    whole = heading == "Keys"
    text, key = (written, None) if whole else (f"v: {written}", "v")
    assert outcome(read_1_1, text, key) == one
    assert outcome(read_1_2, text, key) == two
    for literal in instead:
        assert read_1_1(f"v: {literal}") == read_1_2(f"v: {literal}") == {"v": written}


def test_all_rows_of_the_trap_tables_are_run() -> None:
    rows = [line for line in PAGES["yaml-traps"].body.splitlines() if line.startswith("|") and not re.match(r"\|-|\| Written", line)]
    assert rows == [line for _, _, line in TRAPS]
    assert len(rows) > 40


def test_all_code_in_the_prose_of_the_trap_page_is_in_its_tables() -> None:
    cells = {cell for _, found, _ in TRAPS for cell in found}
    known = {"yaml.safe_load", 'YAML(typ="safe", pure=True)', "v: ", "date(…)", "error", "str", "yaml"}
    text = "\n".join(line for line in without_code(PAGES["yaml-traps"].body).splitlines() if not line.startswith("|"))
    assert set(re.findall(r"`([^`]+)`", text)) <= cells | known


def test_python_prints_the_small_number_as_the_page_says() -> None:
    assert str(1e-05) == "1e-05"


def test_rewrite_example_is_what_pyyaml_gives() -> None:
    page = PAGES["frontmatter-rewrites"]
    before, after = fences(page, "yaml")
    data = yaml.safe_load(before)
    data["quality"] = 61
    assert yaml.safe_dump(data) == after
    assert yaml.safe_dump(yaml.safe_load(after)) == after, "the second rewrite finds its own style"
    assert yaml.safe_load(after) == data
    diff = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[:2] in ("- ", "+ ", "  ")]
    assert [line[0] for line in diff].count("-") == 7
    assert [line[0] for line in diff].count("+") == 7
    assert [line[0] for line in diff].count(" ") == 0


def test_a_plain_dump_changes_a_value_for_the_other_reader() -> None:
    dumped = yaml.safe_dump({"v": "1e3"})
    assert dumped == "v: 1e3\n"
    assert read_1_2(dumped) == {"v": 1000.0}


def test_a_round_trip_library_rewraps_a_long_line(tmp_path: Path) -> None:
    text = "v: " + "word " * 40 + "end\n"
    target = tmp_path / "out.yaml"
    round_trip = YAML()
    round_trip.dump(round_trip.load(text), target)
    assert target.read_text().count("\n") > text.count("\n")


def test_a_round_trip_library_keeps_comments_and_quotes(tmp_path: Path) -> None:
    before = fences(PAGES["frontmatter-rewrites"], "yaml")[0]
    target = tmp_path / "out.yaml"
    round_trip = YAML()
    round_trip.preserve_quotes = True
    round_trip.dump(round_trip.load(before), target)
    assert "# reviewed in spring\n" in target.read_text()
    assert "title: 'Tides'\n" in target.read_text()


def test_lossless_example_differs_by_one_line() -> None:
    before, after = fences(PAGES["lossless-edits"], "yaml")
    assert before == fences(PAGES["frontmatter-rewrites"], "yaml")[0]
    diff = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "-+"]
    assert diff == ["+ quality: 61"]


def test_cache_key_example() -> None:
    (line,) = (text.strip() for text in fences(PAGES["answer-cache"], "json"))
    question = json.loads(line)

    def key(parts: dict[str, Any]) -> str:
        return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()

    assert json.dumps(question, sort_keys=True, separators=(",", ":")) == line
    assert question["sample"] == 0
    digests = re.findall(r"begins with `([0-9a-f]{16})`", PAGES["answer-cache"].body)
    assert digests == [key(question)[:16], key({**question, "sample": 1})[:16]]
    turned = json.dumps(dict(reversed(question.items())), separators=(",", ":"))
    spaced = json.dumps(question, sort_keys=True, separators=(",", ": "))
    for text in (turned, spaced):
        assert not hashlib.sha256(text.encode()).hexdigest().startswith(digests[0])


# ---------------------------------------------------------------------------------------------------- values that people wrote


@every_page
def test_values_a_person_wrote_stand_on_the_page(page: Page) -> None:
    text = prose(page)
    numbers = set(re.findall(NUMBER, text))
    for written in (page.frontmatter.get("llmSummary", ""), *(item["text"] for item in page.frontmatter.get("insights", []))):
        assert set(re.findall(NUMBER, written.replace("\\$", ""))) <= numbers
    for insight in page.frontmatter.get("insights", []):
        assert insight["evidence"] in text
        assert insight["type"] in {"claim", "counterintuitive", "quantitative", "research-gap", "disagreement", "neglected"}
        for score in ("surprising", "important", "actionable"):
            assert 1 <= insight[score] <= 5 and insight[score] * 2 == int(insight[score] * 2)


def test_the_number_pattern_sees_the_forms_in_use() -> None:
    assert re.findall(NUMBER, "1,000 pages, 2.5% of 10.2.3, 180-4; 3^3") == ["1,000", "2.5%", "10.2.3", "180-4", "3", "3"]
