"""The JSON of `enrich diff`, described: its models, and the JSON Schema that is made from them (`diff.schema.json`).

The document is versioned by `schema`: keys may be added within a version, none is renamed or removed (DESIGN.md section 4.2).
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class FindingPart(_Part):
    """What was found about a value. `hard` keeps it off the page until a person says otherwise."""

    kind: str = Field(description="What was looked at: number, quote, self-talk, blemish, …")
    severity: Literal["hard", "soft"]
    message: str
    where: str = Field(description="The part of the value: a field, or insights[0].")


class EvidencePart(_Part):
    """A quote behind the value."""

    quote: str
    where: str = Field(description="The part of the value that the quote carries.")
    lines: list[int] = Field(description="First and last line, counted from the body's first; 0: title, description or not found.")
    file_lines: list[int] = Field(description="The same as lines of the file as it stands now.")
    section: str = Field(description="The heading above the quote.")
    found: bool
    verbatim: bool = Field(description="False: the model's words were a little off and were repaired to the page's.")


class ProvenancePart(_Part):
    """Where a proposed value comes from."""

    model: str
    prompt_version: str
    question: str = Field(description="The question key: sha256 over model, schema, messages and settings.")
    page_hash: str = Field(description="sha256 of the page's text that was asked about.")
    tokens: dict[str, int]
    cost_usd: float | None
    asked: str = Field(description="When, ISO 8601, UTC.")
    run: str


class FieldPart(_Part):
    """One field of one page."""

    field: str = Field(description="llmSummary, insights, ratings.<dimension> or quality.")
    stage: str
    old: Any = Field(description="The value on the page when it was asked about; null where there was none.")
    new: Any = Field(description="The value that is proposed.")
    new_hash: str = Field(description="Hash of `new`, to be named by a decision on it.")
    state: Literal["pending", "accepted", "rejected"]
    flags: list[Literal["needs-look", "over-human", "stale"]]
    findings: list[FindingPart]
    evidence: list[EvidencePart]
    reason: str = Field(description="The model's reason, where it gave one.")
    provenance: ProvenancePart
    decided: dict[str, str] = Field(description="Who decided and when; empty while nobody has.")


class PagePart(_Part):
    """One page with proposed changes."""

    page: str
    path: str = Field(description="Relative to the content folder.")
    note: str = Field(description="What is wrong with the page itself, or empty.")
    fields: list[FieldPart]


class DiffDocument(_Part):
    """What `enrich diff --json` prints."""

    model_config = ConfigDict(extra="allow", title="enrich diff")
    version: Literal[1] = Field(alias="schema", description="The version of this form. Keys may be added within it.")
    pages: list[PagePart]


def schema_text() -> str:
    """The JSON Schema of the document (draft 2020-12), as the file `diff.schema.json` holds it."""
    tree = {"$schema": "https://json-schema.org/draft/2020-12/schema", **DiffDocument.model_json_schema(by_alias=True)}
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
