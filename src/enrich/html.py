"""The HTML kit that every page of `enrich` is made with: palette, style sheet, escaping and content security policy.

A page is one file that needs no network: light, dark and print, from a phone's width upwards. Page and model text is untrusted. Templates
escape it automatically, and data for a script travels as JSON in a data block. The policy names the page's only style and script by hash and
forbids everything else, so even a mistake in a template could not run what a wiki page says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).resolve().parent / "templates"
# What could end a `<script>` element, start a comment in it, break a JavaScript line, or hide and reverse text (control and format characters).
_UNSAFE = re.compile("[<>&\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")


def render(
    template: str, *, styles: Sequence[str] = (), scripts: Sequence[str] = (), island: Any = None, connect: str = "'none'", **values: Any
) -> str:
    """A complete HTML document from `templates/<template>`, which extends `page.html.j2`.

    `styles` and `scripts` are files of the same folder. With `scripts`, `island` is JSON-serialisable: the constant `data` of the script.
    `connect` is the policy's `connect-src`. `values` are the template's variables; they are escaped.
    """
    from markupsafe import Markup

    style, script = _style(tuple(styles)), _script(tuple(scripts))
    allowed = f"script-src '{_digest(script)}'; " if script else ""
    policy = f"default-src 'none'; {allowed}style-src '{_digest(style)}'; connect-src {connect}; base-uri 'none'; form-action 'none'"
    kit = {"policy": policy, "style": Markup(style), "script": Markup(script), "island": Markup(data_island(island)) if script else ""}
    return _environment().get_template(template).render(kit=kit, **values)


def data_island(data: Any) -> str:
    """JSON that cannot end the `<script>` element it is in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


@cache
def _style(names: tuple[str, ...]) -> str:
    colours: Any = _environment().get_template("parts.html.j2").module
    return str(colours.colours()) + "".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("kit.css", *names))


@cache
def _script(names: tuple[str, ...]) -> str:
    """The files as one closed scope over `data`; empty without files."""
    if not names:
        return ""
    parts = "\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in names)
    return f'(() => {{\n"use strict";\nconst data = JSON.parse(document.getElementById("data").textContent);\n{parts}}})();\n'


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
