"""Does a text speak of this page at all: how many of its words stand there in some form.

Numbers and quotes can be right in a text that is about something else (an instruction that the page's text gave the model, another page, a
general opinion). A text about a page uses mostly the page's words: of 159 stored summaries of the reference wiki half have 94 % of their
words on their page, and the nine below 50 % belong to pages whose content is drawn by components and is not in the file; of 394 stored
insights none is below 62 %. Half of the summaries held against another page's text stay below 50 %.
"""

from __future__ import annotations

from enrich.grounding.findings import Finding
from enrich.grounding.page import PageIndex
from enrich.grounding.words import stems

_LEAST_SHARE = 0.5
# Fewer words say too little for a share of them to mean anything (and scripts without blanks give few, long words).
_FEWEST = 6


def check_vocabulary(text: str, index: PageIndex, *, where: str) -> list[Finding]:
    """A hard finding where less than half of the text's words stand on the page in any form."""
    wanted = stems([text])
    if len(wanted) < _FEWEST:
        return []
    missing = wanted - index.stems
    if len(missing) <= (1 - _LEAST_SHARE) * len(wanted):
        return []
    share = round(100 * (1 - len(missing) / len(wanted)))
    return [Finding("off-page", "hard", f"speaks of something else: only {share} % of its words stand on the page", where)]
