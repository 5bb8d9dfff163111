"""The hallucination risk: factors of a page in order, and the integrity of its footnotes and arXiv ids (exact values of a record's field)."""

from __future__ import annotations

import pytest

from enrich.metrics.risk import RiskReport, hallucination_risk, integrity
from enrich.metrics.structure import structure
from enrich.wiki.profile import load_profile
from tests.demo import cases

CASES = cases(__file__)

PROFILE = load_profile()


def risk(
    body: str = "", *, kind: str | None = None, content_format: str = "article", rigor: float | None = None, quality: float | None = None
) -> RiskReport:
    return hallucination_risk(
        structure(body, PROFILE),
        integrity(body),
        entity_type=kind,
        content_format=content_format,
        rigor=rigor,
        quality=quality,
        year=2026,
        rules=PROFILE.risk,
    )


def test_a_short_page_without_anything_starts_at_forty() -> None:
    assert risk("few words") == RiskReport(30, "low", ("minimal-content",), ())


def test_factors_come_in_the_reference_order_and_are_clamped() -> None:
    report = risk("word " * 600, kind="person", rigor=2, quality=10)
    assert report.factors == ("biographical-claims", "no-citations", "low-rigor-score", "low-quality-score", "few-external-sources")
    assert (report.score, report.level) == (95, "high")
    assert risk("w", kind="concept", content_format="table", rigor=9, quality=90).score == 0


def test_citations_are_weighed_by_their_density() -> None:
    def cited(notes: int) -> tuple[str, ...]:
        return risk(
            "word " * 600 + " ".join(f"x[^{n}]" for n in range(notes)) + "".join(f"\n[^{n}]: https://e.org/{n}" for n in range(notes))
        ).factors

    assert cited(1)[0] == "low-citation-density"
    assert "moderately-cited" in cited(4)
    assert "well-cited" in cited(9)


@pytest.mark.parametrize(("body", "names"), CASES["integrity_is_read_from_the_body"])
def test_integrity_is_read_from_the_body(body: str, names: list[str]) -> None:
    report = risk(body)
    assert report.integrity == tuple(names)
    assert report.factors[len(report.factors) - len(names) :] == tuple(names)
    assert ("integrityIssues" in report.record()) == bool(names)
