"""The phrases that the wording rules look for: data only (FIELDS.md Appendix A).

A phrase is the words it may begin with (`starts`, alternatives divided by `|`) and a regular expression for what follows (`rest`). In
both, a single space stands for any run of blanks within one line; `\\b`, `\\w` and `\\d` are ASCII, as in the reference. Every match is one
finding.
The split lets a page be read once, word by word, however many phrases there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Phrase(NamedTuple):
    """One phrase: case counts if `cased`; `leads` means it must stand at the start of a line or of a sentence."""

    starts: str
    rest: str = r"\b"
    cased: bool = False
    leads: bool = False


@dataclass(frozen=True, slots=True)
class WordingRule:
    """One rule: its phrases, expressions for whole table cells, and the advice that is printed with the words that matched."""

    name: str
    advice: str
    phrases: tuple[Phrase, ...]
    cells: tuple[str, ...] = ()


INSIDER_JARGON = WordingRule(
    "insider-jargon",
    "words of insiders; say it so that an outside reader understands who is meant",
    (
        Phrase("EA", r" (?:money|funding|donors?|funds?|grants?|giving)\b", cased=True),
        Phrase("non-EA", cased=True),
        Phrase("EA-aligned", cased=True),
        Phrase("EA", r" organizations?\b", cased=True),
        Phrase("EA", r" cause(?: areas?)?\b", cased=True),
        Phrase("the community", r"\b(?! (?:of|for|at|in|around|within|that))"),
        Phrase("the movement", r"\b(?! (?:of|for|to|toward|towards))"),
        Phrase("community building", r" (?:work|efforts?|programs?|grants?)\b"),
    ),
)

FALSE_CERTAINTY = WordingRule(
    "false-certainty",
    "more certain than a page can be; give the evidence, a range or a hedge",
    (
        Phrase("True|Actual|Real|Realistic", r" (?:Cost|Value|EV|Expected Value|Impact|Benefit):"),
        Phrase("clearly", r"\b(?! (?:stated|written|visible|marked|labeled|defined|documented|shown|displayed))"),
        Phrase("obviously"),
        Phrase("certainly|undoubtedly|unquestionably|indisputably|without question|without doubt"),
        Phrase("this will", r" (?:lead|result|cause|create|produce|generate|drive|enable)\b"),
        Phrase("guaranteed"),
        Phrase("the only", r" (?:way|option|approach|solution|path|method)\b"),
        Phrase("it is", r" (?:clear|obvious|evident|apparent|plain) that\b"),
    ),
)

PRESCRIPTIVE_LANGUAGE = WordingRule(
    "prescriptive-language",
    "tells the reader what to do; describe who holds this view and why",
    (
        Phrase(
            "We|Organization|Organizations|Policymaker|Policymakers|Government|Governments|Researcher|Researchers"
            "|The field|The sector|The industry",
            r" (?:should|must|need to|ought to)\b",
            cased=True,
            leads=True,
        ),
        Phrase("it is", r" (?:imperative|essential|critical|crucial|vital|urgent) (?:that|to)\b"),
        Phrase("we must act"),
        Phrase("action is", r" (?:needed|required|necessary)\b"),
        Phrase("we need to act"),
        Phrase(
            "this",
            r" (?:is |provides |offers )?(?:the )?(?:canonical|definitive|comprehensive|authoritative|complete|exhaustive)"
            r" (?:source|guide|reference|overview|analysis|treatment)\b",
        ),
        Phrase("this|our|the following", r" (?:rigorous|careful|thorough|detailed|in-depth|exhaustive) analysis\b"),
        Phrase("the", r" (?:right|correct|proper|appropriate|best) (?:approach|response|solution|strategy|answer)\b"),
        Phrase("failure to", r" \w+(?: \w+){0,2} will (?:lead|result|cause|mean)\b"),
        Phrase("cannot|can't|can not", r" afford to\b"),
    ),
)

TONE_MARKERS = WordingRule(
    "tone-markers",
    "tells the reader how to feel about a fact; the fact alone says it",
    (
        Phrase("actually", r"\b(?! (?:implemented|built|created|developed|deployed|launched|published|released))"),
        Phrase("interestingly|surprisingly|remarkably|strikingly|fascinatingly"),
        Phrase("in fact"),
        Phrase("it turns out"),
        Phrase("contrary to what", r" (?:you|one|many|most people) might (?:think|expect|assume|believe)\b"),
        Phrase("a common", r" (?:misconception|misunderstanding|mistake|error) is\b"),
        Phrase("not just", r"\b.*\bbut (?:also|rather)\b"),
        Phrase("importantly|significantly|notably|crucially|critically", r",? ", leads=True),
        Phrase("to be clear"),
        Phrase("the", r" (?:key|main|central|critical|important|crucial) (?:insight|takeaway|point|lesson|finding) (?:is|here is)\b"),
    ),
)

EVALUATIVE_FRAMING = WordingRule(
    "evaluative-framing",
    "judges instead of describing; give the figure or the source and leave the judgement to the reader",
    (
        Phrase("complete|total|utter|abject|catastrophic|devastating", r" (?:failure|collapse|breakdown|disaster|inability)\b"),
        Phrase(
            "unprecedented|remarkable|formidable|extraordinary|staggering|alarming|troubling|disturbing",
            r" (?:\w+ ){0,2}"
            r"(?:growth|scale|increase|decline|rise|drop|expansion|progress|success|failure|challenge|threat|achievement)\b",
        ),
        Phrase(
            "represent|represents|constitute|constitutes|amount to|amounts to",
            r" (?:a )?(?:complete|major|significant|fundamental|critical|dramatic|clear|stark|systematic) ",
        ),
        Phrase("unique and controversial"),
        Phrase("controversial and", r" (?:unprecedented|alarming)\b"),
        Phrase("unprecedented and", r" (?:concerning|troubling)\b"),
        Phrase("admitted|conceded|was forced to acknowledge|finally acknowledged", r" (?:that|to)\b"),
        Phrase("prove|proved", r" (?:decisive|formidable|effective|successful|inadequate|ineffective|counterproductive|devastating)\b"),
    ),
    cells=(
        r"\| ?(?:\*\*)?(?:⚠️ ?|❌ ?|🔴 ?)?"
        r"(?:Concerning|Inadequate|Weak|Poor|Failing|Deteriorating|Worsening|Unacceptable)(?:\*\*)? ?(?=\|)",
    ),
)

EVALUATIVE_FLATTERY = WordingRule(
    "evaluative-flattery",
    "praise in the wiki's own voice; name the prize, the result or who says so",
    (
        Phrase(
            "prominent|renowned|distinguished|acclaimed|celebrated|eminent|preeminent|leading|notable|influential",
            r" (?:researcher|scientist|scholar|thinker|figure|voice|advocate|leader|expert|practitioner|economist|philosopher|writer|author"
            r"|engineer|developer)",
        ),
        Phrase(
            "demonstrated",
            r" (?:exceptional|remarkable|outstanding|extraordinary|impressive|stellar|excellent|superior|world-class)\b",
        ),
        Phrase("competitive|analytical|technical|intellectual|academic|forecasting|research", r" excellence\b"),
        Phrase("known|recognized|celebrated|famous|renowned", r" for (?:his|her|their|its)\b"),
        Phrase(
            "exceptional|remarkable|outstanding|extraordinary|impressive|stellar|unparalleled|unmatched|proven",
            r" (?:track record|accuracy|performance|results|capabilities|contributions)\b",
        ),
        Phrase("world-leading|industry-leading|best-in-class|state-of-the-art|cutting-edge|groundbreaking|pioneering|trailblazing"),
        Phrase("visionary|thought leader|luminary|trailblazer|pioneer|titan|powerhouse|mastermind"),
        Phrase("has made", r" (?:significant|important|major|substantial|key|critical|vital|invaluable|tremendous) contributions\b"),
        Phrase("one of the", r" (?:most|leading|top|foremost|premier|best|greatest)\b"),
        Phrase("widely|highly|well|greatly|deeply|universally", r" (?:respected|regarded|admired|valued|trusted|esteemed)\b"),
        Phrase("community members|colleagues|peers|others", r" (?:describe|consider|regard|view) (?:him|her|them) as\b"),
    ),
)

# Rules about people and organisations: one finding a line, so one list (`unsourced-biographical-claims`).
BIOGRAPHICAL_CLAIMS: tuple[str, ...] = (
    r"\b(?:joined|left|departed|resigned from|was hired|appointed|became|served as|worked at)\b.*\b(?:in|since|from|during) \d{4}\b",
    r"\b(?:founded|co-founded|established|launched|created|started|incorporated)\b.*\b(?:in|circa|around) \d{4}\b",
    r"\b(?:PhD|Ph\.D\.|doctorate|master'?s?|bachelor'?s?|degree|studied|graduated|attending|enrolled|alumnus|alumna|alumni)\b.*"
    r"\b(?:from|at|in) [A-Za-z]",
    # The reference asks for a literal backslash and question mark before the amount, so this never fires there; kept, so that both
    # report the same lines (FIELDS.md Appendix A, note).
    r"\b(?:raised|received|secured|obtained|granted|allocated|valued at|valuation of)\b.*\\\?\$\d+",
    r"\b(?:employs?|hired?|staff of|team of|workforce of|headcount) (?:approximately |roughly |about |over |more than |~ ?)?\d{2,}",
    r"\b(?:received|won|awarded|honored with|given|granted) (?:the )?[A-Za-z][A-Za-z\x20]+(?:Award|Prize|Medal|Fellowship|Grant|Honor)",
    r"\bserves? on the board\b|\b(?:board member|board of directors|advisory board|advisor to|counsel to)\b",
    r"\b(?:authored|co-authored|published|wrote|co-wrote)\b.*\b(?:paper|book|report|study|article|monograph)\b",
)
BIOGRAPHICAL_CELLS: tuple[str, ...] = (r"\| ?\d{4} ?[-–] ?(?:\d{4}|present) ?\|",)

# `structural-quality`
MANY_FACTORS = r"\b(?:various|many|multiple|numerous|several) (?:factors|considerations|variables|elements|aspects)\b"
UNCERTAINTY_HEADING = r"uncertaint|limitation|caveat|assumption|risk|what could go wrong|why .* might be wrong"
LONG_PARAGRAPH_WORDS = 200
# `footnote-coverage`
PROSE_THAT_NEEDS_FOOTNOTES = 300
