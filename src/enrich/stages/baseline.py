"""The offline baseline: extractive summary and insights, ratings from structure. No network, no key, the same answer each time.

Everything it says is one of the page's sentences, word for word, so no number and no statement in it can be missing from the page. The word
lists are in `baseline_words.yaml`; for languages that they do not cover, the checks on form alone decide.

The ratings are a ridge regression on twenty-odd counts of a page's structure and wording. `bench/fit_baseline.py` fits
`baseline_coefficients.yaml` and says in it on what and with which cross-validated error. A dimension that structure does not predict has no
weights: every page gets the median of the rated pages, and the reason says so. Only the body counts, so the frontmatter (least of all an
earlier rating) cannot leak into a rating. Rates are per thousand visible words, with a floor of 100 words for stubs; counts enter as
log(1 + n), as their effect fades.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from string import ascii_lowercase
from typing import Any

import regex

from enrich.metrics.phrases import phrases
from enrich.metrics.structure import count_citations, structure
from enrich.wiki import yaml12
from enrich.wiki.pages import Page
from enrich.wiki.profile import Profile, load_profile
from enrich.wiki.visible import Kind, Sentence, VisibleText, split_sentences, visible, wide_words, word_count

WORDS: dict[str, Any] = yaml12.load((resources.files("enrich.stages") / "baseline_words.yaml").read_text(encoding="utf-8"))

_MIN_WORDS = 6  # shorter sentences are labels and exclamations
_MAX_WORDS = 50  # longer ones are mostly lists, and leave no room for a second one
# Past this many, more sentences only cost time: a page so long is mostly a log or a list, and says early what it is about.
_MOST = 2000

# Scripts without spaces between words: two characters count as one word, and overlapping pairs are used as words.
_WIDE = "぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿"
_WIDE_RUN = regex.compile(f"[{_WIDE}]+")
_ASCII_WORD = re.compile(r"[a-z][a-z0-9'-]*")
_WORD = regex.compile(rf"[^\W\d_{_WIDE}](?:[^\W{_WIDE}]|['’-])*")
_NUMBERING = regex.compile(r"\d{1,9}[.)] +")

_STOP_WORDS = frozenset(WORDS["stop_words"].split())
_LEANING = frozenset(WORDS["leaning"].split())
_LEANING_PHRASE = regex.compile(f"(?:{'|'.join(WORDS['leaning_phrases'])})")
_OWN_NAME = regex.compile(rf"this (?:{'|'.join(WORDS['own_names'].split())})\b")
_DEMONSTRATIVE = frozenset(WORDS["demonstratives"].split())
_DEMONSTRATIVE_WITHIN = 7  # words: later on, they mostly refer to the sentence's own beginning
_POINTING = frozenset(WORDS["pointing"].split())
_PLACE = f"(?:{'|'.join(WORDS['places'].split())})s?"
_POINTS_ELSEWHERE = regex.compile("|".join(WORDS["pointing_phrases"]).replace("{place}", _PLACE))
_PLACEHOLDERS = frozenset(WORDS["placeholders"].split())

_END = regex.compile(r"[.!…。！][\"'”’»)\]」』”）]*\Z")
_START = regex.compile(r"[\"'“‘«(「『（]?[\p{Lu}\p{Lt}\p{Lo}\p{N}$€£¥~≈]")
# Markup, formulas, addresses, cells, the gap that a component without text leaves: not a plain sentence.
_ODD = re.compile(r"[{}\\|`<>\[\]$:=_*#]|www| [.,]")  # checked first, since most sentences have none of these
_NO_PROSE = regex.compile(
    r"[{}\\|`]|[<>]\p{L}|</|\]\(|\[\^|\$[^\s\d]|https?:|www\.|[=_*#]{2}| [.,](?:\s|\Z)|(?i:\b(?:javascript|vbscript|data):\S)"
)
# Up to five words and a colon before the sentence proper, as in "Cost: each page is paid once.".
_LABEL = regex.compile(r"(?:[^\s:,.;]+ ){0,4}[^\s:,.;]+: ")
_SMALL_WORD = regex.compile(r" \p{Ll}")
_CAPITAL = re.compile(r"[A-Z]")
_NO_LETTER = re.compile(r"[^A-Za-z \x80-\U0010ffff]")
_MAX_ODD = 0.4  # of the characters that are not spaces: digits, signs, marks
_MIN_SMALL = 0.35  # of the words, in scripts with capitals: with fewer it is a heading or a list of names


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One sentence of the page; `place` counts the page's sentences of its kind from 0, `words` are its distinct words in lower case."""

    text: str
    place: int
    kind: Kind
    length: int
    words: frozenset[str]
    terms: frozenset[str]


