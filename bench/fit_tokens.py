"""Fit the weights of `enrich.llm.costs` again: `pip install bpe-openai`, then `python bench/fit_tokens.py [FOLDER OF PAGES TO TEST ON]`.

The corpus is what a Debian machine with a few Python packages has: their READMEs, this repository's pages, and translated messages of system
programs. Texts below the given folder are used for testing only.
"""

from __future__ import annotations

import gettext
import random
import sys
from pathlib import Path

import bpe_openai
import numpy as np
from scipy.optimize import lsq_linear

from enrich.llm.costs import _OUTSIDE_ASCII, _WEIGHTS

PATTERNS = [pattern for pattern, _ in (*_WEIGHTS, *_OUTSIDE_ASCII)]
LANGUAGES = ("de", "fr", "ru", "zh_CN", "ja", "ko", "es", "pl")
ENCODING = bpe_openai.get_encoding("o200k_base")


def counts(text: str) -> list[int]:
    return [len(pattern.findall(text)) for pattern in PATTERNS]


def tokens(text: str) -> int:
    return len(ENCODING.encode_ordinary(text))


def documents(folders: list[Path], patterns: tuple[str, ...], most: int, least_size: int) -> list[str]:
    texts: dict[str, str] = {}
    for path in sorted(path for folder in folders for pattern in patterns for path in folder.rglob(pattern)):
        if path.is_file() and least_size <= path.stat().st_size <= 60_000:
            text = path.read_text(encoding="utf-8", errors="ignore")
            texts.setdefault(text[:3000], text)
    chosen = list(texts.values())
    random.Random(1).shuffle(chosen)
    return chosen[:most]


def messages(language: str) -> list[str]:
    """Up to twenty pieces of 8,000 characters of translated messages."""
    said: list[str] = []
    for path in sorted(Path("/usr/share").rglob(f"{language}/LC_MESSAGES/*.mo")):
        try:
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except (OSError, UnicodeDecodeError):
            continue
        said += [text for original, text in catalogue.items() if original and isinstance(text, str)]
    whole = "\n".join(said)
    return [whole[start : start + 8000] for start in range(0, min(len(whole), 160_000), 8000)]


def report(name: str, texts: list[str], worth: np.ndarray) -> None:
    if not texts:
        return
    counted = np.array([tokens(text) for text in texts])
    estimated = np.array([counts(text) for text in texts]) @ worth
    off = np.abs(estimated / counted - 1)
    total = estimated.sum() / counted.sum() - 1
    middle, most = np.percentile(off, [50, 95])
    figures = f"sum {total:+.3f}, median {middle:.3f}, 95 % {most:.3f}, worst {off.max():.3f}"
    print(f"{name:10} {len(texts):4} texts: {figures}")


def main() -> None:
    repository = Path(__file__).resolve().parents[1]
    packages = [Path(folder) for folder in sys.path if folder.endswith("site-packages")]
    readmes = documents([*packages, Path("/usr/share")], ("*.md", "*.rst", "METADATA"), 400, 3000)
    own = documents([repository / "content"], ("*.md", "*.mdx"), 100, 500)
    foreign = {language: messages(language) for language in LANGUAGES}
    fitted = (
        [(text, 1.0) for text in readmes] + [(text, 3.0) for text in own] + [(text, 0.3) for texts in foreign.values() for text in texts]
    )
    counted = np.array([tokens(text) for text, _ in fitted], float)
    weight = np.array([weight for _, weight in fitted]) / counted
    found = lsq_linear(np.array([counts(text) for text, _ in fitted], float) * weight[:, None], counted * weight, bounds=(0, 3)).x
    for pattern, worth in zip(PATTERNS, found, strict=True):
        print(f"{worth:.3f}  {pattern.pattern}")
    report("READMEs", readmes, found)
    report("own pages", own, found)
    for language, texts in foreign.items():
        report(language, texts, found)
    if len(sys.argv) > 1:
        report("tested on", documents([Path(sys.argv[1])], ("*.md", "*.mdx"), 10_000, 1), found)


if __name__ == "__main__":
    main()
