"""What a valid answer is, stage by stage: the schema that is sent, the judge of what returns, the form that a person fills in.

Answers to the same question are compared here too: samples are combined into one answer, and old insights are kept in place of unchanged ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from statistics import median
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model

from enrich.errors import AnswerError
from enrich.grounding import Finding, PageIndex, self_talk
from enrich.grounding.statements import same_insights, same_statement
from enrich.stages.fields import (
    INSIGHT_STEP,
    INSIGHTS,
    RATING_STEP,
    SUMMARY,
    Evidence,
    FieldAnswer,
    Judge,
    blemish,
    checked_evidence,
    checked_value,
    is_missing,
    markup_findings,
    on_grid,
    plain_line,
    stage_of,
    validated,
    within,
)
from enrich.stages.scores import rating_findings
from enrich.wiki.data import SCORES, quotes_of
from enrich.wiki.visible import split_sentences, word_count

MAX_WORDS = 70  # of a summary: twice the reference wiki's median; named in the prompt
MAX_INSIGHTS = 5  # DESIGN.md section 4.4
MAX_QUOTES = 2  # of an insight: a statement can join two places of a page
_MAX_SENTENCES = 2
_MAX_EVIDENCE = 6
_MAX_REASON = 500

InsightType = Literal["claim", "counterintuitive", "quantitative", "research-gap", "disagreement", "neglected"]
# What is sent names the nine values, so that a server which enforces schemas keeps to the grid; what returns only has to be in range.
_HALF_POINTS = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
Score = Annotated[float, Field(ge=1, le=5, allow_inf_nan=False), WithJsonSchema({"type": "number", "enum": _HALF_POINTS})]
_STRICT = ConfigDict(extra="forbid", strict=True)
# Limits for what is checked, not for what is asked for (so not in the schema that is sent): a longer text or list would keep the checks busy.
_Text = Annotated[str, Field(max_length=4_000), WithJsonSchema({"type": "string"})]
_MAX_LISTED = 50
Item = TypeVar("Item")


def _few(items: list[Item]) -> list[Item]:
    if len(items) > _MAX_LISTED:
        raise ValueError(f"at most {_MAX_LISTED} entries are allowed")
    return items


def _at_most(items: int) -> Any:
    """The bound of a list that is sent; a longer list is trimmed, not refused."""
    return Field(json_schema_extra={"maxItems": items})


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SummaryAnswer(BaseModel):
    model_config = _STRICT
    summary: _Text
    evidence: Annotated[list[_Text], AfterValidator(_few), _at_most(_MAX_EVIDENCE)]


class InsightAnswer(BaseModel):
    """`evidence` is a list; a single text, as a page holds it, is a list of one. A person's insight has no `reason`."""

    model_config = _STRICT
    type: InsightType
    evidence: Annotated[list[_Text], BeforeValidator(_listed), AfterValidator(_few), _at_most(MAX_QUOTES)]
    text: _Text
    reason: _Text = ""
    surprising: Score
    important: Score
    actionable: Score


class InsightsAnswer(BaseModel):
    model_config = _STRICT
    insights: Annotated[list[InsightAnswer], AfterValidator(_few), _at_most(MAX_INSIGHTS)]


_Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$", max_length=60), WithJsonSchema({"type": "string"})]
_Tags = Annotated[list[_Tag], Field(min_length=1, max_length=6)]
# What else can be asked about an insight (FIELDS.md section 18.4).
EXTRAS: dict[str, Any] = {"neglected": Score, "compact": Score, "tags": _Tags}


@cache
def _insights_model(extras: tuple[str, ...], *, optional: bool = False) -> type[InsightsAnswer]:
    """The model of an answer whose insights have these extras; `optional`: may have them, as a person's values do."""
    if not extras:
        return InsightsAnswer
    parts: dict[str, Any] = {name: (EXTRAS[name] | None, None) if optional else (EXTRAS[name], ...) for name in extras}
    item = create_model("InsightAnswer", __base__=InsightAnswer, **parts)
    listed: Any = (Annotated[list[item], AfterValidator(_few)], ...)
    return create_model("InsightsAnswer", __base__=InsightsAnswer, insights=listed)


class DimensionAnswer(BaseModel):
    model_config = _STRICT
    reason: str
    # The step is sent, but a score off the grid is rounded, not refused.
    score: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False, json_schema_extra={"multipleOf": RATING_STEP})]