class PageSentences:
    """What the baseline knows about one page's sentences. Made once a page; `shown` is the visible text of its body if that is known."""

    def __init__(self, title: str, description: str, body: str, shown: VisibleText | None = None) -> None:
        self.title, self.description, self.body, self._shown = title, description, body, shown

    @cached_property
    def visible(self) -> VisibleText:
        return self._shown or visible(self.body)

    @cached_property
    def prose(self) -> tuple[Candidate, ...]:
        """The sentences of running text that can be quoted alone, in order."""
        return tuple(_candidates(self.visible.prose, "prose"))

    @cached_property
    def listed(self) -> tuple[Candidate, ...]:
        """The sentences of list items that can be quoted alone, in order."""
        return tuple(_candidates(self.visible.sentences(("list",)), "list"))

    @cached_property
    def weights(self) -> dict[str, float]:
        """log(1 + n) of each term that occurs in n ≥ 2 sentences: the page's centroid (MEAD: Radev et al. 2004, "Centroid-based
        summarization of multiple documents"). A term of one sentence does not say what the page is about, nor does boilerplate: a
        sentence that is repeated counts once."""
        distinct = {candidate.text: candidate.terms for candidate in (*self.prose, *self.listed)}
        counts = Counter(term for found in distinct.values() for term in found)
        return {term: math.log1p(count) for term, count in counts.items() if count > 1}

    def centrality(self, candidate: Candidate) -> float:
        """Nearness to the centroid, about 0 to 10: the terms' weights over the root of their number, so that length alone does not count."""
        weights = self.weights
        return sum(weights.get(term, 0.0) for term in candidate.terms) / math.sqrt(len(candidate.terms) + 4)


# The stages of one page, asked one after the other, share the work.
_page_sentences = lru_cache(maxsize=8)(PageSentences)


def _candidates(sentences: tuple[Sentence, ...], kind: Kind) -> Iterator[Candidate]:
    for place, sentence in enumerate(sentences[:_MOST]):
        text = sentence.text
        if kind == "list" and text[:1].isdigit():
            text = _NUMBERING.sub("", text, count=1)
        length = word_count(text)
        if not _MIN_WORDS <= length <= _MAX_WORDS or _leans_back(text) or not is_plain(text):
            continue
        words = words_of(text)
        if not _points_elsewhere(text, words):
            yield Candidate(text, place, kind, length, words, terms(words))


def clipped(sentences: Iterable[str], words: int) -> list[str]:
    """As many of the sentences, in order, as fit into so many words."""
    kept: list[str] = []
    for sentence in sentences:
        words -= word_count(sentence)
        if words < 0:
            break
        kept.append(sentence)
    return kept


def words_of(text: str) -> frozenset[str]:
    """The distinct words in lower case; pairs of characters in scripts without spaces between words."""
    lower = text.lower()
    if lower.isascii():
        return frozenset(_ASCII_WORD.findall(lower))
    found = set(_WORD.findall(lower))
    for run in _WIDE_RUN.findall(lower):
        found.update(run[at : at + 2] for at in range(len(run) - 1))
    return frozenset(found)


def terms(words: frozenset[str]) -> frozenset[str]:
    """Of `words_of` a text: those that carry meaning, without their plural."""
    kept = [word for word in words - _STOP_WORDS if len(word) > 2 or not word.isascii()]
    return frozenset([word[:-1] if word[-1] == "s" and len(word) > 4 and word[-2] != "s" else word for word in kept])


def is_plain(text: str) -> bool:
    """Whether this is a whole sentence in plain words: it begins and ends as one, without markup, formula, address or cell."""
    if not _END.search(text, max(0, len(text) - 4)) or not _START.match(text) or not text.isprintable():
        return False
    if text.count('"') % 2 or any(text.count(one) != text.count(other) for one, other in ("()", "[]", "“”")):
        return False
    if _ODD.search(text) and _NO_PROSE.search(text):
        return False
    spaces = text.count(" ")
    if len(_NO_LETTER.findall(text)) > _MAX_ODD * (len(text) - spaces):
        return False
    return len(_CAPITAL.findall(text)) <= (1 - _MIN_SMALL) * spaces or len(_SMALL_WORD.findall(text)) >= _MIN_SMALL * spaces


