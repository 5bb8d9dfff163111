"""How well and how fast grounding works on a folder of real pages: `python bench/grounding.py [SAMPLE] [--list] [--seed N]`.

SAMPLE holds `content/docs` and `data/insights`; left out, `../shared/wiki-sample` beside the checkout is taken, and if it is missing, the
measurement says so and ends. `--list` prints every flag with why. The tables: flags on the stored texts; changed numbers caught, by kind,
with the page-wide rule and with evidence; quotes found and refused; speed.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from enrich.grounding import Finding, PageIndex, normalise
from enrich.grounding.numbers import Passage, stated_in
from enrich.grounding.quantities import NUMBER, Quantity, quantities
from enrich.text import printable
from enrich.wiki import yaml12
from enrich.wiki.page_files import find_pages
from enrich.wiki.pages import Page, read_page
from enrich.wiki.visible import visible

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "wiki-sample"
_SMALL_WORDS = "two three four five six seven eight nine ten eleven twelve thirteen fifteen sixteen seventeen nineteen thirty forty"
_WORDS = _SMALL_WORDS.split()


@dataclass(frozen=True)
class Text:
    """One stored text of a page."""

    page: Page
    index: PageIndex
    text: str


def load(sample: Path) -> tuple[list[Page], dict[str, PageIndex]]:
    pages = [read_page(file) for file in find_pages(sample / "content" / "docs", ids="stem")[0]]
    return pages, {page.file.path: PageIndex(page.body, title=page.title, description=page.description) for page in pages}


def summaries(pages: list[Page], indexes: dict[str, PageIndex]) -> list[Text]:
    return [Text(page, indexes[page.file.path], str(text)) for page in pages if (text := page.frontmatter.get("llmSummary"))]


def insights(sample: Path, pages: list[Page], indexes: dict[str, PageIndex]) -> list[Text]:
    by_id = {page.id: page for page in pages}
    found = []
    for file in sorted((sample / "data" / "insights").glob("*.yaml")):
        data = yaml12.load(file.read_text(encoding="utf-8"))
        for one in data["insights"] if isinstance(data, dict) else ():
            page = by_id.get(str(one.get("page")))
            if page is not None:
                found.append(Text(page, indexes[page.file.path], str(one["insight"])))
    return found


# --- changed numbers ---


_KINDS = {
    "factor": "other", "unit": "other", "ordinal": "other", "part": "other", "points": "percent", "decade": "years", "year": "years",
    "date": "years", "number": "plain", "small": "small numbers",
}  # fmt: skip


def kind_of(quantity: Quantity) -> str:
    return _KINDS.get(quantity.kind, quantity.kind)


def changed(text: str, quantity: Quantity, rng: random.Random) -> Iterator[str]:
    """The text with this one number written as another, the same way of writing it; endless."""
    numbers = list(NUMBER.finditer(text, quantity.start, quantity.end))
    while True:
        if not numbers:
            word = re.match(r"[A-Za-z]+", text[quantity.start :])
            old = word[0] if word else ""
            new = rng.choice(_WORDS)
            yield text[: quantity.start] + (new.capitalize() if old[:1].isupper() else new) + text[quantity.start + len(old) :]
            continue
        found = numbers[-1] if quantity.kind == "date" else numbers[0]
        old = found[0]
        value = int(re.sub(r"[.,]", "", old))
        if quantity.kind in ("year", "date", "decade"):
            new_value = value + rng.choice([-1, 1]) * rng.randint(1, 12) * (10 if quantity.kind == "decade" else 1)
        elif rng.random() < 0.5:  # near
            new_value = max(1, value + rng.choice([-1, 1]) * rng.randint(1, max(2, value // 10)))
        else:  # other digits
            new_value = int("".join([rng.choice("123456789"), *(rng.choice("0123456789") for _ in range(len(str(value)) - 1))]))
        new = _shaped(new_value, old)
        yield text[: found.start()] + new + text[found.end() :]


def _shaped(value: int, like: str) -> str:
    decimals = len(like.partition(".")[2])
    digits = str(value).rjust(decimals + 1, "0")
    whole, rest = (digits[:-decimals], digits[-decimals:]) if decimals else (digits, "")
    if "," in like:
        whole = f"{int(whole):,}"
    return f"{whole}.{rest}" if rest else whole


def at_place(text: str, start: int) -> Quantity | None:
    return next((one for one in quantities(text) if one.start <= start < one.end and one.readings), None)


def caught(findings: Iterable[Finding], quantity: Quantity) -> str:
    """`hard`, `soft` or "": the graver finding about the quantity (not about the other end of its range)."""
    severities = set()
    for one in findings:
        if one.kind == "number" and one.span is not None and one.span[0] <= quantity.start < one.span[1]:
            whole = len(one.quantity) >= one.span[1] - one.span[0]
            severities |= {one.severity} if whole or one.quantity == printable(quantity.text, 60) else set()
    return "hard" if "hard" in severities else "soft" if severities else ""


def page_wide(texts: list[Text], rng: random.Random, rounds: int) -> dict[str, Counter[str]]:
    """Numbers of unflagged texts changed to values that are nowhere on the page."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for one in texts:
        if any(finding.severity == "hard" for finding in one.index.check(one.text, None)):
            continue
        for quantity in quantities(one.text):
            if not quantity.readings or quantity.idiom:
                continue
            for _ in range(rounds):
                for _, candidate in zip(range(60), changed(one.text, quantity, rng), strict=False):
                    new = at_place(candidate, quantity.start)
                    if new is None or new.kind == "name" or new.value == quantity.value or not one.index.numbers.states_nowhere(new):
                        continue
                    result = caught(one.index.check(candidate, None), new)
                    table[kind_of(quantity)][result or "missed"] += 1
                    break
    return table