@cache
def answer_model(stage: str, dimensions: tuple[str, ...], extras: tuple[str, ...] = ()) -> type[BaseModel]:
    """The model of a stage's part of an answer; the one of `ratings` has a part per dimension, in the given order. `extras`: of insights."""
    if stage == "ratings":
        parts: dict[str, Any] = dict.fromkeys(dimensions, (DimensionAnswer, ...))
        return create_model("RatingsAnswer", __config__=_STRICT, **parts)
    return SummaryAnswer if stage == "summary" else _insights_model(extras)


def judge_of(stage: str, dimensions: Sequence[str] = (), extras: tuple[str, ...] | None = None) -> Judge:
    """The judge of a stage's answers; `dimensions` are those of `ratings`, `extras` those that insights must have (None: may have)."""
    if stage == "ratings":
        return partial(_ratings, tuple(dimensions))
    if stage == "summary":
        return _summary
    return partial(_insights, _insights_model(tuple(EXTRAS), optional=True) if extras is None else _insights_model(extras))


def _summary(data: Any, index: PageIndex) -> list[FieldAnswer]:
    """The field `llmSummary`: one or two sentences, each number in a quote of the page."""
    answer = validated(SummaryAnswer, data)
    text, findings = _first_sentences(plain_line(answer.summary), SUMMARY)
    if not text:
        raise AnswerError("invalid", "`summary` is empty: write one or two sentences")
    if (length := word_count(text)) > MAX_WORDS:
        findings.append(blemish(f"{length} words (at most {MAX_WORDS} were asked for)", SUMMARY))
    quotes = [quote for quote in map(plain_line, answer.evidence) if quote][:_MAX_EVIDENCE]
    evidence, problems = checked_evidence(quotes, index, SUMMARY)
    # A quote that is not on the page proves nothing; it is a hard finding through what depends on it, or where most quotes are invented.
    invented = 2 * sum(not item.found for item in evidence) > len(evidence)
    findings += [problem if problem.kind == "orders" or invented else blemish(problem.message, SUMMARY) for problem in problems]
    findings += index.check(text, [item.quote for item in evidence if item.found], where=SUMMARY)
    if not any(item.found for item in evidence):
        findings.append(Finding("quote", "hard", "no quote of the page was given that supports it", SUMMARY))
    findings += markup_findings(text, SUMMARY)
    return [FieldAnswer(SUMMARY, text, tuple(findings), tuple(evidence))]


def _insights(model: type[InsightsAnswer], data: Any, index: PageIndex) -> list[FieldAnswer]:
    """The field `insights`: statements worth knowing, each scored and supported by one or two quotes of the page (DESIGN.md section 4.4)."""
    insights = validated(model, data).insights
    findings: list[Finding] = []
    evidence: list[Evidence] = []
    values: list[dict[str, Any]] = []
    reasons: list[str] = []
    if len(insights) > MAX_INSIGHTS:
        findings.append(blemish(f"{len(insights)} insights: the first {MAX_INSIGHTS} were kept", INSIGHTS))
    for number, insight in enumerate(insights[:MAX_INSIGHTS]):
        where = f"{INSIGHTS}[{number}]"
        text, quotes = plain_line(insight.text), [quote for quote in map(plain_line, insight.evidence) if quote]
        if not text or not quotes:
            raise AnswerError("invalid", f"`{where}` has an empty {'evidence' if text else 'text'}")
        if len(quotes) > MAX_QUOTES:
            findings.append(blemish(f"{len(quotes)} quotes: the first {MAX_QUOTES} were kept", where))
        text, trimmed = _first_sentences(text, where)
        located, problems = checked_evidence(quotes[:MAX_QUOTES], index, where)
        shown = [item.quote for item in located]
        evidence += located
        reasons.append(plain_line(insight.reason)[:_MAX_REASON])
        findings += [*trimmed, *problems, *index.check(text, [item.quote for item in located if item.found], where=where)]
        findings += [finding for part in (text, *shown) for finding in markup_findings(part, where)]
        given = {name: value for name in (*SCORES, *EXTRAS) if (value := getattr(insight, name, None)) is not None}
        scores = {name: value if name == "tags" else on_grid(value, INSIGHT_STEP) for name, value in given.items()}
        off_grid = (name for name, value in given.items() if scores[name] != value)
        findings += [blemish(f"{name} {given[name]:g} is not a half point: {scores[name]} taken", where) for name in off_grid]
        values.append({"type": insight.type, "text": text, **scores, "evidence": shown if len(shown) > 1 else shown[0]})
    return [FieldAnswer(INSIGHTS, values, tuple(findings), tuple(evidence), reasons=tuple(reasons))]


