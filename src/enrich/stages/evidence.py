"""Evidence quotes of an answer, located on the page."""

from __future__ import annotations

from collections.abc import Sequence

from enrich.grounding import Finding, PageIndex, gives_orders
from enrich.stages.fields import Evidence


def checked_evidence(quotes: Sequence[str], index: PageIndex, where: str) -> tuple[list[Evidence], list[Finding]]:
    """Each quote with its place on the page (repaired to the page's own words where it was off by little), and what was wrong.

    A quote that is not on the page comes back with `found=False` and a hard finding; a repaired one with a soft finding.
    """
    located: list[Evidence] = []
    findings: list[Finding] = []
    for quote in quotes:
        match = index.find_quote(quote)
        if match is None:
            located.append(Evidence(quote, where, found=False, verbatim=False))
            findings.append(Finding("quote", "hard", f"the evidence is not on the page: {quote[:120]!r}", where))
            continue
        if order := gives_orders(match.page_text):
            findings.append(Finding("orders", "hard", f"the evidence stands in text that gives orders to a model: {order[:80]!r}", where))
        lines = (match.start_line, match.end_line)
        located.append(Evidence(match.text, where, lines, match.section, found=True, verbatim=match.exact))
        if not match.exact:
            findings.append(Finding("quote", "soft", f"the evidence was repaired to the page's words (it said: {quote[:120]!r})", where))
    return located, findings
