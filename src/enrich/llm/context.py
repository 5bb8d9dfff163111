"""How many tokens a model takes in one request, prompt and answer together: configured, learned from a server's error, or known."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from enrich.errors import UserError
from enrich.files import SETTINGS_BYTES, Folders, read_bytes, write_text_atomically

# "context length (n_keep: 5026>= n_ctx: 4096)": the name counts more than the words
_NAMED = re.compile(r"n_ctx\W{0,4}(\d{3,})")
# "maximum context length is 8192 tokens", "available context size (4096 tokens)", "210000 tokens > 200000 maximum"
_STATED = re.compile(
    r"(?:context (?:length|window|size)|maximum)(?: of| is|:|=)?\D{0,12}?(\d[\d,]{2,})|> ?(\d[\d,]{2,}) maximum", re.IGNORECASE
)
_LEAST = 256


class ContextLimits:
    """The context of each model. What servers state is kept in the cache folder."""

    def __init__(self, folder: Path, configured: int | None, within: Folders | None = None) -> None:
        self._file, self._configured, self._within = folder / "context.json", configured, within
        self._learned: dict[str, int] = {}
        self._known: dict[str, int | None] = {}
        with suppress(OSError, ValueError):  # missing or damaged: nothing has been learned
            self._learned = TypeAdapter(dict[str, int]).validate_json(read_bytes(self._file, within, SETTINGS_BYTES))

    def of(self, model: str) -> int | None:
        """The model's context in tokens; None if it is not known. A server's word counts more than the library's."""
        if self._configured is not None:
            return self._configured
        if model in self._learned:
            return self._learned[model]
        if model not in self._known:
            self._known[model] = _from_library(model)
        return self._known[model]

    def learn(self, model: str, error: str, sent: int) -> int:
        """The context that a server's error states, which is kept; else, for this process, less than the tokens that were `sent`."""
        found = _NAMED.search(error) or _STATED.search(error)
        stated = int(next(filter(None, found.groups())).replace(",", "")) if found else 0
        known = stated if stated >= _LEAST else max(_LEAST, sent * 2 // 3)
        if self._configured is not None:
            return known
        changed = self._learned.get(model) != known
        self._learned[model] = known
        if changed and known == stated:
            with suppress(UserError):
                write_text_atomically(self._file, json.dumps(self._learned) + "\n", durable=False, within=self._within)
        return known


def _from_library(model: str) -> int | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, None, None)
    except (LookupError, ValueError):
        return None
    return info.context_window


def shutdown_date(host: str, model: str) -> str:
    """The date (YYYY-MM-DD) from which the vendor at `host` announced that it no longer serves a model; "" if none is known.

    From a table that is part of the package (`shutdowns.json`, with its own date); other servers may serve a model of the same name for longer.
    """
    table: dict[str, Any] = json.loads((resources.files("enrich.llm") / "shutdowns.json").read_text(encoding="utf-8"))
    announced: dict[str, list[str]] = table.get(host) or {}
    return next((date for date, models in announced.items() if model in models), "")
