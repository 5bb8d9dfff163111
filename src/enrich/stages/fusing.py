"""One request for all due stages of a page: the page is paid once (DESIGN.md section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from enrich.llm.messages import Message, Request
from enrich.stages.catalogue import Stage
from enrich.stages.page_message import page_message
from enrich.stages.schema import fused_schema
from enrich.wiki.pages import Page


def groups(stages: Iterable[Stage], *, fuse: bool) -> list[list[Stage]]:
    """The stages that can share a request: same model and temperature; each alone where `fuse` is off."""
    if not fuse:
        return [[stage] for stage in stages]
    together: dict[tuple[str, float | None], list[Stage]] = {}
    for stage in stages:
        together.setdefault((stage.model, stage.temperature), []).append(stage)
    return list(together.values())


def fused_request(page: Page, stages: Sequence[Stage]) -> Request:
    """System, page and tasks as three messages, with one schema that has a part per stage."""
    tasks = "\n\n".join(stage.task(page) for stage in stages)
    names = ", ".join(f"`{stage.name}`" for stage in stages)
    intro = f"Answer with one JSON object that has the part{'s' if len(stages) > 1 else ''} {names}."
    messages = (
        Message("system", stages[0].system),
        Message("user", page_message(page)),
        Message("user", f"{intro}\n\n{tasks}"),
    )
    return _request(page, stages, messages)


def again_request(page: Page, first: Request, answer: str, stages: Sequence[Stage], problems: Mapping[str, Sequence[str]]) -> Request:
    """The original messages, the last answer and what is wrong with it, asking only for the parts of `stages`."""
    lines = ["Parts of your answer cannot be used. What is wrong:"]
    for stage in stages:
        lines += [f"- `{stage.name}`: {problem}" for problem in problems[stage.name]]
    names = ", ".join(f"`{stage.name}`" for stage in stages)
    lines.append(f"Answer again with one JSON object that has only {names}, corrected. The rules and tasks are unchanged.")
    messages = (*first.messages, Message("assistant", answer), Message("user", "\n".join(lines)))
    return _request(page, stages, messages)


def _request(page: Page, stages: Sequence[Stage], messages: tuple[Message, ...]) -> Request:
    return Request(
        model=stages[0].model,
        messages=messages,
        schema=fused_schema({stage.name: stage.schema for stage in stages}),
        schema_name="enrich_" + "_".join(stage.name for stage in stages),
        temperature=stages[0].temperature,
        max_output_tokens=sum(stage.max_output_tokens for stage in stages),
        cache_group=page.hash[:32],
    )
