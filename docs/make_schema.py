"""Write `docs/diff.schema.json`, the JSON Schema of what `enrich diff --json` prints (`make docs`); tests compare both with real documents."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TARGET = Path(__file__).with_name("diff.schema.json")


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class FindingPart(_Part):
    """One finding about a value. A hard one keeps the value off the page until a person accepts it."""

    kind: str = Field(description="What was checked: number, quote, self-talk, blemish, …")
    severity: Literal["hard", "soft"]
    message: str
    where: str = Field(description="The part of the value: a field, or insights[0].")


class EvidencePart(_Part):
    """A quote that supports the value."""

    quote: str
    where: str = Field(description="The part of the value that the quote supports.")
    lines: list[int] = Field(description="First and last line of the body, from 1; 0: title, description or not found.")
    section: str = Field(description="The heading above the quote.")
    found: bool
    verbatim: bool = Field(description="False: the model's words differed slightly and were replaced by the page's.")
    file_lines: list[int] = Field(description="The same lines in the current file.")


class ItemPart(_Part):
    """One insight of the field `insights`; its address is `PAGE:insights.<id>`."""

    id: str
    index: int = Field(description="Its place in `new`; -1: it would be removed from the page.")
    status: Literal["new", "changed", "same", "gone"]
    decided: dict[str, str] = Field(description="Who decided on it and when, with the reason of a rejection; empty if it is undecided.")


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
    chance: dict[str, int] | None = Field(
        default=None,
        description="How many of a sample of wrong `numbers` and `names` this page would let pass without a quote; null for ratings.",
    )


class FieldPart(_Part):
    """One field of one page."""

    field: str = Field(description="llmSummary, insights, ratings.<dimension> or quality.")
    stage: str
    old: Any = Field(description="The value on the page when it was asked about; null if there was none.")
    new: Any = Field(description="The proposed value.")
    new_hash: str = Field(description="Hash of `new`; a decision names it.")
    state: Literal["pending", "accepted", "rejected"]
    flags: list[str] = Field(description="needs-look, over-human, leap, stale.")
    findings: list[FindingPart]
    evidence: list[EvidencePart]
    reason: str = Field(description="The model's reason, if it gave one.")
    provenance: ProvenancePart
    decided: dict[str, str] = Field(
        description="Who decided and when, the reason of a rejection, and a reviewer's note; empty if it is undecided."
    )
    items: list[ItemPart] = Field(description="The insights one by one; empty for other fields.")


class PagePart(_Part):
    """One page with proposed changes."""

    page: str
    path: str = Field(description="Relative to the content folder.")
    note: str = Field(description="What is wrong with the page itself, or empty.")
    assigned: str = Field(description="Who is to review the page, or empty.")
    fields: list[FieldPart]


class DiffDocument(_Part):
    """The document that `enrich diff --json` prints."""

    model_config = ConfigDict(extra="allow", title="enrich diff")
    version: Literal[1] = Field(alias="schema", description="The version of this form. Keys may be added within it.")
    pages: list[PagePart]


def schema_text() -> str:
    """The schema (draft 2020-12)."""
    tree = {"$schema": "https://json-schema.org/draft/2020-12/schema", **DiffDocument.model_json_schema(by_alias=True)}
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    TARGET.write_text(schema_text(), encoding="utf-8")
    print(f"wrote {TARGET.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
