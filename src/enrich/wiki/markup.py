"""Removal of Markdown and MDX markup that keeps every line in its place: markup that spans lines (`Scan`), and within lines (`inline`).

`Scan` reads the body once and replaces fences, comments, imports and tags by as many line ends as they have; `inline` removes links,
emphasis, escapes and entities from the whole text and never adds or removes a line end. Both are linear in the length of the text: an
unclosed tag, fence or bracket costs one search of what follows, and failed searches share one budget.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib import resources

from enrich.wiki import yaml12

# One character class costs a tenth of an alternation; what the character opens is decided afterwards.
_OPENER = re.compile(r"[<`{~](?:(?<!~)|(?=~~))")
_FENCE = re.compile(r"`{3,}|~{3,}")
_TICKS = re.compile(r"`+")
_TAG_NAME = re.compile(r"</?([A-Za-z][\w.:-]*)|</?(?=>)")
_SPACE = re.compile(r"\s*")
# A name, and what follows an equals sign: a quote or brace that opens a value, or a whole HTML value without quotes.
_ATTRIBUTE = re.compile(r"\s*+([A-Za-z_$@:][\w:.$@-]*+)(?:\s*+=\s*+(?:([\"'{])|[^ \t\n>]*+))?")
_BRACES = re.compile(r"[{}\"'`]|/\*|//")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:|ftp://)[^\s<>]*)>")
_IMPORT = re.compile(r"import\s++(?:[\w*{}\s,$]{1,600}?\sfrom\s*)?(['\"])[^'\"\n]{1,500}\1[ \t]*;?[ \t]*$", re.M)
_BARE_IMPORT = re.compile(r"import\s+(['\"])[^'\"\n]{1,500}\1[ \t]*;?[ \t]*$", re.M)
_EXPORT = re.compile(r"export\s+(?:const|let|var|default|function|async|class|type|interface|\{|\*)[^\n]*(?:\n(?!\s*$)[^\n]*)*+", re.M)
_LITERAL = re.compile(
    r"(?:(?<![\w$])([A-Za-z_$][\w$]*)\s*[:=]\s*)?(?:\"((?:[^\"\\\n]|\\.)*+)\"|'((?:[^'\\\n]|\\.)*+)'|`((?:[^`\\]|\\.)*+)`|(?<![\w.])(-?\d[\d_]*(?:\.\d+)?)(?![\w.]))",
    re.DOTALL,
)

_WORDS_FILE = resources.files("enrich.wiki") / "words.yaml"
WORDS = {name: frozenset(words.split()) for name, words in yaml12.load(_WORDS_FILE.read_text(encoding="utf-8")).items()}
BLOCKS, _RAW = WORDS["block_elements"], WORDS["raw_elements"]
_TECHNICAL, _HTML_TEXT = WORDS["technical_attributes"], WORDS["html_text_attributes"]
_HIDDEN = re.compile(
    r"(?:^|\s)(?:hidden(?=\s|$|=)|aria-hidden\s*=\s*[\"']true|style\s*=\s*(?:[\"']|\{\{)[^\"'}]{0,500}(?:display\s*:\s*[\"']?none|visibility\s*:\s*[\"']?hidden))"
)
_TEXTLIKE = re.compile(r"\s|^[~≈<>+-]?[$€£¥]?\d|^[A-Z][a-z]{2,}$|[^\x00-\x7f]|%")


class Scan:
    """One pass over a body. `text` is the body without hidden parts; the lists say what was found where (offsets in the body)."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.extras: list[tuple[int, str]] = []  # texts of attributes
        self.spans: list[tuple[int, int, str]] = []  # (start, end, "code" or "comment")
        self.tags: list[tuple[int, int]] = []  # (start, end) of tags with attributes
        self._hidden_until = 0
        # The number of characters that failed searches (for the end of a brace or tag) may cost in all.
        self._budget = 4 * len(body) + 4096
        self._absent: set[str] = set()  # ends of comments that the rest of the body does not have
        self.text = self._run()

    def _run(self) -> str:
        body, search = self.body, _OPENER.search
        pieces: list[str] = []
        modules = self._modules()
        pos = done = 0
        found = search(body)
        while True:
            if found is not None and found.start() < pos:
                found = search(body, pos)
            start = found.start() if found is not None else len(body)
            text = ""
            if modules and modules[-1] <= start:
                start = modules.pop()
                if start < pos:
                    continue
                end, pos = self._module(start, modules[-1] if modules else len(body)), start + 1
            elif found is None:
                break
            else:
                end, text, pos = self._opened(start)
            if end >= 0:
                pieces.append(body[done:start])
                newlines = body.count("\n", start, end)
                pieces.append("\n" * newlines if newlines else text)
                pos = done = end
        pieces.append(body[done:])
        return "".join(pieces)

    def _opened(self, start: int) -> tuple[int, str, int]:
        """(end of the markup that opens at `start`, or -1 if it is plain text; its replacement; where to search on if it is text)."""
        body, mark = self.body, self.body[start]
        if mark == "<":
            end, text = -1, ""
            if body.startswith("<!--", start):
                end = self._close(start, start + 4, "-->", start == 0 or body[start - 1] == "\n")
            elif (following := body[start + 1 : start + 2]).isalpha() or following in (">", "/"):
                end, text = self._tag(start)
            return max(end, self._hidden_until) if end >= 0 else end, text, start + 1
        if mark == "{":
            return self._close(start, start + 3, "*/", True) if body.startswith("/*", start + 1) else -1, "", start + 1
        fence = _FENCE.match(body, start)
        if fence is not None and self._begins_line(start):
            return self._fence(fence), "", fence.end()
        if mark == "~":
            return -1, "", start + 3
        # Tags in a code span are text: continue after it. Without its end the marks are plain characters.
        ticks = _TICKS.match(body, start)
        inside = ticks.end() if ticks else start + 1
        close = body.find(body[start:inside], inside, inside + 1000)
        return -1, "", inside + close - start if close >= 0 and "\n\n" not in body[start:close] else inside

    def _begins_line(self, at: int) -> bool:
        """Whether nothing but blanks and quote marks is before `at` on its line."""
        body = self.body
        while at and body[at - 1] in " \t>":
            at -= 1
        return at == 0 or body[at - 1] == "\n"

    def _modules(self) -> list[int]:
        """Offsets of lines that begin like an ES module statement, last first."""
        lines, found = "\n" + self.body, []
        for word in ("\nimport", "\nexport"):
            at = lines.find(word)
            while at >= 0:
                found.append(at)
                at = lines.find(word, at + 1)
        return sorted(found, reverse=True)

    def _close(self, start: int, inside: int, closer: str, block: bool) -> int:
        """Where a comment ends. A comment that is never closed hides the rest of the body if it opens a block, else it is plain text."""
        end = -1 if closer in self._absent else self.body.find(closer, inside)
        if end < 0:
            self._absent.add(closer)
            if not block:
                return -1
            end = len(self.body)
        else:
            end += len(closer)
            if closer == "*/":
                skip = _SPACE.match(self.body, end)
                if skip and self.body.startswith("}", skip.end()):
                    end = skip.end() + 1
        self.spans.append((start, end, "comment"))
        return end

    def _fence(self, found: re.Match[str]) -> int:
        body, fence = self.body, found.group()
        line_end = body.find("\n", found.end())
        if line_end < 0:
            line_end = len(body)
        if fence[0] == "`" and "`" in body[found.end() : line_end]:
            return -1
        close = re.compile(rf"^[ \t>]*{fence[0]}{{{len(fence)},}}[ \t]*$", re.M).search(body, line_end)
        inner_end, end = (close.start(), close.end()) if close else (len(body), len(body))
        if inner_end > line_end + 1:
            self.spans.append((line_end + 1, inner_end, "code"))
        return end

    def _module(self, start: int, following: int) -> int:
        """Where the module statement at `start` ends, -1 if it is text. An import ends before the `following` statement."""
        if self.body.startswith("export", start):
            found = _EXPORT.match(self.body, start)
        else:
            has_names = self.body.find("from", start, min(start + 640, following)) >= 0
            found = (_IMPORT if has_names else _BARE_IMPORT).match(self.body, start, following)
        return found.end() if found else -1

    def _hide(self, name: str, inside: int, attributes: str) -> None:
        """Treat what is between a hidden element's tags as a comment; the scan continues after it."""
        if (name.lower() not in _RAW and not _HIDDEN.search(attributes)) or self._budget <= 0:
            return
        end = self.body.find(f"</{name}", inside)
        if end < 0:
            self._budget -= len(self.body) - inside
            return
        self.spans.append((inside, end, "comment"))
        self._hidden_until = end

    def _tag(self, start: int) -> tuple[int, str]:
        """(end, replacement) of the tag at `start`; (-1, "") if the `<` is plain text."""
        body = self.body
        link = _AUTOLINK.match(body, start)
        if link is not None:
            return link.end(), link[1]
        head = _TAG_NAME.match(body, start)
        if head is None:
            return -1, ""
        name = head[1] or ""
        component = bool(name) and not name[0].islower()
        pos = head.end()
        extras: list[tuple[int, str]] = []
        has_attributes = False
        while self._budget > 0:
            skip = _SPACE.match(body, pos)
            pos = skip.end() if skip else pos
            if body.startswith((">", "/>"), pos):
                pos += 1 if body[pos] == ">" else 2
                break
            has_attributes = True  # `{...props}` or an attribute
            pos = self._braces(pos) if body.startswith("{", pos) else self._attribute(start, pos, component, extras)
            if pos < 0:
                return -1, ""
        else:
            return -1, ""
        self.extras.extend(extras)
        if has_attributes:
            self.tags.append((start, pos))
        if name and body[start + 1] != "/" and body[pos - 2] != "/":
            self._hide(name, pos, body[head.end() : pos - 1])
        if name == "sup" and body[start + 1] != "/":
            return pos, "^"  # 10<sup>6</sup> is not 106
        return pos, " " if name in BLOCKS else ""

    def _attribute(self, start: int, pos: int, component: bool, extras: list[tuple[int, str]]) -> int:
        """Where the attribute at `pos` ends, its text added to `extras`; -1 if it is not an attribute of the tag at `start`."""
        body = self.body
        found = _ATTRIBUTE.match(body, pos)
        if found is None:
            self._budget -= pos - start
            return -1
        quote, inside = found[2], found.end()
        if quote is None:
            return inside
        shown = _is_shown(found[1].lower(), component)
        if quote == "{":
            end = self._braces(inside - 1)
            if end >= 0 and shown:
                extras.extend(self._expression(inside, end - 1))
            return end
        end = body.find(quote, inside)
        if end < 0 or "\n\n" in body[inside:end]:
            self._budget -= (end if end >= 0 else len(body)) - inside
            return -1
        value = body[inside:end]
        if shown and value and (not component or _TEXTLIKE.search(value)):
            extras.append((inside, value))
        return end + 1

    def _braces(self, start: int) -> int:
        """The offset after the `}` that closes the `{` at `start`, ignoring those in strings and comments; -1 if none does."""
        body, depth, pos = self.body, 0, start
        while (found := _BRACES.search(body, pos)) is not None:
            mark, pos = found.group(), found.end()
            if mark == "{":
                depth += 1
            elif mark == "}":
                depth -= 1
                if depth == 0:
                    return pos
            elif mark == "//":
                end = body.find("\n", pos)
                pos = len(body) if end < 0 else end
            else:
                end = body.find("*/" if mark == "/*" else mark, pos)
                while mark != "/*" and end > 0 and body[end - 1] == "\\":
                    end = body.find(mark, end + 1)
                if end < 0 or self._budget <= 0:
                    break
                # An apostrophe in JSX text does not begin a string: one that does not close on its line is skipped.
                if mark in "'\"" and "\n" in body[pos:end]:
                    self._budget -= end - pos
                    continue
                pos = end + len(mark)
        self._budget -= len(body) - start
        return -1

    def _expression(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """The texts in a JavaScript expression: string and template literals and numbers, except values of technical keys."""
        for found in _LITERAL.finditer(self.body, start, end):
            key = found[1]
            if key and key.lower() in _TECHNICAL and key != "name":
                continue
            if found[4] is not None:
                offset = found.start(4)
                for part in found[4].split("\n"):
                    if part.strip():
                        yield offset, part
                    offset += len(part) + 1
                continue
            value = next(group for group in found.group(2, 3, 5) if group is not None)
            if value and (_TEXTLIKE.search(value) or found[5]):
                yield found.start(), value.replace("\\n", " ").replace('\\"', '"').replace("\\'", "'")


def _is_shown(key: str, component: bool) -> bool:
    """Whether an attribute's text is shown to readers."""
    return not key.startswith(("data-", "aria-", "on")) and (key not in _TECHNICAL if component else key in _HTML_TEXT)


# Marks within lines.
_WIKI_LINK = re.compile(r"\[\[(?:[^\[\]|\n]{0,300}\|)?([^\[\]|\n]{1,300})\]\]")
_LINK = re.compile(r"\[((?:[^\[\]\n\\]++|\\.|\[[^\[\]\n]*+\])*+)\](?:\((?:[^()\n\\]++|\\.|\([^()\n]*+\))*+\)|\[[^\[\]\n]*+\])")
_FOOTNOTE_MARK = re.compile(r"\[\^[^\[\]\s]{1,100}\](?!:)")
_STARS_IN_NUMBERS = re.compile(r"\*(?<=\d\*)\*{0,2}(?=\d)")
_STAR = re.compile(r"\*(?:(?=\S)|(?<=\S\*))")
_UNDERSCORES = re.compile(r"_+")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_STRING_EXPRESSION = re.compile(r"\{\s*(?:\"([^\"\n{}]*)\"|'([^'\n{}]*)'|`([^`\n{}$]*)`)\s*\}")


def inline(text: str) -> str:
    """The text without links, emphasis, code marks, escapes and entities; line ends stay where they are.

    >>> inline("**8 %** of [them](https://example.org) &mdash; or `less`")
    '8 % of them — or less'
    """
    if "{" in text:
        text = _STRING_EXPRESSION.sub(_string, text)
    # Escaped marks are plain characters: private characters replace them until the other marks are removed.
    escaped = [(mark, private) for mark, private in _ESCAPED if mark in text] if "\\" in text else []
    for mark, private in escaped:
        text = text.replace(mark, private)
    for mark, remove in _REMOVALS:
        if mark in text:
            text = remove(text)
    for mark, private in escaped:
        text = text.replace(private, mark[1])
    return text


_ESCAPED = (("\\*", "\ue000"), ("\\_", "\ue001"), ("\\`", "\ue002"), ("\\[", "\ue003"))


def _links(text: str) -> str:
    """The text with links and images replaced by their labels."""
    text = text.replace("![", "[")
    text = _WIKI_LINK.sub(r"\1", text) if "[[" in text else text
    text = _FOOTNOTE_MARK.sub("", text) if "[^" in text else text
    if "](" in text or "][" in text:
        text = _LINK.sub(r"\1", text)
    return _LINK.sub(r"\1", text) if "](" in text else text  # again for an image within a link


def _stars(text: str) -> str:
    """The text without emphasis by stars; stars between digits become signs of multiplication."""
    return _STAR.sub("", _STARS_IN_NUMBERS.sub("×", text).replace("**", ""))


def _emphasis(found: re.Match[str]) -> str:
    """The replacement of underscores: none if they open or close emphasis, themselves within words and between spaces."""
    text, start, end = found.string, found.start(), found.end()
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if before.isspace() and after.isspace():
        return found[0]
    return found[0] if before.isalnum() and after.isalnum() else ""


def _string(found: re.Match[str]) -> str:
    """The string of `{"…"}`, separated from a word directly before it (a diagram's node)."""
    apart = found.start() > 0 and found.string[found.start() - 1].isalnum()
    return (" " if apart else "") + next(part for part in found.groups() if part is not None)


def _entity(found: re.Match[str]) -> str:
    char = html.unescape(found[0])
    return " " if char.isspace() else char


# (a mark, what removes it from a text that has it), in order.
_REMOVALS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("[", _links),
    ("*", _stars),
    ("_", partial(_UNDERSCORES.sub, _emphasis)),
    ("`", lambda text: text.replace("`", "")),
    ("~~", lambda text: text.replace("~~", "")),
    ("\\", partial(_ESCAPE.sub, r"\1")),
    ("&", partial(_ENTITY.sub, _entity)),
)
