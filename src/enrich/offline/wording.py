"""What the wording of one sentence gives away: whether it is plain prose, whether it can stand alone, which words carry its meaning.

The word lists are English with the commonest openings of German, French and Spanish; for other languages the checks on form alone decide.
"""

from __future__ import annotations

import re

import regex

# Scripts without spaces between words: two characters count as one word, and overlapping pairs stand in for words.
WIDE = "぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿"
_WIDE_RUN = regex.compile(f"[{WIDE}]+")
_ASCII_WORD = re.compile(r"[a-z][a-z0-9'-]*")
_WORD = regex.compile(rf"[^\W\d_{WIDE}](?:[^\W{WIDE}]|['’-])*")


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is kept as text, for it is easier to read and to mend."""
    return frozenset(text.split())


_STOP_WORDS = word_set(
    """
    the and for are but not you all any can had has have her was one our out his how its may new now old see two way who did get let
    say she too use that this with from they been were will would there their what about which when make like than then them these
    some into could other only also more most such where while because between both each those being over under very even well just
    still much many through during
    """
)
_ENGLISH_LEANING = word_set(
    """
    this that these those it its it's they their them he she his her hers him such however but and or nor so thus therefore hence
    moreover furthermore additionally also similarly likewise instead otherwise nevertheless nonetheless conversely meanwhile
    consequently accordingly still yet then again besides indeed rather alternatively specifically finally lastly second secondly
    third thirdly fourth fifth next later afterwards subsequently another others other both either neither none here namely overall
    ultimately notably importantly particularly especially unlike beyond now
    """
)
_OTHER_LEANING = word_set(
    """
    dies diese dieser dieses er sie aber jedoch daher deshalb dagegen außerdem zudem dennoch hierbei dabei damit dadurch
    cela ceci ce cette ces cet ils elles elle il mais cependant donc toutefois ainsi
    esto este esta estos estas ello ellos ellas pero además también asimismo
    """
)
# A first word that leans on the sentence before: pronouns, connectives, the second of a pair.
_LEANING = _ENGLISH_LEANING | _OTHER_LEANING
_LEANING_PHRASE = regex.compile(
    r"(?:for (?:example|instance|this|that|these|such)|in (?:contrast|addition|this|these|that|those|such|turn|other words|particular"
    r"|short|both)|by (?:contrast|comparison|this|then)|as (?:a result|such|a consequence)|on the (?:other|contrary|one) "
    r"|at (?:the same|that|this) |to (?:this|that|these|do so|illustrate)|the (?:same|other|second|third|last|latter|former|reason"
    r"|result|answer|difference|remaining|rest|opposite)\b|because of (?:this|these)|under (?:this|these)|with (?:this|these)"
    r"|(?:if|when|while|since|because|unless) (?:so|not|this|that|it|they|these)\b|even (?:so|then|this)|(?:one|two|three) (?:of|such)"
    r"|each of|all of (?:this|these)|none of|(?:perhaps )?(?:most|more) (?:importantly|notably|significantly)"
    r"|sin embargo|por (?:lo|ello|eso)|par (?:exemple|contre)|zum beispiel|im gegensatz)"
)
# A page's word for itself: "this model estimates" opens many a page, and is understood.
_OWN_NAME = regex.compile(r"this (?:page|article|analysis|model|report|document|framework|essay|profile|overview|review|estimate)\b")
_DEMONSTRATIVE = word_set("this these those such")
_DEMONSTRATIVE_WITHIN = 7  # words: later on, they mostly refer to the sentence's own beginning
# What points to another place of the page cannot be understood without it. The first list only says when to look.
_POINTING = word_set(
    """
    above below earlier following next previous preceding see click former latter table figure diagram chart graph section appendix
    list example
    """
)
_PLACEHOLDERS = word_set("todo tbd fixme lorem")
_PLACE = r"(?:table|figure|diagram|chart|graph|section|list|appendix|example|discussion|analysis|paragraph|page|link)s?"
_POINTS_ELSEWHERE = regex.compile(
    rf"\b(?:(?:above|below|following|next|previous|preceding) {_PLACE}|{_PLACE} (?:above|below|\d)"
    r"|(?:noted|described|discussed|mentioned|shown|outlined|listed|given|see|sections?) (?:above|below|earlier|in the)"
    r"|see (?:also|the|our|\w+ for)"
    r"|the (?:former|latter|following)|click|below[.,:]|above[.,])"
)

_END = regex.compile(r"[.!…。！][\"'”’»)\]」』”）]*\Z")
_START = regex.compile(r"[\"'“‘«(「『（]?[\p{Lu}\p{Lt}\p{Lo}\p{N}$€£¥~≈]")
# Markup that survived, formulas, addresses, cells, the gap that a component without text leaves: no plain sentence.
_ODD = re.compile(r"[{}\\|`<>\[\]$:=_*#]|www| [.,]")  # the first look: most sentences hold none of these
_NO_PROSE = regex.compile(r"[{}\\|`]|[<>]\p{L}|</|\]\(|\[\^|\$[^\s\d]|https?:|www\.|[=_*#]{2}| [.,](?:\s|\Z)")
_ALIVE = regex.compile(r"\b(?:javascript|vbscript|data):\S", regex.IGNORECASE)
_LABEL = regex.compile(r"(?:[^\s:,.;]+ ){0,4}[^\s:,.;]+: ")
_SMALL_WORD = regex.compile(r" \p{Ll}")
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS = _CAPITALS + _CAPITALS.lower() + bytes(range(0x80, 0x100)) + b" "
_MAX_ODD = 0.4  # of the characters that are no spaces: digits, signs, marks
_MIN_SMALL = 0.35  # of the words, in scripts with capitals: with fewer it is a heading or a list of names


def count_words(text: str) -> int:
    """Words between spaces; two characters of Chinese, Japanese or Thai count as one."""
    spaced = text.count(" ") + 1 if text else 0
    return spaced if text.isascii() else spaced + sum(map(len, _WIDE_RUN.findall(text))) // 2


def words_of(text: str) -> frozenset[str]:
    """The distinct words in lower case; pairs of characters where words are not parted."""
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
    """Whether this is a whole sentence in plain words: it begins and ends as one, and holds no markup, formula, address or cell."""
    if not _END.search(text, max(0, len(text) - 4)) or not _START.match(text) or not text.isprintable() or not _balanced(text):
        return False
    if _ODD.search(text) and (_NO_PROSE.search(text) or _ALIVE.search(text)):
        return False
    spaces = text.count(" ")
    raw = text.encode("utf-8", "replace")
    if len(raw.translate(None, _LETTERS)) > _MAX_ODD * (len(text) - spaces):
        return False
    capitals = len(raw) - len(raw.translate(None, _CAPITALS))
    return capitals <= (1 - _MIN_SMALL) * spaces or len(_SMALL_WORD.findall(text)) >= _MIN_SMALL * spaces


def stands_alone(text: str, words: frozenset[str] | None = None) -> bool:
    """Whether it can be read without what stands before it: no leading pronoun or connective, no pointing elsewhere, no placeholder.

    `words`: `words_of(text)` where they are known already.
    """
    return not leans_back(text) and not points_elsewhere(text, words_of(text) if words is None else words)


def leans_back(text: str) -> bool:
    """Whether its beginning is understood only by who has read the sentence before."""
    start = text.lower().lstrip("\"'“‘«(").replace("’", "'")
    head = start.split(maxsplit=_DEMONSTRATIVE_WITHIN)[:_DEMONSTRATIVE_WITHIN]
    first = head[0].rstrip(",;:") if head else ""
    if first in _LEANING or first.partition("'")[0] in _LEANING:
        return first != "this" or not _OWN_NAME.match(start)
    return not _DEMONSTRATIVE.isdisjoint(head) or _LEANING_PHRASE.match(start) is not None


def has_label(text: str) -> bool:
    """Whether up to five words and a colon stand before the sentence proper, as in "Cost: each page is paid once."."""
    return _LABEL.match(text) is not None


def points_elsewhere(text: str, words: frozenset[str]) -> bool:
    """Whether it sends its reader to another place of the page, or only holds a place; `words`: `words_of(text)`."""
    return not words.isdisjoint(_PLACEHOLDERS) or (not words.isdisjoint(_POINTING) and _POINTS_ELSEWHERE.search(text.lower()) is not None)


def _balanced(text: str) -> bool:
    return (
        text.count("(") == text.count(")")
        and text.count("[") == text.count("]")
        and text.count('"') % 2 == 0
        and text.count("“") == text.count("”")
    )
