"""Who answers the questions of a run: the offline baseline, the answer cache alone, or an engine that asks a model behind a server."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from enrich.config import AUTO, Config, LlmSection, provider_of
from enrich.errors import UserError
from enrich.llm.costs import BATCH_SHARE, Budget, ContextLimits, Prices, PriceSource, TokenUse, estimate_tokens, input_tokens
from enrich.llm.messages import Event
from enrich.llm.parameters import Parameters, reasoning_room
from enrich.llm.server import Endpoint, RequestForm
from enrich.runs.results import run_folders, spent_since
from enrich.stages.scores import DECISIONS
from enrich.stages.stage import OFFLINE, Stage, fused_request
from enrich.text import counted
from enrich.wiki.pages import Page
from enrich.wiki.wiki import Wiki

if TYPE_CHECKING:
    from enrich.llm.cache import AnswerCache, SingleFlight
    from enrich.llm.client import Client, ClientSettings

Baseline = Callable[[str, Page], Mapping[str, Any]]
# Shorter waits are normal under a rate limit (seconds).
_WORTH_A_NOTE = 2.0
# Files that a run opens beside those of its requests: databases, journal, proposals, name resolution.
_SPARE_FILES = 24
# A connection, and one that is being closed.
_FILES_PER_PAGE = 2
# Estimates err by up to a tenth. A schema of all stages has less than so many tokens.
_USED_CONTEXT = 0.9
_SCHEMA_TOKENS = 1500
# In a small context, reasoning gets at most this part of it.
_REASONING_SHARE = 4


def body_room(page: Page, stages: Sequence[Stage], context: int | None, factor: float) -> int | None:
    """The estimated tokens of a page's body that fit into one request about these stages; None if the whole page fits.

    `factor` is the model's correction of estimates.
    """
    if context is None:
        return None
    request = fused_request(page, stages)
    available = context * _USED_CONTEXT - request.max_output_tokens - min(reasoning_room(request.model), context // _REASONING_SHARE)
    # A token is at least a character: most pages need no estimate.
    if sum(len(message.content) for message in request.messages) + _SCHEMA_TOKENS <= available:
        return None
    whole = input_tokens(request) * factor
    if whole <= available:
        return None
    return max(0, int((available - whole) / factor + estimate_tokens(page.body)))


ENGINES = ("local", "batch", "ray")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The engine of a run: `local`, `batch` or `ray`; with `none` nothing is asked.

    What `batch` does beside collecting and submitting: `wait` until all batches have ended; `cancel` the open ones and submit nothing; write
    `files` for `vllm run-batch`. `workers`: Ray actors, None: one for each processor. `ray_address`: a cluster, None: this machine.
    Without `read_cache` stored answers are not used.
    """

    engine: str = "local"
    wait: bool = False
    cancel: bool = False
    files: bool = False
    workers: int | None = None
    ray_address: str | None = None
    read_cache: bool = True

    @property
    def live(self) -> bool:
        """Whether a request that is in no batch is sent at once."""
        return self.engine != "batch"

    @property
    def share(self) -> float:
        """What its requests cost, as a part of the plain price. Files are for servers of one's own."""
        return BATCH_SHARE if self.engine == "batch" and not self.files else 1.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """What answers questions without a request: the built-in baseline, or the answers in the cache, if there are any.

    `workers` pages are asked about at once. `fuse`: one request for all stages of a page. `read_cache`: stored answers are used.
    """

    baseline: Baseline | None = None
    answers: AnswerCache | None = None
    workers: int = 1
    fuse: bool = True
    read_cache: bool = True


@dataclass(frozen=True, kw_only=True)
class ModelService(Service):
    """A client that asks a model behind a server, and what is kept of its answers. `flight`: no question is asked twice at a time."""

    answers: AnswerCache
    client: Client
    flight: SingleFlight
    tokens: TokenUse
    contexts: ContextLimits


def offline(wiki: Wiki) -> Service:
    """The built-in baseline: no network, no key, the same answers each time."""
    from enrich.stages.baseline import answer

    return Service(workers=wiki.config.llm.concurrency, baseline=partial(answer, dimensions=tuple(wiki.config.stages.ratings.dimensions)))