def best_evidence(one: Text, quantity: Quantity) -> Passage | None:
    """The line that states the number and shares most rare words with the text: what a careful writer would quote."""
    words = Counter(re.findall(r"[a-z]{4,}", one.text[max(0, quantity.start - 120) : quantity.end + 120].lower()))
    best, score = None, -1.0
    lowers = [line.text.lower() for line in one.index.lines]
    weights = {word: 1 / (1 + sum(word in text for text in lowers)) for word in words}
    for position, lower in enumerate(lowers):
        passage = one.index.numbers.passage(position)
        if stated_in(quantity, passage) is not None:
            own = sum(weight for word, weight in weights.items() if word in lower)
            if own > score:
                best, score = passage, own
    return best


def with_evidence(texts: list[Text], rng: random.Random) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Each number with its best line as evidence: (changed at random: caught, by kind; unchanged: supported or not)."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    true: Counter[str] = Counter()
    for one in texts:
        for quantity in quantities(one.text):
            if not quantity.readings or quantity.idiom:
                continue
            evidence = best_evidence(one, quantity)
            if evidence is None:
                continue
            findings = one.index.check(one.text, [evidence.text])
            true[caught(findings, quantity) or "supported"] += 1
            for _, candidate in zip(range(60), changed(one.text, quantity, rng), strict=False):
                new = at_place(candidate, quantity.start)
                if new is None or new.kind == "name" or (new.value, new.date) == (quantity.value, quantity.date):
                    continue
                result = caught(one.index.check(candidate, [evidence.text]), new)
                table[kind_of(quantity)][result or "missed"] += 1
                break
    return table, true


# --- quotes ---

_DASHES = ("-", "–", "—")


