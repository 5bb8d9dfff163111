"""One canonical text for an address: the href that a browser's URL parser gives (WHATWG URL Standard, https://url.spec.whatwg.org).

Only the special schemes with a host (http, https, ws, wss, ftp) have something to make canonical for our purpose.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import regex

_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}
_SCHEME = regex.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_FORBIDDEN_HOST = regex.compile(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|]")
_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_NUMBER = regex.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)\Z")
# What is percent-encoded where, beyond C0 controls, U+007F and non-ASCII (URL Standard, percent-encode sets).
_QUERY = frozenset(" \"#<>'")
_FRAGMENT = frozenset(' "<>`')
# `^` stays in paths: the runtime of the reference build predates its encoding there.
_PATH = frozenset(' "#<>?`{}')
_USERINFO = _PATH | frozenset("/:;=@[\\]^|")


def canonical_href(url: str) -> str | None:
    """The href of an absolute address, or None where it is none.

    Scheme and host in lower case, default port and dot segments dropped, `/` for an empty path, the rest percent-encoded where it must be.
    """
    text = url.strip(_C0_AND_SPACE).translate({9: None, 10: None, 13: None})
    found = _SCHEME.match(text)
    if found is None:
        return None
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme not in _PORTS:
        return f"{scheme}:{_encode(rest, frozenset())}"
    rest, hash_mark, fragment = rest.partition("#")
    rest, question_mark, query = rest.partition("?")
    authority, _, path = rest.replace("\\", "/").lstrip("/").partition("/")
    userinfo, at, host_and_port = authority.rpartition("@")
    host = _host(host_and_port, scheme)
    if host is None:
        return None
    if at:
        name, colon, password = userinfo.partition(":")
        credentials = _encode(name, _USERINFO) + (f":{_encode(password, _USERINFO)}" if colon and password else "")
        host = f"{credentials}@{host}" if credentials else host
    href = f"{scheme}://{host}{_path(path)}"
    if question_mark:
        href += "?" + _encode(query, _QUERY)
    return href + "#" + _encode(fragment, _FRAGMENT) if hash_mark else href


def _host(text: str, scheme: str) -> str | None:
    if text.startswith("["):
        literal, bracket, after = text.partition("]")
        name = literal.lower() + bracket
        port = after.removeprefix(":")
        if not bracket or (after and not after.startswith(":")):
            return None
    else:
        name, _, port = text.partition(":")
        try:
            name = unquote_to_bytes(name.encode("utf-8")).decode("utf-8")
            # Python's codec speaks IDNA 2003; it differs from the standard's UTS 46 only for ß, ς and the joiners.
            name = (name if name.isascii() else name.encode("idna").decode("ascii")).lower()
        except UnicodeError:
            return None
        if not name or _FORBIDDEN_HOST.search(name):
            return None
        if _NUMBER.match(name.removesuffix(".").rpartition(".")[2]):
            address = _ipv4(name.removesuffix("."))
            if address is None:
                return None
            name = address
    if port:
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            return None
        port = str(int(port))
    return name if not port or port == _PORTS[scheme] else f"{name}:{port}"


def _ipv4(name: str) -> str | None:
    parts = name.split(".")
    if len(parts) > 4:
        return None
    numbers = []
    for part in parts:
        if not _NUMBER.match(part):
            return None
        octal = len(part) > 1 and part[0] == "0"
        try:
            numbers.append(int(part[2:] or "0", 16) if part[:2] in ("0x", "0X") else int(part, 8 if octal else 10))
        except ValueError:
            return None
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        return None
    value = numbers[-1] + sum(number << (8 * (3 - position)) for position, number in enumerate(numbers[:-1]))
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _path(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            if kept:
                kept.pop()
            if last:
                kept.append("")
        elif plain == ".":
            if last:
                kept.append("")
        else:
            kept.append(_encode(segment, _PATH))
    return "/" + "/".join(kept)


def _encode(text: str, also: frozenset[str]) -> str:
    if text.isascii() and text.isprintable() and not also.intersection(text):
        return text
    out = []
    for char in text:
        if " " <= char <= "~" and char not in also:
            out.append(char)
        else:
            out.extend(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))
    return "".join(out)
