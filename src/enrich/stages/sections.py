"""Pages that do not fit into a model's context: their sections, a condensed page, and answers of sections merged into one.

A section is asked about as a page of its own. Insights are merged without a request; a summary is asked for again from the sections'
summaries and their quotes; ratings are asked from a condensed page that has all headings and the beginnings of all paragraphs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from enrich.grounding.likeness import same_insights
from enrich.llm.tokens import estimate_tokens
from enrich.stages.fields import FieldAnswer
from enrich.stages.judges import MAX_INSIGHTS, NEAR_SAME, statement
from enrich.wiki.data import SCORES
from enrich.wiki.pages import Page
from enrich.wiki.visible import split_sentences

Tokens = Callable[[str], int]
_HEADING = re.compile(r"(#{1,6})[ \t]+\S")
_FENCE = re.compile(r"[ \t]*(```|~~~)")
_OVERLAP = 0.08  # of a section's room: the last paragraph before it, if it continues what is under one heading
# A section of fewer tokens says too little.
# The stages that are asked section by section; others get a condensed page.
IN_SECTIONS = ("summary", "insights")
LEAST_ROOM = 200
# What a condensed page keeps of each paragraph, and at last of the first one under each heading.
_SHARES = (1.0, 0.5, 0.25, 0.1)


def split_page(page: Page, room: int, tokens: Tokens = estimate_tokens) -> list[Page]:
    """The page as pages of at most about `room` tokens each, cut at headings where possible, else between paragraphs.

    A part begins with the headings above it, and if it continues what is under a heading, with the last paragraph of the part before.
    """
    parts: list[list[str]] = [[]]
    used, last_path = 0, list[str]()
    blocks = list(_blocks(page.body, room, tokens))
    for place, (headings, text) in enumerate(blocks):
        size = tokens(text)
        # A heading does not end a part, and a part that is half full ends where a section of the page ends.
        opens = bool(_HEADING.match(text))
        ahead = size + (tokens(blocks[place + 1][1]) if opens and place + 1 < len(blocks) else 0)
        if parts[-1] and (used + ahead > room or (opens and used > room * 0.7)):
            previous = parts[-1][-1]
            again = not opens and headings == last_path and tokens(previous) <= room * _OVERLAP
            continued = [*headings, *([previous] if again else [])]
            parts.append(continued)
            used = sum(map(tokens, continued))
        parts[-1].append(text)
        used += size
        last_path = headings
    # Without its number: an edit that adds a part must not make other parts new questions.
    title = f"{page.title} (a part of the page)"
    return [replace(page, frontmatter={**page.frontmatter, "title": title}, body="\n\n".join(part)) for part in parts]


def _blocks(body: str, room: int, tokens: Tokens) -> Iterator[tuple[list[str], str]]:
    """(headings above, text) of each paragraph, heading, table or piece of code; what is larger than the room is cut at line ends."""
    headings: list[str] = []
    for block in _paragraphs(body):
        found = _HEADING.match(block)
        if found is not None:
            level = len(found[1])
            headings = [one for one in headings if len(one) - len(one.lstrip("#")) < level]
            yield list(headings), block
            headings = [*headings, block]
            continue
        if tokens(block) <= room:
            yield list(headings), block
        else:
            for piece in _cut(block, room, tokens):
                yield list(headings), piece


def _paragraphs(body: str) -> Iterator[str]:
    lines: list[str] = []
    fence = ""
    for line in body.split("\n"):
        mark = _FENCE.match(line)
        if mark is not None:
            fence = "" if fence == mark[1] else fence or mark[1]
        if not fence and (not line.strip() or _HEADING.match(line)):
            if lines:
                yield "\n".join(lines)
            lines = []
            if line.strip():
                yield line
            continue
        lines.append(line)
    if lines:
        yield "\n".join(lines)


def _cut(text: str, room: int, tokens: Tokens) -> Iterator[str]:
    """The text in pieces of at most `room` tokens: at line ends, then at sentence ends, then anywhere."""
    lines = text.split("\n")
    if len(lines) > 1:
        units, glue = lines, "\n"
    else:
        ends = split_sentences(text)
        units, glue = ([text[start:end] for start, end in ends], " ") if len(ends) > 1 else ([], " ")
    if not units:
        # One token is at least one character.
        yield from (text[at : at + room] for at in range(0, len(text), max(1, room)))
        return
    piece: list[str] = []
    used = 0
    for unit in units:
        size = tokens(unit) + 1
        if piece and used + size > room:
            yield glue.join(piece)
            piece, used = [], 0
        if size > room:
            yield from _cut(unit, room, tokens)
            continue
        piece.append(unit)
        used += size
    if piece:
        yield glue.join(piece)


def condensed_page(page: Page, room: int, tokens: Tokens = estimate_tokens) -> Page:
    """The page with all its headings and the beginnings of its paragraphs, in at most about `room` tokens."""
    blocks = list(_paragraphs(page.body))
    opening = [block for before, block in zip(["#", *blocks], blocks, strict=False) if _HEADING.match(block) or before[:1] == "#"]
    tries = [(blocks, share) for share in _SHARES]
    for kept, share in [*tries, (opening, _SHARES[-1]), ([block for block in blocks if _HEADING.match(block)], 1.0)]:
        body = "\n\n".join(_beginning(block, share) for block in kept)
        if tokens(body) <= room:
            break
    else:
        body = next(_cut(body, room, tokens), "")
    return replace(page, body=f"[Condensed: headings and the beginnings of paragraphs]\n\n{body}")


def _beginning(block: str, share: float) -> str:
    """A heading as it is; of other text the first sentences or lines that make up this share of it, at least one."""
    if share >= 1 or _HEADING.match(block):
        return block
    units = block.split("\n")
    glue = "\n"
    if len(units) == 1:
        units, glue = [block[start:end] for start, end in split_sentences(block)], " "
    wanted = max(1, round(len(units) * share))
    return glue.join(units[:wanted]) + (" […]" if wanted < len(units) else "")


def summaries_page(page: Page, parts: Sequence[tuple[Page, Mapping[str, Any]]]) -> Page:
    """A page of the sections' summaries with the quotes they rest on, for the summary of the whole page."""
    pieces = ["[Summaries of the page's parts, each with its quotes]"]
    for part, answer in parts:
        heading = next((line for line in part.body.split("\n") if _HEADING.match(line)), "")
        quotes = "\n".join(f"- {quote}" for quote in answer.get("evidence", ()))
        pieces += [piece for piece in (heading, str(answer.get("summary", "")), quotes) if piece]
    return replace(page, body="\n\n".join(pieces))


def merged_insights(answers: Sequence[Sequence[FieldAnswer]]) -> dict[str, Any]:
    """The best insights of all sections as one answer: each once, those without a hard finding first, then by their scores."""
    ranked: list[tuple[bool, float, int, Mapping[str, Any]]] = []
    for fields in answers:
        hard = {finding.where.partition(".")[0] for finding in fields[0].hard}
        for place, insight in enumerate(fields[0].value):
            ranked.append((f"insights[{place}]" in hard, -sum(insight[score] for score in SCORES), len(ranked), insight))
    best: list[Mapping[str, Any]] = []
    for _, _, _, insight in sorted(ranked, key=lambda one: one[:3]):
        if not same_insights([statement(insight)], [statement(one) for one in best], NEAR_SAME):
            best.append(insight)
    return {"insights": [dict(insight) for insight in best[:MAX_INSIGHTS]]}
