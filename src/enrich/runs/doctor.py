"""`enrich doctor`: what is wrong with a set-up, by name, and what to do; with `--ask`, what the server can do. Writes nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from enrich.config import AUTO, preset, provider_of
from enrich.errors import AnswerError, ServiceError, UserError
from enrich.files import SETTINGS_BYTES, read_text
from enrich.llm.costs import ContextLimits, shutdown_date
from enrich.llm.messages import Event, Message, Request, Tally
from enrich.llm.parameters import Parameters
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.review.support import EvidenceFile
from enrich.runs.plan import BROKEN
from enrich.runs.service import affordable_workers, client_settings, endpoints, first_parameters, prices_of, with_any_key
from enrich.stages.scores import read_calibration
from enrich.stages.stage import OFFLINE, load_stages
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

if TYPE_CHECKING:
    from enrich.config import Config

_CONNECT_SECONDS = 0.5
# Prompts, schema and answers take about so many tokens without the page.
_BESIDE_A_PAGE = 6000
_LISTED = 5
_REFUSED = {
    "no API key": "no-key",
    "the key has characters": "malformed-key",
    "only the wiki's own file names the server": "untrusted-host",
    "only the wiki's own file adds": "untrusted-request",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: its `name`, what is wrong, where, and what to do."""

    name: str
    what: str
    where: str = ""
    do: str = ""

    @classmethod
    def of(cls, name: str, error: UserError) -> Problem:
        return cls(name, error.what, error.where, error.do)


def examine(config: Config, env: Mapping[str, str]) -> list[Problem]:
    """All findings about the wiki with this configuration. Sends nothing; a server on this machine is looked for."""
    if not config.content.is_dir():
        return [Problem("no-content", "the content folder does not exist", str(config.content), "set wiki.content in enrich.toml")]
    wiki = Wiki.open(config)
    return [*_pages(wiki), *_prompts(wiki), *_server(wiki, env), *_model(wiki, env), *_files(wiki), *_decisions(wiki)]


def _pages(wiki: Wiki) -> Iterator[Problem]:
    config = wiki.config
    where = str(config.content)
    if not wiki.files:
        yield Problem("no-pages", "no .md or .mdx file is there", where, "set wiki.content, wiki.roots or wiki.exclude in enrich.toml")
    if not os.access(config.content, os.W_OK) or not os.access(config.root, os.W_OK):
        yield Problem("read-only", "the wiki's folder cannot be written", where, "give write permission to the user that runs enrich")
    broken = [
        f"{file.path}: {page.problem.reason}" for file in wiki.files if (page := read_page(file)).problem and page.problem.kind in BROKEN
    ]
    if broken:
        yield Problem(
            "broken-pages", f"{len(broken)} unreadable: {'; '.join(broken[:_LISTED])}", where, "fix these files: they are left out"
        )


def _prompts(wiki: Wiki) -> Iterator[Problem]:
    try:
        stages = load_stages(wiki.config)
        maps = read_calibration(wiki.config)
    except UserError as error:
        yield Problem.of("stage", error)
        return
    if not stages:
        yield Problem("no-stage", "no stage is enabled, so nothing is asked", "stages", "enable one in enrich.toml")
    for stage in stages:
        if not stage.calibration and any(one.model == stage.model and one.field in stage.fields for one in maps):
            what = f"`{stage.model}` was calibrated with another prompt or other settings: its ratings are not calibrated"
            do = "calibrate it again: enrich eval --ask --calibrate"
            yield Problem("calibration-outdated", what, str(wiki.config.calibration), do)


def _server(wiki: Wiki, env: Mapping[str, str]) -> Iterator[Problem]:
    config, llm = wiki.config, wiki.config.llm
    if llm.backend == OFFLINE:
        if env.get("OPENAI_API_KEY"):
            do = 'set backend = "openai" to use a model'
            yield Problem("unused-key", "a key is set, but the backend is offline: no model is asked", "llm.backend", do)
        return
    if "://" in env.get("ENRICH_TRUST_HOST", "") or "/" in env.get("ENRICH_TRUST_HOST", ""):
        yield Problem(
            "trust-form", "ENRICH_TRUST_HOST is a host, not an address", "ENRICH_TRUST_HOST", "write the host alone, as in api.example.net"
        )
    named = env.get("OPENAI_BASE_URL", "").rstrip("/")
    if named and named not in [url.rstrip("/") for url in config.base_urls]:
        yield Problem(
            "two-servers", f"OPENAI_BASE_URL ({named}) is not used", "llm.base_url", "remove it, or llm.base_url and llm.provider"
        )
    for url in config.base_urls:
        yield from _address(url, llm.provider, llm.path)
    try:
        servers = endpoints(config, env)
    except UserError as error:
        yield Problem.of(next((name for start, name in _REFUSED.items() if error.what.startswith(start)), "bad-address"), error)
        return
    for server in servers:
        if server.is_loopback and not _listens(server.base_url):
            do = "start the server, or correct llm.base_url"
            yield Problem("nothing-listens", f"no server answers at {server.host}", "llm.base_url", do)