def true_quotes(pages: list[Page], indexes: dict[str, PageIndex], rng: random.Random, count: int) -> list[tuple[PageIndex, str, int, int]]:
    """Cuts of pages as the file has them, with markup, and with odd dashes, quotes and spaces: (page, quote, first line, last line)."""
    found: list[tuple[PageIndex, str, int, int]] = []
    while len(found) < count:
        page = rng.choice(pages)
        index = indexes[page.file.path]
        lines = index.lines
        shown = [at for at, line in enumerate(lines) if line.number and len(line.text.split()) > 5]
        if not shown:
            continue
        first = rng.choice(shown)
        raw = page.body.split("\n")
        line = lines[first]
        last = first
        if (
            rng.random() < 0.3
            and first + 1 < len(lines)
            and line.kind == lines[first + 1].kind == "prose"
            and line.number + 1 == lines[first + 1].number
        ):
            last = first + 1
        if rng.random() < 0.5 and line.kind in ("prose", "list", "table") and last == first:  # raw, with its markup
            words = raw[line.number - 1].split(" ")
        else:
            words = " ".join(one.text for one in lines[first : last + 1]).split(" ")
        begin = rng.randrange(max(1, len(words) - 5))
        quote = " ".join(words[begin : begin + rng.randint(5, 40)])
        if quote.count("<") != quote.count(">") or quote.count("[") != quote.count("]") or quote.count("(") != quote.count(")"):
            continue  # a cut through a tag or link is not a quote
        if quote.count('"') % 2 or len(re.findall(r"\w+", normalise(quote))) < 4 or "](" in re.sub(r"\]\([^()]*\)", "", quote):
            continue
        if rng.random() < 0.3:
            quote = re.sub(r"[–—]", lambda _: rng.choice(_DASHES), quote).replace("'", "’").replace(" ", "  ", 1)
        found.append((index, quote, line.number, lines[last].number))
    return found


def quote_tables(
    pages: list[Page], indexes: dict[str, PageIndex], rng: random.Random, count: int
) -> tuple[Counter[str], Counter[str], list[str]]:
    """(true quotes, quotes with two words changed, what went wrong)."""
    true: Counter[str] = Counter()
    wrong: list[str] = []
    quotes = true_quotes(pages, indexes, rng, count)
    for index, quote, first, last in quotes:
        match = index.find_quote(quote)
        if match is None:
            true["not found"] += 1
            wrong.append(f"not found: {quote!r}")
        elif not match.exact:
            true["repaired"] += 1
            wrong.append(f"not verbatim: {quote!r}")
        elif match.start_line <= first <= match.end_line or _also_at(index, quote, first, last):
            true["verbatim, right lines"] += 1
        else:
            true["verbatim, other lines"] += 1
            wrong.append(f"line {match.start_line} in place of {first}: {quote!r}")
    vocabulary = sorted(
        {word for index in list(indexes.values())[:20] for word in index.quotes.text.split() if word.isalpha() and len(word) > 3}
    )
    other: Counter[str] = Counter()
    for index, quote, _, _ in quotes:
        words = normalise(quote).split()
        places = [at for at, word in enumerate(words) if any(char.isalnum() for char in word)]
        if len(places) < 2:
            continue
        before = list(words)
        for at in rng.sample(places, 2):
            words[at] = str(rng.randint(2, 99999)) if any(char.isdigit() for char in words[at]) else rng.choice(vocabulary)
        match = index.find_quote(" ".join(words))
        if match is None:
            other["refused"] += 1
        elif match.exact:
            other["accepted as verbatim"] += 1
            wrong.append(f"changed, yet verbatim: {' '.join(words)!r}")
        else:
            touched = [
                one for one, two in zip(before, words, strict=True) if one != two and (any(c.isdigit() for c in one) or one.lower() in _NOT)
            ]
            other["repaired over a number or negation" if touched else "repaired"] += 1
            if touched:
                wrong.append(f"repaired over {touched}: {' '.join(words)!r} -> {match.text!r}")
    return true, other, wrong


_NOT = {"no", "not", "never", "none", "without", "cannot", "neither", "nor"}


def _also_at(index: PageIndex, quote: str, first: int, last: int) -> bool:
    """Whether the words are on these lines too: a page that says a thing twice is quoted at the first place."""
    plain = normalise(quote)
    return plain in normalise("\n".join(line.text for line in index.lines if first <= line.number <= last))


# --- speed ---


