"""The fields that drifted, read from a report of `enrich eval --against … --json`: what `enrich run --drifted-from` asks about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from enrich.config import Config
from enrich.errors import UserError, invalid_data
from enrich.files import DATA_BYTES, read_text
from enrich.stages.fields import INSIGHTS, SUMMARY
from enrich.stages.stage import load_stages

Verdict = Literal["drift", "steady", "too-few"]

_DO = "make it with `enrich eval --against model:NAME --json > report.json`"


class _Shift(BaseModel):
    field: str
    verdict: Verdict


class _Drift(BaseModel):
    before: str
    after: str
    fields: list[_Shift]


class _Report(BaseModel):
    """The part of the document that is needed; it has more keys."""

    drift: Annotated[_Drift | None, Field(default=None)]


def drifted_fields(file: Path, config: Config) -> tuple[str, ...]:
    """The fields of pages that drifted, in the report's order; () if none did. A score of insights is about the whole field `insights`.

    Raises `UserError` for a report without drift, about other models than the configured ones, or with too few pages for any verdict.
    """
    try:
        drift = _Report.model_validate_json(read_text(file, config.folders_of(file), DATA_BYTES)).drift
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror or error})", where=str(file), do=_DO) from None
    except UnicodeDecodeError:
        raise UserError("not UTF-8", where=str(file), do=_DO) from None
    except ValidationError as error:
        raise invalid_data(error, _Report, str(file), _DO) from None
    if drift is None or not drift.fields:
        raise UserError("the report compares nothing", where=str(file), do=_DO)
    models = {stage.model for stage in load_stages(config)}
    # A set of answers is named after its models: `new-model (summary v2, ratings v2)`.
    compared = {model.strip() for side in (drift.before, drift.after) for model in side.partition(" (")[0].split(",")}
    if not models & compared:
        do = f"set llm.model to one of {', '.join(sorted(compared))}, or compare the configured model"
        raise UserError(f"the report is not about {', '.join(sorted(models))}", where=str(file), do=do)
    if all(shift.verdict == "too-few" for shift in drift.fields):
        raise UserError("too few golden pages for a verdict", where=str(file), do="compare at least 8 pages")
    return tuple(dict.fromkeys(_field(shift.field) for shift in drift.fields if shift.verdict == "drift"))


def _field(name: str) -> str:
    return {"summary": SUMMARY, "insights": INSIGHTS}.get(name.partition(".")[0], name)
