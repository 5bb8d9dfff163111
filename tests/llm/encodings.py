"""Ways to write an API key that a reader or a program would undo."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable

ENCODED: dict[str, Callable[[str], str]] = {
    "plain": lambda key: key,
    "json": lambda key: f"\\u{ord(key[0]):04x}{key[1:]}",
    "json twice": lambda key: f"\\\\u{ord(key[0]):04x}{key[1:]}",
    "all json": lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
    "javascript": lambda key: "".join(f"\\x{ord(char):02x}" for char in key),
    "octal": lambda key: "".join(f"\\{ord(char):03o}" for char in key),
    "html decimal": lambda key: "".join(f"&#{ord(char)};" for char in key),
    "html hexadecimal": lambda key: "".join(f"&#x{ord(char):x}" + ";" for char in key),
    "html in html": lambda key: "".join(f"&amp;#{ord(char)};" for char in key),
    "percent": lambda key: "".join(f"%{ord(char):02X}" for char in key),
    "percent twice": lambda key: "".join(f"%25{ord(char):02X}" for char in key),
    "quoted-printable": lambda key: "".join(f"={ord(char):02X}" for char in key),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 amid": lambda key: base64.b64encode(f"key: {key}.".encode()).decode(),
    "base64 amid, shifted": lambda key: base64.b64encode(f"a key: {key}!".encode()).decode(),
    "base64 url, in lines": lambda key: "\n".join(base64.urlsafe_b64encode(f"it: {key}".encode()).decode()[at : at + 10] for at in range(0, 80, 10)),
    "base32": lambda key: base64.b32encode(key.encode()).decode(),
    "hexadecimal": lambda key: key.encode().hex(" "),
    "codes": lambda key: ", ".join(str(ord(char)) for char in key),
    "rot13": lambda key: codecs.encode(key, "rot13"),
    "reversed": lambda key: key[::-1],
    "spaced": lambda key: " ".join(key),
    "zero width": lambda key: "\u200b".join(key),
    "bold": lambda key: "".join(f"**{char}**" for char in key),
    "upper case": lambda key: key.upper(),
    "full width": lambda key: "".join(chr(ord(char) + 0xFEE0) for char in key),
    "mathematical": lambda key: "".join(chr(0x1D41A + ord(char) - 97) if "a" <= char <= "z" else char for char in key),
}  # fmt: skip
