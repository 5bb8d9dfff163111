"""One request to one model, until there is a usable answer or a reason why not.

There is one layer of transport retries (the SDK's own are off); asking again because an answer does not validate is the caller's task. A 429
holds all requests to its model and uses up no retry. An answer that its ceiling cut off is asked for again with twice the room, never returned.
With several servers each attempt goes to the one with the fewest requests among those that answer.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from enrich.errors import AnswerError, ServiceError
from enrich.llm.costs import Budget, Price, Prices, counted_usage, estimate_tokens
from enrich.llm.failures import Refused, RefusedParameterError, ThrottledError, TransientError, failure_of_status
from enrich.llm.limits import Limits, LimitSettings, Turn
from enrich.llm.messages import Attempts, Event, Reply, Request, Tally, Usage
from enrich.llm.parameters import LEAST_ROOM, REASONING_ROOM, Parameters, reasoning_room
from enrich.llm.replies import Completion, EmbeddedError, json_object, read_completion
from enrich.llm.score_distributions import DECISIONS, read_decision, with_distributions
from enrich.llm.server import Endpoint

if TYPE_CHECKING:
    import httpx2

    from enrich.llm.transport import Connection

# Twice the room, at most twice: an answer that is cut off at four times its room would not end.
_RAISES = 2
# A request is changed at most so many times because the server refuses something in it.
_REWRITES = 4
# An answer of more characters than its output ceiling can hold, and more than this, is not checked but refused: checks take time.
_CHARACTERS_PER_TOKEN, _ANY_ANSWER = 16, 20_000
# A server that does not answer gets no request for so many seconds if others do, doubled each time.
_REST, _LONGEST_REST = 5.0, 60.0
# A prompt of at least so many tokens, of which the server counts less than this share, has been cut off.
_LONG_PROMPT, _WHOLE_PROMPT, _MOST_CHARACTERS_PER_TOKEN = 1000, 0.6, 7


@dataclass(frozen=True, slots=True)
class ClientSettings(LimitSettings):
    """How requests are sent. Times in seconds; `attempts` includes the first one; `reasoning_room` in tokens, None: by the model's name.

    `parameters` is what requests are written with before a server has refused anything.
    """

    timeout_seconds: float = 120.0
    parameters: Parameters = field(default_factory=Parameters)
    reasoning_room: int | None = None
    attempts: int = 4
    retry_wait_seconds: float = 0.5
    longest_retry_wait_seconds: float = 20.0


@dataclass(slots=True, eq=False)
class Server:
    """One server: its limits, how requests to each model are written, and its health. `load` counts requests that wait or are in flight."""

    endpoint: Endpoint
    limits: Limits
    parameters: defaultdict[str, Parameters]
    load: int = 0
    reached: bool = False
    ended: ServiceError | None = None
    rests_until: float = 0.0
    rest: float = _REST
    connection: Connection | None = None

    def fails(self) -> None:
        self.rests_until, self.rest = monotonic() + self.rest, min(_LONGEST_REST, self.rest * 2)


class Client:
    """Asks models at one server, or at several that know the same models. An async context manager; `send` may be called any number of times
    at once.

    `prices` gives costs; with a `budget` every model's price must be known. `events` is called with an `Event` for every attempt, note
    and hold. Configured rates are for all servers together.
    """

    def __init__(
        self,
        endpoint: Endpoint | Sequence[Endpoint],
        settings: ClientSettings,
        prices: Prices,
        budget: Budget | None = None,
        events: Callable[[Event], None] | None = None,
    ) -> None:
        self.settings, self.budget, self._prices = settings, budget, prices
        self._report = events or (lambda event: None)
        self._random = random.Random()
        endpoints = [endpoint] if isinstance(endpoint, Endpoint) else endpoint
        each = settings.shared_by(len(endpoints))
        self._servers: list[Server] = []
        for one in endpoints:
            first = replace(settings.parameters, decisions=DECISIONS) if one.is_openai else settings.parameters
            self._servers.append(Server(one, Limits(each, clock=monotonic, rng=self._random), defaultdict(partial(replace, first))))
        self._noted: set[tuple[str, str]] = set()
        self._reasoning: set[str] = set()
        self._stopping = asyncio.Event()
        self._ended: ServiceError | None = None
        self.sender: Callable[[int, str, str, bytes], Awaitable[httpx2.Response]] = self.post
        """What sends requests; an engine may set its own."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            if server.connection is not None:
                await server.connection.close()

    # An engine whose answers come later does these in its own way. Here answers come at once: there is one round, nothing is kept of a reply.

    keeps_replies = False
    """Whether the reply to a request is there again when a run is repeated, until `forget` is called for its questions."""

    async def begin_round(self) -> Sequence[Any]:
        """The batches that came since the last round (`runs.batch.Collected`)."""
        return ()

    async def page_done(self) -> None:
        """All requests about a page were handed over."""

    async def end_round(self) -> bool:
        """All pages were gone through. Whether a further round may bring answers."""
        return False

    def batch_of(self, key: str) -> str:
        """A name for the request in which a question was asked before, "" if it was not."""
        return ""

    def remembered(self, key: str, name: str, number: int | None) -> int | None:
        """The first `number` that was given for a question and this name: estimates change while its answers are on their way."""
        return number

    def forget(self, key: str) -> None:
        """A question has its final answer."""

    @property
    def endpoint(self) -> Endpoint:
        """The first server."""
        return self._servers[0].endpoint

    def status(self) -> str:
        """The requests in flight and what limits them, per server and model."""
        if len(self._servers) == 1:
            return self._servers[0].limits.status()
        return ", ".join(f"{one.endpoint.host}: {'out' if one.ended else one.limits.status()}" for one in self._servers)

    def written_with(self, model: str) -> Parameters:
        """How requests about a model are written to the first server, as learned until now."""
        return self._servers[0].parameters[model]

    def stop(self, why: str) -> None:
        """Send nothing more: requests in flight are finished, all others (waiting, or pausing before a retry) get a final `ServiceError`."""
        self._ended = self._ended or ServiceError("stopped", why, final=True)
        for server in self._servers:
            server.limits.stop(self._ended)
        self._stopping.set()

    async def send(self, request: Request, tally: Tally | None = None, attempts: Attempts | None = None) -> Reply:
        """The model's answer to `request`: text that was not cut off; whether it fits the schema is for the caller to check.

        `tally` is added to after each attempt, so that what a failure cost is known too. `attempts` bounds the HTTP requests; hand the same one
        to all requests about one question. Raises `ServiceError` (final: no later request can succeed), `AnswerError` (`refused`, `filtered`,
        `cut-off`, `too-long`, `too-large`, `invalid`, `key-in-answer`), `BudgetSpent`, and `UserError` for an unknown price under a budget.
        """
        price = self._prices.required(request.model) if self.budget is not None else self._prices.price_of(request.model)
        if request.scores and price is not None:
            price = price.input_only()
        own = Tally()
        room = request.max_output_tokens + (0 if request.scores else self._reasoning_room(request.model))
        asked = Asked(request, price, room, (own,) if tally is None else (own, tally), attempts or Attempts())
        for _ in range(_RAISES + 1):
            completion, server, ceiling = await self._retried(asked)
            if completion.finish != "length":
                self._learn(server, request, completion)
                measured = with_distributions(completion.text, completion.tokens) if request.measured else ""
                return Reply(completion.text, own.usage, own.cost_usd, own.requests, measured)
            if completion.runaway:
                raise AnswerError("cut-off", "the answer repeats itself without an end")
            asked.failure = AnswerError("cut-off", f"still cut off at {ceiling} tokens")
            asked.room *= 2
            if self._ceiling(server, asked) <= ceiling or not server.parameters[request.model].ceiling_name:
                break
        raise asked.failure

    def _reasoning_room(self, model: str) -> int:
        if self.settings.reasoning_room is not None:
            return self.settings.reasoning_room
        return REASONING_ROOM if model in self._reasoning else reasoning_room(model)

    def _learn(self, server: Server, request: Request, completion: Completion) -> None:
        """Learn from an answer that the model reasons, that the server ignores schemas, or that it cut the prompt off."""
        model, stated = request.model, completion.usage
        if completion.reasoned:
            self._reasoning.add(model)
        parameters = server.parameters[model]
        if request.measured and not completion.tokens:
            self._note_once(
                model, "logprobs", 'gives no log-probabilities: its scores are single draws (`method = "sample"` asks for no more)'
            )
        schema_only = request.schema is not None and parameters.structured_output == "json_schema" and not parameters.in_words
        # What begins as JSON is read later, once.
        if schema_only and not completion.text.lstrip().startswith("{") and json_object(completion.text) is None:
            server.parameters[model] = replace(parameters, in_words=True)
            self._report(Event("note", model, f"{model} answered without JSON: the schema is sent in the prompt too"))
        sent = [message.content for message in request.messages]
        if stated is not None and stated.input * _MOST_CHARACTERS_PER_TOKEN < sum(map(len, sent)):
            tokens = sum(map(estimate_tokens, sent))
            if tokens >= _LONG_PROMPT and stated.input < _WHOLE_PROMPT * tokens:
                what = f"counts {stated.input} tokens of a prompt of about {tokens}: the server seems to cut prompts off without a word"
                self._note_once(model, "cut", f"{what}; raise its context (Ollama: OLLAMA_CONTEXT_LENGTH) or lower llm.context_tokens")

    async def _retried(self, asked: Asked) -> tuple[Completion, Server, int]:
        """(a completion, cut off or not, its server, its ceiling), through all transport failures. The only retry layer."""
        try:
            return await self._once(asked)
        except TransientError as error:
            failure = error
        if self.settings.attempts > 1:
            # Loaded and used only after a failure: it would be a quarter of an ordinary request's CPU.
            from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

            await self._pause(self._retry_wait(1))
            retrying = AsyncRetrying(
                stop=stop_after_attempt(self.settings.attempts - 1),
                wait=lambda state: self._retry_wait(state.attempt_number + 1),
                retry=retry_if_exception_type(TransientError),
                sleep=self._pause,
                reraise=True,
            )
            try:
                return await retrying(self._once, asked)
            except TransientError as error:
                failure = error
        if failure.cause != "unreachable" or any(server.reached for server in self._servers):
            raise failure.as_last()
        do = "start the server, or check llm.base_url and the network"
        self._ended = ServiceError("unreachable", failure.detail, final=True, do=do)
        raise self._ended

    def _retry_wait(self, failures: int) -> float:
        longest = min(self.settings.longest_retry_wait_seconds, self.settings.retry_wait_seconds * 2.0 ** (failures - 1))
        # Random waits, so that requests which failed together do not come back together.
        return longest * self._random.uniform(0.5, 1.0)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not past `stop`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _once(self, asked: Asked) -> tuple[Completion, Server, int]:
        """One attempt for the retry layer: waits for its turn and through 429s, and is sent again if a 400 had it rewritten.

        A server that does not answer at all, or that is of no use for the rest of the run, is left out as long as another one is there.
        """
        model, avoided, same = asked.request.model, set[Server](), None
        # Roughly: enough for pacing, where a closer estimate would cost too much for every request.
        tokens = sum(len(message.content) for message in asked.request.messages) // 4
        while asked.attempts.left > 0:
            server, same = same or self._chosen(model, avoided), None
            server.load += 1
            try:
                turn = await server.limits.turn(model, tokens + asked.room)
                try:
                    # Written now and not before the wait: it includes what other requests learned meanwhile.
                    parameters, ceiling = server.parameters[model], self._ceiling(server, asked)
                    return await self._attempt(server, asked, turn, parameters, ceiling), server, ceiling
                finally:
                    turn.end()
            except ThrottledError:
                continue
            except RefusedParameterError:
                same = server
            except TransientError as error:
                asked.failure = error.as_last()
                if error.cause in ("unreachable", "reset", "timeout"):
                    server.fails()
                avoided.add(server)
                if error.cause != "unreachable" or error.sent or not set(self._servers) - avoided:
                    raise
            except ServiceError as error:
                if not error.final or self._all_out(server, error):
                    raise
                avoided.add(server)
            finally:
                server.load -= 1
        raise asked.failure

    def _chosen(self, model: str, avoided: set[Server]) -> Server:
        """The server with the fewest requests among those that answer and are not held."""
        now = monotonic()
        usable = [server for server in self._servers if server.ended is None] or self._servers
        return min(usable, key=lambda one: (one in avoided, one.rests_until > now, one.limits.is_held(model), one.load))

    def _all_out(self, server: Server, error: ServiceError) -> bool:
        """Leave a server out from now on; whether it was the last one."""
        if server.ended is None:
            server.ended = error
            server.limits.stop(error)
            if len(self._servers) > 1 and self._ended is None:
                self._report(Event("note", "", f"{server.endpoint.host} is left out: {error.detail}"))
        if all(one.ended is not None for one in self._servers):
            self._ended = self._ended or error
        return self._ended is not None

    async def _attempt(self, server: Server, asked: Asked, turn: Turn, parameters: Parameters, ceiling: int) -> Completion:
        """Send one HTTP request, under the budget, and account for its outcome."""
        if self._ended is not None:
            raise self._ended
        model, body = asked.request.model, parameters.body(asked.request, ceiling)
        most = None if asked.price is None else asked.price.at_most(len(body), ceiling)
        reservation = await self.budget.reserve(model, most) if self.budget is not None and most is not None else None
        if self._ended is not None:  # while this waited for money
            if self.budget is not None and reservation is not None:
                self.budget.settle(reservation, 0.0)
            raise self._ended
        usage, counted, cause, seen = None, None, "cancelled", False
        # What the attempt costs if no usage says so: its upper bound, or nothing if the server turned it away unread.
        unstated = most
        started = monotonic()
        asked.attempts.left -= 1
        try:
            path = f"/{parameters.decisions}" if asked.request.scores else server.endpoint.path(model)
            response = await self.sender(self._servers.index(server), model, path, body)
            server.reached = True
            turn.heard(response.headers)
            if response.status_code != 200:
                unstated = None if most is None else 0.0
            options = dict(parameters.options)
            completion = self._read(server, asked.request, response.status_code, response.headers, response.content, options)
            seen = True
            written = 0 if asked.request.scores else len(completion.text.encode("utf-8", "replace"))
            counted, wrong = counted_usage(completion.usage, len(body), written, ceiling)
            usage = completion.usage if counted is not None else None
            if wrong and completion.usage is not None:
                stated = f"{completion.usage.input} tokens in and {completion.usage.output} out"
                self._note_once(model, "usage", f"states a usage of {stated}, {wrong}")
            cause = "cut-off" if completion.finish == "length" else ""
            self._check(server.endpoint, completion, asked.request, ceiling)
            turn.clean(monotonic() - started)
            server.rest = _REST
            return completion
        except (TransientError, ThrottledError, RefusedParameterError, AnswerError, ServiceError) as error:
            cause = error.cause
            match error:
                case TransientError():
                    unstated = most if error.sent or most is None else 0.0
                    server.reached = server.reached or error.answered
                    turn.failed(error.asked_wait)
                case ThrottledError():
                    asked.attempts.left += 1
                    seconds, why = turn.throttled(error.asked_wait)
                    self._report(Event("held", model, why, seconds=seconds))
                case AnswerError():
                    turn.clean(monotonic() - started)
                case RefusedParameterError():
                    asked.failure = ServiceError("bad-request", error.detail)
                    turn.unusable(error.detail)
                    self._rewrite(server, asked, parameters, error, ceiling)
                case ServiceError(cause="bad-request"):
                    turn.unusable(error.detail)
            raise
        finally:
            cost = unstated if counted is None or asked.price is None else asked.price.cost(counted)
            if self.budget is not None and reservation is not None:
                stated_cost, cost = cost, self.budget.settle(reservation, cost, seen=seen)
                if stated_cost is not None and cost < stated_cost:
                    self._note_once(model, "usage", f"states a usage of ${stated_cost:.4f}, more than was reserved: ${cost:.4f} counts")
            for tally in asked.tallies:
                tally.add(usage or Usage(), cost)
            self._report(Event("attempt", model, "", cause, monotonic() - started, usage, cost))

    def _read(
        self, server: Server, request: Request, status: int, headers: Mapping[str, str], body: bytes, options: Mapping[str, Any]
    ) -> Completion:
        """The completion in a response. Raises what its status, or an error inside it, means."""
        if status == 200:
            try:
                return read_decision(body, request) if request.scores else read_completion(body)
            except EmbeddedError as error:
                status, body = error.status, error.body
        failure = failure_of_status(status, headers, body, model=request.model, endpoint=server.endpoint, options=options)
        if request.scores and status in (404, 405):
            raise RefusedParameterError(Refused("decisions"), str(failure))
        raise failure

    async def post(self, place: int, model: str, path: str, body: bytes) -> httpx2.Response:
        """The HTTP response of the server at this place of the list, read to its end within the timeout. Raises `TransientError`."""
        server = self._servers[place]
        if server.connection is None:
            from enrich.llm.transport import Connection

            seconds = self.settings.timeout_seconds
            server.connection = Connection(server.endpoint, seconds, self.settings.concurrency, seconds)
        return await server.connection.send("post", path, params=server.endpoint.form.query, content=body)

    def _check(self, endpoint: Endpoint, completion: Completion, request: Request, ceiling: int) -> None:
        """Raise if a well-formed reply is not an answer."""
        if completion.refusal:
            raise AnswerError("refused", endpoint.shown(completion.refusal))
        if completion.finish == "content_filter":
            raise AnswerError("filtered", "the server's content filter stopped the answer")
        if not completion.text.strip() and completion.finish != "length":
            raise TransientError("invalid", "the answer is empty", answered=True)
        if len(completion.text) > max(_ANY_ANSWER, _CHARACTERS_PER_TOKEN * ceiling):
            raise AnswerError(
                "too-large", f"the answer has {len(completion.text):,} characters, far more than its {ceiling:,} tokens allow"
            )
        if endpoint.leaked_in(completion.text, [message.content for message in request.messages]):
            raise AnswerError("key-in-answer", "the answer has the API key in it, so it is not kept")

    def _note_once(self, model: str, kind: str, what: str) -> None:
        """Report something about a model, the first time it happens."""
        if (model, kind) not in self._noted:
            self._noted.add((model, kind))
            self._report(Event("note", model, f"{model} {what}"))

    def _ceiling(self, server: Server, asked: Asked) -> int:
        """The output ceiling of the next attempt."""
        ceiling = server.parameters[asked.request.model].ceiling(asked.request, asked.room)
        return ceiling if asked.most is None else min(ceiling, asked.most)

    def _rewrite(self, server: Server, asked: Asked, written_with: Parameters, error: RefusedParameterError, sent: int) -> None:
        """Change how requests to the model are written, or this one alone if the server says what its prompt leaves room for.

        Requests that were sent before a change are only written again. Raises if nothing is left to change.
        """
        model, refused = asked.request.model, error.refused
        asked.rewrites += 1
        if refused.context is not None and refused.most is not None:
            if refused.most < min(LEAST_ROOM, asked.request.max_output_tokens):
                raise AnswerError("too-long", error.detail)
            asked.most = min(refused.most, asked.most or refused.most)
        now = server.parameters[model]
        changed = written_with.without(refused, sent) if now == written_with else None
        if changed is not None:
            now, note = changed
            server.parameters[model] = now
            self._report(Event("note", model, f"{model} {note}"))
        rewritten = now != written_with or self._ceiling(server, asked) < sent
        if not rewritten and refused.parameter == "decisions":
            what = f"{server.endpoint.host} has no decision endpoint, or none with the model `{model}`"
            raise ServiceError("decisions", what, final=True, do='set method = "sample" or "logprobs" under [stages.ratings]')
        if not rewritten or asked.rewrites > _REWRITES:
            raise ServiceError("bad-request", error.detail)


@dataclass(slots=True)
class Asked:
    """One request on its way: `room` is the output that it wants in tokens, `tallies` what its attempts are added to.

    `most` is the largest ceiling that the server said fits its prompt, `rewrites` how often it was changed after a 400, `replies` how many
    responses to it were read in batches, `failure` what the last attempt means if it stays the last one.
    """

    request: Request
    price: Price | None
    room: int
    tallies: tuple[Tally, ...]
    attempts: Attempts
    most: int | None = None
    rewrites: int = 0
    replies: int = 0
    failure: AnswerError | ServiceError = field(default_factory=lambda: AnswerError("invalid", "no request is left for this question"))
