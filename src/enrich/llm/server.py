"""The server: where requests go, and whether the API key and what the wiki's file adds to requests may go there.

The key comes from an environment variable alone: `OPENAI_API_KEY`, or the one that the provider's preset names. It is sent to api.openai.com, to
loopback, and to a host that the environment or a flag named; a host that only the wiki's file names needs `ENRICH_TRUST_HOST=host`: cloning a
wiki must not send keys (or pages) away. Headers, query, body and the key's variable from the wiki's file need it for every host, because they
can redirect a gateway or send another secret.

A server that knows the key can put it into an answer as `\\u0073k-…`, `&#115;k-…`, `%73k-…`, in base64, spaced out or reversed. An answer is
decoded first; then letters and digits alone are compared, in lower case.
"""

from __future__ import annotations

import base64
import codecs
import html
import ipaddress
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote, urlsplit

from enrich.errors import UserError
from enrich.text import printable

OPENAI_URL = "https://api.openai.com/v1"
_OPENAI_HOST = "api.openai.com"
# One spelling of a host only: what a lenient parser could read in two ways (user@host, backslashes, blanks) is refused.
_NETLOC = re.compile(r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?")
_KEY_LIKE = re.compile(r"\b(?:sk|pk)-[A-Za-z0-9_*.…-]{6,}|(?i:\bbearer)\s+[^\s\"',;]+")
_REDACTED = "[key]"
_WITHHELD = "[a text that holds the key]"
# Local servers take any word as a key; the keys that servers issue are longer.
_SHORTEST_REAL_KEY = 20
_NAMED_BY = {"environment": "OPENAI_BASE_URL / ENRICH_LLM__BASE_URL", "flag": "--base-url"}
OPENAI_KEY = "OPENAI_API_KEY"
# Encodings in encodings are undone so many times.
_ROUNDS = 4
# Less than this could be a word.
_SHORTEST_FORM = 12
_HEX = "[0-9a-fA-F]"
# It begins with a set of characters, which makes the search fast.
_ESCAPED = re.compile(
    rf"[\\%=U](?:(?<=\\)(?:u\{{?({_HEX}{{4,6}})\}}?|U({_HEX}{{8}})|x({_HEX}{{2}})|([0-7]{{3}})|[nrt])|(?<=[%=])({_HEX}{{2}})|(?<=U)\+({_HEX}{{4,6}}))"
)
_OCTAL = 4
_LOWER = bytes(range(256)).lower()
_NOT_ALPHANUMERIC = bytes(code for code in range(256) if not chr(code).isascii() or not chr(code).isalnum())


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What the configuration says about every request to a server, beside its address.

    `path` follows the base URL and may have `{model}` in it. `key_variable` is "" for `OPENAI_API_KEY`; with `only_variable` no other variable's
    key is sent. `key_header` is "" for `Authorization: Bearer`. `from_file` names the settings that only the wiki's file makes.
    """

    path: str = "/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    key_header: str = ""
    key_variable: str = ""
    only_variable: bool = False
    from_file: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that speaks OpenAI's chat completions. `host` is shown to people, with its port if one was named."""

    base_url: str
    host: str
    is_openai: bool
    is_loopback: bool
    key: str = field(default="", repr=False)
    key_variable: str = OPENAI_KEY
    form: RequestForm = field(default_factory=RequestForm)

    @classmethod
    def from_settings(cls, base_url: str | None, named_by: str, env: Mapping[str, str], form: RequestForm | None = None) -> Endpoint:
        """The endpoint for a configured `base_url` (None or "": OpenAI).

        `named_by` says where it was configured: `file`, `environment`, `flag` or "" (the default). `env` has the key's variable and
        `ENRICH_TRUST_HOST` (hosts separated by commas). Raises `UserError` for an unusable address, for a host that only the file names, for
        additions to requests that only the file makes, and for a missing or malformed key.
        """
        form = RequestForm() if form is None else form
        url = (base_url or OPENAI_URL).strip().rstrip("/")
        where = _NAMED_BY.get(named_by, "llm.base_url")
        name, shown, scheme = _host(url, where)
        is_openai = name == _OPENAI_HOST or name.endswith("." + _OPENAI_HOST)
        address = _address(name)
        is_loopback = address is not None and address.is_loopback
        if is_openai and scheme != "https":
            raise UserError(f"{shown} is used over https only", where=where, do=f"write {OPENAI_URL}")
        trusted = {part.strip().lower() for part in env.get("ENRICH_TRUST_HOST", "").split(",")}
        is_trusted = name in trusted or shown in trusted
        if not (named_by in _NAMED_BY or name == _OPENAI_HOST or is_loopback or is_trusted):
            raise UserError(
                f"only the wiki's own file names the server {shown}: nothing is sent there",
                where=where,
                do=f"if you trust it with your pages and your key, set ENRICH_TRUST_HOST={name}",
            )
        if form.from_file and not is_trusted:
            raise UserError(
                f"only the wiki's own file adds to requests ({', '.join(form.from_file)}): nothing is sent to {shown}",
                where=f"llm.{form.from_file[0]}",
                do=f"if you trust what it adds, set ENRICH_TRUST_HOST={name}, or set it by environment (ENRICH_LLM__{form.from_file[0].upper()})",
            )
        variable, key = _key(form, env)
        if not key and (is_openai or (form.key_variable and not is_loopback)):
            raise UserError(f"no API key for {shown}", where=variable, do='export the key, or set backend = "offline"')
        return cls(url, shown, is_openai, is_loopback, key, variable, form)

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine or in its network, so that asking costs no money."""
        name = _host(self.base_url, "")[0]
        if (address := _address(name)) is not None:
            return address.is_loopback or address.is_private
        return "." not in name or name.endswith((".local", ".lan", ".internal"))

    def path(self, model: str) -> str:
        """Where requests about a model are sent to, after the base URL."""
        return self.form.path.replace("{model}", quote(model, safe=""))

    def redact(self, text: str) -> str:
        """`text` without the key and without anything that looks like one: for messages of a server, never for answers."""
        if self.key and self.key in text:
            text = text.replace(self.key, _REDACTED)
        text = _KEY_LIKE.sub(_REDACTED, text)
        return _WITHHELD if len(self.key) >= _SHORTEST_REAL_KEY and holds_key(text, self.key) else text

    def shown(self, text: str, limit: int = 200) -> str:
        """A server's text as it may be kept and printed: one line, no key, no control characters, at most `limit` characters."""
        return printable(self.redact(text[: limit * 8]), limit)

    def leaked_in(self, answer: str, asked: Sequence[str]) -> bool:
        """Whether an answer holds the key, encoded or not, and none of the texts sent does. Short keys (`test`) are words: they never count."""
        if len(self.key) < _SHORTEST_REAL_KEY or not holds_key(answer, self.key):
            return False
        return not any(holds_key(text, self.key) for text in asked)


def _key(form: RequestForm, env: Mapping[str, str]) -> tuple[str, str]:
    """(the variable, the key in it). Raises `UserError` for a malformed key."""
    variable = form.key_variable or OPENAI_KEY
    if not env.get(variable, "").strip() and not form.only_variable and env.get(OPENAI_KEY, "").strip():
        variable = OPENAI_KEY
    key = env.get(variable, "").strip()
    if any(ord(char) < 33 or ord(char) > 126 for char in key):
        raise UserError(
            "the key has characters that no key has (a blank, a line end, a typographic dash?)", where=variable, do="copy the key again"
        )
    return variable, key


def host_of(base_url: str | None) -> str:
    """The host that page text would be sent to, for display; needs no key. Raises `UserError` for an unusable address."""
    return _host((base_url or OPENAI_URL).strip().rstrip("/"), "llm.base_url")[1]


def _host(url: str, where: str) -> tuple[str, str, str]:
    """(host in lower case, host as shown with its port, scheme)."""
    example = "write it like https://host/v1 or http://127.0.0.1:8080/v1"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UserError("not a web address", where=where, do=example) from None
    if "@" in parts.netloc:
        raise UserError("must not have a user name or password", where=where, do="put the key into OPENAI_API_KEY")
    match = _NETLOC.fullmatch(parts.netloc)
    odd = any(ord(char) < 33 or char == "\\" for char in url)
    if parts.query:  # not shown, because it may hold a key
        raise UserError("must not have a query (`?…`)", where=where, do='set llm.query, as in query = { api-version = "…" }')
    if parts.scheme not in ("http", "https") or match is None or parts.fragment or odd:
        # Without its query, which may hold a key.
        raise UserError(f"`{re.split('[?#]', url)[0][:80]}` is not the web address of a server", where=where, do=example)
    if match["port"] and not 0 < int(match["port"]) < 65536:
        raise UserError(f"port {match['port']} does not exist", where=where, do=example)
    return match["host"].strip("[]").lower(), parts.netloc.lower(), parts.scheme


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a host is, None for a name; `localhost` is one of this machine."""
    with suppress(ValueError):
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    return None


def holds_key(text: str, key: str) -> bool:
    """Whether `text` holds `key`, in plain or in an encoding that a reader or a program would undo.

    >>> holds_key(r"it is \\u0073k-abcdefghijklmnop", "sk-abcdefghijklmnop")
    True
    """
    if key in text:
        return True
    forms = _forms(key)
    for _ in range(_ROUNDS):
        squeezed = _squeezed(text)
        if any(form in squeezed for form in forms):
            return True
        decoded = _ESCAPED.sub(_character, html.unescape(text) if "&" in text else text)
        if decoded == text:
            return False
        text = decoded
    return False


def _squeezed(text: str) -> bytes:
    """The ASCII letters and digits of `text` in lower case."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return plain.encode("ascii", "ignore").translate(_LOWER, _NOT_ALPHANUMERIC)


def _character(match: re.Match[str]) -> str:
    if match.lastindex is None:  # the end of a line, a tab
        return " "
    code = int(match[match.lastindex], 8 if match.lastindex == _OCTAL else 16)
    return chr(code) if code < 0x110000 else match[0]


@cache
def _forms(key: str) -> tuple[bytes, ...]:
    """The squeezed forms of a key."""
    raw = key.encode("utf-8", "replace")
    codes = "".join(str(byte) for byte in raw)
    plain = [key, key[::-1], codecs.encode(key, "rot13"), raw.hex(), codes, base64.b32encode(raw).decode().rstrip("=")]
    # In the middle of other bytes the key can begin at each of three places of a base64 group; only whole characters of its own count.
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode()
        plain.append(whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return tuple(form for form in dict.fromkeys(map(_squeezed, plain)) if len(form) >= _SHORTEST_FORM)
