"""Which question a value came from, and why a later question is another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from enrich.stages.catalogue import OFFLINE, Stage
from enrich.wiki.pages import Page

ADOPTED = "adopted"
"""Stands for the model of values that `enrich adopt` took over: nobody knows which model wrote them, and none replaces them by itself."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A question as the lock and proposals remember it: its key, and the hashes of the parts the key is made of."""

    key: str
    page_hash: str
    prompt: str
    schema: str
    settings: str
    model: str

    @classmethod
    def of(cls, page: Page, stage: Stage, *, key: str | None = None) -> Origin:
        """The question that `stage` asks of `page` now. The key is left empty unless given: it costs a rendering."""
        return cls(key or "", page.hash, stage.prompt_hash, stage.schema_hash, stage.settings_hash, stage.model)

    def reasons(self, now: Origin) -> list[str]:
        """Why the question `now` is another one than this ([]: it is the same), in the words of DESIGN.md section 3.2.

        A model's answer stays when the backend is switched to `offline`; an adopted value belongs to no model.
        """
        reasons = []
        if self.page_hash != now.page_hash:
            reasons.append("page-changed")
        # The baseline has neither prompt nor settings of its own: what it would not answer better is no reason.
        of_model_now_offline = now.model == OFFLINE and self.model != OFFLINE
        if of_model_now_offline:
            return []
        if self.prompt != now.prompt:
            reasons.append("prompt-changed")
        if self.schema != now.schema:
            reasons.append("schema-changed")
        if self.model not in (now.model, ADOPTED):
            reasons.append("model-changed")
        if self.settings != now.settings:
            reasons.append("settings-changed")
        return reasons

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "page_hash": self.page_hash,
            "prompt": self.prompt,
            "schema": self.schema,
            "settings": self.settings,
            "model": self.model,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Origin:
        """Raises KeyError for a missing part."""
        return cls(*(str(data[name]) for name in ("key", "page_hash", "prompt", "schema", "settings", "model")))