def speed(pages: list[Page], texts: list[Text], rng: random.Random) -> list[tuple[str, str]]:
    rows = [("visible text, ms a page", f"{_median(pages, lambda page: visible(page.body)):.2f}")]
    made = [PageIndex(page.body, title=page.title, description=page.description) for page in pages]
    for index in made:
        _ = index.lines
    rows.append(("quote index, ms a page", f"{_median(made, lambda index: index.quotes):.2f}"))
    rows.append(("number index, ms a page", f"{_median(made, lambda index: index.numbers._digits):.2f}"))
    by_page = {page.file.path: index for page, index in zip(pages, made, strict=True)}
    rows.append(
        (
            "checking one text, page-wide, ms",
            f"{_median(texts, lambda one: by_page[one.page.file.path].check(one.text)):.2f}",
        )
    )
    body = "\n\n".join(page.body for page in pages)
    lines = body.split("\n")
    index = PageIndex("\n".join(lines[: next(at for at in range(0, len(lines), 20) if len(" ".join(lines[:at]).split()) > 7000)]))
    tokens = index.quotes.text.split(" ")
    quotes = [" ".join(tokens[at : at + rng.randint(5, 40)]) for at in (rng.randrange(len(tokens) - 40) for _ in range(5000))]
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        for quote in quotes:
            index.find_quote(quote)
        rounds.append(len(quotes) / (time.perf_counter() - start))
    rows.append((f"true quotes a second on {index.visible.words} words", f"{statistics.median(rounds):,.0f}"))
    return rows


def _median(things: list, call) -> float:  # type: ignore[no-untyped-def, type-arg]
    times = []
    for thing in things:
        start = time.perf_counter()
        call(thing)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.mean(times)


# --- tables ---


def show(title: str, table: dict[str, Counter[str]]) -> None:
    print(f"\n{title}\n  {'kind':<15} {'changed':>8} {'hard':>8} {'hard or soft':>13}")
    total: Counter[str] = Counter()
    for kind in sorted(table):
        _row(kind, table[kind])
        total.update(table[kind])
    _row("all", total)


def _row(name: str, counts: Counter[str]) -> None:
    everything = sum(counts.values())
    hard, soft = (counts[severity] / max(1, everything) for severity in ("hard", "soft"))
    print(f"  {name:<15} {everything:>8} {hard:>8.1%} {hard + soft:>13.1%}")


def flags(title: str, texts: list[Text], listed: bool) -> None:
    findings = [(one, finding) for one in texts for finding in one.index.check(one.text, None)]
    count = sum(len(quantities(one.text)) for one in texts)
    by_severity = Counter(finding.severity for _, finding in findings)
    flagged = len({id(one) for one, finding in findings if finding.severity == "hard"})
    print(f"\n{title}: {len(texts)} texts, {count} numbers and names")
    print(f"  {by_severity['hard']} hard flags in {flagged} texts, {by_severity['soft']} soft")
    if listed:
        for one, finding in sorted(findings, key=lambda pair: pair[1].severity):
            start = finding.span[0] if finding.span else 0
            print(f"  {finding.severity} {one.page.file.path}: {finding.message}\n      … {one.text[max(0, start - 60) : start + 60]} …")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sample", nargs="?", type=Path, default=BESIDE)
    parser.add_argument("--list", action="store_true", help="print every flag with why, and every quote that went wrong")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="changes of each number under the page-wide rule")
    arguments = parser.parse_args()
    if not (arguments.sample / "content" / "docs").is_dir():
        print(
            f"skipped: no wiki-sample at {arguments.sample.name} (needs ../shared/wiki-sample beside the checkout, or a folder as argument)"
        )
        return 0
    rng = random.Random(arguments.seed)
    pages, indexes = load(arguments.sample)
    stored = {"summaries": summaries(pages, indexes), "insights": insights(arguments.sample, pages, indexes)}
    for name, texts in stored.items():
        flags(name, texts, arguments.list)
        show(f"{name}, one number changed to a value that is nowhere on the page (no evidence)", page_wide(texts, rng, arguments.rounds))
        table, true = with_evidence(texts, rng)
        show(f"{name}, one number changed at random, its best line as evidence", table)
        print(f"  unchanged: {dict(true)}")
    true, other, wrong = quote_tables(pages, indexes, rng, 1000)
    print(f"\ntrue quotes: {dict(true)}\ntwo words changed: {dict(other)}")
    if arguments.list:
        print("\n".join(f"  {line}" for line in wrong))
    print()
    for label, value in speed(pages, stored["summaries"], rng):
        print(f"{label:<55} {value:>10}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
