"""Answers that are no content: apologies, refusals, talk about the task or the instructions, error texts, placeholders.

Conservative, since pages about language models rightly say "refuse", "language model" or "system prompt": what is quoted does not count,
and a phrase must be one in which the writer speaks of itself, of its task, or in an error's voice.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(r"“[^”]{0,400}”|\"[^\"]{0,400}\"|«[^»]{0,400}»|‘[^’]{3,400}’(?!\w)|(?<!\w)'[^']{3,400}'(?!\w)")

# "World War I", "Phase I": a numeral behind a name is no first person; behind a word that opens a sentence it is.
_NUMERAL = re.compile(
    r"\b(?!(?:Sorry|Sadly|Unfortunately|However|Here|As|While|Because|But|And|So|If|When|Then|Now|Today|Yes|No|Note|Although|Since|That|Regrettably)\b)"
    r"([A-Z][a-z]+) I\b"
)
# What it is, and the phrases that show it; the first that is found names the trouble. `^\W*` is the text's own beginning.
_PHRASES: dict[str, tuple[str, ...]] = {
    "apologises": (
        r"^\W*(?:i['’]?m|i am|we are|we['’]re)\s+(?:very |so |really |truly |deeply )?sorry\b",
        r"\bi\s+(?:sincerely |do )?apologi[sz]e\b",
        r"^\W*(?:my|our) apologies\b",
        r"^\W*(?:sorry|apologies)\b[,.! ]+(?:but|i|we|for|about|that|this|the)\b",
        r"^\W*(?:lo siento|es tut mir leid|entschuldigung|(?:je suis )?désolée?\b|mi dispiace|sinto muito)",
        r"^\W*(?:对不起|抱歉|很抱歉|申し訳|죄송)",
    ),
    "refuses": (
        r"\bi\s*(?:['’]m|\s+am)\s+(?:not able|unable|not allowed|not permitted|not in a position)\s+to\b",
        (
            r"\bi\s+(?:cannot|can\s?not|can['’]t|won['’]t|will not|must decline|have to decline|decline|refuse|could not|"
            r"couldn['’]t|am refusing)\b(?!\s+(?:be|have been)\b)"
        ),
        (
            r"^\W*(?:cannot|can['’]t|unable to|not able to)\s+(?:comply|assist|help|provide|summari[sz]e|generate|produce|"
            r"answer|complete|fulfil|process|create|rate|evaluate)\b"
        ),
        (
            r"\b(?:cannot|can['’]t|unable to) (?:comply with|assist with|help with|fulfil) (?:this|that|your|the) (?:request|"
            r"task|prompt|question|query)\b"
        ),
        (
            r"^\W*(?:no puedo|ich kann (?:das |dies |diese[nr]? \w+ )?nicht|je ne peux pas|non posso|não posso|我不能|我无法|"
            r"无法(?:提供|完成|回答))"
        ),
    ),
    "speaks of itself": (
        (
            r"\bas an? (?:ai|artificial intelligence|large language model|language model|llm|"
            r"assistant)(?: language)?(?: model| assistant| system)?\s*,?\s+(?:i|my|we|it is not)\b"
        ),
        r"\b(?:i am|i['’]m) an? (?:ai|artificial|large|language|virtual|helpful)\b",
        (
            r"\bmy (?:training data|knowledge cut-?off|training|instructions|guidelines|programming|system prompt|"
            r"previous (?:answer|response|output))\b"
        ),
        r"\bi (?:don['’]t|do not) have (?:access|enough|sufficient|the ability|information|any information|real-time)\b",
        r"\bi was (?:trained|instructed|asked|told|given)\b",
        r"\bi (?:have been|['’]ve been) (?:instructed|asked|told|given)\b",
        r"^\W*as requested\b",
        r"\b(?:i hope this helps|let me know if|feel free to ask|happy to help|how can i (?:help|assist))\b",
    ),
    "speaks of the task": (
        (
            r"^\W*(?:sure|certainly|of course|absolutely|okay|ok|understood|got it)\b[,.!: ]+(?:here|i['’]?(?:ll| will)?|"
            r"let me|below|the following)\b"
        ),
        (
            r"^\W*(?:here(?:['’]s| is| are)|below (?:is|are)|the following (?:is|are))\s+(?:the|a|an|my|your|"
            r"your requested)\s+(?:[\w-]+\s+){0,3}(?:summary|insights?|ratings?|answer|response|output|json|rewrite|"
            r"revision)\b"
        ),
        r"^\W*(?:summary|insight|answer|response|output|assistant|system|user)\s*:\s",
        (
            r"\b(?:ignor(?:e|es|ing)|disregard(?:s|ing)?|overrid(?:e|es|ing)|follow(?:s|ing)?|per|obey(?:s|ing)?|"
            r"according to) (?:all |any |the |my |your |these |those |of the )*(?:previous|prior|above|earlier|system|"
            r"preceding|given) (?:instructions?|prompts?|rules|messages?)\b"
        ),
        (
            r"\b(?:the|your|this) (?:instructions?|prompt|user|request|task)s? (?:say|says|said|ask|asks|asked|tell|tells|"
            r"told|require|requires|required|want|wants|wanted|state|states|stated|instruct|instructs|instructed)s?\s+(?:me|"
            r"to|that i|for a|us)\b"
        ),
        r"\b(?:as|per) (?:the |your )(?:instructions?|prompt|request|schema)\b",
        (
            r"\byou (?:asked|requested|provided|have provided|gave|are an ai|are a helpful|are now|must respond|must output|"
            r"must return)\b"
        ),
        (
            r"\b(?:provided|supplied|given|above) (?:text|page|content|document|article|excerpt|input|context) (?:does not|"
            r"doesn['’]t|did not|is (?:empty|missing|blank|not|too)|was (?:empty|not)|contains no|lacks|"
            r"appears to be (?:empty|incomplete|cut|truncated|an?\b))"
        ),
        r"\bno (?:text|page|content|document|article|input) (?:was|has been|were) (?:provided|supplied|given)\b",
        r"\b(?:please|kindly) (?:provide|supply|share|paste|send|upload) (?:the|me|a|more|your)\b",
        r"\b(?:json|response|output) (?:schema|object) (?:requires|must|should|below|above|provided)\b",
        r"\bsystem prompt (?:says|reads|tells|instructs)\b",
    ),
    "is an error text": (
        r"^\W*(?:error|exception|warning|fatal|traceback|fehler)\b\s*(?:\d{3}|code|:|\(|while|in|occurred)",
        r"\btraceback \(most recent call last\)",
        r"^\W*(?:an? )?(?:internal |unexpected |unknown |api |server |parsing |network )+error\b",
        (
            r"\b(?:rate limit(?:ed)? (?:exceeded|reached|error)|too many requests|insufficient[_ ]quota|quota exceeded|"
            r"context[_ ]length[_ ]exceeded|maximum context length|invalid[_ ]api[_ ]key|invalid[_ ]request[_ ]error|"
            r"service unavailable|bad gateway|gateway time-?out|connection (?:refused|reset|timed out)|request timed out|"
            r"overloaded_error|content_filter|max_tokens)\b"
        ),
        r"\bhttp(?: status)?(?: code)? ?[45]\d\d\b",
        r"\bstatus code:? ?[45]\d\d\b",
        r"\b(?:Type|Value|Key|Syntax|Reference|JSONDecode|Attribute|Runtime|Validation)Error\b",
        (
            r"\b(?:evaluation|grading|analysis|generation|summari[sz]ation|parsing|scoring) (?:failed|error(?:ed)?|"
            r"could not be completed|was not possible|unavailable)\b"
        ),
        (
            r"\b(?:failed|unable) to (?:parse|evaluate|grade|generate|fetch|load|analy[sz]e|retrieve|score|"
            r"summari[sz]e) (?:the |this |a |an |any )?(?:page|response|content|json|output|summary|answer|document|text|file|"
            r"result)\b"
        ),
    ),
    "is a placeholder": (
        (
            r"^\W*(?:n/?a|none|null|nil|undefined|nan|todo|tbd|tba|fixme|unknown|string|text|placeholder|lorem ipsum\b.*|"
            r"\[object object\]|not (?:available|applicable|provided|found)|no summary(?: available)?|"
            r"no insights?(?: available)?|no content|empty|test|example|foo|bar|\.{3,})\W*$"
        ),
        r"\blorem ipsum\b",
        r"\[object Object\]",
        r"\[(?:insert|your|summary|text|placeholder|todo)\b[^\]]*\]",
        r"\{\{\s*[\w.]+\s*\}\}",
        r"<\|[\w ]+\|>",
        r"\[/?INST\]",
        r"<</?SYS>>",
        r"<(?:/)?(?:think|thinking|scratchpad|answer|output|response|system|assistant)>",
    ),
}
_PATTERNS = tuple((what, re.compile("|".join(phrases), re.IGNORECASE)) for what, phrases in _PHRASES.items())

# Nearly every text holds none of it. Whether one may is asked first, of lower-case text and with what all phrases have in common in front:
# a tenth of the time.
_CAPITAL = re.compile(r"(\\.)|([A-Z])")
_LOWERED = [_CAPITAL.sub(lambda found: found[1] or found[2].lower(), phrase) for phrases in _PHRASES.values() for phrase in phrases]
_AT_START = re.compile("|".join(phrase for phrase in _LOWERED if phrase.startswith("^")))
_AT_WORD = re.compile(r"\b(?:" + "|".join(phrase[2:] for phrase in _LOWERED if phrase.startswith(r"\b")) + ")")
_ANYWHERE = re.compile("|".join(phrase for phrase in _LOWERED if not phrase.startswith(("^", r"\b"))))
# Letters that match others regardless of case, but not by `lower`.
_ODD_CASE = re.compile("[\u0130\u0131\u017f\u212a]")


def _may_talk(plain: str) -> bool:
    if _ODD_CASE.search(plain):
        return True
    lower = plain.lower()
    return bool(_AT_WORD.search(lower) or _ANYWHERE.search(lower) or _AT_START.match(lower))


def self_talk(text: str) -> str | None:
    """Why this text is no answer but talk about itself, in a few words with the phrase; None: it speaks of its subject.

    >>> self_talk("I'm sorry, but I cannot summarise this page.")
    'apologises: "I\\'m sorry"'
    >>> self_talk("Models refuse 12 % of requests; a typical reply is “I’m sorry, I cannot help”.") is None
    True
    """
    text = _NUMERAL.sub(r"\1 1", text[:20_000])
    plain = _QUOTED.sub(lambda found: " " * len(found[0]) if found.start() else found[0], text)
    if not _may_talk(plain):
        return None
    for what, pattern in _PATTERNS:
        found = pattern.search(plain)
        if found is not None and found[0].strip():
            phrase = " ".join(found[0].split())
            return f'{what}: "{phrase[:80]}"'
    return None