def _ratings(dimensions: tuple[str, ...], data: Any, index: PageIndex) -> list[FieldAnswer]:
    """The fields `ratings.<dimension>`: 0 to 10 with one decimal, and a reason for each."""
    answer: Mapping[str, DimensionAnswer] = dict(validated(answer_model("ratings", dimensions), data))
    reasons = {name: plain_line(answer[name].reason)[:_MAX_REASON] for name in dimensions}
    # One dimension alone is a person's edit, or cannot be compared with the others.
    given = {name: (answer[name].score, reason) for name, reason in reasons.items()}
    problems = rating_findings(given, index) if len(dimensions) > 1 else {}
    fields = []
    for name in dimensions:
        part, field, reason = answer[name], f"ratings.{name}", reasons[name]
        value = on_grid(part.score, RATING_STEP)
        findings = [blemish(f"{part.score:g} has more than one decimal: {value} taken", field)] if value != part.score else []
        if talk := self_talk(reason):
            findings.append(blemish(f"the reason is not a reason: {talk}", field))
        fields.append(FieldAnswer(field, value, (*findings, *problems.get(name, ())), (), reason))
    return fields


def _first_sentences(text: str, where: str) -> tuple[str, list[Finding]]:
    sentences = [text[start:end] for start, end in split_sentences(text)]
    if len(sentences) <= _MAX_SENTENCES:
        return text, []
    return " ".join(sentences[:_MAX_SENTENCES]), [blemish(f"{len(sentences)} sentences: the first {_MAX_SENTENCES} were kept", where)]


def form_of(field: str, value: Any, *, quotes: Sequence[str] = (), reason: str = "") -> dict[str, Any]:
    """The field's value as keys that a person can edit: `summary` and `evidence`, `insights`, or `score` and `reason`.

    It is the part of an answer that the field's judge takes, so a person's value is held to the rules of a model's answer.

    >>> form_of("ratings.rigor", 4.5, reason="Two trials.")
    {'score': 4.5, 'reason': 'Two trials.'}
    """
    stage = stage_of(field)
    if stage == "summary":
        return {"summary": value, "evidence": list(quotes)}
    if stage == "insights":
        return {"insights": [dict(item) if isinstance(item, Mapping) else item for item in value or []]}
    return {"score": value, "reason": reason} if stage else {"value": value}


def judged(field: str, form: Any, index: PageIndex) -> FieldAnswer:
    """The field as a filled-in form says, with the findings on it. Raises `AnswerError("invalid", …)` for an invalid value."""
    if not isinstance(form, dict):
        raise AnswerError("invalid", "not a mapping: keep the keys of the form")
    stage, dimension = stage_of(field), field.partition(".")[2]
    if not stage:
        return _own_value(field, form.get("value"))
    answer = judge_of(stage, (dimension,))({dimension: form} if stage == "ratings" else form, index)[0]
    if not answer.value and stage == "insights":
        raise AnswerError("invalid", "no insight is left: reject the field to leave the page as it is")
    return answer


def _own_value(field: str, value: Any) -> FieldAnswer:
    """A person's value for a field of a further stage: texts on one line and without markup."""
    empty = "the value is empty: reject the field to leave the page as it is"
    if is_missing(value):
        raise AnswerError("invalid", empty)
    plain, findings = checked_value(value, field, empty, lambda text: ())
    return FieldAnswer(field, plain, tuple(findings))


