"""Pages that do not fit into a model's context: their sections, a condensed page, and answers of sections merged into one.

A section is asked about as a page of its own. Insights are merged without a request; a summary is asked for again from the sections'
summaries and their quotes; ratings are asked from a condensed page that has all headings and the beginnings of all paragraphs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from enrich.grounding.statements import same_insights
from enrich.llm.costs import estimate_tokens
from enrich.stages.fields import FieldAnswer
from enrich.stages.judges import MAX_INSIGHTS, NEAR_SAME, statement
from enrich.wiki.data import SCORES
from enrich.wiki.pages import Page
from enrich.wiki.visible import split_sentences

# The stages that are asked section by section; others get a condensed page.
IN_SECTIONS = ("summary", "insights")
LEAST_ROOM = 200  # a section of fewer tokens says too little
_HEADING = re.compile(r"(#{1,6})[ \t]+\S")
_FENCE = re.compile(r"[ \t]*(```|~~~)")
_OVERLAP = 0.08  # of a section's room: the last paragraph before it, if it continues what is under one heading
# What a condensed page keeps of each paragraph, and at last of the first one under each heading.
_SHARES = (1.0, 0.5, 0.25, 0.1)


def split_page(page: Page, room: int) -> list[Page]:
    """The page as pages of at most about `room` tokens each, cut at headings where possible, else between paragraphs.

    A part begins with the headings above it, and if it continues what is under a heading, with the last paragraph of the part before.
    """
    parts: list[list[str]] = [[]]
    used, last_path = 0, list[str]()
    blocks = list(_blocks(page.body, room))
    for place, (headings, text) in enumerate(blocks):
        size = estimate_tokens(text)
        # A heading does not end a part, and a part that is half full ends where a section of the page ends.
        opens = _level(text) > 0
        ahead = size + (estimate_tokens(blocks[place + 1][1]) if opens and place + 1 < len(blocks) else 0)
        if parts[-1] and (used + ahead > room or (opens and used > room * 0.7)):
            previous = parts[-1][-1]
            again = not opens and headings == last_path and estimate_tokens(previous) <= room * _OVERLAP
            parts.append([*headings, *([previous] if again else [])])
            used = sum(map(estimate_tokens, parts[-1]))
        parts[-1].append(text)
        used += size
        last_path = headings
    # Without its number: an edit that adds a part must not make other parts new questions.
    title = f"{page.title} (a part of the page)"
    return [replace(page, frontmatter={**page.frontmatter, "title": title}, body="\n\n".join(part)) for part in parts]


def _level(text: str) -> int:
    """The level of a heading, 0 for other text."""
    found = _HEADING.match(text)
    return len(found[1]) if found is not None else 0


def _blocks(body: str, room: int) -> Iterator[tuple[list[str], str]]:
    """(headings above, text) of each paragraph, heading, table or piece of code; what is larger than the room is cut at line ends."""
    headings: list[str] = []
    for block in _paragraphs(body):
        if level := _level(block):
            headings = [one for one in headings if _level(one) < level]
            yield headings, block
            headings = [*headings, block]
        else:
            for piece in [block] if estimate_tokens(block) <= room else _cut(block, room):
                yield headings, piece


def _paragraphs(body: str) -> Iterator[str]:
    lines: list[str] = []
    fence = ""
    for line in body.split("\n"):
        mark = _FENCE.match(line)
        if mark is not None:
            fence = "" if fence == mark[1] else fence or mark[1]
        if fence or (line.strip() and not _level(line)):
            lines.append(line)
            continue
        if lines:
            yield "\n".join(lines)
        lines = []
        if line.strip():
            yield line
    if lines:
        yield "\n".join(lines)


def _units(text: str) -> tuple[list[str], str]:
    """(the lines of a text, or the sentences of its only line; what joins them)."""
    lines = text.split("\n")
    return (lines, "\n") if len(lines) > 1 else ([text[start:end] for start, end in split_sentences(text)], " ")


def _cut(text: str, room: int) -> Iterator[str]:
    """The text in pieces of at most `room` tokens: at line ends, then at sentence ends, then anywhere."""
    units, glue = _units(text)
    if len(units) < 2:
        # One token is at least one character.
        yield from (text[at : at + room] for at in range(0, len(text), max(1, room)))
        return
    piece: list[str] = []
    used = 0
    for unit in units:
        size = estimate_tokens(unit) + 1
        if piece and used + size > room:
            yield glue.join(piece)
            piece, used = [], 0
        if size > room:
            yield from _cut(unit, room)
        else:
            piece.append(unit)
            used += size
    if piece:
        yield glue.join(piece)


def condensed_page(page: Page, room: int) -> Page:
    """The page with all its headings and the beginnings of its paragraphs, in at most about `room` tokens."""
    blocks = list(_paragraphs(page.body))
    headings = [block for block in blocks if _level(block)]
    opening = [block for before, block in zip(["#", *blocks], blocks, strict=False) if _level(block) or before[:1] == "#"]
    for kept, share in [*((blocks, share) for share in _SHARES), (opening, _SHARES[-1]), (headings, 1.0)]:
        body = "\n\n".join(_beginning(block, share) for block in kept)
        if estimate_tokens(body) <= room:
            break
    else:
        body = next(_cut(body, room), "")
    return replace(page, body=f"[Condensed: headings and the beginnings of paragraphs]\n\n{body}")


def _beginning(block: str, share: float) -> str:
    """A heading as it is; of other text the first sentences or lines that make up this share of it, at least one."""
    if share >= 1 or _level(block):
        return block
    units, glue = _units(block)
    wanted = max(1, round(len(units) * share))
    return glue.join(units[:wanted]) + (" […]" if wanted < len(units) else "")


def summaries_page(page: Page, parts: Sequence[tuple[Page, Mapping[str, Any]]]) -> Page:
    """A page of the sections' summaries with the quotes they rest on, for the summary of the whole page."""
    pieces = ["[Summaries of the page's parts, each with its quotes]"]
    for part, answer in parts:
        heading = next(filter(_level, part.body.split("\n")), "")
        quotes = "\n".join(f"- {quote}" for quote in answer.get("evidence", ()))
        pieces += [piece for piece in (heading, str(answer.get("summary", "")), quotes) if piece]
    return replace(page, body="\n\n".join(pieces))


def merged_insights(answers: Sequence[Sequence[FieldAnswer]]) -> dict[str, Any]:
    """The best insights of all sections as one answer: each once, those without a hard finding first, then by their scores."""
    ranked: list[tuple[bool, float, Mapping[str, Any]]] = []
    for fields in answers:
        hard = {finding.where.partition(".")[0] for finding in fields[0].hard}
        for place, insight in enumerate(fields[0].value):
            ranked.append((f"insights[{place}]" in hard, -sum(insight[score] for score in SCORES), insight))
    best: list[Mapping[str, Any]] = []
    for _, _, insight in sorted(ranked, key=lambda one: one[:2]):
        if not same_insights([statement(insight)], [statement(one) for one in best], NEAR_SAME):
            best.append(insight)
    return {"insights": [dict(insight) for insight in best[:MAX_INSIGHTS]]}
