"""Numbers from one page's text: structure, links, risk, coverage, quality. Pure functions; the data of a wiki comes in as its profile."""

from enrich.metrics.coverage import CoverageFacts, coverage
from enrich.metrics.grading import GradingCounts, content_type, grading_counts, prose_words
from enrich.metrics.links import Links, links, referenced_resources, resource_map, unconverted_links
from enrich.metrics.quality import agreement, quality_from_ratings, suggested_quality
from enrich.metrics.risk import Integrity, RiskReport, hallucination_risk, integrity
from enrich.metrics.source import counted_text
from enrich.metrics.structure import Structure, older_structural_score, structural_score, structure, word_count

__all__ = [
    "CoverageFacts",
    "GradingCounts",
    "Integrity",
    "Links",
    "RiskReport",
    "Structure",
    "agreement",
    "content_type",
    "counted_text",
    "coverage",
    "grading_counts",
    "hallucination_risk",
    "integrity",
    "links",
    "older_structural_score",
    "prose_words",
    "quality_from_ratings",
    "referenced_resources",
    "resource_map",
    "structural_score",
    "structure",
    "suggested_quality",
    "unconverted_links",
    "word_count",
]