def with_value(field: str, form: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """The form with another value in it: for a decision that has the value only."""
    return {**form, next(iter(form)): value}


# The share of words that two texts must have in common to be the same statement in nearly the same words: a changed word or two. Two
# statements about the same subject share about half.
NEAR_SAME = 0.8
Sample = Sequence[FieldAnswer]


def pairs(old: Sequence[Any], new: Sequence[Any]) -> dict[int, int]:
    """Place in `new` → place in `old` of the same insight: same evidence first, then nearly the same text; each is used once."""
    return same_insights([statement(one) for one in new], [statement(one) for one in old], NEAR_SAME)


def kept(
    old: Sequence[Any],
    new: Sequence[Mapping[str, Any]],
    noise: float | Callable[[int, str], float],
    untouchable: frozenset[int] = frozenset(),
    language: str = "en",
) -> tuple[list[Any], list[int]]:
    """(`new` with the words, the order and the scores of `old` wherever an insight is the same one, the place in `new` of each).

    Matched insights come first, in their old order and in their old words; a score is replaced if it differs by `noise` (of its place in `new` and
    its name) or more. The others follow in their own order. Insights of `new` at the places in `untouchable` (with findings that a person must
    see) stay as they are.
    """
    twins = {
        place: twin
        for place, twin in pairs(old, new).items()
        if place not in untouchable and same_statement(statement(old[twin])[0], statement(new[place])[0], language)
    }
    order = [*sorted(twins, key=twins.__getitem__), *(place for place in range(len(new)) if place not in twins)]
    each = noise if callable(noise) else lambda place, score: noise
    return [_renewed(old[twins[place]], new[place], partial(each, place)) if place in twins else new[place] for place in order], order


def _renewed(old: Mapping[str, Any], new: Mapping[str, Any], noise: Callable[[str], float]) -> dict[str, Any]:
    renewed = dict(old)
    # Evidence that was not found again verbatim is replaced by what the page says now.
    if statement(old)[1].casefold().split() != statement(new)[1].casefold().split():
        renewed["evidence"] = new.get("evidence")
    for score in (*SCORES, *EXTRAS):
        if new.get(score) is not None and not within(old.get(score), new[score], noise(score)):
            renewed[score] = new[score]
    return renewed


def statement(insight: Any) -> tuple[str, str]:
    """(text, its quotes as one text) of an insight; "" for what is missing."""
    given = insight if isinstance(insight, Mapping) else {}
    return str(given.get("text") or "").replace("\\$", "$"), " … ".join(quotes_of(given)).replace("\\$", "$")


def combined(stage: str, samples: Sequence[Sample]) -> list[FieldAnswer]:
    """The fields of one stage from its samples (at least one), each with its `spread`: (least, greatest) by the part of the value.

    `ratings`: the median of each dimension, with the reason of the sample that comes closest to it. `insights`: those of the sample with the
    fewest findings; each score is the median over all samples that give the same insight. `summary`: the one with the fewest findings.
    The first sample wins among equals.
    """
    if len(samples) == 1:
        return list(samples[0])
    if stage == "ratings":
        return [_combined_rating(same_field) for same_field in zip(*samples, strict=True)]
    best = min(samples, key=lambda sample: (sum(len(field.hard) for field in sample), sum(len(field.findings) for field in sample)))
    if stage == "insights":
        return [_combined_insights(best[0], [sample[0].value for sample in samples if sample is not best], len(samples))]
    return [replace(field, samples=len(samples)) for field in best]


def _combined_rating(samples: Sequence[FieldAnswer]) -> FieldAnswer:
    scores = [float(answer.value) for answer in samples]
    middle = on_grid(median(scores), RATING_STEP)
    nearest = min(samples, key=lambda answer: abs(float(answer.value) - middle))
    return replace(nearest, value=middle, spread={nearest.field: (min(scores), max(scores))}, samples=len(samples))


def _combined_insights(best: FieldAnswer, others: Sequence[Sequence[Mapping[str, Any]]], samples: int) -> FieldAnswer:
    given: list[dict[str, list[float]]] = [{score: [insight[score]] for score in SCORES} for insight in best.value]
    for other in others:
        for place, twin in pairs(other, best.value).items():
            for score in SCORES:
                given[place][score].append(other[twin][score])
    values = [
        {**insight, **{score: on_grid(median(numbers), INSIGHT_STEP) for score, numbers in scores.items()}}
        for insight, scores in zip(best.value, given, strict=True)
    ]
    spread = {
        f"insights[{place}].{score}": (min(numbers), max(numbers))
        for place, scores in enumerate(given)
        for score, numbers in scores.items()
    }
    return replace(best, value=values, spread=spread, samples=samples)
