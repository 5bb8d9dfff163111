"""`enrich doctor`: what is wrong with a set-up, and what the server can do."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from typing import Annotated

from typer import Context, Exit, Option, Typer

from enrich.cli.session import TO_REPORT, Backend, BaseUrl, Model, Session
from enrich.errors import UserError
from enrich.runs.doctor import Capabilities, Problem, ask, examine
from enrich.stages.stage import OFFLINE
from enrich.text import counted, usd

app = Typer(rich_markup_mode=None)


@app.command()
def doctor(
    ctx: Context,
    ask_server: Annotated[bool, Option("--ask", help="Ask the server one tiny question per capability (a fraction of a cent).")] = False,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
) -> None:
    """Check settings, pages, server, key, prices, limits, git files, lock and proposals; say what to do. Exit code 10 on findings."""
    session: Session = ctx.obj
    found: Capabilities | None = None
    problems: list[Problem] = []
    try:
        config = session.config(llm__backend=backend, llm__model=model, llm__base_url=base_url)
        problems += examine(config, os.environ)
        if ask_server and config.llm.backend != OFFLINE:
            found = asyncio.run(ask(config, os.environ))
            problems += [Problem("server", found.problem, found.host)] if found.problem else []
    except UserError as error:
        problems.append(Problem.of("settings", error))
    problems = list(dict.fromkeys(problems))
    document = {"findings": [asdict(problem) for problem in problems], "server": asdict(found) if found else None}
    session.result(document, *_lines(problems, found))
    if problems:
        raise Exit(TO_REPORT)


def _lines(problems: list[Problem], found: Capabilities | None) -> list[str]:
    lines = [f"{one.name}: {one.where + ': ' if one.where else ''}{one.what}{'; ' + one.do if one.do else ''}" for one in problems]
    if found is not None and not found.problem:
        cost = "" if found.cost_usd is None else f", {usd(found.cost_usd)}"
        lines.append(f"{found.model} at {found.host} ({counted(found.requests, 'request')}{cost}):")
        lines += [f"  {name}: {'yes' if able else 'no'}" for name, able in found.able.items()]
        lines += (
            ["lines for [llm] in enrich.toml:", *(f"  {line}" for line in found.lines)] if found.lines else ["[llm] needs no further lines"]
        )
    return [*lines, "no findings" if not problems else f"{counted(len(problems), 'finding')}"]