def _leans_back(text: str) -> bool:
    """Whether its beginning refers to the sentence before."""
    start = text.lower().lstrip("\"'“‘«(").replace("’", "'")
    head = start.split(maxsplit=_DEMONSTRATIVE_WITHIN)[:_DEMONSTRATIVE_WITHIN]
    first = head[0].rstrip(",;:") if head else ""
    if first in _LEANING or first.partition("'")[0] in _LEANING:
        return first != "this" or not _OWN_NAME.match(start)
    return not _DEMONSTRATIVE.isdisjoint(head) or _LEANING_PHRASE.match(start) is not None


def _points_elsewhere(text: str, words: frozenset[str]) -> bool:
    """Whether it refers to another place of the page, or is a placeholder; `words`: `words_of(text)`."""
    return not words.isdisjoint(_PLACEHOLDERS) or (not words.isdisjoint(_POINTING) and _POINTS_ELSEWHERE.search(text.lower()) is not None)


# --- ratings ---


COEFFICIENTS = "baseline_coefficients.yaml"
NAMES = tuple(WORDS["features"])
# How far from the fitted pages' mean a feature may pull, in standard deviations: a page unlike all of them gets no score unlike theirs.
REACH = 3.0
_FLOOR_WORDS = 100
# A feature is named in the reason if it moved the score by this much.
_WORTH_NAMING = 0.05
_NAMED = 3
# In English only: elsewhere these rates are 0, as they are on an English page that uses none of the words.
_RATED_WORDS = {name: frozenset(WORDS[name].encode().split()) for name in ("hedges", "advice", "reasoning", "past")}
_LETTERS_ONLY = bytes(code if chr(code) in ascii_lowercase else ord(" ") for code in range(256))
_FIGURE = regex.compile(r"\d[\d.,]*")
_RANGE = regex.compile(r"\d\s?%?\s?[-–]\s?\$?\d")


@lru_cache(maxsize=1)
def _profile() -> Profile:
    return load_profile("longterm-wiki")  # the coefficients were fitted with its components


def features(page: PageSentences) -> tuple[float, ...]:
    """One value for each of `NAMES`."""
    # A body that begins with a rule must not be taken for frontmatter (`counted_text` cuts lazily).
    counts = structure("\n" + page.body, _profile(), words=False)
    cited = count_citations(page.body, _profile().resource_component)
    by_kind = {"prose": 0, "list": 0, "table": 0}
    parts = []
    for line in page.visible.lines:
        if line.kind in by_kind:
            by_kind[line.kind] += len(line.text)
            parts.append(line.text)
    text = "\n".join(parts)
    # In half the time of an expression for words.
    used = Counter(text.lower().encode("utf-8", "replace").translate(_LETTERS_ONLY).split())
    words = text.count(" ") + text.count("\n") + 1 + wide_words(text) if text else 0
    total = max(1, sum(by_kind.values()))
    per = 1000 / max(words, _FLOOR_WORDS)
    sentences = page.visible.prose
    numbers = _FIGURE.findall(text)
    years = sum(1 for number in numbers if len(number) == 4 and number[:2] in ("19", "20"))
    values = {
        "words": math.log1p(words),
        "prose_share": by_kind["prose"] / total,
        "sections": math.log1p(counts.section_count),
        "subsection_share": counts.h3_count / max(1, counts.section_count),
        "tables": math.log1p(counts.table_count),
        "table_share": by_kind["table"] / total,
        "diagrams": math.log1p(counts.diagram_count),
        "internal_links": math.log1p(counts.internal_links * per),
        "external_links": math.log1p(counts.external_links * per),
        "citations": math.log1p((counts.footnote_count + cited) * per),
        "footnotes": math.log1p(counts.footnote_count * per),
        "bullets": counts.bullet_ratio,
        "overview": float(counts.has_overview),
        "code_blocks": math.log1p(counts.code_block_count),
        "sentence_length": math.log1p(sum(len(s.text) for s in sentences) / 6 / max(1, len(sentences))),
        "numbers": math.log1p((len(numbers) - years) * per),
        "years": math.log1p(years * per),
        "ranges": math.log1p(len(_RANGE.findall(text)) * per),
        "questions": math.log1p(text.count("?") * per),
        **{name: math.log1p(sum(used[word] for word in listed) * per) for name, listed in _RATED_WORDS.items()},
    }
    return tuple(values[name] for name in NAMES)


