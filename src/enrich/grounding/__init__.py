"""Is an answer supported by its page: numbers, quotes and names, and whether it speaks of its subject at all.

`PageIndex` is built once a page; `check` finds what is wrong with one text, `find_quote` locates its evidence. A `Finding` is hard (not
supported) or soft (explained by the page).
"""

from enrich.grounding.evidence import Candidate, Finding
from enrich.grounding.page import Chance, PageIndex
from enrich.grounding.quotes import Quote, normalise
from enrich.grounding.self_talk import gives_orders, self_talk

__all__ = ["Candidate", "Chance", "Finding", "PageIndex", "Quote", "gives_orders", "normalise", "self_talk"]
