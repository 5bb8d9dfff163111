"""What is measured: one text against its page (unsupported numbers, copied runs, key terms), which insights say the same, and the metrics of a set.

Metrics are of one set of answers, alone and against golden ones, each with its bootstrap interval by page. Floors are from `[eval.floors]` in
enrich.toml or `--floor`: a prompt or model passes if every floor is held.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import Any, Literal

import numpy as np

from enrich.errors import UserError
from enrich.evaluation.answers import AnswerSet, ScoredInsight
from enrich.evaluation.statistics import (
    Estimate,
    Floats,
    Resampling,
    Statistic,
    deviation,
    mean,
    median,
    mix_distance,
    quadratic_kappa,
    spearman,
)
from enrich.grounding import PageIndex
from enrich.grounding.statements import likeness, same_insights
from enrich.stages.baseline import terms, words_of
from enrich.wiki import yaml12
from enrich.wiki.data import SCORES, TYPES
from enrich.wiki.pages import Page

RUN = 6
"""Words in a row that count as copied: shorter runs are idioms and names ("the cost of a single run of the")."""
KEY_TERMS = 10
SAME_INSIGHT = 0.4
"""Two insights are the same from this share of shared terms on. Of 982 pairs of different stored insights of one page in the reference
wiki's sample 21 reach it; read by hand, nearly all of these say the same. The median pair has 0.06."""
# A title's word says more about the subject than any line does; a heading covers its section.
_HEADING_WEIGHT = 3
_TITLE_WEIGHT = 5

_WORD = re.compile(r"[^\W_]+(?:[.,'’][^\W_]+)*")


class PageTexts:
    """One page, indexed once for measuring texts against it."""

    def __init__(self, page: Page) -> None:
        self.index = PageIndex.of(page)
        self._verdicts: dict[tuple[str, tuple[str, ...] | None], bool] = {}

    def unsupported(self, text: str, evidence: Sequence[str] | None = None) -> bool:
        """Whether anything in `text` is not supported by these quotes or, without `evidence`, by the page."""
        key = (text, None if evidence is None else tuple(evidence))
        if key not in self._verdicts:
            findings = self.index.check(text, evidence)
            self._verdicts[key] = any(finding.severity == "hard" for finding in findings)
        return self._verdicts[key]

    def grounded(self, text: str, evidence: Sequence[str]) -> bool:
        """Whether the quote is on the page and supports everything in `text` that needs a quote."""
        return all(map(self.index.find_quote, evidence)) and not self.unsupported(text, evidence)

    def copied(self, text: str) -> tuple[float, int]:
        """(the share of words in runs of `RUN` and more that are on the page word for word, the length of the longest run)."""
        words = words_in_order(text)
        covered: set[int] = set()
        longest = 0
        for start in range(len(words) - RUN + 1):
            # Every run within a run is on the page too, so only longer ones than the longest are tried.
            if self._has(words[start : start + RUN]):
                covered.update(range(start, start + RUN))
                longest = max(longest, RUN)
                while start + longest < len(words) and self._has(words[start : start + longest + 1]):
                    longest += 1
        return len(covered) / len(words) if words else 0.0, longest

    def coverage(self, text: str) -> float | None:
        """The share of the page's key terms that `text` uses; None for a page without words."""
        return len(self.key_terms & terms(words_of(text))) / len(self.key_terms) if self.key_terms else None

    @cached_property
    def key_terms(self) -> frozenset[str]:
        """The ten terms that most lines of the page use; title and headings weigh more."""
        counts: Counter[str] = Counter()
        for line in self.index.lines:
            if line.kind == "code":
                continue
            weight = _TITLE_WEIGHT if line.section == "title" and not line.number else _HEADING_WEIGHT if line.kind == "heading" else 1
            for term in terms(words_of(line.text)):
                counts[term] += weight
        ranked = sorted(counts, key=lambda term: (-counts[term], term))
        return frozenset(ranked[:KEY_TERMS])

    def _has(self, words: Sequence[str]) -> bool:
        return f" {' '.join(words)} " in self._words

    @cached_property
    def _words(self) -> str:
        return f" {' '.join(word for line in self.index.lines for word in words_in_order(line.text))} "


