"""One request to one model, until there is a usable answer or a reason why not.

One layer of transport retries (the SDK's own are off); asking again because an answer does not validate is the caller's. A 429 holds all
requests to its model and spends no retry. An answer cut off by its ceiling is asked for again with twice the room, never returned.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from enrich.errors import AnswerError, ServiceError
from enrich.llm.budget import Budget, Reservation
from enrich.llm.dialect import Dialect, first_dialect, reasoning_room
from enrich.llm.endpoint import Endpoint
from enrich.llm.failures import RefusedParameterError, ThrottledError, TransientError, failure_of_status, failure_of_transport, shown
from enrich.llm.limits import Limits, Turn
from enrich.llm.messages import Event, Reply, Request, Tally, Usage
from enrich.llm.prices import Price
from enrich.llm.replies import Completion, GarbledReplyError, read_completion

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

# Twice the room, at most twice: an answer that is still cut off at four times its room is running away.
_RAISES = 2
# A usage beyond this many times what was sent or allowed is a server's mistake and must not settle a budget.
_PLAUSIBLE = 4
_ABOUT_THIS_MACHINE = (
    "X-Stainless-Lang",
    "X-Stainless-Package-Version",
    "X-Stainless-OS",
    "X-Stainless-Arch",
    "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version",
    "X-Stainless-Async",
    "X-Stainless-Retry-Count",
    "X-Stainless-Read-Timeout",
)


class PriceList(Protocol):
    """Prices by model name; see `Prices`."""

    def price_of(self, model: str) -> Price | None: ...
    def required(self, model: str) -> Price: ...


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How hard a server may be asked. Times in seconds; `attempts` counts the first one; `concurrency` is a ceiling over all models."""

    concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_seconds: float = 120.0
    breaker_seconds: float = 300.0
    structured_output: str = "json_schema"
    attempts: int = 4
    retry_wait_seconds: float = 0.5
    longest_retry_wait_seconds: float = 20.0