def _address(url: str, provider: str, path: str) -> Iterator[Problem]:
    parts = urlsplit(url)
    if parts.path.rstrip("/").endswith("/completions") and path.endswith("/completions"):
        yield Problem("chat-path", f"{url} already ends in the path of requests", "llm.base_url", "leave `/chat/completions` out")
    elif url and parts.path.strip("/") == "":
        yield Problem("no-version", f"{url} has no path", "llm.base_url", "most servers need /v1 at the end (Azure: /openai/v1)")
    found = provider_of(url)
    if url and provider != AUTO and found and found != provider and preset(provider).get("key_variable"):
        yield Problem("provider-mismatch", f"the provider is {provider}, but {url} is {found}", "llm.provider", f'set provider = "{found}"')


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    with closing(socket.socket(socket.AF_INET6 if ":" in (parts.hostname or "") else socket.AF_INET)) as tried:
        tried.settimeout(_CONNECT_SECONDS)
        return tried.connect_ex((parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))) == 0


def ending_models(config: Config, hosts: Sequence[str]) -> Iterator[Problem]:
    """The configured models that their vendor, at one of the `hosts`, announced to shut down."""
    for model in _models(config):
        if end := next(filter(None, (shutdown_date(host, model) for host in hosts)), ""):
            do = f"compare a newer model with `enrich eval --answers model:NEW --against model:{model} --ask`, then set llm.model"
            yield Problem("model-ends", f"`{model}` is announced to be shut down on {end}", "llm.model", do)


def _models(config: Config) -> list[str]:
    """The models that the stages are asked with."""
    sections = (config.stages[name] for name in ("summary", "insights", "ratings"))
    return sorted({model for model in (config.llm.model, *(section.model for section in sections)) if model})


def _model(wiki: Wiki, env: Mapping[str, str]) -> Iterator[Problem]:
    """Prices, context, limits, and models that their vendor shuts down."""
    config, llm = wiki.config, wiki.config.llm
    if llm.backend == OFFLINE:
        return
    try:
        servers = endpoints(config, with_any_key(config, env))
        prices = prices_of(config, servers)
    except UserError:
        return  # reported by `_server`
    yield from ending_models(config, [server.host for server in servers])
    for model in _models(config):
        price = prices.price_of(model)
        if price is None and config.run.budget_usd is not None:
            do = f'add [prices."{model}"] with input and output in USD per million tokens'
            yield Problem("no-price", f"the price of `{model}` is unknown, so the budget cannot be kept", "run.budget_usd", do)
        if price is not None and price.output and config.run.budget_usd is None:
            yield Problem("no-budget", f"`{model}` costs money, and no budget is set", "run.budget_usd", "set budget_usd under [run]")
        context = ContextLimits(config.cache, llm.context_tokens, config.folders).of(model)
        if context is not None and context < _BESIDE_A_PAGE:
            what = f"a context of {context:,} tokens leaves no room for a page beside prompts and answers"
            yield Problem(
                "small-context", what, "llm.context_tokens", "raise it at the server, or ask fewer stages with lower max_output_tokens"
            )
    if affordable_workers() < llm.concurrency:
        what = f"this process may open too few files for {llm.concurrency} requests at once"
        yield Problem("open-files", what, "llm.concurrency", "raise `ulimit -n`, or lower llm.concurrency")


def _files(wiki: Wiki) -> Iterator[Problem]:
    """What git should ignore and merge."""
    root = wiki.config.root
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return
    lines: dict[str, set[str]] = {}
    for name in (".gitignore", ".gitattributes"):
        try:
            lines[name] = git_lines(read_text(root / name, wiki.config.folders, SETTINGS_BYTES))
        except (OSError, UnicodeDecodeError):
            lines[name] = set()
    missing = [f"{folder}/" for folder in ("cache", "proposals") if folder not in lines[".gitignore"]]
    if missing:
        yield Problem("not-ignored", f"git does not ignore {' and '.join(missing)}", ".gitignore", "run `enrich init`, or add these lines")
    if "enrich.lock" in lines[".gitignore"]:
        yield Problem(
            "lock-ignored", "git ignores enrich.lock: others cannot know which values enrich wrote", ".gitignore", "remove that line"
        )
    for name in ("enrich.lock", "enrich.evidence"):
        if f"{name} merge=union" not in lines[".gitattributes"]:
            do = f"run `enrich init`, or add `{name} merge=union`"
            yield Problem("no-merge-rule", f"git does not merge {name} by union, so branches conflict", ".gitattributes", do)


