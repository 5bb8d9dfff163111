"""Where requests go, and whether the API key may go there.

The key comes from `OPENAI_API_KEY` alone. It is sent to api.openai.com, to loopback, and to a host that the environment or a flag named; a
host that only the wiki's file names needs `ENRICH_TRUST_HOST=host`: cloning a wiki must not send keys (or pages) away.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from enrich.errors import UserError

OPENAI_URL = "https://api.openai.com/v1"
_OPENAI_HOST = "api.openai.com"
# One spelling of a host only: what a lenient parser could read in two ways (user@host, backslashes, blanks) is refused.
_NETLOC = re.compile(r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?")
_KEY_LIKE = re.compile(r"\b(?:sk|pk)-[A-Za-z0-9_*.…-]{6,}|(?i:\bbearer)\s+[^\s\"',;]+")
_REDACTED = "[key]"
# Local servers take any word as a key; the keys that servers issue are longer.
_SHORTEST_REAL_KEY = 20
_NAMED_BY = {"environment": "OPENAI_BASE_URL / ENRICH_LLM__BASE_URL", "flag": "--base-url"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that speaks OpenAI's chat completions. `host` is shown to people, with its port if one was named."""

    base_url: str
    host: str
    is_openai: bool
    is_loopback: bool
    key: str = field(default="", repr=False)

    @classmethod
    def from_settings(cls, base_url: str | None, named_by: str, env: Mapping[str, str]) -> Endpoint:
        """The endpoint for a configured `base_url` (None or "": OpenAI).

        `named_by` says where it was configured: `file`, `environment`, `flag` or "" (the default). `env` has `OPENAI_API_KEY` and
        `ENRICH_TRUST_HOST` (hosts separated by commas). Raises `UserError` for an unusable address, for a host that only the file names, and
        for a missing or malformed key.
        """
        url = (base_url or OPENAI_URL).strip().rstrip("/")
        where = _NAMED_BY.get(named_by, "llm.base_url")
        name, shown, scheme = _host(url, where)
        is_openai = name == _OPENAI_HOST or name.endswith("." + _OPENAI_HOST)
        is_loopback = _is_loopback(name)
        if is_openai and scheme != "https":
            raise UserError(f"{shown} is used over https only", where=where, do=f"write {OPENAI_URL}")
        trusted = {part.strip().lower() for part in env.get("ENRICH_TRUST_HOST", "").split(",")}
        if not (named_by in _NAMED_BY or name == _OPENAI_HOST or is_loopback or name in trusted or shown.lower() in trusted):
            raise UserError(
                f"only the wiki's own file names the server {shown}: nothing is sent there",
                where=where,
                do=f"if you trust it with your pages and your key, set ENRICH_TRUST_HOST={name}",
            )
        key = env.get("OPENAI_API_KEY", "").strip()
        if any(ord(char) < 33 or ord(char) > 126 for char in key):
            raise UserError(
                "the key has characters that no key has (a blank, a line end, a typographic dash?)",
                where="OPENAI_API_KEY",
                do="copy the key again",
            )
        if not key and is_openai:
            raise UserError(f"no API key for {shown}", where="OPENAI_API_KEY", do='export the key, or set backend = "offline"')
        return cls(base_url=url, host=shown, is_openai=is_openai, is_loopback=is_loopback, key=key)

    def redact(self, text: str) -> str:
        """`text` without the key and without anything that looks like one: for messages of a server, never for answers."""
        if self.key and self.key in text:
            text = text.replace(self.key, _REDACTED)
        return _KEY_LIKE.sub(_REDACTED, text)

    def leaked_in(self, answer: str, asked: Sequence[str]) -> bool:
        """Whether an answer holds the key although none of the texts sent does. Short keys (`test`) are words, so they never count."""
        return len(self.key) >= _SHORTEST_REAL_KEY and self.key in answer and not any(self.key in text for text in asked)


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
    if parts.scheme not in ("http", "https") or match is None or parts.query or parts.fragment or odd:
        # Without its query, which may hold a key.
        raise UserError(f"`{re.split('[?#]', url)[0][:80]}` is not the web address of a server", where=where, do=example)
    if match["port"] and not 0 < int(match["port"]) < 65536:
        raise UserError(f"port {match['port']} does not exist", where=where, do=example)
    return match["host"].strip("[]").lower(), parts.netloc.lower(), parts.scheme


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