@lru_cache(maxsize=1)
def _fitted() -> dict[str, Any]:
    """The shipped coefficients: score = middle + Σ weight · (feature − mean) / deviation, kept between `low` and `high`."""
    data: dict[str, Any] = yaml12.load((resources.files("enrich.stages") / COEFFICIENTS).read_text(encoding="utf-8"))
    if list(data["features"]) != list(NAMES):
        raise RuntimeError(f"{COEFFICIENTS} was fitted on other features: run bench/fit_baseline.py --write")
    return data


def ratings(page: PageSentences, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """`{dimension: {"reason", "score"}}` in the given order: 0 to 10, one decimal."""
    fitted, values = _fitted(), features(page)
    scales = zip(values, fitted["features"].values(), strict=True)
    standard = [max(-REACH, min(REACH, (value - scale["mean"]) / scale["deviation"])) for value, scale in scales]
    return {name: _rated(fitted["dimensions"][name], values, standard) for name in dimensions}


def _rated(dimension: dict[str, Any], values: tuple[float, ...], standard: list[float]) -> dict[str, Any]:
    if not dimension["weights"]:
        reason = f"structure tells nothing about it: the median of {dimension['pages']} rated pages, the same for every page"
        return {"reason": reason, "score": dimension["middle"]}
    parts = [weight * value for weight, value in zip(dimension["weights"].values(), standard, strict=True)]
    score = max(dimension["low"], min(dimension["high"], dimension["middle"] + sum(parts)))
    leading = sorted(range(len(parts)), key=lambda at: -abs(parts[at]))[:_NAMED]
    named = [f"{_said(NAMES[at], values[at])} ({parts[at]:+.1f})" for at in leading if abs(parts[at]) >= _WORTH_NAMING]
    reason = f"from structure alone: {', '.join(named)}" if named else "from structure alone: a page like most"
    return {"reason": reason, "score": round(score, 1)}


def _said(name: str, value: float) -> str:
    """A feature's value in words."""
    words, kind = WORDS["features"][name]
    if kind == "flag":
        return words if value else f"no {words}"
    if kind == "share":
        return f"{value:.0%} {words}" if value >= 0.005 else f"no {words}"
    count = math.expm1(value)
    if kind == "mean":
        return f"{words} of {count:.0f} words"
    if count < 0.05:
        return f"no {words}"
    if kind == "rate":
        return f"{count:.1f} {words} per 1,000 words" if count < 10 else f"{count:.0f} {words} per 1,000 words"
    return f"{count:,.0f} {words if round(count) != 1 else words.removesuffix('s')}"


# --- summary and insights ---


_SUMMARY_WORDS = 70  # named in the summary's prompt
_SUMMARY_CHARACTERS = 1_500  # of a sentence: one without blanks is one word, however long
_ALONE_FROM = 45  # words: a first sentence as long as this needs no second

# The parts of a sentence's score for the summary, each about 0 to 1 before it is weighted. Set by hand; the result hardly depends on them.
_LEAD = 1.0
_CENTRALITY = 1.2
_TITLE = 0.4
_LABELLED = 0.5  # subtracted for a label before the sentence: it is one of several such
_REPEATS = 1.2  # subtracted from the second one for what the first one has said
_NUMBER = 0.25  # added to the second one: results are given in figures
_SAYS_THE_SAME = 0.8  # of its terms: then the second one adds nothing
_USUAL_TERMS = 12  # of a sentence: brings centrality to about 0 to 1

MAX_INSIGHTS = 3
_QUOTED_WORDS = 8  # of an insight's sentence as its evidence, if there are as many more: enough to find it by
LEAST = 1.1  # points below which a sentence is not worth showing: one quantity, or a word of contrast alone, is not enough
_ALIKE = 0.5  # of the smaller one's terms: two sentences that say the same
# The medians of the stored insights that `bench/fit_baseline.py` read, in half points, for every insight: no cue predicts a score better
# (`docs/baseline.md`).
SCORES = {"surprising": 3.0, "important": 3.5, "actionable": 3.0}
_CUES: list[tuple[str, frozenset[str], frozenset[str], regex.Pattern[str]]] = [
    (
        kind,
        frozenset(cue["words"].split()),
        frozenset(cue.get("triggers", "").split()),
        regex.compile("|".join(cue.get("phrases", []))),
    )
    for kind, cue in WORDS["cues"].items()
]
_CONSEQUENCE = frozenset(WORDS["consequences"].split())
# A number with a unit, a currency, a factor or a range; a year or a version is not a quantity.
_QUANTITY = regex.compile(
    rf"[$€£¥]\s?\d[\d.,]*|\d[\d.,]*\s?(?:[%×°]|(?:{'|'.join(WORDS['units'])})\b|-?fold\b)"
    r"|\d[\d.,]*\s?[-–]\s?\d[\d.,]*(?!\d)|\b\d+ (?:of|out of|in) \d+\b"
)
_YEAR_RANGE = regex.compile(r"(?:19|20)\d\d\s?[-–]\s?(?:(?:19|20)\d\d|\d\d\b)")
_DIGIT = regex.compile(r"\d")

_CUE_POINTS = {"research-gap": 1.2, "disagreement": 1.0, "neglected": 1.2, "counterintuitive": 1.0}
_QUANTITY_POINTS = (0.0, 0.7, 1.2, 1.5)  # of none, one, two, three and more
_CONSEQUENCE_POINTS = 0.4
_MOST_CONSEQUENCES = 3
_CENTRALITY_POINTS = 0.5


def answer(stage: str, page: Page, *, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """The baseline's answer to `stage` ("summary", "insights", "ratings") about a page, as JSON data that fits the stage's schema.

    `dimensions` are the ratings asked for, of the seven of FIELDS.md section 12. Depends on title, description and body only.
    """
    sentences = _page_sentences(page.title, page.description, page.body)
    if stage == "ratings":
        return ratings(sentences, dimensions)
    return summary(sentences) if stage == "summary" else insights(sentences)


def summary(page: PageSentences) -> dict[str, Any]:
    """`{"summary", "evidence"}`: one or two of the page's own sentences; the evidence is the sentences themselves."""
    sentences = [sentence[:_SUMMARY_CHARACTERS] for sentence in _chosen(page)]
    return {"summary": " ".join(sentences), "evidence": sentences}


@lru_cache(maxsize=8)
def _chosen(page: PageSentences) -> tuple[str, ...]:
    """The sentences of the summary in page order, one or two.

    By classic extraction (MEAD, Radev et al. 2004): nearness to the page's centroid, an early place, words shared with the title; the second
    one by maximal marginal relevance (Carbonell & Goldstein 1998), so that it adds something.
    """
    if not page.prose:
        return next(tuple(found) for found in _fallbacks(page) if found)
    centre = max(page.weights.values(), default=1.0) * math.sqrt(_USUAL_TERMS)
    title = terms(words_of(page.title))
    scores = {
        candidate: _LEAD / math.sqrt(1 + candidate.place)
        + _CENTRALITY * page.centrality(candidate) / centre
        + _TITLE * len(candidate.terms & title) / (len(title) or 1)
        - _LABELLED * (_LABEL.match(candidate.text) is not None)
        for candidate in page.prose
    }
    ranked = sorted(page.prose, key=scores.__getitem__, reverse=True)
    first = next((candidate for candidate in ranked if _is_sober(candidate.text)), ranked[0])
    room = _SUMMARY_WORDS - first.length
    rest = [candidate for candidate in page.prose if candidate is not first and candidate.length <= room]
    if first.length >= _ALONE_FROM or not rest:
        return (first.text,)

    def repeated(candidate: Candidate) -> float:
        return len(candidate.terms & first.terms) / len(candidate.terms) if candidate.terms else 1.0

    def worth(candidate: Candidate) -> float:
        number = _NUMBER if any(map(str.isdigit, candidate.text)) else 0.0
        return scores[candidate] + number - _REPEATS * repeated(candidate)

    ranked = sorted(rest, key=worth, reverse=True)
    second = next((candidate for candidate in ranked if _is_sober(candidate.text)), None)
    if second is None or repeated(second) > _SAYS_THE_SAME:
        return (first.text,)
    return (first.text, second.text) if first.place < second.place else (second.text, first.text)


def _fallbacks(page: PageSentences) -> Iterator[list[str]]:
    """What to say if no sentence of the running text can be quoted alone, best first; the last one always has something."""
    lines = [line.text for line in visible(page.description).lines if line.kind != "comment"]
    described = [text[start:end] for text in lines for start, end in split_sentences(text)]
    alone = (text for text in described if is_plain(text) and not _leans_back(text) and not _points_elsewhere(text, words_of(text)))
    yield clipped(alone, _SUMMARY_WORDS)[:2]
    yield [candidate.text for candidate in page.listed[:1]]
    yield clipped((sentence.text for sentence in page.visible.prose if is_plain(sentence.text)), _SUMMARY_WORDS)[:1]
    yield clipped(described, _SUMMARY_WORDS)[:1]
    # No sentence at all: the longest line that is short enough, of the kind that says most.
    for kinds in (("prose", "list"), ("footnote", "table", "component"), ("heading", "code")):
        lines = [line.text for line in page.visible.lines if line.kind in kinds and word_count(line.text) <= _SUMMARY_WORDS]
        yield sorted(lines, key=word_count, reverse=True)[:1]
    yield [" ".join(page.title.split())]


def insights(page: PageSentences) -> dict[str, Any]:
    """`{"insights": […]}`: up to three of the page's sentences, best first, none if nothing stands out; its beginning is its evidence.

    A sentence gets points for what statements worth knowing often have (quantities, contrast, uncertainty, opposed views, consequences) and
    for nearness to what the page is about. What the summary has said is not said again. Quantities are seen in any language, cues in English.
    """
    said = set(_chosen(page))
    ranked: list[tuple[float, Candidate, str]] = []
    for candidate in (*page.prose, *page.listed):
        kind, points = _judged(candidate.text, candidate.words)
        if points >= LEAST and candidate.text not in said:
            ranked.append((points + _CENTRALITY_POINTS * page.centrality(candidate), candidate, kind))
    ranked.sort(key=lambda item: -item[0])  # stable: of equals the earlier one
    best: list[tuple[Candidate, str]] = []
    for _, candidate, kind in ranked:
        shared = ((candidate.terms & other.terms, min(len(candidate.terms), len(other.terms))) for other, _ in best)
        is_new = len(best) < MAX_INSIGHTS and not any(common and len(common) >= _ALIKE * smaller for common, smaller in shared)
        if is_new and _is_sober(candidate.text):
            best.append((candidate, kind))
    return {"insights": [{"type": kind, "evidence": _beginning(one.text, page), "text": one.text, **SCORES} for one, kind in best]}


def _beginning(sentence: str, page: PageSentences) -> str:
    """The first words of a long sentence, as many as the page has at one place only: the text of the insight has the others."""
    words = sentence.split(" ")
    everything = "\n".join(line.text for line in page.visible.lines)
    for count in range(_QUOTED_WORDS, len(words) - _QUOTED_WORDS + 1):
        beginning = " ".join(words[:count])
        # A number is not divided from its unit.
        if not _DIGIT.search(words[count - 1]) and everything.count(beginning) == 1:
            return beginning
    return sentence


def _is_sober(text: str) -> bool:
    """Whether `enrich check` reports no phrase in it: a sentence with one is true to its page, but nothing to put above it."""
    return next(phrases().matches(text), None) is None


def _judged(text: str, words: frozenset[str]) -> tuple[str, float]:
    """(the type that the sentence's cues point to, its points for being worth knowing); `words`: its distinct words in lower case."""
    amount = _quantities(text)
    points = _QUANTITY_POINTS[min(amount, 3)] + _CONSEQUENCE_POINTS * min(len(words & _CONSEQUENCE), _MOST_CONSEQUENCES)
    cue = _cue_of(text, words)
    if cue:
        return cue, points + _CUE_POINTS[cue]
    return ("quantitative" if amount else "claim"), points


def _quantities(text: str) -> int:
    """How many quantities a sentence states, without years and versions."""
    return len(_QUANTITY.findall(_YEAR_RANGE.sub("", text))) if _DIGIT.search(text) else 0


def _cue_of(text: str, words: frozenset[str]) -> str:
    """The first type that a cue word or phrase points to, "" for none."""
    for kind, cue_words, triggers, pattern in _CUES:
        if words & cue_words or (words & triggers and pattern.search(text.lower())):
            return kind
    return ""