class Client:
    """Asks models at one endpoint. An async context manager; `send` may be called any number of times at once.

    `prices` gives costs; with a `budget` every model's price must be known. `events` is called with an `Event` for every attempt, note
    and hold. `clock` (monotonic seconds), `sleep` and `rng` are for tests.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ClientSettings,
        prices: PriceList,
        budget: Budget | None = None,
        events: Callable[[Event], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.endpoint, self.settings, self.budget = endpoint, settings, budget
        self._prices, self._clock, self._sleep = prices, clock, sleep
        self._tell = events or (lambda event: None)
        self._rng = rng or random.Random()
        self.limits = Limits(
            concurrency=settings.concurrency,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            breaker_seconds=settings.breaker_seconds,
            clock=clock,
            rng=self._rng,
        )
        self._dialects: dict[str, Dialect] = {}
        self._stopping = asyncio.Event()
        self._reached = False
        self._ended: ServiceError | None = None
        self._open = False
        self._sdk: AsyncOpenAI | None = None
        self._options: Any = {}

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open = False
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()

    def stop(self, why: str) -> None:
        """Nothing more is sent: what is out is read to its end, all else (waiting, resting before a retry) gets a final `ServiceError`."""
        self._ended = self._ended or ServiceError("stopped", why, final=True)
        self.limits.stop(self._ended)
        self._stopping.set()

    async def _rest(self, seconds: float) -> None:
        """Sleeps, but not past `stop`."""
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((sleeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()

    async def send(self, request: Request, tally: Tally | None = None) -> Reply:
        """The model's answer to `request`: text that ended by itself; whether it fits the schema is for the caller to judge.

        `tally` is added to attempt by attempt, so that what a failure cost is known too. Raises `ServiceError` (final: no later request
        can succeed), `AnswerError` (`refused`, `filtered`, `cut-off`, `too-long`, `invalid`,
        `key-in-answer`), `BudgetSpent`, and `UserError` for an
        unknown price under a budget.
        """
        started = self._clock()
        price = self._prices.required(request.model) if self.budget is not None else self._prices.price_of(request.model)
        own = Tally()
        tallies = (own,) if tally is None else (own, tally)
        room = request.max_output_tokens + reasoning_room(request.model)
        for _ in range(_RAISES + 1):
            completion = await self._retried(request, room, price, tallies)
            if completion.finish != "length":
                model = shown(completion.model, self.endpoint) or request.model
                return Reply(completion.text, own.usage, own.cost_usd, model, own.requests, self._clock() - started)
            if self._dialect(request.model).ceiling(room * 2) <= self._dialect(request.model).ceiling(room):
                break
            room *= 2
        raise AnswerError("cut-off", f"still cut off at {self._dialect(request.model).ceiling(room)} tokens")

    async def _retried(self, request: Request, room: int, price: Price | None, tallies: tuple[Tally, ...]) -> Completion:
        """One usable or cut-off completion, through all transport faults: the only retry layer."""
        try:
            return await self._once(request, room, price, tallies)
        except TransientError as error:
            first: TransientError | None = error
        # Only now: what nearly no request needs should not cost every request (a quarter of its CPU).
        from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

        def wait(state: RetryCallState) -> float:
            longest = min(self.settings.longest_retry_wait_seconds, self.settings.retry_wait_seconds * 2.0 ** (state.attempt_number - 1))
            # Full waits would bring all who failed together back together.
            return longest * self._rng.uniform(0.5, 1.0)

        async def attempt() -> Completion:
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return await self._once(request, room, price, tallies)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.settings.attempts),
            wait=wait,
            retry=retry_if_exception_type(TransientError),
            sleep=self._rest,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except TransientError as error:
            if error.cause == "invalid":
                raise AnswerError("invalid", error.detail) from None
            if error.cause == "unreachable" and not self._reached:
                self._ended = ServiceError(
                    "unreachable", error.detail, final=True, do="start the server, or check llm.base_url and the network"
                )
                raise self._ended from None
            raise ServiceError(error.cause, error.detail) from None

    async def _once(self, request: Request, room: int, price: Price | None, tallies: tuple[Tally, ...]) -> Completion:
        """One attempt for the retry layer: waits for its turn, sits out 429s, and rewrites the request where a 400 asks for it."""
        while True:
            turn = await self.limits.turn(request.model, _estimated_tokens(request) + room)
            try:
                if self._ended is not None:
                    raise self._ended
                # Written now and not before the wait: what others learned meanwhile is in it.
                dialect = self._dialect(request.model)
                body, ceiling = dialect.body(request, room), dialect.ceiling(room)
                reservation = None
                if self.budget is not None and price is not None:
                    reservation = await self.budget.reserve(price.at_most(len(body), ceiling))
                    if self._ended is not None:  # while this waited for money
                        self.budget.settle(reservation, 0.0)
                        raise self._ended
                return await self._spend(turn, request, body, ceiling, price, reservation, tallies)
            except ThrottledError:
                continue
            except RefusedParameterError as error:
                self._rewrite(request.model, dialect, error, room)
            finally:
                turn.end()

    async def _spend(
        self,
        turn: Turn,
        request: Request,
        body: bytes,
        ceiling: int,
        price: Price | None,
        reservation: Reservation | None,
        tallies: tuple[Tally, ...],
    ) -> Completion:
        """Sends, and accounts for whatever comes of it."""
        model = request.model
        usage: Usage | None = None
        # What the attempt costs where no usage says so: None stands for its upper bound, 0 for a server that turned it away unread.
        unstated: float | None = None
        cause = "cancelled"
        started = self._clock()
        try:
            response = await self._post(body)
            self._reached = True
            turn.heard(response.headers)
            if response.status_code != 200:
                raise failure_of_status(response.status_code, response.headers, response.content, model=model, endpoint=self.endpoint)
            completion = self._read(response.content)
            usage = _plausible(completion.usage, len(body), ceiling)
            cause = "cut-off" if completion.finish == "length" else ""
            self._judge(completion, request)
            turn.clean(self._clock() - started)
            return completion
        except ThrottledError as error:
            cause, unstated = "rate-limited", 0.0
            held = turn.throttled(error.asked_wait)
            self._tell(Event("held", model, held.why, seconds=held.seconds))
            raise
        except TransientError as error:
            cause, unstated = error.cause, None if error.sent else 0.0
            self._reached = self._reached or error.answered
            turn.failed(error.asked_wait)
            raise
        except RefusedParameterError:
            cause, unstated = "parameter", 0.0
            raise
        except ServiceError as error:
            cause, unstated = error.cause, 0.0
            if error.final:
                self._ended = error
            raise
        except AnswerError as error:
            # Within a 200 it was paid for; a 400 was not.
            cause, unstated = error.cause, 0.0 if usage is None and error.cause in ("too-long", "filtered") else None
            turn.clean(self._clock() - started)
            raise
        finally:
            cost = self._settle(reservation, price, usage, unstated, body, ceiling)
            for tally in tallies:
                tally.add(usage or Usage(), cost)
            self._tell(Event("attempt", model, "", cause, self._clock() - started, usage, cost))

    async def _post(self, body: bytes) -> httpx2.Response:
        """The HTTP response to `body`, read to its end within the timeout. Raises `TransientError` where there is none."""
        if not self._open:
            raise RuntimeError("a Client is used inside `async with`")
        # Only with the first request: the SDK costs half a second, and a run whose answers are all cached sends none.
        import httpx2
        from openai import APIConnectionError, APIStatusError

        if self._sdk is None:
            self._sdk = _open_sdk(self.endpoint, self.settings)
            self._options = {"headers": _headers(self.endpoint)}
        try:
            # A server that sends a byte now and then never trips the transport's own timeouts.
            async with asyncio.timeout(self.settings.timeout_seconds):
                return await self._sdk.post("/chat/completions", cast_to=httpx2.Response, content=body, options=self._options)
        except APIStatusError as error:
            return error.response
        except (APIConnectionError, TimeoutError, OSError) as error:
            raise failure_of_transport(error, self.endpoint) from None
        except Exception as error:
            import aiohttp

            # The SDK's transport leaves some of aiohttp's errors untranslated (a reply that is no HTTP).
            if isinstance(error, aiohttp.ClientError):
                raise failure_of_transport(error, self.endpoint) from None
            raise

    def _read(self, body: bytes) -> Completion:
        try:
            completion = read_completion(body)
        except GarbledReplyError as error:
            raise TransientError("invalid", f"{self.endpoint.host}: {error}", answered=True) from None
        return completion

    def _judge(self, completion: Completion, request: Request) -> None:
        """Raises where a sound reply is no answer."""
        if completion.refusal:
            raise AnswerError("refused", shown(completion.refusal, self.endpoint))
        if completion.finish == "content_filter":
            raise AnswerError("filtered", "the server's content filter stopped the answer")
        if not completion.text.strip() and completion.finish != "length":
            raise TransientError("invalid", "the answer is empty", answered=True)
        if self.endpoint.leaked_in(completion.text, [message.content for message in request.messages]):
            raise AnswerError("key-in-answer", "the answer holds the API key, so it is not kept")

    def _settle(
        self, reservation: Reservation | None, price: Price | None, usage: Usage | None, unstated: float | None, body: bytes, ceiling: int
    ) -> float | None:
        """USD that the attempt cost, settled with the budget; None where the price is unknown."""
        if price is None:
            return None
        if usage is not None:
            cost = price.cost(usage)
        else:
            cost = price.at_most(len(body), ceiling) if unstated is None else unstated
        if self.budget is not None and reservation is not None:
            self.budget.settle(reservation, cost)
        return cost

    def _dialect(self, model: str) -> Dialect:
        dialect = self._dialects.get(model)
        if dialect is None:
            structured = "json_object" if self.settings.structured_output == "json_object" else "json_schema"
            dialect = self._dialects[model] = first_dialect(is_openai=self.endpoint.is_openai, structured=structured)  # type: ignore[arg-type]
        return dialect

    def _rewrite(self, model: str, written_in: Dialect, error: RefusedParameterError, room: int) -> None:
        """Changes how requests to `model` are written, once: who was sent before the change only learns of it here."""
        if self._dialect(model) != written_in:
            return
        changed = written_in.without(error.refused, room)
        if changed is None:
            raise ServiceError("bad-request", error.detail)
        self._dialects[model], note = changed
        self._tell(Event("note", model, f"{model} {note}"))


def _open_sdk(endpoint: Endpoint, settings: ClientSettings) -> AsyncOpenAI:
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    timeout = httpx2.Timeout(settings.timeout_seconds, connect=min(10.0, settings.timeout_seconds))
    http = DefaultAioHttpClient(
        timeout=timeout,
        limits=httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency, keepalive_expiry=15.0),
        # A redirect would take page text to a host that nobody named; a proxy has no business between us and this machine.
        follow_redirects=False,
        trust_env=not endpoint.is_loopback,
        # Reading all certificates takes 50 ms; without TLS nothing looks at them.
        verify=endpoint.base_url.startswith("https:"),
    )
    return AsyncOpenAI(
        api_key=endpoint.key,
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=timeout,
        http_client=http,
        _enforce_credentials=False,
    )


def _headers(endpoint: Endpoint) -> dict[str, Any]:
    """Headers that the SDK would send and that are left out.

    What it takes from the environment is OpenAI's business alone, and without a key of ours no other (an admin's) may go in its place.
    What it tells about this machine is nobody's, and costs a tenth of a request's CPU.
    """
    from openai import Omit

    headers: dict[str, Any] = {name: Omit() for name in _ABOUT_THIS_MACHINE}
    if not endpoint.is_openai:
        headers |= {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
    if not endpoint.key:
        headers["Authorization"] = Omit()
    return headers


def _plausible(usage: Usage | None, sent_bytes: int, ceiling: int) -> Usage | None:
    if usage is None or usage.input > _PLAUSIBLE * sent_bytes + 1000 or usage.output > _PLAUSIBLE * ceiling + 1000:
        return None
    return usage


def _estimated_tokens(request: Request) -> int:
    """Tokens of a request's messages, roughly: for pacing, where a closer estimate of every request would cost more than it is worth."""
    return sum(len(message.content) for message in request.messages) // 4
