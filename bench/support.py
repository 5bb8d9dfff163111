"""How many lost supports `enrich check` reports: `python bench/support.py [SAMPLE] [--count N] [--list] [--seed N]`.

Each stored summary and insight of SAMPLE (see `bench/grounding.py`) is taken as published with the page's nearest sentence as its quote. Then that
sentence is changed on the page (a number, a negation, a word, the sentence deleted), and, apart from it, another one. Changes of the first kind
should be reported, of the second not.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.grounding import BESIDE, Text, insights, load, summaries
from enrich.grounding.statements import Sentence
from enrich.review.support import Support, losses, support_of
from enrich.stages.fields import INSIGHTS, SUMMARY, Evidence
from enrich.wiki.pages import Page, parse_page

_FEWEST_WORDS = 6
_WORD = re.compile(r"(?<=[ ,])[a-z]{5,}(?=[ ,.])")


@dataclass(frozen=True)
class Published:
    """One text as the value of a page's field, what it rests on, and the sentence of the body that is its quote."""

    page: Page
    field: str
    support: Support
    quote: str
    others: tuple[str, ...]


def published(texts: list[Text], count: int) -> Iterator[Published]:
    """The first `count` texts whose page has a sentence near to them once, in the text of its file as the reader sees it."""
    for one in texts:
        body = one.page.body
        whole = [found.text for found in one.index.visible.prose if len(found.text.split()) >= _FEWEST_WORDS]
        once = [text for text in whole if body.count(text) == 1]
        mine = Sentence(one.text, 0)
        ranked = sorted(once, key=lambda text: -len(mine.content & Sentence(text, 0).content))
        if not ranked or not mine.content & Sentence(ranked[0], 0).content:
            continue
        quote = ranked[0]
        field = SUMMARY if one.text == one.page.frontmatter.get(SUMMARY) else INSIGHTS
        value: object = one.text if field == SUMMARY else [{"text": one.text, "evidence": quote}]
        page = _with(one.page, field, value, body)
        given = [Evidence(quote, field, found=True)] if field == SUMMARY else []
        yield Published(page, field, support_of(page, field, value, value, given), quote, tuple(text for text in once if text != quote))
        count -= 1
        if not count:
            return


def _with(page: Page, field: str, value: object, body: str) -> Page:
    head = yaml.safe_dump({"title": page.title, "description": page.description, field: value}, allow_unicode=True, width=10**6)
    return parse_page(page.file, f"---\n{head}---\n{body}".encode())


def edited(sentence: str, kind: str, rng: random.Random) -> str:
    """The sentence after an edit: another number, a negation, a word exchanged, an added word, or nothing of it."""
    words = list(_WORD.finditer(sentence))
    if kind == "number" and (digit := re.search(r"\d", sentence)) is not None:
        return f"{sentence[: digit.start()]}{(int(digit[0]) + rng.randint(1, 8)) % 10}{sentence[digit.end() :]}"
    if kind == "negation" and (verb := re.search(r"\b(?:is|are|was|were|can|will|has|have)\b", sentence)) is not None:
        return f"{sentence[: verb.end()]} not{sentence[verb.end() :]}"
    if kind == "deleted":
        return ""
    if not words:
        return f"{sentence.rstrip('.')} somewhat."
    word = rng.choice(words)
    return f"{sentence[: word.start()]}{'hardly ' + word[0] if kind == 'added' else 'trellis'}{sentence[word.end() :]}"


def table(sample: Path, count: int, seed: int) -> tuple[Counter[str], Counter[str], list[str]]:
    """(changes reported and missed by kind, edits elsewhere reported or not, what went wrong)."""
    rng = random.Random(seed)
    pages, indexes = load(sample)
    changed: Counter[str] = Counter()
    elsewhere: Counter[str] = Counter()
    wrong: list[str] = []
    for place, one in enumerate(published([*summaries(pages, indexes), *insights(sample, pages, indexes)], count)):
        value = one.page.frontmatter[one.field]
        kind = ("number", "negation", "word", "added", "deleted")[place % 5]
        new = edited(one.quote, kind, rng)
        found = losses(_with(one.page, one.field, value, one.page.body.replace(one.quote, new)), one.field, one.support)
        changed[f"{kind}: {'reported' if found else 'missed'}"] += 1
        wrong += [] if found else [f"missed on {one.page.id}: {one.quote!r} -> {new!r}"]
        if one.others:
            other = rng.choice(one.others)
            body = one.page.body.replace(other, edited(other, "added", rng))
            found = losses(_with(one.page, one.field, value, body), one.field, one.support)
            elsewhere["reported" if found else "not reported"] += 1
            wrong += [f"reported on {one.page.id} after an edit elsewhere ({other!r}): {loss.message}" for loss in found]
    return changed, elsewhere, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sample", nargs="?", type=Path, default=BESIDE)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--list", action="store_true", help="print what went wrong")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.sample / "content" / "docs").is_dir():
        print("skipped: needs ../shared/wiki-sample beside the checkout, or a folder as argument")
        return 0
    changed, elsewhere, wrong = table(arguments.sample, arguments.count, arguments.seed)
    print(f"supporting sentence changed: {dict(sorted(changed.items()))}\nanother sentence changed: {dict(elsewhere)}")
    if arguments.list:
        print("\n".join(wrong))
    return 0


if __name__ == "__main__":
    sys.exit(main())
