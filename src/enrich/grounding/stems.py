"""Words without their endings, crudely: enough to tell whether two texts share a subject."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Words of four letters and more carry the subject; their first five letters stand for all forms of a word.
_WORD = re.compile(r"[^\W\d_]{4,}")
_LETTERS = 5


def stems(texts: Iterable[str]) -> set[str]:
    """The first five letters, in lower case, of the words of four letters and more."""
    # All texts at once, and each word once: a page has thousands of words in hundreds of lines.
    return {word[:_LETTERS] for word in set(_WORD.findall("\n".join(texts).lower()))}
