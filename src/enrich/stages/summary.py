"""The stage `summary`: one or two sentences, each number in a quote of the page."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from enrich.errors import AnswerError
from enrich.grounding import Finding, PageIndex
from enrich.stages.evidence import checked_evidence
from enrich.stages.fields import FieldAnswer
from enrich.stages.reading import validated
from enrich.stages.text import blemish, markup_findings, plain_line
from enrich.wiki.visible import split_sentences

FIELD = "llmSummary"
MAX_SENTENCES = 2  # DESIGN.md section 4.4
MAX_WORDS = 70  # twice the reference wiki's median; said in the prompt
MAX_EVIDENCE = 6


class SummaryAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    summary: str
    evidence: list[str]


def judge(data: Any, index: PageIndex) -> list[FieldAnswer]:
    """The field `llmSummary` (see `fields.Judge`)."""
    answer = validated(SummaryAnswer, data)
    text = plain_line(answer.summary)
    if not text:
        raise AnswerError("invalid", "`summary` is empty: write one or two sentences")
    findings: list[Finding] = []
    sentences = [text[start:end] for start, end in split_sentences(text)]
    if len(sentences) > MAX_SENTENCES:
        text = " ".join(sentences[:MAX_SENTENCES])
        findings.append(blemish(f"{len(sentences)} sentences: the first {MAX_SENTENCES} were kept", FIELD))
    if len(text.split()) > MAX_WORDS:
        findings.append(blemish(f"{len(text.split())} words (at most {MAX_WORDS} were asked for)", FIELD))
    quotes = [quote for quote in map(plain_line, answer.evidence) if quote][:MAX_EVIDENCE]
    evidence, problems = checked_evidence(quotes, index, FIELD)
    # A quote that is not on the page proves nothing; for a summary it is a hard finding only through the numbers that lean on it.
    findings.extend(problem if problem.kind == "orders" else blemish(problem.message, FIELD) for problem in problems)
    findings.extend(index.check(text, [item.quote for item in evidence if item.found], where=FIELD))
    if not any(item.found for item in evidence):
        findings.append(Finding("quote", "hard", "no quote of the page was given that carries it", FIELD))
    findings.extend(index.check_subject(text, where=FIELD))
    findings.extend(markup_findings(text, FIELD))
    return [FieldAnswer(FIELD, text, tuple(findings), tuple(evidence))]
