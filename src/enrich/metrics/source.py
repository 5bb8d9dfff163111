"""The text that the counts are taken from: a page without frontmatter and import lines, as the reference build cuts it.

Its cut is lazy: frontmatter ends at the first `---` after the opening one, wherever it stands, so a `---` inside a value ends it early.
That is kept here, under its own name, because the counts are defined on it; everything else uses `wiki.pages.split`.
"""

from __future__ import annotations

import regex

from enrich.metrics.javascript import S, line_breaks

_LAZY_FRONTMATTER = regex.compile(r"\A---.*?---\n*", regex.DOTALL)
_IMPORT_LINE = regex.compile(rf"^import[{S}].*$", regex.MULTILINE)


def counted_text(text: str) -> str:
    """The LF-normalised page text without its frontmatter (lazy cut) and import lines: the input of every count of FIELDS.md section 2."""
    without_frontmatter: str = _LAZY_FRONTMATTER.sub("", text, count=1)
    return str(_IMPORT_LINE.sub("", line_breaks(without_frontmatter)))