def words_in_order(text: str) -> list[str]:
    """The words and numbers of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower().replace("’", "'"))


@lru_cache(maxsize=4096)
def _terms(text: str) -> Counter[str]:
    return Counter(terms(words_of(text)))


def overlap(one: str, other: str) -> float:
    """The share of terms that two texts have in common (F1, which is the Dice coefficient)."""
    return likeness(one, other, _terms) if _terms(one) or _terms(other) else 1.0


def insight_pairs(ones: Sequence[ScoredInsight], others: Sequence[ScoredInsight]) -> list[tuple[int, int]]:
    """(index in `ones`, index in `others`) of the same insights, each used once, in the order of `ones`."""
    first, second = ([(one.text, " … ".join(one.evidence)) for one in side] for side in (ones, others))
    return sorted(same_insights(first, second, SAME_INSIGHT, _terms).items())


def repeated(insights: Sequence[ScoredInsight]) -> list[bool]:
    """For each insight, whether an earlier one says the same."""
    texts = [one.text for one in insights]
    return [any(likeness(text, earlier, _terms) >= SAME_INSIGHT for earlier in texts[:place]) for place, text in enumerate(texts)]


Metrics = dict[str, Estimate]
Texts = Mapping[str, PageTexts]
Row = tuple[Any, ...]  # (page, value, …)
Named = Iterator[tuple[str, Statistic, Sequence[Row]]]


@dataclass(frozen=True, slots=True)
class MetricKind:
    """How the values of a metric are shown, which way is better, and what it measures (see `metrics.yaml`)."""

    form: Literal["share", "points", "count"]
    better: Literal["higher", "lower", "zero", "none"]
    description: str


@cache
def metric_kinds() -> dict[str, MetricKind]:
    """All kinds by name, with `<score>`, `<type>` and `<dimension>` for the parts that vary."""
    table = yaml12.load(resources.files(__package__).joinpath("metrics.yaml").read_text(encoding="utf-8"))
    return {name: MetricKind(*row) for name, row in table.items()}


def metric_kind(name: str) -> MetricKind | None:
    """The kind of the metric `name`, None if there is no such metric."""
    match name.split("."):
        case ["insights", "type", _]:
            name = "insights.type.<type>"
        case ["insights", score, last] if score in SCORES:
            name = f"insights.<score>.{last}"
        case ["ratings", _, last]:
            name = f"ratings.<dimension>.{last}"
        case [_, last] if last.startswith("<"):
            return None
    return metric_kinds().get(name)


def metrics(
    answers: AnswerSet,
    golden: AnswerSet | None,
    texts: Texts,
    typical: tuple[float, float],
    resampling: Mapping[str, Resampling],
) -> Metrics:
    """All metrics by name, in the order of tables, without those that these sets have no values for.

    `golden`: None for the golden set itself. `typical`: the range of ratings that is stated as typical. `resampling`: the draws by stage.
    """
    parts = (
        ("summary", _summary_metrics(answers, golden, texts)),
        ("insights", _insight_metrics(answers, golden, texts)),
        ("ratings", _rating_metrics(answers, golden, typical)),
    )
    return {name: resampling[stage].estimate(statistic, rows) for stage, named in parts for name, statistic, rows in named if rows}


def _summary_metrics(answers: AnswerSet, golden: AnswerSet | None, texts: Texts) -> Named:
    given = [(one.page, one.summary, one.summary_evidence) for one in answers.with_stage("summary") if one.summary is not None]
    yield "summary.unsupported", mean, [(page, texts[page].unsupported(text)) for page, text, _ in given]
    quoted = [(page, texts[page].unsupported(text, quotes)) for page, text, quotes in given if quotes is not None]
    yield "summary.unproven", mean, quoted
    yield "summary.words", mean, [(page, len(words_in_order(text))) for page, text, _ in given]
    copied = [(page, *texts[page].copied(text)) for page, text, _ in given]
    yield "summary.copied", mean, [(page, share) for page, share, _ in copied]
    yield "summary.longest_copy", mean, [(page, longest) for page, _, longest in copied]
    yield "summary.coverage", mean, [(page, share) for page, text, _ in given if (share := texts[page].coverage(text)) is not None]
    if golden is not None:
        both = [(page, overlap(text, other)) for page, text, _ in given if (other := golden.of(page).summary) is not None]
        yield "summary.agreement", mean, both


def _insight_metrics(answers: AnswerSet, golden: AnswerSet | None, texts: Texts) -> Named:
    lists = {one.page: one.insights for one in answers.with_stage("insights") if one.insights is not None}
    yield "insights.per_page", mean, [(page, len(insights)) for page, insights in lists.items()]
    each = [(page, insight) for page, insights in lists.items() for insight in insights]
    grounded = [(page, texts[page].grounded(one.text, one.evidence)) for page, one in each if one.evidence]
    yield "insights.grounded", mean, grounded
    yield "insights.unsupported", mean, [(page, texts[page].unsupported(one.text)) for page, one in each]
    yield "insights.duplicates", mean, [(page, again) for page, insights in lists.items() for again in repeated(insights)]
    pairs = [] if golden is None else list(common_insights(answers, golden))
    if golden is not None:
        yield from _found_insights(lists, golden)
    for name in TYPES:
        yield f"insights.type.{name}", mean, [(page, one.type == name) for page, one in each]
    for score in SCORES:
        scored = [(page, one.scores[score]) for page, one in each if score in one.scores]
        yield f"insights.{score}.mean", mean, scored
        yield f"insights.{score}.spread", deviation, scored
        both = [(page, a.scores[score], b.scores[score]) for page, a, b in pairs if score in a.scores and score in b.scores]
        yield f"insights.{score}.bias", mean, [(page, mine - theirs) for page, mine, theirs in both]
        yield f"insights.{score}.rank", spearman, both


def _found_insights(lists: Mapping[str, Sequence[ScoredInsight]], golden: AnswerSet) -> Named:
    shared = {page: theirs for page in lists if (theirs := golden.of(page).insights) is not None}
    found: list[Row] = []
    for page, theirs in shared.items():
        hit = {place for _, place in insight_pairs(lists[page], theirs)}
        found += [(page, place in hit) for place in range(len(theirs))]
    yield "insights.found", mean, found
    if found:
        counts = [
            (page, [sum(one.type == name for one in part) for part in (lists[page], shared[page]) for name in TYPES]) for page in shared
        ]
        yield "insights.mix", mix_distance, counts


def _rating_metrics(answers: AnswerSet, golden: AnswerSet | None, typical: tuple[float, float]) -> Named:
    low, high = typical

    def inflation(weights: Floats, x: Floats) -> Floats:
        """How far the median is above `high` (positive) or below `low` (negative)."""
        middle = median(weights, x)
        return np.maximum(middle - high, 0) + np.minimum(middle - low, 0)

    rated = answers.with_stage("ratings")
    for name in dict.fromkeys(name for one in rated for name in one.ratings):
        ours = [(one.page, one.ratings[name]) for one in rated if name in one.ratings]
        yield f"ratings.{name}.mean", mean, ours
        yield f"ratings.{name}.spread", deviation, ours
        yield f"ratings.{name}.inflation", inflation, ours
        yield f"ratings.{name}.above", mean, [(page, value > high) for page, value in ours]
        both = [(page, value, other) for page, value in ours if golden and (other := golden.of(page).ratings.get(name)) is not None]
        yield f"ratings.{name}.mae", mean, [(page, abs(value - other)) for page, value, other in both]
        yield f"ratings.{name}.bias", mean, [(page, value - other) for page, value, other in both]
        yield f"ratings.{name}.spearman", spearman, both
        yield f"ratings.{name}.kappa", quadratic_kappa, both


def common_insights(ones: AnswerSet, others: AnswerSet) -> Iterator[tuple[str, ScoredInsight, ScoredInsight]]:
    """(page, insight of `ones`, the same insight in `others`)."""
    for given in ones.with_stage("insights"):
        mine, theirs = given.insights or (), others.of(given.page).insights or ()
        for i, j in insight_pairs(mine, theirs):
            yield given.page, mine[i], theirs[j]


_FORM = re.compile(r"\s*(?P<metric>[^<>=\s]+)\s*(?P<sign><=|>=|=)\s*(?P<bound>[^\s<>=]+)\s*")
Sign = Literal[">=", "<=", "near"]
_BETTER: Mapping[str, Sign] = {"higher": ">=", "lower": "<=", "zero": "near"}


@dataclass(frozen=True, slots=True)
class Floor:
    """`metric` must be at least (`>=`) or at most (`<=`) `bound`; `near`: its absolute value must be at most `bound`.

    `value`: what was reached. None, without a value, misses every floor.
    """

    metric: str
    sign: Sign
    bound: float
    value: float | None = None

    @property
    def text(self) -> str:
        return f"|{self.metric}| <= {self.bound:g}" if self.sign == "near" else f"{self.metric} {self.sign} {self.bound:g}"

    @property
    def held(self) -> bool:
        if self.value is None:
            return False
        # Decimals are compared as they are written: 0.1 + 0.2 reaches 0.3.
        if self.sign == ">=":
            return self.value >= self.bound - 1e-9
        return (abs(self.value) if self.sign == "near" else self.value) <= self.bound + 1e-9


def read_floors(table: Mapping[str, float | str], given: Iterable[str], *, where: str) -> list[Floor]:
    """The floors of the configuration's table and those of the command line, which replace them metric by metric.

    `metric = number` takes the side that is better for the metric; one that only describes needs `<=` or `>=`. Raises `UserError` for an
    unknown metric or a bound that is not a number. `where` names the table.
    """
    signs = {metric: "" if str(bound).strip().startswith(("<=", ">=")) else "=" for metric, bound in table.items()}
    configured = [_floor(f"{metric}{signs[metric]}{bound}", where) for metric, bound in table.items()]
    named = [_floor(text, "") for text in given]
    floors = [*(floor for floor in configured if floor.metric not in {one.metric for one in named}), *named]
    # A metric can have a lower and an upper bound; of two bounds on the same side the later one counts.
    return list({(floor.metric, floor.sign == "<="): floor for floor in floors}.values())


def _floor(text: str, where: str) -> Floor:
    code = 1 if where else 2
    match = _FORM.fullmatch(text)
    if match is None:
        raise UserError(f"invalid floor: {text!r}", where=where, do="write METRIC=NUMBER, METRIC>=NUMBER or METRIC<=NUMBER", exit_code=code)
    metric, sign, bound = match["metric"], match["sign"], match["bound"]
    kind = metric_kind(metric)
    if kind is None:
        names = list(metric_kinds())
        close = get_close_matches(metric, names, n=3, cutoff=0.4) or names[:3]
        raise UserError(f"unknown metric {metric!r}", where=where, do=f"did you mean {', '.join(close)}?", exit_code=code)
    try:
        number = float(bound)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"the floor of {metric} cannot be {bound!r}", where=where, do="write a number; shares are 0 to 1", exit_code=code)
    if sign == "=" and kind.better == "none":
        do = f"say which: {metric}>={bound} or {metric}<={bound}"
        raise UserError(f"{metric} has no better side", where=where, do=do, exit_code=code)
    return Floor(metric, _BETTER[kind.better] if sign == "=" else ">=" if sign == ">=" else "<=", number)
