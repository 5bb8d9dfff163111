"""The JSON document of `enrich diff`: built from page views, and described by the JSON Schema in `docs/diff.schema.json`.

`schema` is the version of the form: within a version keys may be added; none is renamed or removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from enrich.review.views import FieldView, PageView


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
    old: Any = Field(description="The value on the page when it was asked about; null if there was none.")
    new: Any = Field(description="The proposed value.")
    new_hash: str = Field(description="Hash of `new`; a decision names it.")
    state: Literal["pending", "accepted", "rejected"]
    flags: list[str] = Field(description="needs-look, over-human, stale.")
    findings: list[FindingPart]
    evidence: list[EvidencePart]
    reason: str = Field(description="The model's reason, if it gave one.")
    provenance: ProvenancePart
    decided: dict[str, str] = Field(description="Who decided and when; empty if it is undecided.")


class PagePart(_Part):
    """One page with proposed changes."""

    page: str
    path: str = Field(description="Relative to the content folder.")
    note: str = Field(description="What is wrong with the page itself, or empty.")
    fields: list[FieldPart]


class DiffDocument(_Part):
    """The document that `enrich diff --json` prints."""

    model_config = ConfigDict(extra="allow", title="enrich diff")
    version: Literal[1] = Field(alias="schema", description="The version of this form. Keys may be added within it.")
    pages: list[PagePart]


def diff_document(views: Iterable[PageView]) -> dict[str, Any]:
    """The document of `diff --json`."""
    pages = [
        PagePart(page=view.id, path=view.path, note=view.note, fields=[_field(view, field) for field in view.changes]) for view in views
    ]
    return DiffDocument(schema=1, pages=pages).model_dump(by_alias=True)


def _field(view: PageView, field: FieldView) -> FieldPart:
    change = field.change
    shift = view.page.body_line - 1 if view.page else 0
    return FieldPart(
        field=change.field,
        stage=change.stage,
        old=change.old,
        new=change.new,
        new_hash=field.new_hash,
        state=change.state,
        flags=list(field.flags),
        findings=[FindingPart(**asdict(finding)) for finding in change.findings],
        evidence=[
            EvidencePart(**asdict(item), file_lines=[line + shift if line else 0 for line in item.lines]) for item in change.evidence
        ],
        reason=change.reason,
        provenance=ProvenancePart(**change.provenance),
        decided=dict(change.decided),
    )


def schema_text() -> str:
    """The JSON Schema of the document (draft 2020-12), as `docs/diff.schema.json` holds it."""
    tree = {"$schema": "https://json-schema.org/draft/2020-12/schema", **DiffDocument.model_json_schema(by_alias=True)}
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