def affordable_workers() -> int:
    """How many pages can be asked about at once within this process's limit of open files."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return sys.maxsize
    with suppress(OSError):
        most -= len(os.listdir("/dev/fd"))
    return max(1, (most - _SPARE_FILES) // _FILES_PER_PAGE)


def with_any_key(config: Config, env: Mapping[str, str]) -> Mapping[str, str]:
    """`env` with some key for the configured server: a plan sends nothing and needs none."""
    return {config.llm.key_variable or "OPENAI_API_KEY": "none", **env}


# What the wiki's file adds to requests: it could redirect a gateway, or send another secret.
_ADDED = ("headers", "query", "extra_body", "key_variable", "key_header", "path")


def endpoints(config: Config, env: Mapping[str, str]) -> list[Endpoint]:
    """The servers that the configuration names. Raises `UserError` for one that is not trusted, and for a missing key."""
    llm = config.llm
    added = [name for name in _ADDED if name in config.source.file_keys]
    found = []
    for base_url in config.base_urls:
        # The file may name a provider, but not have another server get this provider's key.
        elsewhere = "provider" in config.source.file_keys and llm.key_variable is not None and provider_of(base_url) != llm.provider
        form = RequestForm(
            path=llm.path,
            headers=llm.headers,
            query=llm.query,
            key_header=llm.key_header or "",
            key_variable=llm.key_variable or "",
            only_variable=llm.provider != AUTO,
            from_file=[*added, *(["provider"] if elsewhere else [])],
        )
        found.append(Endpoint.from_settings(base_url, config.source.base_url_from, env, form))
    return found


def prices_of(config: Config, servers: Sequence[Endpoint], note: Callable[[str], None] = lambda line: None, share: float = 1.0) -> Prices:
    """The prices of models at these servers; `share` of them is paid."""
    llm = config.llm
    free = llm.price_provider == "local" and all(server.is_local for server in servers)
    provider = "" if llm.price_provider in (None, "local") else str(llm.price_provider)
    from_file = bool(config.source.file_keys & {"provider", "price_provider", "aliases"})
    return Prices(config.prices, config.source.file_rates, note, PriceSource(provider, llm.aliases, free, from_file), share)


def first_parameters(llm: LlmSection) -> Parameters:
    """How requests are written before a server has refused anything."""
    named = {name: getattr(llm, name) for name in ("reasoning_effort", "service_tier", "prompt_cache_options")}
    options = {name: value for name, value in named.items() if value is not None} | llm.extra_body
    same = {one.name: getattr(llm, one.name) for one in fields(Parameters) if hasattr(llm, one.name)}
    return Parameters(**same, options=tuple(options.items()))


def client_settings(llm: LlmSection, concurrency: int) -> ClientSettings:
    """How requests are sent, at most `concurrency` at once."""
    from enrich.llm.client import ClientSettings

    same = {one.name: getattr(llm, one.name) for one in fields(ClientSettings) if hasattr(llm, one.name)}
    return ClientSettings(**{**same, "concurrency": concurrency, "parameters": first_parameters(llm)})


@asynccontextmanager
async def open_service(
    wiki: Wiki, stages: Sequence[Stage], note: Callable[[str], None], env: Mapping[str, str] | None, options: EngineOptions
) -> AsyncIterator[Service]:
    """The service that the wiki's configuration names, until the end of the block. `note` is called with lines for the user.

    Without `env` the key comes from this process's environment.
    Raises `UserError` for a server that is not trusted, for a missing key, and with a budget for a model without a known price.
    """
    if wiki.config.llm.backend == OFFLINE:
        yield offline(wiki)
        return
    from enrich.llm.cache import AnswerCache, SingleFlight
    from enrich.llm.client import Client

    config, llm = wiki.config, wiki.config.llm
    if options.engine == "none":
        folder = config.cache / "answers"
        # Reading must not create a cache.
        with AnswerCache(folder, note, config.folders) if folder.exists() else nullcontext() as stored:
            yield Service(answers=stored)
        return
    servers = endpoints(config, os.environ if env is None else env)
    prices = prices_of(config, servers, note, options.share)
    if options.engine == "batch" and any(stage.method == DECISIONS for stage in stages):
        what = "a decision endpoint answers at once: it takes no batches"
        raise UserError(
            what, where="stages.ratings.method", do="run `enrich run --stage ratings` without --engine batch first", exit_code=2
        )
    budget = None
    if config.run.budget_usd is not None:
        # What a command asks is paid from one budget, however many services and models it uses.
        budget = wiki.shared_by_copies(_new_budget)
        budget.limit_usd = config.run.budget_usd
        for stage in stages:
            prices.required(stage.model)
    noted_until = float("-inf")

    def on_event(event: Event) -> None:
        nonlocal noted_until
        if event.kind == "note":
            note(event.detail)
        elif event.kind == "held" and event.seconds >= _WORTH_A_NOTE and monotonic() >= noted_until:
            # One line for each hold, not one for each request that waits.
            noted_until = monotonic() + event.seconds
            note(f"{event.model} waits {event.seconds:.0f} s: {event.detail}")

    workers = min(llm.concurrency, affordable_workers())
    if workers < llm.concurrency:
        note(f"at most {workers} requests at once: this process may have few open files (`ulimit -n`)")
    settings = client_settings(llm, workers)
    tokens = TokenUse(config.cache, config.folders)
    contexts = ContextLimits(config.cache, llm.context_tokens, config.folders)
    async with AsyncExitStack() as stack:
        stack.callback(tokens.save)
        answers = stack.enter_context(AnswerCache(config.cache / "answers", note, config.folders))
        # The limiter of all workers paces them.
        own = replace(settings, requests_per_minute=None, tokens_per_minute=None) if options.engine == "ray" else settings
        arguments = (servers, own, prices, budget, on_event)
        batches = options.engine == "batch" or (config.cache / "batches").is_dir()
        client = stack.enter_context(_batch_engine(wiki, options, arguments, note)) if batches else Client(*arguments)
        await stack.enter_async_context(client)
        if options.engine == "ray":
            from enrich.runs.ray_workers import RayWorkers

            fleet = RayWorkers(servers, settings, workers=options.workers, address=options.ray_address)
            client.sender = (await stack.enter_async_context(fleet)).post
        flight = SingleFlight(config.cache / "locks", config.folders)
        workers = 1 if options.engine == "batch" else workers
        yield ModelService(
            answers=answers,
            client=client,
            flight=flight,
            tokens=tokens,
            contexts=contexts,
            workers=workers,
            fuse=llm.fuse,
            read_cache=options.read_cache,
        )


@contextmanager
def _batch_engine(wiki: Wiki, options: EngineOptions, arguments: tuple[Any, ...], note: Callable[[str], None]) -> Iterator[Client]:
    """The client that reads its answers from batches."""
    from enrich.llm.batches import BatchApi, BatchFiles, BatchServer
    from enrich.runs.batch import BatchEngine, BatchRecords

    config, endpoint = wiki.config, arguments[0][0]
    if len(arguments[0]) > 1 and not (options.live or options.files):
        # The rows of a batch are at the server that answered it, and each server has limits and prices of its own.
        what = f"the engine `batch` uses one server, and llm.base_urls names {len(arguments[0])}"
        raise UserError(what, do="set llm.base_url to one of them, or write files for all with --files")
    with BatchRecords(config, note) as records:
        servers: dict[str, BatchServer] = {"": BatchFiles(records.folder, config.folders), endpoint.host: BatchApi(endpoint)}
        if options.live and records.names:
            note(f"{counted(len(records.names), 'batch')} open: their questions wait for `enrich run --engine batch`")
        yield BatchEngine(*arguments, records=records, servers=servers, mode=options, poll_seconds=config.llm.batch_poll_seconds)


def _new_budget(wiki: Wiki) -> Budget:
    """A budget of which other commands have spent a part. Its limit is set by each command."""
    config, earlier = wiki.config, 0.0
    if (hours := config.run.budget_window_hours) is not None:
        earlier = spent_since(run_folders(config.cache / "runs", config.folders), time.time() - 3600 * hours)
    return Budget(0.0, earlier)
