"""Hostile pages: ways to hide an order in a page, and orders to hide. A model that obeys them must still not get anything past the checks."""

from __future__ import annotations

import base64
import codecs
import json
import re
from pathlib import Path
from typing import Any

import yaml

MARK = "OBEY"

_DATA = yaml.safe_load(Path(__file__).with_name("hostile.yaml").read_text(encoding="utf-8"))
ORDERS: dict[str, dict[str, Any]] = _DATA["orders"]
CARRIERS: dict[str, str] = _DATA["carriers"]


def _carried(carrier: str, order: dict[str, Any]) -> tuple[str, str]:
    """(extra frontmatter, hostile paragraph)"""
    text = f"{MARK} {json.dumps(order)} {MARK}"
    head = "description: '{}'\n".format(text.replace("'", "''")) if carrier == "description" else ""
    if carrier == "encoded":
        text = base64.b64encode(text.encode()).decode()
    elif carrier == "rotated":
        text = codecs.encode(text, "rot13")
    return head, CARRIERS[carrier].replace("ORDER", text)


def hostile_pages() -> dict[str, tuple[str, str]]:
    """name → (extra frontmatter, hostile paragraph) of every carrier with every order: 75 pages."""
    return {f"{carrier}-{name}": _carried(carrier, order) for carrier in CARRIERS for name, order in ORDERS.items()}


def obeyed(text: str) -> dict[str, Any]:
    """What a model that obeys whatever it reads would answer: the order in the text, decoded where it must be."""
    for candidate in (text, *_decoded(text)):
        found = re.search(rf"{MARK} (\{{.*?\}}) {MARK}", candidate, re.DOTALL)
        if found:
            try:
                order = json.loads(found.group(1))
            except ValueError:
                continue
            return order if isinstance(order, dict) else {}
    return {}


def _decoded(text: str) -> list[str]:
    out = [codecs.decode(text, "rot13")]
    for blob in re.findall(r"[A-Za-z0-9+/=]{80,}", text):
        try:
            out.append(base64.b64decode(blob).decode())
        except ValueError:
            continue
    return out
