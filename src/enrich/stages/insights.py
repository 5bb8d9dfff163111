"""The stage `insights`: statements worth knowing, each scored and carried by one quote of the page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from enrich.errors import AnswerError
from enrich.grounding import Finding, PageIndex
from enrich.stages.evidence import checked_evidence
from enrich.stages.fields import Evidence, FieldAnswer
from enrich.stages.reading import on_grid, validated
from enrich.stages.text import blemish, markup_findings, plain_line
from enrich.wiki.data import SCORES as SCORES
from enrich.wiki.visible import split_sentences

FIELD = "insights"
MAX_INSIGHTS = 5  # DESIGN.md section 4.4
MAX_SENTENCES = 2
SCORE_STEP = 0.5  # FIELDS.md section 11: half points from 1 to 5

InsightType = Literal["claim", "counterintuitive", "quantitative", "research-gap", "disagreement", "neglected"]
# What is sent names the nine values, so that a server which enforces schemas keeps to the grid; what returns only has to be in range.
_HALF_POINTS = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
Score = Annotated[float, Field(ge=1, le=5, allow_inf_nan=False), WithJsonSchema({"type": "number", "enum": _HALF_POINTS})]


class InsightAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    type: InsightType
    evidence: str
    text: str
    surprising: Score
    important: Score
    actionable: Score


class InsightsAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    insights: list[InsightAnswer]


def judge(data: Any, index: PageIndex) -> list[FieldAnswer]:
    """The field `insights`, a list of mappings as DESIGN.md section 4.4 shows (see `fields.Judge`)."""
    answer = validated(InsightsAnswer, data)
    findings: list[Finding] = []
    evidence: list[Evidence] = []
    values: list[dict[str, Any]] = []
    if len(answer.insights) > MAX_INSIGHTS:
        findings.append(blemish(f"{len(answer.insights)} insights: the first {MAX_INSIGHTS} were kept", FIELD))
    for number, insight in enumerate(answer.insights[:MAX_INSIGHTS]):
        where = f"{FIELD}[{number}]"
        text, quote = plain_line(insight.text), plain_line(insight.evidence)
        if not text or not quote:
            raise AnswerError("invalid", f"`{where}` has an empty {'evidence' if text else 'text'}")
        sentences = [text[start:end] for start, end in split_sentences(text)]
        if len(sentences) > MAX_SENTENCES:
            text = " ".join(sentences[:MAX_SENTENCES])
            findings.append(blemish(f"{len(sentences)} sentences: the first {MAX_SENTENCES} were kept", where))
        located, problems = checked_evidence([quote], index, where)
        evidence.extend(located)
        findings.extend(problems)
        findings.extend(index.check(text, [item.quote for item in located if item.found], where=where))
        findings.extend(index.check_subject(text, where=where))
        findings.extend(markup_findings(text, where))
        findings.extend(markup_findings(located[0].quote, where))
        value: dict[str, Any] = {"type": insight.type, "text": text}
        for score in SCORES:
            value[score], off_grid = on_grid(getattr(insight, score), SCORE_STEP)
            if off_grid:
                findings.append(blemish(f"{score} {getattr(insight, score):g} is no half point: {value[score]} taken", where))
        value["evidence"] = located[0].quote
        values.append(value)
    return [FieldAnswer(FIELD, values, tuple(findings), tuple(evidence))]
