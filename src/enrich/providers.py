"""The presets of servers (`providers.yaml`): by name, or by the address that requests go to."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

import yaml

AUTO = "auto"
_MATCHES = "servers"


@cache
def _presets() -> Mapping[str, Mapping[str, Any]]:
    tree: dict[str, dict[str, Any]] = yaml.load(
        resources.files("enrich").joinpath("providers.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return tree


def preset(name: str) -> dict[str, Any]:
    """The keys of `[llm]` that a provider's preset fills in; {} for one that has none."""
    return {key: value for key, value in _presets().get(name, {}).items() if key != _MATCHES}


def provider_of(base_url: str) -> str:
    """The provider whose servers have such an address; "" if none is known by it.

    >>> provider_of("https://api.groq.com/openai/v1"), provider_of("http://127.0.0.1:8080/v1")
    ('groq', '')
    """
    address = base_url.lower().partition("://")[2].rstrip("/") + "/"
    for name, keys in _presets().items():
        if any(fnmatchcase(address, pattern) for pattern in keys[_MATCHES]):
            return name
    return ""


def names() -> list[str]:
    """All providers with a preset."""
    return list(_presets())
