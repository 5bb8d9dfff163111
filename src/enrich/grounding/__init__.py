"""Is the answer supported by the page: numbers, quotes, where they stand, and whether it speaks of its subject at all.

`PageIndex` is built once a page; `check_text` judges the numbers of one text, `check_evidence` finds its quotes, `self_talk` tells refusals
and error texts from content. A `Finding` is hard (not supported) or soft (explained by what stands there).
"""

from enrich.grounding.answers import Evidence, check_evidence, check_text
from enrich.grounding.findings import Candidate, Finding
from enrich.grounding.orders import gives_orders
from enrich.grounding.page import PageIndex
from enrich.grounding.quotes import QuoteMatch, normalise
from enrich.grounding.self_talk import self_talk
from enrich.grounding.vocabulary import check_vocabulary

__all__ = [
    "Candidate",
    "Evidence",
    "Finding",
    "PageIndex",
    "QuoteMatch",
    "check_evidence",
    "check_text",
    "check_vocabulary",
    "gives_orders",
    "normalise",
    "self_talk",
]
