"""Synthetic wikis of any size for measurements: Zipf-like words of our own making, subjects, shared passages, tables, links and entities.

    python bench/wikis.py FOLDER --pages 5600

The text means nothing; what counts is its shape: pages of about 20 kB, a few words on nearly every page and many on a few, passages that two
or three pages have in common, and the markup that metrics look for. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

WORDS_A_PAGE = 2600
VOCABULARY = 60_000
SUBJECTS = 60
SUBJECT_WORDS = 600
SHARED_PASSAGES = 400
FOLDERS = ("risks", "responses", "people", "models", "organizations")
_ONSETS = ("b", "br", "d", "dr", "f", "g", "gl", "h", "k", "kl", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "tr", "v", "w", "z")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
_CODAS = ("", "", "n", "r", "l", "s", "nd", "rk", "st")


def write_wiki(folder: Path, pages: int, seed: int = 1) -> None:
    """Writes a wiki of so many pages into `folder`, with entities, resources and dates."""
    rng = np.random.default_rng(seed)
    words = _vocabulary(rng)
    weights = 1 / np.arange(1, VOCABULARY + 1)
    chances = np.cumsum(weights / weights.sum())
    subjects = rng.integers(200, VOCABULARY, (SUBJECTS, SUBJECT_WORDS))
    passages = [_draw(rng, chances, subjects[int(rng.integers(SUBJECTS))], 120) for _ in range(SHARED_PASSAGES)]
    ids = [f"page-{number}" for number in range(pages)]
    resources = [{"id": f"{number:016x}", "url": f"https://example.org/{number}", "title": f"Source {number}"} for number in range(2000)]
    modified, created = {}, {}
    for number in range(pages):
        path = f"{FOLDERS[number % len(FOLDERS)]}/{ids[number]}.mdx"
        subject = subjects[int(rng.integers(SUBJECTS))]
        drawn = [words[place] for place in _draw(rng, chances, subject, WORDS_A_PAGE)]
        for _ in range(int(rng.integers(0, 3))):
            at = int(rng.integers(len(drawn)))
            drawn[at:at] = [words[place] for place in passages[int(rng.integers(SHARED_PASSAGES))]]
        file = folder / "content" / "docs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_page(rng, number, drawn, ids), encoding="utf-8")
        day = f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}"
        modified[path] = created[path] = day
    data = folder / "content" / "data"
    (data / "entities").mkdir(parents=True, exist_ok=True)
    (data / "resources.json").write_text(json.dumps(resources), encoding="utf-8")
    (data / "git-dates.json").write_text(json.dumps({"modified": modified, "created": created}), encoding="utf-8")
    (data / "entities" / "all.yaml").write_text("".join(_entity(rng, number, ids) for number in range(0, pages, 2)), encoding="utf-8")
    (folder / "enrich.toml").write_text("[wiki]\n", encoding="utf-8")


def _vocabulary(rng: np.random.Generator) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < VOCABULARY:
        syllables = 1 + int(rng.integers(0, 3)) + (len(found) > 300)
        parts = [_ONSETS[int(rng.integers(len(_ONSETS)))] + _VOWELS[int(rng.integers(len(_VOWELS)))] for _ in range(syllables)]
        found["".join(parts) + _CODAS[int(rng.integers(len(_CODAS)))]] = None
    return list(found)


def _draw(rng: np.random.Generator, chances: np.ndarray, subject: np.ndarray, count: int) -> list[int]:
    """Places in the vocabulary: three of four by Zipf over all words, one over the subject's own."""
    general = np.searchsorted(chances, rng.random(count))
    own = subject[(SUBJECT_WORDS * rng.random(count) ** 2).astype(int)]
    chosen: list[int] = np.minimum(np.where(rng.random(count) < 0.75, general, own), VOCABULARY - 1).tolist()
    return chosen


def _page(rng: np.random.Generator, number: int, words: list[str], ids: list[str]) -> str:
    frontmatter = (
        f'---\ntitle: "Page {number}"\ndescription: "{" ".join(words[:12])}"\nquality: {int(rng.integers(10, 95))}\n'
        f"readerImportance: {int(rng.integers(0, 200)) / 2}\nresearchImportance: {int(rng.integers(0, 200)) / 2}\nupdate_frequency: 45\n"
        f'llmSummary: "{" ".join(words[12:40])}"\nratings:\n  novelty: 4.5\n  rigor: {int(rng.integers(2, 9))}\n  actionability: 5\n'
        f"  completeness: 6.2\nlastEdited: 2026-01-{1 + number % 28:02d}\n---\n"
    )
    parts = [frontmatter]
    for section, start in enumerate(range(0, len(words), 260)):
        part = words[start : start + 260]
        parts.append(f"## {' '.join(part[:3])}\n" if section else "## Overview\n")
        link = ids[int(rng.integers(len(ids)))]
        sentences = [" ".join(part[at : at + 20]).capitalize() + "." for at in range(3, len(part), 20)]
        sentences[0] += f' <EntityLink id="{link}">{part[0]}</EntityLink>'
        sentences[-1] += f" [{part[1]}](https://example.org/{int(rng.integers(4000))})"
        parts.append(" ".join(sentences[:8]) + "\n")
        parts.append("\n".join(f"- {sentence}" for sentence in sentences[8:]) + "\n")
        if section % 3 == 1:
            parts.append(f"| {part[4]} | {part[5]} |\n|---|---|\n| {section * 7}% | {part[6]} |\n")
    return "\n".join(parts)


def _entity(rng: np.random.Generator, number: int, ids: list[str]) -> str:
    related = "".join(f"    - id: {ids[int(rng.integers(len(ids)))]}\n      relationship: related\n" for _ in range(3))
    return f"- id: {ids[number]}\n  type: concept\n  title: Page {number}\n  relatedEntries:\n{related}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=700)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write_wiki(given.folder, given.pages, given.seed)