def git_lines(text: str) -> set[str]:
    """The lines of one of git's files, each in one spelling: `/cache/`, `cache` and `/cache/*` are the same."""
    return {line.strip().removesuffix("*").strip("/") for line in text.splitlines()}


def _decisions(wiki: Wiki) -> Iterator[Problem]:
    """Lock, evidence and proposals."""
    # Each entry is read, so that a damaged one is found.
    readers: Mapping[str, Callable[[], Collection[object]]] = {
        "lock-damaged": lambda: list(wiki.shared(LockFile).read()),
        "evidence-damaged": wiki.shared(EvidenceFile).read,
    }
    for name, read in readers.items():
        try:
            read()
        except UserError as error:
            yield Problem.of(name, error)
    store = wiki.shared(ProposalStore)
    stray = [proposal.page for proposal in store.all() if proposal.page not in wiki.by_id]
    yield from (Problem.of("proposal-damaged", error) for error in store.damaged)
    if stray:
        do = "delete their files, or restore the pages"
        yield Problem("stray-proposals", f"proposals for pages that are gone: {', '.join(stray[:_LISTED])}", str(wiki.config.proposals), do)


@dataclass(slots=True)
class Capabilities:
    """What a server showed when it was asked: (capability, yes or no), lines for `[llm]`, notes, and what it took."""

    model: str
    host: str
    able: dict[str, bool] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    requests: int = 0
    cost_usd: float | None = None
    problem: str = ""


_SCORE = {"type": "number", "minimum": 0, "maximum": 10, "multipleOf": 0.5}
_SCHEMA = {"type": "object", "properties": {"score": _SCORE}, "required": ["score"], "additionalProperties": False}
_QUESTION = (
    Message("system", "Answer in JSON."),
    Message("user", "How blue is a clear sky?"),
    Message("user", 'Answer with {"score": 0 to 10}.'),
)


async def ask(config: Config, env: Mapping[str, str]) -> Capabilities:
    """Ask the first server one tiny question per capability. Raises `UserError` for a server that may not be asked."""
    from enrich.llm.client import Client

    llm, server = config.llm, endpoints(config, env)[0]
    first, prices = first_parameters(llm), prices_of(config, [server])
    found, spent = Capabilities(llm.model, server.host), Tally()
    events: list[Event] = []
    request = Request(llm.model, _QUESTION, _SCHEMA, "doctor", 0.5, 60)

    async def learned(parameters: Parameters) -> Parameters:
        settings = replace(client_settings(llm, 1), requests_per_minute=None, tokens_per_minute=None, parameters=parameters, attempts=2)
        async with Client(server, settings, prices, events=events.append) as client:
            await client.send(request, spent)
            return client.written_with(llm.model)

    try:
        now = await learned(first)
        found.able = {
            "json_schema": now.structured_output == "json_schema" and not now.in_words,
            "bounds in schemas": now.structured_output == "json_schema" and now.score_bounds != "none",
            "temperature": now.temperature,
            "system message": now.system,
            "two messages of one role in a row": not now.merge_messages,
        }
        found.able["json_object"] = (await learned(replace(now, structured_output="json_object"))).structured_output == "json_object"
        found.able["streaming"] = now.stream or (await learned(replace(now, stream=True))).stream
        found.lines = _settings(first, now)
    except (AnswerError, ServiceError) as error:
        found.problem = f"{error} {getattr(error, 'do', '')}".strip()
    found.notes = [event.detail for event in events if event.kind == "note"]
    found.requests, found.cost_usd = spent.requests, spent.cost_usd
    return found


def _settings(first: Parameters, now: Parameters) -> list[str]:
    """The lines for `[llm]` that make the server's ways known from the start."""
    if now.in_words:
        now = replace(now, structured_output="prompt")
    names = ("structured_output", "ceiling_name", "score_bounds", "merge_messages", "stream")
    lines = [f"{name} = {json.dumps(getattr(now, name))}" for name in names if getattr(now, name) != getattr(first, name)]
    return lines + ([f"context_tokens = {now.context}"] if now.context else [])
